use std::collections::BTreeMap;

use insta::assert_snapshot;
use morphospace_benchmark::Score;
use morphospace_core::{ControlRole, InputHash, Provenance};
use morphospace_report::{
    Bar, BarFigure, Better, Block, Colouring, Density, DistributionFigure, Failure, FailureTable,
    HeatMapWell, HorizontalAxis, ImageChannel, ImagePanel, KeyValueTable, LineFigure, LineSeries,
    NamedPoint, NamedScatterFigure, Notes, Page, PlateHeatMap, Population, Projection,
    ScatterFigure, ScoreRow, ScoreTable, Section, SpreadFigure, SpreadGroup, figure_svg,
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

#[test]
fn line_figure_of_families() {
    let figure = LineFigure::new("Recall by compute", "FLOPs", "recall")
        .with_horizontal_axis(HorizontalAxis::Logarithmic)
        .with_reference("chance", [(1e9, 0.1), (1e11, 0.1)])
        .with_series(
            LineSeries::new("MAE", vec![(1e9, 0.2), (1e10, 0.3), (0.0, 0.4)])
                .with_names(["S", "B", "no place"])
                .with_intervals(vec![(1e9, 0.18, 0.22), (1e10, f64::NAN, 0.3)])
                .with_ring(1),
        )
        .with_series(
            LineSeries::new("WSL", vec![(2e9, 0.15), (5e9, 0.2)])
                .with_intervals(vec![(2e9, 0.12, 0.2), (5e9, 0.18, 0.22)]),
        )
        .with_remark("One seed.");
    assert_snapshot!(block_html(figure));
}

#[test]
fn line_figure_of_names() {
    let names = ["0.1", "1", "a concentration with a long name"];
    let series = |label: &str, shift: f64| {
        let points = vec![(0.0, shift), (1.0, shift + 0.1), (2.0, shift + 0.2)];
        let intervals = points.iter().map(|(x, y)| (*x, y - 0.1, y + 0.1));
        LineSeries::new(label, points.clone())
            .with_intervals(intervals.collect())
            .with_markers()
    };
    let figure = LineFigure::new("Precision", "concentration (µM)", "mean average precision")
        .with_horizontal_axis(HorizontalAxis::Names(names.map(String::from).to_vec()))
        .with_series(series("a", 0.2))
        .with_series(series("b", 0.3));
    assert_snapshot!(block_html(figure));
}

#[test]
fn distribution_figure() {
    let bins = Density::Bins {
        edges: vec![-1.0, 0.0, 0.5, 1.0],
        densities: vec![0.1, 1.2, 0.6],
    };
    let curve = Density::Curve(vec![(-1.0, 0.0), (0.0, 0.9), (0.5, f64::NAN), (1.0, 0.1)]);
    let figure = DistributionFigure::new("Similarity", "cosine similarity")
        .with_population(Population::new("same", bins))
        .with_population(Population::new("other", curve))
        .with_remark("Kolmogorov-Smirnov 0.4.");
    assert_snapshot!(block_html(figure));
}

#[test]
fn spread_figure() {
    let figure = SpreadFigure::new("Energy distance by model", "energy distance")
        .with_group(SpreadGroup::new("A").with_quantiles([0.1, 0.2, 0.3, 0.5, 0.9]))
        .with_group(SpreadGroup::new("B").with_values(vec![0.4, f64::INFINITY, 0.7]))
        .with_group(SpreadGroup::new("C"))
        .with_reference("random", 0.25);
    assert_snapshot!(block_html(figure));
}

#[test]
fn bar_figure() {
    let figure = BarFigure::new("Channels", "Shapley value")
        .with_bar(Bar::new("nuclei", 0.1).with_interval(0.08, 0.13))
        .with_bar(Bar::new("RNA", -0.05).with_interval(f64::NAN, 0.0))
        .with_bar(Bar::new("actin", f64::NAN));
    assert_snapshot!(block_html(figure));
}

#[test]
fn named_scatter_figure() {
    let figure = NamedScatterFigure::new("Probe and benchmark", "probe", "recall")
        .with_point(NamedPoint::new("ViT-S/16", "MAE", 0.3, 0.2))
        .with_point(NamedPoint::new("ViT-B/16", "MAE", 0.4, 0.3))
        .with_point(NamedPoint::new("DenseNet", "", 0.31, 0.2))
        .with_point(NamedPoint::new("lost", "MAE", f64::NAN, 0.2))
        .with_line(1.0, -0.1)
        .with_remark("Spearman's rho 0.87.");
    assert_snapshot!(block_html(figure));
}

#[test]
fn a_figure_alone() {
    let figure = BarFigure::new("What each of the channels adds", "Shapley value")
        .with_bar(Bar::new("nuclei", 0.1))
        .with_remark("One seed.");
    let svg = figure_svg(&Block::from(figure)).expect("a figure");
    // The style is the page's.
    let (before, after) = svg.split_once("<style>").expect("a style");
    let (_, after) = after.split_once("</style>").expect("it ends");
    assert_snapshot!(format!("{before}<style>…</style>{after}"));
}
