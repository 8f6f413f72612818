use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use morphospace::comparison::{Difference, Named, compare, shared_rows};
use morphospace::evaluation::Evaluation;
use morphospace_benchmark::read_sources;
use morphospace_core::Seed;
use serde::Serialize;

use crate::cli::CompareArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn;

pub(crate) fn run(args: &CompareArgs) -> Result<Outcome, Failure> {
    if let Some(path) = &args.output {
        super::refuse_unwritable(path)?;
    }
    let rows = rows(args).or_refuse()?;
    if args.json {
        crate::print_line!("{}", serde_json::to_string_pretty(&rows).or_stop()?);
    } else {
        print(&rows);
    }
    if let Some(path) = &args.output {
        write(path, &rows).or_stop()?;
    }
    Ok(Outcome::Done)
}

/// A line of the table.
#[derive(Clone, Debug, Serialize)]
struct Row {
    benchmark: String,
    source: Option<String>,
    first: String,
    second: String,
    value_of_first: f64,
    value_of_second: f64,
    difference: f64,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    n: usize,
}

fn rows(args: &CompareArgs) -> Result<Vec<Row>> {
    let names: BTreeSet<&String> = args.profiles.iter().map(|(name, _)| name).collect();
    if names.len() < args.profiles.len() {
        bail!("two tables have the same name\nhint: they are given as NAME=PROFILES");
    }
    let relationships = read_sources(&args.relationships)?;
    let tables = args
        .profiles
        .iter()
        .map(|(model, path)| {
            Ok(Named {
                model: model.clone(),
                profiles: super::read(path)?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    // What is asked for has to be there; without, some scores are left out.
    let asked = [
        ("--entity-column", &args.entity_column, "Metadata_gene"),
        (
            "--batch-column",
            &args.controls.batch_column,
            "Metadata_Batch",
        ),
    ];
    for (flag, column, default) in asked {
        if column != default {
            for table in &tables {
                let text = table.profiles.text(column);
                text.with_context(|| format!("{flag}, in the profiles of '{}'", table.model))?;
            }
        }
    }
    let largest = tables.iter().map(|table| table.profiles.num_rows()).max();
    let columns = row_columns(args, &tables);
    let tables = shared_rows(tables, &columns)?;
    let num_rows = tables[0].profiles.num_rows();
    if largest.is_some_and(|largest| largest > num_rows) {
        warn(format!(
            "rows that all tables have, which are compared: {num_rows}; the largest table has {}",
            largest.unwrap_or_default()
        ));
    }
    let evaluation = Evaluation {
        model: "",
        batch_column: &args.controls.batch_column,
        entity_column: &args.entity_column,
        relationships: &relationships,
        controls: super::control_rule(&args.controls)?,
        seed: Seed::new(args.seed),
    };
    let (differences, left_out) = compare(&tables, &evaluation)?;
    for reason in left_out {
        warn(format!("not compared: {reason}"));
    }
    let first = &args.profiles[0].0;
    let row = |difference: Difference| Row {
        benchmark: difference.benchmark,
        source: difference.source,
        first: first.clone(),
        second: difference.model,
        value_of_first: difference.found.first,
        value_of_second: difference.found.second,
        difference: difference.found.difference,
        ci_low: difference.found.interval.map(|interval| interval.low),
        ci_high: difference.found.interval.map(|interval| interval.high),
        n: difference.found.num_units,
    };
    Ok(differences.into_iter().map(row).collect())
}

/// What tells rows apart, if it is not said.
fn row_columns(args: &CompareArgs, tables: &[Named]) -> Vec<String> {
    if !args.row_columns.is_empty() {
        return args.row_columns.clone();
    }
    let in_all = |column: &&str| tables.iter().all(|table| table.profiles.has_column(column));
    let places = [
        args.controls.batch_column.as_str(),
        "Metadata_Source",
        "Metadata_Plate",
        "Metadata_Well",
        "Metadata_Site",
    ];
    let mut columns: Vec<&str> = places.into_iter().filter(in_all).collect();
    columns.dedup();
    if !columns.contains(&"Metadata_Well") {
        columns = vec![&args.entity_column];
    }
    columns.into_iter().map(str::to_owned).collect()
}

fn print(rows: &[Row]) {
    let first = &rows[0].first;
    let mut lines = vec![[
        "benchmark".to_owned(),
        "model".to_owned(),
        first.clone(),
        "model's".to_owned(),
        "difference".to_owned(),
        "95 % interval".to_owned(),
        "n".to_owned(),
    ]];
    for row in rows {
        let benchmark = match &row.source {
            Some(source) => format!("{}, {source}", row.benchmark),
            None => row.benchmark.clone(),
        };
        lines.push([
            benchmark,
            row.second.clone(),
            format!("{:.4}", row.value_of_first),
            format!("{:.4}", row.value_of_second),
            format!("{:+.4}", row.difference),
            match (row.ci_low, row.ci_high) {
                (Some(low), Some(high)) => format!("{low:+.4} to {high:+.4}"),
                _ => String::new(),
            },
            row.n.to_string(),
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..7).map(|column| width(column).unwrap_or(0)).collect();
    for line in &lines {
        let mut text = String::new();
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            // Text to the left, numbers to the right.
            match column {
                0 | 1 => text.push_str(&format!("{cell:<width$}  ")),
                _ => text.push_str(&format!("{cell:>width$}  ")),
            }
        }
        crate::print_line!("{}", text.trim_end());
    }
}

fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for row in rows {
        table.serialize(row)?;
    }
    super::write_csv(path, table)
}
