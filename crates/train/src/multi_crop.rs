//! Crops of several sizes through one network.

use burn::tensor::Tensor;

/// The features of all crops, with one pass for each run of crops of one size.
///
/// What comes behind, such as a projection head, then runs once on all of
/// them.
///
/// # Shapes
/// `crops`: each `[B, C, h, w]`; `backbone` gets the number of the pass and
/// the images of a run, `[R·B, C, h, w]`, all of the first crop before those
/// of the next, and gives `[R·B, D]`; result `[S·B, D]` in the crops' order
///
/// # Panics
/// There is no crop.
///
/// # Source
/// Caron et al. 2020, <https://arxiv.org/abs/2006.09882>; facebookresearch/dino
/// `utils.MultiCropWrapper`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_train::multi_crop_features;
///
/// let sizes = [8, 8, 4, 4, 4];
/// let crops = sizes.map(|px| Tensor::<4>::ones([2, 1, px, px], &Device::default()));
/// let mut passes = Vec::new();
/// let features = multi_crop_features(&crops, |_, images| {
///     passes.push(images.dims());
///     images.mean_dim(3).mean_dim(2).flatten(1, 3)
/// });
/// assert_eq!(passes, [[4, 1, 8, 8], [6, 1, 4, 4]]);
/// assert_eq!(features.dims(), [10, 1]);
/// ```
pub fn multi_crop_features(
    crops: &[Tensor<4>],
    mut backbone: impl FnMut(usize, Tensor<4>) -> Tensor<2>,
) -> Tensor<2> {
    let size = |crop: &Tensor<4>| {
        let [_, _, height, width] = crop.dims();
        [height, width]
    };
    let runs = crops.chunk_by(|a, b| size(a) == size(b)).enumerate();
    let features = runs.map(|(pass, run)| backbone(pass, Tensor::cat(run.to_vec(), 0)));
    Tensor::cat(features.collect(), 0)
}
