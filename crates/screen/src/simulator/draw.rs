//! Draws from a generator that the `rand` crate leaves to others.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};

/// A draw of the standard normal distribution (Box-Muller, one of the pair).
pub(super) fn normal(rng: &mut impl Rng) -> f64 {
    // 1 - u lies in (0, 1], where the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (TAU * rng.random::<f64>()).cos()
}

/// A whole number whose mean is `mean`: the two nearest ones in proportion.
pub(super) fn round_at_random(mean: f64, rng: &mut impl Rng) -> usize {
    (mean.max(0.0) + rng.random::<f64>()).floor() as usize
}

/// A small generator for the noise of pixels, several times faster than the
/// one for everything else. SplitMix64 (Steele, Lea & Flood 2014,
/// <https://doi.org/10.1145/2660193.2660195>).
pub(super) struct PixelNoise(u64);

impl PixelNoise {
    pub(super) fn new(seed: morphospace_core::Seed) -> Self {
        Self(seed.value())
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Mean 0, standard deviation 1: the sum of four uniform draws, near
    /// enough to normal for a camera of 256 grey levels.
    pub(super) fn next(&mut self) -> f32 {
        let bits = self.next_u64();
        let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
        // Four uniform draws on [0, 65535] have variance 4 * 65536^2 / 12.
        (sum as f32 - 131_070.0) * (1.732_050_8 / 65_536.0)
    }
}

#[cfg(test)]
mod tests {
    use morphospace_core::Seed;

    use super::*;

    fn mean_and_sd(draws: impl Iterator<Item = f64>) -> (f64, f64) {
        let draws: Vec<f64> = draws.collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn draws_are_standardised() {
        // 20,000 draws: the standard error of the mean is 0.007.
        let mut rng = Seed::new(3).rng();
        let (mean, sd) = mean_and_sd((0..20_000).map(|_| normal(&mut rng)));
        assert!(mean.abs() < 0.035 && (sd - 1.0).abs() < 0.03, "{mean} {sd}");
        let mut noise = PixelNoise::new(Seed::new(3));
        let (mean, sd) = mean_and_sd((0..20_000).map(|_| f64::from(noise.next())));
        assert!(mean.abs() < 0.035 && (sd - 1.0).abs() < 0.03, "{mean} {sd}");
    }

    #[test]
    fn rounding_keeps_the_mean() {
        let mut rng = Seed::new(4).rng();
        let (mean, _) = mean_and_sd((0..20_000).map(|_| round_at_random(2.3, &mut rng) as f64));
        assert!((mean - 2.3).abs() < 0.02, "{mean}");
        assert_eq!(round_at_random(3.0, &mut rng), 3);
    }
}
