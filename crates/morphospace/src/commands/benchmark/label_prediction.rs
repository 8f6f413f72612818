use anyhow::Result;
use morphospace_benchmark::{
    Bootstrap, LabelClassifier, LogisticRegression, Score, predict_labels,
};
use morphospace_core::Seed;

use crate::cli::LabelPredictionArgs;

/// How well a label is told in groups never seen.
pub(super) fn scores(args: &LabelPredictionArgs) -> Result<Vec<Score>> {
    let profiles = crate::commands::read(&args.score.profiles)?;
    let profiles = crate::commands::without_rows(profiles, &args.exclude)?;
    let columns = [args.label_column.as_str(), &args.group_column];
    let profiles = crate::commands::labelled_rows(profiles, &columns)?;
    profiles.check_finite()?;
    crate::commands::refuse_single_value(
        &profiles,
        &args.group_column,
        "--group-column",
        "groups",
    )?;
    let labels = profiles.keys(&args.label_column)?;
    let groups = profiles.keys(&args.group_column)?;
    let seed = Seed::new(args.score.seed).split("label prediction");
    let k = usize::from(args.neighbours);
    let classifiers = [
        (
            format!("{k} nearest neighbours"),
            LabelClassifier::NearestNeighbours { k },
        ),
        (
            "linear probe".to_owned(),
            LabelClassifier::Linear {
                num_folds: args.folds.into(),
                settings: LogisticRegression::default(),
                seed: seed.split("folds"),
            },
        ),
    ];
    let what = format!("column '{}'", args.label_column);
    let (values, num_features) = (profiles.values(), profiles.num_features());
    let mut scores = Vec::new();
    for (name, classifier) in classifiers {
        let found = predict_labels(&values, num_features, &what, &labels, &groups, &classifier)?;
        let score = |measure: &str, value: f64| {
            let name = format!("{} {measure} ({name})", args.label_column);
            let n = found.truth.len();
            Score::new(name, &args.score.model, &args.score.alignment, value, n)
                .with_null(found.chance)
                .with_seed(seed)
                .with_setting("labels", found.labels.len())
                .with_setting("groups", &args.group_column)
        };
        let balanced = score("balanced accuracy", found.balanced_accuracy);
        // Over labels: the classes of a screen are the sample that others would differ in.
        let bootstrap = Bootstrap::new(seed.split("bootstrap"));
        scores.push(match found.interval_over(&labels, &bootstrap) {
            Some(interval) => balanced.with_interval(interval),
            None => balanced,
        });
        scores.push(score("accuracy", found.accuracy));
    }
    Ok(scores)
}
