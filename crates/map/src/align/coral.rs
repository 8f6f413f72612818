use faer::{Mat, MatRef};
use morphospace_core::suggestion;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::affine::{Affine, BatchRows, Scaling};
use super::input::gather_rows;
use super::{
    Align, AlignError, AlignInput, AlignMethod, FitReport, FittedAligner, Reference, Shrinkage,
};
use crate::decompose::{eigen, product};
use crate::moments::Moments;

/// The covariance that batches are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoralTarget {
    /// That of all batches within themselves, weighted by their rows less
    /// one: the spread between batches is not part of it.
    #[default]
    Pooled,
    /// As [`CoralTarget::Pooled`], of the other batches only.
    OtherBatches,
    /// That of one batch, which stays as it is.
    Batch(String),
}

/// Correlation alignment (CORAL): each batch is whitened by the covariance of
/// its own reference rows and coloured by that of the target.
///
/// 1. Centre each batch on its reference rows, and divide every feature by
///    its standard deviation within batches, so that `regularisation` has a
///    scale.
/// 2. Multiply by `(S + regularisation * I)^(-1/2)` of the batch and
///    `(T + regularisation * I)^(1/2)` of the target.
/// 3. Go back to the features' units, about the mean of all reference rows
///    (of the target batch, if there is one).
///
/// [`Tvn`](super::Tvn) takes the first half of step 2 only, on whitened
/// components, and does not centre batches; older releases of
/// EFAAR_benchmarking had principal components, centring and scaling, and one
/// CORAL of both halves.
///
/// # Shapes
/// - `values`: `[num_rows, num_features]`
/// - result: the same, in the same units
///
/// # Errors
/// [`AlignError::TooFewRowsInBatch`] names a batch with fewer than two
/// reference rows, [`AlignError::Singular`] one whose covariance has no
/// inverse because neither regularisation nor shrinkage was asked for.
///
/// # Source
/// Sun, Feng & Saenko 2016, <https://arxiv.org/abs/1511.05547>, whose
/// regularisation is 1 on features of standard deviation 1. Agrees with the
/// formula in numpy and scipy (`fractional_matrix_power`) to 1e-9
/// (`tests/scripts/make_batch_cases.py`).
///
/// # Example
/// ```
/// use faer::Mat;
/// use morphospace_map::{Align, AlignInput, Aligner, Coral, Reference};
///
/// // Two batches; the second is three times as wide and lies apart.
/// let values = Mat::from_fn(8, 1, |i, _| {
///     let x = [-3.0, -1.0, 1.0, 3.0][i % 4];
///     if i < 4 { x } else { 3.0 * x + 100.0 }
/// });
/// let batch: Vec<String> = (0..8).map(|i| format!("plate {}", i / 4)).collect();
/// let input = AlignInput::new(values.as_ref(), &batch, &[true; 8])?;
/// let method = Coral { regularisation: 0.0, ..Coral::default() };
/// let aligned = method.fit(&input)?.transform(values.as_ref(), &batch)?;
/// assert!((0..4).all(|i| (aligned.row(i)[0] - aligned.row(i + 4)[0]).abs() < 1e-9));
/// # Ok::<(), morphospace_map::AlignError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Coral {
    /// The rows whose means and covariances are taken.
    pub reference: Reference,
    /// The covariance that batches are given.
    pub target: CoralTarget,
    /// Added to the diagonal of every covariance, in units of a feature's
    /// variance within batches.
    pub regularisation: f64,
    /// How far each batch's covariance is drawn towards a multiple of the
    /// identity before that.
    pub shrinkage: Shrinkage,
}

impl Default for Coral {
    fn default() -> Self {
        Self {
            reference: Reference::Controls,
            target: CoralTarget::Pooled,
            regularisation: 1.0,
            shrinkage: Shrinkage::None,
        }
    }
}

impl Align for Coral {
    type Fitted = FittedAligner;

    fn check(&self) -> Result<(), AlignError> {
        if !(self.regularisation.is_finite() && self.regularisation >= 0.0) {
            return Err(AlignError::InvalidSetting {
                setting: "regularisation",
                value: self.regularisation.to_string(),
                expected: "a number of at least 0",
            });
        }
        self.shrinkage.check()
    }

    fn fit(&self, input: &AlignInput<'_>) -> Result<FittedAligner, AlignError> {
        self.check()?;
        let d = input.values.ncols();
        let batches = BatchRows::of(input, self.reference.controls_only(), 2)?;
        if let [only] = &batches.names[..] {
            return Err(AlignError::OneBatch {
                method: "coral",
                batch: only.clone(),
            });
        }
        let target_batch = match &self.target {
            CoralTarget::Batch(name) => Some(batches.index_of(name)?),
            _ => None,
        };

        // Step 1.
        let mut rows_of_batches: Vec<Vec<f64>> = batches
            .rows
            .iter()
            .map(|rows| gather_rows(input.values, rows))
            .collect();
        let counts: Vec<usize> = batches.rows.iter().map(Vec::len).collect();
        let moments: Vec<Moments> = rows_of_batches
            .iter()
            .map(|rows| Moments::of(rows, d))
            .collect();
        let num_rows: usize = counts.iter().sum();
        let pooled = |of: &dyn Fn(&Moments) -> &[f64]| -> Vec<f64> {
            let sum = |j: usize| -> f64 {
                let terms = moments.iter().zip(&counts);
                terms.map(|(m, &count)| of(m)[j] * count as f64).sum()
            };
            (0..d).map(|j| sum(j) / num_rows as f64).collect()
        };
        let scale = Moments::from_parts(
            pooled(&|moments| &moments.mean),
            pooled(&|moments| &moments.variance),
            num_rows,
        );
        let mean = match target_batch {
            Some(index) => moments[index].mean.clone(),
            None => scale.mean.clone(),
        };
        let scale = scale.scale();
        let before: Vec<Scaling> = moments
            .into_iter()
            .map(|moments| Scaling {
                center: moments.mean,
                scale: scale.clone(),
            })
            .collect();
        for (rows, before) in rows_of_batches.iter_mut().zip(&before) {
            before.apply_to_rows(rows);
        }

        // Step 2.
        let covariances: Vec<(Mat<f64>, f64)> = rows_of_batches
            .par_iter()
            .zip(&counts)
            .map(|(rows, &count)| {
                let centred = MatRef::from_row_major_slice(rows, count, d);
                let mut covariance =
                    product(centred.transpose(), centred, 1.0 / (count - 1) as f64);
                let amount = self.shrinkage.amount(centred);
                shrink(&mut covariance, amount);
                (covariance, amount)
            })
            .collect();
        let pooled_but = |left_out: Option<usize>| {
            let mut sum = Mat::zeros(d, d);
            let mut degrees = 0.0;
            for (index, ((covariance, _), &count)) in covariances.iter().zip(&counts).enumerate() {
                if left_out != Some(index) {
                    sum += faer::Scale((count - 1) as f64) * covariance;
                    degrees += (count - 1) as f64;
                }
            }
            sum * faer::Scale(1.0 / degrees)
        };
        let coloured = |target: Mat<f64>, what: String| self.power(target, 0.5, what, num_rows);
        let shared = match (&self.target, target_batch) {
            (CoralTarget::OtherBatches, _) => None,
            (_, Some(index)) => Some(coloured(
                covariances[index].0.clone(),
                format!("batch '{}'", batches.names[index]),
            )?),
            (_, None) => Some(coloured(pooled_but(None), "all batches".to_owned())?),
        };
        let matrices: Result<Vec<Mat<f64>>, AlignError> = covariances
            .par_iter()
            .enumerate()
            .map(|(index, (covariance, _))| {
                if target_batch == Some(index) {
                    return Ok(Mat::identity(d, d));
                }
                let name = &batches.names[index];
                let whitening = self.power(
                    covariance.clone(),
                    -0.5,
                    format!("batch '{name}'"),
                    counts[index],
                )?;
                let own;
                let colouring = match &shared {
                    Some(shared) => shared,
                    None => {
                        let what = format!("the batches other than '{name}'");
                        own = coloured(pooled_but(Some(index)), what)?;
                        &own
                    }
                };
                Ok(product(whitening.as_ref(), colouring.as_ref(), 1.0))
            })
            .collect();

        // Step 3: `value * scale + mean`, as a centre and a scale.
        let after = Scaling {
            center: mean.iter().zip(&scale).map(|(m, s)| -m / s).collect(),
            scale: scale.iter().map(|s| 1.0 / s).collect(),
        };
        let mut report = FitReport::new(input, d, vec![]);
        report.note_few_rows(&batches, d, self.shrinkage);
        if self.shrinkage != Shrinkage::None {
            let amounts = covariances.iter().map(|(_, amount)| *amount);
            report.shrinkage_per_batch = batches.names.iter().cloned().zip(amounts).collect();
        }
        let affine = Affine {
            batches: Some(batches.names),
            before,
            projection: None,
            after: vec![after],
            matrices: matrices?,
        };
        Ok(FittedAligner::new(
            AlignMethod::Coral(self.clone()),
            affine,
            report,
        ))
    }
}

impl Coral {
    /// `(covariance + regularisation * I)^exponent`.
    fn power(
        &self,
        mut covariance: Mat<f64>,
        exponent: f64,
        what: String,
        num_rows: usize,
    ) -> Result<Mat<f64>, AlignError> {
        let d = covariance.nrows();
        for j in 0..d {
            covariance[(j, j)] += self.regularisation;
        }
        let (eigenvalues, vectors) = match eigen(covariance) {
            Ok(found) => found,
            Err(error) => return Err(AlignError::not_converged(what)(error)),
        };
        let largest = eigenvalues.last().copied().unwrap_or_default();
        let noise = largest * d as f64 * f64::EPSILON;
        if exponent < 0.0 && eigenvalues[0] <= noise {
            return Err(AlignError::Singular {
                what,
                num_rows,
                num_features: d,
            });
        }
        // Half the exponent on either side keeps the result symmetric.
        let factors = eigenvalues
            .iter()
            .map(|value| value.max(0.0).powf(exponent / 2.0));
        let factors: Vec<f64> = factors.collect();
        let scaled = Mat::from_fn(d, d, |i, j| vectors[(i, j)] * factors[j]);
        Ok(product(scaled.as_ref(), scaled.transpose(), 1.0))
    }
}

/// Draws a covariance towards its mean variance times the identity.
fn shrink(covariance: &mut Mat<f64>, amount: f64) {
    if amount == 0.0 {
        return;
    }
    let d = covariance.nrows();
    let mean_variance = (0..d).map(|j| covariance[(j, j)]).sum::<f64>() / d as f64;
    *covariance *= faer::Scale(1.0 - amount);
    for j in 0..d {
        covariance[(j, j)] += amount * mean_variance;
    }
}

impl BatchRows {
    /// Where a reference batch stands.
    ///
    /// # Errors
    /// There is no such batch.
    pub(crate) fn index_of(&self, name: &str) -> Result<usize, AlignError> {
        let found = self.names.iter().position(|known| known == name);
        found.ok_or_else(|| AlignError::UnknownReferenceBatch {
            batch: name.to_owned(),
            suggestion: suggestion(name, self.names.iter().map(String::as_str)).map(str::to_owned),
        })
    }
}
