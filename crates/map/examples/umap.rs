//! The map of a table of numbers, for comparing with other programs:
//!
//! ```sh
//! cargo run --release -p morphospace-map --example umap -- TABLE.f32 NUM_FEATURES MAP.f32 [SETTINGS]
//! ```
//!
//! `TABLE.f32` holds the rows as 32-bit floats, little-endian; so does
//! `MAP.f32`, two numbers a row. `SETTINGS` is a line of TOML such as
//! `metric = "cosine"`. Prints the seconds for reading and for the map.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use faer::Mat;
use morphospace_core::Seed;
use morphospace_map::Umap;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [table, num_features, map, settings @ ..] = &arguments[..] else {
        return Err("needs TABLE.f32, NUM_FEATURES and MAP.f32".into());
    };
    let settings: Umap = toml::from_str(&settings.join("\n"))?;
    let num_features: usize = num_features.parse()?;
    let start = Instant::now();
    let bytes = std::fs::read(table)?;
    let value = |index: usize| {
        let bytes = bytes[4 * index..][..4].try_into();
        f64::from(f32::from_le_bytes(bytes.expect("four bytes")))
    };
    let num_rows = bytes.len() / 4 / num_features;
    let values = Mat::from_fn(num_rows, num_features, |row, feature| {
        value(row * num_features + feature)
    });
    let reading = start.elapsed();
    let start = Instant::now();
    let found = settings.embed(values.as_ref(), Seed::new(1))?;
    println!(
        "reading {:.3} s, map {:.3} s",
        reading.as_secs_f64(),
        start.elapsed().as_secs_f64()
    );
    let mut bytes = Vec::new();
    for row in 0..num_rows {
        for component in 0..found.ncols() {
            bytes.extend((found[(row, component)] as f32).to_le_bytes());
        }
    }
    std::fs::write(map, bytes)?;
    Ok(())
}
