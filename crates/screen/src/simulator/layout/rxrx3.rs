use std::path::Path;

use morphospace_core::{ControlRole, Experiment};

use super::Reagent;
use crate::readers::rxrx3::{GUIDE_CONTROL, POSITIVE_CONTROLS, UNTREATED};
use crate::simulator::config::{in_range, invalid};
use crate::simulator::write::{header, write_table};
use crate::simulator::{
    CheckedSimulator, MicroscopeConfig, ScreenLayout, SimulatorConfig, SimulatorError,
};

/// Most guides of a gene in RxRx3.
const MAX_GUIDES: usize = 6;

/// Images and plates of RxRx3's size, few of them. Its pixels are half as
/// large as RxRx1's.
pub(super) fn preset() -> SimulatorConfig {
    SimulatorConfig {
        layout: ScreenLayout::Rxrx3,
        experiments: vec!["gene-001".to_owned(), "gene-002".to_owned()],
        num_plates: 1,
        num_rows: 32,
        num_columns: 48,
        num_sites: 1,
        image_px: 2048,
        magnification: 2.0,
        num_guides: 2,
        num_replicates: 1,
        num_negative_controls: 32,
        num_positive_controls: 16,
        microscope: MicroscopeConfig {
            blur_px: 1.8,
            ..MicroscopeConfig::default()
        },
        ..SimulatorConfig::default()
    }
}

pub(super) fn check_experiment(experiment: &Experiment) -> Result<(), SimulatorError> {
    if experiment.series() == "gene" && experiment.number().is_some() {
        return Ok(());
    }
    Err(invalid(
        "experiments",
        format!("'{experiment}' is not gene-<number>, as 'gene-001'"),
    ))
}

pub(super) fn check(config: &SimulatorConfig) -> Result<(), SimulatorError> {
    in_range("num_sites", config.num_sites, 1, 1)?;
    in_range("num_guides", config.num_guides, 1, MAX_GUIDES)?;
    let num_controls = positive_controls().len();
    in_range(
        "num_positive_controls",
        config.num_positive_controls,
        0,
        num_controls,
    )
}

pub(super) fn guide(gene: &str, guide_index: usize) -> Reagent {
    Reagent {
        name: format!("{gene}_guide_{}", guide_index + 1),
        gene: Some(gene.to_owned()),
    }
}

/// RxRx3's own: the first guide of each gene, then the second ones, ...
pub(super) fn positive_controls() -> Vec<(Reagent, usize)> {
    let mut controls = Vec::new();
    for guide_index in 0..MAX_GUIDES {
        for (effect, (gene, num_guides)) in POSITIVE_CONTROLS.iter().enumerate() {
            if guide_index < *num_guides as usize {
                controls.push((guide(gene, guide_index), effect));
            }
        }
    }
    controls
}

pub(super) fn negative_controls() -> Vec<(Reagent, ControlRole)> {
    [
        (UNTREATED, ControlRole::Untreated),
        (GUIDE_CONTROL, ControlRole::NegativeControl),
    ]
    .map(|(name, role)| {
        let reagent = Reagent {
            name: name.to_owned(),
            gene: Some(name.to_owned()),
        };
        (reagent, role)
    })
    .into()
}

pub(super) fn write_tables(screen: &CheckedSimulator, folder: &Path) -> Result<(), SimulatorError> {
    let mut rows = vec![header(&[
        "well_id",
        "experiment_name",
        "plate",
        "address",
        "gene",
        "treatment",
        "SMILES",
        "concentration",
        "perturbation_type",
        "cell_type",
    ])];
    for planned in screen.wells() {
        let perturbation = &screen.perturbations()[planned.perturbation_index];
        rows.push(vec![
            planned.well_id(),
            planned.well.plate.experiment.to_string(),
            planned.well.plate.plate.clone(),
            planned.well.address.to_string(),
            perturbation.gene.clone().unwrap_or_default(),
            perturbation.name.clone(),
            String::new(),
            String::new(),
            "CRISPR".to_owned(),
            planned.cell_type.as_str().to_owned(),
        ]);
    }
    write_table(folder, "metadata_rxrx3.csv", rows)
}
