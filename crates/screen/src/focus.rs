use crate::screen::{Pixels, Plane};

/// Sharpness of an image: see [`laplacian_variance`].
pub(crate) fn focus(plane: &Plane) -> Option<f64> {
    match &plane.pixels {
        Pixels::U8(pixels) => laplacian_variance(pixels, plane.width),
        Pixels::U16(pixels) => laplacian_variance(pixels, plane.width),
    }
}

/// Variance of the four-neighbour Laplacian over all pixels but the
/// outermost, large where an image has sharp detail (Pech-Pacheco et al.
/// 2000); `None` of an image below 3 x 3.
pub(crate) fn laplacian_variance<T: Copy + Into<i32>>(pixels: &[T], width: usize) -> Option<f64> {
    let height = pixels.len().checked_div(width)?;
    if width < 3 || height < 3 {
        return None;
    }
    let (mut sum, mut sum_of_squares) = (0i128, 0i128);
    for y in 1..height - 1 {
        let above = &pixels[(y - 1) * width..][..width];
        let row = &pixels[y * width..][..width];
        let below = &pixels[(y + 1) * width..][..width];
        // A row's sums fit: at most 65,535 values of at most 4 x 65,535.
        let (mut row_sum, mut row_squares) = (0i64, 0i64);
        for x in 1..width - 1 {
            let neighbours: i32 =
                above[x].into() + below[x].into() + row[x - 1].into() + row[x + 1].into();
            let value = i64::from(neighbours - 4 * row[x].into());
            row_sum += value;
            row_squares += value * value;
        }
        sum += i128::from(row_sum);
        sum_of_squares += i128::from(row_squares);
    }
    let count = ((width - 2) * (height - 2)) as i128;
    let spread = count * sum_of_squares - sum * sum;
    Some(spread as f64 / (count * count) as f64)
}
