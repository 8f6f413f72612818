//! Attention between tokens.

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation, assert_shape};
use morphospace_core::Seed;

use super::linear::{Bias, Linear};
use crate::Initializer;

/// `softmax(q kᵀ / sqrt(head_dim)) v`, heads side by side.
///
/// # Shapes
/// `q`: `[B, Nq, H, head_dim]`, `k`, `v`: `[B, Nk, H, head_dim]`; result
/// `[B, Nq, H·head_dim]`
///
/// # Source
/// Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>
pub fn scaled_dot_product_attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<3> {
    let [batch, num_queries, num_heads, head_dim] = q.dims();
    let num_keys = k.dims()[1];
    assert_shape!(v, [batch, num_keys, num_heads, head_dim]);
    // [B, N, H, d] → [B, H, N, d]
    let q = q.swap_dims(1, 2).mul_scalar(1.0 / (head_dim as f64).sqrt());
    let k = k.swap_dims(1, 2);
    let v = v.swap_dims(1, 2);
    let weights = activation::softmax(q.matmul(k.transpose()), 3);
    let x = weights.matmul(v).swap_dims(1, 2);
    x.reshape([batch, num_queries, num_heads * head_dim])
}

/// Self-attention (timm `vision_transformer.Attention` without q/k norms).
#[derive(Module, Debug)]
pub struct Attention {
    /// `[D, 3 D]`, features ordered q, k, v.
    pub qkv: Linear,
    /// `[D, D]`.
    pub proj: Linear,
    num_heads: usize,
}

impl Attention {
    /// `num_heads` heads that share `dim` features.
    pub fn init(
        dim: usize,
        num_heads: usize,
        initializer: Initializer,
        seed: Seed,
        device: &Device,
    ) -> Self {
        let linear =
            |shape, name| Linear::init(shape, Bias::Zeros, initializer, seed.split(name), device);
        Self {
            qkv: linear([dim, 3 * dim], "qkv"),
            proj: linear([dim, dim], "proj"),
            num_heads,
        }
    }

    /// # Shapes
    /// `[B, N, D]`, kept
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, num_tokens, dim] = x.dims();
        let qkv = self.qkv.forward(x);
        let part = |index: usize| {
            let part = qkv.clone().narrow(2, index * dim, dim);
            part.reshape([batch, num_tokens, self.num_heads, dim / self.num_heads])
        };
        self.proj
            .forward(scaled_dot_product_attention(part(0), part(1), part(2)))
    }
}
