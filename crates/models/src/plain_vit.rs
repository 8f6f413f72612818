//! Vision transformer of plain blocks with a learned table of positions.
//!
//! Dosovitskiy et al. 2021 (<https://arxiv.org/abs/2010.11929>), as DINO (Caron
//! et al. 2021, <https://arxiv.org/abs/2104.14294>; facebookresearch/dino
//! `vision_transformer.py`), DINOv2 with registers (Oquab et al. 2023,
//! <https://arxiv.org/abs/2304.07193>; Darcet et al. 2023,
//! <https://arxiv.org/abs/2309.16588>; facebookresearch/dinov2) and the
//! baselines trained on ImageNet (timm; He et al. 2022) have it. Lugli et al.
//! 2025 train DINO's on RxRx1, Kenyon-Dean et al. 2024
//! (<https://arxiv.org/abs/2411.02572>) embed with DINOv2's. Differences from
//! them: the strided convolution is a matrix product; nothing else.
//!
//! Images may have any size of whole patches: the table of positions is
//! interpolated.
//!
//! `morphospace embed SCREEN --network untrained:dino_vit_small_patch16 --pooling
//! cls --output p.parquet` runs it; `morphospace import` takes in its weights.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use morphospace_core::{Seed, suggestion};
use serde::{Deserialize, Serialize};

use crate::blocks::block::{Block, BlockConfig};
use crate::blocks::feed_forward::FeedForwardKind;
use crate::blocks::layer_norm::LayerNorm;
use crate::blocks::linear::Bias;
use crate::blocks::patch_embed::PatchEmbed;
use crate::blocks::position_interpolation::PositionInterpolation;
use crate::encoder::{
    ChannelSupport, Encoder, Pooling, Representation, check_images, only_seen, pooled_in_one_pass,
    refuse_per_channel,
};
use crate::error::ModelError;
use crate::initializer::Initializer;
use crate::vit::not_a_multiple;

/// Sizes and options of a [`PlainVit`]. The default is DINO's ViT-S/16 on six
/// channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlainVitConfig {
    /// Side of the square image that the table of positions is for, in pixels.
    pub img_size: usize,
    /// Side of the square images that are embedded, if not `img_size`: the
    /// table is interpolated then.
    pub input_size: Option<usize>,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Channels.
    pub in_chans: usize,
    /// Features of a token, `D`.
    pub embed_dim: usize,
    /// Blocks.
    pub depth: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Hidden features of the perceptron per feature, truncated as Python's
    /// `int(D * mlp_ratio)`.
    pub mlp_ratio: f64,
    /// Which perceptron.
    pub feed_forward: FeedForwardKind,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Start of the scales of both branches of a block, if there are any.
    pub init_values: Option<f64>,
    /// Registers: tokens behind the class token that stand for no patch.
    pub num_registers: usize,
    /// Whether there is a token for masked patches, as in DINOv2.
    pub mask_token: bool,
    /// How the table of positions is resized.
    pub interpolation: PositionInterpolation,
    /// Stochastic depth of the last block in training; earlier ones rise to it
    /// linearly from 0.
    pub drop_path_rate: f64,
    /// Eps of all norms.
    pub norm_eps: f64,
    /// Whether there is a norm behind the last block: not in a network that
    /// was [trimmed](PlainVit::trimmed).
    pub final_norm: bool,
}

impl Default for PlainVitConfig {
    fn default() -> Self {
        Self {
            img_size: 224,
            input_size: None,
            patch_size: 16,
            in_chans: 6,
            embed_dim: 384,
            depth: 12,
            num_heads: 6,
            mlp_ratio: 4.0,
            feed_forward: FeedForwardKind::Mlp,
            qkv_bias: true,
            init_values: None,
            num_registers: 0,
            mask_token: false,
            interpolation: PositionInterpolation::DINO,
            drop_path_rate: 0.1,
            norm_eps: 1e-6,
            final_norm: true,
        }
    }
}

/// Name, width, depth and heads: Touvron et al. 2021, table 1; Oquab et al.
/// 2023, table 17 (giant).
const VARIANTS: [(&str, usize, usize, usize); 5] = [
    ("tiny", 192, 12, 3),
    ("small", 384, 12, 6),
    ("base", 768, 12, 12),
    ("large", 1024, 24, 16),
    ("giant", 1536, 40, 24),
];

impl PlainVitConfig {
    /// The variant of a name such as `dino_vit_small_patch16` or
    /// `imagenet_vit_large_patch16` (a table for 224 pixels) or
    /// `dinov2_vit_large_patch14_reg4` (for 518), on six channels; a number
    /// behind it, as in `imagenet_vit_large_patch16_384`, is that of the table's
    /// pixels.
    ///
    /// `imagenet_vit` is the plain network that timm calls
    /// `vit_large_patch16_224`, trained with labels or, by He et al. 2022, as a
    /// masked autoencoder's encoder.
    ///
    /// # Errors
    /// [`ModelError::UnknownVariant`] with the nearest name.
    ///
    /// ```
    /// use morphospace_models::PlainVitConfig;
    ///
    /// let config = PlainVitConfig::decode_variant("dinov2_vit_giant_patch14_reg4")?;
    /// assert_eq!((config.embed_dim, config.depth, config.num_registers), (1536, 40, 4));
    /// # Ok::<(), morphospace_models::ModelError>(())
    /// ```
    pub fn decode_variant(name: &str) -> Result<Self, ModelError> {
        let unknown = |hint: String| ModelError::UnknownVariant {
            name: name.to_owned(),
            hint,
        };
        let form = || {
            let form =
                "names look like 'dino_vit_small_patch16' or 'dinov2_vit_large_patch14_reg4'";
            unknown(form.to_owned())
        };
        let (family, rest) = name.split_once("_vit_").ok_or_else(form)?;
        let (size, patch) = rest.split_once("_patch").ok_or_else(form)?;
        let (patch, rest) = patch.split_once('_').unwrap_or((patch, ""));
        let patch_size: usize = patch.parse().map_err(|_| form())?;
        let (mut num_registers, mut img_size) = (0, None);
        for part in rest.split('_').filter(|part| !part.is_empty()) {
            match part.strip_prefix("reg") {
                Some(registers) => num_registers = registers.parse().map_err(|_| form())?,
                None => img_size = Some(part.parse().map_err(|_| form())?),
            }
        }
        let variant = VARIANTS.into_iter().find(|variant| variant.0 == size);
        let (_, embed_dim, depth, num_heads) = variant.ok_or_else(|| {
            let names = VARIANTS.map(|variant| variant.0);
            unknown(match suggestion(size, names) {
                Some(near) => format!("did you mean '{family}_vit_{near}_patch{patch}'?"),
                None => format!("sizes are {}", names.join(", ")),
            })
        })?;
        let plain = Self {
            patch_size,
            embed_dim,
            depth,
            num_heads,
            ..Self::default()
        };
        let config = match family {
            "dino" if num_registers == 0 => plain,
            "imagenet" if num_registers == 0 => Self {
                drop_path_rate: 0.0,
                ..plain
            },
            "dinov2" => Self {
                img_size: 518,
                init_values: Some(1e-5),
                feed_forward: match size {
                    "giant" => FeedForwardKind::SwiGlu,
                    _ => FeedForwardKind::Mlp,
                },
                mask_token: true,
                num_registers,
                interpolation: match num_registers {
                    0 => PositionInterpolation::DINO,
                    _ => PositionInterpolation::DINO_V2,
                },
                drop_path_rate: 0.0,
                ..plain
            },
            _ => return Err(form()),
        };
        let config = Self {
            img_size: img_size.unwrap_or(config.img_size),
            ..config
        };
        config.check()?;
        Ok(config)
    }

    /// Whether the numbers fit together.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`] gives the numbers and the nearest valid
    /// ones.
    pub fn check(&self) -> Result<(), ModelError> {
        let invalid = |message| {
            Err(ModelError::InvalidConfig {
                network: "plain_vit",
                message,
            })
        };
        let counts = [
            ("img_size", self.img_size, 16_384),
            ("patch_size", self.patch_size, 1024),
            ("in_chans", self.in_chans, 1024),
            ("embed_dim", self.embed_dim, 16_384),
            ("depth", self.depth, 512),
            ("num_heads", self.num_heads, 512),
        ];
        for (name, value, most) in counts {
            if value == 0 || value > most {
                return invalid(format!("{name} {value} is not in 1..={most}"));
            }
        }
        if self.num_registers > 1024 {
            return invalid(format!(
                "num_registers {} is not in 0..=1024",
                self.num_registers
            ));
        }
        let input_size = self.input_size.unwrap_or(self.img_size);
        if input_size == 0 || input_size > 16_384 {
            return invalid(format!("input_size {input_size} is not in 1..=16384"));
        }
        let multiples = [
            (("img_size", self.img_size), ("patch_size", self.patch_size)),
            (("input_size", input_size), ("patch_size", self.patch_size)),
            (("embed_dim", self.embed_dim), ("num_heads", self.num_heads)),
        ];
        for (value, unit) in multiples {
            if let Some(message) = not_a_multiple(value, unit) {
                return invalid(message);
            }
        }
        if !(self.mlp_ratio > 0.0 && self.mlp_ratio <= 64.0) || self.mlp_hidden() == 0 {
            return invalid(format!("mlp_ratio {} is not in 0..64", self.mlp_ratio));
        }
        if !(0.0..1.0).contains(&self.drop_path_rate) {
            return invalid(format!(
                "drop_path_rate {} is not in 0..1",
                self.drop_path_rate
            ));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps.is_finite()) {
            return invalid(format!(
                "norm_eps {} is not a positive number",
                self.norm_eps
            ));
        }
        if self.init_values.is_some_and(|start| !start.is_finite()) {
            return invalid("init_values is not a finite number".to_owned());
        }
        let offset = self.interpolation.offset;
        if !(0.0..1.0).contains(&offset) {
            return invalid(format!("interpolation.offset {offset} is not in 0..1"));
        }
        Ok(())
    }

    /// Hidden features of a plain perceptron.
    pub fn mlp_hidden(&self) -> usize {
        (self.embed_dim as f64 * self.mlp_ratio) as usize
    }

    /// A network with weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`PlainVitConfig::check`].
    pub fn init(&self, device: &Device, seed: Seed) -> Result<PlainVit, ModelError> {
        self.check()?;
        let dim = self.embed_dim;
        let normal = Initializer::Normal { std: 0.02 };
        let tokens =
            |count: usize, name: &str| normal.parameter([1, count, dim], seed.split(name), device);
        let block = |index: usize| {
            let last = (self.depth - 1).max(1) as f64;
            let config = BlockConfig {
                dim,
                num_heads: self.num_heads,
                mlp_hidden: self.mlp_hidden(),
                feed_forward: self.feed_forward,
                qkv_bias: match self.qkv_bias {
                    true => Bias::Zeros,
                    false => Bias::None,
                },
                init_values: self.init_values,
                drop_path_rate: self.drop_path_rate * index as f64 / last,
                norm_eps: self.norm_eps,
                initializer: normal,
            };
            config.init(seed.split("blocks").split_index(index as u64), device)
        };
        let grid = self.img_size / self.patch_size;
        Ok(PlainVit {
            cls_token: tokens(1, "cls_token"),
            pos_embed: tokens(1 + grid * grid, "pos_embed"),
            register_tokens: (self.num_registers > 0)
                .then(|| tokens(self.num_registers, "register_tokens")),
            mask_token: self
                .mask_token
                .then(|| Initializer::ZEROS.parameter([1, dim], seed, device)),
            patch_embed: PatchEmbed::init(
                self.in_chans,
                self.patch_size,
                dim,
                false,
                normal,
                seed.split("patch_embed"),
                device,
            ),
            blocks: (0..self.depth).map(block).collect(),
            norm: self
                .final_norm
                .then(|| LayerNorm::init(dim, self.norm_eps, device)),
            config: self.clone(),
        })
    }
}

/// A vision transformer; field names are checkpoint keys.
#[derive(Module, Debug)]
pub struct PlainVit {
    /// `[1, 1, D]`.
    pub cls_token: Param<Tensor<3>>,
    /// Learned table `[1, 1 + L, D]`, the class token's row first.
    pub pos_embed: Param<Tensor<3>>,
    /// `[1, R, D]`.
    pub register_tokens: Option<Param<Tensor<3>>>,
    /// `[1, D]`.
    pub mask_token: Option<Param<Tensor<2>>>,
    /// Images to tokens.
    pub patch_embed: PatchEmbed,
    /// The blocks.
    pub blocks: Vec<Block>,
    /// Behind the last block.
    pub norm: Option<LayerNorm>,
    #[module(skip)]
    config: PlainVitConfig,
}

impl PlainVit {
    /// What it was built from.
    pub fn config(&self) -> &PlainVitConfig {
        &self.config
    }

    /// The table of positions for an image of `rows` by `cols` patches.
    ///
    /// # Shapes
    /// `[1, 1 + rows·cols, D]`
    pub fn positions(&self, rows: usize, cols: usize) -> Tensor<3> {
        let table = self.pos_embed.val();
        let num_rows = table.dims()[1];
        let cls = table.clone().narrow(1, 0, 1);
        let patches = table.narrow(1, 1, num_rows - 1);
        let patches = self.config.interpolation.resize(patches, rows, cols);
        Tensor::cat(vec![cls, patches], 1)
    }

    /// Patch embedding plus positions, class token first, then registers.
    /// Where `mask` is 1, the mask token stands for the patch.
    ///
    /// # Shapes
    /// `images`: `[B, C, h·P, w·P]`; `mask`: `[B, h·w]`; result `[B, 1 + R +
    /// h·w, D]`
    ///
    /// # Panics
    /// There is a mask and no mask token.
    pub fn embed_tokens(&self, images: Tensor<4>, mask: Option<Tensor<2>>) -> Tensor<3> {
        let [batch, _, height, width] = images.dims();
        let patch_size = self.config.patch_size;
        let mut patches = self.patch_embed.forward(images);
        let [_, _, dim] = patches.dims();
        if let Some(mask) = mask {
            let token = self.mask_token.as_ref();
            let token = token.expect("built with a mask token").val();
            let mask: Tensor<3> = mask.unsqueeze_dim(2);
            patches = patches * (mask.clone() * -1.0 + 1.0) + mask * token.unsqueeze();
        }
        let cls = self.cls_token.val().expand([batch, 1, dim]);
        let positions = self.positions(height / patch_size, width / patch_size);
        let tokens = Tensor::cat(vec![cls, patches], 1) + positions;
        let Some(registers) = &self.register_tokens else {
            return tokens;
        };
        let num_tokens = tokens.dims()[1];
        let cls = tokens.clone().narrow(1, 0, 1);
        let patches = tokens.narrow(1, 1, num_tokens - 1);
        let registers = registers.val();
        let num_registers = registers.dims()[1];
        let registers = registers.expand([batch, num_registers, dim]);
        Tensor::cat(vec![cls, registers, patches], 1)
    }

    /// All blocks, without `norm`.
    ///
    /// # Shapes
    /// `[B, N, D]`, kept; `drop_path_seed` is `None` in evaluation
    pub fn forward_tokens(&self, tokens: Tensor<3>, drop_path_seed: Option<Seed>) -> Tensor<3> {
        let mut tokens = tokens;
        for (index, block) in self.blocks.iter().enumerate() {
            tokens = block.forward(tokens, drop_path_seed.map(|s| s.split_index(index as u64)));
        }
        tokens
    }

    /// Tokens behind the last block and `norm`, in evaluation.
    ///
    /// # Shapes
    /// `[B, C, h·P, w·P]` to `[B, 1 + R + h·w, D]`
    pub fn forward_features(&self, images: Tensor<4>) -> Tensor<3> {
        self.normalise(self.forward_tokens(self.embed_tokens(images, None), None))
    }

    /// One vector per image; `drop_path_seed` is `None` in evaluation.
    ///
    /// # Shapes
    /// `[B, C, h·P, w·P]` to `[B, D]`
    pub fn forward_embedding(
        &self,
        images: Tensor<4>,
        pooling: Pooling,
        drop_path_seed: Option<Seed>,
    ) -> Tensor<2> {
        let tokens = self.forward_tokens(self.embed_tokens(images, None), drop_path_seed);
        self.pool(self.normalise(tokens), pooling)
    }

    /// Behind the last block.
    ///
    /// # Shapes
    /// `[B, N, D]`, kept
    pub fn normalise(&self, tokens: Tensor<3>) -> Tensor<3> {
        match &self.norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        }
    }

    /// Tokens behind every block, without `norm`, from one pass.
    ///
    /// # Shapes
    /// `[B, C, h·P, w·P]` to `depth` times `[B, 1 + R + h·w, D]`
    pub fn tokens_after_blocks(&self, images: Tensor<4>) -> Vec<Tensor<3>> {
        let mut tokens = self.embed_tokens(images, None);
        let mut outputs = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            tokens = block.forward(tokens, None);
            outputs.push(tokens.clone());
        }
        outputs
    }

    /// What the tokens of the last block take of each other, to look at.
    ///
    /// # Shapes
    /// `[B, C, h·P, w·P]` to `[B, H, N, N]`
    pub fn last_attention(&self, images: Tensor<4>) -> Tensor<4> {
        let mut tokens = self.embed_tokens(images, None);
        let (last, before) = self.blocks.split_last().expect("there is a block");
        for block in before {
            tokens = block.forward(tokens, None);
        }
        last.attn.weights(last.norm1.forward(tokens))
    }

    /// The first blocks alone, without the last norm, which was trained behind
    /// all of them: its embedding is what [`Encoder::forward_blocks`] gives
    /// behind its last block, and its checkpoint leaves out the rest.
    /// Kenyon-Dean et al. 2024 find the best block by probes.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`]: there are not so many blocks, or none is
    /// left.
    pub fn trimmed(mut self, num_blocks: usize) -> Result<Self, ModelError> {
        let depth = self.config.depth;
        if num_blocks == 0 || num_blocks > depth {
            return Err(ModelError::InvalidConfig {
                network: "plain_vit",
                message: format!("{num_blocks} blocks to keep is not in 1..={depth}"),
            });
        }
        self.blocks.truncate(num_blocks);
        self.norm = None;
        // The blocks that are left keep their rates.
        let last = |num: usize| (num - 1).max(1) as f64;
        self.config.drop_path_rate *= last(num_blocks) / last(depth);
        self.config.depth = num_blocks;
        self.config.final_norm = false;
        Ok(self)
    }

    fn representations(&self, tokens: Tensor<3>, wanted: &[Representation]) -> Vec<Tensor<2>> {
        pooled_in_one_pass(
            &self.blocks,
            wanted,
            tokens,
            |block, tokens| block.forward(tokens, None),
            |tokens| self.normalise(tokens),
            |tokens, pooling| self.pool(tokens, pooling),
        )
    }

    /// One vector per image.
    fn pool(&self, tokens: Tensor<3>, pooling: Pooling) -> Tensor<2> {
        let [batch, num_tokens, dim] = tokens.dims();
        let num_prefix = 1 + self.config.num_registers;
        match pooling {
            Pooling::Cls => tokens.narrow(1, 0, 1).reshape([batch, dim]),
            _ => {
                let patches = tokens.narrow(1, num_prefix, num_tokens - num_prefix);
                patches.mean_dim(1).reshape([batch, dim])
            }
        }
    }
}

impl Encoder for PlainVit {
    fn num_features(&self) -> usize {
        self.config.embed_dim
    }

    fn in_chans(&self) -> ChannelSupport {
        ChannelSupport::Exactly(self.config.in_chans)
    }

    fn img_size(&self) -> usize {
        self.config.input_size.unwrap_or(self.config.img_size)
    }

    fn num_blocks(&self) -> usize {
        self.config.depth
    }

    fn check(&self, in_chans: usize, pooling: Pooling) -> Result<(), ModelError> {
        check_images(self.in_chans(), self.img_size(), in_chans)?;
        refuse_per_channel(pooling)
    }

    fn forward_representations(
        &self,
        images: Tensor<4>,
        wanted: &[Representation],
    ) -> Vec<Tensor<2>> {
        self.representations(self.embed_tokens(images, None), wanted)
    }

    fn patch_grid(&self) -> Option<usize> {
        Some(self.img_size() / self.config.patch_size)
    }

    fn forward_seen(
        &self,
        image: Tensor<4>,
        seen: &[usize],
        wanted: &[Representation],
    ) -> Vec<Tensor<2>> {
        let num_prefix = 1 + self.config.num_registers;
        let num_patches = (self.img_size() / self.config.patch_size).pow(2);
        let tokens = only_seen(
            self.embed_tokens(image, None),
            seen,
            num_prefix,
            num_patches,
        );
        self.representations(tokens, wanted)
    }
}
