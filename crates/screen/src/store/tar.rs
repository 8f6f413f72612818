use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use super::archive::{Contents, PositionedFile};
use super::folder::changed_at;
use super::{Entry, MAX_FILE_LEN, Store, StoreError};

/// Archives are made of blocks of this many bytes.
const BLOCK_LEN: usize = 512;

/// A tar archive, read in place. Compressed ones (`.tar.gz`) cannot be:
/// reaching one image would mean inflating all before it.
#[derive(Debug)]
pub struct TarStore {
    file: PositionedFile,
    contents: Contents<Range<u64>>,
    /// Of the archive.
    changed_at: u128,
}

impl TarStore {
    /// Walks over the archive's headers; the files themselves are skipped.
    ///
    /// # Errors
    /// [`StoreError::Missing`], or what is wrong with the archive: it is
    /// damaged or cut off, or a name in it leads out of it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = PositionedFile::open(path).map_err(|error| StoreError::from_io(&error))?;
        let metadata = std::fs::metadata(path).map_err(|error| StoreError::from_io(&error))?;
        let damaged = |error: &dyn std::fmt::Display| {
            StoreError::Refused(format!(
                "'{}' is not a whole tar archive ({error})\nhint: fetch it again from its source",
                path.display()
            ))
        };
        let len = file.len();
        if !ends_with_zeros(&file).map_err(StoreError::refused)? {
            return Err(damaged(&"its end is missing"));
        }
        let mut archive = tar::Archive::new(file.clone());
        let mut files = Vec::new();
        for entry in archive
            .entries_with_seek()
            .map_err(|error| damaged(&error))?
        {
            let entry = entry.map_err(|error| damaged(&error))?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let start = entry.raw_file_position();
            let end = start
                .checked_add(entry.size())
                .filter(|&end| end <= len)
                .ok_or_else(|| damaged(&"it ends within a file"))?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            files.push((name, start..end));
        }
        let contents = Contents::new(path.display().to_string(), files)?;
        Ok(Self {
            file,
            contents,
            changed_at: changed_at(&metadata),
        })
    }
}

/// Whether an archive ends as every tar does, with a block of zeros. One that
/// was cut off between two files lacks nothing else.
fn ends_with_zeros(file: &PositionedFile) -> std::io::Result<bool> {
    let Some(start) = file.len().checked_sub(BLOCK_LEN as u64) else {
        return Ok(false);
    };
    let mut file = file.clone();
    file.seek(SeekFrom::Start(start))?;
    let mut block = [1; BLOCK_LEN];
    file.read_exact(&mut block)?;
    Ok(block == [0; BLOCK_LEN])
}

impl Store for TarStore {
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
        Ok(self.contents.get(path).map(|place| place.end - place.start))
    }

    fn version(&self, path: &str) -> Result<Option<String>, StoreError> {
        let version = |place: &Range<u64>| {
            let (start, end) = (place.start, place.end);
            format!("{start}-{end}-{}", self.changed_at)
        };
        Ok(self.contents.get(path).map(version))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        let place = self.contents.get(path).ok_or(StoreError::Missing)?;
        self.read_range(path, 0..place.end - place.start)
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let place = self.contents.get(path).ok_or(StoreError::Missing)?;
        let len = place.end - place.start;
        if range.end > len {
            return Err(StoreError::too_short(&range, len));
        }
        let wanted = range.end.saturating_sub(range.start);
        if wanted > MAX_FILE_LEN {
            return Err(StoreError::too_long(wanted));
        }
        let mut file = self.file.clone();
        file.seek(SeekFrom::Start(place.start + range.start))
            .map_err(StoreError::refused)?;
        let mut bytes = vec![0; wanted as usize];
        file.read_exact(&mut bytes).map_err(StoreError::refused)?;
        Ok(bytes)
    }
}
