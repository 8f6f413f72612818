//! Alignment of 20,000 wells of 384 features in 20 batches, a fifth of them
//! negative controls: `cargo bench -p morphospace-map`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use faer::MatRef;
use morphospace_core::Seed;
use morphospace_map::{Align, AlignInput, AlignMethod, Aligner};
use rand::RngExt;

fn align(criterion: &mut Criterion) {
    let rows: usize = read_or("MORPHOSPACE_BENCH_ROWS", 20_000);
    let batches: usize = read_or("MORPHOSPACE_BENCH_BATCHES", 20);
    let features = 384;
    let mut rng = Seed::new(1).rng();
    let shared: Vec<f64> = (0..features).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut values = Vec::with_capacity(rows * features);
    for _ in 0..rows {
        let common: f64 = rng.random_range(-1.0..1.0);
        values.extend(
            shared
                .iter()
                .map(|s| s * common + rng.random_range(-1.0..1.0)),
        );
    }
    let batch: Vec<String> = (0..rows)
        .map(|row| format!("batch {}", row % batches))
        .collect();
    let is_control: Vec<bool> = (0..rows)
        .map(|row| (row / batches).is_multiple_of(5))
        .collect();
    let values = MatRef::from_row_major_slice(&values, rows, features);
    let input = AlignInput::new(values, &batch, &is_control).unwrap();

    let mut group =
        criterion.benchmark_group(format!("align {rows} x {features}, {batches} batches"));
    group.sample_size(10);
    for name in [
        "tvn",
        "pca_center_scale",
        "center_scale",
        "coral",
        "combat",
        "harmony",
    ] {
        let mut method: AlignMethod = name.parse().unwrap();
        if let AlignMethod::Harmony(harmony) = &mut method {
            // As it is run in practice.
            harmony.num_components = 50;
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let fitted = method.fit(&input).unwrap();
                black_box(fitted.transform(input.values, input.batch).unwrap())
            });
        });
    }
    group.finish();
}

fn read_or(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

criterion_group!(benches, align);
criterion_main!(benches);
