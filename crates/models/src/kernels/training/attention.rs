//! Attention and its gradients, without permuted copies; weights are computed
//! again in the backward pass, some queries at a time.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{Operation, record, tracked};
use crate::kernels::attention::{attend_images, exponentials};
use crate::kernels::host::HostSlice;
use crate::kernels::matrix::{Matrix, Threads, add_product, set_product};
use crate::kernels::rows::Rows;
use crate::kernels::vector_unit::vectorised;

/// Queries whose weights are held at a time.
const QUERIES: usize = 256;

/// `softmax(q kᵀ / sqrt(head_dim)) v`, heads side by side; `None` where the
/// kernel does not apply.
///
/// # Shapes
/// `q`: `[B, Nq, H, head_dim]`, `k`, `v`: `[B, Nk, H, head_dim]`; result
/// `[B, Nq, H·head_dim]`
pub(crate) fn attention(q: &Tensor<4>, k: &Tensor<4>, v: &Tensor<4>) -> Option<Tensor<3>> {
    let [batch, num_queries, num_heads, head_dim] = q.dims();
    let sizes = Sizes {
        batch,
        num_queries,
        num_keys: k.dims()[1],
        num_heads,
        head_dim,
    };
    let dim = sizes.dim()?;
    let (q, q_values) = tracked(q)?;
    let (k, k_values) = tracked(k)?;
    let (v, v_values) = tracked(v)?;
    let inputs = [q_values, k_values, v_values];
    let output = sizes.attend(inputs.each_ref().map(|x| Rows::new(x.values(), dim)));
    let output = HostSlice::new(output, &[batch, num_queries, dim]);
    let operation = Attention {
        inputs,
        output: output.clone(),
        sizes,
    };
    Some(record(operation, [&q, &k, &v], output))
}

/// [`attention`] of queries, keys and values that lie side by side.
///
/// # Shapes
/// `[B, N, 3·D]` to `[B, N, D]`
pub(crate) fn self_attention(packed: &Tensor<3>, num_heads: usize) -> Option<Tensor<3>> {
    let [batch, num_tokens, width] = packed.dims();
    let sizes = Sizes {
        batch,
        num_queries: num_tokens,
        num_keys: num_tokens,
        num_heads,
        head_dim: width / 3 / num_heads,
    };
    let dim = sizes.dim()?;
    let (packed, values) = tracked(packed)?;
    let output = sizes.attend(parts(&values, dim));
    let output = HostSlice::new(output, &[batch, num_tokens, dim]);
    let operation = SelfAttention {
        packed: values,
        output: output.clone(),
        sizes,
    };
    Some(record(operation, [&packed], output))
}

/// Queries, keys and values of `[.., 3 D]`.
fn parts(packed: &HostSlice, dim: usize) -> [Rows<'_>; 3] {
    let values = packed.values();
    [0, 1, 2].map(|index| Rows {
        data: &values[index * dim..],
        count: values.len() / (3 * dim),
        len: dim,
        stride: 3 * dim,
    })
}

#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    num_queries: usize,
    num_keys: usize,
    num_heads: usize,
    head_dim: usize,
}

impl Sizes {
    /// Features of a token, if there is anything to do.
    fn dim(&self) -> Option<usize> {
        let dim = self.num_heads * self.head_dim;
        let is_empty = [self.batch, self.num_queries, self.num_keys, dim].contains(&0);
        (!is_empty).then_some(dim)
    }

    fn attend(&self, [q, k, v]: [Rows<'_>; 3]) -> Vec<f32> {
        attend_images(q, k, v, self.batch, self.num_heads)
    }
}

#[derive(Clone, Debug)]
struct Attention {
    /// Queries, keys, values.
    inputs: [HostSlice; 3],
    output: HostSlice,
    sizes: Sizes,
}

impl Operation<3> for Attention {
    fn gradients(self, of_output: &HostSlice, _: [bool; 3]) -> [Option<HostSlice>; 3] {
        let Sizes {
            num_queries,
            num_keys,
            num_heads,
            head_dim,
            ..
        } = self.sizes;
        let dim = num_heads * head_dim;
        let inputs = self.inputs.each_ref().map(|x| Rows::new(x.values(), dim));
        let [mut of_q, mut of_k, mut of_v] = inputs.map(|x| vec![0.0; x.count * dim]);
        let images = of_q
            .par_chunks_mut(num_queries * dim)
            .zip(of_k.par_chunks_mut(num_keys * dim))
            .zip(of_v.par_chunks_mut(num_keys * dim))
            .enumerate();
        let backward = Backward::new(inputs, &self.output, of_output, self.sizes);
        images.for_each_init(
            Scratch::default,
            |scratch, (image, ((of_q, of_k), of_v))| {
                let outputs = [of_q, of_k, of_v];
                backward.image(image, scratch, |part, head, values| {
                    let rows = outputs[part].chunks_exact_mut(dim);
                    copy_head(values, rows, head * head_dim);
                });
            },
        );
        let [q, k, v] = [of_q, of_k, of_v];
        let shapes = self.inputs.each_ref().map(HostSlice::shape);
        [
            Some(HostSlice::new(q, &shapes[0])),
            Some(HostSlice::new(k, &shapes[1])),
            Some(HostSlice::new(v, &shapes[2])),
        ]
    }
}

#[derive(Clone, Debug)]
struct SelfAttention {
    /// Queries, keys and values, `[B, N, 3 D]`.
    packed: HostSlice,
    output: HostSlice,
    sizes: Sizes,
}

impl Operation<1> for SelfAttention {
    fn gradients(self, of_output: &HostSlice, _: [bool; 1]) -> [Option<HostSlice>; 1] {
        let Sizes {
            num_queries,
            num_heads,
            head_dim,
            ..
        } = self.sizes;
        let dim = num_heads * head_dim;
        let mut gradients = vec![0.0; self.packed.values().len()];
        let images = gradients.par_chunks_mut(num_queries * 3 * dim).enumerate();
        let inputs = parts(&self.packed, dim);
        let backward = Backward::new(inputs, &self.output, of_output, self.sizes);
        images.for_each_init(Scratch::default, |scratch, (image, gradients)| {
            backward.image(image, scratch, |part, head, values| {
                let rows = gradients.chunks_exact_mut(3 * dim);
                copy_head(values, rows, part * dim + head * head_dim);
            });
        });
        [Some(HostSlice::new(gradients, &self.packed.shape()))]
    }
}

/// Puts a head's features into rows of all.
fn copy_head<'a>(head: Rows<'_>, rows: impl Iterator<Item = &'a mut [f32]>, place: usize) {
    for (index, row) in rows.enumerate() {
        row[place..][..head.len].copy_from_slice(head.row(index));
    }
}

/// What is written between steps; kept from image to image.
#[derive(Default)]
struct Scratch {
    /// `[QUERIES, Nk]`.
    weights: Vec<f32>,
    /// `[QUERIES, Nk]`.
    of_weights: Vec<f32>,
    /// Gradients of a head's queries, keys and values, `[N, head_dim]`.
    gradients: [Vec<f32>; 3],
}

struct Backward<'a> {
    inputs: [Rows<'a>; 3],
    output: Rows<'a>,
    of_output: Rows<'a>,
    sizes: Sizes,
    threads: Threads,
}

impl<'a> Backward<'a> {
    fn new(
        inputs: [Rows<'a>; 3],
        output: &'a HostSlice,
        of_output: &'a HostSlice,
        sizes: Sizes,
    ) -> Self {
        let dim = sizes.num_heads * sizes.head_dim;
        Self {
            inputs,
            output: Rows::new(output.values(), dim),
            of_output: Rows::new(of_output.values(), dim),
            sizes,
            threads: Threads::of_each(sizes.batch),
        }
    }

    /// Gradients of one image: `found` gets those of queries (0), keys (1) and
    /// values (2) of each head.
    fn image(
        &self,
        image: usize,
        scratch: &mut Scratch,
        mut found: impl FnMut(usize, usize, Rows<'_>),
    ) {
        let Sizes {
            num_queries,
            num_keys,
            num_heads,
            head_dim,
            ..
        } = self.sizes;
        let [q, k, v] = self.inputs;
        for head in 0..num_heads {
            let features = |rows: Rows<'a>, count: usize| Rows {
                data: &rows.data[image * count * rows.stride + head * head_dim..],
                count,
                len: head_dim,
                stride: rows.stride,
            };
            let of_head = Head {
                q: features(q, num_queries),
                k: features(k, num_keys),
                v: features(v, num_keys),
                output: features(self.output, num_queries),
                of_output: features(self.of_output, num_queries),
                threads: self.threads,
            };
            of_head.gradients(scratch);
            for (part, values) in scratch.gradients.iter().enumerate() {
                found(part, head, Rows::new(values, head_dim));
            }
        }
    }
}

/// One head of one image, `[N, head_dim]` each.
struct Head<'a> {
    q: Rows<'a>,
    k: Rows<'a>,
    v: Rows<'a>,
    output: Rows<'a>,
    of_output: Rows<'a>,
    threads: Threads,
}

impl Head<'_> {
    /// Leaves them in the scratch.
    fn gradients(&self, scratch: &mut Scratch) {
        let Scratch {
            weights,
            of_weights,
            gradients: [of_q, of_k, of_v],
        } = scratch;
        let Self { q, k, v, .. } = *self;
        let (num_keys, head_dim) = (k.count, k.len);
        let scale = 1.0 / (head_dim as f32).sqrt();
        of_q.resize(q.count * head_dim, 0.0);
        for sum in [&mut *of_k, &mut *of_v] {
            sum.clear();
            sum.resize(num_keys * head_dim, 0.0);
        }
        for first in (0..q.count).step_by(QUERIES) {
            let count = QUERIES.min(q.count - first);
            let (q, of_output) = (q.block(first, count), self.of_output.block(first, count));
            weights.resize(count * num_keys, 0.0);
            set_product(
                q.into(),
                Matrix::from(k).transposed(),
                weights,
                self.threads,
            );
            of_weights.resize(count * num_keys, 0.0);
            set_product(
                of_output.into(),
                Matrix::from(v).transposed(),
                of_weights,
                self.threads,
            );
            let output = self.output.block(first, count);
            soft_max_gradients(weights, of_weights, output, of_output, num_keys, scale);
            let weights = Matrix::from(Rows::new(weights, num_keys));
            let of_scores = Matrix::from(Rows::new(of_weights, num_keys));
            add_product(weights.transposed(), of_output.into(), of_v, self.threads);
            let of_q = &mut of_q[first * head_dim..][..count * head_dim];
            set_product(of_scores, k.into(), of_q, self.threads);
            add_product(of_scores.transposed(), q.into(), of_k, self.threads);
        }
    }
}

/// Turns scores into weights, and gradients of weights into those of `q kᵀ`.
fn soft_max_gradients(
    scores: &mut [f32],
    gradients: &mut [f32],
    output: Rows<'_>,
    of_output: Rows<'_>,
    num_keys: usize,
    scale: f32,
) {
    vectorised(
        #[inline(always)]
        || {
            let rows = scores
                .chunks_exact_mut(num_keys)
                .zip(gradients.chunks_exact_mut(num_keys));
            for (index, (weights, gradients)) in rows.enumerate() {
                let sum = exponentials(weights, scale);
                // The mean of the gradients by weight is that of the output by
                // its gradient.
                let mut mean = 0.0_f32;
                for (x, gradient) in output.row(index).iter().zip(of_output.row(index)) {
                    mean = x.mul_add(*gradient, mean);
                }
                let share = 1.0 / sum;
                for (weight, gradient) in weights.iter_mut().zip(gradients) {
                    *weight *= share;
                    *gradient = *weight * (*gradient - mean) * scale;
                }
            }
        },
    );
}
