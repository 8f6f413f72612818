use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use morphospace::evaluation::RECALL;
use morphospace_benchmark::{Score, Scores, least_squares_line, rank_correlation};
use morphospace_report::{
    Block, HorizontalAxis, LineFigure, LineSeries, NamedPoint, NamedScatterFigure,
};

use crate::cli::{
    BlocksFigureArgs, ComputeFigureArgs, ModelsFigureArgs, RecallFigureArgs, ScoreFigureArgs,
};

/// All scores of some files.
fn read(paths: &[PathBuf]) -> Result<Vec<Score>> {
    let mut scores = Vec::new();
    for path in paths {
        scores.extend(Scores::read(path)?.scores);
    }
    Ok(scores)
}

/// Those that a figure is about; `what` it is looking for.
fn those(scores: Vec<Score>, what: &str, is_one: impl Fn(&Score) -> bool) -> Result<Vec<Score>> {
    let names: BTreeSet<String> = scores.iter().map(|score| score.benchmark.clone()).collect();
    let found: Vec<Score> = scores.into_iter().filter(is_one).collect();
    if found.is_empty() {
        let names: Vec<String> = names.into_iter().collect();
        bail!(
            "there is no {what}\nhint: the scores are: {}",
            names.join(", ")
        );
    }
    Ok(found)
}

fn source(score: &Score) -> Option<&str> {
    score.settings.get("source").map(String::as_str)
}

/// Refuses to draw several sources as one.
fn of_source(scores: Vec<Score>, asked: Option<&str>) -> Result<Vec<Score>> {
    let sources: BTreeSet<String> = scores
        .iter()
        .filter_map(|score| source(score).map(str::to_owned))
        .collect();
    let listed = || sources.iter().cloned().collect::<Vec<_>>().join(", ");
    match asked {
        None if sources.len() > 1 => {
            bail!(
                "the scores are of several sources\nhint: choose one with --source: {}",
                listed()
            )
        }
        None => Ok(scores),
        Some(asked) => {
            let of_it = scores.iter().filter(|score| source(score) == Some(asked));
            let of_it: Vec<Score> = of_it.cloned().collect();
            if of_it.is_empty() {
                bail!(
                    "no score is of source '{asked}'\nhint: there are {}",
                    listed()
                );
            }
            Ok(of_it)
        }
    }
}

/// A model under an alignment, as legends name it: the alignment where a model has
/// several.
fn series_names(scores: &[Score]) -> impl Fn(&Score) -> String {
    let alignments: BTreeSet<&str> = scores
        .iter()
        .map(|score| score.alignment.as_str())
        .collect();
    let has_several = alignments.len() > 1;
    move |score| match has_several {
        true => format!("{}, {}", score.model, score.alignment),
        false => score.model.clone(),
    }
}

/// Points of each series in the order of their places.
fn series(
    scores: &[Score],
    place: impl Fn(&Score) -> Option<f64>,
) -> BTreeMap<String, Vec<(f64, Score)>> {
    let name = series_names(scores);
    let mut series: BTreeMap<String, Vec<(f64, Score)>> = BTreeMap::new();
    for score in scores {
        if let Some(at) = place(score) {
            series
                .entry(name(score))
                .or_default()
                .push((at, score.clone()));
        }
    }
    for points in series.values_mut() {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    series
}

fn line(name: &str, points: &[(f64, Score)]) -> LineSeries {
    let values = points.iter().map(|(at, score)| (*at, score.value));
    let intervals = points
        .iter()
        .filter_map(|(at, score)| Some((*at, score.ci_low?, score.ci_high?)));
    LineSeries::new(name, values.collect())
        .with_intervals(intervals.collect())
        .with_markers()
}

/// Kraus et al. 2023, figure 3.
pub(super) fn recall(args: &RecallFigureArgs) -> Result<Block> {
    let scores = those(
        read(&args.scores.scores)?,
        "recall of relationships",
        |score| score.benchmark.starts_with(RECALL),
    )?;
    let scores = of_source(scores, args.source.as_deref())?;
    let low = |score: &Score| -> Option<f64> {
        let (low, _) = score.settings.get("thresholds")?.split_once(',')?;
        low.trim().parse().ok()
    };
    let caption = match scores.first().and_then(source) {
        Some(source) => format!("Recall of known relationships, {source}"),
        None => "Recall of known relationships".to_owned(),
    };
    let series = series(&scores, low);
    let mut thresholds: Vec<f64> = scores.iter().filter_map(low).collect();
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    // Both tails together.
    let chance: Vec<(f64, f64)> = thresholds.iter().map(|&low| (low, 2.0 * low)).collect();
    let mut figure = LineFigure::new(caption, "share of pairs in each tail", "recall")
        .with_reference("chance", chance);
    for (name, points) in &series {
        figure = figure.with_series(line(name, points));
    }
    Ok(figure.into())
}

/// Kraus et al. 2023, figure 2; Kenyon-Dean et al. 2024, figure 9.
pub(super) fn compute(args: &ComputeFigureArgs) -> Result<Block> {
    let scores = those(
        read(&args.scores.scores)?,
        &format!("score '{}'", args.benchmark),
        |score| score.benchmark == args.benchmark,
    )?;
    let scores = of_source(scores, args.source.as_deref())?;
    let mut families: BTreeMap<String, Vec<(f64, Score)>> = BTreeMap::new();
    for text in &args.compute {
        let form = || format!("--compute '{text}' is not of the form MODEL=GFLOPS[,FAMILY]");
        let (model, rest) = text.split_once('=').with_context(form)?;
        let (gflops, family) = rest.split_once(',').unwrap_or((rest, model));
        let gflops: f64 = gflops.trim().parse().ok().with_context(form)?;
        if gflops <= 0.0 || !gflops.is_finite() {
            bail!("--compute '{text}': compute is above 0");
        }
        let of_model: Vec<&Score> = scores.iter().filter(|score| score.model == model).collect();
        let [score] = of_model[..] else {
            let models: BTreeSet<&str> = scores.iter().map(|score| score.model.as_str()).collect();
            bail!(
                "'{model}' has {} scores '{}', and one is drawn\nhint: the models are {}",
                of_model.len(),
                args.benchmark,
                models.into_iter().collect::<Vec<_>>().join(", ")
            );
        };
        let family = families.entry(family.to_owned()).or_default();
        family.push((gflops, score.clone()));
    }
    let mut figure = LineFigure::new(
        format!("{} over compute", args.benchmark),
        "compute (GFLOPs)",
        &args.benchmark,
    )
    .with_horizontal_axis(HorizontalAxis::Logarithmic);
    for (family, points) in &mut families {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let names: Vec<String> = points
            .iter()
            .map(|(_, score)| score.model.clone())
            .collect();
        figure = figure.with_series(line(family, points).with_names(names));
    }
    Ok(figure.into())
}

/// Kenyon-Dean et al. 2024, figure 4.
pub(super) fn models(args: &ModelsFigureArgs) -> Result<Block> {
    // A model, or a block of one.
    type Network = (String, Option<u32>);
    let scores = read(&args.scores.scores)?;
    let of = |benchmark: &str| -> Result<BTreeMap<Network, f64>> {
        let found = those(scores.clone(), &format!("score '{benchmark}'"), |score| {
            score.benchmark == benchmark
        })?;
        let found = match found.iter().any(|score| source(score).is_some()) {
            true => of_source(found, args.source.as_deref())?,
            false => found,
        };
        let mut values = BTreeMap::new();
        for score in found {
            let key = (score.model.clone(), score.block);
            if values.insert(key, score.value).is_some() {
                bail!(
                    "'{}' has two scores '{benchmark}'\nhint: give files of one alignment",
                    score.model
                );
            }
        }
        Ok(values)
    };
    let (x, y) = (of(&args.x)?, of(&args.y)?);
    let both: Vec<(&Network, f64, f64)> = x
        .iter()
        .filter_map(|(key, x)| Some((key, *x, *y.get(key)?)))
        .collect();
    if both.len() < 2 {
        bail!(
            "{} models have both scores, and two are needed\nhint: models are told by the name that \
             --model gave them",
            both.len()
        );
    }
    let (xs, ys): (Vec<f64>, Vec<f64>) = both.iter().map(|(_, x, y)| (*x, *y)).unzip();
    let rho = rank_correlation(&xs, &ys);
    let mut figure = NamedScatterFigure::new(
        format!("{} and {} over {} models", args.x, args.y, both.len()),
        &args.x,
        &args.y,
    );
    for ((model, block), x, y) in &both {
        let name = match block {
            Some(block) => format!("{model}, block {block}"),
            None => model.clone(),
        };
        figure = figure.with_point(NamedPoint::new(name, model, *x, *y));
    }
    if let Some((slope, intercept)) = least_squares_line(&xs, &ys) {
        figure = figure.with_line(slope, intercept);
    }
    let rho = match rho.is_nan() {
        true => "Spearman's correlation is not defined: a score is the same for all".to_owned(),
        false => format!("Spearman's correlation: {rho:.2}"),
    };
    Ok(figure.with_remark(rho).into())
}

const COMPOUND_GENE: &str = "compound-gene average precision, ";

/// Kenyon-Dean et al. 2024, figure 5.
pub(super) fn concentrations(args: &ScoreFigureArgs) -> Result<Block> {
    let concentration = |score: &Score| -> Option<f64> {
        score.benchmark.strip_prefix(COMPOUND_GENE)?.parse().ok()
    };
    let scores = those(read(&args.scores)?, "compound-gene score", |score| {
        concentration(score).is_some()
    })?;
    let mut all: Vec<f64> = scores.iter().filter_map(concentration).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    let series = series(&scores, |score| {
        let concentration = concentration(score)?;
        all.iter()
            .position(|other| *other == concentration)
            .map(|at| at as f64)
    });
    let nulls: Vec<f64> = scores.iter().filter_map(|score| score.null).collect();
    let names = all.iter().map(ToString::to_string).collect();
    let mut figure = LineFigure::new(
        "Compounds and the genes they act on, by concentration",
        "concentration (micromolar)",
        "mean average precision",
    )
    .with_horizontal_axis(HorizontalAxis::Names(names));
    if !nulls.is_empty() {
        let null = nulls.iter().sum::<f64>() / nulls.len() as f64;
        let ends = vec![(0.0, null), ((all.len() - 1) as f64, null)];
        figure = figure.with_reference("random scores", ends);
    }
    for (name, points) in &series {
        // Draws of genes say how much the score depends on them.
        let spread = points.iter().filter_map(|(at, score)| {
            let sd: f64 = score.settings.get("sd over draws")?.parse().ok()?;
            Some((*at, score.value - sd, score.value + sd))
        });
        figure = figure.with_series(line(name, points).with_intervals(spread.collect()));
    }
    Ok(figure
        .with_remark("Bars: one standard deviation over draws of genes")
        .into())
}

/// Kenyon-Dean et al. 2024, figure 3.
pub(super) fn blocks(args: &BlocksFigureArgs) -> Result<Block> {
    let scores = those(
        read(&args.scores.scores)?,
        &format!("score '{}'", args.benchmark),
        |score| score.benchmark == args.benchmark,
    )?;
    let scores: Vec<Score> = scores
        .into_iter()
        .filter(|score| score.block.is_some())
        .collect();
    if scores.is_empty() {
        bail!(
            "no score '{}' says of which block it is\nhint: scores of blocks have the field \
             \"block\" in scores.json",
            args.benchmark
        );
    }
    let mut figure = LineFigure::new(
        format!("{} by block", args.benchmark),
        "block",
        &args.benchmark,
    );
    for (name, points) in &series(&scores, |score| score.block.map(f64::from)) {
        // Of equal ones the first: the shorter network.
        let best =
            (0..points.len()).reduce(|best, at| match points[at].1.value > points[best].1.value {
                true => at,
                false => best,
            });
        let line = line(name, points);
        figure = figure.with_series(match best {
            Some(best) => line.with_ring(best),
            None => line,
        });
    }
    Ok(figure.with_remark("Ringed: the best block").into())
}
