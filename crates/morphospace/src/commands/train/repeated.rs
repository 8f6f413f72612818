//! The same run with several seeds, or on several folds, and what they come to
//! together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use morphospace_core::{Seed, write_atomically};
use morphospace_screen::split::{SplitConfig, SplitScheme, make_split, write_split};
use morphospace_train::{TrainConfig, TrainSummary};
use serde::Serialize;

use super::train_once;
use crate::cli::TrainArgs;
use crate::failure::{Failure, Outcome, Phase};

/// `summary.json` of several runs.
#[derive(Debug, Serialize)]
struct Summary {
    schema_version: u32,
    runs: Vec<Run>,
    /// Over the runs, of the last value of every score.
    scores: BTreeMap<String, MeanAndSd>,
}

/// What one run came to.
#[derive(Debug, Serialize)]
struct Run {
    folder: String,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fold: Option<u32>,
    num_steps: u64,
    /// The last value of every score.
    scores: BTreeMap<String, f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct MeanAndSd {
    mean: f64,
    /// With n - 1 below the sum; nothing of one run.
    sd: Option<f64>,
    num_runs: usize,
}

pub(super) fn run(
    args: &TrainArgs,
    config: TrainConfig,
    output: &Path,
) -> Result<Outcome, Failure> {
    let seeds = (0..u64::from(args.seeds.unwrap_or(1))).map(|index| config.seed + index);
    let folds: Vec<Option<u32>> = match args.folds {
        Some(folds) => (1..=u32::from(folds)).map(Some).collect(),
        None => vec![None],
    };
    let mut runs = Vec::new();
    let mut any_left_out = false;
    for seed in seeds {
        for &fold in &folds {
            let mut name = String::new();
            if let Some(fold) = fold {
                let _ = write!(name, "fold-{fold}");
            }
            if args.seeds.is_some() {
                let dash = if name.is_empty() { "" } else { "-" };
                let _ = write!(name, "{dash}seed-{seed}");
            }
            let folder = output.join(&name);
            let mut config = TrainConfig {
                seed,
                ..config.clone()
            };
            if let Some(init) = &mut config.init {
                init.checkpoint = of_run(&init.checkpoint, seed, fold);
            }
            let split = match fold {
                Some(fold) => Some(write_fold(args, fold, &folder).or_refuse()?),
                None => args.screen.split.clone(),
            };
            let trained = train_once(args, config, split.as_deref(), &folder)?;
            any_left_out |= trained.num_sites_left_out > 0;
            runs.push(Run {
                folder: name,
                seed,
                fold,
                num_steps: trained.checkpoint.num_steps_done,
                scores: last_scores(&trained, &folder).or_stop()?,
            });
        }
    }
    let scores = mean_and_sd(&runs);
    crate::print_line!("{}", table(&runs, &scores).trim_end());
    let summary = Summary {
        schema_version: 1,
        runs,
        scores,
    };
    let path = output.join("summary.json");
    let text = serde_json::to_string_pretty(&summary).or_stop()?;
    write_atomically(&path, |file| writeln!(file, "{text}")).or_stop()?;
    crate::print_line!("{}", path.display());
    Ok(Outcome::with_failures(any_left_out))
}

/// A path that says `{seed}` or `{fold}`, for one run: heads of several folds
/// begin with their fold's network.
fn of_run(path: &Path, seed: u64, fold: Option<u32>) -> PathBuf {
    let Some(text) = path.to_str() else {
        return path.to_owned();
    };
    let text = text.replace("{seed}", &seed.to_string());
    PathBuf::from(match fold {
        Some(fold) => text.replace("{fold}", &fold.to_string()),
        None => text,
    })
}

/// The split of a fold, beside its run.
fn write_fold(args: &TrainArgs, fold: u32, folder: &Path) -> Result<PathBuf> {
    let screen = super::super::open_whole(&args.screen)?;
    let config = SplitConfig {
        scheme: SplitScheme::CrossValidation {
            fold,
            cell_type: args.cell_type.clone(),
        },
        seed: Seed::new(0),
        only_labelled: false,
    };
    let split = make_split(screen.sites(), &config)?;
    let path = folder.join("split.parquet");
    std::fs::create_dir_all(folder)?;
    write_split(&path, &split)?;
    Ok(path)
}

/// The last value of every score, of steps done earlier too.
fn last_scores(trained: &TrainSummary, folder: &Path) -> Result<BTreeMap<String, f64>> {
    let mut scores = BTreeMap::new();
    for line in std::fs::read_to_string(folder.join("metrics.jsonl"))?.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        if let Some(found) = line["scores"].as_object() {
            let numbers = found.iter();
            scores
                .extend(numbers.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))));
        } else if let Some(loss) = line["loss"].as_f64() {
            scores.insert("loss".to_owned(), loss);
        }
    }
    if let Some(step) = trained.steps.last() {
        scores.insert("loss".to_owned(), step.loss);
    }
    Ok(scores)
}

fn mean_and_sd(runs: &[Run]) -> BTreeMap<String, MeanAndSd> {
    let mut values: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    for (name, value) in runs.iter().flat_map(|run| &run.scores) {
        values.entry(name).or_default().push(*value);
    }
    let scores = values.into_iter().map(|(name, values)| {
        let num_runs = values.len();
        let mean = values.iter().sum::<f64>() / num_runs as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let sd = (num_runs > 1).then(|| (squares / (num_runs - 1) as f64).sqrt());
        (name.clone(), MeanAndSd { mean, sd, num_runs })
    });
    scores.collect()
}

/// One line per score: mean, spread, and the runs.
fn table(runs: &[Run], scores: &BTreeMap<String, MeanAndSd>) -> String {
    let width = scores.keys().map(String::len).max().unwrap_or(0).max(5);
    let mut text = format!("{:width$}  {:>9}  {:>9}", "score", "mean", "sd");
    for run in runs {
        let _ = write!(text, "  {:>9}", run.folder);
    }
    text.push('\n');
    for (name, MeanAndSd { mean, sd, .. }) in scores {
        let sd = sd.map_or_else(|| "-".to_owned(), |sd| format!("{sd:.4}"));
        let _ = write!(text, "{name:width$}  {mean:>9.4}  {sd:>9}");
        for run in runs {
            let column = run.folder.len().max(9);
            match run.scores.get(name) {
                Some(value) => drop(write!(text, "  {value:>column$.4}")),
                None => drop(write!(text, "  {:>column$}", "-")),
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_with(folder: &str, values: &[(&str, f64)]) -> Run {
        let scores = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value));
        Run {
            folder: folder.to_owned(),
            seed: 1,
            fold: None,
            num_steps: 10,
            scores: scores.collect(),
        }
    }

    #[test]
    fn the_spread_is_that_of_a_sample() {
        let runs = [
            run_with("seed-1", &[("loss", 1.0), ("accuracy", 0.5)]),
            run_with("seed-2", &[("loss", 3.0)]),
        ];
        let scores = mean_and_sd(&runs);
        assert_eq!(scores["loss"].mean, 2.0);
        assert_eq!(scores["loss"].sd, Some(2f64.sqrt()));
        assert_eq!(scores["accuracy"].sd, None);
        let table = table(&runs, &scores);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[0],
            "score          mean         sd     seed-1     seed-2"
        );
        assert_eq!(
            lines[1],
            "accuracy     0.5000          -     0.5000          -"
        );
        assert_eq!(
            lines[2],
            "loss         2.0000     1.4142     1.0000     3.0000"
        );
    }
}
