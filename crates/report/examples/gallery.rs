//! Writes a page of the figures of papers with invented data, and each of
//! them alone: `cargo run -p morphospace-report --example gallery -- FOLDER`,
//! with `--features png` as images, too.

use std::error::Error;
use std::path::PathBuf;

use morphospace_core::{ControlRole, Seed, WellAddress};
use morphospace_report::{
    Bar, BarFigure, Block, Colouring, Density, DistributionFigure, GridPlate, GridWell,
    HeatMapWell, HorizontalAxis, LineFigure, LineSeries, NamedPoint, NamedScatterFigure, Page,
    PlateGrid, PlateHeatMap, Population, Projection, ScatterFigure, Section, SpreadFigure,
    SpreadGroup, write_figure, write_page,
};
use rand::RngExt;

const MODELS: [(&str, &str, f64, f64); 9] = [
    ("WSL DenseNet-161", "supervised", 3.5e10, 0.22),
    ("MU-Net-M", "MU-Net", 1.9e11, 0.24),
    ("MU-Net-L", "MU-Net", 8.0e11, 0.245),
    ("MAE ViT-S/16", "MAE /16", 4.8e9, 0.25),
    ("MAE ViT-B/16", "MAE /16", 1.8e10, 0.27),
    ("MAE ViT-L/16", "MAE /16", 6.3e10, 0.29),
    ("MAE ViT-B/8", "MAE /8", 2.9e11, 0.3),
    ("MAE ViT-L/8", "MAE /8", 1.0e12, 0.32),
    ("MAE ViT-G/8", "MAE /8", 6.0e12, 0.335),
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os()
        .nth(1)
        .map_or("gallery".into(), Into::into);
    std::fs::create_dir_all(&folder)?;
    let seed = Seed::new(7);
    let figures: Vec<(&str, &str, Block)> = vec![
        (
            "similarity",
            "Similarity distributions",
            similarity().into(),
        ),
        ("histograms", "Replicate consistency", histograms().into()),
        ("recall", "Recall over thresholds", recall().into()),
        ("compute", "Recall over compute", compute().into()),
        ("probe", "Probe against benchmark", probe().into()),
        (
            "concentration",
            "Precision by concentration",
            concentration().into(),
        ),
        (
            "energy",
            "Energy distances",
            energy(seed.split("energy"), 9).into(),
        ),
        (
            "many-groups",
            "Sixty groups",
            energy(seed.split("many"), 60).into(),
        ),
        ("blocks", "Block-wise probes", blocks().into()),
        ("shapley", "Channels", shapley().into()),
        (
            "scatter",
            "Before and after",
            scatter(seed.split("scatter"), 1_200).into(),
        ),
        (
            "large-scatter",
            "100,000 points",
            scatter(seed.split("large"), 100_000).into(),
        ),
        ("plate", "Plate", plate(seed.split("plate")).into()),
        ("plates", "Plates", plates(seed.split("plates")).into()),
        ("awkward", "Awkward input", awkward().into()),
    ];
    let mut page =
        Page::new("Gallery of figures").with_lead("Every number on this page is invented.");
    for (name, heading, figure) in figures {
        write_figure(&folder.join(format!("{name}.svg")), &figure)?;
        if cfg!(feature = "png") {
            write_figure(&folder.join(format!("{name}.png")), &figure)?;
        }
        page = page.with_section(Section::new(heading).with(figure));
    }
    write_page(&folder.join("gallery.html"), &page)?;
    Ok(())
}

fn bell(centre: f64, width: f64) -> Density {
    let points = (0..=200).map(|index| {
        let x = -1.0 + 0.01 * f64::from(index);
        let z = (x - centre) / width;
        (x, (-0.5 * z * z).exp() / width / 2.507)
    });
    Density::Curve(points.collect())
}

fn similarity() -> DistributionFigure {
    DistributionFigure::new("Cosine similarity of pairs of wells", "cosine similarity")
        .with_population(Population::new("same perturbation, same experiment", bell(0.55, 0.18)))
        .with_population(Population::new("same perturbation, other experiment", bell(0.4, 0.2)))
        .with_population(Population::new("other perturbation, same experiment", bell(0.15, 0.16)))
        .with_population(Population::new("other perturbation, other experiment", bell(0.05, 0.15)))
        .with_remark("Same against other perturbation across experiments: Kolmogorov-Smirnov 0.68, Wasserstein 0.35.")
}

fn histograms() -> DistributionFigure {
    let bins = |centre: f64| {
        let edges: Vec<f64> = (0..=25)
            .map(|index| -1.0 + 0.08 * f64::from(index))
            .collect();
        let density = |x: f64| (-(x - centre) * (x - centre) / 0.08).exp();
        Density::Bins {
            densities: edges
                .windows(2)
                .map(|ends| density((ends[0] + ends[1]) / 2.0))
                .collect(),
            edges,
        }
    };
    DistributionFigure::new(
        "Similarity of replicates and of random pairs",
        "cosine similarity",
    )
    .with_population(Population::new("replicates", bins(0.35)))
    .with_population(Population::new("random pairs", bins(0.0)))
}

fn recall() -> LineFigure {
    let figure = LineFigure::new(
        "Recall of known relationships (CORUM)",
        "threshold of both tails",
        "recall",
    )
    .with_reference("chance", [(0.01, 0.02), (0.1, 0.2)])
    .with_remark("Bands: 95 % intervals over resampled relationships.");
    ["MAE ViT-G/8", "MAE ViT-S/16", "WSL DenseNet-161"]
        .iter()
        .zip([0.45, 0.36, 0.3])
        .fold(figure, |figure, (model, high)| {
            let at = |index: i32| {
                let x = 0.01 * f64::from(index);
                (x, high * (x / 0.1).powf(0.35) + 0.1)
            };
            let points: Vec<(f64, f64)> = (1..=10).map(at).collect();
            let intervals = points
                .iter()
                .map(|(x, y)| (*x, y - 0.012, y + 0.015))
                .collect();
            figure.with_series(LineSeries::new(*model, points).with_intervals(intervals))
        })
}

fn compute() -> LineFigure {
    let mut families: Vec<&str> = MODELS.iter().map(|(_, family, ..)| *family).collect();
    families.dedup();
    let figure = LineFigure::new(
        "Recall by training compute",
        "floating-point operations per image",
        "recall at 0.05",
    )
    .with_horizontal_axis(HorizontalAxis::Logarithmic);
    families.into_iter().fold(figure, |figure, family| {
        let members = || MODELS.iter().filter(move |(_, of, ..)| *of == family);
        let series = LineSeries::new(family, members().map(|(.., x, y)| (*x, *y)).collect())
            .with_names(members().map(|(name, ..)| *name))
            .with_intervals(
                members()
                    .map(|(.., x, y)| (*x, y - 0.006, y + 0.006))
                    .collect(),
            );
        figure.with_series(series)
    })
}

fn probe() -> NamedScatterFigure {
    let figure = NamedScatterFigure::new(
        "Linear probes and replicate consistency",
        "balanced accuracy of the probe",
        "Kolmogorov-Smirnov statistic",
    );
    let figure = MODELS
        .iter()
        .enumerate()
        .fold(figure, |figure, (index, (name, family, _, y))| {
            let x = 0.2 + 1.1 * (y - 0.22) + 0.008 * (index as f64 * 2.4).sin();
            figure.with_point(NamedPoint::new(*name, *family, x, y + 0.2))
        });
    figure
        .with_line(0.85, 0.26)
        .with_remark("Spearman's rho 0.95 over 9 models; line: least squares.")
}

fn concentration() -> LineFigure {
    let names = [
        "0.0025", "0.01", "0.025", "0.1", "0.25", "1", "2.5", "10", "max",
    ];
    let figure = LineFigure::new(
        "Compounds and the genes they act on",
        "concentration (µM)",
        "mean average precision",
    )
    .with_horizontal_axis(HorizontalAxis::Names(names.map(String::from).to_vec()))
    .with_reference("random embeddings", [(-0.4, 0.21), (8.4, 0.21)])
    .with_remark("Whiskers: standard deviation over 100 seeds.");
    ["OpenPhenom", "MAE ViT-G/8", "intensities"]
        .iter()
        .zip([0.07, 0.1, 0.02])
        .fold(figure, |figure, (model, gain)| {
            let points: Vec<(f64, f64)> = (0..9)
                .map(|index| (f64::from(index), 0.21 + gain * f64::from(index) / 8.0))
                .collect();
            let intervals = points
                .iter()
                .map(|(x, y)| (*x, y - 0.012, y + 0.012))
                .collect();
            figure.with_series(
                LineSeries::new(*model, points)
                    .with_intervals(intervals)
                    .with_markers(),
            )
        })
}

fn energy(seed: Seed, num_groups: usize) -> SpreadFigure {
    let mut rng = seed.rng();
    let mut figure = SpreadFigure::new(
        "Energy distance of perturbations to controls",
        "energy distance",
    )
    .with_reference("random embeddings", 0.73)
    .with_remark("Boxes: quartiles; lines: 5 % to 95 %; dots: perturbations.");
    for group in 0..num_groups {
        let shift = 0.7 + 0.9 * group as f64 / num_groups as f64;
        let mut values: Vec<f64> = (0..150)
            .map(|_| shift + rng.random_range(0.0f64..1.0).powi(3) * 3.0)
            .collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[(share * 149.0) as usize];
        let quantiles = [at(0.05), at(0.25), at(0.5), at(0.75), at(0.95)];
        let name = MODELS
            .get(group)
            .map_or(format!("model number {group}"), |model| model.0.into());
        let mut row = SpreadGroup::new(name).with_quantiles(quantiles);
        if num_groups < 20 {
            row = row.with_values(values);
        }
        figure = figure.with_group(row);
    }
    figure
}

fn blocks() -> LineFigure {
    let figure = LineFigure::new(
        "Balanced accuracy of linear probes by block",
        "block",
        "balanced accuracy",
    )
    .with_remark("Rings: the best block of each model.");
    [
        ("MAE ViT-S/16", 12, 9),
        ("MAE ViT-L/8", 24, 16),
        ("DINOv2 ViT-G/14", 40, 22),
    ]
    .into_iter()
    .fold(figure, |figure, (model, depth, best)| {
        let at = |block: i32| {
            let far = f64::from(block - best) / f64::from(depth);
            (
                f64::from(block),
                0.3 + 0.003 * f64::from(depth) - 0.35 * far * far,
            )
        };
        let series = LineSeries::new(model, (1..=depth).map(at).collect());
        figure.with_series(series.with_ring(best as usize - 1))
    })
}

fn shapley() -> BarFigure {
    let channels = [
        "nuclei",
        "endoplasmic reticulum",
        "actin",
        "nucleoli and cytoplasmic RNA",
        "mitochondria",
        "Golgi and plasma membrane",
    ];
    let figure = BarFigure::new("What each channel adds to the accuracy", "Shapley value")
        .with_remark("Intervals: 95 % over resampled wells.");
    channels
        .iter()
        .zip([0.09, 0.16, 0.05, 0.19, 0.03, -0.014])
        .fold(figure, |figure, (channel, value)| {
            figure.with_bar(Bar::new(*channel, value).with_interval(value - 0.012, value + 0.014))
        })
}

fn scatter(seed: Seed, num_points: usize) -> ScatterFigure {
    let mut rng = seed.rng();
    let mut noise = move || (0..6).map(|_| rng.random_range(-1.0..1.0)).sum::<f64>();
    let groups = 14;
    let batch = |row: usize| row % 4;
    let group = |row: usize| row / 4 % groups;
    let angle = |row: usize| std::f64::consts::TAU * group(row) as f64 / groups as f64;
    let mut projection = |title: &str, by_batch: f64| Projection {
        title: title.into(),
        x_label: "UMAP 1".into(),
        y_label: "UMAP 2".into(),
        coordinates: (0..num_points)
            .map(|row| {
                let x = 6.0 * angle(row).cos() + by_batch * batch(row) as f64 + noise();
                (
                    x,
                    6.0 * angle(row).sin() - by_batch * (batch(row) % 2) as f64 + noise(),
                )
            })
            .collect(),
    };
    let projections = [
        projection("Before alignment", 9.0),
        projection("After TVN", 0.2),
    ];
    let labels = |of: &dyn Fn(usize) -> String| (0..num_points).map(of).collect();
    ScatterFigure::grid(
        "Each point is a well.",
        &projections,
        &[
            Colouring {
                name: "batch".into(),
                labels: labels(&|row| format!("HUVEC-0{}", batch(row) + 1)),
            },
            Colouring {
                name: "perturbation".into(),
                labels: labels(&|row| format!("gene {}", group(row) + 1)),
            },
        ],
    )
}

fn address(index: usize) -> WellAddress {
    WellAddress::from_indices(index / 24, index % 24).expect("a plate of 384 wells")
}

fn plate(seed: Seed) -> PlateHeatMap {
    let mut rng = seed.rng();
    PlateHeatMap::new("HUVEC-01 plate 1", "mean intensity of w1 (grey values)").with_wells(
        (0..384).map(|index| HeatMapWell {
            address: address(index),
            value: (index % 97 != 5)
                .then(|| 40.0 + (index % 24) as f64 + rng.random_range(0.0..8.0)),
            control_role: match index % 24 {
                1 => ControlRole::NegativeControl,
                22 => ControlRole::PositiveControl,
                _ => ControlRole::Treatment,
            },
            label: format!("siRNA {index}"),
        }),
    )
}

fn plates(seed: Seed) -> PlateGrid {
    let mut rng = seed.rng();
    (1..=5).fold(
        PlateGrid::new("Cells per well", "nuclei"),
        |grid, number| {
            let wells = (0..384).map(|index| GridWell {
                address: address(index),
                value: Some(rng.random_range(100.0..400.0)),
                is_marked: index % 61 == 0,
            });
            grid.with_plate(GridPlate {
                title: format!("plate {number}"),
                wells: wells.collect(),
            })
        },
    )
}

fn awkward() -> LineFigure {
    let long = "a very long name of a model that was trained for longer than its name is long";
    LineFigure::new(
        "A caption that goes on and on, since captions of papers do: what was measured, on which cells, by whom, and what one should not conclude from it, however much one wishes to",
        "a horizontal axis",
        "a vertical axis",
    )
    .with_series(LineSeries::new(long, vec![(0.0, 1.0), (1.0, 1.0), (2.0, f64::NAN), (3.0, 1.0)]))
    .with_series(LineSeries::new("one point", vec![(1.5, 1.0)]))
    .with_series(LineSeries::new("<b>markup</b>", vec![(0.2, 1.0)]).with_names([long]))
}
