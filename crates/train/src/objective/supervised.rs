//! Weak supervision: tell perturbations apart, while a second head tells
//! experiments from the same embedding.
//!
//! Sypetkowski et al. 2023 (<https://arxiv.org/abs/2301.05768>): the second
//! head's gradient ends before the embedding, or is turned round there
//! ([`BatchHead`](morphospace_models::BatchHead)); with AdaBN every batch is of
//! one experiment ([`SamplerChoice::SingleDomain`](morphospace_screen::sampler::SamplerChoice)),
//! whose statistics normalise it, in training and after. Kraus et al. 2023
//! train with ghost batches of one plate each.
//!
//! Unknown in the papers, and so ours: both losses count alike; where boxes of
//! images are mixed, the labels of experiments are mixed like those of
//! perturbations.

use burn::module::Module;
use burn::tensor::Tensor;
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::{Encoder, MapNetwork, NetworkConfig, SupervisedNetwork};
use serde::{Deserialize, Serialize};

use super::{Loss, Objective, accuracy};
use crate::losses::{CrossEntropyConfig, cross_entropy};
use crate::{ImageBatch, Mixture, Moment, TrainError};

/// Options of [`Supervised`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisedConfig {
    /// Whether validation takes the statistics of batch normalisation from its
    /// own batches, as AdaBN does, and not running averages. Batches must be
    /// of one domain then.
    pub adabn: bool,
    /// Weight of the loss of experiments.
    pub batch_weight: f64,
    /// Whether the reversed gradient grows over the run from nothing to its
    /// `lambda` as `2 / (1 + exp(-10 p)) - 1` (Ganin & Lempitsky 2015), `p`
    /// being the share of the run; constant otherwise.
    pub ramp_reversal: bool,
    /// The loss of perturbations.
    pub cross_entropy: CrossEntropyConfig,
}

impl Default for SupervisedConfig {
    fn default() -> Self {
        Self {
            adabn: false,
            batch_weight: 1.0,
            ramp_reversal: false,
            cross_entropy: CrossEntropyConfig::default(),
        }
    }
}

impl SupervisedConfig {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        self.cross_entropy.check()?;
        if !(self.batch_weight >= 0.0 && self.batch_weight.is_finite()) {
            return Err(TrainError::InvalidConfig(format!(
                "objective.batch_weight {} is not a number from 0 up",
                self.batch_weight
            )));
        }
        Ok(())
    }

    /// Share of the reversed gradient at a moment.
    fn reversal_share(&self, moment: &Moment) -> f64 {
        match self.ramp_reversal {
            true => {
                let progress = moment.step as f64 / moment.num_steps as f64;
                2.0 / (1.0 + (-10.0 * progress).exp()) - 1.0
            }
            false => 1.0,
        }
    }
}

/// A network with heads of perturbations and experiments.
#[derive(Module, Debug)]
pub struct Supervised {
    /// The network.
    pub network: SupervisedNetwork,
    #[module(skip)]
    config: SupervisedConfig,
}

impl Supervised {
    /// Trains a network whose heads have as many outputs as there are classes
    /// and domains.
    pub fn new(network: SupervisedNetwork, config: SupervisedConfig) -> Self {
        Self { network, config }
    }

    /// Where batch normalisation takes its statistics from.
    fn norm_pass(&self, batch: &ImageBatch, moment: &Moment) -> NormPass {
        match (
            moment.is_training || self.config.adabn,
            batch.ghost_batch_size,
        ) {
            (false, _) => NormPass::running(),
            (true, Some(size)) if size < batch.len() => NormPass::ghost_batches(size),
            (true, _) => NormPass::batch(),
        }
    }
}

impl Objective for Supervised {
    fn network(&self) -> (NetworkConfig, &'static str) {
        let config = self.network.config().clone();
        (NetworkConfig::Supervised(config), "network.")
    }

    fn encoder(&self) -> Box<dyn Encoder> {
        Box::new(self.network.valid())
    }

    fn loss(&mut self, batch: &ImageBatch, moment: &Moment) -> Loss {
        let mut pass = self.norm_pass(batch, moment);
        let images = batch.views[0].clone();
        let embedding = self.network.forward_embedding(images, &mut pass);
        let head = &self.network.head;
        let scores = head.classify(embedding.clone());
        let mixture = batch.mixture.as_ref();
        let mut parts = vec![("accuracy", accuracy(&scores, &batch.classes))];
        let perturbation =
            mixed_cross_entropy(&self.config.cross_entropy, scores, &batch.classes, mixture);
        let mut total = perturbation.clone();
        parts.push(("perturbation", perturbation));
        // Experiments that are not trained on have no number.
        if batch.domains.len() == batch.len() {
            let share = self.config.reversal_share(moment);
            let scores = head.classify_batches(embedding.clone(), share);
            parts.push(("batch_accuracy", accuracy(&scores, &batch.domains)));
            let config = CrossEntropyConfig::default();
            let batches = mixed_cross_entropy(&config, scores, &batch.domains, mixture);
            total = total + batches.clone() * self.config.batch_weight;
            parts.push(("batch", batches));
        }
        if moment.is_training {
            self.network = pass.update_running(self.network.clone());
        }
        Loss {
            total,
            parts,
            embedding: Some(embedding),
        }
    }
}

/// The cross entropy of labels that are mixed as their images are.
pub(super) fn mixed_cross_entropy(
    config: &CrossEntropyConfig,
    scores: Tensor<2>,
    labels: &[usize],
    mixture: Option<&Mixture>,
) -> Tensor<1> {
    let own = cross_entropy(config, scores.clone(), labels);
    let Some(Mixture {
        partners,
        own_share,
    }) = mixture
    else {
        return own;
    };
    let labels: Vec<usize> = partners.iter().map(|partner| labels[*partner]).collect();
    let others = cross_entropy(config, scores, &labels);
    own * *own_share + others * (1.0 - own_share)
}
