use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use walkdir::WalkDir;

use super::{Entry, MAX_FILE_LEN, Store, StoreError};

/// What is said of pipes, sockets and devices.
pub(super) const NO_REGULAR_FILE: &str = "it is a pipe, socket or device, not a regular file\n\
                                          hint: put the file itself there";

/// A folder on disk. A path that is absolute is taken as it is, since tables
/// of images often list such.
#[derive(Debug)]
pub struct FolderStore {
    root: PathBuf,
}

impl FolderStore {
    /// A folder; nothing is read yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn open(&self, path: &str) -> Result<(File, u64), StoreError> {
        let path = self.root.join(path);
        let failed = |error| StoreError::from_io(&error);
        // Asked before it is opened: to open a pipe waits for its writer.
        let metadata = fs::metadata(&path).map_err(failed)?;
        if metadata.is_dir() {
            return Err(StoreError::Missing);
        }
        if !metadata.is_file() {
            return Err(StoreError::Refused(NO_REGULAR_FILE.to_owned()));
        }
        Ok((File::open(&path).map_err(failed)?, metadata.len()))
    }

    /// Of a file; `None` where there is none.
    fn metadata(&self, path: &str) -> Result<Option<fs::Metadata>, StoreError> {
        match fs::metadata(self.root.join(path)) {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata)),
            Err(error) => match StoreError::from_io(&error) {
                StoreError::Missing => Ok(None),
                refused @ StoreError::Refused(_) => Err(refused),
            },
        }
    }
}

impl Store for FolderStore {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn file_location(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }

    fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let listing = match fs::read_dir(self.root.join(folder)) {
            Ok(listing) => listing,
            Err(error) => {
                return match StoreError::from_io(&error) {
                    StoreError::Missing => Ok(Vec::new()),
                    refused @ StoreError::Refused(_) => Err(refused),
                };
            }
        };
        let mut entries = Vec::new();
        for entry in listing {
            let entry = entry.map_err(StoreError::refused)?;
            entries.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                // Follows links: screens are often assembled from them.
                is_folder: entry.path().is_dir(),
            });
        }
        entries.sort();
        Ok(entries)
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let start = self.root.join(folder);
        if !start.exists() {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        for entry in WalkDir::new(&start).follow_links(true) {
            let entry = entry.map_err(StoreError::refused)?;
            if entry.file_type().is_file() {
                files.push(relative(&self.root, entry.path()));
            }
        }
        files.sort();
        Ok(files)
    }

    fn len(&self, path: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.metadata(path)?.map(|metadata| metadata.len()))
    }

    fn version(&self, path: &str) -> Result<Option<String>, StoreError> {
        let version = |found: fs::Metadata| format!("{}-{}", found.len(), changed_at(&found));
        Ok(self.metadata(path)?.map(version))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        let (file, len) = self.open(path)?;
        if len > MAX_FILE_LEN {
            return Err(StoreError::too_long(len));
        }
        let mut bytes = Vec::with_capacity(len as usize);
        // A file may grow while it is read.
        file.take(MAX_FILE_LEN)
            .read_to_end(&mut bytes)
            .map_err(StoreError::refused)?;
        Ok(bytes)
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let (mut file, len) = self.open(path)?;
        if range.end > len {
            return Err(StoreError::too_short(&range, len));
        }
        let wanted = range.end.saturating_sub(range.start);
        if wanted > MAX_FILE_LEN {
            return Err(StoreError::too_long(wanted));
        }
        file.seek(SeekFrom::Start(range.start))
            .map_err(StoreError::refused)?;
        let mut bytes = vec![0; wanted as usize];
        file.read_exact(&mut bytes).map_err(StoreError::refused)?;
        Ok(bytes)
    }
}

/// When a file was changed, in nanoseconds since 1970; 0 where that is not
/// known.
pub(super) fn changed_at(metadata: &fs::Metadata) -> u128 {
    let modified = metadata.modified().ok();
    let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_nanos())
}

/// With `/` between folders on every system.
fn relative(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
