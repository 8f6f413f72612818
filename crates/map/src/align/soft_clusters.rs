use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;
use rayon::prelude::*;

use super::fitted::{GetTensor, Shaped, Tensors};
use super::input::copy_row;
use super::{Aligned, Harmony};
use crate::exponential::{MAX_EXPONENT, exp_below_0};

/// Rows that one work item takes.
const CHUNK_ROWS: usize = 256;

/// What [`Harmony`] learnt: for each of its iterations where the clusters
/// were, and by how much each moves the rows of each batch.
///
/// A row is taken through the same iterations as the rows fitted on: its
/// shares in the clusters follow from where the iteration before has put it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SoftClusters {
    pub(crate) stages: Vec<Stage>,
    pub(crate) num_clusters: usize,
    pub(crate) num_batches: usize,
    pub(crate) num_features: usize,
    pub(crate) sigma: f64,
}

/// One iteration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stage {
    /// What the keys of its last round of clustering were drawn with.
    pub(crate) round: Round,
    /// Smallest key of each block of rows but the first; increasing.
    pub(crate) block_starts: Vec<u64>,
    /// `[num_clusters, num_features]`, of length 1.
    pub(crate) centroids: Vec<f64>,
    /// Logarithm of what shares are multiplied by so that batches mix,
    /// `[num_blocks, num_batches, num_clusters]`.
    pub(crate) log_penalties: Vec<f64>,
    /// Taken from rows wholly in a cluster,
    /// `[num_batches, num_clusters, num_features]`.
    pub(crate) corrections: Vec<f64>,
}

/// A round of clustering, in which rows are taken in an order of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round(pub(crate) u64);

/// Keys have as many bits as a double holds exactly, so that a file of
/// doubles keeps them.
const KEY_BITS: u32 = 53;

impl Round {
    /// The place of a row in this round's order, by its own values alone: the
    /// order does not depend on where rows stand in a table, and a row meets
    /// the same block again when it is transformed.
    pub(crate) fn key(self, row_hash: u64) -> u64 {
        mixed(row_hash ^ self.0) >> (u64::BITS - KEY_BITS)
    }
}

/// A hash of a row's values; 0 and -0 are the same.
pub(crate) fn row_hash(row: &[f64]) -> u64 {
    row.iter()
        .fold(0, |hash, value| mixed(hash ^ (value + 0.0).to_bits()))
}

/// The output function of SplitMix64 (Steele, Lea & Flood 2014).
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Stage {
    /// The block in which a row of this key is.
    fn block(&self, key: u64) -> usize {
        self.block_starts.partition_point(|&start| start <= key)
    }
}

/// Divides a row by its length; a row of zeros stays.
pub(crate) fn normalise(row: &mut [f64]) {
    let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|value| *value /= length);
    }
}

/// `lhs * rhs'` of row-major matrices with `num_columns` columns each.
pub(crate) fn inner_products(lhs: &[f64], rhs: &[f64], num_columns: usize, to: &mut [f64]) {
    let (m, n) = (lhs.len() / num_columns, rhs.len() / num_columns);
    matmul(
        MatMut::from_row_major_slice_mut(to, m, n),
        Accum::Replace,
        MatRef::from_row_major_slice(lhs, m, num_columns),
        MatRef::from_row_major_slice(rhs, n, num_columns).transpose(),
        1.0,
        Par::Seq,
    );
}

/// Turns inner products of rows with the centroids into the rows' shares in
/// the clusters. `penalty_of` gives a row's penalties; each row's sum of
/// `share * ln(share)` is added to `entropies`.
///
/// The penalties join before the largest is taken away, so that one share at
/// least is above 0 however far the centroids are.
pub(crate) fn shares_from_products<'a>(
    products: &mut [f64],
    num_clusters: usize,
    sigma: f64,
    penalty_of: impl Fn(usize) -> &'a [f64],
    entropies: &mut Vec<f64>,
) {
    let rows = products.chunks_exact_mut(num_clusters).enumerate();
    // In one dispatch, so that several exponentials are computed at a time.
    Arch::new().dispatch(|| {
        for (row, products) in rows {
            entropies.push(shares_of_row(products, penalty_of(row), sigma));
        }
    });
}

#[inline(always)]
fn shares_of_row(products: &mut [f64], log_penalty: &[f64], sigma: f64) -> f64 {
    let mut largest = f64::NEG_INFINITY;
    for (value, penalty) in products.iter_mut().zip(log_penalty) {
        *value = -2.0 * (1.0 - *value) / sigma + penalty;
        largest = largest.max(*value);
    }
    let (mut sum, mut weighted) = (0.0, 0.0);
    for value in products.iter_mut() {
        let below = *value - largest;
        *value = exp_below_0(below);
        sum += *value;
        weighted += *value * below.max(-MAX_EXPONENT);
    }
    products.iter_mut().for_each(|value| *value /= sum);
    // ln(share) is `below - ln(sum)`.
    weighted / sum - f64::ln(sum)
}

/// Rows of one batch less their clusters' corrections.
pub(crate) fn corrected(
    rows: &[f64],
    shares: &[f64],
    corrections: &[f64],
    num_features: usize,
) -> Vec<f64> {
    let num_rows = rows.len() / num_features;
    let num_clusters = shares.len() / num_rows;
    let mut result = rows.to_vec();
    matmul(
        MatMut::from_row_major_slice_mut(&mut result, num_rows, num_features),
        Accum::Add,
        MatRef::from_row_major_slice(shares, num_rows, num_clusters),
        MatRef::from_row_major_slice(corrections, num_clusters, num_features),
        -1.0,
        Par::Seq,
    );
    result
}

impl SoftClusters {
    /// Moves rows that the affine step has prepared; `values` are the rows as
    /// they came.
    pub(crate) fn apply(
        &self,
        values: MatRef<'_, f64>,
        rows_by_batch: &[Vec<usize>],
        aligned: &mut Aligned,
    ) {
        let d = self.num_features;
        let chunks: Vec<(usize, &[usize])> = rows_by_batch
            .iter()
            .enumerate()
            .flat_map(|(batch, rows)| rows.chunks(CHUNK_ROWS).map(move |rows| (batch, rows)))
            .collect();
        let moved: Vec<Vec<f64>> = chunks
            .par_iter()
            .map(|&(batch, rows)| {
                let mut row_values = vec![0.0; values.ncols()];
                let hashes: Vec<u64> = rows
                    .iter()
                    .map(|&row| {
                        copy_row(values, row, &mut row_values);
                        row_hash(&row_values)
                    })
                    .collect();
                let start: Vec<f64> = rows
                    .iter()
                    .flat_map(|&row| aligned.row(row))
                    .copied()
                    .collect();
                self.moved(&start, &hashes, batch)
            })
            .collect();
        for ((_, rows), moved) in chunks.iter().zip(&moved) {
            for (&row, moved) in rows.iter().zip(moved.chunks_exact(d)) {
                aligned.values[row * d..(row + 1) * d].copy_from_slice(moved);
            }
        }
    }

    /// Takes rows of one batch through all iterations.
    fn moved(&self, start: &[f64], hashes: &[u64], batch: usize) -> Vec<f64> {
        let (d, k) = (self.num_features, self.num_clusters);
        let mut now = start.to_vec();
        for stage in &self.stages {
            now.chunks_exact_mut(d).for_each(normalise);
            let mut shares = vec![0.0; hashes.len() * k];
            inner_products(&now, &stage.centroids, d, &mut shares);
            let penalty_of = |row: usize| {
                let block = stage.block(stage.round.key(hashes[row]));
                &stage.log_penalties[(block * self.num_batches + batch) * k..][..k]
            };
            shares_from_products(&mut shares, k, self.sigma, penalty_of, &mut vec![]);
            let corrections = &stage.corrections[batch * k * d..][..k * d];
            now = corrected(start, &shares, corrections, d);
        }
        now
    }

    pub(crate) fn put_tensors(&self, tensors: &mut Tensors) {
        let (b, k, d) = (self.num_batches, self.num_clusters, self.num_features);
        let n = self.stages.len();
        let blocks = self.stages.first().map_or(1, |s| s.block_starts.len() + 1);
        let halves = |round: Round| [(round.0 >> 32) as f64, (round.0 & 0xffff_ffff) as f64];
        let stages = || self.stages.iter();
        let mut put = |name, shape: &[usize], values: Vec<f64>| {
            tensors.insert(name, (shape.to_vec(), values));
        };
        put(
            "harmony.round",
            &[n, 2],
            stages().flat_map(|stage| halves(stage.round)).collect(),
        );
        put(
            "harmony.block_start",
            &[n, blocks - 1],
            stages()
                .flat_map(|stage| stage.block_starts.iter().map(|&key| key as f64))
                .collect(),
        );
        put(
            "harmony.centroid",
            &[n, k, d],
            stages()
                .flat_map(|stage| &stage.centroids)
                .copied()
                .collect(),
        );
        put(
            "harmony.log_penalty",
            &[n, blocks, b, k],
            stages()
                .flat_map(|stage| &stage.log_penalties)
                .copied()
                .collect(),
        );
        put(
            "harmony.correction",
            &[n, b, k, d],
            stages()
                .flat_map(|stage| &stage.corrections)
                .copied()
                .collect(),
        );
    }

    pub(crate) fn from_tensors(
        get: &GetTensor<'_>,
        method: &Harmony,
        num_batches: usize,
        num_features: usize,
    ) -> Result<Self, String> {
        let need = |name: &str, num_axes: usize| -> Result<Shaped, String> {
            get(name, num_axes)?.ok_or_else(|| format!("tensor '{name}' is missing"))
        };
        let (round_shape, rounds) = need("harmony.round", 2)?;
        let (start_shape, starts) = need("harmony.block_start", 2)?;
        let (centroid_shape, centroids) = need("harmony.centroid", 3)?;
        let (penalty_shape, penalties) = need("harmony.log_penalty", 4)?;
        let (correction_shape, corrections) = need("harmony.correction", 4)?;
        let (n, k) = (centroid_shape[0], centroid_shape[1]);
        let blocks = penalty_shape[1];
        let (b, d) = (num_batches, num_features);
        let fits = n > 0
            && k > 0
            && blocks > 0
            && b > 0
            && round_shape == [n, 2]
            && start_shape == [n, blocks - 1]
            && centroid_shape == [n, k, d]
            && penalty_shape == [n, blocks, b, k]
            && correction_shape == [n, b, k, d];
        if !fits {
            return Err("its harmony tensors do not fit together".to_owned());
        }
        let stages = (0..n).map(|i| Stage {
            round: Round(((rounds[2 * i] as u64) << 32) | rounds[2 * i + 1] as u64),
            block_starts: starts[i * (blocks - 1)..][..blocks - 1]
                .iter()
                .map(|&key| key as u64)
                .collect(),
            centroids: centroids[i * k * d..][..k * d].to_vec(),
            log_penalties: penalties[i * blocks * b * k..][..blocks * b * k].to_vec(),
            corrections: corrections[i * b * k * d..][..b * k * d].to_vec(),
        });
        Ok(Self {
            stages: stages.collect(),
            num_clusters: k,
            num_batches: b,
            num_features: d,
            sigma: method.sigma,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_by_hand() {
        // Distances 0 and ln 2 in units of sigma, and a penalty that makes up
        // for it; then none.
        let sigma = 0.5;
        let cosine = 1.0 - f64::ln(2.0) * sigma / 2.0;
        let mut products = [1.0, cosine, 1.0, cosine];
        let penalties = [[0.0, f64::ln(2.0)], [0.0, 0.0]];
        let mut entropies = vec![];
        shares_from_products(
            &mut products,
            2,
            sigma,
            |row| &penalties[row],
            &mut entropies,
        );
        for (found, expect) in products.iter().zip([0.5, 0.5, 2.0 / 3.0, 1.0 / 3.0]) {
            assert!((found - expect).abs() < 1e-15);
        }
        let (third, two_thirds) = (1.0 / 3.0f64, 2.0 / 3.0f64);
        let expect = [
            -f64::ln(2.0),
            third * third.ln() + two_thirds * two_thirds.ln(),
        ];
        for (found, expect) in entropies.iter().zip(expect) {
            assert!((found - expect).abs() < 1e-15);
        }
    }
}
