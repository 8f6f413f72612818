use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use morphospace_core::{
    Channel, ControlRole, Experiment, Perturbation, PlateKey, Site, SiteKey, Well, WellAddress,
    excerpt,
};

use crate::ScreenError;
use crate::decode::read_image;
use crate::error::ImageProblem;
use crate::readers::index_screen::is_image_name;
use crate::readers::{kaggle, wilds};
use crate::screen::{Plane, Screen};
use crate::site_list::{Wells, name_of, sorted_unique};
use crate::store::{Entry, SharedStore, joined, open_store};
use crate::table::{ColumnIndex, Table, without_zero_fraction};

/// A screen in RxRx1's layout: six-channel sites as one PNG per channel and
/// a `metadata.csv` (or `metadata.csv.gz`) with a row per site; in a folder,
/// in a zip or tar archive, or in a bucket.
///
/// # Layout
/// Images are `{experiment}/Plate{plate}/{well}_s{site}_w{channel}.png`
/// under the root or its folder `images`, with or without the level `train`
/// or `test` of the Kaggle distribution. Experiments are matched by meaning:
/// the table may say `HUVEC-01` and the folder `HUVEC-1`.
///
/// # Columns
///
/// | column | |
/// |---|---|
/// | `experiment`, `plate`, `well`, `site`, `well_type` | required |
/// | `sirna` | the reagent; blank on a treatment: unknown label; `EMPTY`, `UNTREATED` on a negative control: cells left alone |
/// | `sirna_id` | used where `sirna` says nothing; 1138 is RxRx1's class of untreated wells |
/// | `kaggle_sirna_id` | likewise, but Kaggle numbered the reagents anew: its 7 is `kaggle_7`, not `sirna_7` |
/// | `gene` | the target, where a table has it |
/// | `cell_type` | else the part of the experiment's name before its number |
///
/// Instead of `metadata.csv`, the four tables of the Kaggle competition are
/// read: `train.csv`, `test.csv`, `train_controls.csv`, `test_controls.csv`
/// (`id_code, experiment, plate, well, sirna`, a row per well). A file
/// `sirna_id_map.csv` (`sirna_kaggle, sirna_official`) beside them gives the
/// reagents their official names.
///
/// Numbers of plates and classes may have been through floating point: `1.0`
/// is plate 1. Other columns are ignored. A row whose images are not there is no error here:
/// the images count as missing. The source of names and classes is
/// Recursion's `rxrx-datasets/rxrx1/README.md`.
pub struct Rxrx1Screen {
    name: String,
    store: SharedStore,
    channels: Vec<Channel>,
    sites: Vec<Site>,
    /// Folders of each experiment, several where `train` and `test` share it.
    folders: HashMap<Experiment, Vec<String>>,
    files: SiteFiles,
    notes: Vec<String>,
}

/// How the images of a site lie in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SiteFiles {
    /// A grey file per channel: `B02_s2_w3.png`.
    PerChannel,
    /// One colour file, of which each component is a channel: `B02_s2.png`.
    Colour,
}

/// RxRx1's class of wells to which nothing was added.
pub(super) const UNTREATED_CLASS: &str = "1138";

/// Where folders of experiments may lie.
const IMAGE_FOLDERS: [&str; 6] = ["images", "images/train", "images/test", "", "train", "test"];

impl Rxrx1Screen {
    /// Names of the metadata table, in the order they are looked for.
    pub const METADATA_FILES: [&str; 2] = ["metadata.csv", "metadata.csv.gz"];

    /// Reads the table of a screen and finds its folders; no image is read.
    ///
    /// # Errors
    /// [`ScreenError`] names the table with line and column: a column or
    /// value that is missing or not understood, an unknown well, a site or
    /// well described twice, no row at all.
    pub fn open(root: &Path) -> Result<Self, ScreenError> {
        let store = open_store(root)
            .map_err(|error| ScreenError::cannot_read(root.display().to_string(), &error))?;
        Self::open_in(store)
    }

    /// [`Rxrx1Screen::open`] for files in an archive or a bucket.
    ///
    /// # Errors
    /// As [`Rxrx1Screen::open`].
    pub fn open_in(store: SharedStore) -> Result<Self, ScreenError> {
        let table = Self::metadata_file(&store)
            .map(|name| Table::read(&store, name, None, &[]))
            .transpose()?;
        let sites = match &table {
            Some(table) => read_sites(table)?,
            None if kaggle::is_kaggle(&store) => kaggle::read_sites(&store)?,
            None => {
                return Err(ScreenError::UnknownFormat {
                    path: store.location().into(),
                    found: "it has no table of sites".to_owned(),
                    markers: "'metadata.csv' or 'metadata.csv.gz', or Kaggle's 'train.csv'"
                        .to_owned(),
                });
            }
        };
        if sites.is_empty() {
            return Err(ScreenError::EmptyScreen {
                name: store.location(),
                reason: match table {
                    Some(table) => format!("'{}' has no row below its header", table.name()),
                    None => "Kaggle's tables have no row below their headers".to_owned(),
                },
            });
        }
        let channels = Channel::rxrx1();
        Self::with_sites(store, channels, sites, SiteFiles::PerChannel, Vec::new())
    }

    /// Whether a place has one of the tables.
    pub(super) fn recognises(store: &SharedStore) -> bool {
        Self::metadata_file(store).is_some() || kaggle::is_kaggle(store)
    }

    /// The metadata table that is there.
    pub(super) fn metadata_file(store: &SharedStore) -> Option<&'static str> {
        let mut names = Self::METADATA_FILES.into_iter();
        names.find(|name| store.is_present(name))
    }

    /// A screen whose images lie as RxRx1's do, of sites at hand; `sites`
    /// must be sorted and unique.
    pub(super) fn with_sites(
        store: SharedStore,
        channels: Vec<Channel>,
        sites: Vec<Site>,
        files: SiteFiles,
        notes: Vec<String>,
    ) -> Result<Self, ScreenError> {
        let folders = find_experiment_folders(&store, &sites)?;
        Ok(Self {
            name: name_of(&store.location()),
            store,
            channels,
            sites,
            folders,
            files,
            notes,
        })
    }

    /// The image's path, `None` where its experiment has no folder.
    fn path(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let key = &self.sites[site_index].key;
        let file = self.relative_path(key, channel_index);
        let folders = self.folders.get(&key.plate.experiment)?;
        let mut paths = folders.iter().map(|folder| joined(folder, &file));
        if folders.len() > 1
            && let Some(path) = paths.clone().find(|path| self.store.is_present(path))
        {
            return Some(path);
        }
        paths.next()
    }

    /// `Plate1/B02_s2_w3.png`.
    fn relative_path(&self, key: &SiteKey, channel_index: usize) -> String {
        let site = format!("Plate{}/{}_s{}", key.plate.plate, key.well, key.site);
        match self.files {
            SiteFiles::PerChannel => format!("{site}_{}.png", self.channels[channel_index].name),
            SiteFiles::Colour => format!("{site}.png"),
        }
    }

    /// The images in a plate's folder that no site of it has.
    fn unlisted_of_plate(&self, folder: &str, sites: Range<usize>) -> Vec<String> {
        let mut names = HashSet::new();
        for site in &self.sites[sites] {
            for channel_index in 0..self.channels.len() {
                let path = self.relative_path(&site.key, channel_index);
                names.extend(path.rsplit_once('/').map(|(_, name)| name.to_owned()));
            }
        }
        let entries = self.store.entries(folder).unwrap_or_default();
        entries
            .into_iter()
            .filter(|entry| !entry.is_folder && is_image_name(&entry.name))
            .filter(|entry| !names.contains(&entry.name))
            .map(|entry| self.store.file_location(&joined(folder, &entry.name)))
            .collect()
    }

    fn read(&self, path: &str, channel_index: usize) -> Result<Plane, ImageProblem> {
        match self.files {
            SiteFiles::PerChannel => read_image(&*self.store, path),
            SiteFiles::Colour => wilds::read_component(&self.store, path, channel_index),
        }
    }
}

impl Screen for Rxrx1Screen {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn sites(&self) -> &[Site] {
        &self.sites
    }

    fn plane_location(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let path = self.path(site_index, channel_index).unwrap_or_else(|| {
            let key = &self.sites[site_index].key;
            let file = self.relative_path(key, channel_index);
            joined(key.plate.experiment.as_str(), &file)
        });
        let file = self.store.file_location(&path);
        Some(match self.files {
            SiteFiles::PerChannel => file,
            SiteFiles::Colour => format!("{file}#{}", self.channels[channel_index].name),
        })
    }

    fn is_present(&self, site_index: usize, channel_index: usize) -> bool {
        self.path(site_index, channel_index)
            .is_some_and(|path| self.store.is_present(&path))
    }

    fn image_version(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let path = self.path(site_index, channel_index)?;
        self.store.version(&path).ok()?
    }

    fn read_plane(&self, site_index: usize, channel_index: usize) -> Result<Plane, ScreenError> {
        let read = match self.path(site_index, channel_index) {
            Some(path) => self.read(&path, channel_index),
            None => {
                let mut found: Vec<&Experiment> = self.folders.keys().collect();
                found.sort();
                let found = found.into_iter().map(ToString::to_string).collect();
                Err(ImageProblem::UnknownExperimentFolder { found })
            }
        };
        read.map_err(|problem| self.image_error(site_index, channel_index, problem))
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn unlisted_images(&self) -> Vec<String> {
        let is_plate = |entry: &Entry| entry.is_folder && entry.name.starts_with("Plate");
        let is_image = |entry: &Entry| !entry.is_folder && is_image_name(&entry.name);
        let mut unlisted = Vec::new();
        let mut plates: HashMap<String, Range<usize>> = HashMap::new();
        let mut start = 0;
        for sites in self.sites.chunk_by(|a, b| a.key.plate == b.key.plate) {
            let plate = &sites[0].key.plate;
            for folder in self.folders.get(&plate.experiment).into_iter().flatten() {
                let folder = joined(folder, &format!("Plate{}", plate.plate));
                plates.insert(folder, start..start + sites.len());
            }
            start += sites.len();
        }
        for folder in self.folders.values().flatten() {
            for entry in self.store.entries(folder).unwrap_or_default() {
                let folder = joined(folder, &entry.name);
                match plates.get(&folder) {
                    Some(sites) => unlisted.extend(self.unlisted_of_plate(&folder, sites.clone())),
                    None if is_plate(&entry) || is_image(&entry) => {
                        unlisted.push(self.store.file_location(&folder));
                    }
                    None => {}
                }
            }
        }
        // Experiments that no row names lie beside those that one does.
        let experiments: HashSet<&String> = self.folders.values().flatten().collect();
        let parents: HashSet<&str> = experiments
            .iter()
            .map(|folder| folder.rsplit_once('/').map_or("", |(parent, _)| parent))
            .collect();
        for parent in parents {
            for entry in self.store.entries(parent).unwrap_or_default() {
                let path = joined(parent, &entry.name);
                let holds_plates = || {
                    let entries = self.store.entries(&path).unwrap_or_default();
                    entries.iter().any(is_plate)
                };
                let is_stray = match entry.is_folder {
                    true => !experiments.contains(&path) && holds_plates(),
                    // Pictures at the top may be anything.
                    false => !parent.is_empty() && is_image(&entry),
                };
                if is_stray {
                    unlisted.push(self.store.file_location(&path));
                }
            }
        }
        unlisted.sort();
        unlisted
    }
}

pub(super) fn read_sites(table: &Table) -> Result<Vec<Site>, ScreenError> {
    let experiment = table.column("experiment")?;
    let plate = table.column("plate")?;
    let well = table.column("well")?;
    let site = table.column("site")?;
    let labels = LabelColumns {
        well_type: table.column("well_type")?,
        sirna: table.optional_column("sirna")?,
        ids: [
            (table.optional_column("sirna_id")?, "sirna"),
            (table.optional_column("kaggle_sirna_id")?, "kaggle"),
        ],
        gene: table.optional_column("gene")?,
        cell_type: table.optional_column("cell_type")?,
    };
    let reagents = labels.reagents(table)?;
    let ids = [
        (table.optional_column("site_id")?, true),
        (table.optional_column("well_id")?, false),
    ];
    let mut wells = Wells::default();
    let mut sites = Vec::with_capacity(table.num_rows());
    for row in 0..table.num_rows() {
        let plate = without_zero_fraction(table.require(row, plate)?);
        let plate_key = PlateKey::new(table.require(row, experiment)?, plate);
        let original_address = table.require(row, well)?;
        let address = table.well(row, well)?;
        let number = table.number(row, site)?;
        for (column, has_site) in ids {
            let Some(column) = column else { continue };
            let id = table.get(row, column).unwrap_or_default();
            let of_row = (plate_key.clone(), address, has_site.then_some(number));
            if parse_id(id, has_site).is_some_and(|named| named != of_row) {
                let message = format!(
                    "'{}' stands in the row of {plate_key} well {address} site {number}\nhint: \
                     columns were moved against each other; fetch the table again",
                    excerpt(id)
                );
                return Err(table.invalid(row, column, &message));
            }
        }
        let (control_role, perturbations) = labels.read(table, row, &reagents)?;
        let cell_type = labels
            .cell_type
            .and_then(|column| table.get(row, column))
            .unwrap_or_else(|| plate_key.experiment.series())
            .to_owned();
        let described = Well {
            plate: plate_key.clone(),
            address,
            original_address: original_address.to_owned(),
            perturbations,
            background: None,
            control_role,
            cell_type: Some(cell_type),
        };
        let shared = wells.share(described, row, |row| table.place(row))?;
        sites.push((
            Site {
                key: SiteKey::new(plate_key, address, number),
                well: shared,
            },
            row,
        ));
    }
    Ok(sorted_unique(sites, |_, &row| table.place(row))?.0)
}

/// Where a row says what was done to its well.
struct LabelColumns {
    well_type: ColumnIndex,
    sirna: Option<ColumnIndex>,
    /// Columns of numbers, each with what the names of their reagents start
    /// with.
    ids: [(Option<ColumnIndex>, &'static str); 2],
    gene: Option<ColumnIndex>,
    cell_type: Option<ColumnIndex>,
}

/// Whether the name of a reagent says that there is none.
fn is_empty(name: &str) -> bool {
    matches!(name.to_ascii_uppercase().as_str(), "EMPTY" | "UNTREATED")
}

/// What `HEPG2-01_1_B03_2` names, or `HEPG2-01_1_B03` without a site; nothing
/// of ids of another make.
fn parse_id(id: &str, has_site: bool) -> Option<(PlateKey, WellAddress, Option<u32>)> {
    let (rest, site) = match has_site {
        true => {
            let (rest, site) = id.rsplit_once('_')?;
            (rest, Some(site.parse().ok()?))
        }
        false => (id, None),
    };
    let (rest, well) = rest.rsplit_once('_')?;
    let (experiment, plate) = rest.rsplit_once('_')?;
    let plate: u32 = plate.parse().ok()?;
    let key = PlateKey::new(experiment, plate.to_string());
    Some((key, well.parse().ok()?, site))
}

/// Names of reagents by numbering and number.
type Reagents = HashMap<(&'static str, String), String>;

impl LabelColumns {
    /// The reagents that rows give both a name and a number.
    ///
    /// # Errors
    /// [`ScreenError::InvalidValue`]: a number has two names.
    fn reagents(&self, table: &Table) -> Result<Reagents, ScreenError> {
        let mut reagents = Reagents::new();
        let Some(sirna) = self.sirna else {
            return Ok(reagents);
        };
        for row in 0..table.num_rows() {
            let Some(name) = table.get(row, sirna) else {
                continue;
            };
            for (column, numbering) in self.ids {
                let Some(column) = column else { continue };
                let Some(id) = table.get(row, column) else {
                    continue;
                };
                let key = (numbering, without_zero_fraction(id).to_owned());
                let first = reagents.entry(key).or_insert_with(|| name.to_owned());
                if first != name && !(is_empty(first) && is_empty(name)) {
                    let message = format!(
                        "'{}' is the number of '{}' here and of '{}' in a line before\nhint: \
                         columns were moved against each other; fetch the table again",
                        excerpt(id),
                        excerpt(name),
                        excerpt(first)
                    );
                    return Err(table.invalid(row, column, &message));
                }
            }
        }
        Ok(reagents)
    }

    fn read(
        &self,
        table: &Table,
        row: usize,
        reagents: &Reagents,
    ) -> Result<(ControlRole, Vec<Perturbation>), ScreenError> {
        let get = |column: Option<ColumnIndex>| column.and_then(|column| table.get(row, column));
        let role: ControlRole = table.require(row, self.well_type)?.parse().map_err(
            |error: morphospace_core::UnknownControlRole| {
                table.invalid(row, self.well_type, &error.to_string())
            },
        )?;
        let sirna = get(self.sirna);
        let mut ids = self.ids.iter();
        let id = ids.find_map(|&(column, numbering)| {
            Some((without_zero_fraction(get(column)?), numbering))
        });
        let says_empty = sirna.is_some_and(is_empty);
        let name = match sirna {
            _ if says_empty => None,
            Some(name) => Some(name.to_owned()),
            None => id
                .filter(|&(id, _)| id != UNTREATED_CLASS)
                .map(|(id, numbering)| {
                    let known = reagents.get(&(numbering, id.to_owned()));
                    known.map_or_else(|| format!("{numbering}_{id}"), String::clone)
                })
                .filter(|name| !is_empty(name)),
        };
        // A negative control without a reagent is a well left alone. A
        // treatment without one has a hidden label and stays a treatment.
        let role = match role {
            ControlRole::NegativeControl if name.is_none() => ControlRole::Untreated,
            other => other,
        };
        if role == ControlRole::Untreated {
            return Ok((role, Vec::new()));
        }
        let gene = get(self.gene).map(str::to_owned);
        Ok((
            role,
            name.map(|name| Perturbation::Sirna { name, gene })
                .into_iter()
                .collect(),
        ))
    }
}

/// The folders of the experiments in the table. Folders of other names are
/// none of ours and left alone.
fn find_experiment_folders(
    store: &SharedStore,
    sites: &[Site],
) -> Result<HashMap<Experiment, Vec<String>>, ScreenError> {
    let mut folders: HashMap<Experiment, Vec<String>> = HashMap::new();
    let mut known: Vec<&Experiment> = sites
        .iter()
        .map(|site| &site.key.plate.experiment)
        .collect();
    known.dedup();
    for place in IMAGE_FOLDERS {
        let entries = store
            .entries(place)
            .map_err(|error| ScreenError::cannot_read(store.file_location(place), &error))?;
        for entry in entries {
            let experiment = Experiment::new(&*entry.name);
            // Sites are sorted, so the experiments are.
            if entry.is_folder && known.binary_search(&&experiment).is_ok() {
                let folder = joined(place, &entry.name);
                folders.entry(experiment).or_default().push(folder);
            }
        }
    }
    Ok(folders)
}
