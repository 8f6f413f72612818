mod gallery;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};
use morphospace_core::suggestion;
use morphospace_embed::{EmbeddingFolder, PlateRecord};
use morphospace_profiles::ProfilesWriter;

use crate::cli::{CollateArgs, CollateLayoutArg};
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::{warn, warn_each};

pub(crate) fn run(args: &CollateArgs) -> Result<Outcome, Failure> {
    if args.layout == CollateLayoutArg::Gallery {
        let folder = EmbeddingFolder::open(&args.folder).or_refuse()?;
        return gallery::write(args, &folder);
    }
    super::refuse_unwritable_table(&args.table.output)?;
    let folder = EmbeddingFolder::open(&args.folder).or_refuse()?;
    refuse_absent_level(args, &folder).or_refuse()?;
    let representation = representation(args, &folder).or_refuse()?;
    refuse_inside(&args.table.output, &folder.location()).or_refuse()?;
    let plates = PlatesOf::folder(&folder).or_refuse()?;
    let mut writer = ProfilesWriter::begin(&args.table.output).or_refuse()?;
    let mut num_rows = 0;
    for record in &plates.done {
        let table = folder
            .read_table(record, args.level, &representation)
            .or_stop()?;
        num_rows += table.num_rows();
        let table = table.to_schema(args.table.schema.into());
        writer.append(&table).or_stop()?;
    }
    writer.finish().or_stop()?;
    crate::say!(
        "  collate: {num_rows} {} of {} plates",
        args.level.as_str(),
        plates.done.len()
    );
    crate::print_line!("{}", args.table.output.display());
    Ok(Outcome::with_failures(!plates.warn_if_incomplete()))
}

/// A folder's tables are not written over.
fn refuse_inside(output: &Path, folder: &Path) -> Result<()> {
    let parent = output
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).canonicalize();
    if let (Ok(parent), Ok(folder)) = (parent, folder.canonicalize())
        && parent.starts_with(&folder)
    {
        bail!(
            "'{}' lies in the folder that is read\nhint: write the table somewhere else",
            output.display()
        );
    }
    Ok(())
}

/// The plates of a folder of embeddings.
pub(super) struct PlatesOf {
    /// Those with tables.
    pub(super) done: Vec<PlateRecord>,
    failed: Vec<String>,
    /// Those whose tables could not be made anew when something had changed.
    stale: Vec<String>,
    missing: Vec<String>,
    /// Those that the screen does not have.
    foreign: Vec<String>,
    /// Whether a process has come to its end and told what the screen has.
    is_told: bool,
}

impl PlatesOf {
    pub(super) fn folder(folder: &EmbeddingFolder) -> Result<Self> {
        let records = folder.records()?;
        let manifest = folder.manifest();
        let of_screen: Option<BTreeSet<String>> =
            manifest.map(|manifest| manifest.plates.into_iter().collect());
        let is_of_screen = |record: &PlateRecord| {
            let name = record.key().to_string();
            of_screen
                .as_ref()
                .is_none_or(|plates| plates.contains(&name))
        };
        let mut plates = Self {
            done: Vec::new(),
            failed: Vec::new(),
            stale: Vec::new(),
            missing: Vec::new(),
            foreign: Vec::new(),
            is_told: of_screen.is_some(),
        };
        let mut seen = BTreeSet::new();
        for record in records {
            let name = record.key().to_string();
            seen.insert(name.clone());
            match &record.failure {
                _ if !is_of_screen(&record) => plates.foreign.push(name),
                Some(failure) => plates.failed.push(format!("{name}: {failure}")),
                None => {
                    if let Some(why) = &record.later_failure {
                        plates.stale.push(format!("{name}: {why}"));
                    }
                    plates.done.push(record);
                }
            }
        }
        let of_screen = of_screen.unwrap_or_default();
        plates.missing = of_screen.difference(&seen).cloned().collect();
        if plates.done.is_empty() {
            bail!(
                "'{}' has no plate that is done\nhint: `embed` fills it",
                folder.location().display()
            );
        }
        Ok(plates)
    }

    /// Says what the tables lack; whether they lack nothing.
    pub(super) fn warn_if_incomplete(&self) -> bool {
        warn_each("plates without a table", &self.failed);
        warn_each(
            "plates that could not be embedded anew, with the tables of before",
            &self.stale,
        );
        warn_each("plates that are not embedded yet", &self.missing);
        warn_each(
            "plates that the screen does not have, left out",
            &self.foreign,
        );
        if !self.is_told {
            warn(
                "no `embed` into this folder has come to its end: plates may be missing\nhint: run \
                 it again, it goes on where it was",
            );
        }
        self.is_told
            && [&self.failed, &self.stale, &self.missing, &self.foreign]
                .iter()
                .all(|of| of.is_empty())
    }
}

/// `block-7` as folders are called: `block-07`.
fn with_two_digits(name: &str) -> String {
    let number = name.strip_prefix("block-").unwrap_or_default();
    let (block, rest) = number.split_once('-').unwrap_or((number, ""));
    match block.parse::<u32>() {
        Ok(block) if rest.is_empty() => format!("block-{block:02}"),
        Ok(block) => format!("block-{block:02}-{rest}"),
        Err(_) => name.to_owned(),
    }
}

fn refuse_absent_level(args: &CollateArgs, folder: &EmbeddingFolder) -> Result<()> {
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
    Ok(())
}

/// The one that is asked for, if it is there.
fn representation(args: &CollateArgs, folder: &EmbeddingFolder) -> Result<String> {
    let settings = folder.settings();
    let there = &settings.representations;
    let wanted = match (&args.representation, &there[..]) {
        (Some(name), _) => with_two_digits(name),
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
