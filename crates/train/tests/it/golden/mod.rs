//! Losses, update rules, schedules and image kernels against what the
//! reference implementations gave.
//!
//! Reads the case folders of `MORPHOSPACE_GOLDEN` (several separated by `:`),
//! else the ones committed beside this test; takes every case of this crate,
//! builds it from its `config` and compares every listed output.

mod case;
mod losses;
mod multi_crop;
mod optimisers;

use std::fs;
use std::path::{Path, PathBuf};

use case::{Case, Outputs};

/// Kinds of this crate that are not built yet.
const NOT_BUILT_YET: [&str; 7] = [
    "clip_ema",
    "cutmix",
    "cutmix_kaggle",
    "pixel_ops",
    "resized_crop",
    "schedules",
    "schedules_aibio",
];

#[test]
fn golden() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folders: Vec<PathBuf> = match std::env::var("MORPHOSPACE_GOLDEN") {
        Ok(folders) => folders.split(':').map(PathBuf::from).collect(),
        Err(_) => vec![committed],
    };
    let mut num_cases = 0;
    let mut failures = Vec::new();
    for folder in &folders {
        let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        for case in folders.iter().filter_map(|folder| Case::read(folder)) {
            num_cases += 1;
            if let Some(outputs) = run(&case) {
                failures.extend(case.differences(&outputs));
            }
        }
    }
    assert!(num_cases > 0, "no case of crate 'train' in {folders:?}");
    assert!(
        failures.is_empty(),
        "{} differences:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// What is computed for a case.
fn run(case: &Case) -> Option<Outputs> {
    match case.kind.as_str() {
        "loss_cross_entropy" => Some(losses::cross_entropies(case)),
        "loss_ntxent" => Some(losses::nt_xent(case)),
        "loss_barlow" => Some(losses::barlow(case)),
        "dino_loss" | "multicenter_loss" => Some(losses::dino(case)),
        "dino_multicrop_step" => Some(multi_crop::run(case)),
        "dinov2_losses" => Some(losses::dinov2(case)),
        "optimizer" => optimisers::run(case),
        kind if NOT_BUILT_YET.contains(&kind) => {
            eprintln!("NOT BUILT YET: {} ({kind})", case.name);
            None
        }
        kind => panic!("case {} is of unknown kind '{kind}'", case.name),
    }
}
