use serde::{Deserialize, Serialize};

use super::error::RelateError;

/// Which relations are listed.
///
/// ```
/// use morphospace_map::{RelateSettings, RelationLimit};
///
/// let settings = RelateSettings { limit: RelationLimit::Percent(0.1), ..Default::default() };
/// assert!(settings.check().is_ok());
/// let senseless = RelateSettings { limit: RelationLimit::Count(0), ..settings };
/// assert!(senseless.check().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelateSettings {
    /// From which end of all cosines.
    pub tails: Tails,
    /// How many from each end.
    pub limit: RelationLimit,
}

/// An end of all cosines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tails {
    /// Alike: the largest cosines.
    #[default]
    Nearest,
    /// Opposite: the smallest cosines.
    Farthest,
    /// Both ends.
    Both,
}

/// How many relations are listed from each end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationLimit {
    /// So many.
    Count(usize),
    /// So many of a hundred pairs, at least one.
    Percent(f64),
}

impl Default for RelationLimit {
    fn default() -> Self {
        Self::Count(10_000)
    }
}

impl RelateSettings {
    /// Refuses a limit that lists nothing, or more than all.
    ///
    /// # Errors
    /// [`RelateError::InvalidLimit`].
    pub fn check(&self) -> Result<(), RelateError> {
        let is_valid = match self.limit {
            RelationLimit::Count(count) => count > 0,
            RelationLimit::Percent(percent) => percent > 0.0 && percent <= 100.0,
        };
        match is_valid {
            true => Ok(()),
            false => Err(RelateError::InvalidLimit { limit: self.limit }),
        }
    }

    /// Relations from each end of so many pairs.
    pub(super) fn num_relations(&self, num_pairs: u64) -> usize {
        let asked = match self.limit {
            RelationLimit::Count(count) => count as u64,
            RelationLimit::Percent(percent) => {
                ((percent / 100.0 * num_pairs as f64).round() as u64).max(1)
            }
        };
        asked.min(num_pairs) as usize
    }
}
