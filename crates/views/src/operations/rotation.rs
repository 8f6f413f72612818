use super::rot90;
use crate::Image;

/// Turns counter-clockwise about the centre by an angle in degrees; every
/// pixel is the nearest one there was, or 0 where there was none. The size
/// stays.
///
/// # Source
/// torchvision's `v2.functional.rotate`, without `expand`, in single precision
/// as it is there, so that the same pixel is the nearest.
pub(crate) fn rotate(image: &Image, degrees: f64) -> Image {
    let (height, width) = (image.height(), image.width());
    let degrees = degrees.rem_euclid(360.0);
    let quarters = [0.0, 90.0, 180.0, 270.0].map(|quarter| quarter == degrees);
    match quarters {
        [true, ..] => return image.clone(),
        [_, _, true, _] => return rot90(image, 2),
        [_, true, ..] if height == width => return rot90(image, 1),
        [.., true] if height == width => return rot90(image, 3),
        _ => {}
    }
    // Places are given as shares of half the image, as PyTorch's grids are.
    let (sin, cos) = (-degrees).to_radians().sin_cos();
    let half = [width as f32 * 0.5, height as f32 * 0.5];
    let column_of = [cos as f32 / half[0], sin as f32 / half[0]];
    let row_of = [-sin as f32 / half[1], cos as f32 / half[1]];
    let nearest = |share: f32, size: usize| {
        let pixel = ((share + 1.0) * (size as f32 / 2.0) - 0.5).round_ties_even();
        (pixel >= 0.0 && pixel < size as f32).then_some(pixel as usize)
    };
    // PyTorch's matrix product rounds the first term and the sum, not the
    // second term.
    let share = |[x, y]: [f32; 2], of: [f32; 2]| {
        (f64::from(x * of[0]) + f64::from(y) * f64::from(of[1])) as f32
    };
    let middle = |size: usize| (size as f32 - 1.0) * 0.5;
    let (y_middle, x_middle) = (middle(height), middle(width));
    // The same for all channels.
    let sources: Vec<Option<usize>> = (0..height * width)
        .map(|index| {
            let y = (index / width) as f32 - y_middle;
            let x = (index % width) as f32 - x_middle;
            let column = nearest(share([x, y], column_of), width)?;
            let row = nearest(share([x, y], row_of), height)?;
            Some(row * width + column)
        })
        .collect();
    image.map_planes([height, width], |from, to| {
        for (out, source) in to.iter_mut().zip(&sources) {
            *out = source.map_or(0.0, |index| from[index]);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_quarters() {
        let image = Image::new(1, 3, 3, (1..10).map(|level| level as f32).collect());
        for (degrees, turns) in [(0.0, 0), (90.0, 1), (180.0, 2), (-90.0, 3), (450.0, 1)] {
            assert_eq!(rotate(&image, degrees), rot90(&image, turns), "{degrees}");
        }
        // Near a quarter the nearest pixels are those of the quarter.
        assert_eq!(rotate(&image, 89.9), rot90(&image, 1));
    }

    #[test]
    fn outside_is_black() {
        let image = Image::new(1, 1, 5, vec![1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(rotate(&image, 90.0).levels(), [0.0, 0.0, 3.0, 0.0, 0.0]);
    }
}
