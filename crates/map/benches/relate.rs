//! Relations of a random map of 17,000 genes and 384 features: the 10,000 nearest and
//! farthest of 144 million pairs, and a percent of them.
//!
//! `cargo bench -p morphospace-map --bench relate`

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use morphospace_core::Seed;
use morphospace_map::{RelateSettings, RelationLimit, RelationMap, Tails};
use rand::RngExt;

fn relations(criterion: &mut Criterion) {
    let (num_genes, num_features) = (17_000, 384);
    let mut rng = Seed::new(1).rng();
    let labels = (0..num_genes).map(|gene| format!("G{gene:05}")).collect();
    let values = (0..num_genes * num_features).map(|_| rng.random_range(-1.0..1.0));
    let map = RelationMap::new(labels, values.collect(), num_features).expect("directions");
    let mut group = criterion.benchmark_group("relations of 17000 x 384");
    group.sample_size(10);
    for (name, limit) in [
        ("10000 of each end", RelationLimit::Count(10_000)),
        ("1 percent of each end", RelationLimit::Percent(1.0)),
    ] {
        let settings = RelateSettings {
            tails: Tails::Both,
            limit,
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(map.relations(&[], &settings).expect("valid")));
        });
    }
    group.finish();
}

criterion_group!(benches, relations);
criterion_main!(benches);
