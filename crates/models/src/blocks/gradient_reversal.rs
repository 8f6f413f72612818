//! Gradient reversal.

use burn::tensor::Tensor;

/// The input, with its gradient times `-lambda`: what is learnt behind it is
/// unlearnt before it (Ganin & Lempitsky 2015,
/// <https://arxiv.org/abs/1409.7495>).
///
/// # Shapes
/// any, kept
pub fn gradient_reversal<const D: usize>(x: Tensor<D>, lambda: f64) -> Tensor<D> {
    let value = x.clone().detach();
    // Adds exactly zero, whose gradient is that wanted.
    value.clone() + (x - value) * -lambda
}
