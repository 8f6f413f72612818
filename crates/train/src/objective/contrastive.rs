//! Two views of an image, told apart from those of all others.
//!
//! SimCLR (Chen et al. 2020, <https://arxiv.org/abs/2002.05709>) and Barlow
//! Twins (Zbontar et al. 2021, <https://arxiv.org/abs/2103.03230>), and what
//! Lugli et al. 2025 add to SimCLR against batch effects: contrastive batch
//! decorrelation, or an adversary that tells experiments from the embedding.
//! Network and adversary are moved in turn: first the adversary learns from
//! embeddings that stay, then the network learns to mislead it.
//!
//! Unknown there, and so ours: the adversary is a perceptron with 256 hidden
//! features on the backbone's embedding of both views; its loss is not bounded
//! ([`AdversaryConfig::bounded`]) and so can lead away from everything else.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use morphospace_models::blocks::linear::{Bias, Linear};
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::blocks::relu::relu;
use morphospace_models::{
    Encoder, Initializer, Network, NetworkConfig, Pooling, SimClrHead, SimClrHeadConfig,
};
use serde::{Deserialize, Serialize};

use super::classifier::num_features;
use super::{Loss, Objective, accuracy};
use crate::losses::{
    BarlowConfig, BatchDecorrelationConfig, CrossEntropyConfig, barlow_loss,
    batch_decorrelation_loss, cross_entropy, nt_xent_loss,
};
use crate::{ImageBatch, Moment, TrainError, multi_crop_features};

/// Options of [`Contrastive`]. The default is SimCLR.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContrastiveConfig {
    /// What makes the compared vectors of embeddings; its `in_dim` is set to
    /// the backbone's features.
    pub head: SimClrHeadConfig,
    /// What the head sees of the backbone's tokens.
    pub pooling: Pooling,
    /// What is compared, and how.
    pub comparison: Comparison,
    /// Pulls images of different experiments together, with a weight.
    pub batch_decorrelation: Option<WeightedBatchDecorrelation>,
    /// Tells experiments from embeddings, and is misled.
    pub adversary: Option<AdversaryConfig>,
}

/// How two views are compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Comparison {
    /// SimCLR's cross entropy of cosines.
    NtXent {
        /// What cosines are divided by; 0.15 in Lugli et al.'s code.
        temperature: f64,
    },
    /// Barlow Twins' cross-correlation of features.
    Barlow(BarlowConfig),
}

/// Contrastive batch decorrelation and its weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WeightedBatchDecorrelation {
    /// Times the loss; not in the paper.
    pub weight: f64,
    /// The loss.
    pub loss: BatchDecorrelationConfig,
}

impl Default for WeightedBatchDecorrelation {
    fn default() -> Self {
        Self {
            weight: 0.1,
            loss: BatchDecorrelationConfig::default(),
        }
    }
}

/// Who tells experiments.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdversaryConfig {
    /// Hidden features of its perceptron.
    pub hidden_dim: usize,
    /// What its loss weighs where the network misleads it.
    pub weight: f64,
    /// Its moves for each of the network's.
    pub moves_per_step: usize,
    /// Whether the network gains nothing by misleading it beyond the loss of
    /// one who knows nothing.
    pub bounded: bool,
}

impl Default for AdversaryConfig {
    fn default() -> Self {
        Self {
            hidden_dim: 256,
            weight: 1.0,
            moves_per_step: 1,
            bounded: false,
        }
    }
}

impl Default for ContrastiveConfig {
    fn default() -> Self {
        Self {
            head: SimClrHeadConfig::default(),
            pooling: Pooling::Cls,
            comparison: Comparison::NtXent { temperature: 0.15 },
            batch_decorrelation: None,
            adversary: None,
        }
    }
}

impl ContrastiveConfig {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let invalid = |message: String| Err(TrainError::InvalidConfig(message));
        let positive = |value: f64| value > 0.0 && value.is_finite();
        if let Comparison::NtXent { temperature } = self.comparison
            && !positive(temperature)
        {
            return invalid(format!(
                "objective.comparison.temperature {temperature} is not a positive number"
            ));
        }
        if let Some(added) = &self.batch_decorrelation {
            if !positive(added.weight) {
                return invalid(format!(
                    "objective.batch_decorrelation.weight {} is not a positive number",
                    added.weight
                ));
            }
            added.loss.check()?;
        }
        if let Some(adversary) = self.adversary
            && (adversary.hidden_dim == 0
                || adversary.moves_per_step == 0
                || !positive(adversary.weight))
        {
            return invalid(format!(
                "objective.adversary has hidden_dim {}, moves_per_step {} and weight {}: give \
                 positive numbers",
                adversary.hidden_dim, adversary.moves_per_step, adversary.weight
            ));
        }
        if let Comparison::Barlow(barlow) = &self.comparison {
            barlow.check()?;
        }
        self.head.check()?;
        Ok(())
    }
}

/// A backbone with a projection head and, perhaps, an adversary.
#[derive(Module, Debug)]
pub struct Contrastive {
    /// Images to embeddings.
    pub backbone: Network,
    /// Embeddings to what is compared.
    pub head: SimClrHead,
    /// Embeddings to experiments.
    pub adversary: Option<Adversary>,
    #[module(skip)]
    config: ContrastiveConfig,
}

/// A perceptron that tells experiments.
#[derive(Module, Debug)]
pub struct Adversary {
    /// The first map.
    pub fc1: Linear,
    /// The second.
    pub fc2: Linear,
}

impl Adversary {
    fn new(shape: [usize; 3], device: &Device, seed: Seed) -> Self {
        let linear = |from: usize, to: usize, name: &str| {
            let uniform = Initializer::Uniform { fan_in: from };
            Linear::init([from, to], Bias::Zeros, uniform, seed.split(name), device)
        };
        let [features, hidden, domains] = shape;
        Self {
            fc1: linear(features, hidden, "fc1"),
            fc2: linear(hidden, domains, "fc2"),
        }
    }

    /// # Shapes
    /// `[B, features]` to `[B, domains]`
    pub fn forward(&self, embedding: Tensor<2>) -> Tensor<2> {
        self.fc2.forward(relu(self.fc1.forward(embedding)))
    }
}

impl Contrastive {
    /// Heads for a backbone, drawn from `seed`.
    ///
    /// # Errors
    /// [`TrainError::Model`] for the head's sizes.
    pub fn new(
        backbone: Network,
        num_domains: usize,
        config: ContrastiveConfig,
        device: &Device,
        seed: Seed,
    ) -> Result<Self, TrainError> {
        let in_dim = num_features(&backbone, config.pooling);
        let head = SimClrHeadConfig {
            in_dim,
            ..config.head.clone()
        };
        let adversary = config.adversary.map(|adversary| {
            let shape = [in_dim, adversary.hidden_dim, num_domains];
            Adversary::new(shape, device, seed.split("adversary"))
        });
        Ok(Self {
            backbone,
            head: head.init(device, seed.split("head"))?,
            adversary,
            config,
        })
    }

    /// What an adversary learns from: embeddings that stay as they are. The
    /// network passes as it does in training, but for what is dropped.
    fn loss_of_adversary(&self, adversary: &Adversary, batch: &ImageBatch) -> Loss {
        let backbone = self.backbone.valid();
        let views: Vec<Tensor<4>> = batch
            .views
            .iter()
            .map(|view| view.clone().inner())
            .collect();
        let pass = &mut NormPass::batch();
        let embeddings = multi_crop_features(&views, |_, images| {
            backbone.forward_embedding(images, self.config.pooling, pass, None)
        });
        let domains = batch.domains.repeat(views.len());
        let scores = adversary.forward(Tensor::from_inner(embeddings));
        let parts = vec![("adversary_accuracy", accuracy(&scores, &domains))];
        let total = cross_entropy(&CrossEntropyConfig::default(), scores, &domains);
        Loss {
            total,
            parts,
            embedding: None,
        }
    }
}

impl Objective for Contrastive {
    fn network(&self) -> (NetworkConfig, &'static str) {
        (self.backbone.config(), "backbone.")
    }

    fn encoder(&self) -> Box<dyn Encoder> {
        self.backbone.valid().into_encoder()
    }

    fn num_phases(&self) -> usize {
        1 + self
            .config
            .adversary
            .map_or(0, |adversary| adversary.moves_per_step)
    }

    fn pooling(&self) -> Pooling {
        self.config.pooling
    }

    fn moves(&self, parameter: &str, moment: &Moment) -> bool {
        let is_adversarys = parameter.starts_with("adversary.");
        is_adversarys == (moment.phase + 1 < self.num_phases())
    }

    fn loss(&mut self, batch: &ImageBatch, moment: &Moment) -> Loss {
        if let Some(adversary) = &self.adversary
            && moment.phase + 1 < self.num_phases()
        {
            return self.loss_of_adversary(adversary, batch);
        }
        let mut pass = match moment.is_training {
            true => NormPass::batch(),
            false => NormPass::running(),
        };
        let seed = moment.drop_path_seed();
        let embeddings = multi_crop_features(&batch.views, |place, images| {
            let seed = seed.map(|seed| seed.split_index(place as u64));
            self.backbone
                .forward_embedding(images, self.config.pooling, &mut pass, seed)
        });
        let dropout = moment.is_training.then(|| moment.seed.split("dropout"));
        let projected = self.head.forward(embeddings.clone(), &mut pass, dropout);
        let num_images = batch.len();
        let view = |index: usize| projected.clone().narrow(0, index * num_images, num_images);
        let (name, mut total) = match self.config.comparison {
            Comparison::NtXent { temperature } => {
                ("nt_xent", nt_xent_loss(view(0), view(1), temperature))
            }
            Comparison::Barlow(barlow) => ("barlow", barlow_loss(&barlow, view(0), view(1))),
        };
        let mut parts = vec![(name, total.clone())];
        // Experiments that are not trained on have no number.
        let knows_domains = batch.domains.len() == num_images;
        let added = self.config.batch_decorrelation.as_ref();
        if let Some(added) = added.filter(|_| knows_domains) {
            let loss = batch_decorrelation_loss(&added.loss, view(0), view(1), &batch.domains);
            total = total + loss.clone() * added.weight;
            parts.push(("batch_decorrelation", loss));
        }
        if let (Some(adversary), Some(config), true) =
            (&self.adversary, self.config.adversary, knows_domains)
        {
            let domains = batch.domains.repeat(batch.views.len());
            let scores = adversary.forward(embeddings.clone());
            let num_domains = scores.dims()[1] as f64;
            let mut misled = cross_entropy(&CrossEntropyConfig::default(), scores, &domains);
            if config.bounded {
                misled = misled.clamp_max(num_domains.ln());
            }
            total = total - misled.clone() * config.weight;
            parts.push(("adversary", misled));
        }
        if moment.is_training {
            let (backbone, head) = (self.backbone.clone(), self.head.clone());
            (self.backbone, self.head) = pass.update_running((backbone, head));
        }
        Loss {
            total,
            parts,
            embedding: Some(embeddings.narrow(0, 0, num_images)),
        }
    }
}
