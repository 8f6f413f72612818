//! The oracle: profiles made of the true morphological parameters of a
//! simulated screen, the best any network could do.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use morphospace_profiles::Profiles;

/// Reads `truth.csv` of a simulated screen as profiles with one row per well
/// and the metadata of `wells` (profiles of the same screen).
///
/// A parameter that a well does not have (it has no cells) is taken as the
/// mean of all wells.
///
/// # Errors
/// The file is missing, or lacks a well of `wells`.
pub fn oracle_profiles(screen_folder: &Path, wells: &Profiles) -> Result<Profiles> {
    let path = screen_folder.join("truth.csv");
    let in_file = || format!("reading the true parameters in '{}'", path.display());
    let mut reader = csv::Reader::from_path(&path).with_context(in_file)?;
    let headers = reader.headers().with_context(in_file)?.clone();
    let Some(id_column) = headers.iter().position(|name| name == "well_id") else {
        bail!("'{}' has no column 'well_id'", path.display());
    };
    let parameters: Vec<usize> = (0..headers.len())
        .filter(|column| headers[*column].starts_with("param_"))
        .collect();
    let mut truth = HashMap::new();
    for record in reader.records() {
        let record = record.with_context(in_file)?;
        let values: Vec<Option<f64>> = parameters
            .iter()
            .map(|column| record[*column].parse().ok())
            .collect();
        truth.insert(record[id_column].to_owned(), values);
    }

    let batches = wells.keys("Metadata_Batch")?;
    let plates = wells.keys("Metadata_Plate")?;
    let addresses = wells.keys("Metadata_Well")?;
    let mut rows = Vec::with_capacity(wells.num_rows());
    for ((batch, plate), address) in batches.iter().zip(&plates).zip(&addresses) {
        let id = format!("{batch}_{plate}_{address}");
        let Some(values) = truth.get(&id) else {
            bail!("'{}' has no row for well '{id}'", path.display());
        };
        rows.push(values);
    }
    let means: Vec<f64> = (0..parameters.len())
        .map(|parameter| {
            let known: Vec<f64> = rows.iter().filter_map(|row| row[parameter]).collect();
            known.iter().sum::<f64>() / known.len().max(1) as f64
        })
        .collect();
    let values: Vec<f64> = rows
        .iter()
        .flat_map(|row| {
            row.iter()
                .zip(&means)
                .map(|(value, mean)| value.unwrap_or(*mean))
        })
        .collect();
    let names = parameters
        .iter()
        .map(|column| format!("feature_{}", headers[*column].trim_start_matches("param_")))
        .collect();
    Ok(wells.with_values(names, values)?)
}
