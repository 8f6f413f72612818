use faer::Mat;
use serde::{Deserialize, Serialize};

use super::affine::{Affine, Scaling, rows_to_fit};
use super::input::gather_rows;
use super::pca::axes_of_centred;
use super::{Align, AlignError, AlignInput, AlignMethod, FitReport, FittedAligner, Reference};
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
/// # Shapes
/// - `values`: `[num_rows, num_features]`
/// - result: the same; `[num_rows, num_rows_fitted - 1]` for the PCA forms
///   with no more rows than features
///
/// # Errors
/// [`AlignError::RankDeficient`] when features depend on each other, as
/// pycytominer refuses them too.
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
}

impl Default for Spherize {
    fn default() -> Self {
        Self {
            sphering: Sphering::Zca,
            reference: Reference::Controls,
            epsilon: 1e-6,
        }
    }
}

impl Align for Spherize {
    type Fitted = FittedAligner;

    fn check(&self) -> Result<(), AlignError> {
        if self.epsilon.is_finite() && self.epsilon >= 0.0 {
            return Ok(());
        }
        Err(AlignError::InvalidSetting {
            setting: "epsilon",
            value: self.epsilon.to_string(),
            expected: "a number of at least 0",
        })
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
        let (axes, sd) = axes_of_centred(&values, d)?;
        let singular_values: Vec<f64> = sd.iter().map(|sd| sd * (n as f64).sqrt()).collect();

        // numpy's `matrix_rank`; centring takes one direction.
        let noise = singular_values[0] * n.max(d) as f64 * f64::EPSILON;
        let rank = singular_values
            .iter()
            .take_while(|&&value| value > noise)
            .count();
        if rank == 0 {
            return Err(AlignError::NoVariation { num_rows: n });
        }
        if rank != d && rank != n - 1 {
            return Err(AlignError::RankDeficient {
                rank,
                num_rows: n,
                num_features: d,
            });
        }
        let root = ((n - 1) as f64).sqrt();
        let factor = |value: f64| root / (value + self.epsilon);
        let scaled = Mat::from_fn(d, rank, |i, j| axes[(i, j)] * factor(singular_values[j]));
        let projection = match self.sphering {
            Sphering::Pca | Sphering::PcaCor => scaled,
            Sphering::Zca | Sphering::ZcaCor => {
                let axes = axes.subcols(0, rank);
                let mut turned = product(scaled.as_ref(), axes.transpose(), 1.0);
                if rank < d {
                    // What the rows do not show is all but what they do.
                    let rest = factor(singular_values[rank - 1]);
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
        let report = FitReport::new(input, projection.ncols(), sd);
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
