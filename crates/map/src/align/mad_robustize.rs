use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::affine::{Affine, BatchRows, Scaling, rows_to_fit};
use super::input::gather_rows;
use super::{Align, AlignError, AlignInput, AlignMethod, FitReport, FittedAligner, Reference};
use crate::moments::median;

/// Robust centre and scale: subtract the median of the reference rows and
/// divide by their median absolute deviation, 1.4826 times, so that it is a
/// standard deviation for normal values.
///
/// A feature of which half the reference rows have one value has a deviation
/// of zero; with the published `epsilon` of 1e-18 its other values become
/// multiples of 1e18 and rule every correlation afterwards.
/// [`FittedAligner::warnings`] counts such features; drop them, or choose an
/// `epsilon` on the scale of the features.
///
/// # Shapes
/// - `values`: `[num_rows, num_features]`
/// - result: the same
///
/// # Errors
/// [`AlignError::TooFewRowsInBatch`] names a batch with fewer than two
/// reference rows.
///
/// # Source
/// pycytominer 1.7.1 `operations.transform.RobustMAD`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MadRobustize {
    /// The rows whose median is taken.
    pub reference: Reference,
    /// Whether each batch has its own.
    pub per_batch: bool,
    /// Added to every deviation.
    pub epsilon: f64,
}

/// The standard deviation of a normal distribution in median absolute
/// deviations, with the digits of the reference.
const MAD_SCALE: f64 = 1.4826;

impl Default for MadRobustize {
    fn default() -> Self {
        Self {
            reference: Reference::Controls,
            per_batch: true,
            epsilon: 1e-18,
        }
    }
}

impl Align for MadRobustize {
    type Fitted = FittedAligner;

    fn check(&self) -> Result<(), AlignError> {
        if self.epsilon.is_finite() && self.epsilon > 0.0 {
            return Ok(());
        }
        Err(AlignError::InvalidSetting {
            setting: "epsilon",
            value: self.epsilon.to_string(),
            expected: "a number above 0",
        })
    }

    fn fit(&self, input: &AlignInput<'_>) -> Result<FittedAligner, AlignError> {
        self.check()?;
        let num_features = input.values.ncols();
        let robust = |rows: &Vec<usize>| {
            let values = gather_rows(input.values, rows);
            let (center, scale) = (0..num_features)
                .into_par_iter()
                .map(|feature| {
                    let mut column: Vec<f64> = values
                        .iter()
                        .skip(feature)
                        .step_by(num_features)
                        .copied()
                        .collect();
                    let center = median(&mut column);
                    column
                        .iter_mut()
                        .for_each(|value| *value = (*value - center).abs());
                    (center, MAD_SCALE * median(&mut column) + self.epsilon)
                })
                .unzip();
            Scaling { center, scale }
        };
        let controls_only = self.reference.controls_only();
        let mut report = FitReport::new(input, num_features, vec![]);
        let (batches, before) = if self.per_batch {
            let batches = BatchRows::of(input, controls_only, 2)?;
            report.note_two_rows(&batches, self.reference);
            let before = batches.rows.iter().map(robust).collect();
            (Some(batches.names), before)
        } else {
            (None, vec![robust(&rows_to_fit(input, controls_only, 2)?)])
        };
        let affine = Affine {
            batches,
            before,
            projection: None,
            after: vec![],
            matrices: vec![],
        };
        Ok(FittedAligner::new(
            AlignMethod::MadRobustize(self.clone()),
            affine,
            report,
        ))
    }
}
