//! Losses, update rules, schedules and image kernels against what the
//! reference implementations gave.
//!
//! Reads the case folders of `MORPHOSPACE_GOLDEN` (several separated by `:`),
//! else the ones committed beside this test; takes every case of this crate,
//! builds it from its `config` and compares every listed output.

mod case;
mod gradients;
mod losses;
mod multi_crop;
mod optimisers;
mod schedules;
mod views;

use std::fs;
use std::path::{Path, PathBuf};

use case::{Case, Outputs};

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
            failures.extend(case.differences(&run(&case)));
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
fn run(case: &Case) -> Outputs {
    match case.kind.as_str() {
        "clip_ema" => gradients::run(case),
        "cutmix" => views::cutmix(case),
        "cutmix_kaggle" => views::cutmix_kaggle(case),
        "dino_loss" | "multicenter_loss" => losses::dino(case),
        "dino_multicrop_step" => multi_crop::run(case),
        "dinov2_losses" => losses::dinov2(case),
        "loss_barlow" => losses::barlow(case),
        "loss_cross_entropy" => losses::cross_entropies(case),
        "loss_ntxent" => losses::nt_xent(case),
        "optimizer" => optimisers::run(case),
        "pixel_ops" => views::pixel_ops(case),
        "resized_crop" => views::resized_crop(case),
        "schedules" => schedules::run(case),
        "schedules_aibio" => schedules::run_aibio(case),
        kind => panic!("case {} is of unknown kind '{kind}'", case.name),
    }
}
