use morphospace_screen::{read_manifest, write_manifest};

use super::allocation::{PARQUET_BOUND, within};

/// A manifest in Parquet.
pub(super) fn manifest(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder for the manifest");
    let path = folder.path().join("manifest.parquet");
    std::fs::write(&path, bytes).expect("written");
    let Ok(manifest) = within(PARQUET_BOUND, || read_manifest(&path)) else {
        return;
    };
    let again = folder.path().join("again.parquet");
    write_manifest(&again, &manifest).expect("what was read can be written");
    let again = read_manifest(&again).expect("what is written reads");
    // Doses may be NaN, which equals nothing.
    assert_eq!(format!("{again:?}"), format!("{manifest:?}"));
}
