use std::ops::{Add, AddAssign, Mul, MulAssign};

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, MatMut, MatRef, Par};
use morphospace_map::{exp_below_0, exp_below_0_f32};
use pulp::Arch;
use rayon::prelude::*;

use super::{ClassWeight, LogisticRegression};
use crate::entity_map::dot as sum_of_products;

/// Samples whose logits are held at a time: bounds memory at this many times
/// the number of classes.
const SAMPLES_AT_ONCE: usize = 4096;
/// Samples of which one thread computes the logits and what follows from them,
/// while they are in its cache. Fixed, as is [`CLASS_TILES`], so that sums do not
/// depend on the number of threads.
const TILE: usize = 512;
/// Parts of the classes of which one thread computes the gradient.
const CLASS_TILES: usize = 16;

/// Numbers that the products are made of.
pub(super) trait Precision:
    ComplexField + Copy + PartialOrd + Add<Output = Self> + AddAssign + Mul<Output = Self> + MulAssign
{
    /// The least.
    const LOWEST: Self;
    /// Differences of objectives that may be rounding, as a share of them.
    const ROUNDING: f64;

    fn of(value: f64) -> Self;
    fn to_f64(self) -> f64;
    fn exp_below_0(self) -> Self;
}

impl Precision for f64 {
    const LOWEST: Self = f64::NEG_INFINITY;
    const ROUNDING: f64 = 1e-13;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn exp_below_0(self) -> Self {
        exp_below_0(self)
    }
}

impl Precision for f32 {
    const LOWEST: Self = f32::NEG_INFINITY;
    const ROUNDING: f64 = 1e-8;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn exp_below_0(self) -> Self {
        exp_below_0_f32(self)
    }
}

/// The objective of [`LogisticRegression`] on some samples.
pub(super) struct Problem<'a, T> {
    /// Row-major `[num_rows, num_features]`.
    values: &'a [T],
    pub(super) num_features: usize,
    labels: &'a [usize],
    pub(super) num_classes: usize,
    /// C times the weight of a sample of each class.
    weights: Vec<f64>,
    fit_intercept: bool,
}

impl<'a, T: Precision> Problem<'a, T> {
    pub(super) fn new(
        settings: &LogisticRegression,
        values: &'a [T],
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
        Self {
            values,
            num_features,
            labels,
            num_classes,
            weights,
            fit_intercept: settings.fit_intercept,
        }
    }

    pub(super) fn num_parameters(&self) -> usize {
        self.num_classes * (self.num_features + 1)
    }

    /// Objective and gradient; parameters are `[K, D]` weights, then `[K]`
    /// intercepts.
    pub(super) fn evaluate(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let (num_classes, num_features) = (self.num_classes, self.num_features);
        let rounded: Vec<T> = parameters.iter().map(|&value| T::of(value)).collect();
        let (weights, intercepts) = rounded.split_at(num_classes * num_features);
        gradient.copy_from_slice(parameters);
        let (weight_gradient, intercept_gradient) =
            gradient.split_at_mut(num_classes * num_features);
        intercept_gradient.fill(0.0);
        let mut objective = 0.5 * sum_of_products(weight_gradient, weight_gradient);
        let mut residues = vec![T::of(0.0); SAMPLES_AT_ONCE.min(self.labels.len()) * num_classes];
        for (values, labels) in self
            .values
            .chunks(SAMPLES_AT_ONCE * num_features)
            .zip(self.labels.chunks(SAMPLES_AT_ONCE))
        {
            let residues = &mut residues[..labels.len() * num_classes];
            let losses: Vec<Vec<f64>> = residues
                .par_chunks_mut(TILE * num_classes)
                .zip(values.par_chunks(TILE * num_features))
                .zip(labels.par_chunks(TILE))
                .map(|((residues, values), labels)| {
                    logits_of_tile(values, num_features, weights, intercepts, residues);
                    self.residues_of_logits(residues, labels)
                })
                .collect();
            objective += losses.iter().flatten().sum::<f64>();
            add_products(residues, values, num_features, weight_gradient);
            if self.fit_intercept {
                add_columns(residues, intercept_gradient);
            }
        }
        objective
    }

    /// Turns the logits of some samples into `weight (softmax - one-hot)`; gives
    /// their weighted losses.
    fn residues_of_logits(&self, logits: &mut [T], labels: &[usize]) -> Vec<f64> {
        let rows = logits.chunks_exact_mut(self.num_classes).zip(labels);
        // In one dispatch, so that several exponentials are computed at a time.
        Arch::new().dispatch(|| {
            let mut losses = Vec::with_capacity(labels.len());
            for (row, &label) in rows {
                losses.push(residue_of_logits(row, label, self.weights[label]));
            }
            losses
        })
    }
}

/// Turns logits into `weight (softmax - one-hot)`; gives the weighted loss.
#[inline(always)]
fn residue_of_logits<T: Precision>(row: &mut [T], label: usize, weight: f64) -> f64 {
    let mut largest = T::LOWEST;
    for logit in row.iter() {
        largest = if *logit > largest { *logit } else { largest };
    }
    let below = row[label].to_f64() - largest.to_f64();
    let less_largest = T::of(-largest.to_f64());
    // Sixteen sums side by side, added in one order on every processor.
    let mut sums = [T::of(0.0); 16];
    let mut chunks = row.chunks_exact_mut(16);
    for chunk in &mut chunks {
        for lane in 0..16 {
            chunk[lane] = (chunk[lane] + less_largest).exp_below_0();
            sums[lane] += chunk[lane];
        }
    }
    for (lane, value) in chunks.into_remainder().iter_mut().enumerate() {
        *value = (*value + less_largest).exp_below_0();
        sums[lane] += *value;
    }
    let sum: f64 = sums.iter().map(|sum| sum.to_f64()).sum();
    let scale = T::of(weight / sum);
    for value in row.iter_mut() {
        *value *= scale;
    }
    row[label] += T::of(-weight);
    weight * (sum.ln() - below)
}

/// `values · weightsᵀ + intercepts` into `[num_rows, K]`.
pub(super) fn logits(
    values: &[f64],
    num_features: usize,
    weights: &[f64],
    intercepts: &[f64],
    to: &mut [f64],
) {
    to.par_chunks_mut(TILE * intercepts.len())
        .zip(values.par_chunks(TILE * num_features))
        .for_each(|(to, values)| logits_of_tile(values, num_features, weights, intercepts, to));
}

fn logits_of_tile<T: Precision>(
    values: &[T],
    num_features: usize,
    weights: &[T],
    intercepts: &[T],
    to: &mut [T],
) {
    let (num_rows, num_classes) = (values.len() / num_features, intercepts.len());
    for row in to.chunks_exact_mut(num_classes) {
        row.copy_from_slice(intercepts);
    }
    // [rows, D] · [D, K] → [rows, K]
    matmul(
        MatMut::from_row_major_slice_mut(to, num_rows, num_classes),
        Accum::Add,
        MatRef::from_row_major_slice(values, num_rows, num_features),
        MatRef::from_row_major_slice(weights, num_classes, num_features).transpose(),
        T::of(1.0),
        Par::Seq,
    );
}

/// Adds `residuesᵀ · values` to `[K, D]`, class by class tile.
fn add_products<T: Precision>(
    residues: &[T],
    values: &[T],
    num_features: usize,
    gradient: &mut [f64],
) {
    let num_rows = values.len() / num_features;
    let num_classes = gradient.len() / num_features;
    let residues = MatRef::from_row_major_slice(residues, num_rows, num_classes);
    let values = MatRef::from_row_major_slice(values, num_rows, num_features);
    let classes_per_tile = num_classes.div_ceil(CLASS_TILES);
    gradient
        .par_chunks_mut(classes_per_tile * num_features)
        .enumerate()
        .for_each(|(tile, gradient)| {
            let num_tile_classes = gradient.len() / num_features;
            let mut products = vec![T::of(0.0); gradient.len()];
            // [K, rows] · [rows, D] → [K, D]
            matmul(
                MatMut::from_row_major_slice_mut(&mut products, num_tile_classes, num_features),
                Accum::Replace,
                residues
                    .subcols(tile * classes_per_tile, num_tile_classes)
                    .transpose(),
                values,
                T::of(1.0),
                Par::Seq,
            );
            for (sum, product) in gradient.iter_mut().zip(products) {
                *sum += product.to_f64();
            }
        });
}

/// Adds the sum of every column to `[K]`.
fn add_columns<T: Precision>(residues: &[T], sums: &mut [f64]) {
    let num_classes = sums.len();
    let classes_per_tile = num_classes.div_ceil(CLASS_TILES);
    sums.par_chunks_mut(classes_per_tile)
        .enumerate()
        .for_each(|(tile, sums)| {
            for row in residues.chunks_exact(num_classes) {
                let row = &row[tile * classes_per_tile..][..sums.len()];
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value.to_f64();
                }
            }
        });
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
}
