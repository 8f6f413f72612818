//! Commands on tables of profiles, without a screen.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::morphospace;

/// Two batches of four controls and three treatments; one well of the second
/// has no known treatment.
fn write_profiles(folder: &Path) {
    let mut text = "Metadata_Batch,Metadata_Plate,Metadata_Well,Metadata_control_role,\
                    Metadata_treatment,Metadata_gene,feature_0,feature_1\n"
        .to_owned();
    for batch in ["b1", "b2"] {
        for well in 1..=7 {
            let (role, gene) = match well {
                1..=4 => ("untreated", "EMPTY".to_owned()),
                7 if batch == "b2" => ("treatment", String::new()),
                _ => ("treatment", format!("G{well}")),
            };
            let wave = f64::from(well * well % 5) + if batch == "b2" { 3.0 } else { 0.0 };
            text += &format!(
                "{batch},1,A0{well},{role},{gene},{gene},{wave},{}\n",
                f64::from(well % 3) - wave
            );
        }
    }
    fs::write(folder.join("p.csv"), text).unwrap();
}

fn align(folder: &Path, args: &[&str]) {
    morphospace(folder, &[&["align", "p.csv"], args].concat()).expect_status(0);
}

#[test]
fn a_kept_aligner_corrects_as_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_profiles(folder);
    let method = ["--method", "center_scale", "--save-aligner", "kept"];
    align(folder, &[&method[..], &["--output", "a.csv"]].concat());
    align(folder, &["--aligner", "kept", "--output", "again.csv"]);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("a.csv"), read("again.csv"));

    let neither = ["align", "p.csv", "--output", "x.csv"];
    morphospace(folder, &neither)
        .expect_status(2)
        .expect_stderr(&["--method"]);
}

#[test]
fn tables_carry_the_names_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_profiles(folder);
    let recursion = ["--schema", "recursion", "--output", "r.csv"];
    align(
        folder,
        &[&["--method", "center_scale"][..], &recursion].concat(),
    );
    let header = fs::read_to_string(folder.join("r.csv")).unwrap();
    assert!(header.starts_with("experiment,plate,well,"), "{header}");
}

#[test]
fn wells_of_unknown_treatment_are_left_out_of_groups_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_profiles(folder);
    let warning = ["rows without a value in Metadata_gene, left out: 1"];
    morphospace(folder, &["aggregate", "p.csv", "--output", "g.csv"])
        .expect_status(0)
        .expect_stderr(&warning);
    let rows = fs::read_to_string(folder.join("g.csv")).unwrap();
    assert_eq!(rows.lines().count(), 1 + 4, "{rows}");
}

#[test]
fn replicates_need_a_column_that_tells_them_apart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_profiles(folder);
    let score = |args: &[&str]| {
        morphospace(
            folder,
            &[&["benchmark", "replicate-consistency", "p.csv"], args].concat(),
        )
    };
    score(&["--replicate-column", "Metadata_Plate"])
        .expect_status(2)
        .expect_stderr(&[
            "column 'Metadata_Plate' holds a single value",
            "--replicate-column",
        ]);
    score(&["--exclude", "Metadata_gene=G99"])
        .expect_status(2)
        .expect_stderr(&["'Metadata_gene=G99' is the value of no row"]);
    let scored = score(&["--exclude", "Metadata_gene=EMPTY", "--json"]).expect_status(0);
    assert!(scored.stdout.contains("\"null\": 0."), "{}", scored.stdout);
}

#[test]
fn an_aligned_table_of_other_rows_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_profiles(folder);
    align(folder, &["--method", "center_scale", "--output", "a.csv"]);
    let text = fs::read_to_string(folder.join("a.csv")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1..].reverse();
    fs::write(folder.join("reversed.csv"), lines.join("\n")).unwrap();
    let args = [
        "report",
        "--profiles",
        "p.csv",
        "--aligned",
        "reversed.csv",
        "--output",
        "r.html",
    ];
    morphospace(folder, &args)
        .expect_status(2)
        .expect_stderr(&["in row 1 column", "the table that `align` made"]);
    assert!(!folder.join("r.html").exists());
}

#[test]
fn an_output_nobody_can_write_is_refused_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_profiles(folder);
    fs::create_dir(folder.join("taken.csv")).unwrap();
    for output in ["taken.csv", "p.csv/inside.csv"] {
        let args = ["align", "p.csv", "--method", "tvn", "--output", output];
        morphospace(folder, &args)
            .expect_status(2)
            .expect_stderr(&["cannot write", output]);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_morphospace"))
        .arg("doctor")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[test]
fn keys_to_remove_that_no_row_has_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_profiles(folder);
    let remove = |key| {
        let command = ["aggregate", "p.csv", "--output", "g.csv", "--remove", key];
        morphospace(folder, &command)
    };
    remove("EMTPY").expect_status(2).expect_stderr(&[
        "--remove 'EMTPY'",
        "no row has this key in Metadata_gene",
        "did you mean 'EMPTY'",
        "there are EMPTY, G5, G6, G7",
    ]);
    remove("EMPTY").expect_status(0);
    let text = fs::read_to_string(folder.join("g.csv")).unwrap();
    assert!(!text.contains("EMPTY") && text.contains("G5"), "{text}");
}
