//! Splitting a screen from the command line; tables need no image.

use std::fs;
use std::path::Path;

use morphospace_screen::split::{Part, read_split};
use morphospace_screen::{read_manifest, sites_sha256};

use crate::support::{Run, morphospace};

/// A screen of RxRx1's 51 experiments, two labelled wells of two sites each;
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
            for well_and_site in ["B02,1", "B02,2", "B03,1", "B03,2"] {
                table.push_str(&format!("{name},1,{well_and_site},treatment,{label}\n"));
            }
        }
    }
    fs::create_dir(folder.join("screen")).expect("a new folder");
    fs::write(folder.join("screen/metadata.csv"), table).expect("written");
}

fn run(folder: &Path, scheme_and_flags: &str) -> Run {
    let mut args = vec!["split", "screen", "--output", "split.parquet", "--scheme"];
    args.extend(scheme_and_flags.split_whitespace());
    morphospace(folder, &args)
}

#[test]
fn a_split_is_written_and_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    screen(folder, &[]);
    let done = run(folder, "batch-separated").expect_status(0);
    for part in [
        "train       all                   33",
        "HUVEC-18 and RPE-03",
    ] {
        assert!(done.stdout.contains(part), "{}", done.stdout);
    }
    let split = read_split(&folder.join("split.parquet")).expect("written");
    assert_eq!(split.rows.len(), 204);
    assert_eq!(split.rows[203], ("U2OS-05_1_B03_2".to_owned(), Part::Test));
    let provenance = split.provenance.expect("has one");
    assert_eq!(provenance.settings["screen"], "screen");

    let same = run(folder, "full --json").expect_status(0);
    let summary: serde_json::Value = serde_json::from_str(&same.stdout).expect("JSON");
    assert_eq!(summary["parts"]["test"]["total"]["num_sites"], 72);
}

#[test]
fn a_split_of_labels_that_changed_since_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    screen(folder, &[]);
    run(folder, "batch-separated").expect_status(0);
    let inspect = || {
        let part = ["--split", "split.parquet", "--part", "train"];
        let table = ["--depth", "presence", "--manifest", "manifest.parquet"];
        let args = [&["inspect", "screen"][..], &part, &table].concat();
        // No image is there.
        morphospace(folder, &args).expect_status(1)
    };
    let told = "was made when the screen had other sites or labels";
    assert!(!inspect().stderr.contains(told));
    let manifest = read_manifest(&folder.join("manifest.parquet")).expect("written");
    let provenance = manifest.provenance.expect("has one");
    let names: Vec<&str> = provenance.inputs.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(names, ["sites of the screen", "split.parquet"]);
    assert_eq!(provenance.inputs[0].sha256, sites_sha256(&manifest.sites));
    assert_eq!(provenance.settings["part"], "train");
    let notes = &provenance.settings["screen_notes"];
    assert!(
        notes.contains(&format!("SHA-256 {}", provenance.inputs[1].sha256)),
        "{notes}"
    );

    let metadata = folder.join("screen/metadata.csv");
    let text = fs::read_to_string(&metadata).unwrap();
    fs::write(&metadata, text.replacen(",s1", ",s2", 2)).unwrap();
    let run = inspect();
    assert!(run.stderr.contains(told), "{}", run.stderr);
    for part in [
        "make it again with `morphospace split`",
        "'batch-separated'",
    ] {
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
}

#[test]
fn parts_that_cannot_be_taken_are_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    screen(folder, &[]);
    run(folder, "batch-separated").expect_status(0);
    let inspect = |split: &str, part: &str| {
        let args = ["inspect", "screen", "--split", split, "--part", part];
        morphospace(folder, &args).expect_status(2)
    };
    inspect("split.parquet", "validation").expect_stderr(&[
        "'split.parquet' has no site in part 'validation'",
        "it has train and test",
    ]);
    fs::write(folder.join("split.csv"), "site_key,part\n").unwrap();
    inspect("split.csv", "train").expect_stderr(&["split.csv", "it is not a Parquet file"]);
    let manifest = ["inspect", "screen", "--manifest", "manifest.parquet"];
    morphospace(folder, &manifest).expect_status(1);
    let args = [
        "inspect",
        "screen",
        "--split",
        "manifest.parquet",
        "--part",
        "train",
    ];
    // It has a site_key, and no part.
    morphospace(folder, &args)
        .expect_status(2)
        .expect_stderr(&["no column 'part'"]);
    let metadata = folder.join("screen/metadata.csv");
    let text = fs::read_to_string(&metadata).unwrap();
    fs::write(
        &metadata,
        text.lines().take(20).collect::<Vec<_>>().join("\n"),
    )
    .unwrap();
    inspect("split.parquet", "train").expect_stderr(&[
        "split 'split.parquet' is not of this screen",
        "are not in the screen",
        "hint: use the screen that the split was made from",
    ]);
}

#[test]
fn every_scheme_takes_its_flags() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    screen(folder, &[]);
    for (args, num_sites) in [
        ("batch-stratified --train-fraction 0.5 --seed 3", 204),
        ("batch-stratified --level site", 204),
        ("stratified-80-20 --cell-type HUVEC --level site", 96),
        ("cross-validation --fold 6", 96),
        ("f0", 96),
        ("wilds-official", 66 + 4 * 18),
        (
            "wilds-official-id --validation-experiments RPE-08,U2OS-04",
            66 + 8 + 66,
        ),
        ("wilds-mixed-to-test", 66 + 16 + 28),
        ("experiments-of-one-cell-type --cell-type U2OS --k 2", 16),
        ("leave-experiment-out --experiments RPE-1,RPE-2", 204),
    ] {
        run(folder, args).expect_status(0);
        let split = read_split(&folder.join("split.parquet")).expect("written");
        assert_eq!(split.rows.len(), num_sites, "{args}");
    }
    run(folder, "wilds-official")
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
            "cross-validation",
            &["needs a fold", "hint: give --fold"][..],
        ),
        (
            "experiments-of-one-cell-type",
            &["needs a cell type", "hint:"],
        ),
        (
            "experiments-of-one-cell-type --cell-type RPE",
            &["hint: give --num-experiments"],
        ),
        (
            "batch-separated --fold 1",
            &["no use for --fold", "hint: it takes none"],
        ),
        (
            "f0 --experiments RPE-01",
            &[
                "'f0' has no use for --experiments",
                "hint: it takes --cell-type",
            ],
        ),
        (
            "batch-stratified",
            &["4 of 204 sites have an unknown label", "--only-labelled"],
        ),
        (
            "batch-stratified --level plate",
            &["'plate' is not a level", "well, site"],
        ),
        (
            "leave-experiment-out --experiments RPE-12",
            &["no experiment 'RPE-12'", "did you mean"],
        ),
        ("batch-separate", &["'batch-separate'", "'batch-separated'"]),
    ] {
        run(folder, args).expect_status(2).expect_stderr(parts);
    }
    let args = [
        "split",
        "screen",
        "--scheme",
        "full",
        "--output",
        "split.csv",
    ];
    morphospace(folder, &args)
        .expect_status(2)
        .expect_stderr(&["split.csv", "hint: a split is written as Parquet"]);
    assert!(!folder.join("split.parquet").exists());
    run(folder, "batch-stratified --only-labelled --level site").expect_status(0);
}
