mod anax;
mod batch_mixing;
mod batch_prediction;
mod compound_gene;
mod cosine_similarity;
mod label_prediction;
mod mean_average_precision;
mod perturbation_magnitude;
mod position_audit;
mod predictions;
mod relationship_recall;
mod replicate_consistency;

use std::path::{Path, PathBuf};

use anyhow::Result;
use morphospace_benchmark::{Score, Scores};
use morphospace_core::Provenance;

use crate::cli::{BenchmarkCommand, ScoreArgs};
use crate::failure::{Failure, Outcome, Phase};

pub(crate) fn run(command: &BenchmarkCommand) -> Result<Outcome, Failure> {
    let args = &match command {
        BenchmarkCommand::RelationshipRecall(args) => args.score.clone(),
        BenchmarkCommand::ReplicateConsistency(args) => args.score.clone(),
        BenchmarkCommand::BatchPrediction(args) => args.score.clone(),
        BenchmarkCommand::MeanAveragePrecision(args) => args.score.clone(),
        BenchmarkCommand::CompoundGene(args) => args.score.clone(),
        BenchmarkCommand::Anax(args) => args.score.clone(),
        BenchmarkCommand::PerturbationMagnitude(args) => args.score.clone(),
        BenchmarkCommand::CosineSimilarity(args) => args.score.clone(),
        BenchmarkCommand::LabelPrediction(args) => args.score.clone(),
        BenchmarkCommand::BatchMixing(args) => args.score.clone(),
        BenchmarkCommand::PositionAudit(args) => args.score.clone(),
        BenchmarkCommand::Predictions(args) => args.score(),
    };
    if let Some(path) = &args.output {
        super::refuse_unwritable(path)?;
        if path.exists() {
            read_scores(path).or_refuse()?;
        }
    }
    let table = match command {
        BenchmarkCommand::MeanAveragePrecision(args) => &args.groups,
        BenchmarkCommand::PerturbationMagnitude(args) => &args.perturbations,
        BenchmarkCommand::CosineSimilarity(args) => &args.histograms,
        _ => &None,
    };
    if let Some(path) = table {
        super::refuse_unwritable(path)?;
    }
    // Other files that the scores come from.
    let (inputs, scores): (&[PathBuf], _) = match command {
        BenchmarkCommand::RelationshipRecall(args) => {
            (&args.relationships, relationship_recall::scores(args))
        }
        BenchmarkCommand::ReplicateConsistency(args) => (&[], replicate_consistency::scores(args)),
        BenchmarkCommand::BatchPrediction(args) => (&[], batch_prediction::scores(args)),
        BenchmarkCommand::MeanAveragePrecision(args) => (&[], mean_average_precision::scores(args)),
        BenchmarkCommand::CompoundGene(args) => (
            std::slice::from_ref(&args.interactions),
            compound_gene::scores(args),
        ),
        BenchmarkCommand::Anax(args) => (args.groups.as_slice(), anax::scores(args)),
        BenchmarkCommand::PerturbationMagnitude(args) => {
            (&[], perturbation_magnitude::scores(args))
        }
        BenchmarkCommand::CosineSimilarity(args) => (&[], cosine_similarity::scores(args)),
        BenchmarkCommand::LabelPrediction(args) => (&[], label_prediction::scores(args)),
        BenchmarkCommand::BatchMixing(args) => (args.before.as_slice(), batch_mixing::scores(args)),
        BenchmarkCommand::PositionAudit(args) => {
            (args.before.as_slice(), position_audit::scores(args))
        }
        BenchmarkCommand::Predictions(args) => {
            (args.stratified.as_slice(), predictions::scores(args))
        }
    };
    publish(args, inputs, scores.or_refuse()?).or_stop()?;
    Ok(Outcome::Done)
}

/// Prints the scores and adds them to a file.
fn publish(args: &ScoreArgs, inputs: &[PathBuf], mut scores: Vec<Score>) -> Result<()> {
    for score in &mut scores {
        score.inputs.push(args.profiles.display().to_string());
    }
    let provenance = Provenance::new("benchmark")
        .with_input(&args.profiles)?
        .with_seed("benchmark", args.seed);
    let provenance = inputs
        .iter()
        .try_fold(provenance, |provenance, path| provenance.with_input(path))?;
    print_and_add(scores, provenance, args.json, args.output.as_deref())
}

/// Prints scores, and adds them to a file if one is given, replacing earlier ones of the
/// same benchmark, model, block and alignment.
pub(super) fn print_and_add(
    scores: Vec<Score>,
    provenance: Provenance,
    as_json: bool,
    path: Option<&Path>,
) -> Result<()> {
    let fresh = Scores::new(provenance.clone(), scores);
    if as_json {
        crate::print_line!("{}", serde_json::to_string_pretty(&fresh)?);
    } else {
        crate::print_line!("{fresh}");
    }
    if let Some(path) = path {
        add_to(path, fresh, provenance)?;
    }
    Ok(())
}

fn add_to(path: &Path, fresh: Scores, provenance: Provenance) -> Result<()> {
    let mut kept = if path.exists() {
        read_scores(path)?.scores
    } else {
        Vec::new()
    };
    let key = |score: &Score| {
        let source = score.settings.get("source").cloned();
        (
            score.benchmark.clone(),
            score.model.clone(),
            score.block,
            score.alignment.clone(),
            source,
        )
    };
    kept.retain(|old| fresh.scores.iter().all(|new| key(new) != key(old)));
    kept.extend(fresh.scores);
    Scores::new(provenance, kept).write(path)?;
    Ok(())
}

pub(crate) fn read_scores(path: &Path) -> Result<Scores> {
    Ok(Scores::read(path)?)
}
