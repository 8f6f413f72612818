//! One command per file.

mod aggregate;
mod align;
mod benchmark;
mod center_arms;
mod channel_importance;
mod collate;
mod collect;
mod compare;
mod convert;
mod curate;
mod demo;
mod doctor;
mod embed;
#[cfg(feature = "buckets")]
mod fetch;
mod figure;
mod hits;
mod illumination;
mod import;
mod inspect;
mod normalise;
mod pack;
mod phenoprints;
mod plan;
mod predict;
mod probe;
mod reconstruct;
mod relate;
mod report;
mod run;
mod simulate;
mod split;
mod submit;
mod train;
mod trim;

use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use morphospace_core::{
    Provenance, check_writable, parse_config, read_config, sha256_of_file, write_atomically,
};
use morphospace_map::ControlRule;
use morphospace_profiles::{Profiles, read_profiles, write_profiles};
use morphospace_screen::split::{Part, read_split};
use morphospace_screen::store::is_url;
use morphospace_screen::{
    CorrectedScreen, Screen, ScreenFormat, SelectedScreen, Selection, choose_channels, open_screen,
    read_curation,
};
use serde::de::DeserializeOwned;

use crate::cli::{Cli, Command, ControlArgs, ScreenArgs, SettingsArgs, TableArgs};
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal;

pub(crate) fn run(cli: Cli) -> Result<Outcome, Failure> {
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        #[cfg(feature = "buckets")]
        Command::Fetch(args) => fetch::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Pack(args) => pack::run(&args),
        Command::Split(args) => split::run(&args),
        Command::Illumination(args) => illumination::run(&args),
        Command::Normalise(args) => normalise::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Reconstruct(args) => reconstruct::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Trim(args) => trim::run(&args),
        Command::Embed(args) => embed::run(&args),
        Command::Submit(args) => submit::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Collate(args) => collate::run(&args),
        Command::Align(args) => align::run(&args),
        Command::CenterArms(args) => center_arms::run(&args),
        Command::Aggregate(args) => aggregate::run(&args),
        Command::Hits(args) => hits::run(&args),
        Command::Benchmark(command) => benchmark::run(&command),
        Command::Compare(args) => compare::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Phenoprints(args) => phenoprints::run(&args),
        Command::Curate(args) => curate::run(&args),
        Command::Relate(args) => relate::run(&args),
        Command::ChannelImportance(args) => channel_importance::run(&args),
        Command::Figure(command) => figure::run(&command),
        Command::Report(args) => report::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Collect(args) => collect::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    }
}

fn open(args: &ScreenArgs) -> Result<Box<dyn Screen>> {
    match (&args.split, args.part) {
        (Some(split), Some(part)) => part_of(args, split, part),
        (Some(_), None) => anyhow::bail!(
            "--split needs --part\nhint: give --part train, --part validation or --part test"
        ),
        _ => select(open_whole(args)?, args, None),
    }
}

/// Whatever part of a split is asked for, and whatever was curated away.
fn open_whole(args: &ScreenArgs) -> Result<Box<dyn Screen>> {
    let screen = open_screen(&args.screen, args.format.as_ref())?;
    let screen = match &args.illumination {
        Some(source) => Box::new(CorrectedScreen::new(screen, source.clone())?),
        None => screen,
    };
    let channels = match &args.channels[..] {
        [] => None,
        choices => Some(choose_channels(screen.channels(), choices)?),
    };
    let selection = Selection {
        z: args.z,
        timepoint: args.timepoint,
        channels,
        sites: None,
        sites_by: None,
    };
    let screen: Box<dyn Screen> = match selection.is_all() {
        true => screen,
        false => Box::new(SelectedScreen::new(screen, &selection)?),
    };
    Ok(screen)
}

/// The sites of one part of a split, without those that were curated away.
fn part_of(args: &ScreenArgs, split: &Path, part: Part) -> Result<Box<dyn Screen>> {
    let screen = open_whole(args)?;
    let sites = sites_of_part(&*screen, split, part)?;
    select(screen, args, Some((sites, split, part)))
}

/// Some sites, of those that curation keeps.
fn select(
    screen: Box<dyn Screen>,
    args: &ScreenArgs,
    of_part: Option<(Vec<usize>, &Path, Part)>,
) -> Result<Box<dyn Screen>> {
    // Not by its path: a pack that goes on compares what is said of its screen.
    let mut sites_by = Vec::new();
    let mut sites: Option<Vec<usize>> = None;
    if let Some((of_part, split, part)) = of_part {
        let sha256 = sha256_of_file(split)?;
        sites_by.push(format!("part {part} of the split of SHA-256 {sha256}"));
        sites = Some(of_part);
    }
    if let Some(path) = &args.curated {
        let kept: HashSet<usize> = read_curation(path)?
            .kept(screen.sites())?
            .into_iter()
            .collect();
        let sha256 = sha256_of_file(path)?;
        sites_by.push(format!("kept by the curation of SHA-256 {sha256}"));
        let mut of_both = sites.unwrap_or_else(|| (0..screen.sites().len()).collect());
        of_both.retain(|site| kept.contains(site));
        if of_both.is_empty() {
            bail!(
                "'{}' keeps no site{}",
                path.display(),
                match args.split {
                    Some(_) => " of this part of the split",
                    None => "",
                }
            );
        }
        sites = Some(of_both);
    }
    if sites.is_none() {
        return Ok(screen);
    }
    let selection = Selection {
        sites,
        sites_by: Some(sites_by.join(", ")),
        ..Selection::default()
    };
    Ok(Box::new(SelectedScreen::new(screen, &selection)?))
}

fn sites_of_part(screen: &dyn Screen, path: &Path, part: Part) -> Result<Vec<usize>> {
    let split = read_split(path)?;
    let named = |what: &str| format!("split '{}' {what}", path.display());
    let parts = split.parts(screen.sites()).with_context(|| {
        named("is not of this screen (a pack of one part holds no other, and needs no split)")
    })?;
    if split.was_made_of(screen.sites()) == Some(false) {
        let settings = split.provenance.as_ref().map(|made| &made.settings);
        let scheme = settings.and_then(|settings| settings.get("scheme"));
        let scheme = scheme.map_or_else(String::new, |name| format!(" (its scheme is '{name}')"));
        terminal::warn(format!(
            "{}\nhint: if labels or sites matter to it, make it again with `morphospace split`{scheme}",
            named("was made when the screen had other sites or labels")
        ));
    }
    let sites: Vec<usize> = (0..parts.len())
        .filter(|&site| parts[site] == Some(part))
        .collect();
    if sites.is_empty() {
        let there: Vec<&str> = Part::ALL
            .into_iter()
            .filter(|part| parts.contains(&Some(*part)))
            .map(Part::as_str)
            .collect();
        bail!(
            "{}\nhint: it has {}",
            named(&format!("has no site in part '{part}'")),
            there.join(" and ")
        );
    }
    Ok(sites)
}

/// Adds where the screen lies, the file that describes it, the split and the part
/// of it that are looked at, and what was curated away.
fn with_screen(provenance: Provenance, args: &ScreenArgs) -> Result<Provenance> {
    let provenance = provenance.with_setting("screen", args.screen.display());
    let provenance = match &args.format {
        Some(ScreenFormat::Described(path)) => provenance.with_input(path)?,
        _ => provenance,
    };
    let provenance = match &args.split {
        Some(path) => provenance.with_input(path)?,
        None => provenance,
    };
    let provenance = match &args.curated {
        Some(path) => provenance.with_input(path)?,
        None => provenance,
    };
    Ok(match args.part {
        Some(part) => provenance.with_setting("part", part),
        None => provenance,
    })
}

/// For commands to which corrected images mean nothing; `why`.
fn refuse_illumination(args: &ScreenArgs, why: &str) -> Result<(), Failure> {
    match &args.illumination {
        None => Ok(()),
        Some(source) => Err(Failure::Refused(anyhow::anyhow!(
            "--illumination {source} makes no sense here: {why}\nhint: leave it out"
        ))),
    }
}

/// Channels or stains, one after the other.
fn listed(items: &[impl ToString]) -> String {
    let names: Vec<String> = items.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn read(path: &Path) -> Result<Profiles> {
    Ok(read_profiles(path)?)
}

/// A table nobody can write is refused before hours of work.
fn refuse_unwritable_table(path: &Path) -> Result<(), Failure> {
    if path.to_str().is_some_and(is_url) {
        return Err(Failure::Refused(anyhow::anyhow!(
            "'{}': tables are written to disk\nhint: `embed` fills folders in buckets; copy tables \
             there with the bucket's own program",
            path.display()
        )));
    }
    if !is_table(path) {
        return Err(Failure::Refused(anyhow::anyhow!(
            "'{}' is no table that can be written; endings: {}",
            path.display(),
            TABLE_ENDINGS.join(", ")
        )));
    }
    let is_h5ad = path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("h5ad"));
    if is_h5ad && !cfg!(feature = "h5ad") {
        return Err(Failure::Refused(anyhow::anyhow!(
            "'{}' needs a build with --features h5ad\nhint: AnnData as .zarr needs none",
            path.display()
        )));
    }
    refuse_unwritable(path)
}

const TABLE_ENDINGS: [&str; 9] = [
    ".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".gct", ".gct.gz", ".zarr", ".h5ad",
];

/// Whether a name is that of a table.
fn is_table(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let name = name.to_string_lossy().to_lowercase();
    TABLE_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// A table is not written over the one that it is made of.
fn refuse_own_input(input: &Path, output: &Path) -> Result<(), Failure> {
    let same = |input: &Path, output: &Path| -> Option<bool> {
        Some(input.canonicalize().ok()? == output.canonicalize().ok()?)
    };
    match same(input, output) {
        Some(true) => Err(Failure::Refused(anyhow::anyhow!(
            "'{}' is what is read, and would be replaced\nhint: give another --output",
            output.display()
        ))),
        _ => Ok(()),
    }
}

/// Settings from their file, with what the command line says over them.
fn settings<T: DeserializeOwned>(args: &SettingsArgs) -> Result<T> {
    Ok(match &args.settings {
        Some(path) => read_config(path, &args.set)?,
        None => parse_config("--set", "", &args.set)?,
    })
}

/// Likewise for what is written as Parquet only; `what` it is, with an
/// article.
fn refuse_unwritable_parquet(what: &str, path: &Path) -> Result<(), Failure> {
    if path.extension().is_none_or(|ending| ending != "parquet") {
        return Err(Failure::Refused(anyhow::anyhow!(
            "'{}' does not end in .parquet\nhint: {what} is written as Parquet, e.g. '{}'",
            path.display(),
            path.with_extension("parquet").display()
        )));
    }
    refuse_unwritable(path)
}

/// Writes a table under the names asked for and prints where it lies.
fn write_table(args: &TableArgs, profiles: Profiles) -> Result<(), Failure> {
    write_profiles(&args.output, &profiles.to_schema(args.schema.into())).or_stop()?;
    crate::print_line!("{}", args.output.display());
    Ok(())
}

/// Writes a table of text whole or not at all.
fn write_csv(path: &Path, table: csv::Writer<Vec<u8>>) -> Result<()> {
    let bytes = table.into_inner().context("a table of text")?;
    write_atomically(path, |file| file.write_all(&bytes))
        .with_context(|| format!("cannot write '{}'", path.display()))
}

/// A file nobody can write is refused before the work that it is to hold.
fn refuse_unwritable(path: &Path) -> Result<(), Failure> {
    check_writable(path)
        .with_context(|| {
            format!(
                "cannot write '{}'\nhint: name a file in a folder that you may write to",
                path.display()
            )
        })
        .or_refuse()
}

/// The rows that have a value in every one of the columns; how many have not
/// is said. Wells whose treatment is not known belong to no group.
fn labelled_rows(profiles: Profiles, columns: &[&str]) -> Result<Profiles> {
    Ok(labelled_or(profiles, columns, |_| false)?.0)
}

/// [`labelled_rows`], and those that are needed without; and which rows these are.
fn labelled_or(
    profiles: Profiles,
    columns: &[&str],
    is_needed: impl Fn(usize) -> bool,
) -> Result<(Profiles, Vec<usize>)> {
    let mut is_kept = vec![true; profiles.num_rows()];
    for column in columns {
        for (kept, value) in is_kept.iter_mut().zip(profiles.text(column)?) {
            *kept &= value.is_some();
        }
    }
    for (row, kept) in is_kept.iter_mut().enumerate() {
        *kept |= is_needed(row);
    }
    let kept: Vec<usize> = (0..is_kept.len()).filter(|row| is_kept[*row]).collect();
    let num_left_out = is_kept.len() - kept.len();
    if num_left_out == 0 {
        return Ok((profiles, kept));
    }
    let mut named: Vec<&str> = Vec::new();
    for column in columns {
        if !named.contains(column) {
            named.push(column);
        }
    }
    terminal::warn(format!(
        "rows without a value in {}, left out: {num_left_out}",
        named.join(" or ")
    ));
    Ok((profiles.select_rows(&kept), kept))
}

/// A column of batches or groups that all rows agree in tells nothing apart.
fn refuse_single_value(profiles: &Profiles, column: &str, flag: &str, apart: &str) -> Result<()> {
    let values = profiles.text(column)?;
    let mut values = values.iter().flatten();
    let first = values.next();
    match values.any(|value| Some(value) != first) {
        true => Ok(()),
        false => bail!(
            "column '{column}' holds a single value: there are no {apart} to compare\nhint: give \
             the column that tells them apart with {flag}"
        ),
    }
}

fn control_rule(args: &ControlArgs) -> Result<ControlRule> {
    rows_with("--controls", &args.controls)
}

/// The rows that `COLUMN=VALUE[,VALUE]` means.
fn rows_with(flag: &str, text: &str) -> Result<ControlRule> {
    let (column, values) = text.split_once('=').with_context(|| {
        format!(
            "{flag} '{text}' is not of the form COLUMN=VALUE[,VALUE], e.g. \
             Metadata_pert_type=negcon"
        )
    })?;
    Ok(ControlRule::new(column, values.split(',')))
}

/// The rows that none of the texts names.
fn without_rows(profiles: Profiles, excluded: &[String]) -> Result<Profiles> {
    let mut is_kept = vec![true; profiles.num_rows()];
    for text in excluded {
        let rule = rows_with("--exclude", text)?;
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
