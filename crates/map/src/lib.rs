//! From profiles to a map.
//!
//! Two steps, each a table in and a table out:
//!
//! 1. [`align`] takes away what differs between batches, judged by their
//!    negative controls: [`CenterScale`], [`Pca`], [`PcaCenterScale`],
//!    [`Tvn`], [`MadRobustize`], [`Spherize`], [`Coral`], [`Combat`],
//!    [`Harmony`], one method per file. A method is fitted once and the
//!    fitted correction can be saved and applied to further wells.
//! 2. [`aggregate`] turns replicate wells into one row per perturbation.
//!
//! Before them, [`mod@curate`] says which wells of a screen a network should be trained
//! on; after them, [`mod@relate`] lists which perturbations lie nearest to each other.
//!
//! Beside them stand the [`chromosome_arm`] correction of knock-out maps and
//! the [`cauchy_combination`] of p-values.
//!
//! All arithmetic is in double precision, and no result depends on the
//! number of threads.

mod aggregate;
pub mod align;
mod cauchy;
pub mod chromosome_arm;
mod conditions;
pub mod conformance;
mod controls;
pub mod curate;
mod decompose;
mod exponential;
mod moments;
pub mod relate;
pub mod umap;

pub use aggregate::{
    Aggregate, AggregateError, Average, COUNT_COLUMN, aggregate, seen_from_controls,
};
pub use align::{
    Align, AlignError, AlignInput, AlignMethod, Aligned, Aligner, CenterScale, Combat, CombatPrior,
    Components, Convergence, Coral, CoralTarget, FitReport, FittedAligner, Harmony, MadRobustize,
    Pca, PcaCenterScale, Reference, Shrinkage, Sphering, Spherize, Tvn, Verdict, align_profiles,
    fit_profiles, fit_profiles_stream, ledoit_wolf_amount, transform_profiles,
    transform_profiles_stream,
};
pub use cauchy::{CauchyError, cauchy_combination};
pub use conditions::{ConditionColumns, Conditions, ConditionsError};
pub use controls::{ControlRule, NoControlsError};
pub use curate::{
    Bound, CurateError, CurateSettings, CurateStep, Curated, CurationRow, CurationSummary,
    CurationTable, Draw, KEEP_COLUMN, PhenoprintTable, QualityRules, REASON_COLUMN, SummaryRow,
    UnderSampling, curate, curate_profiles,
};
pub use exponential::{exp_below_0, exp_below_0_f32};
pub use relate::{
    KnownPairs, Neighbour, RelateError, RelateSettings, Relation, RelationLimit, RelationMap,
    Relations, SourceOverlap, Tails,
};
pub use umap::{NeighbourSearch, Umap, UmapError, UmapMetric, UmapStart};
