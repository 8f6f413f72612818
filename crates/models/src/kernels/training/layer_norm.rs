//! Layer normalisation and its gradients.

use std::ops::Range;

use burn::tensor::Tensor;

use super::{Operation, record, tracked};
use crate::kernels::host::HostSlice;
use crate::kernels::layer_norm::{Moments, sum};
use crate::kernels::rows::{Rows, Start, rows_and_sums, rows_by_blocks};
use crate::kernels::vector_unit::vectorised;

/// The norm over the last axis; `None` where the kernel does not apply.
///
/// # Shapes
/// `x`: `[.., D]`, `weight`, `bias`: `[D]`; kept
pub(crate) fn layer_norm<const D: usize>(
    x: &Tensor<D>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    eps: f64,
) -> Option<Tensor<D>> {
    let len = x.dims()[D - 1];
    norm_features(x, 0..len, weight, bias, eps)
}

/// The norm of some features of the last axis, as many at a time as there are
/// weights; the others remain as they are. `None` where the kernel does not
/// apply.
///
/// # Shapes
/// `x`: `[.., F]`, `weight`, `bias`: `[D]`, `features`: a multiple of `D`; kept
pub(crate) fn norm_features<const D: usize>(
    x: &Tensor<D>,
    features: Range<usize>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    eps: f64,
) -> Option<Tensor<D>> {
    let shape = x.dims();
    if shape.contains(&0) {
        return None;
    }
    let (x, x_values) = tracked(x)?;
    let (weight, weight_values) = tracked(weight)?;
    let (bias, bias_values) = tracked(bias)?;
    let operation = LayerNorm {
        x: x_values,
        weight: weight_values,
        features,
        eps: eps as f32,
    };
    let rows = operation.rows();
    let output = rows_by_blocks(rows.count, Start::Zeros(rows.len), |_, first, output| {
        vectorised(
            #[inline(always)]
            || {
                for (index, output) in output.chunks_exact_mut(rows.len).enumerate() {
                    output.copy_from_slice(rows.row(first + index));
                    operation.normalise(output, bias_values.values());
                }
            },
        );
    });
    let output = HostSlice::new(output, &shape);
    Some(record(operation, [&x, &weight, &bias], output))
}

#[derive(Clone, Debug)]
struct LayerNorm {
    /// `[.., F]`.
    x: HostSlice,
    /// `[D]`.
    weight: HostSlice,
    features: Range<usize>,
    eps: f32,
}

impl LayerNorm {
    fn rows(&self) -> Rows<'_> {
        let shape = self.x.shape();
        let len = *shape.last().expect("there are features");
        Rows::new(self.x.values(), len)
    }

    #[inline(always)]
    fn normalise(&self, row: &mut [f32], bias: &[f32]) {
        let weight = self.weight.values();
        for part in row[self.features.clone()].chunks_exact_mut(weight.len()) {
            let Moments { mean, scale } = Moments::of(part, self.eps);
            for (x, (weight, bias)) in part.iter_mut().zip(weight.iter().zip(bias)) {
                *x = ((*x - mean) * scale).mul_add(*weight, *bias);
            }
        }
    }

    /// Turns the gradient of a row's output, as `row` comes, into that of its
    /// input, and adds to those of weight and bias, one behind the other.
    #[inline(always)]
    fn gradient_of_row(&self, x: &[f32], row: &mut [f32], sums: &mut [f32], own: &mut [f32]) {
        let weight = self.weight.values();
        let count = weight.len();
        let (of_weight, of_bias) = sums.split_at_mut(count);
        let parts = row[self.features.clone()].chunks_exact_mut(count);
        for (gradient, x) in parts.zip(x[self.features.clone()].chunks_exact(count)) {
            let Moments { mean, scale } = Moments::of(x, self.eps);
            // x normalised, then its gradient.
            for (own, x) in own.iter_mut().zip(x) {
                *own = (x - mean) * scale;
            }
            for ((of_weight, gradient), own) in of_weight.iter_mut().zip(&*gradient).zip(&*own) {
                *of_weight = gradient.mul_add(*own, *of_weight);
            }
            for (of_bias, gradient) in of_bias.iter_mut().zip(&*gradient) {
                *of_bias += gradient;
            }
            for (gradient, weight) in gradient.iter_mut().zip(weight) {
                *gradient *= weight;
            }
            let mean_gradient = sum(
                gradient,
                #[inline(always)]
                |x| x,
            ) / count as f32;
            let mut lanes = [0.0_f32; 16];
            for (gradients, owns) in gradient.chunks(16).zip(own.chunks(16)) {
                for ((lane, gradient), own) in lanes.iter_mut().zip(gradients).zip(owns) {
                    *lane = gradient.mul_add(*own, *lane);
                }
            }
            let mean_product = lanes.iter().sum::<f32>() / count as f32;
            for (gradient, own) in gradient.iter_mut().zip(&*own) {
                *gradient = (*gradient - mean_gradient - own * mean_product) * scale;
            }
        }
    }
}

impl Operation<3> for LayerNorm {
    fn gradients(self, of_output: &HostSlice, _: [bool; 3]) -> [Option<HostSlice>; 3] {
        let rows = self.rows();
        let count = self.weight.values().len();
        let of_output = Rows::new(of_output.values(), rows.len);
        let (of_x, sums) = rows_and_sums(rows.count, rows.len, 2 * count, |first, output, sums| {
            let own = &mut vec![0.0; count];
            vectorised(
                #[inline(always)]
                || {
                    for (index, output) in output.chunks_exact_mut(rows.len).enumerate() {
                        let row = first + index;
                        output.copy_from_slice(of_output.row(row));
                        self.gradient_of_row(rows.row(row), output, sums, own);
                    }
                },
            );
        });
        let (of_weight, of_bias) = sums.split_at(count);
        [
            Some(HostSlice::new(of_x, &self.x.shape())),
            Some(HostSlice::new(of_weight.to_vec(), &[count])),
            Some(HostSlice::new(of_bias.to_vec(), &[count])),
        ]
    }
}
