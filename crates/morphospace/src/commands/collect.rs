use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use morphospace::recipe_run::RecipeRun;
use morphospace::result_table::{ResultTable, ScoredRow};
use morphospace_benchmark::Scores;
use morphospace_core::write_atomically;
use morphospace_report::write_page;

use crate::cli::CollectArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn_each;

/// How the tables are written.
#[derive(Clone, Copy)]
enum Format {
    Markdown,
    Csv,
    Json,
    Page,
}

pub(crate) fn run(args: &CollectArgs) -> Result<Outcome, Failure> {
    let format = args.output.as_deref().map(format_of).transpose();
    let format = format.or_refuse()?;
    let tables = tables(args).or_refuse()?;
    let markdown = || -> String {
        let tables = tables.iter().map(ResultTable::to_markdown);
        tables.collect::<Vec<_>>().join("\n")
    };
    let (Some(output), Some(format)) = (&args.output, format) else {
        crate::print_line!("{}", markdown().trim_end());
        return Ok(Outcome::Done);
    };
    let bytes = match format {
        Format::Markdown => markdown().into_bytes(),
        Format::Csv => ResultTable::to_csv(&tables).or_refuse()?,
        Format::Json => serde_json::to_vec_pretty(&tables).or_refuse()?,
        Format::Page => {
            write_page(output, &ResultTable::page(&args.title, &tables)).or_refuse()?;
            crate::print_line!("{}", output.display());
            return Ok(Outcome::Done);
        }
    };
    write_atomically(output, |file| file.write_all(&bytes))
        .with_context(|| format!("cannot write '{}'", output.display()))
        .or_refuse()?;
    crate::print_line!("{}", output.display());
    Ok(Outcome::Done)
}

fn format_of(path: &Path) -> Result<Format> {
    match path.extension().and_then(|end| end.to_str()) {
        Some("md") => Ok(Format::Markdown),
        Some("csv") => Ok(Format::Csv),
        Some("json") => Ok(Format::Json),
        Some("html") => Ok(Format::Page),
        _ => bail!(
            "cannot tell from its name how to write '{}'\nhint: end it in .md, .csv, .json or .html",
            path.display()
        ),
    }
}

/// Of folders that `run` filled, and of files of scores.
fn tables(args: &CollectArgs) -> Result<Vec<ResultTable>> {
    let mut rows: Vec<ScoredRow> = Vec::new();
    let mut folders: Vec<&Path> = Vec::new();
    let mut files = Vec::new();
    for path in &args.runs {
        if path.is_dir() {
            let found = RecipeRun::read(path)?.scored_rows(path)?;
            if found.is_empty() {
                bail!(
                    "the recipe of '{}' has no tables\nhint: give its files of scores",
                    path.display()
                );
            }
            folders.extend(found.iter().map(|_| path.as_path()));
            rows.extend(found);
        } else {
            files.push(Scores::read(path)?.scores);
        }
    }
    name_alike(&mut rows, &folders);
    let mut tables = ResultTable::of_rows(&rows)?;
    let gaps: Vec<String> = tables.iter().flat_map(|table| table.gaps(&rows)).collect();
    warn_each("gaps in the tables", &gaps);
    if !files.is_empty() {
        tables.push(ResultTable::of_scores("Scores", &files));
    }
    let wanted = |table: &ResultTable| args.table.as_ref().is_none_or(|name| table.title == *name);
    let titles: Vec<String> = tables.iter().map(|table| table.title.clone()).collect();
    tables.retain(wanted);
    if tables.is_empty() {
        bail!(
            "there is no table '{}'\nhint: there are {}",
            args.table.as_deref().unwrap_or_default(),
            titles.join("; ")
        );
    }
    Ok(tables)
}

/// Rows of one table and one title are told by the folders they come from.
fn name_alike(rows: &mut [ScoredRow], folders: &[&Path]) {
    let key = |row: &ScoredRow| (row.spec.title.clone(), row.title.clone());
    let keys: Vec<(String, String)> = rows.iter().map(key).collect();
    for (index, row) in rows.iter_mut().enumerate() {
        let is_alike = |other: usize| other != index && keys[other] == keys[index];
        if (0..keys.len()).any(is_alike) {
            row.title = format!("{} ({})", row.title, folders[index].display());
        }
    }
}
