//! Self-standardisation of images.

use burn::tensor::Tensor;

/// Brings every channel of every image to mean 0 and variance 1:
/// `x / 255`, then `(x - mean) / sqrt(var + 1e-5)` with the biased variance.
///
/// The 1e-5 acts on the scale 0..1, so a dark channel stays visibly below
/// variance 1 and a constant one becomes 0. Take the crop first: the
/// statistics are those of the pixels the network sees.
///
/// # Shapes
/// `[B, C, H, W]` grey levels 0..255, kept
///
/// # Source
/// maes_microscopy `normalizer.py` + `torch.nn.InstanceNorm2d(affine=False)`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let image = Tensor::<4>::from_data([[[[10.0, 20.0], [30.0, 40.0]]]], &Device::default());
/// let image = morphospace_models::self_standardise(image);
/// assert!(image.mean().into_scalar::<f32>().abs() < 1e-6);
/// ```
pub fn self_standardise(images: Tensor<4>) -> Tensor<4> {
    let [batch, chans, height, width] = images.dims();
    let planes = images
        .reshape([batch * chans, height * width])
        .div_scalar(255.0);
    let (variance, mean) = planes.clone().var_mean_bias(1);
    let planes = (planes - mean) / (variance + 1e-5).sqrt();
    planes.reshape([batch, chans, height, width])
}
