use std::io;
use std::path::PathBuf;

use morphospace_profiles::ProfilesError;

use crate::controls::NoControlsError;
use crate::decompose::NotConverged;

/// Why an alignment was refused, with the batch, feature or setting
/// concerned and the fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlignError {
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
    /// A column of the input is not as long as the others.
    #[error("{what} has {found} entries for {expected} rows")]
    WrongLength {
        /// `batch` or `is_control`.
        what: &'static str,
        /// Its length.
        found: usize,
        /// Rows of the values.
        expected: usize,
    },
    /// There is nothing to fit or transform.
    #[error("the input has {num_rows} rows and {num_features} features")]
    Empty {
        /// Rows given.
        num_rows: usize,
        /// Features given.
        num_features: usize,
    },
    /// NaN or infinity among the values.
    #[error(
        "value {value} of feature {feature_index} in row {row_index} is not finite\nhint: drop the rows or the features concerned before aligning"
    )]
    NotFinite {
        /// Row, from 0.
        row_index: usize,
        /// Feature, from 0.
        feature_index: usize,
        /// The value.
        value: f64,
    },
    /// The controls are not marked as the table has them.
    #[error(transparent)]
    NoControls(#[from] NoControlsError),
    /// Too few rows to fit on in all batches together.
    #[error("{found} {what} in all, at least {required} are needed")]
    TooFewRows {
        /// `negative controls` or `rows`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are needed.
        required: usize,
    },
    /// A batch has too few rows to fit on.
    #[error("{} in batch '{batch}', at least {required} are needed{}\nhint: drop the batch, merge it with another of the same experiment, or align without the per-batch step",
        count_of(*found, what), also(*num_more))]
    TooFewRowsInBatch {
        /// `negative controls` or `rows`.
        what: &'static str,
        /// The first such batch.
        batch: String,
        /// How many it has.
        found: usize,
        /// How many are needed.
        required: usize,
        /// How many other batches have too few.
        num_more: usize,
    },
    /// A row to transform is of a batch that was not there when fitting.
    #[error("batch '{batch}' was not there when the aligner was fitted, so nothing is known of its controls{}\nhint: fit again on a table that has the batch and its negative controls",
        near(suggestion.as_deref()))]
    UnknownBatch {
        /// The batch.
        batch: String,
        /// A known batch of nearly the same name.
        suggestion: Option<String>,
    },
    /// The table to transform has other features than the one fitted on.
    #[error("the aligner was fitted on {expected} features, but the table has {found}{}", differs(difference.as_ref()))]
    OtherFeatures {
        /// Features when fitting.
        expected: usize,
        /// Features now.
        found: usize,
        /// The first names that differ: position, when fitting, now.
        difference: Option<(usize, String, String)>,
    },
    /// More principal components are asked for than there are.
    #[error(
        "{asked} components are asked for, but {num_rows} rows of {num_features} features have at most {available}"
    )]
    TooManyComponents {
        /// Components asked for.
        asked: usize,
        /// Rows fitted on.
        num_rows: usize,
        /// Features.
        num_features: usize,
        /// Components there are.
        available: usize,
    },
    /// Features depend on each other.
    #[error(
        "the {num_features} features of {num_rows} rows have rank {rank} and cannot be sphered\nhint: drop features that are sums or copies of others, or use tvn or pca_center_scale"
    )]
    RankDeficient {
        /// Directions in which the rows differ.
        rank: usize,
        /// Rows fitted on.
        num_rows: usize,
        /// Features.
        num_features: usize,
    },
    /// All rows fitted on are alike.
    #[error(
        "the {num_rows} rows to fit on do not differ in any feature\nhint: are they copies of one well?"
    )]
    NoVariation {
        /// Rows fitted on.
        num_rows: usize,
    },
    /// An eigenvalue or singular value decomposition failed.
    #[error("cannot decompose the covariance of {what}: it did not converge")]
    NotConverged {
        /// Whose covariance.
        what: String,
    },
    /// The table itself was refused.
    #[error(transparent)]
    Profiles(#[from] ProfilesError),
    /// The aligner cannot be written.
    #[error("cannot write aligner '{}'", path.display())]
    CannotSave {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The aligner's files are missing or damaged.
    #[error("cannot read aligner '{}': {message}", path.display())]
    CannotLoad {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the fix if there is one.
        message: String,
    },
}

impl AlignError {
    pub(crate) fn not_converged(what: impl Into<String>) -> impl FnOnce(NotConverged) -> Self {
        |NotConverged| Self::NotConverged { what: what.into() }
    }
}

fn count_of(found: usize, what: &str) -> String {
    match found {
        0 => format!("no {what}"),
        1 => format!("only one of the {what}"),
        more => format!("only {more} {what}"),
    }
}

fn also(num_more: usize) -> String {
    match num_more {
        0 => String::new(),
        1 => " (and one more batch has too few)".to_owned(),
        more => format!(" (and {more} more batches have too few)"),
    }
}

fn near(suggestion: Option<&str>) -> String {
    suggestion
        .map(|name| format!(" (the nearest name is '{name}')"))
        .unwrap_or_default()
}

fn differs(difference: Option<&(usize, String, String)>) -> String {
    difference
        .map(|(position, then, now)| {
            format!("; feature {position} was '{then}' and is '{now}'\nhint: keep names and order")
        })
        .unwrap_or_default()
}
