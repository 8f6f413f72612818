use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A step of curation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CurateStep {
    /// Quality control.
    Quality,
    /// What is known of the perturbations and images of a row.
    Perturbations,
    /// How many experiments and wells a condition is in.
    Spread,
    /// Controls, of which there are too many.
    UnderSampling,
    /// Conditions that change cells reproducibly.
    Phenoprints,
}

impl CurateStep {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [
        Self::Quality,
        Self::Perturbations,
        Self::Spread,
        Self::UnderSampling,
        Self::Phenoprints,
    ];

    /// The word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quality => "quality",
            Self::Perturbations => "perturbations",
            Self::Spread => "spread",
            Self::UnderSampling => "under_sampling",
            Self::Phenoprints => "phenoprints",
        }
    }
}

impl fmt::Display for CurateStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CurateStep {
    type Err = String;

    /// Reads the word in files; a hyphen counts as an underscore.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = text.trim().replace('-', "_");
        let found = Self::ALL.into_iter().find(|step| step.as_str() == word);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("'{text}' is not a step of curation ({known})")
        })
    }
}
