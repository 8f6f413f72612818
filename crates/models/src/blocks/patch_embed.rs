//! Images to tokens.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, assert_shape};
use morphospace_core::Seed;

use super::linear::map_rows;
use super::patches::conv_patches;
use crate::Initializer;
use crate::kernels::linear::LinearMap;
use crate::kernels::patch_embed::patch_embed;

/// The strided convolution of a patch embedding: its kernel and bias under the
/// names of `torch.nn.Conv2d`.
#[derive(Module, Debug)]
pub struct PatchProjection {
    /// `[D, C, P, P]`; `C` is 1 if channels share it.
    pub weight: Param<Tensor<4>>,
    /// `[D]`.
    pub bias: Param<Tensor<1>>,
}

/// Cuts images into patches and maps each to a token.
///
/// Two forms: joint, where a token sees all channels of its patch (timm
/// `PatchEmbed`), and channel-agnostic, where every channel is cut on its own
/// and one kernel `[D, 1, P, P]` serves all (maes_microscopy
/// `vit.channel_agnostic_vit`). A convolution with stride `P` and no overlap is
/// a matrix product over cut patches; written so, the masked patches of an
/// autoencoder need not be embedded at all.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// The kernel.
    pub proj: PatchProjection,
    channel_agnostic: bool,
}

impl PatchEmbed {
    /// `in_chans` counts for the joint form only.
    pub fn init(
        in_chans: usize,
        patch_size: usize,
        dim: usize,
        channel_agnostic: bool,
        initializer: Initializer,
        seed: Seed,
        device: &Device,
    ) -> Self {
        let kernel_chans = if channel_agnostic { 1 } else { in_chans };
        let shape = [dim, kernel_chans, patch_size, patch_size];
        let proj = PatchProjection {
            weight: initializer.parameter(shape, seed.split("weight"), device),
            bias: Initializer::ZEROS.parameter([dim], seed.split("bias"), device),
        };
        Self {
            proj,
            channel_agnostic,
        }
    }

    /// Cuts images into the vectors that [`PatchEmbed::project`] maps.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `[B, L, C·P·P]` (joint, `L = h·w`) or `[B, C·h·w, P·P]`
    /// (channel-agnostic, token `c·h·w + row·w + col`)
    pub fn patches(&self, images: Tensor<4>) -> Tensor<3> {
        let [_, kernel_chans, patch_size, _] = self.proj.weight.dims();
        let [batch, in_chans, height, width] = images.dims();
        if self.channel_agnostic {
            // [B, C, H, W] → [B·C, 1, H, W]: every channel is an image.
            let planes = images.reshape([batch * in_chans, 1, height, width]);
            let patches = conv_patches(planes, patch_size);
            let num_patches = patches.dims()[1];
            patches.reshape([batch, in_chans * num_patches, patch_size * patch_size])
        } else {
            assert_shape!(images, [batch, kernel_chans, height, width]);
            conv_patches(images, patch_size)
        }
    }

    /// # Shapes
    /// `[B, L, C·P·P]` to `[B, L, D]`
    pub fn project(&self, patches: Tensor<3>) -> Tensor<3> {
        map_rows(patches, self.map(), Some(self.proj.bias.val()))
    }

    /// # Shapes
    /// `[B, C, H, W]` to `[B, L, D]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let [_, kernel_chans, patch_size, _] = self.proj.weight.dims();
        let [batch, in_chans, height, width] = images.dims();
        if !self.channel_agnostic {
            assert_shape!(images, [batch, kernel_chans, height, width]);
        }
        assert!(
            in_chans > 0 && height.is_multiple_of(patch_size) && width.is_multiple_of(patch_size),
            "images of {height} x {width} pixels are not cut into patches of {patch_size}"
        );
        let evaluated = || {
            let map = LinearMap::of(&self.map(), Some(&self.proj.bias.val()))?;
            patch_embed(&images, patch_size, &map)
        };
        evaluated().unwrap_or_else(|| self.project(self.patches(images)))
    }

    /// The kernel as a linear map of patches, `[C·P·P, D]`.
    fn map(&self) -> Tensor<2> {
        let [dim, kernel_chans, patch_size, _] = self.proj.weight.dims();
        let kernel = self.proj.weight.val();
        kernel
            .reshape([dim, kernel_chans * patch_size * patch_size])
            .transpose()
    }
}
