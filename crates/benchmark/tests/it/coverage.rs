//! Whether 95 % intervals cover what they are to cover: 500 simulated maps each, drawn
//! from the same population, whose true score is the mean over many more.

use morphospace_benchmark::{
    Bootstrap, EntityMap, Interval, RecallOptions, Relationships, ReplicateNull, WellTable,
    compare_recall, random_embeddings, recall_intervals, relationship_recall,
    replicate_consistency, replicate_consistency_interval,
};
use morphospace_core::Seed;
use rand::RngExt;
use rayon::prelude::*;

const NUM_MAPS: u64 = 500;
/// Maps that the truth is the mean of.
const NUM_TRUTH: u64 = 4_000;

/// A score of map `index`, and its interval if asked for.
type Simulated<'a> = &'a (dyn Fn(Seed, bool) -> (f64, Option<Interval>) + Sync);

/// Checks the share of maps whose interval holds the truth, in per cent.
fn check(what: &str, simulate: Simulated<'_>) {
    let seed = Seed::new(20).split(what);
    let truth: f64 = (0..NUM_TRUTH)
        .into_par_iter()
        .map(|map| simulate(seed.split("truth").split_index(map), false).0)
        .sum::<f64>()
        / NUM_TRUTH as f64;
    let covered = (0..NUM_MAPS)
        .into_par_iter()
        .filter(|&map| {
            let (_, interval) = simulate(seed.split_index(map), true);
            interval.unwrap().contains(truth)
        })
        .count();
    let percent = 100.0 * covered as f64 / NUM_MAPS as f64;
    eprintln!("{what}: the truth is {truth:.4}, {percent} % of intervals cover it");
    assert!((90.0..=99.0).contains(&percent), "{what}: {percent} %");
}

fn bootstrap(seed: Seed) -> Bootstrap {
    Bootstrap {
        num_resamples: 200,
        ..Bootstrap::new(seed)
    }
}

#[test]
fn of_means_over_perturbations() {
    check("mean over perturbations", &|seed, _| {
        let mut rng = seed.rng();
        // As skewed as average precisions are.
        let values: Vec<f64> = (0..80).map(|_| rng.random::<f64>().powi(3)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let interval = bootstrap(seed.split("bootstrap")).interval_of_mean(&values);
        (mean, interval)
    });
}

/// A map of 96 genes in complexes of some size, of which some hold together strongly,
/// and the pairs within complexes.
fn map_of_complexes(size: usize, seed: Seed) -> (EntityMap, Relationships) {
    let num_genes = 96;
    let mut rng = seed.rng();
    let shared = random_embeddings(num_genes / size, 12, seed.split("shared"));
    let mut values = random_embeddings(num_genes, 12, seed.split("own"));
    for (of_complex, shared) in values.chunks_mut(12 * size).zip(shared.chunks(12)) {
        let strength = 1.5 * rng.random::<f64>();
        for gene in of_complex.chunks_mut(12) {
            for (x, shared) in gene.iter_mut().zip(shared) {
                *x += strength * shared;
            }
        }
    }
    let name = |gene: usize| format!("G{gene:02}");
    let pairs = (0..num_genes).flat_map(|gene| {
        let partners = gene + 1..(gene / size + 1) * size;
        partners.map(move |partner| (name(gene), name(partner)))
    });
    let known = Relationships::new("planted", pairs);
    let map = EntityMap::new((0..num_genes).map(name).collect(), values, 12);
    (map.unwrap(), known)
}

fn check_recall(what: &str, size: usize) {
    check(what, &|seed, wanted| {
        let (map, known) = map_of_complexes(size, seed);
        let options = RecallOptions {
            thresholds: vec![(0.1, 0.9)],
            false_positive_rate: None,
            ..RecallOptions::default()
        };
        let report = relationship_recall(&map, &[known], &options).unwrap();
        let recall = report.sources[0].thresholds[0].recall.unwrap();
        let interval = wanted.then(|| {
            let bootstrap = bootstrap(seed.split("bootstrap"));
            recall_intervals(&map, &report, &options, &bootstrap).intervals[0][0].unwrap()
        });
        (recall, interval)
    });
}

#[test]
fn of_recall_of_pairs_that_share_no_entity() {
    check_recall("recall of separate pairs", 2);
}

#[test]
fn of_recall_of_complexes() {
    check_recall("recall of complexes", 4);
}

#[test]
fn of_differences_of_recall() {
    check("difference of recall", &|seed, wanted| {
        let (map, known) = map_of_complexes(3, seed);
        let noise = random_embeddings(96, 12, seed.split("noise"));
        let noisy = (0..96).flat_map(|row| {
            let row = map.direction(row).iter().zip(&noise[12 * row..]);
            row.map(|(x, noise)| x + 0.1 * noise).collect::<Vec<f64>>()
        });
        let noisy = EntityMap::new(map.labels().to_vec(), noisy.collect(), 12).unwrap();
        let options = RecallOptions {
            thresholds: vec![(0.1, 0.9)],
            false_positive_rate: None,
            ..RecallOptions::default()
        };
        let bootstrap = Bootstrap {
            num_resamples: if wanted { 200 } else { 2 },
            ..Bootstrap::new(seed.split("bootstrap"))
        };
        let found = compare_recall(&map, &noisy, &[known], &options, &bootstrap).unwrap();
        (found[0].difference, found[0].interval)
    });
}

#[test]
fn of_replicate_consistency_over_perturbations() {
    let num_perturbations = 100;
    check("replicate consistency", &|seed, wanted| {
        let mut rng = seed.rng();
        let effects = random_embeddings(num_perturbations, 8, seed.split("effects"));
        let noise = random_embeddings(2 * num_perturbations, 8, seed.split("noise"));
        let strengths: Vec<f64> = (0..num_perturbations)
            .map(|_| 2.0 * rng.random::<f64>())
            .collect();
        let values = noise.iter().enumerate().map(|(at, x)| {
            let (row, feature) = (at / 8, at % 8);
            let perturbation = row % num_perturbations;
            x + strengths[perturbation] * effects[perturbation * 8 + feature]
        });
        let names: Vec<String> = (0..2 * num_perturbations)
            .map(|row| format!("P{}", row % num_perturbations))
            .collect();
        let experiments = (0..2 * num_perturbations)
            .map(|row| ["a", "b"][row / num_perturbations].to_owned())
            .collect();
        let profiles = EntityMap::new(names.clone(), values.collect(), 8).unwrap();
        let wells = WellTable::new(experiments, names, profiles).unwrap();
        let null = ReplicateNull::Drawn(seed.split("null"));
        let pairs = [("a".to_owned(), "b".to_owned())];
        let found = replicate_consistency(&wells, &pairs, &null).unwrap();
        let interval = wanted.then(|| {
            replicate_consistency_interval(&found, &bootstrap(seed.split("bootstrap"))).unwrap()
        });
        (found.median_kolmogorov_smirnov, interval)
    });
}
