//! A linear probe of a table of numbers, for comparing with other programs:
//!
//! ```sh
//! cargo run --release -p morphospace-benchmark --example probe -- TABLE.f32 LABELS.u32
//! ```
//!
//! `TABLE.f32` holds the rows as 32-bit floats, `LABELS.u32` a class from 0 for
//! each, both little-endian. Prints the seconds of fitting, the objective at its
//! end, the largest entry of its gradient and the iterations.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use morphospace_benchmark::{LinearProbe, LogisticRegression};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [table, labels] = &arguments[..] else {
        return Err("needs TABLE.f32 and LABELS.u32".into());
    };
    let values: Vec<f64> = words(table)?
        .into_iter()
        .map(|bytes| f64::from(f32::from_le_bytes(bytes)))
        .collect();
    let labels: Vec<usize> = words(labels)?
        .into_iter()
        .map(|bytes| u32::from_le_bytes(bytes) as usize)
        .collect();
    let num_classes = labels.iter().max().map_or(0, |largest| largest + 1);
    let num_features = values.len() / labels.len().max(1);
    let start = Instant::now();
    let settings = LogisticRegression::default();
    let probe = LinearProbe::fit(&settings, &values, num_features, &labels, num_classes)?;
    println!(
        "{:.3} s, objective {:.6}, gradient {:.1e}, {} iterations",
        start.elapsed().as_secs_f64(),
        probe.classifier.objective,
        probe.classifier.max_abs_gradient,
        probe.classifier.num_iterations,
    );
    Ok(())
}

/// The four-byte words of a file.
fn words(path: &str) -> std::io::Result<Vec<[u8; 4]>> {
    let bytes = std::fs::read(path)?;
    Ok(bytes
        .chunks_exact(4)
        .map(|word| word.try_into().expect("four bytes"))
        .collect())
}
