//! Phenoprints of 100 experiments of 1,000 wells and 384 features: 200 conditions of
//! three to seven wells in each.
//!
//! `cargo bench -p morphospace-benchmark --bench phenoprints`

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use morphospace_benchmark::{ConsistencyForm, PhenoprintSettings, phenoprints, random_embeddings};
use morphospace_core::Seed;
use morphospace_profiles::{Column, Features, Profiles};

const NUM_EXPERIMENTS: usize = 100;
const NUM_WELLS: usize = 1_000;
const NUM_FEATURES: usize = 384;

/// Conditions of 3, 4, 5, 6 and 7 wells in turn: 40 times 25 wells.
fn conditions() -> Vec<String> {
    let of_condition = |index: usize| vec![format!("G{index:03}"); 3 + index % 5];
    (0..NUM_WELLS / 5).flat_map(of_condition).collect()
}

fn tests(criterion: &mut Criterion) {
    let num_rows = NUM_EXPERIMENTS * NUM_WELLS;
    let experiments: Vec<String> = (0..num_rows)
        .map(|row| format!("E-{}", row / NUM_WELLS))
        .collect();
    let values = random_embeddings(num_rows, NUM_FEATURES, Seed::new(1));
    let values = values.into_iter().map(|value| value as f32).collect();
    let profiles = Profiles::new(
        vec![
            ("Metadata_Batch".to_owned(), Column::from(experiments)),
            (
                "Metadata_control_role".to_owned(),
                Column::from(vec!["treatment"; num_rows]),
            ),
            (
                "Metadata_treatment".to_owned(),
                Column::from(vec![conditions(); NUM_EXPERIMENTS].concat()),
            ),
        ],
        (0..NUM_FEATURES).map(|i| format!("feature_{i}")).collect(),
        Features::F32(values),
    )
    .expect("a table");
    let mut group = criterion.benchmark_group("phenoprints 100 x 1000 x 384, 5000 draws");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(20));
    for form in [ConsistencyForm::AllPairs, ConsistencyForm::MeanAngle] {
        let settings = PhenoprintSettings {
            form,
            ..PhenoprintSettings::default()
        };
        group.bench_function(form.as_str(), |bencher| {
            bencher.iter(|| phenoprints(&profiles, &settings).expect("replicates"));
        });
    }
    group.finish();
}

criterion_group!(benches, tests);
criterion_main!(benches);
