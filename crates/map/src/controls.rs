use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use morphospace_core::ControlRole;
use morphospace_profiles::{Profiles, ProfilesError};
use serde::{Deserialize, Serialize};

/// Which rows of a table are negative controls: those whose `column` holds
/// one of `values`.
///
/// The default takes `Metadata_control_role` and the two roles in which
/// nothing was done to the cells. In a column that holds control roles
/// every spelling of a role counts (`negcon` and `negative_control`);
/// elsewhere values are compared letter by letter.
///
/// ```
/// use morphospace_map::ControlRule;
///
/// let rule: ControlRule = "Metadata_pert_type=negcon,empty".parse()?;
/// assert_eq!(rule, ControlRule::new("Metadata_pert_type", ["negcon", "empty"]));
/// assert_eq!(ControlRule::default().column, "Metadata_control_role");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlRule {
    /// The column that tells controls.
    pub column: String,
    /// Its values that mark a negative control.
    pub values: Vec<String>,
}

impl Default for ControlRule {
    fn default() -> Self {
        let roles = [ControlRole::NegativeControl, ControlRole::Untreated];
        Self::new("Metadata_control_role", roles.map(ControlRole::as_str))
    }
}

impl ControlRule {
    /// A rule from its parts.
    pub fn new(
        column: impl Into<String>,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            column: column.into(),
            values: values.into_iter().map(Into::into).collect(),
        }
    }

    /// Whether each row is a negative control. A row without a value is
    /// none.
    ///
    /// # Errors
    /// The column is missing, or [`NoControlsError::NoneMatches`] lists what
    /// the column holds.
    pub fn select(&self, profiles: &Profiles) -> Result<Vec<bool>, NoControlsError> {
        let found = profiles.text(&self.column)?;
        let is_control = self.matches(&found);
        if is_control.contains(&true) {
            return Ok(is_control);
        }
        Err(self.none_matches(found.into_iter().flatten().collect()))
    }

    /// Whether each value of the column marks a negative control.
    pub(crate) fn matches(&self, found: &[Option<String>]) -> Vec<bool> {
        let roles: Vec<ControlRole> = self
            .values
            .iter()
            .filter_map(|value| value.parse().ok())
            .collect();
        let all_are_roles = roles.len() == self.values.len();
        let is_match = |value: &Option<String>| match value {
            None => false,
            Some(value) if self.values.contains(value) => true,
            Some(value) => all_are_roles && value.parse().is_ok_and(|role| roles.contains(&role)),
        };
        found.iter().map(is_match).collect()
    }

    /// What to say of a column that holds only these values.
    pub(crate) fn none_matches(&self, present: BTreeSet<String>) -> NoControlsError {
        NoControlsError::NoneMatches {
            rule: self.clone(),
            num_present: present.len(),
            present: present.into_iter().take(8).collect(),
        }
    }
}

impl fmt::Display for ControlRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.column, self.values.join(","))
    }
}

impl FromStr for ControlRule {
    type Err = String;

    /// Reads `column=value` or `column=value1,value2`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((column, values)) if !column.is_empty() && !values.is_empty() => {
                Ok(Self::new(column, values.split(',')))
            }
            _ => Err(format!(
                "'{text}' is not a control rule (example: Metadata_pert_type=negcon,empty)"
            )),
        }
    }
}

/// Why no negative controls were found in a table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoControlsError {
    /// The column is not there.
    #[error("cannot tell the negative controls")]
    NoColumn(#[from] ProfilesError),
    /// The column holds none of the values.
    #[error(
        "no negative controls: no row has {rule}; '{}' holds {num_present} values: '{}'\nhint: name the column and values that mark negative controls",
        rule.column,
        present.join("', '")
    )]
    NoneMatches {
        /// The rule that was applied.
        rule: ControlRule,
        /// How many different values the column has.
        num_present: usize,
        /// Some of them.
        present: Vec<String>,
    },
}
