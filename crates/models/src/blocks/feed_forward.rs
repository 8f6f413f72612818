//! The perceptron of a transformer block.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use super::mlp::Mlp;
use super::swiglu::SwiGlu;
use crate::Initializer;

/// Which perceptron a block has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedForwardKind {
    /// [`Mlp`].
    #[default]
    Mlp,
    /// [`SwiGlu`] of [`SwiGlu::fused_hidden`] features.
    SwiGlu,
}

/// A block's perceptron, one or the other.
#[derive(Module, Debug)]
pub enum FeedForward {
    /// With GELU.
    Mlp(Mlp),
    /// With a gate.
    SwiGlu(SwiGlu),
}

impl FeedForward {
    /// From `dim` features over `hidden` (of a plain perceptron) back to
    /// `dim`.
    pub fn init(
        kind: FeedForwardKind,
        dim: usize,
        hidden: usize,
        initializer: Initializer,
        seed: Seed,
        device: &Device,
    ) -> Self {
        match kind {
            FeedForwardKind::Mlp => Self::Mlp(Mlp::init(dim, hidden, initializer, seed, device)),
            FeedForwardKind::SwiGlu => {
                let hidden = SwiGlu::fused_hidden(hidden);
                Self::SwiGlu(SwiGlu::init(dim, hidden, initializer, seed, device))
            }
        }
    }

    /// # Shapes
    /// `[.., D]`, kept
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Mlp(mlp) => mlp.forward(x),
            Self::SwiGlu(swiglu) => swiglu.forward(x),
        }
    }
}
