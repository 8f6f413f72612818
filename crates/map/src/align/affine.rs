use std::collections::{BTreeMap, HashMap};

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use morphospace_core::suggestion;
use rayon::prelude::*;

use super::input::{Aligned, check_values, copy_row};
use super::{AlignError, AlignInput, Reference};
use crate::decompose::product;
use crate::moments::Moments;

/// Rows that one work item takes: enough for the matrix product to run at
/// full speed, few enough to share a small table between threads.
const CHUNK_ROWS: usize = 512;

/// Subtract `center`, divide by `scale`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scaling {
    pub(crate) center: Vec<f64>,
    pub(crate) scale: Vec<f64>,
}

impl Scaling {
    /// Mean 0 and standard deviation 1 on some row-major rows.
    pub(crate) fn standardising(rows: &[f64], num_features: usize) -> Self {
        let moments = Moments::of(rows, num_features);
        let scale = moments.scale();
        Self {
            center: moments.mean,
            scale,
        }
    }

    pub(crate) fn apply(&self, row: &mut [f64]) {
        for ((value, center), scale) in row.iter_mut().zip(&self.center).zip(&self.scale) {
            *value = (*value - center) / scale;
        }
    }

    pub(crate) fn apply_to_rows(&self, rows: &mut [f64]) {
        rows.par_chunks_exact_mut(self.center.len())
            .for_each(|row| self.apply(row));
    }
}

/// What most methods come down to, from left to right: a scaling of
/// the features, a projection, and per batch another scaling or a square
/// matrix.
///
/// Keeping all of them in one shape means one fast transform, one file
/// format and one set of checks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affine {
    /// Batches in code-point order, where anything depends on the batch.
    pub(crate) batches: Option<Vec<String>>,
    /// One scaling for all, or one per batch.
    pub(crate) before: Vec<Scaling>,
    /// `[num_features, num_components]`.
    pub(crate) projection: Option<Mat<f64>>,
    /// None, one for all, or one per batch.
    pub(crate) after: Vec<Scaling>,
    /// None, or one square matrix per batch.
    pub(crate) matrices: Vec<Mat<f64>>,
}

impl Affine {
    pub(crate) fn num_features_in(&self) -> usize {
        self.before[0].center.len()
    }

    pub(crate) fn num_features_out(&self) -> usize {
        self.projection
            .as_ref()
            .map_or(self.num_features_in(), Mat::ncols)
    }

    /// Applies the correction; rows keep their order.
    ///
    /// Scaling is done on the fly and projection and batch matrix are
    /// multiplied first, so each row meets one matrix product.
    pub(crate) fn transform(
        &self,
        values: MatRef<'_, f64>,
        batch: &[String],
    ) -> Result<Aligned, AlignError> {
        check_values(values, batch)?;
        let (num_in, num_out) = (self.num_features_in(), self.num_features_out());
        if values.ncols() != num_in {
            return Err(AlignError::OtherFeatures {
                expected: num_in,
                found: values.ncols(),
                difference: None,
            });
        }
        let rows_by_batch = self.rows_by_batch(batch)?;
        let matrices: Vec<Option<Mat<f64>>> = (0..rows_by_batch.len())
            .into_par_iter()
            .map(|index| match (&self.projection, self.matrices.get(index)) {
                _ if rows_by_batch[index].is_empty() => None,
                (Some(projection), Some(matrix)) => {
                    Some(product(projection.as_ref(), matrix.as_ref(), 1.0))
                }
                (Some(one), None) | (None, Some(one)) => Some(one.clone()),
                (None, None) => None,
            })
            .collect();

        let mut result = vec![0.0; batch.len() * num_out];
        let mut places: Vec<Option<&mut [f64]>> =
            result.chunks_exact_mut(num_out).map(Some).collect();
        let mut items = Vec::new();
        for (index, rows) in rows_by_batch.iter().enumerate() {
            for rows in rows.chunks(CHUNK_ROWS) {
                let places: Vec<&mut [f64]> = rows
                    .iter()
                    .map(|&row| places[row].take().expect("a row is of one batch"))
                    .collect();
                items.push((index, rows, places));
            }
        }
        items.into_par_iter().for_each(|(index, rows, mut places)| {
            let before = &self.before[index.min(self.before.len() - 1)];
            let after = self
                .after
                .get(index.min(self.after.len().saturating_sub(1)));
            let mut scaled = vec![0.0; rows.len() * num_in];
            for (scaled, &row) in scaled.chunks_exact_mut(num_in).zip(rows) {
                copy_row(values, row, scaled);
                before.apply(scaled);
            }
            let turned = match &matrices[index] {
                None => scaled,
                Some(matrix) => {
                    let mut turned = vec![0.0; rows.len() * num_out];
                    matmul(
                        MatMut::from_row_major_slice_mut(&mut turned, rows.len(), num_out),
                        Accum::Replace,
                        MatRef::from_row_major_slice(&scaled, rows.len(), num_in),
                        matrix.as_ref(),
                        1.0,
                        Par::Seq,
                    );
                    turned
                }
            };
            for (place, row) in places.iter_mut().zip(turned.chunks_exact(num_out)) {
                place.copy_from_slice(row);
                if let Some(after) = after {
                    after.apply(place);
                }
            }
        });
        Ok(Aligned {
            values: result,
            num_rows: batch.len(),
            num_features: num_out,
        })
    }

    /// The rows of each known batch, or all rows where batches do not
    /// matter.
    pub(crate) fn rows_by_batch(&self, batch: &[String]) -> Result<Vec<Vec<usize>>, AlignError> {
        let Some(known) = &self.batches else {
            return Ok(vec![(0..batch.len()).collect()]);
        };
        let index_of: HashMap<&str, usize> = known
            .iter()
            .enumerate()
            .map(|(index, name)| (name.as_str(), index))
            .collect();
        let mut rows = vec![Vec::new(); known.len()];
        for (row, name) in batch.iter().enumerate() {
            let Some(&index) = index_of.get(name.as_str()) else {
                let near = suggestion(name, known.iter().map(String::as_str));
                return Err(AlignError::UnknownBatch {
                    batch: name.clone(),
                    suggestion: near.map(str::to_owned),
                });
            };
            rows[index].push(row);
        }
        Ok(rows)
    }
}

/// The rows to fit on, batch by batch.
pub(crate) struct BatchRows {
    /// Batches in code-point order.
    pub(crate) names: Vec<String>,
    /// Indices of the rows of each, in row order.
    pub(crate) rows: Vec<Vec<usize>>,
}

impl BatchRows {
    /// The controls of each batch, or all its rows.
    ///
    /// # Errors
    /// A batch has fewer than `required` of them.
    pub(crate) fn of(
        input: &AlignInput<'_>,
        controls_only: bool,
        required: usize,
    ) -> Result<Self, AlignError> {
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (row, name) in input.batch.iter().enumerate() {
            let rows = by_name.entry(name).or_default();
            if !controls_only || input.is_control[row] {
                rows.push(row);
            }
        }
        let counts = by_name.iter().map(|(name, rows)| (*name, rows.len()));
        check_counts(counts, reference(controls_only), required)?;
        Ok(Self {
            names: by_name.keys().map(|&name| name.to_owned()).collect(),
            rows: by_name.into_values().collect(),
        })
    }
}

/// Refuses batches with fewer than `required` rows to fit on.
pub(crate) fn check_counts<'a>(
    counts: impl Iterator<Item = (&'a str, usize)>,
    reference: Reference,
    required: usize,
) -> Result<(), AlignError> {
    let mut too_few = counts.filter(|(_, count)| *count < required);
    match too_few.next() {
        None => Ok(()),
        Some((name, found)) => Err(AlignError::TooFewRowsInBatch {
            what: reference.rows(),
            batch: name.to_owned(),
            found,
            required,
            num_more: too_few.count(),
        }),
    }
}

/// The rows to fit on in all batches together.
///
/// # Errors
/// There are fewer than `required`.
pub(crate) fn rows_to_fit(
    input: &AlignInput<'_>,
    controls_only: bool,
    required: usize,
) -> Result<Vec<usize>, AlignError> {
    let rows = if controls_only {
        input.control_rows()
    } else {
        (0..input.batch.len()).collect()
    };
    if rows.len() < required {
        return Err(AlignError::TooFewRows {
            what: reference(controls_only).rows(),
            found: rows.len(),
            required,
        });
    }
    Ok(rows)
}

fn reference(controls_only: bool) -> Reference {
    match controls_only {
        true => Reference::Controls,
        false => Reference::All,
    }
}
