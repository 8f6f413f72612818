//! Relations: which perturbations of a map lie in the same direction, and which in
//! opposite ones.
//!
//! A [`RelationMap`] is an aggregated table, one row for each perturbation;
//! [`RelationMap::nearest_neighbours`] asks it for one of them,
//! [`RelationMap::relations`] for the pairs at the ends of all cosines, and which of
//! them are known already. A map of 17,000 genes has 144 million pairs, which are
//! looked at block by block and never stored.
//!
//! # Source
//! Celik et al. 2024, <https://doi.org/10.1371/journal.pcbi.1012463>: the cosine is
//! the relation of two perturbations, seen from the negative controls.

mod error;
mod known_pairs;
mod relation_map;
mod relations;
mod settings;
mod tail;

pub use error::RelateError;
pub use known_pairs::{KnownPairs, SourceOverlap};
pub use relation_map::{Neighbour, RelationMap};
pub use relations::{Relation, Relations};
pub use settings::{RelateSettings, RelationLimit, Tails};
