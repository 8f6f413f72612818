use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;

use morphospace_core::{ControlRole, Perturbation, UnknownControlRole, Well, WellAddress, excerpt};

use crate::ScreenError;
use crate::readers::found_site::FoundSite;
use crate::store::{SharedStore, joined};
use crate::table::{ColumnIndex, Table};

/// Where the tables may lie.
const FOLDERS: [&str; 3] = ["metadata", "workspace/metadata", ""];

/// JUMP's number of wells to which nothing was added.
const EMPTY: &str = "JCP2022_999999";
/// JUMP's number of wells whose compound is not known.
const UNKNOWN: &str = "JCP2022_UNKNOWN";
/// JUMP's number of DMSO.
const DMSO: &str = "JCP2022_033924";
/// Guides that cut nothing, by symbol, for where `perturbation_control.csv`
/// is not at hand.
const GUIDE_CONTROLS: [&str; 2] = ["no-guide", "non-targeting"];

/// The tables of `jump-cellpainting/datasets` that are small; that of wells
/// is read when it is known which plates matter.
pub(super) struct JumpTables {
    store: SharedStore,
    folder: &'static str,
    /// Symbol of the gene by JCP2022 number.
    guides: Option<HashMap<String, String>>,
    constructs: Option<HashMap<String, String>>,
    control_roles: HashMap<String, ControlRole>,
    /// Batch by source and plate.
    batches: HashMap<(String, String), String>,
}

impl JumpTables {
    /// Reads the small tables; those that are not there are empty.
    ///
    /// # Errors
    /// [`ScreenError`] names the table with line and column.
    pub(super) fn open(store: &SharedStore) -> Result<Self, ScreenError> {
        let folder = FOLDERS
            .into_iter()
            .find(|folder| table_path(store, folder, "well").is_some())
            .unwrap_or(FOLDERS[0]);
        let mut tables = Self {
            store: SharedStore::clone(store),
            folder,
            guides: None,
            constructs: None,
            control_roles: HashMap::new(),
            batches: HashMap::new(),
        };
        tables.guides = tables.symbols("crispr")?;
        tables.constructs = tables.symbols("orf")?;
        tables.read_control_roles()?;
        if let Some(table) = tables.table("plate")? {
            let source = table.column("Metadata_Source")?;
            let batch = table.column("Metadata_Batch")?;
            let plate = table.column("Metadata_Plate")?;
            for row in 0..table.num_rows() {
                let source = table.require(row, source)?.to_owned();
                let plate = table.require(row, plate)?.to_owned();
                let value = table.require(row, batch)?.to_owned();
                let name = format!("plate {plate} of {source}");
                let key = (source, plate);
                list_once(&mut tables.batches, key, value, &table, row, batch, &name)?;
            }
        }
        Ok(tables)
    }

    fn table(&self, name: &str) -> Result<Option<Table>, ScreenError> {
        table_path(&self.store, self.folder, name)
            .map(|path| Table::read(&self.store, &path, None, &[]))
            .transpose()
    }

    fn symbols(&self, name: &str) -> Result<Option<HashMap<String, String>>, ScreenError> {
        let Some(table) = self.table(name)? else {
            return Ok(None);
        };
        let number = table.column("Metadata_JCP2022")?;
        let symbol = table.column("Metadata_Symbol")?;
        let mut symbols = HashMap::new();
        for row in 0..table.num_rows() {
            let number = table.require(row, number)?.to_owned();
            // Reagents against what has no symbol stand for themselves.
            let value = table.get(row, symbol).unwrap_or(&number).to_owned();
            let name = number.clone();
            list_once(&mut symbols, number, value, &table, row, symbol, &name)?;
        }
        Ok(Some(symbols))
    }

    fn read_control_roles(&mut self) -> Result<(), ScreenError> {
        for (number, role) in [
            (EMPTY, ControlRole::Untreated),
            (DMSO, ControlRole::NegativeControl),
        ] {
            self.control_roles.insert(number.to_owned(), role);
        }
        for (number, symbol) in self.guides.iter().flatten() {
            if GUIDE_CONTROLS.contains(&symbol.as_str()) {
                let role = ControlRole::NegativeControl;
                self.control_roles.insert(number.clone(), role);
            }
        }
        let Some(table) = self.table("perturbation_control")? else {
            return Ok(());
        };
        let number = table.column("Metadata_JCP2022")?;
        let kind = table.column("Metadata_pert_type")?;
        let mut listed = HashMap::new();
        for row in 0..table.num_rows() {
            let role: ControlRole =
                table
                    .require(row, kind)?
                    .parse()
                    .map_err(|error: UnknownControlRole| {
                        table.invalid(row, kind, &error.to_string())
                    })?;
            let number = table.require(row, number)?.to_owned();
            let name = number.clone();
            list_once(&mut listed, number, role, &table, row, kind, &name)?;
        }
        // The table knows better than what was taken for granted above.
        self.control_roles.extend(listed);
        Ok(())
    }

    /// The batch of a plate; without a source, if only one source has the
    /// plate.
    pub(super) fn batch(&self, source: Option<&str>, plate: &str) -> Option<&str> {
        if let Some(source) = source {
            let key = (source.to_owned(), plate.to_owned());
            return self.batches.get(&key).map(String::as_str);
        }
        let mut found = self.batches.iter().filter(|((_, other), _)| other == plate);
        match (found.next(), found.next()) {
            (Some((_, batch)), None) => Some(batch),
            _ => None,
        }
    }

    /// Reads what was added to the wells of some sites' plates.
    ///
    /// # Errors
    /// [`ScreenError`] names the table with line and column.
    pub(super) fn read_wells(&self, sites: &[FoundSite]) -> Result<JumpWells<'_>, ScreenError> {
        let mut wells = JumpWells {
            tables: self,
            table: None,
            numbers: HashMap::new(),
            has_match: false,
        };
        let Some(table) = self.table("well")? else {
            return Ok(wells);
        };
        // A screen that names no source has its plates in any.
        let names_sources = sites.iter().any(|site| site.key.plate.source.is_some());
        let plates: HashSet<&str> = sites.iter().map(|site| &*site.key.plate.plate).collect();
        let source = table.column("Metadata_Source")?;
        let plate = table.column("Metadata_Plate")?;
        let well = table.column("Metadata_Well")?;
        let number = table.column("Metadata_JCP2022")?;
        for row in 0..table.num_rows() {
            let plate = table.require(row, plate)?;
            if !plates.contains(plate) {
                continue;
            }
            let address = table.well(row, well)?;
            let source = match names_sources {
                true => table.require(row, source)?.to_owned(),
                false => String::new(),
            };
            let Some(added) = table.get(row, number) else {
                continue;
            };
            let key = (source, plate.to_owned(), address);
            let earlier = wells.numbers.insert(key, added.to_owned());
            if earlier.is_some_and(|earlier| earlier != added) {
                return Err(table.invalid(
                    row,
                    number,
                    &format!(
                        "plate {plate} well {address} has two perturbations\nhint: plates of \
                         different sources share this name: add Metadata_Source to the LoadData \
                         table"
                    ),
                ));
            }
        }
        wells.has_match = sites.iter().any(|site| {
            let key = well_key(&site.unlabelled_well());
            wells.numbers.contains_key(&key)
        });
        wells.table = Some(table.name().to_owned());
        Ok(wells)
    }

    fn perturbation(&self, number: &str) -> Result<Option<Perturbation>, ScreenError> {
        let symbol = |table: &Option<HashMap<String, String>>| {
            table.as_ref().and_then(|table| table.get(number)).cloned()
        };
        if let Some(gene) = symbol(&self.guides) {
            let guide = number.to_owned();
            return Ok(Some(Perturbation::Crispr { guide, gene }));
        }
        if let Some(gene) = symbol(&self.constructs) {
            let reagent = number.to_owned();
            return Ok(Some(Perturbation::Orf { reagent, gene }));
        }
        if number == UNKNOWN {
            return Ok(None);
        }
        // JUMP numbers guides from 800,001 and constructs from 900,001.
        for (prefix, table, is_there) in [
            ("JCP2022_8", "crispr", self.guides.is_some()),
            ("JCP2022_9", "orf", self.constructs.is_some()),
        ] {
            if number.starts_with(prefix) && !is_there {
                return Err(ScreenError::InvalidTable {
                    table: self.store.file_location(&joined(self.folder, "well.csv")),
                    message: format!(
                        "'{number}' needs a gene, and there is no table '{table}.csv'\nhint: fetch \
                         it from jump-cellpainting/datasets into '{}'",
                        self.store.file_location(self.folder)
                    ),
                });
            }
        }
        Ok(Some(Perturbation::Compound {
            name: number.to_owned(),
            concentration_micromolar: None,
        }))
    }
}

/// Enters what a row says of a key. Rows may repeat, not contradict each
/// other: the later would win unseen.
///
/// # Errors
/// [`ScreenError::InvalidValue`] names the row and both values.
fn list_once<K: Eq + Hash, V: PartialEq + Display>(
    listed: &mut HashMap<K, V>,
    key: K,
    value: V,
    table: &Table,
    row: usize,
    column: ColumnIndex,
    name: &str,
) -> Result<(), ScreenError> {
    match listed.entry(key) {
        Entry::Vacant(place) => {
            place.insert(value);
        }
        Entry::Occupied(earlier) if *earlier.get() != value => {
            let [value, earlier] =
                [&value, earlier.get()].map(|v| excerpt(&v.to_string()).into_owned());
            let message = format!(
                "{} has '{value}' here and '{earlier}' in a line before\nhint: keep the row that \
                 is right",
                excerpt(name)
            );
            return Err(table.invalid(row, column, &message));
        }
        Entry::Occupied(_) => {}
    }
    Ok(())
}

fn table_path(store: &SharedStore, folder: &str, name: &str) -> Option<String> {
    [".csv", ".csv.gz"]
        .map(|extension| joined(folder, &format!("{name}{extension}")))
        .into_iter()
        .find(|path| store.is_present(path))
}

/// JCP2022 numbers of the wells of a screen's plates.
pub(super) struct JumpWells<'a> {
    tables: &'a JumpTables,
    /// The table of wells, if there is one.
    table: Option<String>,
    numbers: HashMap<WellKey, String>,
    has_match: bool,
}

/// Source, plate and well.
type WellKey = (String, String, WellAddress);

fn well_key(well: &Well) -> WellKey {
    let source = well.plate.source.clone().unwrap_or_default();
    (source, well.plate.plate.clone(), well.address)
}

impl JumpWells<'_> {
    /// Fills in what is known of a well; whether anything is.
    ///
    /// # Errors
    /// [`ScreenError::InvalidTable`]: the reagent's table is not there.
    pub(super) fn describe(&self, well: &mut Well) -> Result<bool, ScreenError> {
        let Some(number) = self.numbers.get(&well_key(well)) else {
            return Ok(false);
        };
        let role = self.tables.control_roles.get(number).copied();
        well.control_role = role.unwrap_or_default();
        if well.control_role != ControlRole::Untreated {
            well.perturbations = self.tables.perturbation(number)?.into_iter().collect();
        }
        Ok(true)
    }

    /// What tells of a table of wells that has none of the screen's.
    pub(super) fn note(&self) -> Option<String> {
        let table = self.table.as_ref().filter(|_| !self.has_match)?;
        Some(format!(
            "no well of the screen occurs in '{table}' by source, plate and well"
        ))
    }
}
