//! Golden cases of scores of single perturbations, compounds, channels and
//! batches.

use std::collections::{BTreeMap, BTreeSet};

use morphospace_benchmark::{
    CompoundGeneMap, CompoundItems, ConsistencyForm, Distances, EnergyForm, EnergyReference,
    EntityMap, GroupPrecision, LabelColumn, Metric, PairRules, PhenoprintSettings, PrecisionNull,
    Ties, UndefinedNull, area_under_roc, average_precision, balanced_accuracy, macro_precisions,
    mean_average_precisions, phenoprints, row_precisions, shapley_values, share_above, z_score,
};
use morphospace_map::cauchy_combination;
use morphospace_profiles::{Column, Features, Profiles};
use serde_json::Value;

use crate::golden::{Case, close, close_relative, number, numbers};
use crate::table::Table;

impl Case {
    fn table(&self, name: &str) -> Table {
        Table::read(&self.folder.join(name))
    }
}

/// Rows of each label, labels in order.
fn rows_of(labels: &[String]) -> BTreeMap<&String, Vec<usize>> {
    let mut rows: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
    for (row, label) in labels.iter().enumerate() {
        rows.entry(label).or_default().push(row);
    }
    rows
}

fn entity_map(table: &Table, labels: Vec<String>) -> EntityMap {
    let (values, num_features) = table.features();
    EntityMap::new(labels, values, num_features).unwrap()
}

pub fn shapley(case: &Case) -> bool {
    let tolerance = case.tolerance("phi", 1e-12);
    let sum_tolerance = case.tolerance("efficiency", 1e-12);
    for case in case.expected["cases"].as_array().expect("cases") {
        let name = &case["name"];
        let found = shapley_values(&numbers(&case["values"])).unwrap();
        let expected = numbers(&case["phi"]);
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(expected) {
            close(&format!("{name}: phi"), *found, expected, tolerance);
        }
        let sum = found.iter().sum();
        close(
            &format!("{name}: sum"),
            sum,
            number(&case["sum"]),
            sum_tolerance,
        );
        let gain = number(&case["full_minus_empty"]);
        close(&format!("{name}: efficiency"), sum, gain, sum_tolerance);
    }
    true
}

pub fn energy_distance(case: &Case) -> bool {
    let wells = case.table("wells.parquet");
    let (values, num_features) = wells.features();
    let labels = wells.labels("pert");
    let gather = |rows: &[usize]| -> Vec<f64> {
        let rows = rows.iter();
        rows.flat_map(|row| &values[row * num_features..][..num_features])
            .copied()
            .collect()
    };
    let rows = rows_of(&labels);
    let min_group = number(&case.case["config"]["min_group"]) as usize;
    let controls = gather(&rows[&"EMPTY".to_owned()]);
    let distances = |form: EnergyForm| -> BTreeMap<&String, f64> {
        let reference = EnergyReference::new(&controls, num_features, form).unwrap();
        rows.iter()
            .map(|(label, rows)| match rows.len() < min_group {
                true => (*label, f64::NAN),
                false => (*label, reference.distance(&gather(rows))),
            })
            .collect()
    };
    let (found, plain) = (
        distances(EnergyForm::Geomloss),
        distances(EnergyForm::Exact),
    );
    let null: Vec<f64> = found
        .iter()
        .filter(|(label, _)| label.starts_with("null"))
        .map(|(_, distance)| *distance)
        .collect();
    let mut sorted = null.clone();
    sorted.sort_by(f64::total_cmp);
    for (found, expected) in sorted.iter().zip(numbers(&case.expected["sorted_null"])) {
        close_relative("null", *found, expected, 1e-9, 1e-9);
    }
    let num_undefined = null.iter().filter(|x| x.is_nan()).count();
    assert_eq!(num_undefined as f64, number(&case.expected["null_nan"]));

    let table = case.table("edist.parquet");
    let words = case.case["tolerance"]["edist"]
        .as_str()
        .expect("words")
        .to_owned();
    for (row, label) in table.labels("pert").iter().enumerate() {
        let at = |column: &str| table.numbers[column][row];
        assert_eq!(rows[label].len() as f64, at("n"), "{label}");
        // Where the expansion cancels, the tolerance names the group.
        let is_far = words.contains(&format!("group {label} "));
        let absolute = if is_far { 1e-4 } else { 1e-9 };
        close_relative(label, found[label], at("edist"), 1e-9, absolute);
        close_relative(label, plain[label], at("edist_plain"), 1e-9, 1e-9);
        let p = share_above(&null, found[label], UndefinedNull::Above);
        close(&format!("{label}: p"), p, at("p"), 1e-12);
        if let Some(expected) = case.expected["finite_only_p"].get(label) {
            let p = share_above(&null, found[label], UndefinedNull::LeftOut);
            close(&format!("{label}: finite p"), p, number(expected), 1e-12);
        }
    }
    let unit: Vec<f64> = [1.0, 2.0, 3.0, 4.0, 5.0].repeat(5);
    let shifted: Vec<f64> = unit.iter().map(|x| x + 5.0).collect();
    let reference = EnergyReference::new(&unit, 5, EnergyForm::Geomloss).unwrap();
    let expected = number(&case.expected["repeated_rows_1to5_vs_plus5"]);
    close_relative("unit", reference.distance(&shifted), expected, 1e-9, 1e-9);
    let identical = number(&case.expected["identical"]);
    close("identical", reference.distance(&unit), identical, 1e-9);
    true
}

pub fn perturbation_consistency(case: &Case) -> bool {
    let table = case.table("wells.parquet");
    let perturbations = table.labels("pert");
    let wells = entity_map(&table, perturbations.clone());
    let (experiments, kinds) = (table.labels("experiment"), table.labels("kind"));
    let num_draws = number(&case.case["config"]["K"]);
    let tolerance = case.tolerance("cosine", 1e-10);
    // A tie with the null may fall on either side.
    let p_close = |what: &str, found: f64, expected: f64, null: &[f64], statistic: f64| {
        let is_tied = null.iter().any(|x| (x - statistic).abs() < 1e-10);
        let tolerance = if is_tied { 1.0 / num_draws } else { 1e-12 };
        close(what, found, expected, tolerance);
    };

    // All wells of a perturbation, wherever they are.
    let form = ConsistencyForm::DifferentPairs;
    let rows = rows_of(&perturbations);
    let is_unexpressed = |rows: &Vec<usize>| kinds[rows[0]] == "unexpressed";
    let null: Vec<f64> = rows
        .values()
        .filter(|rows| is_unexpressed(rows))
        .map(|rows| form.of(&wells, rows))
        .collect();
    let mut sorted = null.clone();
    sorted.sort_by(f64::total_cmp);
    let expected = numbers(&case.expected["efaar10_sorted_null"]);
    assert_eq!(sorted.len(), expected.len());
    for (found, expected) in sorted.iter().zip(expected) {
        close("null of efaar10", *found, expected, tolerance);
    }
    let efaar = case.table("efaar10.parquet");
    for (row, label) in efaar.labels("pert").iter().enumerate() {
        let at = |column: &str| efaar.numbers[column][row];
        let statistic = form.of(&wells, &rows[label]);
        close(label, statistic, at("avgcossim"), tolerance);
        assert_eq!(rows[label].len() as f64, at("n_wells"));
        let p = form.p_value(&null, statistic);
        p_close(&format!("{label}: p"), p, at("pval"), &null, statistic);
    }

    // The same over a screen.
    let unexpressed = rows.iter().filter(|(_, rows)| is_unexpressed(rows));
    let settings = PhenoprintSettings {
        form,
        null_conditions: unexpressed.map(|(name, _)| name.to_string()).collect(),
        ..PhenoprintSettings::default()
    };
    let screen = as_screen(&perturbations, &experiments, &wells);
    let found = phenoprints(&screen, &settings).unwrap();
    for (row, label) in efaar.labels("pert").iter().enumerate() {
        let of_label = found.conditions.iter().find(|c| c.condition == *label);
        let of_label = of_label.unwrap_or_else(|| panic!("{label} is not there"));
        let at = |column: &str| efaar.numbers[column][row];
        close(label, of_label.statistic, at("avgcossim"), tolerance);
        if !of_label.statistic.is_nan() {
            let (p, statistic) = (of_label.p_combined, of_label.statistic);
            p_close(&format!("{label}: p"), p, at("pval"), &null, statistic);
        }
    }
    let by_experiment = phenoprints(&screen, &PhenoprintSettings::default()).unwrap();

    // Those of each experiment, against given draws of its wells.
    let draws = case.table("null_draws.parquet");
    let mut drawn: BTreeMap<(String, usize), BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
    let (sizes, places) = (draws.indices("n"), draws.indices("draw"));
    let drawn_rows = draws.indices("row");
    for (index, experiment) in draws.labels("experiment").into_iter().enumerate() {
        let of_size = drawn.entry((experiment, sizes[index])).or_default();
        of_size
            .entry(places[index])
            .or_default()
            .push(drawn_rows[index]);
    }
    let per_experiment = case.table("per_experiment.parquet");
    let mut p_values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let of_experiment = per_experiment.labels("experiment");
    for (row, label) in per_experiment.labels("pert").into_iter().enumerate() {
        let at = |column: &str| per_experiment.numbers[column][row];
        let experiment = &of_experiment[row];
        let rows: Vec<usize> = rows[&label]
            .iter()
            .copied()
            .filter(|&row| experiments[row] == *experiment)
            .collect();
        let what = format!("{label} in {experiment}");
        assert_eq!(rows.len() as f64, at("n"), "{what}");
        let lower = ConsistencyForm::DifferentPairs.of(&wells, &rows);
        close(&what, lower, at("s_lower_triangle"), tolerance);
        let forms = [
            (ConsistencyForm::AllPairs, "s_eq2", "p_eq2"),
            (ConsistencyForm::MeanAngle, "mean_angle", "p_angle"),
        ];
        for (form, statistic_column, p_column) in forms {
            let statistic = form.of(&wells, &rows);
            close(
                &format!("{what}: {statistic_column}"),
                statistic,
                at(statistic_column),
                tolerance,
            );
            if statistic.is_nan() {
                assert!(at(p_column).is_nan(), "{what}");
                continue;
            }
            let draws = &drawn[&(experiment.clone(), rows.len())];
            let null: Vec<f64> = draws.values().map(|rows| form.of(&wells, rows)).collect();
            assert_eq!(null.len() as f64, num_draws);
            let p = form.p_value(&null, statistic);
            p_close(
                &format!("{what}: {p_column}"),
                p,
                at(p_column),
                &null,
                statistic,
            );
            if form == ConsistencyForm::AllPairs {
                // As the reference has it: the combination is compared on its own.
                p_values
                    .entry(label.clone())
                    .or_default()
                    .push(at(p_column));
            }
        }
    }

    for (row, label) in per_experiment.labels("pert").iter().enumerate() {
        let of_label = by_experiment
            .experiments
            .iter()
            .find(|found| found.condition == *label && found.experiment == of_experiment[row])
            .unwrap_or_else(|| panic!("{label} is not there"));
        let expected = per_experiment.numbers["s_eq2"][row];
        close(label, of_label.statistic, expected, tolerance);
    }

    // Combined over experiments.
    let combined = case.table("cauchy.parquet");
    for (row, label) in combined.labels("pert").iter().enumerate() {
        let at = |column: &str| combined.numbers[column][row];
        let p_values: Vec<f64> = p_values.get(label).map_or_else(Vec::new, |p_values| {
            let most = 1.0 - 1.0 / (2.0 * num_draws);
            p_values.iter().map(|p| p.min(most)).collect()
        });
        assert_eq!(p_values.len() as f64, at("n_experiments"), "{label}");
        if p_values.is_empty() {
            continue;
        }
        let p = cauchy_combination(&p_values, None).unwrap();
        close_relative(
            label,
            p,
            at("p_cauchy"),
            case.tolerance("cauchy", 1e-9),
            0.0,
        );
    }
    true
}

/// Wells as a profile table without controls.
fn as_screen(perturbations: &[String], experiments: &[String], wells: &EntityMap) -> Profiles {
    let text = |values: &[String]| Column::from(values.to_vec());
    let num_wells = perturbations.len();
    let roles = Column::from(vec!["treatment"; num_wells]);
    let values = (0..num_wells).flat_map(|row| wells.direction(row).to_vec());
    Profiles::new(
        vec![
            ("Metadata_Batch".to_owned(), text(experiments)),
            ("Metadata_treatment".to_owned(), text(perturbations)),
            ("Metadata_control_role".to_owned(), roles),
        ],
        (0..wells.num_features())
            .map(|i| format!("feature_{i}"))
            .collect(),
        Features::F64(values.collect()),
    )
    .unwrap()
}

pub fn mean_average_precision(case: &Case) -> bool {
    let profiles = case.table("profiles.parquet");
    let config = case.case["config"].as_object().expect("tasks");
    for (task, config) in config {
        let listed = |key: &str| -> Vec<String> {
            let names = config[key].as_array().expect("columns").iter();
            names
                .map(|name| name.as_str().expect("a name").to_owned())
                .collect()
        };
        let by_label = config["multilabel_col"].as_str();
        let group_by = listed("groupby");
        let [group_by] = group_by.as_slice() else {
            panic!("{task}: groups by one column")
        };
        let medians;
        let table = match by_label {
            Some(_) => {
                medians = case.table("compound_medians.parquet");
                &medians
            }
            None => &profiles,
        };
        let expected = case.table(&format!("ap_{task}.parquet"));
        // Rows that the table of results names took part; with several labels, it
        // leaves out those without a partner.
        let rows: Vec<usize> = match by_label {
            Some(_) => (0..table.num_rows).collect(),
            None => expected.indices("row"),
        };
        let all = entity_map(table, vec![String::new(); table.num_rows]);
        let values: Vec<f64> = rows
            .iter()
            .flat_map(|&row| all.direction(row))
            .copied()
            .collect();
        let wells = EntityMap::new(vec![String::new(); rows.len()], values, all.num_features());
        let wells = wells.unwrap();
        let of_rows = |name: &str| -> Vec<String> {
            let labels = table.labels(name);
            rows.iter().map(|&row| labels[row].clone()).collect()
        };
        let (labels, names) = match by_label {
            Some(name) => {
                let lists = of_rows(&format!("{name}_list"));
                let split = |list: &String| list.split('|').map(str::to_owned).collect();
                let lists: Vec<Vec<String>> = lists.iter().map(split).collect();
                let (column, names) = LabelColumn::several(&lists);
                (Some(column), names)
            }
            None => (None, Vec::new()),
        };
        let reference = config["reference_index"].as_object();
        let columns: BTreeMap<String, LabelColumn> =
            ["pos_sameby", "pos_diffby", "neg_sameby", "neg_diffby"]
                .into_iter()
                .flat_map(listed)
                .filter(|name| Some(name.as_str()) != by_label)
                .map(|name| {
                    let is_reference =
                        reference.filter(|reference| reference["reference_col"] == name.as_str());
                    let column = match is_reference {
                        Some(reference) => {
                            let condition = reference["condition"].as_str().expect("a condition");
                            let (column, value) =
                                condition.split_once(" == ").expect("an equation");
                            let value = value.trim_matches('\'');
                            let of_rows = of_rows(column);
                            let are: Vec<bool> =
                                of_rows.iter().map(|label| label == value).collect();
                            LabelColumn::references(&are)
                        }
                        None => LabelColumn::single(&of_rows(&name)),
                    };
                    (name, column)
                })
                .collect();
        let of = |key: &str| -> Vec<&LabelColumn> {
            listed(key)
                .iter()
                .filter_map(|name| columns.get(name))
                .collect()
        };
        let rules = PairRules {
            pos_sameby: of("pos_sameby"),
            pos_diffby: of("pos_diffby"),
            neg_sameby: of("neg_sameby"),
            neg_diffby: of("neg_diffby"),
            ties: Ties::PositivesFirst,
        };
        let mut found = row_precisions(&wells, &rules, labels.as_ref()).unwrap();
        found.retain(|found| by_label.is_none() || found.num_positives > 0);

        // Of each row.
        assert_eq!(found.len(), expected.num_rows, "{task}");
        let groups = expected.labels(group_by);
        let mut by_key = BTreeMap::new();
        for found in &found {
            let label = found.label.map(|label| names[label as usize].clone());
            by_key.insert((rows[found.row], label), found);
        }
        let mut num_off = 0;
        let in_order: Vec<_> = (0..expected.num_rows)
            .map(|index| {
                let label = by_label.map(|_| groups[index].clone());
                let row = expected.indices("row")[index];
                let found = by_key[&(row, label)];
                let at = |column: &str| expected.numbers[column][index];
                assert_eq!(
                    found.num_positives as f64,
                    at("n_pos_pairs"),
                    "{task}: row {row}"
                );
                assert_eq!(
                    found.num_pairs as f64,
                    at("n_total_pairs"),
                    "{task}: row {row}"
                );
                let what = format!("{task}: row {row}");
                close(
                    &what,
                    found.average_precision,
                    at("average_precision"),
                    1e-3,
                );
                close(
                    &what,
                    found.normalised(),
                    at("normalized_average_precision"),
                    1e-3,
                );
                let error = (found.average_precision - at("average_precision")).abs();
                num_off += usize::from(error > 1e-6);
                found.clone()
            })
            .collect();
        assert!(
            num_off * 100 <= in_order.len(),
            "{task}: {num_off} rows are off"
        );

        // Of each group, with the reference's draws.
        let nulls = case.table(&format!("nulls_{task}.parquet"));
        let (values, num_nulls) = nulls.features();
        let sizes = nulls
            .indices("n_pos_pairs")
            .into_iter()
            .zip(nulls.indices("n_total_pairs"));
        let null = sizes.zip(values.chunks_exact(num_nulls));
        let null = null.map(|(size, null)| (size, null.to_vec())).collect();
        let found = mean_average_precisions(&in_order, &groups, &PrecisionNull::given(null));
        let expected = case.table(&format!("map_{task}.parquet"));
        let names = expected.labels(group_by);
        let found_names: Vec<&String> = found.iter().map(|found| &found.group).collect();
        assert_eq!(found_names, names.iter().collect::<Vec<_>>(), "{task}");
        let tolerance = case.tolerance("mean_average_precision", 1e-5);
        for (row, found) in found.iter().enumerate() {
            let at = |column: &str| expected.numbers[column][row];
            let what = format!("{task}: {}", found.group);
            close(
                &what,
                found.mean_average_precision,
                at("mean_average_precision"),
                tolerance,
            );
            close(
                &what,
                found.mean_normalised,
                at("mean_normalized_average_precision"),
                tolerance,
            );
            let slack = 1e-12;
            assert!(
                (at("p_low") - slack..=at("p_high") + slack).contains(&found.p_value),
                "{what}: p {} is not in {}..={}",
                found.p_value,
                at("p_low"),
                at("p_high")
            );
        }
        let summary = &case.expected[task];
        assert_eq!(found.len() as f64, number(&summary["n_groups"]));
        let mean = |value: fn(&GroupPrecision) -> f64| {
            found.iter().map(value).sum::<f64>() / found.len() as f64
        };
        close(
            task,
            mean(|g| g.mean_average_precision),
            number(&summary["mean_map"]),
            tolerance,
        );
        close(
            task,
            mean(|g| g.mean_normalised),
            number(&summary["mean_normalized"]),
            tolerance,
        );
    }
    true
}

pub fn compound_gene(case: &Case) -> bool {
    for unit in case.expected["unit"].as_array().expect("unit cases") {
        let scores = numbers(&unit["scores"]);
        let labels: Vec<bool> = numbers(&unit["labels"]).iter().map(|x| *x == 1.0).collect();
        let of = |ties| average_precision(&scores, &labels, ties);
        let check = |key: &str, found: f64| {
            if let Some(expected) = unit.get(key) {
                close(
                    &format!("{}: {key}", unit["why"]),
                    found,
                    number(expected),
                    1e-12,
                );
            }
        };
        check("ap", of(Ties::NegativesFirst));
        check("ap_pessimistic", of(Ties::NegativesFirst));
        check("ap_stable", of(Ties::InOrder));
        check("auc", area_under_roc(&scores, &labels));
    }

    let table = case.table("map.parquet");
    let (values, num_features) = table.features();
    let (names, types) = (
        table.labels("perturbation"),
        table.labels("perturbation_type"),
    );
    let concentrations = &table.numbers["concentration"];
    let part = |keep: &dyn Fn(usize) -> bool| {
        let rows: Vec<usize> = (0..table.num_rows).filter(|&row| keep(row)).collect();
        let labels = rows.iter().map(|&row| names[row].clone()).collect();
        let values = rows
            .iter()
            .flat_map(|row| &values[row * num_features..][..num_features]);
        let map = EntityMap::new(labels, values.copied().collect(), num_features).unwrap();
        (map, rows)
    };
    let (genes, _) = part(&|row| types[row] == "CRISPR");
    let (compounds, rows) = part(&|row| types[row] == "COMPOUND");
    let map = CompoundGeneMap {
        genes,
        compounds,
        // 1.0, not 1: as the case writes them.
        concentrations: rows
            .iter()
            .map(|&row| format!("{:?}", concentrations[row]))
            .collect(),
    };

    let drawn = case.table("items.parquet");
    /// Gene, whether it interacts, a random score.
    type Drawn = (String, bool, f64);
    let mut items: BTreeMap<usize, BTreeMap<String, Vec<Drawn>>> = BTreeMap::new();
    let (seeds, drawn_genes) = (drawn.indices("seed"), drawn.labels("gene_symbol"));
    for (row, compound) in drawn.labels("treatment").into_iter().enumerate() {
        let of_seed = items.entry(seeds[row]).or_default();
        let label = drawn.numbers["label"][row] == 1.0;
        let baseline = drawn.numbers["baseline_score"][row];
        of_seed
            .entry(compound)
            .or_default()
            .push((drawn_genes[row].clone(), label, baseline));
    }
    let precisions = case.table("per_compound.parquet");
    let (macros, baselines) = (case.table("macro.parquet"), case.table("baseline.parquet"));
    let row_at = |table: &Table, keys: &[(&str, &str)], seed: usize| -> usize {
        let is_at = |row: &usize| {
            table.numbers["seed"][*row] == seed as f64
                && keys
                    .iter()
                    .all(|(column, value)| table.text[*column][*row] == *value)
        };
        (0..table.num_rows)
            .find(is_at)
            .unwrap_or_else(|| panic!("{keys:?} of seed {seed}"))
    };
    let (mut of_model, mut of_baseline) = (Vec::new(), Vec::new());
    let mut num_compared = 0;
    for (&seed, compounds) in &items {
        let items: Vec<CompoundItems> = compounds
            .iter()
            .map(|(compound, genes)| CompoundItems {
                compound: compound.clone(),
                genes: genes
                    .iter()
                    .map(|(gene, label, _)| (gene.clone(), *label))
                    .collect(),
            })
            .collect();
        let by_rule = [
            (Ties::NegativesFirst, "ap_pessimistic"),
            (Ties::InOrder, "ap_stable"),
        ];
        for (ties, column) in by_rule {
            for found in map.precisions(&items, ties) {
                let concentration = found.concentration.as_deref().unwrap_or("max");
                let keys = [
                    ("treatment", found.compound.as_str()),
                    ("concentration", concentration),
                ];
                let row = row_at(&precisions, &keys, seed);
                let what = format!("{} at {concentration}, seed {seed}", found.compound);
                close(
                    &what,
                    found.average_precision,
                    precisions.numbers[column][row],
                    1e-10,
                );
                close(
                    &what,
                    found.area_under_roc,
                    precisions.numbers["auc"][row],
                    1e-10,
                );
                num_compared += 1;
            }
        }
        let found = macro_precisions(&map.precisions(&items, Ties::NegativesFirst));
        for found in &found {
            let concentration = found.concentration.as_deref().unwrap_or("max");
            let row = row_at(&macros, &[("concentration", concentration)], seed);
            let at = |column: &str| macros.numbers[column][row];
            assert_eq!(found.num_compounds as f64, at("n_compounds"));
            close(
                "macro ap",
                found.average_precision,
                at("macro_ap_pessimistic"),
                1e-10,
            );
            close("macro auc", found.area_under_roc, at("macro_auc"), 1e-10);
        }
        let greatest = &found[0];
        assert_eq!(greatest.concentration, None);
        of_model.push([greatest.average_precision, greatest.area_under_roc]);
        // Random scores of the same items.
        let of_compounds = compounds.values().map(|genes| {
            let scores: Vec<f64> = genes.iter().map(|(_, _, score)| *score).collect();
            let labels: Vec<bool> = genes.iter().map(|(_, label, _)| *label).collect();
            let precision = average_precision(&scores, &labels, Ties::NegativesFirst);
            [precision, area_under_roc(&scores, &labels)]
        });
        let of_compounds: Vec<[f64; 2]> = of_compounds.collect();
        let mean = |index: usize| {
            of_compounds.iter().map(|of| of[index]).sum::<f64>() / of_compounds.len() as f64
        };
        let row = row_at(&baselines, &[], seed);
        close(
            "baseline ap",
            mean(0),
            baselines.numbers["baseline_ap"][row],
            1e-10,
        );
        close(
            "baseline auc",
            mean(1),
            baselines.numbers["baseline_auc"][row],
            1e-10,
        );
        of_baseline.push([mean(0), mean(1)]);
    }
    assert_eq!(num_compared, 2 * precisions.num_rows);
    let spread = |values: &[[f64; 2]], index: usize| {
        let values: Vec<f64> = values.iter().map(|of| of[index]).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
        [mean, (squares / (values.len() - 1) as f64).sqrt()]
    };
    for (index, key) in ["ap", "auc"].into_iter().enumerate() {
        let expected = |name: &str| number(&case.expected[key][name]);
        let (model, baseline) = (spread(&of_model, index), spread(&of_baseline, index));
        close(key, model[0], expected("mean"), 1e-10);
        close(key, model[1], expected("std"), 1e-10);
        close(key, baseline[0], expected("baseline_mean"), 1e-10);
        close(key, baseline[1], expected("baseline_std"), 1e-10);
        close_relative(key, z_score(model, baseline), expected("z"), 1e-9, 0.0);
    }
    true
}

pub fn batch_metrics(case: &Case) -> bool {
    let wells = case.table("wells.parquet");
    let (values, num_features) = wells.features();
    let (labels, batches) = (wells.labels("label"), wells.labels("batch"));
    let config = &case.case["config"];
    let expected = case.table("per_row.parquet");
    let tolerance = case.tolerance("silhouette", 1e-9);
    let classes: Vec<&String> = labels.iter().collect::<BTreeSet<_>>().into_iter().collect();
    let class_of = |labels: &[String]| -> Vec<usize> {
        let place = |label: &String| classes.binary_search(&label).expect("a label");
        labels.iter().map(place).collect()
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let metric_of = |name: &str| match name {
        "euclidean" => Metric::Euclidean,
        "cosine" => Metric::Cosine,
        other => panic!("metric '{other}'"),
    };
    for name in config["metric"]
        .as_array()
        .expect("metrics")
        .iter()
        .filter_map(Value::as_str)
    {
        let distances = Distances::new(&values, num_features, metric_of(name)).unwrap();
        for (what, labels) in [("label", &labels), ("batch", &batches)] {
            let found = distances.silhouettes(labels).unwrap();
            let key = format!("silhouette_{what}_{name}");
            for (found, expected) in found.iter().zip(&expected.numbers[&key]) {
                close(&key, *found, *expected, tolerance);
            }
            close(&key, mean(&found), number(&case.expected[&key]), tolerance);
        }
        for k in numbers(&config["k"]) {
            let found = distances
                .transferred_labels(&labels, &batches, k as usize)
                .unwrap();
            let key = format!("knn{k}_{name}");
            assert_eq!(found, expected.labels(&key), "{key}");
            let pairs = found.iter().zip(&labels);
            let right = pairs.filter(|(found, label)| found == label).count();
            let accuracy = right as f64 / labels.len() as f64;
            close(
                &key,
                accuracy,
                number(&case.expected[format!("{key}_accuracy")]),
                1e-12,
            );
            let balanced = balanced_accuracy(&class_of(&labels), &class_of(&found));
            let expected = number(&case.expected[format!("{key}_balanced_accuracy")]);
            close(&key, balanced, expected, 1e-12);
        }
    }
    let distances = Distances::new(&values, num_features, Metric::Cosine).unwrap();
    let graph_k = number(&config["graph_k"]) as usize;
    let found = distances.graph_connectivity(&labels, graph_k).unwrap();
    let expected = case.expected["graph_connectivity_per_label"].as_object();
    let expected = expected.expect("labels");
    assert_eq!(found.len(), expected.len());
    for (label, expected) in expected {
        close(label, found[label], number(expected), 1e-12);
    }
    let shares: Vec<f64> = found.into_values().collect();
    close(
        "connectivity",
        mean(&shares),
        number(&case.expected["graph_connectivity"]),
        1e-12,
    );
    true
}
