//! Channel-agnostic masked autoencoder.
//!
//! Kraus et al. 2024 (<https://arxiv.org/abs/2404.10242>), OpenPhenom. Every
//! channel is cut into tokens of its own ([`Vit`] with `channel_agnostic`), the
//! mask draws over all of them, and the decoder has one stack of blocks per
//! channel behind a cross-attention that all share. Only the encoder takes
//! other channel counts than in training. Reference code: maes_microscopy
//! `mae_modules.CAMAEDecoder` (branch huggingface_phenombeta).
//!
//! `morphospace train` trains it where a configuration says `kind = "camae"`;
//! `morphospace embed SCREEN --network untrained:camae_vit_small_patch16 --output
//! p.parquet` runs its encoder.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use crate::blocks::block::Block;
use crate::blocks::cross_attention::CrossAttention;
use crate::blocks::layer_norm::LayerNorm;
use crate::blocks::linear::{Bias, Linear};
use crate::blocks::masking::Masking;
use crate::blocks::mlp::Mlp;
use crate::blocks::sincos::SincosTable;
use crate::error::ModelError;
use crate::initializer::{Initializer, fixed_parameter};
use crate::mae::{MaeDecoderConfig, MaeEncoder, MaeOutput, check_objective, predict, restore_all};
use crate::mae_loss::{MaeLoss, MaeLossConfig, mae_loss};
use crate::vit::{VitConfig, not_a_multiple};

/// Heads of the cross-attention, whatever the decoder's own are.
pub(crate) const CROSS_ATTENTION_HEADS: usize = 8;

/// Sizes and options of a [`CaMae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaMaeConfig {
    /// The encoder, channel-agnostic; its `in_chans` is the most channels it
    /// will ever see (11).
    pub encoder: VitConfig,
    /// Channels in training; each has its own decoder.
    pub channels: usize,
    /// Each channel's decoder. The default is OpenPhenom's: 512 features, 8
    /// blocks, eps 1e-5.
    pub decoder: MaeDecoderConfig,
    /// Share of the tokens of all channels that are removed.
    pub mask_ratio: f64,
    /// The objective.
    pub loss: MaeLossConfig,
}

impl Default for CaMaeConfig {
    fn default() -> Self {
        Self {
            encoder: VitConfig {
                channel_agnostic: true,
                in_chans: 11,
                ..VitConfig::default()
            },
            channels: 6,
            decoder: MaeDecoderConfig {
                norm_eps: 1e-5,
                ..MaeDecoderConfig::default()
            },
            mask_ratio: 0.75,
            loss: MaeLossConfig::default(),
        }
    }
}

impl CaMaeConfig {
    /// Whether the numbers fit together.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`] gives the numbers and the nearest valid
    /// ones.
    pub fn check(&self) -> Result<(), ModelError> {
        let invalid = |message| {
            Err(ModelError::InvalidConfig {
                network: "camae",
                message,
            })
        };
        self.encoder.check()?;
        if !self.encoder.channel_agnostic {
            return invalid("the encoder must be channel_agnostic".to_owned());
        }
        if self.channels == 0 || self.channels > self.encoder.in_chans {
            return invalid(format!(
                "channels {} is not in 1..={} (the encoder's in_chans)",
                self.channels, self.encoder.in_chans
            ));
        }
        self.decoder.check("camae")?;
        let heads = ("heads of the cross-attention", CROSS_ATTENTION_HEADS);
        if let Some(message) = not_a_multiple(("decoder embed_dim", self.decoder.embed_dim), heads)
        {
            return invalid(message);
        }
        check_objective(
            "camae",
            &self.encoder,
            self.channels,
            self.mask_ratio,
            &self.loss,
        )
    }

    /// A network with weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`CaMaeConfig::check`].
    pub fn init(&self, device: &Device, seed: Seed) -> Result<CaMae, ModelError> {
        self.check()?;
        let initializer = self.encoder.weight_init.linear();
        let linear =
            |shape, name| Linear::init(shape, Bias::Zeros, initializer, seed.split(name), device);
        let dim = self.decoder.embed_dim;
        Ok(CaMae {
            encoder: MaeEncoder {
                vit_backbone: self.encoder.init(device, seed.split("encoder"))?,
            },
            decoder: self.init_decoder(device, seed.split("decoder"), initializer),
            encoder_decoder_proj: linear([self.encoder.embed_dim, dim], "encoder_decoder_proj"),
            decoder_pred: linear(
                [dim, self.encoder.patch_size * self.encoder.patch_size],
                "decoder_pred",
            ),
            config: self.clone(),
        })
    }

    fn init_decoder(&self, device: &Device, seed: Seed, initializer: Initializer) -> CaMaeDecoder {
        let dim = self.decoder.embed_dim;
        let table = SincosTable {
            modalities: self.channels,
            ..SincosTable::new(dim, self.encoder.grid_size())
        };
        let token = |seed| Initializer::Normal { std: 0.02 }.parameter([1, 1, dim], seed, device);
        let norm = || LayerNorm::init(dim, self.decoder.norm_eps, device);
        let block = self.decoder.block(initializer);
        let stack = |channel: usize| {
            let seed = seed.split("decoders").split_index(channel as u64);
            (0..self.decoder.depth)
                .map(|index| block.init(seed.split_index(index as u64), device))
                .collect()
        };
        let modality_token =
            |channel: usize| token(seed.split("modality_tokens").split_index(channel as u64));
        CaMaeDecoder {
            mask_token: token(seed.split("mask_token")),
            placeholder: fixed_parameter([1, 1, dim], move || vec![0.0; dim], device),
            pos_embeddings: fixed_parameter(
                [1, table.num_rows(), dim],
                move || table.values(),
                device,
            ),
            modality_tokens: (0..self.channels).map(modality_token).collect(),
            cross_attention: CrossAttention::init(
                dim,
                CROSS_ATTENTION_HEADS,
                initializer,
                seed.split("cross_attention"),
                device,
            ),
            mlp: Mlp::init(
                dim,
                block.mlp_hidden,
                initializer,
                seed.split("mlp"),
                device,
            ),
            decoders: (0..self.channels).map(stack).collect(),
            context_norm: norm(),
            query_norm: norm(),
            out_norm: norm(),
        }
    }
}

/// A channel-agnostic masked autoencoder; field names are checkpoint keys.
#[derive(Module, Debug)]
pub struct CaMae {
    /// The encoder.
    pub encoder: MaeEncoder,
    /// The decoder.
    pub decoder: CaMaeDecoder,
    /// Encoder features to decoder features.
    pub encoder_decoder_proj: Linear,
    /// Decoder features to the pixels of one channel, shared.
    pub decoder_pred: Linear,
    #[module(skip)]
    config: CaMaeConfig,
}

/// Cross-attention shared by all channels, then blocks of each channel.
#[derive(Module, Debug)]
pub struct CaMaeDecoder {
    /// Stands in for every removed token, `[1, 1, d]`.
    pub mask_token: Param<Tensor<3>>,
    /// The class token's modality: always zero.
    pub placeholder: Param<Tensor<3>>,
    /// Fixed table `[1, 1 + C·L, d]`.
    pub pos_embeddings: Param<Tensor<3>>,
    /// Added to all tokens of a channel, each `[1, 1, d]`.
    pub modality_tokens: Vec<Param<Tensor<3>>>,
    /// From one channel's tokens to those of all.
    pub cross_attention: CrossAttention,
    /// Behind the cross-attention.
    pub mlp: Mlp,
    /// A stack of blocks per channel.
    pub decoders: Vec<Vec<Block>>,
    /// On what the cross-attention reads.
    pub context_norm: LayerNorm,
    /// On what asks it.
    pub query_norm: LayerNorm,
    /// On what it answers.
    pub out_norm: LayerNorm,
}

impl CaMaeDecoder {
    /// # Shapes
    /// `latent`: `[B, 1 + len_keep, d]` in shuffled order; result
    /// `[B, 1 + C·L, d]`, channel-major
    pub fn forward(&self, latent: Tensor<3>, masking: &Masking) -> Tensor<3> {
        let channels = self.modality_tokens.len();
        let num_patches = masking.num_tokens() / channels;
        let tokens = restore_all(latent, self.mask_token.val(), masking);
        let [batch, _, dim] = tokens.dims();
        let modality = |token: &Param<Tensor<3>>| token.val().expand([1, num_patches, dim]);
        let mut modalities = vec![self.placeholder.val()];
        modalities.extend(self.modality_tokens.iter().map(modality));
        let tokens = tokens + self.pos_embeddings.val() + Tensor::cat(modalities, 1);
        let patches = tokens.clone().narrow(1, 1, channels * num_patches);
        let context = self.context_norm.forward(patches.clone());
        // The class token passes without being decoded.
        let mut outputs = vec![tokens.narrow(1, 0, 1)];
        for (channel, blocks) in self.decoders.iter().enumerate() {
            let x = patches
                .clone()
                .narrow(1, channel * num_patches, num_patches);
            // No residual around the cross-attention: that is how the
            // published weights were trained.
            let x = self
                .cross_attention
                .forward(self.query_norm.forward(x), context.clone());
            let mut x = x.clone() + self.mlp.forward(self.out_norm.forward(x));
            for block in blocks {
                x = block.forward(x, None);
            }
            debug_assert_eq!(x.dims(), [batch, num_patches, dim]);
            outputs.push(x);
        }
        Tensor::cat(outputs, 1)
    }
}

impl CaMae {
    /// What it was built from.
    pub fn config(&self) -> &CaMaeConfig {
        &self.config
    }

    /// Tokens of an image with the channels of training: what a [`Masking`]
    /// must be made for.
    pub fn num_tokens(&self) -> usize {
        self.config.encoder.num_patches(self.config.channels)
    }

    /// Encodes what the mask keeps and predicts all pixels of all channels.
    ///
    /// # Shapes
    /// `images`: `[B, channels, H, W]`, self-standardised; `drop_path_seed` is
    /// `None` in evaluation
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
    /// `images`: those given to [`CaMae::forward`]
    pub fn loss(&self, images: Tensor<4>, output: &MaeOutput) -> MaeLoss {
        mae_loss(
            &self.config.loss,
            images,
            output.reconstruction.clone(),
            output.mask.clone(),
            self.config.encoder.patch_size,
            true,
        )
    }
}
