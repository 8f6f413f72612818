use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::archive::{Contents, PositionedFile};
use super::{Entry, MAX_FILE_LEN, SharedStore, Store, StoreError};

/// No deflate stream expands by more (zlib's documentation, "Maximum
/// Compression Factor"); an entry that claims to is a trap.
const MAX_DEFLATE_RATIO: u64 = 1_032;

/// A zip archive, read in place: each file is inflated when it is asked for.
#[derive(Debug)]
pub struct ZipStore {
    archive: ZipArchive<PositionedFile>,
    contents: Contents<usize>,
    /// Bytes of the archive.
    len: u64,
}

impl ZipStore {
    /// Reads the archive's table of contents.
    ///
    /// # Errors
    /// [`StoreError::Missing`], or what is wrong with the archive: it is
    /// damaged, or a name in it leads out of it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = PositionedFile::open(path).map_err(|error| StoreError::from_io(&error))?;
        Self::of(file, path.display().to_string())
    }

    /// Reads the table of contents of an archive in another store, such as a
    /// bucket. Files are read from there one by one.
    ///
    /// # Errors
    /// As [`ZipStore::open`].
    pub fn open_in(store: &SharedStore, path: &str) -> Result<Self, StoreError> {
        Self::of(
            PositionedFile::open_in(store, path)?,
            store.file_location(path),
        )
    }

    fn of(file: PositionedFile, location: String) -> Result<Self, StoreError> {
        let damaged = |error: &dyn std::fmt::Display| {
            StoreError::Refused(format!(
                "'{location}' is not a whole zip archive ({error})\nhint: fetch it again from its \
                 source"
            ))
        };
        let len = file.len();
        let archive = ZipArchive::new(file).map_err(|error| damaged(&error))?;
        let mut files = Vec::with_capacity(archive.len());
        for index in 0..archive.len() {
            let name = archive
                .name_for_index(index)
                .ok_or_else(|| damaged(&"an entry has no name"))?
                .map_err(|error| damaged(&error))?;
            if !name.ends_with(['/', '\\']) {
                files.push((name.into_owned(), index));
            }
        }
        let contents = Contents::new(location, files)?;
        Ok(Self {
            archive,
            contents,
            len,
        })
    }

    fn index(&self, path: &str) -> Result<usize, StoreError> {
        self.contents.get(path).copied().ok_or(StoreError::Missing)
    }

    /// Length and CRC-32 of a file, as the table of contents has them.
    fn entry(&self, path: &str) -> Result<Option<(u64, u32)>, StoreError> {
        let Some(&index) = self.contents.get(path) else {
            return Ok(None);
        };
        let entry = self
            .archive
            .by_index_data(index)
            .map_err(StoreError::refused)?;
        Ok(Some((entry.size(), entry.crc32())))
    }
}

/// Why an entry cannot be read, and what to do about it.
fn unreadable(error: impl Into<io::Error>) -> StoreError {
    let error = error.into();
    let hint = match error.kind() {
        io::ErrorKind::Unsupported => {
            "pack the archive again with deflate or without compression, and without a password"
        }
        _ => "the archive is damaged; fetch it again from its source",
    };
    StoreError::Refused(format!("{error}\nhint: {hint}"))
}

impl Store for ZipStore {
    fn location(&self) -> String {
        self.contents.location()
    }

    fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        Ok(self.contents.entries(folder))
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.contents.files(folder))
    }

    fn len(&self, path: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.entry(path)?.map(|(len, _)| len))
    }

    fn version(&self, path: &str) -> Result<Option<String>, StoreError> {
        let entry = self.entry(path)?;
        Ok(entry.map(|(len, crc32)| format!("{len}-{crc32:08x}")))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        let index = self.index(path)?;
        // The table of contents is shared, the position in the file is not.
        let mut archive = self.archive.clone();
        let mut entry = archive.by_index(index).map_err(unreadable)?;
        let (len, compressed) = (entry.size(), entry.compressed_size());
        if len > MAX_FILE_LEN {
            return Err(StoreError::too_long(len));
        }
        if compressed > self.len || len / MAX_DEFLATE_RATIO > compressed {
            return Err(StoreError::Refused(format!(
                "the archive claims that {compressed} bytes hold {len}"
            )));
        }
        let mut bytes = Vec::with_capacity(len as usize);
        entry
            .by_ref()
            .take(len + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 != len {
            return Err(StoreError::Refused(format!(
                "the archive claims {len} bytes and holds {}",
                if bytes.len() as u64 > len {
                    "more"
                } else {
                    "fewer"
                }
            )));
        }
        Ok(bytes)
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let index = self.index(path)?;
        let data = self
            .archive
            .by_index_data(index)
            .map_err(StoreError::refused)?;
        if data.compression() != CompressionMethod::Stored {
            let bytes = self.read(path)?;
            let part = bytes.get(range.start as usize..range.end as usize);
            return part
                .map(<[u8]>::to_vec)
                .ok_or_else(|| StoreError::too_short(&range, bytes.len() as u64));
        }
        let mut archive = self.archive.clone();
        let mut entry = archive.by_index_seek(index).map_err(StoreError::refused)?;
        let wanted = range.end.saturating_sub(range.start);
        if wanted > MAX_FILE_LEN {
            return Err(StoreError::too_long(wanted));
        }
        entry
            .seek(SeekFrom::Start(range.start))
            .map_err(StoreError::refused)?;
        let mut bytes = Vec::new();
        entry
            .take(wanted)
            .read_to_end(&mut bytes)
            .map_err(StoreError::refused)?;
        if bytes.len() as u64 != wanted {
            return Err(StoreError::too_short(
                &range,
                range.start + bytes.len() as u64,
            ));
        }
        Ok(bytes)
    }
}
