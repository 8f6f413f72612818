//! Writes a page with invented data, to see what every figure looks like:
//! `cargo run -p morphospace-report --example sample_page -- sample_page.html`

use std::error::Error;
use std::path::PathBuf;

use morphospace_core::{Channel, ControlRole, InputHash, Provenance, Seed, WellAddress};
use morphospace_report::{
    Better, Colouring, Failure, FailureTable, HeatMapWell, ImageChannel, ImagePanel, KeyValueTable,
    LineFigure, LineSeries, Notes, Page, PlateHeatMap, Projection, ScatterFigure, ScoreRow,
    ScoreTable, Section, write_page,
};
use rand::RngExt;

const EXPERIMENTS: [&str; 4] = ["HUVEC-01", "HUVEC-02", "RPE-01", "U2OS-10"];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os()
        .nth(1)
        .map_or("sample_page.html".into(), PathBuf::from);
    let seed = Seed::new(7);
    let page = Page::new("Sample page: four simulated experiments")
        .with_lead(
            "Every number on this page is invented. It shows what the figures look like, with \
             plausible and with awkward input.",
        )
        .with_section(
            Section::new("Scores")
                .with_intro("Relationship recall over the planted groups, and how well the batch can be told from the profiles.")
                .with(scores()),
        )
        .with_section(
            Section::new("Map of profiles")
                .with_intro("First two principal components of the well profiles.")
                .with(scatter(seed.split("scatter"))),
        )
        .with_section(
            Section::new("Plates")
                .with_intro("Mean intensity per well; all plates share the colour scale.")
                .with(plate(seed.split("plate").split_index(0), "HUVEC-01 plate 1", 1..15, 1..23))
                .with(plate(seed.split("plate").split_index(1), "HUVEC-02 plate 1", 0..8, 0..12))
                .with(plate(seed.split("plate").split_index(2), "U2OS-10 plate 3 (1,536 wells)", 0..32, 0..48)),
        )
        .with_section(
            Section::new("Example images")
                .with(images(seed.split("image"), "HUVEC-01 plate 1 well B02 site 1, s21721", 6))
                .with(images(seed.split("image").split_index(1), "U2OS-10 plate 3 well C04 site 2, EMPTY", 4)),
        )
        .with_section(Section::new("Training").with(loss(seed.split("loss"))))
        .with_section(
            Section::new("Incomplete sites").with(failures()),
        )
        .with_section(
            Section::new("Warnings and notes").with(
                Notes::default()
                    .with_warning("experiment 'U2OS-10' has 4 negative controls for 384 features: its covariance has rank 3, and TVN leans on the 0.5 added to its diagonal")
                    .with_note("one seed; intervals are over perturbations, not over training runs"),
            ),
        )
        .with_section(Section::new("What ran").with(provenance()))
        .with_section(awkward());
    write_page(&path, &page)?;
    Ok(())
}

fn scores() -> ScoreTable {
    let row =
        |benchmark: &str, model: &str, alignment: &str, value: f64, half: f64, null, n| ScoreRow {
            benchmark: benchmark.into(),
            model: model.into(),
            alignment: alignment.into(),
            value,
            ci: Some((value - half, value + half)),
            null: Some(null),
            n,
            notes: Vec::new(),
        };
    let recall = "relationship recall at 5 % / 95 %";
    let batch = "batch classification accuracy";
    let mut rows = vec![
        row(
            recall,
            "MAE ViT-Ti/16, trained",
            "none",
            0.184,
            0.021,
            0.1,
            412,
        ),
        row(
            recall,
            "MAE ViT-Ti/16, trained",
            "TVN",
            0.417,
            0.034,
            0.1,
            412,
        ),
        row(
            recall,
            "MAE ViT-Ti/16, untrained",
            "TVN",
            0.241,
            0.027,
            0.1,
            412,
        ),
        row(recall, "intensity features", "TVN", 0.203, 0.025, 0.1, 412),
        row(recall, "random", "none", 0.0979, 0.018, 0.1, 412),
        row(recall, "oracle", "none", 0.961, 0.012, 0.1, 412),
        row(
            batch,
            "MAE ViT-Ti/16, trained",
            "none",
            0.998,
            0.002,
            0.25,
            1232,
        ),
        row(
            batch,
            "MAE ViT-Ti/16, trained",
            "TVN",
            0.312,
            0.031,
            0.25,
            1232,
        ),
        row(batch, "intensity features", "TVN", 0.402, 0.033, 0.25, 1232),
    ];
    rows[2].notes = vec!["weights as initialised".into()];
    rows.push(ScoreRow {
        ci: None,
        null: None,
        ..row(
            "replicate consistency (KS)",
            "MAE ViT-Ti/16, trained",
            "TVN",
            0.53,
            0.0,
            0.0,
            96,
        )
    });
    ScoreTable::new("", rows)
        .with_better(recall, Better::Higher)
        .with_better(batch, Better::Lower)
        .with_reference("oracle")
        .with_reference("random")
}

/// Two uniform numbers made bell-shaped enough for a picture.
fn noise(rng: &mut impl RngExt) -> f64 {
    (0..6).map(|_| rng.random::<f64>() - 0.5).sum::<f64>() * 1.4
}

fn scatter(seed: Seed) -> ScatterFigure {
    let mut rng = seed.rng();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let (mut batches, mut groups) = (Vec::new(), Vec::new());
    for well in 0..960usize {
        let (batch, group) = (well / 240, well % 30);
        let angle = group as f64;
        let shift = [(-8.0, 3.0), (-6.0, -4.0), (7.0, 5.0), (9.0, -3.0)][batch];
        let effect = (2.2 * angle.cos(), 2.2 * angle.sin());
        let (x, y) = (noise(&mut rng), noise(&mut rng));
        before.push((
            shift.0 + 0.6 * effect.0 + 1.2 * x,
            shift.1 + 0.6 * effect.1 + 1.2 * y,
        ));
        after.push((2.0 * effect.0 + 0.5 * x, 2.0 * effect.1 + 0.5 * y));
        batches.push(EXPERIMENTS[batch].to_owned());
        groups.push(format!("group {}", 1 + group));
    }
    let projection = |title: &str, first: &str, second: &str, coordinates| Projection {
        title: title.into(),
        x_label: format!("PC 1 ({first} % of variance)"),
        y_label: format!("PC 2 ({second} % of variance)"),
        coordinates,
    };
    ScatterFigure::grid(
        "Each point is a well.",
        &[
            projection("Before alignment", "61.2", "14.8", before),
            projection("After TVN", "9.4", "7.7", after),
        ],
        &[
            Colouring {
                name: "experiment".into(),
                labels: batches,
            },
            Colouring {
                name: "perturbation group".into(),
                labels: groups,
            },
        ],
    )
}

fn plate(
    seed: Seed,
    title: &str,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
) -> PlateHeatMap {
    let mut rng = seed.rng();
    let mut wells = Vec::new();
    for row in rows {
        for column in columns.clone() {
            let address = WellAddress::from_indices(row, column).expect("up to 1,536 wells");
            let random: f64 = rng.random();
            let control_role = match rng.random_range(0..24) {
                0 => ControlRole::NegativeControl,
                1 => ControlRole::PositiveControl,
                2 if column == 1 => ControlRole::Untreated,
                _ => ControlRole::Treatment,
            };
            let edge = (row as f64 - 7.5).abs() + (column as f64 - 11.5).abs() / 2.0;
            let value = 30.0 + 2.0 * edge + 9.0 * noise(&mut rng);
            wells.push(HeatMapWell {
                address,
                value: (random > 0.03).then_some(value),
                control_role,
                label: format!("s{}", 20_000 + rng.random_range(0..9999)),
            });
        }
    }
    PlateHeatMap::new(title, "mean intensity of w1 (DNA), grey values of 255")
        .with_wells(wells)
        .with_range(10.0, 90.0)
}

fn images(seed: Seed, title: &str, num_present: usize) -> ImagePanel {
    const SIDE: usize = 256;
    let mut rng = seed.rng();
    let cells: Vec<(f64, f64, f64)> = (0..24)
        .map(|_| {
            let mut place = || rng.random::<f64>() * SIDE as f64;
            let (x, y) = (place(), place());
            (x, y, 9.0 + 0.05 * x)
        })
        .collect();
    let mut panel = ImagePanel::new(title);
    for (index, channel) in Channel::rxrx1().iter().enumerate() {
        if index >= num_present {
            panel = panel.with_channel(ImageChannel::missing(channel.to_string()));
            continue;
        }
        let width = 1.0 + 0.35 * index as f64;
        let mut pixels = Vec::with_capacity(SIDE * SIDE);
        for y in 0..SIDE {
            for x in 0..SIDE {
                let light = cells.iter().map(|(cx, cy, r)| {
                    let squared = (x as f64 - cx).powi(2) + (y as f64 - cy).powi(2);
                    let ring = (squared.sqrt() / (r * width) - 0.15 * index as f64).powi(2);
                    (-2.0 * ring).exp()
                });
                let value = 12.0 + 70.0 * light.sum::<f64>() + 6.0 * rng.random::<f64>();
                pixels.push(value.min(255.0) as u8);
            }
        }
        panel = panel.with_channel(ImageChannel::from_u8(
            channel.to_string(),
            SIDE,
            SIDE,
            &pixels,
        ));
    }
    panel
}

fn loss(seed: Seed) -> LineFigure {
    let mut rng = seed.rng();
    let mut curve = |floor: f64, jitter: f64, every: usize| -> Vec<(f64, f64)> {
        (1..=4000)
            .step_by(every)
            .map(|step| {
                let decay = (-(step as f64) / 700.0).exp();
                (
                    step as f64,
                    floor + (1.0 - floor) * decay + jitter * noise(&mut rng),
                )
            })
            .collect()
    };
    LineFigure::new(
        "Reconstruction loss of the masked autoencoder",
        "step",
        "mean squared error",
    )
    .with_series(LineSeries::new("training", curve(0.42, 0.012, 1)))
    .with_series(LineSeries::new("held-out sites", curve(0.46, 0.004, 200)))
}

fn failures() -> FailureTable {
    let site = |index: usize| {
        format!(
            "HUVEC-02 plate 1 well {}{:02} site 1",
            ['B', 'C'][index % 2],
            2 + index
        )
    };
    let mut failures: Vec<Failure> = (0..14)
        .map(|i| Failure::new(site(i), "no image of w5, w6", "filled with black"))
        .collect();
    failures.push(Failure::new(
        "RPE-01 plate 2 well K11 site 2 channel w3",
        "cannot decode 'train/RPE-01/Plate2/K11_s2_w3.png': unexpected end of file",
        "skipped",
    ));
    FailureTable {
        num_checked: 2464,
        failures,
    }
}

/// What must still look sensible: markup and very long names, no data, a
/// single point, equal values, values that are no numbers.
fn awkward() -> Section {
    let markup = "<script>alert(\"hello\")</script> & 'quotes'";
    let long = "a_perturbation_name_that_goes_on_".repeat(6);
    let score = |model: &str, value: f64| ScoreRow {
        benchmark: markup.into(),
        model: model.into(),
        alignment: long.clone(),
        value,
        ci: Some((value, f64::INFINITY)),
        null: Some(f64::NAN),
        n: 0,
        notes: vec![markup.into()],
    };
    let projection = |title: &str, coordinates: &[(f64, f64)]| Projection {
        title: title.into(),
        x_label: long.clone(),
        y_label: markup.into(),
        coordinates: coordinates.to_vec(),
    };
    let well = |address: &str, value: Option<f64>| HeatMapWell {
        address: address.parse().expect("a well"),
        value,
        control_role: ControlRole::NegativeControl,
        label: markup.into(),
    };
    Section::new(format!("Awkward input {markup}"))
        .with_intro(long.clone())
        .with(ScoreTable::new(
            markup,
            [score(markup, 0.5), score(&long, f64::NAN)],
        ))
        .with(ScatterFigure::grid(
            markup,
            &[
                projection(&long, &[(3.0, 3.0), (f64::NAN, 1.0)]),
                projection("equal points", &[(1e9, 0.0), (1e9, 0.0)]),
            ],
            &[Colouring {
                name: markup.into(),
                labels: vec![long.clone(), markup.into()],
            }],
        ))
        .with(PlateHeatMap::new("No wells", "nothing"))
        .with(PlateHeatMap::new("One well", markup).with_wells([well("C07", Some(5.0))]))
        .with(PlateHeatMap::new(long.clone(), "grey values").with_wells([
            well("A01", Some(f64::NAN)),
            well("B03", None),
            well("AF48", None),
        ]))
        .with(
            ImagePanel::new(long.clone())
                .with_channel(ImageChannel::from_u8("w1", 9, 9, &[0; 80]))
                .with_channel(ImageChannel::from_u8(markup, 300, 20, &[9; 6000])),
        )
        .with(
            LineFigure::new("One point", markup, long.clone())
                .with_series(LineSeries::new(markup, vec![(1.0, 5e-9), (2.0, f64::NAN)])),
        )
        .with(LineFigure::new("No point", "step", "loss"))
        .with(FailureTable {
            num_checked: 1,
            failures: vec![Failure::new(&long, markup, &long)],
        })
        .with(Notes::default().with_warning(markup).with_note(long))
}

fn provenance() -> KeyValueTable {
    let mut provenance = Provenance::new("report")
        .with_seed("run", 7)
        .with_seed("bootstrap", 3)
        .with_setting("alignment", "tvn")
        .with_setting("aggregation", "spherical mean");
    provenance.config_sha256 =
        Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into());
    provenance.inputs.push(InputHash {
        name: "profiles/wells.parquet".into(),
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into(),
    });
    KeyValueTable::from(&provenance)
}
