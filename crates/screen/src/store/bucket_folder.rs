use futures_util::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{Error as ObjectError, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use super::bucket::{connect, parsed_url, refusal, wait};
use super::{StoreError, WritableStore, joined};

/// A folder in a bucket (`s3://`, `gs://`, `az://`) that can be written.
#[derive(Debug)]
pub(crate) struct BucketFolder {
    url: String,
    store: Box<dyn ObjectStore>,
    prefix: ObjectPath,
}

impl BucketFolder {
    pub(crate) fn open(
        url: &str,
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, StoreError> {
        let parsed = parsed_url(url)?;
        if matches!(parsed.scheme(), "http" | "https") || parsed.query().is_some() {
            return Err(StoreError::Refused(format!(
                "'{url}' is not the URL of a folder in a bucket\nhint: s3://, gs:// and az:// are; \
                 credentials and endpoints are taken from the environment"
            )));
        }
        let (store, prefix) = connect(&parsed, settings)?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            store,
            prefix,
        })
    }

    fn path(&self, path: &str) -> Result<ObjectPath, StoreError> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        let full = parts.fold(self.prefix.to_string(), |full, part| joined(&full, part));
        ObjectPath::parse(full).map_err(StoreError::refused)
    }
}

impl WritableStore for BucketFolder {
    fn location(&self) -> String {
        self.url.clone()
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(path)?;
        let answer = wait(async { self.store.get(&path).await?.bytes().await })?;
        if_there(answer.map(|bytes| bytes.to_vec()))
    }

    fn len(&self, path: &str) -> Result<Option<u64>, StoreError> {
        let answer = wait(self.store.head(&self.path(path)?))?;
        if_there(answer.map(|object| object.size))
    }

    fn write(&self, path: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let path = self.path(path)?;
        let answer = wait(self.store.put(&path, bytes.into()))?;
        answer.map(drop).map_err(refusal)
    }

    fn write_new(&self, path: &str, bytes: Vec<u8>) -> Result<bool, StoreError> {
        let options = PutOptions::from(PutMode::Create);
        let place = self.path(path)?;
        let answer = wait(self.store.put_opts(&place, bytes.clone().into(), options))?;
        match answer {
            Ok(_) => Ok(true),
            Err(ObjectError::AlreadyExists { .. }) => Ok(false),
            // Some servers know no conditions: then the last one to come wins, and is
            // told from the first by what is there.
            Err(ObjectError::NotImplemented { .. } | ObjectError::NotSupported { .. }) => {
                if self.len(path)?.is_some() {
                    return Ok(false);
                }
                self.write(path, bytes).map(|()| true)
            }
            Err(error) => Err(refusal(error)),
        }
    }

    fn remove(&self, path: &str) -> Result<(), StoreError> {
        let answer = wait(self.store.delete(&self.path(path)?))?;
        if_there(answer).map(drop)
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let path = self.path(folder)?;
        let objects = wait(self.store.list(Some(&path)).try_collect::<Vec<_>>())?;
        let mut files: Vec<String> = objects
            .map_err(refusal)?
            .into_iter()
            .filter_map(|object| {
                let parts = object.location.prefix_match(&self.prefix)?;
                let names: Vec<_> = parts.collect();
                Some(
                    names
                        .iter()
                        .map(AsRef::as_ref)
                        .collect::<Vec<&str>>()
                        .join("/"),
                )
            })
            .collect();
        files.sort();
        Ok(files)
    }
}

/// What a server says of a file, which may not be there.
fn if_there<T>(answer: Result<T, ObjectError>) -> Result<Option<T>, StoreError> {
    match answer.map_err(refusal) {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::Missing) => Ok(None),
        Err(refused) => Err(refused),
    }
}
