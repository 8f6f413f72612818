use std::path::Path;

use morphospace_core::{parse_config, read_config};
use morphospace_screen::simulator::{CheckedSimulator, SimulatorConfig, SimulatorError, simulate};

use crate::cli::SimulateArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::Progress;

pub(crate) fn run(args: &SimulateArgs) -> Result<Outcome, Failure> {
    let config: SimulatorConfig = match &args.config {
        Some(path) => read_config(path, &args.overrides).or_refuse()?,
        None => parse_config("built-in simulator settings", "", &args.overrides).or_refuse()?,
    };
    let checked = config.check().or_refuse()?;
    write(&checked, &args.output)?;
    Ok(Outcome::Done)
}

/// Simulates into a folder under a progress bar.
pub(crate) fn write(simulator: &CheckedSimulator, folder: &Path) -> Result<(), Failure> {
    let num_sites = simulator.wells().len() * simulator.config().num_sites;
    let progress = Progress::new("simulate", "sites", num_sites);
    let screen =
        simulate(simulator, folder, &|done, _| progress.update(done, "")).map_err(|error| {
            match error {
                SimulatorError::CannotWrite { .. } => Failure::Stopped(error.into()),
                _ => Failure::Refused(error.into()),
            }
        })?;
    progress.finish(&format!(
        "{} sites in {} wells on {} plates of {} experiments, {} perturbations, in '{}'",
        screen.num_sites,
        screen.num_wells,
        screen.num_plates,
        screen.num_experiments,
        screen.num_treatments,
        folder.display()
    ));
    Ok(())
}
