use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

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
/// L-BFGS (10 pairs) in f64. The result does not depend on the number of
/// threads. Because of the penalty the weights are within
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
        let mut logits = vec![0.0; num_rows * self.intercepts.len()];
        forward(
            values,
            self.num_features,
            &self.coefficients,
            &self.intercepts,
            &mut logits,
        );
        logits
    }

    /// The class with the largest logit; the first of equals.
    pub fn predict(&self, values: &[f64]) -> Vec<usize> {
        self.logits(values)
            .chunks_exact(self.intercepts.len())
            .map(first_largest)
            .collect()
    }
}

/// Samples whose logits are held at a time: bounds memory at this many times
/// the number of classes.
const SAMPLES_AT_ONCE: usize = 4096;
/// Rows or classes and features of a tile one thread computes; fixed, so that
/// sums do not depend on the number of threads.
const TILE: usize = 256;
const HISTORY: usize = 10;

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
        let problem = Problem::new(self, values, num_features, labels, num_classes);
        let (mut parameters, found) = problem.minimise(self);
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
            num_features,
            ..found
        })
    }
}

struct Problem<'a> {
    values: &'a [f64],
    num_features: usize,
    labels: &'a [usize],
    num_classes: usize,
    /// C times the weight of a sample of each class.
    weights: Vec<f64>,
    fit_intercept: bool,
}

impl<'a> Problem<'a> {
    fn new(
        settings: &LogisticRegression,
        values: &'a [f64],
        num_features: usize,
        labels: &'a [usize],
        num_classes: usize,
    ) -> Self {
        let mut counts = vec![0_usize; num_classes];
        labels.iter().for_each(|&label| counts[label] += 1);
        let num_present = counts.iter().filter(|&&count| count > 0).count();
        let weights = counts
            .iter()
            .map(|&count| {
                settings.inverse_penalty
                    * match settings.class_weight {
                        ClassWeight::Equal => 1.0,
                        ClassWeight::Balanced => {
                            labels.len() as f64 / (num_present * count.max(1)) as f64
                        }
                    }
            })
            .collect();
        let fit_intercept = settings.fit_intercept;
        Self {
            values,
            num_features,
            labels,
            num_classes,
            weights,
            fit_intercept,
        }
    }

    fn num_parameters(&self) -> usize {
        self.num_classes * (self.num_features + 1)
    }

    /// Objective and gradient; parameters are `[K, D]` weights, then `[K]`
    /// intercepts.
    fn evaluate(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let (num_classes, num_features) = (self.num_classes, self.num_features);
        let (weights, intercepts) = parameters.split_at(num_classes * num_features);
        gradient.copy_from_slice(parameters);
        gradient[num_classes * num_features..].fill(0.0);
        let mut objective = 0.5 * weights.iter().map(|weight| weight * weight).sum::<f64>();
        let mut residues = vec![0.0; SAMPLES_AT_ONCE.min(self.labels.len()) * num_classes];
        for (values, labels) in self
            .values
            .chunks(SAMPLES_AT_ONCE * num_features)
            .zip(self.labels.chunks(SAMPLES_AT_ONCE))
        {
            let residues = &mut residues[..labels.len() * num_classes];
            forward(values, num_features, weights, intercepts, residues);
            let losses: Vec<f64> = residues
                .par_chunks_mut(num_classes)
                .zip(labels)
                .map(|(row, &label)| residue_of_logits(row, label, self.weights[label]))
                .collect();
            objective += losses.iter().sum::<f64>();
            let (weight_gradient, intercept_gradient) =
                gradient.split_at_mut(num_classes * num_features);
            add_products(residues, num_classes, values, num_features, weight_gradient);
            if self.fit_intercept {
                for row in residues.chunks_exact(num_classes) {
                    intercept_gradient
                        .iter_mut()
                        .zip(row)
                        .for_each(|(sum, value)| *sum += value);
                }
            }
        }
        objective
    }

    fn minimise(&self, settings: &LogisticRegression) -> (Vec<f64>, FittedLogisticRegression) {
        let size = self.num_parameters();
        let mut parameters = vec![0.0; size];
        let mut gradient = vec![0.0; size];
        let mut objective = self.evaluate(&parameters, &mut gradient);
        let mut steps: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
        let mut num_iterations = 0;
        while largest(&gradient) > settings.gradient_tolerance
            && num_iterations < settings.max_iterations
        {
            let mut direction = descent_direction(&gradient, &steps);
            let mut slope = sum_of_products(&direction, &gradient);
            if slope >= 0.0 {
                steps.clear();
                direction = gradient.iter().map(|value| -value).collect();
                slope = -sum_of_products(&gradient, &gradient);
            }
            // Without curvature to go by, the first step has length 1.
            let first_step = if steps.is_empty() {
                1.0 / sum_of_products(&gradient, &gradient).sqrt()
            } else {
                1.0
            };
            let start = LineStart {
                parameters: &parameters,
                direction: &direction,
                objective,
                slope,
            };
            let Some(found) = self.line_search(&start, first_step) else {
                break;
            };
            let step: Vec<f64> = difference(&found.parameters, &parameters);
            let change = difference(&found.gradient, &gradient);
            let curvature = sum_of_products(&step, &change);
            if curvature > 0.0 {
                if steps.len() == HISTORY {
                    steps.remove(0);
                }
                steps.push((step, change, 1.0 / curvature));
            }
            (parameters, gradient, objective) = (found.parameters, found.gradient, found.objective);
            num_iterations += 1;
        }
        let max_abs_gradient = largest(&gradient);
        let found = FittedLogisticRegression {
            coefficients: Vec::new(),
            intercepts: Vec::new(),
            objective,
            max_abs_gradient,
            num_iterations,
            converged: max_abs_gradient <= settings.gradient_tolerance,
            num_features: self.num_features,
        };
        (parameters, found)
    }

    /// A step that satisfies the weak Wolfe conditions, by bisection. A rise
    /// of the objective within its rounding is no rise: near the optimum only
    /// the gradient still tells steps apart.
    fn line_search(&self, start: &LineStart, first_step: f64) -> Option<LineEnd> {
        let rounding = 1e-13 * start.objective.abs();
        let (mut low, mut high) = (0.0, f64::INFINITY);
        let mut length = first_step;
        let mut gradient = vec![0.0; start.parameters.len()];
        for _ in 0..60 {
            let parameters: Vec<f64> = start
                .parameters
                .iter()
                .zip(start.direction)
                .map(|(parameter, direction)| parameter + length * direction)
                .collect();
            let objective = self.evaluate(&parameters, &mut gradient);
            let slope = sum_of_products(&gradient, start.direction);
            let too_high = objective > start.objective + 1e-4 * length * start.slope + rounding;
            if too_high || !objective.is_finite() {
                high = length;
            } else if slope < 0.9 * start.slope {
                low = length;
            } else {
                return Some(LineEnd {
                    parameters,
                    gradient,
                    objective,
                });
            }
            length = if high.is_finite() {
                (low + high) / 2.0
            } else {
                2.0 * length
            };
        }
        None
    }
}

struct LineStart<'a> {
    parameters: &'a [f64],
    direction: &'a [f64],
    objective: f64,
    slope: f64,
}

struct LineEnd {
    parameters: Vec<f64>,
    gradient: Vec<f64>,
    objective: f64,
}

/// L-BFGS two-loop recursion (Nocedal & Wright, algorithm 7.4).
fn descent_direction(gradient: &[f64], steps: &[(Vec<f64>, Vec<f64>, f64)]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|value| -value).collect();
    let mut shares = vec![0.0; steps.len()];
    for (share, (step, change, inverse)) in shares.iter_mut().zip(steps).rev() {
        *share = inverse * sum_of_products(step, &direction);
        add_scaled(&mut direction, -*share, change);
    }
    if let Some((_, change, inverse)) = steps.last() {
        let scale = 1.0 / (inverse * sum_of_products(change, change));
        direction.iter_mut().for_each(|value| *value *= scale);
    }
    for (share, (step, change, inverse)) in shares.iter().zip(steps) {
        let back = inverse * sum_of_products(change, &direction);
        add_scaled(&mut direction, share - back, step);
    }
    direction
}

/// `values · weightsᵀ + intercepts` into `[num_rows, K]`.
fn forward(
    values: &[f64],
    num_features: usize,
    weights: &[f64],
    intercepts: &[f64],
    logits: &mut [f64],
) {
    let num_classes = intercepts.len();
    let weights = MatRef::from_row_major_slice(weights, num_classes, num_features);
    logits
        .par_chunks_mut(TILE * num_classes)
        .zip(values.par_chunks(TILE * num_features))
        .for_each(|(logits, values)| {
            let num_rows = values.len() / num_features;
            for row in logits.chunks_exact_mut(num_classes) {
                row.copy_from_slice(intercepts);
            }
            // [rows, D] · [D, K] → [rows, K]
            matmul(
                MatMut::from_row_major_slice_mut(logits, num_rows, num_classes),
                Accum::Add,
                MatRef::from_row_major_slice(values, num_rows, num_features),
                weights.transpose(),
                1.0,
                Par::Seq,
            );
        });
}

/// Adds `residuesᵀ · values` to `[K, D]`, class by class tile.
fn add_products(
    residues: &[f64],
    num_classes: usize,
    values: &[f64],
    num_features: usize,
    gradient: &mut [f64],
) {
    let num_rows = values.len() / num_features;
    let residues = MatRef::from_row_major_slice(residues, num_rows, num_classes);
    let values = MatRef::from_row_major_slice(values, num_rows, num_features);
    // Few classes make few tiles: then a class at a time.
    let classes_per_tile = if num_classes >= 2 * TILE {
        TILE
    } else {
        num_classes.div_ceil(8)
    };
    gradient
        .par_chunks_mut(classes_per_tile * num_features)
        .enumerate()
        .for_each(|(tile, gradient)| {
            let num_tile_classes = gradient.len() / num_features;
            // [K, rows] · [rows, D] → [K, D]
            matmul(
                MatMut::from_row_major_slice_mut(gradient, num_tile_classes, num_features),
                Accum::Add,
                residues
                    .subcols(tile * classes_per_tile, num_tile_classes)
                    .transpose(),
                values,
                1.0,
                Par::Seq,
            );
        });
}

/// Turns logits into `weight (softmax - one-hot)`; gives the weighted loss.
fn residue_of_logits(row: &mut [f64], label: usize, weight: f64) -> f64 {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let label_logit = row[label];
    row.iter_mut()
        .for_each(|logit| *logit = (*logit - largest).exp());
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|value| *value *= weight / sum);
    row[label] -= weight;
    weight * (sum.ln() + largest - label_logit)
}

fn first_largest(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best })
}

fn largest(values: &[f64]) -> f64 {
    values
        .iter()
        .fold(0.0, |largest, value| largest.max(value.abs()))
}

fn sum_of_products(a: &[f64], b: &[f64]) -> f64 {
    crate::entity_map::dot(a, b)
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn add_scaled(a: &mut [f64], scale: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += scale * b);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_that_of_the_objective() {
        let values = [0.5, -1.0, 2.0, 0.3, -0.7, 1.1, 0.0, 0.4];
        let settings = LogisticRegression::default();
        let problem = Problem::new(&settings, &values, 2, &[0, 1, 2, 1], 3);
        let at: Vec<f64> = (0..9).map(|i| 0.1 * f64::from(i) - 0.4).collect();
        let mut gradient = vec![0.0; 9];
        problem.evaluate(&at, &mut gradient);
        for i in 0..9 {
            let moved = |by: f64| {
                let mut at = at.clone();
                at[i] += by;
                problem.evaluate(&at, &mut [0.0; 9])
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!(
                (slope - gradient[i]).abs() < 1e-8,
                "{i}: {slope} {}",
                gradient[i]
            );
        }
    }

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
}
