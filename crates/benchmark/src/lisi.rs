use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::{BenchmarkError, Distances};

/// How near the entropy of a neighbourhood comes to the one asked for.
const TOLERANCE: f64 = 1e-5;

/// Halvings and doublings of a neighbourhood's width at most.
const MAX_STEPS: usize = 50;

impl Distances {
    /// The local inverse Simpson's index of every row: the number of labels
    /// about it, from 1 where all neighbours have one label to the number of
    /// labels where all are as frequent. Of batches it should be high (iLISI),
    /// of what rows are it should be 1 (cLISI).
    ///
    /// Neighbours count the less the further away they are, `exp(-beta *
    /// distance)`, with `beta` chosen for each row so that it has `perplexity`
    /// neighbours' worth; the nearest `3 * perplexity - 1` are looked at.
    ///
    /// # Errors
    /// [`BenchmarkError::WrongNumberOfValues`]: not as many labels as rows;
    /// [`BenchmarkError::TooFewValues`]: fewer than three times `perplexity`
    /// rows, or a perplexity below 1.
    ///
    /// # Source
    /// Korsunsky et al. 2019, <https://doi.org/10.1038/s41592-019-0619-0>;
    /// harmonypy 0.0.10 `compute_lisi` on Euclidean distances, with which it
    /// agrees to 1e-9. The nearest distance is taken from all before weighing,
    /// which changes no weight but leaves some where the reference's all become
    /// 0, and it then gives -1.
    ///
    /// # Example
    /// ```
    /// use morphospace_benchmark::{Distances, Metric};
    ///
    /// let distances = Distances::new(&[0.0, 0.1, 0.2, 9.0, 9.1, 9.2], 1, Metric::Euclidean)?;
    /// let batches = ["a", "a", "a", "b", "b", "b"].map(str::to_owned);
    /// assert!(distances.lisi(&batches, 1.0)?.iter().all(|&index| index < 1.01));
    /// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
    /// ```
    pub fn lisi(&self, labels: &[String], perplexity: f64) -> Result<Vec<f64>, BenchmarkError> {
        self.check_labels(labels)?;
        let needed = (3.0 * perplexity) as usize;
        if self.num_rows < needed.max(3) || needed < 3 {
            return Err(BenchmarkError::TooFewValues {
                what: "LISI, for three times its perplexity of at least 1,",
                needed: needed.max(3),
                found: self.num_rows,
            });
        }
        let of_row = |row: usize| {
            let neighbours = self.nearest(row, 0..self.num_rows, needed - 1);
            let distances = self.of_row(row);
            let nearest = distances[neighbours[0]];
            let beyond: Vec<f64> = neighbours
                .iter()
                .map(|&neighbour| distances[neighbour] - nearest)
                .collect();
            let weights = weights_of_perplexity(&beyond, perplexity);
            let mut of_label: BTreeMap<&String, f64> = BTreeMap::new();
            for (&neighbour, weight) in neighbours.iter().zip(weights) {
                *of_label.entry(&labels[neighbour]).or_default() += weight;
            }
            1.0 / of_label.values().map(|share| share * share).sum::<f64>()
        };
        Ok((0..self.num_rows).into_par_iter().map(of_row).collect())
    }
}

/// Weights `exp(-beta * distance)`, adding up to 1, whose entropy is that of
/// `perplexity` equal ones.
fn weights_of_perplexity(distances: &[f64], perplexity: f64) -> Vec<f64> {
    let weights_and_entropy = |beta: f64| {
        let mut weights: Vec<f64> = distances.iter().map(|d| (-d * beta).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let mean: f64 = weights
            .iter()
            .zip(distances)
            .map(|(w, d)| w * d)
            .sum::<f64>()
            / sum;
        weights.iter_mut().for_each(|weight| *weight /= sum);
        (weights, sum.ln() + beta * mean)
    };
    let (mut beta, mut least, mut most) = (1.0, f64::NEG_INFINITY, f64::INFINITY);
    let (mut weights, mut entropy) = weights_and_entropy(beta);
    for _ in 0..MAX_STEPS {
        let too_wide = entropy - perplexity.ln();
        if too_wide.abs() < TOLERANCE {
            break;
        }
        if too_wide > 0.0 {
            least = beta;
            beta = if most.is_finite() {
                (beta + most) / 2.0
            } else {
                beta * 2.0
            };
        } else {
            most = beta;
            beta = if least.is_finite() {
                (beta + least) / 2.0
            } else {
                beta / 2.0
            };
        }
        (weights, entropy) = weights_and_entropy(beta);
    }
    weights
}

/// The median index of batches, from 0 (apart) to 1 (all mixed in equal
/// numbers). NaN for one batch or no rows.
///
/// # Source
/// Luecken et al. 2022, <https://doi.org/10.1038/s41592-021-01336-8>;
/// scib-metrics 0.5 `ilisi_knn`
pub fn scaled_ilisi(indices: &[f64], num_batches: usize) -> f64 {
    (median(indices) - 1.0) / (num_batches as f64 - 1.0)
}

/// The median index of labels, from 0 (all mixed in equal numbers) to 1
/// (apart). NaN for one label or no rows.
///
/// # Source
/// Luecken et al. 2022, <https://doi.org/10.1038/s41592-021-01336-8>;
/// scib-metrics 0.5 `clisi_knn`
pub fn scaled_clisi(indices: &[f64], num_labels: usize) -> f64 {
    let num_labels = num_labels as f64;
    (num_labels - median(indices)) / (num_labels - 1.0)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metric;
    use crate::batch_mixing::tests::{mixed_rows, names};

    #[test]
    fn indices_by_hand() {
        // Of a row at 0 the other two lie at 1 and 1: weights of a half each,
        // whatever beta.
        let rows = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0];
        let distances = Distances::new(&rows, 2, Metric::Euclidean).expect("whole");
        let found = |labels: &[&str]| distances.lisi(&names(labels), 1.0).expect("fits")[0];
        assert_eq!(found(&["a", "a", "b"]), 2.0);
        assert_eq!(found(&["a", "b", "b"]), 1.0);
        assert!(distances.lisi(&names(&["a"; 3]), 1.4).is_err());
        assert!(distances.lisi(&names(&["a"; 3]), 0.9).is_err());
        assert!(distances.lisi(&names(&["a"; 2]), 1.0).is_err());
    }

    #[test]
    fn weights_have_the_entropy_asked_for() {
        let distances = [0.0, 0.1, 0.5, 2.0, 2.5, 800.0, 900.0];
        for perplexity in [1.5, 2.0, 4.0] {
            let weights = weights_of_perplexity(&distances, perplexity);
            let terms = weights.iter().filter(|weight| **weight > 0.0);
            let entropy: f64 = -terms.map(|weight| weight * weight.ln()).sum::<f64>();
            assert!((entropy - perplexity.ln()).abs() < 2e-5, "{perplexity}");
        }
    }

    /// harmonypy 0.0.10: `compute_lisi(rows, metadata, [label], perplexity)`
    /// of the rows that `mixed_rows` makes.
    #[test]
    fn indices_are_those_of_harmonypy() {
        let (rows, batches, labels) = mixed_rows();
        let distances = Distances::new(&rows, 3, Metric::Euclidean).expect("whole");
        let check = |labels: &[String], perplexity, expect: &[f64], mean: f64| {
            let found = distances.lisi(labels, perplexity).expect("fits");
            for (found, expect) in found.iter().zip(expect) {
                assert!((found - expect).abs() < 1e-9, "{found} {expect}");
            }
            assert!((found.iter().sum::<f64>() / 60.0 - mean).abs() < 1e-9);
            found
        };
        let first = [2.2217050500304505, 2.2068610126463675, 1.5324551661057988];
        let found = check(&batches, 5.0, &first, 2.017073354695159);
        assert!((scaled_ilisi(&found, 3) - 0.99062838453439 / 2.0).abs() < 1e-9);
        let first = [1.215718942235602, 1.0, 1.0028069026432982];
        let found = check(&labels, 5.0, &first, 1.1335652826891476);
        assert!((scaled_clisi(&found, 2) - (2.0 - 1.0109172048552213)).abs() < 1e-9);
        let first = [2.536539935980625, 2.409044612427913, 1.9559004838783995];
        check(&batches, 10.0, &first, 2.362374170513367);
    }
}
