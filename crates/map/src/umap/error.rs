/// Why a table was not mapped, with the setting, row or feature concerned
/// and the fix.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UmapError {
    /// A setting makes no sense.
    #[error("{setting} is {value}, but must be {expected}")]
    InvalidSetting {
        /// The setting's name.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// There are too few rows to have neighbours.
    #[error(
        "a map needs at least {required} rows and 1 feature, the table has {num_rows} rows and {num_features} features"
    )]
    TooSmall {
        /// Rows that are needed.
        required: usize,
        /// Rows given.
        num_rows: usize,
        /// Features given.
        num_features: usize,
    },
    /// More rows than are counted in 32 bits.
    #[error(
        "the table has {num_rows} rows, a map takes at most {max_rows}\nhint: aggregate wells first, or draw some of the rows"
    )]
    TooLarge {
        /// Rows given.
        num_rows: usize,
        /// Rows that are taken.
        max_rows: usize,
    },
    /// NaN or infinity among the values.
    #[error(
        "value {value} of feature {feature_index} in row {row_index} is not finite\nhint: drop the rows or the features concerned first"
    )]
    NotFinite {
        /// Row, from 0.
        row_index: usize,
        /// Feature, from 0.
        feature_index: usize,
        /// The value.
        value: f64,
    },
    /// A row without a direction.
    #[error(
        "row {row_index} holds only zeros, which have no cosine with anything\nhint: drop the row or take metric = \"euclidean\""
    )]
    ZeroRow {
        /// Row, from 0.
        row_index: usize,
    },
}
