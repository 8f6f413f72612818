//! What the program says, and its exit status.

use std::fs;
use std::path::Path;

use crate::support::{TINY_TRAINING, morphospace, tiny_screen};

/// Runs in a fresh folder and expects a refusal that says all of `parts`.
#[track_caller]
fn refuses(prepare: impl Fn(&Path), args: &[&str], parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    morphospace(folder.path(), args)
        .expect_status(2)
        .expect_stderr(parts);
}

fn nothing(_: &Path) {}

#[test]
fn a_misspelt_flag_is_answered_with_the_right_one() {
    refuses(
        nothing,
        &["inspect", "screen", "--decod"],
        &["--decod", "--decode"],
    );
    refuses(nothing, &["simulat"], &["simulat", "simulate"]);
}

#[test]
fn a_folder_that_is_no_screen_is_refused_with_what_was_looked_for() {
    refuses(
        nothing,
        &["inspect", "nowhere"],
        &["nowhere", "does not exist"],
    );
    let empty = |folder: &Path| fs::create_dir(folder.join("empty")).unwrap();
    refuses(
        empty,
        &["inspect", "empty"],
        &["empty", "metadata.csv", "screen.toml"],
    );
}

#[test]
fn an_unknown_config_key_is_refused_with_the_nearest() {
    let misspelt = |folder: &Path| {
        let text = TINY_TRAINING.replace("batch_size", "batch_sise");
        fs::write(folder.join("train.toml"), text).unwrap();
    };
    let args = [
        "train",
        "screen",
        "--config",
        "train.toml",
        "--output",
        "run",
    ];
    refuses(
        misspelt,
        &args,
        &["batch_sise", "did you mean 'batch_size'", "train.toml"],
    );
    let args = ["simulate", "--output", "screen", "--set", "num_plate=2"];
    refuses(nothing, &args, &["num_plate", "did you mean 'num_plates'"]);
}

#[test]
fn a_device_that_is_not_there_is_refused_with_what_is() {
    let args = [
        "embed",
        "screen",
        "--network",
        "intensity",
        "--output",
        "x.parquet",
        "--device",
        "tpu",
    ];
    refuses(nothing, &args, &["tpu", "auto, cpu"]);
    if !morphospace::device::GpuBackend::Cuda.is_compiled_in() {
        let args = [
            "embed",
            "screen",
            "--network",
            "intensity",
            "--output",
            "x.parquet",
            "--device",
            "cuda:3",
        ];
        refuses(
            nothing,
            &args,
            &["built without 'cuda'", "available: cpu", "--features cuda"],
        );
    }
}

#[test]
fn a_table_that_cannot_be_written_is_refused_before_the_work() {
    let args = [
        "embed",
        "screen",
        "--network",
        "intensity",
        "--output",
        "profiles.xlsx",
    ];
    refuses(nothing, &args, &["profiles.xlsx", ".parquet"]);
}

#[test]
fn the_wrong_number_of_channels_is_refused_with_both_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let text = TINY_TRAINING.replace("in_chans = 6", "in_chans = 3");
    fs::write(folder.join("three.toml"), text).unwrap();
    morphospace(
        folder,
        &[
            "train",
            "screen",
            "--config",
            "three.toml",
            "--output",
            "run",
        ],
    )
    .expect_status(2)
    .expect_stderr(&["6 channels", "trained on 3", "in_chans = 6"]);
}

#[test]
fn missing_images_are_named_and_handled_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let metadata = fs::read_to_string(folder.join("screen/metadata.csv")).unwrap();
    let site: Vec<&str> = metadata.lines().nth(1).unwrap().split(',').collect();
    let well = site[6];
    let image = folder.join(format!("screen/images/HUVEC-01/Plate1/{well}_s1_w4.png"));
    fs::remove_file(&image).unwrap();

    let inspected = morphospace(folder, &["inspect", "screen"]).expect_status(1);
    assert!(
        inspected.stdout.contains(&format!("{well}_s1_w4.png")),
        "{}",
        inspected.stdout
    );

    let embed = |policy: &str| {
        let args = [
            "embed",
            "screen",
            "--network",
            "intensity",
            "--output",
            "x.parquet",
            "--on-incomplete",
            policy,
        ];
        morphospace(folder, &args)
    };
    let named = ["HUVEC-01 plate 1", well, "w4 (RNA)"];
    embed("fail")
        .expect_status(2)
        .expect_stderr(&named)
        .expect_stderr(&["1 of the 68 sites", "--on-incomplete skip"]);
    embed("skip")
        .expect_status(1)
        .expect_stderr(&named)
        .expect_stderr(&["sites left out: 1"]);
    assert!(folder.join("x.parquet").exists());
}

#[test]
fn profiles_that_cannot_be_aligned_are_refused_by_name() {
    let write =
        |text: &'static str| move |folder: &Path| fs::write(folder.join("p.csv"), text).unwrap();
    let align = ["align", "p.csv", "--method", "tvn", "--output", "a.parquet"];
    let header = "Metadata_Batch,Metadata_Well,Metadata_control_role,feature_0,feature_1\n";
    let no_controls: &'static str =
        format!("{header}b1,A01,treatment,1,2\nb1,A02,treatment,2,1\n").leak();
    refuses(write(no_controls), &align, &["control"]);
    let one_batch_without: &'static str = format!(
        "{header}b1,A01,untreated,1,2\nb1,A02,untreated,2,1\nb1,A03,untreated,0,1\n\
         b2,A01,treatment,1,1\n"
    )
    .leak();
    refuses(write(one_batch_without), &align, &["b2"]);
    let not_a_number: &'static str =
        format!("{header}b1,A01,untreated,1,2\nb1,A02,untreated,NaN,1\nb1,A03,treatment,0,1\n")
            .leak();
    refuses(write(not_a_number), &align, &["feature_0", "A02"]);
    let no_batch: &'static str = "Metadata_Bach,feature_0\nb1,1\n";
    refuses(
        write(no_batch),
        &align,
        &["Metadata_Batch", "Metadata_Bach"],
    );
}

#[test]
fn doctor_names_versions_features_and_devices() {
    let folder = tempfile::tempdir().unwrap();
    let run = morphospace(folder.path(), &["doctor"]).expect_status(0);
    for part in [
        "burn 0.22.1",
        "threads",
        "cpu features",
        "devices       cpu",
    ] {
        assert!(run.stdout.contains(part), "{}", run.stdout);
    }
    let json = morphospace(folder.path(), &["doctor", "--json"])
        .expect_status(0)
        .stdout;
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["devices"][0], "cpu");
}

#[test]
fn help_is_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let run = morphospace(folder.path(), &["--help"]).expect_status(0);
    insta::assert_snapshot!(run.stdout);
}
