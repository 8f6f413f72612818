//! The stored inputs of the fuzz targets (`fuzz/corpus`), without a fuzzer.
//! Whatever once broke a promise is among them.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use crate::fuzz::{TARGETS, run};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(folder).expect("a committed folder");
    let mut entries: Vec<PathBuf> = listing
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    entries
}

#[test]
fn every_target_has_stored_inputs() {
    let folders: BTreeSet<String> = entries(&corpus())
        .iter()
        .map(|folder| folder.file_name().expect("a name").display().to_string())
        .collect();
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(folders, targets);
    for folder in folders {
        assert!(!entries(&corpus().join(&folder)).is_empty(), "{folder}");
    }
}

#[test]
fn no_stored_input_breaks_a_promise() {
    let mut broken = Vec::new();
    for (name, _) in TARGETS {
        for input in entries(&corpus().join(name)) {
            let bytes = std::fs::read(&input).expect("a committed file");
            if catch_unwind(|| run(name, &bytes)).is_err() {
                broken.push(input);
            }
        }
    }
    assert!(broken.is_empty(), "run `fuzz/run FILE` on {broken:?}");
}
