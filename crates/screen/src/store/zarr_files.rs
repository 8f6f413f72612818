use zarrs::storage::byte_range::{ByteRange, ByteRangeIterator};
use zarrs::storage::{
    Bytes, MaybeBytes, MaybeBytesIterator, ReadableStorageTraits, StorageError, StoreKey,
};

use super::{SharedStore, StoreError};

/// A store as the `zarrs` crate reads it, so that Zarr arrays in archives and
/// buckets are read like those in folders.
#[derive(Debug)]
pub(crate) struct ZarrFiles(pub(crate) SharedStore);

fn storage_error(error: StoreError) -> StorageError {
    StorageError::Other(error.to_string())
}

impl ReadableStorageTraits for ZarrFiles {
    fn get(&self, key: &StoreKey) -> Result<MaybeBytes, StorageError> {
        match self.0.read(key.as_str()) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(StoreError::Missing) => Ok(None),
            Err(error) => Err(storage_error(error)),
        }
    }

    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let Some(len) = self.0.len(key.as_str()).map_err(storage_error)? else {
            return Ok(None);
        };
        let path = key.as_str().to_owned();
        let read = move |range: ByteRange| -> Result<Bytes, StorageError> {
            let range = range.to_range(len);
            let bytes = self.0.read_range(&path, range).map_err(storage_error)?;
            Ok(bytes.into())
        };
        Ok(Some(Box::new(byte_ranges.map(read))))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        self.0.len(key.as_str()).map_err(storage_error)
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}
