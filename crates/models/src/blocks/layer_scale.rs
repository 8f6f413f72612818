//! A trained factor per feature.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;

use crate::Initializer;
use crate::kernels::residual::add_scaled;
use crate::kernels::training;

/// `gamma * x`: lets a residual branch start small (Touvron et al. 2021,
/// <https://arxiv.org/abs/2103.17239>).
#[derive(Module, Debug)]
pub struct LayerScale {
    /// `[D]`.
    pub gamma: Param<Tensor<1>>,
}

impl LayerScale {
    /// Starts every factor at `init_value`.
    pub fn init(dim: usize, init_value: f64, device: &Device) -> Self {
        let constant = Initializer::Constant(init_value as f32);
        Self {
            gamma: constant.parameter([dim], Seed::new(0), device),
        }
    }

    /// # Shapes
    /// `[B, N, D]`, kept
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.mul(self.gamma.val().unsqueeze())
    }

    /// `x + gamma * branch`.
    ///
    /// # Shapes
    /// `[B, N, D]`, kept
    pub fn add_scaled(&self, x: Tensor<3>, branch: Tensor<3>) -> Tensor<3> {
        let gamma = self.gamma.val();
        let evaluated = add_scaled(&x, &branch, &gamma);
        let trained = || training::add_scaled(&x, &branch, &gamma);
        let fused = evaluated.or_else(trained);
        fused.unwrap_or_else(|| x + self.forward(branch))
    }
}
