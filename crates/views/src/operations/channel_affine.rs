use crate::Image;

/// Scales and shifts each channel by numbers of its own.
pub(crate) fn scale_and_shift(image: &mut Image, scales: &[f32], shifts: &[f32]) {
    let len = image.height() * image.width();
    let planes = image.levels_mut().chunks_exact_mut(len);
    for ((plane, &scale), &shift) in planes.zip(scales).zip(shifts) {
        for level in plane {
            *level = *level * scale + shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_by_hand() {
        let mut image = Image::new(2, 1, 2, vec![1.0, 2.0, 3.0, 4.0]);
        scale_and_shift(&mut image, &[2.0, -1.0], &[0.5, 0.0]);
        assert_eq!(image.levels(), [2.5, 4.5, -3.0, -4.0]);
    }
}
