use std::path::Path;

use anyhow::{Context, Result};
use morphospace_benchmark::{
    CosineStudy, CosinesOfPairs, EntityMap, Score, StudyRow, cosine_study,
};
use morphospace_core::Seed;

use crate::cli::CosineSimilarityArgs;

/// Whether batches change how alike rows are.
pub(super) fn scores(args: &CosineSimilarityArgs) -> Result<Vec<Score>> {
    let profiles = crate::commands::read(&args.score.profiles)?;
    let profiles = crate::commands::without_rows(profiles, &args.exclude)?;
    let columns = [args.perturbation_column.as_str(), &args.batch_column];
    let profiles = crate::commands::labelled_rows(profiles, &columns)?;
    profiles.check_finite()?;
    crate::commands::refuse_single_value(
        &profiles,
        &args.batch_column,
        "--batch-column",
        "batches",
    )?;
    let perturbations = profiles.keys(&args.perturbation_column)?;
    let experiments = profiles.keys(&args.batch_column)?;
    let cell_types = match profiles.has_column(&args.cell_type_column) {
        true => profiles.keys(&args.cell_type_column)?,
        false => vec![String::new(); profiles.num_rows()],
    };
    let kinds: Vec<StudyRow> = perturbations
        .iter()
        .zip(experiments)
        .zip(cell_types)
        .map(|((perturbation, experiment), cell_type)| StudyRow {
            perturbation: perturbation.clone(),
            experiment,
            cell_type,
        })
        .collect();
    let rows = EntityMap::from_profiles(&profiles, &args.perturbation_column)?;
    let seed = Seed::new(args.score.seed).split("cosine similarity");
    let study = cosine_study(&rows, &kinds, args.max_pairs as usize, seed).with_context(|| {
        format!(
            "perturbations are told by column '{}', batches by '{}'",
            args.perturbation_column, args.batch_column
        )
    })?;
    if let Some(path) = &args.histograms {
        write_histograms(path, &study)?;
    }
    let score = |measure: &str, whose: &str, pairs: &CosinesOfPairs, value: f64| {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let n = pairs.within.len() + pairs.across.len();
        let name = format!("cosines within and across batches, {whose} ({measure})");
        Score::new(name, &args.score.model, &args.score.alignment, value, n)
            .with_null(0.0)
            .with_seed(seed)
            .with_setting("mean within", format!("{:.4}", mean(&pairs.within)))
            .with_setting("mean across", format!("{:.4}", mean(&pairs.across)))
            .with_setting("pairs within", pairs.within.len())
            .with_setting("pairs across", pairs.across.len())
    };
    let mut scores = Vec::new();
    for (whose, pairs) in [
        ("same perturbation", &study.same_perturbation),
        ("different perturbations", &study.different_perturbations),
    ] {
        scores.push(score("KS", whose, pairs, pairs.kolmogorov_smirnov));
        scores.push(score("Wasserstein", whose, pairs, pairs.wasserstein));
    }
    Ok(scores)
}

/// Bins of all cosines, from -1 to 1.
const NUM_BINS: usize = 100;

fn write_histograms(path: &Path, study: &CosineStudy) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["pairs", "low", "high", "count"])?;
    for (name, cosines) in [
        (
            "same perturbation, within batches",
            &study.same_perturbation.within,
        ),
        (
            "same perturbation, across batches",
            &study.same_perturbation.across,
        ),
        (
            "different perturbations, within batches",
            &study.different_perturbations.within,
        ),
        (
            "different perturbations, across batches",
            &study.different_perturbations.across,
        ),
    ] {
        let mut counts = [0_u64; NUM_BINS];
        for cosine in cosines {
            let place = (cosine + 1.0) / 2.0 * NUM_BINS as f64;
            counts[(place.max(0.0) as usize).min(NUM_BINS - 1)] += 1;
        }
        for (bin, count) in counts.iter().enumerate() {
            let edge = |bin: usize| (2 * bin) as f64 / NUM_BINS as f64 - 1.0;
            table.write_record([
                name.to_owned(),
                format!("{:.2}", edge(bin)),
                format!("{:.2}", edge(bin + 1)),
                count.to_string(),
            ])?;
        }
    }
    crate::commands::write_csv(path, table)
}
