use faer::{Mat, MatRef};
use serde::{Deserialize, Serialize};

use super::affine::{Affine, Scaling, rows_to_fit};
use super::input::gather_rows;
use super::{Align, AlignError, AlignInput, AlignMethod, FitReport, FittedAligner, Reference};
use crate::decompose::principal_axes;
use crate::moments::Moments;

/// How many principal components are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Components {
    /// All: as many as rows or features, whichever are fewer.
    #[default]
    All,
    /// The first so many.
    Count(usize),
    /// As few as explain more than this share of the variance, between 0
    /// and 1.
    Variance(f64),
}

/// Principal component analysis by the full singular value decomposition of
/// the centred reference rows.
///
/// scikit-learn changes to an unseeded randomised solver, or to the
/// eigenvalues of the covariance, depending on size and release; this does
/// not. Of each axis the entry of largest magnitude is positive.
///
/// # Shapes
/// - `values`: `[num_rows, num_features]`
/// - result: `[num_rows, num_components]`, not scaled
///
/// # Errors
/// [`AlignError::TooManyComponents`] says how many there are.
///
/// # Source
/// scikit-learn `PCA` with `svd_solver="full"`. Centre and scale each batch
/// first for EFAAR_benchmarking's `embed_by_pca`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pca {
    /// How many components are kept.
    pub components: Components,
    /// The rows whose axes are taken.
    pub reference: Reference,
}

impl Default for Pca {
    /// All components of all rows.
    fn default() -> Self {
        Self {
            components: Components::All,
            reference: Reference::All,
        }
    }
}

impl Align for Pca {
    type Fitted = FittedAligner;

    fn check(&self) -> Result<(), AlignError> {
        match self.components {
            Components::Count(0) => Err(AlignError::InvalidSetting {
                setting: "components.count",
                value: "0".to_owned(),
                expected: "at least 1",
            }),
            Components::Variance(share) if !(share > 0.0 && share < 1.0) => {
                Err(AlignError::InvalidSetting {
                    setting: "components.variance",
                    value: share.to_string(),
                    expected: "above 0 and below 1",
                })
            }
            _ => Ok(()),
        }
    }

    fn fit(&self, input: &AlignInput<'_>) -> Result<FittedAligner, AlignError> {
        self.check()?;
        let rows = rows_to_fit(input, self.reference.controls_only(), 2)?;
        let fitted = FittedPca::on(input.values, &rows)?;
        let report = FitReport::new(input, 0, vec![]);
        self.fitted(fitted, rows.len(), report)
    }
}

impl Pca {
    /// The components asked for of `num_rows` rows.
    pub(crate) fn fitted(
        &self,
        fitted: FittedPca,
        num_rows: usize,
        mut report: FitReport,
    ) -> Result<FittedAligner, AlignError> {
        let num_components = match self.components {
            Components::All => fitted.sd.len(),
            Components::Count(count) if count > fitted.sd.len() => {
                return Err(AlignError::TooManyComponents {
                    asked: count,
                    num_rows,
                    num_features: fitted.axes.nrows(),
                    available: fitted.sd.len(),
                });
            }
            Components::Count(count) => count,
            Components::Variance(share) => fitted.num_components_for(share),
        };
        report.num_components = num_components;
        report.component_sd = fitted.sd;
        let affine = Affine {
            batches: None,
            before: vec![fitted.centring],
            projection: Some(fitted.axes.subcols(0, num_components).to_owned()),
            after: vec![],
            matrices: vec![],
        };
        Ok(FittedAligner::new(
            AlignMethod::Pca(self.clone()),
            affine,
            report,
        ))
    }
}

/// Principal axes of some rows.
pub(crate) struct FittedPca {
    pub(crate) centring: Scaling,
    /// `[num_features, min(num_rows, num_features)]`.
    pub(crate) axes: Mat<f64>,
    /// Standard deviation of the rows along each axis (divided by the number
    /// of rows), decreasing.
    pub(crate) sd: Vec<f64>,
}

impl FittedPca {
    pub(crate) fn on(values: MatRef<'_, f64>, rows: &[usize]) -> Result<Self, AlignError> {
        let mut centred = gather_rows(values, rows);
        let num_features = values.ncols();
        let center = Moments::of(&centred, num_features).mean;
        let centring = Scaling {
            center,
            scale: vec![1.0; num_features],
        };
        centring.apply_to_rows(&mut centred);
        let (axes, sd) = axes_of_centred(&centred, num_features)?;
        Ok(Self { centring, axes, sd })
    }

    /// scikit-learn's rule: the first count whose share of the variance is
    /// above the one asked for.
    fn num_components_for(&self, share: f64) -> usize {
        let variances: Vec<f64> = self.sd.iter().map(|sd| sd * sd).collect();
        let total: f64 = variances.iter().sum();
        let mut explained = 0.0;
        for (index, variance) in variances.iter().enumerate() {
            explained += variance / total;
            if explained > share {
                return index + 1;
            }
        }
        variances.len()
    }
}

/// Axes of centred row-major rows and the standard deviation along each.
pub(crate) fn axes_of_centred(
    centred: &[f64],
    num_features: usize,
) -> Result<(Mat<f64>, Vec<f64>), AlignError> {
    let num_rows = centred.len() / num_features;
    let rows = MatRef::from_row_major_slice(centred, num_rows, num_features);
    let found = principal_axes(rows).map_err(AlignError::not_converged("the rows to fit on"))?;
    let root = (num_rows as f64).sqrt();
    let sd = found
        .singular_values
        .iter()
        .map(|value| value / root)
        .collect();
    Ok((found.axes, sd))
}
