use std::ops::Range;

use super::{Entry, SharedStore, Store, StoreError, joined};

/// A folder of a store as a store of its own: archives usually hold one
/// folder that holds the screen.
#[derive(Debug)]
pub(crate) struct SubfolderStore {
    store: SharedStore,
    folder: String,
}

impl SubfolderStore {
    pub(crate) fn new(store: SharedStore, folder: &str) -> Self {
        Self {
            store,
            folder: folder.trim_matches('/').to_owned(),
        }
    }

    fn full(&self, path: &str) -> String {
        joined(&self.folder, path)
    }
}

impl Store for SubfolderStore {
    fn location(&self) -> String {
        self.store.file_location(&self.folder)
    }

    fn file_location(&self, path: &str) -> String {
        self.store.file_location(&self.full(path))
    }

    fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        self.store.entries(&self.full(folder))
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let start = joined(&self.folder, "");
        let files = self.store.files(&self.full(folder))?;
        Ok(files
            .into_iter()
            .map(|path| path.strip_prefix(&start).map(str::to_owned).unwrap_or(path))
            .collect())
    }

    fn len(&self, path: &str) -> Result<Option<u64>, StoreError> {
        self.store.len(&self.full(path))
    }

    fn version(&self, path: &str) -> Result<Option<String>, StoreError> {
        self.store.version(&self.full(path))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        self.store.read(&self.full(path))
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.store.read_range(&self.full(path), range)
    }
}
