use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use morphospace_core::{extended_files, sha256_hex, sha256_of_file, write_atomically};
use serde::{Deserialize, Serialize};

/// What a step of a recipe read and wrote, so that it is known whether it has to be
/// done again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StepRecord {
    pub(super) tool_version: String,
    /// The words of its command.
    pub(super) command: Vec<String>,
    /// Versions of the files and folders that the words name and that were there
    /// before.
    pub(super) inputs: BTreeMap<PathBuf, String>,
    /// Versions of those that it wrote.
    pub(super) outputs: BTreeMap<PathBuf, String>,
    /// Whether it left nothing out.
    pub(super) is_complete: bool,
    pub(super) seconds: f64,
}

impl StepRecord {
    /// Where that of a command lies below a run's folder.
    pub(super) fn path(run: &Path, words: &[String]) -> PathBuf {
        let name = sha256_hex(words.join("\0").as_bytes());
        run.join("steps").join(format!("{}.json", &name[..16]))
    }

    /// `None` if there is none or it cannot be read: then the step is done again.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        write_atomically(path, |file| file.write_all(&json))
    }

    /// Whether the step would do the same, and what it did is still there.
    pub(super) fn stands_for(&self, words: &[String], inputs: &BTreeMap<PathBuf, String>) -> bool {
        self.is_complete
            && !self.outputs.is_empty()
            && self.tool_version == env!("CARGO_PKG_VERSION")
            && self.command == words
            && self.inputs == *inputs
            && self
                .outputs
                .iter()
                .all(|(path, before)| version(path).is_ok_and(|now| now.as_ref() == Some(before)))
    }
}

/// What tells a file's or folder's contents from others: of files their SHA-256, of
/// folders names, lengths and times of change of all files in them. `None` if there
/// is nothing.
pub(super) fn version(path: &Path) -> io::Result<Option<String>> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A word with a file's name as one of its folders is no path.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(error),
    };
    if found.is_file() {
        // Settings are what they build on, too.
        let files = match path.extension().is_some_and(|end| end == "toml") {
            true => extended_files(path).unwrap_or_else(|_| vec![path.to_owned()]),
            false => vec![path.to_owned()],
        };
        let hashes: io::Result<Vec<String>> =
            files.iter().map(|file| sha256_of_file(file)).collect();
        return Ok(Some(format!("sha256 {}", hashes?.join(" "))));
    }
    let mut lines = Vec::new();
    list(path, path, &mut lines)?;
    lines.sort();
    Ok(Some(format!(
        "listing {}",
        sha256_hex(lines.join("\n").as_bytes())
    )))
}

fn list(root: &Path, folder: &Path, lines: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let found = fs::metadata(&path)?;
        if found.is_dir() {
            list(root, &path, lines)?;
            continue;
        }
        let changed = found.modified()?.duration_since(UNIX_EPOCH);
        lines.push(format!(
            "{} {} {:?}",
            path.strip_prefix(root).unwrap_or(&path).display(),
            found.len(),
            changed.unwrap_or_default()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_change_with_those_they_build_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("row.toml"), "extends = 'base.toml'").expect("a file");
        fs::write(path("base.toml"), "seed = 1").expect("a file");
        let before = version(&path("row.toml")).expect("a version");
        fs::write(path("base.toml"), "seed = 2").expect("a file");
        assert_ne!(version(&path("row.toml")).expect("a version"), before);
    }

    #[test]
    fn a_step_is_done_again_if_something_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("screen")).expect("a folder");
        fs::write(path("screen/a.png"), "a").expect("a file");
        fs::write(path("out.csv"), "1").expect("a file");
        let versions = |names: &[&str]| -> BTreeMap<PathBuf, String> {
            let version = |name: &&str| Some((path(name), version(&path(name)).ok()??));
            names.iter().filter_map(version).collect()
        };
        let words = ["embed".to_owned()];
        let record = StepRecord {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            command: words.to_vec(),
            inputs: versions(&["screen", "absent"]),
            outputs: versions(&["out.csv"]),
            is_complete: true,
            seconds: 1.0,
        };
        assert_eq!(record.inputs.len(), 1);
        assert!(record.stands_for(&words, &versions(&["screen"])));
        fs::write(path("screen/b.png"), "b").expect("a file");
        assert!(!record.stands_for(&words, &versions(&["screen"])));
        fs::remove_file(path("screen/b.png")).expect("a file");
        assert!(record.stands_for(&words, &versions(&["screen"])));
        fs::write(path("out.csv"), "2").expect("a file");
        assert!(!record.stands_for(&words, &versions(&["screen"])));
    }
}
