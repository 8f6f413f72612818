//! A table of any size, written piece by piece, to see what memory commands take:
//!
//! ```sh
//! cargo run --release -p morphospace-profiles --example large_table -- ROWS FEATURES TABLE.parquet
//! /usr/bin/time -v morphospace align TABLE.parquet --method tvn --memory 200 --output aligned.parquet
//! ```
//!
//! Wells on plates of 384, an eighth of them controls, fifty plates to a batch.

use std::error::Error;
use std::path::Path;

use morphospace_profiles::{Column, Features, Profiles, ProfilesWriter};

const ROWS_AT_ONCE: usize = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [num_rows, num_features, path] = &arguments[..] else {
        return Err("needs ROWS, FEATURES and TABLE.parquet".into());
    };
    let (num_rows, num_features): (usize, usize) = (num_rows.parse()?, num_features.parse()?);
    let mut writer = ProfilesWriter::begin(Path::new(path))?;
    let mut state = 1_u64;
    for first in (0..num_rows).step_by(ROWS_AT_ONCE) {
        let rows = first..num_rows.min(first + ROWS_AT_ONCE);
        let text = |of: fn(usize) -> String| -> Column {
            Column::from(rows.clone().map(of).collect::<Vec<String>>())
        };
        let role = |row: usize| row.is_multiple_of(8).then(|| "negative_control".to_owned());
        let roles: Vec<Option<String>> = rows.clone().map(role).collect();
        let values = (0..rows.len() * num_features).map(|_| {
            // Any numbers will do: xorshift64 (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 24) as f32
        });
        let values = Features::F32(values.collect());
        let names = (0..num_features).map(|feature| format!("feature_{feature}"));
        writer.append(&Profiles::new(
            vec![
                (
                    "Metadata_Batch".into(),
                    text(|row| format!("B{}", row / 384 / 50)),
                ),
                (
                    "Metadata_Plate".into(),
                    text(|row| format!("P{}", row / 384)),
                ),
                (
                    "Metadata_gene".into(),
                    text(|row| format!("G{}", row % 5_000)),
                ),
                ("Metadata_control_role".into(), Column::Text(roles)),
            ],
            names.collect(),
            values,
        )?)?;
    }
    writer.finish()?;
    Ok(())
}
