use std::collections::HashMap;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{Error as ObjectError, ObjectStore, ObjectStoreExt, parse_url_opts};
use reqwest::Url;
use tokio::runtime::Runtime;

use super::{Entry, MAX_FILE_LEN, Store, StoreError};

/// A bucket (`s3://`, `gs://`, `az://`) or a web server (`https://`).
///
/// Credentials, region and endpoint are taken from the environment, by the
/// names the clouds' own tools use (`AWS_ACCESS_KEY_ID`, `AWS_REGION`,
/// `AWS_ENDPOINT`, `GOOGLE_APPLICATION_CREDENTIALS`,
/// `AZURE_STORAGE_ACCOUNT_NAME`, …). Without credentials requests to S3 and
/// Google are unsigned, as public buckets such as the Cell Painting Gallery
/// want them.
#[derive(Debug)]
pub(crate) struct BucketStore {
    url: String,
    store: Box<dyn ObjectStore>,
    prefix: ObjectPath,
    /// Files of each folder that was asked about: one request tells of all.
    folders: Mutex<HashMap<String, Arc<Folder>>>,
    can_list: bool,
}

/// A folder's files with their lengths, and its folders.
#[derive(Debug, Default)]
struct Folder {
    files: HashMap<String, u64>,
    entries: Vec<Entry>,
}

/// Any of these means that requests can be signed.
const S3_CREDENTIALS: [&str; 4] = [
    "aws_access_key_id",
    "aws_web_identity_token_file",
    "aws_container_credentials_relative_uri",
    "aws_container_credentials_full_uri",
];
const GOOGLE_CREDENTIALS: [&str; 4] = [
    "google_application_credentials",
    "google_service_account",
    "google_service_account_path",
    "google_service_account_key",
];

impl BucketStore {
    /// Makes a client; nothing is asked of the server yet.
    pub(crate) fn open(url: &str) -> Result<Self, StoreError> {
        let environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        Self::open_with(url, environment)
    }

    /// [`BucketStore::open`] with settings in place of the environment.
    pub(crate) fn open_with(
        url: &str,
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, StoreError> {
        // The client itself asks for a provider of ciphers.
        http_client()?;
        let parsed = Url::parse(url)
            .map_err(|error| StoreError::Refused(format!("'{url}' is not a URL ({error})")))?;
        let mut options: HashMap<String, String> = settings
            .into_iter()
            .map(|(key, value)| (key.to_ascii_lowercase(), value))
            .filter(|(key, _)| {
                ["aws_", "google_", "azure_"]
                    .iter()
                    .any(|cloud| key.starts_with(cloud))
            })
            .collect();
        for (cloud, credentials) in [("aws", S3_CREDENTIALS), ("google", GOOGLE_CREDENTIALS)] {
            if !credentials.iter().any(|key| options.contains_key(*key)) {
                options
                    .entry(format!("{cloud}_skip_signature"))
                    .or_insert_with(|| "true".to_owned());
            }
        }
        if options
            .get("aws_endpoint")
            .is_some_and(|url| url.starts_with("http://"))
        {
            options
                .entry("aws_allow_http".to_owned())
                .or_insert_with(|| "true".to_owned());
        }
        if parsed.scheme() == "http" {
            options.insert("allow_http".to_owned(), "true".to_owned());
        }
        let (store, prefix) = parse_url_opts(&parsed, options).map_err(StoreError::refused)?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            store,
            prefix,
            folders: Mutex::default(),
            can_list: !matches!(parsed.scheme(), "http" | "https"),
        })
    }

    fn path(&self, path: &str) -> ObjectPath {
        let mut full = self.prefix.clone();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            full = full.join(part);
        }
        full
    }

    fn refuse_listing(&self) -> Result<(), StoreError> {
        if self.can_list {
            return Ok(());
        }
        Err(StoreError::Refused(format!(
            "the files of the web server '{}' cannot be listed\nhint: give a screen whose table \
             names its files",
            self.url
        )))
    }

    fn folder(&self, folder: &str) -> Result<Arc<Folder>, StoreError> {
        let folder = folder.trim_matches('/');
        let cached = |folders: &HashMap<String, Arc<Folder>>| folders.get(folder).cloned();
        if let Some(found) = cached(&self.folders.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(found);
        }
        self.refuse_listing()?;
        let path = self.path(folder);
        let listing = wait(self.store.list_with_delimiter(Some(&path)))?.map_err(refusal)?;
        let mut found = Folder::default();
        for object in listing.objects {
            if let Some(name) = object.location.filename() {
                found.files.insert(name.to_owned(), object.size);
                found.entries.push(Entry {
                    name: name.to_owned(),
                    is_folder: false,
                });
            }
        }
        for prefix in listing.common_prefixes {
            if let Some(name) = prefix.filename() {
                found.entries.push(Entry {
                    name: name.to_owned(),
                    is_folder: true,
                });
            }
        }
        found.entries.sort();
        let found = Arc::new(found);
        self.folders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(folder.to_owned(), Arc::clone(&found));
        Ok(found)
    }
}

impl Store for BucketStore {
    fn location(&self) -> String {
        self.url.clone()
    }

    fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        Ok(self.folder(folder)?.entries.clone())
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.refuse_listing()?;
        let path = self.path(folder);
        let objects: Vec<_> = wait(self.store.list(Some(&path)).try_collect())?.map_err(refusal)?;
        let mut files: Vec<String> = objects
            .iter()
            .filter_map(|object| {
                let parts = object.location.prefix_match(&self.prefix)?;
                let parts: Vec<_> = parts.collect();
                let names: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
                Some(names.join("/"))
            })
            .collect();
        files.sort();
        Ok(files)
    }

    fn len(&self, path: &str) -> Result<Option<u64>, StoreError> {
        if self.can_list {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            return Ok(self.folder(folder)?.files.get(name).copied());
        }
        match wait(self.store.head(&self.path(path)))? {
            Ok(object) => Ok(Some(object.size)),
            Err(error) => match refusal(error) {
                StoreError::Missing => Ok(None),
                refused @ StoreError::Refused(_) => Err(refused),
            },
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.path(path);
        wait(async {
            let object = self.store.get(&path).await.map_err(refusal)?;
            if object.meta.size > MAX_FILE_LEN {
                return Err(StoreError::too_long(object.meta.size));
            }
            Ok(object.bytes().await.map_err(refusal)?.to_vec())
        })?
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let wanted = range.end.saturating_sub(range.start);
        if wanted > MAX_FILE_LEN {
            return Err(StoreError::too_long(wanted));
        }
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let bytes =
            wait(self.store.get_range(&self.path(path), range.clone()))?.map_err(refusal)?;
        if bytes.len() as u64 != wanted {
            return Err(StoreError::too_short(
                &range,
                range.start + bytes.len() as u64,
            ));
        }
        Ok(bytes.to_vec())
    }
}

fn refusal(error: ObjectError) -> StoreError {
    match error {
        ObjectError::NotFound { .. } => StoreError::Missing,
        ObjectError::Unauthenticated { .. } | ObjectError::PermissionDenied { .. } => {
            StoreError::Refused(format!(
                "{error}\nhint: give credentials through the environment (AWS_ACCESS_KEY_ID, \
                 GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_KEY, …)"
            ))
        }
        other => StoreError::refused(other),
    }
}

/// Runs a request to its end. The threads that wait are the caller's; those
/// of the runtime only move bytes.
fn wait<F: Future>(request: F) -> Result<F::Output, StoreError> {
    Ok(blocking_runtime()?.block_on(request))
}

/// The one runtime of the program, started when a bucket is first used.
pub(crate) fn blocking_runtime() -> Result<&'static Runtime, StoreError> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let start = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("bucket")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())
    };
    RUNTIME
        .get_or_init(start)
        .as_ref()
        .map_err(|message| StoreError::Refused(format!("no thread for requests: {message}")))
}

/// The one HTTP client of the program.
pub(crate) fn http_client() -> Result<&'static reqwest::Client, StoreError> {
    static CLIENT: OnceLock<Result<reqwest::Client, String>> = OnceLock::new();
    let make = || {
        // An error only says that a provider has been installed before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .connect_timeout(std::time::Duration::from_secs(30))
            .read_timeout(std::time::Duration::from_secs(60))
            .build()
            .map_err(|error| error.to_string())
    };
    CLIENT
        .get_or_init(make)
        .as_ref()
        .map_err(|message| StoreError::Refused(message.clone()))
}
