use std::path::Path;

use morphospace_screen::simulator::{
    CheckedSimulator, ScreenLayout, SimulatorConfig, SimulatorError, simulate,
};

use crate::cli::{LayoutArg, SimulateArgs};
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::Progress;

pub(crate) fn run(args: &SimulateArgs) -> Result<Outcome, Failure> {
    let layout = args.layout.map(|layout| match layout {
        LayoutArg::Rxrx1 => ScreenLayout::Rxrx1,
        LayoutArg::Rxrx3 => ScreenLayout::Rxrx3,
        LayoutArg::Jump => ScreenLayout::Jump,
    });
    let layout = layout.map(|layout| format!("layout={layout}"));
    let overrides: Vec<String> = layout.into_iter().chain(args.overrides.clone()).collect();
    let config = match &args.config {
        Some(path) => SimulatorConfig::read(path, &overrides),
        None => SimulatorConfig::parse("built-in simulator settings", "", &overrides),
    }
    .or_refuse()?;
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
