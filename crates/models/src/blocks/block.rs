//! The plain pre-norm transformer block.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;

use super::attention::Attention;
use super::layer_norm::LayerNorm;
use super::mlp::Mlp;
use crate::Initializer;

/// `x + attn(norm1(x))`, then `x + mlp(norm2(x))` (timm
/// `vision_transformer.Block`), as in the decoders of masked autoencoders.
#[derive(Module, Debug)]
pub struct Block {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// Self-attention.
    pub attn: Attention,
    /// Before the perceptron.
    pub norm2: LayerNorm,
    /// The perceptron.
    pub mlp: Mlp,
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
            mlp_hidden,
            norm_eps,
            initializer,
        } = *self;
        Block {
            norm1: LayerNorm::init(dim, norm_eps, device),
            attn: Attention::init(dim, num_heads, initializer, seed.split("attn"), device),
            norm2: LayerNorm::init(dim, norm_eps, device),
            mlp: Mlp::init(dim, mlp_hidden, initializer, seed.split("mlp"), device),
        }
    }
}

impl Block {
    /// # Shapes
    /// `[B, N, D]`, kept
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(self.norm1.forward(x));
        x.clone() + self.mlp.forward(self.norm2.forward(x))
    }
}
