//! Sites drawn per second on one core: in memory, and with the six PNGs.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use morphospace_screen::simulator::{SimulatorConfig, draw_site, simulate};

fn simulator(criterion: &mut Criterion) {
    let config = SimulatorConfig {
        experiments: vec!["HUVEC-01".into()],
        num_plates: 1,
        num_replicates: 1,
        num_groups: 2,
        num_negative_controls: 4,
        num_positive_controls: 0,
        ..SimulatorConfig::default()
    };
    let screen = config.check().expect("valid");
    let one_core = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread");
    let mut group = criterion.benchmark_group("simulator, 6 channels of 256 px");
    group.sample_size(10);

    group.throughput(Throughput::Elements(1));
    let mut well_index = 0;
    group.bench_function("draw a site", |bencher| {
        bencher.iter(|| {
            well_index = (well_index + 1) % screen.wells().len();
            draw_site(&screen, well_index, 1)
        });
    });

    group.throughput(Throughput::Elements(config.num_sites_in_total() as u64));
    group.bench_function("draw and write a plate, one core", |bencher| {
        bencher.iter_with_large_drop(|| {
            let folder = tempfile::tempdir().expect("a folder");
            let written = one_core.install(|| simulate(&screen, folder.path(), &|_, _| {}));
            (folder, written.expect("written"))
        });
    });
}

criterion_group!(benches, simulator);
criterion_main!(benches);
