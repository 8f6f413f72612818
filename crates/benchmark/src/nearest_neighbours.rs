use rayon::prelude::*;

use crate::BenchmarkError;

/// Classification by the nearest rows: how well classes lie together without
/// anything being learnt.
///
/// Votes of the `num_neighbours` rows of the greatest cosine count
/// `exp(cosine / temperature)`.
///
/// # Source
/// Wu et al. 2018, <https://arxiv.org/abs/1805.01978>; facebookresearch/dino
/// `eval_knn.knn_classifier`, whose numbers are the default.
///
/// # Example
/// ```
/// use morphospace_benchmark::NearestNeighbours;
///
/// let settings = NearestNeighbours { num_neighbours: 1, ..NearestNeighbours::default() };
/// let rows = [1.0, 0.0, 0.0, 1.0];
/// let predicted = settings.predict(&rows, 2, &[0, 1], &[5.0, 0.1, -1.0, 3.0])?;
/// assert_eq!(predicted, [0, 1]);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearestNeighbours {
    /// Rows that vote.
    pub num_neighbours: usize,
    /// How much nearer rows count more.
    pub temperature: f64,
}

impl Default for NearestNeighbours {
    fn default() -> Self {
        Self {
            num_neighbours: 20,
            temperature: 0.07,
        }
    }
}

impl NearestNeighbours {
    /// The class of every row of `queries`; of classes with equal votes the
    /// first.
    ///
    /// # Shapes
    /// `rows`: row-major `[labels.len(), num_features]`; `queries`: any number
    /// of such rows
    ///
    /// # Errors
    /// [`BenchmarkError::WrongNumberOfValues`]: there are not so many values.
    pub fn predict(
        &self,
        rows: &[f64],
        num_features: usize,
        labels: &[usize],
        queries: &[f64],
    ) -> Result<Vec<usize>, BenchmarkError> {
        let expected = labels.len() * num_features;
        if num_features == 0 || rows.len() != expected || labels.is_empty() {
            return Err(BenchmarkError::WrongNumberOfValues {
                num_labels: labels.len(),
                num_features,
                expected,
                found: rows.len(),
            });
        }
        let rows = of_length_one(rows, num_features);
        let queries = of_length_one(queries, num_features);
        let num_classes = labels.iter().max().map_or(0, |largest| largest + 1);
        let predicted = queries.par_chunks_exact(num_features).map(|query| {
            let cosine = |row: &[f64]| row.iter().zip(query).map(|(a, b)| a * b).sum::<f64>();
            let cosines = rows.chunks_exact(num_features).map(cosine);
            let mut neighbours: Vec<(f64, usize)> = cosines.zip(labels.iter().copied()).collect();
            // The first of equal ones, whatever the threads do.
            neighbours.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut votes = vec![0.0; num_classes];
            for (cosine, label) in neighbours.iter().take(self.num_neighbours) {
                votes[*label] += (cosine / self.temperature).exp();
            }
            let most = votes.iter().copied().fold(f64::MIN, f64::max);
            votes.iter().position(|vote| *vote == most).unwrap_or(0)
        });
        Ok(predicted.collect())
    }
}

fn of_length_one(rows: &[f64], num_features: usize) -> Vec<f64> {
    let mut rows = rows.to_vec();
    for row in rows.chunks_exact_mut(num_features) {
        let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        let length = if length > 0.0 { length } else { 1.0 };
        row.iter_mut().for_each(|value| *value /= length);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_rows_outvote_many_far_ones() {
        let rows = [1.0, 0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.5];
        let labels = [0, 1, 1, 1];
        let predict = |num_neighbours, temperature| {
            let settings = NearestNeighbours {
                num_neighbours,
                temperature,
            };
            settings
                .predict(&rows, 2, &labels, &[1.0, 0.2])
                .expect("valid")[0]
        };
        assert_eq!(predict(1, 0.07), 0);
        assert_eq!(predict(4, 0.07), 0);
        assert_eq!(predict(4, 100.0), 1);
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        let settings = NearestNeighbours::default();
        assert!(settings.predict(&[1.0], 2, &[0], &[]).is_err());
        assert!(settings.predict(&[], 2, &[], &[]).is_err());
        // A row of zeros has no direction, and still a class.
        let zero = settings.predict(&[1.0, 0.0], 2, &[3], &[0.0, 0.0]);
        assert_eq!(zero.expect("valid"), [3]);
    }
}
