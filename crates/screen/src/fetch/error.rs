use std::path::PathBuf;

/// Why a dataset, or a file of it, was not fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The catalogue has no such dataset.
    #[error(
        "'{name}' is not in the catalogue{}\nhint: give one of {known}",
        near.as_ref().map_or_else(String::new, |near| format!(" (did you mean '{near}'?)"))
    )]
    UnknownDataset {
        /// What was given.
        name: String,
        /// What was probably meant.
        near: Option<String>,
        /// All datasets.
        known: String,
    },
    /// The licence was not accepted.
    #[error(
        "'{dataset}' may be used under a licence only: {licence}\n{url}\nhint: read it, and give \
         --accept-licence if you accept it"
    )]
    LicenceNotAccepted {
        /// The dataset.
        dataset: String,
        /// The licence's name.
        licence: String,
        /// Where to read it.
        url: String,
    },
    /// The address of a mirror is none.
    #[error("'{url}' is not the URL of a web server ({message})\nhint: give one as in {example}")]
    InvalidUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        message: String,
        /// One that would do.
        example: &'static str,
    },
    /// A path would leave the folder, or cannot be one.
    #[error(
        "the list of files of '{dataset}' has '{path}', which {problem}\nhint: nothing was \
         fetched; do not trust this server"
    )]
    UnsafePath {
        /// The dataset.
        dataset: String,
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The dataset has no file, or none of those asked for.
    #[error("'{dataset}' has no file{}\nhint: {hint}", wanted_files(wanted))]
    NoFiles {
        /// The dataset.
        dataset: String,
        /// Starts of paths that were asked for.
        wanted: Vec<String>,
        /// What to do about it.
        hint: &'static str,
    },
    /// More bytes than were allowed.
    #[error(
        "'{what}' takes {len} bytes, with which it would be more than the {max} that were \
         allowed\nhint: raise --max-bytes, or fetch part of it with --only"
    )]
    TooLarge {
        /// The dataset or file.
        what: String,
        /// Its bytes, as far as they are known.
        len: u64,
        /// The bound.
        max: u64,
    },
    /// The server could not be asked, or did not answer, or broke off again
    /// and again.
    #[error("{url}: {message}\nhint: {hint}")]
    NoAnswer {
        /// What was asked for.
        url: String,
        /// What happened.
        message: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The server's list of files cannot be understood.
    #[error("{url}: the list of files cannot be read ({message})\nhint: try again later")]
    InvalidListing {
        /// What was asked for.
        url: String,
        /// What is wrong.
        message: String,
    },
    /// A file has another length than the catalogue or the listing says.
    #[error(
        "'{file}' has {found} bytes, not {expected}\nhint: it was not put in place; it may have \
         changed at its source"
    )]
    WrongLength {
        /// The file.
        file: String,
        /// As it should be.
        expected: u64,
        /// As it is, or as far as it was read.
        found: u64,
    },
    /// A file has other contents than the catalogue, the listing or an
    /// earlier fetch says.
    #[error("'{file}' has the SHA-256 {found}, not {expected}\nhint: {hint}")]
    WrongChecksum {
        /// The file.
        file: String,
        /// As it should be.
        expected: String,
        /// As it is.
        found: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A file is not what its name says.
    #[error(
        "'{file}' {problem}\nhint: it was not put in place; the file may have moved, or need an \
         account: open {url} in a browser"
    )]
    WrongContents {
        /// The file.
        file: String,
        /// What it is.
        problem: String,
        /// Where it was had.
        url: String,
    },
    /// A file that nobody recorded lies where one is to be put, and is
    /// another.
    #[error(
        "'{}' is there with {found} bytes, but the dataset's has {expected}\nhint: move it away, \
         and fetch again", path.display()
    )]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        found: u64,
        /// Those of the dataset's file.
        expected: u64,
    },
    /// A file could not be brought.
    #[error("'{what}' was not fetched: {message}")]
    NotFetched {
        /// Where it lies.
        what: String,
        /// Why.
        message: String,
    },
    /// The record of what was fetched is none.
    #[error("'{}' is no record of what was fetched ({message})\nhint: move it away", path.display())]
    InvalidRecord {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The folder or a file in it cannot be read or written.
    #[error("cannot use '{}': {source}\nhint: check the disk and its permissions", path.display())]
    CannotUse {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

fn wanted_files(wanted: &[String]) -> String {
    match wanted {
        [] => String::new(),
        wanted => format!(" that starts with {}", wanted.join(" or ")),
    }
}

impl FetchError {
    pub(super) fn cannot_use(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::CannotUse {
            path: path.into(),
            source,
        }
    }

    /// Whether the files that come next would fail in the same way.
    pub(super) fn is_for_all_files(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::CannotUse { .. })
    }
}
