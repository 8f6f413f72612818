//! Recall of known relationships in a map of entities, for comparing with other
//! programs:
//!
//! ```sh
//! cargo run --release -p morphospace-benchmark --example recall -- TABLE.f32 ENTITIES.txt SOURCE...
//! ```
//!
//! `TABLE.f32` holds the rows as 32-bit floats, little-endian, `ENTITIES.txt` the
//! label of each in a line; the sources are files with the header `entity1,entity2`.
//! Prints the seconds, with reading of the sources, and recall at 5 and 95 per cent.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use morphospace_benchmark::{EntityMap, RecallOptions, read_sources, relationship_recall};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [table, entities, sources @ ..] = &arguments[..] else {
        return Err("needs TABLE.f32, ENTITIES.txt and sources".into());
    };
    let labels = std::fs::read_to_string(entities)?;
    let labels: Vec<String> = labels.lines().map(str::to_owned).collect();
    let values: Vec<f64> = std::fs::read(table)?
        .chunks_exact(4)
        .map(|word| f64::from(f32::from_le_bytes(word.try_into().expect("four bytes"))))
        .collect();
    let num_features = values.len() / labels.len().max(1);

    let start = Instant::now();
    let map = EntityMap::new(labels, values, num_features)?;
    let sources = read_sources(sources)?;
    let report = relationship_recall(&map, &sources, &RecallOptions::default())?;
    let seconds = start.elapsed().as_secs_f64();
    let recalls: Vec<String> = report
        .sources
        .iter()
        .filter_map(|source| source.thresholds.first()?.recall)
        .map(|recall| format!("{recall:.4}"))
        .collect();
    println!("{seconds:.3} s, recall {}", recalls.join(", "));
    Ok(())
}
