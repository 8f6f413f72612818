use std::path::Path;

use morphospace_core::{Channel, ControlRole, Experiment, SiteKey, suggestion};

use super::{Reagent, shuffled_number};
use crate::simulator::config::{in_range, invalid};
use crate::simulator::write::{header, write_table};
use crate::simulator::{CellType, CheckedSimulator, SimulatorConfig, SimulatorError};

/// The label of wells in which nothing was added.
const EMPTY: &str = "EMPTY";

/// Experiments are named for their cells.
pub(super) fn cell_type(experiment: &Experiment) -> Result<CellType, SimulatorError> {
    let series = experiment.series();
    let cell_type = CellType::ALL
        .into_iter()
        .find(|cells| cells.as_str() == series);
    if let (Some(cell_type), Some(_)) = (cell_type, experiment.number()) {
        return Ok(cell_type);
    }
    let names = CellType::ALL.map(CellType::as_str);
    let near = suggestion(series, names).unwrap_or("HUVEC");
    Err(invalid(
        "experiments",
        format!(
            "'{experiment}' is not <cell type>-<number> with a cell type of {} (nearest: \
             '{near}-01')",
            names.join(", ")
        ),
    ))
}

/// Reagents have no genes of which there could be several.
pub(super) fn check(config: &SimulatorConfig) -> Result<(), SimulatorError> {
    in_range("num_guides", config.num_guides, 1, 1)
}

pub(super) fn sirna(number: usize) -> Reagent {
    Reagent {
        name: format!("s{}", shuffled_number(number)),
        gene: None,
    }
}

pub(super) fn negative_controls() -> Vec<(Reagent, ControlRole)> {
    let empty = Reagent {
        name: EMPTY.to_owned(),
        gene: None,
    };
    vec![(empty, ControlRole::NegativeControl)]
}

/// Below the folder of all experiments.
pub(super) fn image_path(site: &SiteKey, channel: &Channel) -> String {
    format!(
        "{}/Plate{}/{}_s{}_{}.png",
        site.plate.experiment, site.plate.plate, site.well, site.site, channel.name
    )
}

pub(super) fn write_tables(screen: &CheckedSimulator, folder: &Path) -> Result<(), SimulatorError> {
    let mut rows = vec![header(&[
        "site_id",
        "well_id",
        "cell_type",
        "dataset",
        "experiment",
        "plate",
        "well",
        "site",
        "well_type",
        "sirna",
        "sirna_id",
    ])];
    for planned in screen.wells() {
        let perturbation = &screen.perturbations()[planned.perturbation_index];
        for site in 1..=screen.config().num_sites {
            rows.push(vec![
                format!("{}_{site}", planned.well_id()),
                planned.well_id(),
                planned.cell_type.as_str().to_owned(),
                if planned.is_test { "test" } else { "train" }.to_owned(),
                planned.well.plate.experiment.to_string(),
                planned.well.plate.plate.clone(),
                planned.well.address.to_string(),
                site.to_string(),
                perturbation.control_role.to_string(),
                perturbation.name.clone(),
                perturbation.number.to_string(),
            ]);
        }
    }
    write_table(folder, "metadata.csv", rows)
}
