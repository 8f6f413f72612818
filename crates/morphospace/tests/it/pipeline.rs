//! The stages one after another on a tiny simulated screen.

use std::fs;
use std::path::Path;

use morphospace::benchmark::Scores;
use morphospace::profiles::read_profiles;

use crate::support::{morphospace, tiny_screen};

#[test]
fn every_stage_alone_from_screen_to_page() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let run = |args: &[&str]| morphospace(folder, args).expect_status(0);

    run(&["inspect", "screen", "--decode"]);
    run(&[
        "train",
        "screen",
        "--config",
        "train.toml",
        "--output",
        "run",
    ]);
    run(&[
        "embed",
        "screen",
        "--network",
        "run",
        "--output",
        "raw.parquet",
    ]);
    run(&[
        "align",
        "raw.parquet",
        "--method",
        "tvn",
        "--output",
        "tvn.parquet",
    ]);
    run(&[
        "benchmark",
        "relationship-recall",
        "tvn.parquet",
        "--relationships",
        "screen/relationships.csv",
        "--model",
        "tiny",
        "--alignment",
        "TVN",
        "--output",
        "scores.json",
    ]);
    run(&[
        "benchmark",
        "batch-prediction",
        "tvn.parquet",
        "--output",
        "scores.json",
    ]);
    run(&[
        "aggregate",
        "tvn.parquet",
        "--from-controls",
        "--output",
        "map.csv",
    ]);
    run(&[
        "report",
        "--profiles",
        "raw.parquet",
        "--aligned",
        "tvn.parquet",
        "--scores",
        "scores.json",
        "--screen",
        "screen",
        "--output",
        "report.html",
    ]);

    let raw = read_profiles(&folder.join("raw.parquet")).unwrap();
    let aligned = read_profiles(&folder.join("tvn.parquet")).unwrap();
    assert_eq!(raw.num_features(), 32);
    assert_eq!(raw.num_rows(), aligned.num_rows());
    assert_eq!(
        raw.keys("Metadata_Well").unwrap(),
        aligned.keys("Metadata_Well").unwrap()
    );
    assert_eq!(raw.provenance().unwrap().stage, "embed");
    let scores = Scores::read(&folder.join("scores.json")).unwrap();
    assert_eq!(scores.scores.len(), 4, "two thresholds, two classifiers");
    let map = read_profiles(&folder.join("map.csv")).unwrap();
    assert_eq!(
        map.num_rows(),
        7 * 3 + 2,
        "treatments, a positive control, EMPTY"
    );
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("relationship recall") && !page.contains("src=\"http"));
}

#[test]
fn a_run_that_stops_and_goes_on_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let train = |output: &str, minutes: &str| {
        let set = format!("checkpoint_minutes={minutes}");
        let args = [
            "train",
            "screen",
            "--config",
            "train.toml",
            "--set",
            &set,
            "--output",
            output,
        ];
        morphospace(folder, &args).expect_status(0);
    };
    train("whole", "100");
    // A checkpoint after every step; the run is cut back to step 3, as a kill
    // after step 5 with a checkpoint at 3 would leave it.
    train("cut", "1e-9");
    let checkpoints = folder.join("cut/checkpoints");
    fs::remove_dir_all(checkpoints.join("step-00000006")).unwrap();
    fs::create_dir(checkpoints.join(".step-00000006.tmp")).unwrap();
    train("cut", "100");
    for file in ["model.safetensors", "optimiser.safetensors", "state.json"] {
        let read = |run: &str| {
            fs::read(
                folder
                    .join(run)
                    .join("checkpoints/step-00000006")
                    .join(file),
            )
            .unwrap()
        };
        assert!(read("whole") == read("cut"), "{file} differs");
    }
    let steps = |run: &str| -> Vec<u64> {
        let text = fs::read_to_string(folder.join(run).join("metrics.jsonl")).unwrap();
        text.lines()
            .map(|line| {
                let report: morphospace::train::StepReport = serde_json::from_str(line).unwrap();
                report.step
            })
            .collect()
    };
    assert_eq!(steps("cut"), (0..6).collect::<Vec<_>>());
    assert_eq!(steps("cut"), steps("whole"));
}

#[test]
fn profiles_do_not_depend_on_the_batch_or_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let embed = |output: &str, batch_size: &str| {
        let args = [
            "embed",
            "screen",
            "--network",
            "untrained:vit_tiny_patch16",
            "--edge",
            "reflect",
            "--batch-size",
            batch_size,
            "--output",
            output,
        ];
        morphospace(folder, &args).expect_status(0);
        read_profiles(&folder.join(output)).unwrap()
    };
    let (some, more) = (embed("3.parquet", "3"), embed("5.parquet", "5"));
    let pairs = some
        .values()
        .iter()
        .copied()
        .zip(more.values().iter().copied())
        .collect::<Vec<_>>();
    assert!(
        pairs
            .iter()
            .all(|(a, b)| (a - b).abs() <= 1e-5 * (1.0 + b.abs()))
    );
}

#[test]
fn nothing_half_written_stands_under_a_final_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let image = folder.join("screen/images/HUVEC-02/Plate1");
    let first = fs::read_dir(&image)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let bytes = fs::read(&first).unwrap();
    fs::write(&first, &bytes[..bytes.len() / 2]).unwrap();
    let args = [
        "embed",
        "screen",
        "--network",
        "intensity",
        "--output",
        "out.parquet",
    ];
    morphospace(folder, &args)
        .expect_status(1)
        .expect_stderr(&["HUVEC-02 plate 1", "channel"]);
    assert!(!folder.join("out.parquet").exists());
    assert!(names_in(folder).iter().all(|name| !name.ends_with(".tmp")));
}

fn names_in(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_layout_is_simulated_and_inspected() {
    for (layout, counts) in [
        ("rxrx1", "4 experiments"),
        ("rxrx3", "2 experiments"),
        ("jump", "2 experiments"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut args = vec!["simulate", "--layout", layout, "--output", "screen"];
        let settings = [
            "image_px=32",
            "num_groups=1",
            "num_negative_controls=2",
            "num_sites=1",
        ];
        args.extend(settings.iter().flat_map(|setting| ["--set", *setting]));
        morphospace(folder.path(), &args)
            .expect_status(0)
            .expect_stderr(&[counts]);
        morphospace(folder.path(), &["inspect", "screen", "--decode"]).expect_status(0);
    }
}
