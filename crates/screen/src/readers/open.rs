use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use morphospace_core::suggestion;

use crate::ScreenError;
use crate::readers::described_screen::open_described;
use crate::readers::{
    OmeZarrScreen, Rxrx1Screen, Rxrx3CoreScreen, ScreenDescription, harmony, imagexpress, jump,
    rxrx3, wilds,
};
use crate::screen::Screen;
use crate::store::{FolderStore, SharedStore, StoreError, SubfolderStore, open_store};

/// How to read a screen, where its folder does not say.
///
/// ```
/// use morphospace_screen::ScreenFormat;
///
/// assert_eq!("rxrx1".parse::<ScreenFormat>()?, ScreenFormat::Rxrx1);
/// assert_eq!("my.toml".parse::<ScreenFormat>()?, ScreenFormat::Described("my.toml".into()));
/// assert!("rxrx4".parse::<ScreenFormat>().is_err());
/// # Ok::<(), morphospace_screen::ScreenError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScreenFormat {
    /// [`Rxrx3CoreScreen`].
    Rxrx3Core,
    /// [`open_rxrx3`](crate::open_rxrx3).
    Rxrx3,
    /// [`open_wilds`](crate::open_wilds).
    Wilds,
    /// [`Rxrx1Screen`].
    Rxrx1,
    /// [`OmeZarrScreen`].
    OmeZarr,
    /// [`open_jump`](crate::open_jump).
    Jump,
    /// [`open_imagexpress`](crate::open_imagexpress).
    ImageXpress,
    /// [`open_harmony`](crate::open_harmony).
    Harmony,
    /// As the description in this TOML file says: an
    /// [`IndexScreen`](crate::IndexScreen), or what another reader finds with
    /// labels and stains.
    Described(PathBuf),
}

/// A reader: its name on the command line, what it reads, how its screens
/// are told, and how they are opened.
struct Reader {
    format: ScreenFormat,
    name: &'static str,
    /// What marks its screens, for messages.
    marker: &'static str,
    recognises: fn(&SharedStore) -> bool,
    open: fn(SharedStore) -> Result<Box<dyn Screen>, ScreenError>,
}

/// In the order in which a place is tried: layouts that are special cases of
/// another come before it.
const READERS: [Reader; 8] = [
    Reader {
        format: ScreenFormat::OmeZarr,
        name: "ome-zarr",
        marker: "plates '*.zarr' (OME-Zarr)",
        recognises: OmeZarrScreen::recognises,
        open: |store| Ok(Box::new(OmeZarrScreen::open_in(store)?)),
    },
    Reader {
        format: ScreenFormat::Rxrx3Core,
        name: "rxrx3-core",
        marker: "'metadata_rxrx3_core.csv' (RxRx3-core)",
        recognises: Rxrx3CoreScreen::recognises,
        open: |store| Ok(Box::new(Rxrx3CoreScreen::open_in(store)?)),
    },
    Reader {
        format: ScreenFormat::Rxrx3,
        name: "rxrx3",
        marker: "'metadata_rxrx3.csv' (RxRx3)",
        recognises: rxrx3::is_rxrx3,
        open: |store| Ok(Box::new(rxrx3::open_rxrx3(store)?)),
    },
    Reader {
        format: ScreenFormat::Wilds,
        name: "wilds",
        marker: "'metadata.csv' beside colour images (WILDS)",
        recognises: wilds::is_wilds,
        open: |store| Ok(Box::new(wilds::open_wilds(store)?)),
    },
    Reader {
        format: ScreenFormat::Rxrx1,
        name: "rxrx1",
        marker: "'metadata.csv' (RxRx1) or Kaggle's 'train.csv'",
        recognises: Rxrx1Screen::recognises,
        open: |store| Ok(Box::new(Rxrx1Screen::open_in(store)?)),
    },
    Reader {
        format: ScreenFormat::Jump,
        name: "jump",
        marker: "'load_data.csv' (JUMP, Cell Painting Gallery)",
        recognises: jump::is_jump,
        open: |store| Ok(Box::new(jump::open_jump(store)?)),
    },
    Reader {
        format: ScreenFormat::ImageXpress,
        name: "imagexpress",
        marker: "plates with '.HTD' files (ImageXpress)",
        recognises: imagexpress::is_imagexpress,
        open: |store| Ok(Box::new(imagexpress::open_imagexpress(store)?)),
    },
    Reader {
        format: ScreenFormat::Harmony,
        name: "harmony",
        marker: "images such as 'r01c02f03p01-ch4sk1fk1fl1.tiff' (Harmony)",
        recognises: harmony::is_harmony,
        open: |store| Ok(Box::new(harmony::open_harmony(store)?)),
    },
];

/// The description of a screen that lies beside its images.
const DESCRIPTION_FILE: &str = "screen.toml";

/// How many folders that hold nothing but one folder are stepped into, as
/// archives often begin with such.
const MAX_STEPS_DOWN: usize = 3;

impl FromStr for ScreenFormat {
    type Err = ScreenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        if let Some(reader) = READERS.iter().find(|reader| reader.name == lower) {
            return Ok(reader.format.clone());
        }
        if is_toml(Path::new(text)) {
            return Ok(Self::Described(PathBuf::from(text)));
        }
        let names: Vec<&str> = READERS.iter().map(|reader| reader.name).collect();
        Err(ScreenError::UnknownFormatName {
            text: text.to_owned(),
            near: suggestion(&lower, names.iter().copied()).map(str::to_owned),
            known: names.join(", "),
        })
    }
}

/// Opens a screen: its tables and folders are read, its images are not.
///
/// `root` is a folder, a `.zip` or `.tar` archive, or a URL (`s3://`,
/// `gs://`, `az://`, `https://`); archives in a folder count as unpacked.
/// Without `format`, `root` decides: a TOML file describes the screen in its
/// own folder, `screen.toml` in a folder describes the screen there, and each
/// layout has files that mark it.
///
/// # Errors
/// [`ScreenError::UnknownFormat`] says what was looked for; else what the
/// reader says.
pub fn open_screen(
    root: &Path,
    format: Option<&ScreenFormat>,
) -> Result<Box<dyn Screen>, ScreenError> {
    if format.is_none() && is_toml(root) && root.is_file() {
        let folder = match root.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let description = ScreenDescription::read(root)?;
        let store: SharedStore = Arc::new(FolderStore::new(folder));
        return open_described(store, &description);
    }
    let store = open_store(root).map_err(|error| match error {
        StoreError::Missing => unknown_format(root, "it does not exist"),
        StoreError::Refused(_) => {
            ScreenError::cannot_read(root.to_string_lossy().into_owned(), &error)
        }
    })?;
    open_screen_in(store, format)
}

/// Opens the screen in an opened place, as [`open_screen`] does: for places
/// that are opened with settings of their own, and other implementations of
/// [`Store`](crate::store::Store).
///
/// # Errors
/// As [`open_screen`].
pub fn open_screen_in(
    store: SharedStore,
    format: Option<&ScreenFormat>,
) -> Result<Box<dyn Screen>, ScreenError> {
    let location = store.location();
    match format {
        None => {
            let steps = steps_down(store);
            let recognised = steps.iter().find_map(recognise);
            recognised.unwrap_or_else(|| {
                Err(unknown_format(
                    location.as_ref(),
                    "it has none of the files that mark one",
                ))
            })
        }
        Some(ScreenFormat::Described(path)) => {
            let description = ScreenDescription::read(path)?;
            open_described(store, &description)
        }
        Some(format) => open_as(store, format),
    }
}

fn unknown_format(root: &Path, found: &str) -> ScreenError {
    ScreenError::UnknownFormat {
        path: root.to_owned(),
        found: found.to_owned(),
        markers: markers(),
    }
}

/// Opens a place with the reader of a format, which is no description.
pub(super) fn open_as(
    store: SharedStore,
    format: &ScreenFormat,
) -> Result<Box<dyn Screen>, ScreenError> {
    let reader = READERS.iter().find(|reader| reader.format == *format);
    let reader = reader.expect("every format but a description has a reader");
    let steps = steps_down(SharedStore::clone(&store));
    let step = steps.into_iter().find(|step| (reader.recognises)(step));
    (reader.open)(step.unwrap_or(store))
}

/// Opens the screen of a place, if a reader knows it.
fn recognise(store: &SharedStore) -> Option<Result<Box<dyn Screen>, ScreenError>> {
    if store.is_present(DESCRIPTION_FILE) {
        let described = ScreenDescription::read_in(store, DESCRIPTION_FILE)
            .and_then(|description| open_described(SharedStore::clone(store), &description));
        return Some(described);
    }
    let reader = READERS.iter().find(|reader| (reader.recognises)(store))?;
    Some((reader.open)(SharedStore::clone(store)))
}

/// A place, and the folders in it that stand alone.
fn steps_down(store: SharedStore) -> Vec<SharedStore> {
    let mut steps = vec![store];
    while steps.len() <= MAX_STEPS_DOWN {
        let last = &steps[steps.len() - 1];
        let Ok(entries) = last.entries("") else { break };
        let mut folders = entries.iter().filter(|entry| entry.is_folder);
        let (Some(only), None) = (folders.next(), folders.next()) else {
            break;
        };
        let below: SharedStore =
            Arc::new(SubfolderStore::new(SharedStore::clone(last), &only.name));
        steps.push(below);
    }
    steps
}

fn markers() -> String {
    let mut markers: Vec<&str> = vec!["'screen.toml'"];
    markers.extend(READERS.iter().map(|reader| reader.marker));
    markers.join("; ")
}

fn is_toml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}
