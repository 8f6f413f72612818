//! Attention of one set of tokens to another.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;

use super::attention::scaled_dot_product_attention;
use super::linear::{Bias, Linear};
use crate::Initializer;

/// Queries from one set of tokens, keys and values from another; q and kv
/// without bias (maes_microscopy `vit.CrossAttention`).
#[derive(Module, Debug)]
pub struct CrossAttention {
    /// `[D, D]`.
    pub q: Linear,
    /// `[D, 2 D]`, features ordered k, v.
    pub kv: Linear,
    /// `[D, D]`.
    pub proj: Linear,
    num_heads: usize,
}

impl CrossAttention {
    /// `num_heads` heads that share `dim` features.
    pub fn init(
        dim: usize,
        num_heads: usize,
        initializer: Initializer,
        seed: Seed,
        device: &Device,
    ) -> Self {
        let linear =
            |shape, bias, name| Linear::init(shape, bias, initializer, seed.split(name), device);
        Self {
            q: linear([dim, dim], Bias::None, "q"),
            kv: linear([dim, 2 * dim], Bias::None, "kv"),
            proj: linear([dim, dim], Bias::Zeros, "proj"),
            num_heads,
        }
    }

    /// # Shapes
    /// `x`: `[B, Nq, D]` asks, `context`: `[B, Nk, D]` answers; result `[B, Nq, D]`
    pub fn forward(&self, x: Tensor<3>, context: Tensor<3>) -> Tensor<3> {
        let [batch, num_queries, dim] = x.dims();
        let num_keys = context.dims()[1];
        let head_dim = dim / self.num_heads;
        let q = self
            .q
            .forward(x)
            .reshape([batch, num_queries, self.num_heads, head_dim]);
        let kv = self.kv.forward(context);
        let part = |index: usize| {
            let part = kv.clone().narrow(2, index * dim, dim);
            part.reshape([batch, num_keys, self.num_heads, head_dim])
        };
        self.proj
            .forward(scaled_dot_product_attention(q, part(0), part(1)))
    }
}
