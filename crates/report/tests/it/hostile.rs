use morphospace_core::{ControlRole, Provenance, WellAddress};
use morphospace_report::{
    Better, Colouring, CountTable, Failure, FailureTable, GridPlate, GridWell, HeatMapWell,
    ImageChannel, ImagePanel, KeyValueTable, LineFigure, LineSeries, Notes, Page, PlateGrid,
    PlateHeatMap, Projection, ScatterFigure, ScoreRow, ScoreTable, Section,
};
use proptest::prelude::*;

use crate::block_html;
use crate::well_formed::check_well_formed;

/// A page with `text` in every place that takes text and `numbers` in every
/// place that takes a number.
fn page_of(text: &str, numbers: &[f64]) -> Page {
    let row = |index: usize| ScoreRow {
        benchmark: text.into(),
        model: text.into(),
        alignment: text.into(),
        value: numbers[index],
        ci: Some((
            numbers[(index + 1) % numbers.len()],
            numbers[(index + 2) % numbers.len()],
        )),
        null: Some(numbers[(index + 3) % numbers.len()]),
        n: usize::MAX,
        notes: vec![text.into()],
    };
    let well = |index: usize| HeatMapWell {
        address: WellAddress::from_indices(index % 32, index % 48).expect("on the plate"),
        value: Some(numbers[index]),
        control_role: [ControlRole::Treatment, ControlRole::PositiveControl][index % 2],
        label: text.into(),
    };
    let grid_well = |index: usize| GridWell {
        address: well(index).address,
        value: well(index).value,
        is_marked: index.is_multiple_of(2),
    };
    let grid = PlateGrid::new(text, text).with_plate(GridPlate {
        title: text.into(),
        wells: (0..numbers.len()).map(grid_well).collect(),
    });
    let shifted = numbers.iter().cycle().skip(1);
    let coordinates: Vec<(f64, f64)> = numbers.iter().copied().zip(shifted.copied()).collect();
    let projection = Projection {
        title: text.into(),
        x_label: text.into(),
        y_label: text.into(),
        coordinates: coordinates.clone(),
    };
    let labels = vec![text.to_owned(); numbers.len()];
    let colouring = Colouring {
        name: text.into(),
        labels,
    };
    let provenance = Provenance::new(text)
        .with_seed(text, 1)
        .with_setting(text, text);
    let section = Section::new(text)
        .with_intro(text)
        .with(text)
        .with(KeyValueTable::from(&provenance))
        .with(
            ScoreTable::new(text, (0..numbers.len()).map(row))
                .with_better(text, Better::Higher)
                .with_reference("another"),
        )
        .with(ScatterFigure::grid(
            text,
            &[projection.clone(), projection],
            &[colouring],
        ))
        .with(PlateHeatMap::new(text, text).with_wells((0..numbers.len()).map(well)))
        .with(PlateHeatMap::new(text, text).with_range(numbers[0], numbers[numbers.len() - 1]))
        .with(
            grid.clone()
                .with_range(numbers[0], numbers[numbers.len() - 1]),
        )
        .with(grid)
        .with(CountTable::new(text, [text]).with_row(text, vec![usize::MAX]))
        .with(
            ImagePanel::new(text)
                .with_channel(ImageChannel::from_u8(text, 2, 3, &[0, 1, 2, 3, 4, 255]))
                .with_channel(ImageChannel::from_u8(text, 2, 3, &[0]))
                .with_channel(ImageChannel::missing(text)),
        )
        .with(
            LineFigure::new(text, text, text)
                .with_series(LineSeries::new(text, coordinates.clone()))
                .with_series(LineSeries::new(text, coordinates)),
        )
        .with(FailureTable {
            num_checked: 3,
            failures: vec![Failure::new(text, text, text)],
        })
        .with(Notes::default().with_warning(text).with_note(text));
    Page::new(text)
        .with_lead(text)
        .with_section(section.clone())
        .with_section(section)
}

#[test]
fn markup_in_every_label_stays_text() {
    let texts = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</title></style></svg><h1>",
        "]]><!-- --><![CDATA[",
        "&lt;b&gt; &#60;",
        "\0\u{1b}[31m\u{202e}\u{feff}",
        "",
        " ",
        "ΔΨm 线粒体 🧫 مرحبا",
    ];
    for text in texts {
        check_well_formed(&page_of(text, &[0.1, 0.5, 0.2]).to_html());
    }
    let html = page_of("<script>alert(1)</script>", &[0.1]).to_html();
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

#[test]
fn very_long_names_are_cut_where_they_would_not_fit_and_kept_whole_beside() {
    let long = "x".repeat(5000);
    let html = page_of(&long, &[0.1, 0.2]).to_html();
    check_well_formed(&html);
    let figure = block_html(
        LineFigure::new("c", "x", "y")
            .with_series(LineSeries::new(&long, vec![(0.0, 0.0)]))
            .with_series(LineSeries::new("b", vec![(0.0, 0.0)])),
    );
    assert!(figure.contains(&format!("title=\"{long}\"")));
    assert!(figure.contains("x…</li>"));
}

#[test]
fn numbers_that_are_none_are_never_drawn() {
    let cases: [&[f64]; 7] = [
        &[f64::NAN],
        &[f64::INFINITY, f64::NEG_INFINITY],
        &[f64::NAN, 1.0, f64::INFINITY, 1.0],
        &[5.0],
        &[5.0, 5.0, 5.0],
        &[f64::MAX, f64::MIN, 0.0],
        &[f64::MIN_POSITIVE, -0.0],
    ];
    for numbers in cases {
        let html = page_of("label", numbers).to_html();
        check_well_formed(&html);
        for attribute in html.split('"').skip(1).step_by(2) {
            let is_drawing = attribute.starts_with(['M', '-', '.'])
                || attribute.starts_with(|c: char| c.is_ascii_digit());
            assert!(
                !is_drawing || !(attribute.contains("NaN") || attribute.contains("inf")),
                "{numbers:?} drew {attribute}"
            );
        }
    }
}

#[test]
fn empty_figures_say_so() {
    let check = |html: String, expect: &str| assert!(html.contains(expect), "{html}");
    check(block_html(ScoreTable::default()), "No scores.");
    check(block_html(KeyValueTable::default()), "nothing recorded");
    check(block_html(PlateHeatMap::new("p", "v")), "No wells to draw.");
    check(
        block_html(ScatterFigure::grid("s", &[], &[])),
        "No points to draw.",
    );
    check(
        block_html(LineFigure::new("l", "x", "y")),
        "No points to draw.",
    );
    check(block_html(ImagePanel::new("i")), "No images to show.");
    check(
        block_html(FailureTable {
            num_checked: 80,
            ..Default::default()
        }),
        "80 sites checked",
    );
    check(block_html(Notes::default()), "No warnings.");
    check_well_formed(&Page::new("").to_html());
}

#[test]
fn more_groups_than_colours_become_grey() {
    let labels: Vec<String> = (0..100).map(|i| format!("g{}", i.min(59))).collect();
    let projection = Projection {
        title: "t".into(),
        x_label: "x".into(),
        y_label: "y".into(),
        coordinates: (0..100).map(|i| (f64::from(i), 0.0)).collect(),
    };
    let colouring = Colouring {
        name: "group".into(),
        labels,
    };
    let html = block_html(ScatterFigure::grid("c", &[projection], &[colouring]));
    assert!(
        html.contains("other: 36 groups <span class=\"count\">36</span>"),
        "{html}"
    );
    // The fullest group is named, though it comes last.
    assert!(html.contains("g59 <span class=\"count\">41</span>"));
    // Legends sort as people do.
    assert!(html.find("g2 <").expect("named") < html.find("g10 <").expect("named"));
}

#[test]
#[should_panic(expected = "must be of the same rows")]
fn labels_of_other_rows_are_refused() {
    let projection = Projection {
        title: "before".into(),
        x_label: String::new(),
        y_label: String::new(),
        coordinates: vec![(0.0, 0.0)],
    };
    let colouring = Colouring {
        name: "batch".into(),
        labels: Vec::new(),
    };
    ScatterFigure::grid("c", &[projection], &[colouring]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_and_numbers_give_a_well_formed_page(
        text in any::<String>(),
        numbers in prop::collection::vec(any::<f64>(), 1..6),
    ) {
        // Text with an address in it is text, but the check cannot tell.
        prop_assume!(!text.contains("url(") && !text.contains("http"));
        check_well_formed(&page_of(&text, &numbers).to_html());
    }
}
