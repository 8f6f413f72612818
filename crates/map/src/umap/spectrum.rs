use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use morphospace_core::Seed;
use pulp::{Arch, Simd, WithSimd};
use rand::RngExt;
use rayon::prelude::*;

use super::fuzzy_graph::FuzzyGraph;
use super::points::Points;
use crate::decompose::{eigen, product};

/// Vectors that are sought together: more than are needed, as the last of
/// them converge slowly.
const BLOCK: usize = 8;

/// Rows that are summed on one thread.
const CHUNK_ROWS: usize = 2048;

/// The first principal components of the rows, `[num_rows,
/// num_components]`, to a few digits: by powers of the covariance of
/// vectors drawn at random (Halko et al. 2011,
/// <https://doi.org/10.1137/090771806>). Components that a table does not
/// have are 0.
pub(crate) fn principal_components(
    points: &Points<'_>,
    num_components: usize,
    seed: Seed,
) -> Mat<f64> {
    const NUM_POWERS: usize = 12;
    let num_features = points.num_features();
    let rows = points.rounded();
    let num_rows = rows.nrows();
    let mean = product_sums(rows, Mat::<f32>::full(num_rows, 1, 1.0).as_ref());
    let mean = mean / num_rows as f64;
    let mut axes = random(num_features, BLOCK.min(num_features), seed.split("axes"));
    orthonormalise(&mut axes);
    for _ in 0..NUM_POWERS {
        let scores = centred_product(rows, &mean, &axes);
        axes = product_sums(rows, scores.as_ref());
        // Scores of centred rows sum to zero but for rounding.
        orthonormalise(&mut axes);
    }
    let scores = centred_product(rows, &mean, &axes);
    let scores = Mat::from_fn(num_rows, axes.ncols(), |i, j| f64::from(scores[(i, j)]));
    let Ok((_, vectors)) = eigen(product(scores.transpose(), scores.as_ref(), 1.0)) else {
        return Mat::zeros(num_rows, num_components);
    };
    // Eigenvalues increase.
    let num_found = num_components.min(vectors.ncols());
    let turned = Mat::from_fn(vectors.nrows(), num_found, |i, j| {
        vectors[(i, vectors.ncols() - 1 - j)]
    });
    let found = product(scores.as_ref(), turned.as_ref(), 1.0);
    let mut found = Mat::from_fn(num_rows, num_components, |i, j| match j < num_found {
        true => found[(i, j)],
        false => 0.0,
    });
    point_up(&mut found);
    found
}

/// `(rows - mean) * axes`.
fn centred_product(rows: MatRef<'_, f32>, mean: &Mat<f64>, axes: &Mat<f64>) -> Mat<f32> {
    let shift = product(mean.transpose(), axes.as_ref(), 1.0);
    let axes = Mat::from_fn(axes.nrows(), axes.ncols(), |i, j| axes[(i, j)] as f32);
    let mut result = Mat::<f32>::zeros(rows.nrows(), axes.ncols());
    let chunks = result.as_mut().par_row_chunks_mut(CHUNK_ROWS);
    chunks.enumerate().for_each(|(chunk, mut result)| {
        let rows = rows.subrows(chunk * CHUNK_ROWS, result.nrows());
        matmul(
            result.as_mut(),
            Accum::Replace,
            rows,
            axes.as_ref(),
            1.0,
            Par::Seq,
        );
        for j in 0..result.ncols() {
            for i in 0..result.nrows() {
                result[(i, j)] -= shift[(0, j)] as f32;
            }
        }
    });
    result
}

/// `rows^T * scores`, chunk by chunk and the chunks added in order.
fn product_sums(rows: MatRef<'_, f32>, scores: MatRef<'_, f32>) -> Mat<f64> {
    let num_chunks = rows.nrows().div_ceil(CHUNK_ROWS);
    let parts: Vec<Mat<f32>> = (0..num_chunks)
        .into_par_iter()
        .map(|chunk| {
            let start = chunk * CHUNK_ROWS;
            let len = CHUNK_ROWS.min(rows.nrows() - start);
            let mut part = Mat::zeros(rows.ncols(), scores.ncols());
            matmul(
                part.as_mut(),
                Accum::Replace,
                rows.subrows(start, len).transpose(),
                scores.subrows(start, len),
                1.0,
                Par::Seq,
            );
            part
        })
        .collect();
    let mut sum = Mat::zeros(rows.ncols(), scores.ncols());
    for part in &parts {
        for j in 0..sum.ncols() {
            for i in 0..sum.nrows() {
                sum[(i, j)] += f64::from(part[(i, j)]);
            }
        }
    }
    sum
}

/// The eigenvectors of the graph's normalised Laplacian to the smallest
/// eigenvalues above 0, `[num_rows, num_components]`; the graph must be
/// connected.
///
/// Found as the largest of `D^(-1/2) W D^(-1/2)` by subspace iteration with
/// Chebyshev polynomials as filter (Zhou et al. 2006,
/// <https://doi.org/10.1016/j.jcp.2006.03.017>), to as many digits as first
/// coordinates need.
pub(crate) fn graph_spectrum(graph: &FuzzyGraph, num_components: usize, seed: Seed) -> Mat<f64> {
    const MAX_DENSE_ROWS: usize = 200;
    let operator = Operator::new(graph);
    let mut found = if graph.num_rows() <= MAX_DENSE_ROWS {
        operator.dense_vectors(num_components)
    } else {
        operator.leading_vectors(num_components, seed)
    };
    point_up(&mut found);
    found
}

/// `D^(-1/2) W D^(-1/2)` of a graph `W` with degrees `D`; its eigenvalues
/// are within ±1.
struct Operator<'a> {
    graph: &'a FuzzyGraph,
    weights: Vec<f32>,
    /// The eigenvector to 1: the roots of the degrees, of length 1.
    first: Vec<f32>,
}

type Block = Vec<[f32; BLOCK]>;

impl<'a> Operator<'a> {
    fn new(graph: &'a FuzzyGraph) -> Self {
        let num_rows = graph.num_rows();
        let degree = |row| graph.edges(row).1.iter().map(|w| f64::from(*w)).sum();
        let degrees: Vec<f64> = (0..num_rows).map(degree).collect();
        let total: f64 = degrees.iter().sum();
        let mut weights = Vec::with_capacity(graph.weights.len());
        for row in 0..num_rows {
            let (ends, own) = graph.edges(row);
            let scaled = ends.iter().zip(own).map(|(end, weight)| {
                f64::from(*weight) / (degrees[row] * degrees[*end as usize]).sqrt()
            });
            weights.extend(scaled.map(|weight| weight as f32));
        }
        let root = |degree: &f64| (degree / total).sqrt() as f32;
        Self {
            graph,
            weights,
            first: degrees.iter().map(root).collect(),
        }
    }

    fn dense_vectors(&self, num_components: usize) -> Mat<f64> {
        let num_rows = self.graph.num_rows();
        let mut dense = Mat::zeros(num_rows, num_rows);
        for row in 0..num_rows {
            let range = self.graph.starts[row]..self.graph.starts[row + 1];
            for edge in range {
                dense[(row, self.graph.ends[edge] as usize)] = f64::from(self.weights[edge]);
            }
        }
        let found = eigen(dense).map(|(_, vectors)| vectors).ok();
        Mat::from_fn(num_rows, num_components, |i, j| {
            // The last belongs to 1.
            match (&found, j + 2 <= num_rows) {
                (Some(vectors), true) => vectors[(i, num_rows - 2 - j)],
                _ => 0.0,
            }
        })
    }

    fn leading_vectors(&self, num_components: usize, seed: Seed) -> Mat<f64> {
        const MAX_ROUNDS: usize = 20;
        const TOLERANCE: f64 = 1e-3;
        let num_rows = self.graph.num_rows();
        let mut rng = seed.split("spectrum").rng();
        let mut block: Block = (0..num_rows)
            .map(|_| std::array::from_fn(|_| rng.random_range(-1.0..1.0)))
            .collect();
        for round in 0.. {
            self.orthonormalise(&mut block);
            let applied = self.applied(&block);
            let Ok((values, vectors)) = eigen(inner_products(&block, &applied)) else {
                break;
            };
            block = turned(&block, &vectors);
            let applied = turned(&applied, &vectors);
            // Eigenvalues increase: the last are the ones sought.
            let mut residuals = [0.0; BLOCK];
            for (applied, own) in applied.iter().zip(&block) {
                for j in 0..BLOCK {
                    let residual = f64::from(applied[j]) - values[j] * f64::from(own[j]);
                    residuals[j] += residual * residual;
                }
            }
            let sought = residuals.iter().rev().take(num_components);
            if round == MAX_ROUNDS || sought.fold(0.0, |a: f64, b| a.max(*b)).sqrt() < TOLERANCE {
                break;
            }
            block = self.filtered(block, values[0]);
        }
        Mat::from_fn(num_rows, num_components, |i, j| {
            f64::from(block[i][BLOCK - 1 - j])
        })
    }

    /// The operator applied to the vectors of a block.
    fn applied(&self, block: &Block) -> Block {
        self.step(block, None, 1.0, 0.0, 0.0)
    }

    /// `factor * (operator * block - shift * block) - back * before`.
    fn step(
        &self,
        block: &Block,
        before: Option<&Block>,
        factor: f32,
        shift: f32,
        back: f32,
    ) -> Block {
        let mut result = vec![[0.0; BLOCK]; block.len()];
        let chunks = result.par_chunks_mut(CHUNK_ROWS).enumerate();
        chunks.for_each(|(chunk, result)| {
            Arch::new().dispatch(Step {
                operator: self,
                block,
                before,
                factor,
                shift,
                back,
                first_row: chunk * CHUNK_ROWS,
                result,
            });
        });
        result
    }

    /// Damps what belongs to eigenvalues from -1 to `cutoff`; scaled so that
    /// the eigenvalue 1 stays.
    fn filtered(&self, block: Block, cutoff: f64) -> Block {
        const DEGREE: usize = 24;
        let cutoff = cutoff.clamp(-0.9, 0.9999);
        let (half, middle) = ((cutoff + 1.0) / 2.0, (cutoff - 1.0) / 2.0);
        let first = half / (1.0 - middle);
        let mut sigma = first;
        let mut before = block;
        let mut now = self.step(&before, None, (sigma / half) as f32, middle as f32, 0.0);
        for _ in 1..DEGREE {
            let next_sigma = 1.0 / (2.0 / first - sigma);
            let next = self.step(
                &now,
                Some(&before),
                (2.0 * next_sigma / half) as f32,
                middle as f32,
                (sigma * next_sigma) as f32,
            );
            (before, now, sigma) = (now, next, next_sigma);
        }
        now
    }

    /// Makes the vectors of a block orthogonal to the first eigenvector and
    /// to each other, and of length 1.
    fn orthonormalise(&self, block: &mut Block) {
        // Twice is enough.
        for _ in 0..2 {
            for j in 0..BLOCK {
                let along = |block: &Block, other: &dyn Fn(usize) -> f32| -> f64 {
                    let products = block.iter().enumerate();
                    products
                        .map(|(row, own)| f64::from(own[j]) * f64::from(other(row)))
                        .sum()
                };
                let share = along(block, &|row| self.first[row]) as f32;
                for (own, first) in block.iter_mut().zip(&self.first) {
                    own[j] -= share * first;
                }
                for earlier in 0..j {
                    let share = along(block, &|row| block[row][earlier]) as f32;
                    block
                        .iter_mut()
                        .for_each(|own| own[j] -= share * own[earlier]);
                }
                let length = along(block, &|row| block[row][j]).sqrt();
                let scale = if length > 0.0 {
                    length.recip() as f32
                } else {
                    0.0
                };
                block.iter_mut().for_each(|own| own[j] *= scale);
            }
        }
    }
}

/// Some rows of [`Operator::step`].
struct Step<'a> {
    operator: &'a Operator<'a>,
    block: &'a Block,
    before: Option<&'a Block>,
    factor: f32,
    shift: f32,
    back: f32,
    first_row: usize,
    result: &'a mut [[f32; BLOCK]],
}

impl WithSimd for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let graph = self.operator.graph;
        for (offset, result) in self.result.iter_mut().enumerate() {
            let row = self.first_row + offset;
            let range = graph.starts[row]..graph.starts[row + 1];
            let weights = &self.operator.weights[range.clone()];
            let mut sums = [0.0f32; BLOCK];
            for (end, weight) in graph.ends[range].iter().zip(weights) {
                let other = &self.block[*end as usize];
                for j in 0..BLOCK {
                    sums[j] += weight * other[j];
                }
            }
            let earlier = self.before.map_or([0.0; BLOCK], |before| before[row]);
            for j in 0..BLOCK {
                let moved = sums[j] - self.shift * self.block[row][j];
                result[j] = self.factor * moved - self.back * earlier[j];
            }
        }
    }
}

fn inner_products(a: &Block, b: &Block) -> Mat<f64> {
    let mut sums = [[0.0; BLOCK]; BLOCK];
    for (a, b) in a.iter().zip(b) {
        for i in 0..BLOCK {
            for j in 0..BLOCK {
                sums[i][j] += f64::from(a[i]) * f64::from(b[j]);
            }
        }
    }
    Mat::from_fn(BLOCK, BLOCK, |i, j| (sums[i][j] + sums[j][i]) / 2.0)
}

fn turned(block: &Block, vectors: &Mat<f64>) -> Block {
    let turn = |own: &[f32; BLOCK]| {
        std::array::from_fn(|j| {
            let parts = own.iter().enumerate();
            parts
                .map(|(i, value)| f64::from(*value) * vectors[(i, j)])
                .sum::<f64>() as f32
        })
    };
    block.iter().map(turn).collect()
}

fn random(num_rows: usize, num_columns: usize, seed: Seed) -> Mat<f64> {
    let mut rng = seed.rng();
    Mat::from_fn(num_rows, num_columns, |_, _| rng.random_range(-1.0..1.0))
}

/// Columns of length 1, orthogonal to those before; columns that add
/// nothing become 0.
fn orthonormalise(columns: &mut Mat<f64>) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for j in 0..columns.ncols() {
        let mut own = columns.col_as_slice(j).to_vec();
        let before = dot(&own, &own).sqrt();
        for _ in 0..2 {
            for earlier in 0..j {
                let earlier = columns.col_as_slice(earlier);
                let share = dot(&own, earlier);
                own.iter_mut()
                    .zip(earlier)
                    .for_each(|(own, earlier)| *own -= share * earlier);
            }
        }
        let length = dot(&own, &own).sqrt();
        let scale = if length > 1e-12 * before {
            length.recip()
        } else {
            0.0
        };
        let column = columns.col_as_slice_mut(j);
        column
            .iter_mut()
            .zip(own)
            .for_each(|(column, own)| *column = own * scale);
    }
}

/// Turns every column so that its entry of largest magnitude is positive.
fn point_up(columns: &mut Mat<f64>) {
    for j in 0..columns.ncols() {
        let column = columns.col_as_slice_mut(j);
        let largest = column.iter().copied().fold(0.0f64, |most, entry| {
            if entry.abs() > most.abs() {
                entry
            } else {
                most
            }
        });
        if largest < 0.0 {
            column.iter_mut().for_each(|entry| *entry = -*entry);
        }
    }
}
