use std::collections::{BTreeMap, BTreeSet};

use morphospace_core::{Seed, sha256_hex};
use morphospace_models::NetworkConfig;
use morphospace_screen::NormalisationChoice;
use morphospace_screen::sampler::SamplerChoice;
use serde::{Deserialize, Serialize};

use crate::{OptimiserConfig, Schedule, TrainError};

/// A training run, as written in TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Seed of everything random in the run.
    pub seed: u64,
    /// Optimiser steps.
    pub num_steps: u64,
    /// Crops per step.
    pub batch_size: usize,
    /// Minutes between checkpoints.
    #[serde(default = "default_checkpoint_minutes")]
    pub checkpoint_minutes: f64,
    /// How crops are brought to the network's scale: by their own pixels
    /// (`"instance_norm"`), or by a table of `morphospace normalise`. A
    /// relative path starts at the current folder.
    #[serde(default)]
    pub normalisation: NormalisationChoice,
    /// Which sites make up a batch: `kind = "uniform"`, if nothing else is
    /// said; `"single_domain"` or `"class_balanced"`. Pairs
    /// (`"cross_domain"`) are of no use to masked autoencoders.
    #[serde(default)]
    pub sampler: SamplerChoice,
    /// Whether what is cheap to compute again is not kept for the backward
    /// pass: less memory, more time, the same gradients.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// The network and its objective: `kind = "mae"` or `"camae"`.
    pub network: NetworkConfig,
    /// How weights move.
    pub optimiser: OptimiserConfig,
    /// Learning rate over the run.
    pub schedule: Schedule,
}

fn default_checkpoint_minutes() -> f64 {
    10.0
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
    pub fn check(self) -> Result<CheckedTrainConfig, TrainError> {
        let invalid = |message: String| Err(TrainError::InvalidConfig(message));
        if self.num_steps == 0 {
            return invalid("num_steps is 0: give at least 1".to_owned());
        }
        if self.batch_size == 0 {
            return invalid("batch_size is 0: give at least 1".to_owned());
        }
        if self.checkpoint_minutes.is_nan() || self.checkpoint_minutes <= 0.0 {
            return invalid(format!(
                "checkpoint_minutes {} is not a positive number",
                self.checkpoint_minutes
            ));
        }
        match self.schedule {
            Schedule::WarmupCosine { warmup_steps } if warmup_steps >= self.num_steps => {
                return invalid(format!(
                    "schedule.warmup_steps {warmup_steps} leaves nothing of num_steps {}",
                    self.num_steps
                ));
            }
            Schedule::OneCycle { pct_start } if !(0.0..1.0).contains(&pct_start) => {
                return invalid(format!("schedule.pct_start {pct_start} is not in 0..1"));
            }
            _ => {}
        }
        self.optimiser.check()?;
        self.network.check()?;
        if !matches!(
            self.network,
            NetworkConfig::Mae(_) | NetworkConfig::CaMae(_)
        ) {
            return invalid(
                "only networks of kind 'mae' and 'camae' have an objective: use one of these"
                    .to_owned(),
            );
        }
        match self.sampler {
            SamplerChoice::CrossDomain { .. } => {
                return invalid(
                    "sampler kind 'cross_domain' makes pairs, and no objective of masked \
                     autoencoders compares two images: use 'uniform', 'single_domain' or \
                     'class_balanced'"
                        .to_owned(),
                );
            }
            SamplerChoice::SingleDomain {
                ghost_batch_size: 0,
                ..
            } => {
                return invalid("sampler.ghost_batch_size is 0: give at least 1".to_owned());
            }
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
            .filter(|(key, before, now)| before != now && *key != "checkpoint_minutes")
            .map(|(key, before, now)| format!("{key} {before}, now {now}"))
            .collect()
    }

    /// Digest of what decides the result, for recognising a run's own
    /// checkpoints: not how often they are written, and of a table of
    /// statistics not where it lies but its
    /// [`content_hash`](morphospace_screen::Normalisation::content_hash).
    pub fn sha256(&self, statistics: Option<&str>) -> String {
        let mut decisive = TrainConfig {
            checkpoint_minutes: default_checkpoint_minutes(),
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
