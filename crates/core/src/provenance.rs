use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Where a file came from, stored inside every file a stage writes.
///
/// ```
/// use morphospace_core::Provenance;
///
/// let provenance = Provenance::new("align")
///     .with_seed("bootstrap", 3)
///     .with_setting("method", "tvn");
/// let json = provenance.to_json();
/// assert_eq!(Provenance::from_json(&json).unwrap(), provenance);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the file's schema.
    pub schema_version: u32,
    /// Always `morphospace`.
    pub tool: String,
    /// The version that wrote the file.
    pub tool_version: String,
    /// The stage, e.g. `embed`.
    pub stage: String,
    /// SHA-256 of the resolved configuration, if the stage had one.
    pub config_sha256: Option<String>,
    /// What was read.
    pub inputs: Vec<InputHash>,
    /// Every seed by name.
    pub seeds: BTreeMap<String, u64>,
    /// Settings that a reader of the file should know.
    pub settings: BTreeMap<String, String>,
}

/// Something that was read and its SHA-256: of a file what `sha256sum` gives,
/// of anything else what whoever adds it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputHash {
    /// A file's name as it was given, or what it is.
    pub name: String,
    /// Lower-case hexadecimal digest.
    pub sha256: String,
}

impl Provenance {
    /// Version of the schemata of FORMATS in this release.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Provenance of a stage that has read nothing yet.
    pub fn new(stage: impl Into<String>) -> Self {
        Self {
            schema_version: Self::SCHEMA_VERSION,
            tool: "morphospace".to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            stage: stage.into(),
            config_sha256: None,
            inputs: Vec::new(),
            seeds: BTreeMap::new(),
            settings: BTreeMap::new(),
        }
    }

    /// Adds a file that was read, or a folder that is one table, such as a Zarr
    /// store.
    ///
    /// # Errors
    /// The file, or one in the folder, cannot be read.
    pub fn with_input(self, path: &Path) -> io::Result<Self> {
        let sha256 = match path.is_dir() {
            true => sha256_of_folder(path)?,
            false => sha256_of_file(path)?,
        };
        Ok(self.with_hash(path.display().to_string(), sha256))
    }

    /// Adds the SHA-256, in hexadecimal, of something that was read.
    #[must_use]
    pub fn with_hash(mut self, name: impl Into<String>, sha256: String) -> Self {
        let name = name.into();
        self.inputs.push(InputHash { name, sha256 });
        self
    }

    /// Adds a seed.
    #[must_use]
    pub fn with_seed(mut self, name: impl Into<String>, seed: u64) -> Self {
        self.seeds.insert(name.into(), seed);
        self
    }

    /// Adds a setting.
    #[must_use]
    pub fn with_setting(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.settings.insert(name.into(), value.to_string());
        self
    }

    /// One line of JSON, as stored in file metadata.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("maps of strings always serialise")
    }

    /// Reads what [`Provenance::to_json`] wrote.
    ///
    /// # Errors
    /// The text is not provenance.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }
}

/// SHA-256 of some bytes in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file, read in pieces.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// SHA-256 of the names of a folder's files and of their own, in the order of the
/// names.
fn sha256_of_folder(folder: &Path) -> io::Result<String> {
    fn list(folder: &Path, within: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = within.join(entry.file_name());
            match entry.path().is_dir() {
                true => list(&entry.path(), &name, files)?,
                false => files.push(name),
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    list(folder, Path::new(""), &mut files)?;
    files.sort_unstable();
    let mut hasher = Sha256::new();
    for file in files {
        let sha256 = sha256_of_file(&folder.join(&file))?;
        hasher.update(format!("{} {sha256}\n", file.display()));
    }
    Ok(hex(&hasher.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_told_from_one_with_other_contents() {
        let parent = tempfile::tempdir().expect("a folder");
        let hash = |name: &str, files: &[(&str, &str)]| {
            let folder = parent.path().join(name);
            for (path, text) in files {
                let path = folder.join(path);
                std::fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
                std::fs::write(path, text).expect("written");
            }
            let provenance = Provenance::new("test").with_input(&folder).expect("read");
            provenance.inputs[0].sha256.clone()
        };
        let first = hash("first", &[("a", "1"), ("b/c", "2")]);
        assert_eq!(first, hash("same", &[("b/c", "2"), ("a", "1")]));
        assert_ne!(first, hash("other", &[("a", "1"), ("b/d", "2")]));
        assert_ne!(first, hash("changed", &[("a", "1"), ("b/c", "3")]));
    }

    #[test]
    fn digests_are_those_of_sha256sum() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), abc);
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), b"abc").expect("written");
        assert_eq!(sha256_of_file(file.path()).expect("read"), abc);
    }
}
