//! Attention without permuted copies and without an array of all weights.

use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::exp::exp;
use super::host::Host;
use super::matrix::Threads;
use super::rows::Rows;

/// Queries that one pass over keys and values serves.
const QUERIES: usize = 6;
/// Fewest queries that are worth a thread of their own: keys and values are
/// laid out anew for each block of queries.
const LEAST_QUERIES: usize = 64;

/// `softmax(q kᵀ / sqrt(head_dim)) v`, heads side by side; `None` where the
/// kernel does not apply.
///
/// # Shapes
/// `q`: `[B, Nq, H, head_dim]`, `k`, `v`: `[B, Nk, H, head_dim]`; result
/// `[B, Nq, H·head_dim]`
pub(crate) fn attention(q: &Tensor<4>, k: &Tensor<4>, v: &Tensor<4>) -> Option<Tensor<3>> {
    let [batch, num_queries, num_heads, head_dim] = q.dims();
    let num_keys = k.dims()[1];
    let dim = num_heads * head_dim;
    if [batch, num_queries, num_keys, dim].contains(&0) {
        return None;
    }
    let (q, k, v) = (Host::of(q)?, Host::of(k)?, Host::of(v)?);
    let (q, k, v) = (
        token_rows(&q, dim)?,
        token_rows(&k, dim)?,
        token_rows(&v, dim)?,
    );
    let output = attend_images(q, k, v, batch, num_heads);
    Some(Host::tensor(output, [batch, num_queries, dim]))
}

/// [`attention`] of the tokens of all images, all heads of a token in its row.
pub(super) fn attend_images(
    q: Rows<'_>,
    k: Rows<'_>,
    v: Rows<'_>,
    batch: usize,
    num_heads: usize,
) -> Vec<f32> {
    let (num_queries, num_keys, dim) = (q.count / batch, k.count / batch, q.len);
    let threads = Threads::of_each(batch);
    let mut output = vec![0.0; batch * num_queries * dim];
    let images = output.par_chunks_mut(num_queries * dim).enumerate();
    images.for_each_init(HeadScratch::default, |scratch, (image, output)| {
        let keys = image * num_keys;
        let attend = Attend {
            q: q.block(image * num_queries, num_queries),
            k: k.block(keys, num_keys),
            v: v.block(keys, num_keys),
            num_heads,
            head_dim: dim / num_heads,
            output,
            scratch,
        };
        attend.run(threads);
    });
    output
}

/// A row for each token, all heads in it.
fn token_rows(tokens: &Host, dim: usize) -> Option<Rows<'_>> {
    tokens.rows(dim)?.split(dim)
}

/// What is written between steps; kept from call to call.
#[derive(Debug, Default)]
pub(super) struct HeadScratch {
    /// Keys of one head, `[panels, head_dim, lanes]`: the lanes of a panel are
    /// keys, the rest of the last panel is zero.
    keys: Vec<f32>,
    /// Values of one head, `[num_keys, panels, lanes]`.
    values: Vec<f32>,
    /// Scores of [`QUERIES`] rows, then weights.
    scores: Vec<f32>,
    /// Their outputs, `[QUERIES, panels, lanes]`.
    outputs: Vec<f32>,
}

/// Attention of some queries of one image.
pub(super) struct Attend<'a> {
    /// `[Nq, H·head_dim]`.
    pub(super) q: Rows<'a>,
    /// `[Nk, H·head_dim]`.
    pub(super) k: Rows<'a>,
    /// `[Nk, H·head_dim]`.
    pub(super) v: Rows<'a>,
    pub(super) num_heads: usize,
    pub(super) head_dim: usize,
    /// `[Nq, H·head_dim]`.
    pub(super) output: &'a mut [f32],
    pub(super) scratch: &'a mut HeadScratch,
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for head in 0..self.num_heads {
            // As many sums as the processor has registers for.
            match S::F32_LANES {
                16 => self.attend_head::<S, 4>(simd, head),
                _ => self.attend_head::<S, 2>(simd, head),
            }
        }
    }
}

impl Attend<'_> {
    /// All queries; of all threads, each takes a block of them.
    pub(super) fn run(self, threads: Threads) {
        if threads == Threads::One {
            return Arch::new().dispatch(self);
        }
        let Self {
            q,
            k,
            v,
            num_heads,
            head_dim,
            output,
            ..
        } = self;
        let block = q
            .count
            .div_ceil(rayon::current_num_threads())
            .max(LEAST_QUERIES);
        let blocks = output
            .par_chunks_mut(block * num_heads * head_dim)
            .enumerate();
        blocks.for_each_init(HeadScratch::default, |scratch, (index, output)| {
            let count = output.len() / (num_heads * head_dim);
            Arch::new().dispatch(Attend {
                q: q.block(index * block, count),
                k,
                v,
                num_heads,
                head_dim,
                output,
                scratch,
            });
        });
    }

    #[inline(always)]
    fn attend_head<S: Simd, const WIDE: usize>(&mut self, simd: S, head: usize) {
        let Self {
            q,
            k,
            v,
            num_heads,
            head_dim,
            ..
        } = *self;
        let lanes = S::F32_LANES;
        let num_keys = k.count;
        let key_panels = num_keys.div_ceil(lanes);
        let value_panels = head_dim.div_ceil(lanes);
        let features = head * head_dim..(head + 1) * head_dim;
        let HeadScratch {
            keys,
            values,
            scores,
            outputs,
        } = &mut *self.scratch;
        keys.clear();
        keys.resize(key_panels * head_dim * lanes, 0.0);
        for key in 0..num_keys {
            let panel = &mut keys[key / lanes * head_dim * lanes..][..head_dim * lanes];
            let places = panel[key % lanes..].iter_mut().step_by(lanes);
            for (place, x) in places.zip(&k.row(key)[features.clone()]) {
                *place = *x;
            }
        }
        values.clear();
        values.resize(num_keys * value_panels * lanes, 0.0);
        for (key, row) in values.chunks_exact_mut(value_panels * lanes).enumerate() {
            row[..head_dim].copy_from_slice(&v.row(key)[features.clone()]);
        }
        let score_cols = key_panels * lanes;
        scores.resize(QUERIES * score_cols, 0.0);
        outputs.resize(QUERIES * value_panels * lanes, 0.0);
        let keys = Panels {
            data: keys,
            panels: key_panels,
            panel_step: head_dim,
            step: 1,
        };
        let values = Panels {
            data: values,
            panels: value_panels,
            panel_step: 1,
            step: value_panels,
        };
        let scale = 1.0 / (head_dim as f32).sqrt();
        for first in (0..q.count).step_by(QUERIES) {
            // The last queries may be fewer: the last row stands in for the rest.
            let row = |index: usize| &q.row((first + index).min(q.count - 1))[features.clone()];
            let rows: [&[f32]; QUERIES] = std::array::from_fn(row);
            product::<S, WIDE>(simd, rows, keys, scores);
            let mut sums = [0.0; QUERIES];
            for (row, sum) in scores.chunks_exact_mut(score_cols).zip(&mut sums) {
                *sum = exponentials(&mut row[..num_keys], scale);
            }
            let row = |index: usize| &scores[index * score_cols..][..num_keys];
            let weights: [&[f32]; QUERIES] = std::array::from_fn(row);
            product::<S, WIDE>(simd, weights, values, outputs);
            let rows = outputs.chunks_exact(value_panels * lanes).zip(sums);
            for (index, (row, sum)) in rows.enumerate().take(q.count - first) {
                let start = (first + index) * num_heads * head_dim;
                let output = &mut self.output[start..][features.clone()];
                for (output, x) in output.iter_mut().zip(row) {
                    *output = x / sum;
                }
            }
        }
    }
}

/// A matrix whose columns are cut into panels of one vector each.
#[derive(Clone, Copy)]
struct Panels<'a> {
    data: &'a [f32],
    panels: usize,
    /// Vectors from a panel to the next.
    panel_step: usize,
    /// Vectors from one row of a panel to the next.
    step: usize,
}

/// `rows right`, as `[QUERIES, panels, lanes]`.
#[inline(always)]
fn product<S: Simd, const WIDE: usize>(
    simd: S,
    rows: [&[f32]; QUERIES],
    right: Panels<'_>,
    output: &mut [f32],
) {
    let wide = right.panels / WIDE * WIDE;
    for panel in (0..wide).step_by(WIDE) {
        tile::<S, WIDE>(simd, rows, right, panel, output);
    }
    for panel in wide..right.panels {
        tile::<S, 1>(simd, rows, right, panel, output);
    }
}

/// `WIDE` panels of [`product`]; all sums stay in registers.
#[inline(always)]
fn tile<S: Simd, const WIDE: usize>(
    simd: S,
    rows: [&[f32]; QUERIES],
    right: Panels<'_>,
    panel: usize,
    output: &mut [f32],
) {
    let mut sums = [[simd.splat_f32s(0.0); WIDE]; QUERIES];
    let (vectors, _) = S::as_simd_f32s(right.data);
    let streams: [&[S::f32s]; WIDE] =
        std::array::from_fn(|index| &vectors[(panel + index) * right.panel_step..]);
    let depth = rows[0].len();
    let rows = rows.map(|row| &row[..depth]);
    for at in 0..depth {
        let right: [S::f32s; WIDE] = std::array::from_fn(|index| streams[index][at * right.step]);
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let left = simd.splat_f32s(row[at]);
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = simd.mul_add_f32s(left, right, *sum);
            }
        }
    }
    let (output, _) = S::as_mut_simd_f32s(output);
    for (sums, row) in sums.iter().zip(output.chunks_exact_mut(right.panels)) {
        row[panel..][..WIDE].copy_from_slice(sums);
    }
}

/// Replaces scores by `exp(scale (score - largest))` and returns their sum.
#[inline(always)]
pub(super) fn exponentials(scores: &mut [f32], scale: f32) -> f32 {
    const LANES: usize = 16;
    let mut largest = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = scores.as_chunks::<LANES>();
    for chunk in chunks {
        for (largest, x) in largest.iter_mut().zip(chunk) {
            *largest = largest.max(*x);
        }
    }
    let largest = largest
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |a, x| a.max(*x));
    let mut sums = [0.0; LANES];
    let (chunks, rest) = scores.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *x = exp((*x - largest) * scale);
            *sum += *x;
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *x = exp((*x - largest) * scale);
        *sum += *x;
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of processor that this one can stand in for.
    fn on_all_processors(mut attend: impl FnMut(&mut dyn FnMut(Attend<'_>))) -> Vec<String> {
        let mut kinds = vec!["scalar".to_owned()];
        attend(&mut |work| Simd::vectorize(pulp::Scalar::new(), work));
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = pulp::x86::V3::try_new() {
                kinds.push("AVX2".to_owned());
                attend(&mut |work| Simd::vectorize(simd, work));
            }
            if let Some(simd) = pulp::x86::V4::try_new() {
                kinds.push("AVX-512".to_owned());
                attend(&mut |work| Simd::vectorize(simd, work));
            }
        }
        kinds
    }

    #[test]
    fn all_processors_agree() {
        let (num_queries, num_keys, num_heads, head_dim) = (11, 37, 2, 21);
        let dim = num_heads * head_dim;
        let wave = |count: usize, step: f32| -> Vec<f32> {
            (0..count)
                .map(|index| (index as f32 * step).sin())
                .collect()
        };
        let (q, k, v) = (
            wave(num_queries * dim, 0.7),
            wave(num_keys * dim, 1.3),
            wave(num_keys * dim, 2.1),
        );
        let mut outputs = Vec::new();
        let kinds = on_all_processors(|attend| {
            let mut output = vec![0.0; num_queries * dim];
            attend(Attend {
                q: Rows::new(&q, dim),
                k: Rows::new(&k, dim),
                v: Rows::new(&v, dim),
                num_heads,
                head_dim,
                output: &mut output,
                scratch: &mut HeadScratch::default(),
            });
            outputs.push(output);
        });
        // By the formula, in double precision.
        let at = |x: &[f32], row: usize, head: usize, place: usize| {
            f64::from(x[row * dim + head * head_dim + place])
        };
        for (kind, output) in kinds.iter().zip(&outputs) {
            for (query, head) in (0..num_queries).flat_map(|q| [(q, 0), (q, 1)]) {
                let weight = |key: usize| {
                    let products =
                        (0..head_dim).map(|i| at(&q, query, head, i) * at(&k, key, head, i));
                    (products.sum::<f64>() / (head_dim as f64).sqrt()).exp()
                };
                let sum: f64 = (0..num_keys).map(weight).sum();
                for place in 0..head_dim {
                    let values = (0..num_keys).map(|key| weight(key) * at(&v, key, head, place));
                    let expected = values.sum::<f64>() / sum;
                    let found = at(output, query, head, place);
                    assert!(
                        (found - expected).abs() < 1e-5,
                        "{kind}: {found}, not {expected}"
                    );
                }
            }
        }
    }
}
