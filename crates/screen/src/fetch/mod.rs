//! Published screens, annotations and weights, from where they are published
//! to a folder.
//!
//! A [`Dataset`] of the [`catalogue`] becomes a [`FetchPlan`] (which files,
//! how long, with which checksums), and [`fetch`] brings the plan's files
//! into a folder: what broke off goes on, what is there is checked and left,
//! and a file under its final name is whole.

mod catalogue;
mod download;
mod error;
mod file_contents;
mod file_plan;
mod listing;
mod plan;
mod record;
mod run;
mod weights_location;

pub use catalogue::{Dataset, DatasetFile, Licence, Listing, catalogue, find_dataset};
pub use error::FetchError;
pub use file_plan::FilePlan;
pub use plan::{FetchPlan, plan_fetch};
pub use record::{FETCH_RECORD, FetchRecord, FetchedDataset, FetchedFile};
pub use run::{FetchOptions, FetchProgress, FetchReport, fetch};
pub use weights_location::{FetchedWeights, WeightsLocation};
