use std::fmt;
use std::sync::Arc;

use super::StoreError;

/// A folder in a bucket that can be written.
///
/// Paths have `/` between their parts. Nothing is kept of what was asked before:
/// others may write at the same time.
pub trait WritableStore: Send + Sync + fmt::Debug {
    /// The place, as it should stand in messages.
    fn location(&self) -> String;

    /// A file; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::Refused`]: no answer, or no permission.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Bytes of a file; `None` where there is none.
    ///
    /// # Errors
    /// As [`WritableStore::read`].
    fn len(&self, path: &str) -> Result<Option<u64>, StoreError>;

    /// Writes a file, or replaces it; others see the old one or the new one.
    ///
    /// # Errors
    /// As [`WritableStore::read`].
    fn write(&self, path: &str, bytes: Vec<u8>) -> Result<(), StoreError>;

    /// Writes a file that is not there; whether this was the first to do so.
    ///
    /// # Errors
    /// As [`WritableStore::read`].
    fn write_new(&self, path: &str, bytes: Vec<u8>) -> Result<bool, StoreError>;

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// As [`WritableStore::read`].
    fn remove(&self, path: &str) -> Result<(), StoreError>;

    /// Paths of all files below a folder, sorted.
    ///
    /// # Errors
    /// As [`WritableStore::read`].
    fn files(&self, folder: &str) -> Result<Vec<String>, StoreError>;
}

/// Opens a folder in a bucket (`s3://`, `gs://`, `az://`) for writing, with the
/// environment's settings ([`open_bucket`](super::open_bucket)). Nothing is asked
/// of the server yet.
///
/// # Errors
/// [`StoreError::Refused`]: not the URL of a bucket, or a build without buckets.
#[cfg(feature = "buckets")]
pub fn open_writable(url: &str) -> Result<Arc<dyn WritableStore>, StoreError> {
    open_writable_in(url, super::bucket::environment())
}

/// [`open_writable`] with settings in place of the environment's.
///
/// # Errors
/// As [`open_writable`].
#[cfg(feature = "buckets")]
pub fn open_writable_in(
    url: &str,
    settings: impl IntoIterator<Item = (String, String)>,
) -> Result<Arc<dyn WritableStore>, StoreError> {
    let folder = super::bucket_folder::BucketFolder::open(url, settings)?;
    Ok(Arc::new(folder))
}

/// Opens a folder in a bucket for writing: not in this build.
///
/// # Errors
/// Always: the build is without buckets.
#[cfg(not(feature = "buckets"))]
pub fn open_writable(url: &str) -> Result<Arc<dyn WritableStore>, StoreError> {
    Err(StoreError::Refused(format!(
        "'{url}' is in a bucket, which this build cannot write\nhint: build with --features buckets"
    )))
}
