mod minimise;
mod problem;

use minimise::Descent;
use problem::{Problem, logits};

use crate::BenchmarkError;

/// How samples count in [`LogisticRegression`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassWeight {
    /// Every sample counts 1.
    Equal,
    /// `n / (K n_c)`: every class counts the same in sum.
    Balanced,
}

/// Multinomial logistic regression with an L2 penalty, at its optimum.
///
/// Minimises `C Σ w_i CE_i + ½ ‖W‖²`; the intercepts are not penalised.
///
/// # Numerics
/// L-BFGS (10 pairs), of large problems in f32 first, then in f64. The result does
/// not depend on the number of threads. Because of the penalty the weights are within
/// `gradient_tolerance · sqrt(K D)` of the optimum at the end; scikit-learn's
/// default stops far earlier (its objective is up to 5e-4 above the optimum).
///
/// # Source
/// scikit-learn `LogisticRegression(solver="lbfgs")`; Kenyon-Dean et al. 2024
/// ("ViTally Consistent"), linear probes.
///
/// # Example
/// ```
/// use morphospace_benchmark::LogisticRegression;
///
/// let fitted = LogisticRegression::default().fit(&[-1.0, -2.0, 1.0, 2.0], 1, &[0, 0, 1, 1], 2)?;
/// assert_eq!(fitted.predict(&[-3.0, 0.5]), [0, 1]);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogisticRegression {
    /// `C`, the inverse of the strength of the penalty.
    pub inverse_penalty: f64,
    /// How samples count.
    pub class_weight: ClassWeight,
    /// Whether there is an intercept per class.
    pub fit_intercept: bool,
    /// Stops when no entry of the gradient is larger.
    pub gradient_tolerance: f64,
    /// Stops after this many steps in any case.
    pub max_iterations: usize,
}

impl Default for LogisticRegression {
    fn default() -> Self {
        Self {
            inverse_penalty: 1.0,
            class_weight: ClassWeight::Balanced,
            fit_intercept: true,
            gradient_tolerance: 1e-4,
            max_iterations: 2000,
        }
    }
}

/// A fitted [`LogisticRegression`].
#[derive(Clone, Debug, PartialEq)]
pub struct FittedLogisticRegression {
    /// Row-major `[num_classes, num_features]`.
    pub coefficients: Vec<f64>,
    /// One per class, with mean 0 (their common shift is free).
    pub intercepts: Vec<f64>,
    /// The objective at the end.
    pub objective: f64,
    /// Largest entry of its gradient at the end.
    pub max_abs_gradient: f64,
    /// Steps taken.
    pub num_iterations: usize,
    /// Whether the gradient reached the tolerance.
    pub converged: bool,
    num_features: usize,
}

impl FittedLogisticRegression {
    /// Logits, row-major `[num_rows, num_classes]`.
    pub fn logits(&self, values: &[f64]) -> Vec<f64> {
        let num_rows = values.len() / self.num_features;
        let mut found = vec![0.0; num_rows * self.intercepts.len()];
        logits(
            values,
            self.num_features,
            &self.coefficients,
            &self.intercepts,
            &mut found,
        );
        found
    }

    /// The class with the largest logit; the first of equals.
    pub fn predict(&self, values: &[f64]) -> Vec<usize> {
        self.logits(values)
            .chunks_exact(self.intercepts.len())
            .map(first_largest)
            .collect()
    }
}

/// Products of a pass from which on single precision is worth while.
const LARGE: usize = 1 << 28;

impl LogisticRegression {
    /// Fits row-major values `[num_rows, num_features]` to classes
    /// `0..num_classes`. Standardise the features first.
    ///
    /// # Errors
    /// [`BenchmarkError::TooFewClasses`] for fewer than two classes,
    /// [`BenchmarkError::WrongNumberOfValues`] if lengths do not fit.
    ///
    /// # Panics
    /// A label is not below `num_classes`.
    pub fn fit(
        &self,
        values: &[f64],
        num_features: usize,
        labels: &[usize],
        num_classes: usize,
    ) -> Result<FittedLogisticRegression, BenchmarkError> {
        if num_features == 0 || values.len() != labels.len() * num_features {
            return Err(BenchmarkError::WrongNumberOfValues {
                num_labels: labels.len(),
                num_features,
                expected: labels.len() * num_features,
                found: values.len(),
            });
        }
        if num_classes < 2 || labels.is_empty() {
            return Err(BenchmarkError::TooFewClasses {
                what: "label".to_owned(),
                found: num_classes.min(labels.len()),
            });
        }
        let size = labels.len() * num_features * num_classes;
        let found = self.minimise(values, num_features, labels, num_classes, size >= LARGE);
        let max_abs_gradient = found.max_abs_gradient();
        let mut parameters = found.at.parameters;
        let intercepts = parameters.split_off(num_classes * num_features);
        // The common shift of all classes is free: the penalty drives that of
        // the weights to 0, that of the intercepts is set to 0.
        let shift = intercepts.iter().sum::<f64>() / num_classes as f64;
        Ok(FittedLogisticRegression {
            coefficients: parameters,
            intercepts: intercepts
                .iter()
                .map(|intercept| intercept - shift)
                .collect(),
            objective: found.at.objective,
            max_abs_gradient,
            num_iterations: found.num_iterations,
            converged: max_abs_gradient <= self.gradient_tolerance,
            num_features,
        })
    }

    /// Large problems first in single precision, which is twice as fast, then to
    /// the end in double.
    fn minimise(
        &self,
        values: &[f64],
        num_features: usize,
        labels: &[usize],
        num_classes: usize,
        is_large: bool,
    ) -> Descent {
        let exact = Problem::new(self, values, num_features, labels, num_classes);
        let mut descent = if is_large {
            let rounded: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            let rounded = Problem::new(self, &rounded, num_features, labels, num_classes);
            let mut descent = Descent::new(&rounded);
            descent.minimise(&rounded, self);
            descent.with(&exact)
        } else {
            Descent::new(&exact)
        };
        descent.minimise(&exact, self);
        descent
    }
}

fn first_largest(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_class_is_refused() {
        let error = LogisticRegression::default()
            .fit(&[1.0], 1, &[0], 1)
            .expect_err("one class");
        assert_eq!(
            error.to_string(),
            "'label' has 1 classes, at least 2 are needed to predict it"
        );
    }

    #[test]
    fn single_precision_first_ends_where_double_does() {
        // 60 rows of 3 features in 4 classes that overlap.
        let values: Vec<f64> = (0..180).map(|i| (f64::from(i * i) * 0.37).sin()).collect();
        let labels: Vec<usize> = (0..60).map(|row| (row * row) % 7 % 4).collect();
        let settings = LogisticRegression {
            gradient_tolerance: 1e-8,
            ..LogisticRegression::default()
        };
        let [exact, both] = [false, true].map(|is_large| {
            let found = settings.minimise(&values, 3, &labels, 4, is_large);
            assert!(found.max_abs_gradient() <= 1e-8);
            found.at
        });
        assert!((exact.objective - both.objective).abs() < 1e-12 * exact.objective);
        // The intercepts' common shift is free.
        for (exact, both) in exact.parameters[..12].iter().zip(&both.parameters) {
            assert!((exact - both).abs() < 1e-7, "{exact} {both}");
        }
    }
}
