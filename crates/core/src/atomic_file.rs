use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::TempPath;

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
    let (value, temporary) = written_beside(path, write)?;
    temporary.persist(path).map_err(|error| error.error)?;
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
    let ((), temporary) = written_beside(path, |file| file.write_all(contents))?;
    match temporary.persist_noclobber(path) {
        Ok(()) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

/// A temporary file beside `path`, flushed to disk.
fn written_beside<T, E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<T, E>,
) -> Result<(T, TempPath), E> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".tmp")
        .tempfile_in(folder)?;
    let (file, temporary_path) = temporary.into_parts();
    let mut writer = BufWriter::new(file);
    let value = write(&mut writer)?;
    writer.flush()?;
    let file = writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    make_readable_like_any_file(&file)?;
    file.sync_all()?;
    Ok((value, temporary_path))
}

/// Temporary files are private to their owner; a result is not.
#[cfg(unix)]
fn make_readable_like_any_file(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable_like_any_file(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Finds out whether [`write_atomically`] could write a file, so that hours
/// of work are not lost at their end. Creates the folder.
///
/// # Errors
/// What the system says.
pub fn check_writable(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
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
