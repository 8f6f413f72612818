use morphospace_core::Seed;
use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::beta::symmetric_beta;
use crate::{CropBox, ViewsError};

/// How the box of CutMix comes from its size and its centre.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutMixConvention {
    /// Centres are pixels, sizes whole numbers and their halves too, what lies
    /// outside is cut off: Yun et al. 2019,
    /// <https://github.com/clovaai/CutMix-PyTorch>, `train.py`.
    Clovaai,
    /// Centres and sizes are real numbers, edges are rounded, halves to even,
    /// after what lies outside is cut off:
    /// <https://github.com/maciej-sypetkowski/kaggle-rcic-1st>, `main.py`, by
    /// the authors of Sypetkowski et al. 2023.
    #[default]
    Kaggle,
}

/// Whether and how batches are mixed by CutMix.
///
/// Sypetkowski et al. 2023 give neither alpha nor probability: 1 and 1 are
/// those of their earlier code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CutMixConfig {
    /// How boxes come about.
    pub convention: CutMixConvention,
    /// The share that is kept comes from Beta(alpha, alpha); 1 is uniform.
    pub alpha: f64,
    /// Share of batches that are mixed.
    pub probability: f64,
}

impl Default for CutMixConfig {
    fn default() -> Self {
        Self {
            convention: CutMixConvention::Kaggle,
            alpha: 1.0,
            probability: 1.0,
        }
    }
}

impl CutMixConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`ViewsError::InvalidConfig`] names the setting and its range.
    pub fn check(&self) -> Result<(), ViewsError> {
        for (name, value, low, high) in [
            ("alpha", self.alpha, 0.01, 100.0),
            ("probability", self.probability, 0.0, 1.0),
        ] {
            if !(low..=high).contains(&value) {
                return Err(ViewsError::InvalidConfig(format!(
                    "cutmix.{name} {value} is not in {low}..={high}"
                )));
            }
        }
        Ok(())
    }

    /// Draws what happens to a batch; `None` if nothing does.
    pub fn draw(
        &self,
        batch_size: usize,
        height: usize,
        width: usize,
        seed: Seed,
    ) -> Option<CutMix> {
        let mut rng = seed.split("cutmix").rng();
        if rng.random::<f64>() >= self.probability {
            return None;
        }
        let lambda = symmetric_beta(self.alpha, &mut rng);
        let centre = [height, width].map(|edge| match self.convention {
            CutMixConvention::Clovaai => rng.random_range(0..edge) as f64,
            CutMixConvention::Kaggle => edge as f64 * rng.random::<f64>(),
        });
        let mut partners: Vec<usize> = (0..batch_size).collect();
        partners.shuffle(&mut rng);
        Some(CutMix {
            convention: self.convention,
            lambda,
            centre,
            partners,
        })
    }
}

/// A drawn mixture of a batch with itself: every image gets one box from its
/// partner, and the labels of both by the box's share.
///
/// ```
/// use morphospace_views::{CutMix, CutMixConvention};
///
/// let mix = CutMix {
///     convention: CutMixConvention::Kaggle,
///     lambda: 0.75,
///     centre: [0.5, 0.5],
///     partners: vec![1, 0],
/// };
/// // Two images of one channel, 2 x 2 px; the box is the upper left pixel.
/// let mut images = vec![0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0];
/// let weight = mix.mix_images(&mut images, 1, 2, 2);
/// assert_eq!(images, [1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 3.0, 4.0]);
/// assert_eq!(weight, 0.75);
/// let mut labels = vec![1.0, 0.0, 0.0, 1.0];
/// mix.mix_rows(&mut labels, weight);
/// assert_eq!(labels, [0.75, 0.25, 0.25, 0.75]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutMix {
    /// How the box comes about.
    pub convention: CutMixConvention,
    /// Share of an image that would stay if the box lay wholly within.
    pub lambda: f64,
    /// Row and column of the box's centre; whole numbers under
    /// [`CutMixConvention::Clovaai`].
    pub centre: [f64; 2],
    /// For each image of the batch the one its box comes from.
    pub partners: Vec<usize>,
}

impl CutMix {
    /// The box in an image of the given size; of no pixels if it is too small.
    pub fn mixed_box(&self, height: usize, width: usize) -> CropBox {
        let share = (1.0 - self.lambda).max(0.0).sqrt();
        let [(top, bottom), (left, right)] = [(height, self.centre[0]), (width, self.centre[1])]
            .map(|(edge, centre)| match self.convention {
                CutMixConvention::Clovaai => {
                    let half = (edge as f64 * share) as usize / 2;
                    let centre = centre as usize;
                    (centre.saturating_sub(half), (centre + half).min(edge))
                }
                CutMixConvention::Kaggle => {
                    let edge = edge as f64;
                    let half = share * edge / 2.0;
                    let from = (centre - half).max(0.0).round_ties_even() as usize;
                    (from, (centre + half).min(edge).round_ties_even() as usize)
                }
            });
        CropBox {
            top,
            left,
            height: bottom.saturating_sub(top),
            width: right.saturating_sub(left),
        }
    }

    /// Pastes the boxes into `images`, `[batch, channels, height, width]`, and
    /// gives the share of each image that stayed: the weight of its own label.
    ///
    /// # Panics
    /// The batch is not as large as the one this was drawn for.
    pub fn mix_images(
        &self,
        images: &mut [f32],
        channels: usize,
        height: usize,
        width: usize,
    ) -> f64 {
        let plane_len = height * width;
        let image_len = channels * plane_len;
        assert_eq!(
            images.len(),
            self.partners.len() * image_len,
            "levels of the batch"
        );
        let at = self.mixed_box(height, width);
        if at.area() == 0 {
            return 1.0;
        }
        let rows_of = |image: usize| {
            let planes = (0..channels).map(move |channel| image * image_len + channel * plane_len);
            planes.flat_map(move |plane| {
                (at.top..at.top + at.height).map(move |row| plane + row * width + at.left)
            })
        };
        // All boxes are taken before any is pasted.
        let mut boxes = Vec::with_capacity(self.partners.len() * channels * at.area());
        for &partner in &self.partners {
            for start in rows_of(partner) {
                boxes.extend_from_slice(&images[start..][..at.width]);
            }
        }
        let mut rows = boxes.chunks_exact(at.width);
        for image in 0..self.partners.len() {
            for start in rows_of(image) {
                let row = rows.next().expect("every row has been taken");
                images[start..][..at.width].copy_from_slice(row);
            }
        }
        1.0 - at.area() as f64 / plane_len as f64
    }

    /// Mixes rows that belong to the images, `[batch, any]`: dense labels, or
    /// what a network is told besides. `weight` is that of
    /// [`CutMix::mix_images`].
    ///
    /// # Panics
    /// The rows are not of the batch this was drawn for.
    pub fn mix_rows(&self, rows: &mut [f32], weight: f64) {
        let batch_size = self.partners.len();
        assert!(rows.len().is_multiple_of(batch_size), "rows of the batch");
        let row_len = rows.len() / batch_size;
        if weight == 1.0 || row_len == 0 {
            return;
        }
        let own = rows.to_vec();
        let (weight, rest) = (weight as f32, (1.0 - weight) as f32);
        for (row, &partner) in rows.chunks_exact_mut(row_len).zip(&self.partners) {
            for (value, other) in row.iter_mut().zip(&own[partner * row_len..]) {
                *value = *value * weight + other * rest;
            }
        }
    }
}

/// Dense labels, `[batch, num_classes]`: 1 - `smoothing` at the class, the rest
/// shared among the others. With CutMix they are smoothed before they are
/// mixed, as in the code of [`CutMixConvention::Kaggle`].
///
/// # Panics
/// A label is not one of the classes.
pub fn dense_labels(labels: &[usize], num_classes: usize, smoothing: f64) -> Vec<f32> {
    // One class has no others.
    let others = smoothing / num_classes.saturating_sub(1).max(1) as f64;
    let mut dense = vec![others as f32; labels.len() * num_classes];
    for (row, &label) in dense.chunks_exact_mut(num_classes).zip(labels) {
        row[label] = (1.0 - smoothing) as f32;
    }
    dense
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mix(convention: CutMixConvention, lambda: f64, centre: [f64; 2]) -> CutMix {
        CutMix {
            convention,
            lambda,
            centre,
            partners: vec![2, 0, 1],
        }
    }

    #[test]
    fn boxes_by_hand() {
        use CutMixConvention::*;
        let check = |convention, lambda, centre, expect: [usize; 4]| {
            let at = mix(convention, lambda, centre).mixed_box(16, 12);
            assert_eq!([at.top, at.left, at.height, at.width], expect);
        };
        // Half of each edge: 8 x 6 px.
        check(Clovaai, 0.75, [8.0, 6.0], [4, 3, 8, 6]);
        check(Clovaai, 0.75, [0.0, 11.0], [0, 8, 4, 4]);
        check(Kaggle, 0.75, [8.0, 6.0], [4, 3, 8, 6]);
        check(Kaggle, 0.75, [15.9, 0.1], [12, 0, 4, 3]);
        // Halves go to even numbers: 4.5 and 12.5, 3.5 and 9.5.
        check(Kaggle, 0.75, [8.5, 6.5], [4, 4, 8, 6]);
        check(Clovaai, 1.0, [8.0, 6.0], [8, 6, 0, 0]);
        check(Kaggle, 1.0, [8.0, 6.0], [8, 6, 0, 0]);
    }

    #[test]
    fn an_empty_box_changes_nothing() {
        let mix = mix(CutMixConvention::Kaggle, 0.9999, [1.3, 1.3]);
        let mut images: Vec<f32> = (0..3 * 2 * 9).map(|level| level as f32).collect();
        let before = images.clone();
        let weight = mix.mix_images(&mut images, 2, 3, 3);
        assert_eq!((weight, images), (1.0, before));
        let mut labels = vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
        mix.mix_rows(&mut labels, weight);
        assert_eq!(labels, [1.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn labels_are_smoothed_by_hand() {
        let labels = dense_labels(&[1, 0], 3, 0.2);
        for (found, expect) in labels.iter().zip([0.1, 0.8, 0.1, 0.8, 0.1, 0.1]) {
            assert!((found - expect).abs() < 1e-7);
        }
        assert_eq!(dense_labels(&[0], 1, 0.0), [1.0]);
    }

    #[test]
    fn draws_follow_from_the_seed() {
        let config = CutMixConfig {
            convention: CutMixConvention::Clovaai,
            alpha: 0.5,
            probability: 0.5,
        };
        let draws: Vec<Option<CutMix>> = (0..1000)
            .map(|seed| config.draw(8, 20, 30, Seed::new(seed)))
            .collect();
        let mixed: Vec<&CutMix> = draws.iter().flatten().collect();
        assert!((430..570).contains(&mixed.len()), "{}", mixed.len());
        assert_eq!(draws[3], config.draw(8, 20, 30, Seed::new(3)));
        assert_ne!(mixed[0], mixed[1]);
        for mix in mixed {
            assert!(mix.centre[0] < 20.0 && mix.centre[1] < 30.0);
            let mut partners = mix.partners.clone();
            partners.sort_unstable();
            assert_eq!(partners, (0..8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn hostile_settings_are_refused_with_their_numbers() {
        for (alpha, probability, expect) in [
            (0.0, 1.0, "cutmix.alpha 0 is not in 0.01..=100"),
            (f64::NAN, 1.0, "cutmix.alpha NaN"),
            (1.0, 1.5, "cutmix.probability 1.5 is not in 0..=1"),
            (1.0, f64::NAN, "cutmix.probability NaN"),
        ] {
            let config = CutMixConfig {
                alpha,
                probability,
                ..CutMixConfig::default()
            };
            let message = config.check().expect_err("hostile").to_string();
            assert!(message.contains(expect), "{message}");
        }
        CutMixConfig::default().check().expect("defaults are valid");
        let unknown = toml::from_str::<CutMixConfig>("alpha = 1.0\nbeta = 1.0");
        assert!(unknown.is_err());
    }

    proptest! {
        #[test]
        fn boxes_lie_inside_and_weights_are_what_stayed(
            lambda in 0.0..=1.0_f64,
            height in 1..40_usize,
            width in 1..40_usize,
            place in [0.0..1.0_f64, 0.0..1.0_f64],
            is_kaggle: bool,
        ) {
            let convention = match is_kaggle {
                true => CutMixConvention::Kaggle,
                false => CutMixConvention::Clovaai,
            };
            let centre = [height as f64 * place[0], width as f64 * place[1]];
            let mix = mix(convention, lambda, centre.map(|place| match convention {
                CutMixConvention::Kaggle => place,
                CutMixConvention::Clovaai => place.floor(),
            }));
            let at = mix.mixed_box(height, width);
            prop_assert!(at.area() == 0 || at.is_within(height, width));
            // Image 0 is all zeros, its partner all twos.
            let len = height * width;
            let mut images = [vec![0.0; len], vec![1.0; len], vec![2.0; len]].concat();
            let weight = mix.mix_images(&mut images, 1, height, width);
            let num_kept = images[..len].iter().filter(|level| **level == 0.0).count();
            prop_assert!((weight - num_kept as f64 / len as f64).abs() < 1e-12);
        }
    }
}
