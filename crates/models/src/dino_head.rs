//! The projection head of DINO.
//!
//! Caron et al. 2021 (<https://arxiv.org/abs/2104.14294>); reference code
//! facebookresearch/dino `vision_transformer.DINOHead`, of which AIBIO's and
//! cross-domain learning's heads differ in their sizes. Differences from it:
//! none.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use crate::blocks::batch_norm::BatchNorm;
use crate::blocks::gelu::{Gelu, gelu};
use crate::blocks::l2_normalise::l2_normalise;
use crate::blocks::linear::{Bias, Linear};
use crate::blocks::norm_pass::NormPass;
use crate::blocks::weight_norm::WeightNormLinear;
use crate::error::ModelError;
use crate::initializer::Initializer;

/// Sizes of a [`DinoHead`]. The default is Facebook's for ViT-S.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DinoHeadConfig {
    /// Features of the backbone.
    pub in_dim: usize,
    /// Prototypes, `K`: 65,536 in DINO; 2,048 and 4,096 in Lugli et al. 2025.
    pub out_dim: usize,
    /// Batch normalisation behind every hidden map.
    pub use_bn: bool,
    /// Whether prototypes keep length one.
    pub norm_last_layer: bool,
    /// Linear maps before the prototypes, at least 1.
    pub nlayers: usize,
    /// Features between them.
    pub hidden_dim: usize,
    /// Features before the prototypes.
    pub bottleneck_dim: usize,
}

impl Default for DinoHeadConfig {
    fn default() -> Self {
        Self {
            in_dim: 384,
            out_dim: 65_536,
            use_bn: false,
            norm_last_layer: true,
            nlayers: 3,
            hidden_dim: 2048,
            bottleneck_dim: 256,
        }
    }
}

impl DinoHeadConfig {
    /// Whether the numbers can be.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), ModelError> {
        let counts = [
            ("in_dim", self.in_dim, 1 << 20),
            ("out_dim", self.out_dim, 1 << 24),
            ("nlayers", self.nlayers, 64),
            ("hidden_dim", self.hidden_dim, 1 << 20),
            ("bottleneck_dim", self.bottleneck_dim, 1 << 20),
        ];
        for (name, value, most) in counts {
            if value == 0 || value > most {
                return Err(ModelError::InvalidConfig {
                    network: "dino_head",
                    message: format!("{name} {value} is not in 1..={most}"),
                });
            }
        }
        Ok(())
    }

    /// A head with weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`DinoHeadConfig::check`].
    pub fn init(&self, device: &Device, seed: Seed) -> Result<DinoHead, ModelError> {
        self.check()?;
        let linear = |index: usize, shape| {
            let normal = Initializer::Normal { std: 0.02 };
            let seed = seed.split("mlp").split_index(index as u64);
            Linear::init(shape, Bias::Zeros, normal, seed, device)
        };
        let mlp = if self.nlayers == 1 {
            DinoMlp::Single(linear(0, [self.in_dim, self.bottleneck_dim]))
        } else {
            let mut layers = Vec::new();
            for index in 0..self.nlayers {
                let d_in = match index {
                    0 => self.in_dim,
                    _ => self.hidden_dim,
                };
                if index + 1 == self.nlayers {
                    let shape = [d_in, self.bottleneck_dim];
                    layers.push(DinoLayer::Linear(linear(index, shape)));
                    break;
                }
                layers.push(DinoLayer::Linear(linear(index, [d_in, self.hidden_dim])));
                if self.use_bn {
                    layers.push(DinoLayer::Norm(BatchNorm::init(self.hidden_dim, device)));
                }
                layers.push(DinoLayer::Gelu(Gelu));
            }
            DinoMlp::Sequence(layers)
        };
        let fan_in = self.bottleneck_dim;
        Ok(DinoHead {
            mlp,
            last_layer: WeightNormLinear::init(
                [self.bottleneck_dim, self.out_dim],
                !self.norm_last_layer,
                Initializer::Uniform { fan_in },
                seed.split("last_layer"),
                device,
            ),
        })
    }
}

/// Linear maps with GELU between, rows of length one, prototypes; field names
/// are checkpoint keys.
#[derive(Module, Debug)]
pub struct DinoHead {
    /// The maps.
    pub mlp: DinoMlp,
    /// Prototypes.
    pub last_layer: WeightNormLinear,
}

/// The maps before the prototypes.
#[derive(Module, Debug)]
pub enum DinoMlp {
    /// With one layer.
    Single(Linear),
    /// With several, and what is between them.
    Sequence(Vec<DinoLayer>),
}

/// A step of a [`DinoMlp`].
#[derive(Module, Debug)]
pub enum DinoLayer {
    /// A linear map.
    Linear(Linear),
    /// Behind it, with `use_bn`.
    Norm(BatchNorm),
    /// Before the next.
    Gelu(Gelu),
}

impl DinoHead {
    /// What is compared with the prototypes.
    ///
    /// # Shapes
    /// `[B, in_dim]` to `[B, bottleneck_dim]`, rows of length one
    pub fn bottleneck(&self, features: Tensor<2>, pass: &mut NormPass) -> Tensor<2> {
        let x = match &self.mlp {
            DinoMlp::Single(linear) => linear.forward(features),
            DinoMlp::Sequence(layers) => layers.iter().fold(features, |x, layer| match layer {
                DinoLayer::Linear(linear) => linear.forward(x),
                DinoLayer::Norm(norm) => norm.forward(x, pass),
                DinoLayer::Gelu(_) => gelu(x),
            }),
        };
        l2_normalise(x, 1e-12)
    }

    /// # Shapes
    /// `[B, in_dim]` to `[B, out_dim]`
    pub fn forward(&self, features: Tensor<2>, pass: &mut NormPass) -> Tensor<2> {
        self.last_layer.forward(self.bottleneck(features, pass))
    }
}
