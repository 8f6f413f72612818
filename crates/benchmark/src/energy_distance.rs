use rayon::prelude::*;

use crate::BenchmarkError;

/// How distances between rows are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnergyForm {
    /// Euclidean distances.
    #[default]
    Exact,
    /// As geomloss: `sqrt(max(d², 1e-8))` with `d² = x² - 2 x y + y²`, so that a
    /// row is 1e-4 from itself.
    Geomloss,
}

impl EnergyForm {
    /// The mean distance between rows of two sets.
    fn mean_distance(self, x: &[f64], y: &[f64], num_features: usize) -> f64 {
        let square = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>();
        let rows = x.par_chunks_exact(num_features);
        let sums: Vec<f64> = rows
            .map(|a| {
                let of_a = square(a);
                y.chunks_exact(num_features)
                    .map(|b| match self {
                        Self::Exact => {
                            let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
                            squares.sum::<f64>().sqrt()
                        }
                        Self::Geomloss => {
                            let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                            (of_a - 2.0 * product + square(b)).max(1e-8).sqrt()
                        }
                    })
                    .sum()
            })
            .collect();
        let count = (x.len() / num_features) * (y.len() / num_features);
        sums.iter().sum::<f64>() / count as f64
    }
}

/// Rows that groups are compared with, such as the negative controls of a
/// screen.
///
/// # Source
/// Székely & Rizzo 2013, <https://doi.org/10.1016/j.jspi.2013.03.018>;
/// EFAAR_benchmarking 1.0 `pert_signal_magnitude_metric`
///
/// # Example
/// ```
/// use morphospace_benchmark::{EnergyForm, EnergyReference};
///
/// let rows: Vec<f64> = [1.0, 2.0, 3.0, 4.0, 5.0].repeat(5);
/// let shifted: Vec<f64> = rows.iter().map(|x| x + 5.0).collect();
/// let reference = EnergyReference::new(&rows, 5, EnergyForm::Geomloss)?;
/// assert_eq!(reference.distance(&shifted).round(), 22.0);
/// assert_eq!(reference.distance(&rows), 0.0);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
#[derive(Clone, Debug)]
pub struct EnergyReference<'a> {
    rows: &'a [f64],
    num_features: usize,
    form: EnergyForm,
    within: f64,
}

impl<'a> EnergyReference<'a> {
    /// # Shapes
    /// `rows`: row-major `[any, num_features]`
    ///
    /// # Errors
    /// [`BenchmarkError::WrongNumberOfValues`], [`BenchmarkError::TooFewValues`]
    /// without a row.
    pub fn new(
        rows: &'a [f64],
        num_features: usize,
        form: EnergyForm,
    ) -> Result<Self, BenchmarkError> {
        BenchmarkError::check_whole_rows(rows, num_features)?;
        if rows.is_empty() {
            return Err(BenchmarkError::TooFewValues {
                what: "an energy distance",
                needed: 1,
                found: 0,
            });
        }
        Ok(Self {
            rows,
            num_features,
            form,
            within: form.mean_distance(rows, rows, num_features),
        })
    }

    /// `2 E|x - y| - E|x - x'| - E|y - y'|`, every pair of rows counted, a row
    /// with itself too; NaN for no rows.
    ///
    /// # Shapes
    /// `group`: row-major `[any, num_features]`
    ///
    /// # Panics
    /// The last row is not whole.
    pub fn distance(&self, group: &[f64]) -> f64 {
        assert!(group.len().is_multiple_of(self.num_features), "whole rows");
        let mean = |a, b| self.form.mean_distance(a, b, self.num_features);
        2.0 * mean(self.rows, group) - self.within - mean(group, group)
    }
}

/// The share of a null above a value: `p` of a statistic that is large where
/// there is an effect.
///
/// NaN of the null, groups too small for a statistic, are left out; EFAAR 1.0
/// counts them as above everything, which [`UndefinedNull::Above`] repeats. NaN for
/// a NaN or without a null.
///
/// # Example
/// ```
/// use morphospace_benchmark::{UndefinedNull, share_above};
///
/// let null = [1.0, 2.0, 3.0, f64::NAN];
/// assert_eq!(share_above(&null, 2.0, UndefinedNull::LeftOut), 1.0 / 3.0);
/// assert_eq!(share_above(&null, 2.0, UndefinedNull::Above), 0.5);
/// ```
pub fn share_above(null: &[f64], value: f64, undefined: UndefinedNull) -> f64 {
    let num_undefined = null.iter().filter(|x| x.is_nan()).count();
    let above = null.iter().filter(|x| **x > value).count();
    let (above, of) = match undefined {
        UndefinedNull::LeftOut => (above, null.len() - num_undefined),
        UndefinedNull::Above => (above + num_undefined, null.len()),
    };
    match value.is_nan() || of == 0 {
        true => f64::NAN,
        false => above as f64 / of as f64,
    }
}

/// What becomes of groups of a null that have no statistic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UndefinedNull {
    /// They are no part of it.
    #[default]
    LeftOut,
    /// They count as above every value, as in EFAAR 1.0.
    Above,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_points_are_twice_their_distance_apart() {
        let reference = EnergyReference::new(&[0.0, 0.0], 2, EnergyForm::Exact).expect("a row");
        assert_eq!(reference.distance(&[3.0, 4.0]), 10.0);
        // By hand: 2 · 5 - 0 - (0 + 6 + 6 + 0) / 4.
        let distance = reference.distance(&[3.0, 4.0, -3.0, 4.0]);
        assert!((distance - 7.0).abs() < 1e-12);
        assert!(reference.distance(&[]).is_nan());
    }

    #[test]
    fn rows_that_are_not_whole_are_refused() {
        assert!(EnergyReference::new(&[1.0], 2, EnergyForm::Exact).is_err());
        assert!(EnergyReference::new(&[], 2, EnergyForm::Exact).is_err());
        assert!(share_above(&[f64::NAN], 1.0, UndefinedNull::LeftOut).is_nan());
        assert!(share_above(&[1.0], f64::NAN, UndefinedNull::LeftOut).is_nan());
    }
}
