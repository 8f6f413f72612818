//! Random masking of tokens.

use burn::tensor::{Device, Int, Tensor, TensorData, assert_shape};
use morphospace_core::Seed;
use rand::RngExt;

use crate::ModelError;

/// Which tokens of a batch a masked autoencoder sees, and in which order.
///
/// Per sample the tokens are sorted by noise; the first `len_keep` are kept,
/// in that shuffled order. In [`Masking::mask`] 1 means removed, 0 kept.
/// Sorting is done on the host: with the same noise every device keeps the
/// same tokens.
///
/// # Source
/// He et al. 2022, <https://arxiv.org/abs/2111.06377>; maes_microscopy
/// `masking.transformer_random_masking`
///
/// # Example
/// ```
/// use morphospace_models::Masking;
///
/// let masking = Masking::from_noise(&[0.3, 0.1, 0.4, 0.2], 1, 4, 0.5)?;
/// assert_eq!(masking.kept(0), [1, 3]);
/// let mask = masking.mask(&burn::tensor::Device::default());
/// assert_eq!(mask.into_data().try_to_vec::<f32>().unwrap(), [1.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), morphospace_models::ModelError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Masking {
    num_tokens: usize,
    len_keep: usize,
    /// Per sample the tokens in shuffled order, `[B, L]`.
    shuffled: Vec<usize>,
}

impl Masking {
    /// Tokens kept of `num_tokens`: `int(L (1 - mask_ratio))` in double
    /// precision, truncated as Python does (`L = 100`, ratio 0.9 keeps 9).
    pub fn len_keep(num_tokens: usize, mask_ratio: f64) -> usize {
        (num_tokens as f64 * (1.0 - mask_ratio)) as usize
    }

    /// The masking that noise `[B, L]` decides.
    ///
    /// # Errors
    /// [`ModelError::InvalidMask`]: no token would be kept, the ratio is not in
    /// `0..1`, or the noise has another length.
    pub fn from_noise(
        noise: &[f32],
        batch: usize,
        num_tokens: usize,
        mask_ratio: f64,
    ) -> Result<Self, ModelError> {
        if noise.len() != batch * num_tokens {
            return Err(ModelError::InvalidMask(format!(
                "{batch} samples of {num_tokens} tokens need {} noise values, got {}",
                batch * num_tokens,
                noise.len()
            )));
        }
        let len_keep = check_ratio(num_tokens, mask_ratio)?;
        let mut shuffled = Vec::with_capacity(noise.len());
        for noise in noise.chunks_exact(num_tokens) {
            let mut order: Vec<usize> = (0..num_tokens).collect();
            order.sort_by(|a, b| noise[*a].total_cmp(&noise[*b]));
            shuffled.extend(order);
        }
        Ok(Self {
            num_tokens,
            len_keep,
            shuffled,
        })
    }

    /// Uniform noise from a seed: sample `i` of the batch draws from
    /// `seed.split_index(i)`.
    ///
    /// # Errors
    /// As [`Masking::from_noise`].
    pub fn random(
        seed: Seed,
        batch: usize,
        num_tokens: usize,
        mask_ratio: f64,
    ) -> Result<Self, ModelError> {
        check_ratio(num_tokens, mask_ratio)?;
        let mut noise = Vec::with_capacity(batch * num_tokens);
        for sample in 0..batch {
            let mut rng = seed.split_index(sample as u64).rng();
            noise.extend((0..num_tokens).map(|_| rng.random::<f32>()));
        }
        Self::from_noise(&noise, batch, num_tokens, mask_ratio)
    }

    /// Samples.
    pub fn batch(&self) -> usize {
        self.shuffled.len() / self.num_tokens
    }

    /// Tokens per sample before masking.
    pub fn num_tokens(&self) -> usize {
        self.num_tokens
    }

    /// Tokens per sample that are kept.
    pub fn num_kept(&self) -> usize {
        self.len_keep
    }

    /// The kept tokens of one sample in shuffled order.
    pub fn kept(&self, sample: usize) -> &[usize] {
        &self.shuffled[sample * self.num_tokens..][..self.len_keep]
    }

    /// 1 where a token is removed, 0 where it is kept, `[B, L]`.
    pub fn mask(&self, device: &Device) -> Tensor<2> {
        let mut mask = vec![1.0f32; self.shuffled.len()];
        for sample in 0..self.batch() {
            for token in self.kept(sample) {
                mask[sample * self.num_tokens + token] = 0.0;
            }
        }
        Tensor::from_data(
            TensorData::new(mask, [self.batch(), self.num_tokens]),
            device,
        )
    }

    /// Where in the shuffled order each token stands, row-major `[B, L]`: the
    /// inverse permutation.
    pub fn ids_restore(&self) -> Vec<usize> {
        let mut restore = vec![0; self.shuffled.len()];
        for (sample, order) in self.shuffled.chunks_exact(self.num_tokens).enumerate() {
            for (place, token) in order.iter().enumerate() {
                restore[sample * self.num_tokens + token] = place;
            }
        }
        restore
    }

    /// Picks the kept tokens.
    ///
    /// # Shapes
    /// `[B, L, D]` to `[B, len_keep, D]`
    pub fn keep_tokens(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, num_tokens, dim] = tokens.dims();
        assert_shape!(tokens, [self.batch(), self.num_tokens, dim]);
        let rows = (0..batch).flat_map(|sample| {
            self.kept(sample)
                .iter()
                .map(move |t| sample * num_tokens + t)
        });
        let rows = row_indices(rows, &tokens.device());
        let kept = tokens.reshape([batch * num_tokens, dim]).select(0, rows);
        kept.reshape([batch, self.len_keep, dim])
    }

    /// Picks the rows of a table that belong to the kept tokens.
    ///
    /// # Shapes
    /// `[L, D]` to `[B, len_keep, D]`
    pub fn keep_rows(&self, table: Tensor<2>) -> Tensor<3> {
        let [_, dim] = table.dims();
        let rows = (0..self.batch()).flat_map(|sample| self.kept(sample).iter().copied());
        let rows = row_indices(rows, &table.device());
        table
            .select(0, rows)
            .reshape([self.batch(), self.len_keep, dim])
    }

    /// Puts kept tokens back in their places and `mask_token` in all others.
    ///
    /// # Shapes
    /// `kept`: `[B, len_keep, D]`, `mask_token`: `[1, 1, D]`; result `[B, L, D]`
    pub fn restore_tokens(&self, kept: Tensor<3>, mask_token: Tensor<3>) -> Tensor<3> {
        let [batch, len_keep, dim] = kept.dims();
        assert_shape!(kept, [self.batch(), self.len_keep, dim]);
        // All kept tokens, then one mask token that every removed place reads.
        let kept = kept.reshape([batch * len_keep, dim]);
        let rows = Tensor::cat(vec![kept, mask_token.reshape([1, dim])], 0);
        let places = self.ids_restore();
        let sources = places.iter().enumerate().map(|(index, place)| {
            let sample = index / self.num_tokens;
            if *place < len_keep {
                sample * len_keep + place
            } else {
                batch * len_keep
            }
        });
        let sources = row_indices(sources, &rows.device());
        rows.select(0, sources)
            .reshape([batch, self.num_tokens, dim])
    }
}

fn check_ratio(num_tokens: usize, mask_ratio: f64) -> Result<usize, ModelError> {
    if !(0.0..1.0).contains(&mask_ratio) {
        return Err(ModelError::InvalidMask(format!(
            "mask_ratio {mask_ratio} is not in 0..1"
        )));
    }
    match Masking::len_keep(num_tokens, mask_ratio) {
        0 => Err(ModelError::InvalidMask(format!(
            "mask_ratio {mask_ratio} keeps none of {num_tokens} tokens; lower it to at most {}",
            1.0 - 1.0 / num_tokens.max(1) as f64
        ))),
        len_keep => Ok(len_keep),
    }
}

fn row_indices(rows: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i64> = rows.map(|row| row as i64).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_is_pythons() {
        assert_eq!(Masking::len_keep(100, 0.9), 9);
        assert_eq!(Masking::len_keep(1024, 0.75), 256);
        let error = Masking::random(Seed::new(1), 2, 10, 0.9).expect_err("keeps none");
        assert!(
            error.to_string().contains("keeps none of 10 tokens"),
            "{error}"
        );
    }

    #[test]
    fn kept_tokens_return_to_their_places() {
        let device = Device::default();
        let tokens = Tensor::<1, Int>::arange(0..2 * 12 * 3, &device)
            .float()
            .reshape([2, 12, 3]);
        let masking = Masking::random(Seed::new(4), 2, 12, 0.5).expect("valid");
        let mask_token = Tensor::<3>::full([1, 1, 3], -1.0, &device);
        let restored = masking.restore_tokens(masking.keep_tokens(tokens.clone()), mask_token);
        let mask = masking.mask(&device).unsqueeze_dim::<3>(2);
        let kept = mask.clone().mul_scalar(-1.0).add_scalar(1.0);
        let expected: Tensor<3> = tokens * kept - mask;
        assert_eq!(restored.into_data(), expected.into_data());
    }
}
