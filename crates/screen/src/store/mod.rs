//! Where a screen's files lie: a folder, an archive, a bucket or a web
//! server, all behind one blocking interface.
//!
//! Readers of screens see [`Store`] only; archives, sockets and asynchronous
//! code stay in this module.

mod archive;
#[cfg(feature = "buckets")]
mod bucket;
#[cfg(feature = "buckets")]
mod bucket_folder;
mod folder;
mod linked;
mod mounted;
mod open;
mod stored_file;
mod subfolder;
mod tar;

mod writable;
mod zarr_files;
mod zip;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::error::ImageProblem;

#[cfg(feature = "buckets")]
pub(crate) use bucket::{BucketStore, blocking_runtime, http_client, in_short};
pub use folder::FolderStore;
pub(crate) use linked::LinkedStore;
pub use mounted::MountedStore;
#[cfg(feature = "buckets")]
pub use open::open_bucket;
use open::open_url;
pub use open::{is_url, open_store};
pub(crate) use stored_file::StoredFile;
pub(crate) use subfolder::SubfolderStore;
pub use tar::TarStore;
#[cfg(feature = "buckets")]
pub use writable::open_writable_in;
pub use writable::{WritableStore, open_writable};
pub(crate) use zarr_files::ZarrFiles;
pub use zip::ZipStore;

/// Longest file that is read whole. The largest image that is decoded takes a
/// quarter of it; an archive that claims more is hostile or broken.
pub const MAX_FILE_LEN: u64 = 1 << 30;

/// Files of a screen, by path.
///
/// Paths are relative to the store, with `/` between folders, and name the
/// same file at every call. Reading is blocking and may be done from any
/// number of threads.
pub trait Store: Send + Sync + fmt::Debug {
    /// The place, as it should stand in messages.
    fn location(&self) -> String;

    /// A file of this store, as it should stand in messages.
    fn file_location(&self, path: &str) -> String {
        format!("{}/{path}", self.location().trim_end_matches('/'))
    }

    /// What lies directly in a folder (`""` is the store itself), sorted by
    /// name. A folder that is not there is empty.
    ///
    /// # Errors
    /// [`StoreError::Refused`]: the place cannot be listed.
    fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError>;

    /// Paths of all files below a folder, sorted.
    ///
    /// # Errors
    /// [`StoreError::Refused`]: the place cannot be listed.
    fn files(&self, folder: &str) -> Result<Vec<String>, StoreError>;

    /// Bytes of a file; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::Refused`]: the place cannot be asked.
    fn len(&self, path: &str) -> Result<Option<u64>, StoreError>;

    /// A text that changes when the file does: its length and, where the
    /// place knows, its time of change, checksum or entity tag. `None` where
    /// there is no file.
    ///
    /// # Errors
    /// As [`Store::len`].
    fn version(&self, path: &str) -> Result<Option<String>, StoreError> {
        Ok(self.len(path)?.map(|len| len.to_string()))
    }

    /// Whether a file is there.
    fn is_present(&self, path: &str) -> bool {
        matches!(self.len(path), Ok(Some(_)))
    }

    /// A whole file.
    ///
    /// # Errors
    /// [`StoreError`]: it is not there, or cannot be read, or is longer than
    /// [`MAX_FILE_LEN`].
    fn read(&self, path: &str) -> Result<Vec<u8>, StoreError>;

    /// Part of a file.
    ///
    /// # Errors
    /// As [`Store::read`], and where the file ends before the range does.
    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError>;
}

/// What a folder of a [`Store`] holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name, without the folders before it.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// Why a store did not give a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such file.
    #[error("the file is not there")]
    Missing,
    /// It is there, or may be, but cannot be had.
    #[error("{0}")]
    Refused(String),
}

impl StoreError {
    pub(crate) fn refused(error: impl fmt::Display) -> Self {
        Self::Refused(error.to_string())
    }

    fn from_io(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound
            | std::io::ErrorKind::NotADirectory
            // Names that no file can have: too long, or with a NUL.
            | std::io::ErrorKind::InvalidFilename
            | std::io::ErrorKind::InvalidInput => Self::Missing,
            _ => Self::refused(error),
        }
    }

    fn too_long(len: u64) -> Self {
        Self::Refused(format!(
            "it is {len} bytes long, more than {MAX_FILE_LEN} are not read at once"
        ))
    }

    fn too_short(range: &Range<u64>, len: u64) -> Self {
        Self::Refused(format!(
            "bytes {} to {} were asked for, it has {len}",
            range.start, range.end
        ))
    }
}

impl From<StoreError> for ImageProblem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing => Self::Missing,
            StoreError::Refused(message) => Self::CannotRead(message),
        }
    }
}

/// A store that several readers share.
pub type SharedStore = Arc<dyn Store>;

/// Joins a folder and a name; the folder may be empty.
pub(crate) fn joined(folder: &str, name: &str) -> String {
    match folder.trim_end_matches('/') {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}
