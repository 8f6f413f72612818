use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::unfinished::{UnfinishedFile, folder_of};

/// Writes a file that appears whole or not at all.
///
/// `write` fills a temporary file beside `path`, which is flushed to disk and
/// renamed onto `path` when `write` succeeds; a kill or an error on the way
/// leaves whatever stood under `path` before. Missing folders are made.
///
/// # Errors
/// What `write` returned, or the file system's refusal, as `E`.
///
/// ```
/// use std::io::Write;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("scores.json");
/// morphospace_core::write_atomically(&path, |file| file.write_all(b"{}"))?;
/// assert_eq!(std::fs::read(&path)?, b"{}");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write_atomically<T, E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<T, E>,
) -> Result<T, E> {
    let (unfinished, mut file) = UnfinishedFile::begin(path)?;
    let value = write(&mut file)?;
    unfinished.finish(file)?;
    Ok(value)
}

/// Writes a file that appears whole, unless there is one of its name already:
/// of several processes that begin the same thing, one does.
///
/// # Errors
/// As [`write_atomically`].
///
/// Returns whether the file was made.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("settings.json");
/// assert!(morphospace_core::create_atomically(&path, b"{}")?);
/// assert!(!morphospace_core::create_atomically(&path, b"[]")?);
/// assert_eq!(std::fs::read(&path)?, b"{}");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn create_atomically(path: &Path, contents: &[u8]) -> io::Result<bool> {
    let (unfinished, mut file) = UnfinishedFile::begin(path)?;
    file.write_all(contents)?;
    unfinished.finish_as_first(file)
}

/// Finds out whether [`write_atomically`] could write a file, so that hours
/// of work are not lost at their end. Creates the folder.
///
/// # Errors
/// What the system says.
pub fn check_writable(path: &Path) -> io::Result<()> {
    let folder = folder_of(path);
    if path.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "there is a folder of this name",
        ));
    }
    fs::create_dir_all(folder)?;
    tempfile::tempfile_in(folder).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_litter() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/table.csv");
        write_atomically(&path, |file| file.write_all(b"old")).expect("first write");
        let error = write_atomically(&path, |file| {
            file.write_all(b"half of the n")?;
            Err::<(), _>(io::Error::other("disk full"))
        })
        .expect_err("the writer failed");
        assert_eq!(error.to_string(), "disk full");
        assert_eq!(fs::read(&path).expect("still there"), b"old");
        let names = fs::read_dir(path.parent().expect("has one"))
            .expect("listed")
            .count();
        assert_eq!(names, 1);
    }
}
