use morphospace_map::ConditionsError;
use morphospace_profiles::ProfilesError;

use crate::BenchmarkError;

/// Why conditions could not be tested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhenoprintError {
    /// A setting makes no sense.
    #[error("{setting} is {value}, but must be {expected}")]
    InvalidSetting {
        /// Its name.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// A value is missing or not finite.
    #[error(transparent)]
    Profiles(#[from] ProfilesError),
    /// The table does not say what was done.
    #[error(transparent)]
    Conditions(Box<ConditionsError>),
    /// The profiles cannot be compared.
    #[error(transparent)]
    Benchmark(Box<BenchmarkError>),
    /// No well carries a single condition.
    #[error(
        "none of the {num_rows} wells carries one known condition: {num_controls} are negative controls or untreated, {num_combinations} carry several conditions, of {num_unknown} nothing is known\nhint: is '{column}' the column of perturbations?"
    )]
    NothingToTest {
        /// Wells of the table.
        num_rows: usize,
        /// Those that are controls.
        num_controls: usize,
        /// Those of combinations.
        num_combinations: usize,
        /// Those without a condition.
        num_unknown: usize,
        /// The column of conditions.
        column: String,
    },
    /// No condition has replicates.
    #[error(
        "none of the {num_conditions} conditions has two wells in one of the {num_experiments} experiments\nhint: name a column that groups experiments with replicates, such as the cell type of RxRx1, or take the form efaar10, which compares wells of all experiments"
    )]
    NothingTested {
        /// Conditions.
        num_conditions: usize,
        /// Experiments.
        num_experiments: usize,
    },
    /// There is nothing to compare with.
    #[error(
        "the form efaar10 compares with conditions that do nothing, of which {found}\nhint: name conditions or targets of the table, such as genes that are not expressed"
    )]
    NoNull {
        /// How many were found, and of which.
        found: String,
    },
}

impl From<ConditionsError> for PhenoprintError {
    fn from(error: ConditionsError) -> Self {
        Self::Conditions(Box::new(error))
    }
}

impl From<BenchmarkError> for PhenoprintError {
    fn from(error: BenchmarkError) -> Self {
        Self::Benchmark(Box::new(error))
    }
}
