//! The tables of RxRx1 as the Kaggle competition of 2019 handed them out: a
//! row per well, reagents by number, those of the test set withheld.

use std::collections::HashMap;

use morphospace_core::{ControlRole, Perturbation, PlateKey, Site, SiteKey, Well};

use super::rxrx1::UNTREATED_CLASS;
use crate::ScreenError;
use crate::site_list::{Wells, sorted_unique};
use crate::store::SharedStore;
use crate::table::{Table, without_zero_fraction};

/// Each with whether its wells are controls.
const TABLES: [(&str, bool); 4] = [
    ("train.csv", false),
    ("test.csv", false),
    ("train_controls.csv", true),
    ("test_controls.csv", true),
];

/// Kaggle's number of each reagent, and its official name.
const ID_MAP: &str = "sirna_id_map.csv";

/// Every well of RxRx1 was imaged at two sites.
const SITES: [u32; 2] = [1, 2];

pub(super) fn is_kaggle(store: &SharedStore) -> bool {
    TABLES.iter().any(|(name, _)| store.is_present(name))
}

pub(super) fn read_sites(store: &SharedStore) -> Result<Vec<Site>, ScreenError> {
    let names = read_id_map(store)?;
    let mut wells = Wells::default();
    let mut sites = Vec::new();
    for (name, is_control) in TABLES {
        if !store.is_present(name) {
            continue;
        }
        let table = Table::read(store, name, None, &[])?;
        let experiment = table.column("experiment")?;
        let plate = table.column("plate")?;
        let well = table.column("well")?;
        let sirna = table.optional_column("sirna")?;
        let well_type = is_control.then(|| table.column("well_type")).transpose()?;
        for row in 0..table.num_rows() {
            let plate = without_zero_fraction(table.require(row, plate)?);
            let plate = PlateKey::new(table.require(row, experiment)?, plate);
            let original_address = table.require(row, well)?;
            let address = table.well(row, well)?;
            let role = match well_type {
                None => ControlRole::Treatment,
                Some(column) => table.require(row, column)?.parse().map_err(
                    |error: morphospace_core::UnknownControlRole| {
                        table.invalid(row, column, &error.to_string())
                    },
                )?,
            };
            let id = sirna.and_then(|column| table.get(row, column));
            let id = id.map(without_zero_fraction);
            let (control_role, perturbations) = label(role, id, &names);
            let described = Well {
                plate: plate.clone(),
                address,
                original_address: original_address.to_owned(),
                perturbations,
                background: None,
                control_role,
                cell_type: Some(plate.experiment.series().to_owned()),
            };
            let place = |index: usize| {
                let earlier: Option<&(Site, String)> = sites.get(index);
                earlier.map_or_else(|| table.place(row), |(_, place)| place.clone())
            };
            let shared = wells.share(described, sites.len(), place)?;
            for site in SITES {
                let key = SiteKey::new(plate.clone(), address, site);
                let well = std::sync::Arc::clone(&shared);
                sites.push((Site { key, well }, table.place(row)));
            }
        }
    }
    Ok(sorted_unique(sites, |_, place| place.clone())?.0)
}

fn label(
    role: ControlRole,
    id: Option<&str>,
    names: &HashMap<String, String>,
) -> (ControlRole, Vec<Perturbation>) {
    let Some(id) = id else {
        return (role, Vec::new());
    };
    if id == UNTREATED_CLASS {
        return (ControlRole::Untreated, Vec::new());
    }
    let name = match names.get(id) {
        Some(name) => name.clone(),
        None => format!("kaggle_{id}"),
    };
    (role, vec![Perturbation::Sirna { name, gene: None }])
}

fn read_id_map(store: &SharedStore) -> Result<HashMap<String, String>, ScreenError> {
    if !store.is_present(ID_MAP) {
        return Ok(HashMap::new());
    }
    let table = Table::read(store, ID_MAP, None, &[])?;
    let (kaggle, official) = (
        table.column("sirna_kaggle")?,
        table.column("sirna_official")?,
    );
    let mut names = HashMap::new();
    for row in 0..table.num_rows() {
        let (id, name) = (table.require(row, kaggle)?, table.require(row, official)?);
        if names.insert(id.to_owned(), name.to_owned()).is_some() {
            return Err(table.invalid(row, kaggle, &format!("'{id}' occurs twice")));
        }
    }
    Ok(names)
}
