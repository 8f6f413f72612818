use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{NamedTempFile, TempDir, TempPath};

/// A file that is written beside where it shall stand, and has its name once it
/// is whole. Dropped before, nothing is left of it; what a kill leaves is found by
/// [`remove_abandoned`].
///
/// ```
/// use std::io::Write;
///
/// use morphospace_core::UnfinishedFile;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("table.csv");
/// let (unfinished, mut file) = UnfinishedFile::begin(&path)?;
/// file.write_all(b"well\n")?;
/// assert!(!path.exists());
/// unfinished.finish(file)?;
/// assert_eq!(std::fs::read(&path)?, b"well\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct UnfinishedFile {
    temporary: TempPath,
    path: PathBuf,
}

impl UnfinishedFile {
    /// The place and what to write into. Missing folders are made.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(path: &Path) -> io::Result<(Self, BufWriter<File>)> {
        let folder = folder_of(path);
        fs::create_dir_all(folder)?;
        let temporary = tempfile::Builder::new()
            .prefix(&prefix(path))
            .suffix(SUFFIX)
            .tempfile_in(folder)?;
        let (file, temporary) = NamedTempFile::into_parts(temporary);
        // Says that someone is at it, for as long as this process lives. Where a
        // file system knows no locks, nobody else can take one either.
        let _ = file.try_lock();
        let path = path.to_owned();
        Ok((Self { temporary, path }, BufWriter::new(file)))
    }

    /// Flushes to disk and renames onto the path.
    ///
    /// # Errors
    /// What the system says; what stood under the path before stays.
    pub fn finish(self, writer: BufWriter<File>) -> io::Result<()> {
        flush_to_disk(writer)?;
        let renamed = self.temporary.persist(&self.path);
        renamed.map_err(|error| error.error)
    }

    /// The same unless there is a file of the name. Returns whether there was
    /// none.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish_as_first(self, writer: BufWriter<File>) -> io::Result<bool> {
        flush_to_disk(writer)?;
        match self.temporary.persist_noclobber(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    }
}

fn flush_to_disk(mut writer: BufWriter<File>) -> io::Result<()> {
    writer.flush()?;
    let file = writer.into_inner();
    let file = file.map_err(io::IntoInnerError::into_error)?;
    make_readable(&file, 0o644)?;
    file.sync_all()
}

/// Removes the unfinished files below a folder whose writers are gone, killed
/// on the way; those that a process is at stay.
///
/// # Errors
/// What the system says.
pub fn remove_abandoned(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            remove_abandoned(&path)?;
        } else if name.starts_with('.') && name.ends_with(SUFFIX) && is_abandoned(&path)? {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether nobody holds the file's lock. A file that was begun just now may not
/// have it yet.
fn is_abandoned(path: &Path) -> io::Result<bool> {
    const SETTLED: Duration = Duration::from_secs(2);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let written = file.metadata()?.modified()?;
    // Whatever clock is wrong, a file of the future is not old.
    let is_old = written.elapsed().is_ok_and(|age| age > SETTLED);
    Ok(is_old && file.try_lock().is_ok())
}

/// A folder that is written beside where it shall stand, and has its name once
/// it is whole. Dropped before, nothing is left of it.
#[derive(Debug)]
pub struct UnfinishedFolder {
    temporary: TempDir,
    path: PathBuf,
}

impl UnfinishedFolder {
    /// Makes the folder to write into. Missing folders above it are made.
    ///
    /// # Errors
    /// What the system says, or that there is a file of the name.
    pub fn begin(path: &Path) -> io::Result<Self> {
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
    pub fn folder(&self) -> &Path {
        self.temporary.path()
    }

    /// Flushes every file to disk and puts the folder in the place of what stood
    /// there, which goes away only then. (No system call exchanges two folders
    /// everywhere: between two renames there is an instant without either.)
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(self) -> io::Result<()> {
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

pub(crate) fn folder_of(path: &Path) -> &Path {
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_a_kill_leaves_is_removed_and_what_is_at_work_stays() {
        let folder = tempfile::tempdir().unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(100);
        let below = folder.path().join("plates");
        let (unfinished, mut writer) = UnfinishedFile::begin(&below.join("1.csv")).unwrap();
        writer.get_mut().set_modified(long_ago).unwrap();
        let left = below.join(".2.csv.abc.tmp");
        let new = below.join(".3.csv.abc.tmp");
        let future = below.join(".5.csv.abc.tmp");
        for path in [&left, &new, &future] {
            fs::write(path, b"half").unwrap();
        }
        // Written by a machine whose clock is ahead.
        let ahead = SystemTime::now() + Duration::from_secs(3600);
        let opened = File::options().write(true).open(&future).unwrap();
        opened.set_modified(ahead).unwrap();
        File::options()
            .write(true)
            .open(&left)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        fs::write(below.join("4.tmp"), b"somebody else's").unwrap();
        remove_abandoned(folder.path()).unwrap();
        assert!(future.exists());
        assert!(!left.exists() && new.exists() && below.join("4.tmp").exists());
        writer.write_all(b"whole").unwrap();
        unfinished.finish(writer).unwrap();
        assert_eq!(fs::read(below.join("1.csv")).unwrap(), b"whole");
    }
}
