use std::sync::Arc;

use morphospace_screen::conformance::check_screen;
use morphospace_screen::store::SharedStore;
use morphospace_screen::{
    IndexScreen, Manifest, OmeZarrScreen, Rxrx1Screen, Rxrx3CoreScreen, Screen, ScreenDescription,
    ScreenError, open_harmony, open_imagexpress, open_jump, open_rxrx3, read_manifest,
    write_manifest,
};

use super::memory_store::MemoryStore;

/// Most images that are looked at: a forged header may claim thousands.
const MAX_IMAGES: usize = 1_000;

/// `metadata.csv` and whatever else RxRx1 and Kaggle have.
pub(super) fn rxrx1(bytes: &[u8]) {
    check(Rxrx1Screen::open_in(store(bytes)));
}

/// `metadata_rxrx3.csv`.
pub(super) fn rxrx3(bytes: &[u8]) {
    check(open_rxrx3(store(bytes)));
}

/// `metadata_rxrx3_core.csv` and shards of images.
pub(super) fn rxrx3_core(bytes: &[u8]) {
    check(Rxrx3CoreScreen::open_in(store(bytes)));
}

/// `LoadData` tables, JUMP's metadata and platemaps.
pub(super) fn jump(bytes: &[u8]) {
    if !names_url(bytes) {
        check(open_jump(store(bytes)));
    }
}

/// File names and indices of Harmony.
pub(super) fn harmony(bytes: &[u8]) {
    check(open_harmony(store(bytes)));
}

/// File names and sheets of MetaXpress.
pub(super) fn imagexpress(bytes: &[u8]) {
    check(open_imagexpress(store(bytes)));
}

/// Attributes and arrays of OME-Zarr.
pub(super) fn ome_zarr(bytes: &[u8]) {
    check(OmeZarrScreen::open_in(store(bytes)));
}

/// A `screen.toml`, and the tables and files that it describes.
pub(super) fn described(bytes: &[u8]) {
    let store = store(bytes);
    let Ok(text) = store.read("screen.toml") else {
        return;
    };
    let text = String::from_utf8_lossy(&text);
    match ScreenDescription::parse("screen.toml", &text) {
        Ok(description) => {
            let written = toml::to_string(&description).expect("what was read can be written");
            let again = ScreenDescription::parse("again", &written).expect("what is written reads");
            assert_eq!(again, description);
            if !names_url(bytes) {
                check(IndexScreen::open_in(store, &description));
            }
        }
        Err(error) => assert!(error.to_string().contains("screen.toml"), "{error}"),
    }
}

/// Whether there is a URL, by either slash: it would be asked for over the
/// network.
fn names_url(bytes: &[u8]) -> bool {
    bytes.windows(5).any(|part| match part {
        [a, b, b':', b'/' | b'\\', b'/' | b'\\'] => {
            a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric()
        }
        _ => false,
    })
}

fn store(bytes: &[u8]) -> SharedStore {
    Arc::new(MemoryStore::of(bytes))
}

/// A screen that opens keeps the contract of [`Screen`], and its manifest
/// comes back as it was; an error says something.
fn check(opened: Result<impl Screen, ScreenError>) {
    let screen = match opened {
        Ok(screen) => screen,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    if screen.sites().len() * screen.channels().len() > MAX_IMAGES {
        return;
    }
    if let Err(failure) = check_screen(&screen) {
        panic!("{failure}");
    }
    let folder = tempfile::tempdir().expect("a folder for the manifest");
    let path = folder.path().join("manifest.parquet");
    let manifest = Manifest::of(&screen);
    write_manifest(&path, &manifest).expect("written");
    assert_eq!(read_manifest(&path).expect("read"), manifest);
}
