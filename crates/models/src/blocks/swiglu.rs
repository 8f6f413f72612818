//! A perceptron with a gate.

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use morphospace_core::Seed;

use super::linear::{Bias, Linear};
use crate::Initializer;

/// `w3(silu(a) b)` with `[a | b] = w12(x)` (Shazeer 2020; DINOv2
/// `layers.SwiGLUFFN`).
#[derive(Module, Debug)]
pub struct SwiGlu {
    /// `[D, 2 hidden]`.
    pub w12: Linear,
    /// `[hidden, D]`.
    pub w3: Linear,
}

impl SwiGlu {
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
            w12: linear([dim, 2 * hidden], "w12"),
            w3: linear([hidden, dim], "w3"),
        }
    }

    /// DINOv2's fused variant, which ViT-G/14 has: two thirds of a plain
    /// perceptron's `hidden` features, rounded up to a multiple of eight.
    pub fn fused_hidden(hidden: usize) -> usize {
        (hidden * 2 / 3).next_multiple_of(8)
    }

    /// # Shapes
    /// `[.., D]`, kept
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let both = self.w12.forward(x);
        let hidden = both.dims()[D - 1] / 2;
        let gate = both.clone().narrow(D - 1, 0, hidden);
        let value = both.narrow(D - 1, hidden, hidden);
        self.w3.forward(activation::silu(gate) * value)
    }
}
