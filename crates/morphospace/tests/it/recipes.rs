//! Following recipes: what is done, done again, refused and said, and what comes out.

use std::fs;
use std::path::Path;

use crate::support::{Run, first_image, morphospace, tiny_screen};

/// A recipe of a few seconds.
const SMALL: &str = r#"
title = "intensities"
[inputs]
screen = "the screen"
[values]
method = "center_scale"
[repeat]
seed = [1, 2]
[[steps]]
name = "embed"
command = "embed {screen} --network intensity --output {shared}/wells.parquet"
[[steps]]
name = "align"
command = "align {shared}/wells.parquet --method {method} --output {shared}/aligned.parquet"
[[steps]]
name = "recall"
command = """
benchmark relationship-recall {shared}/aligned.parquet --entity-column Metadata_treatment
    --relationships {screen}/relationships.csv --seed {seed} --output {scores}/recall.json
"""
[tables.recall]
title = "Recall"
columns = [{ name = "10/90", benchmark = "relationship recall 10/90" }]
expected = { "10/90" = [0.3, 0.01] }
"#;

fn small(folder: &Path) {
    tiny_screen(folder);
    fs::write(folder.join("small.toml"), SMALL).expect("a recipe");
}

fn run_small(folder: &Path, more: &[&str]) -> Run {
    let args = [
        "run",
        "small.toml",
        "--input",
        "screen=screen",
        "--output",
        "out",
    ];
    morphospace(folder, &[&args[..], more].concat())
}

#[test]
fn steps_are_done_once_and_again_when_something_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    small(folder);
    let done = |run: &Run| -> Vec<String> {
        let lines = run
            .stderr
            .lines()
            .filter(|line| line.contains(": done before"));
        lines
            .map(|line| line.split(':').next().unwrap_or_default().to_owned())
            .collect()
    };
    let first = run_small(folder, &[]).expect_status(0);
    // What both repetitions share is done in the first.
    assert_eq!(
        done(&first),
        ["[4/6] embed (seed 2)", "[5/6] align (seed 2)"]
    );
    assert!(
        first.stdout.contains("| intensities | "),
        "{}",
        first.stdout
    );
    assert!(first.stdout.contains("(0.300 ± 0.010)"), "{}", first.stdout);
    assert!(first.stdout.ends_with("out\n"));
    assert_eq!(done(&run_small(folder, &[])).len(), 6);

    // The commands are those of a shell.
    let script = fs::read_to_string(folder.join("out/commands.sh")).expect("a script");
    assert_eq!(script.matches("\nmorphospace ").count(), 4, "{script}");

    // A table that somebody changed, another option, another image.
    let aligned = folder.join("out/shared/aligned.parquet");
    fs::write(&aligned, b"PAR1").expect("a table");
    assert_eq!(done(&run_small(folder, &[]).expect_status(0)).len(), 5);
    let other = run_small(folder, &["--set", "values.method=mad_robustize"]).expect_status(0);
    assert_eq!(
        done(&other),
        [
            "[1/6] embed (seed 1)",
            "[4/6] embed (seed 2)",
            "[5/6] align (seed 2)"
        ]
    );
    let image = first_image(folder, 1);
    let bytes = fs::read(&image).expect("an image");
    fs::remove_file(&image).expect("an image");
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(&image, bytes).expect("an image");
    assert_eq!(done(&run_small(folder, &[]).expect_status(0)).len(), 2);

    // A row of its own in a collected table, and of files alone.
    let collected = morphospace(folder, &["collect", "out", "--output", "t.csv"]);
    collected.expect_status(0);
    let table = fs::read_to_string(folder.join("t.csv")).expect("a table");
    assert!(table.starts_with("table,row,column,mean,sd,num_repetitions,paper_mean,paper_sd\n"));
    assert!(table.contains("Recall,intensities,10/90,") && table.contains(",2,0.3,0.01"));
    // Rows of one title are told by their folders.
    let twice = morphospace(folder, &["collect", "out", "./out"]).expect_status(0);
    assert!(twice.stdout.contains(" (out)"), "{}", twice.stdout);
    assert!(twice.stdout.contains(" (./out)"), "{}", twice.stdout);
    let files = [
        "out/seed-1/scores/recall.json",
        "out/seed-2/scores/recall.json",
    ];
    let of_files = morphospace(folder, &[&["collect"], &files[..]].concat()).expect_status(0);
    assert!(
        of_files.stdout.contains("relationship recall 10/90"),
        "{}",
        of_files.stdout
    );
    for ending in ["md", "json", "html"] {
        let output = format!("t.{ending}");
        morphospace(folder, &["collect", "out", "--output", &output]).expect_status(0);
    }
    for (args, message) in [
        (
            &["collect", "out", "--output", "t.txt"][..],
            "end it in .md",
        ),
        (&["collect", "screen"], "no folder that `run` filled"),
        (&["collect", "out", "--table", "Recal"], "there are Recall"),
    ] {
        morphospace(folder, args)
            .expect_status(2)
            .expect_stderr(&[message]);
    }
}

#[test]
fn what_cannot_come_to_an_end_is_refused_before_it_begins() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    small(folder);
    let with = |from: &str, to: &str| {
        assert!(SMALL.contains(from), "{from}");
        fs::write(folder.join("small.toml"), SMALL.replacen(from, to, 1)).expect("a recipe");
    };
    let refused = |more: &[&str], messages: &[&str]| {
        let run = run_small(folder, more)
            .expect_status(2)
            .expect_stderr(messages);
        assert!(!folder.join("out").exists(), "{}", run.stderr);
    };
    with("--method {method}", "--methd {method}");
    refused(&[], &["step 'align (seed 1)'", "--methd", "--method"]);
    with("align {shared}/wells", "align {shared}/wels");
    refused(
        &[],
        &[
            "step 'align (seed 1)'",
            "no step before it writes",
            "wels.parquet",
        ],
    );
    with("{method}", "{metod}");
    refused(&[], &["step 'align'", "{metod}", "did you mean 'method'"]);
    with("center_scale", "centre_scale");
    refused(&[], &["step 'align (seed 1)'", "centre_scale"]);
    with("align {shared}", "run {shared}");
    refused(&[], &["step 'align (seed 1)'"]);
    with("title = \"intensities\"", "titel = \"intensities\"");
    refused(&[], &["titel", "did you mean 'title'"]);
    fs::write(folder.join("small.toml"), SMALL).expect("a recipe");
    let args = [
        "run",
        "small.toml",
        "--input",
        "screen=sreen",
        "--output",
        "out",
    ];
    morphospace(folder, &args)
        .expect_status(2)
        .expect_stderr(&["--input screen=sreen", "there is no 'sreen'"]);
    refused(
        &["--input", "scren=x"],
        &["no input 'scren'", "did you mean 'screen'"],
    );
    refused(&["--input", "screen"], &["not of the form name=value"]);
    let args = ["run", "small.toml", "--output", "out"];
    morphospace(folder, &args)
        .expect_status(2)
        .expect_stderr(&["needs screen (the screen)", "--input screen="]);
}

#[test]
fn what_misleads_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    small(folder);
    // A recipe may be looked at without its data.
    let shown = morphospace(folder, &["run", "small.toml", "--dry-run"]).expect_status(0);
    assert!(
        shown.stdout.contains("embed SCREEN --network"),
        "{}",
        shown.stdout
    );
    run_small(folder, &["--set", "values.metod=tvn"])
        .expect_status(2)
        .expect_stderr(&["value 'metod' stands in no step", "did you mean 'method'"]);
    run_small(folder, &["--set", "repeat.sed=[1]"])
        .expect_status(2)
        .expect_stderr(&["value 'sed' stands in no step", "did you mean 'seed'"]);
    let into = |output: &str| {
        let args = [
            "run",
            "small.toml",
            "--input",
            "screen=screen",
            "--output",
            output,
        ];
        morphospace(folder, &args)
    };
    fs::create_dir(folder.join("thesis")).expect("a folder");
    fs::write(folder.join("thesis/chapter"), "1").expect("a file");
    into("thesis")
        .expect_status(2)
        .expect_stderr(&["'thesis' is not empty and holds no run"]);
    into("screen").expect_status(2);
    assert!(!folder.join("screen/run.json").exists());
    into("s3://b/x")
        .expect_status(2)
        .expect_stderr(&["the folder of a run is on disk"]);
    assert!(!folder.join("s3:").exists());
    let write = |recipe: String| fs::write(folder.join("small.toml"), recipe).expect("a recipe");
    write(SMALL.replace("{shared}/aligned.parquet\"", "{shared}/wells.parquet\""));
    into("out")
        .expect_status(2)
        .expect_stderr(&["another step writes", "wells.parquet"]);

    // Scores of a step that is no more have no part; a damaged file is made anew.
    write(SMALL.to_owned());
    into("out").expect_status(0);
    let scores = folder.join("out/seed-1/scores");
    fs::copy(scores.join("recall.json"), scores.join("old.json")).expect("a copy");
    fs::write(scores.join("recall.json"), "junk").expect("a file");
    let run = into("out").expect_status(0);
    assert!(!run.stderr.contains("gaps"), "{}", run.stderr);

    // A column that finds nothing, a run of fewer seeds, a row with other settings.
    write(SMALL.replace("recall 10/90\" }", "recal 10/90\" }"));
    into("out").expect_status(0).expect_stderr(&[
        "gaps in the tables: 1",
        "no score 'relationship recal 10/90'",
    ]);
    write(SMALL.to_owned());
    into("out").expect_status(0);
    fs::remove_file(scores.join("recall.json")).expect("a file");
    let collected = morphospace(folder, &["collect", "out"]).expect_status(0);
    collected.expect_stderr(&["'10/90' is of 1 of 2 repetitions"]);
    let other = run_small(folder, &["--set", "values.method=mad_robustize"]).expect_status(0);
    assert!(
        other
            .stdout
            .contains("| intensities [values.method=mad_robustize] |"),
        "{}",
        other.stdout
    );
}

/// `morphospace … 2>&1 | head` reads a few lines and goes.
#[test]
fn work_goes_on_when_nobody_listens() {
    let folder = tempfile::tempdir().expect("a folder");
    small(folder.path());
    let args = [
        "run",
        "small.toml",
        "--input",
        "screen=screen",
        "--output",
        "out",
    ];
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_morphospace"))
        .args(args)
        .current_dir(folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    assert!(folder.path().join("out/seed-2/scores/recall.json").exists());
}

#[test]
fn a_step_that_fails_is_named_and_what_came_before_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    small(folder);
    let recipe = SMALL.replace("{screen}/relationships.csv", "nothing.csv");
    fs::write(folder.join("small.toml"), recipe).expect("a recipe");
    run_small(folder, &[]).expect_status(1).expect_stderr(&[
        "step 'recall (seed 1)' of recipe 'small.toml'",
        "nothing.csv",
    ]);
    assert!(folder.join("out/shared/aligned.parquet").exists());
    // A damaged image costs its site; the step that left it out is tried again.
    let recipe = SMALL.replace(
        "--network intensity",
        "--network intensity --on-incomplete skip",
    );
    fs::write(folder.join("small.toml"), recipe).expect("a recipe");
    fs::write(first_image(folder, 2), b"no image").expect("a file");
    for _ in 0..2 {
        let run = run_small(folder, &[]).expect_status(1);
        let run = run.expect_stderr(&["steps that left something out", "embed (seed 1)"]);
        assert!(
            run.stderr.contains("\n[1/6] embed (seed 1)\n")
                || run.stderr.starts_with("[1/6] embed (seed 1)\n"),
            "{}",
            run.stderr
        );
        let collected = morphospace(folder, &["collect", "out"]).expect_status(0);
        assert!(
            collected.stdout.contains("[incomplete]"),
            "{}",
            collected.stdout
        );
    }
}
