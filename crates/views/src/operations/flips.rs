use crate::Image;

/// Left becomes right.
pub(crate) fn flip_horizontally(image: &mut Image) {
    let width = image.width();
    let rows = image.levels_mut().chunks_exact_mut(width);
    rows.for_each(<[f32]>::reverse);
}

/// Top becomes bottom.
pub(crate) fn flip_vertically(image: &mut Image) {
    let (height, width) = (image.height(), image.width());
    for plane in image.levels_mut().chunks_exact_mut(height * width) {
        let (upper, lower) = plane.split_at_mut(width * (height / 2));
        let upper_rows = upper.chunks_exact_mut(width);
        let lower_rows = lower.chunks_exact_mut(width).rev();
        upper_rows
            .zip(lower_rows)
            .for_each(|(a, b)| a.swap_with_slice(b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_by_hand() {
        let image = || Image::new(1, 3, 2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let mut flipped = image();
        flip_horizontally(&mut flipped);
        assert_eq!(flipped.levels(), [2.0, 1.0, 4.0, 3.0, 6.0, 5.0]);
        let mut flipped = image();
        flip_vertically(&mut flipped);
        assert_eq!(flipped.levels(), [5.0, 6.0, 3.0, 4.0, 1.0, 2.0]);
    }
}
