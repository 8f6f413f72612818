use std::ops::Range;

use crate::{Image, Levels};

/// Blurs by a Gaussian of standard deviation `sigma_px`, cut off to a square
/// of `kernel_px` (odd) and mirrored at the edges, the edge itself not twice.
///
/// # Source
/// torchvision's `v2.functional.gaussian_blur`, here rows and columns one
/// after the other.
pub(crate) fn blur(
    image: &mut Image,
    channels: Range<usize>,
    kernel_px: usize,
    sigma_px: f64,
    levels: Levels,
) {
    let (height, width) = (image.height(), image.width());
    let kernel = gaussian(kernel_px, sigma_px);
    let radius = kernel_px / 2;
    let row_sources = mirrored(height, radius);
    let column_sources = mirrored(width, radius);
    let mut across = vec![0.0; height * width];
    let mut padded = vec![0.0; width + 2 * radius];
    for plane in image.planes_mut(channels).chunks_exact_mut(height * width) {
        let rows = plane
            .chunks_exact(width)
            .zip(across.chunks_exact_mut(width));
        for (row, out) in rows {
            for (level, &source) in padded.iter_mut().zip(&column_sources) {
                *level = row[source];
            }
            weighted_sum(&kernel, |tap| &padded[tap..][..width], out);
        }
        for (index, out) in plane.chunks_exact_mut(width).enumerate() {
            let row = |tap: usize| &across[row_sources[index + tap] * width..][..width];
            weighted_sum(&kernel, row, out);
        }
        if levels == Levels::Bytes {
            for level in plane {
                *level = level.round_ties_even();
            }
        }
    }
}

fn weighted_sum<'a>(kernel: &[f32], line: impl Fn(usize) -> &'a [f32], out: &mut [f32]) {
    out.fill(0.0);
    for (tap, &weight) in kernel.iter().enumerate() {
        for (sum, level) in out.iter_mut().zip(line(tap)) {
            *sum += weight * level;
        }
    }
}

/// The Gaussian at whole pixels, adding up to 1.
fn gaussian(kernel_px: usize, sigma_px: f64) -> Vec<f32> {
    let middle = (kernel_px as f64 - 1.0) / 2.0;
    let weight = |tap: usize| (-((tap as f64 - middle) / sigma_px).powi(2) / 2.0).exp();
    let total: f64 = (0..kernel_px).map(weight).sum();
    (0..kernel_px)
        .map(|tap| (weight(tap) / total) as f32)
        .collect()
}

/// For each place of a line that is longer by `radius` at both ends, the
/// pixel that is there in the mirrored line.
fn mirrored(len: usize, radius: usize) -> Vec<usize> {
    // There and back again, neither end twice.
    let period = (2 * (len - 1)).max(1) as isize;
    (0..len + 2 * radius)
        .map(|place| {
            let place = (place as isize - radius as isize).rem_euclid(period) as usize;
            place.min(period as usize - place).min(len - 1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_by_hand() {
        assert_eq!(mirrored(4, 2), [2, 1, 0, 1, 2, 3, 2, 1]);
        assert_eq!(mirrored(2, 3), [1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(mirrored(1, 2), [0; 5]);
    }

    #[test]
    fn a_point_becomes_the_gaussian() {
        let mut levels = vec![0.0; 25];
        levels[12] = 1.0;
        let mut image = Image::new(1, 5, 5, levels);
        let sigma = 1.0 / (2.0 * 2.0_f64.ln()).sqrt();
        // Weights 1/2 : 1 : 1/2.
        blur(&mut image, 0..1, 3, sigma, Levels::Unit);
        let weights = [0.0, 0.25, 0.5, 0.25, 0.0];
        for (index, level) in image.levels().iter().enumerate() {
            let expect = weights[index / 5] * weights[index % 5];
            assert!((level - expect).abs() < 1e-6, "{index}: {level}");
        }
    }
}
