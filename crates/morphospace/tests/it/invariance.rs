//! What must not change a score, asked of every score: the order of rows, and a
//! rotation of the features. And what must bring it to chance: labels dealt anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use morphospace_core::Seed;
use rand::RngExt;

use crate::support::morphospace;

const NUM_FEATURES: usize = 6;
const NUM_GENES: usize = 24;

struct Row {
    batch: usize,
    place: usize,
    /// 0 of a control.
    gene: usize,
    values: [f64; NUM_FEATURES],
}

/// Four plates of sixteen controls and of genes in three wells each, in another
/// layout on each plate. Genes 1 and 2, 3 and 4 and so on move cells alike.
fn screen() -> Vec<Row> {
    let mut rng = Seed::new(21).rng();
    let directions: Vec<[f64; NUM_FEATURES]> = (0..NUM_GENES / 2)
        .map(|_| std::array::from_fn(|_| rng.random_range(-3.0..3.0)))
        .collect();
    let mut rows = Vec::new();
    for batch in 0..4 {
        let wells = 16 + 3 * NUM_GENES;
        for place in 0..wells {
            let at = (place * 5 + batch * 11) % wells;
            let gene = if at < 16 { 0 } else { at % NUM_GENES + 1 };
            let mut values = [0.0; NUM_FEATURES];
            for (feature, value) in values.iter_mut().enumerate() {
                let moved = match gene {
                    0 => 0.0,
                    gene => directions[(gene - 1) / 2][feature],
                };
                *value = moved + rng.random_range(-1.0..1.0);
            }
            rows.push(Row {
                batch,
                place,
                gene,
                values,
            });
        }
    }
    rows
}

/// In another order.
fn shuffled<T>(mut items: Vec<T>, seed: u64) -> Vec<T> {
    let mut rng = Seed::new(seed).rng();
    for last in (1..items.len()).rev() {
        items.swap(last, rng.random_range(0..=last));
    }
    items
}

/// Turned in every plane of two features.
fn rotated(mut rows: Vec<Row>) -> Vec<Row> {
    for Row { values, .. } in &mut rows {
        for first in 0..NUM_FEATURES {
            for second in first + 1..NUM_FEATURES {
                let (sin, cos) = (0.3 + (first * second) as f64).sin_cos();
                let (a, b) = (values[first], values[second]);
                (values[first], values[second]) = (cos * a - sin * b, sin * a + cos * b);
            }
        }
    }
    rows
}

/// Genes dealt anew among the wells that are no controls.
fn relabelled(mut rows: Vec<Row>) -> Vec<Row> {
    let genes = rows.iter().map(|row| row.gene).filter(|gene| *gene > 0);
    let mut genes = shuffled(genes.collect(), 4).into_iter();
    for row in rows.iter_mut().filter(|row| row.gene > 0) {
        row.gene = genes.next().unwrap();
    }
    rows
}

fn write(path: &Path, rows: &[Row]) {
    let mut text = "Metadata_Batch,Metadata_Plate,Metadata_Well,Metadata_treatment,Metadata_gene,\
                    Metadata_control_role,a,b,c,d,e,f\n"
        .to_owned();
    for row in rows {
        let (name, role) = match row.gene {
            0 => (String::new(), "negative_control"),
            gene => (format!("G{gene}"), ""),
        };
        let well = format!(
            "{}{:02}",
            char::from(b'A' + row.place as u8 / 8),
            row.place % 8 + 1
        );
        let values = row.values.map(|value| value.to_string()).join(",");
        let _ = writeln!(
            text,
            "B{},1,{well},{name},{name},{role},{values}",
            row.batch
        );
    }
    fs::write(path, text).unwrap();
}

/// Scores, and whether a rotation of the features may change them: standard scaling
/// goes feature by feature.
const COMMANDS: &[(&str, bool)] = &[
    ("relationship-recall T --relationships known.csv", false),
    (
        "replicate-consistency T --match-column Metadata_gene",
        false,
    ),
    ("batch-prediction T", true),
    (
        "mean-average-precision T --pos-sameby Metadata_gene --neg-diffby Metadata_gene \
         --exclude Metadata_control_role=negative_control --draws 1000",
        false,
    ),
    ("perturbation-magnitude T", false),
    ("cosine-similarity T", false),
    ("label-prediction T --neighbours 5", true),
    ("batch-mixing T --neighbours 10 --perplexity 5", false),
    ("position-audit T", true),
];

struct Score {
    value: f64,
    null: Option<f64>,
}

fn scores(folder: &Path, command: &str, table: &str) -> BTreeMap<String, Score> {
    let command = format!("benchmark {command} --json").replace(" T ", &format!(" {table} "));
    let arguments: Vec<&str> = command.split_whitespace().collect();
    let run = morphospace(folder, &arguments).expect_status(0);
    let scores: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let scores = scores["scores"].as_array().unwrap().iter().map(|score| {
        let found = Score {
            value: score["value"].as_f64().unwrap(),
            null: score["null"].as_f64(),
        };
        (score["benchmark"].to_string(), found)
    });
    scores.collect()
}

fn screens(folder: &Path) {
    write(&folder.join("as_is.csv"), &screen());
    write(&folder.join("reordered.csv"), &shuffled(screen(), 9));
    write(&folder.join("rotated.csv"), &rotated(screen()));
    write(&folder.join("relabelled.csv"), &relabelled(screen()));
    let mut known = "entity1,entity2\n".to_owned();
    for gene in (1..NUM_GENES).step_by(2) {
        let _ = writeln!(known, "G{gene},G{}", gene + 1);
    }
    fs::write(folder.join("known.csv"), known).unwrap();
}

#[test]
fn order_of_rows_and_rotation_change_no_score() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    screens(folder);
    for (command, by_feature) in COMMANDS {
        let expected = scores(folder, command, "as_is.csv");
        assert!(!expected.is_empty(), "{command}");
        for table in ["reordered.csv", "rotated.csv"] {
            for (name, score) in scores(folder, command, table) {
                if table == "rotated.csv" && *by_feature && name.contains("linear") {
                    continue;
                }
                let expected = expected[&name].value;
                // A null, and folds, are drawn by rows.
                let is_drawn = name.contains("replicate") || name.contains("linear");
                let tolerance = if is_drawn { 0.05 } else { 1e-6 };
                assert!(
                    (score.value - expected).abs() <= tolerance * expected.abs().max(1.0),
                    "{command}, {table}, {name}: {} and not {expected}",
                    score.value
                );
            }
        }
    }
}

#[test]
fn labels_dealt_anew_bring_scores_of_labels_to_chance() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    screens(folder);
    // What chance is where a score brings none, and how far it may be off.
    let of_labels: [(&str, &str, f64); 4] = [
        (COMMANDS[0].0, "relationship recall 5/95", 0.3),
        (COMMANDS[1].0, "replicate consistency", 0.12),
        (COMMANDS[3].0, "mean average precision, normalised", 0.05),
        (COMMANDS[6].0, "balanced accuracy", 0.08),
    ];
    for (command, name, tolerance) in of_labels {
        let told = scores(folder, command, "as_is.csv");
        let by_chance = scores(folder, command, "relabelled.csv");
        let named: Vec<&String> = told.keys().filter(|key| key.contains(name)).collect();
        assert!(
            !named.is_empty(),
            "{command}: no '{name}' in {:?}",
            told.keys()
        );
        for name in named {
            let null = by_chance[name].null.unwrap_or(0.0);
            let found = by_chance[name].value;
            assert!(
                (found - null).abs() < tolerance,
                "{name}: {found}, by chance {null}"
            );
            let told = told[name].value;
            assert!(
                told > null + 2.0 * tolerance,
                "{name}: {told}, by chance {null}"
            );
        }
    }
}
