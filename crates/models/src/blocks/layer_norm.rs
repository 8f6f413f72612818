//! Layer normalisation with an explicit eps.

use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, module};
use morphospace_core::Seed;

use crate::Initializer;
use crate::kernels::layer_norm::{Norm, layer_norm};
use crate::kernels::training;

/// `(x - mean) / sqrt(var + eps) * weight + bias` over the last axis, with the
/// biased variance (Ba et al. 2016; `torch.nn.LayerNorm`).
///
/// There is no default eps: ViTs of timm use 1e-6, PyTorch's own default is
/// 1e-5, and on dark images the difference shows.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[D]`.
    pub weight: Param<Tensor<1>>,
    /// `[D]`.
    pub bias: Param<Tensor<1>>,
    eps: f64,
}

impl LayerNorm {
    /// Normalises `dim` features; starts as weight 1, bias 0.
    pub fn init(dim: usize, eps: f64, device: &Device) -> Self {
        // Constants draw nothing: any seed gives the same.
        let seed = Seed::new(0);
        Self {
            weight: Initializer::ONES.parameter([dim], seed, device),
            bias: Initializer::ZEROS.parameter([dim], seed, device),
            eps,
        }
    }

    /// The norm where it can be evaluated outside of Burn.
    pub(crate) fn host_norm(&self) -> Option<Norm> {
        Norm::of(&self.weight.val(), &self.bias.val(), self.eps)
    }

    /// The norm of some features, as many at a time as it has weights, where
    /// training has a pass for it.
    pub(crate) fn forward_features<const D: usize>(
        &self,
        x: &Tensor<D>,
        features: Range<usize>,
    ) -> Option<Tensor<D>> {
        training::norm_features(x, features, &self.weight.val(), &self.bias.val(), self.eps)
    }

    /// # Shapes
    /// `[.., D]`, kept
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let evaluated = self.host_norm().and_then(|norm| layer_norm(&x, &norm));
        let trained = || training::layer_norm(&x, &weight, &bias, self.eps);
        let fused = evaluated.or_else(trained);
        fused.unwrap_or_else(|| module::layer_norm(x, weight, Some(bias), self.eps))
    }
}
