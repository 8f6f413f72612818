use std::ops::Range;

use super::grayscale::grey;
use crate::{Image, Levels};

/// Moves colours away from their grey level, or towards it; 1 leaves them as
/// they are. Channels that are not three have no colour and stay.
///
/// # Source
/// torchvision's `v2.functional.adjust_saturation`.
pub(crate) fn saturation(image: &mut Image, channels: Range<usize>, factor: f64, levels: Levels) {
    if channels.len() != 3 {
        return;
    }
    let planes = image.planes_mut(channels);
    let len = planes.len() / 3;
    let (red, rest) = planes.split_at_mut(len);
    let (green, blue) = rest.split_at_mut(len);
    let (factor, rest) = (factor as f32, (1.0 - factor) as f32);
    for ((red, green), blue) in red.iter_mut().zip(&mut *green).zip(&mut *blue) {
        let mut grey = grey([*red, *green, *blue]);
        if levels == Levels::Bytes {
            grey = grey.floor();
        }
        let shift = grey * rest;
        for level in [red, green, blue] {
            *level = *level * factor + shift;
        }
    }
    levels.map(planes, |level| level);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_saturation_is_grey() {
        let mut image = Image::new(3, 1, 1, vec![10.0, 20.0, 30.0]);
        saturation(&mut image, 0..3, 0.0, Levels::Bytes);
        assert_eq!(image.levels(), [18.0; 3]);
        let mut image = Image::new(3, 1, 1, vec![10.0, 20.0, 30.0]);
        saturation(&mut image, 0..3, 2.0, Levels::Bytes);
        assert_eq!(image.levels(), [2.0, 22.0, 42.0]);
        let mut image = Image::new(2, 1, 1, vec![10.0, 20.0]);
        saturation(&mut image, 0..2, 2.0, Levels::Grey);
        assert_eq!(image.levels(), [10.0, 20.0]);
    }
}
