use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::{Entry, SharedStore, Store, StoreError, is_url, open_url};

/// A store of which some paths are URLs of other places, as the tables of
/// the Cell Painting Gallery list them.
///
/// A URL whose upper folders are found in the store itself is read from
/// there: it is a mirror of the bucket, and never asks the network. The rest
/// go to their bucket.
#[derive(Debug)]
pub(crate) struct LinkedStore {
    home: SharedStore,
    /// What was decided for each bucket and top folder, by `scheme://bucket/top`.
    places: Mutex<HashMap<String, Place>>,
}

#[derive(Clone, Debug)]
enum Place {
    /// In the home store, without this many leading folders of the key.
    Mirror(usize),
    Bucket(SharedStore),
}

impl LinkedStore {
    pub(crate) fn new(home: SharedStore) -> Self {
        Self {
            home,
            places: Mutex::default(),
        }
    }

    /// The store that holds a path, and the path in it.
    fn place(&self, path: &str) -> Result<(SharedStore, String), StoreError> {
        if !is_url(path) {
            return Ok((SharedStore::clone(&self.home), path.to_owned()));
        }
        let (bucket, key) = split_url(path);
        let top = key.split('/').next().unwrap_or_default();
        let name = format!("{bucket}/{top}");
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match places.get(&name) {
            Some(place) => place.clone(),
            None => {
                let place = match self.mirror(key) {
                    Some(skipped) => Place::Mirror(skipped),
                    None => Place::Bucket(open_url(bucket)?),
                };
                places.insert(name, place.clone());
                place
            }
        };
        Ok(match place {
            Place::Mirror(skipped) => {
                let rest = key.splitn(skipped + 1, '/').last().unwrap_or(key);
                (SharedStore::clone(&self.home), rest.to_owned())
            }
            Place::Bucket(store) => (store, key.to_owned()),
        })
    }

    /// How many leading folders of a key to leave out, so that its next one
    /// is a folder of the home store.
    fn mirror(&self, key: &str) -> Option<usize> {
        let folders = self.home.entries("").ok()?;
        let parts: Vec<&str> = key.split('/').collect();
        (0..parts.len().saturating_sub(1)).find(|&skipped| {
            folders
                .iter()
                .any(|entry| entry.is_folder && entry.name == parts[skipped])
        })
    }
}

/// `s3://bucket/a/b` as `s3://bucket` and `a/b`.
fn split_url(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    match url[host..].find('/') {
        Some(slash) => (&url[..host + slash], &url[host + slash + 1..]),
        None => (url, ""),
    }
}

impl Store for LinkedStore {
    fn location(&self) -> String {
        self.home.location()
    }

    fn file_location(&self, path: &str) -> String {
        match self.place(path) {
            Ok((store, path)) => store.file_location(&path),
            Err(_) => path.to_owned(),
        }
    }

    fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        self.home.entries(folder)
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.home.files(folder)
    }

    fn len(&self, path: &str) -> Result<Option<u64>, StoreError> {
        let (store, path) = self.place(path)?;
        store.len(&path)
    }

    fn version(&self, path: &str) -> Result<Option<String>, StoreError> {
        let (store, path) = self.place(path)?;
        store.version(&path)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        let (store, path) = self.place(path)?;
        store.read(&path)
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let (store, path) = self.place(path)?;
        store.read_range(&path, range)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::FolderStore;

    #[test]
    fn urls_are_read_from_a_mirror_of_their_bucket() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let images = folder.path().join("source_4/images");
        std::fs::create_dir_all(&images).expect("a folder");
        std::fs::write(images.join("a.tiff"), b"pixels").expect("a file");
        let store = LinkedStore::new(Arc::new(FolderStore::new(folder.path())));
        let url = |file| format!("s3://cellpainting-gallery/cpg0016-jump/source_4/images/{file}");
        assert_eq!(store.read(&url("a.tiff")), Ok(b"pixels".to_vec()));
        assert_eq!(store.read(&url("b.tiff")), Err(StoreError::Missing));
        assert_eq!(store.read("source_4/images/a.tiff"), Ok(b"pixels".to_vec()));
    }

    #[test]
    fn urls_split_after_their_host() {
        assert_eq!(split_url("s3://bucket/a/b.png"), ("s3://bucket", "a/b.png"));
        assert_eq!(split_url("https://host"), ("https://host", ""));
    }
}
