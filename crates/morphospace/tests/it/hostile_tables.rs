//! Tables that lack what a command needs, or hold what it cannot use: what each
//! command makes of each, in one snapshot to be read.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use morphospace_core::Seed;
use rand::RngExt;
use rayon::prelude::*;

use crate::support::morphospace;

const NUM_FEATURES: usize = 4;

/// One well of a table.
#[derive(Clone)]
struct Row {
    batch: String,
    well: String,
    gene: String,
    is_control: bool,
    values: Vec<String>,
}

/// Three batches of a plate of twelve controls and six genes in three wells each,
/// half of which move cells.
fn sound(num_features: usize) -> Vec<Row> {
    let mut rng = Seed::new(5).rng();
    let mut rows = Vec::new();
    for batch in 1..=3 {
        for place in 0..30 {
            let gene = if place < 12 { 0 } else { place % 6 + 1 };
            let shift = if gene % 2 == 1 { gene as f64 } else { 0.0 };
            let values = (0..num_features).map(|feature| {
                let direction = if feature % 3 == gene % 3 { shift } else { 0.0 };
                format!("{:.6}", direction + rng.random::<f64>())
            });
            rows.push(Row {
                batch: format!("B{batch}"),
                well: format!("{}{:02}", char::from(b'A' + place as u8 / 6), place % 6 + 1),
                gene: if gene == 0 {
                    String::new()
                } else {
                    format!("G{gene}")
                },
                is_control: gene == 0,
                values: values.collect(),
            });
        }
    }
    rows
}

/// The sound table, changed.
fn changed(change: impl Fn(usize, &mut Row)) -> Vec<Row> {
    let mut rows = sound(NUM_FEATURES);
    for (index, row) in rows.iter_mut().enumerate() {
        change(index, row);
    }
    rows
}

fn tables() -> Vec<(&'static str, Vec<Row>)> {
    let first_control = |rows: &mut Vec<Row>, is_of: fn(&Row) -> bool| {
        let mut is_first = true;
        rows.retain(|row| {
            !row.is_control || !is_of(row) || std::mem::replace(&mut is_first, false)
        });
    };
    let mut one_control = sound(NUM_FEATURES);
    first_control(&mut one_control, |_| true);
    let mut one_in_a_batch = sound(NUM_FEATURES);
    first_control(&mut one_in_a_batch, |row| row.batch == "B2");
    let mut no_controls = sound(NUM_FEATURES);
    no_controls.retain(|row| !row.is_control);
    let mut one_batch = sound(NUM_FEATURES);
    one_batch.retain(|row| row.batch == "B1");
    let mut seen = Vec::new();
    let mut no_replicates = sound(NUM_FEATURES);
    no_replicates.retain(|row| {
        let is_new = !seen.contains(&row.gene);
        seen.push(row.gene.clone());
        row.is_control || is_new
    });
    let twice = sound(NUM_FEATURES).into_iter();
    let twice = twice.flat_map(|row| [row.clone(), row]).collect();
    vec![
        ("sound", sound(NUM_FEATURES)),
        ("no rows", Vec::new()),
        ("no controls", no_controls),
        ("one control", one_control),
        ("one control in a batch", one_in_a_batch),
        ("one batch", one_batch),
        ("no replicates", no_replicates),
        ("rows twice", twice),
        (
            "constant feature",
            changed(|_, row| row.values[1] = "7".to_owned()),
        ),
        (
            "singular covariance",
            changed(|_, row| row.values[1] = row.values[0].clone()),
        ),
        ("more features than rows", sound(120)),
        (
            "all values the same",
            changed(|_, row| row.values.fill("1".to_owned())),
        ),
        (
            "all values 0",
            changed(|_, row| row.values.fill("0".to_owned())),
        ),
        (
            "not a number",
            changed(|index, row| {
                if index == 20 {
                    row.values[2] = "NaN".to_owned();
                }
            }),
        ),
        (
            "infinite",
            changed(|index, row| {
                if index == 20 {
                    row.values[2] = "inf".to_owned();
                }
            }),
        ),
        (
            "foreign genes",
            changed(|_, row| {
                if !row.is_control {
                    row.gene = row.gene.replace('G', "Rv000");
                }
            }),
        ),
        ("no features", changed(|_, row| row.values.clear())),
    ]
}

fn write(path: &Path, rows: &[Row]) {
    let num_features = rows.first().map_or(NUM_FEATURES, |row| row.values.len());
    let mut text = "Metadata_Batch,Metadata_Plate,Metadata_Well,Metadata_treatment,Metadata_gene,\
                    Metadata_control_role"
        .to_owned();
    for feature in 0..num_features {
        let _ = write!(text, ",f{feature}");
    }
    for row in rows {
        let Row {
            batch, well, gene, ..
        } = row;
        let role = if row.is_control {
            "negative_control"
        } else {
            ""
        };
        let _ = write!(text, "\n{batch},1,{well},{gene},{gene},{role}");
        for value in &row.values {
            let _ = write!(text, ",{value}");
        }
    }
    text.push('\n');
    fs::write(path, text).unwrap();
}

/// Commands on `table.csv`, as they are typed.
const COMMANDS: &[&str] = &[
    "align table.csv --method center_scale --output out.csv",
    "align table.csv --method pca --output out.csv",
    "align table.csv --method pca_center_scale --output out.csv",
    "align table.csv --method tvn --output out.csv",
    "align table.csv --method mad_robustize --output out.csv",
    "align table.csv --method spherize --output out.csv",
    "align table.csv --method coral --output out.csv",
    "align table.csv --method combat --output out.csv",
    "align table.csv --method harmony --output out.csv",
    "aggregate table.csv --output out.csv",
    "aggregate table.csv --average frechet --from-controls --output out.csv",
    "convert table.csv --output out.parquet",
    "relate map.csv --relationships known.csv --output out.csv",
    "hits table.csv --output out.csv --draws 100",
    "phenoprints table.csv --output out.csv",
    "curate table.csv --output out.csv",
    "benchmark relationship-recall table.csv --relationships known.csv --min-entities 2",
    "benchmark replicate-consistency table.csv",
    "benchmark batch-prediction table.csv",
    "benchmark mean-average-precision table.csv --pos-sameby Metadata_gene --neg-diffby \
     Metadata_gene --draws 100",
    "benchmark compound-gene table.csv --interactions interactions.csv",
    "benchmark anax table.csv",
    "benchmark perturbation-magnitude table.csv",
    "benchmark cosine-similarity table.csv",
    "benchmark label-prediction table.csv --neighbours 3",
    "benchmark batch-mixing table.csv --neighbours 5 --perplexity 2",
    "benchmark position-audit table.csv",
    "compare a=table.csv b=table.csv --relationships known.csv",
    "figure umap a=table.csv --output out.svg",
    "figure plate table.csv --batch B1 --plate 1 --value f0 --output out.svg",
];

/// What a run says first: of its result, or why there is none.
fn outcome(folder: &Path, command: &str) -> String {
    let arguments: Vec<&str> = command.split_whitespace().collect();
    let done = morphospace(folder, &arguments);
    let lines = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    match done.status {
        0 => match lines(&done.stdout).as_slice() {
            [] => lines(&done.stderr).pop().unwrap_or_default(),
            [one] => one.clone(),
            [_, first, rest @ ..] => {
                let words: Vec<&str> = first.split_whitespace().collect();
                format!("{} (and {} more lines)", words.join(" "), rest.len())
            }
        },
        status => format!("{status}: {}", lines(&done.stderr).join(" | ")),
    }
}

#[test]
fn every_command_has_a_result_or_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let tables = tables();
    let outcomes: Vec<Vec<String>> = tables
        .par_iter()
        .enumerate()
        .map(|(index, (_, rows))| {
            let folder = folder.path().join(index.to_string());
            fs::create_dir(&folder).unwrap();
            write(&folder.join("table.csv"), rows);
            // Of a map, a row for each gene.
            let mut seen = Vec::new();
            let of_genes = rows.iter().filter(|row| {
                let is_new = !row.is_control && !seen.contains(&row.gene);
                seen.push(row.gene.clone());
                is_new
            });
            write(
                &folder.join("map.csv"),
                &of_genes.cloned().collect::<Vec<_>>(),
            );
            fs::write(
                folder.join("known.csv"),
                "entity1,entity2\nG1,G4\nG2,G5\nG3,G6\n",
            )
            .unwrap();
            let interactions = "gene_symbol,nM_value,treatment\nG1,10,C1\n";
            fs::write(folder.join("interactions.csv"), interactions).unwrap();
            COMMANDS
                .iter()
                .map(|command| outcome(&folder, command))
                .collect()
        })
        .collect();
    let mut text = String::new();
    for (index, command) in COMMANDS.iter().enumerate() {
        let _ = writeln!(text, "$ morphospace {command}");
        for ((table, _), outcomes) in tables.iter().zip(&outcomes) {
            let outcome = &outcomes[index];
            // 101 is a panic.
            let is_told = !outcome.starts_with("101") && !outcome.contains("panicked");
            assert!(is_told, "{command}, {table}: {outcome}");
            let _ = writeln!(text, "  {table}: {outcome}");
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn wells_that_are_all_alike_hold_no_hit() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let alike = changed(|_, row| row.values.fill("1".to_owned()));
    write(&folder.join("table.csv"), &alike);
    let hits = ["hits", "table.csv", "--output", "hits.csv"];
    morphospace(folder, &hits)
        .expect_status(0)
        .expect_stderr(&["hits: 0 of 6"]);
    let score = |ties: &str| {
        let command = format!(
            "benchmark mean-average-precision table.csv --pos-sameby Metadata_gene --neg-diffby \
             Metadata_gene --ties {ties}"
        );
        outcome(folder, &command)
    };
    assert!(
        score("positives-first").contains(" 1.0000 "),
        "{}",
        score("positives-first")
    );
    assert!(!score("mean").contains(" 1.0000 "), "{}", score("mean"));
}
