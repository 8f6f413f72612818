use morphospace_profiles::ProfilesError;

use super::step::CurateStep;
use crate::conditions::ConditionsError;

/// Why a screen could not be curated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CurateError {
    /// A setting makes no sense.
    #[error("{setting} is {value}, but must be {expected}")]
    InvalidSetting {
        /// Its name.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// The table has no row.
    #[error("there is no row to curate")]
    Empty,
    /// A column is missing, or not filled.
    #[error(transparent)]
    Profiles(#[from] ProfilesError),
    /// The table does not say what was done.
    #[error(transparent)]
    Conditions(#[from] ConditionsError),
    /// A column is not as long as the table.
    #[error("column '{column}' has {found} values for {expected} rows")]
    WrongLength {
        /// The column.
        column: String,
        /// Its length.
        found: usize,
        /// Rows of the table.
        expected: usize,
    },
    /// Two rows say different things about one well.
    #[error(
        "rows {first_row} and {second_row} say different things about {place}: {first} and {second}\nhint: correct one of the two"
    )]
    ConflictingWell {
        /// The well.
        place: String,
        /// First row, from 1.
        first_row: usize,
        /// Second row, from 1.
        second_row: usize,
        /// What the first says.
        first: Box<str>,
        /// What the second says.
        second: Box<str>,
    },
    /// A site stands in two rows.
    #[error("rows {first_row} and {second_row} are both {place}\nhint: drop one of the two")]
    DuplicateSite {
        /// The site.
        place: String,
        /// First row, from 1.
        first_row: usize,
        /// Second row, from 1.
        second_row: usize,
    },
    /// A rule names a column that is not there.
    #[error("there is no column '{column}' for a rule of quality{hint}")]
    MissingQualityColumn {
        /// The column.
        column: String,
        /// The fix, if one is near.
        hint: String,
    },
    /// A value that is no flag.
    #[error(
        "column '{column}' of {row} holds '{text}', which is neither true nor false\nhint: a column of numbers takes a bound"
    )]
    NotAFlag {
        /// The column.
        column: String,
        /// The row, with its plate and well.
        row: String,
        /// What stands there.
        text: String,
    },
    /// A value that is no number.
    #[error("column '{column}' of {row} holds '{text}', which is not a number")]
    NotANumber {
        /// The column.
        column: String,
        /// The row, with its plate and well.
        row: String,
        /// What stands there.
        text: String,
    },
    /// A table of phenoprints has no condition.
    #[error("table '{name}' lists no condition\nhint: give a table of phenoprints")]
    NoTestedConditions {
        /// The table.
        name: String,
    },
    /// No condition of the screen is in the tables of phenoprints.
    #[error(
        "none of the {num_conditions} conditions of the screen is among the {num_tested} of the tables of phenoprints: the screen has {examples}; the tables have {tested_examples}\nhint: conditions are compared letter by letter, compounds with their dose"
    )]
    NoOverlap {
        /// Conditions of the screen.
        num_conditions: usize,
        /// Conditions of the tables.
        num_tested: usize,
        /// Some of the screen.
        examples: Box<str>,
        /// Some of the tables.
        tested_examples: Box<str>,
    },
    /// A step leaves no perturbation.
    #[error(
        "step '{step}' leaves none of the {num_conditions} conditions: {why}\nhint: {hint}, or skip '{step}'"
    )]
    NothingLeft {
        /// The step.
        step: CurateStep,
        /// Conditions before it.
        num_conditions: usize,
        /// What it found.
        why: Box<str>,
        /// The way out.
        hint: Box<str>,
    },
}
