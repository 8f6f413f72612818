use crate::Column;
use crate::column::ColumnKind;

/// What the cells of a column seen so far can be.
#[derive(Clone)]
pub(crate) struct Guess {
    integer: bool,
    float: bool,
    boolean: bool,
    /// A value that is not a marker of absence was seen.
    any: bool,
}

impl Default for Guess {
    fn default() -> Self {
        Self {
            integer: true,
            float: true,
            boolean: true,
            any: false,
        }
    }
}

impl Guess {
    pub(crate) fn see(&mut self, cell: &str) {
        if is_missing(cell) {
            return;
        }
        self.any = true;
        if self.integer && parse_integer(cell).is_none() {
            self.integer = false;
        }
        if self.float && parse_float(cell).is_none() {
            self.float = false;
        }
        if self.boolean && parse_boolean(cell).is_none() {
            self.boolean = false;
        }
    }

    pub(crate) fn kind(&self) -> ColumnKind {
        match self {
            Self { any: false, .. } => ColumnKind::Text,
            Self { integer: true, .. } => ColumnKind::Integer,
            Self { float: true, .. } => ColumnKind::Float,
            Self { boolean: true, .. } => ColumnKind::Boolean,
            _ => ColumnKind::Text,
        }
    }
}

/// Adds a cell to a column of the kind that was guessed of all its cells.
pub(crate) fn push_cell(column: &mut Column, cell: &str) {
    match column {
        // In text only an empty cell is missing: NA may be a name.
        Column::Text(values) => values.push((!cell.is_empty()).then(|| cell.to_owned())),
        Column::Integer(values) => values.push(parse_integer(cell)),
        Column::Float(values) => values.push(parse_float(cell)),
        Column::Boolean(values) => values.push(parse_boolean(cell)),
    }
}

/// The markers of absence that pandas and R write into columns of numbers.
pub(crate) fn is_missing(cell: &str) -> bool {
    matches!(
        cell,
        "" | "NA" | "NaN" | "nan" | "<NA>" | "NULL" | "null" | "None"
    )
}

/// A whole number, unless its text says more than the number: plate `007`
/// and a barcode of twenty digits stay text.
fn parse_integer(cell: &str) -> Option<i64> {
    cell.parse::<i64>()
        .ok()
        .filter(|value| value.to_string() == cell)
}

fn parse_float(cell: &str) -> Option<f64> {
    let digits = cell.trim_start_matches(['-', '+']);
    let is_padded =
        digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    let is_barcode = digits.len() > 15 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let starts_like_a_number =
        digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || digits == "inf";
    if is_padded || (is_barcode && parse_integer(cell).is_none()) || !starts_like_a_number {
        return None;
    }
    cell.parse().ok()
}

fn parse_boolean(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A value of a feature, NaN where it is missing.
pub(crate) fn parse_feature(cell: &str) -> Option<f64> {
    if is_missing(cell) {
        Some(f64::NAN)
    } else {
        cell.trim().parse().ok()
    }
}

/// The fewest digits that read back to the same double, with a point or an
/// exponent so that it is seen to be no integer.
pub(crate) fn float_text(value: f64) -> String {
    format!("{value:?}")
}
