use std::collections::BTreeMap;

use insta::assert_snapshot;
use morphospace_benchmark::Score;
use morphospace_core::{ControlRole, InputHash, Provenance};
use morphospace_report::{
    Better, Colouring, Failure, FailureTable, HeatMapWell, ImageChannel, ImagePanel, KeyValueTable,
    LineFigure, LineSeries, Notes, Page, PlateHeatMap, Projection, ScatterFigure, ScoreRow,
    ScoreTable, Section,
};

use crate::block_html;
use crate::well_formed::check_well_formed;

fn score(model: &str, alignment: &str, value: f64) -> Score {
    Score {
        benchmark: "relationship recall".into(),
        model: model.into(),
        block: (model == "MAE").then_some(7),
        alignment: alignment.into(),
        value,
        null: Some(0.1),
        n: 1412,
        seeds: vec![3],
        ci_low: Some(value - 0.02),
        ci_high: Some(value + 0.02),
        inputs: Vec::new(),
        settings: BTreeMap::from([("threshold".to_owned(), "0.05".to_owned())]),
    }
}

#[test]
fn score_table() {
    let scores = [
        score("MAE", "none", 0.2),
        score("MAE", "tvn", 0.41),
        score("oracle", "none", 0.96),
    ];
    let mut rows: Vec<ScoreRow> = scores.iter().map(ScoreRow::from).collect();
    rows.push(ScoreRow {
        benchmark: "batch".into(),
        ci: None,
        null: None,
        ..rows[0].clone()
    });
    let table = ScoreTable::new("Scores of one run", rows)
        .with_better("relationship recall", Better::Higher)
        .with_better("batch", Better::Lower)
        .with_reference("oracle");
    let html = block_html(table);
    // The oracle is higher, but a reference; one row alone is not the lowest.
    assert_eq!(html.matches("class=\"badge\">highest").count(), 1);
    assert_eq!(html.matches("class=\"badge\">lowest").count(), 0);
    assert_snapshot!(html);
}

#[test]
fn equal_values_are_not_the_best() {
    let rows = [score("a", "none", 0.2), score("b", "none", 0.2)];
    let table = ScoreTable::new("", rows.iter().map(ScoreRow::from))
        .with_better("relationship recall", Better::Higher);
    assert!(!block_html(table).contains("class=\"badge\""));
}

#[test]
fn scatter_figure() {
    let projection = |title: &str, coordinates: &[(f64, f64)]| Projection {
        title: title.into(),
        x_label: "PC 1 (40 % of variance)".into(),
        y_label: "PC 2 (9 % of variance)".into(),
        coordinates: coordinates.to_vec(),
    };
    let colouring = |name: &str, labels: &[&str]| Colouring {
        name: name.into(),
        labels: labels.iter().map(ToString::to_string).collect(),
    };
    assert_snapshot!(block_html(ScatterFigure::grid(
        "Each point is a well.",
        &[
            projection(
                "Before alignment",
                &[(0.0, 1.0), (5.0, -1.0), (f64::NAN, 0.0)]
            ),
            projection("After TVN", &[(0.1, 0.2), (0.3, 0.1), (0.2, 0.4)]),
        ],
        &[
            colouring("experiment", &["HUVEC-10", "HUVEC-2", "HUVEC-2"]),
            colouring("gene", &["PLK1", "", "PLK1"]),
        ],
    )));
}

#[test]
fn plate_heat_map() {
    let well = |address: &str, value: Option<f64>, control_role| HeatMapWell {
        address: address.parse().expect("a well"),
        value,
        control_role,
        label: format!("treatment of {address}"),
    };
    let map = PlateHeatMap::new("HUVEC-01 plate 1", "mean intensity of w1 (grey values)")
        .with_wells([
            well("B02", Some(10.0), ControlRole::NegativeControl),
            well("B03", Some(20.0), ControlRole::Treatment),
            well("C02", None, ControlRole::PositiveControl),
            well("C04", Some(99.0), ControlRole::Untreated),
        ])
        .with_range(10.0, 50.0);
    assert_snapshot!(block_html(map));
}

#[test]
fn line_figure() {
    let figure = LineFigure::new("Loss", "step", "mean squared error")
        .with_series(LineSeries::new(
            "training",
            vec![(0.0, 1.0), (1.0, 0.7), (2.0, f64::NAN), (3.0, 0.5)],
        ))
        .with_series(LineSeries::new("held-out", vec![(1.5, 0.8)]));
    assert_snapshot!(block_html(figure));
}

#[test]
fn image_panel() {
    let panel = ImagePanel::new("HUVEC-01 plate 1 well B02 site 1, s21721")
        .with_channel(ImageChannel::from_u8("w1 (DNA)", 2, 2, &[0, 50, 100, 150]))
        .with_channel(ImageChannel::missing("w5 (Mito)"));
    let html = block_html(panel);
    // The bytes of a PNG are the encoder's affair; `images.rs` decodes them.
    let mut parts = html.split("base64,");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('"').expect("quoted");
        shown.push_str("base64,...\"");
        shown.push_str(rest);
    }
    assert_snapshot!(shown);
}

#[test]
fn tables_and_notes() {
    let mut provenance = Provenance::new("align")
        .with_seed("bootstrap", 3)
        .with_setting("method", "tvn");
    provenance.tool_version = "0.0.0".into();
    provenance.config_sha256 = Some("ab12".into());
    provenance.inputs.push(InputHash {
        name: "wells.parquet".into(),
        sha256: "cd34".into(),
    });
    let failure = Failure::new(
        "HUVEC-01 plate 1 well B02 site 2",
        "no w5, w6",
        "filled with 0",
    );
    let page = Page::new("Run")
        .with_lead("One plate.")
        .with_section(Section::new("What ran").with(KeyValueTable::from(&provenance)))
        .with_section(
            Section::new("Sites")
                .with_intro("Every site was looked at.")
                .with(FailureTable {
                    num_checked: 1232,
                    failures: vec![failure],
                })
                .with(
                    Notes::default()
                        .with_warning("few controls")
                        .with_note("one seed"),
                ),
        );
    let html = page.to_html();
    check_well_formed(&html);
    let (head, rest) = html.split_once("<style>").expect("styled");
    let (_, body) = rest.split_once("</style>").expect("styled");
    let shown = format!("{head}<style>...</style>{body}");
    assert_snapshot!(shown.replace(env!("CARGO_PKG_VERSION"), "[version]"));
}
