//! The table every stage after embedding shares: metadata and features, as
//! Parquet, CSV, GCT or AnnData.
//!
//! A [`Profiles`] has one row per well (or site, or perturbation), metadata
//! [`Column`]s that say what the row is, and a row-major matrix of
//! [`Features`].
//!
//! | to | there is |
//! |---|---|
//! | read a table, of RxRx data sets, pycytominer or scanpy alike | [`read_profiles`] |
//! | say which columns are features, and see what was chosen | [`ReadOptions`], [`ColumnRoles`] |
//! | turn one naming of metadata into another | [`Profiles::to_schema`], [`Schema`] |
//! | name features as another tool expects them | [`Profiles::rename_features`] |
//! | refuse what would go wrong later | [`Profiles::check_finite`], [`Profiles::check_unique`] |
//! | write a table, with where its numbers came from inside the file | [`write_profiles`] |
//! | do either with tables larger than memory | [`ProfileStream`], [`ProfilesWriter`] |
//! | read and write a head's predictions | [`read_predictions`], [`write_predictions`] |

mod anndata;
mod cell;
mod column;
mod delimited;
mod error;
mod features;
mod gct;
mod join;
mod name_pattern;
mod output;
mod parquet_file;
mod predictions;
mod profile_stream;
mod profiles;
mod profiles_writer;
mod read;
mod roles;
mod schema;
mod table_file;
mod write;

pub use column::Column;
pub use error::ProfilesError;
pub use features::Features;
pub use join::Joined;
pub use predictions::{PredictionRow, Predictions, read_predictions, write_predictions};
pub use profile_stream::ProfileStream;
pub use profiles::Profiles;
pub use profiles_writer::ProfilesWriter;
pub use read::{read_metadata, read_profiles, read_profiles_with};
pub use roles::{ColumnRoles, ReadOptions, Role, RoleReason};
pub use schema::Schema;
pub use write::write_profiles;
