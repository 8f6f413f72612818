//! Masked image modelling: reconstruct the patches that were removed.
//!
//! He et al. 2022 (<https://arxiv.org/abs/2111.06377>); Kraus et al. 2023
//! (<https://arxiv.org/abs/2309.16064>) for microscopy, with the Fourier term
//! where the network's configuration gives it a weight. Their MU-Nets see
//! images whose masked patches are 0, and learn to fill them in (masked
//! patches count alone, as in Microsnoop). Neither side of their patches nor
//! what fills them is in the paper: ours are 16 pixels and the mean.

use burn::module::Module;
use burn::tensor::Tensor;
use morphospace_core::Seed;
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::blocks::patches::unflatten_tokens;
use morphospace_models::{CaMae, Encoder, Mae, MaeLoss, MapNetwork, Masking, MuNet, NetworkConfig};
use serde::{Deserialize, Serialize};

use super::{Loss, Objective};
use crate::{ImageBatch, Moment, TrainError};

/// What is removed from the images of a MU-Net; autoencoders of tokens have
/// their own `mask_ratio`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskedModellingConfig {
    /// Side of the patches in pixels.
    pub patch_size: usize,
    /// Share of the patches; 0.25 in Kraus et al. 2023.
    pub mask_ratio: f64,
}

impl Default for MaskedModellingConfig {
    fn default() -> Self {
        Self {
            patch_size: 16,
            mask_ratio: 0.25,
        }
    }
}

impl Objective for Mae {
    fn network(&self) -> (NetworkConfig, &'static str) {
        (NetworkConfig::Mae(self.config().clone()), "")
    }

    fn encoder(&self) -> Box<dyn Encoder> {
        Box::new(self.encoder.vit_backbone.valid())
    }

    fn loss(&mut self, batch: &ImageBatch, moment: &Moment) -> Loss {
        let images = batch.views[0].clone();
        let masking = draw_mask(
            images.dims()[0],
            self.num_tokens(),
            self.config().mask_ratio,
            moment.seed,
        );
        let output = self.forward(images.clone(), &masking, moment.drop_path_seed());
        named(Mae::loss(self, images, &output))
    }
}

impl Objective for CaMae {
    fn network(&self) -> (NetworkConfig, &'static str) {
        (NetworkConfig::CaMae(self.config().clone()), "")
    }

    fn encoder(&self) -> Box<dyn Encoder> {
        Box::new(self.encoder.vit_backbone.valid())
    }

    fn loss(&mut self, batch: &ImageBatch, moment: &Moment) -> Loss {
        let images = batch.views[0].clone();
        let masking = draw_mask(
            images.dims()[0],
            self.num_tokens(),
            self.config().mask_ratio,
            moment.seed,
        );
        let output = self.forward(images.clone(), &masking, moment.drop_path_seed());
        named(CaMae::loss(self, images, &output))
    }
}

/// A [`MuNet`] and what is removed from its images.
#[derive(Module, Debug)]
pub struct MaskedMuNet {
    /// The network.
    pub network: MuNet,
    #[module(skip)]
    config: MaskedModellingConfig,
}

impl MaskedMuNet {
    /// Trains a network to fill in what is removed.
    ///
    /// # Errors
    /// [`TrainError::InvalidConfig`]: its images are not made up of whole
    /// patches, or all or none of them would be removed.
    pub fn new(network: MuNet, config: MaskedModellingConfig) -> Result<Self, TrainError> {
        config.check(network.config().img_size)?;
        Ok(Self { network, config })
    }
}

impl MaskedModellingConfig {
    /// Whether it fits images of that side.
    pub(crate) fn check(&self, img_size: usize) -> Result<(), TrainError> {
        let patch_size = self.patch_size;
        if patch_size == 0 || !img_size.is_multiple_of(patch_size) {
            return Err(TrainError::InvalidConfig(format!(
                "objective.patch_size {patch_size} does not divide the network's {img_size} pixels"
            )));
        }
        let num_patches = (img_size / patch_size).pow(2);
        let num_kept = Masking::len_keep(num_patches, self.mask_ratio);
        if !(self.mask_ratio > 0.0 && self.mask_ratio < 1.0 && num_kept > 0) {
            return Err(TrainError::InvalidConfig(format!(
                "objective.mask_ratio {} leaves {num_kept} of {num_patches} patches: give a share \
                 above 0 that leaves some",
                self.mask_ratio
            )));
        }
        Ok(())
    }
}

impl Objective for MaskedMuNet {
    fn network(&self) -> (NetworkConfig, &'static str) {
        let config = self.network.config().clone();
        (NetworkConfig::MuNet(config), "network.")
    }

    fn encoder(&self) -> Box<dyn Encoder> {
        Box::new(self.network.valid())
    }

    fn loss(&mut self, batch: &ImageBatch, moment: &Moment) -> Loss {
        let images = batch.views[0].clone();
        let [num_images, in_chans, height, width] = images.dims();
        let MaskedModellingConfig {
            patch_size,
            mask_ratio,
        } = self.config;
        let num_patches = (height / patch_size) * (width / patch_size);
        let masking = draw_mask(num_images, num_patches, mask_ratio, moment.seed);
        let mask: Tensor<3> = masking.mask(&images.device()).unsqueeze_dim(2);
        // [B, L, 1] → [B, L, P·P·C] → [B, C, H, W]
        let mask = mask.expand([num_images, num_patches, patch_size * patch_size * in_chans]);
        let mask = unflatten_tokens(mask, patch_size, in_chans, false);
        let mut pass = match moment.is_training {
            true => NormPass::batch(),
            false => NormPass::running(),
        };
        let seen = images.clone() * (mask.clone() * -1.0 + 1.0);
        let maps = self.network.forward_block_maps(seen, &mut pass);
        let reconstruction = self.network.reconstruct(maps, &mut pass);
        if moment.is_training {
            self.network = pass.update_running(self.network.clone());
        }
        let squares = (reconstruction - images).square() * mask.clone();
        Loss::of(squares.sum() / mask.sum())
    }
}

fn draw_mask(batch: usize, num_tokens: usize, mask_ratio: f64, seed: Seed) -> Masking {
    Masking::random(seed.split("mask"), batch, num_tokens, mask_ratio)
        .expect("the configuration was checked")
}

fn named(loss: MaeLoss) -> Loss {
    let mut parts = vec![("mse", loss.mse)];
    parts.extend(loss.fourier.map(|fourier| ("fourier", fourier)));
    Loss {
        parts,
        ..Loss::of(loss.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_maps_are_squares_of_all_channels() {
        let device = burn::tensor::Device::default();
        let mask = Tensor::<3>::from_floats([[[1.0], [0.0], [0.0], [0.0]]], &device);
        let image = unflatten_tokens(mask.expand([1, 4, 2 * 2 * 3]), 2, 3, false);
        let values: Vec<f32> = image.into_data().iter().collect();
        let expected: Vec<f32> = (0..3 * 16)
            .map(|pixel| f32::from(u8::from(pixel % 16 / 4 < 2 && pixel % 4 < 2)))
            .collect();
        assert_eq!(values, expected);
    }
}
