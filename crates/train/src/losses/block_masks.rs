//! Which patches of the student's images are hidden.

use burn::tensor::{Device, Tensor, TensorData};
use morphospace_core::Seed;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::{check_positive, check_share, index_tensor};
use crate::TrainError;

/// How blocks of patches are drawn. The default is DINOv2's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlockMaskConfig {
    /// Share of the images of a batch that have hidden patches.
    pub mask_sample_probability: f64,
    /// Least and largest share of patches that are hidden in such an image.
    pub mask_ratio_min_max: [f64; 2],
    /// Least patches of a block, before it is cut at others.
    pub min_num_patches: usize,
    /// Least ratio of a block's height to its width, and of its width to its
    /// height.
    pub min_aspect: f64,
}

impl Default for BlockMaskConfig {
    fn default() -> Self {
        Self {
            mask_sample_probability: 0.5,
            mask_ratio_min_max: [0.1, 0.5],
            min_num_patches: 4,
            min_aspect: 0.3,
        }
    }
}

impl BlockMaskConfig {
    /// Whether the numbers can be.
    ///
    /// # Errors
    /// [`TrainError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), TrainError> {
        check_share("mask_sample_probability", self.mask_sample_probability)?;
        let [least, most] = self.mask_ratio_min_max;
        check_share("mask_ratio_min_max", least)?;
        check_share("mask_ratio_min_max", most)?;
        if least > most {
            return Err(TrainError::InvalidConfig(format!(
                "mask_ratio_min_max goes from {least} down to {most}"
            )));
        }
        check_positive("min_aspect", self.min_aspect)?;
        check_share("min_aspect", self.min_aspect)
    }

    /// Masks for a batch.
    ///
    /// A fixed share of the images, rounded down, is masked; their ratios are
    /// drawn from equal parts of the range, one each, and which image gets
    /// which is shuffled. Rectangles are then laid until that share of patches
    /// is hidden, or ten in a row do not fit: an image may get fewer, never
    /// more.
    ///
    /// # Source
    /// Bao et al. 2022, <https://arxiv.org/abs/2106.08254>, algorithm 1;
    /// facebookresearch/dinov2 `masking.MaskingGenerator`,
    /// `collate.collate_data_and_cast`
    ///
    /// # Example
    /// ```
    /// use morphospace_core::Seed;
    /// use morphospace_train::losses::BlockMaskConfig;
    ///
    /// let masks = BlockMaskConfig::default().draw(8, [14, 14], Seed::new(1));
    /// let num_masked = (0..8).filter(|image| masks.num_masked(*image) > 0).count();
    /// assert_eq!(num_masked, 4);
    /// ```
    pub fn draw(&self, num_images: usize, [rows, cols]: [usize; 2], seed: Seed) -> BlockMasks {
        let num_patches = rows * cols;
        let num_masked = (num_images as f64 * self.mask_sample_probability) as usize;
        let [least, most] = self.mask_ratio_min_max;
        let step = (most - least) / num_masked.max(1) as f64;
        let mut images = vec![vec![false; num_patches]; num_images];
        for (index, image) in images.iter_mut().take(num_masked).enumerate() {
            let mut rng = seed.split_index(index as u64).rng();
            let ratio = least + step * (index as f64 + rng.random::<f64>());
            let count = (num_patches as f64 * ratio) as usize;
            self.hide(image, [rows, cols], count, &mut rng);
        }
        // Fisher and Yates.
        let mut rng = seed.split("shuffle").rng();
        for last in (1..num_images).rev() {
            images.swap(last, rng.random_range(0..=last));
        }
        BlockMasks::new(num_patches, images.concat())
    }

    /// Hides up to `count` patches of an image.
    fn hide(&self, image: &mut [bool], grid: [usize; 2], count: usize, rng: &mut impl Rng) {
        let mut left = count;
        while left > 0 {
            match self.hide_block(image, grid, left, rng) {
                0 => break,
                hidden => left -= hidden,
            }
        }
    }

    /// Hides one block of up to `most` new patches; how many they are.
    fn hide_block(
        &self,
        image: &mut [bool],
        [rows, cols]: [usize; 2],
        most: usize,
        rng: &mut impl Rng,
    ) -> usize {
        const TRIES: usize = 10;
        for _ in 0..TRIES {
            let mut uniform = |from: f64, to: f64| from + (to - from) * rng.random::<f64>();
            let area = uniform(self.min_num_patches as f64, most as f64);
            let aspect = uniform(self.min_aspect.ln(), -self.min_aspect.ln()).exp();
            // As Python rounds.
            let height = (area * aspect).sqrt().round_ties_even() as usize;
            let width = (area / aspect).sqrt().round_ties_even() as usize;
            if height >= rows || width >= cols {
                continue;
            }
            let top = rng.random_range(0..=rows - height);
            let left = rng.random_range(0..=cols - width);
            let block = (top..top + height)
                .flat_map(|row| (left..left + width).map(move |col| row * cols + col));
            let new: Vec<usize> = block.filter(|patch| !image[*patch]).collect();
            if !new.is_empty() && new.len() <= most {
                new.iter().for_each(|patch| image[*patch] = true);
                return new.len();
            }
        }
        0
    }
}

/// The hidden patches of a batch of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockMasks {
    num_patches: usize,
    /// Whether a patch is hidden, `[B, L]`.
    is_masked: Vec<bool>,
}

impl BlockMasks {
    /// Masks from whether each patch of each image is hidden, `[B, L]`.
    ///
    /// # Panics
    /// These are no whole images.
    pub fn new(num_patches: usize, is_masked: Vec<bool>) -> Self {
        assert!(
            num_patches > 0 && is_masked.len().is_multiple_of(num_patches),
            "{} patches are no images of {num_patches}",
            is_masked.len()
        );
        Self {
            num_patches,
            is_masked,
        }
    }

    /// Images.
    pub fn num_images(&self) -> usize {
        self.is_masked.len() / self.num_patches
    }

    /// Hidden patches of one image.
    pub fn num_masked(&self, image: usize) -> usize {
        let patches = &self.is_masked[image * self.num_patches..][..self.num_patches];
        patches.iter().filter(|is_masked| **is_masked).count()
    }

    /// The hidden patches by their place in `[B, L]`, in order.
    pub fn masked_patches(&self) -> Vec<usize> {
        let patches = self.is_masked.iter().enumerate();
        patches
            .filter(|(_, is_masked)| **is_masked)
            .map(|(patch, _)| patch)
            .collect()
    }

    /// 1 where a patch is hidden, else 0, `[B, L]`: what
    /// [`PlainVit::embed_tokens`](morphospace_models::PlainVit::embed_tokens)
    /// takes.
    pub fn mask(&self, device: &Device) -> Tensor<2> {
        let values = self.is_masked.iter().map(|is_masked| f32::from(*is_masked));
        let shape = [self.num_images(), self.num_patches];
        Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), shape), device)
    }

    /// Picks the hidden patches' tokens, in order.
    ///
    /// # Shapes
    /// `[B, L, D]`, without class token and registers, to `[M, D]`
    pub fn select(&self, tokens: Tensor<3>) -> Tensor<2> {
        let [batch, num_patches, dim] = tokens.dims();
        assert_eq!([batch, num_patches], [self.num_images(), self.num_patches]);
        let patches = index_tensor(self.masked_patches().into_iter(), &tokens.device());
        tokens
            .reshape([batch * num_patches, dim])
            .select(0, patches)
    }

    /// For every hidden patch one over those of its image, in order.
    pub(super) fn weights(&self) -> Vec<f32> {
        let images = 0..self.num_images();
        let weights = images.flat_map(|image| {
            let count = self.num_masked(image);
            std::iter::repeat_n(1.0 / count.max(1) as f32, count)
        });
        weights.collect()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Int;

    use super::*;

    #[test]
    fn a_fixed_share_of_images_over_the_range_of_ratios() {
        let config = BlockMaskConfig::default();
        for (num_images, grid, seed) in [(8, [14, 14], 3), (7, [16, 12], 4), (64, [16, 16], 5)] {
            let masks = config.draw(num_images, grid, Seed::new(seed));
            assert_eq!(masks, config.draw(num_images, grid, Seed::new(seed)));
            let num_patches = grid[0] * grid[1];
            let mut counts: Vec<usize> = (0..num_images)
                .map(|image| masks.num_masked(image))
                .filter(|count| *count > 0)
                .collect();
            counts.sort_unstable();
            assert_eq!(counts.len(), num_images / 2);
            for (index, count) in counts.iter().enumerate() {
                let most = 0.1 + 0.4 * (index + 1) as f64 / counts.len() as f64;
                assert!(*count <= (num_patches as f64 * most) as usize);
            }
            let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
            let mean = mean / num_patches as f64;
            assert!((0.22..=0.32).contains(&mean), "{mean}");
        }
    }

    #[test]
    fn patches_are_picked_in_order() {
        let device = Device::default();
        let is_masked = [0, 1, 1, 0, 0, 0, 1, 0, 0].map(|value| value == 1);
        let masks = BlockMasks::new(3, is_masked.to_vec());
        assert_eq!(masks.masked_patches(), [1, 2, 6]);
        assert_eq!(masks.weights(), [0.5, 0.5, 1.0]);
        let tokens = Tensor::<1, Int>::arange(0..9, &device)
            .float()
            .reshape([3, 3, 1]);
        let picked: Vec<f32> = masks.select(tokens).into_data().iter::<f32>().collect();
        assert_eq!(picked, [1.0, 2.0, 6.0]);
        let mask: Vec<f32> = masks.mask(&device).into_data().iter::<f32>().collect();
        assert_eq!(mask, [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn grids_too_small_for_a_block_stay_whole() {
        let masks = BlockMaskConfig::default().draw(4, [1, 1], Seed::new(1));
        assert_eq!(masks.masked_patches(), [0usize; 0]);
    }
}
