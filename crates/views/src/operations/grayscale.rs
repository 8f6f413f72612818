use std::ops::Range;

use crate::{Image, Levels};

/// The grey level of a colour, by the weights of ITU-R BT.601 as torchvision
/// rounds them.
pub(super) fn grey([red, green, blue]: [f32; 3]) -> f32 {
    red * 0.2989 + green * 0.587 + blue * 0.114
}

/// Makes channels alike: three become their grey image, weighted as colours
/// are; any other number becomes its plain mean, since stains have no colour.
///
/// # Source
/// torchvision's `v2.functional.rgb_to_grayscale` with three output channels.
pub(crate) fn grayscale(image: &mut Image, channels: Range<usize>, levels: Levels) {
    let num_channels = channels.len();
    let planes = image.planes_mut(channels);
    let len = planes.len() / num_channels;
    let (first, rest) = planes.split_at_mut(len);
    if num_channels == 3 {
        let (green, blue) = rest.split_at(len);
        for ((red, green), blue) in first.iter_mut().zip(green).zip(blue) {
            *red = grey([*red, *green, *blue]);
        }
    } else {
        for plane in rest.chunks_exact(len) {
            for (sum, level) in first.iter_mut().zip(plane) {
                *sum += level;
            }
        }
        let num_channels = num_channels as f32;
        for level in &mut *first {
            *level /= num_channels;
        }
    }
    levels.map(first, |level| level);
    for plane in rest.chunks_exact_mut(len) {
        plane.copy_from_slice(first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_channels_weigh_as_colours_and_six_alike() {
        let mut image = Image::new(3, 1, 1, vec![10.0, 20.0, 30.0]);
        grayscale(&mut image, 0..3, Levels::Bytes);
        assert_eq!(image.levels(), [18.0; 3]);
        let mut image = Image::new(6, 1, 1, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        grayscale(&mut image, 0..6, Levels::Grey);
        assert_eq!(image.levels(), [2.5; 6]);
    }
}
