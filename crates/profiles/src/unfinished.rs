use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir, TempPath};

/// A file that is written beside where it shall stand, and has its name once it
/// is whole. Dropped before, nothing is left of it.
pub(crate) struct UnfinishedFile {
    temporary: TempPath,
    path: PathBuf,
}

impl UnfinishedFile {
    /// The place and what to write into. Missing folders are made.
    pub(crate) fn begin(path: &Path) -> io::Result<(Self, BufWriter<File>)> {
        let folder = folder_of(path);
        fs::create_dir_all(folder)?;
        let temporary = tempfile::Builder::new()
            .prefix(&prefix(path))
            .suffix(SUFFIX)
            .tempfile_in(folder)?;
        let (file, temporary) = NamedTempFile::into_parts(temporary);
        let path = path.to_owned();
        Ok((Self { temporary, path }, BufWriter::new(file)))
    }

    /// Flushes to disk and renames onto the path.
    pub(crate) fn finish(self, mut writer: BufWriter<File>) -> io::Result<()> {
        writer.flush()?;
        let file = writer.into_inner();
        let file = file.map_err(io::IntoInnerError::into_error)?;
        make_readable(&file, 0o644)?;
        file.sync_all()?;
        drop(file);
        let renamed = self.temporary.persist(&self.path);
        renamed.map_err(|error| error.error)
    }
}

/// A folder that is written beside where it shall stand, and has its name once
/// it is whole. Dropped before, nothing is left of it.
pub(crate) struct UnfinishedFolder {
    temporary: TempDir,
    path: PathBuf,
}

impl UnfinishedFolder {
    /// Makes the folder to write into. Missing folders above it are made.
    pub(crate) fn begin(path: &Path) -> io::Result<Self> {
        if path.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                "there is a file of this name",
            ));
        }
        fs::create_dir_all(folder_of(path))?;
        let temporary = temporary_folder(path)?;
        let path = path.to_owned();
        Ok(Self { temporary, path })
    }

    /// Where to write.
    pub(crate) fn folder(&self) -> &Path {
        self.temporary.path()
    }

    /// Flushes every file to disk and puts the folder in the place of what stood
    /// there, which goes away only then. (No system call exchanges two folders
    /// everywhere: between two renames there is an instant without either.)
    pub(crate) fn finish(self) -> io::Result<()> {
        sync_all(self.temporary.path())?;
        make_readable(&File::open(self.temporary.path())?, 0o755)?;
        let old = if self.path.exists() {
            let old = temporary_folder(&self.path)?;
            // Onto an empty folder, which a rename replaces.
            fs::rename(&self.path, old.path())?;
            Some(old)
        } else {
            None
        };
        if let Err(error) = fs::rename(self.temporary.path(), &self.path) {
            if let Some(old) = &old {
                fs::rename(old.path(), &self.path)?;
            }
            return Err(error);
        }
        // Its folder has another name now.
        let _ = self.temporary.keep();
        old.map_or(Ok(()), TempDir::close)
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// How the names of unfinished things begin, with the dot that hides them.
fn prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.")
}

const SUFFIX: &str = ".tmp";

fn temporary_folder(path: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix(&prefix(path))
        .suffix(SUFFIX)
        .tempdir_in(folder_of(path))
}

fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            File::open(&path)?.sync_all()?;
        }
    }
    Ok(())
}

/// Temporary files are private to their owner; a result is not.
#[cfg(unix)]
fn make_readable(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn make_readable(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}
