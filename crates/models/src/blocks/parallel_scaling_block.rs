//! Attention and perceptron side by side.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, assert_shape};
use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use super::attention::scaled_dot_product_attention;
use super::drop_path::drop_path;
use super::gelu::gelu;
use super::layer_norm::LayerNorm;
use super::layer_scale::LayerScale;
use super::linear::{Bias, Linear};
use crate::Initializer;
use crate::kernels::linear::LinearMap;
use crate::kernels::mlp::mlp;
use crate::kernels::self_attention::SelfAttention;
use crate::kernels::training;

/// Which features of `in_proj` receive `mlp_bias`.
///
/// The output of `in_proj` is split as `[mlp_hidden | q | k | v]`. timm before
/// 1.0.25 (issue 2653) added `concat(zeros(3 D), mlp_bias)` to it, so that the
/// bias starts `3 D` features too late and its tail lands on q, k and v.
/// Weights trained that way, OpenPhenom among them, need it that way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BiasLayout {
    /// `mlp_bias` on the perceptron's features; q, k, v without bias.
    #[default]
    Aligned,
    /// `mlp_bias` on the last features, as timm 0.9.7 has it.
    Timm097,
}

/// `x + gamma * (attention(y) + perceptron(y))` with `y = in_norm(x)`, both
/// fed by one linear map (timm `ParallelScalingBlock`; Dehghani et al. 2023,
/// <https://arxiv.org/abs/2302.05442>).
#[derive(Module, Debug)]
pub struct ParallelScalingBlock {
    /// Over the features of a token.
    pub in_norm: LayerNorm,
    /// `[D, mlp_hidden + 3 D]`, without bias of its own.
    pub in_proj: Linear,
    /// `[mlp_hidden]`, laid out by [`BiasLayout`].
    pub mlp_bias: Param<Tensor<1>>,
    /// Over the features of a head.
    pub q_norm: LayerNorm,
    /// Over the features of a head.
    pub k_norm: LayerNorm,
    /// `[D, D]`.
    pub attn_out_proj: Linear,
    /// `[mlp_hidden, D]`.
    pub mlp_out_proj: Linear,
    /// On the sum of both branches.
    pub ls: LayerScale,
    num_heads: usize,
    drop_path_rate: f64,
    #[module(skip)]
    bias_layout: BiasLayout,
}

/// Sizes of a [`ParallelScalingBlock`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParallelScalingBlockConfig {
    /// Features of a token.
    pub dim: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Hidden features of the perceptron.
    pub mlp_hidden: usize,
    /// Eps of all norms.
    pub norm_eps: f64,
    /// Start of `gamma`.
    pub init_values: f64,
    /// Probability to drop the block in training.
    pub drop_path_rate: f64,
    /// Where `mlp_bias` goes.
    pub bias_layout: BiasLayout,
    /// Start of the linear maps.
    pub initializer: Initializer,
}

impl ParallelScalingBlockConfig {
    /// A block that starts from `seed`.
    pub fn init(&self, seed: Seed, device: &Device) -> ParallelScalingBlock {
        let Self {
            dim,
            num_heads,
            mlp_hidden,
            norm_eps,
            initializer,
            ..
        } = *self;
        let linear =
            |shape, bias, name| Linear::init(shape, bias, initializer, seed.split(name), device);
        let head_norm = || LayerNorm::init(dim / num_heads, norm_eps, device);
        ParallelScalingBlock {
            in_norm: LayerNorm::init(dim, norm_eps, device),
            in_proj: linear([dim, mlp_hidden + 3 * dim], Bias::None, "in_proj"),
            mlp_bias: Initializer::ZEROS.parameter([mlp_hidden], seed, device),
            q_norm: head_norm(),
            k_norm: head_norm(),
            attn_out_proj: linear([dim, dim], Bias::Zeros, "attn_out_proj"),
            mlp_out_proj: linear([mlp_hidden, dim], Bias::Zeros, "mlp_out_proj"),
            ls: LayerScale::init(dim, self.init_values, device),
            num_heads,
            drop_path_rate: self.drop_path_rate,
            bias_layout: self.bias_layout,
        }
    }
}

impl ParallelScalingBlock {
    /// # Shapes
    /// `[B, N, D]`, kept; `drop_path_seed` is `None` in evaluation
    pub fn forward(&self, x: Tensor<3>, drop_path_seed: Option<Seed>) -> Tensor<3> {
        let y = self.in_norm.forward(x.clone());
        let fused = self.evaluated_branch(&y);
        let fused = fused.or_else(|| self.trained_branch(&y));
        let branch = fused.unwrap_or_else(|| self.branch(y));
        let branch = drop_path(branch, self.drop_path_rate, drop_path_seed);
        self.ls.add_scaled(x, branch)
    }

    /// Attention and perceptron of normalised tokens.
    ///
    /// # Shapes
    /// `[B, N, D]`, kept
    fn branch(&self, y: Tensor<3>) -> Tensor<3> {
        let [batch, num_tokens, dim] = y.dims();
        let [mlp_hidden] = self.mlp_bias.dims();
        let y = self.in_proj.forward_with_bias(y, self.in_proj_bias(dim));
        assert_shape!(y, [batch, num_tokens, mlp_hidden + 3 * dim]);
        let head = |index: usize| {
            let part = y.clone().narrow(2, mlp_hidden + index * dim, dim);
            part.reshape([batch, num_tokens, self.num_heads, dim / self.num_heads])
        };
        let q = self.q_norm.forward(head(0));
        let k = self.k_norm.forward(head(1));
        let attention = scaled_dot_product_attention(q, k, head(2));
        let attention = self.attn_out_proj.forward(attention);
        let perceptron = gelu(y.narrow(2, 0, mlp_hidden));
        attention + self.mlp_out_proj.forward(perceptron)
    }

    /// [`ParallelScalingBlock::branch`] outside of Burn, where it applies.
    fn evaluated_branch(&self, y: &Tensor<3>) -> Option<Tensor<3>> {
        let head_norms = [self.q_norm.host_norm()?, self.k_norm.host_norm()?];
        let dim = y.dims()[2];
        let [mlp_hidden] = self.mlp_bias.dims();
        let (weight, bias) = (self.in_proj.weight.val(), self.in_proj_bias(dim));
        let part = |start: usize, len: usize| {
            let bias = bias.clone().narrow(0, start, len);
            LinearMap::of(&weight.clone().narrow(1, start, len), Some(&bias))
        };
        let attention = SelfAttention {
            qkv: part(mlp_hidden, 3 * dim)?,
            head_norms: Some(head_norms),
            proj: self.attn_out_proj.host_map()?,
            num_heads: self.num_heads,
        };
        let attention = attention.forward(y)?;
        let perceptron = mlp(y, &part(0, mlp_hidden)?, &self.mlp_out_proj.host_map()?)?;
        Some(attention + perceptron)
    }

    /// [`ParallelScalingBlock::branch`] in training on the CPU, where it applies:
    /// perceptron and attention have products of their own, so that no array
    /// of the features of both is cut and its gradient sewn together.
    fn trained_branch(&self, y: &Tensor<3>) -> Option<Tensor<3>> {
        let dim = y.dims()[2];
        let [mlp_hidden] = self.mlp_bias.dims();
        let (weight, bias) = (self.in_proj.weight.val(), self.in_proj_bias(dim));
        let part = |start: usize, len: usize| {
            let bias = bias.clone().narrow(0, start, len);
            training::linear(y, &weight.clone().narrow(1, start, len), Some(&bias))
        };
        let mut packed = part(mlp_hidden, 3 * dim)?;
        for (index, norm) in [&self.q_norm, &self.k_norm].into_iter().enumerate() {
            packed = norm.forward_features(&packed, index * dim..(index + 1) * dim)?;
        }
        let attention = training::self_attention(&packed, self.num_heads)?;
        let attention = self.attn_out_proj.forward(attention);
        let perceptron = gelu(part(0, mlp_hidden)?);
        Some(attention + self.mlp_out_proj.forward(perceptron))
    }

    /// The bias of all features of `in_proj`, `[mlp_hidden + 3 D]`.
    fn in_proj_bias(&self, dim: usize) -> Tensor<1> {
        let mlp_bias = self.mlp_bias.val();
        let zeros = Tensor::zeros([3 * dim], &mlp_bias.device());
        match self.bias_layout {
            BiasLayout::Aligned => Tensor::cat(vec![mlp_bias, zeros], 0),
            BiasLayout::Timm097 => Tensor::cat(vec![zeros, mlp_bias], 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bias_of_timm_0_9_7_starts_three_dims_late() {
        // D = 4, hidden 16, bias 1..16 as worked by hand: the perceptron gets
        // [0 x 12, 1..4], q 5..8, k 9..12, v 13..16.
        let device = Device::default();
        let config = ParallelScalingBlockConfig {
            dim: 4,
            num_heads: 2,
            mlp_hidden: 16,
            norm_eps: 1e-6,
            init_values: 1.0,
            drop_path_rate: 0.0,
            bias_layout: BiasLayout::Timm097,
            initializer: Initializer::ZEROS,
        };
        let mut block = config.init(Seed::new(0), &device);
        let bias: Vec<f32> = (1..=16).map(|value| value as f32).collect();
        block.mlp_bias = Param::from_data(bias.as_slice(), &device);
        let laid_out: Vec<f32> = block
            .in_proj_bias(4)
            .into_data()
            .try_to_vec()
            .expect("floats");
        assert_eq!(laid_out, [vec![0.0; 12], bias].concat());
    }
}
