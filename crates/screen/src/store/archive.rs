use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Entry, StoreError, joined};

/// A file read at positions from several threads at once.
#[derive(Clone, Debug)]
pub(super) struct PositionedFile {
    file: Arc<File>,
    len: u64,
    position: u64,
}

impl PositionedFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self {
            file: Arc::new(file),
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
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.position)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, self.position)?;
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
    path: PathBuf,
    files: HashMap<String, T>,
    folders: HashMap<String, Vec<Entry>>,
}

impl<T> Contents<T> {
    /// Refuses an archive of which a name leads out of it: nothing here is
    /// ever unpacked, but a reader that is is one step away.
    pub(super) fn new(
        path: &Path,
        files: impl IntoIterator<Item = (String, T)>,
    ) -> Result<Self, StoreError> {
        let mut contents = Self {
            path: path.to_owned(),
            files: HashMap::new(),
            folders: HashMap::new(),
        };
        for (name, place) in files {
            let name = inner_path(&name).ok_or_else(|| {
                StoreError::Refused(format!(
                    "archive '{}' holds '{}', which leads out of it\nhint: do not use this \
                     archive; fetch it again from its source",
                    path.display(),
                    name.escape_default()
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
        self.path.display().to_string()
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

/// A name of an archive as a path within it: `./a\b` is `a/b`; `None` if it
/// is absolute or climbs out.
fn inner_path(name: &str) -> Option<String> {
    if name.contains('\0') || name.starts_with(['/', '\\']) || name.get(1..2) == Some(":") {
        return None;
    }
    let parts: Vec<&str> = name
        .split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
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
            assert_eq!(inner_path(name), None, "{name}");
        }
        assert_eq!(inner_path("./a//b\\c").as_deref(), Some("a/b/c"));
    }

    #[test]
    fn folders_list_files_and_folders_once() {
        let files = ["a/b/1", "a/b/2", "a/3", "4"].map(|name| (name.to_owned(), ()));
        let contents = Contents::new(Path::new("x.zip"), files).expect("harmless names");
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
