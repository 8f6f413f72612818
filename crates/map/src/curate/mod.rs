//! Curation: which wells of a screen a network should be trained on.
//!
//! The five steps by which Phenoprints-16M was made of 93 million wells, in their
//! order, each of which can be left out ([`CurateSettings::skip`]):
//!
//! | step | drops |
//! |---|---|
//! | [`CurateStep::Quality`] | rows that quality control flags |
//! | [`CurateStep::Perturbations`] | rows of unknown, or more than three, perturbations; of unusual size or channels |
//! | [`CurateStep::Spread`] | conditions in fewer than 3 experiments or 20 wells |
//! | [`CurateStep::UnderSampling`] | nine in ten positive controls and untreated wells, seven in ten negative controls |
//! | [`CurateStep::Phenoprints`] | wells none of whose conditions changes cells reproducibly |
//!
//! A [`CurationTable`] says what curation needs to know of a screen, made of its
//! sites or of a table; the last step reads [`PhenoprintTable`]s, which the
//! perturbation consistency test writes. Nothing is deleted: [`curate`] says of every
//! row whether to keep it, and why not.
//!
//! # Source
//! Kenyon-Dean et al. 2024, section 3.1 and appendix A.1,
//! <https://arxiv.org/abs/2411.02572>. `docs/curation.md` says what it leaves open.

mod curation;
mod error;
mod perturbations;
mod phenoprints;
mod quality;
mod settings;
mod spread;
mod step;
mod summary;
mod table;
mod under_sampling;

pub use curation::{Curated, KEEP_COLUMN, REASON_COLUMN, curate, curate_profiles};
pub use error::CurateError;
pub use phenoprints::PhenoprintTable;
pub use quality::{Bound, QualityRules};
pub use settings::CurateSettings;
pub use step::CurateStep;
pub use summary::{CurationSummary, SummaryRow};
pub use table::{CurationRow, CurationTable};
pub use under_sampling::{Draw, UnderSampling};
