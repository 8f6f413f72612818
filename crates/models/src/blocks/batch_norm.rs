//! Batch normalisation.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, module};
use morphospace_core::Seed;

use super::norm_pass::{NormPass, NormSource};
use super::relu::relu;
use crate::Initializer;
use crate::initializer::fixed_parameter;
use crate::kernels::batch_norm::{Then, batch_norm};
use crate::kernels::training;

/// `(x - mean) / sqrt(var + eps) * weight + bias` of every channel, over the
/// batch and all pixels (Ioffe & Szegedy 2015; `torch.nn.BatchNorm1d` and
/// `BatchNorm2d`). Where mean and variance come from is the [`NormPass`]'s to
/// say.
///
/// Normalises by the biased variance; the running average is of the unbiased
/// one, as PyTorch's.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// `[C]`.
    pub weight: Param<Tensor<1>>,
    /// `[C]`.
    pub bias: Param<Tensor<1>>,
    /// `[C]`, not trained by gradients.
    pub running_mean: Param<Tensor<1>>,
    /// `[C]`, not trained by gradients.
    pub running_var: Param<Tensor<1>>,
    eps: f64,
    momentum: f64,
}

impl BatchNorm {
    /// PyTorch's eps.
    pub const EPS: f64 = 1e-5;
    /// PyTorch's weight of the newest batch in the running averages.
    pub const MOMENTUM: f64 = 0.1;

    /// Normalises `channels`; starts as weight 1, bias 0, running mean 0 and
    /// variance 1.
    pub fn init(channels: usize, device: &Device) -> Self {
        // Constants draw nothing: any seed gives the same.
        let seed = Seed::new(0);
        Self {
            weight: Initializer::ONES.parameter([channels], seed, device),
            bias: Initializer::ZEROS.parameter([channels], seed, device),
            running_mean: fixed_parameter([channels], move || vec![0.0; channels], device),
            running_var: fixed_parameter([channels], move || vec![1.0; channels], device),
            eps: Self::EPS,
            momentum: Self::MOMENTUM,
        }
    }

    /// # Shapes
    /// `[B, C, ..]`, kept
    ///
    /// # Panics
    /// Ghost batches do not divide the batch.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, pass: &mut NormPass) -> Tensor<D> {
        self.forward_then(x, pass, Then::Nothing)
    }

    /// [`BatchNorm::forward`], then ReLU.
    ///
    /// # Shapes
    /// `[B, C, ..]`, kept
    ///
    /// # Panics
    /// As [`BatchNorm::forward`].
    pub fn forward_relu<const D: usize>(&self, x: Tensor<D>, pass: &mut NormPass) -> Tensor<D> {
        self.forward_then(x, pass, Then::Relu)
    }

    fn forward_then<const D: usize>(
        &self,
        x: Tensor<D>,
        pass: &mut NormPass,
        then: Then,
    ) -> Tensor<D> {
        match pass.source() {
            NormSource::Running => {
                let (mean, var) = (self.running_mean.val(), self.running_var.val());
                self.normalise(x, mean, var, then)
            }
            NormSource::Batch => self.forward_batch(x, pass, then),
            NormSource::GhostBatches(size) => {
                let batch = x.dims()[0];
                assert!(
                    batch.is_multiple_of(size),
                    "a batch of {batch} is not made up of ghost batches of {size}"
                );
                let ghosts = x.split(size, 0).into_iter();
                let ghosts = ghosts.map(|x| self.forward_batch(x, pass, then));
                Tensor::cat(ghosts.collect(), 0)
            }
            NormSource::Domain => {
                let (mean, var) = pass.domain_statistics(x.clone());
                self.normalise(x, mean, var, then)
            }
        }
    }

    fn normalise<const D: usize>(
        &self,
        x: Tensor<D>,
        mean: Tensor<1>,
        var: Tensor<1>,
        then: Then,
    ) -> Tensor<D> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let evaluated = batch_norm(&x, [&mean, &var, &weight, &bias], self.eps, then);
        evaluated.unwrap_or_else(|| {
            let output = module::batch_norm(x, weight, bias, mean, var, self.eps);
            followed_by(output, then)
        })
    }

    /// By the batch's own statistics, which go into the running averages.
    fn forward_batch<const D: usize>(
        &self,
        x: Tensor<D>,
        pass: &mut NormPass,
        then: Then,
    ) -> Tensor<D> {
        let dims = x.dims();
        let count = dims.iter().product::<usize>() / dims[1];
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let trained = training::batch_norm(&x, &weight, &bias, self.eps, then);
        let output = trained.unwrap_or_else(|| {
            let output = module::batch_norm_train(x, weight, bias, self.eps);
            training::Normalised {
                output: followed_by(output.output, then),
                mean: output.mean,
                variance: output.variance,
            }
        });
        // Of one value there is no unbiased variance.
        if count > 1 {
            let unbiased = output.variance * (count as f64 / (count - 1) as f64);
            pass.average(&self.running_mean, output.mean, self.momentum);
            pass.average(&self.running_var, unbiased, self.momentum);
        }
        output.output
    }
}

fn followed_by<const D: usize>(x: Tensor<D>, then: Then) -> Tensor<D> {
    match then {
        Then::Nothing => x,
        Then::Relu => relu(x),
    }
}
