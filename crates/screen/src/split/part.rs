use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a site is used for.
///
/// ```
/// use morphospace_screen::split::Part;
///
/// assert_eq!("validation".parse(), Ok(Part::Validation));
/// assert!("val".parse::<Part>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Weights are fitted to it.
    Train,
    /// Settings and the moment to stop are chosen on it.
    Validation,
    /// Results are reported on it.
    Test,
}

impl Part {
    /// All parts, in the order of tables.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The word used in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a part of a split (train, validation, test)")]
pub struct UnknownPart {
    /// What was read.
    pub text: String,
}

impl FromStr for Part {
    type Err = UnknownPart;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|part| part.as_str() == text)
            .ok_or_else(|| UnknownPart {
                text: text.to_owned(),
            })
    }
}
