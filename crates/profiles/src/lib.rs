//! The table every stage after embedding shares: metadata and features, as
//! Parquet or CSV.
//!
//! A [`Profiles`] has one row per well (or site, or perturbation), metadata
//! [`Column`]s that say what the row is, and a row-major matrix of
//! [`Features`]. [`read_profiles`] takes the tables of RxRx data sets and of
//! pycytominer alike and decides by a documented rule ([`ReadOptions`]) what
//! is a feature; [`Profiles::to_schema`] turns one naming into the other;
//! [`write_profiles`] keeps where the numbers came from inside the file.

mod column;
mod delimited;
mod error;
mod features;
mod parquet_file;
mod predictions;
mod profiles;
mod read;
mod roles;
mod schema;
mod write;

pub use column::Column;
pub use error::ProfilesError;
pub use features::Features;
pub use predictions::{PredictionRow, Predictions, read_predictions, write_predictions};
pub use profiles::Profiles;
pub use read::{read_profiles, read_profiles_with};
pub use roles::{ColumnRoles, ReadOptions, Role};
pub use schema::Schema;
pub use write::write_profiles;
