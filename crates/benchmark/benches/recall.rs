//! Recall in random maps: 5,000 genes with 20,000 known pairs, and 17,000
//! genes with five sources of 60,000.
//!
//! `cargo bench -p morphospace-benchmark --bench recall`

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use morphospace_benchmark::{
    EntityMap, RecallOptions, Relationships, random_embeddings, relationship_recall,
};
use morphospace_core::Seed;
use rand::RngExt;

fn recall(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recall");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    for (num_genes, num_sources, num_pairs) in [(5_000, 1, 20_000), (17_000, 5, 60_000)] {
        let labels: Vec<String> = (0..num_genes).map(|i| format!("G{i}")).collect();
        let sources: Vec<Relationships> = (0..num_sources)
            .map(|source| {
                let mut rng = Seed::new(2).split_index(source).rng();
                let pairs: Vec<(String, String)> = (0..num_pairs)
                    .map(|_| {
                        let mut draw = || labels[rng.random_range(0..labels.len())].clone();
                        (draw(), draw())
                    })
                    .collect();
                Relationships::new(format!("random {source}"), pairs)
            })
            .collect();
        let values = random_embeddings(num_genes, 128, Seed::new(1));
        let map = EntityMap::new(labels, values, 128).expect("finite");
        let name = format!("{num_genes} genes x 128, {num_sources} x {num_pairs} pairs");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                relationship_recall(&map, &sources, &RecallOptions::default()).expect("valid")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, recall);
criterion_main!(benches);
