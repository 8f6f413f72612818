//! Batch normalisation of maps by given statistics, and what stands behind it.

use burn::tensor::Tensor;

use super::host::{Host, HostSlice};
use super::rows::values_by_chunks;
use super::vector_unit::vectorised;

/// What follows on a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing.
    Nothing,
    /// `max(x, 0)`.
    Relu,
}

/// A factor and a summand for each channel.
#[derive(Clone, Debug)]
pub(super) struct Affine {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl Affine {
    /// `(x - mean) / sqrt(var + eps) * weight + bias`.
    pub(super) fn of([mean, var, weight, bias]: [&[f32]; 4], eps: f32) -> Self {
        let scale: Vec<f32> = weight
            .iter()
            .zip(var)
            .map(|(weight, var)| weight / (var + eps).sqrt())
            .collect();
        let shift = bias.iter().zip(mean.iter().zip(&scale));
        let shift = shift.map(|(bias, (mean, scale))| bias - mean * scale);
        Self {
            shift: shift.collect(),
            scale,
        }
    }

    /// Of maps of so many pixels, `[B, C, pixels]`.
    pub(super) fn forward(&self, x: &[f32], pixels: usize, then: Then) -> Vec<f32> {
        let channels = self.scale.len();
        let count = x.len() / pixels;
        values_by_chunks(
            count,
            pixels,
            || (),
            |(), map, output| {
                let x = &x[map * pixels..][..pixels];
                let (scale, shift) = (self.scale[map % channels], self.shift[map % channels]);
                let least = match then {
                    Then::Nothing => f32::NEG_INFINITY,
                    Then::Relu => 0.0,
                };
                vectorised(
                    #[inline(always)]
                    || {
                        for (output, x) in output.iter_mut().zip(x) {
                            let y = x.mul_add(scale, shift);
                            // A NaN stays one.
                            *output = if y < least { least } else { y };
                        }
                    },
                );
            },
        )
    }
}

/// The norm by given statistics; `None` where the kernel does not apply.
///
/// # Shapes
/// `x`: `[B, C, ..]`, kept; the rest: `[C]`
pub(crate) fn batch_norm<const D: usize>(
    x: &Tensor<D>,
    [mean, var, weight, bias]: [&Tensor<1>; 4],
    eps: f64,
    then: Then,
) -> Option<Tensor<D>> {
    let shape = x.dims();
    let pixels: usize = shape[2..].iter().product();
    if shape.contains(&0) {
        return None;
    }
    let x = HostSlice::of(x)?;
    let (mean, var) = (HostSlice::of(mean)?, HostSlice::of(var)?);
    let (weight, bias) = (HostSlice::of(weight)?, HostSlice::of(bias)?);
    let statistics = [&mean, &var, &weight, &bias].map(HostSlice::values);
    let affine = Affine::of(statistics, eps as f32);
    Some(Host::tensor(
        affine.forward(x.values(), pixels, then),
        shape,
    ))
}
