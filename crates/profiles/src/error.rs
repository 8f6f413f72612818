use std::io;
use std::path::PathBuf;

/// Why a profile table was refused, with the column, row and file concerned.
/// Rows count from 1, as a spreadsheet's data rows do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfilesError {
    /// Something about the contents of a file.
    #[error("'{}': {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What about it.
        source: Box<ProfilesError>,
    },
    /// The file is missing or not ours to read.
    #[error("cannot open '{}'", path.display())]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write '{}'", path.display())]
    CannotWrite {
        /// The file.
        path: PathBuf,
        /// What the system or the encoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The name does not say the format.
    #[error(
        "'{}' {} (known: .parquet, .csv, .tsv, .gct, .csv.gz, .tsv.gz, .gct.gz, .zarr{})",
        path.display(),
        match path.is_dir() {
            true => "is a folder, a table is needed",
            false => "has an unknown extension",
        },
        match cfg!(feature = "h5ad") {
            true => ", .h5ad",
            false => "",
        }
    )]
    UnknownExtension {
        /// The file.
        path: PathBuf,
    },
    /// The bytes are not what the extension promises.
    #[error(
        "not a readable {format} file: {message}\nhint: is the copy complete? compare its size with the original"
    )]
    Malformed {
        /// `Parquet`, `CSV`, `GCT` or `AnnData`.
        format: &'static str,
        /// What the decoder said.
        message: String,
    },
    /// No bytes, or a header alone.
    #[error("the table is empty: {what}")]
    Empty {
        /// What is absent.
        what: &'static str,
    },
    /// The table does not fit into memory.
    #[error(
        "its {num_rows} rows take {num_bytes} bytes in memory, more than the system gives\nhint: read it in chunks, or aggregate it where it was made"
    )]
    TooLarge {
        /// The table's rows.
        num_rows: usize,
        /// What they take.
        num_bytes: usize,
    },
    /// A row of a CSV file has more or fewer cells than the header.
    #[error(
        "data row {row} has {found} cells, the header has {expected}\nhint: quote cells that contain the separator or a line break"
    )]
    RaggedRow {
        /// Which row, from 1.
        row: usize,
        /// Cells in the row.
        found: usize,
        /// Cells in the header.
        expected: usize,
    },
    /// Two rows that others are to find have one name.
    #[error(
        "column '{column}' has '{key}' in rows {first} and {second}\nhint: drop one of the two, or give a column that tells rows apart"
    )]
    DuplicateKey {
        /// The column.
        column: String,
        /// What it holds twice.
        key: String,
        /// The first row, from 1.
        first: usize,
        /// The second.
        second: usize,
    },
    /// No row of a table is found in another.
    #[error(
        "no value of column '{column}' is in column '{other_column}' of the other table: the first is '{mine}', and there is '{theirs}'"
    )]
    NoCommonKey {
        /// The column of the one.
        column: String,
        /// Of the other.
        other_column: String,
        /// A value of the one.
        mine: String,
        /// The nearest of the other.
        theirs: String,
    },
    /// Two columns have one name.
    #[error("column '{name}' occurs twice\nhint: rename or drop one of the two")]
    DuplicateColumn {
        /// The name.
        name: String,
    },
    /// A column has no name.
    #[error("column {position} has an empty name\nhint: name it in the header")]
    UnnamedColumn {
        /// Position from 1.
        position: usize,
    },
    /// A column's length differs from the table's.
    #[error("column '{column}' has {found} rows, the table has {expected}")]
    WrongLength {
        /// The column, or `features` for the matrix.
        column: String,
        /// Its rows.
        found: usize,
        /// The table's rows.
        expected: usize,
    },
    /// The number of values is not rows times features.
    #[error("{found} feature values do not fill {num_rows} rows of {num_features} features")]
    WrongNumberOfValues {
        /// Values given.
        found: usize,
        /// The table's rows.
        num_rows: usize,
        /// The table's features.
        num_features: usize,
    },
    /// A column that is needed is not in the table.
    #[error("there is no column '{name}'{}", hint(suggestion.as_deref(), available))]
    MissingColumn {
        /// The column asked for.
        name: String,
        /// The nearest name that is there.
        suggestion: Option<String>,
        /// Every metadata column that is there.
        available: Vec<String>,
    },
    /// A pattern or prefix that no column has.
    #[error("no column fits '{pattern}'{}", hint(suggestion.as_deref(), available))]
    NoSuchColumns {
        /// The pattern or prefix asked for.
        pattern: String,
        /// How names that are nearly so begin.
        suggestion: Option<String>,
        /// Every column that is there.
        available: Vec<String>,
    },
    /// Two rows have the same key.
    #[error(
        "{first} and {second} are the same by {}\nhint: drop one of them, aggregate the rows, or name further columns that tell them apart",
        listed(columns)
    )]
    DuplicateRow {
        /// The columns that make up the key.
        columns: Vec<String>,
        /// One row, with its plate and well where the table names them.
        first: String,
        /// The other.
        second: String,
    },
    /// A key is missing in a row.
    #[error("column '{column}' has no value in {row}\nhint: fill it in, or drop the row")]
    MissingKey {
        /// The column.
        column: String,
        /// Which row, with its plate and well where the table names them.
        row: String,
    },
    /// A value of a metadata column cannot be held.
    #[error("column '{column}': {message}")]
    UnreadableColumn {
        /// The column.
        column: String,
        /// Why.
        message: String,
    },
    /// A feature column holds something other than numbers.
    #[error(
        "feature column '{column}' holds '{text}' in data row {row}, which is not a number\nhint: correct the cell, or read the column as metadata"
    )]
    NotANumber {
        /// The column.
        column: String,
        /// Which row, from 1.
        row: usize,
        /// What stands there.
        text: String,
    },
    /// An element of AnnData is missing or not what it should be.
    #[error("AnnData element '{element}': {message}")]
    UnreadableElement {
        /// Its path, `obs/Metadata_Well`.
        element: String,
        /// What is wrong with it.
        message: String,
    },
    /// The format gives or takes whole tables alone.
    #[error("{format} holds whole tables, which {what}\nhint: use {instead}")]
    NotInPieces {
        /// The format.
        format: &'static str,
        /// What cannot be done.
        what: &'static str,
        /// Formats with which it can.
        instead: &'static str,
    },
    /// Rows that are added to a file differ from the first in their columns.
    #[error("the rows to add differ from those before: {difference}")]
    OtherColumns {
        /// In what.
        difference: String,
    },
    /// The program was built without this format.
    #[error(
        "'{}' needs a build with the feature '{feature}'\nhint: build with --features {feature}, or use {instead}",
        path.display()
    )]
    NotBuilt {
        /// The file.
        path: PathBuf,
        /// The feature of the crate.
        feature: &'static str,
        /// What can be used without it.
        instead: &'static str,
    },
    /// No column can be taken for a feature.
    #[error(
        "no feature columns: all {num_columns} columns are metadata\nhint: name features feature_0, feature_1, .. or say which columns are features"
    )]
    NoFeatures {
        /// Columns of the table.
        num_columns: usize,
    },
    /// NaN or infinity where arithmetic needs numbers.
    #[error(
        "{count} feature values are not finite, the first is {value} in feature '{feature}' of {row}\nhint: drop the rows or the features concerned before this step"
    )]
    NotFinite {
        /// How many.
        count: usize,
        /// The first of them.
        value: f64,
        /// Its feature.
        feature: String,
        /// Its row, with plate and well where the table names them.
        row: String,
    },
    /// The provenance inside the file cannot be understood.
    #[error("its provenance cannot be read: {message}\nhint: was it written by a newer release?")]
    InvalidProvenance {
        /// What is wrong.
        message: String,
    },
}

impl ProfilesError {
    /// Adds the file to an error about its contents.
    pub(crate) fn in_file(self, path: &std::path::Path) -> Self {
        match self {
            error @ (Self::InFile { .. }
            | Self::CannotOpen { .. }
            | Self::CannotWrite { .. }
            | Self::UnknownExtension { .. }
            | Self::NotBuilt { .. }) => error,
            error => Self::InFile {
                path: path.to_owned(),
                source: Box::new(error),
            },
        }
    }
}

fn hint(suggestion: Option<&str>, available: &[String]) -> String {
    match suggestion {
        Some(near) => format!("\nhint: did you mean '{near}'?"),
        None if available.is_empty() => String::new(),
        None => format!("\nhint: the table has {}", listed(available)),
    }
}

/// Names in quotes, at most twelve of them.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("'{name}'"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
