//! From profiles to a map: `convert`, `align` in pieces and with settings,
//! `phenoprints`, `curate`, `relate`, `benchmark batch-mixing`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use morphospace_core::{Provenance, Seed};
use rand::RngExt;

use crate::support::{TINY_SIMULATOR, morphospace};

/// Four experiments of 24 wells: six controls and nine guides twice, of which the
/// first three change cells.
fn write_screen(path: &Path) {
    let mut text = "Metadata_Batch,Metadata_Plate,Metadata_Well,Metadata_treatment,Metadata_gene,\
                    Metadata_control_role,a,b,c,d,e\n"
        .to_owned();
    let mut rng = Seed::new(3).rng();
    for batch in 1..=4 {
        for place in 0..24 {
            let (guide, role) = match place {
                0..6 => (None, "negative_control"),
                place => (Some((place - 6) / 2), "treatment"),
            };
            let name = guide.map_or_else(|| "DMSO".to_owned(), |guide| format!("G{guide}_1"));
            let gene = guide.map_or_else(String::new, |guide| format!("G{guide}"));
            let values: Vec<String> = (0..5)
                .map(|feature| {
                    let planted = guide.is_some_and(|guide| guide < 3 && guide == feature);
                    let x = rng.random::<f64>() - 0.5 + 0.3 * f64::from(batch);
                    (x + 4.0 * f64::from(u8::from(planted))).to_string()
                })
                .collect();
            let well = format!("{}{:02}", char::from(b'A' + place / 6), place % 6 + 1);
            let values = values.join(",");
            let _ = writeln!(text, "B{batch},1,{well},{name},{gene},{role},{values}");
        }
    }
    fs::write(path, text).unwrap();
}

#[test]
fn tables_go_from_format_to_format_and_get_their_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(
        folder.join("emb.csv"),
        "well_id,feature_0,feature_1\nw1,1,2\nw2,3,4\nw9,5,6\n",
    )
    .unwrap();
    fs::write(
        folder.join("meta.csv"),
        "well_id,gene,plate\nw2,KRAS,1\nw1,TP53,1\n",
    )
    .unwrap();
    let args = [
        "convert",
        "emb.csv",
        "--metadata",
        "meta.csv",
        "--on",
        "well_id",
    ];
    let run = morphospace(folder, &[&args[..], &["--output", "out.zarr"]].concat());
    run.expect_status(0).expect_stderr(&[
        "2 features: 2 named like features",
        "rows that 'meta.csv' does not know, left without its values: 1 of 3",
    ]);
    let back = [
        "convert",
        "out.zarr",
        "--schema",
        "recursion",
        "--output",
        "out.csv",
    ];
    morphospace(
        folder,
        &[&back[..], &["--rename-features", "feature_=Cells_"]].concat(),
    )
    .expect_status(0);
    assert_eq!(
        fs::read_to_string(folder.join("out.csv")).unwrap(),
        "well_id,gene,plate,Cells_0,Cells_1\nw1,TP53,1,1.0,2.0\nw2,KRAS,1,3.0,4.0\nw9,,,5.0,6.0\n"
    );
    morphospace(folder, &["convert", "out.csv", "--output", "out.gct"]).expect_status(0);
    assert!(
        fs::read_to_string(folder.join("out.gct"))
            .unwrap()
            .starts_with("#1.3\n")
    );

    let wrong = [&args[..5], &["gene", "--output", "x.csv"]].concat();
    morphospace(folder, &wrong)
        .expect_status(2)
        .expect_stderr(&["adding the columns of 'meta.csv'", "no column 'gene'"]);
    let typo = [
        "convert",
        "emb.csv",
        "--feature-columns",
        "featur_*",
        "--output",
        "x.csv",
    ];
    morphospace(folder, &typo)
        .expect_status(2)
        .expect_stderr(&["featur_*"]);
    morphospace(folder, &["convert", "emb.csv", "--output", "x.xlsx"])
        .expect_status(2)
        .expect_stderr(&["'x.xlsx' is no table that can be written"]);
}

#[test]
fn a_table_is_aligned_in_pieces_as_it_is_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_screen(&folder.join("p.csv"));
    let align = |more: &[&str]| {
        morphospace(
            folder,
            &[&["align", "p.csv", "--method", "tvn"], more].concat(),
        )
    };
    align(&["--output", "whole.csv"]).expect_status(0);
    align(&["--output", "pieces.csv", "--memory", "8"]).expect_status(0);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("whole.csv"), read("pieces.csv"));
    align(&["--output", "set.csv", "--set", "per_batch=false"]).expect_status(0);
    assert_ne!(read("whole.csv"), read("set.csv"));
    fs::write(folder.join("tvn.toml"), "per_batch = false\n").unwrap();
    align(&["--output", "file.csv", "--settings", "tvn.toml"]).expect_status(0);
    assert_eq!(read("file.csv"), read("set.csv"));
    align(&["--output", "x.csv", "--set", "regularization=1"])
        .expect_status(2)
        .expect_stderr(&["the settings of tvn", "did you mean 'regularisation'?"]);
    let harmony = ["align", "p.csv", "--method", "harmony", "--output", "h.csv"];
    morphospace(folder, &harmony)
        .expect_status(0)
        .expect_stderr(&["objective: 1", "24 controls in 4 batches"]);
}

#[test]
fn what_changes_cells_is_kept_and_everything_else_has_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_screen(&folder.join("p.csv"));
    let center = [
        "align",
        "p.csv",
        "--method",
        "center_scale",
        "--output",
        "c.csv",
    ];
    morphospace(folder, &center).expect_status(0);
    let test = [
        "phenoprints",
        "c.csv",
        "--output",
        "phenoprints.csv",
        "--set",
        "num_draws=1000",
        "--set",
        "threshold=0.03",
    ];
    morphospace(folder, &test)
        .expect_status(0)
        .expect_stderr(&["phenoprints: 3 of 9 conditions that were tested (p < 0.03)"]);
    let curate = [
        "curate",
        "p.csv",
        "--phenoprints",
        "phenoprints.csv",
        "--output",
        "curated.csv",
        "--summary",
        "summary.csv",
        "--set",
        "min_wells=8",
    ];
    morphospace(folder, &curate)
        .expect_status(0)
        .expect_stderr(&["phenoprints: no phenoprint"]);
    let table = fs::read_to_string(folder.join("curated.csv")).unwrap();
    let count = |text: &str| table.lines().filter(|line| line.contains(text)).count();
    // Three guides of eight wells; two of six controls in every experiment.
    assert_eq!(count(",true,"), 24 + 8, "{table}");
    assert_eq!(count("no phenoprint of 'G5_1'"), 8);
    assert!(
        fs::read_to_string(folder.join("summary.csv"))
            .unwrap()
            .contains("rows_dropped")
    );
    morphospace(
        folder,
        &[&curate[..8], &["--set", "min_experiments=9"]].concat(),
    )
    .expect_status(2)
    .expect_stderr(&["min_experiments"]);
    morphospace(
        folder,
        &[
            "curate",
            "p.csv",
            "--output",
            "x.csv",
            "--set",
            "min_well=1",
        ],
    )
    .expect_status(2)
    .expect_stderr(&["did you mean 'min_wells'?"]);
}

#[test]
fn sites_that_curation_drops_are_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("sim.toml"), TINY_SIMULATOR).unwrap();
    let simulate = ["simulate", "--config", "sim.toml", "--output", "screen"];
    morphospace(folder, &simulate).expect_status(0);
    let inspect = [
        "inspect",
        "screen",
        "--manifest",
        "manifest.parquet",
        "--json",
    ];
    morphospace(folder, &inspect).expect_status(0);
    let curate = [
        "curate",
        "manifest.parquet",
        "--output",
        "curated.parquet",
        "--set",
        "min_wells=1",
        "--set",
        "min_experiments=1",
    ];
    morphospace(folder, &curate)
        .expect_status(0)
        .expect_stderr(&["under_sampling"]);
    let sites = |args: &[&str]| -> u64 {
        let run = morphospace(folder, args).expect_status(0);
        let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        report["num_sites"].as_u64().unwrap()
    };
    let all = sites(&["inspect", "screen", "--json"]);
    let kept = sites(&[
        "inspect",
        "screen",
        "--json",
        "--curated",
        "curated.parquet",
    ]);
    assert!(kept < all, "{kept} of {all}");
    let none = ["inspect", "screen", "--curated", "manifest.parquet"];
    morphospace(folder, &none)
        .expect_status(2)
        .expect_stderr(&["it has no column 'keep'", "morphospace curate"]);
}

#[test]
fn relations_and_neighbours_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let map = "Metadata_gene,a,b\nA,1,0\nB,1,0.1\nC,-1,0\nD,0,1\n";
    fs::write(folder.join("map.csv"), map).unwrap();
    fs::write(folder.join("known.txt"), "entity1,entity2\nB,A\nA,D\n").unwrap();
    let relate = |more: &[&str]| {
        let run = morphospace(
            folder,
            &[&["relate", "map.csv", "--output", "r.csv"], more].concat(),
        );
        (
            run.expect_status(0).stderr.clone(),
            fs::read_to_string(folder.join("r.csv")).unwrap(),
        )
    };
    let (said, table) = relate(&[
        "--relationships",
        "known.txt",
        "--top",
        "1",
        "--tails",
        "both",
    ]);
    assert!(
        said.contains("relate: 2 of 6 pairs listed, 1 of them known"),
        "{said}"
    );
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[1].starts_with("A,B,0.995") && lines[1].ends_with("known"),
        "{table}"
    );
    assert!(lines[2].starts_with("A,C,-1"), "{table}");
    let (_, table) = relate(&["--neighbours", "D", "--top", "2"]);
    assert!(table.contains("D,B,1,"), "{table}");
    let typo = [
        "relate",
        "map.csv",
        "--output",
        "r.csv",
        "--neighbours",
        "E",
    ];
    morphospace(folder, &typo)
        .expect_status(2)
        .expect_stderr(&["no entity 'E' in the map"]);
}

#[test]
fn mixing_of_batches_is_scored_before_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_screen(&folder.join("p.csv"));
    let center = [
        "align",
        "p.csv",
        "--method",
        "center_scale",
        "--output",
        "c.csv",
    ];
    morphospace(folder, &center).expect_status(0);
    let args = [
        "benchmark",
        "batch-mixing",
        "c.csv",
        "--before",
        "p.csv",
        "--perplexity",
        "10",
        "--neighbours",
        "20",
        "--json",
    ];
    let run = morphospace(folder, &args).expect_status(0);
    let scores: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let value = |name: &str, alignment: &str| -> f64 {
        let scores = scores["scores"].as_array().unwrap().iter();
        let mut scores = scores.filter(|score| {
            score["benchmark"].as_str().unwrap().starts_with(name)
                && score["alignment"] == alignment
        });
        scores.next().unwrap()["value"].as_f64().unwrap()
    };
    for name in ["batches mixed", "neighbourhoods mixed"] {
        assert!(value(name, "unstated") > value(name, "none"), "{name}");
    }
    assert!(value("batch's share of variance (PCR)", "unstated") < 0.1);
    assert!(value("batch's share of variance that is gone", "unstated") > 0.5);
    let much = [&args[..3], &["--perplexity", "90"]].concat();
    morphospace(folder, &much)
        .expect_status(2)
        .expect_stderr(&["--perplexity"]);
}

#[test]
fn figures_are_drawn_from_profiles() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_screen(&folder.join("p.csv"));
    let umap = [
        "figure",
        "umap",
        "wells=p.csv",
        "--coordinates",
        "umap.csv",
        "--output",
        "umap.svg",
    ];
    morphospace(folder, &umap).expect_status(0);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let (coordinates, figure) = (read("umap.csv"), read("umap.svg"));
    assert_eq!(coordinates.lines().count(), 97);
    assert!(figure.starts_with("<svg") && figure.contains("Coloured by treatment"));
    morphospace(folder, &umap).expect_status(0);
    assert_eq!(read("umap.csv"), coordinates);
    let plate = [
        "figure", "plate", "p.csv", "--batch", "B2", "--plate", "1", "--value", "a", "--output",
    ];
    morphospace(folder, &[&plate[..], &["plate.html"]].concat()).expect_status(0);
    assert!(read("plate.html").contains("B2 plate 1"));
    morphospace(folder, &[&plate[..], &["plate.pdf"]].concat())
        .expect_status(2)
        .expect_stderr(&["'plate.pdf' is no figure", ".svg"]);
    let other = [&plate[..3], &["--batch", "B9"], &plate[5..], &["x.svg"]].concat();
    morphospace(folder, &other)
        .expect_status(2)
        .expect_stderr(&["no row is of batch 'B9'", "there are B1 1"]);
}

#[test]
fn figures_are_drawn_from_scores() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let score = |benchmark: &str, model: &str, value: f64, settings: &str| {
        format!(
            r#"{{"benchmark": "{benchmark}", "model": "{model}", "block": null, "alignment": "tvn",
            "value": {value}, "null": 0.1, "n": 10, "seeds": [], "ci_low": null, "ci_high": null,
            "inputs": [], "settings": {{{settings}}}}}"#
        )
    };
    let mut scores = Vec::new();
    for (model, value) in [("small", 0.3), ("large", 0.4)] {
        for (low, name) in [(0.05, "5/95"), (0.1, "10/90")] {
            let settings = format!(r#""thresholds": "{low}, {}", "source": "CORUM""#, 1.0 - low);
            let name = format!("relationship recall {name}");
            scores.push(score(&name, model, value + low, &settings));
        }
        let block = score("probe", model, value, "").replace("\"block\": null", "\"block\": 3");
        scores.push(block);
        let at = "compound-gene average precision, 0.25";
        scores.push(score(at, model, value, r#""sd over draws": "0.02""#));
    }
    let provenance = serde_json::to_string(&Provenance::new("benchmark")).unwrap();
    let text = format!(
        r#"{{"schema_version": 1, "provenance": {provenance}, "scores": [{}]}}"#,
        scores.join(",")
    );
    fs::write(folder.join("scores.json"), text).unwrap();
    let draw = |kind: &str, more: &[&str]| {
        let args = ["figure", kind, "scores.json", "--output", "f.svg"];
        let run = morphospace(folder, &[&args[..], more].concat());
        (run.status, run.stderr.clone())
    };
    let read = || fs::read_to_string(folder.join("f.svg")).unwrap();
    let drawn = |kind: &str, more: &[&str], expected: &str| {
        assert_eq!(draw(kind, more), (0, String::new()), "{kind}");
        assert!(read().contains(expected), "{kind}");
    };
    drawn("recall", &[], "chance");
    let recall = "relationship recall 5/95";
    let compute = [
        "--benchmark",
        recall,
        "--compute",
        "small=1,vit",
        "large=10,vit",
    ];
    drawn("compute", &compute, "large");
    let models = ["--x", recall, "--y", "relationship recall 10/90"];
    drawn("models", &models, "Spearman");
    drawn("concentrations", &[], "0.25");
    drawn("blocks", &["--benchmark", "probe"], "Ringed");
    let (status, said) = draw("compute", &["--benchmark", recall, "--compute", "tiny=1"]);
    assert_eq!(status, 2);
    assert!(said.contains("the models are large, small"), "{said}");
    let (status, said) = draw("blocks", &["--benchmark", "prob"]);
    assert_eq!(status, 2);
    assert!(said.contains("there is no score 'prob'"), "{said}");
}
