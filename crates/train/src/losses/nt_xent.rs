//! The contrastive loss of SimCLR.

use burn::tensor::{Bool, Tensor, activation};
use morphospace_models::blocks::l2_normalise::l2_normalise;

use super::index_tensor;

/// Normalised temperature-scaled cross entropy: of all views in the batch but
/// itself, which is the other view of the same image?
///
/// The mean is over all `2 N` views. It is the same whichever view comes
/// first.
///
/// # Shapes
/// `first`, `second`: `[N, D]`, two views of the same images in the same
/// order; `temperature` above 0; result `[1]`
///
/// # Source
/// Chen et al. 2020, <https://arxiv.org/abs/2002.05709>, equation 1; lightly
/// `NTXentLoss`; AIBIO_proj `utils.info_nce_loss`, whose temperature is 0.15
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_train::losses::nt_xent_loss;
///
/// // All views alike: the other one is one of three.
/// let views = Tensor::<2>::ones([2, 4], &Device::default());
/// let loss = nt_xent_loss(views.clone(), views, 0.15);
/// assert!((loss.into_scalar::<f32>() - 3f32.ln()).abs() < 1e-6);
/// ```
pub fn nt_xent_loss(first: Tensor<2>, second: Tensor<2>, temperature: f64) -> Tensor<1> {
    let num_images = first.dims()[0];
    let similarities = view_similarities(first, second) / temperature;
    let num_views = 2 * num_images;
    let device = similarities.device();
    // The mask is true off the diagonal.
    let is_self = Tensor::<2, Bool>::diag_mask([num_views; 2], 0, &device).bool_not();
    let log_shares = activation::log_softmax(similarities.mask_fill(is_self, f32::MIN), 1);
    let others = (0..num_views).map(|view| (view + num_images) % num_views);
    let others = index_tensor(others, &device).unsqueeze_dim(1);
    -log_shares.gather(1, others).mean()
}

/// Cosines of all views with each other, the first views' rows before the
/// second's.
///
/// # Shapes
/// both `[N, D]`; result `[2 N, 2 N]`
pub(super) fn view_similarities(first: Tensor<2>, second: Tensor<2>) -> Tensor<2> {
    let views = l2_normalise(Tensor::cat(vec![first, second], 0), 1e-12);
    views.clone().matmul(views.transpose())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::drawn;
    use super::*;

    #[test]
    fn hand_worked() {
        // Two images, orthogonal, both views equal: the other view has cosine
        // 1, the two of the other image 0.
        let views = Tensor::<2>::from_floats([[3.0, 0.0], [0.0, 0.5]], &Device::default());
        for temperature in [0.15f64, 0.5, 1.0] {
            let loss: f32 = nt_xent_loss(views.clone(), views.clone(), temperature).into_scalar();
            let expected = (1.0 + 2.0 * (-1.0 / temperature).exp()).ln();
            assert!((f64::from(loss) - expected).abs() < 1e-6, "{temperature}");
        }
    }

    #[test]
    fn views_may_be_swapped() {
        let device = Device::default();
        let (a, b) = (drawn([5, 3], 1, &device), drawn([5, 3], 2, &device));
        let loss: f32 = nt_xent_loss(a.clone(), b.clone(), 0.15).into_scalar();
        let swapped: f32 = nt_xent_loss(b, a, 0.15).into_scalar();
        assert!((loss - swapped).abs() < 1e-6);
    }

    #[test]
    fn finite_where_vectors_are_zero_huge_or_alone() {
        let device = Device::default().autodiff();
        for rows in [[[0.0, 0.0], [1e15, -1e15]], [[1.0, 2.0], [1.0, 2.0]]] {
            let a = Tensor::<2>::from_floats(rows, &device).require_grad();
            let loss = nt_xent_loss(a.clone(), a.clone() * 2.0, 0.01);
            let gradient = a.grad(&loss.backward()).expect("a leaf");
            assert!(
                gradient.abs().sum().into_scalar::<f32>().is_finite(),
                "{rows:?}"
            );
        }
        let one = Tensor::<2>::from_floats([[1.0, 2.0]], &Device::default());
        assert_eq!(
            nt_xent_loss(one.clone(), one, 0.15).into_scalar::<f32>(),
            0.0
        );
    }
}
