use std::path::Path;

use anyhow::{Context, Result};
use morphospace_benchmark::{
    Bootstrap, EnergyForm, Magnitude, Score, magnitude_z_score, perturbation_magnitudes,
    random_embeddings,
};
use morphospace_core::Seed;

use crate::cli::MagnitudeArgs;

/// How far perturbations lie from the controls, told from random embeddings of the
/// same wells.
pub(super) fn scores(args: &MagnitudeArgs) -> Result<Vec<Score>> {
    let profiles = crate::commands::read(&args.score.profiles)?;
    let profiles = crate::commands::without_rows(profiles, &args.exclude)?;
    let controls = crate::commands::control_rule(&args.controls)?;
    profiles.check_finite()?;
    let is_control = controls.select(&profiles)?;
    let columns = args
        .perturbation_column
        .iter()
        .map(|column| Ok(profiles.text(column)?))
        .collect::<Result<Vec<_>>>()?;
    // A perturbation without a concentration is one all the same, a row without a
    // perturbation is none.
    let (named, unnamed): (Vec<usize>, Vec<usize>) =
        (0..profiles.num_rows()).partition(|&row| is_control[row] || columns[0][row].is_some());
    if !unnamed.is_empty() {
        crate::terminal::warn(format!(
            "rows without a value in {}, left out: {}",
            args.perturbation_column[0],
            unnamed.len()
        ));
    }
    let name = |row: usize| {
        let parts = columns.iter().filter_map(|column| column[row].as_deref());
        parts.collect::<Vec<_>>().join(" @ ")
    };
    let perturbations: Vec<Option<String>> = named
        .iter()
        .map(|&row| (!is_control[row]).then(|| name(row)))
        .collect();
    let profiles = profiles.select_rows(&named);
    let num_features = profiles.num_features();
    let magnitudes = |values: &[f64]| {
        let min_wells = args.min_wells.into();
        let form = EnergyForm::Exact;
        perturbation_magnitudes(values, num_features, &perturbations, min_wells, form).with_context(
            || {
                format!(
                    "perturbations are told by column '{}', controls by {}; --min-wells is {}",
                    args.perturbation_column.join(","),
                    args.controls.controls,
                    args.min_wells
                )
            },
        )
    };
    let found = magnitudes(&profiles.values())?;
    let seed = Seed::new(args.score.seed).split("perturbation magnitude");
    let random = random_embeddings(profiles.num_rows(), num_features, seed.split("random"));
    let baseline = magnitudes(&random)?;
    if let Some(path) = &args.perturbations {
        write_perturbations(path, &found)?;
    }
    let of = |found: &[Magnitude]| -> Vec<f64> {
        found.iter().map(|found| found.energy_distance).collect()
    };
    let (found, baseline) = (of(&found), of(&baseline));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mut score = Score::new(
        "perturbation magnitude (energy distance)",
        &args.score.model,
        &args.score.alignment,
        mean(&found),
        found.len(),
    )
    .with_null(mean(&baseline))
    .with_seed(seed)
    .with_setting("null", "random embeddings of the same wells")
    .with_setting("min_wells", args.min_wells)
    .with_setting(
        "num_controls",
        is_control.iter().filter(|is_control| **is_control).count(),
    );
    if let Some(z) = magnitude_z_score(&found, &baseline) {
        score = score.with_setting("z", format!("{z:.4}"));
    }
    let bootstrap = Bootstrap::new(seed.split("bootstrap"));
    Ok(vec![match bootstrap.interval_of_mean(&found) {
        Some(interval) => score.with_interval(interval),
        None => score,
    }])
}

fn write_perturbations(path: &Path, found: &[Magnitude]) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["perturbation", "num_wells", "energy_distance"])?;
    for found in found {
        table.write_record([
            &found.perturbation,
            &found.num_wells.to_string(),
            &found.energy_distance.to_string(),
        ])?;
    }
    crate::commands::write_csv(path, table)
}
