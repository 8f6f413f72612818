//! Attention among the tokens of an image, from their linear map to queries,
//! keys and values up to the output's, without arrays of those of all images.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::attention::{Attend, HeadScratch};
use super::host::Host;
use super::layer_norm::Norm;
use super::linear::LinearMap;
use super::matrix::{Threads, add_product};
use super::rows::{Rows, Start};
use super::vector_unit::vectorised;

/// Weights of self-attention.
pub(crate) struct SelfAttention {
    /// To queries, keys and values: `[D, 3 D]`.
    pub(crate) qkv: LinearMap,
    /// Norms of queries and keys over the features of a head.
    pub(crate) head_norms: Option<[Norm; 2]>,
    /// Of the output: `[D, D]`.
    pub(crate) proj: LinearMap,
    /// Heads that share the features.
    pub(crate) num_heads: usize,
}

impl SelfAttention {
    /// `None` where the kernel does not apply.
    ///
    /// # Shapes
    /// `x`: `[B, N, D]`; kept
    pub(crate) fn forward(&self, x: &Tensor<3>) -> Option<Tensor<3>> {
        let shape = x.dims();
        let [batch, num_tokens, dim] = shape;
        if batch == 0 || num_tokens == 0 {
            return None;
        }
        let x = Host::of(x)?;
        let x = x.rows(dim)?.split(dim)?;
        let threads = Threads::of_each(batch);
        let mut output = vec![0.0; batch * num_tokens * dim];
        let images = output.par_chunks_mut(num_tokens * dim).enumerate();
        images.for_each_init(ImageScratch::default, |scratch, (image, output)| {
            self.attend(
                x.block(image * num_tokens, num_tokens),
                scratch,
                threads,
                output,
            );
        });
        Some(Host::tensor(output, shape))
    }

    /// One image.
    fn attend(
        &self,
        x: Rows<'_>,
        scratch: &mut ImageScratch,
        threads: Threads,
        output: &mut [f32],
    ) {
        let ImageScratch {
            packed,
            attended,
            heads,
        } = scratch;
        let dim = x.len;
        self.qkv.forward(x, packed, threads);
        if let Some([q_norm, k_norm]) = &self.head_norms {
            vectorised(
                #[inline(always)]
                || {
                    for row in packed.chunks_exact_mut(3 * dim) {
                        q_norm.normalise(&mut row[..dim]);
                        k_norm.normalise(&mut row[dim..2 * dim]);
                    }
                },
            );
        }
        let part = |index: usize| Rows {
            data: &packed[index * dim..],
            count: x.count,
            len: dim,
            stride: 3 * dim,
        };
        attended.resize(x.count * dim, 0.0);
        let attend = Attend {
            q: part(0),
            k: part(1),
            v: part(2),
            num_heads: self.num_heads,
            head_dim: dim / self.num_heads,
            output: attended,
            scratch: heads,
        };
        attend.run(threads);
        if let Start::Row(bias) = self.proj.start() {
            let rows = output.chunks_exact_mut(dim);
            rows.for_each(|row| row.copy_from_slice(bias));
        }
        let attended = Rows::new(attended, dim);
        add_product(attended.into(), self.proj.matrix(), output, threads);
    }
}

/// What is written for one image on the way; kept from image to image.
#[derive(Default)]
struct ImageScratch {
    /// Queries, keys and values, `[N, 3 D]`.
    packed: Vec<f32>,
    /// `[N, D]`.
    attended: Vec<f32>,
    heads: HeadScratch,
}
