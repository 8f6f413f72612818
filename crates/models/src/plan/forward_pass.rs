use serde::Serialize;

use crate::blocks::feed_forward::FeedForwardKind;
use crate::blocks::masking::Masking;
use crate::blocks::swiglu::SwiGlu;
use crate::camae::{CROSS_ATTENTION_HEADS, CaMaeConfig};
use crate::densenet::DenseNetConfig;
use crate::error::ModelError;
use crate::mae::{MaeConfig, MaeDecoderConfig};
use crate::munet::MuNetConfig;
use crate::plain_vit::PlainVitConfig;
use crate::registry::NetworkConfig;
use crate::resnet::{ResNetBlock, ResNetConfig};
use crate::supervised_network::{BackboneConfig, SupervisedNetworkConfig};
use crate::vit::{GlobalPool, VitConfig, not_a_multiple};

/// Channels and pixels of the image that a pass is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ImageSize {
    /// Channels.
    pub in_chans: usize,
    /// Side of the square image in pixels.
    pub side: usize,
}

impl ImageSize {
    /// What the network is trained on.
    pub fn of(network: &NetworkConfig) -> Self {
        Self {
            in_chans: network.training_channels().0,
            side: network.img_size(),
        }
    }
}

/// What an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Patches to tokens.
    PatchEmbedding,
    /// Tokens to queries, keys and values, and back.
    AttentionProjections,
    /// Queries with keys, and weights with values.
    AttentionMatrices,
    /// A block's perceptron.
    Perceptron,
    /// Maps to maps, with norms and pooling.
    Convolutions,
    /// Any in a decoder.
    Decoder,
    /// The neck and classifiers.
    Head,
}

/// A step of a forward pass, for one image. Steps that repeat with the same
/// sizes are one, with the sum of what they cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// What it is for.
    pub part: Part,
    /// Products of two numbers that are added up.
    pub multiply_adds: u128,
    /// Values of its matrix or kernel, without bias.
    pub num_weights: u128,
    /// Values that the backward pass needs of it.
    pub num_kept: u128,
    /// Values alive during one repetition in evaluation.
    pub num_alive: u128,
}

/// All operations of one image's way through a network, in order, as this
/// crate's networks carry them out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardPass {
    operations: Vec<Operation>,
}

impl ForwardPass {
    /// From an image to its embedding: the encoder over all patches, no
    /// decoder, no head.
    ///
    /// # Errors
    /// As [`NetworkConfig::check`]; [`ModelError::WrongImages`] for an image
    /// that the network does not take.
    pub fn embedding(network: &NetworkConfig, size: ImageSize) -> Result<Self, ModelError> {
        network.check()?;
        check_size(network, size)?;
        let mut pass = Builder::default();
        match network {
            NetworkConfig::Vit(config) => pass.vit(config, size, None),
            NetworkConfig::Mae(config) => pass.vit(&config.encoder, size, None),
            NetworkConfig::CaMae(config) => pass.vit(&config.encoder, size, None),
            NetworkConfig::PlainVit(config) => pass.plain_vit(config, size),
            NetworkConfig::DenseNet(config) => pass.densenet(config, size),
            NetworkConfig::ResNet(config) => pass.resnet(config, size),
            NetworkConfig::MuNet(config) => {
                pass.munet_encoder(config, size);
            }
            NetworkConfig::Supervised(config) => pass.backbone_and_neck(config, size),
        }
        Ok(pass.finish())
    }

    /// From an image to what the loss is computed of: of an autoencoder, the
    /// encoder over the patches that the mask keeps and the decoder over all;
    /// of other networks the embedding and, if there is one, the classifier.
    ///
    /// # Errors
    /// As [`ForwardPass::embedding`].
    pub fn training(network: &NetworkConfig, size: ImageSize) -> Result<Self, ModelError> {
        network.check()?;
        check_size(network, size)?;
        let mut pass = Builder::default();
        let head = |pass: &mut Builder, features, num_classes| {
            pass.part = Part::Head;
            pass.linear(1, features, num_classes);
        };
        match network {
            NetworkConfig::Vit(config) => pass.vit(config, size, None),
            NetworkConfig::Mae(config) => pass.mae(config, size),
            NetworkConfig::CaMae(config) => {
                if size.in_chans != config.channels {
                    return Err(wrong_images(
                        format!("{} channels in training", config.channels),
                        format!("{} channels", size.in_chans),
                    ));
                }
                pass.camae(config, size);
            }
            NetworkConfig::PlainVit(config) => pass.plain_vit(config, size),
            NetworkConfig::DenseNet(config) => {
                pass.densenet(config, size);
                head(&mut pass, config.num_features(), config.num_classes);
            }
            NetworkConfig::ResNet(config) => {
                pass.resnet(config, size);
                head(&mut pass, config.num_features(), config.num_classes);
            }
            NetworkConfig::MuNet(config) => pass.munet(config, size),
            NetworkConfig::Supervised(config) => {
                pass.backbone_and_neck(config, size);
                head(&mut pass, config.head.embed_dim, config.head.num_classes);
                pass.linear_of_same(1, config.head.embed_dim, config.head.num_batches);
            }
        }
        Ok(pass.finish())
    }

    /// The operations, in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Values that the backward pass needs.
    pub fn num_kept(&self) -> u128 {
        self.operations.iter().map(|one| one.num_kept).sum()
    }

    /// The most values that are alive at one operation in evaluation.
    pub fn most_alive(&self) -> u128 {
        let alive = self.operations.iter().map(|one| one.num_alive);
        alive.max().unwrap_or(0)
    }

    /// Values of all matrices and kernels, without biases, norms, tokens and
    /// tables.
    pub fn num_weights(&self) -> u128 {
        self.operations.iter().map(|one| one.num_weights).sum()
    }
}

fn wrong_images(expected: String, got: String) -> ModelError {
    ModelError::WrongImages { expected, got }
}

/// Whether the network takes images of that size.
fn check_size(network: &NetworkConfig, size: ImageSize) -> Result<(), ModelError> {
    let ImageSize { in_chans, side } = size;
    let most_chans = match network {
        NetworkConfig::Vit(config) => config.in_chans,
        NetworkConfig::Mae(config) => config.encoder.in_chans,
        NetworkConfig::CaMae(config) => config.encoder.in_chans,
        _ => network.training_channels().0,
    };
    let expected = match network.is_channel_agnostic() {
        true if in_chans == 0 || in_chans > most_chans => format!("1 to {most_chans} channels"),
        false if in_chans != most_chans => format!("{most_chans} channels"),
        _ => String::new(),
    };
    if !expected.is_empty() {
        return Err(wrong_images(expected, format!("{in_chans} channels")));
    }
    const MOST: usize = 16_384;
    let refused = match network {
        _ if side == 0 || side > MOST => Some(format!("images of 1 to {MOST} pixels")),
        NetworkConfig::PlainVit(config) => {
            let unit = ("patch_size", config.patch_size);
            not_a_multiple(("img_size", side), unit).map(|why| format!("whole patches: {why}"))
        }
        NetworkConfig::MuNet(config) => {
            let unit = ("the deepest pixel", config.deepest_pixel());
            not_a_multiple(("img_size", side), unit).map(|why| format!("whole pixels: {why}"))
        }
        NetworkConfig::DenseNet(_) | NetworkConfig::ResNet(_) | NetworkConfig::Supervised(_) => {
            None
        }
        NetworkConfig::Vit(_) | NetworkConfig::Mae(_) | NetworkConfig::CaMae(_) => {
            let own = network.img_size();
            (side != own).then(|| format!("images of {own} pixels, for which its table is"))
        }
    };
    match refused {
        Some(expected) => Err(wrong_images(expected, format!("{side} pixels"))),
        None => Ok(()),
    }
}

/// A list of operations in the making.
struct Builder {
    operations: Vec<Operation>,
    /// What the next operations are for.
    part: Part,
    /// Whether they are of a decoder, whatever they are for there.
    in_decoder: bool,
    /// How often they are carried out.
    times: u128,
    /// How many matrices there are for that: one if all times share it.
    copies: u128,
    /// Values kept in evaluation for a later operation.
    held: u128,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            operations: Vec::new(),
            part: Part::PatchEmbedding,
            in_decoder: false,
            times: 1,
            copies: 1,
            held: 0,
        }
    }
}

/// Maps of `channels` and `side` x `side` pixels.
#[derive(Clone, Copy)]
struct Maps {
    channels: usize,
    side: usize,
}

impl Maps {
    fn num_values(self) -> u128 {
        product(&[self.channels, self.side, self.side])
    }

    fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    /// As many pixels as a stride of two leaves, a half rounded up.
    fn halved(self) -> Self {
        Self {
            side: self.side.div_ceil(2),
            ..self
        }
    }
}

fn product(numbers: &[usize]) -> u128 {
    numbers.iter().map(|&number| number as u128).product()
}

/// Operations.
impl Builder {
    fn finish(self) -> ForwardPass {
        ForwardPass {
            operations: self.operations,
        }
    }

    /// What `body` adds, `times` times, each with weights of its own.
    fn repeat(&mut self, times: usize, body: impl FnOnce(&mut Self)) {
        let before = (self.times, self.copies);
        self.times *= times as u128;
        self.copies *= times as u128;
        body(self);
        (self.times, self.copies) = before;
    }

    /// What `body` adds, `times` times with the same weights.
    fn repeat_shared(&mut self, times: usize, body: impl FnOnce(&mut Self)) {
        let before = self.times;
        self.times *= times as u128;
        body(self);
        self.times = before;
    }

    /// What `body` adds, while `values` wait for what comes behind it.
    fn holding(&mut self, values: u128, body: impl FnOnce(&mut Self)) {
        self.held += values;
        body(self);
        self.held -= values;
    }

    fn push(&mut self, multiply_adds: u128, num_weights: u128, num_kept: u128, num_alive: u128) {
        self.operations.push(Operation {
            part: match self.in_decoder {
                true => Part::Decoder,
                false => self.part,
            },
            multiply_adds: self.times * multiply_adds,
            num_weights: self.copies * num_weights,
            num_kept: self.times * num_kept,
            num_alive: self.held + num_alive,
        });
    }

    /// Values that are there for the backward pass alone.
    fn keep(&mut self, num_kept: u128) {
        self.push(0, 0, num_kept, 0);
    }

    fn linear(&mut self, rows: usize, d_in: usize, d_out: usize) {
        let input = product(&[rows, d_in]);
        self.linear_that_keeps(input, rows, d_in, d_out);
    }

    /// A second map of the same input, which is kept once.
    fn linear_of_same(&mut self, rows: usize, d_in: usize, d_out: usize) {
        self.linear_that_keeps(0, rows, d_in, d_out);
    }

    fn linear_that_keeps(&mut self, num_kept: u128, rows: usize, d_in: usize, d_out: usize) {
        self.push(
            product(&[rows, d_in, d_out]),
            product(&[d_in, d_out]),
            num_kept,
            product(&[rows, d_in]) + product(&[rows, d_out]),
        );
    }

    /// Both products of attention: `2 · queries · keys · dim` multiply-adds.
    fn attention(&mut self, queries: usize, keys: usize, dim: usize, num_heads: usize) {
        let (q, kv) = (product(&[queries, dim]), product(&[2, keys, dim]));
        let weights = product(&[num_heads, queries, keys]);
        let before = self.part;
        self.part = Part::AttentionMatrices;
        self.push(
            product(&[2, queries, keys, dim]),
            0,
            q + kv + weights,
            2 * q + kv,
        );
        self.part = before;
    }

    /// A norm, a GELU or a scale: values in and out, the first kept.
    fn pointwise(&mut self, num_values: u128) {
        self.push(0, 0, num_values, 2 * num_values);
    }

    fn norm(&mut self, rows: usize, dim: usize) {
        self.pointwise(product(&[rows, dim]));
    }

    /// A convolution; returns the maps behind it.
    fn conv(&mut self, input: Maps, d_out: usize, kernel: usize, stride: usize) -> Maps {
        self.conv_that_keeps(input.num_values(), input, d_out, kernel, stride)
    }

    fn conv_that_keeps(
        &mut self,
        num_kept: u128,
        input: Maps,
        d_out: usize,
        kernel: usize,
        stride: usize,
    ) -> Maps {
        let output = Maps {
            channels: d_out,
            side: input.side.div_ceil(stride),
        };
        let kernel = product(&[input.channels, kernel, kernel]);
        self.push(
            kernel * output.num_values(),
            kernel * d_out as u128,
            num_kept,
            input.num_values() + output.num_values(),
        );
        output
    }

    /// Batch normalisation; a ReLU behind it is kept by the convolution that
    /// takes it.
    fn batch_norm(&mut self, maps: Maps) {
        self.pointwise(maps.num_values());
    }

    /// 7 x 7 with stride 2, norm, ReLU, and the largest of 3 x 3 with stride 2.
    fn stem(&mut self, images: Maps, d_out: usize) -> Maps {
        let maps = self.conv(images, d_out, 7, 2);
        self.batch_norm(maps);
        // What the ReLU gave, and the places of the largest.
        let pooled = maps.halved();
        self.push(
            0,
            0,
            maps.num_values() + pooled.num_values(),
            maps.num_values() + pooled.num_values(),
        );
        pooled
    }
}

/// Transformers.
impl Builder {
    /// `num_kept` is the number of patches that a mask leaves.
    fn vit(&mut self, config: &VitConfig, size: ImageSize, num_kept: Option<usize>) {
        let dim = config.embed_dim;
        let kernel_chans = match config.channel_agnostic {
            true => 1,
            false => config.in_chans,
        };
        let pixels = kernel_chans * config.patch_size * config.patch_size;
        let num_patches = num_kept.unwrap_or_else(|| config.num_patches(size.in_chans));
        self.part = Part::PatchEmbedding;
        self.linear(num_patches, pixels, dim);
        let num_tokens = 1 + num_patches;
        self.repeat(config.depth, |pass| {
            pass.parallel_block(config, num_tokens);
        });
        if config.final_norm && config.global_pool == GlobalPool::Token {
            self.norm(num_tokens, dim);
        }
    }

    fn parallel_block(&mut self, config: &VitConfig, num_tokens: usize) {
        let (dim, hidden) = (config.embed_dim, config.mlp_hidden());
        let residual = product(&[num_tokens, dim]);
        self.holding(residual, |pass| {
            pass.part = Part::AttentionProjections;
            pass.norm(num_tokens, dim);
            // The normalised tokens wait for the perceptron.
            pass.holding(residual, |pass| {
                pass.linear(num_tokens, dim, 3 * dim);
                // Queries and keys are normalised head by head.
                pass.norm(2 * num_tokens, dim);
                pass.attention(num_tokens, num_tokens, dim, config.num_heads);
                pass.linear(num_tokens, dim, dim);
            });
            // The result of the attention waits.
            pass.holding(residual, |pass| {
                pass.part = Part::Perceptron;
                pass.linear_of_same(num_tokens, dim, hidden);
                pass.norm(num_tokens, hidden);
                pass.linear(num_tokens, hidden, dim);
            });
            // The layer scale.
            pass.norm(num_tokens, dim);
        });
    }

    fn plain_vit(&mut self, config: &PlainVitConfig, size: ImageSize) {
        let (dim, patch_size) = (config.embed_dim, config.patch_size);
        let grid = size.side / patch_size;
        let num_patches = grid * grid;
        self.part = Part::PatchEmbedding;
        self.linear(num_patches, config.in_chans * patch_size * patch_size, dim);
        let num_tokens = 1 + config.num_registers + num_patches;
        let block = PlainBlock {
            dim,
            num_heads: config.num_heads,
            hidden: config.mlp_hidden(),
            feed_forward: config.feed_forward,
            has_scales: config.init_values.is_some(),
        };
        self.repeat(config.depth, |pass| pass.plain_block(&block, num_tokens));
        if config.final_norm {
            self.norm(num_tokens, dim);
        }
    }

    fn plain_block(&mut self, block: &PlainBlock, num_tokens: usize) {
        let PlainBlock { dim, hidden, .. } = *block;
        let residual = product(&[num_tokens, dim]);
        self.holding(residual, |pass| {
            pass.part = Part::AttentionProjections;
            pass.norm(num_tokens, dim);
            pass.linear(num_tokens, dim, 3 * dim);
            pass.attention(num_tokens, num_tokens, dim, block.num_heads);
            pass.linear(num_tokens, dim, dim);
            if block.has_scales {
                pass.norm(num_tokens, dim);
            }
            pass.part = Part::Perceptron;
            pass.norm(num_tokens, dim);
            match block.feed_forward {
                FeedForwardKind::Mlp => pass.mlp(num_tokens, dim, hidden),
                FeedForwardKind::SwiGlu => {
                    let hidden = SwiGlu::fused_hidden(hidden);
                    pass.linear(num_tokens, dim, 2 * hidden);
                    // Both halves and the gate.
                    pass.norm(num_tokens, 3 * hidden);
                    pass.linear(num_tokens, hidden, dim);
                }
            }
            if block.has_scales {
                pass.norm(num_tokens, dim);
            }
        });
    }

    fn mlp(&mut self, rows: usize, dim: usize, hidden: usize) {
        self.linear(rows, dim, hidden);
        self.norm(rows, hidden);
        self.linear(rows, hidden, dim);
    }

    fn mae(&mut self, config: &MaeConfig, size: ImageSize) {
        let num_patches = config.encoder.num_patches(size.in_chans);
        let len_keep = Masking::len_keep(num_patches, config.mask_ratio);
        self.vit(&config.encoder, size, Some(len_keep));
        let dim = config.decoder.embed_dim;
        let block = PlainBlock::of_decoder(&config.decoder);
        let pixels = size.in_chans * config.encoder.patch_size * config.encoder.patch_size;
        self.in_decoder = true;
        self.linear(1 + len_keep, config.encoder.embed_dim, dim);
        self.repeat(config.decoder.depth, |pass| {
            pass.plain_block(&block, 1 + num_patches);
        });
        self.norm(1 + num_patches, dim);
        self.linear(num_patches, dim, pixels);
        self.keep_for_loss(num_patches, pixels);
    }

    fn camae(&mut self, config: &CaMaeConfig, size: ImageSize) {
        let num_tokens = config.encoder.num_patches(size.in_chans);
        let len_keep = Masking::len_keep(num_tokens, config.mask_ratio);
        self.vit(&config.encoder, size, Some(len_keep));
        let dim = config.decoder.embed_dim;
        let block = PlainBlock::of_decoder(&config.decoder);
        let pixels = config.encoder.patch_size * config.encoder.patch_size;
        let per_channel = num_tokens / size.in_chans;
        self.in_decoder = true;
        self.linear(1 + len_keep, config.encoder.embed_dim, dim);
        self.norm(num_tokens, dim);
        // What all channels' keys and values are of, kept once.
        self.keep(product(&[num_tokens, dim]));
        self.repeat_shared(size.in_chans, |pass| {
            pass.norm(per_channel, dim);
            pass.linear(per_channel, dim, dim);
            pass.linear_of_same(num_tokens, dim, 2 * dim);
            pass.attention(per_channel, num_tokens, dim, CROSS_ATTENTION_HEADS);
            pass.linear(per_channel, dim, dim);
            pass.norm(per_channel, dim);
            pass.mlp(per_channel, dim, block.hidden);
        });
        self.repeat(size.in_chans * config.decoder.depth, |pass| {
            pass.plain_block(&block, per_channel);
        });
        self.linear(num_tokens, dim, pixels);
        self.keep_for_loss(num_tokens, pixels);
    }

    /// Predictions and what they are compared with.
    fn keep_for_loss(&mut self, num_tokens: usize, pixels: usize) {
        self.keep(product(&[2, num_tokens, pixels]));
    }
}

/// Sizes of a [`Block`](crate::blocks::block::Block).
struct PlainBlock {
    dim: usize,
    num_heads: usize,
    /// Of a plain perceptron.
    hidden: usize,
    feed_forward: FeedForwardKind,
    has_scales: bool,
}

impl PlainBlock {
    fn of_decoder(config: &MaeDecoderConfig) -> Self {
        Self {
            dim: config.embed_dim,
            num_heads: config.num_heads,
            hidden: config.mlp_hidden(),
            feed_forward: FeedForwardKind::Mlp,
            has_scales: false,
        }
    }
}

/// Networks of maps.
impl Builder {
    fn densenet(&mut self, config: &DenseNetConfig, size: ImageSize) {
        self.part = Part::Convolutions;
        let images = Maps {
            channels: size.in_chans,
            side: size.side,
        };
        let inner = config.bn_size * config.growth_rate;
        let mut maps = self.stem(images, config.num_init_features);
        for (index, &num_layers) in config.block_config.iter().enumerate() {
            if index > 0 {
                self.batch_norm(maps);
                let halved = self.conv(maps, maps.channels / 2, 1, 1);
                // Every block's maps stay until the end of the pass.
                self.held += maps.num_values();
                maps = Maps {
                    side: halved.side / 2,
                    ..halved
                };
            }
            for _ in 0..num_layers {
                self.holding(maps.num_values(), |pass| {
                    pass.batch_norm(maps);
                    let squeezed = pass.conv(maps, inner, 1, 1);
                    pass.batch_norm(squeezed);
                    pass.conv(squeezed, config.growth_rate, 3, 1);
                });
                maps.channels += config.growth_rate;
                // Old maps beside the longer copy.
                self.push(0, 0, 0, 2 * maps.num_values());
            }
        }
        self.batch_norm(maps);
        // What the last ReLU gave.
        self.keep(maps.num_values());
    }

    fn backbone_and_neck(&mut self, config: &SupervisedNetworkConfig, size: ImageSize) {
        match &config.backbone {
            BackboneConfig::DenseNet(backbone) => self.densenet(backbone, size),
            BackboneConfig::ResNet(backbone) => self.resnet(backbone, size),
        }
        self.part = Part::Head;
        let dim = config.head.embed_dim;
        for d_in in [config.head.in_dim, dim] {
            self.linear(1, d_in, dim);
            self.norm(1, dim);
        }
    }

    fn resnet(&mut self, config: &ResNetConfig, size: ImageSize) {
        self.part = Part::Convolutions;
        let images = Maps {
            channels: size.in_chans,
            side: size.side,
        };
        let mut maps = self.stem(images, config.width);
        for (stage, &num_blocks) in config.layers.iter().enumerate() {
            let width = config.width << stage;
            for place in 0..num_blocks {
                let stride = if place == 0 && stage > 0 { 2 } else { 1 };
                maps = self.residual_block(config.block, maps, width, stride);
            }
            // Every stage's maps stay until the end of the pass.
            self.held += maps.num_values();
        }
        // What the last ReLU gave.
        self.keep(maps.num_values());
    }

    fn residual_block(
        &mut self,
        kind: ResNetBlock,
        input: Maps,
        width: usize,
        stride: usize,
    ) -> Maps {
        let d_out = width * kind.expansion();
        let mut output = input;
        self.holding(input.num_values(), |pass| {
            let convs: &[(usize, usize, usize)] = match kind {
                ResNetBlock::Basic => &[(width, 3, stride), (width, 3, 1)],
                ResNetBlock::Bottleneck => &[(width, 1, 1), (width, 3, stride), (d_out, 1, 1)],
            };
            for &(channels, kernel, stride) in convs {
                output = pass.conv(output, channels, kernel, stride);
                pass.batch_norm(output);
            }
        });
        if stride != 1 || input.channels != d_out {
            self.holding(output.num_values(), |pass| {
                // The first convolution keeps the same input.
                let around = pass.conv_that_keeps(0, input, d_out, 1, stride);
                pass.batch_norm(around);
            });
        }
        output
    }

    /// The maps of all levels.
    fn munet_encoder(&mut self, config: &MuNetConfig, size: ImageSize) -> Vec<Maps> {
        self.part = Part::Convolutions;
        let mut maps = Vec::with_capacity(config.depths.len());
        let mut input = Maps {
            channels: size.in_chans,
            side: size.side,
        };
        for &channels in &config.depths {
            let output = input.with_channels(channels);
            self.norm_conv(input, channels, config.kernel);
            self.norm_conv(output, channels, config.kernel);
            if config.residual {
                self.norm_conv(input, channels, 1);
                self.norm_conv(output, channels, config.kernel);
                self.norm_conv(output, channels, config.kernel);
            }
            maps.push(output);
            // The way up needs it, and the next level the places of its
            // largest pixels.
            self.held += output.num_values();
            let pooled = Maps {
                side: output.side / 2,
                ..output
            };
            if maps.len() < config.depths.len() {
                self.keep(pooled.num_values());
            }
            input = pooled;
        }
        maps
    }

    fn munet(&mut self, config: &MuNetConfig, size: ImageSize) {
        let levels = self.munet_encoder(config, size);
        let style = config.num_features();
        self.in_decoder = true;
        let mut below = style;
        for &level in levels.iter().rev() {
            let input = level.with_channels(below);
            self.norm_conv(input, level.channels, config.kernel);
            if config.residual {
                self.norm_conv(input, level.channels, 1);
            }
            let num_styled = if config.residual { 3 } else { 1 };
            self.repeat(num_styled, |pass| {
                pass.linear(1, style, level.channels);
                pass.norm_conv(level, level.channels, config.kernel);
            });
            below = level.channels;
        }
        if let Some(&first) = levels.first() {
            self.norm_conv(first, size.in_chans, 1);
            let pixels = product(&[2, size.in_chans, first.side, first.side]);
            self.keep(pixels);
        }
    }

    /// Norm, with or without ReLU, and convolution.
    fn norm_conv(&mut self, input: Maps, d_out: usize, kernel: usize) {
        self.batch_norm(input);
        self.conv(input, d_out, kernel, 1);
    }
}
