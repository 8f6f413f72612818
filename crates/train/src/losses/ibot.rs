//! What the teacher tells of patches that the student does not see.

use burn::tensor::{Tensor, TensorData};

use super::block_masks::BlockMasks;
use super::dino::summed_cross_entropy;

/// The cross entropy of hidden patches: their mean over the patches of an
/// image, then over all images, of which some have none.
///
/// # Shapes
/// `student`, `teacher`: `[M, K]`, outputs for the hidden patches in order
/// ([`BlockMasks::select`]), the teacher's as shares that sum to 1; result
/// `[1]`, 0 if no patch is hidden
///
/// # Panics
/// There are not as many outputs as hidden patches.
///
/// # Source
/// Zhou et al. 2022, <https://arxiv.org/abs/2111.07832>;
/// facebookresearch/dinov2 `ibot_patch_loss.iBOTPatchLoss.forward_masked`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_train::losses::{BlockMasks, ibot_loss};
///
/// // Two images, one of them with two hidden patches, and a sure teacher.
/// let masks = BlockMasks::new(3, vec![true, true, false, false, false, false]);
/// let device = Device::default();
/// let student = Tensor::<2>::zeros([2, 2], &device);
/// let teacher = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device);
/// let loss = ibot_loss(&masks, student, teacher, 0.1);
/// assert!((loss.into_scalar::<f32>() - 2f32.ln() / 2.0).abs() < 1e-6);
/// ```
pub fn ibot_loss(
    masks: &BlockMasks,
    student: Tensor<2>,
    teacher: Tensor<2>,
    student_temp: f64,
) -> Tensor<1> {
    let weights = masks.weights();
    let count = weights.len();
    assert_eq!(
        student.dims()[0],
        count,
        "there is one output per hidden patch"
    );
    if count == 0 {
        return Tensor::zeros([1], &student.device());
    }
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [count, 1]), &student.device());
    let losses = summed_cross_entropy(student, teacher, student_temp);
    (losses * weights).sum() / masks.num_images() as f64
}
