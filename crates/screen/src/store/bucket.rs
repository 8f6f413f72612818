use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::future::Future;
use std::ops::Range;
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as ObjectPath;
use object_store::{
    BackoffConfig, ClientOptions, Error as ObjectError, ObjectMeta, ObjectStore, ObjectStoreExt,
    ObjectStoreScheme, RetryConfig,
};
use reqwest::Url;
use tokio::runtime::Runtime;

use super::{Entry, MAX_FILE_LEN, Store, StoreError, joined};

/// A bucket (`s3://`, `gs://`, `az://`) or a web server (`https://`).
#[derive(Debug)]
pub(crate) struct BucketStore {
    url: String,
    store: Box<dyn ObjectStore>,
    prefix: ObjectPath,
    /// Files of each folder that was asked about: one request tells of all.
    folders: Mutex<HashMap<String, Arc<Folder>>>,
    is_web_server: bool,
}

/// A folder's files, and its folders.
#[derive(Debug, Default)]
struct Folder {
    files: HashMap<String, ObjectMeta>,
    entries: Vec<Entry>,
}

/// Of each cloud, what asks for unsigned requests, and what lets them be
/// signed: any of these.
const CREDENTIALS: [(&str, &[&str]); 3] = [
    (
        "aws_skip_signature",
        &[
            "aws_access_key_id",
            "aws_web_identity_token_file",
            "aws_container_credentials_relative_uri",
            "aws_container_credentials_full_uri",
        ],
    ),
    (
        "google_skip_signature",
        &[
            "google_application_credentials",
            "google_service_account",
            "google_service_account_path",
            "google_service_account_key",
            "google_bearer_token",
        ],
    ),
    (
        "azure_skip_signature",
        &[
            "azure_storage_account_key",
            "azure_storage_access_key",
            "azure_storage_sas_key",
            "azure_storage_sas_token",
            "azure_storage_token",
            "azure_storage_client_id",
            "azure_client_id",
            "azure_federated_token_file",
            "azure_msi_endpoint",
            "azure_identity_endpoint",
            "azure_use_azure_cli",
            "azure_storage_use_emulator",
        ],
    ),
];

/// Who asks for an endpoint without TLS means it.
const ENDPOINTS: [&str; 6] = [
    "aws_endpoint",
    "aws_endpoint_url",
    "aws_endpoint_url_s3",
    "google_base_url",
    "azure_endpoint",
    "azure_storage_endpoint",
];

/// A server that refuses connections is given up after some seconds, one
/// that is busy after a minute.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 5,
        retry_timeout: Duration::from_secs(60),
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest silence within an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// For a whole answer: a file of [`MAX_FILE_LEN`] at 4 MB/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);

impl BucketStore {
    /// Makes a client with settings from the environment; nothing is asked
    /// of the server yet.
    pub(crate) fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_with(url, environment())
    }

    /// [`BucketStore::open`] with settings in place of the environment.
    pub(crate) fn open_with(
        url: &str,
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, StoreError> {
        let parsed = parsed_url(url)?;
        if parsed.query().is_some() {
            return Err(StoreError::Refused(
                "a URL with '?' names one file, not a place with files\nhint: leave out what \
                 follows the '?'; credentials are taken from the environment"
                    .to_owned(),
            ));
        }
        let (store, prefix) = connect(&parsed, settings)?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            store,
            prefix,
            folders: Mutex::default(),
            is_web_server: matches!(parsed.scheme(), "http" | "https"),
        })
    }

    /// Asks the server once, so that a wrong address or wrong credentials
    /// are told from a place without a screen.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: the bucket is not there, or nothing lies
    /// under the URL. [`StoreError::Refused`]: no answer, or no permission.
    pub(crate) fn check_answers(&self) -> Result<(), StoreError> {
        if self.is_web_server {
            // Whatever it says of a folder, it answers.
            let client = http_client()?;
            let answer = wait(async { client.head(&self.url).send().await })?;
            return answer.map(drop).map_err(|error| no_answer(&error));
        }
        if self.folder("")?.entries.is_empty() {
            return Err(StoreError::Missing);
        }
        Ok(())
    }

    /// Names are kept as they are, but for a web server's, which are parts
    /// of URLs.
    fn path(&self, path: &str) -> Result<ObjectPath, StoreError> {
        let mut full = self.prefix.to_string();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            full = joined(&full, part);
        }
        if self.is_web_server {
            return ObjectPath::from_url_path(full).map_err(StoreError::refused);
        }
        ObjectPath::parse(full).map_err(StoreError::refused)
    }

    fn refuse_listing(&self) -> Result<(), StoreError> {
        if !self.is_web_server {
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
        let path = self.path(folder)?;
        let listing = wait(self.store.list_with_delimiter(Some(&path)))?.map_err(refusal)?;
        let mut found = Folder::default();
        for object in listing.objects {
            if let Some(name) = object.location.filename() {
                found.entries.push(Entry {
                    name: name.to_owned(),
                    is_folder: false,
                });
                found.files.insert(name.to_owned(), object);
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

    /// Paths and lengths of all files below a folder.
    ///
    /// # Errors
    /// [`StoreError::Refused`]: it cannot be listed, or has more files than
    /// `max_num`.
    pub(crate) fn files_with_lengths(
        &self,
        folder: &str,
        max_num: usize,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        self.refuse_listing()?;
        let path = self.path(folder)?;
        wait(async {
            let mut objects = self.store.list(Some(&path));
            let mut files = Vec::new();
            while let Some(object) = objects.try_next().await.map_err(refusal)? {
                let Some(parts) = object.location.prefix_match(&self.prefix) else {
                    continue;
                };
                if files.len() == max_num {
                    return Err(StoreError::Refused(format!(
                        "'{}' has more than {max_num} files",
                        self.url
                    )));
                }
                let parts: Vec<_> = parts.collect();
                let names: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
                files.push((names.join("/"), object.size));
            }
            Ok(files)
        })?
    }

    /// What the place says about a file. Of a bucket, one listing tells of
    /// all files of a folder.
    fn object(&self, path: &str) -> Result<Option<ObjectMeta>, StoreError> {
        if !self.is_web_server {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            return Ok(self.folder(folder)?.files.get(name).cloned());
        }
        match wait(self.store.head(&self.path(path)?))? {
            Ok(object) => Ok(Some(object)),
            Err(error) => match refusal(error) {
                StoreError::Missing => Ok(None),
                refused @ StoreError::Refused(_) => Err(refused),
            },
        }
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
        let mut files: Vec<String> = self
            .files_with_lengths(folder, usize::MAX)?
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        files.sort();
        Ok(files)
    }

    fn len(&self, path: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.object(path)?.map(|object| object.size))
    }

    fn version(&self, path: &str) -> Result<Option<String>, StoreError> {
        let version = |object: ObjectMeta| {
            let tag = object.e_tag;
            let tag = tag.unwrap_or_else(|| object.last_modified.timestamp_micros().to_string());
            format!("{}-{tag}", object.size)
        };
        Ok(self.object(path)?.map(version))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.path(path)?;
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
        let path = self.path(path)?;
        let bytes = wait(self.store.get_range(&path, range.clone()))?.map_err(refusal)?;
        if bytes.len() as u64 != wanted {
            return Err(StoreError::too_short(
                &range,
                range.start + bytes.len() as u64,
            ));
        }
        Ok(bytes.to_vec())
    }
}

pub(super) fn parsed_url(url: &str) -> Result<Url, StoreError> {
    Url::parse(url).map_err(|error| StoreError::Refused(format!("'{url}' is not a URL ({error})")))
}

/// A client of a place and the path of the place within its bucket.
pub(super) fn connect(
    url: &Url,
    settings: impl IntoIterator<Item = (String, String)>,
) -> Result<(Box<dyn ObjectStore>, ObjectPath), StoreError> {
    // The client itself asks for a provider of ciphers.
    http_client()?;
    client(url, &options(url, settings)).map_err(refusal)
}

/// The environment's variables that are text.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
}

/// The settings that concern clouds, in lower case, with those that follow
/// from them.
fn options(
    url: &Url,
    settings: impl IntoIterator<Item = (String, String)>,
) -> BTreeMap<String, String> {
    let mut options: BTreeMap<String, String> = settings
        .into_iter()
        .map(|(key, value)| (key.to_ascii_lowercase(), value))
        .filter(|(key, _)| {
            ["aws_", "google_", "azure_"]
                .iter()
                .any(|cloud| key.starts_with(cloud))
        })
        .collect();
    for (skip_signature, credentials) in CREDENTIALS {
        if !credentials.iter().any(|key| options.contains_key(*key)) {
            options
                .entry(skip_signature.to_owned())
                .or_insert_with(|| "true".to_owned());
        }
    }
    let is_plain = |endpoint: &str| {
        options
            .get(endpoint)
            .is_some_and(|url| url.starts_with("http://"))
    };
    if url.scheme() == "http" || ENDPOINTS.into_iter().any(is_plain) {
        options.insert("allow_http".to_owned(), "true".to_owned());
    }
    options
}

fn client(
    url: &Url,
    options: &BTreeMap<String, String>,
) -> Result<(Box<dyn ObjectStore>, ObjectPath), ObjectError> {
    let patience = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_read_timeout(READ_TIMEOUT)
        .with_timeout(REQUEST_TIMEOUT);
    let (scheme, path) = ObjectStoreScheme::parse(url).map_err(ObjectError::from)?;
    let store: Box<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let builder = AmazonS3Builder::new()
                .with_url(url.as_str())
                .with_client_options(patience)
                .with_retry(retries());
            Box::new(configured(builder, options, AmazonS3Builder::with_config).build()?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder = GoogleCloudStorageBuilder::new()
                .with_url(url.as_str())
                .with_client_options(patience)
                .with_retry(retries());
            Box::new(configured(builder, options, GoogleCloudStorageBuilder::with_config).build()?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder = MicrosoftAzureBuilder::new()
                .with_url(url.as_str())
                .with_client_options(patience)
                .with_retry(retries());
            Box::new(configured(builder, options, MicrosoftAzureBuilder::with_config).build()?)
        }
        ObjectStoreScheme::Http => {
            let mut server = url.clone();
            server.set_path("");
            let builder = HttpBuilder::new()
                .with_url(server)
                .with_client_options(patience)
                .with_retry(retries());
            Box::new(configured(builder, options, HttpBuilder::with_config).build()?)
        }
        other => {
            return Err(ObjectError::NotSupported {
                source: format!("{other:?} URLs are not read").into(),
            });
        }
    };
    Ok((store, path))
}

/// A cloud's builder with the options that it knows.
fn configured<B, K: FromStr>(
    builder: B,
    options: &BTreeMap<String, String>,
    with_config: fn(B, K, String) -> B,
) -> B {
    options
        .iter()
        .fold(builder, |builder, (key, value)| match key.parse() {
            Ok(key) => with_config(builder, key, value.clone()),
            Err(_) => builder,
        })
}

pub(super) fn refusal(error: ObjectError) -> StoreError {
    let status = match &error {
        ObjectError::NotFound { .. } => Some(404),
        ObjectError::Unauthenticated { .. } | ObjectError::PermissionDenied { .. } => Some(403),
        other => status_in_words(&other.to_string()),
    };
    match status {
        Some(404) => StoreError::Missing,
        Some(401 | 403) => StoreError::Refused(format!(
            "no permission: {}\nhint: give credentials through the environment (AWS_ACCESS_KEY_ID \
             and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, \
             AZURE_STORAGE_ACCOUNT_KEY, …); without any, requests are unsigned",
            in_short(&error)
        )),
        _ => no_answer(&error),
    }
}

/// The status of an answer, which `object_store` tells in words only where a
/// listing was refused.
fn status_in_words(message: &str) -> Option<u16> {
    let (_, rest) = message.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// A request that came to nothing.
fn no_answer(error: &(dyn Error + 'static)) -> StoreError {
    StoreError::Refused(format!(
        "{}\nhint: check the URL, the network and the settings in the environment (AWS_ENDPOINT, \
         AWS_REGION, GOOGLE_BASE_URL, AZURE_STORAGE_ENDPOINT, …)",
        in_short(error)
    ))
}

/// Longest part of an error that is shown: servers send whole pages.
const MAX_ERROR_LEN: usize = 500;

/// What an error and its last cause say, in one line.
pub(crate) fn in_short(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    let words = |text: &str| -> String {
        let words = text.split(|c: char| c.is_whitespace() || c.is_control());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        words.join(" ").chars().take(MAX_ERROR_LEN).collect()
    };
    let text = words(&error.to_string());
    let cause = words(&last.to_string());
    if text.contains(&cause) {
        return text;
    }
    format!("{text} ({cause})")
}

/// Runs a request to its end. The threads that wait are the caller's; those
/// of the runtime only move bytes.
pub(super) fn wait<F: Future>(request: F) -> Result<F::Output, StoreError> {
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

const MAX_REDIRECTS: usize = 10;

/// Follows redirections, but not for ever, and never from an encrypted
/// connection to one that is not.
fn follow(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let last = attempt.previous().last();
    if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("too many redirections")
    } else if last.is_some_and(|last| last.scheme() == "https" && attempt.url().scheme() != "https")
    {
        attempt.error("it redirects to a connection without encryption")
    } else {
        attempt.follow()
    }
}

/// The one HTTP client of the program.
pub(crate) fn http_client() -> Result<&'static reqwest::Client, StoreError> {
    static CLIENT: OnceLock<Result<reqwest::Client, String>> = OnceLock::new();
    let make = || {
        // An error only says that a provider has been installed before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::custom(follow))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(|error| error.to_string())
    };
    CLIENT
        .get_or_init(make)
        .as_ref()
        .map_err(|message| StoreError::Refused(message.clone()))
}
