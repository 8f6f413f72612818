//! Vision transformer with parallel scaling blocks.
//!
//! Dosovitskiy et al. 2021 (<https://arxiv.org/abs/2010.11929>) with the blocks
//! of Dehghani et al. 2023 (<https://arxiv.org/abs/2302.05442>), as the masked
//! autoencoders of cell microscopy use it: Kraus et al. 2023
//! (<https://arxiv.org/abs/2309.16064>), Kenyon-Dean et al. 2024
//! (<https://arxiv.org/abs/2411.02572>). Reference code: maes_microscopy
//! `vit.py` on timm 0.9.7. Differences from it: the strided convolution is a
//! matrix product; nothing else.
//!
//! In the channel-agnostic form one kernel cuts every channel on its own, so
//! that a network trained on six channels embeds three or eleven; tokens run
//! channel-major and all channels share the table of positions.
//!
//! `morphospace embed SCREEN --network untrained:vit_small_patch16 --output p.parquet` runs it.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use morphospace_core::{Seed, suggestion};
use serde::{Deserialize, Serialize};

use crate::blocks::layer_norm::LayerNorm;
use crate::blocks::masking::Masking;
use crate::blocks::parallel_scaling_block::{
    BiasLayout, ParallelScalingBlock, ParallelScalingBlockConfig,
};
use crate::blocks::patch_embed::PatchEmbed;
use crate::blocks::position_interpolation::PositionInterpolation;
use crate::blocks::sincos::SincosTable;
use crate::encoder::{
    ChannelSupport, Encoder, Pooling, Representation, check_images, only_seen, pooled_in_one_pass,
    refuse_per_channel,
};
use crate::error::ModelError;
use crate::initializer::{Initializer, fixed_parameter};

/// Sizes and options of a [`Vit`]. The default is ViT-S/16 on six channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VitConfig {
    /// Side of the square image in pixels; 256 (Kraus et al. 2023).
    pub img_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Channels; in the channel-agnostic form the most there can be (11 in
    /// OpenPhenom).
    pub in_chans: usize,
    /// One kernel for all channels, one token per channel and patch.
    pub channel_agnostic: bool,
    /// Features of a token, `D`.
    pub embed_dim: usize,
    /// Blocks.
    pub depth: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Hidden features of the perceptron per feature, truncated as Python's
    /// `int(D * mlp_ratio)`.
    pub mlp_ratio: f64,
    /// What [`Vit::forward_head`] returns, and where the last norm stands.
    pub global_pool: GlobalPool,
    /// Start of every block's `gamma`: 1e-4 in the published configurations.
    /// A network that is to be used untrained or trained for minutes wants a
    /// larger one: at 1e-4 its blocks hardly contribute yet.
    pub init_values: f64,
    /// Stochastic depth of the last block in training; earlier ones rise to it
    /// linearly from 0.
    pub drop_path_rate: f64,
    /// Eps of all norms.
    pub norm_eps: f64,
    /// Whether there is a norm behind the last block or, with
    /// [`GlobalPool::Avg`], behind the mean: not in a network that was
    /// [trimmed](Vit::trimmed).
    pub final_norm: bool,
    /// Where `mlp_bias` goes: [`BiasLayout::Timm097`] for published weights.
    pub bias_layout: BiasLayout,
    /// How weights start.
    pub weight_init: WeightInit,
}

/// What a network makes of its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GlobalPool {
    /// The class token; `norm` stands behind the last block.
    #[default]
    Token,
    /// `fc_norm` of the mean patch token. There is no `norm` behind the last
    /// block then: [`Vit::forward_features`] returns un-normalised tokens, and
    /// so does the published embedding rule of networks built this way.
    Avg,
}

/// How weights start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightInit {
    /// Xavier-uniform maps, normal 0.02 tokens (He et al. 2022).
    #[default]
    Mae,
    /// Normal 0.02 maps, normal 1e-6 class token (timm).
    Timm,
}

impl WeightInit {
    /// The start of linear maps.
    pub(crate) fn linear(self) -> Initializer {
        match self {
            Self::Mae => Initializer::XavierUniform,
            Self::Timm => Initializer::Normal { std: 0.02 },
        }
    }

    fn cls_token(self) -> Initializer {
        match self {
            Self::Mae => Initializer::Normal { std: 0.02 },
            Self::Timm => Initializer::Normal { std: 1e-6 },
        }
    }
}

impl Default for VitConfig {
    fn default() -> Self {
        Self {
            img_size: 256,
            patch_size: 16,
            in_chans: 6,
            channel_agnostic: false,
            embed_dim: 384,
            depth: 12,
            num_heads: 6,
            mlp_ratio: 4.0,
            global_pool: GlobalPool::Token,
            init_values: 1e-4,
            drop_path_rate: 0.1,
            norm_eps: 1e-6,
            final_norm: true,
            bias_layout: BiasLayout::Aligned,
            weight_init: WeightInit::Mae,
        }
    }
}

/// Width, depth, heads, hidden ratio and drop path by name: Touvron et al.
/// 2021, table 1; Zhai et al. 2022, table 2 (gigantic); drop path of Kraus et
/// al. 2023 and Kenyon-Dean et al. 2024, appendix A.2.
const VARIANTS: [(&str, usize, usize, usize, f64, f64); 5] = [
    ("tiny", 192, 12, 3, 4.0, 0.0),
    ("small", 384, 12, 6, 4.0, 0.1),
    ("base", 768, 12, 12, 4.0, 0.1),
    ("large", 1024, 24, 16, 4.0, 0.3),
    ("gigantic", 1664, 48, 16, 64.0 / 13.0, 0.6),
];

impl VitConfig {
    /// The variant of a name such as `vit_small_patch16` or
    /// `vit_large_patch8_256` (image size last), on six channels.
    ///
    /// Sizes are those of Touvron et al. 2021, table 1 (`tiny`, `small`,
    /// `base`, `large`) and Zhai et al. 2022, table 2 (`gigantic`).
    ///
    /// # Errors
    /// [`ModelError::UnknownVariant`] with the nearest name.
    ///
    /// ```
    /// use morphospace_models::VitConfig;
    ///
    /// let config = VitConfig::decode_variant("vit_small_patch16")?;
    /// assert_eq!((config.embed_dim, config.depth, config.num_heads), (384, 12, 6));
    /// assert!(VitConfig::decode_variant("vit_smal_patch16").is_err());
    /// # Ok::<(), morphospace_models::ModelError>(())
    /// ```
    pub fn decode_variant(name: &str) -> Result<Self, ModelError> {
        let unknown = |hint: String| ModelError::UnknownVariant {
            name: name.to_owned(),
            hint,
        };
        let form = || "names look like 'vit_small_patch16' or 'vit_large_patch8_256'".to_owned();
        let (size, patch) = name
            .strip_prefix("vit_")
            .and_then(|rest| rest.split_once("_patch"))
            .ok_or_else(|| unknown(form()))?;
        let (patch, img_size) = match patch.split_once('_') {
            Some((patch, img_size)) => (patch, img_size),
            None => (patch, "256"),
        };
        let patch_size: usize = patch.parse().map_err(|_| unknown(form()))?;
        let img_size: usize = img_size.parse().map_err(|_| unknown(form()))?;
        let Some((_, embed_dim, depth, num_heads, mlp_ratio, drop_path_rate)) =
            VARIANTS.into_iter().find(|variant| variant.0 == size)
        else {
            let names = VARIANTS.map(|variant| variant.0);
            return Err(unknown(match suggestion(size, names) {
                Some(near) => format!("did you mean 'vit_{near}_patch{patch}'?"),
                None => format!("sizes are {}", names.join(", ")),
            }));
        };
        let config = Self {
            img_size,
            patch_size,
            embed_dim,
            depth,
            num_heads,
            mlp_ratio,
            drop_path_rate,
            ..Self::default()
        };
        config.check()?;
        Ok(config)
    }

    /// Whether the numbers fit together.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`] gives the numbers and the nearest valid
    /// ones.
    ///
    /// ```
    /// use morphospace_models::VitConfig;
    ///
    /// let config = VitConfig { img_size: 250, ..VitConfig::default() };
    /// assert_eq!(
    ///     config.check().unwrap_err().to_string(),
    ///     "vit: img_size 250 is not a multiple of patch_size 16 (nearest: 240, 256)"
    /// );
    /// ```
    pub fn check(&self) -> Result<(), ModelError> {
        let invalid = |message| {
            Err(ModelError::InvalidConfig {
                network: "vit",
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
        if let Some(message) =
            not_a_multiple(("img_size", self.img_size), ("patch_size", self.patch_size))
        {
            return invalid(message);
        }
        if let Some(message) =
            not_a_multiple(("embed_dim", self.embed_dim), ("num_heads", self.num_heads))
        {
            return invalid(message);
        }
        if !self.embed_dim.is_multiple_of(4) {
            let below = self.embed_dim / 4 * 4;
            return invalid(format!(
                "embed_dim {} is not a multiple of 4, as sine-cosine positions need (nearest: {}, {})",
                self.embed_dim,
                below.max(4),
                below + 4
            ));
        }
        if !(self.mlp_ratio > 0.0 && self.mlp_ratio <= 64.0) || self.mlp_hidden() == 0 {
            return invalid(format!("mlp_ratio {} is not in 0..64", self.mlp_ratio));
        }
        if self.bias_layout == BiasLayout::Timm097 && self.mlp_hidden() < self.embed_dim {
            return invalid(format!(
                "bias layout timm097 needs at least as many hidden features as embed_dim {}, got {}",
                self.embed_dim,
                self.mlp_hidden()
            ));
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
        if !self.init_values.is_finite() {
            return invalid(format!(
                "init_values {} is not a finite number",
                self.init_values
            ));
        }
        Ok(())
    }

    /// Patches along one side.
    pub fn grid_size(&self) -> usize {
        self.img_size / self.patch_size
    }

    /// Patch tokens of an image with `in_chans` channels.
    pub fn num_patches(&self, in_chans: usize) -> usize {
        let per_image = self.grid_size() * self.grid_size();
        if self.channel_agnostic {
            in_chans * per_image
        } else {
            per_image
        }
    }

    /// Hidden features of the perceptron.
    pub fn mlp_hidden(&self) -> usize {
        (self.embed_dim as f64 * self.mlp_ratio) as usize
    }

    /// A network with weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`VitConfig::check`].
    pub fn init(&self, device: &Device, seed: Seed) -> Result<Vit, ModelError> {
        self.check()?;
        let dim = self.embed_dim;
        let table = SincosTable {
            modalities: if self.channel_agnostic {
                self.in_chans
            } else {
                1
            },
            ..SincosTable::new(dim, self.grid_size())
        };
        let block = |index: usize| {
            let last = (self.depth - 1).max(1) as f64;
            let config = ParallelScalingBlockConfig {
                dim,
                num_heads: self.num_heads,
                mlp_hidden: self.mlp_hidden(),
                norm_eps: self.norm_eps,
                init_values: self.init_values,
                drop_path_rate: self.drop_path_rate * index as f64 / last,
                bias_layout: self.bias_layout,
                initializer: self.weight_init.linear(),
            };
            config.init(seed.split("blocks").split_index(index as u64), device)
        };
        let norm = || LayerNorm::init(dim, self.norm_eps, device);
        Ok(Vit {
            cls_token: self.weight_init.cls_token().parameter(
                [1, 1, dim],
                seed.split("cls_token"),
                device,
            ),
            pos_embed: fixed_parameter([1, table.num_rows(), dim], move || table.values(), device),
            patch_embed: PatchEmbed::init(
                self.in_chans,
                self.patch_size,
                dim,
                self.channel_agnostic,
                Initializer::XavierUniform,
                seed.split("patch_embed"),
                device,
            ),
            blocks: (0..self.depth).map(block).collect(),
            norm: (self.final_norm && self.global_pool == GlobalPool::Token).then(norm),
            fc_norm: (self.final_norm && self.global_pool == GlobalPool::Avg).then(norm),
            config: self.clone(),
        })
    }
}

/// "img_size 250 is not a multiple of patch_size 16 (nearest: 240, 256)"
pub(crate) fn not_a_multiple(value: (&str, usize), unit: (&str, usize)) -> Option<String> {
    if value.1.is_multiple_of(unit.1) {
        return None;
    }
    let above = (value.1 / unit.1 + 1) * unit.1;
    let nearest = match above - unit.1 {
        0 => above.to_string(),
        below => format!("{below}, {above}"),
    };
    Some(format!(
        "{} {} is not a multiple of {} {} (nearest: {nearest})",
        value.0, value.1, unit.0, unit.1
    ))
}

/// A vision transformer; field names are checkpoint keys.
#[derive(Module, Debug)]
pub struct Vit {
    /// `[1, 1, D]`.
    pub cls_token: Param<Tensor<3>>,
    /// Fixed table `[1, 1 + L, D]` (channel-agnostic: `L` for all `in_chans`
    /// channels); its first row, for the class token, is zero.
    pub pos_embed: Param<Tensor<3>>,
    /// Images to tokens.
    pub patch_embed: PatchEmbed,
    /// The blocks.
    pub blocks: Vec<ParallelScalingBlock>,
    /// Behind the last block, with [`GlobalPool::Token`].
    pub norm: Option<LayerNorm>,
    /// Behind the mean, with [`GlobalPool::Avg`].
    pub fc_norm: Option<LayerNorm>,
    #[module(skip)]
    config: VitConfig,
}

impl Vit {
    /// What it was built from.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// Patch embedding plus positions, class token first.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `[B, 1 + L, D]`
    pub fn embed_tokens(&self, images: Tensor<4>) -> Tensor<3> {
        self.embed_tokens_with(images, None)
    }

    /// [`Vit::embed_tokens`] of images of any size, for which the table of
    /// positions is interpolated as in DINO. Where a mask is 1, a token stands
    /// for the patch.
    ///
    /// # Shapes
    /// `images`: `[B, C, h·P, w·P]`; mask `[B, h·w]`, token `[1, D]`; result `[B,
    /// 1 + h·w, D]`; channel-agnostic: only images of the network's own size,
    /// `[B, C, H, W]` to `[B, 1 + C·L, D]`
    pub fn embed_tokens_with(
        &self,
        images: Tensor<4>,
        hidden: Option<(Tensor<2>, Tensor<2>)>,
    ) -> Tensor<3> {
        let [_, _, height, width] = images.dims();
        let grid = [height, width].map(|side| side / self.config.patch_size);
        let mut patches = self.patch_embed.forward(images);
        if let Some((mask, token)) = hidden {
            let mask: Tensor<3> = mask.unsqueeze_dim(2);
            patches = patches * (mask.clone() * -1.0 + 1.0) + mask * token.unsqueeze();
        }
        let [_, num_patches, _] = patches.dims();
        let table = self.pos_embed.val();
        let num_rows = table.dims()[1];
        let own_grid = [self.config.grid_size(); 2];
        let positions = match self.config.channel_agnostic || grid == own_grid {
            true => table.narrow(1, 1, num_patches),
            false => {
                let [rows, cols] = grid;
                PositionInterpolation::DINO.resize(table.narrow(1, 1, num_rows - 1), rows, cols)
            }
        };
        self.with_cls_token(patches + positions)
    }

    /// [`Vit::embed_tokens`] of the kept patches only; the others are never
    /// embedded.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `[B, 1 + len_keep, D]`, kept tokens in shuffled order
    pub fn embed_kept_tokens(&self, images: Tensor<4>, masking: &Masking) -> Tensor<3> {
        let patches = self.patch_embed.patches(images);
        let patches = self.patch_embed.project(masking.keep_tokens(patches));
        let [_, num_rows, dim] = self.pos_embed.dims();
        let positions = self.pos_embed.val().narrow(1, 1, num_rows - 1);
        let positions = masking.keep_rows(positions.reshape([num_rows - 1, dim]));
        self.with_cls_token(patches + positions)
    }

    /// All blocks, then `norm` if the network has one.
    ///
    /// # Shapes
    /// `[B, N, D]`, kept; `drop_path_seed` is `None` in evaluation
    pub fn forward_tokens(&self, tokens: Tensor<3>, drop_path_seed: Option<Seed>) -> Tensor<3> {
        let mut tokens = tokens;
        for (index, block) in self.blocks.iter().enumerate() {
            tokens = block.forward(tokens, drop_path_seed.map(|s| s.split_index(index as u64)));
        }
        self.normalise(tokens)
    }

    /// Tokens behind the last block and `norm` (none with
    /// [`GlobalPool::Avg`]), in evaluation.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `[B, 1 + L, D]`
    pub fn forward_features(&self, images: Tensor<4>) -> Tensor<3> {
        self.forward_tokens(self.embed_tokens(images), None)
    }

    /// One vector per image; `drop_path_seed` is `None` in evaluation.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `[B, num_pooled_features]`
    pub fn forward_embedding(
        &self,
        images: Tensor<4>,
        pooling: Pooling,
        drop_path_seed: Option<Seed>,
    ) -> Tensor<2> {
        let in_chans = images.dims()[1];
        let tokens = self.forward_tokens(self.embed_tokens(images), drop_path_seed);
        pool(tokens, pooling, in_chans)
    }

    /// The network's own pooling of [`Vit::forward_features`]: the class token,
    /// or `fc_norm` of the mean patch token.
    ///
    /// # Shapes
    /// `[B, 1 + L, D]` to `[B, D]`
    pub fn forward_head(&self, features: Tensor<3>) -> Tensor<2> {
        let pooling = match self.config.global_pool {
            GlobalPool::Token => Pooling::Cls,
            GlobalPool::Avg => Pooling::PatchMean,
        };
        let pooled = pool(features, pooling, 1);
        match &self.fc_norm {
            Some(fc_norm) => fc_norm.forward(pooled),
            None => pooled,
        }
    }

    /// Tokens behind every block, without `norm`, from one pass.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `depth` times `[B, 1 + L, D]`
    pub fn tokens_after_blocks(&self, images: Tensor<4>) -> Vec<Tensor<3>> {
        let mut tokens = self.embed_tokens(images);
        let mut outputs = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            tokens = block.forward(tokens, None);
            outputs.push(tokens.clone());
        }
        outputs
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
                network: "vit",
                message: format!("{num_blocks} blocks to keep is not in 1..={depth}"),
            });
        }
        self.blocks.truncate(num_blocks);
        self.norm = None;
        self.fc_norm = None;
        // The blocks that are left keep their rates.
        let last = |num: usize| (num - 1).max(1) as f64;
        self.config.drop_path_rate *= last(num_blocks) / last(depth);
        self.config.depth = num_blocks;
        self.config.final_norm = false;
        Ok(self)
    }

    fn representations(
        &self,
        tokens: Tensor<3>,
        in_chans: usize,
        wanted: &[Representation],
    ) -> Vec<Tensor<2>> {
        pooled_in_one_pass(
            &self.blocks,
            wanted,
            tokens,
            |block, tokens| block.forward(tokens, None),
            |tokens| self.normalise(tokens),
            |tokens, pooling| pool(tokens, pooling, in_chans),
        )
    }

    fn with_cls_token(&self, patches: Tensor<3>) -> Tensor<3> {
        let [batch, _, dim] = patches.dims();
        // The class token's own position is added too: a loaded table may hold
        // something other than zero there.
        let cls_token = self.cls_token.val() + self.pos_embed.val().narrow(1, 0, 1);
        Tensor::cat(vec![cls_token.expand([batch, 1, dim]), patches], 1)
    }

    fn normalise(&self, tokens: Tensor<3>) -> Tensor<3> {
        match &self.norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        }
    }
}

/// One vector per image.
fn pool(tokens: Tensor<3>, pooling: Pooling, in_chans: usize) -> Tensor<2> {
    let [batch, num_tokens, dim] = tokens.dims();
    let groups = match pooling {
        Pooling::Cls => return tokens.narrow(1, 0, 1).reshape([batch, dim]),
        Pooling::PatchMean => 1,
        Pooling::PerChannel => in_chans,
    };
    let patches = tokens.narrow(1, 1, num_tokens - 1);
    // Channel-major tokens: [B, C·L, D] → [B, C, L, D] → [B, C·D]
    let patches = patches.reshape([batch, groups, (num_tokens - 1) / groups, dim]);
    patches.mean_dim(2).reshape([batch, groups * dim])
}

impl Encoder for Vit {
    fn num_features(&self) -> usize {
        self.config.embed_dim
    }

    fn in_chans(&self) -> ChannelSupport {
        if self.config.channel_agnostic {
            ChannelSupport::UpTo(self.config.in_chans)
        } else {
            ChannelSupport::Exactly(self.config.in_chans)
        }
    }

    fn img_size(&self) -> usize {
        self.config.img_size
    }

    fn num_blocks(&self) -> usize {
        self.config.depth
    }

    fn check(&self, in_chans: usize, pooling: Pooling) -> Result<(), ModelError> {
        check_images(self.in_chans(), self.img_size(), in_chans)?;
        match self.config.channel_agnostic {
            true => Ok(()),
            false => refuse_per_channel(pooling),
        }
    }

    fn forward_representations(
        &self,
        images: Tensor<4>,
        wanted: &[Representation],
    ) -> Vec<Tensor<2>> {
        let in_chans = images.dims()[1];
        self.representations(self.embed_tokens(images), in_chans, wanted)
    }

    fn patch_grid(&self) -> Option<usize> {
        Some(self.config.grid_size())
    }

    fn forward_seen(
        &self,
        image: Tensor<4>,
        seen: &[usize],
        wanted: &[Representation],
    ) -> Vec<Tensor<2>> {
        let in_chans = image.dims()[1];
        let num_patches = self.config.grid_size().pow(2);
        let tokens = only_seen(self.embed_tokens(image), seen, 1, num_patches);
        self.representations(tokens, in_chans, wanted)
    }
}
