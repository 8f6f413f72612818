use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use morphospace_core::WellAddress;
use regex::Regex;

use crate::ScreenError;
use crate::readers::IndexScreen;
use crate::readers::plate_files::{
    PlateFile, PlateFiles, PlateSheet, is_tiff, note_of_strangers, told_apart,
};
use crate::site_list::{folder_name, name_of};
use crate::store::{SharedStore, joined};

/// Names of Harmony's index, in the order they are looked for.
const INDEX_FILES: [&str; 2] = ["Index.idx.xml", "Index.xml"];

/// Folders that are looked into to recognise a screen.
const MAX_LISTINGS: usize = 64;

/// Opens plates of an Opera Phenix or Operetta as Harmony exports them.
///
/// # Layout
/// `{plate}__{date}-Measurement 1/Images/r01c02f03p01-ch4sk1fk1fl1.tiff`, for
/// one plate or several: row, column, field, plane, channel, time point
/// (`sk`). The levels may be absent, down to a folder of images.
///
/// `Index.idx.xml` or `Index.xml` beside the images names the channels.
/// Channels are matched by these names across plates; without an index they
/// are `ch1` ...
///
/// Plane `p01` is z 0 and `sk1` time point 0; plates that have only one have
/// sites without an index.
///
/// # What is known of wells
/// Their addresses: perturbations and control roles are unknown. The
/// experiment is the root's name; a plate is its folder's name up to `__`, or
/// all of it where a plate was measured twice.
///
/// # Errors
/// [`ScreenError`]: no image, two files for one, an index that cannot be
/// read.
///
/// # Source
/// Names as the Cell Painting Gallery holds them
/// (<https://broadinstitute.github.io/cellpainting-gallery/>), exported by
/// Harmony 4 and 5.
pub fn open_harmony(store: SharedStore) -> Result<IndexScreen, ScreenError> {
    let name = name_of(&store.location());
    let paths = store
        .files("")
        .map_err(|error| ScreenError::cannot_read(store.location(), &error))?;
    let mut plates = PlateFiles {
        files: Vec::new(),
        sheets: BTreeMap::new(),
        plate_names: BTreeMap::new(),
        channel_prefix: "ch",
        notes: Vec::new(),
    };
    let mut strangers = Vec::new();
    for path in paths.iter().filter(|path| is_tiff(path)) {
        match plate_file(path) {
            Some(file) => plates.files.push(file),
            None => strangers.push(path.clone()),
        }
    }
    if plates.files.is_empty() {
        return Err(ScreenError::EmptyScreen {
            name,
            reason: format!(
                "no file below '{}' is named as Harmony names images\nhint: such a name is \
                 'r01c02f03p01-ch4sk1fk1fl1.tiff'",
                store.location()
            ),
        });
    }
    plates
        .notes
        .extend(note_of_strangers(&strangers, "Harmony"));
    let folders: BTreeSet<String> = plates
        .files
        .iter()
        .map(|file| file.plate_folder.clone())
        .collect();
    for folder in &folders {
        let indices = INDEX_FILES.map(|file| joined(folder, file));
        if let Some(index) = indices.iter().find(|path| paths.contains(path)) {
            let sheet = read_index(&store, index)?;
            plates.sheets.insert(folder.clone(), sheet);
        }
    }
    plates.plate_names = plate_names(&store, &folders);
    let experiment = folder_name(&store.location());
    plates.into_screen(name, &experiment, store)
}

/// Whether an image named by Harmony is found among the first folders.
pub(super) fn is_harmony(store: &SharedStore) -> bool {
    let mut folders = vec![String::new()];
    for _ in 0..MAX_LISTINGS {
        // Depth first: the images of the first plate are a few folders down.
        let Some(folder) = folders.pop() else {
            return false;
        };
        for entry in store.entries(&folder).unwrap_or_default().into_iter().rev() {
            if entry.is_folder {
                folders.push(joined(&folder, &entry.name));
            } else if FILE_NAME.is_match(&entry.name) {
                return true;
            }
        }
    }
    false
}

/// `r01c02f03p01-ch4sk1fk1fl1.tiff`.
static FILE_NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?xi)
    ^r(?<row>\d{2})c(?<column>\d{2})f(?<field>\d{1,6})p(?<plane>\d{1,6})
    -ch(?<channel>\d{1,4})sk(?<time>\d{1,6})(?:fk\d+)?(?:fl\d+)?
    \.tiff?$",
    )
    .expect("a valid expression")
});

fn plate_file(path: &str) -> Option<PlateFile> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let groups = FILE_NAME.captures(file)?;
    let number = |group: &str| groups[group].parse::<u32>().ok();
    let from_one = |group: &str| number(group)?.checked_sub(1);
    let address =
        WellAddress::from_indices(from_one("row")? as usize, from_one("column")? as usize)?;
    Some(PlateFile {
        plate_folder: folder.to_owned(),
        address,
        original_address: format!("r{}c{}", &groups["row"], &groups["column"]),
        site: number("field")?,
        channel: number("channel")?,
        z_index: Some(from_one("plane")?),
        time_index: Some(from_one("time")?),
        path: path.to_owned(),
    })
}

/// A name for the plate of each folder of images.
fn plate_names(store: &SharedStore, folders: &BTreeSet<String>) -> BTreeMap<String, String> {
    let measurements: Vec<(&String, String)> = folders
        .iter()
        .map(|folder| {
            let location = store.file_location(folder);
            let location = location.trim_end_matches(['/', '\\']);
            let above = match location.rsplit_once(['/', '\\']) {
                Some((above, last)) if last.eq_ignore_ascii_case("images") => above,
                _ => location,
            };
            (folder, folder_name(above))
        })
        .collect();
    let barcode = |name: &str| match name.split_once("__") {
        Some((barcode, _)) if !barcode.is_empty() => barcode.to_owned(),
        _ => name.to_owned(),
    };
    let mut num_of_barcode: HashMap<String, usize> = HashMap::new();
    let mut num_of_name: HashMap<&str, usize> = HashMap::new();
    for (_, name) in &measurements {
        *num_of_barcode.entry(barcode(name)).or_default() += 1;
        *num_of_name.entry(name).or_default() += 1;
    }
    measurements
        .iter()
        .map(|(folder, name)| {
            let plate = match (num_of_barcode[&barcode(name)], num_of_name[name.as_str()]) {
                (1, _) => barcode(name),
                (_, 1) => name.clone(),
                // Folders of one name below different ones.
                _ => (*folder).clone(),
            };
            ((*folder).clone(), plate)
        })
        .collect()
}

/// A channel's number, or its name.
static CHANNEL_NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"ChannelID(?:\s*=\s*"(?<attribute>\d+)"|\s*>\s*(?<element>\d+)\s*<)|<ChannelName[^>]*>(?<name>[^<]*)<"#,
    )
    .expect("a valid expression")
});

/// Reads the names of channels from Harmony's index, of which nothing else
/// is needed: each `ChannelID`, as an attribute or an element, is followed
/// by its `ChannelName`.
fn read_index(store: &SharedStore, path: &str) -> Result<PlateSheet, ScreenError> {
    let bytes = store
        .read(path)
        .map_err(|error| ScreenError::cannot_read(store.file_location(path), &error))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut names = BTreeMap::new();
    let mut channel: Option<u32> = None;
    for groups in CHANNEL_NAME.captures_iter(&text) {
        if let Some(name) = groups.name("name") {
            let name = without_entities(name.as_str().trim());
            if let Some(channel) = channel.take().filter(|_| !name.is_empty()) {
                names.entry(channel).or_insert(name);
            }
        } else {
            let digits = groups.name("attribute").or(groups.name("element"));
            channel = digits.and_then(|digits| digits.as_str().parse().ok());
        }
    }
    Ok(PlateSheet {
        channels: told_apart(names, "ch"),
        ..PlateSheet::default()
    })
}

fn without_entities(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (entity, character)| {
        text.replace(entity, character)
    })
}
