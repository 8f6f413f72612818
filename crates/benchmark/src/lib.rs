//! The scores of the papers, with their nulls and confidence intervals.

mod cosine_population;
mod entity_map;
mod error;
mod kolmogorov;
mod relationships;
mod two_sample;

pub use entity_map::EntityMap;
pub use error::BenchmarkError;
pub use relationships::{Relationships, filter_relationships, read_relationships};
pub use two_sample::*;
