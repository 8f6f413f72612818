use std::collections::{BTreeMap, BTreeSet, HashMap};

use morphospace_core::{ControlRole, Experiment, Perturbation, Well, WellAddress, excerpt};

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
    /// By folder: that of a source beside its LoadData tables, those of the
    /// root for plates of any source.
    folders: BTreeMap<String, MetadataFolder>,
}

/// The platemaps and reagents of one folder `metadata`.
#[derive(Default)]
struct MetadataFolder {
    plates: HashMap<(Experiment, String), PlateLayout>,
    layouts: Vec<Layout>,
    external: Option<ExternalMetadata>,
}

/// Which layout a plate has.
struct PlateLayout {
    /// Index of the layout.
    layout: usize,
    /// The layout's name.
    name: String,
    /// Where that is said.
    place: String,
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

/// Folders of the root that hold metadata of plates of any source.
const SHARED_FOLDERS: [&str; 3] = ["workspace/metadata", "metadata", ""];

/// What is read of reagents.
const REAGENT_COLUMNS: [&str; 4] = ["pert_type", "control_type", "gene", "cell_type"];

/// The folder of the metadata that belong to a LoadData table:
/// `{source}/workspace/metadata` to one below
/// `{source}/workspace/load_data_csv`.
pub(super) fn metadata_folder(load_data: &str) -> Option<String> {
    let (above, _) = load_data.split_once("load_data_csv/")?;
    Some(joined(above.trim_end_matches('/'), "metadata"))
}

impl Platemaps {
    /// Reads the platemaps that lie beside the LoadData tables, or in the
    /// root. None is no error.
    ///
    /// # Errors
    /// [`ScreenError`] names the table with line and column.
    pub(super) fn read(store: &SharedStore, load_data: &[String]) -> Result<Self, ScreenError> {
        let own = load_data.iter().filter_map(|path| metadata_folder(path));
        let shared = SHARED_FOLDERS.map(str::to_owned);
        let names: BTreeSet<String> = own.chain(shared).collect();
        let mut folders = BTreeMap::new();
        for name in names {
            let folder = MetadataFolder::read(store, &name)?;
            folders.insert(name, folder);
        }
        Ok(Self { folders })
    }

    /// The folders that may describe a plate, its own first.
    fn folders_of(&self, own: Option<&str>) -> impl Iterator<Item = &MetadataFolder> + Clone {
        let shared = SHARED_FOLDERS.into_iter();
        let names = own
            .into_iter()
            .chain(shared.filter(move |name| Some(*name) != own));
        names.filter_map(|name| self.folders.get(name))
    }

    /// Fills in what is known of a well, above all by the metadata of its
    /// plate's own folder ([`metadata_folder`]); whether anything is.
    ///
    /// # Errors
    /// [`ScreenError`] names the table with line and column.
    pub(super) fn describe(&self, well: &mut Well, own: Option<&str>) -> Result<bool, ScreenError> {
        let folders = self.folders_of(own);
        let key = (well.plate.experiment.clone(), well.plate.plate.clone());
        let mut layouts = folders.clone().filter_map(|folder| folder.layout(&key));
        let Some(layout) = layouts.next() else {
            return Ok(false);
        };
        let Some(&row) = layout.rows.get(&well.address) else {
            return Ok(false);
        };
        let sample = layout.get(row, "broad_sample")?;
        let reagent = sample.and_then(|sample| {
            let mut tables = folders.filter_map(|folder| folder.external.as_ref());
            tables.find_map(|table| Some((table, *table.rows.get(sample)?)))
        });
        let get = |name: &str| match (layout.get(row, name)?, reagent) {
            (None, Some((external, row))) => external.get(row, name),
            (value, _) => Ok(value),
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

impl MetadataFolder {
    fn read(store: &SharedStore, folder: &str) -> Result<Self, ScreenError> {
        let mut metadata = Self {
            external: ExternalMetadata::read(store, folder)?,
            ..Self::default()
        };
        let batches = joined(folder, "platemaps");
        let entries = store
            .entries(&batches)
            .map_err(|error| ScreenError::cannot_read(store.file_location(&batches), &error))?;
        for batch in entries.into_iter().filter(|entry| entry.is_folder) {
            let path = joined(&batches, &batch.name);
            metadata.read_batch(store, &path, &batch.name)?;
        }
        Ok(metadata)
    }

    fn read_batch(
        &mut self,
        store: &SharedStore,
        folder: &str,
        batch: &str,
    ) -> Result<(), ScreenError> {
        let path = joined(folder, "barcode_platemap.csv");
        if !store.is_present(&path) {
            return Ok(());
        }
        let table = Table::read(store, &path, None, &[])?;
        let barcode_column = table.column("Assay_Plate_Barcode")?;
        let name_column = table.column("Plate_Map_Name")?;
        let mut read: HashMap<String, usize> = HashMap::new();
        for row in 0..table.num_rows() {
            let barcode = table.require(row, barcode_column)?;
            let name = table.require(row, name_column)?;
            let key = (Experiment::new(batch), barcode.to_owned());
            if let Some(first) = self.plates.get(&key) {
                if first.name == name {
                    continue;
                }
                let message = format!(
                    "plate {barcode} has the platemap '{}' here and '{}' in {}\nhint: keep the \
                     row that is right",
                    excerpt(name),
                    excerpt(&first.name),
                    first.place
                );
                return Err(table.invalid(row, name_column, &message));
            }
            let layout = match read.get(name) {
                Some(&layout) => layout,
                None => {
                    let file = format!("platemap/{name}.txt");
                    let path = joined(folder, &file);
                    if !store.is_present(&path) {
                        let message = format!(
                            "plate {barcode} has the platemap '{}', and there is no '{}' beside this \
                             table\nhint: put it there, or remove the row",
                            excerpt(name),
                            excerpt(&file)
                        );
                        return Err(table.invalid(row, name_column, &message));
                    }
                    self.layouts.push(Layout::read(store, &path)?);
                    read.insert(name.to_owned(), self.layouts.len() - 1);
                    self.layouts.len() - 1
                }
            };
            let (name, place) = (name.to_owned(), table.place(row));
            let plate = PlateLayout {
                layout,
                name,
                place,
            };
            self.plates.insert(key, plate);
        }
        Ok(())
    }

    fn layout(&self, key: &(Experiment, String)) -> Option<&Layout> {
        self.plates
            .get(key)
            .map(|plate| &self.layouts[plate.layout])
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
    fn read(store: &SharedStore, folder: &str) -> Result<Option<Self>, ScreenError> {
        let path = joined(folder, "external_metadata.tsv");
        let below = joined(folder, "external_metadata/external_metadata.tsv");
        let Some(path) = [path, below]
            .into_iter()
            .find(|path| store.is_present(path))
        else {
            return Ok(None);
        };
        let table = Table::read(store, &path, None, &[])?;
        let sample =
            column(&table, "broad_sample")?.map_or_else(|| table.column("broad_sample"), Ok)?;
        let mut read_columns = Vec::new();
        for name in REAGENT_COLUMNS {
            read_columns.extend(column(&table, name)?);
        }
        let mut rows: HashMap<String, usize> = HashMap::new();
        for row in 0..table.num_rows() {
            let Some(name) = table.get(row, sample) else {
                continue;
            };
            let Some(&first) = rows.get(name) else {
                rows.insert(name.to_owned(), row);
                continue;
            };
            let differs =
                |column: &&ColumnIndex| table.get(first, **column) != table.get(row, **column);
            if let Some(&column) = read_columns.iter().find(differs) {
                let shown = |row| excerpt(table.get(row, column).unwrap_or_default());
                let message = format!(
                    "'{}' has '{}' here and '{}' in line {}\nhint: keep the row that is right",
                    excerpt(name),
                    shown(row),
                    shown(first),
                    table.line(first)
                );
                return Err(table.invalid(row, column, &message));
            }
        }
        Ok(Some(Self { table, rows }))
    }

    fn get(&self, row: usize, name: &str) -> Result<Option<&str>, ScreenError> {
        let found = column(&self.table, name)?;
        Ok(found.and_then(|column| self.table.get(row, column)))
    }
}

/// A column with or without `Metadata_` before its name.
fn column(table: &Table, name: &str) -> Result<Option<ColumnIndex>, ScreenError> {
    match table.optional_column(name)? {
        Some(column) => Ok(Some(column)),
        None => table.optional_column(&format!("Metadata_{name}")),
    }
}
