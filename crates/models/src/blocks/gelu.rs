//! The exact GELU.

use burn::tensor::{Tensor, activation};

/// `x Φ(x)` with the normal distribution function by erf, not its tanh
/// approximation (Hendrycks & Gimpel 2016; `torch.nn.GELU()`).
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::gelu(x)
}
