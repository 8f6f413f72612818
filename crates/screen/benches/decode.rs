//! Sites per second from six 512 x 512 PNGs to standardised 256-pixel tiles,
//! on one thread.
//!
//! `cargo bench -p morphospace-screen --bench decode`

use std::hint::black_box;
use std::io::BufWriter;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use morphospace_core::Seed;
use morphospace_screen::{
    OnIncomplete, ReadSite, Rxrx1Screen, Screen, SelfStandardisation, Tiling, read_site,
};
use rand::Rng;

/// Smooth blobs with shot noise, which compress about as well as real fields
/// (150 to 200 kB each).
fn textured(channel: u64) -> Vec<u8> {
    let mut rng = Seed::new(11).split_index(channel).rng();
    (0..512 * 512)
        .map(|pixel| {
            let (y, x) = ((pixel / 512) as f64, (pixel % 512) as f64);
            let blobs = (x / 17.0).sin() * (y / 23.0).cos() + (x / 61.0 + y / 41.0).sin();
            let noise = (rng.next_u32() % 17) as f64;
            (40.0 + 25.0 * blobs + noise).clamp(0.0, 255.0) as u8
        })
        .collect()
}

fn write_site(root: &Path) {
    let folder = root.join("images/HUVEC-01/Plate1");
    std::fs::create_dir_all(&folder).expect("folders");
    let table = "experiment,plate,well,site,well_type\nHUVEC-01,1,B02,1,negative_control\n";
    std::fs::write(root.join("metadata.csv"), table).expect("a table");
    for channel in 1..=6 {
        let path = folder.join(format!("B02_s1_w{channel}.png"));
        let file = std::fs::File::create(path).expect("a file");
        let mut encoder = png::Encoder::new(BufWriter::new(file), 512, 512);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().expect("a header");
        writer.write_image_data(&textured(channel)).expect("pixels");
    }
}

fn decode_and_standardise(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    write_site(folder.path());
    let screen = Rxrx1Screen::open(folder.path()).expect("opens");
    let read = || match read_site(&screen, 0, OnIncomplete::Fail).expect("whole") {
        ReadSite::Image(image) => image,
        ReadSite::Skipped(_) => unreachable!("the site is complete"),
    };
    let plan = Tiling::default().plan(512, 512).expect("fits");
    let mut output = vec![0.0f32; screen.channels().len() * 256 * 256];

    let mut group = criterion.benchmark_group("site_6x512x512");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode", |bencher| bencher.iter(|| black_box(read())));
    let image = read();
    group.bench_function("standardise_4_tiles", |bencher| {
        bencher.iter(|| {
            for &tile in plan.tiles() {
                image.crop_into(tile, SelfStandardisation::InstanceNorm, &mut output);
                black_box(&output);
            }
        });
    });
    group.bench_function("decode_and_standardise", |bencher| {
        bencher.iter(|| {
            let image = read();
            for &tile in plan.tiles() {
                image.crop_into(tile, SelfStandardisation::InstanceNorm, &mut output);
                black_box(&output);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, decode_and_standardise);
criterion_main!(benches);
