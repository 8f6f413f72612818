use faer::{Mat, MatMut, MatRef, Par};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::affine::{Affine, BatchRows, Scaling, rows_to_fit};
use super::input::gather_rows;
use super::pca::axes_of_centred;
use super::{Align, AlignError, AlignInput, AlignMethod, FitReport, FittedAligner, Shrinkage};
use crate::decompose::inverse_sqrt_covariance;
use crate::moments::Moments;

/// Typical variation normalisation: takes the variation that negative
/// controls show, which is not biology, out of all profiles.
///
/// 1. Centre and scale every feature on all controls.
/// 2. Turn into the principal components of the controls.
/// 3. Scale each component to standard deviation 1 on the controls. (1-3
///    whiten: the controls' covariance becomes the identity.)
/// 4. Multiply each batch by `(S + regularisation * I)^(-1/2)`, with `S` the
///    covariance of its own controls (CORAL without the step back).
///
/// Step 4 does not centre: a batch whose controls lie apart from the other
/// batches' still does afterwards. [`PcaCenterScale`](super::PcaCenterScale)
/// is the method that centres each batch.
///
/// A component along which the controls differ by less than `drop_sd_below`
/// is dropped, where the reference divides by that rounding noise and gives
/// values up to 1e15. This happens whenever there are no more controls than
/// features, and [`FittedAligner::warnings`] says so.
///
/// With few controls in a batch, `S` of step 4 knows little. The reference
/// leaves that to the regularisation; `shrinkage` draws `S` towards a multiple
/// of the identity first, by a share of its own for each batch, which the
/// report gives.
///
/// # Shapes
/// - `values`: `[num_rows, num_features]`
/// - result: `[num_rows, num_components]`
///
/// # Errors
/// [`AlignError::TooFewRowsInBatch`] names a batch with fewer than two
/// controls.
///
/// # Source
/// Ando, McLean & Berndl 2017, <https://doi.org/10.1101/161422>; the steps
/// are those of EFAAR_benchmarking 1.0 `efaar.tvn_on_controls`, with which
/// the pairwise cosines agree to 1e-8 (`tests/it/golden.rs`).
///
/// # Example
/// ```
/// use faer::Mat;
/// use morphospace_map::{Align, AlignInput, Aligner, Tvn};
///
/// let values = Mat::from_fn(8, 2, |i, j| ((3 * i + 5 * j) % 7) as f64 * (j + 1) as f64);
/// let batch = vec!["plate 1".to_owned(); 8];
/// let is_control = [true, true, true, true, true, false, false, false];
/// let input = AlignInput::new(values.as_ref(), &batch, &is_control)?;
///
/// let fitted = Tvn::default().fit(&input)?;
/// let aligned = fitted.transform(values.as_ref(), &batch)?;
/// assert_eq!((aligned.num_rows, aligned.num_features), (8, 2));
/// # Ok::<(), morphospace_map::AlignError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tvn {
    /// Added to the diagonal of each batch's control covariance.
    pub regularisation: f64,
    /// Components with a smaller standard deviation on the controls, after
    /// the first scaling, are dropped.
    pub drop_sd_below: f64,
    /// Whether step 4 is taken.
    pub per_batch: bool,
    /// How far the covariance of step 4 is drawn towards a multiple of the
    /// identity.
    pub shrinkage: Shrinkage,
}

impl Default for Tvn {
    fn default() -> Self {
        Self {
            regularisation: 0.5,
            drop_sd_below: 1e-10,
            per_batch: true,
            shrinkage: Shrinkage::None,
        }
    }
}

impl Align for Tvn {
    type Fitted = FittedAligner;

    fn check(&self) -> Result<(), AlignError> {
        if !(self.regularisation.is_finite() && self.regularisation > 0.0) {
            return Err(AlignError::InvalidSetting {
                setting: "regularisation",
                value: self.regularisation.to_string(),
                expected: "a number above 0",
            });
        }
        if !(self.drop_sd_below.is_finite() && self.drop_sd_below >= 0.0) {
            return Err(AlignError::InvalidSetting {
                setting: "drop_sd_below",
                value: self.drop_sd_below.to_string(),
                expected: "a number of at least 0",
            });
        }
        if !self.per_batch && self.shrinkage != Shrinkage::None {
            return Err(AlignError::InvalidSetting {
                setting: "shrinkage",
                value: "set".to_owned(),
                expected: "none where per_batch is false, as it is part of the per-batch step",
            });
        }
        self.shrinkage.check()
    }

    fn fit(&self, input: &AlignInput<'_>) -> Result<FittedAligner, AlignError> {
        self.check()?;
        let num_features = input.values.ncols();
        let control_rows = rows_to_fit(input, true, 2)?;
        let batches = match self.per_batch {
            true => Some(BatchRows::of(input, true, 2)?),
            false => None,
        };

        // Step 1.
        let mut controls = gather_rows(input.values, &control_rows);
        let before = Scaling::standardising(&controls, num_features);
        before.apply_to_rows(&mut controls);

        // Steps 2 and 3 in one matrix.
        let (axes, sd) = axes_of_centred(&controls, num_features)?;
        let is_kept = |sd: &&f64| **sd > 0.0 && **sd >= self.drop_sd_below;
        let num_components = sd.iter().take_while(is_kept).count();
        if num_components == 0 {
            return Err(AlignError::NoVariation {
                num_rows: control_rows.len(),
            });
        }
        let whitening = Mat::from_fn(num_features, num_components, |i, j| axes[(i, j)] / sd[j]);

        // Step 4.
        let mut place_of = vec![usize::MAX; input.batch.len()];
        for (place, &row) in control_rows.iter().enumerate() {
            place_of[row] = place;
        }
        let matrix_of = |(name, rows): (&String, &Vec<usize>)| {
            let scaled: Vec<f64> = rows
                .iter()
                .flat_map(|&row| {
                    let start = place_of[row] * num_features;
                    controls[start..start + num_features].iter().copied()
                })
                .collect();
            let mut whitened = vec![0.0; rows.len() * num_components];
            faer::linalg::matmul::matmul(
                MatMut::from_row_major_slice_mut(&mut whitened, rows.len(), num_components),
                faer::Accum::Replace,
                MatRef::from_row_major_slice(&scaled, rows.len(), num_features),
                whitening.as_ref(),
                1.0,
                Par::Seq,
            );
            let center = Moments::of(&whitened, num_components).mean;
            Scaling {
                center,
                scale: vec![1.0; num_components],
            }
            .apply_to_rows(&mut whitened);
            let centred = MatRef::from_row_major_slice(&whitened, rows.len(), num_components);
            let amount = self.shrinkage.amount(centred);
            let mut regularisation = self.regularisation;
            if amount > 0.0 {
                let squares: f64 = whitened.iter().map(|value| value * value).sum();
                let entries = ((rows.len() - 1) * num_components) as f64;
                regularisation += amount * squares / entries;
                let factor = (1.0 - amount).sqrt();
                whitened.iter_mut().for_each(|value| *value *= factor);
            }
            let centred = MatRef::from_row_major_slice(&whitened, rows.len(), num_components);
            let matrix = inverse_sqrt_covariance(centred, regularisation).map_err(
                AlignError::not_converged(format!("the controls of batch '{name}'")),
            )?;
            Ok((matrix, amount))
        };
        let mut report = FitReport::new(input, num_components, sd);
        let (names, matrices) = match batches {
            None => (None, vec![]),
            Some(batches) => {
                let found: Result<Vec<(Mat<f64>, f64)>, AlignError> = batches
                    .names
                    .par_iter()
                    .zip(&batches.rows)
                    .map(matrix_of)
                    .collect();
                let (matrices, amounts): (Vec<Mat<f64>>, Vec<f64>) = found?.into_iter().unzip();
                report.note_few_rows(&batches, num_components, self.shrinkage);
                if self.shrinkage != Shrinkage::None {
                    report.shrinkage_per_batch =
                        batches.names.iter().cloned().zip(amounts).collect();
                }
                (Some(batches.names), matrices)
            }
        };
        let affine = Affine {
            batches: names,
            before: vec![before],
            projection: Some(whitening),
            after: vec![],
            matrices,
        };
        Ok(FittedAligner::new(
            AlignMethod::Tvn(self.clone()),
            affine,
            report,
        ))
    }
}
