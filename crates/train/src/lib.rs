//! Objectives, the optimiser, checkpoints and the training loop.
//!
//! [`train`] begins a run; the loop (`training_loop.rs`) reads in one sitting:
//! batches of views come from the loader's threads, the [`Objective`] makes a
//! loss of them, the [`Optimiser`] moves the weights, and a [`Checkpoint`] is
//! written now and then. Everything random is a function of the
//! configuration's seed and the step, so a run that is killed goes on from its
//! last checkpoint as if nothing had happened.
//!
//! | file | what |
//! |---|---|
//! | `config.rs`, `objective_config.rs` | [`TrainConfig`], the TOML of a run |
//! | `prepare.rs`, `dataset.rs`, `labels.rs` | whether screens fit it; sites, classes, domains |
//! | `loader.rs`, `image_batch.rs` | makes views ahead of the training thread |
//! | `objective/` | what is trained, one objective per file |
//! | `losses/` | the arithmetic of their losses, one per file |
//! | `multi_crop.rs`, `ema.rs` | crops of several sizes; teachers that follow their student |
//! | `gradient_set.rs`, `gradient_reduction.rs` | gradients by name; where several processes would meet |
//! | `loss_scale.rs` | what keeps gradients within the range of half floats |
//! | `optimiser.rs`, `schedule.rs` | update rules, learning rates |
//! | `checkpoint.rs`, `run_folder.rs` | files that carry a run over a kill |
//! | `evaluation.rs`, `embedding_spread.rs`, `observer.rs` | what is looked at on the way |
//! | `report.rs`, `tensorboard.rs` | metrics |
//! | `training_loop.rs`, `begin.rs` | the loop, and what it begins with |
//! | `predict.rs`, `reconstruct.rs` | what trained heads tell of a screen; what autoencoders fill in |

mod begin;
mod checkpoint;
mod config;
mod dataset;
mod ema;
mod embedding_spread;
mod error;
mod evaluation;
mod gradient_reduction;
mod gradient_set;
mod image_batch;
mod labels;
mod loader;
mod loss_scale;
mod moment;
mod multi_crop;
mod objective;
mod objective_config;
mod observer;
mod optimiser;
mod predict;
mod prepare;
mod probe_sites;
mod reconstruct;
mod report;
mod run_folder;
mod schedule;
mod span;
mod tensorboard;
mod training_loop;

pub mod losses;

pub use begin::train;
pub use checkpoint::{
    Checkpoint, CheckpointFolder, DataIdentity, Resumed, Standing, TrainedOn, best_checkpoint,
    drop_corrupt_checkpoints, latest_checkpoint,
};
pub use config::{CheckedTrainConfig, InitConfig, TrainConfig};
pub use ema::update_teacher;
pub use embedding_spread::EmbeddingSpread;
pub use error::TrainError;
pub use evaluation::{Best, EvaluationConfig, Goal};
pub use gradient_reduction::{GradientReduction, SingleProcess};
pub use gradient_set::{Clip, GradientSet};
pub use image_batch::{ImageBatch, Mixture};
pub use labels::{ClassLabel, Classes, Labels, LabelsConfig};
pub use loss_scale::LossScale;
pub use moment::Moment;
pub use multi_crop::multi_crop_features;
pub use objective::{
    Adversary, AdversaryConfig, Classifier, ClassifierConfig, Comparison, Contrastive,
    ContrastiveConfig, CropPairing, Dino, DinoConfig, DinoNetwork, DinoV2, DinoV2ObjectiveConfig,
    Loss, MaskedModellingConfig, MaskedMuNet, Objective, Side, StudentTeacher, Supervised,
    SupervisedConfig, WeightedBatchDecorrelation,
};
pub use objective_config::ObjectiveConfig;
pub use observer::Observer;
pub use optimiser::{Optimiser, OptimiserConfig, ParameterGroup, Rule, StepSize};
pub use predict::{Prediction, Predictor, adabn_domain};
pub use prepare::{Prepared, TrainingData};
pub use probe_sites::EmbeddedSites;
pub use reconstruct::{Reconstruction, reconstruct};
pub use report::{EvaluationReport, StepReport};
pub use schedule::{Rise, Schedule, cosine_between};
pub use span::Span;
pub use training_loop::TrainSummary;
