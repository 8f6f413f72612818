//! An alignment of a table of numbers, for comparing with other programs:
//!
//! ```sh
//! cargo run --release -p morphospace-map --example align -- METHOD TABLE.f32 BATCHES.u32
//! ```
//!
//! `TABLE.f32` holds the rows as 32-bit floats; `BATCHES.u32` for each twice the
//! number of its batch, and one more if it is a control; both little-endian.
//! Prints the seconds of fitting and applying, and the sum of the magnitudes of the
//! result.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use faer::MatRef;
use morphospace_map::{Align, AlignInput, AlignMethod, Aligner};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [method, table, batches] = &arguments[..] else {
        return Err("needs a METHOD, TABLE.f32 and BATCHES.u32".into());
    };
    let method: AlignMethod = method.parse()?;
    let values: Vec<f64> = words(table)?
        .into_iter()
        .map(|word| f64::from(f32::from_le_bytes(word)))
        .collect();
    let numbers: Vec<u32> = words(batches)?
        .into_iter()
        .map(u32::from_le_bytes)
        .collect();
    let batch: Vec<String> = numbers
        .iter()
        .map(|number| format!("{}", number / 2))
        .collect();
    let is_control: Vec<bool> = numbers.iter().map(|number| number % 2 == 1).collect();
    let num_features = values.len() / numbers.len().max(1);
    let values = MatRef::from_row_major_slice(&values, numbers.len(), num_features);

    let start = Instant::now();
    let input = AlignInput::new(values, &batch, &is_control)?;
    let aligned = method.fit(&input)?.transform(values, &batch)?;
    let seconds = start.elapsed().as_secs_f64();
    let magnitudes: f64 = aligned.values.iter().map(|value| value.abs()).sum();
    println!("{seconds:.3} s, sum of magnitudes {magnitudes:.6e}");
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
