use morphospace_core::{ControlRole, Provenance, WellAddress};
use morphospace_report::{
    Bar, BarFigure, Better, Block, Colouring, CountTable, Density, DistributionFigure, Failure,
    FailureTable, GridPlate, GridWell, HeatMapWell, HorizontalAxis, ImageChannel, ImagePanel,
    KeyValueTable, LineFigure, LineSeries, NamedPoint, NamedScatterFigure, Notes, Page, PlateGrid,
    PlateHeatMap, Population, Projection, ScatterFigure, ScoreRow, ScoreTable, Section,
    SpreadFigure, SpreadGroup, figure_svg,
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
        });
    let section = figures_of(text, numbers)
        .into_iter()
        .fold(section, Section::with)
        .with(Notes::default().with_warning(text).with_note(text));
    Page::new(text)
        .with_lead(text)
        .with_section(section.clone())
        .with_section(section)
}

/// The figures of papers, likewise.
fn figures_of(text: &str, numbers: &[f64]) -> Vec<Block> {
    let at = |index: usize| numbers[index % numbers.len()];
    let pairs: Vec<(f64, f64)> = (0..numbers.len()).map(|i| (at(i), at(i + 1))).collect();
    let intervals: Vec<(f64, f64, f64)> = (0..numbers.len())
        .map(|i| (at(i), at(i + 1), at(i + 2)))
        .collect();
    let series = || {
        LineSeries::new(text, pairs.clone())
            .with_intervals(intervals.clone())
            .with_ring(0)
    };
    let line = |axis: HorizontalAxis| {
        LineFigure::new(text, text, text)
            .with_horizontal_axis(axis)
            .with_reference(text, pairs.clone())
            .with_series(series())
            .with_series(series().with_names([text, text]))
            .with_remark(text)
    };
    let bins = Density::Bins {
        edges: numbers.to_vec(),
        densities: numbers.to_vec(),
    };
    let spread = SpreadGroup::new(text)
        .with_quantiles([at(0), at(1), at(2), at(3), at(4)])
        .with_values(numbers.to_vec());
    let bar = Bar::new(text, at(0)).with_interval(at(1), at(2));
    let points = pairs
        .iter()
        .map(|(x, y)| NamedPoint::new(text, text, *x, *y));
    let named = points.fold(
        NamedScatterFigure::new(text, text, text).with_line(at(0), at(1)),
        NamedScatterFigure::with_point,
    );
    vec![
        line(HorizontalAxis::Linear).into(),
        line(HorizontalAxis::Logarithmic).into(),
        line(HorizontalAxis::Names(vec![text.to_owned(); 3])).into(),
        line(HorizontalAxis::Names(Vec::new())).into(),
        DistributionFigure::new(text, text)
            .with_population(Population::new(text, bins))
            .with_population(Population::new(text, Density::Curve(pairs.clone())))
            .with_remark(text)
            .into(),
        SpreadFigure::new(text, text)
            .with_group(spread)
            .with_reference(text, at(0))
            .with_remark(text)
            .into(),
        BarFigure::new(text, text)
            .with_bar(bar)
            .with_remark(text)
            .into(),
        named.with_remark(text).into(),
    ]
}

/// Fails unless a document of a figure alone is well-formed and draws
/// nothing that is no number.
fn check_alone(figure: &Block) {
    let svg = figure_svg(figure).expect("a figure");
    let namespace = " xmlns=\"http://www.w3.org/2000/svg\"";
    check_well_formed(&format!("<!DOCTYPE html>{}", svg.replace(namespace, "")));
    assert!(!svg.contains("var("));
}

#[test]
fn figures_of_hostile_text_stand_alone() {
    for text in [
        "<script>alert(1)</script>",
        "]]></style></svg>",
        "\"",
        "",
        "线粒体 🧫",
    ] {
        for figure in figures_of(text, &[0.1, 0.5, 0.2]) {
            check_alone(&figure);
        }
    }
    for numbers in [&[f64::NAN][..], &[5.0], &[f64::MAX, f64::MIN, 0.0]] {
        for figure in figures_of("label", numbers) {
            check_alone(&figure);
        }
    }
    assert_eq!(figure_svg(&Block::from("text")), None);
}

#[test]
fn sixty_groups_have_room() {
    let group = |index: usize| {
        SpreadGroup::new(format!("group {index}")).with_quantiles([0.0, 1.0, 2.0, 3.0, 4.0])
    };
    let figure = (0..60).fold(SpreadFigure::new("c", "v"), |figure, index| {
        figure.with_group(group(index))
    });
    let html = block_html(figure.clone());
    assert_eq!(html.matches("class=\"spread").count(), 60);
    // Top to bottom in the order given.
    let place = |name: &str| html.find(&format!(">{name}</text>")).expect("named");
    assert!(html.contains("group 59: 2.00"));
    assert_ne!(place("group 0"), place("group 59"));
    let many = (0..90).fold(figure, |figure, index| figure.with_group(group(index)));
    assert!(block_html(many).contains("50 further groups not drawn."));
    let figure = (0..60).fold(NamedScatterFigure::new("c", "x", "y"), |figure, index| {
        let x = f64::from(index % 8);
        figure.with_point(NamedPoint::new(
            format!("model {index}"),
            format!("g{index}"),
            x,
            1.0,
        ))
    });
    let html = block_html(figure);
    assert!(html.contains("other: 36 groups"), "{html}");
    assert!(html.contains("without room not drawn."));
}

#[test]
fn many_points_become_an_image() {
    let figure = |num_points: usize| {
        let projection = Projection {
            title: "t".into(),
            x_label: "x".into(),
            y_label: "y".into(),
            coordinates: (0..num_points)
                .map(|index| ((index as f64).sin(), (index as f64).cos()))
                .collect(),
        };
        let colouring = Colouring {
            name: "group".into(),
            labels: (0..num_points)
                .map(|index| format!("g{}", index % 30))
                .collect(),
        };
        ScatterFigure::grid("c", &[projection], &[colouring])
    };
    let few = block_html(figure(20_000));
    assert!(!few.contains("<image"));
    let many = block_html(figure(20_001));
    assert!(many.contains("<image"));
    assert!(
        many.len() < few.len() / 2,
        "{} of {}",
        many.len(),
        few.len()
    );
    assert!(many.contains("6 groups"));
    check_alone(&figure(20_001).into());
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
    check(
        block_html(DistributionFigure::new("d", "x")),
        "No points to draw.",
    );
    check(
        block_html(SpreadFigure::new("s", "v")),
        "No points to draw.",
    );
    check(block_html(BarFigure::new("b", "v")), "No points to draw.");
    check(
        block_html(NamedScatterFigure::new("n", "x", "y")),
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
