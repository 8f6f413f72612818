use std::ops::Range;

use crate::{Image, Levels};

/// Multiplies levels; 1 leaves them as they are.
///
/// # Source
/// torchvision's `v2.functional.adjust_brightness`.
pub(crate) fn brightness(image: &mut Image, channels: Range<usize>, factor: f64, levels: Levels) {
    let factor = factor as f32;
    levels.map(image.planes_mut(channels), |level| level * factor);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bright_levels_end_at_the_bound() {
        let check = |levels, factor, expect: [f32; 4]| {
            let mut image = Image::new(2, 1, 2, vec![3.0, 200.0, 3.0, 200.0]);
            brightness(&mut image, 1..2, factor, levels);
            assert_eq!(image.levels(), expect);
        };
        check(Levels::Grey, 1.5, [3.0, 200.0, 4.5, 255.0]);
        check(Levels::Bytes, 1.5, [3.0, 200.0, 4.0, 255.0]);
        check(Levels::Unit, 0.0, [3.0, 200.0, 0.0, 0.0]);
    }
}
