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
        /// `batch`, `is_control` or `covariate`.
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
    /// There is one batch, so nothing to bring together.
    #[error(
        "all rows to fit on are of batch '{batch}', so {method} has nothing to align\nhint: name the column that tells batches apart, or take center_scale or spherize"
    )]
    OneBatch {
        /// The method's name.
        method: &'static str,
        /// The only batch.
        batch: String,
    },
    /// The batch that others are to be brought to is not there.
    #[error("the reference batch '{batch}' is not in the table{}", near(suggestion.as_deref()))]
    UnknownReferenceBatch {
        /// The batch asked for.
        batch: String,
        /// A batch of nearly the same name.
        suggestion: Option<String>,
    },
    /// A batch has one row, of which no variance can be told.
    #[error(
        "batch '{batch}' has one row to fit on, of which no variance can be told\nhint: set mean_only = true, drop the batch, or merge it with another of the same experiment"
    )]
    NoVarianceOfBatch {
        /// The batch.
        batch: String,
    },
    /// Features are needed to tell how batch effects spread over them.
    #[error(
        "{found} features vary within every batch (beside the covariate, if there is one), but combat needs at least 2 to tell how batch effects spread over features\nhint: set mean_only = true, or take center_scale"
    )]
    TooFewFeatures {
        /// Features that vary in every batch.
        found: usize,
    },
    /// Batch and covariate cannot be told apart.
    #[error(
        "batch '{batch}' has no value of the covariate in common with batch '{other}', nor by way of others, so batch and covariate cannot be told apart\nhint: leave the covariate out, or fit on the controls (reference = \"controls\")"
    )]
    Confounded {
        /// A batch.
        batch: String,
        /// One that cannot be compared with it.
        other: String,
    },
    /// A method that takes account of a covariate was not given it.
    #[error("the aligner takes account of the covariate '{column}', which was not given")]
    NoCovariate {
        /// The covariate's column.
        column: String,
    },
    /// A row has a value of the covariate that was not there when fitting.
    #[error("'{level}' of the covariate '{column}' was not there when the aligner was fitted{}\nhint: fit again on a table that has it", near(suggestion.as_deref()))]
    UnknownLevel {
        /// The covariate's column.
        column: String,
        /// The value.
        level: String,
        /// A known value of nearly the same name.
        suggestion: Option<String>,
    },
    /// A covariance has no inverse.
    #[error(
        "the covariance of {what} ({num_rows} rows, {num_features} features) has no inverse\nhint: set regularisation above 0, or shrinkage = \"ledoit_wolf\""
    )]
    Singular {
        /// Whose covariance, with the batch.
        what: String,
        /// Rows it was taken of.
        num_rows: usize,
        /// Features.
        num_features: usize,
    },
    /// The initial centroids do not fit the table or the settings.
    #[error(
        "{found_rows} initial centroids of {found_features} values were given for {num_clusters} clusters of {num_features}"
    )]
    WrongCentroids {
        /// Centroids given.
        found_rows: usize,
        /// Values of each.
        found_features: usize,
        /// Clusters asked for.
        num_clusters: usize,
        /// Features, or components, that are clustered.
        num_features: usize,
    },
    /// The rows to fit on are more than may be held in memory.
    #[error(
        "the {what} to fit {method} on take more than the {bound_mib} MiB allowed ({num_rows} rows of {num_features} features so far)\nhint: {hint}"
    )]
    TooLarge {
        /// The method's name.
        method: &'static str,
        /// `negative controls` or `rows`.
        what: &'static str,
        /// Rows gathered when the bound was passed.
        num_rows: usize,
        /// Features.
        num_features: usize,
        /// The bound in MiB.
        bound_mib: usize,
        /// What to do.
        hint: &'static str,
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
