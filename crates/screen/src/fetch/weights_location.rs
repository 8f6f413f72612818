use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use morphospace_core::sha256_hex;
use reqwest::Url;

use super::listing::list_hugging_face;
use super::plan::server_url;
use super::run::fetch;
use super::{FetchError, FetchOptions, FetchPlan, FetchProgress, FetchRecord, FilePlan, Licence};

/// Where Hugging Face's files are.
const HUGGING_FACE: &str = "https://huggingface.co";
/// The branch that is taken if none is said.
const MAIN: &str = "main";
/// Weights of a repository that names no file, the first that there is.
const USUAL_FILES: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
/// What says that the weights are in several files.
const SHARD_INDICES: [&str; 2] = [
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
];

/// Where published weights lie on a network: `hf://owner/name`,
/// `hf://owner/name@revision`, `hf://owner/name/path/to/file`, or
/// `https://server/file`, with `#sha256=…` behind it if their checksum is known.
///
/// ```
/// use morphospace_screen::fetch::WeightsLocation;
///
/// let location: WeightsLocation = "hf://recursionpharma/OpenPhenom@main".parse()?;
/// assert_eq!(location.to_string(), "hf://recursionpharma/OpenPhenom@main");
/// assert!("hf://OpenPhenom".parse::<WeightsLocation>().is_err());
/// assert!(!WeightsLocation::is_one("runs/first"));
/// # Ok::<(), morphospace_screen::fetch::FetchError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightsLocation {
    /// A repository of Hugging Face.
    HuggingFace {
        /// `owner/name`.
        repository: String,
        /// Branch, tag or commit.
        revision: String,
        /// The file in it, if one is named.
        file: Option<String>,
    },
    /// A file on a web server.
    Url {
        /// Its URL.
        url: Url,
        /// Its SHA-256 in lower-case hexadecimal digits, if known.
        sha256: Option<String>,
    },
}

/// Weights that were brought from their [`WeightsLocation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedWeights {
    /// The file.
    pub path: PathBuf,
    /// Where it was had.
    pub url: String,
    /// Why what was there before was taken, if the server did not answer.
    pub warning: Option<String>,
}

impl WeightsLocation {
    /// Whether a text is meant as a location on a network rather than a path.
    pub fn is_one(text: &str) -> bool {
        ["hf://", "https://", "http://"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
    }

    fn invalid(text: &str, message: &str) -> FetchError {
        FetchError::InvalidUrl {
            url: text.to_owned(),
            message: message.to_owned(),
            example: "hf://owner/name or https://server/model.safetensors",
        }
    }

    /// Brings the file into a folder of the cache, or finds it there.
    ///
    /// Files are checked against their SHA-256 as far as it is known: Hugging
    /// Face tells it of large files, and the cache remembers what came. Without
    /// an answer from the server, what was fetched before is taken, with a
    /// warning. `mirror` is the URL of a server in place of Hugging Face's.
    ///
    /// # Errors
    /// [`FetchError`]: no answer and nothing in the cache, no weights in the
    /// repository, weights in several files, a wrong checksum, more bytes than
    /// allowed.
    pub fn fetch(
        &self,
        cache: &Path,
        mirror: Option<&str>,
        max_bytes: Option<u64>,
        on_progress: &(dyn Fn(FetchProgress) + Sync),
    ) -> Result<FetchedWeights, FetchError> {
        let (folder, file) = match self {
            Self::Url { url, sha256 } => {
                let name = url.path_segments().and_then(|mut parts| parts.next_back());
                let file = FilePlan {
                    path: name
                        .filter(|name| !name.is_empty())
                        .unwrap_or("weights")
                        .to_owned(),
                    url: url.to_string(),
                    len: None,
                    sha256: sha256.clone(),
                };
                if let Some(problem) = FilePlan::path_problem(&file.path) {
                    return Err(Self::invalid(&self.to_string(), problem));
                }
                let key = sha256_hex(url.as_str().as_bytes());
                (cache.join("url").join(&key[..16]), file)
            }
            Self::HuggingFace {
                repository,
                revision,
                file,
            } => {
                let folder = cache.join("hf").join(repository).join(revision);
                let base = server_url(mirror.unwrap_or(HUGGING_FACE))?;
                match self.file_of_repository(&base, repository, revision, file.as_deref()) {
                    // What changes upstream is another file here.
                    Ok(file) => match &file.sha256 {
                        Some(sha256) => (folder.join(&sha256[..12]), file),
                        None => (folder, file),
                    },
                    Err(error @ FetchError::NoAnswer { .. }) => {
                        return self.fetched_before(&folder, error);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let path = folder.join(&file.path);
        let url = file.url.clone();
        let plan = FetchPlan {
            dataset: self.to_string(),
            licence: Licence {
                name: "see where they are published".to_owned(),
                url: url.clone(),
            },
            files: vec![file],
        };
        let options = FetchOptions {
            accept_licence: true,
            max_bytes,
            num_connections: 1,
            ..FetchOptions::default()
        };
        let report = fetch(&plan, &folder, &options, on_progress)?;
        match report.failures.into_iter().next() {
            None => Ok(FetchedWeights {
                path,
                url,
                warning: None,
            }),
            Some(message) => Err(FetchError::NotFetched {
                what: self.to_string(),
                message,
            }),
        }
    }

    fn file_of_repository(
        &self,
        base: &Url,
        repository: &str,
        revision: &str,
        file: Option<&str>,
    ) -> Result<FilePlan, FetchError> {
        let include: Vec<String> = match file {
            Some(file) => vec![file.to_owned()],
            None => USUAL_FILES
                .iter()
                .chain(&SHARD_INDICES)
                .map(|name| (*name).to_owned())
                .collect(),
        };
        let mut files = list_hugging_face(base, repository, revision, &include)?;
        let wanted = |name: &str| files.iter().position(|found| found.path == name);
        let found = match file {
            Some(file) => wanted(file),
            None => USUAL_FILES.iter().find_map(|name| wanted(name)),
        };
        let found = match found {
            Some(found) => files.swap_remove(found),
            None => {
                let is_sharded = SHARD_INDICES.iter().any(|name| wanted(name).is_some());
                return Err(FetchError::NoFiles {
                    dataset: self.to_string(),
                    wanted: include,
                    hint: match is_sharded {
                        true => "its weights are in several files, which is not read",
                        false => "name the file: hf://owner/name/path/to/file",
                    },
                });
            }
        };
        match FilePlan::path_problem(&found.path) {
            None => Ok(found),
            Some(problem) => Err(FetchError::UnsafePath {
                dataset: self.to_string(),
                path: found.path.escape_debug().to_string(),
                problem,
            }),
        }
    }

    /// The newest file that was fetched from here.
    fn fetched_before(
        &self,
        folder: &Path,
        no_answer: FetchError,
    ) -> Result<FetchedWeights, FetchError> {
        let subfolders = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = subfolders.map(|entry| entry.path()).collect();
        folders.push(folder.to_owned());
        folders.sort_by_key(|folder| {
            let modified = fs::metadata(folder.join(super::FETCH_RECORD));
            modified.and_then(|file| file.modified()).ok()
        });
        for folder in folders.iter().rev() {
            let record = FetchRecord::read(folder)?;
            let Some(dataset) = record.datasets.get(&self.to_string()) else {
                continue;
            };
            if let Some((path, file)) = dataset.files.iter().next() {
                return Ok(FetchedWeights {
                    path: folder.join(path),
                    url: file.url.clone(),
                    warning: Some(no_answer.to_string()),
                });
            }
        }
        Err(no_answer)
    }
}

impl FromStr for WeightsLocation {
    type Err = FetchError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(rest) = text.strip_prefix("hf://") else {
            return url_location(text);
        };
        let is_name = |part: &str| {
            let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !part.is_empty() && part.chars().all(is_allowed) && !part.starts_with('.')
        };
        let mut parts = rest.splitn(3, '/');
        let (owner, name) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let (name, revision) = name.split_once('@').unwrap_or((name, MAIN));
        if !is_name(owner) || !is_name(name) || !is_name(revision) {
            let message = "it is not hf://owner/name, hf://owner/name@revision or \
                           hf://owner/name/file";
            return Err(Self::invalid(text, message));
        }
        let file = parts.next().map(str::to_owned);
        if let Some(problem) = file.as_deref().and_then(FilePlan::path_problem) {
            return Err(Self::invalid(text, problem));
        }
        Ok(Self::HuggingFace {
            repository: format!("{owner}/{name}"),
            revision: revision.to_owned(),
            file,
        })
    }
}

fn url_location(text: &str) -> Result<WeightsLocation, FetchError> {
    let (url, fragment) = match text.split_once('#') {
        Some((url, fragment)) => (url, Some(fragment)),
        None => (text, None),
    };
    let sha256 = match fragment {
        None => None,
        Some(fragment) => {
            let digits = fragment.strip_prefix("sha256=").unwrap_or("");
            if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let message = "behind its '#' is not sha256= with 64 hexadecimal digits";
                return Err(WeightsLocation::invalid(text, message));
            }
            Some(digits.to_ascii_lowercase())
        }
    };
    let url =
        Url::parse(url).map_err(|error| WeightsLocation::invalid(text, &error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        let message = "it starts with none of hf://, https:// and http://";
        return Err(WeightsLocation::invalid(text, message));
    }
    Ok(WeightsLocation::Url { url, sha256 })
}

impl fmt::Display for WeightsLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HuggingFace {
                repository,
                revision,
                file,
            } => {
                write!(f, "hf://{repository}@{revision}")?;
                file.iter().try_for_each(|file| write!(f, "/{file}"))
            }
            Self::Url { url, .. } => url.fmt(f),
        }
    }
}
