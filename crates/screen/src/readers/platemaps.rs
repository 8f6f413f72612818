use std::collections::{BTreeSet, HashMap};

use morphospace_core::{ControlRole, Experiment, Perturbation, Well, WellAddress};

use crate::ScreenError;
use crate::store::{SharedStore, joined};
use crate::table::{ColumnIndex, Table};

/// The platemaps of the Cell Painting Gallery: which layout a plate has, and
/// what each layout holds where.
///
/// `barcode_platemap.csv` has `Assay_Plate_Barcode` and `Plate_Map_Name`; a
/// `platemap/{name}.txt` has `well_position`, `broad_sample` and free columns,
/// of which `mmoles_per_liter`, `pert_type`, `control_type`, `gene` and
/// `cell_type` are read, there or in `external_metadata.tsv` by
/// `broad_sample`.
#[derive(Default)]
pub(super) struct Platemaps {
    /// Index of the layout by batch and barcode.
    layouts: HashMap<(Experiment, String), usize>,
    tables: Vec<Layout>,
    external: Option<ExternalMetadata>,
}

/// A platemap.
struct Layout {
    table: Table,
    rows: HashMap<WellAddress, usize>,
}

/// A table of reagents.
struct ExternalMetadata {
    table: Table,
    rows: HashMap<String, usize>,
}

impl Platemaps {
    /// Reads the platemaps that lie beside the LoadData tables, or in the
    /// root. None is no error.
    ///
    /// # Errors
    /// [`ScreenError`] names the table with line and column.
    pub(super) fn read(store: &SharedStore, load_data: &[String]) -> Result<Self, ScreenError> {
        let mut folders: BTreeSet<String> = load_data
            .iter()
            .filter_map(|path| path.split_once("load_data_csv/"))
            .map(|(above, _)| joined(above.trim_end_matches('/'), "metadata"))
            .collect();
        folders.extend(["workspace/metadata", "metadata", ""].map(str::to_owned));
        let mut platemaps = Self::default();
        let mut read: HashMap<String, usize> = HashMap::new();
        for folder in folders {
            platemaps.read_external(store, &folder)?;
            let batches = joined(&folder, "platemaps");
            let entries = store
                .entries(&batches)
                .map_err(|error| ScreenError::cannot_read(store.file_location(&batches), &error))?;
            for batch in entries.into_iter().filter(|entry| entry.is_folder) {
                let folder = joined(&batches, &batch.name);
                platemaps.read_batch(store, &folder, &batch.name, &mut read)?;
            }
        }
        Ok(platemaps)
    }

    fn read_batch(
        &mut self,
        store: &SharedStore,
        folder: &str,
        batch: &str,
        read: &mut HashMap<String, usize>,
    ) -> Result<(), ScreenError> {
        let path = joined(folder, "barcode_platemap.csv");
        if !store.is_present(&path) {
            return Ok(());
        }
        let table = Table::read(store, &path, None, &[])?;
        let barcode = table.column("Assay_Plate_Barcode")?;
        let name = table.column("Plate_Map_Name")?;
        for row in 0..table.num_rows() {
            let file = format!("platemap/{}.txt", table.require(row, name)?);
            let path = joined(folder, &file);
            let layout = match read.get(&path) {
                Some(&layout) => layout,
                None => {
                    self.tables.push(Layout::read(store, &path)?);
                    read.insert(path, self.tables.len() - 1);
                    self.tables.len() - 1
                }
            };
            let barcode = table.require(row, barcode)?.to_owned();
            let key = (Experiment::new(batch), barcode);
            self.layouts.insert(key, layout);
        }
        Ok(())
    }

    fn read_external(&mut self, store: &SharedStore, folder: &str) -> Result<(), ScreenError> {
        let path = joined(folder, "external_metadata.tsv");
        let below = joined(folder, "external_metadata/external_metadata.tsv");
        let Some(path) = [path, below]
            .into_iter()
            .find(|path| store.is_present(path))
        else {
            return Ok(());
        };
        let table = Table::read(store, &path, None, &[])?;
        let sample =
            column(&table, "broad_sample")?.map_or_else(|| table.column("broad_sample"), Ok)?;
        let rows = (0..table.num_rows())
            .filter_map(|row| Some((table.get(row, sample)?.to_owned(), row)))
            .collect();
        self.external = Some(ExternalMetadata { table, rows });
        Ok(())
    }

    /// Fills in what is known of a well; whether anything is.
    ///
    /// # Errors
    /// [`ScreenError`] names the table with line and column.
    pub(super) fn describe(&self, well: &mut Well) -> Result<bool, ScreenError> {
        let key = (well.plate.experiment.clone(), well.plate.plate.clone());
        let Some(layout) = self.layouts.get(&key).map(|&index| &self.tables[index]) else {
            return Ok(false);
        };
        let Some(&row) = layout.rows.get(&well.address) else {
            return Ok(false);
        };
        let sample = layout.get(row, "broad_sample")?;
        let external = self.external.as_ref();
        let get = |name: &str| match layout.get(row, name)? {
            Some(value) => Ok(Some(value)),
            None => match external.zip(sample) {
                Some((external, sample)) => external.get(sample, name),
                None => Ok(None),
            },
        };
        well.cell_type = get("cell_type")?.map(str::to_owned);
        well.control_role = control_role(sample, get("pert_type")?, get("control_type")?)
            .ok_or_else(|| {
                layout.invalid(
                    row,
                    "'pert_type' and 'control_type' do not say what the well is for\nhint: \
                     pert_type is trt, negcon, poscon, empty, or control with a control_type",
                )
            })?;
        if well.control_role == ControlRole::Untreated {
            return Ok(true);
        }
        let name = sample.unwrap_or("DMSO").to_owned();
        let gene = get("gene")?.map(str::to_owned);
        let concentration = column(&layout.table, "mmoles_per_liter")?;
        let millimolar = match concentration {
            Some(column) => layout.table.concentration(row, column)?,
            None => None,
        };
        well.perturbations = vec![perturbation(name, gene, millimolar)];
        Ok(true)
    }
}

/// What a reagent's name says it is: the Broad names clones of open reading
/// frames `ccsbBroad`, guides `BRDN` and compounds `BRD-`.
fn perturbation(name: String, gene: Option<String>, millimolar: Option<f64>) -> Perturbation {
    let gene_or_name = || gene.clone().unwrap_or_else(|| name.clone());
    if name.starts_with("ccsbBroad") {
        let gene = gene_or_name();
        Perturbation::Orf {
            reagent: name,
            gene,
        }
    } else if name.starts_with("BRDN") {
        let gene = gene_or_name();
        Perturbation::Crispr { guide: name, gene }
    } else {
        Perturbation::Compound {
            name,
            concentration_micromolar: millimolar.map(|dose| dose * 1_000.0),
        }
    }
}

/// What a well is for; a well without a sample and a type holds the solvent.
fn control_role(
    sample: Option<&str>,
    pert_type: Option<&str>,
    control_type: Option<&str>,
) -> Option<ControlRole> {
    let Some(pert_type) = pert_type else {
        return Some(match sample {
            None | Some("DMSO") => ControlRole::NegativeControl,
            Some(_) => ControlRole::Treatment,
        });
    };
    if let Ok(role) = pert_type.parse() {
        return Some(role);
    }
    // Kinds of controls are `negcon`, `poscon_cp`, `poscon_diverse`, ...
    let control = control_type?;
    if control.starts_with("negcon") {
        Some(ControlRole::NegativeControl)
    } else if control.starts_with("poscon") {
        Some(ControlRole::PositiveControl)
    } else {
        None
    }
}

impl Layout {
    fn read(store: &SharedStore, path: &str) -> Result<Self, ScreenError> {
        let table = Table::read(store, path, None, &[])?;
        let position = table.column("well_position")?;
        let mut rows = HashMap::new();
        for row in 0..table.num_rows() {
            let address = table.well(row, position)?;
            if rows.insert(address, row).is_some() {
                return Err(table.invalid(row, position, "the well occurs twice"));
            }
        }
        Ok(Self { table, rows })
    }

    fn get(&self, row: usize, name: &str) -> Result<Option<&str>, ScreenError> {
        let found = column(&self.table, name)?;
        Ok(found.and_then(|column| self.table.get(row, column)))
    }

    fn invalid(&self, row: usize, message: &str) -> ScreenError {
        ScreenError::InvalidTable {
            table: self.table.name().to_owned(),
            message: format!("line {}: {message}", self.table.line(row)),
        }
    }
}

impl ExternalMetadata {
    fn get(&self, sample: &str, name: &str) -> Result<Option<&str>, ScreenError> {
        let found = column(&self.table, name)?;
        let row = self.rows.get(sample).copied();
        Ok(row.and_then(|row| self.table.get(row, found?)))
    }
}

/// A column with or without `Metadata_` before its name.
fn column(table: &Table, name: &str) -> Result<Option<ColumnIndex>, ScreenError> {
    match table.optional_column(name)? {
        Some(column) => Ok(Some(column)),
        None => table.optional_column(&format!("Metadata_{name}")),
    }
}
