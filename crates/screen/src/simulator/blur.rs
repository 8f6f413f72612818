//! How light spreads: by the point-spread function, and out of focus.

/// One half of a symmetric kernel of sum 1, its centre first.
pub(super) fn gaussian_kernel(sd_px: f64) -> Vec<f32> {
    let radius = (3.0 * sd_px).ceil() as usize;
    let weight = |k: usize| (-0.5 * (k as f64 / sd_px).powi(2)).exp();
    let sum: f64 = weight(0) + 2.0 * (1..=radius).map(weight).sum::<f64>();
    (0..=radius).map(|k| (weight(k) / sum) as f32).collect()
}

/// Convolves a square image with a kernel along both axes; the image goes on
/// beyond its rim as its last pixel.
pub(super) fn blur(plane: &mut [f32], image_px: usize, kernel: &[f32]) {
    let radius = kernel.len() - 1;
    let mut padded = vec![0.0; image_px + 2 * radius];
    for row in plane.chunks_exact_mut(image_px) {
        padded[..radius].fill(row[0]);
        padded[radius..radius + image_px].copy_from_slice(row);
        padded[radius + image_px..].fill(row[image_px - 1]);
        for (column, pixel) in row.iter_mut().enumerate() {
            *pixel = kernel[0] * padded[column + radius];
        }
        for (k, weight) in kernel.iter().enumerate().skip(1) {
            let left = &padded[radius - k..][..image_px];
            let right = &padded[radius + k..][..image_px];
            for (pixel, (left, right)) in row.iter_mut().zip(left.iter().zip(right)) {
                *pixel += weight * (left + right);
            }
        }
    }
    let source = plane.to_vec();
    let source_row = |row: usize| &source[row * image_px..][..image_px];
    for (row, pixels) in plane.chunks_exact_mut(image_px).enumerate() {
        pixels.iter_mut().for_each(|pixel| *pixel *= kernel[0]);
        for (k, weight) in kernel.iter().enumerate().skip(1) {
            let above = source_row(row.saturating_sub(k));
            let below = source_row((row + k).min(image_px - 1));
            for (pixel, (above, below)) in pixels.iter_mut().zip(above.iter().zip(below)) {
                *pixel += weight * (above + below);
            }
        }
    }
}

/// Side of the squares on which haze is computed, pixels: it is far smoother
/// than they are.
const HAZE_SQUARE_PX: usize = 8;
/// Standard deviation of the blur of matter out of focus, squares.
const HAZE_SD_SQUARES: f64 = 1.5;

/// Replaces a share of a square image by the same light spread widely, as
/// matter out of focus does in a widefield microscope.
pub(super) fn add_haze(plane: &mut [f32], image_px: usize, share: f32) {
    let num_squares = image_px.div_ceil(HAZE_SQUARE_PX);
    let mut sums = vec![0.0f32; num_squares * num_squares];
    let mut counts = vec![0.0f32; num_squares * num_squares];
    for (row, pixels) in plane.chunks_exact(image_px).enumerate() {
        let first = row / HAZE_SQUARE_PX * num_squares;
        for (square, pixels) in pixels.chunks(HAZE_SQUARE_PX).enumerate() {
            sums[first + square] += pixels.iter().sum::<f32>();
            counts[first + square] += pixels.len() as f32;
        }
    }
    let mut haze: Vec<f32> = sums.iter().zip(&counts).map(|(s, n)| s / n).collect();
    blur(&mut haze, num_squares, &gaussian_kernel(HAZE_SD_SQUARES));

    // Between the centres of squares haze is linear.
    let place = |pixel: usize| -> (usize, usize, f32) {
        let at = ((pixel as f32 + 0.5) / HAZE_SQUARE_PX as f32 - 0.5)
            .clamp(0.0, (num_squares - 1) as f32);
        let low = at as usize;
        (low, (low + 1).min(num_squares - 1), at - low as f32)
    };
    let columns: Vec<(usize, usize, f32)> = (0..image_px).map(place).collect();
    let mut line = vec![0.0; num_squares];
    for (row, pixels) in plane.chunks_exact_mut(image_px).enumerate() {
        let (above, below, weight) = place(row);
        let above = &haze[above * num_squares..][..num_squares];
        let below = &haze[below * num_squares..][..num_squares];
        for (value, (above, below)) in line.iter_mut().zip(above.iter().zip(below)) {
            *value = share * (above + weight * (below - above));
        }
        for (pixel, (left, right, weight)) in pixels.iter_mut().zip(&columns) {
            let light = line[*left] + weight * (line[*right] - line[*left]);
            *pixel = (1.0 - share) * *pixel + light;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blurring_keeps_a_constant_and_the_total() {
        let kernel = gaussian_kernel(1.3);
        let mut plane = vec![0.5; 40 * 40];
        blur(&mut plane, 40, &kernel);
        assert!(plane.iter().all(|v| (v - 0.5).abs() < 1e-6));
        let mut plane = vec![0.0; 40 * 40];
        plane[20 * 40 + 20] = 1.0;
        blur(&mut plane, 40, &kernel);
        assert!((plane.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let peak = 1.0 / (std::f32::consts::TAU * 1.3 * 1.3);
        assert!((plane[20 * 40 + 20] / peak - 1.0).abs() < 0.03);
        assert_eq!(plane[20 * 40 + 18], plane[18 * 40 + 20]);
    }

    #[test]
    fn haze_keeps_a_constant_and_spreads_a_point() {
        let mut plane = vec![0.5; 44 * 44];
        add_haze(&mut plane, 44, 0.3);
        assert!(plane.iter().all(|v| (v - 0.5).abs() < 1e-6));
        let mut plane = vec![0.0; 96 * 96];
        plane[48 * 96 + 48] = 64.0;
        add_haze(&mut plane, 96, 0.25);
        assert!((plane[48 * 96 + 48] - 48.0).abs() < 0.1);
        assert!((plane.iter().sum::<f32>() - 64.0).abs() < 0.5);
        assert!(plane[40 * 96 + 40] > plane[20 * 96 + 20]);
    }
}
