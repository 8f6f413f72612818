use std::ops::Range;

use super::grayscale::grey;
use crate::{Image, Levels};

/// Moves levels away from their mean, or towards it; 1 leaves them as they
/// are.
///
/// The mean of three channels is that of their grey image, weighted as colours
/// are; of any other number it is the plain mean of all their levels.
///
/// # Source
/// torchvision's `v2.functional.adjust_contrast`.
pub(crate) fn contrast(image: &mut Image, channels: Range<usize>, factor: f64, levels: Levels) {
    let planes = image.planes_mut(channels.clone());
    let (sum, len) = if channels.len() == 3 {
        let len = planes.len() / 3;
        let (red, rest) = planes.split_at(len);
        let (green, blue) = rest.split_at(len);
        let colours = red.iter().zip(green).zip(blue);
        let greys = colours.map(|((&r, &g), &b)| match levels {
            Levels::Bytes => grey([r, g, b]).floor(),
            Levels::Unit | Levels::Grey => grey([r, g, b]),
        });
        (greys.map(f64::from).sum::<f64>(), len)
    } else {
        (planes.iter().copied().map(f64::from).sum(), planes.len())
    };
    let mean = (sum / len as f64) as f32;
    let (factor, rest) = (factor as f32, (1.0 - factor) as f32);
    let shift = mean * rest;
    levels.map(planes, |level| level * factor + shift);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_channel_by_hand() {
        let check = |levels, factor, expect: [f32; 2]| {
            let mut image = Image::new(1, 1, 2, vec![10.0, 41.0]);
            contrast(&mut image, 0..1, factor, levels);
            assert_eq!(image.levels(), expect);
        };
        check(Levels::Grey, 1.0, [10.0, 41.0]);
        check(Levels::Grey, 0.0, [25.5, 25.5]);
        check(Levels::Bytes, 0.0, [25.0, 25.0]);
        check(Levels::Grey, 2.0, [0.0, 56.5]);
    }

    #[test]
    fn colours_weigh_as_they_look() {
        let mut image = Image::new(4, 1, 1, vec![100.0, 100.0, 0.0, 9.0]);
        contrast(&mut image, 0..3, 0.0, Levels::Grey);
        for level in &image.levels()[..3] {
            assert!((level - 88.59).abs() < 1e-3);
        }
        assert_eq!(image.levels()[3], 9.0);
    }
}
