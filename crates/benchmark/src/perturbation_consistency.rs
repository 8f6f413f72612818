use std::fmt;
use std::str::FromStr;

use morphospace_core::Seed;
use rand::RngExt;
use rand::seq::index::sample;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::EntityMap;

/// A measure of how alike the wells of one perturbation are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsistencyForm {
    /// `eq2`: mean cosine over all pairs of wells, a well with itself too: equation 2
    /// of Kenyon-Dean et al. 2024, <https://arxiv.org/abs/2411.02572>.
    #[default]
    #[serde(rename = "eq2")]
    AllPairs,
    /// `efaar10`: mean cosine over pairs of different wells: EFAAR_benchmarking 1.0.
    #[serde(rename = "efaar10")]
    DifferentPairs,
    /// `celik_angle`: mean angle, in radians, between different wells, small for
    /// what is alike: Celik et al. 2022, <https://doi.org/10.1101/2022.12.09.519400>.
    #[serde(rename = "celik_angle")]
    MeanAngle,
}

impl fmt::Display for ConsistencyForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ConsistencyForm {
    type Err = String;

    /// Reads `eq2`, `efaar10` or `celik_angle`; a hyphen counts as an underscore.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = text.trim().replace('-', "_");
        let found = Self::ALL.into_iter().find(|form| form.as_str() == word);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("'{text}' is not a form of consistency ({known})")
        })
    }
}

impl ConsistencyForm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AllPairs, Self::DifferentPairs, Self::MeanAngle];

    /// The word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllPairs => "eq2",
            Self::DifferentPairs => "efaar10",
            Self::MeanAngle => "celik_angle",
        }
    }

    /// The measure of some rows; NaN where there is no pair.
    ///
    /// # Example
    /// ```
    /// use morphospace_benchmark::{ConsistencyForm, EntityMap};
    ///
    /// let labels = vec!["TP53".to_owned(); 2];
    /// let wells = EntityMap::new(labels, vec![1.0, 0.0, 0.0, 1.0], 2)?;
    /// assert_eq!(ConsistencyForm::AllPairs.of(&wells, &[0, 1]), 0.5);
    /// assert_eq!(ConsistencyForm::DifferentPairs.of(&wells, &[0, 1]), 0.0);
    /// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
    /// ```
    pub fn of(self, wells: &EntityMap, rows: &[usize]) -> f64 {
        if rows.len() < 2 {
            return f64::NAN;
        }
        let count = rows.len() as f64;
        let num_pairs = count * (count - 1.0) / 2.0;
        match self {
            // The mean of all products is the squared length of the mean.
            Self::AllPairs => squared_length_of_sum(wells, rows) / (count * count),
            // Of which those of a well with itself are taken away: thousands of wells
            // of a control have millions of pairs.
            Self::DifferentPairs => {
                let own: f64 = rows.iter().map(|&row| wells.cosine(row, row)).sum();
                let sum = (squared_length_of_sum(wells, rows) - own) / 2.0;
                (sum / num_pairs).clamp(-1.0, 1.0)
            }
            Self::MeanAngle => {
                let earlier = (0..rows.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
                let cosines = earlier.map(|(i, j)| wells.cosine(rows[i], rows[j]));
                cosines.map(|x| x.clamp(-1.0, 1.0).acos()).sum::<f64>() / num_pairs
            }
        }
    }

    /// The share of a null that is at least as alike; NaN for a NaN or without a
    /// null. Equation 2 is never below one draw; angles must be smaller, as in
    /// their reference.
    pub fn p_value(self, null: &[f64], value: f64) -> f64 {
        if value.is_nan() || null.is_empty() {
            return f64::NAN;
        }
        let count = |is_as_alike: &dyn Fn(f64) -> bool| {
            null.iter().filter(|x| is_as_alike(**x)).count() as f64
        };
        let as_alike = match self {
            Self::AllPairs => count(&|x| x >= value).max(1.0),
            // What has no pairs sorts behind everything in the reference.
            Self::DifferentPairs => count(&|x| x >= value || x.is_nan()),
            Self::MeanAngle => count(&|x| x < value),
        };
        as_alike / null.len() as f64
    }

    /// The measure of `num_draws` draws of `size` rows of a population: different
    /// rows, but for angles, whose reference may draw a row again.
    ///
    /// Draw `i` follows from `seed.split_index(i)`, whatever the thread. Empty
    /// where the population is smaller than a draw.
    pub fn null(
        self,
        wells: &EntityMap,
        population: &[usize],
        size: usize,
        num_draws: usize,
        seed: Seed,
    ) -> Vec<f64> {
        if population.len() < size {
            return Vec::new();
        }
        let draws = (0..num_draws).into_par_iter();
        draws
            .map(|draw| {
                let mut rng = seed.split_index(draw as u64).rng();
                let rows: Vec<usize> = match self {
                    Self::MeanAngle => (0..size)
                        .map(|_| population[rng.random_range(0..population.len())])
                        .collect(),
                    Self::AllPairs | Self::DifferentPairs => {
                        let places = sample(&mut rng, population.len(), size);
                        places.iter().map(|place| population[place]).collect()
                    }
                };
                self.of(wells, &rows)
            })
            .collect()
    }
}

fn squared_length_of_sum(wells: &EntityMap, rows: &[usize]) -> f64 {
    let mut sum = vec![0.0; wells.num_features()];
    for &row in rows {
        for (sum, x) in sum.iter_mut().zip(wells.direction(row)) {
            *sum += x;
        }
    }
    sum.iter().map(|x| x * x).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wells() -> EntityMap {
        let rows = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0];
        EntityMap::new(vec![String::new(); 5], rows.to_vec(), 2).expect("finite")
    }

    #[test]
    fn forms_by_hand() {
        let wells = wells();
        let rows = [0, 1, 2];
        // Cosines 1, 0, 0, and three of a well with itself.
        assert!((ConsistencyForm::AllPairs.of(&wells, &rows) - 5.0 / 9.0).abs() < 1e-12);
        assert!((ConsistencyForm::DifferentPairs.of(&wells, &rows) - 1.0 / 3.0).abs() < 1e-12);
        let right = std::f64::consts::FRAC_PI_2;
        assert!((ConsistencyForm::MeanAngle.of(&wells, &rows) - 2.0 * right / 3.0).abs() < 1e-12);
        // A well without direction is alike to none, itself included.
        assert_eq!(ConsistencyForm::AllPairs.of(&wells, &[0, 4]), 0.25);
        for form in ConsistencyForm::ALL {
            assert_eq!(form.as_str().parse(), Ok(form));
            assert!(form.of(&wells, &[0]).is_nan());
            assert!(form.p_value(&[0.5], f64::NAN).is_nan());
        }
    }

    #[test]
    fn p_values_by_hand() {
        let null = [0.1, 0.2, 0.3, 0.4];
        assert_eq!(ConsistencyForm::AllPairs.p_value(&null, 0.3), 0.5);
        assert_eq!(ConsistencyForm::AllPairs.p_value(&null, 0.9), 0.25);
        assert_eq!(ConsistencyForm::DifferentPairs.p_value(&null, 0.9), 0.0);
        assert_eq!(ConsistencyForm::MeanAngle.p_value(&null, 0.3), 0.5);
    }

    #[test]
    fn draws_are_of_different_rows_and_follow_from_the_seed() {
        let wells = wells();
        let null =
            |seed| ConsistencyForm::DifferentPairs.null(&wells, &[0, 3], 2, 20, Seed::new(seed));
        assert!(null(1).iter().all(|x| *x == -1.0));
        assert_eq!(null(1), null(1));
        assert!(
            ConsistencyForm::AllPairs
                .null(&wells, &[0], 2, 20, Seed::new(1))
                .is_empty()
        );
    }
}
