use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use morphospace_benchmark::{Bootstrap, PredictionAccuracy, Score, Within, prediction_accuracy};
use morphospace_core::Seed;
use morphospace_profiles::{PredictionRow, Predictions, read_predictions};

use crate::cli::PredictionScoreArgs;

/// The accuracies of Sypetkowski et al. 2023, tables 1 and 2.
pub(super) fn scores(args: &PredictionScoreArgs) -> Result<Vec<Score>> {
    let bootstrap = Bootstrap::new(Seed::new(args.seed).split("predictions"));
    let separated = read_predictions(&args.predictions)?;
    let head = class_head(&separated, &args.predictions)?;
    let score = |name: String, found: &PredictionAccuracy| {
        let score = Score::new(name, &args.model, "none", found.value(), found.num_sites)
            .with_seed(bootstrap.seed)
            .with_setting("labels", found.num_labels);
        match found.interval {
            Some(interval) => score.with_interval(interval),
            None => score,
        }
    };
    let of = |predictions: &Predictions, head: &str, within, cell_type: Option<&str>| {
        let keep = |row: &PredictionRow| {
            cell_type.is_none_or(|cell_type| row.cell_type.as_deref() == Some(cell_type))
        };
        prediction_accuracy(predictions, head, within, keep, &bootstrap)
    };
    let Some(all) = of(&separated, &head, Within::First, None) else {
        bail!(
            "'{}': no {head} of its sites is one that the network was trained on",
            args.predictions.display()
        );
    };
    let mut scores = vec![score(format!("{head} accuracy"), &all)];
    if let Some(five) = of(&separated, &head, Within::Five, None) {
        scores.push(score(format!("{head} accuracy, top 5"), &five));
    }
    let cell_types: BTreeSet<&str> = separated
        .rows
        .iter()
        .filter_map(|row| row.cell_type.as_deref())
        .collect();
    for cell_type in cell_types.iter().filter(|_| cell_types.len() > 1) {
        if let Some(found) = of(&separated, &head, Within::First, Some(cell_type)) {
            scores.push(score(format!("{head} accuracy, {cell_type}"), &found));
        }
    }
    if let Some(path) = &args.stratified {
        let stratified = read_predictions(path)?;
        let Some(found) = of(&stratified, &head, Within::First, None) else {
            bail!("'{}' tells no {head}", path.display());
        };
        scores.push(score(format!("{head} accuracy, stratified"), &found));
        let generalisation = all.value() / found.value();
        let name = "generalisation (separated / stratified)";
        scores.push(Score::new(
            name,
            &args.model,
            "none",
            generalisation,
            all.num_sites,
        ));
        if let Some(batch) = of(&stratified, "batch", Within::First, None) {
            let chance = 1.0 / batch.num_labels as f64;
            let score = score("batch accuracy, stratified".to_owned(), &batch);
            scores.push(score.with_null(chance));
        }
    }
    Ok(scores)
}

/// The head that tells classes, not experiments.
fn class_head(predictions: &Predictions, path: &Path) -> Result<String> {
    let heads: BTreeSet<&str> = predictions
        .rows
        .iter()
        .map(|row| row.head.as_str())
        .collect();
    let class = heads.into_iter().find(|head| *head != "batch");
    let class = class.with_context(|| format!("'{}' has no predictions", path.display()))?;
    Ok(class.to_owned())
}
