//! Statistics of images, and networks that take images normalised by them.

use std::fs;
use std::path::Path;

use morphospace::profiles::{Profiles, read_profiles};

use crate::support::{Run, first_image, morphospace, tiny_screen};

fn normalise(folder: &Path, more: &[&str]) -> Run {
    morphospace(folder, &[&["normalise", "screen"], more].concat())
}

#[test]
fn statistics_are_printed_kept_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let args = ["--scheme", "all_per_experiment", "--output", "n.parquet"];
    let first = normalise(folder, &args).expect_status(0);
    assert_eq!(first.stdout.lines().count(), 1 + 2 * 6, "{}", first.stdout);
    assert!(first.stdout.contains("HUVEC-02    w6"), "{}", first.stdout);
    let first = first.expect_stderr(&["written to 'n.parquet'"]);
    let again = normalise(folder, &args)
        .expect_status(0)
        .expect_stderr(&["found in 'n.parquet'"]);
    assert_eq!(again.stdout, first.stdout);
    let other = [&args[..], &["--experiments", "HUVEC-2"]].concat();
    let other = normalise(folder, &other)
        .expect_status(0)
        .expect_stderr(&["written to 'n.parquet'"]);
    assert_eq!(other.stdout.lines().count(), 1 + 6, "{}", other.stdout);
}

#[test]
fn normalisation_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    normalise(folder, &["--scheme", "per_plate"])
        .expect_status(2)
        .expect_stderr(&["per_plate", "all_per_plate"]);
    normalise(folder, &["--scheme", "self_standardisation"])
        .expect_status(2)
        .expect_stderr(&["no statistics to compute", "hint:"]);
    let args = ["--scheme", "all_images", "--experiments", "HUVEC-9"];
    normalise(folder, &args)
        .expect_status(2)
        .expect_stderr(&["no experiment 'HUVEC-9'", "did you mean 'HUVEC-0"]);
    fs::remove_file(first_image(folder, 4)).unwrap();
    normalise(folder, &["--scheme", "all_images"])
        .expect_status(2)
        .expect_stderr(&["1 images of 68 sites are missing", "w4 (RNA)"]);
    let args = ["--scheme", "all_images", "--on-incomplete", "skip"];
    normalise(folder, &args)
        .expect_status(1)
        .expect_stderr(&["sites left out: 1"]);
}

fn embed(folder: &Path, network: &str, more: &[&str]) -> Run {
    let args = ["embed", "screen", "--network", network];
    let output = ["--output", "out.parquet"];
    morphospace(folder, &[&args[..], &output, more].concat())
}

fn profiles(folder: &Path) -> Profiles {
    read_profiles(&folder.join("out.parquet")).unwrap()
}

fn setting(profiles: &Profiles, name: &str) -> String {
    profiles.provenance().unwrap().settings[name].clone()
}

fn train(folder: &Path, output: &str, more: &[&str]) -> Run {
    let args = ["train", "screen", "--config", "train.toml"];
    let rest = ["--set", "length=1 steps", "--output", output];
    morphospace(folder, &[&args[..], &rest, more].concat())
}

#[test]
fn a_network_is_given_images_as_it_was_trained_with() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let args = ["--scheme", "all_per_plate", "--output", "n.parquet"];
    normalise(folder, &args).expect_status(0);

    // By statistics: which, it cannot know of another screen.
    let set = ["--set", "normalisation=\"n.parquet\""];
    train(folder, "by_plate", &set).expect_status(0);
    embed(folder, "by_plate", &[])
        .expect_status(2)
        .expect_stderr(&[
            "'by_plate' was trained on images normalised by statistics (all_per_plate)",
            "`morphospace normalise screen --scheme all_per_plate",
            "--normalisation normalisation.parquet",
        ]);
    let table = ["--normalisation", "n.parquet"];
    embed(folder, "by_plate", &table).expect_status(0);
    let by_plate = profiles(folder);
    assert_eq!(setting(&by_plate, "normalisation"), "all_per_plate");
    assert_eq!(setting(&by_plate, "normalisation_content_hash").len(), 64);

    // By its own pixels: nothing need be said.
    let set = ["--set", "normalisation=\"std_plus_eps\""];
    train(folder, "by_crop", &set).expect_status(0);
    embed(folder, "by_crop", &[]).expect_status(0);
    let by_crop = profiles(folder);
    assert_eq!(setting(&by_crop, "normalisation"), "std_plus_eps");
    embed(folder, "by_crop", &table)
        .expect_status(0)
        .expect_stderr(&[
            "trained on images normalised by std_plus_eps, here they are by all_per_plate",
        ]);
    assert_ne!(profiles(folder).values(), by_crop.values());

    // A run does not go on with other statistics, wherever they lie.
    fs::copy(folder.join("n.parquet"), folder.join("same.parquet")).unwrap();
    let set = ["--set", "normalisation=\"same.parquet\""];
    train(folder, "by_plate", &set).expect_status(0);
    let args = [
        "--scheme",
        "all_per_experiment",
        "--output",
        "other.parquet",
    ];
    normalise(folder, &args).expect_status(0);
    let set = ["--set", "normalisation=\"other.parquet\""];
    train(folder, "by_plate", &set)
        .expect_status(2)
        .expect_stderr(&["written with normalisation \"same.parquet\", now \"other.parquet\""]);
}

#[test]
fn a_network_knows_whether_illumination_was_corrected() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let fit = ["illumination", "screen", "--output", "functions"];
    morphospace(folder, &fit).expect_status(0);
    let corrected = ["--illumination", "functions"];
    let set = ["--set", "normalisation=\"n.parquet\""];
    let args = ["--scheme", "all_per_plate", "--output", "n.parquet"];
    normalise(folder, &[&args[..], &corrected].concat()).expect_status(0);

    // Statistics of corrected images are of no use for others.
    train(folder, "run", &set).expect_status(2).expect_stderr(&[
        "computed with illumination corrected, the screen is read without",
        "hint",
    ]);
    train(folder, "run", &[&set[..], &corrected].concat()).expect_status(0);
    let table = ["--normalisation", "n.parquet"];
    let run = embed(folder, "run", &[&table[..], &corrected].concat()).expect_status(0);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);

    // By their own pixels, both can be embedded: that is said.
    train(folder, "own", &corrected).expect_status(0);
    embed(folder, "own", &[]).expect_status(0).expect_stderr(&[
        "'own' was trained on images to which was done: 'illumination is corrected', here: nothing",
        "--illumination",
    ]);
    train(folder, "own", &[])
        .expect_status(2)
        .expect_stderr(&["trained on: illumination is corrected; to these: nothing"]);
}

#[test]
fn normalisations_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let network = "untrained:vit_small_patch16_32";
    embed(folder, network, &["--normalisation", "instance_nrom"])
        .expect_status(2)
        .expect_stderr(&["instance_nrom", "did you mean 'instance_norm'"]);
    embed(folder, network, &["--normalisation", "none.parquet"])
        .expect_status(2)
        .expect_stderr(&["none.parquet"]);
    fs::write(folder.join("damaged.parquet"), b"no table").unwrap();
    embed(folder, network, &["--normalisation", "damaged.parquet"])
        .expect_status(2)
        .expect_stderr(&["damaged.parquet", "damaged or cut off"]);
    embed(folder, "intensity", &["--normalisation", "std_plus_eps"])
        .expect_status(2)
        .expect_stderr(&["--network intensity", "hint"]);
    let args = ["--scheme", "all_per_experiment", "--output", "n.parquet"];
    normalise(
        folder,
        &[&args[..], &["--experiments", "HUVEC-02"]].concat(),
    )
    .expect_status(0);
    for run in [
        embed(folder, network, &["--normalisation", "n.parquet"]),
        train(folder, "run", &["--set", "normalisation=\"n.parquet\""]),
    ] {
        run.expect_status(2).expect_stderr(&[
            "no statistics for",
            "HUVEC-01",
            "it has",
            "HUVEC-02",
            "hint",
        ]);
    }
    assert!(!folder.join("run/checkpoints").exists());
}
