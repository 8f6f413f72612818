use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::folder::NO_REGULAR_FILE;
use super::{Entry, SharedStore, StoreError, joined};

/// Bytes that are asked of a server at once: archives are read in pieces of
/// a few bytes.
const READ_AHEAD_LEN: u64 = 1 << 18;

/// Longest name of a file in an archive, and the most folders it may lie in.
/// Systems allow 4,096 bytes; much longer names only serve to fill memory.
const MAX_NAME_LEN: usize = 4_096;
const MAX_DEPTH: usize = 128;

/// An archive's file, read at positions from several threads at once.
#[derive(Clone, Debug)]
pub(super) struct PositionedFile {
    source: Source,
    len: u64,
    position: u64,
}

#[derive(Clone, Debug)]
enum Source {
    Disk(Arc<File>),
    /// With the bytes that were read last, and where they start.
    Stored {
        store: SharedStore,
        path: String,
        ahead: (u64, Bytes),
    },
}

impl PositionedFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::other(NO_REGULAR_FILE));
        }
        let (file, len) = (File::open(path)?, metadata.len());
        Ok(Self {
            source: Source::Disk(Arc::new(file)),
            len,
            position: 0,
        })
    }

    /// An archive that lies in a bucket.
    pub(super) fn open_in(store: &SharedStore, path: &str) -> Result<Self, StoreError> {
        let len = store.len(path)?.ok_or(StoreError::Missing)?;
        Ok(Self {
            source: Source::Stored {
                store: SharedStore::clone(store),
                path: path.to_owned(),
                ahead: (0, Bytes::new()),
            },
            len,
            position: 0,
        })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }
}

impl Read for PositionedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.source {
            Source::Disk(file) => {
                #[cfg(unix)]
                let read = std::os::unix::fs::FileExt::read_at(&**file, buffer, self.position)?;
                #[cfg(windows)]
                let read =
                    std::os::windows::fs::FileExt::seek_read(&**file, buffer, self.position)?;
                read
            }
            Source::Stored { store, path, ahead } => {
                let is_ahead = (ahead.0..ahead.0 + ahead.1.len() as u64).contains(&self.position);
                if !is_ahead && self.position < self.len {
                    let end = self.len.min(self.position.saturating_add(READ_AHEAD_LEN));
                    let bytes = store
                        .read_range(path, self.position..end)
                        .map_err(io::Error::other)?;
                    *ahead = (self.position, bytes.into());
                }
                let from = self.position.saturating_sub(ahead.0);
                let rest = usize::try_from(from)
                    .ok()
                    .and_then(|from| ahead.1.get(from..))
                    .unwrap_or_default();
                let read = rest.len().min(buffer.len());
                buffer[..read].copy_from_slice(&rest[..read]);
                read
            }
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for PositionedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// The names in an archive, by folder, each with what finds it again.
#[derive(Debug)]
pub(super) struct Contents<T> {
    location: String,
    files: HashMap<String, T>,
    folders: HashMap<String, Vec<Entry>>,
}

impl<T> Contents<T> {
    /// Refuses an archive of which a name leads out of it: nothing here is
    /// ever unpacked, but another program may. `location` is the archive's.
    pub(super) fn new(
        location: String,
        files: impl IntoIterator<Item = (String, T)>,
    ) -> Result<Self, StoreError> {
        let mut contents = Self {
            location,
            files: HashMap::new(),
            folders: HashMap::new(),
        };
        for (name, place) in files {
            let name = inner_path(&name).map_err(|problem| {
                let shown: String = name.chars().take(200).collect();
                StoreError::Refused(format!(
                    "archive '{}' holds '{}', which {problem}\nhint: do not use this archive; \
                     fetch it again from its source",
                    contents.location,
                    shown.escape_default()
                ))
            })?;
            // Of two entries of one name the later replaces the earlier, as
            // unpacking would.
            if contents.files.insert(name.clone(), place).is_none() {
                contents.list(&name);
            }
        }
        for entries in contents.folders.values_mut() {
            entries.sort();
            entries.dedup();
        }
        Ok(contents)
    }

    /// Enters a file and the folders above it.
    fn list(&mut self, path: &str) {
        let (mut rest, mut is_folder) = (path, false);
        loop {
            let (folder, name) = rest.rsplit_once('/').unwrap_or(("", rest));
            let is_known = self.folders.contains_key(folder);
            self.folders
                .entry(folder.to_owned())
                .or_default()
                .push(Entry {
                    name: name.to_owned(),
                    is_folder,
                });
            if folder.is_empty() || is_known {
                return;
            }
            (rest, is_folder) = (folder, true);
        }
    }

    pub(super) fn location(&self) -> String {
        self.location.clone()
    }

    pub(super) fn get(&self, path: &str) -> Option<&T> {
        self.files.get(path)
    }

    pub(super) fn entries(&self, folder: &str) -> Vec<Entry> {
        self.folders
            .get(folder.trim_end_matches('/'))
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn files(&self, folder: &str) -> Vec<String> {
        let start = joined(folder, "");
        let mut files: Vec<String> = self
            .files
            .keys()
            .filter(|path| path.starts_with(&start))
            .cloned()
            .collect();
        files.sort();
        files
    }
}

/// A name of an archive as a path within it: `./a\b` is `a/b`. Refused if it
/// is absolute, climbs out, or is longer than a path can be.
fn inner_path(name: &str) -> Result<String, &'static str> {
    if name.len() > MAX_NAME_LEN {
        return Err("is longer than a path can be");
    }
    let leads_out = "leads out of it";
    if name.contains('\0') || name.starts_with(['/', '\\']) || name.get(1..2) == Some(":") {
        return Err(leads_out);
    }
    let parts: Vec<&str> = name
        .split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.is_empty() || parts.contains(&"..") {
        return Err(leads_out);
    }
    if parts.len() > MAX_DEPTH {
        return Err("lies deeper than folders can");
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in [
            "../a",
            "a/../../b",
            "/etc/passwd",
            "C:\\a",
            "\\\\host\\a",
            "a\0b",
            "..",
        ] {
            assert_eq!(inner_path(name), Err("leads out of it"), "{name}");
        }
        assert_eq!(inner_path("./a//b\\c").as_deref(), Ok("a/b/c"));
        assert!(inner_path(&"a/".repeat(1_000)).is_err());
        assert!(inner_path(&"a".repeat(5_000)).is_err());
    }

    #[test]
    fn folders_list_files_and_folders_once() {
        let files = ["a/b/1", "a/b/2", "a/3", "4"].map(|name| (name.to_owned(), ()));
        let contents = Contents::new("x.zip".to_owned(), files).expect("harmless names");
        let names = |folder| -> Vec<String> {
            let entries = contents.entries(folder).into_iter();
            entries
                .map(|entry| format!("{}{}", entry.name, ["", "/"][usize::from(entry.is_folder)]))
                .collect()
        };
        assert_eq!(names(""), ["4", "a/"]);
        assert_eq!(names("a"), ["3", "b/"]);
        assert_eq!(names("a/b"), ["1", "2"]);
        assert_eq!(contents.files("a"), ["a/3", "a/b/1", "a/b/2"]);
    }
}
