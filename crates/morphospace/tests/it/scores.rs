//! Scores of perturbations: `hits`, and the `benchmark`s of mean average precision,
//! gene groups and compounds with their genes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use morphospace_core::Seed;
use rand::RngExt;

use crate::support::morphospace;

/// Two plates of twelve controls, and wells of perturbations at two doses, of which
/// `TP53` moves cells, the more the higher its dose.
fn write_profiles(folder: &Path) {
    let mut text =
        "Metadata_Plate,Metadata_gene,Metadata_dose,Metadata_control_role,a,b,c,d\n".to_owned();
    let mut rng = Seed::new(3).rng();
    let mut well = |plate: u32, name: &str, dose: &str, role: &str, shift: f64| {
        let mut value = || shift + rng.random::<f64>() - 0.5;
        let values = [value(), value(), value(), value()];
        let [a, b, c, d] = values;
        let _ = writeln!(text, "plate{plate},{name},{dose},{role},{a},{b},{c},{d}");
    };
    for plate in [1, 2] {
        for _ in 0..12 {
            well(plate, "", "", "negative_control", 0.0);
        }
        for _ in 0..3 {
            for (dose, shift) in [("0.1", 1.0), ("1", 3.0)] {
                well(plate, "TP53", dose, "", shift);
                well(plate, "KRAS", dose, "", 0.0);
            }
        }
    }
    well(1, "single", "1", "", 0.0);
    fs::write(folder.join("profiles.csv"), text).unwrap();
}

const HITS: [&str; 4] = ["hits", "profiles.csv", "--output", "hits.csv"];

#[test]
fn active_perturbations_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_profiles(folder);
    let done = morphospace(folder, &HITS).expect_status(0);
    done.expect_stderr(&[
        "hits: 1 of 3 at a false discovery rate of 0.05, told from 24 negative controls",
        "perturbations of a single well, which have no replicate to find: 1",
    ]);
    let table = fs::read_to_string(folder.join("hits.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[0],
        "Metadata_gene,num_wells,normalised_map,p_value,q_value,energy_distance,\
         replicate_cosine,is_hit"
    );
    assert!(
        lines[1].starts_with("TP53,12,") && lines[1].ends_with(",true"),
        "{table}"
    );
    assert!(
        lines[2].starts_with("KRAS,12,") && lines[2].ends_with(",false"),
        "{table}"
    );
    assert_eq!(lines[3], "single,1,,,,,,false");
    // The same seed, the same bytes.
    morphospace(folder, &HITS).expect_status(0);
    assert_eq!(fs::read_to_string(folder.join("hits.csv")).unwrap(), table);
}

#[test]
fn doses_are_tested_by_themselves_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_profiles(folder);
    let rest = [
        "--dose-column",
        "Metadata_dose",
        "--within-batch",
        "--batch-column",
        "Metadata_Plate",
        "--page",
        "hits.html",
    ];
    morphospace(folder, &[&HITS[..], &rest].concat()).expect_status(0);
    let table = fs::read_to_string(folder.join("hits.csv")).unwrap();
    assert!(
        table.starts_with("Metadata_gene,Metadata_dose,num_wells"),
        "{table}"
    );
    // Both doses, and that more does more.
    let of_tp53: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("TP53,"))
        .collect();
    assert_eq!(of_tp53.len(), 2);
    assert!(
        of_tp53.iter().all(|line| line.ends_with(",true,1")),
        "{table}"
    );
    let page = fs::read_to_string(folder.join("hits.html")).unwrap();
    for text in ["TP53 at 1", "Effect by dose", "of their own batch"] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn tables_that_cannot_be_tested_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_profiles(folder);
    let refused = |rest: &[&str], expected: &str| {
        let done = morphospace(folder, &[&HITS[..], rest].concat()).expect_status(2);
        done.expect_stderr(&[expected]);
        assert!(!folder.join("hits.csv").exists());
    };
    refused(&["--perturbation-column", "Metadata_gen"], "Metadata_gene");
    refused(
        &["--controls", "Metadata_control_role=dmso"],
        "negative_control",
    );
    refused(
        &["--dose-column", "Metadata_Plate"],
        "'plate1' is no number",
    );
    refused(&["--false-discovery-rate", "5"], "5 is not between 0 and 1");
    let ending = ["hits", "profiles.csv", "--output", "hits.xlsx"];
    morphospace(folder, &ending)
        .expect_status(2)
        .expect_stderr(&["neither in .csv nor in .tsv", "hits.csv"]);
    // A value that is none.
    let text = fs::read_to_string(folder.join("profiles.csv")).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let end = lines[5].rfind(',').unwrap();
    lines[5].replace_range(end.., ",NaN");
    fs::write(folder.join("profiles.csv"), lines.join("\n")).unwrap();
    refused(&[], "NaN");
}

#[test]
fn replicates_are_found_among_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_profiles(folder);
    let benchmark = ["benchmark", "mean-average-precision", "profiles.csv"];
    let score = |rest: &[&str]| morphospace(folder, &[&benchmark[..], rest].concat());
    let activity = [
        "--pos-sameby",
        "Metadata_gene",
        "--neg-diffby",
        "Metadata_gene",
        "--reference",
        "Metadata_control_role=negative_control",
    ];
    // Controls have no gene, and rows without one are left out.
    score(&activity)
        .expect_status(2)
        .expect_stderr(&["negative_control"]);
    let among_each_other = [
        "--pos-sameby",
        "Metadata_gene",
        "--neg-diffby",
        "Metadata_gene",
    ];
    let groups = [
        "--exclude",
        "Metadata_control_role=negative_control",
        "--groups",
        "groups.csv",
    ];
    let done = score(&[&among_each_other[..], &groups, &["--json"]].concat()).expect_status(0);
    let scores: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let precision = &scores["scores"][0];
    assert_eq!(precision["benchmark"], "mean average precision");
    assert!(
        precision["value"].as_f64().unwrap() > 0.6 && precision["n"] == 2,
        "{precision}"
    );
    let table = fs::read_to_string(folder.join("groups.csv")).unwrap();
    let of_tp53 = table
        .lines()
        .find(|line| line.starts_with("TP53,12,"))
        .unwrap();
    assert!(!of_tp53.contains("NaN"), "{table}");

    score(&[])
        .expect_status(2)
        .expect_stderr(&["give --pos-sameby"]);
    let alike = [
        "--pos-sameby",
        "Metadata_gene",
        "--pos-diffby",
        "Metadata_gene",
    ];
    score(&alike)
        .expect_status(2)
        .expect_stderr(&["no row has another that belongs to it"]);
    let all = [
        "--pos-sameby",
        "Metadata_Plate",
        "--neg-sameby",
        "Metadata_Plate",
        "--neg-diffby",
        "Metadata_Plate",
    ];
    score(&all)
        .expect_status(2)
        .expect_stderr(&["has nothing to be told from"]);
}

#[test]
fn groups_of_genes_are_told_or_missed_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_profiles(folder);
    let anax = [
        "benchmark",
        "anax",
        "profiles.csv",
        "--batch-column",
        "Metadata_Plate",
    ];
    let score = |rest: &[&str]| morphospace(folder, &[&anax[..], rest].concat());
    fs::write(
        folder.join("groups.tsv"),
        "group\tgene\np53\tTP53\nras\tKRAS\nras\tHRAS\n",
    )
    .unwrap();
    let done = score(&["--groups", "groups.tsv", "--json"]).expect_status(0);
    let scores: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let found = &scores["scores"][0];
    // 24 wells of two genes on two plates.
    assert_eq!(found["n"], 24);
    assert_eq!(found["null"], 0.5);
    assert!(found["value"].as_f64().unwrap() > 0.9, "{found}");
    assert_eq!(
        found["settings"]["genes of the groups that are missing"],
        "1"
    );
    fs::write(folder.join("groups.tsv"), "group\tgene\nx\tTP54\n").unwrap();
    score(&["--groups", "groups.tsv"])
        .expect_status(2)
        .expect_stderr(&[
            "is a gene of the groups",
            "it holds KRAS, TP53",
            "the groups TP54",
        ]);
    fs::write(folder.join("groups.tsv"), "group,gene\nx,TP53\n").unwrap();
    score(&["--groups", "groups.tsv"])
        .expect_status(2)
        .expect_stderr(&["has no column 'group'"]);
}

#[test]
fn compounds_find_the_genes_they_act_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Forty genes, each its own direction, and two compounds at two concentrations
    // that lie with theirs at the higher one.
    let num_genes = 40;
    let mut text = "Metadata_gene,Metadata_treatment,Metadata_concentration".to_owned();
    (0..num_genes).for_each(|gene| write!(text, ",f{gene}").unwrap());
    text.push('\n');
    let mut row = |labels: &str, at: usize, height: f64| {
        text.push_str(labels);
        for gene in 0..num_genes {
            let noise = 0.05 * ((gene * 7 + at) as f64).sin();
            let value = noise + if gene == at { height } else { 0.0 };
            write!(text, ",{value}").unwrap();
        }
        text.push('\n');
    };
    let mut interactions = "gene_symbol,nM_value,treatment\n".to_owned();
    for gene in 0..num_genes {
        // Treatments of genes have names, too.
        row(&format!("G{gene},guide{gene},"), gene, 1.0);
        let nm = if gene < 2 { "10" } else { "50000" };
        writeln!(interactions, "G{gene},{nm},C{}", gene % 2).unwrap();
    }
    for compound in 0..2 {
        row(&format!(",C{compound},0.1"), compound, 0.0);
        row(&format!(",C{compound},10"), compound, 1.0);
    }
    interactions.push_str("G1,5,elsewhere\n");
    fs::write(folder.join("profiles.csv"), text).unwrap();
    fs::write(folder.join("interactions.csv"), interactions).unwrap();
    let benchmark = [
        "benchmark",
        "compound-gene",
        "profiles.csv",
        "--interactions",
        "interactions.csv",
        "--draws",
        "20",
        "--json",
    ];
    let done = morphospace(folder, &benchmark).expect_status(0);
    let scores: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let value = |name: &str| {
        let scores = scores["scores"].as_array().unwrap().iter();
        let mut found = scores.filter(|score| score["benchmark"] == name);
        found.next().unwrap_or_else(|| panic!("no {name}"))["value"]
            .as_f64()
            .unwrap()
    };
    assert_eq!(
        value("compound-gene average precision, best concentration"),
        1.0
    );
    assert_eq!(value("compound-gene average precision, 10"), 1.0);
    assert!(value("compound-gene average precision, 0.1") < 1.0);
    assert_eq!(
        value("compound-gene area under ROC, best concentration"),
        1.0
    );
    done.expect_stderr(&["compounds that are not scored: 1 (not in the map)"]);

    fs::write(
        folder.join("interactions.csv"),
        "gene_symbol,nM_value,treatment\nG1,x,C0\n",
    )
    .unwrap();
    morphospace(folder, &benchmark)
        .expect_status(2)
        .expect_stderr(&["line 2: nM_value 'x' is no number"]);
    fs::write(
        folder.join("interactions.csv"),
        "gene_symbol,nM_value,treatment\nG1,1,D\n",
    )
    .unwrap();
    morphospace(folder, &benchmark)
        .expect_status(2)
        .expect_stderr(&["no compound can be scored: 1 (not in the map)"]);
    fs::write(folder.join("interactions.csv"), "gene,treatment\n").unwrap();
    morphospace(folder, &benchmark)
        .expect_status(2)
        .expect_stderr(&["has no column 'gene_symbol'"]);
}
