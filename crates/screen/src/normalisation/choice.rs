use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use morphospace_core::{excerpt, suggestion};
use serde::{Deserialize, Serialize};

use super::{Normalisation, NormalisationError, NormalisationStatistics};
use crate::standardise::SelfStandardisation;

/// A [`Normalisation`] as flags and configurations name it: a
/// self-standardisation, or the file of a table of statistics.
///
/// ```
/// use morphospace_screen::{NormalisationChoice, SelfStandardisation};
///
/// let choice: NormalisationChoice = "std_plus_eps".parse()?;
/// let expected = NormalisationChoice::SelfStandardise(SelfStandardisation::StdPlusEps);
/// assert_eq!(choice, expected);
/// let table: NormalisationChoice = "plates/normalisation.parquet".parse()?;
/// assert_eq!(table.to_string(), "plates/normalisation.parquet");
/// # Ok::<(), morphospace_screen::UnknownNormalisation>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NormalisationChoice {
    /// By each crop's own pixels.
    SelfStandardise(SelfStandardisation),
    /// By the statistics in a file that ends in `.parquet`.
    Table(PathBuf),
}

impl Default for NormalisationChoice {
    fn default() -> Self {
        Self::SelfStandardise(SelfStandardisation::default())
    }
}

impl NormalisationChoice {
    /// Reads the table, if it is one.
    ///
    /// # Errors
    /// As [`NormalisationStatistics::load`].
    pub fn open(&self) -> Result<Normalisation, NormalisationError> {
        Ok(match self {
            Self::SelfStandardise(method) => Normalisation::SelfStandardise(*method),
            Self::Table(path) => {
                Normalisation::Statistics(Arc::new(NormalisationStatistics::load(path)?))
            }
        })
    }

    /// The file of the table, if it is one.
    pub fn table(&self) -> Option<&Path> {
        match self {
            Self::SelfStandardise(_) => None,
            Self::Table(path) => Some(path),
        }
    }
}

impl fmt::Display for NormalisationChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfStandardise(method) => f.write_str(method.as_str()),
            Self::Table(path) => path.display().fmt(f),
        }
    }
}

impl From<NormalisationChoice> for String {
    fn from(choice: NormalisationChoice) -> Self {
        choice.to_string()
    }
}

impl TryFrom<String> for NormalisationChoice {
    type Error = UnknownNormalisation;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for NormalisationChoice {
    type Err = UnknownNormalisation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if Path::new(text)
            .extension()
            .is_some_and(|end| end == "parquet")
        {
            return Ok(Self::Table(PathBuf::from(text)));
        }
        text.parse()
            .map(Self::SelfStandardise)
            .map_err(|_| UnknownNormalisation {
                text: text.to_owned(),
                near: suggestion(
                    text,
                    SelfStandardisation::ALL.map(SelfStandardisation::as_str),
                )
                .map(str::to_owned),
            })
    }
}

/// A text that names no normalisation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{}' is neither a self-standardisation (instance_norm, instance_norm_no255, std_plus_eps, \
     zero_to_one) nor a table that ends in .parquet\nhint: {}",
    excerpt(text),
    near.as_ref().map_or(
        "`morphospace normalise` computes statistics and writes such a table".to_owned(),
        |near| format!("did you mean '{near}'?")
    )
)]
pub struct UnknownNormalisation {
    /// What was read.
    pub text: String,
    /// What was probably meant.
    pub near: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tables_survive_being_written() {
        for text in ["instance_norm", "zero_to_one", "a b/n.parquet"] {
            let choice: NormalisationChoice = text.parse().expect("known");
            assert_eq!(choice.to_string(), text);
            assert_eq!(choice.table().is_some(), text.contains('/'));
            let json = serde_json::to_string(&choice).expect("serialises");
            assert_eq!(json, format!("\"{text}\""));
            let again: NormalisationChoice = serde_json::from_str(&json).expect("reads");
            assert_eq!(again, choice);
        }
        let default = NormalisationChoice::default();
        assert_eq!(default.open().expect("no file"), Normalisation::default());
    }

    #[test]
    fn what_is_neither_is_refused() {
        let error = |text: &str| text.parse::<NormalisationChoice>().unwrap_err().to_string();
        assert!(error("instance_nrom").contains("did you mean 'instance_norm'?"));
        assert!(error("statistics.csv").contains("hint: `morphospace normalise`"));
        let json = serde_json::from_str::<NormalisationChoice>("\"std\"");
        assert!(json.unwrap_err().to_string().contains("neither"));
        let missing: NormalisationChoice = "nowhere/n.parquet".parse().expect("a table");
        assert!(
            missing
                .open()
                .unwrap_err()
                .to_string()
                .contains("n.parquet")
        );
    }
}
