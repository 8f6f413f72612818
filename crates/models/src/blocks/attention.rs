//! Attention between tokens.

use burn::module::Module;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, activation, assert_shape, module};
use morphospace_core::Seed;

use super::linear::{Bias, Linear};
use crate::kernels::attention::attention;
use crate::kernels::self_attention::SelfAttention;
use crate::kernels::training;
use crate::{Initializer, Precision};

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
    let fused = attention(&q, &k, &v).or_else(|| training::attention(&q, &k, &v));
    if let Some(attended) = fused {
        return attended;
    }
    // [B, N, H, d] → [B, H, N, d]
    let heads_first = |x: Tensor<4>| x.swap_dims(1, 2);
    let format = Precision::current();
    let x = if q.is_autodiff() {
        let q = heads_first(q.mul_scalar(1.0 / (head_dim as f64).sqrt()));
        let scores = format.product(q, heads_first(k).transpose());
        format.product(activation::softmax(scores, 3), heads_first(v))
    } else {
        // One pass that never holds all weights; Burn has no gradient for it.
        let options = AttentionModuleOptions::default();
        let [q, k, v] = [q, k, v].map(|x| format.narrow(heads_first(x)));
        format.widen(module::attention(q, k, v, None, None, options))
    };
    x.swap_dims(1, 2)
        .reshape([batch, num_queries, num_heads * head_dim])
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
        qkv_bias: Bias,
        initializer: Initializer,
        seed: Seed,
        device: &Device,
    ) -> Self {
        let linear =
            |shape, bias, name| Linear::init(shape, bias, initializer, seed.split(name), device);
        Self {
            qkv: linear([dim, 3 * dim], qkv_bias, "qkv"),
            proj: linear([dim, dim], Bias::Zeros, "proj"),
            num_heads,
        }
    }

    /// # Shapes
    /// `[B, N, D]`, kept
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let kernel = || {
            Some(SelfAttention {
                qkv: self.qkv.host_map()?,
                head_norms: None,
                proj: self.proj.host_map()?,
                num_heads: self.num_heads,
            })
        };
        if let Some(attended) = kernel().and_then(|kernel| kernel.forward(&x)) {
            return attended;
        }
        let packed = self.qkv.forward(x);
        let attended = training::self_attention(&packed, self.num_heads).unwrap_or_else(|| {
            let [q, k, v] = self.heads(packed);
            scaled_dot_product_attention(q, k, v)
        });
        self.proj.forward(attended)
    }

    /// What every token takes of the others, to look at.
    ///
    /// # Shapes
    /// `[B, N, D]` to `[B, H, N, N]`, rows of sum one
    pub fn weights(&self, x: Tensor<3>) -> Tensor<4> {
        let [q, k, _] = self.heads(self.qkv.forward(x));
        let head_dim = q.dims()[3] as f64;
        let scores = q.swap_dims(1, 2).matmul(k.permute([0, 2, 3, 1]));
        activation::softmax(scores / head_dim.sqrt(), 3)
    }

    /// Queries, keys and values, `[B, N, H, head_dim]` each, of `[B, N, 3 D]`.
    fn heads(&self, qkv: Tensor<3>) -> [Tensor<4>; 3] {
        let [batch, num_tokens, width] = qkv.dims();
        let dim = width / 3;
        [0, 1, 2].map(|index| {
            let part = qkv.clone().narrow(2, index * dim, dim);
            part.reshape([batch, num_tokens, self.num_heads, dim / self.num_heads])
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use morphospace_core::Seed;
    use rand::RngExt;

    use super::*;

    #[test]
    fn training_and_evaluation_agree() {
        let device = Device::default();
        let random = |num_tokens: usize, seed: u64| {
            let mut rng = Seed::new(seed).rng();
            let shape = [2, num_tokens, 3, 8];
            let len = shape.iter().product();
            let values: Vec<f32> = (0..len).map(|_| 2.0 * rng.random::<f32>() - 1.0).collect();
            Tensor::<4>::from_data(TensorData::new(values, shape), &device)
        };
        // Sizes around those where kernels change their tiling, and more queries
        // than are worked on at a time.
        for (num_queries, num_keys) in [(33, 1), (33, 7), (33, 65), (33, 300), (300, 9)] {
            let inputs = [
                random(num_queries, 1),
                random(num_keys, 2),
                random(num_keys, 3),
            ];
            let [q, k, v] = inputs.clone();
            let evaluation = scaled_dot_product_attention(q, k, v);
            // Its own operation, and Burn's.
            let [ours, burns] = [
                Device::default().autodiff(),
                Device::default().autodiff().gradient_checkpointing(),
            ]
            .map(|device| {
                let inputs = inputs.clone().map(|x| {
                    let x = Tensor::from_data(x.into_data(), &device);
                    x.require_grad()
                });
                let [q, k, v] = inputs.clone();
                let output = scaled_dot_product_attention(q, k, v);
                let gradients = output.clone().powi_scalar(3).sum().backward();
                (output.inner(), inputs.map(|x| x.grad(&gradients).unwrap()))
            });
            let close = |a: Tensor<1>, b: Tensor<1>, what: &str| {
                let difference = (a - b).abs().max().into_scalar::<f32>();
                assert!(
                    difference < 1e-5,
                    "{what} of {num_queries} queries and {num_keys} keys: {difference:e}"
                );
            };
            close(
                ours.0.clone().flatten(0, 2),
                evaluation.flatten(0, 2),
                "evaluation",
            );
            close(ours.0.flatten(0, 2), burns.0.flatten(0, 2), "training");
            for ((ours, burns), name) in ours.1.into_iter().zip(burns.1).zip(["q", "k", "v"]) {
                close(ours.flatten(0, 3), burns.flatten(0, 3), name);
            }
        }
    }
}
