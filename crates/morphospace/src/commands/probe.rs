use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use morphospace_benchmark::{
    Bootstrap, LabelClassifier, LabelPrediction, LogisticRegression, RidgeClassifier, Score,
    predict_held_out, predict_labels,
};
use morphospace_core::{Provenance, Seed, suggestion};
use morphospace_embed::{EmbeddingFolder, Level};
use morphospace_profiles::Profiles;
use morphospace_report::{LineFigure, LineSeries};

use super::collate::PlatesOf;
use crate::cli::{ClassifierArg, ProbeArgs};
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::{Progress, warn};

/// Of the settings of a block's score: the network that the block is of.
pub(super) const NETWORK_SETTING: &str = "network_sha256";

pub(crate) fn run(args: &ProbeArgs) -> Result<Outcome, Failure> {
    if let Some(path) = &args.output {
        super::refuse_unwritable(path)?;
        if path.exists() {
            super::benchmark::read_scores(path).or_refuse()?;
        }
    }
    if let Some(path) = &args.figure {
        super::figure::refuse_unknown_ending(path)?;
    }
    let folder = EmbeddingFolder::open(&args.folder).or_refuse()?;
    let level = level(args, &folder).or_refuse()?;
    let plates = PlatesOf::folder(&folder).or_refuse()?;
    let representations = &folder.settings().representations;
    let seed = Seed::new(args.seed).split("block-wise probes");
    let progress = Progress::new("probe", "embeddings", representations.len());
    let mut probed = Vec::new();
    for (index, name) in representations.iter().enumerate() {
        let profiles = profiles(args, &folder, &plates, level, name).or_refuse()?;
        if index == 0 {
            warn_of_lonely_labels(args, &profiles).or_refuse()?;
        }
        let told = told(args, &profiles, seed).or_refuse()?;
        progress.update(index + 1, name);
        probed.push(Probed {
            name: name.clone(),
            place: Place::of(name),
            told,
        });
    }
    progress.finish(&format!(
        "{} embeddings, {} {} of {} told",
        probed.len(),
        probed[0].told.truth.len(),
        level.as_str(),
        args.label_column
    ));

    let bootstrap = Bootstrap::new(seed.split("bootstrap"));
    let scores: Vec<Score> = probed
        .iter()
        .map(|one| one.score(args, &folder, level, &bootstrap, seed))
        .collect();
    let provenance = Provenance::new("probe")
        .with_hash("settings of the embeddings", folder.settings_sha256())
        .with_setting("embeddings", args.folder.display())
        .with_seed("probe", args.seed);
    super::benchmark::print_and_add(scores, provenance, args.json, args.output.as_deref())
        .or_stop()?;
    if let Some(path) = &args.figure {
        super::figure::write(path, figure(args, &probed, &bootstrap).into()).or_stop()?;
    }
    for pooling in poolings(&probed) {
        tell_best(&probed, pooling, &bootstrap);
    }
    Ok(Outcome::with_failures(!plates.warn_if_incomplete()))
}

/// Labels whose rows are all in one group are never learned where they are asked
/// for, and count as told wrong.
fn warn_of_lonely_labels(args: &ProbeArgs, profiles: &Profiles) -> Result<()> {
    let labels = profiles.keys(&args.label_column)?;
    let groups = profiles.keys(&args.group_column)?;
    let mut groups_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (label, group) in labels.iter().zip(&groups) {
        groups_of.entry(label).or_default().insert(group);
    }
    let num_lonely = groups_of
        .values()
        .filter(|groups| groups.len() == 1)
        .count();
    if num_lonely > 0 {
        warn(format!(
            "{num_lonely} of {} values of column '{}' are in one value of column '{}' only and \
             cannot be told in any other\nhint: leave their rows out with --exclude, or give \
             another --group-column",
            groups_of.len(),
            args.label_column,
            args.group_column
        ));
    }
    Ok(())
}

/// Where in the network an embedding was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// From 1; `None`: the output.
    block: Option<u32>,
    /// `""` for the mean of patches, else what stands behind the name.
    pooling: String,
}

impl Place {
    /// Of a name that [`morphospace_models::Representation`] gives.
    fn of(name: &str) -> Self {
        let (place, pooling) = match name.strip_prefix("block-") {
            None => (None, name.strip_prefix("output").unwrap_or(name)),
            Some(rest) => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                (rest[..digits].parse().ok(), &rest[digits..])
            }
        };
        Self {
            block: place,
            pooling: pooling.trim_start_matches('-').to_owned(),
        }
    }
}

/// An embedding and what is told from it.
struct Probed {
    name: String,
    place: Place,
    told: LabelPrediction,
}

impl Probed {
    fn score(
        &self,
        args: &ProbeArgs,
        folder: &EmbeddingFolder,
        level: Level,
        bootstrap: &Bootstrap,
        seed: Seed,
    ) -> Score {
        let told = &self.told;
        let score = Score::new(
            benchmark(args, &self.place.pooling),
            &args.model,
            "none",
            told.balanced_accuracy,
            told.truth.len(),
        );
        let mut score = score
            .with_null(told.chance)
            .with_seed(seed)
            .with_setting("labels", told.labels.len())
            .with_setting("groups", &args.group_column)
            .with_setting("level", level.as_str())
            .with_setting("embedding", &self.name)
            .with_setting(NETWORK_SETTING, &folder.settings().network_sha256);
        score = match &args.test[..] {
            [] => score.with_setting("folds", args.folds),
            test => score.with_setting("told in", test.join(", ")),
        };
        score.block = self.place.block;
        score.inputs.push(args.folder.display().to_string());
        match told.interval(bootstrap) {
            Some(interval) => score.with_interval(interval),
            None => score,
        }
    }
}

/// Name of the score.
fn benchmark(args: &ProbeArgs, pooling: &str) -> String {
    let by = match args.classifier {
        ClassifierArg::Linear => "linear probe".to_owned(),
        ClassifierArg::Ridge => "ridge".to_owned(),
        ClassifierArg::Knn => format!("{} nearest neighbours", args.neighbours),
    };
    let pooling = match pooling {
        "" => String::new(),
        pooling => format!(", {pooling}"),
    };
    format!("{} balanced accuracy ({by}{pooling})", args.label_column)
}

/// What is asked for, or else images if there are any, as the papers have it.
fn level(args: &ProbeArgs, folder: &EmbeddingFolder) -> Result<Level> {
    let there = &folder.settings().levels;
    let wanted = args.level.unwrap_or(match there.contains(&Level::Sites) {
        true => Level::Sites,
        false => there[0],
    });
    if !there.contains(&wanted) {
        let there: Vec<&str> = there.iter().map(|level| level.as_str()).collect();
        bail!(
            "'{}' holds no {}\nhint: it holds {}",
            args.folder.display(),
            wanted.as_str(),
            there.join(", ")
        );
    }
    Ok(wanted)
}

/// Labelled rows of all plates.
fn profiles(
    args: &ProbeArgs,
    folder: &EmbeddingFolder,
    plates: &PlatesOf,
    level: Level,
    representation: &str,
) -> Result<Profiles> {
    let mut tables = Vec::new();
    for record in &plates.done {
        tables.push(folder.read_table(record, level, representation)?);
    }
    let all = Profiles::concat(&tables)?;
    let all = super::without_rows(all, &args.exclude)?;
    let columns = [args.label_column.as_str(), &args.group_column];
    let all = super::labelled_rows(all, &columns)?;
    all.check_finite()?;
    super::refuse_single_value(&all, &args.group_column, "--group-column", "groups")?;
    Ok(all)
}

fn told(args: &ProbeArgs, profiles: &Profiles, seed: Seed) -> Result<LabelPrediction> {
    let labels = profiles.keys(&args.label_column)?;
    let groups = profiles.keys(&args.group_column)?;
    let what = format!("column '{}'", args.label_column);
    let (values, num_features) = (profiles.values(), profiles.num_features());
    let (num_folds, folds) = (usize::from(args.folds), seed.split("folds"));
    let classifier = match args.classifier {
        ClassifierArg::Linear => LabelClassifier::Linear {
            num_folds,
            settings: LogisticRegression::default(),
            seed: folds,
        },
        ClassifierArg::Ridge => LabelClassifier::Ridge {
            num_folds,
            settings: RidgeClassifier::default(),
            seed: folds,
        },
        ClassifierArg::Knn => LabelClassifier::NearestNeighbours {
            k: usize::from(args.neighbours),
        },
    };
    if args.test.is_empty() {
        let told = predict_labels(&values, num_features, &what, &labels, &groups, &classifier);
        return Ok(told?);
    }
    let known: BTreeSet<&str> = groups.iter().map(String::as_str).collect();
    for name in &args.test {
        if !known.contains(name.as_str()) {
            let near = suggestion(name, known.iter().copied());
            bail!(
                "--test '{name}' is the value of no row of column '{}'{}",
                args.group_column,
                near.map_or(String::new(), |near| format!(
                    "\nhint: did you mean '{near}'?"
                ))
            );
        }
    }
    let is_test: Vec<bool> = groups
        .iter()
        .map(|group| args.test.contains(group))
        .collect();
    if !is_test.contains(&false) {
        bail!(
            "--test leaves nothing to learn from: it names every value of column '{}'",
            args.group_column
        );
    }
    let told = predict_held_out(
        &values,
        num_features,
        &what,
        &labels,
        &groups,
        &is_test,
        &classifier,
    );
    Ok(told?)
}

fn poolings(probed: &[Probed]) -> BTreeSet<&str> {
    probed
        .iter()
        .map(|one| one.place.pooling.as_str())
        .collect()
}

/// Blocks in their order.
fn blocks<'a>(probed: &'a [Probed], pooling: &str) -> Vec<(u32, &'a LabelPrediction)> {
    let mut blocks: Vec<(u32, &LabelPrediction)> = probed
        .iter()
        .filter(|one| one.place.pooling == pooling)
        .filter_map(|one| Some((one.place.block?, &one.told)))
        .collect();
    blocks.sort_by_key(|(block, _)| *block);
    blocks
}

/// Of equal ones the first: the shorter network.
fn best_of<'a>(blocks: &[(u32, &'a LabelPrediction)]) -> Option<(u32, &'a LabelPrediction)> {
    blocks.iter().copied().reduce(|best, one| {
        match one.1.balanced_accuracy > best.1.balanced_accuracy {
            true => one,
            false => best,
        }
    })
}

/// Says which block to keep, and by how much it is better than the last.
fn tell_best(probed: &[Probed], pooling: &str, bootstrap: &Bootstrap) {
    let blocks = blocks(probed, pooling);
    let (Some((best, of_best)), Some((last, of_last))) = (best_of(&blocks), blocks.last()) else {
        return;
    };
    let of_pooling = match pooling {
        "" => String::new(),
        pooling => format!(" ({pooling})"),
    };
    let accuracy = of_best.balanced_accuracy;
    let interval = of_best.interval(bootstrap);
    if interval.is_some_and(|interval| interval.low <= of_best.chance) {
        warn(format!(
            "no block{of_pooling} tells more than chance, {:.4}, by its 95 % interval",
            of_best.chance
        ));
    }
    if best == *last {
        crate::say!("the best block{of_pooling} is the last, {best}: {accuracy:.4}");
        return;
    }
    if accuracy == of_last.balanced_accuracy {
        crate::say!(
            "block{of_pooling} {best} tells as much as the last, {last}: {accuracy:.4}; of equal \
             ones the first is kept"
        );
        return;
    }
    let against = match of_last.compare(of_best, bootstrap) {
        Ok(found) => match found.interval {
            Some(interval) => format!(
                "{:+.4} against the last, {last}; 95 % interval {:+.4} to {:+.4} over {} groups",
                found.difference, interval.low, interval.high, found.num_units
            ),
            None => format!("{:+.4} against the last, {last}", found.difference),
        },
        Err(error) => {
            warn(error);
            return;
        }
    };
    crate::say!("the best block{of_pooling} is {best}: {accuracy:.4}, {against}");
}

fn figure(args: &ProbeArgs, probed: &[Probed], bootstrap: &Bootstrap) -> LineFigure {
    let mut figure = LineFigure::new(
        format!("{} told from each block", args.label_column),
        "block",
        "balanced accuracy",
    );
    let mut chance = None;
    for pooling in poolings(probed) {
        let blocks = blocks(probed, pooling);
        if blocks.is_empty() {
            continue;
        }
        let name = match pooling {
            "" => args.model.clone(),
            pooling => format!("{}, {pooling}", args.model),
        };
        let point =
            |(block, told): &(u32, &LabelPrediction)| (f64::from(*block), told.balanced_accuracy);
        let intervals = blocks.iter().filter_map(|(block, told)| {
            let interval = told.interval(bootstrap)?;
            Some((f64::from(*block), interval.low, interval.high))
        });
        let mut series = LineSeries::new(name, blocks.iter().map(point).collect())
            .with_markers()
            .with_intervals(intervals.collect());
        if let Some((best, _)) = best_of(&blocks)
            && let Some(at) = blocks.iter().position(|(block, _)| *block == best)
        {
            series = series.with_ring(at);
        }
        figure = figure.with_series(series);
        let ends = [blocks[0].0, blocks[blocks.len() - 1].0];
        chance = Some(ends.map(|block| (f64::from(block), blocks[0].1.chance)));
    }
    if let Some(chance) = chance {
        figure = figure.with_reference("chance", chance.to_vec());
    }
    figure.with_remark(format!(
        "Ringed: the best block. Whiskers: 95 % intervals over {}. Dashed: chance.",
        args.group_column
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_block_and_pooling() {
        let place = |block, pooling: &str| Place {
            block,
            pooling: pooling.to_owned(),
        };
        assert_eq!(Place::of("output"), place(None, ""));
        assert_eq!(Place::of("output-cls"), place(None, "cls"));
        assert_eq!(Place::of("block-07"), place(Some(7), ""));
        assert_eq!(
            Place::of("block-112-per-channel"),
            place(Some(112), "per-channel")
        );
    }
}
