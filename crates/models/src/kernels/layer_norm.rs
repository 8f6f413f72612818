//! Layer normalisation of rows.

use burn::tensor::Tensor;

use super::host::{Host, HostSlice};
use super::rows::{Start, rows_by_blocks};
use super::vector_unit::vectorised;

/// Partial sums of a row: as many whatever the processor, so that the order of
/// additions, and with it the result, is the same on all.
const LANES: usize = 16;

/// Weight, bias and eps of a norm.
pub(crate) struct Norm {
    weight: HostSlice,
    bias: HostSlice,
    eps: f32,
}

impl Norm {
    /// `weight`, `bias`: `[D]`; `None` where kernels do not apply.
    pub(crate) fn of(weight: &Tensor<1>, bias: &Tensor<1>, eps: f64) -> Option<Self> {
        Some(Self {
            weight: HostSlice::of(weight)?,
            bias: HostSlice::of(bias)?,
            eps: eps as f32,
        })
    }

    /// `(x - mean) / sqrt(var + eps) * weight + bias` of as many features at a
    /// time as there are weights, in place.
    #[inline(always)]
    pub(super) fn normalise(&self, row: &mut [f32]) {
        let (weight, bias) = (self.weight.values(), self.bias.values());
        for row in row.chunks_exact_mut(weight.len()) {
            let Moments { mean, scale } = Moments::of(row, self.eps);
            let affine = weight.iter().zip(bias);
            for (x, (weight, bias)) in row.iter_mut().zip(affine) {
                *x = ((*x - mean) * scale).mul_add(*weight, *bias);
            }
        }
    }
}

/// What a row is normalised by.
pub(super) struct Moments {
    pub(super) mean: f32,
    /// `1 / sqrt(var + eps)`.
    pub(super) scale: f32,
}

impl Moments {
    #[inline(always)]
    pub(super) fn of(row: &[f32], eps: f32) -> Self {
        let count = row.len() as f32;
        let mean = sum(
            row,
            #[inline(always)]
            |x| x,
        ) / count;
        let var = sum(
            row,
            #[inline(always)]
            |x| (x - mean) * (x - mean),
        ) / count;
        Self {
            mean,
            scale: 1.0 / (var + eps).sqrt(),
        }
    }
}

/// The norm over the last axis; `None` where the kernel does not apply.
///
/// # Shapes
/// `x`: `[.., D]`; kept
pub(crate) fn layer_norm<const D: usize>(x: &Tensor<D>, norm: &Norm) -> Option<Tensor<D>> {
    let shape = x.dims();
    let x = Host::of(x)?;
    // Several heads may lie in one row.
    let x = x.rows(shape[D - 1])?;
    let output = rows_by_blocks(x.count, Start::Zeros(x.len), |_, first, output| {
        vectorised(
            #[inline(always)]
            || {
                for (index, output) in output.chunks_exact_mut(x.len).enumerate() {
                    output.copy_from_slice(x.row(first + index));
                    norm.normalise(output);
                }
            },
        );
    });
    Some(Host::tensor(output, shape))
}

#[inline(always)]
pub(super) fn sum(row: &[f32], value: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += value(*x);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += value(*x);
    }
    lanes.iter().sum()
}
