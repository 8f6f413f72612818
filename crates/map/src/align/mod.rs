//! Alignment: taking away what differs between batches, judged by their
//! negative controls.
//!
//! | method | fitted on | result |
//! |---|---|---|
//! | [`CenterScale`] | all rows or the controls, together or per batch | each feature with mean 0 and standard deviation 1 on them |
//! | [`Pca`] | all rows or the controls | scores on the principal axes |
//! | [`PcaCenterScale`] | controls, then the controls of each batch | scores with mean 0 and standard deviation 1 on a batch's controls |
//! | [`Tvn`] | controls, then the controls of each batch | whitened on controls, each batch's control covariance taken out |
//! | [`MadRobustize`] | all rows or the controls, together or per batch | median 0 and median absolute deviation 1 on them |
//! | [`Spherize`] | all rows or the controls | whitened on them |
//! | [`Coral`] | the controls of each batch, or all its rows | the batch's covariance and mean made those of all batches |
//! | [`Combat`] | all rows or the controls, with a covariate if there is one | each feature's shift and scale in a batch, drawn towards the batch's other features, taken out |
//! | [`Harmony`] | all rows | shifted by batch in each of the soft clusters they belong to |
//!
//! Each method is a struct of its settings: [`Align::check`] refuses
//! settings that make no sense, [`Align::fit`] learns from an [`AlignInput`]
//! and gives an [`Aligner`], and [`Aligner::transform`] applies it to those
//! or to further rows. [`AlignMethod`] is any of them, as configuration
//! files name them; [`align_profiles`] does it all for a table, and
//! [`fit_profiles_stream`] with [`transform_profiles_stream`] for one that does
//! not fit into memory.
//!
//! Few controls are met by shrinkage, where a method has it ([`Shrinkage`]), or
//! refused by the name of the batch; [`FittedAligner::warnings`] and
//! [`FitReport`] say what was done.

mod affine;
mod center_scale;
mod combat;
mod convergence;
mod coral;
mod error;
mod fitted;
mod harmony;
mod input;
mod kmeans;
mod mad_robustize;
mod method;
mod pca;
mod pca_center_scale;
mod profiles;
mod shrinkage;
mod soft_clusters;
mod spherize;
mod stream;
mod tvn;

pub use center_scale::{CenterScale, Reference};
pub use combat::{Combat, CombatPrior};
pub use convergence::{Convergence, Verdict};
pub use coral::{Coral, CoralTarget};
pub use error::AlignError;
pub use fitted::{FitReport, FittedAligner};
pub use harmony::Harmony;
pub use input::{AlignInput, Aligned};
pub use mad_robustize::MadRobustize;
pub use method::{Align, AlignMethod, Aligner};
pub use pca::{Components, Pca};
pub use pca_center_scale::PcaCenterScale;
pub use profiles::{align_profiles, fit_profiles, transform_profiles};
pub use shrinkage::{Shrinkage, ledoit_wolf_amount};
pub use spherize::{Sphering, Spherize};
pub use stream::{fit_profiles_stream, transform_profiles_stream};
pub use tvn::Tvn;
