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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn rows_of_zeros_have_a_gradient() {
        let device = Device::default().autodiff();
        let x = Tensor::<2>::from_floats([[0.0, 0.0], [3.0, 4.0]], &device).require_grad();
        let y = l2_normalise(x.clone(), 1e-12);
        let gradient = x.grad(&y.clone().sum().backward()).expect("a leaf");
        assert!(gradient.abs().sum().into_scalar::<f32>().is_finite());
        let y: Vec<f32> = y.into_data().iter::<f32>().collect();
        assert_eq!(y, [0.0, 0.0, 0.6, 0.8]);
    }
}
