use std::ops::Range;

use morphospace_core::Seed;
use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::grouping::Grouping;
use crate::normal::StandardNormal;
use crate::{CropBox, Interpolation, Operation, ViewsError};

/// A step of a recipe: what may be done to an image, with which probability
/// and within which ranges. Numbers are drawn uniformly, if nothing else is
/// said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "transform", rename_all = "snake_case", deny_unknown_fields)]
pub enum Transform {
    /// The whole image, its shorter edge brought to a length.
    Resize {
        /// The shorter edge.
        size_px: usize,
        /// Levels between pixels.
        interpolation: Interpolation,
    },
    /// A part of random size, shape and place, brought to one size:
    /// torchvision's `RandomResizedCrop`. The ratio of width to height lies in
    /// 3/4..4/3, uniform in its logarithm; ten tries to fit such a part, then
    /// the largest in the middle.
    RandomResizedCrop {
        /// Edge of the result.
        size_px: usize,
        /// Share of the image's area.
        scale: [f64; 2],
        /// Levels between pixels.
        interpolation: Interpolation,
    },
    /// A square whose edge is drawn, at a random place, brought to one size by
    /// the nearest pixels.
    RandomZoom {
        /// Edge of the result; that of the image itself where there is none.
        size_px: Option<usize>,
        /// Edge of the part, as a share of the image's shorter edge.
        edge: [f64; 2],
    },
    /// A square at a random place, in its own size.
    RandomCrop {
        /// Its edge.
        size_px: usize,
    },
    /// The square in the middle.
    CenterCrop {
        /// Its edge.
        size_px: usize,
    },
    /// Left becomes right.
    FlipHorizontally {
        /// Probability.
        p: f64,
    },
    /// Top becomes bottom.
    FlipVertically {
        /// Probability.
        p: f64,
    },
    /// Turned by any of the four numbers of quarters, none among them.
    Rot90 {
        /// Probability.
        p: f64,
    },
    /// Rows become columns; with both flips at 0.5 each all eight symmetries
    /// of the square are equally likely.
    Transpose {
        /// Probability.
        p: f64,
    },
    /// Turned by any angle.
    Rotation {
        /// The angle lies in -degrees..=degrees.
        degrees: f64,
    },
    /// Brightness, contrast, saturation and hue changed, in an order that is
    /// drawn too: torchvision's `ColorJitter`. Whether it is done is drawn once
    /// for the image, all else for every group of channels. Only groups of
    /// three have saturation and hue.
    ColourJitter {
        /// Which channels share their draws.
        grouping: Grouping,
        /// Factor in 1 - brightness..1 + brightness, not below 0.
        brightness: f64,
        /// Likewise.
        contrast: f64,
        /// Likewise.
        saturation: f64,
        /// Share of the colour circle, in -hue..hue.
        hue: f64,
        /// Probability.
        p: f64,
    },
    /// Channels of a group made alike.
    Grayscale {
        /// Which channels are made alike; each group is a draw of its own.
        grouping: Grouping,
        /// Probability.
        p: f64,
    },
    /// Channels in any order, all equally likely.
    ChannelShuffle {
        /// Probability.
        p: f64,
    },
    /// A Gaussian blur.
    Blur {
        /// Which channels share their draws.
        grouping: Grouping,
        /// Edge of the kernel; odd.
        kernel_px: usize,
        /// Standard deviation.
        sigma_px: [f64; 2],
        /// Probability.
        p: f64,
    },
    /// Levels from a threshold on inverted.
    Solarise {
        /// Which channels share their draws.
        grouping: Grouping,
        /// A grey level in 0..=255.
        threshold: f64,
        /// Probability.
        p: f64,
    },
    /// After normalisation: each channel scaled by a draw from N(1,
    /// `scale_std`) and shifted by one from N(0, `shift_std`).
    ChannelAffine {
        /// Standard deviation of the factor.
        scale_std: f64,
        /// Standard deviation of what is added.
        shift_std: f64,
        /// Probability.
        p: f64,
    },
    /// After normalisation: to every pixel a draw from N(0, `std`).
    Noise {
        /// Standard deviation.
        std: f64,
        /// Probability.
        p: f64,
    },
}

/// Size of an image on its way through a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Transform {
    /// Whether it is done after normalisation.
    pub(crate) fn is_after_normalisation(&self) -> bool {
        matches!(self, Self::ChannelAffine { .. } | Self::Noise { .. })
    }

    /// Draws what is to be done to an image of the given size, which becomes
    /// that of the result.
    ///
    /// # Errors
    /// [`ViewsError::SiteTooSmall`]: the image does not hold the crop.
    pub(crate) fn draw(&self, size: &mut Size, seed: Seed) -> Result<Vec<Operation>, ViewsError> {
        let mut rng = seed.rng();
        let mut happens = |p: f64| rng.random::<f64>() < p;
        let Size {
            channels,
            height,
            width,
        } = *size;
        let drawn = |operation: Operation, happens: bool| -> Vec<Operation> {
            happens.then_some(operation).into_iter().collect()
        };
        let operations = match *self {
            Self::Resize {
                size_px,
                interpolation,
            } => {
                let shorter = height.min(width);
                [size.height, size.width] = [height, width].map(|edge| edge * size_px / shorter);
                let operation = Operation::Resize {
                    size: [size.height, size.width],
                    interpolation,
                };
                drawn(operation, size_px != shorter)
            }
            Self::RandomResizedCrop {
                size_px,
                scale,
                interpolation,
            } => {
                [size.height, size.width] = [size_px; 2];
                vec![Operation::ResizedCrop {
                    crop: random_part(height, width, scale, seed),
                    size: [size_px; 2],
                    interpolation,
                }]
            }
            Self::RandomZoom { size_px, edge } => {
                let shorter = height.min(width);
                let edge = edge.map(|share| (shorter as f64 * share).round_ties_even() as usize);
                let edge = rng.random_range(edge[0].max(1)..=edge[1].max(1));
                let crop = CropBox {
                    top: rng.random_range(0..=height - edge),
                    left: rng.random_range(0..=width - edge),
                    height: edge,
                    width: edge,
                };
                [size.height, size.width] = size_px.map_or([height, width], |px| [px; 2]);
                vec![Operation::ResizedCrop {
                    crop,
                    size: [size.height, size.width],
                    interpolation: Interpolation::Nearest,
                }]
            }
            Self::RandomCrop { size_px } => {
                let [down, right] = room(height, width, size_px)?;
                let top = rng.random_range(0..=down);
                let left = rng.random_range(0..=right);
                vec![square(size, top, left, size_px)]
            }
            Self::CenterCrop { size_px } => {
                let [down, right] = room(height, width, size_px)?;
                // torchvision rounds halves to even here.
                let [top, left] =
                    [down, right].map(|room| (room as f64 / 2.0).round_ties_even() as usize);
                vec![square(size, top, left, size_px)]
            }
            Self::FlipHorizontally { p } => drawn(Operation::FlipHorizontally, happens(p)),
            Self::FlipVertically { p } => drawn(Operation::FlipVertically, happens(p)),
            Self::Rot90 { p } => {
                let quarter_turns = if happens(p) {
                    rng.random_range(0..4)
                } else {
                    0
                };
                if quarter_turns % 2 == 1 {
                    [size.height, size.width] = [width, height];
                }
                drawn(Operation::Rot90 { quarter_turns }, quarter_turns > 0)
            }
            Self::Transpose { p } => {
                let happens = happens(p);
                if happens {
                    [size.height, size.width] = [width, height];
                }
                drawn(Operation::Transpose, happens)
            }
            Self::Rotation { degrees } => vec![Operation::Rotate {
                degrees: rng.random_range(-degrees..=degrees),
            }],
            Self::ColourJitter {
                grouping,
                brightness,
                contrast,
                saturation,
                hue,
                p,
            } => {
                let strengths = [brightness, contrast, saturation, hue];
                if happens(p) {
                    let groups = grouping.groups(channels).enumerate();
                    groups
                        .flat_map(|(index, group)| {
                            jitter(strengths, group, seed.split_index(index as u64))
                        })
                        .collect()
                } else {
                    Vec::new()
                }
            }
            Self::Grayscale { grouping, p } => grouping
                .groups(channels)
                .filter(|_| happens(p))
                .map(|channels| Operation::Grayscale { channels })
                .collect(),
            Self::ChannelShuffle { p } => {
                let happens = happens(p);
                let mut order: Vec<usize> = (0..channels).collect();
                order.shuffle(&mut rng);
                drawn(Operation::ChannelShuffle { order }, happens)
            }
            Self::Blur {
                grouping,
                kernel_px,
                sigma_px: [low, high],
                p,
            } => {
                let mut blurs = Vec::new();
                for channels in grouping.groups(channels) {
                    let happens = rng.random::<f64>() < p;
                    let blur = Operation::Blur {
                        channels,
                        kernel_px,
                        sigma_px: rng.random_range(low..=high),
                    };
                    blurs.extend(drawn(blur, happens));
                }
                blurs
            }
            Self::Solarise {
                grouping,
                threshold,
                p,
            } => grouping
                .groups(channels)
                .filter(|_| happens(p))
                .map(|channels| Operation::Solarise {
                    channels,
                    threshold,
                })
                .collect(),
            Self::ChannelAffine {
                scale_std,
                shift_std,
                p,
            } => {
                let happens = happens(p);
                let mut normal = StandardNormal::new(rng);
                let mut draws = |mean: f32, std: f64| -> Vec<f32> {
                    let draw = |_| mean + std as f32 * normal.next();
                    (0..channels).map(draw).collect()
                };
                let operation = Operation::ChannelAffine {
                    scales: draws(1.0, scale_std),
                    shifts: draws(0.0, shift_std),
                };
                drawn(operation, happens)
            }
            Self::Noise { std, p } => {
                let noise = Operation::Noise {
                    std: std as f32,
                    seed: seed.split("pixels"),
                };
                drawn(noise, happens(p))
            }
        };
        Ok(operations)
    }
}

/// Pixels that a square leaves free below and to the right of it.
fn room(height: usize, width: usize, crop_px: usize) -> Result<[usize; 2], ViewsError> {
    let too_small = || ViewsError::SiteTooSmall {
        height,
        width,
        crop_px,
    };
    let down = height.checked_sub(crop_px).ok_or_else(too_small)?;
    let right = width.checked_sub(crop_px).ok_or_else(too_small)?;
    Ok([down, right])
}

fn square(size: &mut Size, top: usize, left: usize, edge: usize) -> Operation {
    [size.height, size.width] = [edge; 2];
    Operation::Crop {
        crop: CropBox {
            top,
            left,
            height: edge,
            width: edge,
        },
    }
}

/// The part of a `RandomResizedCrop`.
fn random_part(height: usize, width: usize, scale: [f64; 2], seed: Seed) -> CropBox {
    const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
    const NUM_TRIES: usize = 10;
    let mut rng = seed.rng();
    let rounded = |edge: f64| edge.round_ties_even() as usize;
    for _ in 0..NUM_TRIES {
        let area = (height * width) as f64 * rng.random_range(scale[0]..=scale[1]);
        let ratio = rng.random_range(RATIO[0].ln()..=RATIO[1].ln()).exp();
        let part_width = rounded((area * ratio).sqrt());
        let part_height = rounded((area / ratio).sqrt());
        if (1..=width).contains(&part_width) && (1..=height).contains(&part_height) {
            return CropBox {
                top: rng.random_range(0..=height - part_height),
                left: rng.random_range(0..=width - part_width),
                height: part_height,
                width: part_width,
            };
        }
    }
    let ratio = width as f64 / height as f64;
    let (part_height, part_width) = if ratio < RATIO[0] {
        (rounded(width as f64 / RATIO[0]), width)
    } else if ratio > RATIO[1] {
        (height, rounded(height as f64 * RATIO[1]))
    } else {
        (height, width)
    };
    CropBox {
        top: (height - part_height) / 2,
        left: (width - part_width) / 2,
        height: part_height,
        width: part_width,
    }
}

/// One group's brightness, contrast, saturation and hue, in an order of its
/// own.
fn jitter(strengths: [f64; 4], channels: Range<usize>, seed: Seed) -> Vec<Operation> {
    let mut rng = seed.rng();
    let mut kinds = [0, 1, 2, 3];
    kinds.shuffle(&mut rng);
    let factors = strengths.map(|strength| {
        let low = (1.0 - strength).max(0.0);
        rng.random_range(low..=1.0 + strength)
    });
    let turn = rng.random_range(-strengths[3]..=strengths[3]);
    let has_colour = channels.len() == 3;
    kinds
        .into_iter()
        .filter(|&kind| strengths[kind] > 0.0 && (has_colour || kind < 2))
        .map(|kind| {
            let channels = channels.clone();
            let factor = factors[kind];
            match kind {
                0 => Operation::Brightness { channels, factor },
                1 => Operation::Contrast { channels, factor },
                2 => Operation::Saturation { channels, factor },
                _ => Operation::Hue { channels, turn },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(channels: usize, height: usize, width: usize) -> Size {
        Size {
            channels,
            height,
            width,
        }
    }

    proptest! {
        #[test]
        fn parts_lie_inside(
            height in 1..200_usize,
            width in 1..200_usize,
            low in 0.001..1.0_f64,
            more in 0.0..0.5_f64,
            seed in 0..u64::MAX,
        ) {
            let part = random_part(height, width, [low, low + more], Seed::new(seed));
            prop_assert!(part.is_within(height, width), "{:?}", part);
        }

        #[test]
        fn sizes_are_kept_up_with(
            height in 8..60_usize,
            width in 8..60_usize,
            seed in 0..u64::MAX,
        ) {
            let image = crate::Image::new(3, height, width, vec![1.0; 3 * height * width]);
            for transform in [
                Transform::Resize { size_px: 17, interpolation: Interpolation::Bilinear },
                Transform::RandomZoom { size_px: Some(9), edge: [0.5, 1.0] },
                Transform::RandomZoom { size_px: None, edge: [0.5, 1.0] },
                Transform::RandomCrop { size_px: 8 },
                Transform::CenterCrop { size_px: 7 },
                Transform::Rot90 { p: 1.0 },
                Transform::Transpose { p: 0.5 },
                Transform::Rotation { degrees: 90.0 },
            ] {
                let mut expect = size(3, height, width);
                let mut image = image.clone();
                for operation in transform.draw(&mut expect, Seed::new(seed))? {
                    operation.apply(&mut image, crate::Levels::Grey);
                }
                let found = size(image.channels(), image.height(), image.width());
                prop_assert_eq!(found, expect, "{:?}", transform);
            }
        }
    }

    #[test]
    fn shares_and_ratios_are_those_asked_for() {
        let (mut sum, num_draws) = (0.0, 2000);
        for index in 0..num_draws {
            let part = random_part(500, 500, [0.3, 0.5], Seed::new(index));
            let share = part.area() as f64 / 250_000.0;
            let ratio = part.width as f64 / part.height as f64;
            assert!((0.298..0.502).contains(&share), "{share}");
            assert!((0.74..1.35).contains(&ratio), "{ratio}");
            sum += share;
        }
        assert!((sum / num_draws as f64 - 0.4).abs() < 0.01);
    }

    #[test]
    fn parts_that_never_fit_are_the_middle() {
        // As torchvision: the largest of an allowed ratio.
        let check = |[height, width]: [usize; 2], expect: [usize; 4]| {
            let part = random_part(height, width, [1.0, 1.0], Seed::new(4));
            assert_eq!([part.top, part.left, part.height, part.width], expect);
        };
        check([100, 30], [30, 0, 40, 30]);
        check([30, 100], [0, 30, 30, 40]);
    }

    #[test]
    fn what_is_certain_happens_and_what_is_impossible_does_not() {
        let draw = |transform: Transform, seed| {
            transform
                .draw(&mut size(6, 32, 32), Seed::new(seed))
                .expect("nothing is cropped")
        };
        for seed in 0..50 {
            assert_eq!(draw(Transform::FlipVertically { p: 0.0 }, seed), []);
            assert_eq!(draw(Transform::Noise { std: 1.0, p: 0.0 }, seed), []);
            let grey = Transform::Grayscale {
                grouping: Grouping::Threes,
                p: 1.0,
            };
            assert_eq!(draw(grey, seed).len(), 2);
        }
    }

    #[test]
    fn six_channels_are_jittered_as_two_images() {
        let jitter = Transform::ColourJitter {
            grouping: Grouping::Threes,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.2,
            hue: 0.1,
            p: 1.0,
        };
        let operations = jitter.draw(&mut size(6, 8, 8), Seed::new(1)).expect("fits");
        let brightness = |of: Range<usize>| {
            operations.iter().find_map(|operation| match operation {
                Operation::Brightness { channels, factor } if *channels == of => Some(*factor),
                _ => None,
            })
        };
        assert_eq!(operations.len(), 8);
        assert_ne!(brightness(0..3), brightness(3..6));
        // Two channels have no colour.
        let operations = jitter.draw(&mut size(5, 8, 8), Seed::new(1)).expect("fits");
        assert_eq!(operations.len(), 6);
    }

    #[test]
    fn crops_that_do_not_fit_are_refused() {
        for transform in [
            Transform::RandomCrop { size_px: 33 },
            Transform::CenterCrop { size_px: 33 },
        ] {
            let error = transform.draw(&mut size(1, 40, 32), Seed::new(0));
            let message = error.expect_err("too large").to_string();
            assert!(
                message.contains("40 x 32") && message.contains("33 x 33"),
                "{message}"
            );
        }
    }
}
