//! Batch normalisation by the batch's own statistics, and its gradients.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::{Operation, record, tracked};
use crate::kernels::batch_norm::{Affine, Then};
use crate::kernels::host::HostSlice;
use crate::kernels::rows::values_by_chunks;
use crate::kernels::vector_unit::vectorised;

/// Partial sums of a map, as many whatever the processor.
const LANES: usize = 16;

/// Normalised maps and what they were normalised by.
pub(crate) struct Normalised<const D: usize> {
    pub(crate) output: Tensor<D>,
    /// `[C]`.
    pub(crate) mean: Tensor<1>,
    /// Biased, `[C]`.
    pub(crate) variance: Tensor<1>,
}

/// The norm by the batch's own statistics; `None` where the kernel does not
/// apply.
///
/// # Shapes
/// `x`: `[B, C, ..]`, kept; `weight`, `bias`: `[C]`
pub(crate) fn batch_norm<const D: usize>(
    x: &Tensor<D>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    eps: f64,
    then: Then,
) -> Option<Normalised<D>> {
    let shape = x.dims();
    let device = x.device();
    let [channels, pixels] = [shape[1], shape[2..].iter().product()];
    // Single values are no maps.
    if shape.contains(&0) || D < 3 {
        return None;
    }
    let (x, x_values) = tracked(x)?;
    let (weight, weight_values) = tracked(weight)?;
    let (bias, bias_values) = tracked(bias)?;
    let moments = moments(x_values.values(), channels, pixels);
    let (mean, variance): (Vec<f32>, Vec<f32>) = moments.into_iter().unzip();
    let eps = eps as f32;
    let affine = Affine::of(
        [
            &mean,
            &variance,
            weight_values.values(),
            bias_values.values(),
        ],
        eps,
    );
    let output = affine.forward(x_values.values(), pixels, then);
    let operation = BatchNorm {
        x: x_values,
        scale: variance
            .iter()
            .map(|var| 1.0 / (var + eps).sqrt())
            .collect(),
        mean: mean.clone(),
        affine,
        pixels,
        then,
    };
    let output = record(
        operation,
        [&x, &weight, &bias],
        HostSlice::new(output, &shape),
    );
    let statistics =
        |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [channels]), &device);
    Some(Normalised {
        output,
        mean: statistics(mean),
        variance: statistics(variance),
    })
}

/// Mean and biased variance of each channel.
fn moments(x: &[f32], channels: usize, pixels: usize) -> Vec<(f32, f32)> {
    let count = (x.len() / channels) as f64;
    let of_channel = |channel: usize| {
        let maps = || x.chunks_exact(pixels).skip(channel).step_by(channels);
        let mean = maps()
            .map(|map| {
                sum(
                    map,
                    #[inline(always)]
                    |x| x,
                )
            })
            .sum::<f64>()
            / count;
        let shift = mean as f32;
        let square = maps()
            .map(|map| {
                sum(
                    map,
                    #[inline(always)]
                    |x| (x - shift) * (x - shift),
                )
            })
            .sum::<f64>();
        (shift, (square / count) as f32)
    };
    (0..channels).into_par_iter().map(of_channel).collect()
}

/// A sum over a map, in double precision from each thousand values on.
fn sum(map: &[f32], value: impl Fn(f32) -> f32) -> f64 {
    let mut total = 0.0;
    vectorised(
        #[inline(always)]
        || {
            for part in map.chunks(1024) {
                let mut lanes = [0.0_f32; LANES];
                let (chunks, rest) = part.as_chunks::<LANES>();
                for chunk in chunks {
                    for (lane, x) in lanes.iter_mut().zip(chunk) {
                        *lane += value(*x);
                    }
                }
                for (lane, x) in lanes.iter_mut().zip(rest) {
                    *lane += value(*x);
                }
                total += f64::from(lanes.iter().sum::<f32>());
            }
        },
    );
    total
}

#[derive(Clone, Debug)]
struct BatchNorm {
    x: HostSlice,
    mean: Vec<f32>,
    /// `1 / sqrt(var + eps)`.
    scale: Vec<f32>,
    affine: Affine,
    pixels: usize,
    then: Then,
}

impl BatchNorm {
    fn channel(&self, channel: usize) -> Channel {
        Channel {
            mean: self.mean[channel],
            scale: self.scale[channel],
            factor: self.affine.scale[channel],
            shift: self.affine.shift[channel],
            least: match self.then {
                Then::Nothing => f32::NEG_INFINITY,
                Then::Relu => 0.0,
            },
        }
    }

    /// The sums of the gradients of the norm's output and of their products with
    /// the normalised maps.
    fn sums(&self, channel: usize, of_output: &[f32]) -> [f64; 2] {
        let channels = self.mean.len();
        let maps = self.x.values().chunks_exact(self.pixels);
        let maps = maps.zip(of_output.chunks_exact(self.pixels));
        let of_channel = self.channel(channel);
        let mut sums = [0.0_f64; 2];
        for (x, gradient) in maps.skip(channel).step_by(channels) {
            vectorised(
                #[inline(always)]
                || {
                    for (x, gradient) in x.chunks(1024).zip(gradient.chunks(1024)) {
                        let [plain, product] = of_channel.sums(x, gradient);
                        sums[0] += f64::from(plain);
                        sums[1] += f64::from(product);
                    }
                },
            );
        }
        sums
    }
}

/// What a channel is normalised by.
#[derive(Clone, Copy)]
struct Channel {
    mean: f32,
    scale: f32,
    /// From the input to the output.
    factor: f32,
    shift: f32,
    /// Outputs from here down are cut.
    least: f32,
}

impl Channel {
    /// The gradient of the norm's output.
    #[inline(always)]
    fn passes(&self, x: f32, gradient: f32) -> f32 {
        let y = x.mul_add(self.factor, self.shift);
        if y > self.least { gradient } else { 0.0 }
    }

    #[inline(always)]
    fn normalised(&self, x: f32) -> f32 {
        (x - self.mean) * self.scale
    }

    #[inline(always)]
    fn sums(&self, x: &[f32], gradient: &[f32]) -> [f32; 2] {
        let (mut plain, mut product) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let (xs, last_x) = x.as_chunks::<LANES>();
        let (gradients, last) = gradient.as_chunks::<LANES>();
        for (x, gradient) in xs.iter().zip(gradients) {
            for lane in 0..LANES {
                let gradient = self.passes(x[lane], gradient[lane]);
                plain[lane] += gradient;
                product[lane] = gradient.mul_add(self.normalised(x[lane]), product[lane]);
            }
        }
        for (lane, (x, gradient)) in last_x.iter().zip(last).enumerate() {
            let gradient = self.passes(*x, *gradient);
            plain[lane] += gradient;
            product[lane] = gradient.mul_add(self.normalised(*x), product[lane]);
        }
        [plain.iter().sum(), product.iter().sum()]
    }
}

impl Operation<3> for BatchNorm {
    fn gradients(self, of_output: &HostSlice, wanted: [bool; 3]) -> [Option<HostSlice>; 3] {
        let channels = self.mean.len();
        let x = self.x.values();
        let of_output = of_output.values();
        let count = (x.len() / channels) as f64;
        let sums: Vec<[f64; 2]> = (0..channels)
            .into_par_iter()
            .map(|channel| self.sums(channel, of_output))
            .collect();
        let of_x = wanted[0].then(|| {
            let maps = x.len() / self.pixels;
            let of_map = |(): &mut (), map: usize, of_x: &mut [f32]| {
                let channel = map % channels;
                let [plain, product] = sums[channel].map(|sum| (sum / count) as f32);
                let channel = self.channel(channel);
                let place = map * self.pixels..(map + 1) * self.pixels;
                let (x, gradient) = (&x[place.clone()], &of_output[place]);
                vectorised(
                    #[inline(always)]
                    || {
                        for (of_x, (x, gradient)) in of_x.iter_mut().zip(x.iter().zip(gradient)) {
                            let gradient = channel.passes(*x, *gradient);
                            let mean = channel.normalised(*x).mul_add(product, plain);
                            *of_x = channel.factor * (gradient - mean);
                        }
                    },
                );
            };
            let of_x = values_by_chunks(maps, self.pixels, || (), of_map);
            HostSlice::new(of_x, &self.x.shape())
        });
        let of_channels = |index: usize| {
            let values = sums.iter().map(|sums| sums[index] as f32).collect();
            Some(HostSlice::new(values, &[channels]))
        };
        [of_x, of_channels(1), of_channels(0)]
    }
}
