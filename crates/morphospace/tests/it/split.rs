//! Splitting a screen from the command line; tables need no image.

use std::fs;
use std::path::Path;

use morphospace_screen::split::{Part, read_split};

use crate::support::{Run, morphospace};

/// A screen of RxRx1's 51 experiments, one labelled well of two sites each;
/// labels of the experiments in `hidden` are blank.
fn screen(folder: &Path, hidden: &[&str]) {
    let mut table = "experiment,plate,well,site,well_type,sirna\n".to_owned();
    for (series, count) in [("HEPG2", 11), ("HUVEC", 24), ("RPE", 11), ("U2OS", 5)] {
        for number in 1..=count {
            let name = format!("{series}-{number:02}");
            let label = if hidden.contains(&&name[..]) {
                ""
            } else {
                "s1"
            };
            for site in [1, 2] {
                table.push_str(&format!("{name},1,B02,{site},treatment,{label}\n"));
            }
        }
    }
    fs::create_dir(folder.join("screen")).expect("a new folder");
    fs::write(folder.join("screen/metadata.csv"), table).expect("written");
}

fn run(folder: &Path, args: &[&str]) -> Run {
    let mut all = vec!["split", "screen", "--output", "split.parquet", "--scheme"];
    all.extend(args);
    morphospace(folder, &all)
}

#[test]
fn a_split_is_written_and_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    screen(folder, &[]);
    let done = run(folder, &["batch-separated"]).expect_status(0);
    for part in [
        "train       all                   33",
        "HUVEC-18 and RPE-03",
    ] {
        assert!(done.stdout.contains(part), "{}", done.stdout);
    }
    let split = read_split(&folder.join("split.parquet")).expect("written");
    assert_eq!(split.rows.len(), 102);
    assert_eq!(split.rows[101], ("U2OS-05_1_B02_2".to_owned(), Part::Test));
    let provenance = split.provenance.expect("has one");
    assert_eq!(provenance.settings["screen"], "screen");

    let same = run(folder, &["full", "--json"]).expect_status(0);
    let summary: serde_json::Value = serde_json::from_str(&same.stdout).expect("JSON");
    assert_eq!(summary["parts"]["test"]["total"]["num_sites"], 36);
}

#[test]
fn every_scheme_takes_its_flags() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    screen(folder, &[]);
    for (args, num_sites) in [
        (
            &["batch-stratified", "--train-fraction", "0.5", "--seed", "3"][..],
            102,
        ),
        (&["batch-stratified", "--level", "site"], 102),
        (
            &[
                "stratified-80-20",
                "--cell-type",
                "HUVEC",
                "--level",
                "site",
            ],
            48,
        ),
        (&["cross-validation", "--fold", "6"], 48),
        (&["f0"], 48),
        (&["wilds-official"], 33 + 2 * 18),
        (
            &[
                "wilds-official-id",
                "--validation-experiments",
                "RPE-08,U2OS-04",
            ],
            33 + 4 + 33,
        ),
        (&["wilds-mixed-to-test"], 33 + 8 + 14),
        (
            &[
                "experiments-of-one-cell-type",
                "--cell-type",
                "U2OS",
                "--k",
                "2",
            ],
            8,
        ),
        (
            &["leave-experiment-out", "--experiments", "RPE-1,RPE-2"],
            102,
        ),
    ] {
        run(folder, args).expect_status(0);
        let split = read_split(&folder.join("split.parquet")).expect("written");
        assert_eq!(split.rows.len(), num_sites, "{args:?}");
    }
    run(folder, &["wilds-official"])
        .expect_status(0)
        .expect_stderr(&[
            "first test experiment of each cell type",
            "--validation-experiments",
        ]);
}

#[test]
fn what_cannot_be_split_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    screen(folder, &["U2OS-05"]);
    for (args, parts) in [
        (
            &["cross-validation"][..],
            &["needs a fold", "hint: give --fold"][..],
        ),
        (
            &["experiments-of-one-cell-type"],
            &["needs a cell type", "hint:"],
        ),
        (
            &["experiments-of-one-cell-type", "--cell-type", "RPE"],
            &["--num-experiments"],
        ),
        (
            &["batch-separated", "--fold", "1"],
            &["no use for --fold", "hint: it takes none"],
        ),
        (
            &["f0", "--experiments", "RPE-01"],
            &[
                "'f0' has no use for --experiments",
                "hint: it takes --cell-type",
            ],
        ),
        (
            &["batch-stratified"],
            &["2 of 102 sites have an unknown label", "--only-labelled"],
        ),
        (
            &["batch-stratified", "--level", "plate"],
            &["'plate' is not a level", "well, site"],
        ),
        (
            &["leave-experiment-out", "--experiments", "RPE-12"],
            &["did you mean 'RPE-1"],
        ),
        (
            &["batch-seperated"],
            &["batch-seperated", "batch-separated"],
        ),
    ] {
        run(folder, args).expect_status(2).expect_stderr(parts);
    }
    morphospace(
        folder,
        &[
            "split",
            "screen",
            "--scheme",
            "full",
            "--output",
            "split.csv",
        ],
    )
    .expect_status(2)
    .expect_stderr(&["split.csv", "hint: a split is written as Parquet"]);
    assert!(!folder.join("split.parquet").exists());
    run(
        folder,
        &["batch-stratified", "--only-labelled", "--level", "site"],
    )
    .expect_status(0);
}
