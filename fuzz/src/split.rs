use morphospace_screen::split::{read_split, write_split};

use super::allocation::{PARQUET_BOUND, within};

/// A split in Parquet.
pub(super) fn split(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder for the split");
    let path = folder.path().join("split.parquet");
    std::fs::write(&path, bytes).expect("written");
    let Ok(split) = within(PARQUET_BOUND, || read_split(&path)) else {
        return;
    };
    let again = folder.path().join("again.parquet");
    write_split(&again, &split).expect("what was read can be written");
    let again = read_split(&again).expect("what is written reads");
    assert_eq!((again.rows, again.fold), (split.rows, split.fold));
}
