use std::sync::LazyLock;

use morphospace_core::suggestion;
use serde::{Deserialize, Serialize};

use super::FetchError;

/// Something published that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Its name on the command line.
    pub name: String,
    /// What it is, in a line.
    pub what: String,
    /// The terms under which it may be used.
    pub licence: Licence,
    /// Whom to cite.
    pub citation: String,
    /// How it is used once it is there.
    pub usage: Option<String>,
    /// Where its files lie; a mirror's URL may take its place.
    pub base_url: String,
    /// Its files, where they are known.
    #[serde(default)]
    pub files: Vec<DatasetFile>,
    /// Whom to ask for its files, where they are not.
    pub listing: Option<Listing>,
}

/// The terms under which a dataset may be used.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    /// Its name.
    pub name: String,
    /// Where it can be read.
    pub url: String,
}

/// A file of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetFile {
    /// Below the dataset's URL, and below the folder that it is fetched into.
    pub path: String,
    /// Its length in bytes, if known.
    pub len: Option<u64>,
    /// Its SHA-256 in lower-case hexadecimal digits, if known.
    pub sha256: Option<String>,
}

/// Who knows which files a dataset has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Listing {
    /// A repository of Hugging Face.
    HuggingFace {
        /// `datasets/owner/name`, or `owner/name` for a model.
        repository: String,
        /// Branch, tag or commit.
        revision: String,
        /// Paths that belong to the dataset; one that ends with `/` is a
        /// folder, with all that is in it.
        include: Vec<String>,
    },
    /// A public bucket that speaks S3.
    S3 {
        /// The bucket.
        bucket: String,
        /// The folder that becomes the folder that is fetched into.
        root: String,
        /// Folders below it that belong to the dataset.
        folders: Vec<String>,
    },
}

impl Dataset {
    /// Refuses to go on unless the licence is accepted.
    ///
    /// # Errors
    /// [`FetchError::LicenceNotAccepted`] shows it.
    pub fn check_licence(&self, is_accepted: bool) -> Result<(), FetchError> {
        self.licence.check(&self.name, is_accepted)
    }
}

impl Licence {
    pub(super) fn check(&self, dataset: &str, is_accepted: bool) -> Result<(), FetchError> {
        if is_accepted {
            return Ok(());
        }
        Err(FetchError::LicenceNotAccepted {
            dataset: dataset.to_owned(),
            licence: self.name.clone(),
            url: self.url.clone(),
        })
    }
}

/// All that can be fetched.
///
/// ```
/// let rxrx1 = morphospace_screen::fetch::find_dataset("rxrx1")?;
/// assert_eq!(rxrx1.licence.name, "CC BY-NC-SA 4.0");
/// let error = morphospace_screen::fetch::find_dataset("rxrx-1").unwrap_err();
/// assert!(error.to_string().contains("did you mean 'rxrx1'"));
/// # Ok::<(), morphospace_screen::fetch::FetchError>(())
/// ```
pub fn catalogue() -> &'static [Dataset] {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Catalogue {
        dataset: Vec<Dataset>,
    }
    static CATALOGUE: LazyLock<Vec<Dataset>> = LazyLock::new(|| {
        let catalogue: Catalogue =
            toml::from_str(include_str!("catalogue.toml")).expect("tests read the catalogue");
        catalogue.dataset
    });
    &CATALOGUE
}

/// The dataset of a name.
///
/// # Errors
/// [`FetchError::UnknownDataset`] names the nearest and all others.
pub fn find_dataset(name: &str) -> Result<&'static Dataset, FetchError> {
    let names = || catalogue().iter().map(|dataset| dataset.name.as_str());
    let found = catalogue().iter().find(|dataset| dataset.name == name);
    found.ok_or_else(|| FetchError::UnknownDataset {
        name: name.to_owned(),
        near: suggestion(name, names()).map(str::to_owned),
        known: names().collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_all_files_of_their_five_sources() {
        let all = find_dataset("annotations").expect("in the catalogue");
        let sources = ["corum", "humap", "reactome", "signor", "stringdb"]
            .map(|name| find_dataset(name).expect("in the catalogue"));
        let files = sources.iter().flat_map(|source| source.files.clone());
        assert_eq!(all.files, files.collect::<Vec<_>>());
        for source in sources {
            assert_eq!(all.base_url, source.base_url);
            let licence = &source.licence.name;
            assert!(all.licence.name.contains(licence), "{licence}");
        }
    }
}
