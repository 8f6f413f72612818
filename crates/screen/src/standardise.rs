use morphospace_core::suggestion;
use serde::{Deserialize, Serialize};

use crate::screen::{Pixels, Plane};

/// How an image is standardised by its own pixels, channel by channel.
///
/// All four subtract the mean; they differ in what they divide by. With `x`
/// in 0..=255, `v` and `s` the variance and standard deviation of `x / 255`:
///
/// | name | divides by | source |
/// |---|---|---|
/// | `instance_norm` | `sqrt(v + 1e-5)`, `v` biased | `maes_microscopy` `normalizer.py`: `InstanceNorm2d` after `x / 255` |
/// | `instance_norm_no255` | the same on `x` itself | `torch.nn.InstanceNorm2d` on 0..255 |
/// | `std_plus_eps` | `s + 1e-8`, `s` unbiased | the RxRx1 challenge's winning entry, `dataset.py` |
/// | `zero_to_one` | `s` unbiased, 1 where it is 0 | WILDS 2.0 `rxrx1_dataset.py` |
///
/// The 1e-5 of `instance_norm` acts on the 0..1 scale: a dark channel
/// (standard deviation 2.8 of 255) is shrunk by about 4 %, which a network
/// trained with it expects.
///
/// 16-bit pixels are first divided by 257, which maps 0..=65535 onto 0..=255.
///
/// ```
/// use morphospace_screen::{PixelStats, Pixels, Plane, SelfStandardisation};
///
/// let plane = Plane { width: 2, height: 2, pixels: Pixels::U8(vec![0, 0, 255, 255]) };
/// let mut standardised = [0.0; 4];
/// SelfStandardisation::InstanceNorm.apply(&plane, &mut standardised);
/// assert!((standardised[2] - 0.5 / 0.25001f32.sqrt()).abs() < 1e-6);
/// assert_eq!(PixelStats::of(&plane).mean(), 127.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfStandardisation {
    /// `(x/255 - mean) / sqrt(biased variance + 1e-5)`.
    #[default]
    InstanceNorm,
    /// `(x - mean) / sqrt(biased variance + 1e-5)`.
    #[serde(rename = "instance_norm_no255")]
    InstanceNormNo255,
    /// `(x/255 - mean) / (unbiased standard deviation + 1e-8)`.
    StdPlusEps,
    /// `(x/255 - mean) / unbiased standard deviation`, 0 replaced by 1.
    ZeroToOne,
}

impl SelfStandardisation {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::InstanceNorm,
        Self::InstanceNormNo255,
        Self::StdPlusEps,
        Self::ZeroToOne,
    ];

    /// The name in configurations and provenance.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InstanceNorm => "instance_norm",
            Self::InstanceNormNo255 => "instance_norm_no255",
            Self::StdPlusEps => "std_plus_eps",
            Self::ZeroToOne => "zero_to_one",
        }
    }

    /// The centre and scale for pixels with these statistics.
    pub fn standardiser(self, stats: &PixelStats) -> Standardiser {
        self.of_moments(stats.mean(), |ddof| stats.variance(ddof))
    }

    /// The centre and scale for grey levels on the 0..255 scale that need not
    /// be whole: those of an image that was resized or changed in colour.
    pub fn standardiser_of_levels(self, levels: &[f32]) -> Standardiser {
        let num = levels.len().max(1) as f64;
        let mean = levels.iter().map(|level| f64::from(*level)).sum::<f64>() / num;
        let squares = levels
            .iter()
            .map(|level| (f64::from(*level) - mean).powi(2));
        let squares: f64 = squares.sum();
        self.of_moments(mean, |ddof| match levels.len() as u64 > ddof {
            true => squares / (levels.len() as u64 - ddof) as f64,
            false => 0.0,
        })
    }

    /// From the mean, and the variance with so many degrees of freedom taken
    /// off.
    fn of_moments(self, mean: f64, variance: impl Fn(u64) -> f64) -> Standardiser {
        let scale = match self {
            Self::InstanceNorm => (1.0 / 255.0) / (variance(0) / (255.0 * 255.0) + 1e-5).sqrt(),
            Self::InstanceNormNo255 => 1.0 / (variance(0) + 1e-5).sqrt(),
            Self::StdPlusEps => (1.0 / 255.0) / (variance(1).sqrt() / 255.0 + 1e-8),
            Self::ZeroToOne => match variance(1).sqrt() / 255.0 {
                0.0 => 1.0 / 255.0,
                std => (1.0 / 255.0) / std,
            },
        };
        Standardiser { mean, scale }
    }

    /// Standardises an image by its own pixels.
    ///
    /// # Shapes
    /// - `plane`: `[height, width]`
    /// - `output`: `height * width` values, row-major
    ///
    /// # Panics
    /// `output` has another length than the image has pixels.
    pub fn apply(self, plane: &Plane, output: &mut [f32]) {
        self.standardiser(&PixelStats::of(plane))
            .apply(plane, output);
    }
}

impl std::str::FromStr for SelfStandardisation {
    type Err = UnknownStandardisation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|method| method.as_str() == text)
            .ok_or_else(|| UnknownStandardisation {
                text: text.to_owned(),
                near: suggestion(text, Self::ALL.map(Self::as_str)).map(str::to_owned),
            })
    }
}

/// A text that names no standardisation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a standardisation (instance_norm, instance_norm_no255, std_plus_eps, \
     zero_to_one){}", near.as_ref().map(|near| format!("\nhint: did you mean '{near}'?"))
        .unwrap_or_default()
)]
pub struct UnknownStandardisation {
    /// What was read.
    pub text: String,
    /// What was probably meant.
    pub near: Option<String>,
}

/// Sums over pixels, exact whatever their number and order: they are whole
/// numbers. Sums of several images merge into those of all their pixels, so
/// statistics of an experiment or a plate do not depend on thread count.
///
/// Values are on the 0..255 scale; 16-bit pixels count as `x / 257`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PixelStats {
    num_pixels: u64,
    /// In 1/257 of a grey level, which makes 8- and 16-bit images one scale.
    sum: u128,
    sum_of_squares: u128,
}

impl PixelStats {
    /// Statistics of one image.
    pub fn of(plane: &Plane) -> Self {
        match &plane.pixels {
            Pixels::U8(pixels) => Self::of_u8(pixels),
            Pixels::U16(pixels) => Self::of_u16(pixels),
        }
    }

    /// Statistics of 8-bit pixels.
    pub fn of_u8(pixels: &[u8]) -> Self {
        let (mut sum, mut sum_of_squares) = (0u64, 0u64);
        // 65,536 squares of at most 65,025 fit 32 bits, which lets the
        // inner loop run in whole vector registers.
        for chunk in pixels.chunks(1 << 16) {
            let (mut chunk_sum, mut chunk_squares) = (0u32, 0u32);
            for &pixel in chunk {
                let value = u32::from(pixel);
                chunk_sum += value;
                chunk_squares += value * value;
            }
            sum += u64::from(chunk_sum);
            sum_of_squares += u64::from(chunk_squares);
        }
        Self {
            num_pixels: pixels.len() as u64,
            sum: u128::from(sum) * 257,
            sum_of_squares: u128::from(sum_of_squares) * (257 * 257),
        }
    }

    /// Statistics of 16-bit pixels.
    pub fn of_u16(pixels: &[u16]) -> Self {
        let (mut sum, mut sum_of_squares) = (0u64, 0u128);
        for chunk in pixels.chunks(1 << 16) {
            let (mut chunk_sum, mut chunk_squares) = (0u32, 0u64);
            for &pixel in chunk {
                let value = u32::from(pixel);
                chunk_sum += value;
                chunk_squares += u64::from(value) * u64::from(value);
            }
            sum += u64::from(chunk_sum);
            sum_of_squares += u128::from(chunk_squares);
        }
        Self {
            num_pixels: pixels.len() as u64,
            sum: u128::from(sum),
            sum_of_squares,
        }
    }

    /// Statistics of the pixels of both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            num_pixels: self.num_pixels + other.num_pixels,
            sum: self.sum + other.sum,
            sum_of_squares: self.sum_of_squares + other.sum_of_squares,
        }
    }

    /// How many pixels were seen.
    pub fn num_pixels(&self) -> u64 {
        self.num_pixels
    }

    /// Mean on the 0..255 scale; 0 of no pixels.
    pub fn mean(&self) -> f64 {
        if self.num_pixels == 0 {
            return 0.0;
        }
        self.sum as f64 / self.num_pixels as f64 / 257.0
    }

    /// Variance on the 0..255 scale with `ddof` degrees of freedom taken off
    /// (0 biased, 1 unbiased); 0 where no more than `ddof` pixels were seen.
    /// Exactly 0 for constant pixels.
    pub fn variance(&self, ddof: u64) -> f64 {
        if self.num_pixels <= ddof {
            return 0.0;
        }
        // n Σx² - (Σx)² is a whole number and never negative.
        let n = u128::from(self.num_pixels);
        let spread = n * self.sum_of_squares - self.sum * self.sum;
        let n = self.num_pixels as f64;
        spread as f64 / n / (self.num_pixels - ddof) as f64 / (257.0 * 257.0)
    }

    /// Standard deviation on the 0..255 scale; see [`PixelStats::variance`].
    pub fn std(&self, ddof: u64) -> f64 {
        self.variance(ddof).sqrt()
    }
}

/// `(x - mean) * scale` for `x` on the 0..255 scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standardiser {
    /// Subtracted, on the 0..255 scale.
    pub mean: f64,
    /// Multiplied with.
    pub scale: f64,
}

impl Standardiser {
    /// Standardises an image.
    ///
    /// # Panics
    /// `output` has another length than the image has pixels.
    pub fn apply(&self, plane: &Plane, output: &mut [f32]) {
        match &plane.pixels {
            Pixels::U8(pixels) => self.apply_u8(pixels, output),
            Pixels::U16(pixels) => self.apply_u16(pixels, output),
        }
    }

    /// Standardises 8-bit pixels.
    ///
    /// # Panics
    /// The lengths differ.
    pub fn apply_u8(&self, pixels: &[u8], output: &mut [f32]) {
        self.apply_scaled(pixels, output, 1.0);
    }

    /// Standardises 16-bit pixels.
    ///
    /// # Panics
    /// The lengths differ.
    pub fn apply_u16(&self, pixels: &[u16], output: &mut [f32]) {
        self.apply_scaled(pixels, output, 257.0);
    }

    /// Standardises grey levels on the 0..255 scale in place.
    pub fn apply_levels(&self, levels: &mut [f32]) {
        // As below: what is left of the mean is small beside the levels.
        let whole = self.mean.floor() as f32;
        let rest = (self.mean - self.mean.floor()) as f32;
        let scale = self.scale as f32;
        for level in levels {
            *level = ((*level - whole) - rest) * scale;
        }
    }

    /// The whole part of the mean is taken off in integers. What is left of
    /// it is below 1, so that 32-bit floats lose nothing that matters even
    /// where one bright pixel stands on a constant ground and `scale` is huge.
    fn apply_scaled<T: Copy + Into<i32>>(&self, pixels: &[T], output: &mut [f32], units: f64) {
        assert_eq!(pixels.len(), output.len(), "one value per pixel");
        let mean = self.mean * units;
        let whole = mean.floor() as i32;
        let rest = (mean - mean.floor()) as f32;
        let scale = (self.scale / units) as f32;
        for (value, &pixel) in output.iter_mut().zip(pixels) {
            *value = ((pixel.into() - whole) as f32 - rest) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hand_worked_three_by_three() {
        // 0, 10, .., 80: mean 40, biased variance 6000/9, unbiased 750.
        let pixels: Vec<u8> = (0..9).map(|i| i * 10).collect();
        let stats = PixelStats::of_u8(&pixels);
        assert_eq!(stats.mean(), 40.0);
        assert!((stats.variance(0) - 6000.0 / 9.0).abs() < 1e-9);
        assert!((stats.variance(1) - 750.0).abs() < 1e-9);
        let plane = Plane {
            width: 3,
            height: 3,
            pixels: Pixels::U8(pixels),
        };
        let mut output = vec![0.0; 9];
        SelfStandardisation::ZeroToOne.apply(&plane, &mut output);
        assert!((f64::from(output[8]) - 40.0 / 750f64.sqrt()).abs() < 1e-6);
        assert_eq!(output[4], 0.0);
    }

    #[test]
    fn a_constant_channel_becomes_exactly_zero() {
        let plane = Plane {
            width: 16,
            height: 16,
            pixels: Pixels::U8(vec![77; 256]),
        };
        for method in SelfStandardisation::ALL {
            let mut output = vec![1.0; 256];
            method.apply(&plane, &mut output);
            assert!(output.iter().all(|&value| value == 0.0), "{method:?}");
        }
    }

    #[test]
    fn one_bright_pixel_on_a_constant_ground_keeps_its_precision() {
        let num_pixels = 512 * 512;
        let mut pixels = vec![200u8; num_pixels];
        pixels[17] = 201;
        let plane = Plane {
            width: 512,
            height: 512,
            pixels: Pixels::U8(pixels),
        };
        let mut output = vec![0.0; num_pixels];
        SelfStandardisation::StdPlusEps.apply(&plane, &mut output);
        // One of n: its standard score is sqrt(n) less a rounding of 1/n.
        let n = num_pixels as f64;
        let std = ((1.0 - 1.0 / n) / (n - 1.0)).sqrt() / 255.0 + 1e-8;
        let expected = (1.0 - 1.0 / n) / 255.0 / std;
        assert!(
            (f64::from(output[17]) - expected).abs() < 1e-4 * expected,
            "{}",
            output[17]
        );
        assert!((f64::from(output[0]) + 1.0 / n / 255.0 / std).abs() < 1e-6);
    }

    #[test]
    fn levels_standardise_as_pixels_do() {
        let pixels: Vec<u8> = (0..=250).step_by(7).chain([255, 255, 0]).collect();
        let plane = Plane {
            width: pixels.len(),
            height: 1,
            pixels: Pixels::U8(pixels.clone()),
        };
        for method in SelfStandardisation::ALL {
            let mut of_plane = vec![0.0; pixels.len()];
            method.apply(&plane, &mut of_plane);
            let mut levels: Vec<f32> = pixels.iter().map(|pixel| f32::from(*pixel)).collect();
            let standardiser = method.standardiser_of_levels(&levels);
            standardiser.apply_levels(&mut levels);
            for (level, expected) in levels.iter().zip(of_plane) {
                assert!((level - expected).abs() < 1e-6, "{level} {expected}");
            }
        }
        let mut constant = [7.25; 3];
        let method = SelfStandardisation::ZeroToOne;
        method
            .standardiser_of_levels(&constant)
            .apply_levels(&mut constant);
        assert_eq!(constant, [0.0; 3]);
    }

    #[test]
    fn names_round_trip_and_misspellings_are_answered() {
        for method in SelfStandardisation::ALL {
            assert_eq!(method.as_str().parse(), Ok(method));
        }
        let error = "instance_nrom"
            .parse::<SelfStandardisation>()
            .expect_err("misspelt");
        assert!(
            error.to_string().contains("did you mean 'instance_norm'"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn sixteen_bit_images_standardise_like_their_eight_bit_selves(
            pixels in prop::collection::vec(any::<u8>(), 1..300)
        ) {
            let wide: Vec<u16> = pixels.iter().map(|&pixel| u16::from(pixel) * 257).collect();
            prop_assert_eq!(PixelStats::of_u8(&pixels), PixelStats::of_u16(&wide));
            let standardiser =
                SelfStandardisation::InstanceNorm.standardiser(&PixelStats::of_u8(&pixels));
            let (mut narrow_out, mut wide_out) = (vec![0.0; wide.len()], vec![0.0; wide.len()]);
            standardiser.apply_u8(&pixels, &mut narrow_out);
            standardiser.apply_u16(&wide, &mut wide_out);
            for (a, b) in narrow_out.iter().zip(&wide_out) {
                prop_assert!((a - b).abs() <= 1e-5 * (1.0 + a.abs()));
            }
        }

        #[test]
        fn merged_statistics_are_those_of_all_pixels(
            pixels in prop::collection::vec(any::<u16>(), 2..300), cut in 0usize..300
        ) {
            let (left, right) = pixels.split_at(cut.min(pixels.len()));
            let merged = PixelStats::of_u16(left).merge(PixelStats::of_u16(right));
            prop_assert_eq!(merged, PixelStats::of_u16(&pixels));
        }
    }
}
