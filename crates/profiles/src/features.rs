use std::borrow::Cow;

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
