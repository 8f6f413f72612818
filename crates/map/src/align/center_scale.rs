use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::affine::{Affine, BatchRows, Scaling, rows_to_fit};
use super::input::gather_rows;
use super::{Align, AlignError, AlignInput, AlignMethod, FitReport, FittedAligner};

/// The rows a method is fitted on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// Negative controls: what a batch looks like where nothing happened.
    #[default]
    Controls,
    /// Every row: right where perturbations are spread evenly over batches,
    /// and where there are no controls.
    All,
}

impl Reference {
    pub(crate) fn controls_only(self) -> bool {
        self == Self::Controls
    }

    /// What messages call them.
    pub(crate) fn rows(self) -> &'static str {
        match self {
            Self::Controls => "negative controls",
            Self::All => "rows",
        }
    }
}

/// Centre and scale: each feature gets mean 0 and standard deviation 1 on
/// the reference rows, of all batches together or of each batch by itself.
///
/// The standard deviation divides by the number of rows; a feature that does
/// not vary on the reference is centred only.
///
/// # Shapes
/// - `values`: `[num_rows, num_features]`
/// - result: the same, in units of one standard deviation of the reference
///
/// # Errors
/// [`AlignError::TooFewRowsInBatch`] names a batch with fewer than two
/// reference rows.
///
/// # Source
/// EFAAR_benchmarking 1.0 `efaar.centerscale_on_controls` and
/// `efaar.centerscale_by_batch`, scikit-learn `StandardScaler`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CenterScale {
    /// The rows whose mean and standard deviation are taken.
    pub reference: Reference,
    /// Whether each batch has its own.
    pub per_batch: bool,
}

impl Default for CenterScale {
    /// On the controls of each batch.
    fn default() -> Self {
        Self {
            reference: Reference::Controls,
            per_batch: true,
        }
    }
}

impl Align for CenterScale {
    type Fitted = FittedAligner;

    fn check(&self) -> Result<(), AlignError> {
        Ok(())
    }

    fn fit(&self, input: &AlignInput<'_>) -> Result<FittedAligner, AlignError> {
        let num_features = input.values.ncols();
        let standardising = |rows: &Vec<usize>| {
            Scaling::standardising(&gather_rows(input.values, rows), num_features)
        };
        let controls_only = self.reference.controls_only();
        let mut report = FitReport::new(input, num_features, vec![]);
        let (batches, before) = if self.per_batch {
            let batches = BatchRows::of(input, controls_only, 2)?;
            report.note_two_rows(&batches, self.reference);
            let before = batches.rows.par_iter().map(standardising).collect();
            (Some(batches.names), before)
        } else {
            (
                None,
                vec![standardising(&rows_to_fit(input, controls_only, 2)?)],
            )
        };
        let affine = Affine {
            batches,
            before,
            projection: None,
            after: vec![],
            matrices: vec![],
        };
        Ok(FittedAligner::new(
            AlignMethod::CenterScale(self.clone()),
            affine,
            report,
        ))
    }
}
