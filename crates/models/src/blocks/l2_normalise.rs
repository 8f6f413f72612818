//! Rows of length one.

use burn::tensor::Tensor;

/// `x / max(|x|, eps)` of every row (`torch.nn.functional.normalize`). A row of
/// zeros stays one, and has a gradient.
///
/// # Shapes
/// `[B, D]`, kept
pub fn l2_normalise(x: Tensor<2>, eps: f64) -> Tensor<2> {
    // Below the root, which has no slope at 0.
    let squares = x.clone().square().sum_dim(1).clamp_min(eps * eps);
    x / squares.sqrt()
}
