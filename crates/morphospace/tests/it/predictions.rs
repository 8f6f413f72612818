//! `benchmark predictions`: the accuracies of RxRx1.

use std::path::Path;

use morphospace_profiles::{PredictionRow, Predictions, write_predictions};

use crate::support::morphospace;

/// Sites of four perturbations in two cell types, of which every `wrong`-th is told
/// wrong; experiments are told half of the time.
fn write(path: &Path, wrong: usize) {
    let mut rows = Vec::new();
    for site in 0..80 {
        let cell_type = ["HUVEC", "RPE"][site / 4 % 2];
        let (label, batch) = (site % 4, site % 2);
        let row = |head: &str, label: String, predicted: String| PredictionRow {
            site_key: format!("site{site}"),
            experiment: format!("{cell_type}-0{}", batch + 1),
            cell_type: Some(cell_type.to_owned()),
            head: head.to_owned(),
            label: Some(label.clone()),
            top5: vec![predicted.clone(), label],
            predicted,
            log_prob: -0.1,
        };
        let told = if (site + 1) % wrong == 0 {
            (label + 1) % 4
        } else {
            label
        };
        rows.push(row("perturbation", format!("s{label}"), format!("s{told}")));
        let told = if site % 4 < 2 { batch } else { 1 - batch };
        rows.push(row("batch", format!("e{batch}"), format!("e{told}")));
    }
    let predictions = Predictions {
        rows,
        provenance: None,
    };
    write_predictions(path, &predictions).unwrap();
}

#[test]
fn accuracies_are_those_of_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(&folder.join("separated.parquet"), 4);
    write(&folder.join("stratified.parquet"), 8);
    let done = morphospace(
        folder,
        &[
            "benchmark",
            "predictions",
            "separated.parquet",
            "--stratified",
            "stratified.parquet",
            "--json",
            "--output",
            "scores.json",
        ],
    )
    .expect_status(0);
    let scores: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let value = |name: &str| {
        let scores = scores["scores"].as_array().unwrap().iter();
        let mut found = scores.filter(|score| score["benchmark"] == name);
        let found = found.next().unwrap_or_else(|| panic!("no {name}"));
        (
            found["value"].as_f64().unwrap(),
            found["n"].as_u64().unwrap(),
        )
    };
    assert_eq!(value("perturbation accuracy"), (0.75, 80));
    assert_eq!(value("perturbation accuracy, top 5"), (1.0, 80));
    assert_eq!(value("perturbation accuracy, HUVEC"), (0.75, 40));
    assert_eq!(value("perturbation accuracy, stratified"), (0.875, 80));
    let (generalisation, _) = value("generalisation (separated / stratified)");
    assert!((generalisation - 0.75 / 0.875).abs() < 1e-12);
    assert_eq!(value("batch accuracy, stratified"), (0.5, 80));
    // Chance, and an interval over perturbations.
    let text = std::fs::read_to_string(folder.join("scores.json")).unwrap();
    assert!(
        text.contains("\"null\": 0.5") && text.contains("ci_low"),
        "{text}"
    );
}

#[test]
fn files_without_predictions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let empty = Predictions::default();
    write_predictions(&folder.join("empty.parquet"), &empty).unwrap();
    std::fs::write(folder.join("text.parquet"), "no table").unwrap();
    for (file, expected) in [
        ("empty.parquet", "'empty.parquet' has no predictions"),
        ("text.parquet", "text.parquet"),
        ("missing.parquet", "missing.parquet"),
    ] {
        morphospace(folder, &["benchmark", "predictions", file])
            .expect_status(2)
            .expect_stderr(&[expected]);
    }
}
