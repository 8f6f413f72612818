use std::path::PathBuf;

/// Why a score could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum BenchmarkError {
    /// A file cannot be opened or read.
    #[error("cannot read '{}'", path.display())]
    CannotRead {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write '{}'", path.display())]
    CannotWrite {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line of a table cannot be parsed.
    #[error("'{}' line {line}: {message}", path.display())]
    InvalidLine {
        /// The file.
        path: PathBuf,
        /// Line number, the first being 1.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// An annotation file lacks a column.
    #[error("'{}' has no column '{column}'; its header is '{header}'{hint}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column looked for.
        column: &'static str,
        /// The header line.
        header: String,
        /// The fix, if one is near.
        hint: String,
    },
    /// An annotation file holds no relationship.
    #[error("'{}' holds no relationship; expected a header 'entity1,entity2' and one pair per line", path.display())]
    NoRelationships {
        /// The file.
        path: PathBuf,
    },
    /// Lengths of labels and values do not fit.
    #[error("{num_labels} labels need {expected} values of {num_features} features, not {found}")]
    WrongNumberOfValues {
        /// Rows.
        num_labels: usize,
        /// Columns.
        num_features: usize,
        /// Their product.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error(
        "feature {feature} of '{label}' (row {row}) is {value}; drop or fill such rows before scoring"
    )]
    NotFinite {
        /// Label of the row.
        label: String,
        /// Row from 0.
        row: usize,
        /// Feature from 0.
        feature: usize,
        /// The value.
        value: f64,
    },
    /// The map is too small for the score to mean anything.
    #[error(
        "the map holds {found} entities, at least {needed} are needed\nhint: recall among few is mostly luck; set the least number (min_num_entities, --min-entities) to score it all the same"
    )]
    TooFewEntities {
        /// Entities in the map.
        found: usize,
        /// Entities asked for.
        needed: usize,
    },
    /// A label occurs on several rows and is asked for by a relationship.
    #[error(
        "entity '{label}' stands on rows {first_row} and {second_row} of the map and in a relationship of '{source_name}'; aggregate the map to one row per entity"
    )]
    DuplicateEntity {
        /// The label.
        label: String,
        /// First row from 0.
        first_row: usize,
        /// Second row from 0.
        second_row: usize,
        /// The annotation source.
        source_name: String,
    },
    /// A pair of thresholds is not two numbers between 0 and 1.
    #[error("thresholds ({low}, {high}) must lie between 0 and 1")]
    InvalidThresholds {
        /// First of the pair.
        low: f64,
        /// Second of the pair.
        high: f64,
    },
    /// A sample names a row the map does not have.
    #[error("the null sample names row {row}, the map has {num_rows} rows")]
    RowOutOfRange {
        /// The row.
        row: usize,
        /// Rows of the map.
        num_rows: usize,
    },
    /// A statistic has no data.
    #[error("{what} needs at least {needed} values, found {found}")]
    TooFewValues {
        /// The statistic.
        what: &'static str,
        /// Values asked for.
        needed: usize,
        /// Values given.
        found: usize,
    },
    /// A table of scores of subsets has gaps.
    #[error("{found} values are not one for each subset of some channels: 2, 4, 8, ... are")]
    NotAllSubsets {
        /// Values given.
        found: usize,
    },
    /// Two experiments share no well with the same address and perturbation.
    #[error(
        "experiments '{first}' and '{second}' share no well with the same address and perturbation"
    )]
    NoMatchedWells {
        /// First experiment.
        first: String,
        /// Second experiment.
        second: String,
    },
    /// An experiment is not among the wells.
    #[error("no well belongs to experiment '{experiment}'")]
    UnknownExperiment {
        /// The experiment.
        experiment: String,
    },
    /// The wells carry one perturbation, so no random pair differs.
    #[error(
        "experiments '{first}' and '{second}' carry a single perturbation '{perturbation}': no random pair with different perturbations exists"
    )]
    NoDifferentPerturbations {
        /// First experiment.
        first: String,
        /// Second experiment.
        second: String,
        /// The only perturbation.
        perturbation: String,
    },
    /// A classifier needs two classes.
    #[error("'{what}' has {found} classes, at least 2 are needed to predict it")]
    TooFewClasses {
        /// What is predicted.
        what: String,
        /// Classes found.
        found: usize,
    },
    /// Cross-validation has more folds than samples of a kind.
    #[error("{num_folds} folds need at least as many groups, found {num_groups}")]
    TooFewGroups {
        /// Folds asked for.
        num_folds: usize,
        /// Groups (wells) found.
        num_groups: usize,
    },
    /// A scores file cannot be understood.
    #[error("'{}' is not a scores file: {message}", path.display())]
    InvalidScores {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A table lacks a column or holds a null where a key is needed.
    #[error(transparent)]
    Profiles(#[from] morphospace_profiles::ProfilesError),
}

impl BenchmarkError {
    /// Refuses values that are not rows of so many features.
    pub(crate) fn check_whole_rows(values: &[f64], num_features: usize) -> Result<(), Self> {
        if num_features > 0 && values.len().is_multiple_of(num_features) {
            return Ok(());
        }
        let num_labels = values.len().div_ceil(num_features.max(1));
        Err(Self::WrongNumberOfValues {
            num_labels,
            num_features,
            expected: num_labels * num_features,
            found: values.len(),
        })
    }
}
