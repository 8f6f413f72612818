mod compound_gene;
mod mean_average_precision;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use morphospace::evaluation::{Evaluation, all_pairs, replicate_score};
use morphospace_benchmark::{
    Bootstrap, GeneGroups, PredictionAccuracy, Score, Scores, WellTable, Within,
    prediction_accuracy, probe_gene_groups, read_relationships,
};
use morphospace_core::{Provenance, Seed};
use morphospace_map::ControlRule;
use morphospace_profiles::{PredictionRow, Predictions, Profiles, read_predictions};

use crate::cli::{
    AnaxArgs, BatchPredictionArgs, BenchmarkCommand, PredictionScoreArgs, RecallArgs,
    ReplicateArgs, ScoreArgs,
};
use crate::failure::{Failure, Outcome, Phase};

pub(crate) fn run(command: &BenchmarkCommand) -> Result<Outcome, Failure> {
    let args = &match command {
        BenchmarkCommand::RelationshipRecall(args) => args.score.clone(),
        BenchmarkCommand::ReplicateConsistency(args) => args.score.clone(),
        BenchmarkCommand::BatchPrediction(args) => args.score.clone(),
        BenchmarkCommand::MeanAveragePrecision(args) => args.score.clone(),
        BenchmarkCommand::CompoundGene(args) => args.score.clone(),
        BenchmarkCommand::Anax(args) => args.score.clone(),
        BenchmarkCommand::Predictions(args) => args.score(),
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
        BenchmarkCommand::MeanAveragePrecision(args) => {
            if let Some(path) = &args.groups {
                super::refuse_unwritable(path)?;
            }
            (&[], mean_average_precision::scores(args))
        }
        BenchmarkCommand::CompoundGene(args) => (
            std::slice::from_ref(&args.interactions),
            compound_gene::scores(args),
        ),
        BenchmarkCommand::Anax(args) => (args.groups.as_slice(), anax(args)),
        BenchmarkCommand::Predictions(args) => (args.stratified.as_slice(), predictions(args)),
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

/// The linear probe of Kraus et al. 2025, appendix A.4.
fn anax(args: &AnaxArgs) -> Result<Vec<Score>> {
    let groups = match &args.groups {
        Some(path) => GeneGroups::read(path)?,
        None => GeneGroups::anax(),
    };
    let profiles = super::read(&args.score.profiles)?;
    let profiles = super::labelled_rows(profiles, &[&args.gene_column])?;
    profiles.check_finite()?;
    let genes = profiles.keys(&args.gene_column)?;
    let present: BTreeSet<&String> = genes.iter().collect();
    let num_found = present
        .iter()
        .filter(|gene| groups.group_of(gene).is_some())
        .count();
    if num_found == 0 {
        let some = |names: Vec<&str>| names.into_iter().take(5).collect::<Vec<_>>().join(", ");
        bail!(
            "none of the {} values of column '{}' is a gene of the groups\nhint: it holds {}, and \
             the groups {}; give another column with --gene-column, or other groups with --groups",
            present.len(),
            args.gene_column,
            some(present.iter().map(|gene| gene.as_str()).collect()),
            some(groups.genes().collect())
        );
    }
    let seed = Seed::new(args.score.seed).split("anax");
    let found = probe_gene_groups(
        &profiles.values(),
        profiles.num_features(),
        &genes,
        &profiles.keys(&args.batch_column)?,
        &groups,
        args.folds.into(),
        seed,
    )?;
    let name = "gene groups, balanced accuracy (linear)";
    let score = Score::new(
        name,
        &args.score.model,
        &args.score.alignment,
        found.balanced_accuracy,
        found.num_wells,
    )
    .with_null(1.0 / found.num_groups as f64)
    .with_seed(seed)
    .with_setting("genes", found.num_genes)
    .with_setting("groups", found.num_groups)
    .with_setting("folds", found.num_folds)
    .with_setting(
        "genes of the groups that are missing",
        groups.genes().count() - num_found,
    );
    Ok(vec![match found.interval {
        Some(interval) => score.with_interval(interval),
        None => score,
    }])
}

/// The accuracies of Sypetkowski et al. 2023, tables 1 and 2.
fn predictions(args: &PredictionScoreArgs) -> Result<Vec<Score>> {
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
