use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use morphospace_core::{Seed, sha256_hex};
use morphospace_models::{NetworkConfig, Precision};
use morphospace_screen::NormalisationChoice;
use morphospace_screen::sampler::SamplerChoice;
use morphospace_views::{CutMixConfig, ViewsConfig};
use serde::{Deserialize, Serialize};

use crate::{
    Clip, EvaluationConfig, LabelsConfig, ObjectiveConfig, OptimiserConfig, Schedule, Span,
    TrainError,
};

/// A training run, as written in TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Seed of everything random in the run.
    pub seed: u64,
    /// How long it lasts, e.g. `"100 epochs"`.
    pub length: Span,
    /// Images of one forward pass.
    pub batch_size: usize,
    /// Batches whose gradients are averaged for one step of the optimiser.
    #[serde(default = "one")]
    pub accumulation: usize,
    /// Minutes between checkpoints.
    #[serde(default = "default_checkpoint_minutes")]
    pub checkpoint_minutes: f64,
    /// Checkpoints that are kept, beside the best.
    #[serde(default = "default_keep_last")]
    pub keep_last: usize,
    /// How crops are brought to the network's scale: by their own pixels
    /// (`"instance_norm"`), or by a table of `morphospace normalise`. A
    /// relative path starts at the current folder.
    #[serde(default)]
    pub normalisation: NormalisationChoice,
    /// Which sites make up a batch: `kind = "uniform"`, if nothing else is
    /// said; `"single_domain"`, `"class_balanced"`, or pairs,
    /// `"cross_domain"`.
    #[serde(default)]
    pub sampler: SamplerChoice,
    /// What of a site the network is shown; the objective's own, if nothing is
    /// said.
    #[serde(default)]
    pub views: Option<ViewsConfig>,
    /// Whether boxes of other images are put into an image, for objectives
    /// with classes.
    #[serde(default)]
    pub cutmix: Option<CutMixConfig>,
    /// What is told apart.
    #[serde(default)]
    pub labels: LabelsConfig,
    /// Whether what is cheap to compute again is not kept for the backward
    /// pass: less memory, more time, the same gradients but for rounding. For
    /// accelerators: on the CPU, fused passes go without.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// Format of matrix products and convolutions: `"f32"`, `"bf16"` or
    /// `"f16"`, the last with a [`LossScale`](crate::LossScale).
    #[serde(default)]
    pub precision: Precision,
    /// The network: an autoencoder, one with heads, or a backbone.
    pub network: NetworkConfig,
    /// What the network begins with, if not with weights drawn from the seed.
    #[serde(default)]
    pub init: Option<InitConfig>,
    /// What it is trained for.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// How weights move.
    pub optimiser: OptimiserConfig,
    /// Learning rate over the run.
    #[serde(default)]
    pub schedule: Schedule,
    /// What becomes of gradients that are too long.
    #[serde(default)]
    pub clip: Option<Clip>,
    /// What is looked at on the way, and when the run stops early.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
}

/// Weights that a network begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitConfig {
    /// A checkpoint folder, such as `import` writes, or a run folder of
    /// `train`. A relative path starts at the current folder.
    pub checkpoint: PathBuf,
    /// Parameters that are drawn from the seed all the same, by the beginnings
    /// of their names: a first convolution of other channels.
    #[serde(default)]
    pub leave_out: Vec<String>,
}

fn one() -> usize {
    1
}

fn default_checkpoint_minutes() -> f64 {
    10.0
}

fn default_keep_last() -> usize {
    2
}

/// A [`TrainConfig`] that has passed [`TrainConfig::check`].
#[derive(Clone, Debug)]
pub struct CheckedTrainConfig(TrainConfig);

impl TrainConfig {
    /// Checks every number before any work is done.
    ///
    /// # Errors
    /// [`TrainError::InvalidConfig`] names the setting and the range;
    /// [`TrainError::Model`] for the network's own.
    pub fn check(mut self) -> Result<CheckedTrainConfig, TrainError> {
        let invalid = |message: String| Err(TrainError::InvalidConfig(message));
        if matches!(self.length, Span::Steps(0)) || self.length == Span::Epochs(0.0) {
            return invalid(format!(
                "length is \"{}\": give at least \"1 steps\"",
                self.length
            ));
        }
        let counts = [
            ("batch_size", self.batch_size),
            ("accumulation", self.accumulation),
            ("keep_last", self.keep_last),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return invalid(format!("{name} is 0: give at least 1"));
        }
        if self.checkpoint_minutes.is_nan() || self.checkpoint_minutes < 0.0 {
            return invalid(format!(
                "checkpoint_minutes {} is not a number from 0 up",
                self.checkpoint_minutes
            ));
        }
        self.optimiser.check()?;
        if let Some(problem) = self.clip.and_then(Clip::problem) {
            return invalid(problem);
        }
        self.evaluation.check()?;
        if let NetworkConfig::Supervised(supervised) = &mut self.network {
            // It follows from the backbone.
            supervised.head.in_dim = supervised.backbone.num_features();
        }
        self.network.check()?;
        self.objective = self.objective.resolve(&self.network)?;
        self.views = Some(match self.views.take() {
            Some(views) => views,
            None => self.objective.usual_views(self.network.img_size()),
        });
        let views = self.views.clone().expect("was just set").check();
        let views = views.map_err(|error| TrainError::InvalidConfig(error.to_string()))?;
        let cutmix = self.cutmix.map_or(Ok(()), |cutmix| cutmix.check());
        cutmix.map_err(|error| TrainError::InvalidConfig(error.to_string()))?;
        self.objective.check(&self, &views)?;
        match self.sampler {
            SamplerChoice::SingleDomain {
                ghost_batch_size: 0,
                ..
            } => return invalid("sampler.ghost_batch_size is 0: give at least 1".to_owned()),
            SamplerChoice::SingleDomain {
                ghost_batch_size, ..
            } if !self.batch_size.is_multiple_of(ghost_batch_size) => {
                return invalid(format!(
                    "batch_size {} is no multiple of sampler.ghost_batch_size {ghost_batch_size}",
                    self.batch_size
                ));
            }
            _ => {}
        }
        Ok(CheckedTrainConfig(self))
    }
}

impl CheckedTrainConfig {
    /// The settings.
    pub fn get(&self) -> &TrainConfig {
        &self.0
    }

    /// The seed of the run.
    pub fn seed(&self) -> Seed {
        Seed::new(self.0.seed).split("train")
    }

    /// The resolved configuration as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(&self.0).expect("plain settings serialise to TOML")
    }

    /// Where a resolved configuration says something else than this one, as
    /// `optimiser.learning_rate 0.001, now 0.002`.
    pub(crate) fn differences(&self, before: &str) -> Vec<String> {
        let flat = |text: &str| {
            let mut values = BTreeMap::new();
            if let Ok(table) = text.parse::<toml::Table>() {
                flatten("", &table, &mut values);
            }
            values
        };
        let (before, now) = (flat(before), flat(&self.to_toml()));
        let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let value = |values: &BTreeMap<String, String>, key: &String| {
            values.get(key).map_or("nothing", |value| value).to_owned()
        };
        keys.into_iter()
            .map(|key| (key, value(&before, key), value(&now, key)))
            .filter(|(key, before, now)| before != now && !HARMLESS.contains(&key.as_str()))
            .map(|(key, before, now)| format!("{key} {before}, now {now}"))
            .collect()
    }

    /// Digest of what decides the result, for recognising a run's own
    /// checkpoints: not how often they are written nor how many are kept, and
    /// of a table of statistics not where it lies but its
    /// [`content_hash`](morphospace_screen::Normalisation::content_hash).
    pub fn sha256(&self, statistics: Option<&str>) -> String {
        let mut decisive = TrainConfig {
            checkpoint_minutes: default_checkpoint_minutes(),
            keep_last: default_keep_last(),
            ..self.0.clone()
        };
        if statistics.is_some() {
            decisive.normalisation = NormalisationChoice::default();
        }
        sha256_hex(
            serde_json::to_string(&(decisive, statistics))
                .expect("plain settings serialise")
                .as_bytes(),
        )
    }
}

/// Settings that may change when a run goes on.
const HARMLESS: [&str; 2] = ["checkpoint_minutes", "keep_last"];

/// Values of a table and those within it by their dotted keys.
fn flatten(prefix: &str, table: &toml::Table, values: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            toml::Value::Table(table) => flatten(&format!("{key}."), table, values),
            value => {
                values.insert(key, value.to_string());
            }
        }
    }
}
