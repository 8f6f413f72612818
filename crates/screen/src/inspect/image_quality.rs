use sha2::{Digest, Sha256};

use super::quality_flag::QualityFlags;
use crate::focus::laplacian_variance;
use crate::screen::{Pixels, Plane};
use crate::standardise::PixelStats;

/// One image of a screen, whether it could be measured or not.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageQuality {
    /// The site's position in its screen.
    pub site_index: usize,
    /// The channel's position.
    pub channel_index: usize,
    /// What is noteworthy about it; what is said of its well stands in
    /// [`WellQuality`](super::WellQuality).
    pub flags: QualityFlags,
    /// What was measured; `None` of an image that is missing or cannot be
    /// decoded.
    pub measures: Option<ImageMeasures>,
}

/// Measures of one image, in grey levels of its own bit depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageMeasures {
    /// Pixels per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// 8 or 16.
    pub bit_depth: u8,
    /// Mean.
    pub mean: f64,
    /// Standard deviation (of the population).
    pub sd: f64,
    /// Least grey level.
    pub minimum: u16,
    /// Greatest grey level.
    pub maximum: u16,
    /// Share of pixels with the greatest value of the bit depth, 255 or
    /// 65,535.
    pub saturated_fraction: f64,
    /// Sharpness: variance of the Laplacian (3 x 3: the four neighbours less
    /// four times the pixel) over all pixels but the outermost; `None` of an
    /// image below 3 x 3. Pech-Pacheco et al. 2000; OpenCV's
    /// `Laplacian(image, CV_64F).var()` less its border.
    pub focus: Option<f64>,
    /// First half of the SHA-256 of bit depth, size and pixels.
    pub pixel_hash: [u8; 16],
}

impl ImageMeasures {
    /// Measures an image.
    ///
    /// ```
    /// use morphospace_screen::{ImageMeasures, Pixels, Plane};
    ///
    /// let pixels = Pixels::U8(vec![0, 0, 0, 0, 9, 0, 0, 0, 255]);
    /// let found = ImageMeasures::of(&Plane { width: 3, height: 3, pixels });
    /// assert_eq!((found.minimum, found.maximum), (0, 255));
    /// assert_eq!(found.saturated_fraction, 1.0 / 9.0);
    /// assert_eq!(found.focus, Some(0.0));
    /// ```
    pub fn of(plane: &Plane) -> Self {
        let stats = PixelStats::of(plane);
        let mut hasher = Sha256::new();
        hasher.update([plane.bit_depth()]);
        hasher.update((plane.width as u64).to_le_bytes());
        hasher.update((plane.height as u64).to_le_bytes());
        let (units, most, levels) = match &plane.pixels {
            Pixels::U8(pixels) => {
                hasher.update(pixels);
                (1.0, u16::from(u8::MAX), Levels::of(pixels, plane.width))
            }
            Pixels::U16(pixels) => {
                let mut bytes = Vec::with_capacity(2 * plane.width);
                for row in pixels.chunks(plane.width.max(1)) {
                    bytes.clear();
                    bytes.extend(row.iter().flat_map(|pixel| pixel.to_le_bytes()));
                    hasher.update(&bytes);
                }
                (257.0, u16::MAX, Levels::of(pixels, plane.width))
            }
        };
        let digest = hasher.finalize();
        let mut pixel_hash = [0; 16];
        pixel_hash.copy_from_slice(&digest[..16]);
        let num_saturated = if levels.maximum == most {
            levels.num_maximal
        } else {
            0
        };
        Self {
            width: plane.width,
            height: plane.height,
            bit_depth: plane.bit_depth(),
            mean: stats.mean() * units,
            sd: stats.std(0) * units,
            minimum: levels.minimum,
            maximum: levels.maximum,
            saturated_fraction: num_saturated as f64 / plane.num_pixels().max(1) as f64,
            focus: levels.laplacian_variance,
            pixel_hash,
        }
    }

    /// The mean in grey levels of another bit depth, 8 or 16: 16-bit levels
    /// are 257 times as many, so that white stays white.
    pub fn mean_at(&self, bit_depth: u8) -> f64 {
        match (self.bit_depth, bit_depth) {
            (16, 8) => self.mean / 257.0,
            (8, 16) => self.mean * 257.0,
            _ => self.mean,
        }
    }

    /// [`ImageMeasures::focus`] divided by the squared mean, which makes
    /// bright and dim images comparable; `None` of a black image.
    pub fn relative_focus(&self) -> Option<f64> {
        let focus = self.focus?;
        (self.mean > 0.0).then(|| focus / (self.mean * self.mean))
    }
}

struct Levels {
    minimum: u16,
    maximum: u16,
    /// Pixels that have the greatest value.
    num_maximal: usize,
    laplacian_variance: Option<f64>,
}

impl Levels {
    fn of<T: Copy + Ord + Into<u16> + Into<i32>>(pixels: &[T], width: usize) -> Self {
        let level = |found: Option<&T>| found.map_or(0, |&pixel| pixel.into());
        let maximum = pixels.iter().max();
        Self {
            minimum: level(pixels.iter().min()),
            maximum: level(maximum),
            num_maximal: maximum.map_or(0, |maximum| {
                pixels.iter().filter(|pixel| *pixel == maximum).count()
            }),
            laplacian_variance: laplacian_variance(pixels, width),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_worked_four_by_three() {
        // Inner pixels 5 and 1: Laplacians 0+0+0+1-20 = -19 and 5+0+0+0-4 = 1.
        let pixels = vec![0, 0, 0, 0, 0, 5, 1, 0, 0, 0, 0, 0];
        let found = ImageMeasures::of(&Plane {
            width: 4,
            height: 3,
            pixels: Pixels::U8(pixels.clone()),
        });
        assert_eq!(found.focus, Some(100.0));
        assert_eq!(found.mean, 0.5);
        assert!((found.sd - (26.0f64 / 12.0 - 0.25).sqrt()).abs() < 1e-12);
        assert_eq!(found.relative_focus(), Some(400.0));
        let wide = ImageMeasures::of(&Plane {
            width: 4,
            height: 3,
            pixels: Pixels::U16(pixels.into_iter().map(u16::from).collect()),
        });
        assert_eq!((wide.focus, wide.mean), (found.focus, found.mean));
        assert!((wide.sd - found.sd).abs() < 1e-12);
        assert_ne!(wide.pixel_hash, found.pixel_hash);
    }

    #[test]
    fn only_the_greatest_value_of_the_bit_depth_is_saturation() {
        let fraction = |pixels| {
            let plane = Plane {
                width: 2,
                height: 2,
                pixels,
            };
            ImageMeasures::of(&plane).saturated_fraction
        };
        assert_eq!(fraction(Pixels::U8(vec![255, 255, 0, 254])), 0.5);
        assert_eq!(fraction(Pixels::U8(vec![254, 254, 0, 254])), 0.0);
        assert_eq!(fraction(Pixels::U16(vec![255, 255, 0, 4095])), 0.0);
        assert_eq!(fraction(Pixels::U16(vec![255, 65_535, 0, 4095])), 0.25);
    }

    #[test]
    fn extreme_pixels_do_not_overflow() {
        let width = 64;
        let pixels: Vec<u16> = (0..width * width)
            .map(|i| {
                if (i % width + i / width) % 2 == 0 {
                    0
                } else {
                    u16::MAX
                }
            })
            .collect();
        let focus = ImageMeasures::of(&Plane {
            width,
            height: width,
            pixels: Pixels::U16(pixels),
        })
        .focus
        .expect("large enough");
        // A chessboard's Laplacian is +-4 x 65,535 everywhere.
        assert_eq!(focus, (4.0 * 65_535.0f64).powi(2));
    }
}
