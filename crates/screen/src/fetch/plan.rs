use std::collections::BTreeSet;

use reqwest::Url;

use super::download::len_at_source;
use super::listing::{list_hugging_face, list_s3};
use super::{Dataset, FetchError, FilePlan, Licence, Listing};

/// Which files of a dataset are to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPlan {
    /// The dataset's name.
    pub dataset: String,
    /// The terms under which it may be used.
    pub licence: Licence,
    /// The files, sorted by path, each once, all of them paths that stay
    /// within a folder.
    pub files: Vec<FilePlan>,
}

impl FetchPlan {
    /// Bytes of the files whose length is known, and how many are not.
    pub fn known_len(&self) -> (u64, usize) {
        let known = self.files.iter().filter_map(|file| file.len);
        let num_unknown = self.files.iter().filter(|file| file.len.is_none()).count();
        (known.fold(0, u64::saturating_add), num_unknown)
    }

    /// Asks servers for the lengths that the catalogue does not know, and
    /// returns what kept them from saying.
    pub fn ask_lengths(&mut self) -> Vec<FetchError> {
        let mut problems = Vec::new();
        for file in self.files.iter_mut().filter(|file| file.len.is_none()) {
            match len_at_source(file) {
                Ok(len) => file.len = len,
                Err(error) => problems.push(error),
            }
        }
        problems
    }

    /// Refuses more bytes than a bound, as far as lengths are known.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`].
    pub fn check_len(&self, max_bytes: Option<u64>) -> Result<(), FetchError> {
        let (len, _) = self.known_len();
        match max_bytes {
            Some(max) if len > max => Err(FetchError::TooLarge {
                what: self.dataset.clone(),
                len,
                max,
            }),
            _ => Ok(()),
        }
    }
}

/// Finds out which files a dataset has. Asks a server only if the catalogue
/// does not say.
///
/// `only` are starts of paths; without any, all files are planned. `mirror`
/// is the URL of a server that has the same files under the same paths, in
/// place of the dataset's own.
///
/// # Errors
/// [`FetchError`]: no answer, a list that cannot be read, a path in it that
/// leads out of the folder, or no file.
///
/// ```
/// use morphospace_screen::fetch::{find_dataset, plan_fetch};
///
/// let rxrx1 = find_dataset("rxrx1")?;
/// let plan = plan_fetch(rxrx1, &["rxrx1-metadata".into()], Some("https://mirror.institute/rx"))?;
/// assert_eq!(plan.files[0].url, "https://mirror.institute/rx/rxrx1-metadata.zip");
/// # Ok::<(), morphospace_screen::fetch::FetchError>(())
/// ```
pub fn plan_fetch(
    dataset: &Dataset,
    only: &[String],
    mirror: Option<&str>,
) -> Result<FetchPlan, FetchError> {
    let base = server_url(mirror.unwrap_or(&dataset.base_url))?;
    let mut files: Vec<FilePlan> = dataset
        .files
        .iter()
        .map(|file| FilePlan {
            path: file.path.clone(),
            url: below(&base, &file.path),
            len: file.len,
            sha256: file.sha256.clone(),
        })
        .collect();
    match &dataset.listing {
        None => {}
        Some(Listing::HuggingFace {
            repository,
            revision,
            include,
        }) => files.extend(list_hugging_face(&base, repository, revision, include)?),
        Some(Listing::S3 {
            bucket,
            root,
            folders,
        }) => files.extend(list_s3(&base, bucket, root, folders)?),
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    check_paths(&dataset.name, &files)?;
    let is_wanted =
        |file: &FilePlan| only.is_empty() || only.iter().any(|start| file.path.starts_with(start));
    let has_files = !files.is_empty();
    files.retain(is_wanted);
    if files.is_empty() {
        return Err(FetchError::NoFiles {
            dataset: dataset.name.clone(),
            wanted: only.to_vec(),
            hint: if has_files {
                "see what there is with --dry-run"
            } else {
                "it may have moved, or the mirror may not have it"
            },
        });
    }
    Ok(FetchPlan {
        dataset: dataset.name.clone(),
        licence: dataset.licence.clone(),
        files,
    })
}

fn check_paths(dataset: &str, files: &[FilePlan]) -> Result<(), FetchError> {
    let mut seen = BTreeSet::new();
    for file in files {
        let problem = match FilePlan::path_problem(&file.path) {
            None if !seen.insert(&file.path) => Some("is there twice"),
            problem => problem,
        };
        if let Some(problem) = problem {
            return Err(FetchError::UnsafePath {
                dataset: dataset.to_owned(),
                path: file.path.escape_debug().to_string(),
                problem,
            });
        }
    }
    Ok(())
}

pub(super) fn server_url(text: &str) -> Result<Url, FetchError> {
    let invalid = |message: &str| FetchError::InvalidUrl {
        url: text.to_owned(),
        message: message.to_owned(),
        example: "https://mirror.institute/datasets",
    };
    let url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("it starts with neither https:// nor http://"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("it has a '?' or '#'"));
    }
    Ok(url)
}

/// The URL of a path below another URL.
pub(super) fn below(base: &Url, path: &str) -> String {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/'));
    }
    url.into()
}
