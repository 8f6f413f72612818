use std::ops::Range;

use crate::{Image, Levels};

/// Inverts levels from a threshold on; the threshold is a level like them.
///
/// # Source
/// torchvision's `v2.functional.solarize`.
pub(crate) fn solarise(image: &mut Image, channels: Range<usize>, threshold: f64, levels: Levels) {
    let (threshold, bound) = (threshold as f32, levels.bound());
    levels.map(image.planes_mut(channels), |level| {
        if level >= threshold {
            bound - level
        } else {
            level
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bright_levels_are_inverted() {
        let mut image = Image::new(1, 1, 4, vec![0.0, 127.5, 128.0, 255.0]);
        solarise(&mut image, 0..1, 128.0, Levels::Grey);
        assert_eq!(image.levels(), [0.0, 127.5, 127.0, 0.0]);
    }
}
