use anyhow::Result;
use morphospace::evaluation::Evaluation;
use morphospace_benchmark::Score;
use morphospace_core::Seed;
use morphospace_map::ControlRule;

use crate::cli::BatchPredictionArgs;

/// How well the batch is told.
pub(super) fn scores(args: &BatchPredictionArgs) -> Result<Vec<Score>> {
    let profiles = crate::commands::read(&args.score.profiles)?;
    profiles.check_finite()?;
    crate::commands::refuse_single_value(
        &profiles,
        &args.batch_column,
        "--batch-column",
        "batches",
    )?;
    let evaluation = Evaluation {
        model: &args.score.model,
        batch_column: &args.batch_column,
        entity_column: "Metadata_gene",
        relationships: &[],
        controls: ControlRule::default(),
        seed: Seed::new(args.score.seed),
    };
    evaluation.batch_prediction(&profiles, &args.score.alignment)
}
