//! Tables that several tests take.

use faer::{Mat, MatRef};
use morphospace_core::Seed;
use morphospace_map::{AlignInput, Aligned};
use rand::RngExt;

/// A made-up screen: features that depend on each other, batches that are
/// shifted and stretched, every third row a negative control.
pub(crate) struct Screen {
    pub(crate) values: Mat<f64>,
    pub(crate) batch: Vec<String>,
    pub(crate) is_control: Vec<bool>,
}

impl Screen {
    pub(crate) fn new(num_rows: usize, num_features: usize, num_batches: usize, seed: u64) -> Self {
        let mut rng = Seed::new(seed).rng();
        let mut draw =
            |rows, columns| Mat::from_fn(rows, columns, |_, _| rng.random_range(-1.0..1.0f64));
        let mixing = draw(num_features, num_features);
        let shift = draw(num_batches, num_features);
        let mut values = draw(num_rows, num_features) * mixing;
        for row in 0..num_rows {
            let batch = row % num_batches;
            for feature in 0..num_features {
                values[(row, feature)] *= 1.0 + batch as f64 / 2.0;
                values[(row, feature)] += 3.0 * shift[(batch, feature)] + 10.0;
            }
        }
        Self {
            values,
            batch: (0..num_rows)
                .map(|row| format!("b{}", row % num_batches))
                .collect(),
            is_control: (0..num_rows)
                .map(|row| (row / num_batches).is_multiple_of(3))
                .collect(),
        }
    }

    pub(crate) fn input(&self) -> AlignInput<'_> {
        AlignInput::new(self.values.as_ref(), &self.batch, &self.is_control).unwrap()
    }

    /// The same rows in another order.
    pub(crate) fn permuted(&self, order: &[usize]) -> Self {
        Self {
            values: Mat::from_fn(order.len(), self.values.ncols(), |i, j| {
                self.values[(order[i], j)]
            }),
            batch: order.iter().map(|&row| self.batch[row].clone()).collect(),
            is_control: order.iter().map(|&row| self.is_control[row]).collect(),
        }
    }

    /// Aligned controls, of one batch or of all.
    pub(crate) fn controls(&self, aligned: &Aligned, batch: Option<&str>) -> Mat<f64> {
        let rows: Vec<usize> = (0..self.batch.len())
            .filter(|&row| self.is_control[row] && batch.is_none_or(|b| self.batch[row] == b))
            .collect();
        Mat::from_fn(rows.len(), aligned.num_features, |i, j| {
            aligned.row(rows[i])[j]
        })
    }
}

/// Mean of each column.
pub(crate) fn mean(rows: MatRef<'_, f64>) -> Vec<f64> {
    (0..rows.ncols())
        .map(|j| rows.col(j).iter().sum::<f64>() / rows.nrows() as f64)
        .collect()
}

/// Covariance of the columns, divided by the number of rows less `ddof`.
pub(crate) fn covariance(rows: MatRef<'_, f64>, ddof: usize) -> Mat<f64> {
    let mean = mean(rows);
    let centred = Mat::from_fn(rows.nrows(), rows.ncols(), |i, j| rows[(i, j)] - mean[j]);
    let sum = centred.transpose() * &centred;
    sum * faer::Scale(1.0 / (rows.nrows() - ddof) as f64)
}

/// Cosine between every two rows; a row of length zero has cosine 0 with
/// all.
pub(crate) fn cosines(rows: &[&[f64]]) -> Vec<f64> {
    let norm = |row: &[f64]| row.iter().map(|v| v * v).sum::<f64>().sqrt();
    let mut result = Vec::with_capacity(rows.len() * rows.len());
    for a in rows {
        for b in rows {
            let lengths = norm(a) * norm(b);
            let dot: f64 = a.iter().zip(*b).map(|(a, b)| a * b).sum();
            result.push(if lengths == 0.0 { 0.0 } else { dot / lengths });
        }
    }
    result
}
