//! The exact GELU.

use burn::module::Module;
use burn::tensor::{Tensor, activation};

use crate::kernels::gelu::gelu_tensor;
use crate::kernels::training;

/// `x Φ(x)` with the normal distribution function by erf, not its tanh
/// approximation (Hendrycks & Gimpel 2016; `torch.nn.GELU()`).
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let fused = gelu_tensor(&x).or_else(|| training::gelu(&x));
    fused.unwrap_or_else(|| activation::gelu(x))
}

/// [`gelu`] in a list of modules.
#[derive(Module, Debug)]
pub struct Gelu;
