//! A linear head on any backbone: as a probe of a frozen one, or to tune all
//! of it.
//!
//! Lugli et al. 2025 judge self-supervised networks by such heads, trained on a
//! frozen student (AIBIO_proj `train.py`, `f0.yaml`).

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use morphospace_models::blocks::linear::{Bias, Linear};
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::{Encoder, Initializer, Network, NetworkConfig, Pooling};
use serde::{Deserialize, Serialize};

use super::supervised::mixed_cross_entropy;
use super::{Loss, Objective, accuracy};
use crate::losses::CrossEntropyConfig;
use crate::{ImageBatch, Moment};

/// Options of [`Classifier`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifierConfig {
    /// Whether only the head learns. The backbone then embeds as in
    /// evaluation: nothing is dropped.
    pub frozen: bool,
    /// What the head sees of the backbone's tokens.
    pub pooling: Pooling,
    /// The loss.
    pub cross_entropy: CrossEntropyConfig,
}

impl Default for ClassifierConfig {
    fn default() -> Self {
        Self {
            frozen: true,
            pooling: Pooling::Cls,
            cross_entropy: CrossEntropyConfig::default(),
        }
    }
}

/// A backbone and a linear head.
#[derive(Module, Debug)]
pub struct Classifier {
    /// Images to features.
    pub backbone: Network,
    /// Features to scores.
    pub head: Linear,
    #[module(skip)]
    config: ClassifierConfig,
}

impl Classifier {
    /// A head for so many classes, drawn from `seed`.
    pub fn new(
        backbone: Network,
        num_classes: usize,
        config: ClassifierConfig,
        device: &Device,
        seed: Seed,
    ) -> Self {
        let num_features = num_features(&backbone, config.pooling);
        let uniform = Initializer::Uniform {
            fan_in: num_features,
        };
        let shape = [num_features, num_classes];
        Self {
            backbone,
            head: Linear::init(shape, Bias::Zeros, uniform, seed, device),
            config,
        }
    }

    /// Scores of the classes, in evaluation.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `[B, num_classes]`
    pub fn classify(&self, images: Tensor<4>) -> Tensor<2> {
        let pooling = self.config.pooling;
        let pass = &mut NormPass::running();
        self.head
            .forward(self.backbone.forward_embedding(images, pooling, pass, None))
    }
}

/// Features of a backbone's embedding.
pub(super) fn num_features(backbone: &Network, pooling: Pooling) -> usize {
    let config = backbone.config();
    let (in_chans, _) = config.training_channels();
    let encoder = backbone.clone().into_encoder();
    encoder.num_pooled_features(in_chans, pooling)
}

impl Objective for Classifier {
    fn network(&self) -> (NetworkConfig, &'static str) {
        (self.backbone.config(), "backbone.")
    }

    fn encoder(&self) -> Box<dyn Encoder> {
        self.backbone.valid().into_encoder()
    }

    fn loss(&mut self, batch: &ImageBatch, moment: &Moment) -> Loss {
        let images = batch.views[0].clone();
        let pooling = self.config.pooling;
        let embedding = match self.config.frozen && moment.is_training {
            true => {
                let pass = &mut NormPass::running();
                let backbone = self.backbone.valid();
                let embedding = backbone.forward_embedding(images.inner(), pooling, pass, None);
                Tensor::from_inner(embedding)
            }
            false => {
                let mut pass = match moment.is_training {
                    true => NormPass::batch(),
                    false => NormPass::running(),
                };
                let seed = moment.drop_path_seed();
                let embedding = self
                    .backbone
                    .forward_embedding(images, pooling, &mut pass, seed);
                if moment.is_training {
                    self.backbone = pass.update_running(self.backbone.clone());
                }
                embedding
            }
        };
        let scores = self.head.forward(embedding);
        let parts = vec![("accuracy", accuracy(&scores, &batch.classes))];
        let config = &self.config.cross_entropy;
        let total = mixed_cross_entropy(config, scores, &batch.classes, batch.mixture.as_ref());
        Loss {
            total,
            parts,
            embedding: None,
        }
    }

    fn pooling(&self) -> Pooling {
        self.config.pooling
    }

    fn moves(&self, parameter: &str, _moment: &Moment) -> bool {
        !self.config.frozen || parameter.starts_with("head.")
    }
}
