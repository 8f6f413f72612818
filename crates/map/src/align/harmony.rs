use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use morphospace_core::Seed;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::affine::{Affine, BatchRows, Scaling};
use super::fitted::LastStep;
use super::input::copy_row;
use super::kmeans::{kmeans, rows_per_sum};
use super::pca::FittedPca;
use super::soft_clusters::{
    Round, SoftClusters, Stage, corrected, inner_products, normalise, row_hash,
    shares_from_products,
};
use super::{
    Align, AlignError, AlignInput, AlignMethod, Convergence, FitReport, FittedAligner, Verdict,
};

/// Harmony: rows are shared out among clusters in which batches mix, and what
/// a batch's rows in a cluster have in common is taken from them.
///
/// Each iteration clusters the rows, which lie on a sphere (cosine distance),
/// softly: the nearer a centroid the larger the share, and the larger the
/// more a row's batch is under-represented in the cluster. Then every cluster
/// fits a shift for each batch (a ridge regression), and each row loses the
/// shifts of its batch by its shares, always from where it came in. It ends
/// when the objective falls by less than `epsilon_harmony` of itself, and
/// [`FitReport::convergence`] has the objective of every iteration and whether
/// it did: the reference only prints that.
///
/// Fitted on all rows, controls or not. It was made for principal component
/// scores; `num_components` takes them first.
///
/// **Further rows** of the batches fitted on go through the same iterations:
/// their shares follow from the fitted centroids and penalties, where
/// Symphony (Kang et al. 2021) takes the last ones only and no penalty. The
/// rows fitted on come out as they were fitted, to rounding, because the order
/// in which rows take turns within a round is told by a hash of a row's own
/// values with the seed and the round, and not by its place in the table. For
/// the same reason the result does not depend on the order of rows.
///
/// # Shapes
/// - `values`: `[num_rows, num_features]`
/// - result: the same, or `[num_rows, num_components]`
///
/// # Errors
/// [`AlignError::OneBatch`]; [`AlignError::TooManyComponents`].
///
/// # Source
/// Korsunsky et al. 2019, <https://doi.org/10.1038/s41592-019-0619-0>. Agrees
/// with harmonypy 0.0.10 to 1e-9, given its centroids and the order of rows
/// (`tests/scripts/make_batch_cases.py`): the published algorithm in double
/// precision, where 0.2.0 computes in single precision. Defaults are those of
/// 0.2.0 and of R's `harmony`; 0.0.10 has a `theta` of 1. Differences: rows are
/// put on the sphere by their length, where 0.0.10 (no longer 0.1.0) divides by
/// their largest value first, so that a row without a positive value starts on
/// the far side; and the first centroids are one run of k-means++ and k-means,
/// not the best of ten.
///
/// # Example
/// ```
/// use faer::Mat;
/// use morphospace_map::{Align, AlignInput, Aligner, Harmony};
///
/// let values = Mat::from_fn(60, 2, |i, j| {
///     let angle = (i / 2) as f64 / 10.0;
///     [angle.cos(), angle.sin()][j] * 5.0 + (i % 2) as f64
/// });
/// let batch: Vec<String> = (0..60).map(|i| format!("plate {}", i % 2)).collect();
/// let input = AlignInput::new(values.as_ref(), &batch, &[false; 60])?;
/// let fitted = Harmony::default().fit(&input)?;
/// let convergence = fitted.report().convergence.as_ref().expect("harmony tells");
/// assert!(convergence.objective.last() < convergence.objective.first());
/// # Ok::<(), morphospace_map::AlignError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Harmony {
    /// Principal components of all rows that are taken first; 0 leaves the
    /// features as they are.
    pub num_components: usize,
    /// How strongly clusters are made to mix batches; 0 not at all.
    pub theta: f64,
    /// Ridge penalty of a cluster's shifts, in rows.
    pub lambda: f64,
    /// Width of the soft assignment: the smaller, the harder.
    pub sigma: f64,
    /// Rows per cluster below which a batch's `theta` is lessened, so that
    /// small batches are not spread over all clusters; 0 turns it off.
    pub tau: f64,
    /// Clusters; 0 takes one per 30 rows, at most 100.
    pub nclust: usize,
    /// Most iterations of clustering and correcting.
    pub max_iter_harmony: usize,
    /// Most rounds of clustering in each.
    pub max_iter_kmeans: usize,
    /// Relative change of the objective, over three rounds, at which
    /// clustering ends.
    pub epsilon_cluster: f64,
    /// Relative fall of the objective at which iterations end.
    pub epsilon_harmony: f64,
    /// Share of the rows that take turns together in a round.
    pub block_size: f64,
    /// Draws the first centroids and the order of rows.
    pub seed: Seed,
}

impl Default for Harmony {
    fn default() -> Self {
        Self {
            num_components: 0,
            theta: 2.0,
            lambda: 1.0,
            sigma: 0.1,
            tau: 0.0,
            nclust: 0,
            max_iter_harmony: 10,
            max_iter_kmeans: 20,
            epsilon_cluster: 1e-5,
            epsilon_harmony: 1e-4,
            block_size: 0.05,
            seed: Seed::new(0),
        }
    }
}

/// Rounds over which clustering's objective is averaged.
const WINDOW: usize = 3;

/// The most blocks: more would be a penalty for every row or so.
const MAX_BLOCKS: f64 = 1000.0;

impl Align for Harmony {
    type Fitted = FittedAligner;

    fn check(&self) -> Result<(), AlignError> {
        let refuse = |setting, value: String, expected| {
            Err(AlignError::InvalidSetting {
                setting,
                value,
                expected,
            })
        };
        for (setting, value) in [("lambda", self.lambda), ("sigma", self.sigma)] {
            if !(value.is_finite() && value > 0.0) {
                return refuse(setting, value.to_string(), "a number above 0");
            }
        }
        for (setting, value) in [
            ("theta", self.theta),
            ("tau", self.tau),
            ("epsilon_cluster", self.epsilon_cluster),
            ("epsilon_harmony", self.epsilon_harmony),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return refuse(setting, value.to_string(), "a number of at least 0");
            }
        }
        for (setting, value) in [
            ("max_iter_harmony", self.max_iter_harmony),
            ("max_iter_kmeans", self.max_iter_kmeans),
        ] {
            if value == 0 {
                return refuse(setting, value.to_string(), "at least 1");
            }
        }
        if !(1.0 / MAX_BLOCKS..=1.0).contains(&self.block_size) {
            return refuse("block_size", self.block_size.to_string(), "from 0.001 to 1");
        }
        Ok(())
    }

    fn fit(&self, input: &AlignInput<'_>) -> Result<FittedAligner, AlignError> {
        self.fit_from(input, None)
    }
}

impl Harmony {
    /// As [`Align::fit`], from given centroids of the rows' directions: what
    /// another program found, or a run before.
    ///
    /// # Shapes
    /// - `initial`: `[nclust, num_features]`, or `[nclust, num_components]`;
    ///   lengths do not matter
    ///
    /// # Errors
    /// As [`Align::fit`]; [`AlignError::WrongCentroids`].
    pub fn fit_from(
        &self,
        input: &AlignInput<'_>,
        initial: Option<MatRef<'_, f64>>,
    ) -> Result<FittedAligner, AlignError> {
        self.check()?;
        let num_rows = input.values.nrows();
        let num_clusters = match self.nclust {
            0 => ((num_rows as f64 / 30.0).round_ties_even() as usize).clamp(1, 100),
            given => given,
        };
        if num_clusters > num_rows {
            return Err(AlignError::InvalidSetting {
                setting: "nclust",
                value: num_clusters.to_string(),
                expected: "at most the number of rows",
            });
        }
        let batches = BatchRows::of(input, false, 1)?;
        if let [only] = &batches.names[..] {
            return Err(AlignError::OneBatch {
                method: "harmony",
                batch: only.clone(),
            });
        }

        // Rows in the order of their hashes, so that no sum and no draw
        // depends on their order in the table.
        let mut batch_of = vec![0; num_rows];
        for (index, rows) in batches.rows.iter().enumerate() {
            rows.iter().for_each(|&row| batch_of[row] = index);
        }
        let hash_of: Vec<u64> = (0..num_rows)
            .into_par_iter()
            .map(|row| {
                let mut values = vec![0.0; input.values.ncols()];
                copy_row(input.values, row, &mut values);
                row_hash(&values)
            })
            .collect();
        let mut order: Vec<usize> = (0..num_rows).collect();
        order.sort_by_key(|&row| (hash_of[row], batch_of[row], row));

        let (affine, component_sd) = self.components(input, &order, batches.names)?;
        let start = affine.transform(input.values, input.batch)?;
        let d = start.num_features;
        if let Some(given) = initial
            && (given.nrows(), given.ncols()) != (num_clusters, d)
        {
            return Err(AlignError::WrongCentroids {
                found_rows: given.nrows(),
                found_features: given.ncols(),
                num_clusters,
                num_features: d,
            });
        }
        let mut clustering = Clustering::new(
            self,
            order
                .iter()
                .flat_map(|&row| start.row(row))
                .copied()
                .collect(),
            order.iter().map(|&row| hash_of[row]).collect(),
            order.iter().map(|&row| batch_of[row]).collect(),
            batches.rows.len(),
            num_clusters,
        );
        let seed = self.seed.split("harmony");
        let centroids = match initial {
            Some(given) => (0..num_clusters)
                .flat_map(|i| given.row(i).iter().copied())
                .collect(),
            None => kmeans(&clustering.unit, d, num_clusters, seed.split("centroids")),
        };
        let (stages, convergence) = clustering.run(centroids, seed.split("blocks"));

        let mut report = FitReport::new(input, d, component_sd);
        report
            .warnings
            .extend(convergence.warning("harmony", "max_iter_harmony"));
        report.convergence = Some(convergence);
        let clusters = SoftClusters {
            stages,
            num_clusters,
            num_batches: batches.rows.len(),
            num_features: d,
            sigma: self.sigma,
        };
        let method = AlignMethod::Harmony(self.clone());
        let fitted = FittedAligner::new(method, affine, report);
        Ok(fitted.with_last_step(LastStep::SoftClusters(clusters)))
    }

    /// The principal components asked for, and the spread along all.
    fn components(
        &self,
        input: &AlignInput<'_>,
        rows: &[usize],
        batches: Vec<String>,
    ) -> Result<(Affine, Vec<f64>), AlignError> {
        let num_features = input.values.ncols();
        let mut affine = Affine {
            batches: Some(batches),
            before: vec![Scaling {
                center: vec![0.0; num_features],
                scale: vec![1.0; num_features],
            }],
            projection: None,
            after: vec![],
            matrices: vec![],
        };
        if self.num_components == 0 {
            return Ok((affine, vec![]));
        }
        let fitted = FittedPca::on(input.values, rows)?;
        if self.num_components > fitted.sd.len() {
            return Err(AlignError::TooManyComponents {
                asked: self.num_components,
                num_rows: rows.len(),
                num_features,
                available: fitted.sd.len(),
            });
        }
        affine.before = vec![fitted.centring];
        affine.projection = Some(fitted.axes.subcols(0, self.num_components).to_owned());
        Ok((affine, fitted.sd))
    }
}

/// Rows on their way. Matrices are row-major; shares are in the same order as
/// rows.
struct Clustering<'a> {
    settings: &'a Harmony,
    num_clusters: usize,
    num_batches: usize,
    num_features: usize,
    /// Where rows came in, `[num_rows, num_features]`.
    start: Vec<f64>,
    /// Directions of the rows as corrected so far.
    unit: Vec<f64>,
    hashes: Vec<u64>,
    batch_of: Vec<usize>,
    /// Share of the rows that each batch has.
    batch_share: Vec<f64>,
    /// Of each batch.
    theta: Vec<f64>,
    /// `[num_clusters, num_features]`, of length 1.
    centroids: Vec<f64>,
    /// Cosines of rows and centroids, `[num_rows, num_clusters]`.
    cosines: Vec<f64>,
    /// Of each row in each cluster, adding up to 1.
    shares: Vec<f64>,
    /// Of each row the sum of `share * ln(share)`.
    entropies: Vec<f64>,
    /// Sum of the shares of each cluster.
    total: Vec<f64>,
    /// Of them those of each batch, `[num_batches, num_clusters]`.
    observed: Vec<f64>,
}

impl<'a> Clustering<'a> {
    fn new(
        settings: &'a Harmony,
        start: Vec<f64>,
        hashes: Vec<u64>,
        batch_of: Vec<usize>,
        num_batches: usize,
        num_clusters: usize,
    ) -> Self {
        let num_rows = batch_of.len();
        let num_features = start.len() / num_rows;
        let mut count_of = vec![0usize; num_batches];
        batch_of.iter().for_each(|&batch| count_of[batch] += 1);
        let theta = count_of.iter().map(|&count| {
            if settings.tau == 0.0 {
                return settings.theta;
            }
            let ratio = count as f64 / (num_clusters as f64 * settings.tau);
            settings.theta * (1.0 - (-ratio * ratio).exp())
        });
        let share = |count: &usize| *count as f64 / num_rows as f64;
        let mut unit = start.clone();
        unit.par_chunks_exact_mut(num_features).for_each(normalise);
        Self {
            settings,
            num_clusters,
            num_batches,
            num_features,
            unit,
            hashes,
            theta: theta.collect(),
            batch_share: count_of.iter().map(share).collect(),
            centroids: vec![],
            cosines: vec![0.0; num_rows * num_clusters],
            shares: vec![0.0; num_rows * num_clusters],
            entropies: vec![],
            total: vec![0.0; num_clusters],
            observed: vec![0.0; num_batches * num_clusters],
            start,
            batch_of,
        }
    }

    /// All iterations from given centroids.
    fn run(&mut self, centroids: Vec<f64>, seed: Seed) -> (Vec<Stage>, Convergence) {
        let settings = self.settings;
        self.set_centroids(centroids);
        self.shares.copy_from_slice(&self.cosines);
        let no_penalty = vec![0.0; self.num_clusters];
        let k = self.num_clusters;
        self.entropies = self
            .shares
            .par_chunks_mut(256 * k)
            .flat_map_iter(|shares| {
                let mut entropies = Vec::with_capacity(256);
                let penalty_of = |_| &no_penalty[..];
                shares_from_products(shares, k, settings.sigma, penalty_of, &mut entropies);
                entropies
            })
            .collect();
        let all: Vec<usize> = (0..self.batch_of.len()).collect();
        self.count(&all, 1.0);

        let mut of_rounds = vec![self.objective()];
        let mut objective = vec![of_rounds[0]];
        let mut verdict = Verdict::ReachedLimit;
        let mut stages = Vec::new();
        for _ in 0..settings.max_iter_harmony {
            let mut stage = None;
            for round in 0..settings.max_iter_kmeans {
                let index = of_rounds.len() as u64;
                stage = Some(self.round(Round(seed.split_index(index).value())));
                of_rounds.push(self.objective());
                if round > WINDOW && has_settled(&of_rounds, settings.epsilon_cluster) {
                    break;
                }
            }
            let mut stage = stage.expect("at least one round");
            stage.corrections = self.correct();
            stages.push(stage);
            let before = *objective.last().expect("the start has one");
            let after = *of_rounds.last().expect("the start has one");
            objective.push(after);
            if (before - after) / before.abs() < settings.epsilon_harmony {
                verdict = match after > before {
                    true => Verdict::ObjectiveRose,
                    false => Verdict::Converged,
                };
                break;
            }
        }
        let convergence = Convergence {
            verdict,
            max_iterations: settings.max_iter_harmony,
            objective,
        };
        (stages, convergence)
    }

    /// Takes centroids of any length and the cosines of all rows with them.
    fn set_centroids(&mut self, mut centroids: Vec<f64>) {
        let (d, k) = (self.num_features, self.num_clusters);
        centroids.chunks_exact_mut(d).for_each(normalise);
        self.cosines
            .par_chunks_mut(256 * k)
            .zip(self.unit.par_chunks(256 * d))
            .for_each(|(cosines, rows)| inner_products(rows, &centroids, d, cosines));
        self.centroids = centroids;
    }

    /// Adds the shares of some rows to the counts, or takes them away.
    fn count(&mut self, rows: &[usize], sign: f64) {
        let k = self.num_clusters;
        for &row in rows {
            let observed = &mut self.observed[self.batch_of[row] * k..][..k];
            let counts = self.total.iter_mut().zip(observed);
            for ((total, observed), share) in counts.zip(&self.shares[row * k..][..k]) {
                *total += sign * share;
                *observed += sign * share;
            }
        }
    }

    /// One round of clustering: centroids move to their rows, then blocks of
    /// rows choose anew, one block after the other.
    fn round(&mut self, round: Round) -> Stage {
        let (d, k) = (self.num_features, self.num_clusters);
        let num_rows = self.batch_of.len();
        let chunk_rows = rows_per_sum(num_rows);
        let sums: Vec<Vec<f64>> = self
            .shares
            .par_chunks(chunk_rows * k)
            .zip(self.unit.par_chunks(chunk_rows * d))
            .map(|(shares, rows)| {
                let mut sums = vec![0.0; k * d];
                add_weighted(shares, rows, k, d, &mut sums);
                sums
            })
            .collect();
        let mut centroids = vec![0.0; k * d];
        for sums in &sums {
            let both = centroids.iter_mut().zip(sums);
            both.for_each(|(centroid, sum)| *centroid += sum);
        }
        self.set_centroids(centroids);

        let num_blocks = (1.0 / self.settings.block_size).ceil() as usize;
        let (block_starts, blocks) = self.blocks(round, num_blocks);
        let mut log_penalties = Vec::with_capacity(num_blocks * self.num_batches * k);
        for rows in &blocks {
            self.count(rows, -1.0);
            let first = log_penalties.len();
            for batch in 0..self.num_batches {
                let observed = &self.observed[batch * k..][..k];
                for (total, observed) in self.total.iter().zip(observed) {
                    let expected = total * self.batch_share[batch];
                    let ratio = (expected + 1.0) / (observed + 1.0);
                    log_penalties.push(self.theta[batch] * ratio.ln());
                }
            }
            let penalties = &log_penalties[first..];
            let chosen: Vec<(Vec<f64>, Vec<f64>)> = rows
                .par_chunks(256)
                .map(|rows| {
                    let of_row = |&row: &usize| &self.cosines[row * k..][..k];
                    let mut shares: Vec<f64> = rows.iter().flat_map(of_row).copied().collect();
                    let mut entropies = Vec::with_capacity(rows.len());
                    let penalty_of =
                        |place: usize| &penalties[self.batch_of[rows[place]] * k..][..k];
                    let sigma = self.settings.sigma;
                    shares_from_products(&mut shares, k, sigma, penalty_of, &mut entropies);
                    (shares, entropies)
                })
                .collect();
            let shares = chosen.iter().flat_map(|(shares, _)| shares.chunks_exact(k));
            let entropies = chosen.iter().flat_map(|(_, entropies)| entropies);
            for ((&row, shares), &entropy) in rows.iter().zip(shares).zip(entropies) {
                self.shares[row * k..][..k].copy_from_slice(shares);
                self.entropies[row] = entropy;
            }
            self.count(rows, 1.0);
        }
        Stage {
            round,
            block_starts,
            centroids: self.centroids.clone(),
            log_penalties,
            corrections: vec![],
        }
    }

    /// The rows of each block, in the order of their keys, and the first key
    /// of each block but the first. Rows of one key are of one block.
    fn blocks(&self, round: Round, num_blocks: usize) -> (Vec<u64>, Vec<Vec<usize>>) {
        let num_rows = self.hashes.len();
        let keys: Vec<u64> = self
            .hashes
            .par_iter()
            .map(|&hash| round.key(hash))
            .collect();
        let mut order: Vec<usize> = (0..num_rows).collect();
        order.par_sort_by_key(|&row| (keys[row], row));
        // As `numpy.array_split`: the first blocks have one row more.
        let (size, rest) = (num_rows / num_blocks, num_rows % num_blocks);
        let starts = (1..num_blocks).map(|block| block * size + block.min(rest));
        let starts: Vec<u64> = starts
            .map(|start| order.get(start).map_or(1 << 53, |&row| keys[row]))
            .collect();
        let mut blocks = vec![Vec::new(); num_blocks];
        for row in order {
            blocks[starts.partition_point(|&start| start <= keys[row])].push(row);
        }
        (starts, blocks)
    }

    /// Distances within clusters, less the entropy of shares, plus how far
    /// clusters are from having each batch's share of the rows.
    fn objective(&self) -> f64 {
        let k = self.num_clusters;
        let sigma = self.settings.sigma;
        let chunk_rows = rows_per_sum(self.batch_of.len());
        let of_rows: Vec<f64> = self
            .shares
            .par_chunks(chunk_rows * k)
            .zip(self.cosines.par_chunks(chunk_rows * k))
            .zip(self.entropies.par_chunks(chunk_rows))
            .map(|((shares, cosines), entropies)| {
                let each = shares.iter().zip(cosines);
                let distances = each.map(|(share, cosine)| 2.0 * share * (1.0 - cosine));
                distances.sum::<f64>() + sigma * entropies.iter().sum::<f64>()
            })
            .collect();
        let of_batches = (0..self.num_batches).flat_map(|batch| {
            let observed = &self.observed[batch * k..][..k];
            self.total
                .iter()
                .zip(observed)
                .map(move |(total, observed)| {
                    let expected = total * self.batch_share[batch];
                    self.theta[batch] * observed * ((observed + 1.0) / (expected + 1.0)).ln()
                })
        });
        of_rows.iter().sum::<f64>() + sigma * of_batches.sum::<f64>()
    }

    /// Fits each cluster's shifts and moves the rows by them; gives the
    /// shifts, `[num_batches, num_clusters, num_features]`.
    ///
    /// The regression of a cluster has a row for the intercept and one per
    /// batch and is solved in closed form: with `O` rows and their sum `S` in
    /// each batch, the intercept is the mean of the batches' `S / O`, each
    /// weighted by `O / (O + lambda)`, and a batch's shift `(S - O *
    /// intercept) / (O + lambda)`.
    fn correct(&mut self) -> Vec<f64> {
        let (d, k) = (self.num_features, self.num_clusters);
        let lambda = self.settings.lambda;
        let mut rows_of = vec![Vec::new(); self.num_batches];
        for (row, &batch) in self.batch_of.iter().enumerate() {
            rows_of[batch].push(row);
        }
        let gathered = |rows: &[usize], from: &[f64], width: usize| -> Vec<f64> {
            let each = rows.iter().flat_map(|&row| &from[row * width..][..width]);
            each.copied().collect()
        };
        let mut shifts: Vec<Vec<f64>> = rows_of
            .par_iter()
            .map(|rows| {
                let mut sums = vec![0.0; k * d];
                for rows in rows.chunks(4096) {
                    let shares = gathered(rows, &self.shares, k);
                    add_weighted(&shares, &gathered(rows, &self.start, d), k, d, &mut sums);
                }
                sums
            })
            .collect();
        for cluster in 0..k {
            let count = |batch: usize| self.observed[batch * k + cluster].max(0.0);
            let weights: f64 = (0..self.num_batches)
                .map(|batch| count(batch) / (count(batch) + lambda))
                .sum();
            for j in cluster * d..(cluster + 1) * d {
                let sums = shifts.iter().enumerate();
                let sum: f64 = sums.map(|(b, sums)| sums[j] / (count(b) + lambda)).sum();
                let intercept = if weights > 0.0 { sum / weights } else { 0.0 };
                for (batch, shifts) in shifts.iter_mut().enumerate() {
                    let count = count(batch);
                    shifts[j] = (shifts[j] - count * intercept) / (count + lambda);
                }
            }
        }
        let chunks: Vec<(usize, &[usize])> = rows_of
            .iter()
            .enumerate()
            .flat_map(|(batch, rows)| rows.chunks(256).map(move |rows| (batch, rows)))
            .collect();
        let moved: Vec<Vec<f64>> = chunks
            .par_iter()
            .map(|&(batch, rows)| {
                let start = gathered(rows, &self.start, d);
                let shares = gathered(rows, &self.shares, k);
                let mut moved = corrected(&start, &shares, &shifts[batch], d);
                moved.chunks_exact_mut(d).for_each(normalise);
                moved
            })
            .collect();
        for ((_, rows), moved) in chunks.iter().zip(&moved) {
            for (&row, moved) in rows.iter().zip(moved.chunks_exact(d)) {
                self.unit[row * d..][..d].copy_from_slice(moved);
            }
        }
        shifts.concat()
    }
}

/// Adds `shares' * rows`, `[num_clusters, num_features]`.
fn add_weighted(shares: &[f64], rows: &[f64], k: usize, d: usize, sums: &mut [f64]) {
    let num_rows = rows.len() / d;
    matmul(
        MatMut::from_row_major_slice_mut(sums, k, d),
        Accum::Add,
        MatRef::from_row_major_slice(shares, num_rows, k).transpose(),
        MatRef::from_row_major_slice(rows, num_rows, d),
        1.0,
        Par::Seq,
    );
}

/// Whether the mean of the last rounds is that of the rounds before.
fn has_settled(objective: &[f64], epsilon: f64) -> bool {
    let last = objective.len();
    let after: f64 = objective[last - WINDOW..].iter().sum();
    let before: f64 = objective[last - WINDOW - 1..last - 1].iter().sum();
    (before - after).abs() / before.abs() < epsilon
}
