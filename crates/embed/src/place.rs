use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use morphospace_core::{
    create_atomically, remove_abandoned, sha256_hex, sha256_of_file, write_atomically,
};
use morphospace_screen::store::{StoreError, WritableStore, is_url, open_writable};
use tempfile::TempDir;

use crate::EmbedError;

/// Where an embedding's files lie: a folder, or a bucket. Paths have `/` between their
/// parts.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Folder(PathBuf),
    /// Tables are written and read by way of a folder on disk.
    Bucket {
        bucket: Arc<dyn WritableStore>,
        scratch: Arc<TempDir>,
    },
}

impl Place {
    pub(crate) fn open(location: &Path) -> Result<Self, EmbedError> {
        let Some(url) = location.to_str().filter(|text| is_url(text)) else {
            return Ok(Self::Folder(location.to_owned()));
        };
        let bucket = open_writable(url).map_err(|error| store_error(location, error))?;
        let scratch = tempfile::Builder::new().prefix("morphospace-").tempdir();
        let scratch = scratch.map_err(|error| EmbedError::folder(&std::env::temp_dir(), error))?;
        Ok(Self::Bucket {
            bucket,
            scratch: Arc::new(scratch),
        })
    }

    /// As it should stand in messages.
    pub(crate) fn location(&self) -> PathBuf {
        match self {
            Self::Folder(root) => root.clone(),
            Self::Bucket { bucket, .. } => bucket.location().into(),
        }
    }

    /// A file, as it should stand in messages.
    pub(crate) fn file_location(&self, path: &str) -> PathBuf {
        match self {
            Self::Folder(root) => root.join(path),
            Self::Bucket { bucket, .. } => format!("{}/{path}", bucket.location()).into(),
        }
    }

    fn folder_error(&self, path: &str) -> impl Fn(io::Error) -> EmbedError {
        let path = self.file_location(path);
        move |error| EmbedError::folder(&path, error)
    }

    fn bucket_error(&self, path: &str) -> impl Fn(StoreError) -> EmbedError {
        let path = self.file_location(path);
        move |error| store_error(&path, error)
    }

    /// A file; `None` where there is none.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, EmbedError> {
        match self {
            Self::Folder(root) => match fs::read(root.join(path)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(self.folder_error(path)(error)),
            },
            Self::Bucket { bucket, .. } => bucket.read(path).map_err(self.bucket_error(path)),
        }
    }

    /// Bytes of a file; `None` where there is none.
    pub(crate) fn len(&self, path: &str) -> Result<Option<u64>, EmbedError> {
        match self {
            Self::Folder(root) => match fs::metadata(root.join(path)) {
                Ok(found) => Ok(Some(found.len())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(self.folder_error(path)(error)),
            },
            Self::Bucket { bucket, .. } => bucket.len(path).map_err(self.bucket_error(path)),
        }
    }

    /// Writes a file whole or not at all.
    pub(crate) fn write(&self, path: &str, bytes: Vec<u8>) -> Result<(), EmbedError> {
        match self {
            Self::Folder(root) => write_atomically(&root.join(path), |file| file.write_all(&bytes))
                .map_err(self.folder_error(path)),
            Self::Bucket { bucket, .. } => {
                bucket.write(path, bytes).map_err(self.bucket_error(path))
            }
        }
    }

    /// Writes a file that is not there; whether this was the first to do so.
    pub(crate) fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, EmbedError> {
        match self {
            Self::Folder(root) => {
                create_atomically(&root.join(path), bytes).map_err(self.folder_error(path))
            }
            Self::Bucket { bucket, .. } => bucket
                .write_new(path, bytes.to_vec())
                .map_err(self.bucket_error(path)),
        }
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, path: &str) -> Result<(), EmbedError> {
        match self {
            Self::Folder(root) => match fs::remove_file(root.join(path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(self.folder_error(path)(error))
                }
                _ => Ok(()),
            },
            Self::Bucket { bucket, .. } => bucket.remove(path).map_err(self.bucket_error(path)),
        }
    }

    /// Paths of all files below a folder, sorted.
    pub(crate) fn files(&self, folder: &str) -> Result<Vec<String>, EmbedError> {
        match self {
            Self::Folder(root) => {
                let mut files = Vec::new();
                files_below(&root.join(folder), folder, &mut files)
                    .map_err(self.folder_error(folder))?;
                files.sort();
                Ok(files)
            }
            Self::Bucket { bucket, .. } => bucket.files(folder).map_err(self.bucket_error(folder)),
        }
    }

    /// Whether there are files that are not about to become its first.
    pub(crate) fn holds_something(&self) -> Result<bool, EmbedError> {
        match self {
            Self::Folder(root) => {
                let entries = fs::read_dir(root).into_iter().flatten().flatten();
                let mut names = entries.map(|entry| entry.file_name());
                Ok(names.any(|name| !name.to_string_lossy().starts_with('.')))
            }
            Self::Bucket { .. } => Ok(!self.files("")?.is_empty()),
        }
    }

    /// Where a file is to be written before it is [published](Place::publish).
    pub(crate) fn path_to_write(&self, path: &str) -> PathBuf {
        match self {
            Self::Folder(root) => root.join(path),
            Self::Bucket { scratch, .. } => scratch.path().join(path),
        }
    }

    /// Puts a file that was written into its place; its length and SHA-256.
    pub(crate) fn publish(&self, path: &str) -> Result<(u64, String), EmbedError> {
        let written = self.path_to_write(path);
        let read = |error| EmbedError::folder(&written, error);
        match self {
            Self::Folder(_) => {
                let len = fs::metadata(&written).map_err(read)?.len();
                Ok((len, sha256_of_file(&written).map_err(read)?))
            }
            Self::Bucket { .. } => {
                let bytes = fs::read(&written).map_err(read)?;
                fs::remove_file(&written).map_err(read)?;
                let told = (bytes.len() as u64, sha256_hex(&bytes));
                self.write(path, bytes)?;
                Ok(told)
            }
        }
    }

    /// A file on disk with a file's contents; `None` where there is none.
    pub(crate) fn on_disk(&self, path: &str) -> Result<Option<PathBuf>, EmbedError> {
        match self {
            Self::Folder(root) => Ok(Some(root.join(path)).filter(|file| file.is_file())),
            Self::Bucket { scratch, .. } => {
                let Some(bytes) = self.read(path)? else {
                    return Ok(None);
                };
                let file = scratch.path().join("read").join(path);
                write_atomically(&file, |file| file.write_all(&bytes))
                    .map_err(|error| EmbedError::folder(&file, error))?;
                Ok(Some(file))
            }
        }
    }

    /// Forgets what [`Place::on_disk`] gave.
    pub(crate) fn forget(&self, file: &Path) {
        if matches!(self, Self::Bucket { .. }) {
            // Else it goes with the folder.
            let _ = fs::remove_file(file);
        }
    }

    /// Removes what kills have left of files; in buckets there is nothing.
    pub(crate) fn remove_abandoned(&self) -> Result<(), EmbedError> {
        match self {
            Self::Folder(root) => {
                remove_abandoned(root).map_err(|error| EmbedError::folder(root, error))
            }
            Self::Bucket { .. } => Ok(()),
        }
    }
}

fn store_error(path: &Path, error: StoreError) -> EmbedError {
    EmbedError::folder(path, io::Error::other(error))
}

fn files_below(folder: &Path, name: &str, files: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let below = format!("{name}/{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => files_below(&entry.path(), &below, files)?,
            false => files.push(below),
        }
    }
    Ok(())
}
