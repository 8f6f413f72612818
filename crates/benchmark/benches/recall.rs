//! Recall of 20,000 known pairs in a random map of 5,000 genes x 128.
//!
//! `cargo bench -p morphospace-benchmark --bench recall`

use criterion::{Criterion, criterion_group, criterion_main};
use morphospace_benchmark::{
    EntityMap, RecallOptions, Relationships, random_embeddings, relationship_recall,
};
use morphospace_core::Seed;
use rand::RngExt;

fn recall(criterion: &mut Criterion) {
    let labels: Vec<String> = (0..5000).map(|i| format!("G{i}")).collect();
    let mut rng = Seed::new(2).rng();
    let pairs: Vec<(String, String)> = (0..20_000)
        .map(|_| {
            let mut draw = || labels[rng.random_range(0..labels.len())].clone();
            (draw(), draw())
        })
        .collect();
    let known = Relationships::new("random", pairs);
    let values = random_embeddings(labels.len(), 128, Seed::new(1));
    let map = EntityMap::new(labels, values, 128).expect("finite");
    let mut group = criterion.benchmark_group("recall");
    group.sample_size(10);
    group.bench_function("5000 genes x 128, 20k pairs", |bencher| {
        bencher.iter(|| {
            relationship_recall(
                &map,
                std::slice::from_ref(&known),
                &RecallOptions::default(),
            )
            .expect("a valid map")
        });
    });
    group.finish();
}

criterion_group!(benches, recall);
criterion_main!(benches);
