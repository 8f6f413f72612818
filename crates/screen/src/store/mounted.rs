use std::ops::Range;

use super::{Entry, SharedStore, Store, StoreError, joined};

/// A store in which others appear as folders: a folder of archives reads as
/// if they were unpacked where they lie.
#[derive(Debug)]
pub struct MountedStore {
    base: SharedStore,
    /// Folder and store. The folder may exist in the base, or in another
    /// mount, as well.
    mounts: Vec<(String, SharedStore)>,
}

impl MountedStore {
    /// `mounts` are folders of the new store, each with what it holds.
    pub fn new(base: SharedStore, mounts: Vec<(String, SharedStore)>) -> Self {
        Self { base, mounts }
    }

    /// The stores that may hold a path, each with the path in it; the base
    /// first.
    fn places<'a>(
        &'a self,
        path: &'a str,
    ) -> impl Iterator<Item = (&'a SharedStore, &'a str)> + 'a {
        let mounted = self.mounts.iter().filter_map(move |(folder, store)| {
            let rest = match folder.as_str() {
                "" => path,
                folder => path.strip_prefix(folder)?.strip_prefix('/')?,
            };
            Some((store, rest))
        });
        std::iter::once((&self.base, path)).chain(mounted)
    }

    fn holder<'a>(&'a self, path: &'a str) -> Option<(&'a SharedStore, &'a str)> {
        self.places(path)
            .find(|(store, path)| matches!(store.len(path), Ok(Some(_))))
    }
}

impl Store for MountedStore {
    fn location(&self) -> String {
        self.base.location()
    }

    fn file_location(&self, path: &str) -> String {
        match self.holder(path) {
            Some((store, path)) => store.file_location(path),
            None => self.base.file_location(path),
        }
    }

    fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let folder = folder.trim_end_matches('/');
        let mut entries = self.base.entries(folder)?;
        let below = joined(folder, "");
        for (mount, store) in &self.mounts {
            if let Some(rest) = mount.strip_prefix(&below)
                && !rest.is_empty()
            {
                // The mount lies deeper: its next step is a folder here.
                let name = rest.split('/').next().unwrap_or(rest).to_owned();
                entries.push(Entry {
                    name,
                    is_folder: true,
                });
            } else if mount.is_empty() || mount == folder {
                entries.extend(store.entries(folder.strip_prefix(mount).unwrap_or(""))?);
            } else if let Some(rest) = folder.strip_prefix(&format!("{mount}/")) {
                entries.extend(store.entries(rest)?);
            }
        }
        entries.sort();
        entries.dedup();
        Ok(entries)
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let start = joined(folder, "");
        let mut files = self.base.files(folder)?;
        for (mount, store) in &self.mounts {
            let prefix = joined(mount, "");
            let inner = start.strip_prefix(&prefix).unwrap_or("");
            if !start.starts_with(&prefix) && !prefix.starts_with(&start) {
                continue;
            }
            files.extend(store.files(inner)?.iter().map(|path| joined(mount, path)));
        }
        files.sort();
        files.dedup();
        Ok(files)
    }

    fn len(&self, path: &str) -> Result<Option<u64>, StoreError> {
        for (store, path) in self.places(path) {
            if let Some(len) = store.len(path)? {
                return Ok(Some(len));
            }
        }
        Ok(None)
    }

    fn version(&self, path: &str) -> Result<Option<String>, StoreError> {
        let (store, path) = self.holder(path).unwrap_or((&self.base, path));
        store.version(path)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        let (store, path) = self.holder(path).unwrap_or((&self.base, path));
        store.read(path)
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let (store, path) = self.holder(path).unwrap_or((&self.base, path));
        store.read_range(path, range)
    }
}
