//! Golden cases: every folder of `MORPHOSPACE_GOLDEN` (or of the committed
//! fixtures) whose `crate` is `benchmark`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use morphospace_benchmark::{
    ClassWeight, EntityMap, LinearProbe, LogisticRegression, RecallNull, RecallOptions,
    Relationships, ReplicateNull, WellTable, balanced_accuracy, cluster_benchmark, compute_recall,
    cramer_von_mises, kolmogorov_smirnov, kolmogorov_smirnov_asymptotic_p, read_clusters,
    read_relationships, relationship_recall, replicate_consistency, wasserstein_distance,
};
use serde_json::Value;

use crate::golden_perturbations;
use crate::table::Table;

/// Prints past the test harness, which shows the output of failures only.
macro_rules! announce {
    ($($part:tt)*) => {
        writeln!(std::io::stderr(), $($part)*).expect("standard error is open")
    };
}

pub struct Case {
    pub folder: PathBuf,
    pub case: Value,
    pub expected: Value,
}

#[test]
fn golden_cases_agree() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folders: Vec<PathBuf> = match std::env::var_os("MORPHOSPACE_GOLDEN") {
        Some(folders) => std::env::split_paths(&folders).collect(),
        None => vec![committed],
    };
    let (mut num_ours, mut num_compared, mut failures) = (0, 0, Vec::new());
    let mut case_folders: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| {
            std::fs::read_dir(folder)
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
                .map(|entry| entry.unwrap().path())
        })
        .filter(|path| path.join("case.json").is_file())
        .collect();
    case_folders.sort();
    for folder in case_folders {
        let case = read_json(&folder.join("case.json"));
        if case["crate"] != "benchmark" {
            continue;
        }
        num_ours += 1;
        let kind = case["kind"].as_str().expect("kind is text").to_owned();
        let expected_path = folder.join("expected.json");
        let expected = if expected_path.is_file() {
            read_json(&expected_path)
        } else {
            Value::Null
        };
        let name = folder.display().to_string();
        let case = Case {
            folder,
            case,
            expected,
        };
        let outcome = std::panic::catch_unwind(|| match kind.as_str() {
            "recall" => recall(&case),
            "recall_unit" => recall_unit(&case),
            "replicate_consistency" => replicates(&case),
            "two_sample" => two_sample(&case),
            "probe" => probe(&case),
            "shapley" => golden_perturbations::shapley(&case),
            "energy_distance" => golden_perturbations::energy_distance(&case),
            "perturbation_consistency" => golden_perturbations::perturbation_consistency(&case),
            "mean_average_precision" => golden_perturbations::mean_average_precision(&case),
            "compound_gene" => golden_perturbations::compound_gene(&case),
            "batch_metrics" => golden_perturbations::batch_metrics(&case),
            unknown => panic!("kind '{unknown}' is not known to this crate"),
        });
        match outcome {
            Ok(compared) => num_compared += usize::from(compared),
            Err(_) => failures.push(name),
        }
    }
    announce!("golden: {num_compared} of {num_ours} cases compared");
    assert!(num_ours > 0, "no case of crate 'benchmark' in {folders:?}");
    assert!(
        failures.is_empty(),
        "cases that do not agree: {failures:#?}"
    );
}

impl Case {
    /// The number in the tolerance whose name contains `name`; `exact` is 0.
    /// A divisor such as `/n_query` is left to the caller.
    pub fn tolerance(&self, name: &str, otherwise: f64) -> f64 {
        let tolerances = self.case["tolerance"].as_object().expect("tolerances");
        let found = tolerances.iter().find(|(key, _)| key.contains(name));
        match found.map(|(_, text)| text.as_str().expect("a tolerance is text")) {
            Some(text) if text.starts_with("exact") => 0.0,
            Some(text) => first_number(text).unwrap_or(otherwise),
            None => otherwise,
        }
    }

    /// A tolerance that may be a number of pairs: `abs 2/n_query`.
    fn share_tolerance(&self, name: &str, num_pairs: usize) -> f64 {
        let tolerances = self.case["tolerance"].as_object().expect("tolerances");
        let is_share = tolerances.iter().any(|(key, text)| {
            key.contains(name) && text.as_str().is_some_and(|t| t.contains("/n_"))
        });
        let number = self.tolerance(name, 1e-12);
        // Half a pair of slack decides no further pair, only rounding.
        if is_share {
            (number + 0.001) / num_pairs as f64
        } else {
            number
        }
    }

    fn map(&self) -> EntityMap {
        let table = Table::read(&self.folder.join("map.parquet"));
        let (values, num_features) = table.features();
        let label_column = table.text.keys().next().expect("a label column").clone();
        EntityMap::new(table.labels(&label_column), values, num_features).expect("finite")
    }
}

/// `abs 1e-9` is 1e-9, `+-2` is 2.
fn first_number(text: &str) -> Option<f64> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let rest = &text[start..];
    (1..=rest.len())
        .rev()
        .filter(|&end| rest.is_char_boundary(end))
        .find_map(|end| rest[..end].parse().ok())
}

fn read_json(path: &Path) -> Value {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

pub fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("NaN") => f64::NAN,
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        _ => value
            .as_f64()
            .unwrap_or_else(|| panic!("{value} is no number")),
    }
}

pub fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(number)
        .collect()
}

fn count(value: &Value) -> usize {
    value.as_u64().expect("a count") as usize
}

#[track_caller]
pub fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    let equal = found == expected || (found.is_nan() && expected.is_nan());
    assert!(
        equal || (found - expected).abs() <= tolerance,
        "{what}: {found} against {expected}, tolerance {tolerance:e}"
    );
}

#[track_caller]
pub fn close_relative(what: &str, found: f64, expected: f64, relative: f64, absolute: f64) {
    close(
        what,
        found,
        expected,
        absolute.max(relative * expected.abs()),
    );
}

/// The thresholds in a key such as `recall_0.05_0.95`: these are the exact
/// numbers the reference used.
fn thresholds_of_key(key: &str, prefix: &str) -> Option<(f64, f64)> {
    let (low, high) = key.strip_prefix(prefix)?.split_once('_')?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

/// Where an annotation file is: in the case, else under the real data.
fn annotation(folder: &Path, file: &str) -> Option<PathBuf> {
    let in_case = folder.join(file);
    if in_case.is_file() {
        return Some(in_case);
    }
    let data = std::env::var_os("MORPHOSPACE_DATA")?;
    let path = Path::new(&data)
        .join("annotations/relationships")
        .join(file);
    assert!(
        path.is_file(),
        "MORPHOSPACE_DATA is set but {} is missing",
        path.display()
    );
    Some(path)
}

fn recall(case: &Case) -> bool {
    let expected_sources = case.expected["sources"].as_array().expect("sources");
    let mut sources: Vec<Relationships> = Vec::new();
    for expected in expected_sources {
        let name = expected["source"].as_str().expect("a source's name");
        let Some(path) = annotation(&case.folder, &format!("{name}.txt")) else {
            announce!(
                "SKIPPED: {} needs the annotation file {name}.txt; set MORPHOSPACE_DATA",
                case.folder.display()
            );
            return false;
        };
        sources.push(read_relationships(&path).expect("an annotation file"));
    }
    let map = case.map();
    let mut thresholds: Vec<(f64, f64)> = expected_sources
        .iter()
        .flat_map(|expected| expected.as_object().unwrap().keys())
        .filter_map(|key| thresholds_of_key(key, "recall_"))
        .collect();
    thresholds.sort_by(|a, b| a.partial_cmp(b).unwrap());
    thresholds.dedup();
    let samples = case.folder.join("samples.parquet");
    let null = if samples.is_file() {
        let samples = Table::read(&samples);
        RecallNull::Samples {
            left: samples.indices("left"),
            right: samples.indices("right"),
        }
    } else {
        RecallNull::AllPairs
    };
    // The reference builds an error for small maps but never raises it.
    let options = RecallOptions {
        thresholds: thresholds.clone(),
        null,
        min_num_entities: 0,
        false_positive_rate: Some(0.05),
    };
    let report = relationship_recall(&map, &sources, &options).expect("scored");

    for ((expected, found), source) in expected_sources.iter().zip(&report.sources).zip(&sources) {
        let num_query = found.num_query();
        for (key, value) in expected.as_object().unwrap() {
            let what = format!("{} {key}", found.source);
            let at = |prefix: &str| {
                let thresholds = thresholds_of_key(key, prefix)?;
                found
                    .thresholds
                    .iter()
                    .find(|t| (t.low, t.high) == thresholds)
            };
            let exact = |found: usize| close(&what, found as f64, number(value), 0.0);
            let detection = || found.true_positive_rate.expect("both sides have pairs");
            if let Some(at) = at("recall_") {
                let tolerance = case.share_tolerance("recall", num_query);
                close(
                    &what,
                    at.recall.expect("has pairs"),
                    number(value),
                    tolerance,
                );
            } else if let Some(at) = at("hits_left_") {
                close(
                    &what,
                    at.hits_left as f64,
                    number(value),
                    case.tolerance("hits", 0.0),
                );
            } else if let Some(at) = at("hits_right_") {
                close(
                    &what,
                    at.hits_right as f64,
                    number(value),
                    case.tolerance("hits", 0.0),
                );
            } else {
                match key.as_str() {
                    "source" => {}
                    "n_raw_rows" => exact(source.num_raw_rows()),
                    "n_after_filter" => exact(source.pairs().len()),
                    "n_query" | "query_distribution_size" => exact(num_query),
                    "null_size" | "null_distribution_size" => exact(report.null.size as usize),
                    "mean_query_cosine" => {
                        close(
                            &what,
                            found.mean_query_cosine.expect("has pairs"),
                            number(value),
                            1e-9,
                        );
                    }
                    "tpr_at_5pct_fpr" | "tpr_above_95th_percentile_of_negatives" => {
                        let detection = detection();
                        let rate = if key == "tpr_at_5pct_fpr" {
                            detection.on_roc_curve
                        } else {
                            detection.above_quantile
                        };
                        close(
                            &what,
                            rate,
                            number(value),
                            case.share_tolerance("tpr", num_query),
                        );
                    }
                    "n_pos" => exact(detection().num_positives),
                    "n_neg" => exact(detection().num_negatives as usize),
                    other => panic!("output '{other}' is not compared"),
                }
            }
        }
    }
    if let Some(expected) = case.expected["null"].as_object() {
        let tolerance = case.tolerance("quantile", 1e-9);
        let quantile = |share: f64| {
            let found = report
                .null
                .quantiles
                .iter()
                .find(|(quantile, _)| *quantile == share);
            found.expect("0.05 and 0.95 are thresholds").1
        };
        for (key, value) in expected {
            let found = match key.as_str() {
                "min" => report.null.min,
                "max" => report.null.max,
                "mean" => report.null.mean,
                "q05" => quantile(0.05),
                "q95" => quantile(0.95),
                other => panic!("output 'null.{other}' is not compared"),
            };
            close(&format!("null {key}"), found, number(value), tolerance);
        }
    }
    let clusters = case.folder.join("corum_clusters.parquet");
    if clusters.is_file() {
        compare_clusters(case, &map, &Table::read(&clusters));
    }
    true
}

fn compare_clusters(case: &Case, map: &EntityMap, expected: &Table) {
    let path = annotation(&case.folder, "CORUM_clusters.tsv").expect("found beside CORUM.txt");
    let clusters = read_clusters(&path).expect("a cluster file");
    // "cluster_benchmark on CORUM_clusters.tsv, min_genes 10: ..."
    let description = case.case["outputs"]["corum_clusters.parquet"]
        .as_str()
        .unwrap_or_default();
    let min_genes = description
        .split_once("min_genes ")
        .and_then(|(_, rest)| first_number(rest))
        .map_or(10, |number| number as usize);
    let found = cluster_benchmark(map, &clusters, min_genes).expect("scored");
    assert_eq!(found.len(), expected.num_rows, "number of clusters");
    for (row, found) in found.iter().enumerate() {
        let at = |column: &str| expected.numbers[column][row];
        let name = &found.cluster;
        assert_eq!(*name, expected.text["cluster"][row]);
        close(name, found.within_mean, at("within_cossim_mean"), 1e-9);
        close(name, found.between_mean, at("between_cossim_mean"), 1e-9);
        close(name, found.cluster_size as f64, at("cluster_size"), 0.0);
        close(
            name,
            found.not_cluster_size as f64,
            at("not_cluster_size"),
            0.0,
        );
        close(name, found.ks_statistic, at("ks_stat"), 1e-9);
        close_relative(name, found.ks_p_value, at("ks_pval"), 1e-6, 1e-300);
    }
}

fn recall_unit(case: &Case) -> bool {
    for test in case.expected["compute_recall"].as_array().expect("a list") {
        let thresholds: Vec<(f64, f64)> = test["thresholds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (number(&pair[0]), number(&pair[1])))
            .collect();
        let (null, query) = (numbers(&test["null"]), numbers(&test["query"]));
        let found = compute_recall(&null, &query, &thresholds).expect("valid");
        for (key, value) in test["expected"].as_object().unwrap() {
            let found = match key.as_str() {
                "null_distribution_size" => null.len() as f64,
                "query_distribution_size" => query.len() as f64,
                key => {
                    let thresholds = thresholds_of_key(key, "recall_").expect("a recall");
                    let at = found.iter().find(|t| (t.low, t.high) == thresholds);
                    at.expect("asked for").recall.expect("has a query")
                }
            };
            close(
                &format!("{}: {key}", test["why"]),
                found,
                number(value),
                1e-12,
            );
        }
    }
    let pairs = |value: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (text(&pair[0]), text(&pair[1])))
            .collect()
    };
    let filter = &case.expected["filter_relationships"];
    let found = Relationships::new("golden", pairs(&filter["input"]));
    assert_eq!(found.pairs(), pairs(&filter["expected"]));

    for (source, expected) in case.expected["annotation_counts"]
        .as_object()
        .expect("counts")
    {
        let Some(path) = annotation(&case.folder, &format!("{source}.txt")) else {
            announce!("SKIPPED: counts of {source}.txt; set MORPHOSPACE_DATA");
            continue;
        };
        let found = read_relationships(&path).expect("an annotation file");
        let genes: BTreeSet<&String> = found.pairs().iter().flat_map(|(a, b)| [a, b]).collect();
        assert_eq!(
            found.num_raw_rows(),
            count(&expected["rows"]),
            "{source} rows"
        );
        assert_eq!(
            found.pairs().len(),
            count(&expected["undirected_pairs"]),
            "{source} pairs"
        );
        assert_eq!(genes.len(), count(&expected["genes"]), "{source} genes");
    }
    true
}

fn replicates(case: &Case) -> bool {
    let wells = Table::read(&case.folder.join("wells.parquet"));
    let null = Table::read(&case.folder.join("null_pairs.parquet"));
    let matched = Table::read(&case.folder.join("matched_cosines.parquet"));
    let (values, num_features) = wells.features();
    let profiles =
        EntityMap::new(wells.labels("perturbation"), values, num_features).expect("finite");
    let table = WellTable::new(
        wells.labels("experiment"),
        wells.labels("address"),
        profiles,
    )
    .unwrap();
    let pairs: Vec<(String, String)> = case.case["config"]["pairs"]
        .as_array()
        .expect("pairs of experiments")
        .iter()
        .map(|pair| {
            (
                pair[0].as_str().unwrap().to_owned(),
                pair[1].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let of_pair = |table: &Table, (first, second): &(String, String)| -> Vec<usize> {
        (0..table.num_rows)
            .filter(|&row| {
                table.text["exp_a"][row] == *first && table.text["exp_b"][row] == *second
            })
            .collect()
    };
    // Null pairs name the `row` column of the wells.
    let row_of: std::collections::HashMap<usize, usize> = wells
        .indices("row")
        .into_iter()
        .enumerate()
        .map(|(at, row)| (row, at))
        .collect();
    let (row_a, row_b) = (null.indices("row_a"), null.indices("row_b"));
    let lists = pairs
        .iter()
        .map(|pair| {
            of_pair(&null, pair)
                .into_iter()
                .map(|at| (row_of[&row_a[at]], row_of[&row_b[at]]))
                .collect()
        })
        .collect();
    let found =
        replicate_consistency(&table, &pairs, &ReplicateNull::Explicit(lists)).expect("scored");

    let cosine_tolerance = case.tolerance("cosines", 1e-12);
    let relative = case.tolerance("statistics", 1e-10);
    for ((pair, found), expected) in pairs
        .iter()
        .zip(&found.pairs)
        .zip(case.expected["per_pair"].as_array().expect("per pair"))
    {
        assert_eq!(
            (expected["pair"][0].as_str(), expected["pair"][1].as_str()),
            (Some(pair.0.as_str()), Some(pair.1.as_str()))
        );
        let rows = of_pair(&matched, pair);
        assert_eq!(rows.len(), found.matched.len(), "{pair:?}: matched wells");
        for (&row, well) in rows.iter().zip(&found.matched) {
            assert_eq!(well.address, matched.text["address"][row]);
            close(
                &well.address,
                well.cosine,
                matched.numbers["cosine"][row],
                cosine_tolerance,
            );
        }
        for (key, value) in expected.as_object().unwrap() {
            let what = format!("{pair:?} {key}");
            match key.as_str() {
                "pair" => {}
                "n" => assert_eq!(found.matched.len(), count(value), "{what}"),
                "ks" => close_relative(
                    &what,
                    found.kolmogorov_smirnov,
                    number(value),
                    relative,
                    1e-15,
                ),
                "cvm" => close_relative(
                    &what,
                    found.cramer_von_mises,
                    number(value),
                    relative,
                    1e-15,
                ),
                "wasserstein" => {
                    close_relative(&what, found.wasserstein, number(value), relative, 1e-15);
                }
                "mean_query" => close(&what, found.mean_query(), number(value), cosine_tolerance),
                "mean_null" => close(&what, found.mean_null(), number(value), cosine_tolerance),
                other => panic!("output '{other}' is not compared"),
            }
        }
    }
    for (key, found) in [
        ("median_ks", found.median_kolmogorov_smirnov),
        ("median_cvm", found.median_cramer_von_mises),
    ] {
        close_relative(key, found, number(&case.expected[key]), relative, 1e-15);
    }
    true
}

fn two_sample(case: &Case) -> bool {
    for test in case.expected["cases"].as_array().expect("cases") {
        let (a, b) = (numbers(&test["a"]), numbers(&test["b"]));
        let ks = kolmogorov_smirnov(&a, &b).expect("samples");
        for (key, value) in test.as_object().unwrap() {
            let what = format!("{}: {key}", test["name"]);
            let statistic = |found: f64| close_relative(&what, found, number(value), 1e-10, 1e-12);
            let p_value = |found: f64| close_relative(&what, found, number(value), 1e-6, 1e-14);
            match key.as_str() {
                "name" | "a" | "b" => {}
                "ks" => statistic(ks.statistic),
                "ks_p_auto" => p_value(ks.p_value),
                "ks_p_asymptotic" => {
                    p_value(kolmogorov_smirnov_asymptotic_p(
                        a.len(),
                        b.len(),
                        ks.statistic,
                    ));
                }
                "cvm" => statistic(cramer_von_mises(&a, &b).expect("samples").statistic),
                "cvm_p_asymptotic" => p_value(cramer_von_mises(&a, &b).expect("samples").p_value),
                "wasserstein" => statistic(wasserstein_distance(&a, &b).expect("samples")),
                "cvm_p_exact" => announce!("not built (optional): {what}"),
                other => panic!("output '{other}' is not compared"),
            }
        }
    }
    true
}

fn probe(case: &Case) -> bool {
    let config = &case.case["config"];
    let settings = LogisticRegression {
        inverse_penalty: number(&config["C"]),
        class_weight: match config["class_weight"].as_str() {
            Some("balanced") => ClassWeight::Balanced,
            None => ClassWeight::Equal,
            Some(other) => panic!("class weight '{other}'"),
        },
        fit_intercept: config["fit_intercept"].as_bool().unwrap_or(true),
        gradient_tolerance: 1e-6,
        max_iterations: 20_000,
    };
    let table = |file: &str| Table::read(&case.folder.join(file));
    let (train, test) = (table("train.parquet"), table("test.parquet"));
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let classes: Vec<String> = case.expected["classes"]
        .as_array()
        .expect("classes")
        .iter()
        .map(text)
        .collect();
    let class_of = |labels: Vec<String>| -> Vec<usize> {
        let class = |label| {
            classes
                .iter()
                .position(|class| *class == label)
                .expect("a class")
        };
        labels.into_iter().map(class).collect()
    };
    let (train_labels, test_labels) = (
        class_of(train.labels("label")),
        class_of(test.labels("label")),
    );
    assert_eq!(train_labels.len(), count(&case.expected["n_train"]));
    assert_eq!(test_labels.len(), count(&case.expected["n_test"]));
    let (values, num_features) = train.features();
    let probe = LinearProbe::fit(
        &settings,
        &values,
        num_features,
        &train_labels,
        classes.len(),
    )
    .unwrap();
    let fitted = &probe.classifier;
    assert!(
        fitted.converged,
        "stopped with a gradient of {:e}",
        fitted.max_abs_gradient
    );

    let (scaler, _) = table("scaler.parquet").features();
    let relative = case.tolerance("scaler", 1e-12);
    let found = probe.scaler.mean.iter().chain(&probe.scaler.scale);
    for (index, (found, expected)) in found.zip(&scaler).enumerate() {
        // A mean near zero is known to the rounding of what was added up.
        let unit = probe.scaler.scale[index % num_features];
        close_relative(
            &format!("scaler {index}"),
            *found,
            *expected,
            relative,
            1e-14 * unit,
        );
    }
    let optimum = number(&case.expected["optimum"]["objective"]);
    let above = (fitted.objective - optimum) / optimum;
    assert!(
        (-1e-10..=1e-8).contains(&above),
        "objective {} is {above:e} above the optimum {optimum}",
        fitted.objective
    );
    let coefficients = table("coef_optimum.parquet");
    let tolerance = case.tolerance("coef_vs_optimum", 1e-4);
    for (index, (found, expected)) in fitted
        .coefficients
        .iter()
        .zip(coefficients.features().0)
        .enumerate()
    {
        close(&format!("weight {index}"), *found, expected, tolerance);
    }
    for (class, (found, expected)) in fitted
        .intercepts
        .iter()
        .zip(&coefficients.numbers["intercept"])
        .enumerate()
    {
        close(&format!("intercept {class}"), *found, *expected, tolerance);
    }
    let predictions = table("predictions.parquet");
    let predicted = probe.predict(&test.features().0);
    let expected = class_of(predictions.labels("pred_optimum"));
    let mut all_agree = true;
    for (row, (&found, &expected)) in predicted.iter().zip(&expected).enumerate() {
        all_agree &= found == expected;
        let margin = predictions.numbers["margin_optimum"][row];
        assert!(
            found == expected || margin < 1e-3,
            "row {row}: {found} against {expected}, margin {margin}"
        );
    }
    if all_agree {
        let accuracy = balanced_accuracy(&test_labels, &predicted);
        close(
            "balanced accuracy",
            accuracy,
            number(&case.expected["optimum"]["balanced_accuracy"]),
            1e-9,
        );
    }
    true
}

#[test]
fn tolerances_are_read_from_their_words() {
    assert_eq!(first_number("abs 1e-9"), Some(1e-9));
    assert_eq!(first_number("+-2"), Some(2.0));
    assert_eq!(first_number("rel 1e-8 above at most"), Some(1e-8));
    assert_eq!(first_number("abs 2/n_query"), Some(2.0));
    assert_eq!(
        thresholds_of_key("recall_0.07_0.9299999999999999", "recall_"),
        Some((0.07, 1.0 - 0.07))
    );
}
