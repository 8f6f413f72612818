use std::borrow::Cow;
use std::ops::Range;

/// The numbers of a profile table, row-major `[num_rows, num_features]`, in
/// the precision they were stored with.
#[derive(Clone, Debug, PartialEq)]
pub enum Features {
    /// Single precision, as networks write.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

impl Features {
    /// Number of values, rows times features.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All values in double precision, in which arithmetic on tables is
    /// done; borrowed where they already are.
    pub fn to_f64(&self) -> Cow<'_, [f64]> {
        match self {
            Self::F32(values) => Cow::Owned(values.iter().copied().map(f64::from).collect()),
            Self::F64(values) => Cow::Borrowed(values),
        }
    }

    /// The value at a place of the row-major order.
    pub(crate) fn at(&self, index: usize) -> f64 {
        match self {
            Self::F32(values) => f64::from(values[index]),
            Self::F64(values) => values[index],
        }
    }

    /// No values, with room for some.
    pub(crate) fn with_room(is_single: bool, room: usize) -> Self {
        if is_single {
            Self::F32(Vec::with_capacity(room))
        } else {
            Self::F64(Vec::with_capacity(room))
        }
    }

    /// Adds some values of the same precision.
    ///
    /// # Panics
    /// They are of another precision.
    pub(crate) fn extend_from(&mut self, more: &Self, range: Range<usize>) {
        match (self, more) {
            (Self::F32(values), Self::F32(more)) => values.extend_from_slice(&more[range]),
            (Self::F64(values), Self::F64(more)) => values.extend_from_slice(&more[range]),
            _ => unreachable!("chunks are compared before they are added"),
        }
    }

    /// The precision in words, for messages.
    pub(crate) fn precision(&self) -> &'static str {
        match self {
            Self::F32(_) => "single precision",
            Self::F64(_) => "double precision",
        }
    }

    /// The values of some rows, each `num_features` long.
    pub(crate) fn select(&self, rows: &[usize], num_features: usize) -> Self {
        fn pick<T: Copy>(values: &[T], rows: &[usize], num_features: usize) -> Vec<T> {
            let mut picked = Vec::with_capacity(rows.len() * num_features);
            for &row in rows {
                picked.extend_from_slice(&values[row * num_features..(row + 1) * num_features]);
            }
            picked
        }
        match self {
            Self::F32(values) => Self::F32(pick(values, rows, num_features)),
            Self::F64(values) => Self::F64(pick(values, rows, num_features)),
        }
    }
}
