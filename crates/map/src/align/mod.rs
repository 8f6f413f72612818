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
//!
//! Each method is a struct of its settings: [`Align::check`] refuses
//! settings that make no sense, [`Align::fit`] learns from an [`AlignInput`]
//! and gives an [`Aligner`], and [`Aligner::transform`] applies it to those
//! or to further rows. [`AlignMethod`] is any of them, as configuration
//! files name them; [`align_profiles`] does it all for a table.

mod affine;
mod center_scale;
mod error;
mod fitted;
mod input;
mod mad_robustize;
mod method;
mod pca;
mod pca_center_scale;
mod profiles;
mod spherize;
mod tvn;

pub use center_scale::{CenterScale, Reference};
pub use error::AlignError;
pub use fitted::{FitReport, FittedAligner};
pub use input::{AlignInput, Aligned};
pub use mad_robustize::MadRobustize;
pub use method::{Align, AlignMethod, Aligner};
pub use pca::{Components, Pca};
pub use pca_center_scale::PcaCenterScale;
pub use profiles::{align_profiles, fit_profiles, transform_profiles};
pub use spherize::{Sphering, Spherize};
pub use tvn::Tvn;
