//! How hard simulated screens are, measured as the papers measure real ones.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::IntensityStatistics;

use super::{
    CheckedSimulator, Morphology, Parameter, ScreenLayout, SimulatedSite, SimulatorConfig,
    draw_site,
};

const NUM_STATISTICS: usize = IntensityStatistics::NAMES.len();
const HARDNESS: &str = include_str!("../../../../configs/simulators/hardness.toml");
const DEMO: &str = include_str!("../../../../configs/simulators/demo.toml");
const RXRX3: &str = include_str!("../../../../configs/simulators/rxrx3.toml");
const JUMP: &str = include_str!("../../../../configs/simulators/jump.toml");

fn read(text: &str) -> SimulatorConfig {
    SimulatorConfig::parse("simulator", text, &[]).expect("valid")
}

/// What is known of every well: its images' intensities, and the true
/// morphology (on the logarithm).
struct Views {
    experiments: Vec<usize>,
    /// `None` for negative controls.
    perturbations: Vec<Option<usize>>,
    /// Mean and standard deviation of each channel.
    mean_and_sd: Vec<Vec<f64>>,
    /// All [`IntensityStatistics`] of each channel.
    intensity: Vec<Vec<f64>>,
    /// [`structure`] of the images, which brightness and contrast leave as it
    /// is.
    structure: Vec<Vec<f64>>,
    oracle: Vec<Vec<f64>>,
    num_experiments: usize,
    num_perturbations: usize,
}

impl Views {
    fn of(screen: &CheckedSimulator) -> Self {
        let config = screen.config();
        let views: Vec<[Vec<f64>; 3]> = (0..screen.wells().len())
            .into_par_iter()
            .map(|well_index| {
                let sites: Vec<_> = (1..=config.num_sites as u32)
                    .map(|s| draw_site(screen, well_index, s))
                    .collect();
                let mut intensity = vec![0.0; NUM_STATISTICS * sites[0].planes.len()];
                for site in &sites {
                    let of_channels = site
                        .planes
                        .iter()
                        .flat_map(|plane| IntensityStatistics::of(&plane.pixels).to_array());
                    for (mean, value) in intensity.iter_mut().zip(of_channels) {
                        *mean += value / sites.len() as f64;
                    }
                }
                let mut structures = vec![0.0; structure(&sites[0]).len()];
                for site in &sites {
                    for (mean, value) in structures.iter_mut().zip(structure(site)) {
                        *mean += value / sites.len() as f64;
                    }
                }
                let cells = Morphology::mean(sites.iter().flat_map(|site| &site.cells));
                let truth = cells.expect("every well of these screens has cells");
                let oracle = Parameter::ALL.map(|p| truth.get(p).ln());
                [intensity, structures, oracle.to_vec()]
            })
            .collect();
        let [mut intensity, mut structure, mut oracle] = [(); 3].map(|()| Vec::new());
        for [of_intensity, of_structure, of_oracle] in views {
            intensity.push(of_intensity);
            structure.push(of_structure);
            oracle.push(of_oracle);
        }
        let mean_and_sd = intensity
            .iter()
            .map(|row| {
                row.chunks(NUM_STATISTICS)
                    .flat_map(|all| [all[0], all[1]])
                    .collect()
            })
            .collect();
        let position = |name: &str| config.experiments.iter().position(|e| e == name);
        let wells = screen.wells();
        Self {
            experiments: wells
                .iter()
                .map(|w| position(w.well.plate.experiment.as_str()).expect("configured"))
                .collect(),
            perturbations: wells
                .iter()
                .map(|w| {
                    let is_treatment = w.perturbation_index < config.num_treatments();
                    is_treatment.then_some(w.perturbation_index)
                })
                .collect(),
            mean_and_sd,
            intensity,
            structure,
            oracle,
            num_experiments: config.experiments.len(),
            num_perturbations: config.num_treatments(),
        }
    }

    /// Share of wells whose experiment is predicted from the other wells.
    fn experiment_accuracy(&self, features: &[Vec<f64>]) -> f64 {
        const NUM_FOLDS: usize = 5;
        let all: Vec<usize> = (0..features.len()).collect();
        let num_right: usize = (0..NUM_FOLDS)
            .map(|fold| {
                let (test, train): (Vec<usize>, Vec<usize>) =
                    all.iter().partition(|well| *well % NUM_FOLDS == fold);
                let label = |well: usize| self.experiments[well];
                count_right(features, label, self.num_experiments, &train, &test)
            })
            .sum();
        num_right as f64 / features.len() as f64
    }

    /// Share of treated wells whose perturbation is predicted from the other
    /// experiments.
    fn perturbation_accuracy(&self, features: &[Vec<f64>]) -> f64 {
        let treated: Vec<usize> = (0..features.len())
            .filter(|well| self.perturbations[*well].is_some())
            .collect();
        let num_right: usize = (0..self.num_experiments)
            .map(|held_out| {
                let (test, train): (Vec<usize>, Vec<usize>) = treated
                    .iter()
                    .partition(|well| self.experiments[**well] == held_out);
                let label = |well: usize| self.perturbations[well].expect("treated");
                count_right(features, label, self.num_perturbations, &train, &test)
            })
            .sum();
        num_right as f64 / treated.len() as f64
    }

    /// Features in units of the controls of each experiment.
    fn centred_on_controls(&self, features: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut centred = features.to_vec();
        for experiment in 0..self.num_experiments {
            let of_experiment = |well: &usize| self.experiments[*well] == experiment;
            let wells: Vec<usize> = (0..features.len()).filter(of_experiment).collect();
            for feature in 0..features[0].len() {
                let controls = wells
                    .iter()
                    .filter(|well| self.perturbations[**well].is_none());
                let (mean, sd) = mean_and_sd(controls.map(|well| features[*well][feature]));
                for &well in &wells {
                    centred[well][feature] = (features[well][feature] - mean) / sd.max(1e-9);
                }
            }
        }
        centred
    }

    /// Share of planted relationships whose cosine lies among the lowest or
    /// highest 5 % of all pairs; 0.1 by chance.
    fn relationship_recall(&self, features: &[Vec<f64>], screen: &CheckedSimulator) -> f64 {
        let centred = self.centred_on_controls(features);
        let mut profiles = vec![vec![0.0; features[0].len()]; self.num_perturbations];
        for (row, perturbation) in centred.iter().zip(&self.perturbations) {
            if let Some(perturbation) = perturbation {
                profiles[*perturbation]
                    .iter_mut()
                    .zip(row)
                    .for_each(|(sum, v)| *sum += v);
            }
        }
        let group = |index: usize| screen.perturbations()[index].group;
        let (mut all, mut related) = (Vec::new(), Vec::new());
        for one in 0..profiles.len() {
            for other in one + 1..profiles.len() {
                let cosine = cosine(&profiles[one], &profiles[other]);
                all.push(cosine);
                if group(one) == group(other) {
                    related.push(cosine);
                }
            }
        }
        all.sort_by(f64::total_cmp);
        let (low, high) = (all[all.len() / 20], all[all.len() - 1 - all.len() / 20]);
        let num_found = related
            .iter()
            .filter(|cosine| **cosine <= low || **cosine >= high)
            .count();
        num_found as f64 / related.len() as f64
    }
}

/// How a site's channels share their contrast among scales of 1, 2, 4, 8 and
/// 16 pixels (on the logarithm), and how every two channels correlate.
fn structure(site: &SimulatedSite) -> Vec<f64> {
    let side = site.image_px;
    let planes: Vec<Vec<f64>> = site
        .planes
        .iter()
        .map(|plane| {
            let values: Vec<f64> = plane.values().into_iter().map(f64::from).collect();
            let (mean, sd) = mean_and_sd(values.iter().copied());
            values.iter().map(|v| (v - mean) / sd.max(1e-9)).collect()
        })
        .collect();
    let mut features = Vec::new();
    for (index, plane) in planes.iter().enumerate() {
        let mut coarse = plane.clone();
        let mut side = side;
        for _ in 0..5 {
            let half = side / 2;
            let square = |row: usize, column: usize| {
                let at = 2 * row * side + 2 * column;
                [at, at + 1, at + side, at + side + 1].map(|at| coarse[at])
            };
            let squares: Vec<[f64; 4]> = (0..half * half)
                .map(|place| square(place / half, place % half))
                .collect();
            let means = squares.iter().map(|four| four.iter().sum::<f64>() / 4.0);
            let means: Vec<f64> = means.collect();
            let lost = squares
                .iter()
                .zip(&means)
                .map(|(four, mean)| four.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 4.0);
            features.push((lost.sum::<f64>() / means.len() as f64).max(1e-9).ln());
            (coarse, side) = (means, half);
        }
        for other in &planes[..index] {
            let products = plane.iter().zip(other).map(|(a, b)| a * b);
            features.push(products.sum::<f64>() / plane.len() as f64);
        }
    }
    features
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn mean_and_sd(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    (
        mean,
        (values.map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt(),
    )
}

/// Trains a linear discriminant (equal priors, pooled covariance with a
/// small ridge) and counts the test rows it gets right.
fn count_right(
    features: &[Vec<f64>],
    label: impl Fn(usize) -> usize,
    num_classes: usize,
    train: &[usize],
    test: &[usize],
) -> usize {
    let num_features = features[0].len();
    let scales: Vec<(f64, f64)> = (0..num_features)
        .map(|feature| mean_and_sd(train.iter().map(|well| features[*well][feature])))
        .collect();
    let standardised = |well: usize| -> Vec<f64> {
        let row = features[well].iter().zip(&scales);
        row.map(|(value, (mean, sd))| (value - mean) / sd.max(1e-9))
            .collect()
    };
    let mut members: BTreeMap<usize, Vec<Vec<f64>>> = BTreeMap::new();
    for &well in train {
        members
            .entry(label(well))
            .or_default()
            .push(standardised(well));
    }
    assert_eq!(members.len(), num_classes);
    let mut covariance = vec![vec![0.0; num_features]; num_features];
    let mut means = Vec::new();
    for rows in members.values() {
        let mean: Vec<f64> = (0..num_features)
            .map(|f| rows.iter().map(|row| row[f]).sum::<f64>() / rows.len() as f64)
            .collect();
        for row in rows {
            for f in 0..num_features {
                for g in 0..num_features {
                    covariance[f][g] +=
                        (row[f] - mean[f]) * (row[g] - mean[g]) / train.len() as f64;
                }
            }
        }
        means.push(mean);
    }
    (0..num_features).for_each(|f| covariance[f][f] += 1e-3);
    // weights = covariance^-1 mean; score = weights . (x - mean / 2).
    let weights: Vec<Vec<f64>> = means.iter().map(|mean| solve(&covariance, mean)).collect();
    let is_right = |well: &&usize| {
        let row = standardised(**well);
        let score = |class: usize| -> f64 {
            (0..num_features)
                .map(|f| weights[class][f] * (row[f] - means[class][f] / 2.0))
                .sum()
        };
        let best = (0..num_classes).max_by(|a, b| score(*a).total_cmp(&score(*b)));
        best.and_then(|class| members.keys().nth(class)) == Some(&label(**well))
    };
    test.iter().filter(is_right).count()
}

/// Gaussian elimination of a positive definite system.
fn solve(matrix: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let n = right.len();
    let mut rows: Vec<Vec<f64>> = matrix
        .iter()
        .zip(right)
        .map(|(row, b)| [row.as_slice(), &[*b]].concat())
        .collect();
    for pivot in 0..n {
        let (done, below) = rows.split_at_mut(pivot + 1);
        let pivot_row = &done[pivot];
        for row in below {
            let factor = row[pivot] / pivot_row[pivot];
            for (value, pivot_value) in row.iter_mut().zip(pivot_row).skip(pivot) {
                *value -= factor * pivot_value;
            }
        }
    }
    let mut solution = vec![0.0; n];
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n)
            .map(|column| rows[row][column] * solution[column])
            .sum();
        solution[row] = (rows[row][n] - known) / rows[row][row];
    }
    solution
}

#[test]
fn intensity_tells_the_experiment_and_structure_the_perturbation() {
    let screen = read(HARDNESS).check().expect("valid");
    let views = Views::of(&screen);
    let experiment_chance = 1.0 / views.num_experiments as f64;
    let perturbation_chance = 1.0 / views.num_perturbations as f64;

    let experiment = views.experiment_accuracy(&views.mean_and_sd);
    // Whichever is better for the classifier: as measured, or in units of
    // the experiment's controls.
    let perturbation = views
        .perturbation_accuracy(&views.mean_and_sd)
        .max(views.perturbation_accuracy(&views.centred_on_controls(&views.mean_and_sd)));
    let oracle = views.perturbation_accuracy(&views.centred_on_controls(&views.oracle));
    eprintln!(
        "experiment from intensity: {experiment:.3} (chance {experiment_chance:.3}, x {:.1})",
        experiment / experiment_chance
    );
    eprintln!(
        "perturbation from intensity: {perturbation:.3} (chance {perturbation_chance:.3}, x {:.1})",
        perturbation / perturbation_chance
    );
    eprintln!("perturbation from the true morphology: {oracle:.3}");
    assert!(experiment >= 5.0 * experiment_chance);
    assert!(perturbation <= 2.0 * perturbation_chance);
    assert!(oracle >= 0.9);

    let intensity_recall = views.relationship_recall(&views.intensity, &screen);
    let oracle_recall = views.relationship_recall(&views.oracle, &screen);
    eprintln!("recall from intensity: {intensity_recall:.3}, from the truth: {oracle_recall:.3}");
    assert!(intensity_recall <= 0.5 * oracle_recall);
}

#[test]
fn a_fixed_exposure_leaves_the_amount_of_matter_in_the_intensities() {
    let mut config = read(HARDNESS);
    config.microscope.auto_exposure = 0.0;
    config.experiments.truncate(4);
    config.num_replicates = 2;
    let views = Views::of(&config.check().expect("valid"));
    let accuracy = views.perturbation_accuracy(&views.centred_on_controls(&views.mean_and_sd));
    eprintln!("perturbation from intensity at fixed exposure: {accuracy:.3}");
    assert!(accuracy > 3.0 / views.num_perturbations as f64);
}

#[test]
fn the_presets_are_as_documented() {
    assert_eq!(read(DEMO), SimulatorConfig::default());
    for (layout, text) in [
        (ScreenLayout::Rxrx1, DEMO),
        (ScreenLayout::Rxrx3, RXRX3),
        (ScreenLayout::Jump, JUMP),
    ] {
        let preset = SimulatorConfig::preset(layout);
        assert_eq!(read(text), preset);
        let by_name = [format!("layout={layout}")];
        let named = SimulatorConfig::parse("", "", &by_name).expect("valid");
        assert_eq!(named, preset);
        preset.check().expect("can be simulated");
    }
    assert!(read(DEMO).num_sites_in_total() <= 700);
}

/// Slow without optimisation: `cargo test --release -p morphospace-screen -- --ignored demo`.
#[test]
#[ignore = "draws the whole demo"]
fn the_demo_leaves_little_recall_to_intensities() {
    let screen = SimulatorConfig::default().check().expect("valid");
    let views = Views::of(&screen);
    let intensity = views.relationship_recall(&views.intensity, &screen);
    let oracle = views.relationship_recall(&views.oracle, &screen);
    eprintln!("recall from intensity: {intensity:.3}, from the truth: {oracle:.3}");
    eprintln!(
        "accuracy: experiment {:.3}, perturbation {:.3}, oracle {:.3}",
        views.experiment_accuracy(&views.mean_and_sd),
        views.perturbation_accuracy(&views.centred_on_controls(&views.mean_and_sd)),
        views.perturbation_accuracy(&views.centred_on_controls(&views.oracle)),
    );
    assert!(intensity <= 0.5 * oracle);
}

/// The rows of the table in `docs/simulator.md`: what is set otherwise.
const ROWS: [(&str, &str); 16] = [
    ("as in `hardness.toml`", ""),
    (
        "`effects.group_strength = 0.6`",
        "effects.group_strength=0.6",
    ),
    (
        "`effects.group_strength = 2.0`",
        "effects.group_strength=2.0",
    ),
    ("`effects.own_strength = 0`", "effects.own_strength=0"),
    ("`effects.own_strength = 1.6`", "effects.own_strength=1.6"),
    (
        "`effects.cell_variation = 1.2`",
        "effects.cell_variation=1.2",
    ),
    (
        "`effects.well_variation = 0.5`",
        "effects.well_variation=0.5",
    ),
    (
        "all of `batch` at 0",
        "batch.gain=0 batch.offset=0 batch.illumination=0 batch.blur=0 batch.density=0 \
         batch.noise=0 batch.morphology=0",
    ),
    (
        "all of `batch` doubled",
        "batch.gain=0.6 batch.offset=0.7 batch.illumination=0.7 batch.blur=0.4 \
         batch.density=0.24 batch.noise=0.5 batch.morphology=0.6",
    ),
    ("`batch.morphology = 0.8`", "batch.morphology=0.8"),
    ("`batch.illumination = 0.7`", "batch.illumination=0.7"),
    (
        "`microscope.auto_exposure = 0`",
        "microscope.auto_exposure=0",
    ),
    (
        "`microscope.haze = 0`, `saturation = 0`",
        "microscope.haze=0 microscope.saturation=0",
    ),
    ("`microscope.blur_px = 2.5`", "microscope.blur_px=2.5"),
    ("`microscope.noise = 8`", "microscope.noise=8"),
    ("`num_sites = 4`", "num_sites=4"),
];

/// Slow: `cargo test --release -p morphospace-screen -- --ignored difficulty --nocapture`.
#[test]
#[ignore = "draws a screen for every row of a table"]
fn difficulty_of_settings() {
    for (name, overrides) in ROWS {
        let overrides: Vec<String> = overrides.split_whitespace().map(str::to_owned).collect();
        let config = SimulatorConfig::parse("hardness", HARDNESS, &overrides).expect("valid");
        let screen = config.check().expect("valid");
        let views = Views::of(&screen);
        let of_perturbation = |features: &[Vec<f64>]| {
            let centred = views.centred_on_controls(features);
            let accuracy = views.perturbation_accuracy(features);
            accuracy.max(views.perturbation_accuracy(&centred))
        };
        eprintln!(
            "| {name} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
            views.experiment_accuracy(&views.mean_and_sd),
            of_perturbation(&views.mean_and_sd),
            of_perturbation(&views.structure),
            of_perturbation(&views.oracle),
            views.relationship_recall(&views.structure, &screen),
        );
    }
}
