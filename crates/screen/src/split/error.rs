/// Why a screen was not split, or a split does not fit a screen.
///
/// Every message names the experiments, wells or sites it is about and, on a
/// line that starts with `hint:`, what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A scheme of RxRx1 was asked for, and these are not its experiments.
    #[error(
        "split '{scheme}' is one of RxRx1's experiments{}, but {of} {}\nhint: give the whole \
         metadata.csv of RxRx1 (no image is read), or split any screen by 'leave-experiment-out', \
         'batch-stratified' or 'stratified-80-20'",
        cell_type.as_ref().map(|cell_type| format!(" of {cell_type}")).unwrap_or_default(),
        difference(missing, unexpected)
    )]
    NotRxrx1 {
        /// The scheme.
        scheme: &'static str,
        /// The cell type, where only its experiments are needed.
        cell_type: Option<String>,
        /// What was to be split.
        of: &'static str,
        /// Experiments of RxRx1 that are not there.
        missing: Vec<String>,
        /// Experiments that RxRx1 has not.
        unexpected: Vec<String>,
    },
    /// Labels are needed and not known.
    #[error(
        "{num_unknown} of {num_sites} sites have an unknown label, which split '{scheme}' needs\n\
         hint: leave out experiments with unknown labels (--only-labelled)"
    )]
    UnknownLabels {
        /// The scheme.
        scheme: &'static str,
        /// Sites whose perturbation is not known.
        num_unknown: usize,
        /// Sites to be split.
        num_sites: usize,
    },
    /// No experiment has all its labels.
    #[error(
        "every experiment has sites with an unknown label ({num_unknown} of {num_sites} sites)\n\
         hint: split by a scheme that needs no labels, such as 'leave-experiment-out'"
    )]
    NoLabelledExperiment {
        /// Sites whose perturbation is not known.
        num_unknown: usize,
        /// Sites of the screen.
        num_sites: usize,
    },
    /// An experiment was named that is not there.
    #[error("{of} has no experiment '{experiment}'\nhint: {hint}")]
    UnknownExperiment {
        /// What was to be split.
        of: &'static str,
        /// The name.
        experiment: String,
        /// The nearest name, or some that exist.
        hint: String,
    },
    /// A cell type was named that is not there.
    #[error(
        "{of} has no site of cell type '{cell_type}'\nhint: it has {}", available.join(", ")
    )]
    UnknownCellType {
        /// What was to be split.
        of: &'static str,
        /// The name.
        cell_type: String,
        /// Cell types that are there.
        available: Vec<String>,
    },
    /// A setting is out of its range or contradicts another.
    #[error("split '{scheme}': {message}")]
    InvalidSetting {
        /// The scheme.
        scheme: &'static str,
        /// What is wrong, with the numbers, and a hint.
        message: String,
    },
    /// The scheme leaves a part empty that it should fill.
    #[error(
        "split '{scheme}' leaves no site to {part}\nhint: the screen is too small for it, or the \
         settings take everything for one part"
    )]
    EmptyPart {
        /// The scheme.
        scheme: &'static str,
        /// The part.
        part: &'static str,
    },
    /// Sites of one well are in different parts.
    #[error(
        "{num_wells} wells have sites in different parts, first {first}: results on one of them \
         would be results on what was seen in training\nhint: keep the sites of a well together"
    )]
    SharedWells {
        /// Number of such wells.
        num_wells: usize,
        /// The first.
        first: String,
    },
    /// A split names sites that the screen has not.
    #[error(
        "{num_missing} of {num_rows} sites of the split are not in the screen, first '{first}'\n\
         hint: use the screen that the split was made from, or split this one anew"
    )]
    OtherScreen {
        /// Sites that are not there.
        num_missing: usize,
        /// Sites of the split.
        num_rows: usize,
        /// The first that is not there.
        first: String,
    },
    /// Two sites cannot be told apart in a table.
    #[error(
        "two sites of the screen share the key '{key}'\nhint: name experiments and plates so that \
         they stay apart when joined by '_'"
    )]
    AmbiguousKey {
        /// The key.
        key: String,
    },
}

fn difference(missing: &[String], unexpected: &[String]) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("lacks {}", missing.join(", ")));
    }
    if !unexpected.is_empty() {
        parts.push(format!("has {}", unexpected.join(", ")));
    }
    parts.join(" and ")
}
