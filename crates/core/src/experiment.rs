use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// An experiment: plates seeded, perturbed, stained and imaged together.
/// RxRx data sets say *experiment*, cytomining tables say *batch*.
///
/// Names are kept as written and compared by meaning: a trailing number
/// after `-` is a number, so the zero-padded `HUVEC-01` of the files and the
/// `HUVEC-1` of the read-me are the same experiment, and `HUVEC-2` sorts
/// before `HUVEC-10`.
///
/// ```
/// use morphospace_core::Experiment;
///
/// assert_eq!(Experiment::new("HUVEC-01"), Experiment::new("HUVEC-1"));
/// assert!(Experiment::new("HUVEC-2") < Experiment::new("HUVEC-10"));
/// assert_eq!(Experiment::new("HUVEC-01").as_str(), "HUVEC-01");
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Experiment(String);

impl Experiment {
    /// Takes the name as written.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the trailing number: `HUVEC` of `HUVEC-01`, the cell
    /// type in RxRx1. The whole name where there is no number.
    pub fn series(&self) -> &str {
        self.split().0
    }

    /// The trailing number: 1 of `HUVEC-01`.
    pub fn number(&self) -> Option<u64> {
        self.split().1
    }

    fn split(&self) -> (&str, Option<u64>) {
        match self.0.rsplit_once('-') {
            Some((series, digits))
                if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) =>
            {
                match digits.parse() {
                    Ok(number) => (series, Some(number)),
                    Err(_) => (&self.0, None),
                }
            }
            _ => (&self.0, None),
        }
    }
}

impl PartialEq for Experiment {
    fn eq(&self, other: &Self) -> bool {
        // Tables spell a name alike in hundreds of thousands of rows.
        self.0 == other.0 || self.split() == other.split()
    }
}

impl Eq for Experiment {}

impl Hash for Experiment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.split().hash(state);
    }
}

impl PartialOrd for Experiment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Experiment {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.0 == other.0 {
            return Ordering::Equal;
        }
        self.split().cmp(&other.split())
    }
}

impl fmt::Display for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Experiment {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_number_compare_as_text() {
        assert_eq!(Experiment::new("pilot").number(), None);
        assert_ne!(Experiment::new("pilot"), Experiment::new("Pilot"));
        assert_eq!(Experiment::new("2020-11-04-b").series(), "2020-11-04-b");
    }

    #[test]
    fn a_number_too_large_to_be_one_stays_text() {
        let name = "run-99999999999999999999999999";
        assert_eq!(Experiment::new(name).number(), None);
        assert_eq!(Experiment::new(name).series(), name);
    }

    #[test]
    fn series_of_gene_experiments() {
        let e = Experiment::new("gene-088");
        assert_eq!((e.series(), e.number()), ("gene", Some(88)));
    }
}
