use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::EmbeddingSpread;

/// What is known of a step once it is done: a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepReport {
    /// The step, from 0.
    pub step: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// The loss; of several batches or phases their mean and sum.
    pub loss: f64,
    /// Its parts by name.
    pub parts: BTreeMap<String, f64>,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Length of all gradients together, before they are clipped.
    pub gradient_norm: f64,
    /// How far the embeddings of the last batch are spread, in steps that
    /// look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingSpread>,
    /// What losses were multiplied by, where half floats make that necessary.
    /// A step after which it is smaller has moved no weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Images of this step per second.
    pub images_per_second: f64,
    /// Share of the step's time that the training thread waited for images.
    pub data_wait_share: f64,
}

/// Scores on the way: a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationReport {
    /// Steps that were done.
    pub num_steps_done: u64,
    /// Scores by name, such as `validation/loss`.
    pub scores: BTreeMap<String, f64>,
}
