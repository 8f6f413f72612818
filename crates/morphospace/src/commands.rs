//! One command per file.

mod aggregate;
mod align;
mod benchmark;
mod demo;
mod doctor;
mod embed;
mod inspect;
mod report;
mod simulate;
mod train;

use std::path::Path;

use anyhow::{Context, Result};
use morphospace_map::ControlRule;
use morphospace_profiles::{Profiles, read_profiles};
use morphospace_screen::{Screen, open_screen};

use crate::cli::{Cli, Command, ControlArgs, ScreenArgs};
use crate::failure::{Failure, Outcome};

pub(crate) fn run(cli: Cli) -> Result<Outcome, Failure> {
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Embed(args) => embed::run(&args),
        Command::Align(args) => align::run(&args),
        Command::Aggregate(args) => aggregate::run(&args),
        Command::Benchmark(command) => benchmark::run(&command),
        Command::Report(args) => report::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    }
}

fn open(args: &ScreenArgs) -> Result<Box<dyn Screen>> {
    Ok(open_screen(&args.screen, args.format.as_ref())?)
}

fn read(path: &Path) -> Result<Profiles> {
    Ok(read_profiles(path)?)
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
