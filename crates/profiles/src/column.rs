use std::fmt;
use std::ops::Range;

/// A metadata column. Every kind has missing values.
///
/// ```
/// use morphospace_profiles::Column;
///
/// let wells = Column::from(vec!["A01", "A02"]);
/// assert_eq!(wells.len(), 2);
/// // Whole numbers read the same whichever type a tool stored them as.
/// let plates = Column::Float(vec![Some(7.0), None]);
/// assert_eq!(plates.text_at(0).as_deref(), Some("7"));
/// assert_eq!(plates.text_at(1), None);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Names and labels.
    Text(Vec<Option<String>>),
    /// Whole numbers, such as a site number.
    Integer(Vec<Option<i64>>),
    /// Real numbers, such as a concentration.
    Float(Vec<Option<f64>>),
    /// Flags, such as a quality-control verdict.
    Boolean(Vec<Option<bool>>),
}

impl Column {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Integer(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Boolean(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a row as text, `None` where it is missing. A whole
    /// number is written without a decimal point, so that a plate `7` stored
    /// as `7.0` (which pandas does to integer columns with gaps) keeps its
    /// name.
    ///
    /// # Panics
    /// `row` is beyond the last one.
    pub fn text_at(&self, row: usize) -> Option<String> {
        match self {
            Self::Text(values) => values[row].clone(),
            Self::Integer(values) => values[row].map(|value| value.to_string()),
            Self::Float(values) => values[row].map(|value| value.to_string()),
            Self::Boolean(values) => values[row].map(|value| value.to_string()),
        }
    }

    /// The column's values at some rows, in their order; a row may be named
    /// several times.
    ///
    /// # Panics
    /// A row is beyond the last one.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        fn pick<T: Clone>(values: &[Option<T>], rows: &[usize]) -> Vec<Option<T>> {
            rows.iter().map(|&row| values[row].clone()).collect()
        }
        match self {
            Self::Text(values) => Self::Text(pick(values, rows)),
            Self::Integer(values) => Self::Integer(pick(values, rows)),
            Self::Float(values) => Self::Float(pick(values, rows)),
            Self::Boolean(values) => Self::Boolean(pick(values, rows)),
        }
    }

    /// The kind in a word, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::Boolean(_) => "boolean",
        }
    }

    /// The kind without the values.
    pub(crate) fn column_kind(&self) -> ColumnKind {
        match self {
            Self::Text(_) => ColumnKind::Text,
            Self::Integer(_) => ColumnKind::Integer,
            Self::Float(_) => ColumnKind::Float,
            Self::Boolean(_) => ColumnKind::Boolean,
        }
    }

    /// Some rows that follow each other.
    pub(crate) fn slice(&self, rows: Range<usize>) -> Self {
        match self {
            Self::Text(values) => Self::Text(values[rows].to_vec()),
            Self::Integer(values) => Self::Integer(values[rows].to_vec()),
            Self::Float(values) => Self::Float(values[rows].to_vec()),
            Self::Boolean(values) => Self::Boolean(values[rows].to_vec()),
        }
    }

    /// Adds the rows of a column of the same kind.
    ///
    /// # Panics
    /// It is of another kind.
    pub(crate) fn extend(&mut self, more: &Self) {
        match (self, more) {
            (Self::Text(values), Self::Text(more)) => values.extend_from_slice(more),
            (Self::Integer(values), Self::Integer(more)) => values.extend_from_slice(more),
            (Self::Float(values), Self::Float(more)) => values.extend_from_slice(more),
            (Self::Boolean(values), Self::Boolean(more)) => values.extend_from_slice(more),
            _ => unreachable!("columns of chunks are compared before they are added"),
        }
    }

    /// Bytes that the values of some rows take in memory.
    pub(crate) fn num_bytes(&self, rows: Range<usize>) -> usize {
        /// What the allocator keeps beside each text.
        const PER_TEXT: usize = 16;
        match self {
            Self::Text(values) => values[rows]
                .iter()
                .map(|value| {
                    let text = value.as_ref().map_or(0, |text| text.len() + PER_TEXT);
                    size_of::<Option<String>>() + text
                })
                .sum(),
            Self::Integer(_) => rows.len() * ColumnKind::Integer.value_bytes(),
            Self::Float(_) => rows.len() * ColumnKind::Float.value_bytes(),
            Self::Boolean(_) => rows.len() * ColumnKind::Boolean.value_bytes(),
        }
    }
}

/// What a metadata column holds, before there are values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    Text,
    Integer,
    Float,
    Boolean,
}

impl ColumnKind {
    /// A column without rows, with room for some.
    pub(crate) fn empty(self, room: usize) -> Column {
        match self {
            Self::Text => Column::Text(Vec::with_capacity(room)),
            Self::Integer => Column::Integer(Vec::with_capacity(room)),
            Self::Float => Column::Float(Vec::with_capacity(room)),
            Self::Boolean => Column::Boolean(Vec::with_capacity(room)),
        }
    }

    /// Bytes of one value in memory; of a text without its letters.
    pub(crate) fn value_bytes(self) -> usize {
        match self {
            Self::Text => size_of::<Option<String>>(),
            Self::Integer => size_of::<Option<i64>>(),
            Self::Float => size_of::<Option<f64>>(),
            Self::Boolean => size_of::<Option<bool>>(),
        }
    }
}

impl From<Vec<String>> for Column {
    fn from(values: Vec<String>) -> Self {
        Self::Text(values.into_iter().map(Some).collect())
    }
}

impl From<Vec<&str>> for Column {
    fn from(values: Vec<&str>) -> Self {
        Self::Text(
            values
                .into_iter()
                .map(|value| Some(value.to_owned()))
                .collect(),
        )
    }
}

impl From<Vec<i64>> for Column {
    fn from(values: Vec<i64>) -> Self {
        Self::Integer(values.into_iter().map(Some).collect())
    }
}

impl From<Vec<f64>> for Column {
    fn from(values: Vec<f64>) -> Self {
        Self::Float(values.into_iter().map(Some).collect())
    }
}

impl From<Vec<bool>> for Column {
    fn from(values: Vec<bool>) -> Self {
        Self::Boolean(values.into_iter().map(Some).collect())
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} column of {} rows", self.kind(), self.len())
    }
}
