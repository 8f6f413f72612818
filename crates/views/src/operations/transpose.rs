use crate::Image;

/// Edge of the squares that are turned at once: their rows and columns stay
/// in the nearest cache.
const BLOCK: usize = 16;

/// Rows become columns.
pub(crate) fn transpose(image: &Image) -> Image {
    let (height, width) = (image.height(), image.width());
    image.map_planes([width, height], |from, to| {
        for top in (0..height).step_by(BLOCK) {
            for left in (0..width).step_by(BLOCK) {
                for column in left..(left + BLOCK).min(width) {
                    let rows = top..(top + BLOCK).min(height);
                    let out = &mut to[column * height..][rows.clone()];
                    for (row, out) in rows.zip(out) {
                        *out = from[row * width + column];
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let image = Image::new(1, 2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let turned = transpose(&image);
        assert_eq!((turned.height(), turned.width()), (3, 2));
        assert_eq!(turned.levels(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        // Larger than a block, and no multiple of it.
        let image = Image::new(2, 35, 18, (0..1260).map(|level| level as f32).collect());
        assert_eq!(
            transpose(&image).plane(1)[3 * 35 + 20],
            image.plane(1)[20 * 18 + 3]
        );
        assert_eq!(transpose(&transpose(&image)), image);
    }
}
