use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use morphospace_core::{Channel, Experiment, PlateKey, SiteKey, Stain};

use crate::ScreenError;
use crate::readers::IndexScreen;
use crate::readers::found_site::FoundSite;
use crate::readers::index_screen::hash_of_path;
use crate::readers::jump_tables::JumpTables;
use crate::readers::listed_folders::ListedFolders;
use crate::readers::platemaps::{Platemaps, metadata_folder};
use crate::site_list::name_of;
use crate::store::{LinkedStore, SharedStore, is_url, joined};
use crate::table::{ColumnIndex, Table};

/// Folders that hold no table of images and may hold millions of files.
const SKIPPED_FOLDERS: [&str; 11] = [
    "analysis",
    "backend",
    "featurized_images",
    "illum",
    "images",
    "pipelines",
    "profiles",
    "profiles_assembled",
    "quality_control",
    "segmentation",
    "workspace_dl",
];

/// Folders from the root to a table: `{source}/workspace/load_data_csv/
/// {batch}/{plate}`.
const MAX_DEPTH: usize = 5;

/// Folders that are looked into to recognise a screen.
const MAX_LISTINGS: usize = 64;

/// Fluorescent channels in the order of JUMP's tables; others follow.
pub(crate) const CHANNEL_ORDER: [Stain; 5] =
    [Stain::Dna, Stain::Er, Stain::Rna, Stain::Agp, Stain::Mito];

/// Opens a screen in the layout of the Cell Painting Gallery, such as JUMP:
/// images listed by the tables that CellProfiler's `LoadData` reads.
///
/// # Layout
/// `load_data.csv`, `load_data_with_illum.csv` or any `*load_data*`, as `.csv`,
/// `.csv.gz` or `.parquet`: in the root, or below it as in
/// `[{source}/]workspace/load_data_csv/{batch}/{plate}/`. Of several forms of one
/// table, the one with illumination and then the Parquet file is read.
///
/// # Columns of a LoadData table
///
/// | column | |
/// |---|---|
/// | `Metadata_Plate`, `Metadata_Well` | required |
/// | `Metadata_Site` | else every well has one site, 1 |
/// | `Metadata_Batch` | else the folder above the table's, or the batch of `plate.csv` |
/// | `Metadata_Source` | else the folder `source_*` above `workspace`, or none |
/// | `URL_Orig{channel}` | the image; a URL below the root is read from there |
/// | `FileName_Orig{channel}`, `PathName_Orig{channel}` | likewise, by name and folder |
/// | `URL_Illum{channel}`, or `FileName_Illum{channel}` and `PathName_Illum{channel}` | its illumination function: [`Screen::illumination_path`] |
///
/// Names without `Orig` are read where a table has none with it. Which column
/// shows which channel is told by each plate's own table, never by its
/// source. Channels come in the order DNA, ER, RNA, AGP, Mito, then others;
/// brightfield channels are left out, and [`Screen::notes`] says so.
///
/// A `PathName` is usually a folder of the computer that wrote the table, with
/// `/` or `\`. It is taken as it is if it is there; else the longest end of it
/// that is a folder below the root is, so that a mirror may start anywhere;
/// else the file of that name below the root, if there is one, or one below a
/// folder whose name starts with the plate's. An image found in none of these
/// ways is missing.
///
/// # What was done to the wells
/// All of these are optional, in this order:
///
/// - `metadata/` (or `workspace/metadata/`) with the tables of
///   `jump-cellpainting/datasets`, each `.csv` or `.csv.gz`: `well` (source, plate,
///   well, `Metadata_JCP2022`), `crispr` and `orf` (`Metadata_Symbol`),
///   `perturbation_control` (`Metadata_pert_type`), `plate` (batches). Reagents
///   are named by their JCP2022 number.
/// - `workspace/metadata/platemaps/{batch}/barcode_platemap.csv` and
///   `platemap/{name}.txt`, with `external_metadata.tsv` (genes and kinds of
///   controls by `broad_sample`). Those of a source apply to its own plates,
///   those of the root to all that no other describes.
///
/// Wells in neither have an unknown label.
///
/// # Errors
/// [`ScreenError`] names the table with line and column.
///
/// # Source
/// <https://broadinstitute.github.io/cellpainting-gallery/data_structure.html>;
/// Chandrasekaran et al. 2023, <https://doi.org/10.1101/2023.03.23.534023>;
/// <https://github.com/jump-cellpainting/datasets>.
///
/// [`Screen::illumination_path`]: crate::Screen::illumination_path
/// [`Screen::notes`]: crate::Screen::notes
pub fn open_jump(store: SharedStore) -> Result<IndexScreen, ScreenError> {
    let name = name_of(&store.location());
    let LoadDataTables { paths, passed_over } = load_data_tables(&store, usize::MAX)?;
    if paths.is_empty() {
        return Err(ScreenError::UnknownFormat {
            path: store.location().into(),
            found: "it has no LoadData table".to_owned(),
            markers: "'load_data.csv', or such tables below 'workspace/load_data_csv'".to_owned(),
        });
    }
    let tables = JumpTables::open(&store)?;
    let mut images = ListedImages {
        name: &name,
        tables: &tables,
        folders: ListedFolders::new(SharedStore::clone(&store)),
        channels: Vec::new(),
        left_out: BTreeSet::new(),
        left_out_images: HashSet::new(),
        sites: Vec::new(),
        metadata_folders: HashMap::new(),
    };
    for path in &paths {
        let table = Table::read(&store, path, None, &[])?;
        images.read(&table, path)?;
    }
    if images.sites.is_empty() {
        return Err(ScreenError::EmptyScreen {
            name,
            reason: format!("'{}' has no row below its header", paths[0]),
        });
    }
    if images.channels.is_empty() {
        return Err(ScreenError::EmptyScreen {
            name,
            reason: format!(
                "'{}' names no image\nhint: its columns of images are URL_Orig<channel>, or \
                 FileName_Orig<channel> and PathName_Orig<channel>",
                paths[0]
            ),
        });
    }
    let mut notes = images.notes();
    let metadata_folders = std::mem::take(&mut images.metadata_folders);
    let left_out_images = std::mem::take(&mut images.left_out_images);
    let (channels, sites) = images.in_channel_order();
    let labels = tables.read_wells(&sites)?;
    let platemaps = Platemaps::read(&store, &paths)?;
    notes.extend(labels.note());
    if let [first, ..] = &passed_over[..] {
        notes.push(format!(
            "tables that are not read, as another form of them lies beside them: {} (first \
             '{first}')",
            passed_over.len()
        ));
    }
    let store: SharedStore = Arc::new(LinkedStore::new(store));
    let screen = IndexScreen::from_found(name, store, channels, sites, |site| {
        let mut well = site.unlabelled_well();
        if !labels.describe(&mut well)? {
            let own = metadata_folders.get(&well.plate).map(String::as_str);
            platemaps.describe(&mut well, own)?;
        }
        Ok(well)
    })?;
    Ok(screen.with_notes(notes).with_all_named(left_out_images))
}

pub(super) fn is_jump(store: &SharedStore) -> bool {
    load_data_tables(store, MAX_LISTINGS).is_ok_and(|tables| !tables.paths.is_empty())
}

/// LoadData tables of a place.
struct LoadDataTables {
    /// Those that are read, one per plate.
    paths: Vec<String>,
    /// Other forms of them.
    passed_over: Vec<String>,
}

/// The LoadData tables; looks into so many folders at most.
fn load_data_tables(
    store: &SharedStore,
    mut max_listings: usize,
) -> Result<LoadDataTables, ScreenError> {
    let mut folders = vec![(String::new(), 0)];
    let (mut paths, mut passed_over) = (Vec::new(), Vec::new());
    while let Some((folder, depth)) = folders.pop() {
        if max_listings == 0 {
            break;
        }
        max_listings -= 1;
        let entries = store
            .entries(&folder)
            .map_err(|error| ScreenError::cannot_read(store.file_location(&folder), &error))?;
        let (below, files): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.is_folder);
        let names: Vec<String> = files.into_iter().map(|entry| entry.name).collect();
        let here = best_forms(&names);
        if here.is_empty() && depth < MAX_DEPTH {
            for entry in below.iter().rev() {
                if !SKIPPED_FOLDERS.contains(&entry.name.as_str()) {
                    folders.push((joined(&folder, &entry.name), depth + 1));
                }
            }
        }
        paths.extend(here.iter().map(|name| joined(&folder, name)));
        let other = names
            .iter()
            .filter(|name| is_load_data(name) && !here.contains(&name.as_str()));
        passed_over.extend(other.map(|name| joined(&folder, name)));
    }
    paths.sort();
    passed_over.sort();
    Ok(LoadDataTables { paths, passed_over })
}

/// A table's name without its format, if it is one of images.
fn load_data_stem(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let stem = [".csv", ".csv.gz", ".parquet"]
        .iter()
        .find_map(|extension| lower.strip_suffix(extension))?;
    stem.contains("load_data").then(|| stem.to_owned())
}

fn is_load_data(name: &str) -> bool {
    load_data_stem(name).is_some()
}

/// Of the forms in which a folder holds a table, the best: with illumination
/// functions rather than without, in Parquet rather than as text.
fn best_forms(names: &[String]) -> Vec<&str> {
    let mut best: BTreeMap<String, ((bool, bool), &str)> = BTreeMap::new();
    for name in names {
        let Some(stem) = load_data_stem(name) else {
            continue;
        };
        let is_illuminated = stem.contains("illum");
        let table = stem.replace("_with_illum", "").replace("_illum", "");
        let is_parquet = name.to_ascii_lowercase().ends_with(".parquet");
        let rank = (is_illuminated, is_parquet);
        match best.get(&table) {
            Some((other, _)) if *other >= rank => {}
            _ => {
                best.insert(table, (rank, name));
            }
        }
    }
    best.into_values().map(|(_, name)| name).collect()
}

/// Images of all tables read so far.
struct ListedImages<'a> {
    name: &'a str,
    tables: &'a JumpTables,
    folders: ListedFolders,
    /// Names of channels as they occurred.
    channels: Vec<String>,
    /// Brightfield channels.
    left_out: BTreeSet<String>,
    /// Hashes of their paths.
    left_out_images: HashSet<u64>,
    sites: Vec<FoundSite>,
    /// Where the metadata of each plate's source lie.
    metadata_folders: HashMap<PlateKey, String>,
}

/// Where a table has the images of one channel.
struct ImageColumns {
    channel_index: usize,
    image: FileColumns,
    illumination: FileColumns,
}

/// Where a table has a file: its URL, or its name and folder.
#[derive(Default)]
struct FileColumns {
    url: Option<ColumnIndex>,
    name: Option<ColumnIndex>,
    folder: Option<ColumnIndex>,
}

impl FileColumns {
    fn of(table: &Table, channel: &str) -> Result<Self, ScreenError> {
        let column = |kind: &str| table.optional_column(&format!("{kind}_{channel}"));
        Ok(Self {
            url: column("URL")?,
            name: column("FileName")?,
            folder: column("PathName")?,
        })
    }

    fn path(
        &self,
        table: &Table,
        row: usize,
        plate: &str,
        folders: &mut ListedFolders,
    ) -> Result<Option<String>, ScreenError> {
        let get = |column: Option<ColumnIndex>| column.and_then(|column| table.get(row, column));
        match (get(self.url), get(self.name)) {
            (Some(url), _) if is_url(url) && !url.starts_with("file:") => Ok(Some(url.to_owned())),
            (Some(path), _) => {
                let path = path.trim_start_matches("file:").replace('\\', "/");
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
                folders.path(folder, name, plate).map(Some)
            }
            (None, Some(name)) => {
                let folder = get(self.folder).unwrap_or_default();
                folders.path(folder, name, plate).map(Some)
            }
            (None, None) => Ok(None),
        }
    }
}

impl ListedImages<'_> {
    fn read(&mut self, table: &Table, path: &str) -> Result<(), ScreenError> {
        let (images, brightfield) = self.image_columns(table)?;
        let is_illuminated = images.iter().any(|columns| {
            let illumination = &columns.illumination;
            illumination.url.or(illumination.name).is_some()
        });
        let plate = table.column("Metadata_Plate")?;
        let well = table.column("Metadata_Well")?;
        let site = table.optional_column("Metadata_Site")?;
        let batch = table.optional_column("Metadata_Batch")?;
        let source = table.optional_column("Metadata_Source")?;
        let (source_folder, batch_folder) = source_and_batch(path);
        let metadata_folder = metadata_folder(path);
        for row in 0..table.num_rows() {
            let get =
                |column: Option<ColumnIndex>| column.and_then(|column| table.get(row, column));
            let plate = table.require(row, plate)?;
            let original_address = table.require(row, well)?;
            let address = table.well(row, well)?;
            let site = match site {
                Some(column) => table.number(row, column)?,
                None => 1,
            };
            let source = get(source).or(source_folder);
            let batch = get(batch)
                .or(batch_folder)
                .or_else(|| self.tables.batch(source, plate))
                .unwrap_or(self.name);
            let key = PlateKey {
                source: source.map(str::to_owned),
                experiment: Experiment::new(batch),
                plate: plate.to_owned(),
            };
            if let Some(folder) = &metadata_folder
                && !self.metadata_folders.contains_key(&key)
            {
                self.metadata_folders.insert(key.clone(), folder.clone());
            }
            let mut found = FoundSite {
                key: SiteKey::new(key, address, site),
                original_address: original_address.to_owned(),
                layout: None,
                images: vec![None; self.channels.len()],
                illumination: Vec::new(),
                row: Some(row),
                place: table.place(row),
            };
            if is_illuminated {
                found.illumination = vec![None; self.channels.len()];
            }
            for columns in &images {
                let channel = columns.channel_index;
                let folders = &mut self.folders;
                found.images[channel] = columns.image.path(table, row, plate, folders)?;
                if is_illuminated {
                    found.illumination[channel] =
                        columns.illumination.path(table, row, plate, folders)?;
                }
            }
            // Images of a site lie together.
            let beside = found.images.iter().flatten().next();
            let folder = beside.map(|path| path.rsplit_once('/').map_or("", |(folder, _)| folder));
            for columns in &brightfield {
                let name = get(columns.name.or(columns.url));
                let name = name.map(|name| name.rsplit('/').next().unwrap_or(name));
                let path = folder.zip(name).map(|(folder, name)| joined(folder, name));
                self.left_out_images
                    .extend(path.as_deref().map(hash_of_path));
            }
            self.sites.push(found);
        }
        Ok(())
    }

    /// Finds a table's channels; those that are new become channels of the
    /// screen. Brightfield channels are apart.
    fn image_columns(
        &mut self,
        table: &Table,
    ) -> Result<(Vec<ImageColumns>, Vec<FileColumns>), ScreenError> {
        let listed: BTreeSet<&str> = table
            .columns()
            .iter()
            .filter_map(|column| {
                let name = column.strip_prefix("URL_");
                name.or_else(|| column.strip_prefix("FileName_"))
            })
            .filter(|name| !name.starts_with("Illum"))
            .collect();
        let has_orig = listed.iter().any(|name| name.starts_with("Orig"));
        let (mut columns, mut brightfield) = (Vec::new(), Vec::new());
        for listed in listed {
            let name = match listed.strip_prefix("Orig") {
                Some(name) if !name.is_empty() => name,
                _ if has_orig => continue,
                _ => listed,
            };
            if is_brightfield(name) {
                self.left_out.insert(name.to_owned());
                brightfield.push(FileColumns::of(table, listed)?);
                continue;
            }
            let known = self.channels.iter().position(|other| other == name);
            let channel_index = known.unwrap_or_else(|| {
                self.channels.push(name.to_owned());
                self.channels.len() - 1
            });
            columns.push(ImageColumns {
                channel_index,
                image: FileColumns::of(table, listed)?,
                illumination: FileColumns::of(table, &format!("Illum{name}"))?,
            });
        }
        Ok((columns, brightfield))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.left_out.is_empty() {
            let names: Vec<&str> = self.left_out.iter().map(String::as_str).collect();
            notes.push(format!(
                "brightfield channels are left out: {} (to have them, describe the screen in a \
                 TOML file)",
                names.join(", ")
            ));
        }
        notes.extend(self.folders.note());
        notes
    }

    /// The channels in JUMP's order, and the sites with their images in it.
    fn in_channel_order(self) -> (Vec<Channel>, Vec<FoundSite>) {
        let mut channels: Vec<(usize, Channel)> = self
            .channels
            .into_iter()
            .map(|name| Channel::new(name.clone(), Stain::from(name)))
            .enumerate()
            .collect();
        channels.sort_by_key(|(index, channel)| {
            let rank = CHANNEL_ORDER
                .iter()
                .position(|stain| *stain == channel.stain);
            (rank.unwrap_or(CHANNEL_ORDER.len()), *index)
        });
        let in_order = |paths: &mut Vec<Option<String>>| {
            let paths_of = |&(index, _): &(usize, Channel)| paths.get_mut(index)?.take();
            channels.iter().map(paths_of).collect::<Vec<_>>()
        };
        let mut sites = self.sites;
        for site in &mut sites {
            site.images = in_order(&mut site.images);
            if !site.illumination.is_empty() {
                site.illumination = in_order(&mut site.illumination);
            }
        }
        let channels = channels.into_iter().map(|(_, channel)| channel).collect();
        (channels, sites)
    }
}

/// `Brightfield`, `Brightfield_H`, `BFLow`, `HighZBF`.
fn is_brightfield(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.contains("brightfield") || lower.starts_with("bf") || lower.ends_with("bf")
}

/// The source and the batch that a table's folders name, as in
/// `source_4/workspace/load_data_csv/{batch}/{plate}/load_data.csv`.
fn source_and_batch(path: &str) -> (Option<&str>, Option<&str>) {
    let parts: Vec<&str> = path.split('/').collect();
    let folders = &parts[..parts.len() - 1];
    let source = folders
        .iter()
        .find(|folder| folder.starts_with("source_"))
        .copied();
    let listing = folders.iter().position(|folder| *folder == "load_data_csv");
    let batch = match (listing, folders) {
        (Some(at), _) => folders.get(at + 1).copied(),
        (None, [.., batch, _plate]) => Some(*batch),
        (None, _) => None,
    };
    (source, batch)
}
