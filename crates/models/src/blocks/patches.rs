//! Images as patches and back.

use burn::tensor::{Tensor, assert_shape};

/// Patches as a convolution kernel reads them: vectors ordered channel, row,
/// column.
///
/// # Shapes
/// `[B, C, h·P, w·P]` to `[B, h·w, C·P·P]`
pub fn conv_patches(images: Tensor<4>, patch_size: usize) -> Tensor<3> {
    let [batch, chans, height, width] = images.dims();
    let (rows, cols) = (height / patch_size, width / patch_size);
    let patches = images.reshape([batch, chans, rows, patch_size, cols, patch_size]);
    // [B, C, h, P, w, Q] → [B, h, w, C, P, Q]
    let patches = patches.permute([0, 2, 4, 1, 3, 5]);
    patches.reshape([batch, rows * cols, chans * patch_size * patch_size])
}

/// The pixels a masked autoencoder predicts, one vector per token.
///
/// Joint tokens hold their patch with the channel running fastest (row,
/// column, channel; He et al.'s `nhwpqc`); channel-agnostic tokens hold one
/// channel of it, token `c·h·w + row·w + col`.
///
/// # Shapes
/// `[B, C, h·P, w·P]` to `[B, h·w, P·P·C]` or, channel-agnostic, `[B, C·h·w, P·P]`
///
/// # Source
/// maes_microscopy `mae_utils.flatten_images`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_models::blocks::patches::{flatten_images, unflatten_tokens};
///
/// let images = Tensor::<1, burn::tensor::Int>::arange(0..96, &Device::default())
///     .float()
///     .reshape([1, 6, 4, 4]);
/// let tokens = flatten_images(images.clone(), 2, false);
/// assert_eq!(tokens.dims(), [1, 4, 24]);
/// assert_eq!(unflatten_tokens(tokens, 2, 6, false).to_data(), images.to_data());
/// ```
pub fn flatten_images(images: Tensor<4>, patch_size: usize, channel_agnostic: bool) -> Tensor<3> {
    let [batch, chans, height, width] = images.dims();
    let (rows, cols) = (height / patch_size, width / patch_size);
    let patches = images.reshape([batch, chans, rows, patch_size, cols, patch_size]);
    if channel_agnostic {
        // [B, C, h, P, w, Q] → [B, C, h, w, P, Q]
        let patches = patches.permute([0, 1, 2, 4, 3, 5]);
        patches.reshape([batch, chans * rows * cols, patch_size * patch_size])
    } else {
        // [B, C, h, P, w, Q] → [B, h, w, P, Q, C]
        let patches = patches.permute([0, 2, 4, 3, 5, 1]);
        patches.reshape([batch, rows * cols, patch_size * patch_size * chans])
    }
}

/// Back from [`flatten_images`], for square images.
///
/// # Shapes
/// `[B, h·w, P·P·C]` or `[B, C·h·w, P·P]` to `[B, C, h·P, w·P]`
///
/// # Panics
/// The number of patches is not a square.
pub fn unflatten_tokens(
    tokens: Tensor<3>,
    patch_size: usize,
    chans: usize,
    channel_agnostic: bool,
) -> Tensor<4> {
    let [batch, num_tokens, _] = tokens.dims();
    let num_patches = if channel_agnostic {
        num_tokens / chans
    } else {
        num_tokens
    };
    let grid = num_patches.isqrt();
    assert_eq!(
        grid * grid,
        num_patches,
        "{num_patches} patches form no square image"
    );
    let patches = if channel_agnostic {
        assert_shape!(
            tokens,
            [batch, chans * num_patches, patch_size * patch_size]
        );
        let patches = tokens.reshape([batch, chans, grid, grid, patch_size, patch_size]);
        // [B, C, h, w, P, Q] → [B, C, h, P, w, Q]
        patches.permute([0, 1, 2, 4, 3, 5])
    } else {
        assert_shape!(
            tokens,
            [batch, num_patches, patch_size * patch_size * chans]
        );
        let patches = tokens.reshape([batch, grid, grid, patch_size, patch_size, chans]);
        // [B, h, w, P, Q, C] → [B, C, h, P, w, Q]
        patches.permute([0, 5, 1, 3, 2, 4])
    };
    patches.reshape([batch, chans, grid * patch_size, grid * patch_size])
}

/// Every token's pixels with their own mean 0 and variance 1 (ddof 1, 1e-6
/// inside the root): the target of He et al.'s `norm_pix_loss`.
///
/// # Shapes
/// `[B, L, P]` with `P > 1`, kept
pub fn norm_pix(tokens: Tensor<3>) -> Tensor<3> {
    let (variance, mean) = tokens.clone().var_mean(2);
    (tokens - mean) / (variance + 1e-6).sqrt()
}
