//! Masked image modelling: reconstruct the patches that were removed.
//!
//! He et al. 2022 (<https://arxiv.org/abs/2111.06377>); Kraus et al. 2023
//! (<https://arxiv.org/abs/2309.16064>) for microscopy, with the Fourier term
//! where the network's configuration gives it a weight.

use burn::tensor::Tensor;
use morphospace_core::Seed;
use morphospace_models::{CaMae, Mae, MaeLoss, Masking, NetworkConfig};

use super::{Loss, Objective};

impl Objective for Mae {
    fn network_config(&self) -> NetworkConfig {
        NetworkConfig::Mae(self.config().clone())
    }

    fn loss(&self, images: Tensor<4>, seed: Seed) -> Loss {
        let masking = draw_mask(
            images.dims()[0],
            self.num_tokens(),
            self.config().mask_ratio,
            seed,
        );
        let output = self.forward(images.clone(), &masking, Some(seed.split("drop_path")));
        named(self.loss(images, &output))
    }
}

impl Objective for CaMae {
    fn network_config(&self) -> NetworkConfig {
        NetworkConfig::CaMae(self.config().clone())
    }

    fn loss(&self, images: Tensor<4>, seed: Seed) -> Loss {
        let masking = draw_mask(
            images.dims()[0],
            self.num_tokens(),
            self.config().mask_ratio,
            seed,
        );
        let output = self.forward(images.clone(), &masking, Some(seed.split("drop_path")));
        named(self.loss(images, &output))
    }
}

fn draw_mask(batch: usize, num_tokens: usize, mask_ratio: f64, seed: Seed) -> Masking {
    Masking::random(seed.split("mask"), batch, num_tokens, mask_ratio)
        .expect("the network's configuration was checked")
}

fn named(loss: MaeLoss) -> Loss {
    let mut parts = vec![("mse", loss.mse)];
    parts.extend(loss.fourier.map(|fourier| ("fourier", fourier)));
    Loss {
        total: loss.total,
        parts,
    }
}
