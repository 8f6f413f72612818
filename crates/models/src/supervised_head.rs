//! What weak supervision puts on a backbone: a neck that makes the embedding,
//! and heads that tell perturbation and experiment from it.
//!
//! Sypetkowski et al. 2023 (<https://arxiv.org/abs/2301.05768>), figure 5, with
//! an embedding of 1,024 features; Kraus et al. 2023
//! (<https://arxiv.org/abs/2309.16064>), appendix A.1.1, with 128. No code of it
//! is published. Unknown there, and so here: linear maps before a norm have no
//! bias, which the norm would take out; the first has as many outputs as the
//! embedding.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use crate::blocks::batch_norm::BatchNorm;
use crate::blocks::gradient_reversal::gradient_reversal;
use crate::blocks::linear::{Bias, Linear};
use crate::blocks::norm_pass::NormPass;
use crate::blocks::relu::relu;
use crate::error::ModelError;
use crate::initializer::Initializer;

/// What the head that tells experiments gives back to the embedding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BatchHead {
    /// Nothing: it only measures how well experiments are told.
    #[default]
    Detached,
    /// Its gradient times `-lambda`, so that the embedding unlearns
    /// experiments.
    GradientReversal {
        /// 1 where nothing else is said.
        lambda: f64,
    },
}

/// Sizes of a [`SupervisedHead`]. The default is that of Sypetkowski et al. on
/// DenseNet-161, for RxRx1's 1,139 classes and 33 training experiments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisedHeadConfig {
    /// Features of the backbone.
    pub in_dim: usize,
    /// Features of the embedding.
    pub embed_dim: usize,
    /// Perturbations.
    pub num_classes: usize,
    /// Experiments.
    pub num_batches: usize,
    /// What the experiments' head gives back.
    pub batch_head: BatchHead,
}

impl Default for SupervisedHeadConfig {
    fn default() -> Self {
        Self {
            in_dim: 2208,
            embed_dim: 1024,
            num_classes: 1139,
            num_batches: 33,
            batch_head: BatchHead::Detached,
        }
    }
}

impl SupervisedHeadConfig {
    /// Whether the numbers can be.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), ModelError> {
        let invalid = |message| {
            Err(ModelError::InvalidConfig {
                network: "supervised_head",
                message,
            })
        };
        let counts = [
            ("in_dim", self.in_dim),
            ("embed_dim", self.embed_dim),
            ("num_classes", self.num_classes),
            ("num_batches", self.num_batches),
        ];
        for (name, value) in counts {
            if value == 0 || value > 1 << 24 {
                return invalid(format!("{name} {value} is not in 1..={}", 1 << 24));
            }
        }
        match self.batch_head {
            BatchHead::GradientReversal { lambda } if !(lambda >= 0.0 && lambda.is_finite()) => {
                invalid(format!("lambda {lambda} is not a number from 0"))
            }
            _ => Ok(()),
        }
    }

    /// A neck and heads with weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`SupervisedHeadConfig::check`].
    pub fn init(&self, device: &Device, seed: Seed) -> Result<SupervisedHead, ModelError> {
        self.check()?;
        let linear = |shape: [usize; 2], bias, name: &str| {
            let uniform = Initializer::Uniform { fan_in: shape[0] };
            Linear::init(shape, bias, uniform, seed.split(name), device)
        };
        let dim = self.embed_dim;
        Ok(SupervisedHead {
            neck: Neck {
                fc1: linear([self.in_dim, dim], Bias::None, "fc1"),
                bn1: BatchNorm::init(dim, device),
                fc2: linear([dim, dim], Bias::None, "fc2"),
                bn2: BatchNorm::init(dim, device),
            },
            pert: linear([dim, self.num_classes], Bias::Zeros, "pert"),
            batch: linear([dim, self.num_batches], Bias::Zeros, "batch"),
            batch_head: self.batch_head,
        })
    }
}

/// The neck and both heads.
#[derive(Module, Debug)]
pub struct SupervisedHead {
    /// Backbone features to the embedding.
    pub neck: Neck,
    /// Embedding to perturbations.
    pub pert: Linear,
    /// Embedding to experiments.
    pub batch: Linear,
    #[module(skip)]
    batch_head: BatchHead,
}

/// Linear, norm, ReLU, twice.
#[derive(Module, Debug)]
pub struct Neck {
    /// Backbone features to the embedding's size.
    pub fc1: Linear,
    /// Behind it.
    pub bn1: BatchNorm,
    /// Again.
    pub fc2: Linear,
    /// Behind it.
    pub bn2: BatchNorm,
}

impl Neck {
    /// # Shapes
    /// `[B, in_dim]` to `[B, embed_dim]`, none below zero
    pub fn forward(&self, features: Tensor<2>, pass: &mut NormPass) -> Tensor<2> {
        let x = self.bn1.forward(self.fc1.forward(features), pass);
        let x = self.fc2.forward(relu(x));
        self.bn2.forward_relu(x, pass)
    }
}

impl SupervisedHead {
    /// Scores of the perturbations.
    ///
    /// # Shapes
    /// `[B, embed_dim]` to `[B, num_classes]`
    pub fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        self.pert.forward(embedding)
    }

    /// Scores of the experiments, with a gradient as [`BatchHead`] says;
    /// `share` of its `lambda`, which may grow over a run.
    ///
    /// # Shapes
    /// `[B, embed_dim]` to `[B, num_batches]`
    pub fn classify_batches(&self, embedding: Tensor<2>, share: f64) -> Tensor<2> {
        self.batch.forward(match self.batch_head {
            BatchHead::Detached => embedding.detach(),
            BatchHead::GradientReversal { lambda } => gradient_reversal(embedding, share * lambda),
        })
    }
}
