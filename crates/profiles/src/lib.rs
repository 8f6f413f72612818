//! The table every stage after embedding shares: metadata and features, as
//! Parquet or CSV.

mod column;
mod error;
mod features;
mod profiles;
mod schema;

pub use column::Column;
pub use error::ProfilesError;
pub use features::Features;
pub use profiles::Profiles;
pub use schema::Schema;
