//! From profiles to a map.
//!
//! Two steps, each a table in and a table out:
//!
//! 1. [`align`] takes away what differs between batches, judged by their
//!    negative controls: [`CenterScale`], [`Pca`], [`PcaCenterScale`],
//!    [`Tvn`], one method per file. A method is fitted once and the fitted
//!    correction can be saved and applied to further wells.
//! 2. [`aggregate`] turns replicate wells into one row per perturbation.
//!
//! All arithmetic is in double precision, and no result depends on the
//! number of threads.

mod aggregate;
pub mod align;
pub mod conformance;
mod controls;
mod decompose;
mod moments;

pub use aggregate::{Aggregate, AggregateError, Average, COUNT_COLUMN, aggregate};
pub use align::{
    Align, AlignError, AlignInput, AlignMethod, Aligned, Aligner, CenterScale, Components,
    FitReport, FittedAligner, Pca, PcaCenterScale, Reference, Tvn, align_profiles, fit_profiles,
    transform_profiles,
};
pub use controls::ControlRule;
