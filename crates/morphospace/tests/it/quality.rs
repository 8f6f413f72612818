//! Looking a screen over.

use std::fs;

use morphospace::screen::{QualityFlag, read_manifest};

use crate::support::{first_image, morphospace, tiny_screen};

#[test]
fn quality_writes_a_page_tables_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    fs::remove_file(first_image(folder, 2)).unwrap();
    fs::copy(first_image(folder, 4), first_image(folder, 5)).unwrap();
    let args = [
        "inspect",
        "screen",
        "--depth",
        "quality",
        "--manifest",
        "manifest.parquet",
        "--qc",
        "qc.parquet",
        "--page",
        "inspect.html",
        "--json",
        "inspect.json",
    ];
    let run = morphospace(folder, &args).expect_status(1);
    for part in [
        "experiment  cell type  plates",
        "flagged sites",
        "duplicate          1",
        "missing            1",
    ] {
        assert!(run.stdout.contains(part), "no '{part}' in:\n{}", run.stdout);
    }
    let manifest = read_manifest(&folder.join("manifest.parquet")).unwrap();
    assert_eq!(manifest.sites.len(), 68);
    let quality = manifest.quality.unwrap();
    let flagged = |flag| {
        quality
            .flags
            .iter()
            .filter(|flags| flags.contains(flag))
            .count()
    };
    assert_eq!(flagged(QualityFlag::Missing), 1);
    assert_eq!(flagged(QualityFlag::Duplicate), 1);
    assert!(manifest.provenance.unwrap().settings["thresholds"].contains("outlier_z"));
    let json = fs::read_to_string(folder.join("inspect.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["depth"], "quality");
    assert_eq!(json["counts"]["plates"].as_array().unwrap().len(), 2);
    let page = fs::read_to_string(folder.join("inspect.html")).unwrap();
    for part in [
        "Mean intensity",
        "HUVEC-02 plate 1",
        "By experiment",
        "By class, those of the fewest wells first",
        "the same pixels as",
        "Focus",
    ] {
        assert!(page.contains(part), "no '{part}' on the page");
    }
    assert!(folder.join("qc.parquet").exists());
}

/// What the text says of a screen, the page says, too.
#[test]
fn the_page_has_the_notes_of_the_screen() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let metadata = fs::read_to_string(folder.join("screen/metadata.csv")).unwrap();
    // Untreated wells of the second experiment become treated ones of which
    // nobody knows with what.
    let header: Vec<&str> = metadata.lines().next().unwrap().split(',').collect();
    let unlabelled = |line: &str| {
        let mut cells: Vec<&str> = line.split(',').collect();
        for (column, cell) in header.iter().zip(&mut cells) {
            match *column {
                "well_type" => *cell = "treatment",
                "sirna" | "sirna_id" => *cell = "",
                _ => {}
            }
        }
        cells.join(",")
    };
    let lines =
        metadata.lines().map(
            |line| match line.contains("HUVEC-02") && line.contains("EMPTY") {
                true => unlabelled(line),
                false => line.to_owned(),
            },
        );
    let lines: Vec<String> = lines.collect();
    fs::write(folder.join("screen/metadata.csv"), lines.join("\n")).unwrap();
    fs::write(
        folder.join("screen/images/HUVEC-01/Plate1/X99_s1_w1.png"),
        b"",
    )
    .unwrap();
    let run = morphospace(folder, &["inspect", "screen", "--page", "inspect.html"]);
    let run = run.expect_status(0);
    let page = fs::read_to_string(folder.join("inspect.html")).unwrap();
    let unlisted = "image files or folders belong to no site";
    let without = "negative controls in HUVEC-02";
    for part in [unlisted, without] {
        assert!(run.stdout.contains(part), "no '{part}' in:\n{}", run.stdout);
        assert!(page.contains(part), "no '{part}' on the page");
    }
    assert!(
        run.stdout.contains("unknown label  12 wells"),
        "{}",
        run.stdout
    );
    for part in [
        "Unknown label",
        "12 wells",
        "unknown label",
        "incomplete sites",
    ] {
        assert!(page.contains(part), "no '{part}' on the page");
    }
}

#[test]
fn json_goes_to_standard_output_as_it_used_to() {
    let folder = tempfile::tempdir().unwrap();
    tiny_screen(folder.path());
    let run = morphospace(folder.path(), &["inspect", "screen", "--json"]).expect_status(0);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["num_sites"], 68);
    assert_eq!(json["quality"], serde_json::Value::Null);
}

#[test]
fn what_needs_measures_is_refused_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let args = ["inspect", "screen", "--qc", "qc.parquet"];
    morphospace(folder, &args)
        .expect_status(2)
        .expect_stderr(&["--qc", "--depth quality"]);
    let args = [
        "inspect",
        "screen",
        "--depth",
        "quality",
        "--set",
        "outlier=3",
    ];
    morphospace(folder, &args)
        .expect_status(2)
        .expect_stderr(&["outlier", "did you mean 'outlier_z'"]);
    let args = [
        "inspect",
        "screen",
        "--depth",
        "quality",
        "--set",
        "outlier_z=0",
    ];
    morphospace(folder, &args)
        .expect_status(2)
        .expect_stderr(&["outlier_z", "more than 0"]);
}

#[test]
fn tables_that_are_parquet_are_not_named_csv() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    for (option, name) in [("--manifest", "m.csv"), ("--qc", "images")] {
        let command = ["inspect", "screen", "--depth", "quality", option, name];
        morphospace(folder, &command)
            .expect_status(2)
            .expect_stderr(&[
                name,
                "does not end in .parquet",
                "hint",
                "written as Parquet",
            ]);
        assert!(!folder.join(name).exists());
    }
}

#[test]
fn illumination_names_the_images_it_leaves_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    fs::remove_file(first_image(folder, 2)).unwrap();
    fs::write(first_image(folder, 4), b"no image").unwrap();
    let fit = ["illumination", "screen", "--output", "functions"];
    morphospace(folder, &fit).expect_status(2).expect_stderr(&[
        "1 images of 68 sites are missing",
        "channel w2",
        "hint: leave them out (skip)",
    ]);
    assert!(!folder.join("functions").exists());
    let with = |policy| [&fit[..], &["--on-incomplete", policy]].concat();
    morphospace(folder, &with("fill"))
        .expect_status(2)
        .expect_stderr(&["zeros are no light", "hint:"]);
    morphospace(folder, &with("skip"))
        .expect_status(1)
        .expect_stderr(&["images left out: 2", "channel w2", "channel w4"]);
    let written = "functions/HUVEC-01_1/HUVEC-01_1_Illumw4.npy";
    assert!(folder.join(written).is_file());
}

#[test]
fn illumination_is_fitted_per_plate_and_divided_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let fit = ["illumination", "screen", "--output", "functions"];
    let run = morphospace(folder, &fit).expect_status(0);
    assert!(
        run.stderr.contains("2 plates, 6 channels"),
        "{}",
        run.stderr
    );
    for path in [
        "functions/HUVEC-01_1/HUVEC-01_1_Illumw1.npy",
        "functions/HUVEC-02_1/HUVEC-02_1_Illumw6.npy",
    ] {
        assert!(folder.join(path).is_file(), "{path}");
    }
    let inspect = ["inspect", "screen", "--illumination", "functions"];
    let run = morphospace(folder, &inspect).expect_status(0);
    assert!(
        run.stdout.contains("illumination is corrected"),
        "{}",
        run.stdout
    );
    for command in [
        &fit[..],
        &["split", "screen", "--scheme", "f0", "--output", "s.parquet"],
    ] {
        let command = [command, &["--illumination", "functions"]].concat();
        morphospace(folder, &command)
            .expect_status(2)
            .expect_stderr(&["--illumination functions makes no sense here", "hint:"]);
    }
    fs::remove_dir_all(folder.join("functions/HUVEC-02_1")).unwrap();
    let run = morphospace(folder, &inspect).expect_status(2);
    for part in ["HUVEC-02 plate 1", "w1", "morphospace illumination"] {
        assert!(run.stderr.contains(part), "no '{part}' in:\n{}", run.stderr);
    }
}
