//! Which conditions of a screen change cells reproducibly.

mod error;
mod settings;
mod table;
mod test;

pub use error::PhenoprintError;
pub use settings::PhenoprintSettings;
pub use table::{ExperimentConsistency, NotTested, Phenoprint, Phenoprints};
pub use test::phenoprints;
