use faer::{Mat, MatRef};
use serde::{Deserialize, Serialize};

use super::affine::{Affine, Scaling, rows_to_fit};
use super::input::gather_rows;
use super::pca::axes_of_centred;
use super::{
    Align, AlignError, AlignInput, AlignMethod, FitReport, FittedAligner, Reference, Shrinkage,
};
use crate::decompose::product;
use crate::moments::Moments;

/// How a sphering turns the whitened axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sphering {
    /// Back to the features, of which it changes as little as whitening can.
    #[default]
    #[serde(rename = "ZCA")]
    Zca,
    /// Not at all: principal components by decreasing spread.
    #[serde(rename = "PCA")]
    Pca,
    /// As [`Sphering::Zca`], of features scaled to standard deviation 1.
    #[serde(rename = "ZCA-cor")]
    ZcaCor,
    /// As [`Sphering::Pca`], of features scaled to standard deviation 1.
    #[serde(rename = "PCA-cor")]
    PcaCor,
}

/// Sphering (whitening): the reference rows get the identity as covariance.
///
/// With no more rows than features the directions that the rows do not show
/// are given the smallest spread they do show; the two PCA forms leave those
/// directions out, where the reference takes arbitrary axes for them.
///
/// With `shrinkage` the covariance is drawn towards a multiple of the identity
/// before it is taken out, so that directions of which few rows tell little
/// are not blown up, and features may depend on each other.
///
/// # Shapes
/// - `values`: `[num_rows, num_features]`
/// - result: the same; `[num_rows, num_rows_fitted - 1]` for the PCA forms
///   with no more rows than features
///
/// # Errors
/// [`AlignError::RankDeficient`] when features depend on each other and there
/// is no shrinkage, as pycytominer refuses them too.
///
/// # Source
/// pycytominer 1.7.1 `operations.transform.Spherize`, with the singular
/// values of the centred matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spherize {
    /// How the whitened axes are turned.
    pub sphering: Sphering,
    /// The rows whose covariance becomes the identity.
    pub reference: Reference,
    /// Added to every singular value.
    pub epsilon: f64,
    /// How far the covariance is drawn towards a multiple of the identity.
    pub shrinkage: Shrinkage,
}

impl Default for Spherize {
    fn default() -> Self {
        Self {
            sphering: Sphering::Zca,
            reference: Reference::Controls,
            epsilon: 1e-6,
            shrinkage: Shrinkage::None,
        }
    }
}

impl Align for Spherize {
    type Fitted = FittedAligner;

    fn check(&self) -> Result<(), AlignError> {
        if !(self.epsilon.is_finite() && self.epsilon >= 0.0) {
            return Err(AlignError::InvalidSetting {
                setting: "epsilon",
                value: self.epsilon.to_string(),
                expected: "a number of at least 0",
            });
        }
        self.shrinkage.check()
    }

    fn fit(&self, input: &AlignInput<'_>) -> Result<FittedAligner, AlignError> {
        self.check()?;
        let rows = rows_to_fit(input, self.reference.controls_only(), 2)?;
        let (n, d) = (rows.len(), input.values.ncols());
        let mut values = gather_rows(input.values, &rows);
        let before = match self.sphering {
            Sphering::ZcaCor | Sphering::PcaCor => Scaling::standardising(&values, d),
            Sphering::Zca | Sphering::Pca => Scaling {
                center: Moments::of(&values, d).mean,
                scale: vec![1.0; d],
            },
        };
        before.apply_to_rows(&mut values);
        let amount = self
            .shrinkage
            .amount(MatRef::from_row_major_slice(&values, n, d));
        let (axes, sd) = axes_of_centred(&values, d)?;
        // numpy's `matrix_rank`, and what is left of large means that were
        // subtracted.
        let largest = before
            .center
            .iter()
            .zip(&before.scale)
            .map(|(center, scale)| (center / scale).abs())
            .fold(0.0, f64::max);
        let noise = (sd[0] * n.max(d) as f64).max(largest * (d as f64).sqrt()) * f64::EPSILON;
        let spread = Spread {
            before,
            axes,
            sd,
            noise,
            amount,
            num_rows: n,
        };
        self.fitted(spread, FitReport::new(input, d, vec![]))
    }
}

/// How rows spread, whichever way it was learnt.
pub(crate) struct Spread {
    /// What centres, and for the `-cor` forms scales, the rows.
    pub(crate) before: Scaling,
    /// Their principal axes after that, one per column.
    pub(crate) axes: Mat<f64>,
    /// The standard deviation along each, decreasing, divided by the number
    /// of rows.
    pub(crate) sd: Vec<f64>,
    /// Up to here a standard deviation is rounding.
    pub(crate) noise: f64,
    /// How far the covariance is drawn towards a multiple of the identity.
    pub(crate) amount: f64,
    /// Rows fitted on.
    pub(crate) num_rows: usize,
}

impl Spherize {
    /// The sphering of rows that spread like this.
    pub(crate) fn fitted(
        &self,
        spread: Spread,
        mut report: FitReport,
    ) -> Result<FittedAligner, AlignError> {
        let Spread {
            before,
            axes,
            sd,
            noise,
            amount,
            num_rows: n,
        } = spread;
        let d = axes.nrows();
        let rank = sd.iter().take_while(|&&value| value > noise).count();
        if rank == 0 {
            return Err(AlignError::NoVariation { num_rows: n });
        }
        // Centring takes one direction.
        if rank != d && rank != n - 1 && amount == 0.0 {
            return Err(AlignError::RankDeficient {
                rank,
                num_rows: n,
                num_features: d,
            });
        }
        let root = ((n - 1) as f64).sqrt();
        let total: f64 = sd.iter().map(|sd| sd * sd * n as f64).sum();
        let drawn_to = amount * total / d as f64;
        let factor = |sd: f64| {
            let square = (1.0 - amount) * sd * sd * n as f64 + drawn_to;
            root / (square.sqrt() + self.epsilon)
        };
        let scaled = Mat::from_fn(d, rank, |i, j| axes[(i, j)] * factor(sd[j]));
        let projection = match self.sphering {
            Sphering::Pca | Sphering::PcaCor => scaled,
            Sphering::Zca | Sphering::ZcaCor => {
                let axes = axes.subcols(0, rank);
                let mut turned = product(scaled.as_ref(), axes.transpose(), 1.0);
                if rank < d {
                    // What the rows do not show is all but what they do.
                    let rest = match amount > 0.0 {
                        true => factor(0.0),
                        false => factor(sd[rank - 1]),
                    };
                    let shown = product(axes, axes.transpose(), rest);
                    for j in 0..d {
                        for i in 0..d {
                            turned[(i, j)] -= shown[(i, j)];
                        }
                        turned[(j, j)] += rest;
                    }
                }
                turned
            }
        };
        if n <= d && amount == 0.0 {
            report.warnings.push(format!(
                "{n} {} for {d} features: the {} directions they do not show are given the \
                 smallest spread they do; shrinkage = \"ledoit_wolf\" would say less of few rows",
                self.reference.rows(),
                d - rank
            ));
        }
        if self.shrinkage != Shrinkage::None {
            report.warnings.push(format!(
                "the covariance was drawn by {amount:.3} towards a multiple of the identity"
            ));
        }
        report.num_components = projection.ncols();
        report.component_sd = sd;
        let affine = Affine {
            batches: None,
            before: vec![before],
            projection: Some(projection),
            after: vec![],
            matrices: vec![],
        };
        Ok(FittedAligner::new(
            AlignMethod::Spherize(self.clone()),
            affine,
            report,
        ))
    }
}
