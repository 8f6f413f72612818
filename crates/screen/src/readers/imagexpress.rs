use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::LazyLock;

use regex::Regex;

use crate::ScreenError;
use crate::readers::IndexScreen;
use crate::readers::plate_files::{
    PlateFile, PlateFiles, PlateSheet, is_tiff, note_of_strangers, told_apart,
};
use crate::site_list::{folder_name, name_of};
use crate::store::{SharedStore, joined};

/// How many folders deep a plate's `.HTD` is looked for, and in how many
/// folders at most, to recognise a screen.
const MARKER_DEPTH: usize = 3;
const MAX_LISTINGS: usize = 64;

/// Opens plates of an ImageXpress microscope as MetaXpress exports them.
///
/// # Layout
/// Below the root, for one plate or each of several:
/// `{plate}/TimePoint_{t}/ZStep_{z}/{name}_{well}[_s{site}][_w{wavelength}].TIF`
/// where either level may be absent, and a plate of one site or wavelength
/// has no such part in its names. A unique id may follow the name, as in
/// MetaXpress' own database; thumbnails (`_thumb`) are left out.
///
/// The folder of each plate holds a `.HTD` sheet (text, Latin-1) whose
/// `WaveName{n}` name the channels. Channels are matched by these names
/// across plates, else they are `w{n}`.
///
/// # z and time
/// `ZStep_1` .. are z-planes 0 .., `TimePoint_1` .. time points 0 ... Images
/// of `ZStep_0`, and those beside the folders `ZStep_*`, are projections:
/// their sites have no z index. Exports put every wavelength into every
/// folder: one that was recorded in a single plane, at the first time point
/// or as a projection only is there as the same image again. Plates with a
/// single plane or time point have sites without an index.
///
/// # What is known of wells
/// Their addresses: perturbations and control roles are unknown. The
/// experiment is the folder that holds the plates, a plate its own folder
/// (for a single plate, both are the root's name).
///
/// # Errors
/// [`ScreenError`]: no image, or two files for one.
///
/// # Source
/// File and folder names as `faim-ipa` reads them
/// (<https://github.com/fmi-faim/faim-ipa>, `faim_ipa.hcs.imagexpress`), and
/// exported plates.
pub fn open_imagexpress(store: SharedStore) -> Result<IndexScreen, ScreenError> {
    let name = name_of(&store.location());
    let experiment = folder_name(&store.location());
    let paths = store
        .files("")
        .map_err(|error| ScreenError::cannot_read(store.location(), &error))?;
    let mut plates = PlateFiles {
        files: Vec::new(),
        sheets: BTreeMap::new(),
        plate_names: BTreeMap::new(),
        channel_prefix: "w",
        notes: Vec::new(),
    };
    let mut strangers = Vec::new();
    for path in paths {
        if is_sheet(&path) {
            let folder = Folders::of(&path).plate;
            // Copies lie in the folders below; the first is the plate's own.
            if let Entry::Vacant(entry) = plates.sheets.entry(folder) {
                entry.insert(read_sheet(&store, &path)?);
            }
        } else if is_tiff(&path) {
            match plate_file(&path) {
                Named::Image(file) => plates.files.push(file),
                Named::Thumbnail => {}
                Named::Stranger => strangers.push(path),
            }
        }
    }
    if plates.files.is_empty() {
        return Err(ScreenError::EmptyScreen {
            name,
            reason: format!(
                "no file below '{}' is named as MetaXpress names images\nhint: such a name is \
                 'plate_B02_s1_w1.TIF'",
                store.location()
            ),
        });
    }
    plates
        .notes
        .extend(note_of_strangers(&strangers, "MetaXpress"));
    for file in &plates.files {
        let folder = &file.plate_folder;
        let plate = match folder.as_str() {
            "" => experiment.clone(),
            folder => folder.to_owned(),
        };
        plates.plate_names.insert(folder.clone(), plate);
    }
    plates.into_screen(name, &experiment, store)
}

/// Whether there is a sheet in the root or a few folders below.
pub(super) fn is_imagexpress(store: &SharedStore) -> bool {
    let mut folders = vec![(String::new(), 0)];
    let mut at = 0;
    while at < folders.len().min(MAX_LISTINGS) {
        let (folder, depth) = folders[at].clone();
        at += 1;
        for entry in store.entries(&folder).unwrap_or_default() {
            if !entry.is_folder && is_sheet(&entry.name) {
                return true;
            }
            if entry.is_folder && depth < MARKER_DEPTH {
                folders.push((joined(&folder, &entry.name), depth + 1));
            }
        }
    }
    false
}

fn is_sheet(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with(".htd")
}

/// `9987_B02_s1_w1.TIF`, `Mix_E07_s1_w1E94C24BD-45E4-450A-9919-257C714278F7.tif`.
static FILE_NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?xi)
    ^.+?_(?<well>[A-Z]{1,2}\d{1,2})
    (?:_s(?<site>\d{1,6}))?
    (?:_w(?<wavelength>\d{1,2}?))?
    (?<thumbnail>_thumb)?
    (?:[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12})?
    \.tiff?$",
    )
    .expect("a valid expression")
});

enum Named {
    Image(PlateFile),
    Thumbnail,
    Stranger,
}

fn plate_file(path: &str) -> Named {
    let file = path.rsplit('/').next().unwrap_or(path);
    let Some(groups) = FILE_NAME.captures(file) else {
        return Named::Stranger;
    };
    if groups.name("thumbnail").is_some() {
        return Named::Thumbnail;
    }
    let number = |group: &str| match groups.name(group) {
        Some(digits) => digits.as_str().parse().unwrap_or(1),
        None => 1,
    };
    let original_address = &groups["well"];
    let Ok(address) = original_address.parse() else {
        return Named::Stranger;
    };
    let folders = Folders::of(path);
    Named::Image(PlateFile {
        plate_folder: folders.plate,
        address,
        original_address: original_address.to_owned(),
        site: number("site"),
        channel: number("wavelength"),
        // Step 0 is the projection.
        z_index: folders.z_step.and_then(|step| step.checked_sub(1)),
        time_index: folders.time_point.and_then(|point| point.checked_sub(1)),
        path: path.to_owned(),
    })
}

/// What the folders above a file say.
struct Folders {
    /// Those above `TimePoint_*` and `ZStep_*`.
    plate: String,
    time_point: Option<u32>,
    z_step: Option<u32>,
}

impl Folders {
    fn of(path: &str) -> Self {
        let mut folders = Self {
            plate: String::new(),
            time_point: None,
            z_step: None,
        };
        let (above, _) = path.rsplit_once('/').unwrap_or(("", path));
        for folder in above.split('/') {
            let (word, digits) = folder.rsplit_once('_').unwrap_or((folder, ""));
            match (word.to_ascii_lowercase().as_str(), digits.parse().ok()) {
                ("timepoint", Some(number)) => folders.time_point = Some(number),
                ("zstep", Some(number)) => folders.z_step = Some(number),
                _ => folders.plate = joined(&folders.plate, folder),
            }
        }
        folders
    }
}

/// Reads `"key", value` lines.
fn read_sheet(store: &SharedStore, path: &str) -> Result<PlateSheet, ScreenError> {
    let bytes = store
        .read(path)
        .map_err(|error| ScreenError::cannot_read(store.file_location(path), &error))?;
    // Every byte is a character of Latin-1.
    let text: String = bytes.into_iter().map(char::from).collect();
    let mut sheet = PlateSheet::default();
    let mut names = BTreeMap::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(',') else {
            continue;
        };
        let unquoted = |text: &str| text.trim().trim_matches('"').trim().to_owned();
        let (key, value) = (unquoted(key), unquoted(value));
        let is_several = || value.parse::<u32>().is_ok_and(|count| count > 1);
        match key.as_str() {
            "TimePoints" => sheet.has_time = is_several(),
            "ZSteps" => sheet.has_z = is_several(),
            _ => {
                let number = key.strip_prefix("WaveName").and_then(|n| n.parse().ok());
                if let Some(number) = number.filter(|_| !value.is_empty()) {
                    names.insert(number, value);
                }
            }
        }
    }
    sheet.channels = told_apart(names, "w");
    Ok(sheet)
}
