use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef};

use crate::{BenchmarkError, ClassWeight, StandardScaler};

/// Ridge regression of class indicators (1 for the class, -1 for the others),
/// of which the largest tells the class: a linear probe that is solved at once
/// where [`LogisticRegression`](crate::LogisticRegression) goes step by step.
///
/// Minimises `Σ w_i (y_i - W x_i - b)² + α ‖W‖²` on standardised features; the
/// intercepts are not penalised.
///
/// # Source
/// scikit-learn `make_pipeline(StandardScaler(), RidgeClassifier(solver="cholesky"))`.
///
/// # Example
/// ```
/// use morphospace_benchmark::RidgeClassifier;
///
/// let fitted = RidgeClassifier::default().fit(&[10.0, 11.0, 20.0, 21.0], 1, &[0, 0, 1, 1], 2)?;
/// assert_eq!(fitted.predict(&[12.0, 22.0, 9.0]), [0, 1, 0]);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RidgeClassifier {
    /// `α`, the strength of the penalty.
    pub penalty: f64,
    /// How samples count.
    pub class_weight: ClassWeight,
}

impl Default for RidgeClassifier {
    /// `α` = 1, every class the same in sum.
    fn default() -> Self {
        Self {
            penalty: 1.0,
            class_weight: ClassWeight::Balanced,
        }
    }
}

/// A fitted [`RidgeClassifier`].
#[derive(Clone, Debug, PartialEq)]
pub struct FittedRidgeClassifier {
    scaler: StandardScaler,
    /// `[D, K]`
    weights: Mat<f64>,
    /// `[K]`
    intercepts: Vec<f64>,
}

impl RidgeClassifier {
    /// Fits row-major values `[labels.len(), num_features]` to classes
    /// `0..num_classes`.
    ///
    /// # Errors
    /// [`BenchmarkError::WrongNumberOfValues`] if lengths differ,
    /// [`BenchmarkError::TooFewClasses`] for fewer than two.
    pub fn fit(
        &self,
        values: &[f64],
        num_features: usize,
        labels: &[usize],
        num_classes: usize,
    ) -> Result<FittedRidgeClassifier, BenchmarkError> {
        let expected = labels.len() * num_features;
        if num_features == 0 || labels.is_empty() || values.len() != expected {
            return Err(BenchmarkError::WrongNumberOfValues {
                num_labels: labels.len(),
                num_features,
                expected,
                found: values.len(),
            });
        }
        if num_classes < 2 {
            return Err(BenchmarkError::TooFewClasses {
                what: "a ridge classifier".to_owned(),
                found: num_classes,
            });
        }
        let scaler = StandardScaler::fit(values, num_features);
        let scaled = scaler.transform(values);
        let rows = MatRef::from_row_major_slice(&scaled, labels.len(), num_features);
        let weights = self.sample_weights(labels, num_classes);
        let total: f64 = weights.iter().sum();
        let mean = |column: &dyn Fn(usize) -> f64| -> f64 {
            let sum: f64 = weights
                .iter()
                .enumerate()
                .map(|(row, w)| w * column(row))
                .sum();
            sum / total
        };
        let row_mean: Vec<f64> = (0..num_features)
            .map(|feature| mean(&|row| rows[(row, feature)]))
            .collect();
        let target = |row: usize, class: usize| if labels[row] == class { 1.0 } else { -1.0 };
        let target_mean: Vec<f64> = (0..num_classes)
            .map(|class| mean(&|row| target(row, class)))
            .collect();
        // Rows of √w (x - mean) and √w (y - mean).
        let centred = Mat::from_fn(labels.len(), num_features, |row, feature| {
            weights[row].sqrt() * (rows[(row, feature)] - row_mean[feature])
        });
        let targets = Mat::from_fn(labels.len(), num_classes, |row, class| {
            weights[row].sqrt() * (target(row, class) - target_mean[class])
        });
        // (XᵀX + α) W = XᵀY, or of more features than rows W = Xᵀ (XXᵀ + α)⁻¹ Y.
        let penalised = |mut gram: Mat<f64>| {
            for index in 0..gram.nrows() {
                gram[(index, index)] += self.penalty;
            }
            gram.partial_piv_lu()
        };
        let solution = match num_features <= labels.len() {
            true => penalised(centred.transpose() * &centred).solve(centred.transpose() * &targets),
            false => {
                centred.transpose() * penalised(&centred * centred.transpose()).solve(&targets)
            }
        };
        let intercepts = (0..num_classes).map(|class| {
            let at_mean = row_mean.iter().enumerate();
            let at_mean: f64 = at_mean.map(|(d, mean)| mean * solution[(d, class)]).sum();
            target_mean[class] - at_mean
        });
        Ok(FittedRidgeClassifier {
            scaler,
            intercepts: intercepts.collect(),
            weights: solution,
        })
    }

    fn sample_weights(&self, labels: &[usize], num_classes: usize) -> Vec<f64> {
        let mut counts = vec![0_usize; num_classes];
        labels.iter().for_each(|&label| counts[label] += 1);
        let weight = |&label: &usize| match self.class_weight {
            ClassWeight::Equal => 1.0,
            ClassWeight::Balanced => {
                labels.len() as f64 / (num_classes as f64 * counts[label] as f64)
            }
        };
        labels.iter().map(weight).collect()
    }
}

impl FittedRidgeClassifier {
    /// What every class is told by, row-major `[rows, K]`.
    pub fn decision(&self, values: &[f64]) -> Vec<f64> {
        let num_features = self.scaler.mean.len();
        let scaled = self.scaler.transform(values);
        let rows = MatRef::from_row_major_slice(&scaled, values.len() / num_features, num_features);
        let product = rows * &self.weights;
        let row = |row: usize| {
            let classes = self.intercepts.iter().enumerate();
            classes.map(move |(class, intercept)| (row, class, intercept))
        };
        (0..product.nrows())
            .flat_map(row)
            .map(|(row, class, intercept)| product[(row, class)] + intercept)
            .collect()
    }

    /// The class of each row; of equal ones the first.
    pub fn predict(&self, values: &[f64]) -> Vec<usize> {
        let decision = self.decision(values);
        let largest = |row: &[f64]| {
            let at = |best: usize, class: usize| if row[class] > row[best] { class } else { best };
            (0..row.len()).reduce(at).unwrap_or(0)
        };
        decision
            .chunks_exact(self.intercepts.len())
            .map(largest)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `make_pipeline(StandardScaler(), RidgeClassifier(class_weight="balanced"))`
    /// of scikit-learn 1.9.1: `decision_function` of the rows themselves.
    #[test]
    fn decisions_are_those_of_scikit_learn() {
        let values = [
            0.5, 1.0, -0.3, //
            1.5, 0.2, 0.1, //
            -1.0, 0.4, 2.0, //
            -0.7, -0.8, 1.1, //
            2.0, -1.0, 0.0, //
            1.8, -0.6, -0.9, //
            0.0, 0.3, 0.7,
        ];
        let labels = [0, 0, 1, 1, 2, 2, 1];
        let fitted = RidgeClassifier::default()
            .fit(&values, 3, &labels, 3)
            .unwrap();
        let expected: [f64; 21] = [
            0.7024533992694306,
            -0.6913763214357734,
            -1.011077077833657,
            0.13010807428180599,
            -0.8246839442377952,
            -0.30542413004401103,
            -0.5455690857825037,
            1.104929457313095,
            -1.5593603715305915,
            -1.5047325131655067,
            0.9343756970412164,
            -0.4296431838757093,
            -0.8842872035742633,
            -0.789722171243403,
            0.674009374817666,
            -0.4322140043034048,
            -1.1416895022777378,
            0.5739035065811425,
            -0.2237887995623422,
            0.13190275443775265,
            -0.9081139548754105,
        ];
        for (found, expected) in fitted.decision(&values).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert_eq!(fitted.predict(&values), labels);
    }

    #[test]
    fn more_features_than_rows_give_the_same() {
        // The second feature four times over, and the others.
        let rows = [[1.0, 2.0], [0.5, -1.0], [-2.0, 0.3], [0.1, 0.9]];
        let labels = [0, 1, 1, 0];
        let wide: Vec<f64> = rows
            .iter()
            .flat_map(|[a, b]| [*a, *b, *b, *b, *b, *a])
            .collect();
        let fitted = RidgeClassifier::default()
            .fit(&wide, 6, &labels, 2)
            .unwrap();
        // The same from the normal equations.
        let decision = fitted.decision(&wide);
        let gradient = (0..6).map(|feature| {
            let scaled = fitted.scaler.transform(&wide);
            let sum: f64 = (0..4)
                .map(|row| {
                    let target = if labels[row] == 0 { 1.0 } else { -1.0 };
                    scaled[row * 6 + feature] * (decision[row * 2] - target)
                })
                .sum();
            sum + fitted.weights[(feature, 0)]
        });
        assert!(gradient.into_iter().all(|slope| slope.abs() < 1e-12));
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        let settings = RidgeClassifier::default();
        assert!(settings.fit(&[1.0, 2.0], 1, &[0, 0], 1).is_err());
        assert!(settings.fit(&[1.0, 2.0, 3.0], 2, &[0, 1], 2).is_err());
        assert!(settings.fit(&[], 0, &[], 2).is_err());
    }
}
