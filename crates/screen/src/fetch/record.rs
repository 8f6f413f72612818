use std::collections::BTreeMap;
use std::path::Path;

use morphospace_core::write_atomically;
use serde::{Deserialize, Serialize};

use super::{FetchError, Licence};

/// The name of the record in a folder that was fetched into.
pub const FETCH_RECORD: &str = "fetch.json";

/// What was fetched into a folder: where each file came from and what it
/// held then. Later runs check the files against it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRecord {
    /// The version of this layout.
    pub schema_version: u32,
    /// By the dataset's name.
    pub datasets: BTreeMap<String, FetchedDataset>,
}

/// What was fetched of one dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedDataset {
    /// The licence that was accepted.
    pub licence: Licence,
    /// By path below the folder.
    pub files: BTreeMap<String, FetchedFile>,
}

/// A file that was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedFile {
    /// Where it was had.
    pub url: String,
    /// Its bytes.
    pub len: u64,
    /// Its SHA-256 as it arrived.
    pub sha256: String,
}

impl FetchRecord {
    const SCHEMA_VERSION: u32 = 1;

    /// The record of a folder; an empty one if nothing was fetched into it.
    ///
    /// # Errors
    /// [`FetchError::InvalidRecord`], or the system's refusal.
    pub fn read(folder: &Path) -> Result<Self, FetchError> {
        let path = folder.join(FETCH_RECORD);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self {
                    schema_version: Self::SCHEMA_VERSION,
                    datasets: BTreeMap::new(),
                });
            }
            Err(error) => return Err(FetchError::cannot_use(path, error)),
        };
        let invalid = |message: String| FetchError::InvalidRecord {
            path: path.clone(),
            message,
        };
        let record: Self =
            serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
        if record.schema_version != Self::SCHEMA_VERSION {
            return Err(invalid(format!(
                "its schema_version is {}, not {}",
                record.schema_version,
                Self::SCHEMA_VERSION
            )));
        }
        Ok(record)
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), FetchError> {
        let path = folder.join(FETCH_RECORD);
        write_atomically(&path, |file| {
            serde_json::to_writer_pretty(file, self).map_err(std::io::Error::from)
        })
        .map_err(|error| FetchError::cannot_use(path, error))
    }
}
