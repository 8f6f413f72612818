use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use morphospace_benchmark::{
    Distances, Metric, Score, pcr_comparison, principal_component_regression, scaled_clisi,
    scaled_ilisi,
};
use morphospace_core::Seed;
use morphospace_profiles::Profiles;
use rand::seq::index::sample;

use crate::cli::BatchMixingArgs;

/// How well batches are mixed and labels kept apart, before and after an alignment.
pub(super) fn scores(args: &BatchMixingArgs) -> Result<Vec<Score>> {
    let mut scores = Vec::new();
    let before = match &args.before {
        Some(path) => {
            let (of_table, share) = scores_of(path, "none", args)?;
            scores.extend(of_table);
            Some(share)
        }
        None => None,
    };
    let (of_table, share) = scores_of(&args.score.profiles, &args.score.alignment, args)?;
    scores.extend(of_table);
    if let Some(before) = before {
        let compared = pcr_comparison(before, share);
        if compared.is_finite() {
            let name = "batch's share of variance that is gone (PCR comparison)";
            let (model, alignment) = (&args.score.model, &args.score.alignment);
            scores.push(Score::new(name, model, alignment, compared, 1));
        }
    }
    Ok(scores)
}

/// Tables of which all distances fit in memory.
const MAX_ROWS: usize = 10_000;

fn scores_of(path: &Path, alignment: &str, args: &BatchMixingArgs) -> Result<(Vec<Score>, f64)> {
    let profiles = crate::commands::read(path)?;
    let profiles = crate::commands::without_rows(profiles, &args.exclude)?;
    let columns = [args.batch_column.as_str(), &args.label_column];
    let profiles = at_most(crate::commands::labelled_rows(profiles, &columns)?, args);
    profiles.check_finite()?;
    crate::commands::refuse_single_value(
        &profiles,
        &args.batch_column,
        "--batch-column",
        "batches",
    )?;
    let batches = profiles.keys(&args.batch_column)?;
    let labels = profiles.keys(&args.label_column)?;
    let (values, num_features) = (profiles.values(), profiles.num_features());
    let distances = Distances::new(&values, num_features, Metric::Euclidean)?;
    let num = |names: &[String]| names.iter().collect::<BTreeSet<_>>().len();
    let (num_batches, num_labels) = (num(&batches), num(&labels));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let k = usize::from(args.neighbours);

    let lisi = |names: &[String]| {
        distances
            .lisi(names, args.perplexity)
            .context("--perplexity is the neighbours that LISI looks at")
    };
    let share = principal_component_regression(&values, num_features, &batches, None)?;
    let found = [
        (
            "batches mixed (iLISI, 0 to 1)".to_owned(),
            scaled_ilisi(&lisi(&batches)?, num_batches),
        ),
        (
            "labels apart (cLISI, 0 to 1)".to_owned(),
            scaled_clisi(&lisi(&labels)?, num_labels),
        ),
        (
            format!("neighbourhoods mixed as the whole (kBET, {k} neighbours)"),
            distances
                .kbet(&batches, k, 0.05)
                .context("--neighbours says how many rows are a neighbourhood")?
                .acceptance_rate,
        ),
        (
            "silhouette of batches (0 where mixed)".to_owned(),
            mean(&distances.silhouettes(&batches)?),
        ),
        (
            "silhouette of labels".to_owned(),
            mean(&distances.silhouettes(&labels)?),
        ),
        ("labels connected among neighbours".to_owned(), {
            let k = k.min(profiles.num_rows().saturating_sub(1));
            let of_labels = distances.graph_connectivity(&labels, k)?;
            mean(&of_labels.into_values().collect::<Vec<f64>>())
        }),
        ("batch's share of variance (PCR)".to_owned(), share),
    ];
    let scores = found.into_iter().filter(|(_, value)| value.is_finite());
    let score = |(name, value): (String, f64)| {
        let n = profiles.num_rows();
        Score::new(name, &args.score.model, alignment, value, n)
            .with_setting("batches", num_batches)
            .with_setting("labels", num_labels)
            .with_setting("distances", "Euclidean")
    };
    Ok((scores.map(score).collect(), share))
}

/// All rows, or random ones of a large table, in their order.
fn at_most(profiles: Profiles, args: &BatchMixingArgs) -> Profiles {
    if profiles.num_rows() <= MAX_ROWS {
        return profiles;
    }
    crate::terminal::warn(format!(
        "{MAX_ROWS} random rows of {} are looked at: all distances are held in memory",
        profiles.num_rows()
    ));
    let seed = Seed::new(args.score.seed).split("batch mixing");
    let mut rows = sample(&mut seed.rng(), profiles.num_rows(), MAX_ROWS).into_vec();
    rows.sort_unstable();
    profiles.select_rows(&rows)
}
