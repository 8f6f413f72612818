use std::path::Path;

use morphospace_screen::store::{Store, StoreError, TarStore, ZipStore};

use super::allocation::within;

/// Most that deflate expands by.
const MAX_RATIO: usize = 1_032;

/// A zip archive.
pub(super) fn zip(bytes: &[u8]) {
    let bound = 3 * MAX_RATIO * bytes.len() + (1 << 20);
    check("screen.zip", bytes, bound, ZipStore::open);
}

/// A tar archive.
pub(super) fn tar(bytes: &[u8]) {
    let bound = 64 * bytes.len() + (1 << 20);
    check("screen.tar", bytes, bound, TarStore::open);
}

/// An archive that opens lists what it holds, inside itself, and gives each
/// file whole or not at all.
fn check<S: Store>(
    name: &str,
    bytes: &[u8],
    bound: usize,
    open: impl FnOnce(&Path) -> Result<S, StoreError>,
) {
    let folder = tempfile::tempdir().expect("a folder for the archive");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("written");
    let Ok(store) = within(bound, || open(&path)) else {
        return;
    };
    for path in store.files("").expect("archives can be listed") {
        let parts: Vec<&str> = path.split('/').collect();
        assert!(!parts.iter().any(|part| matches!(*part, "" | "." | "..")));
        let (above, file) = path.rsplit_once('/').unwrap_or(("", &path));
        let entries = store.entries(above).expect("archives can be listed");
        assert!(entries.iter().any(|entry| entry.name == file), "{path}");
        let Ok(whole) = within(bound, || store.read(&path)) else {
            continue;
        };
        let len = whole.len() as u64;
        assert_eq!(store.len(&path), Ok(Some(len)), "{path}");
        assert_eq!(store.read_range(&path, 0..len), Ok(whole.clone()), "{path}");
        let half = store.read_range(&path, len / 2..len);
        assert_eq!(half.as_deref(), Ok(&whole[whole.len() / 2..]), "{path}");
        assert!(store.read_range(&path, 0..len + 1).is_err(), "{path}");
    }
}
