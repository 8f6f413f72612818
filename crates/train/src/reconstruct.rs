use burn::tensor::Tensor;
use morphospace_core::Seed;
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::blocks::patches::{flatten_images, unflatten_tokens};
use morphospace_models::{MapNetwork, Masking, MuNet, Network};

use crate::{MaskedModellingConfig, TrainError};

/// What a masked autoencoder makes of images that it sees parts of.
#[derive(Clone, Debug)]
pub struct Reconstruction {
    /// 1 where a pixel is hidden, `[B, C, H, W]`.
    pub hidden: Tensor<4>,
    /// The images, with the network's pixels where theirs are hidden, `[B, C,
    /// H, W]`.
    pub images: Tensor<4>,
    /// Mean squared error of hidden pixels.
    pub error: f32,
}

/// Hides patches of images and fills them in.
///
/// Where a network learns pixels relative to their patch (`norm_pix_loss`), it
/// is told mean and spread of each: as in the reference's demonstration.
///
/// # Shapes
/// `images`: `[B, C, H, W]`, standardised as in training; `mask_ratio`: that of
/// training, if not given
///
/// # Errors
/// [`TrainError::InvalidConfig`]: the network has no decoder, or the mask
/// leaves nothing or everything.
pub fn reconstruct(
    network: &Network,
    masked: MaskedModellingConfig,
    images: Tensor<4>,
    mask_ratio: Option<f64>,
    seed: Seed,
) -> Result<Reconstruction, TrainError> {
    let [batch, chans, _, _] = images.dims();
    let draw = |num_tokens: usize, ratio: f64| {
        let ratio = mask_ratio.unwrap_or(ratio);
        let num_kept = Masking::len_keep(num_tokens, ratio);
        if !(0.0..1.0).contains(&ratio) || num_kept == 0 || num_kept == num_tokens {
            return Err(TrainError::InvalidConfig(format!(
                "a mask ratio of {ratio} keeps {num_kept} of {num_tokens} patches: give a share \
                 that hides some and leaves some"
            )));
        }
        Ok(Masking::random(seed, batch, num_tokens, ratio)?)
    };
    let (patch_size, is_agnostic, masking, tokens, is_relative) = match network {
        Network::Mae(mae) => {
            let config = mae.config();
            let masking = draw(mae.num_tokens(), config.mask_ratio)?;
            let output = mae.forward(images.clone(), &masking, None);
            let patch_size = config.encoder.patch_size;
            let is_relative = config.loss.norm_pix_loss;
            (
                patch_size,
                false,
                masking,
                output.reconstruction,
                is_relative,
            )
        }
        Network::CaMae(mae) => {
            let config = mae.config();
            let masking = draw(mae.num_tokens(), config.mask_ratio)?;
            let output = mae.forward(images.clone(), &masking, None);
            let patch_size = config.encoder.patch_size;
            let is_relative = config.loss.norm_pix_loss;
            (
                patch_size,
                true,
                masking,
                output.reconstruction,
                is_relative,
            )
        }
        Network::MuNet(munet) => {
            masked.check(munet.config().img_size)?;
            let num_patches = (images.dims()[2] / masked.patch_size).pow(2);
            let masking = draw(num_patches, masked.mask_ratio)?;
            let output = fill_in(munet, &images, &masking, masked.patch_size);
            let tokens = flatten_images(output, masked.patch_size, false);
            (masked.patch_size, false, masking, tokens, false)
        }
        _ => {
            return Err(TrainError::InvalidConfig(
                "the network has no decoder: only masked autoencoders (mae, camae, munet) fill in \
                 what is hidden"
                    .to_owned(),
            ));
        }
    };
    let target = flatten_images(images.clone(), patch_size, is_agnostic);
    let tokens = match is_relative {
        true => {
            let (variance, mean) = target.clone().var_mean(2);
            tokens * (variance + 1e-6).sqrt() + mean
        }
        false => tokens,
    };
    let mask: Tensor<3> = masking.mask(&images.device()).unsqueeze_dim(2);
    let hidden = mask.clone().expand(target.dims());
    let square = (tokens.clone() - target.clone()).square();
    let error = (square * hidden.clone()).sum() / hidden.clone().sum();
    let filled = target * (hidden.clone() * -1.0 + 1.0) + tokens * hidden.clone();
    let to_images = |tokens: Tensor<3>| unflatten_tokens(tokens, patch_size, chans, is_agnostic);
    Ok(Reconstruction {
        hidden: to_images(hidden),
        images: to_images(filled),
        error: error.into_scalar(),
    })
}

/// What a MU-Net makes of images whose hidden patches are 0.
fn fill_in(munet: &MuNet, images: &Tensor<4>, masking: &Masking, patch_size: usize) -> Tensor<4> {
    let [batch, chans, _, _] = images.dims();
    let mask: Tensor<3> = masking.mask(&images.device()).unsqueeze_dim(2);
    let mask = mask.expand([batch, masking.num_tokens(), patch_size * patch_size * chans]);
    let mask = unflatten_tokens(mask, patch_size, chans, false);
    let seen = images.clone() * (mask * -1.0 + 1.0);
    let pass = &mut NormPass::running();
    let maps = munet.forward_block_maps(seen, pass);
    munet.reconstruct(maps, pass)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use morphospace_models::{MaeConfig, NetworkConfig, VitConfig};

    use super::*;

    #[test]
    fn what_is_seen_stays_and_what_is_hidden_does_not() {
        let device = Device::default();
        let encoder = VitConfig {
            img_size: 16,
            patch_size: 4,
            in_chans: 2,
            embed_dim: 24,
            depth: 1,
            num_heads: 2,
            ..VitConfig::default()
        };
        let mut config = MaeConfig {
            encoder,
            ..MaeConfig::default()
        };
        config.decoder.embed_dim = 16;
        config.decoder.depth = 1;
        config.decoder.num_heads = 2;
        let network = NetworkConfig::Mae(config).init(&device, Seed::new(1));
        let network = network.expect("valid");
        let levels: Vec<f32> = (0..2 * 256)
            .map(|pixel| (pixel as f32 * 0.37).sin())
            .collect();
        let images = Tensor::<4>::from_data(TensorData::new(levels, [1, 2, 16, 16]), &device);
        let masked = MaskedModellingConfig::default();
        let run = |ratio| reconstruct(&network, masked, images.clone(), ratio, Seed::new(3));
        let found = run(Some(0.25)).expect("hides some");
        let share: f32 = found.hidden.clone().mean().into_scalar();
        assert_eq!(share, 0.25);
        let difference = (found.images - images.clone()).abs();
        let of_seen = difference.clone() * (found.hidden.clone() * -1.0 + 1.0);
        assert_eq!(of_seen.sum().into_scalar::<f32>(), 0.0);
        assert!((difference * found.hidden).sum().into_scalar::<f32>() > 0.0);
        assert!(found.error > 0.0);
        for ratio in [0.0, 1.0, 0.99, f64::NAN] {
            let error = run(Some(ratio)).expect_err("hides nothing or all");
            assert!(error.to_string().contains("patches"), "{error}");
        }
        let vit = VitConfig::default();
        let vit = NetworkConfig::Vit(vit)
            .init(&device, Seed::new(1))
            .expect("valid");
        let error = reconstruct(&vit, masked, images, None, Seed::new(3)).expect_err("no decoder");
        assert!(error.to_string().contains("no decoder"), "{error}");
    }
}
