//! The entropy estimator of Kozachenko and Leonenko: features spread out.

use burn::tensor::{Bool, Tensor};
use morphospace_models::blocks::l2_normalise::l2_normalise;

/// Minus the mean logarithm of the distance of every image to its nearest
/// neighbour in the batch, on the sphere: small where features spread evenly.
///
/// Which is the nearest is a constant. An image alone has no neighbour and no
/// loss.
///
/// # Shapes
/// `features`: `[B, D]`, of one view: of two views of an image the nearest
/// neighbour would be the other one; result `[1]`
///
/// # Source
/// Sablayrolles et al. 2019, <https://arxiv.org/abs/1806.03198>;
/// facebookresearch/dinov2 `koleo_loss.KoLeoLoss`, which takes an image for its
/// own neighbour where all others are exactly opposite; not here
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_train::losses::koleo_loss;
///
/// // Opposite on the circle: at distance 2 from each other.
/// let features = Tensor::<2>::from_floats([[3.0, 0.0], [-0.5, 0.0]], &Device::default());
/// assert!((koleo_loss(features).into_scalar::<f32>() + 2f32.ln()).abs() < 1e-6);
/// ```
pub fn koleo_loss(features: Tensor<2>) -> Tensor<1> {
    const EPS: f64 = 1e-8;
    let batch = features.dims()[0];
    if batch < 2 {
        return features.sum() * 0.0;
    }
    let features = l2_normalise(features, EPS);
    let constant = features.clone().inner();
    let products = constant.clone().matmul(constant.transpose());
    let is_self = Tensor::<2, Bool>::diag_mask([batch; 2], 0, &products.device()).bool_not();
    let nearest = products
        .mask_fill(is_self, f32::MIN)
        .argmax(1)
        .squeeze_dim(1);
    let difference = features.clone() - features.select(0, nearest) + EPS;
    let squares = difference.square().sum_dim(1);
    // The root has no slope at 0.
    let distances = squares.clamp_min(f32::MIN_POSITIVE).sqrt();
    -(distances + EPS).log().mean()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn hand_worked() {
        // At 0, 60 and 180 degrees: nearest at 60, 60 and 120 degrees, chords
        // of 1, 1 and the root of 3.
        let rows = [[2.0, 0.0], [0.5, 0.75f32.sqrt()], [-1.0, 0.0]];
        let features = Tensor::<2>::from_floats(rows, &Device::default());
        let loss: f32 = koleo_loss(features).into_scalar();
        assert!((loss + 3f32.sqrt().ln() / 3.0).abs() < 1e-6, "{loss}");
    }

    #[test]
    fn finite_where_images_are_alike_or_alone() {
        let device = Device::default().autodiff();
        for rows in [vec![1.0f32, 2.0, 1.0, 2.0], vec![0.0; 6], vec![1.0, 2.0]] {
            let features = Tensor::<1>::from_floats(rows.as_slice(), &device);
            let features = features
                .reshape([rows.len() / 2, 2])
                .detach()
                .require_grad();
            let loss = koleo_loss(features.clone());
            let gradient = features.grad(&loss.backward()).expect("a leaf");
            assert!(
                gradient.abs().sum().into_scalar::<f32>().is_finite(),
                "{rows:?}"
            );
            assert!(loss.into_scalar::<f32>().is_finite(), "{rows:?}");
        }
    }
}
