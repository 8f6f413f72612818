use faer::MatRef;
use rayon::prelude::*;

use super::AlignError;

/// What a method learns from: values, and of each row its batch and whether
/// it is a negative control.
///
/// ```
/// use faer::mat;
/// use morphospace_map::{Align, AlignInput, Aligner, CenterScale};
///
/// let values = mat![[1.0, 5.0], [3.0, 5.0], [9.0, 6.0f64]];
/// let batch = vec!["plate 1".to_owned(); 3];
/// let input = AlignInput::new(values.as_ref(), &batch, &[true, true, false])?;
/// let aligned = CenterScale::default().fit(&input)?.transform(values.as_ref(), &batch)?;
/// // Controls have mean 2 and standard deviation 1; a feature that does not
/// // vary on them is centred only.
/// assert_eq!(aligned.row(2), [7.0, 1.0]);
/// # Ok::<(), morphospace_map::AlignError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AlignInput<'a> {
    /// `[num_rows, num_features]`; row-major is the fast order.
    pub values: MatRef<'a, f64>,
    /// The batch of each row: what was prepared together, usually the
    /// experiment.
    pub batch: &'a [String],
    /// Whether each row is a negative control.
    pub is_control: &'a [bool],
    /// What differs between rows and is to stay, such as the perturbation,
    /// for a method that takes account of it ([`Combat`](super::Combat)).
    pub covariate: Option<&'a [String]>,
}

impl<'a> AlignInput<'a> {
    /// Puts the three together.
    ///
    /// # Errors
    /// Different lengths, no rows or features, or a value that is not
    /// finite.
    pub fn new(
        values: MatRef<'a, f64>,
        batch: &'a [String],
        is_control: &'a [bool],
    ) -> Result<Self, AlignError> {
        check_values(values, batch)?;
        let (found, expected) = (is_control.len(), values.nrows());
        if found != expected {
            return Err(AlignError::WrongLength {
                what: "is_control",
                found,
                expected,
            });
        }
        Ok(Self {
            values,
            batch,
            is_control,
            covariate: None,
        })
    }

    /// Adds the covariate of each row.
    ///
    /// # Errors
    /// [`AlignError::WrongLength`]: not as many as rows.
    pub fn with_covariate(self, covariate: &'a [String]) -> Result<Self, AlignError> {
        let (found, expected) = (covariate.len(), self.values.nrows());
        if found != expected {
            return Err(AlignError::WrongLength {
                what: "covariate",
                found,
                expected,
            });
        }
        Ok(Self {
            covariate: Some(covariate),
            ..self
        })
    }

    /// Indices of the controls, in row order.
    pub(crate) fn control_rows(&self) -> Vec<usize> {
        (0..self.is_control.len())
            .filter(|&row| self.is_control[row])
            .collect()
    }
}

/// Refuses what no method can take.
pub(crate) fn check_values(values: MatRef<'_, f64>, batch: &[String]) -> Result<(), AlignError> {
    let (num_rows, num_features) = (values.nrows(), values.ncols());
    if batch.len() != num_rows {
        return Err(AlignError::WrongLength {
            what: "batch",
            found: batch.len(),
            expected: num_rows,
        });
    }
    if num_rows == 0 || num_features == 0 {
        return Err(AlignError::Empty {
            num_rows,
            num_features,
        });
    }
    let first = (0..num_rows).into_par_iter().find_map_first(|row_index| {
        let row = values.row(row_index);
        let feature_index = row.iter().position(|value| !value.is_finite())?;
        Some(AlignError::NotFinite {
            row_index,
            feature_index,
            value: row[feature_index],
        })
    });
    first.map_or(Ok(()), Err)
}

/// Copies one row of a matrix in either order.
pub(crate) fn copy_row(values: MatRef<'_, f64>, row: usize, to: &mut [f64]) {
    match values.row(row).try_as_row_major() {
        Some(row) => to.copy_from_slice(row.as_slice()),
        None => to
            .iter_mut()
            .zip(values.row(row).iter())
            .for_each(|(to, from)| *to = *from),
    }
}

/// Copies some rows into a row-major matrix.
pub(crate) fn gather_rows(values: MatRef<'_, f64>, rows: &[usize]) -> Vec<f64> {
    let num_features = values.ncols();
    let mut gathered = vec![0.0; rows.len() * num_features];
    gathered
        .par_chunks_exact_mut(num_features)
        .zip(rows)
        .for_each(|(to, &row)| copy_row(values, row, to));
    gathered
}

/// What a transform gives: row-major values in the order of the rows given.
#[derive(Clone, Debug, PartialEq)]
pub struct Aligned {
    /// Row-major `[num_rows, num_features]`.
    pub values: Vec<f64>,
    /// Rows, as many as were given.
    pub num_rows: usize,
    /// Features of the result.
    pub num_features: usize,
}

impl Aligned {
    /// One row.
    ///
    /// # Panics
    /// `row` is beyond the last one.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.num_features..(row + 1) * self.num_features]
    }

    /// The values as a matrix.
    pub fn as_mat(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.values, self.num_rows, self.num_features)
    }
}
