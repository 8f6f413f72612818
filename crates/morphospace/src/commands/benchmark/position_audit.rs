use std::path::Path;

use anyhow::{Context, Result, bail};
use morphospace_benchmark::{Bootstrap, LabelClassifier, Score, predict_labels};
use morphospace_core::{Seed, WellAddress};
use morphospace_profiles::Profiles;

use crate::cli::PositionAuditArgs;

/// How well plate, row, column and batch are told, before and after an alignment.
pub(super) fn scores(args: &PositionAuditArgs) -> Result<Vec<Score>> {
    let mut scores = Vec::new();
    if let Some(before) = &args.before {
        scores.extend(scores_of(before, "none", args)?);
    }
    scores.extend(scores_of(
        &args.score.profiles,
        &args.score.alignment,
        args,
    )?);
    Ok(scores)
}

/// What is told, of each row, and what is not both learned from and told.
struct Question {
    name: &'static str,
    labels: Vec<String>,
    groups: Vec<String>,
}

fn scores_of(path: &Path, alignment: &str, args: &PositionAuditArgs) -> Result<Vec<Score>> {
    let profiles = rows_of(path, args)?;
    let seed = Seed::new(args.score.seed).split("position audit");
    let (values, num_features) = (profiles.values(), profiles.num_features());
    let mut scores = Vec::new();
    for question in questions(&profiles, args)? {
        let num_labels = |labels: &[String]| {
            let labels: std::collections::BTreeSet<_> = labels.iter().collect();
            labels.len()
        };
        // A screen of one plate, or controls in one column, have nothing to tell.
        if num_labels(&question.labels) < 2 || num_labels(&question.groups) < 2 {
            crate::terminal::warn(format!(
                "'{}': {} is the same in all rows, or only one plate has them, and is not told",
                path.display(),
                question.name
            ));
            continue;
        }
        for (how, classifier) in [
            (
                "15 nearest neighbours",
                LabelClassifier::nearest_neighbours(),
            ),
            (
                "linear",
                LabelClassifier::quick_probe(seed.split(question.name)),
            ),
        ] {
            let found = predict_labels(
                &values,
                num_features,
                question.name,
                &question.labels,
                &question.groups,
                &classifier,
            )?;
            let name = format!("{} told ({how})", question.name);
            let value = found.balanced_accuracy;
            let score = Score::new(name, &args.score.model, alignment, value, found.truth.len())
                .with_null(found.chance)
                .with_seed(seed)
                .with_setting("labels", found.labels.len())
                .with_setting(
                    "rows",
                    match args.all_rows {
                        true => "all",
                        false => "negative controls",
                    },
                );
            let bootstrap = Bootstrap::new(seed.split("bootstrap"));
            scores.push(match found.interval(&bootstrap) {
                Some(interval) => score.with_interval(interval),
                None => score,
            });
        }
    }
    if scores.is_empty() {
        bail!(
            "'{}': plate, row, column and batch are the same in all rows{}",
            path.display(),
            match args.all_rows {
                true => "",
                false => "\nhint: these are the negative controls; --all-rows takes all",
            }
        );
    }
    Ok(scores)
}

fn rows_of(path: &Path, args: &PositionAuditArgs) -> Result<Profiles> {
    let profiles = crate::commands::read(path)?;
    let columns = [
        args.plate_column.as_str(),
        &args.well_column,
        &args.controls.batch_column,
    ];
    let profiles = match args.all_rows {
        true => profiles,
        false => {
            let rule = crate::commands::control_rule(&args.controls)?;
            let is_control = rule.select(&profiles).context(
                "position is told from negative controls, which have no other reason to differ; \
                 --all-rows takes all rows",
            )?;
            let rows: Vec<usize> = (0..is_control.len())
                .filter(|&row| is_control[row])
                .collect();
            profiles.select_rows(&rows)
        }
    };
    let profiles = crate::commands::labelled_rows(profiles, &columns)
        .context("--plate-column, --well-column and --batch-column say where a row was")?;
    profiles.check_finite()?;
    Ok(profiles)
}

fn questions(profiles: &Profiles, args: &PositionAuditArgs) -> Result<Vec<Question>> {
    let batches = profiles.keys(&args.controls.batch_column)?;
    // Plates are numbered anew in every experiment.
    let plates: Vec<String> = profiles
        .keys(&args.plate_column)?
        .iter()
        .zip(&batches)
        .map(|(plate, batch)| format!("{batch} {plate}"))
        .collect();
    let wells = profiles.keys(&args.well_column)?;
    let addresses = wells
        .iter()
        .enumerate()
        .map(|(row, well)| {
            well.parse::<WellAddress>()
                .with_context(|| profiles.describe_row(row))
        })
        .collect::<Result<Vec<_>>>()?;
    let rows: Vec<String> = (0..profiles.num_rows())
        .map(|row| format!("row {row}"))
        .collect();
    let of = |name, labels: Vec<String>, groups: &[String]| Question {
        name,
        labels,
        groups: groups.to_vec(),
    };
    let names = addresses.iter();
    let mut questions = vec![of("batch", batches, &rows)];
    if args.plate_column != args.controls.batch_column {
        questions.push(of("plate", plates.clone(), &rows));
    }
    questions.extend([
        // Told on other plates: what a plate's own wells share is the plate.
        of(
            "row",
            names.clone().map(|well| well.row_name()).collect(),
            &plates,
        ),
        of(
            "column",
            names
                .map(|well| (well.column_index() + 1).to_string())
                .collect(),
            &plates,
        ),
    ]);
    Ok(questions)
}
