//! Masked autoencoder.
//!
//! He et al. 2022 (<https://arxiv.org/abs/2111.06377>) around the encoder of
//! [`vit`](crate::Vit), as in Kraus et al. 2023
//! (<https://arxiv.org/abs/2309.16064>). Reference code: maes_microscopy
//! `mae.py`, `mae_modules.py` (branch huggingface_phenombeta). Differences: only
//! kept patches are embedded (same numbers, a quarter of the work).
//!
//! `morphospace train SCREEN --config configs/train/demo.toml --output RUN` trains it,
//! `morphospace embed SCREEN --network RUN --output p.parquet` runs its encoder.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use crate::blocks::block::{Block, BlockConfig};
use crate::blocks::feed_forward::FeedForwardKind;
use crate::blocks::layer_norm::LayerNorm;
use crate::blocks::linear::{Bias, Linear};
use crate::blocks::masking::Masking;
use crate::blocks::sincos::SincosTable;
use crate::error::ModelError;
use crate::initializer::{Initializer, fixed_parameter};
use crate::mae_loss::{MaeLoss, MaeLossConfig, mae_loss};
use crate::vit::{Vit, VitConfig, not_a_multiple};

/// Sizes and options of a [`Mae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaeConfig {
    /// The encoder.
    pub encoder: VitConfig,
    /// The decoder.
    pub decoder: MaeDecoderConfig,
    /// Share of the tokens that are removed; 0.75 (He et al., Kraus et al.).
    pub mask_ratio: f64,
    /// The objective.
    pub loss: MaeLossConfig,
}

impl Default for MaeConfig {
    fn default() -> Self {
        Self {
            encoder: VitConfig::default(),
            decoder: MaeDecoderConfig::default(),
            mask_ratio: 0.75,
            loss: MaeLossConfig::default(),
        }
    }
}

/// Sizes of a decoder; the default is He et al.'s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaeDecoderConfig {
    /// Features of a token.
    pub embed_dim: usize,
    /// Blocks.
    pub depth: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Hidden features of the perceptron per feature.
    pub mlp_ratio: f64,
    /// Eps of all norms.
    pub norm_eps: f64,
}

impl Default for MaeDecoderConfig {
    fn default() -> Self {
        Self {
            embed_dim: 512,
            depth: 8,
            num_heads: 16,
            mlp_ratio: 4.0,
            norm_eps: 1e-6,
        }
    }
}

impl MaeDecoderConfig {
    pub(crate) fn check(&self, network: &'static str) -> Result<(), ModelError> {
        let invalid = |message| Err(ModelError::InvalidConfig { network, message });
        let counts = [
            ("decoder embed_dim", self.embed_dim, 16_384),
            ("decoder depth", self.depth, 512),
            ("decoder num_heads", self.num_heads, 512),
        ];
        for (name, value, most) in counts {
            if value == 0 || value > most {
                return invalid(format!("{name} {value} is not in 1..={most}"));
            }
        }
        for unit in [
            ("decoder num_heads", self.num_heads),
            ("quarter sine-cosine table", 4),
        ] {
            if let Some(message) = not_a_multiple(("decoder embed_dim", self.embed_dim), unit) {
                return invalid(message);
            }
        }
        if !(self.mlp_ratio > 0.0 && self.mlp_ratio <= 64.0) {
            return invalid(format!(
                "decoder mlp_ratio {} is not in 0..64",
                self.mlp_ratio
            ));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps.is_finite()) {
            return invalid(format!(
                "decoder norm_eps {} is not a positive number",
                self.norm_eps
            ));
        }
        Ok(())
    }

    /// Hidden features of the perceptron.
    pub fn mlp_hidden(&self) -> usize {
        (self.embed_dim as f64 * self.mlp_ratio) as usize
    }

    pub(crate) fn block(&self, initializer: Initializer) -> BlockConfig {
        BlockConfig {
            dim: self.embed_dim,
            num_heads: self.num_heads,
            mlp_hidden: self.mlp_hidden(),
            feed_forward: FeedForwardKind::Mlp,
            qkv_bias: Bias::Zeros,
            init_values: None,
            drop_path_rate: 0.0,
            norm_eps: self.norm_eps,
            initializer,
        }
    }
}

/// The checks that both masked autoencoders share.
pub(crate) fn check_objective(
    network: &'static str,
    encoder: &VitConfig,
    in_chans: usize,
    mask_ratio: f64,
    loss: &MaeLossConfig,
) -> Result<(), ModelError> {
    let invalid = |message| Err(ModelError::InvalidConfig { network, message });
    let num_tokens = encoder.num_patches(in_chans);
    if !(0.0..1.0).contains(&mask_ratio) || Masking::len_keep(num_tokens, mask_ratio) == 0 {
        return invalid(format!(
            "mask_ratio {mask_ratio} keeps none of {num_tokens} tokens, or is not in 0..1"
        ));
    }
    if Masking::len_keep(num_tokens, mask_ratio) == num_tokens {
        return invalid(format!(
            "mask_ratio {mask_ratio} removes none of {num_tokens} tokens: there is nothing to predict"
        ));
    }
    if !(0.0..=1.0).contains(&loss.fourier_weight) {
        return invalid(format!(
            "fourier_weight {} is not in 0..=1",
            loss.fourier_weight
        ));
    }
    let pixels = encoder.patch_size * encoder.patch_size;
    if loss.norm_pix_loss && pixels * encoder.in_chans == 1 {
        return invalid("norm_pix_loss needs tokens of more than one pixel".to_owned());
    }
    Ok(())
}

impl MaeConfig {
    /// Whether the numbers fit together.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`] gives the numbers and the nearest valid
    /// ones.
    pub fn check(&self) -> Result<(), ModelError> {
        self.encoder.check()?;
        if self.encoder.channel_agnostic {
            return Err(ModelError::InvalidConfig {
                network: "mae",
                message: "a channel-agnostic encoder needs the decoder of kind 'camae'".to_owned(),
            });
        }
        self.decoder.check("mae")?;
        let in_chans = self.encoder.in_chans;
        check_objective("mae", &self.encoder, in_chans, self.mask_ratio, &self.loss)
    }

    /// A network with weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`MaeConfig::check`].
    pub fn init(&self, device: &Device, seed: Seed) -> Result<Mae, ModelError> {
        self.check()?;
        let initializer = self.encoder.weight_init.linear();
        let linear =
            |shape, name| Linear::init(shape, Bias::Zeros, initializer, seed.split(name), device);
        let dim = self.decoder.embed_dim;
        let patch_size = self.encoder.patch_size;
        let pixels = patch_size * patch_size * self.encoder.in_chans;
        let decoder_seed = seed.split("decoder");
        let table = SincosTable::new(dim, self.encoder.grid_size());
        let block = |index: usize| {
            let seed = decoder_seed.split("blocks").split_index(index as u64);
            self.decoder.block(initializer).init(seed, device)
        };
        let mask_token = Initializer::Normal { std: 0.02 };
        Ok(Mae {
            encoder: MaeEncoder {
                vit_backbone: self.encoder.init(device, seed.split("encoder"))?,
            },
            decoder: MaeDecoder {
                mask_token: mask_token.parameter(
                    [1, 1, dim],
                    decoder_seed.split("mask_token"),
                    device,
                ),
                pos_embeddings: fixed_parameter(
                    [1, table.num_rows(), dim],
                    move || table.values(),
                    device,
                ),
                blocks: (0..self.decoder.depth).map(block).collect(),
                norm: LayerNorm::init(dim, self.decoder.norm_eps, device),
            },
            encoder_decoder_proj: linear([self.encoder.embed_dim, dim], "encoder_decoder_proj"),
            decoder_pred: linear([dim, pixels], "decoder_pred"),
            config: self.clone(),
        })
    }
}

/// A masked autoencoder; field names are checkpoint keys.
#[derive(Module, Debug)]
pub struct Mae {
    /// The encoder.
    pub encoder: MaeEncoder,
    /// The decoder.
    pub decoder: MaeDecoder,
    /// Encoder features to decoder features.
    pub encoder_decoder_proj: Linear,
    /// Decoder features to pixels.
    pub decoder_pred: Linear,
    #[module(skip)]
    config: MaeConfig,
}

/// Holds the encoder under the published key `encoder.vit_backbone`.
#[derive(Module, Debug)]
pub struct MaeEncoder {
    /// The network that is kept after training.
    pub vit_backbone: Vit,
}

/// He et al.'s decoder.
#[derive(Module, Debug)]
pub struct MaeDecoder {
    /// Stands in for every removed token, `[1, 1, d]`.
    pub mask_token: Param<Tensor<3>>,
    /// Fixed table `[1, 1 + L, d]`.
    pub pos_embeddings: Param<Tensor<3>>,
    /// Plain pre-norm blocks.
    pub blocks: Vec<Block>,
    /// Behind the last block.
    pub norm: LayerNorm,
}

impl MaeDecoder {
    /// # Shapes
    /// `latent`: `[B, 1 + len_keep, d]` in shuffled order; result
    /// `[B, 1 + L, d]` in the order of the image
    pub fn forward(&self, latent: Tensor<3>, masking: &Masking) -> Tensor<3> {
        let mut tokens = restore_all(latent, self.mask_token.val(), masking);
        tokens = tokens + self.pos_embeddings.val();
        for block in &self.blocks {
            tokens = block.forward(tokens, None);
        }
        self.norm.forward(tokens)
    }
}

/// Restores the patch tokens behind the class token.
pub(crate) fn restore_all(
    latent: Tensor<3>,
    mask_token: Tensor<3>,
    masking: &Masking,
) -> Tensor<3> {
    let num_kept = masking.num_kept();
    let cls = latent.clone().narrow(1, 0, 1);
    let patches = masking.restore_tokens(latent.narrow(1, 1, num_kept), mask_token);
    Tensor::cat(vec![cls, patches], 1)
}

/// What a masked pass returns.
#[derive(Clone, Debug)]
pub struct MaeOutput {
    /// The encoder's tokens `[B, 1 + len_keep, D]`, class token first, kept ones
    /// in shuffled order ([`Masking::kept`] names them).
    pub latent: Tensor<3>,
    /// The decoder's tokens `[B, 1 + L, d]` before the prediction.
    pub decoder_tokens: Tensor<3>,
    /// Predicted pixels as [`flatten_images`](crate::blocks::patches::flatten_images)
    /// orders them, `[B, L, P·P·C]` (channel-agnostic: `[B, C·L, P·P]`).
    pub reconstruction: Tensor<3>,
    /// 1 = removed, `[B, L]`.
    pub mask: Tensor<2>,
}

impl Mae {
    /// What it was built from.
    pub fn config(&self) -> &MaeConfig {
        &self.config
    }

    /// Tokens of an image: what a [`Masking`] must be made for.
    pub fn num_tokens(&self) -> usize {
        self.config
            .encoder
            .num_patches(self.config.encoder.in_chans)
    }

    /// Encodes what the mask keeps and predicts all pixels.
    ///
    /// # Shapes
    /// `images`: `[B, C, H, W]`, self-standardised; `drop_path_seed` is `None`
    /// in evaluation
    ///
    /// # Example
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use morphospace_core::Seed;
    /// use morphospace_models::{MaeConfig, Masking, VitConfig};
    ///
    /// let mut config = MaeConfig::default();
    /// config.encoder = VitConfig { img_size: 32, embed_dim: 24, depth: 1, num_heads: 2, patch_size: 8, ..config.encoder };
    /// config.decoder.embed_dim = 32;
    /// config.decoder.depth = 1;
    /// let mae = config.init(&Device::default(), Seed::new(1))?;
    /// let images = Tensor::zeros([2, 6, 32, 32], &Device::default());
    /// let masking = Masking::random(Seed::new(2), 2, mae.num_tokens(), 0.75)?;
    /// let output = mae.forward(images.clone(), &masking, None);
    /// assert_eq!(output.reconstruction.dims(), [2, 16, 8 * 8 * 6]);
    /// assert!(mae.loss(images, &output).total.into_scalar::<f32>().is_finite());
    /// # Ok::<(), morphospace_models::ModelError>(())
    /// ```
    pub fn forward(
        &self,
        images: Tensor<4>,
        masking: &Masking,
        drop_path_seed: Option<Seed>,
    ) -> MaeOutput {
        let vit = &self.encoder.vit_backbone;
        let mask = masking.mask(&images.device());
        let tokens = vit.embed_kept_tokens(images, masking);
        let latent = vit.forward_tokens(tokens, drop_path_seed);
        let projected = self.encoder_decoder_proj.forward(latent.clone());
        let decoder_tokens = self.decoder.forward(projected, masking);
        let reconstruction = predict(&self.decoder_pred, decoder_tokens.clone());
        MaeOutput {
            latent,
            decoder_tokens,
            reconstruction,
            mask,
        }
    }

    /// The objective of the configuration.
    ///
    /// # Shapes
    /// `images`: those given to [`Mae::forward`]
    pub fn loss(&self, images: Tensor<4>, output: &MaeOutput) -> MaeLoss {
        mae_loss(
            &self.config.loss,
            images,
            output.reconstruction.clone(),
            output.mask.clone(),
            self.config.encoder.patch_size,
            false,
        )
    }
}

/// Pixels of all patch tokens; the class token predicts nothing.
pub(crate) fn predict(decoder_pred: &Linear, decoder_tokens: Tensor<3>) -> Tensor<3> {
    let num_tokens = decoder_tokens.dims()[1];
    decoder_pred.forward(decoder_tokens.narrow(1, 1, num_tokens - 1))
}
