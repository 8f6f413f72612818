use rayon::prelude::*;

/// Rows that are summed up at a time. Part of the result: sums of floats
/// depend on their order, so it is fixed and not left to the threads.
const CHUNK_ROWS: usize = 2048;

/// Mean and variance of each column of a row-major matrix.
///
/// The variance divides by the number of rows (scikit-learn's
/// `StandardScaler`), is taken around the mean in a second pass, and is
/// corrected for the rounding of that mean.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moments {
    pub(crate) mean: Vec<f64>,
    pub(crate) variance: Vec<f64>,
    num_rows: usize,
}

impl Moments {
    /// # Panics
    /// There is no row.
    pub(crate) fn of(values: &[f64], num_columns: usize) -> Self {
        let num_rows = values.len() / num_columns;
        assert!(num_rows > 0, "moments of no rows");
        let n = num_rows as f64;
        let mut mean = sums(values, num_columns, 1, |row, sums| {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        });
        mean.iter_mut().for_each(|sum| *sum /= n);
        let both = sums(values, num_columns, 2, |row, sums| {
            let (rests, squares) = sums.split_at_mut(num_columns);
            for (((rest, square), value), mean) in rests.iter_mut().zip(squares).zip(row).zip(&mean)
            {
                let difference = value - mean;
                *rest += difference;
                *square += difference * difference;
            }
        });
        let (rests, squares) = both.split_at(num_columns);
        let variance = rests
            .iter()
            .zip(squares)
            .map(|(rest, square)| (square - rest * rest / n) / n);
        let variance = variance.map(|value| value.max(0.0)).collect();
        Self {
            mean,
            variance,
            num_rows,
        }
    }

    /// Moments that were taken elsewhere.
    pub(crate) fn from_parts(mean: Vec<f64>, variance: Vec<f64>, num_rows: usize) -> Self {
        Self {
            mean,
            variance,
            num_rows,
        }
    }

    /// What to divide each column by: its standard deviation, or 1 where the
    /// column does not vary beyond rounding (scikit-learn's
    /// `_is_constant_feature`).
    pub(crate) fn scale(&self) -> Vec<f64> {
        let n = self.num_rows as f64;
        self.mean
            .iter()
            .zip(&self.variance)
            .map(|(mean, &variance)| {
                let rounding = n * f64::EPSILON * variance + (n * mean * f64::EPSILON).powi(2);
                if variance <= rounding {
                    1.0
                } else {
                    variance.sqrt()
                }
            })
            .collect()
    }
}

/// Adds up `num_sums` numbers per column over all rows, chunk by chunk.
fn sums(
    values: &[f64],
    num_columns: usize,
    num_sums: usize,
    add: impl Fn(&[f64], &mut [f64]) + Sync,
) -> Vec<f64> {
    let partial: Vec<Vec<f64>> = values
        .par_chunks(CHUNK_ROWS * num_columns)
        .map(|chunk| {
            let mut sums = vec![0.0; num_sums * num_columns];
            chunk
                .chunks_exact(num_columns)
                .for_each(|row| add(row, &mut sums));
            sums
        })
        .collect();
    let mut total = vec![0.0; num_sums * num_columns];
    for sums in &partial {
        total
            .iter_mut()
            .zip(sums)
            .for_each(|(total, sum)| *total += sum);
    }
    total
}

/// The median; of an even count, the mean of the two middle values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    let half = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    if !is_even {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (lower + upper) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_a_hand_worked_table() {
        // Columns 1 2 3, 4 4 4 and 1e9 + {0, 3, 6}.
        let values = [1.0, 4.0, 1e9, 2.0, 4.0, 1e9 + 3.0, 3.0, 4.0, 1e9 + 6.0];
        let moments = Moments::of(&values, 3);
        assert_eq!(moments.mean, [2.0, 4.0, 1e9 + 3.0]);
        assert_eq!(moments.variance, [2.0 / 3.0, 0.0, 6.0]);
        assert_eq!(moments.scale(), [(2.0f64 / 3.0).sqrt(), 1.0, 6.0f64.sqrt()]);
    }

    #[test]
    fn a_column_that_varies_by_rounding_alone_is_constant() {
        let values: Vec<f64> = (0..1000)
            .map(|i| if i % 2 == 0 { 0.1 } else { 0.1 + 1e-17 })
            .collect();
        assert_eq!(Moments::of(&values, 1).scale(), [1.0]);
    }
}
