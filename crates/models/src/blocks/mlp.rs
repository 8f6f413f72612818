//! Two linear maps around a GELU.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;

use super::gelu::gelu;
use super::linear::{Bias, Linear};
use crate::Initializer;
use crate::kernels::mlp::mlp;

/// `fc2(gelu(fc1(x)))` (timm `layers.Mlp`).
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[D, hidden]`.
    pub fc1: Linear,
    /// `[hidden, D]`.
    pub fc2: Linear,
}

impl Mlp {
    /// From `dim` features over `hidden` back to `dim`.
    pub fn init(
        dim: usize,
        hidden: usize,
        initializer: Initializer,
        seed: Seed,
        device: &Device,
    ) -> Self {
        let linear =
            |shape, name| Linear::init(shape, Bias::Zeros, initializer, seed.split(name), device);
        Self {
            fc1: linear([dim, hidden], "fc1"),
            fc2: linear([hidden, dim], "fc2"),
        }
    }

    /// # Shapes
    /// `[.., D]`, kept
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let evaluated = || mlp(&x, &self.fc1.host_map()?, &self.fc2.host_map()?);
        evaluated().unwrap_or_else(|| self.fc2.forward(gelu(self.fc1.forward(x))))
    }
}
