//! Two sets of profiles of the same wells, score by score.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use morphospace_benchmark::{
    Bootstrap, EntityMap, HitSettings, LabelClassifier, LabelPrediction, PairedDifference,
    RecallOptions, ReplicateConsistency, ReplicateNull, compare_recall,
    compare_replicate_consistency, find_hits, paired_difference, predict_column,
    replicate_consistency,
};
use morphospace_core::Seed;
use morphospace_profiles::Profiles;

use crate::evaluation::{
    BATCH_NEIGHBOURS, Evaluation, REPLICATES, RecallSettings, all_pairs, recall_name,
};

/// Name of the score for how well the wells of a perturbation find each other among
/// the controls.
pub const ACTIVITY: &str = "activity (mean average precision, normalised)";

/// Profiles and what made them.
#[derive(Clone, Debug)]
pub struct Named {
    /// What made them.
    pub model: String,
    /// One row for each well, or for each entity.
    pub profiles: Profiles,
}

/// How much a score changes from the first profiles to others.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The score.
    pub benchmark: String,
    /// The annotation source, if the score has one.
    pub source: Option<String>,
    /// Whose score was the second.
    pub model: String,
    /// Both values, and how sure their difference is.
    pub found: PairedDifference,
}

/// Keeps the rows that all tables have, in the same order. Rows are the same if they
/// agree in some columns.
///
/// # Errors
/// A column is missing, a table has two rows of one name, or the tables share none.
pub fn shared_rows(tables: Vec<Named>, columns: &[String]) -> Result<Vec<Named>> {
    let mut rows_of_tables = Vec::new();
    for table in &tables {
        let keys = columns
            .iter()
            .map(|column| table.profiles.keys(column))
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| {
                format!(
                    "the profiles of '{}'; --row-columns says what tells rows apart",
                    table.model
                )
            })?;
        let mut rows: BTreeMap<Vec<&String>, usize> = BTreeMap::new();
        for row in 0..table.profiles.num_rows() {
            let key: Vec<&String> = keys.iter().map(|column| &column[row]).collect();
            if rows.insert(key, row).is_some() {
                bail!(
                    "the profiles of '{}' have two rows that agree in {}: the second is {}\nhint: \
                     name the columns that tell rows apart with --row-columns, or `aggregate` first",
                    table.model,
                    columns.join(", "),
                    table.profiles.describe_row(row)
                );
            }
        }
        let rows: BTreeMap<Vec<String>, usize> = rows
            .into_iter()
            .map(|(key, row)| (key.into_iter().cloned().collect(), row))
            .collect();
        rows_of_tables.push(rows);
    }
    let shared: Vec<&Vec<String>> = rows_of_tables[0]
        .keys()
        .filter(|key| rows_of_tables.iter().all(|rows| rows.contains_key(*key)))
        .collect();
    if shared.is_empty() {
        let first = |rows: &BTreeMap<Vec<String>, usize>| {
            rows.keys()
                .next()
                .map_or_else(String::new, |key| key.join(" "))
        };
        bail!(
            "the tables share no row, as told by {}\nhint: the first of '{}' is {}, of '{}' {}",
            columns.join(", "),
            tables[0].model,
            first(&rows_of_tables[0]),
            tables[1].model,
            first(&rows_of_tables[1])
        );
    }
    Ok(tables
        .iter()
        .zip(&rows_of_tables)
        .map(|(table, rows_of)| {
            let rows: Vec<usize> = shared.iter().map(|key| rows_of[*key]).collect();
            Named {
                model: table.model.clone(),
                profiles: table.profiles.select_rows(&rows),
            }
        })
        .collect())
}

/// Every score that the columns allow, of each table against the first: recall of
/// known relationships, agreement of replicates, activity, how well the batch is
/// told. The tables hold the same rows ([`shared_rows`]).
///
/// What could not be compared is told by the second result: the score and why.
///
/// # Errors
/// Nothing can be compared.
pub fn compare(
    tables: &[Named],
    evaluation: &Evaluation<'_>,
) -> Result<(Vec<Difference>, Vec<String>)> {
    let mut differences = Vec::new();
    let mut left_out = Vec::new();
    let mut add = |what: &str, found: Result<Vec<Difference>>| match found {
        Ok(found) => differences.extend(found),
        Err(error) => left_out.push(format!("{what}: {error:#}")),
    };
    let seed = evaluation.seed.split("comparison");
    if !evaluation.relationships.is_empty() {
        add("relationship recall", recall(tables, evaluation, seed));
    }
    add(REPLICATES, replicates(tables, evaluation, seed));
    add(ACTIVITY, activity(tables, evaluation, seed));
    add(BATCH_NEIGHBOURS, batch(tables, evaluation, seed));
    if differences.is_empty() {
        bail!("nothing can be compared: {}", left_out.join("; "));
    }
    Ok((differences, left_out))
}

fn bootstrap(seed: Seed, name: &str) -> Bootstrap {
    Bootstrap::new(seed.split(name))
}

fn recall(tables: &[Named], evaluation: &Evaluation<'_>, seed: Seed) -> Result<Vec<Difference>> {
    let options = RecallOptions {
        thresholds: RecallSettings::default().thresholds,
        false_positive_rate: None,
        ..RecallOptions::default()
    };
    let maps = tables
        .iter()
        .map(|table| {
            let map = evaluation.entity_map(&table.profiles)?;
            Ok(EntityMap::from_profiles(&map, evaluation.entity_column)?)
        })
        .collect::<Result<Vec<_>>>()?;
    let bootstrap = bootstrap(seed, "relationship recall");
    let mut differences = Vec::new();
    for (table, map) in tables.iter().zip(&maps).skip(1) {
        let sources = evaluation.relationships;
        for found in compare_recall(&maps[0], map, sources, &options, &bootstrap)? {
            let (low, high) = found.thresholds;
            differences.push(Difference {
                benchmark: recall_name(low, high),
                source: Some(found.source),
                model: table.model.clone(),
                found: PairedDifference {
                    first: found.first,
                    second: found.second,
                    difference: found.difference,
                    interval: found.interval,
                    num_units: found.num_entities,
                },
            });
        }
    }
    if differences.is_empty() {
        bail!("no known relationship has both its ends in the maps");
    }
    Ok(differences)
}

/// Compares what is found of each table with what is found of the first.
fn with_first<T>(
    tables: &[Named],
    benchmark: &str,
    of: impl Fn(&Named) -> Result<T>,
    compare: impl Fn(&T, &T) -> Result<PairedDifference>,
) -> Result<Vec<Difference>> {
    let first = of(&tables[0])?;
    tables[1..]
        .iter()
        .map(|table| {
            Ok(Difference {
                benchmark: benchmark.to_owned(),
                source: None,
                model: table.model.clone(),
                found: compare(&first, &of(table)?)?,
            })
        })
        .collect()
}

fn replicates(
    tables: &[Named],
    evaluation: &Evaluation<'_>,
    seed: Seed,
) -> Result<Vec<Difference>> {
    let bootstrap = bootstrap(seed, REPLICATES);
    let null = ReplicateNull::Drawn(seed.split("null"));
    let of = |table: &Named| -> Result<ReplicateConsistency> {
        let wells = evaluation.replicate_wells(&table.profiles)?;
        let pairs = all_pairs(&table.profiles.keys(evaluation.batch_column)?);
        Ok(replicate_consistency(&wells, &pairs, &null)?)
    };
    with_first(tables, REPLICATES, of, |first, second| {
        Ok(compare_replicate_consistency(first, second, &bootstrap)?)
    })
}

fn activity(tables: &[Named], evaluation: &Evaluation<'_>, seed: Seed) -> Result<Vec<Difference>> {
    let bootstrap = bootstrap(seed, ACTIVITY);
    let of = |table: &Named| -> Result<BTreeMap<String, f64>> {
        let is_control = evaluation.controls.select(&table.profiles)?;
        let names = table.profiles.text(evaluation.entity_column)?;
        let rows: Vec<usize> = (0..is_control.len())
            .filter(|&row| is_control[row] || names[row].is_some())
            .collect();
        let perturbations: Vec<Option<String>> = rows
            .iter()
            .map(|&row| names[row].clone().filter(|_| !is_control[row]))
            .collect();
        let profiles = table.profiles.select_rows(&rows);
        profiles.check_finite()?;
        // p-values are not asked for.
        let settings = HitSettings {
            num_draws: 100,
            ..HitSettings::new(seed.split("hits"))
        };
        let hits = find_hits(
            &profiles.values(),
            profiles.num_features(),
            &perturbations,
            None,
            &settings,
        )?;
        Ok(hits
            .into_iter()
            .filter(|hit| !hit.normalised_precision.is_nan())
            .map(|hit| (hit.perturbation, hit.normalised_precision))
            .collect())
    };
    with_first(tables, ACTIVITY, of, |first, second| {
        Ok(paired_difference(first, second, &bootstrap)?)
    })
}

fn batch(tables: &[Named], evaluation: &Evaluation<'_>, seed: Seed) -> Result<Vec<Difference>> {
    let bootstrap = bootstrap(seed, BATCH_NEIGHBOURS);
    let classifier = LabelClassifier::nearest_neighbours();
    let of = |table: &Named| -> Result<LabelPrediction> {
        Ok(predict_column(
            &table.profiles,
            evaluation.batch_column,
            &classifier,
        )?)
    };
    with_first(tables, BATCH_NEIGHBOURS, of, |first, second| {
        Ok(first.compare(second, &bootstrap)?)
    })
}
