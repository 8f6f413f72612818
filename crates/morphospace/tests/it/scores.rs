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
        "hits: 1 of 2 at a false discovery rate of 0.05, told from 24 negative controls",
        "perturbations of a single well, which have no replicate to find and are not tested: 1",
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
    // Controls have no gene, and are what others are told from all the same.
    let of_controls = score(&[&activity[..], &["--json"]].concat()).expect_status(0);
    let of_controls: serde_json::Value = serde_json::from_str(&of_controls.stdout).unwrap();
    let active = &of_controls["scores"][0];
    assert_eq!(active["n"], 2, "{active}");
    assert!(active["value"].as_f64().unwrap() > 0.5, "{active}");
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

/// Three plates of sixteen wells: controls in two columns, and six perturbations at
/// the same places. `layout` moves wells by their row, `noise` hides perturbations.
fn write_plates(path: &Path, layout: f64, noise: f64) {
    let mut text = "Metadata_Batch,Metadata_Plate,Metadata_Well,Metadata_treatment,Metadata_gene,\
                    Metadata_control_role,a,b,c,d,e,f\n"
        .to_owned();
    let mut rng = Seed::new(8).rng();
    for plate in 1..=3 {
        for place in 0..32 {
            let (row, column) = (place / 4, place % 4);
            let gene = place % 8;
            let (name, role) = match gene {
                0 | 1 => (String::new(), "negative_control"),
                gene => (format!("G{gene}"), ""),
            };
            let mut values = [0.0; 6];
            for (feature, value) in values.iter_mut().enumerate() {
                let planted = f64::from(u8::from(feature == gene - gene.min(2) && gene > 1));
                *value = 3.0 * planted + noise * (rng.random::<f64>() - 0.5);
            }
            values[5] += layout * row as f64;
            let values = values.map(|value| value.to_string()).join(",");
            let well = format!("{}{:02}", char::from(b'A' + row as u8), column + 1);
            let _ = writeln!(text, "B{plate},1,{well},{name},{name},{role},{values}");
        }
    }
    fs::write(path, text).unwrap();
}

#[test]
fn magnitudes_are_told_from_random_embeddings() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_plates(&folder.join("p.csv"), 0.0, 1.0);
    let args = ["benchmark", "perturbation-magnitude", "p.csv", "--json"];
    let run = morphospace(folder, &[&args[..], &["--perturbations", "m.csv"]].concat());
    let scores: serde_json::Value = serde_json::from_str(&run.expect_status(0).stdout).unwrap();
    let score = &scores["scores"][0];
    assert_eq!(score["n"], 6);
    assert!(score["value"].as_f64() > score["null"].as_f64(), "{score}");
    assert!(
        score["settings"]["z"]
            .as_str()
            .unwrap()
            .parse::<f64>()
            .unwrap()
            > 1.0
    );
    let table = fs::read_to_string(folder.join("m.csv")).unwrap();
    assert!(
        table.starts_with("perturbation,num_wells,energy_distance\nG2,12,"),
        "{table}"
    );
    let few = [&args[..3], &["--min-wells", "13"]].concat();
    morphospace(folder, &few)
        .expect_status(2)
        .expect_stderr(&["--min-wells is 13", "perturbations with enough wells"]);
}

#[test]
fn cosines_within_and_across_batches_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_plates(&folder.join("p.csv"), 0.0, 1.0);
    let args = [
        "benchmark",
        "cosine-similarity",
        "p.csv",
        "--histograms",
        "h.csv",
    ];
    morphospace(folder, &args)
        .expect_status(0)
        .expect_stderr(&["rows without a value in Metadata_treatment"]);
    let bins = fs::read_to_string(folder.join("h.csv")).unwrap();
    assert_eq!(bins.lines().count(), 1 + 4 * 100);
    let count = |name: &str| -> u64 {
        let lines = bins
            .lines()
            .filter(|line| line.starts_with(&format!("\"{name}\"")));
        lines
            .map(|line| line.rsplit(',').next().unwrap().parse::<u64>().unwrap())
            .sum()
    };
    // 6 perturbations of 4 wells in each of 3 batches.
    assert_eq!(count("same perturbation, within batches"), 3 * 6 * 6);
    assert_eq!(
        count("different perturbations, across batches"),
        3 * 24 * 20
    );
    let one = [
        "benchmark",
        "cosine-similarity",
        "p.csv",
        "--batch-column",
        "Metadata_Plate",
    ];
    morphospace(folder, &one).expect_status(2).expect_stderr(&[
        "column 'Metadata_Plate' holds a single value",
        "--batch-column",
    ]);
}

#[test]
fn labels_are_told_in_batches_never_seen() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_plates(&folder.join("p.csv"), 0.0, 1.0);
    let args = [
        "benchmark",
        "label-prediction",
        "p.csv",
        "--neighbours",
        "5",
        "--json",
    ];
    let run = morphospace(folder, &args).expect_status(0);
    let scores: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    for score in scores["scores"].as_array().unwrap() {
        assert_eq!(score["value"], 1.0, "{score}");
        assert_eq!(score["n"], 72);
    }
    let one = [&args[..3], &["--group-column", "Metadata_Plate"]].concat();
    morphospace(folder, &one).expect_status(2);
}

#[test]
fn what_is_left_of_the_layout_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_plates(&folder.join("flat.csv"), 0.0, 1.0);
    write_plates(&folder.join("tilted.csv"), 1.0, 1.0);
    let args = [
        "benchmark",
        "position-audit",
        "flat.csv",
        "--before",
        "tilted.csv",
        "--json",
        "--all-rows",
    ];
    let run = morphospace(folder, &args).expect_status(0);
    let scores: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let told = |name: &str, alignment: &str| -> f64 {
        let scores = scores["scores"].as_array().unwrap();
        let score = scores
            .iter()
            .find(|score| score["benchmark"] == name && score["alignment"] == alignment);
        score.unwrap()["value"].as_f64().unwrap()
    };
    let row = "row told (linear)";
    assert!(told(row, "none") > 0.5, "{}", told(row, "none"));
    assert!(told(row, "unstated") < 0.35, "{}", told(row, "unstated"));
    let column = [&args[..3], &["--well-column", "Metadata_control_role"]].concat();
    morphospace(folder, &column)
        .expect_status(2)
        .expect_stderr(&["negative_control"]);
}

#[test]
fn embeddings_of_the_same_wells_are_compared_in_pairs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_plates(&folder.join("clear.csv"), 0.0, 1.0);
    write_plates(&folder.join("noisy.csv"), 0.0, 12.0);
    let args = [
        "compare",
        "clear=clear.csv",
        "noisy=noisy.csv",
        "--output",
        "d.csv",
    ];
    let run = morphospace(folder, &args).expect_status(0);
    let line = run.stdout.lines().find(|line| line.starts_with("activity"));
    assert!(line.unwrap().contains(" -0."), "{}", run.stdout);
    assert_eq!(
        fs::read_to_string(folder.join("d.csv"))
            .unwrap()
            .lines()
            .count(),
        4
    );
    // The rows of a table are told apart, and there are some.
    let twice = [
        "compare",
        "a=clear.csv",
        "b=noisy.csv",
        "--row-columns",
        "Metadata_Well",
    ];
    morphospace(folder, &twice)
        .expect_status(2)
        .expect_stderr(&["have two rows that agree in Metadata_Well", "--row-columns"]);
    fs::write(
        folder.join("other.csv"),
        "Metadata_Batch,Metadata_Well,a\nZ,A01,1\n",
    )
    .unwrap();
    let columns = "Metadata_Batch,Metadata_Well";
    let apart = [
        "compare",
        "a=clear.csv",
        "b=other.csv",
        "--row-columns",
        columns,
    ];
    morphospace(folder, &apart)
        .expect_status(2)
        .expect_stderr(&["share no row", "of 'b' Z A01"]);
    morphospace(folder, &["compare", "a=clear.csv", "noisy.csv"])
        .expect_status(2)
        .expect_stderr(&["NAME=FILE"]);
}

#[test]
fn recall_has_thresholds_nulls_gene_sets_and_a_rate_of_false_positives() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut table = "Metadata_gene,a,b,c\n".to_owned();
    let mut rng = Seed::new(5).rng();
    for gene in 0..24 {
        let mut value = |axis| f64::from(u8::from(gene / 8 == axis)) + 0.3 * rng.random::<f64>();
        let _ = writeln!(table, "G{gene:02},{},{},{}", value(0), value(1), value(2));
    }
    fs::write(folder.join("map.csv"), table).unwrap();
    let set = |name: &str, genes: std::ops::Range<u32>| {
        let genes: Vec<String> = genes.map(|gene| format!("G{gene:02}")).collect();
        format!("{name}\tmade up\t{}\n", genes.join("\t"))
    };
    fs::write(
        folder.join("sets.gmt"),
        set("one", 0..8) + &set("two", 8..16) + &set("three", 16..24),
    )
    .unwrap();
    let args = [
        "benchmark",
        "relationship-recall",
        "map.csv",
        "--relationships",
        "sets.gmt",
    ];
    let run = |more: &[&str]| morphospace(folder, &[&args[..], more].concat());
    let sweep = run(&["--sweep"]).expect_status(0).stdout;
    assert_eq!(sweep.lines().count(), 12, "{sweep}");
    assert!(sweep.contains("relationship recall 7/93, sets"), "{sweep}");
    let rate = run(&["--threshold", "0.2,0.8", "--false-positive-rate", "0.05"]);
    let rate = rate.expect_status(0).stdout;
    assert!(
        rate.contains("recall at 5 % false positives, sets"),
        "{rate}"
    );
    run(&["--null", "samples"]).expect_status(0);
    fs::write(folder.join("few.txt"), "G01\nG02\n").unwrap();
    run(&["--entities", "few.txt"])
        .expect_status(2)
        .expect_stderr(&["2 entities"]);
    run(&["--threshold", "0.9,0.1"])
        .expect_status(2)
        .expect_stderr(&["0.9 is not below 0.1"]);
    fs::write(folder.join("other.txt"), "entity1,entity2\nTP53,KRAS\n").unwrap();
    morphospace(
        folder,
        &[&args[..3], &["--relationships", "other.txt"]].concat(),
    )
    .expect_status(2)
    .expect_stderr(&[
        "none of the 24 values of column 'Metadata_gene'",
        "the column holds G00, G01",
        "the files KRAS, TP53",
    ]);
}
