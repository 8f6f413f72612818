use morphospace_core::Seed;

use crate::Image;
use crate::normal::StandardNormal;

/// Adds to every level a draw of its own from a normal distribution.
pub(crate) fn add_noise(image: &mut Image, std: f32, seed: Seed) {
    let mut normal = StandardNormal::new(seed.rng());
    for level in image.levels_mut() {
        *level += std * normal.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_spread_that_was_asked_for() {
        let noisy = |seed| {
            let mut image = Image::new(1, 100, 100, vec![7.0; 10_000]);
            add_noise(&mut image, 0.5, Seed::new(seed));
            image
        };
        let image = noisy(1);
        let square = |level: &f32| f64::from(level - 7.0).powi(2);
        let variance = image.levels().iter().map(square).sum::<f64>() / 1e4;
        assert!((variance - 0.25).abs() < 0.02, "{variance}");
        assert_eq!(noisy(1), image);
        assert_ne!(noisy(2), image);
    }
}
