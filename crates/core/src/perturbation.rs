use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::excerpt;

/// What was done to the cells of a well. A well may hold several.
///
/// ```
/// use morphospace_core::Perturbation;
///
/// let knock_out = Perturbation::Crispr { guide: "PLK1_guide_3".into(), gene: "PLK1".into() };
/// assert_eq!(knock_out.label(), "PLK1_guide_3");
/// assert_eq!(knock_out.target(), "PLK1");
///
/// let dose = Perturbation::Compound {
///     name: "Nocodazole".into(),
///     concentration_micromolar: Some(0.25),
/// };
/// assert_eq!(dose.label(), "Nocodazole @ 0.25");
/// assert_eq!(dose.target(), "Nocodazole");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Perturbation {
    /// A small interfering RNA; RxRx1 names the reagent, other screens its
    /// target gene too.
    Sirna {
        /// The reagent's name, e.g. `s21721`.
        name: String,
        /// The gene it silences, where the data set says.
        gene: Option<String>,
    },
    /// A CRISPR knock-out by one guide.
    Crispr {
        /// The guide's name, e.g. `PLK1_guide_3`.
        guide: String,
        /// The gene it cuts.
        gene: String,
    },
    /// The over-expression of a gene from an open reading frame.
    Orf {
        /// The construct's name, e.g. `ccsbBroad304_00001`.
        reagent: String,
        /// The gene it expresses.
        gene: String,
    },
    /// A compound at a dose.
    Compound {
        /// The compound's name or identifier.
        name: String,
        /// Dose in micromolar, where known.
        concentration_micromolar: Option<f64>,
    },
}

impl Perturbation {
    /// What distinguishes this perturbation from every other: reagent,
    /// guide, construct, or compound with its dose in micromolar.
    pub fn label(&self) -> String {
        match self {
            Self::Sirna { name, .. } => name.clone(),
            Self::Crispr { guide, .. } => guide.clone(),
            Self::Orf { reagent, .. } => reagent.clone(),
            Self::Compound {
                name,
                concentration_micromolar: None,
            } => name.clone(),
            Self::Compound {
                name,
                concentration_micromolar: Some(dose),
            } => {
                format!("{name} @ {dose}")
            }
        }
    }

    /// What it acts on, the entity of a relationship map: the gene where it
    /// is known, else the reagent; the compound without its dose.
    pub fn target(&self) -> &str {
        match self {
            Self::Sirna { name, gene } => gene.as_deref().unwrap_or(name),
            Self::Crispr { gene, .. } | Self::Orf { gene, .. } => gene,
            Self::Compound { name, .. } => name,
        }
    }
}

/// What a well is for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ControlRole {
    /// A perturbation under study.
    #[default]
    Treatment,
    /// A perturbation known to do nothing (DMSO, non-targeting guide).
    NegativeControl,
    /// A perturbation with a known effect.
    PositiveControl,
    /// Cells left alone (RxRx1's `EMPTY`).
    Untreated,
}

impl ControlRole {
    /// Whether alignment may take the well for "nothing happened here".
    pub fn is_negative(self) -> bool {
        matches!(self, Self::NegativeControl | Self::Untreated)
    }

    /// The word used in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Treatment => "treatment",
            Self::NegativeControl => "negative_control",
            Self::PositiveControl => "positive_control",
            Self::Untreated => "untreated",
        }
    }
}

impl fmt::Display for ControlRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no control role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{}' is not a control role (treatment, negative_control, positive_control, untreated; \
     trt, negcon, poscon, empty)",
    excerpt(text)
)]
pub struct UnknownControlRole {
    /// What was read.
    pub text: String,
}

impl FromStr for ControlRole {
    type Err = UnknownControlRole;

    /// Reads RxRx's, JUMP's and our own words.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "treatment" | "trt" | "sample" => Ok(Self::Treatment),
            "negative_control" | "negcon" | "negative" => Ok(Self::NegativeControl),
            "positive_control" | "poscon" | "positive" => Ok(Self::PositiveControl),
            "untreated" | "empty" => Ok(Self::Untreated),
            _ => Err(UnknownControlRole {
                text: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_read_the_words_of_each_data_set() {
        for (text, role) in [
            ("negcon", ControlRole::NegativeControl),
            ("negative_control", ControlRole::NegativeControl),
            ("trt", ControlRole::Treatment),
            ("EMPTY", ControlRole::Untreated),
            ("poscon", ControlRole::PositiveControl),
        ] {
            assert_eq!(text.parse(), Ok(role));
        }
        assert!("ctrl".parse::<ControlRole>().is_err());
        for role in [
            ControlRole::Treatment,
            ControlRole::NegativeControl,
            ControlRole::PositiveControl,
            ControlRole::Untreated,
        ] {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
    }
}
