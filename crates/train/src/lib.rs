//! Objectives, the optimiser, checkpoints and the training loop.
//!
//! [`train`] is the loop and reads in one sitting: a batch of crops comes from
//! the loader thread, the [`Objective`] makes a loss of it, the [`Optimiser`]
//! moves the weights, and a [`Checkpoint`] is written now and then. Everything
//! random is a function of the configuration's seed and the step, so a run
//! that is killed goes on from its last checkpoint as if nothing had happened.
//!
//! | file | what |
//! |---|---|
//! | `config.rs` | [`TrainConfig`], the TOML of a run |
//! | `crops.rs` | where the images of a step are cut from their sites |
//! | `loader.rs` | decodes them ahead of the training thread |
//! | `objective/` | what a network is trained for, one objective per file |
//! | `losses/` | what objectives minimise, one loss per file |
//! | `multi_crop.rs`, `ema.rs` | crops of several sizes; teachers that follow their student |
//! | `optimiser.rs`, `schedule.rs` | AdamW and Lion, learning rates |
//! | `checkpoint.rs` | files that carry a run over a kill |
//! | `training_loop.rs` | the loop |

mod checkpoint;
mod config;
mod crops;
mod ema;
mod error;
mod loader;
mod multi_crop;
mod objective;
mod optimiser;
mod schedule;
mod training_loop;

pub mod losses;

pub use checkpoint::{Checkpoint, Resumed, TrainedOn, latest_checkpoint};
pub use config::{CheckedTrainConfig, TrainConfig};
pub use ema::update_teacher;
pub use error::TrainError;
pub use multi_crop::multi_crop_features;
pub use objective::{Loss, Objective};
pub use optimiser::{Optimiser, OptimiserConfig, Rule};
pub use schedule::Schedule;
pub use training_loop::{StepReport, TrainSummary, train};
