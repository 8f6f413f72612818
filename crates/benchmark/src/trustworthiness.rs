use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

use crate::{BenchmarkError, Metric};

/// Rows whose distances are taken together.
const BLOCK_ROWS: usize = 256;

/// How far the neighbours of a map are neighbours in the table it was made
/// from: 1 where all are, less the lower the others rank in the table, and
/// about 0.5 for a map at random.
///
/// `1 - 2 / (n k (2n - 3k - 1)) sum (rank - k)` over the `k` nearest rows on
/// the map that are not among the `k` nearest in the table. Distances on the
/// map are Euclidean. Of rows equally far the first ranks first.
///
/// # Shapes
/// - `rows`: row-major `[n, num_features]`
/// - `map`: row-major `[n, num_components]`
///
/// # Errors
/// [`BenchmarkError::WrongNumberOfValues`]: a last row is not whole, or the
/// map is of other rows. [`BenchmarkError::TooFewValues`]: `k` is half of the
/// rows or more, beyond which the number says nothing.
/// [`BenchmarkError::NotFinite`] names the row.
///
/// # Source
/// Venna & Kaski 2001, <https://doi.org/10.1007/3-540-44668-0_68>;
/// scikit-learn 1.9 `manifold.trustworthiness`.
///
/// # Example
/// ```
/// use morphospace_benchmark::{Metric, trustworthiness};
///
/// // Along a line, the map is the first feature.
/// let rows = [0.0, 0.1, 1.0, 0.0, 2.5, 0.1, 4.5, 0.0, 7.0, 0.1];
/// let map = [0.0, 1.0, 2.5, 4.5, 7.0];
/// let found = trustworthiness(&rows, 2, &map, 1, 2, Metric::Euclidean)?;
/// assert_eq!(found, 1.0);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn trustworthiness(
    rows: &[f64],
    num_features: usize,
    map: &[f64],
    num_components: usize,
    num_neighbours: usize,
    metric: Metric,
) -> Result<f64, BenchmarkError> {
    BenchmarkError::check_whole_rows(rows, num_features)?;
    BenchmarkError::check_whole_rows(map, num_components)?;
    let num_rows = rows.len() / num_features;
    if map.len() != num_rows * num_components {
        return Err(BenchmarkError::WrongNumberOfValues {
            num_labels: num_rows,
            num_features: num_components,
            expected: num_rows * num_components,
            found: map.len(),
        });
    }
    if num_neighbours == 0 || num_rows <= 2 * num_neighbours {
        return Err(BenchmarkError::TooFewValues {
            what: "trustworthiness",
            needed: 2 * num_neighbours.max(1) + 1,
            found: num_rows,
        });
    }
    for (name, values, width) in [("table", rows, num_features), ("map", map, num_components)] {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(BenchmarkError::NotFinite {
                label: name.to_owned(),
                row: index / width,
                feature: index % width,
                value: values[index],
            });
        }
    }
    let table = Squares::new(rows, num_features, metric);
    let map = Squares::new(map, num_components, Metric::Euclidean);
    let num_blocks = num_rows.div_ceil(BLOCK_ROWS);
    // Ranks are whole numbers: their sum does not depend on its order.
    let excess: u64 = (0..num_blocks)
        .into_par_iter()
        .map(|block| {
            let start = block * BLOCK_ROWS;
            let len = BLOCK_ROWS.min(num_rows - start);
            let (in_table, on_map) = (table.distances(start, len), map.distances(start, len));
            (0..len)
                .map(|offset| {
                    excess_of_row(
                        start + offset,
                        in_table.col_as_slice(offset),
                        on_map.col_as_slice(offset),
                        num_neighbours,
                    )
                })
                .sum::<u64>()
        })
        .sum();
    let (n, k) = (num_rows as f64, num_neighbours as f64);
    Ok(1.0 - excess as f64 * 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)))
}

/// How far beyond `num_neighbours` the nearest on the map rank in the table,
/// summed.
fn excess_of_row(row: usize, in_table: &[f64], on_map: &[f64], num_neighbours: usize) -> u64 {
    let mut others: Vec<usize> = (0..on_map.len()).filter(|other| *other != row).collect();
    let nearer = |a: &usize, b: &usize| on_map[*a].total_cmp(&on_map[*b]).then(a.cmp(b));
    others.select_nth_unstable_by(num_neighbours - 1, nearer);
    let ranks = others[..num_neighbours].iter().map(|neighbour| {
        let own = in_table[*neighbour];
        let nearer = in_table.iter().enumerate().filter(|(other, distance)| {
            let is_nearer = **distance < own || (**distance == own && other < neighbour);
            is_nearer && *other != row
        });
        nearer.count() as u64 + 1
    });
    ranks
        .map(|rank| rank.saturating_sub(num_neighbours as u64))
        .sum()
}

/// Rows ready for squared distances by inner products.
struct Squares {
    rows: Vec<f64>,
    num_features: usize,
    norms: Vec<f64>,
}

impl Squares {
    fn new(rows: &[f64], num_features: usize, metric: Metric) -> Self {
        let mut rows = rows.to_vec();
        let num_rows = rows.len() / num_features;
        match metric {
            // Centred, as inner products round by the distance from 0.
            Metric::Euclidean => {
                let mut means = vec![0.0; num_features];
                for row in rows.chunks_exact(num_features) {
                    for (mean, value) in means.iter_mut().zip(row) {
                        *mean += value / num_rows as f64;
                    }
                }
                for row in rows.chunks_exact_mut(num_features) {
                    for (value, mean) in row.iter_mut().zip(&means) {
                        *value -= mean;
                    }
                }
            }
            Metric::Cosine => {
                for row in rows.chunks_exact_mut(num_features) {
                    let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
                    let length = if length > 0.0 { length } else { 1.0 };
                    row.iter_mut().for_each(|value| *value /= length);
                }
            }
        }
        let norm = |row: &[f64]| row.iter().map(|value| value * value).sum();
        let norms = rows.chunks_exact(num_features).map(norm).collect();
        Self {
            rows,
            num_features,
            norms,
        }
    }

    /// Squared distances of all rows, down, to `len` from `start` on, across.
    fn distances(&self, start: usize, len: usize) -> Mat<f64> {
        let rows = MatRef::from_row_major_slice(&self.rows, self.norms.len(), self.num_features);
        let mut distances = Mat::zeros(rows.nrows(), len);
        matmul(
            distances.as_mut(),
            Accum::Replace,
            rows,
            rows.subrows(start, len).transpose(),
            -2.0,
            Par::Seq,
        );
        for column in 0..len {
            let own = self.norms[start + column];
            let column = distances.col_as_slice_mut(column);
            for (distance, norm) in column.iter_mut().zip(&self.norms) {
                *distance += own + norm;
            }
        }
        distances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [f64; 16] = [
        0.0, 0.0, 1.0, 0.0, 2.0, 0.5, 4.0, 0.0, 7.0, 1.0, 11.0, 0.0, 16.0, 2.0, 22.0, 0.0,
    ];
    const MAP: [f64; 8] = [0.0, 1.0, 9.0, 2.0, 4.0, 3.0, 8.0, 7.0];

    #[test]
    fn numbers_are_those_of_scikit_learn() {
        // sklearn.manifold.trustworthiness 1.9.1 of the same numbers.
        for (k, expected) in [
            (1, 0.729_166_666_666_666_7),
            (2, 0.708_333_333_333_333_3),
            (3, 0.694_444_444_444_444_4),
        ] {
            let found = trustworthiness(&ROWS, 2, &MAP, 1, k, Metric::Euclidean).expect("valid");
            assert!((found - expected).abs() < 1e-15, "{k}: {found}");
        }
    }

    #[test]
    fn a_map_is_true_to_itself_and_not_to_its_reverse() {
        let same = trustworthiness(&ROWS, 2, &ROWS, 2, 3, Metric::Euclidean).expect("valid");
        assert_eq!(same, 1.0);
        // Angles rise with the row, lengths do not matter.
        let rows: Vec<f64> = (0..20)
            .flat_map(|row| {
                let angle = f64::from(row) * 0.05;
                let length = f64::from(1 + row * 7 % 5);
                [length * angle.cos(), length * angle.sin()]
            })
            .collect();
        let map: Vec<f64> = (0..20).map(f64::from).collect();
        let by_angle = trustworthiness(&rows, 2, &map, 1, 2, Metric::Cosine).expect("valid");
        assert!(by_angle > 0.99, "{by_angle}");
        let by_place = trustworthiness(&rows, 2, &map, 1, 2, Metric::Euclidean).expect("valid");
        assert!(by_place < by_angle, "{by_place}");
    }

    #[test]
    fn what_is_no_map_of_the_table_is_refused() {
        let found = |rows: &[f64], map: &[f64], k| {
            trustworthiness(rows, 2, map, 1, k, Metric::Euclidean).expect_err("refused")
        };
        assert!(matches!(
            found(&ROWS, &MAP[..7], 2),
            BenchmarkError::WrongNumberOfValues {
                expected: 8,
                found: 7,
                ..
            }
        ));
        assert!(matches!(
            found(&ROWS[..15], &MAP, 2),
            BenchmarkError::WrongNumberOfValues { .. }
        ));
        for k in [0, 4] {
            assert!(matches!(
                found(&ROWS, &MAP, k),
                BenchmarkError::TooFewValues { found: 8, .. }
            ));
        }
        let mut map = MAP;
        map[5] = f64::NAN;
        assert!(matches!(
            found(&ROWS, &map, 2),
            BenchmarkError::NotFinite {
                row: 5,
                feature: 0,
                ..
            }
        ));
    }
}
