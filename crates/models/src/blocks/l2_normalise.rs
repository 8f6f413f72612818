//! Rows of length one.

use burn::tensor::Tensor;

/// `x / max(|x|, eps)` of every row (`torch.nn.functional.normalize`).
///
/// # Shapes
/// `[B, D]`, kept
pub fn l2_normalise(x: Tensor<2>, eps: f64) -> Tensor<2> {
    let norm = x.clone().square().sum_dim(1).sqrt();
    x / norm.clamp_min(eps)
}
