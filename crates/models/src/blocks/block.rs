//! The plain pre-norm transformer block.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;

use super::attention::Attention;
use super::drop_path::drop_path;
use super::feed_forward::{FeedForward, FeedForwardKind};
use super::layer_norm::LayerNorm;
use super::layer_scale::LayerScale;
use super::linear::Bias;
use crate::Initializer;

/// `x + ls1(attn(norm1(x)))`, then `x + ls2(mlp(norm2(x)))` (timm
/// `vision_transformer.Block`), as in DINO's networks and in the decoders of
/// masked autoencoders.
#[derive(Module, Debug)]
pub struct Block {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// Self-attention.
    pub attn: Attention,
    /// Scale of the attention, in DINOv2.
    pub ls1: Option<LayerScale>,
    /// Before the perceptron.
    pub norm2: LayerNorm,
    /// The perceptron.
    pub mlp: FeedForward,
    /// Scale of the perceptron, in DINOv2.
    pub ls2: Option<LayerScale>,
    drop_path_rate: f64,
}

/// Sizes of a [`Block`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockConfig {
    /// Features of a token.
    pub dim: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Hidden features of the perceptron.
    pub mlp_hidden: usize,
    /// Which perceptron.
    pub feed_forward: FeedForwardKind,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: Bias,
    /// Start of both scales, if there are any.
    pub init_values: Option<f64>,
    /// Probability to drop either branch in training.
    pub drop_path_rate: f64,
    /// Eps of both norms.
    pub norm_eps: f64,
    /// Start of the linear maps.
    pub initializer: Initializer,
}

impl BlockConfig {
    /// A block that starts from `seed`.
    pub fn init(&self, seed: Seed, device: &Device) -> Block {
        let Self {
            dim,
            num_heads,
            norm_eps,
            initializer,
            ..
        } = *self;
        let scale = || {
            let start = self.init_values?;
            Some(LayerScale::init(dim, start, device))
        };
        Block {
            norm1: LayerNorm::init(dim, norm_eps, device),
            attn: Attention::init(
                dim,
                num_heads,
                self.qkv_bias,
                initializer,
                seed.split("attn"),
                device,
            ),
            ls1: scale(),
            norm2: LayerNorm::init(dim, norm_eps, device),
            mlp: FeedForward::init(
                self.feed_forward,
                dim,
                self.mlp_hidden,
                initializer,
                seed.split("mlp"),
                device,
            ),
            ls2: scale(),
            drop_path_rate: self.drop_path_rate,
        }
    }
}

impl Block {
    /// # Shapes
    /// `[B, N, D]`, kept; `drop_path_seed` is `None` in evaluation
    pub fn forward(&self, x: Tensor<3>, drop_path_seed: Option<Seed>) -> Tensor<3> {
        let drop = |branch, name: &str| {
            let seed = drop_path_seed.map(|seed| seed.split(name));
            drop_path(branch, self.drop_path_rate, seed)
        };
        let branch = self.attn.forward(self.norm1.forward(x.clone()));
        let x = add_scaled(x, &self.ls1, drop(branch, "attn"));
        let branch = self.mlp.forward(self.norm2.forward(x.clone()));
        add_scaled(x, &self.ls2, drop(branch, "mlp"))
    }
}

fn add_scaled(x: Tensor<3>, scale: &Option<LayerScale>, branch: Tensor<3>) -> Tensor<3> {
    match scale {
        Some(scale) => scale.add_scaled(x, branch),
        None => x + branch,
    }
}
