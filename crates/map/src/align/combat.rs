use std::collections::{BTreeMap, HashMap};

use faer::{Mat, MatRef};
use morphospace_core::suggestion;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::affine::{Affine, BatchRows, Scaling};
use super::fitted::{GetTensor, LastStep, Tensors};
use super::input::gather_rows;
use super::{
    Align, AlignError, AlignInput, AlignMethod, Aligned, FitReport, FittedAligner, Reference,
};
use crate::decompose::{eigen, product};
use crate::moments::Moments;

/// What is assumed of how batch effects spread over the features of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CombatPrior {
    /// Shifts are normal and scales inverse gamma.
    #[default]
    Parametric,
    /// As the other features of the batch have them. Takes time in the square
    /// of the number of features.
    NonParametric,
}

/// ComBat: the shift and the scale that a batch gives a feature, drawn towards
/// those of the batch's other features (empirical Bayes), taken out.
///
/// 1. Fit each feature by a mean for each batch, and for each value of the
///    covariate if there is one; the residual is in units of `sigma`.
/// 2. Of each batch take every feature's shift `gamma` and variance `delta` in
///    those units, and draw them towards the batch's mean over features, the
///    more the fewer rows the batch has.
/// 3. `(residual - gamma) / sqrt(delta)`, back in units of `sigma` about the
///    mean over batches and the value of the covariate.
///
/// Without covariate perturbations that are spread unevenly over batches are
/// partly taken for batch effects; `covariate` names the column that says what
/// is to stay, and [`AlignInput::with_covariate`] gives it. Fitting on
/// controls needs none.
///
/// A feature that does not vary within some batch is left as it is, and
/// [`FittedAligner::warnings`] counts such features.
///
/// # Shapes
/// - `values`: `[num_rows, num_features]`, at least 2 features
/// - result: the same, in the same units
///
/// # Errors
/// [`AlignError::NoVarianceOfBatch`] names a batch of one row (`mean_only`
/// takes it), [`AlignError::Confounded`] two batches that share no value of
/// the covariate.
///
/// # Source
/// Johnson, Li & Rabinovic 2007, <https://doi.org/10.1093/biostatistics/kxj037>.
/// Agrees with neuroCombat 0.2.12 to 1e-9, where that is let go on until it
/// arrives (it stops at changes of 1e-4, as R's `sva` does); variances divide
/// by one less than the number of rows, as in both and unlike inmoose
/// (`tests/scripts/make_batch_cases.py`).
///
/// # Example
/// ```
/// use faer::mat;
/// use morphospace_map::{Align, AlignInput, Aligner, Combat};
///
/// let values = mat![
///     [0.0, 1.0], [1.0, 3.0], [2.0, 2.0],
///     [10.0, 11.5], [11.0, 13.0], [12.0, 12.0f64],
/// ];
/// let batch: Vec<String> = (0..6).map(|i| format!("plate {}", i / 3)).collect();
/// let input = AlignInput::new(values.as_ref(), &batch, &[false; 6])?;
/// let aligned = Combat::default().fit(&input)?.transform(values.as_ref(), &batch)?;
/// // Plates that lay ten apart lie together.
/// assert!((aligned.row(0)[0] - aligned.row(3)[0]).abs() < 0.5);
/// # Ok::<(), morphospace_map::AlignError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Combat {
    /// The rows fitted on.
    pub reference: Reference,
    /// The column of what differs between rows and is to stay, such as the
    /// perturbation.
    pub covariate: Option<String>,
    /// What is assumed of how batch effects spread over features.
    pub prior: CombatPrior,
    /// Whether scales are left alone and only shifts taken out.
    pub mean_only: bool,
    /// A batch to which the others are brought, and which stays as it is.
    pub reference_batch: Option<String>,
}

impl Default for Combat {
    /// On all rows, as published.
    fn default() -> Self {
        Self {
            reference: Reference::All,
            covariate: None,
            prior: CombatPrior::Parametric,
            mean_only: false,
            reference_batch: None,
        }
    }
}

/// Largest relative change at which shifts and scales have arrived.
const ARRIVED: f64 = 1e-12;

/// Each step brings them nearer by a factor; a few dozen are usual.
const MAX_STEPS: usize = 10_000;

impl Align for Combat {
    type Fitted = FittedAligner;

    fn check(&self) -> Result<(), AlignError> {
        let empty = |text: &Option<String>| text.as_deref().is_some_and(str::is_empty);
        for (setting, text) in [
            ("covariate", &self.covariate),
            ("reference_batch", &self.reference_batch),
        ] {
            if empty(text) {
                return Err(AlignError::InvalidSetting {
                    setting,
                    value: "''".to_owned(),
                    expected: "a name, or not set",
                });
            }
        }
        Ok(())
    }

    fn fit(&self, input: &AlignInput<'_>) -> Result<FittedAligner, AlignError> {
        self.check()?;
        let d = input.values.ncols();
        let batches = BatchRows::of(input, self.reference.controls_only(), 1)?;
        if let [only] = &batches.names[..] {
            return Err(AlignError::OneBatch {
                method: "combat",
                batch: only.clone(),
            });
        }
        let single = batches.rows.iter().position(|rows| rows.len() == 1);
        if let (Some(index), false) = (single, self.mean_only) {
            return Err(AlignError::NoVarianceOfBatch {
                batch: batches.names[index].clone(),
            });
        }
        let reference_batch = match &self.reference_batch {
            Some(name) => Some(batches.index_of(name)?),
            None => None,
        };

        // Step 1.
        let model = TwoWayModel::fit(self, input, &batches)?;
        let residuals: Vec<Vec<f64>> = batches
            .rows
            .par_iter()
            .enumerate()
            .map(|(index, rows)| model.residuals(input.values, rows, index))
            .collect();
        let counts: Vec<usize> = batches.rows.iter().map(Vec::len).collect();
        let of_batches: Vec<Moments> = residuals
            .par_iter()
            .map(|rows| Moments::of(rows, d))
            .collect();
        // Residuals have mean 0 in every batch, but for rounding.
        let with_variance = match reference_batch {
            Some(index) => vec![index],
            None => (0..counts.len()).collect(),
        };
        let num_rows: usize = with_variance.iter().map(|&index| counts[index]).sum();
        let pooled_variance: Vec<f64> = (0..d)
            .map(|j| {
                let squares = with_variance
                    .iter()
                    .map(|&index| of_batches[index].variance[j] * counts[index] as f64);
                squares.sum::<f64>() / num_rows as f64
            })
            .collect();
        // A feature takes part if it varies in every batch whose variance is
        // taken, beyond the rounding of values of its size.
        let size = |j: usize| {
            let means = model.batch_means.iter().map(|mean| mean[j].abs());
            means.fold(f64::MIN_POSITIVE, f64::max)
        };
        let varies = |variance: f64, j: usize| variance > (1e-14 * size(j)).powi(2);
        let kept: Vec<usize> = (0..d)
            .filter(|&j| {
                let in_batches = self.mean_only
                    || of_batches
                        .iter()
                        .all(|moments| varies(moments.variance[j], j));
                in_batches && varies(pooled_variance[j], j)
            })
            .collect();
        if kept.len() < 2 {
            return Err(AlignError::TooFewFeatures { found: kept.len() });
        }
        let sigma: Vec<f64> = kept.iter().map(|&j| pooled_variance[j].sqrt()).collect();

        // Step 2.
        let origin = &model.origin(&counts, reference_batch);
        let effects: Vec<BatchEffects> = (0..counts.len())
            .into_par_iter()
            .map(|index| {
                if reference_batch == Some(index) {
                    return BatchEffects::none(kept.len());
                }
                let n = counts[index] as f64;
                let shift = kept.iter().zip(&sigma).map(|(&j, sigma)| {
                    (model.batch_means[index][j] - origin[j] + of_batches[index].mean[j]) / sigma
                });
                let variance = kept.iter().zip(&sigma).map(|(&j, sigma)| {
                    match self.mean_only {
                        true => 1.0,
                        // Of n rows, divided by one less.
                        false => of_batches[index].variance[j] * n / (n - 1.0) / (sigma * sigma),
                    }
                });
                let squares = kept
                    .iter()
                    .zip(&sigma)
                    .map(|(&j, sigma)| of_batches[index].variance[j] * n / (sigma * sigma));
                let found = BatchEffects {
                    shift: shift.collect(),
                    variance: variance.collect(),
                };
                let squares: Vec<f64> = squares.collect();
                match self.prior {
                    CombatPrior::Parametric => found.parametric(&squares, n, self.mean_only),
                    CombatPrior::NonParametric => found.non_parametric(&squares, n),
                }
            })
            .collect();

        // Step 3 as a centre and a scale.
        let before = effects
            .iter()
            .map(|effects| {
                let mut scaling = Scaling {
                    center: vec![0.0; d],
                    scale: vec![1.0; d],
                };
                for (place, &j) in kept.iter().enumerate() {
                    scaling.center[j] = sigma[place] * effects.shift[place];
                    scaling.scale[j] = effects.variance[place].sqrt();
                }
                scaling
            })
            .collect();
        let mut report = FitReport::new(input, d, vec![]);
        if kept.len() < d {
            report.warnings.push(format!(
                "{} of {d} features do not vary within some batch and were left as they are",
                d - kept.len()
            ));
        }
        let mut affine = Affine {
            batches: Some(batches.names),
            before,
            projection: None,
            after: vec![],
            matrices: vec![],
        };
        let levels = model.into_levels(origin);
        let last_step = match &self.covariate {
            Some(_) => LastStep::Levels(levels),
            None => {
                // (x - c) / s + m (1 - 1 / s) is (x - c - m (1 - s)) / s.
                for scaling in &mut affine.before {
                    let shifts = scaling.center.iter_mut().zip(&scaling.scale);
                    for ((center, scale), mean) in shifts.zip(&levels.means[0]) {
                        *center += mean * (1.0 - scale);
                    }
                }
                LastStep::Nothing
            }
        };
        let method = AlignMethod::Combat(self.clone());
        Ok(FittedAligner::new(method, affine, report).with_last_step(last_step))
    }
}

/// A mean for each batch plus one for each value of the covariate, by least
/// squares; without covariate there is one value, of mean 0.
struct TwoWayModel {
    /// `[num_batches][num_features]`.
    batch_means: Vec<Vec<f64>>,
    /// `[num_levels][num_features]`.
    level_means: Vec<Vec<f64>>,
    level_names: Vec<String>,
    /// Of every row of the input.
    level_of: Vec<usize>,
}

impl TwoWayModel {
    fn fit(
        method: &Combat,
        input: &AlignInput<'_>,
        batches: &BatchRows,
    ) -> Result<Self, AlignError> {
        let d = input.values.ncols();
        let sums_of = |rows: &Vec<usize>| Moments::of(&gather_rows(input.values, rows), d).mean;
        let batch_means: Vec<Vec<f64>> = batches.rows.par_iter().map(sums_of).collect();
        let Some(column) = &method.covariate else {
            return Ok(Self {
                batch_means,
                level_means: vec![vec![0.0; d]],
                level_names: vec![],
                level_of: vec![0; input.batch.len()],
            });
        };
        let covariate = input.covariate.ok_or_else(|| AlignError::NoCovariate {
            column: column.clone(),
        })?;
        let mut rows_of_levels: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for &row in batches.rows.iter().flatten() {
            rows_of_levels.entry(&covariate[row]).or_default().push(row);
        }
        let level_names: Vec<String> = rows_of_levels.keys().map(|&n| n.to_owned()).collect();
        let (num_batches, num_levels) = (batches.names.len(), level_names.len());
        let mut level_of = vec![usize::MAX; covariate.len()];
        for (index, rows) in rows_of_levels.values().enumerate() {
            rows.iter().for_each(|&row| level_of[row] = index);
        }
        // How many rows of each batch have each level.
        let mut counts = Mat::<f64>::zeros(num_batches, num_levels);
        for (batch, rows) in batches.rows.iter().enumerate() {
            rows.iter()
                .for_each(|&row| counts[(batch, level_of[row])] += 1.0);
        }
        check_connected(&counts, batches)?;

        // Levels are many and batches few: with a batch's means known those of
        // the levels follow, which leaves as many equations as batches. All is
        // about the mean of the batches' means, so that little cancels.
        let middle: Vec<f64> = (0..d)
            .map(|j| batch_means.iter().map(|mean| mean[j]).sum::<f64>() / num_batches as f64)
            .collect();
        let of_batch: Vec<f64> = batches.rows.iter().map(|rows| rows.len() as f64).collect();
        let rows_of_levels: Vec<Vec<usize>> = rows_of_levels.into_values().collect();
        let of_level: Vec<f64> = rows_of_levels
            .iter()
            .map(|rows| rows.len() as f64)
            .collect();
        let raw_levels: Vec<Vec<f64>> = rows_of_levels.par_iter().map(sums_of).collect();
        let batch_sums = Mat::from_fn(num_batches, d, |b, j| {
            of_batch[b] * (batch_means[b][j] - middle[j])
        });
        let level_averages = Mat::from_fn(num_levels, d, |l, j| raw_levels[l][j] - middle[j]);
        let shares = Mat::from_fn(num_batches, num_levels, |b, l| counts[(b, l)] / of_level[l]);
        let mut equations = product(shares.as_ref(), counts.transpose(), -1.0);
        for (b, count) in of_batch.iter().enumerate() {
            equations[(b, b)] += count;
        }
        let right = batch_sums - product(counts.as_ref(), level_averages.as_ref(), 1.0);
        // The first eigenvalue is 0: a constant can go from batches to levels.
        let (eigenvalues, vectors) =
            eigen(equations).map_err(AlignError::not_converged("batch and covariate"))?;
        let turned = product(vectors.transpose(), right.as_ref(), 1.0);
        let turned = Mat::from_fn(num_batches, d, |b, j| match b {
            0 => 0.0,
            _ => turned[(b, j)] / eigenvalues[b],
        });
        let found = product(vectors.as_ref(), turned.as_ref(), 1.0);
        let of_levels = level_averages - product(shares.transpose(), found.as_ref(), 1.0);
        let rows = |matrix: &Mat<f64>, add: &[f64]| -> Vec<Vec<f64>> {
            (0..matrix.nrows())
                .map(|i| (0..d).map(|j| matrix[(i, j)] + add[j]).collect())
                .collect()
        };
        Ok(Self {
            batch_means: rows(&found, &middle),
            level_means: rows(&of_levels, &vec![0.0; d]),
            level_names,
            level_of,
        })
    }

    /// Rows of a batch less what the model says of them, row-major.
    fn residuals(&self, values: MatRef<'_, f64>, rows: &[usize], batch: usize) -> Vec<f64> {
        let d = values.ncols();
        let mut residuals = gather_rows(values, rows);
        for (residual, &row) in residuals.chunks_exact_mut(d).zip(rows) {
            let means = self.batch_means[batch]
                .iter()
                .zip(&self.level_means[self.level_of[row]]);
            for (value, (batch, level)) in residual.iter_mut().zip(means) {
                *value -= batch + level;
            }
        }
        residuals
    }

    /// The mean that batches are brought to: of all rows, or the reference
    /// batch's.
    fn origin(&self, counts: &[usize], reference_batch: Option<usize>) -> Vec<f64> {
        if let Some(index) = reference_batch {
            return self.batch_means[index].clone();
        }
        let num_rows = counts.iter().sum::<usize>() as f64;
        let of_feature = |j: usize| {
            let means = self.batch_means.iter().zip(counts);
            let sum: f64 = means.map(|(mean, &count)| mean[j] * count as f64).sum();
            sum / num_rows
        };
        (0..self.batch_means[0].len()).map(of_feature).collect()
    }

    fn into_levels(self, origin: &[f64]) -> LevelMeans {
        let means = self.level_means.into_iter().map(|mut means| {
            means.iter_mut().zip(origin).for_each(|(m, o)| *m += o);
            means
        });
        LevelMeans {
            means: means.collect(),
            names: self.level_names,
        }
    }
}

/// Refuses batches between which no chain of shared levels leads.
fn check_connected(counts: &Mat<f64>, batches: &BatchRows) -> Result<(), AlignError> {
    let (num_batches, num_levels) = (counts.nrows(), counts.ncols());
    let mut is_reached = vec![false; num_batches];
    is_reached[0] = true;
    let mut to_visit = vec![0];
    let mut is_level_done = vec![false; num_levels];
    while let Some(batch) = to_visit.pop() {
        for level in 0..num_levels {
            if counts[(batch, level)] == 0.0 || is_level_done[level] {
                continue;
            }
            is_level_done[level] = true;
            for other in 0..num_batches {
                if counts[(other, level)] > 0.0 && !is_reached[other] {
                    is_reached[other] = true;
                    to_visit.push(other);
                }
            }
        }
    }
    match is_reached.iter().position(|&reached| !reached) {
        None => Ok(()),
        Some(index) => Err(AlignError::Confounded {
            batch: batches.names[index].clone(),
            other: batches.names[0].clone(),
        }),
    }
}

/// What a batch does to each feature, in units of the residual.
struct BatchEffects {
    shift: Vec<f64>,
    variance: Vec<f64>,
}

impl BatchEffects {
    fn none(num_features: usize) -> Self {
        Self {
            shift: vec![0.0; num_features],
            variance: vec![1.0; num_features],
        }
    }

    /// Drawn towards the means over features: shifts normal, variances
    /// inverse gamma. `squares` are each feature's squared deviations from
    /// its mean in the batch, summed over `n` rows.
    fn parametric(self, squares: &[f64], n: f64, mean_only: bool) -> Self {
        let (shift_mean, shift_variance) = mean_and_variance(&self.shift);
        let posterior = |shift: f64, n: f64, variance: f64| {
            let weight = shift_variance * n;
            match weight + variance {
                0.0 => shift,
                sum => (weight * shift + variance * shift_mean) / sum,
            }
        };
        if mean_only {
            // As the reference has it: as if each batch were one row.
            let shifts = self.shift.iter().map(|&shift| posterior(shift, 1.0, 1.0));
            return Self {
                shift: shifts.collect(),
                variance: self.variance,
            };
        }
        // With prior a = 2 + m^2/s and b = m + m^3/s, numerator and
        // denominator times s, which may be 0.
        let (m, s) = mean_and_variance(&self.variance);
        let each = self.shift.par_iter().zip(&self.variance).zip(squares);
        let (shift, variance) = each
            .map(|((&found, &first), &squares)| {
                let (mut shift, mut variance) = (found, first);
                for _ in 0..MAX_STEPS {
                    let next_shift = posterior(found, n, variance);
                    let around = squares + n * (found - next_shift).powi(2);
                    let next = (s * (0.5 * around + m) + m * m * m) / (s * (0.5 * n + 1.0) + m * m);
                    let change = ((next_shift - shift).abs() / shift.abs().max(f64::MIN_POSITIVE))
                        .max((next - variance).abs() / variance);
                    (shift, variance) = (next_shift, next);
                    if change < ARRIVED {
                        break;
                    }
                }
                (shift, variance)
            })
            .unzip();
        Self { shift, variance }
    }

    /// Averages over the other features' shifts and variances, weighted by
    /// how likely each makes the feature's rows.
    fn non_parametric(self, squares: &[f64], n: f64) -> Self {
        let num_features = self.shift.len();
        let (shift, variance) = (0..num_features)
            .into_par_iter()
            .map(|own| {
                let log_likelihood = |other: usize| {
                    let around = squares[own] + n * (self.shift[own] - self.shift[other]).powi(2);
                    -0.5 * (n * self.variance[other].ln() + around / self.variance[other])
                };
                let others = (0..num_features).filter(|&other| other != own);
                let logs: Vec<(usize, f64)> = others.map(|o| (o, log_likelihood(o))).collect();
                let largest = logs.iter().fold(f64::NEG_INFINITY, |most, l| most.max(l.1));
                let (mut sum, mut shift, mut variance) = (0.0, 0.0, 0.0);
                for (other, log) in logs {
                    let weight = (log - largest).exp();
                    sum += weight;
                    shift += weight * self.shift[other];
                    variance += weight * self.variance[other];
                }
                (shift / sum, variance / sum)
            })
            .unzip();
        Self { shift, variance }
    }
}

/// The variance divides by one less than the number.
fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (n - 1.0))
}

/// The mean of each value of a covariate, which stays when a batch's scale is
/// taken out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LevelMeans {
    /// Values in code-point order; none without covariate.
    pub(crate) names: Vec<String>,
    /// `[num_levels][num_features]`.
    means: Vec<Vec<f64>>,
}

impl LevelMeans {
    /// Gives scaled rows back what the scale took from their level's mean.
    pub(crate) fn apply(
        &self,
        affine: &Affine,
        aligned: &mut Aligned,
        batch: &[String],
        column: &str,
        covariate: Option<&[String]>,
    ) -> Result<(), AlignError> {
        let covariate = covariate.ok_or_else(|| AlignError::NoCovariate {
            column: column.to_owned(),
        })?;
        if covariate.len() != batch.len() {
            return Err(AlignError::WrongLength {
                what: "covariate",
                found: covariate.len(),
                expected: batch.len(),
            });
        }
        let index_of: HashMap<&str, usize> = self
            .names
            .iter()
            .enumerate()
            .map(|(index, name)| (name.as_str(), index))
            .collect();
        let levels: Result<Vec<usize>, AlignError> = covariate
            .iter()
            .map(|level| {
                let index = index_of.get(level.as_str()).copied();
                index.ok_or_else(|| AlignError::UnknownLevel {
                    column: column.to_owned(),
                    level: level.clone(),
                    suggestion: suggestion(level, self.names.iter().map(String::as_str))
                        .map(str::to_owned),
                })
            })
            .collect();
        let levels = levels?;
        let num_features = aligned.num_features;
        for (index, rows) in affine.rows_by_batch(batch)?.into_iter().enumerate() {
            let scale = &affine.before[index].scale;
            for row in rows {
                let values = &mut aligned.values[row * num_features..][..num_features];
                let means = &self.means[levels[row]];
                for ((value, mean), scale) in values.iter_mut().zip(means).zip(scale) {
                    *value += mean * (1.0 - 1.0 / scale);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn put_tensors(&self, tensors: &mut Tensors) {
        let shape = vec![self.means.len(), self.means[0].len()];
        tensors.insert("levels.mean", (shape, self.means.concat()));
    }

    pub(crate) fn from_tensors(
        get: &GetTensor<'_>,
        names: Vec<String>,
        num_features: usize,
    ) -> Result<Self, String> {
        match get("levels.mean", 2)? {
            Some((shape, values)) if shape == [names.len(), num_features] => Ok(Self {
                names,
                means: values
                    .chunks_exact(num_features)
                    .map(<[f64]>::to_vec)
                    .collect(),
            }),
            _ => Err("tensor 'levels.mean' does not fit the levels".to_owned()),
        }
    }
}
