use std::f64::consts::TAU;

use morphospace_core::Seed;
use rand::RngExt;
use rand::seq::SliceRandom;

/// Random embeddings: independent N(0, 1), row-major
/// `[num_rows, num_features]`; the floor every score is compared with.
///
/// # Source
/// Kraus et al. 2023 (masked autoencoders), random baseline of the recall
/// tables. Row `r` draws from `seed.split_index(r)`.
///
/// # Example
/// ```
/// use morphospace_benchmark::random_embeddings;
/// use morphospace_core::Seed;
///
/// let values = random_embeddings(100, 64, Seed::new(1));
/// let mean = values.iter().sum::<f64>() / 6400.0;
/// assert!(mean.abs() < 0.05);
/// ```
pub fn random_embeddings(num_rows: usize, num_features: usize, seed: Seed) -> Vec<f64> {
    let mut values = Vec::with_capacity(num_rows * num_features);
    for row in 0..num_rows {
        let mut rng = seed.split_index(row as u64).rng();
        for _ in 0..num_features {
            // Box-Muller; 1 - u lies in (0, 1], whose logarithm is finite.
            let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
            values.push(radius * (TAU * rng.random::<f64>()).cos());
        }
    }
    values
}

/// The rows of a table in another order: every well has the embedding of some other,
/// row-major `[rows, num_features]`. What the embeddings know of batches and of how
/// far they lie apart stays, what they know of wells goes.
///
/// # Source
/// Kraus et al. 2023 (masked autoencoders), shuffled baseline.
///
/// # Panics
/// There are no features.
///
/// # Example
/// ```
/// use morphospace_benchmark::shuffled_rows;
/// use morphospace_core::Seed;
///
/// let shuffled = shuffled_rows(&[1.0, 2.0, 3.0, 4.0], 2, Seed::new(1));
/// assert!(shuffled == [1.0, 2.0, 3.0, 4.0] || shuffled == [3.0, 4.0, 1.0, 2.0]);
/// ```
pub fn shuffled_rows(values: &[f64], num_features: usize, seed: Seed) -> Vec<f64> {
    let mut rows: Vec<&[f64]> = values.chunks_exact(num_features).collect();
    rows.shuffle(&mut seed.rng());
    rows.concat()
}
