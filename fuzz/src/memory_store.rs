use std::collections::BTreeMap;
use std::ops::Range;

use morphospace_screen::store::{Entry, Store, StoreError};

/// Files in memory.
#[derive(Debug)]
pub(super) struct MemoryStore {
    files: BTreeMap<String, Vec<u8>>,
}

/// Starts a line that names a file.
const MARK: &[u8] = b"=== ";

impl MemoryStore {
    /// Files written one after the other, each below a line `=== path`.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut files = BTreeMap::new();
        let mut rest = bytes.strip_prefix(MARK).unwrap_or_default();
        while !rest.is_empty() {
            let end = find(rest, b"\n=== ").map_or(rest.len(), |at| at + 1);
            let (section, after) = rest.split_at(end);
            rest = after.strip_prefix(MARK).unwrap_or_default();
            let line = find(section, b"\n").unwrap_or(section.len());
            let path = String::from_utf8_lossy(&section[..line]).into_owned();
            let is_path = |part: &str| !matches!(part, "" | "." | "..");
            if path.split('/').all(is_path) {
                let content = section.get(line + 1..).unwrap_or_default();
                files.insert(path, content.to_vec());
            }
        }
        Self { files }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

impl Store for MemoryStore {
    fn location(&self) -> String {
        "memory/screen".to_owned()
    }

    fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let start = below(folder);
        let mut entries: Vec<Entry> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(&start))
            .map(|rest| match rest.split_once('/') {
                Some((name, _)) => (name, true),
                None => (rest, false),
            })
            .map(|(name, is_folder)| Entry {
                name: name.to_owned(),
                is_folder,
            })
            .collect();
        entries.sort();
        entries.dedup();
        Ok(entries)
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let start = below(folder);
        let files = self.files.keys().filter(|path| path.starts_with(&start));
        Ok(files.cloned().collect())
    }

    fn len(&self, path: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.files.get(path).map(|bytes| bytes.len() as u64))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        self.files.get(path).cloned().ok_or(StoreError::Missing)
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let bytes = self.files.get(path).ok_or(StoreError::Missing)?;
        let part = bytes.get(range.start as usize..range.end as usize);
        part.map(<[u8]>::to_vec)
            .ok_or_else(|| StoreError::Refused("the file ends before".to_owned()))
    }
}

fn below(folder: &str) -> String {
    match folder.trim_end_matches('/') {
        "" => String::new(),
        folder => format!("{folder}/"),
    }
}
