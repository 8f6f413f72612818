//! What is done to an image, one operation per file, each a pure function of
//! the image and given numbers.
//!
//! Those that torchvision has too give what it gives for the same numbers, on
//! floats and on bytes (see [`Levels`]).

mod blur;
mod brightness;
mod channel_affine;
mod channel_shuffle;
mod contrast;
mod crop;
mod flips;
mod grayscale;
mod hue;
mod noise;
mod resize;
mod rot90;
mod rotation;
mod saturation;
mod solarise;
mod transpose;

use std::ops::Range;

use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use crate::{CropBox, Image, Interpolation, Levels};

use blur::blur;
use brightness::brightness;
use channel_affine::scale_and_shift;
use channel_shuffle::shuffle_channels;
use contrast::contrast;
use crop::crop;
use flips::{flip_horizontally, flip_vertically};
use grayscale::grayscale;
use hue::hue;
use noise::add_noise;
use resize::resized_crop;
use rot90::rot90;
use rotation::rotate;
use saturation::saturation;
use solarise::solarise;
use transpose::transpose;

/// A drawn operation with its numbers: plain data, that can be written down,
/// compared and applied again.
///
/// `channels` are those it changes; the others stay.
///
/// ```
/// use morphospace_views::{Image, Levels, Operation};
///
/// let mut image = Image::new(1, 1, 3, vec![10.0, 20.0, 200.0]);
/// Operation::FlipHorizontally.apply(&mut image, Levels::Grey);
/// let brighter = Operation::Brightness { channels: 0..1, factor: 1.5 };
/// brighter.apply(&mut image, Levels::Grey);
/// assert_eq!(image.levels(), [255.0, 30.0, 15.0]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// The whole image in another size.
    Resize {
        /// Rows and columns.
        size: [usize; 2],
        /// Levels between pixels.
        interpolation: Interpolation,
    },
    /// A part of the image, in its own size.
    Crop {
        /// The part.
        crop: CropBox,
    },
    /// A part of the image, in another size.
    ResizedCrop {
        /// The part.
        crop: CropBox,
        /// Rows and columns.
        size: [usize; 2],
        /// Levels between pixels.
        interpolation: Interpolation,
    },
    /// Left becomes right.
    FlipHorizontally,
    /// Top becomes bottom.
    FlipVertically,
    /// Turned counter-clockwise by quarters.
    Rot90 {
        /// How many.
        quarter_turns: u8,
    },
    /// Rows become columns.
    Transpose,
    /// Turned counter-clockwise about the centre, the nearest pixel each, 0
    /// where there is none.
    Rotate {
        /// The angle.
        degrees: f64,
    },
    /// Levels multiplied.
    Brightness {
        /// Which channels.
        channels: Range<usize>,
        /// By what.
        factor: f64,
    },
    /// Differences from the mean multiplied.
    Contrast {
        /// Which channels: three are one colour image, whose mean is that of
        /// its grey levels.
        channels: Range<usize>,
        /// By what.
        factor: f64,
    },
    /// Differences from the pixel's grey level multiplied.
    Saturation {
        /// Which three channels.
        channels: Range<usize>,
        /// By what.
        factor: f64,
    },
    /// Colours turned about the colour circle.
    Hue {
        /// Which three channels.
        channels: Range<usize>,
        /// Share of the circle, in -0.5..=0.5.
        turn: f64,
    },
    /// Channels made alike: three become their grey level, any other number
    /// its mean.
    Grayscale {
        /// Which channels.
        channels: Range<usize>,
    },
    /// Channels in another order.
    ChannelShuffle {
        /// For each channel the one it becomes.
        order: Vec<usize>,
    },
    /// A Gaussian blur, mirrored at the edges.
    Blur {
        /// Which channels.
        channels: Range<usize>,
        /// Edge of the kernel; odd.
        kernel_px: usize,
        /// Standard deviation.
        sigma_px: f64,
    },
    /// Levels from a threshold on inverted.
    Solarise {
        /// Which channels.
        channels: Range<usize>,
        /// The threshold, a level.
        threshold: f64,
    },
    /// Levels scaled and shifted, each channel by its own numbers; nothing
    /// bounds them, since they are standardised already.
    ChannelAffine {
        /// For each channel what it is multiplied by.
        scales: Vec<f32>,
        /// For each channel what is added then.
        shifts: Vec<f32>,
    },
    /// To every level a normal draw of its own added; nothing bounds them,
    /// since they are standardised already.
    Noise {
        /// Standard deviation.
        std: f32,
        /// Seed of the draws.
        seed: Seed,
    },
}

impl Operation {
    /// Does it to an image.
    ///
    /// # Panics
    /// The image is of another size or has other channels than the operation
    /// was drawn for.
    pub fn apply(&self, image: &mut Image, levels: Levels) {
        match self {
            Self::FlipHorizontally => flip_horizontally(image),
            Self::FlipVertically => flip_vertically(image),
            Self::Brightness { channels, factor } => {
                brightness(image, channels.clone(), *factor, levels);
            }
            Self::Contrast { channels, factor } => {
                contrast(image, channels.clone(), *factor, levels);
            }
            Self::Saturation { channels, factor } => {
                saturation(image, channels.clone(), *factor, levels);
            }
            Self::Hue { channels, turn } => hue(image, channels.clone(), *turn, levels),
            Self::Grayscale { channels } => grayscale(image, channels.clone(), levels),
            Self::Blur {
                channels,
                kernel_px,
                sigma_px,
            } => blur(image, channels.clone(), *kernel_px, *sigma_px, levels),
            Self::Solarise {
                channels,
                threshold,
            } => solarise(image, channels.clone(), *threshold, levels),
            Self::ChannelAffine { scales, shifts } => scale_and_shift(image, scales, shifts),
            Self::Noise { std, seed } => add_noise(image, *std, *seed),
            Self::Resize { .. }
            | Self::Crop { .. }
            | Self::ResizedCrop { .. }
            | Self::Rot90 { .. }
            | Self::Transpose
            | Self::Rotate { .. }
            | Self::ChannelShuffle { .. } => *image = self.applied(image, levels),
        }
    }

    /// What becomes of an image that is kept: several views are made of one
    /// site, and the first operation of most cuts a part out of it.
    pub(crate) fn applied(&self, image: &Image, levels: Levels) -> Image {
        match self {
            Self::Resize {
                size,
                interpolation,
            } => {
                let whole = CropBox::whole(image.height(), image.width());
                resized_crop(image, whole, *size, *interpolation, levels)
            }
            Self::Crop { crop: at } => crop(image, *at),
            Self::ResizedCrop {
                crop,
                size,
                interpolation,
            } => resized_crop(image, *crop, *size, *interpolation, levels),
            Self::Rot90 { quarter_turns } => rot90(image, *quarter_turns),
            Self::Transpose => transpose(image),
            Self::Rotate { degrees } => rotate(image, *degrees),
            Self::ChannelShuffle { order } => shuffle_channels(image, order),
            in_place => {
                let mut image = image.clone();
                in_place.apply(&mut image, levels);
                image
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image() -> impl Strategy<Value = Image> {
        (1..8_usize, 1..20_usize, 1..20_usize).prop_flat_map(|(channels, height, width)| {
            prop::collection::vec(0.0..255.0_f32, channels * height * width)
                .prop_map(move |levels| Image::new(channels, height, width, levels))
        })
    }

    fn done(image: &Image, operations: &[Operation]) -> Image {
        let mut image = image.clone();
        for operation in operations {
            operation.apply(&mut image, Levels::Grey);
        }
        image
    }

    fn operations_on_levels(image: &Image) -> Vec<Operation> {
        let channels = 0..image.channels();
        let mut order: Vec<usize> = channels.clone().collect();
        order.reverse();
        vec![
            Operation::FlipHorizontally,
            Operation::FlipVertically,
            Operation::Rot90 { quarter_turns: 3 },
            Operation::Transpose,
            Operation::Resize {
                size: [5, 11],
                interpolation: Interpolation::Bilinear,
            },
            Operation::Resize {
                size: [11, 5],
                interpolation: Interpolation::Bicubic,
            },
            Operation::Contrast {
                channels: channels.clone(),
                factor: 1.7,
            },
            Operation::Saturation {
                channels: channels.clone(),
                factor: 0.3,
            },
            Operation::Hue {
                channels: channels.clone(),
                turn: 0.2,
            },
            Operation::Grayscale {
                channels: channels.clone(),
            },
            Operation::ChannelShuffle { order },
            Operation::Blur {
                channels,
                kernel_px: 5,
                sigma_px: 1.3,
            },
        ]
    }

    proptest! {
        #[test]
        fn turning_back_gives_the_image_back(image in image()) {
            use Operation::*;
            let quarter = || Rot90 { quarter_turns: 1 };
            for operations in [
                vec![FlipHorizontally, FlipHorizontally],
                vec![FlipVertically, FlipVertically],
                vec![Transpose, Transpose],
                vec![quarter(), quarter(), quarter(), quarter()],
                vec![quarter(), Rot90 { quarter_turns: 3 }],
                vec![Rot90 { quarter_turns: 2 }, FlipHorizontally, FlipVertically],
                vec![Rotate { degrees: 180.0 }, Rotate { degrees: -180.0 }],
            ] {
                prop_assert_eq!(&done(&image, &operations), &image);
            }
        }

        #[test]
        fn a_level_everywhere_stays_everywhere(image in image(), level in 0.0..255.0_f32) {
            let mut image = image;
            image.levels_mut().fill(level);
            for operation in operations_on_levels(&image) {
                let found = done(&image, std::slice::from_ref(&operation));
                // Weights of colours add up to 0.9999.
                let is_level = |found: &f32| (found - level).abs() <= 3e-4 * level + 1e-3;
                prop_assert!(found.levels().iter().all(is_level), "{:?}", operation);
            }
        }

        #[test]
        fn levels_stay_within_their_bounds(image in image()) {
            for operation in operations_on_levels(&image) {
                let found = done(&image, std::slice::from_ref(&operation));
                let is_inside = |level: &f32| (0.0..=255.001).contains(level);
                prop_assert!(found.levels().iter().all(is_inside), "{:?}", operation);
            }
        }

        #[test]
        fn other_channels_stay(image in image()) {
            let channels = 1..image.channels().max(1);
            let others = [
                Operation::Brightness { channels: channels.clone(), factor: 0.3 },
                Operation::Contrast { channels: channels.clone(), factor: 0.3 },
                Operation::Blur { channels: channels.clone(), kernel_px: 3, sigma_px: 1.0 },
                Operation::Solarise { channels, threshold: 0.0 },
            ];
            prop_assume!(image.channels() > 1);
            let found = done(&image, &others);
            prop_assert_eq!(found.plane(0), image.plane(0));
        }

        #[test]
        fn bytes_stay_whole(image in image()) {
            let mut image = image;
            for level in image.levels_mut() {
                *level = level.trunc();
            }
            for operation in operations_on_levels(&image) {
                let mut found = image.clone();
                operation.apply(&mut found, Levels::Bytes);
                let is_byte = |level: &f32| level.fract() == 0.0 && (0.0..=255.0).contains(level);
                prop_assert!(found.levels().iter().all(is_byte), "{:?}", operation);
            }
        }
    }
}
