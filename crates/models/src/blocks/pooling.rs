//! Maps to smaller maps and to vectors.

use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use burn::tensor::{Tensor, module};

/// Largest value under a 3 x 3 window that moves by two pixels
/// (`torch.nn.MaxPool2d(3, 2, padding=1)`), behind the stem of ResNet and
/// DenseNet.
///
/// # Shapes
/// `[B, C, H, W]` to `[B, C, H / 2, W / 2]`, rounded up
pub fn stem_max_pool(x: Tensor<4>) -> Tensor<4> {
    let options = MaxPoolOptions::new([3, 3])
        .with_stride([2, 2])
        .with_padding([1, 1]);
    module::max_pool2d(x, options)
}

/// Largest of each 2 x 2 pixels.
///
/// # Shapes
/// `[B, C, H, W]` to `[B, C, H / 2, W / 2]`, rounded down
pub fn max_pool_2x2(x: Tensor<4>) -> Tensor<4> {
    module::max_pool2d(x, MaxPoolOptions::new([2, 2]))
}

/// Mean of each 2 x 2 pixels.
///
/// # Shapes
/// `[B, C, H, W]` to `[B, C, H / 2, W / 2]`, rounded down
pub fn avg_pool_2x2(x: Tensor<4>) -> Tensor<4> {
    module::avg_pool2d(x, AvgPoolOptions::new([2, 2]))
}

/// Mean over all pixels.
///
/// # Shapes
/// `[B, C, H, W]` to `[B, C]`
pub fn global_avg_pool(x: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height * width])
        .mean_dim(2)
        .reshape([batch, channels])
}
