//! Phenoprints: by hand, planted and absent effects, and what is refused.

use morphospace_benchmark::{
    ConsistencyForm, NotTested, PhenoprintError, PhenoprintSettings, Phenoprints, phenoprints,
    random_embeddings,
};
use morphospace_core::Seed;
use morphospace_map::{ConditionColumns, ControlRule, PhenoprintTable, align_profiles};
use morphospace_profiles::{Column, Features, Profiles, read_profiles};
use proptest::prelude::*;

/// A well: experiment, role, condition.
type Well = (String, &'static str, String);

fn well(experiment: &str, role: &'static str, condition: &str) -> Well {
    (experiment.to_owned(), role, condition.to_owned())
}

fn table(wells: &[Well], values: Vec<f64>) -> Profiles {
    let num_features = values.len() / wells.len().max(1);
    let text =
        |value: fn(&Well) -> String| Column::from(wells.iter().map(value).collect::<Vec<String>>());
    Profiles::new(
        vec![
            ("Metadata_Batch".to_owned(), text(|well| well.0.clone())),
            (
                "Metadata_control_role".to_owned(),
                text(|well| well.1.to_owned()),
            ),
            ("Metadata_treatment".to_owned(), text(|well| well.2.clone())),
        ],
        (0..num_features).map(|i| format!("feature_{i}")).collect(),
        Features::F64(values),
    )
    .unwrap()
}

/// Experiments of so many conditions of five wells, of which the first few are moved
/// by `strength` in a direction of their own; 16 features.
fn screen(num_experiments: usize, num_moved: usize, strength: f64, seed: u64) -> Profiles {
    const NUM_CONDITIONS: usize = 40;
    let mut wells = Vec::new();
    for experiment in 0..num_experiments {
        for at in 0..NUM_CONDITIONS * 5 {
            let condition = format!("G{:02}", at / 5);
            wells.push(well(&format!("E-{experiment}"), "treatment", &condition));
        }
        wells.extend(vec![
            well(&format!("E-{experiment}"), "negcon", "scrambled");
            10
        ]);
    }
    let seed = Seed::new(seed);
    let mut values = random_embeddings(wells.len(), 16, seed.split("noise"));
    let directions = random_embeddings(NUM_CONDITIONS, 16, seed.split("directions"));
    for (at, well) in wells.iter().enumerate() {
        let number = well
            .2
            .strip_prefix('G')
            .map(|digits| digits.parse::<usize>().unwrap());
        if let Some(number) = number.filter(|number| *number < num_moved) {
            for feature in 0..16 {
                values[at * 16 + feature] += strength * directions[number * 16 + feature];
            }
        }
    }
    table(&wells, values)
}

/// `sup |F - x|` of values between 0 and 1, times the root of their number.
fn distance_from_uniform(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let count = values.len() as f64;
    let steps = values.iter().enumerate().map(|(at, value)| {
        let (below, above) = (at as f64 / count, (at + 1) as f64 / count);
        (value - below).abs().max((above - value).abs())
    });
    steps.fold(0.0, f64::max) * count.sqrt()
}

fn with_form(form: ConsistencyForm) -> PhenoprintSettings {
    PhenoprintSettings {
        form,
        ..PhenoprintSettings::default()
    }
}

/// What is said of a condition.
fn of<'f>(found: &'f Phenoprints, condition: &str) -> &'f morphospace_benchmark::Phenoprint {
    let mut rows = found.conditions.iter();
    rows.find(|row| row.condition == condition).unwrap()
}

#[test]
fn shares_of_draws_by_hand() {
    let wells: Vec<Well> = ["A", "A", "B", "B"]
        .map(|name| well("E-1", "treatment", name))
        .to_vec();
    let profiles = table(&wells, vec![2.0, 0.0, 3.0, 0.0, 0.0, 1.0, 0.0, -1.0]);
    let found = phenoprints(&profiles, &PhenoprintSettings::default()).unwrap();
    let (a, b) = (of(&found, "A"), of(&found, "B"));
    assert_eq!((a.statistic, b.statistic), (1.0, 0.0));
    // Of six pairs of wells that can be drawn, A's is the most alike, B's the least.
    // Five standard deviations of 5,000 draws: 0.0264.
    assert!(
        (a.p_combined - 1.0 / 6.0).abs() < 0.0264,
        "{}",
        a.p_combined
    );
    assert_eq!(b.p_combined, 1.0);
    assert_eq!((a.num_wells, a.num_experiments), (2, 1));
    // Angles are compared with draws that may hold a well twice: of 16 ordered pairs,
    // none is nearer than A's, and all but B's two are nearer than B's.
    let found = phenoprints(&profiles, &with_form(ConsistencyForm::MeanAngle)).unwrap();
    assert_eq!(of(&found, "A").statistic, 0.0);
    assert_eq!(of(&found, "A").p_combined, 1.0 / 5000.0);
    let p = of(&found, "B").p_combined;
    assert!((p - 14.0 / 16.0).abs() < 0.0234, "{p}");
}

#[test]
fn planted_effects_are_found() {
    let profiles = screen(3, 10, 1.0, 1);
    for form in [ConsistencyForm::AllPairs, ConsistencyForm::MeanAngle] {
        let found = phenoprints(&profiles, &with_form(form)).unwrap();
        let is_moved = |name: &str| name < "G10";
        let num_found = found
            .conditions
            .iter()
            .filter(|row| is_moved(&row.condition) && row.has_phenoprint);
        assert_eq!(num_found.count(), 10, "{form}");
        let num_false = found
            .conditions
            .iter()
            .filter(|row| !is_moved(&row.condition) && row.has_phenoprint);
        // Of 30 at 0.01, more than three in one run of 3,000.
        assert!(num_false.count() <= 3, "{form}");
        assert!(found.conditions[0].q_value < 0.01);
        assert_eq!(found.num_controls, 30);
        assert_eq!(found.experiments.len(), 40 * 3);
    }
}

/// Without effects, p-values are uniform: their distance times the root of their
/// number is beyond 1.95 in one of a thousand samples (Kolmogorov's distribution).
#[test]
fn p_values_are_uniform_where_nothing_moves() {
    let (mut all_combined, mut all_single) = (Vec::new(), Vec::new());
    for seed in 0..8 {
        let settings = PhenoprintSettings {
            seed: Seed::new(seed),
            ..PhenoprintSettings::default()
        };
        let found = phenoprints(&screen(3, 0, 0.0, 100 + seed), &settings).unwrap();
        let combined: Vec<f64> = found.conditions.iter().map(|row| row.p_combined).collect();
        let single: Vec<f64> = found.experiments.iter().map(|row| row.p_value).collect();
        for values in [&combined, &single] {
            let distance = distance_from_uniform(values.clone());
            assert!(distance < 1.95, "seed {seed}: {distance}");
        }
        all_combined.extend(combined);
        all_single.extend(single);
    }
    for values in [all_combined, all_single] {
        let distance = distance_from_uniform(values.clone());
        assert!(distance < 1.95, "{} values: {distance}", values.len());
    }
    // The bound is one that effects break.
    let found = phenoprints(&screen(3, 40, 0.5, 9), &PhenoprintSettings::default()).unwrap();
    let combined = found.conditions.iter().map(|row| row.p_combined).collect();
    assert!(distance_from_uniform(combined) > 3.0);
}

#[test]
fn threads_and_order_of_rows_change_nothing() {
    let profiles = screen(2, 5, 0.7, 3);
    let mut order: Vec<usize> = (0..profiles.num_rows()).collect();
    order.sort_by_key(|&row| Seed::new(1).split_index(row as u64).value());
    for form in [ConsistencyForm::AllPairs, ConsistencyForm::MeanAngle] {
        let settings = with_form(form);
        let found = phenoprints(&profiles, &settings).unwrap();
        for num_threads in [1, 5] {
            let threads = rayon::ThreadPoolBuilder::new()
                .num_threads(num_threads)
                .build();
            let other = threads
                .unwrap()
                .install(|| phenoprints(&profiles, &settings));
            assert_eq!(other.unwrap(), found);
        }
        let reordered = phenoprints(&profiles.select_rows(&order), &settings).unwrap();
        assert_eq!(reordered, found);
        let other_seed = PhenoprintSettings {
            seed: Seed::new(1),
            ..settings
        };
        assert_ne!(phenoprints(&profiles, &other_seed).unwrap(), found);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn conditions_that_swap_names_swap_results(seed in 0u64..1000) {
        let profiles = screen(2, 1, 1.0, seed);
        let names = profiles.keys("Metadata_treatment").unwrap();
        let swapped = names.into_iter().map(|name| match name.as_str() {
            "G00" => "G39".to_owned(),
            "G39" => "G00".to_owned(),
            _ => name,
        });
        let swapped = Column::from(swapped.collect::<Vec<_>>());
        let swapped = profiles.clone().with_column("Metadata_treatment", swapped).unwrap();
        let settings = PhenoprintSettings { num_draws: 200, ..PhenoprintSettings::default() };
        let found = phenoprints(&profiles, &settings).unwrap();
        let other = phenoprints(&swapped, &settings).unwrap();
        for (a, b) in [("G00", "G39"), ("G39", "G00"), ("G07", "G07")] {
            let (a, b) = (of(&found, a), of(&other, b));
            prop_assert_eq!((a.statistic, a.p_combined, a.q_value), (b.statistic, b.p_combined, b.q_value));
        }
    }
}

#[test]
fn only_wells_of_one_condition_take_part_and_positive_controls_are_never_drawn() {
    let mut wells = vec![well("E-1", "treatment", "A"); 2];
    wells.extend(vec![well("E-1", "treatment", "A + B"); 2]);
    wells.push(well("E-1", "treatment", "B"));
    wells.extend(vec![well("E-1", "poscon", "PLK1"); 2]);
    wells.extend(vec![well("E-1", "poscon", "many"); 4]);
    wells.push(well("E-1", "empty", "EMPTY"));
    // A's wells are opposite, B's stands between; controls are alike.
    let mut values = vec![1.0, 0.0, -1.0, 0.0];
    values.extend([5.0, 5.0, 5.0, 5.0, 0.0, 1.0]);
    values.extend([3.0, 4.0].repeat(7));
    let found = phenoprints(&table(&wells, values), &PhenoprintSettings::default()).unwrap();
    assert_eq!(
        (
            found.num_controls,
            found.num_combinations,
            found.num_unknown
        ),
        (1, 2, 0)
    );
    let names: Vec<&str> = found
        .conditions
        .iter()
        .map(|row| row.condition.as_str())
        .collect();
    assert_eq!(names, ["PLK1", "A", "B", "many"]);
    // Draws are of A's and B's three wells, none of which are as alike as controls.
    assert_eq!(found.conditions[0].p_combined, 1.0 / 5000.0);
    assert!(found.conditions[0].has_phenoprint);
    assert_eq!(found.conditions[1].p_combined, 1.0);
    assert_eq!(found.conditions[2].not_tested, Some(NotTested::SingleWells));
    assert_eq!(
        found.conditions[3].not_tested,
        Some(NotTested::FewWellsToDraw)
    );
    assert!(found.conditions[3].p_combined.is_nan() && found.conditions[3].q_value.is_nan());
    assert_eq!(found.num_tested(), 2);
    // The table keeps all of it, and curation reads it.
    let written = found.to_table();
    assert_eq!(written.text("p_combined").unwrap()[3], None);
    assert_eq!(
        written.text("not_tested").unwrap()[2].as_deref(),
        Some("fewer than 2 wells in each experiment")
    );
    let read = PhenoprintTable::of_profiles("made up", &written).unwrap();
    assert_eq!(read.num_with_phenoprint(), found.num_with_phenoprint());
    assert_eq!(found.experiments_table().num_rows(), 4);
}

#[test]
fn combined_p_values_are_those_of_cauchy() {
    let found = phenoprints(&screen(4, 10, 0.4, 8), &PhenoprintSettings::default()).unwrap();
    for condition in &found.conditions {
        let of_condition = found
            .experiments
            .iter()
            .filter(|row| row.condition == condition.condition);
        let p_values: Vec<f64> = of_condition.map(|row| row.p_value.min(0.9999)).collect();
        assert_eq!(p_values.len(), 4);
        let expected = morphospace_map::cauchy_combination(&p_values, None).unwrap();
        assert_eq!(condition.p_combined, expected);
    }
}

/// One wrong experiment does not outweigh three right ones.
#[test]
fn an_experiment_below_all_draws_does_not_decide_alone() {
    let mut profiles = screen(4, 1, 3.0, 2);
    let mut values = profiles.values().into_owned();
    // In the last experiment, G00's wells point away from each other.
    let first = 3 * 210 * 16;
    for place in 0..5 {
        for feature in 0..16 {
            let sign = if place % 2 == 0 { 1.0 } else { -1.0 };
            values[first + place * 16 + feature] = sign * (feature as f64 + 1.0);
        }
    }
    let names = profiles.feature_names().to_vec();
    profiles = profiles.with_values(names, values).unwrap();
    let found = phenoprints(&profiles, &PhenoprintSettings::default()).unwrap();
    let last = found
        .experiments
        .iter()
        .find(|row| row.condition == "G00" && row.experiment == "E-3");
    assert!(last.unwrap().p_value > 0.9);
    assert!(of(&found, "G00").p_combined < 0.001);
}

#[test]
fn efaar10_compares_with_conditions_that_do_nothing() {
    let profiles = screen(2, 2, 1.0, 4);
    let nothing: Vec<String> = (10..40).map(|number| format!("G{number}")).collect();
    let settings = PhenoprintSettings {
        null_conditions: nothing,
        ..with_form(ConsistencyForm::DifferentPairs)
    };
    let found = phenoprints(&profiles, &settings).unwrap();
    let moved = of(&found, "G00");
    assert_eq!(
        (moved.p_combined, moved.num_experiments, moved.num_wells),
        (0.0, 2, 10)
    );
    // The most and the least alike of the null are 1 of 30 and all of it.
    let of_null: Vec<f64> = found
        .conditions
        .iter()
        .filter(|row| row.condition.as_str() >= "G10")
        .map(|row| row.p_combined)
        .collect();
    assert_eq!((of_null[0], of_null[29]), (1.0 / 30.0, 1.0));
    assert!(found.experiments.is_empty());

    // Ten wells of one condition in two experiments: a null of one value.
    let settings = with_form(ConsistencyForm::DifferentPairs);
    let found = phenoprints(&profiles, &settings).unwrap();
    assert!([0.0, 1.0].contains(&found.conditions[5].p_combined));

    let settings = PhenoprintSettings {
        null_conditions: vec!["LOC1".to_owned()],
        ..settings
    };
    let message = phenoprints(&profiles, &settings).unwrap_err().to_string();
    assert!(
        message.contains("none of the 1 named, such as 'LOC1'"),
        "{message}"
    );
}

#[test]
fn screens_that_cannot_be_tested_are_refused_by_name() {
    let check = |profiles: &Profiles, settings: &PhenoprintSettings, words: &[&str]| {
        let message = phenoprints(profiles, settings).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "'{word}' is not in: {message}");
        }
    };
    let settings = PhenoprintSettings::default();
    let pair = |name: &str| {
        vec![
            well("E-1", "treatment", name),
            well("E-2", "treatment", name),
        ]
    };
    // As RxRx1's siRNAs: once in each experiment.
    let singles = [pair("A"), pair("B")].concat();
    let values = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    check(
        &table(&singles, values.clone()),
        &settings,
        &[
            "none of the 2 conditions",
            "2 experiments",
            "cell type",
            "efaar10",
        ],
    );
    let controls = vec![well("E-1", "negcon", "DMSO"); 4];
    check(
        &table(&controls, values.clone()),
        &settings,
        &[
            "none of the 4 wells",
            "4 are negative controls",
            "'Metadata_treatment'",
        ],
    );
    let efaar = with_form(ConsistencyForm::DifferentPairs);
    check(
        &table(&singles, values.clone()),
        &efaar,
        &["none among the negative controls", "not expressed"],
    );
    let mut nan = values.clone();
    nan[5] = f64::NAN;
    check(
        &table(&singles, nan),
        &settings,
        &["NaN", "'feature_1'", "batch 'E-1'"],
    );
    let without_roles = table(&singles, values.clone()).without_column("Metadata_control_role");
    check(&without_roles, &settings, &["which wells are controls"]);
    check(&table(&[], vec![]), &settings, &["none of the 0 wells"]);
    for (draws, threshold, words) in [
        (100, 0.01, ["num_draws is 100", "more than 100"]),
        (5000, 0.0, ["threshold is 0", "more than 0"]),
    ] {
        let settings = PhenoprintSettings {
            num_draws: draws,
            threshold,
            ..settings.clone()
        };
        check(&table(&singles, values.clone()), &settings, &words);
    }
    assert!(size_of::<PhenoprintError>() <= 128);
    assert!(
        "eq3"
            .parse::<ConsistencyForm>()
            .unwrap_err()
            .contains("celik_angle")
    );
}

/// 302 compounds of secreted proteins, four wells each; what numpy finds of them.
#[test]
fn compounds_of_a_published_table_are_told_from_shuffled_ones() {
    let Ok(data) = std::env::var("MORPHOSPACE_DATA") else {
        eprintln!("SKIPPED: phenoprints of nELISA; set MORPHOSPACE_DATA to the data folder");
        return;
    };
    let path = std::path::PathBuf::from(data).join("profiles/nelisa/nelisa_profiles.parquet");
    let wells = read_profiles(&path).unwrap();
    let rule = ControlRule::new("Metadata_control_type", ["negcon"]);
    let method = "center_scale".parse().unwrap();
    let aligned = align_profiles(&wells, "Metadata_Plate", &rule, &method).unwrap();
    let settings = PhenoprintSettings {
        columns: ConditionColumns {
            experiment: "Metadata_nelisa_experiment_id".to_owned(),
            condition: "Metadata_pert_iname".to_owned(),
            negative_controls: Some(rule),
            ..ConditionColumns::default()
        },
        ..PhenoprintSettings::default()
    };
    let found = phenoprints(&aligned, &settings).unwrap();
    let names = aligned.text("Metadata_pert_iname").unwrap();
    let is_control = |name: &Option<String>| name.as_deref() == Some("DMSO");
    let mut treated: Vec<usize> = (0..names.len())
        .filter(|&row| !is_control(&names[row]))
        .collect();
    let places = treated.clone();
    treated.sort_by_key(|&row| Seed::new(1).split_index(row as u64).value());
    let mut shuffled = names.clone();
    for (place, row) in places.into_iter().zip(treated) {
        shuffled[place] = names[row].clone();
    }
    let shuffled = aligned
        .with_column("Metadata_pert_iname", Column::Text(shuffled))
        .unwrap();
    let by_chance = phenoprints(&shuffled, &settings).unwrap();
    eprintln!(
        "nELISA: {} of {} compounds have a phenoprint, {} of shuffled ones",
        found.num_with_phenoprint(),
        found.num_tested(),
        by_chance.num_with_phenoprint()
    );
    assert_eq!(found.num_tested(), 301);
    let colchicine = of(&found, "colchicine");
    assert!((colchicine.statistic - 0.710_900_895_447_414_7).abs() < 1e-12);
    // numpy with 40,000 draws finds 88; a few lie at the threshold.
    assert!((80..=96).contains(&found.num_with_phenoprint()));
    // Of 301 at 0.01, more than 12 in one run of 10,000.
    assert!(by_chance.num_with_phenoprint() <= 12);
}
