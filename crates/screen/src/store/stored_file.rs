use bytes::Bytes;
use bytes::buf::{Buf, Reader};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::{SharedStore, StoreError};

/// Bytes that are read ahead where a table is read in sequence.
const READ_AHEAD_LEN: u64 = 1 << 16;

/// A file of a store, as Parquet's reader takes it: only the parts it needs
/// are read.
#[derive(Clone, Debug)]
pub(crate) struct StoredFile {
    store: SharedStore,
    path: String,
    len: u64,
}

impl StoredFile {
    pub(crate) fn open(store: &SharedStore, path: &str) -> std::result::Result<Self, StoreError> {
        Ok(Self {
            store: SharedStore::clone(store),
            path: path.to_owned(),
            len: store.len(path)?.ok_or(StoreError::Missing)?,
        })
    }
}

impl Length for StoredFile {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for StoredFile {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let end = start.saturating_add(READ_AHEAD_LEN).min(self.len);
        let wanted = end.saturating_sub(start) as usize;
        Ok(self.get_bytes(start, wanted)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = start
            .checked_add(length as u64)
            .filter(|&end| end <= self.len)
            .ok_or_else(|| ParquetError::EOF("the file ends before its pages do".to_owned()))?;
        self.store
            .read_range(&self.path, start..end)
            .map(Bytes::from)
            .map_err(|error| ParquetError::External(Box::new(error)))
    }
}
