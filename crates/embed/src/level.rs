use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a row of an embedding is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The mean of all tiles of a well.
    #[default]
    Wells,
    /// The mean of the tiles of a site.
    Sites,
    /// A tile.
    Crops,
}

impl Level {
    /// All of them, the coarsest first.
    pub const ALL: [Self; 3] = [Self::Wells, Self::Sites, Self::Crops];

    /// The word in folders, configurations and provenance.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wells => "wells",
            Self::Sites => "sites",
            Self::Crops => "crops",
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| format!("'{text}' is not a level (wells, sites, crops)"))
    }
}
