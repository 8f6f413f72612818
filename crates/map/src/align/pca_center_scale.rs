use faer::MatRef;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::affine::{Affine, BatchRows, Scaling, rows_to_fit};
use super::input::gather_rows;
use super::pca::FittedPca;
use super::{Align, AlignError, AlignInput, AlignMethod, FitReport, FittedAligner, Reference};
use crate::decompose::product;

/// Principal axes of all negative controls, then centre and scale each batch
/// on its own controls: the alignment of OpenPhenom's and the MAE-G/8
/// paper's maps.
///
/// All components are kept but those along which the controls differ by
/// rounding alone (below `1e-10` of the first): with as many controls as
/// features, or fewer, there is always one, and to divide by its spread is
/// to divide by noise. The features are not scaled beforehand.
///
/// # Shapes
/// - `values`: `[num_rows, num_features]`
/// - result: `[num_rows, num_components]`, in units of one standard
///   deviation of a batch's controls
///
/// # Errors
/// [`AlignError::TooFewRowsInBatch`] names a batch with fewer than two
/// controls. With exactly two, each of them is ±1 in every component.
///
/// # Source
/// Kenyon-Dean et al. 2024, <https://arxiv.org/abs/2411.02572>, section 6;
/// scikit-learn `PCA` and EFAAR_benchmarking 1.0
/// `efaar.centerscale_on_controls`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PcaCenterScale {
    /// Whether each batch is scaled on its own controls (the method as
    /// published) or all on all controls.
    pub per_batch: bool,
}

impl Default for PcaCenterScale {
    fn default() -> Self {
        Self { per_batch: true }
    }
}

/// Components whose spread on controls is below this share of the first
/// one's are rounding noise.
const NOISE: f64 = 1e-10;

impl Align for PcaCenterScale {
    type Fitted = FittedAligner;

    fn check(&self) -> Result<(), AlignError> {
        Ok(())
    }

    fn fit(&self, input: &AlignInput<'_>) -> Result<FittedAligner, AlignError> {
        let controls = rows_to_fit(input, true, 2)?;
        let batches = match self.per_batch {
            true => BatchRows::of(input, true, 2)?,
            false => BatchRows {
                names: vec![],
                rows: vec![controls.clone()],
            },
        };
        let FittedPca { centring, axes, sd } = FittedPca::on(input.values, &controls)?;
        let noise = NOISE * sd.first().copied().unwrap_or_default();
        let num_components = sd.iter().take_while(|&&sd| sd > noise).count();
        if num_components == 0 {
            return Err(AlignError::NoVariation {
                num_rows: controls.len(),
            });
        }
        let projection = axes.subcols(0, num_components).to_owned();
        let after = batches
            .rows
            .par_iter()
            .map(|rows| {
                let mut centred = gather_rows(input.values, rows);
                centring.apply_to_rows(&mut centred);
                let centred =
                    MatRef::from_row_major_slice(&centred, rows.len(), input.values.ncols());
                let scores = product(projection.transpose(), centred.transpose(), 1.0);
                let scores: Vec<f64> = (0..rows.len())
                    .flat_map(|row| scores.col_as_slice(row).iter().copied())
                    .collect();
                Scaling::standardising(&scores, num_components)
            })
            .collect();
        let mut report = FitReport::new(input, num_components, sd);
        if self.per_batch {
            report.note_two_rows(&batches, Reference::Controls);
        }
        let affine = Affine {
            batches: self.per_batch.then_some(batches.names),
            before: vec![centring],
            projection: Some(projection),
            after,
            matrices: vec![],
        };
        Ok(FittedAligner::new(
            AlignMethod::PcaCenterScale(self.clone()),
            affine,
            report,
        ))
    }
}
