use anyhow::{Context, Result, bail};
use morphospace_core::suggestion;
use morphospace_embed::{EmbeddingFolder, Level, PlateRecord};
use morphospace_profiles::{ProfilesWriter, read_profiles};

use crate::cli::CollateArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn_each;

pub(crate) fn run(args: &CollateArgs) -> Result<Outcome, Failure> {
    super::refuse_unwritable_table(&args.table.output)?;
    let folder = EmbeddingFolder::open(&args.folder).or_refuse()?;
    let representation = representation(args, &folder).or_refuse()?;
    let records = folder.records().or_refuse()?;
    let done = || records.iter().filter(|record| record.failure.is_none());
    if done().next().is_none() {
        return Err(Failure::Refused(anyhow::anyhow!(
            "'{}' has no plate that is done\nhint: `embed` fills it",
            args.folder.display()
        )));
    }
    let mut writer = ProfilesWriter::begin(&args.table.output).or_refuse()?;
    let mut num_rows = 0;
    for record in done() {
        let path = path_of(record, args.level, &representation).or_stop()?;
        let table = read_profiles(&folder.root().join(path)).or_stop()?;
        num_rows += table.num_rows();
        let table = table.to_schema(args.table.schema.into());
        writer.append(&table).or_stop()?;
    }
    writer.finish().or_stop()?;
    let failed: Vec<String> = records
        .iter()
        .filter_map(|record| {
            let failure = record.failure.as_deref()?;
            Some(format!("{}: {failure}", record.key()))
        })
        .collect();
    eprintln!(
        "  collate: {num_rows} {} of {} plates",
        args.level.as_str(),
        done().count()
    );
    warn_each("plates without a table", &failed);
    let missing = missing(&folder).or_stop()?;
    warn_each("plates that are not embedded yet", &missing);
    crate::print_line!("{}", args.table.output.display());
    Ok(Outcome::with_failures(
        !(failed.is_empty() && missing.is_empty()),
    ))
}

/// The one that is asked for, if it is there.
fn representation(args: &CollateArgs, folder: &EmbeddingFolder) -> Result<String> {
    let settings = folder.settings();
    if !settings.levels.contains(&args.level) {
        let levels: Vec<&str> = settings.levels.iter().map(|level| level.as_str()).collect();
        bail!(
            "'{}' holds no {}\nhint: it holds {}",
            args.folder.display(),
            args.level.as_str(),
            levels.join(", ")
        );
    }
    let there = &settings.representations;
    let wanted = match (&args.representation, &there[..]) {
        (Some(name), _) => name.clone(),
        (None, [only]) => only.clone(),
        (None, _) => "output".to_owned(),
    };
    if !there.contains(&wanted) {
        let near = suggestion(&wanted, there.iter().map(String::as_str));
        let near = near.map_or(String::new(), |near| format!("did you mean '{near}'? "));
        bail!(
            "'{}' holds no '{wanted}'\nhint: {near}--representation takes one of {}",
            args.folder.display(),
            there.join(", ")
        );
    }
    Ok(wanted)
}

fn path_of<'a>(record: &'a PlateRecord, level: Level, representation: &str) -> Result<&'a str> {
    let mut tables = record.tables.iter();
    let table = tables.find(|table| table.level == level && table.representation == representation);
    let table = table.with_context(|| {
        format!(
            "plate {} has no table of {} and '{representation}'",
            record.key(),
            level.as_str()
        )
    })?;
    Ok(&table.path)
}

/// Plates that the manifest misses.
fn missing(folder: &EmbeddingFolder) -> Result<Vec<String>> {
    Ok(folder
        .manifest()?
        .map_or(Vec::new(), |manifest| manifest.missing))
}
