use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use morphospace::evaluation::{Evaluation, all_pairs, replicate_score};
use morphospace_benchmark::{Score, Scores, WellTable, read_relationships};
use morphospace_core::{Provenance, Seed};
use morphospace_map::ControlRule;
use morphospace_profiles::Profiles;

use crate::cli::{BatchPredictionArgs, BenchmarkCommand, RecallArgs, ReplicateArgs, ScoreArgs};
use crate::failure::{Failure, Outcome, Phase};

pub(crate) fn run(command: &BenchmarkCommand) -> Result<Outcome, Failure> {
    let args = match command {
        BenchmarkCommand::RelationshipRecall(args) => &args.score,
        BenchmarkCommand::ReplicateConsistency(args) => &args.score,
        BenchmarkCommand::BatchPrediction(args) => &args.score,
    };
    if let Some(path) = &args.output {
        super::refuse_unwritable(path)?;
        if path.exists() {
            read_scores(path).or_refuse()?;
        }
    }
    let (relationships, scores): (&[PathBuf], _) = match command {
        BenchmarkCommand::RelationshipRecall(args) => (&args.relationships, recall(args)),
        BenchmarkCommand::ReplicateConsistency(args) => (&[], replicates(args)),
        BenchmarkCommand::BatchPrediction(args) => (&[], batch_prediction(args)),
    };
    publish(args, relationships, scores.or_refuse()?).or_stop()?;
    Ok(Outcome::Done)
}

fn recall(args: &RecallArgs) -> Result<Vec<Score>> {
    let profiles = super::read(&args.score.profiles)?;
    let profiles = super::labelled_rows(profiles, &[&args.entity_column])?;
    let relationships = args
        .relationships
        .iter()
        .map(|path| Ok(read_relationships(path)?))
        .collect::<Result<Vec<_>>>()?;
    let evaluation = Evaluation {
        model: &args.score.model,
        batch_column: &args.controls.batch_column,
        entity_column: &args.entity_column,
        relationships: &relationships,
        controls: super::control_rule(&args.controls)?,
        seed: Seed::new(args.score.seed),
    };
    let scores = evaluation.relationship_recall(&profiles, &args.score.alignment)?;
    if scores.is_empty() {
        bail!(
            "none of the known relationships has both its ends among the entities of column '{}'",
            args.entity_column
        );
    }
    Ok(scores)
}

fn replicates(args: &ReplicateArgs) -> Result<Vec<Score>> {
    let profiles = without_rows(super::read(&args.score.profiles)?, &args.exclude)?;
    let columns = [
        args.replicate_column.as_str(),
        &args.match_column,
        &args.perturbation_column,
    ];
    let profiles = super::labelled_rows(profiles, &columns)?;
    profiles.check_finite()?;
    let wells = WellTable::from_profiles(
        &profiles,
        &args.replicate_column,
        &args.match_column,
        &args.perturbation_column,
    )?;
    let pairs = if args.pairs.is_empty() {
        all_pairs(&profiles.keys(&args.replicate_column)?)
    } else {
        args.pairs
            .iter()
            .map(|text| pair(text))
            .collect::<Result<Vec<_>>>()?
    };
    if pairs.is_empty() {
        bail!(
            "column '{}' holds a single value: there are no replicates to compare\nhint: give \
             the column that tells them apart with --replicate-column",
            args.replicate_column
        );
    }
    let seed = Seed::new(args.score.seed);
    let score = replicate_score(
        &wells,
        &pairs,
        &args.score.model,
        &args.score.alignment,
        seed,
    )?;
    Ok(vec![
        score
            .with_setting("replicates", &args.replicate_column)
            .with_setting("excluded", args.exclude.join("; ")),
    ])
}

/// The rows that none of the texts names.
fn without_rows(profiles: Profiles, excluded: &[String]) -> Result<Profiles> {
    let mut is_kept = vec![true; profiles.num_rows()];
    for text in excluded {
        let rule = super::rows_with("--exclude", text)?;
        let is_excluded: Vec<bool> = profiles
            .text(&rule.column)?
            .iter()
            .map(|value| {
                value
                    .as_ref()
                    .is_some_and(|value| rule.values.contains(value))
            })
            .collect();
        if !is_excluded.contains(&true) {
            bail!("--exclude '{text}' is the value of no row");
        }
        for (kept, excluded) in is_kept.iter_mut().zip(is_excluded) {
            *kept &= !excluded;
        }
    }
    let kept: Vec<usize> = (0..is_kept.len()).filter(|row| is_kept[*row]).collect();
    if kept.is_empty() {
        bail!("--exclude leaves no row of the table");
    }
    Ok(profiles.select_rows(&kept))
}

fn pair(text: &str) -> Result<(String, String)> {
    let (first, second) = text
        .split_once(',')
        .with_context(|| format!("--pair '{text}' is not of the form A,B"))?;
    Ok((first.trim().to_owned(), second.trim().to_owned()))
}

fn batch_prediction(args: &BatchPredictionArgs) -> Result<Vec<Score>> {
    let profiles = super::read(&args.score.profiles)?;
    profiles.check_finite()?;
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

/// Prints the scores and adds them to a file, replacing earlier ones of the
/// same benchmark, model and alignment.
fn publish(args: &ScoreArgs, relationships: &[PathBuf], mut scores: Vec<Score>) -> Result<()> {
    for score in &mut scores {
        score.inputs.push(args.profiles.display().to_string());
    }
    let provenance = Provenance::new("benchmark")
        .with_input(&args.profiles)?
        .with_seed("benchmark", args.seed);
    let provenance = relationships
        .iter()
        .try_fold(provenance, |provenance, path| provenance.with_input(path))?;
    let fresh = Scores::new(provenance.clone(), scores);
    if args.json {
        crate::print_line!("{}", serde_json::to_string_pretty(&fresh)?);
    } else {
        crate::print_line!("{fresh}");
    }
    if let Some(path) = &args.output {
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
