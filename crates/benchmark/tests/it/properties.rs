//! What must not change a score, and what must.

use morphospace_benchmark::{
    BenchmarkError, Bootstrap, EntityMap, RecallNull, RecallOptions, Relationships, compare_recall,
    compute_recall, cramer_von_mises, kolmogorov_smirnov, random_embeddings, recall_intervals,
    relationship_recall, shuffled_recall, wasserstein_distance,
};
use morphospace_core::Seed;
use proptest::prelude::*;

/// Groups of `group_size` around a common direction, and their inner pairs.
fn planted(
    num_entities: usize,
    num_features: usize,
    group_size: usize,
    strength: f64,
    seed: u64,
) -> (EntityMap, Relationships) {
    let noise = random_embeddings(num_entities, num_features, Seed::new(seed));
    let centres = random_embeddings(num_entities, num_features, Seed::new(seed).split("centres"));
    let values = (0..num_entities * num_features)
        .map(|at| {
            let (row, feature) = (at / num_features, at % num_features);
            noise[at] + strength * centres[row / group_size * num_features + feature]
        })
        .collect();
    let labels: Vec<String> = (0..num_entities).map(|i| format!("G{i:04}")).collect();
    let pairs: Vec<(String, String)> = (0..num_entities)
        .flat_map(|i| (i + 1..num_entities).map(move |j| (i, j)))
        .filter(|(i, j)| i / group_size == j / group_size)
        .map(|(i, j)| (labels[i].clone(), labels[j].clone()))
        .collect();
    (
        EntityMap::new(labels, values, num_features).unwrap(),
        Relationships::new("planted", pairs),
    )
}

/// The map with its rows in another order.
fn reordered(map: &EntityMap, seed: Seed) -> EntityMap {
    let keys = random_embeddings(map.num_entities(), 1, seed);
    let mut rows: Vec<usize> = (0..map.num_entities()).collect();
    rows.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
    let labels = rows.iter().map(|&row| map.labels()[row].clone()).collect();
    let values = rows
        .iter()
        .flat_map(|&row| map.direction(row).to_vec())
        .collect();
    EntityMap::new(labels, values, map.num_features()).unwrap()
}

fn recall(map: &EntityMap, known: &Relationships) -> f64 {
    let options = RecallOptions {
        min_num_entities: 2,
        ..RecallOptions::default()
    };
    let report = relationship_recall(map, std::slice::from_ref(known), &options).unwrap();
    report.sources[0].thresholds[0].recall.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn recall_ignores_units_and_row_order(seed in 0u64..1000, scale in 1e-3f64..1e3) {
        let (map, known) = planted(60, 5, 4, 1.0, seed);
        let expected = recall(&map, &known);
        let scaled = (0..60).flat_map(|row| map.direction(row).iter().map(|v| v * scale).collect::<Vec<_>>());
        let scaled = EntityMap::new(map.labels().to_vec(), scaled.collect(), 5).unwrap();
        let one_pair = 1.5 / known.pairs().len() as f64;
        prop_assert!((recall(&scaled, &known) - expected).abs() <= one_pair);
        prop_assert!((recall(&reordered(&map, Seed::new(seed)), &known) - expected).abs() <= one_pair);
    }

    #[test]
    fn blockwise_recall_is_recall_of_the_sorted_null(seed in 0u64..1000, num_entities in 20usize..80) {
        let (map, known) = planted(num_entities, 4, 3, 0.7, seed);
        let options = RecallOptions { thresholds: vec![(0.03, 0.8), (0.5, 0.5), (0.0, 1.0)], ..RecallOptions::default() };
        let report = relationship_recall(&map, &[known], &options).unwrap();
        let null: Vec<f64> = (0..num_entities)
            .flat_map(|i| (i + 1..num_entities).map(move |j| (i, j)))
            .map(|(i, j)| map.cosine(i, j))
            .collect();
        let source = &report.sources[0];
        let query: Vec<f64> = source.pairs.iter().map(|p| map.cosine(p.entity1 as usize, p.entity2 as usize)).collect();
        prop_assert_eq!(report.null.size as usize, null.len());
        for (found, expected) in source.thresholds.iter().zip(compute_recall(&null, &query, &options.thresholds).unwrap()) {
            prop_assert!(found.hits_left.abs_diff(expected.hits_left) <= 1);
            prop_assert!(found.hits_right.abs_diff(expected.hits_right) <= 1);
        }
    }

    #[test]
    fn two_sample_statistics_are_symmetric_and_shift(
        a in prop::collection::vec(-20i8..20, 2..40),
        b in prop::collection::vec(-20i8..20, 2..40),
        shift in -100i8..100,
    ) {
        let real = |sample: &[i8], shift: i8| -> Vec<f64> {
            sample.iter().map(|&v| f64::from(v) + f64::from(shift)).collect()
        };
        let (x, y) = (real(&a, 0), real(&b, 0));
        let (x_moved, y_moved) = (real(&a, shift), real(&b, shift));
        for statistic in [
            |a: &[f64], b: &[f64]| kolmogorov_smirnov(a, b).unwrap().statistic,
            |a: &[f64], b: &[f64]| cramer_von_mises(a, b).unwrap().statistic,
            |a: &[f64], b: &[f64]| wasserstein_distance(a, b).unwrap(),
        ] {
            let expected = statistic(&x, &y);
            prop_assert!((statistic(&y, &x) - expected).abs() < 1e-9, "swapped");
            prop_assert!((statistic(&x_moved, &y_moved) - expected).abs() < 1e-9, "moved");
        }
        let p = kolmogorov_smirnov(&x, &y).unwrap().p_value;
        prop_assert!((0.0..=1.0).contains(&p));
        prop_assert!((wasserstein_distance(&x, &x_moved).unwrap() - f64::from(shift).abs()).abs() < 1e-9);
    }
}

fn with_threads<T: Send>(num_threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(num_threads)
        .build()
        .unwrap()
        .install(run)
}

#[test]
fn scores_do_not_depend_on_threads() {
    // 600 entities: three blocks of cosines.
    let (map, known) = planted(600, 6, 3, 1.0, 9);
    let options = RecallOptions::default();
    let bootstrap = Bootstrap {
        num_resamples: 20,
        ..Bootstrap::new(Seed::new(1))
    };
    let run = || {
        let report = relationship_recall(&map, std::slice::from_ref(&known), &options).unwrap();
        let intervals = recall_intervals(&map, &report, &options, &bootstrap);
        let chance = shuffled_recall(&map, &report, 5, Seed::new(2));
        (report, intervals, chance)
    };
    let one = with_threads(1, run);
    for num_threads in [2, 5] {
        assert_eq!(one, with_threads(num_threads, run), "{num_threads} threads");
    }
}

#[test]
fn label_swap_changes_recall_to_chance() {
    let (map, known) = planted(120, 8, 4, 2.0, 3);
    let mut labels = map.labels().to_vec();
    // Every label moves to a row of another group.
    labels.rotate_left(4 * 7 + 1);
    let values = (0..120)
        .flat_map(|row| map.direction(row).to_vec())
        .collect();
    let swapped = EntityMap::new(labels, values, 8).unwrap();
    assert!(recall(&map, &known) > 0.7);
    // One in four stays beside its old neighbours' group by the odd shift.
    assert!(recall(&swapped, &known) < recall(&map, &known));
}

#[test]
fn random_maps_reach_chance() {
    let labels: Vec<String> = (0..400).map(|i| format!("G{i:04}")).collect();
    let known = planted(400, 2, 5, 0.0, 1).1;
    let map = EntityMap::new(labels, random_embeddings(400, 32, Seed::new(8)), 32).unwrap();
    let options = RecallOptions::default();
    let report = relationship_recall(&map, &[known], &options).unwrap();
    let chance = shuffled_recall(&map, &report, 20, Seed::new(2));
    for (threshold, expected) in [(0, 0.1), (1, 0.2)] {
        let found = report.sources[0].thresholds[threshold].recall.unwrap();
        assert!((found - expected).abs() < 0.05, "{found}");
        assert!((chance[0][threshold].unwrap().mean - expected).abs() < 0.02);
    }
    let rate = report.sources[0].true_positive_rate.unwrap();
    assert!((rate.on_roc_curve - 0.05).abs() < 0.03, "{rate:?}");
}

/// Maps drawn again and again from one source: the interval of most holds
/// the mean over maps.
#[test]
fn intervals_cover() {
    let options = RecallOptions {
        false_positive_rate: None,
        ..RecallOptions::default()
    };
    let mut found = Vec::new();
    for seed in 0..40 {
        let (map, known) = planted(48, 8, 4, 0.8, 1000 + seed);
        let report = relationship_recall(&map, &[known], &options).unwrap();
        let bootstrap = Bootstrap {
            num_resamples: 200,
            ..Bootstrap::new(Seed::new(seed))
        };
        let interval =
            recall_intervals(&map, &report, &options, &bootstrap).intervals[0][1].unwrap();
        found.push((report.sources[0].thresholds[1].recall.unwrap(), interval));
    }
    let mean = found.iter().map(|(recall, _)| recall).sum::<f64>() / found.len() as f64;
    let covered = found
        .iter()
        .filter(|(_, interval)| interval.contains(mean))
        .count();
    eprintln!(
        "intervals cover the mean recall {mean:.3} in {covered} of {}",
        found.len()
    );
    assert!(covered >= 34, "{covered} of {}", found.len());
}

#[test]
fn a_better_map_is_better_in_the_comparison() {
    let (weak, known) = planted(120, 8, 4, 0.3, 5);
    let (strong, _) = planted(120, 8, 4, 2.0, 5);
    let strong = reordered(&strong, Seed::new(1)).filter(|label| label != "G0000");
    let options = RecallOptions::default();
    let bootstrap = Bootstrap {
        num_resamples: 200,
        ..Bootstrap::new(Seed::new(1))
    };
    let found = compare_recall(&weak, &strong, &[known], &options, &bootstrap).unwrap();
    assert_eq!(found[0].num_entities, 119);
    assert_eq!(found[0].num_query, 177);
    let interval = found[0].interval.unwrap();
    assert!(
        interval.contains(found[0].difference) && interval.low > 0.0,
        "{:?}",
        found[0]
    );
}

#[test]
fn repeated_labels_matter_only_where_they_are_asked_for() {
    let (map, known) = planted(30, 4, 3, 1.0, 2);
    let values: Vec<f64> = (0..30)
        .flat_map(|row| map.direction(row).to_vec())
        .collect();
    let mut labels = map.labels().to_vec();
    labels[29] = "compound".into();
    labels[28] = "compound".into();
    let repeated = EntityMap::new(labels, values, 4).unwrap();
    let options = RecallOptions::default();
    let report = relationship_recall(&repeated, std::slice::from_ref(&known), &options).unwrap();
    assert_eq!((report.null.size, report.sources[0].num_query()), (435, 27));
    let asked = Relationships::new("doses", [("compound", "G0001")]);
    let error = relationship_recall(&repeated, &[asked], &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "entity 'compound' stands on rows 28 and 29 of the map and in a relationship of 'doses'; \
         aggregate the map to one row per entity"
    );
}

#[test]
fn small_maps_and_sources_without_pairs() {
    let (map, known) = planted(12, 4, 3, 1.0, 2);
    let error = relationship_recall(&map, &[known], &RecallOptions::default()).unwrap_err();
    assert!(matches!(
        error,
        BenchmarkError::TooFewEntities {
            found: 12,
            needed: 20
        }
    ));
    let (map, known) = planted(30, 4, 3, 1.0, 2);
    let stranger = Relationships::new("elsewhere", [("X", "Y")]);
    let options = RecallOptions::default();
    let report = relationship_recall(&map, &[stranger, known], &options).unwrap();
    assert_eq!(report.sources[0].thresholds[0].recall, None);
    assert_eq!(report.sources[0].true_positive_rate, None);
    assert_eq!(report.sources[1].num_query(), 30);
    let bootstrap = Bootstrap {
        num_resamples: 10,
        ..Bootstrap::new(Seed::new(1))
    };
    assert_eq!(
        recall_intervals(&map, &report, &options, &bootstrap).intervals[0],
        [None, None]
    );
}

#[test]
fn sampled_nulls_are_drawn_by_seed() {
    let (map, known) = planted(200, 6, 4, 1.0, 4);
    let null = RecallNull::draw_samples(&map, 150, Seed::new(3));
    assert_eq!(null, RecallNull::draw_samples(&map, 150, Seed::new(3)));
    assert_ne!(null, RecallNull::draw_samples(&map, 150, Seed::new(4)));
    let options = RecallOptions {
        null,
        ..RecallOptions::default()
    };
    let report = relationship_recall(&map, std::slice::from_ref(&known), &options).unwrap();
    assert!(report.null.size <= 150 * 150 && report.null.size > 140 * 150);
    let by_pairs = recall(&map, &known);
    let by_samples = report.sources[0].thresholds[0].recall.unwrap();
    assert!(
        (by_pairs - by_samples).abs() < 0.05,
        "{by_pairs} {by_samples}"
    );
}
