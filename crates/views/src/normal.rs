use std::f32::consts::TAU;

use rand::{Rng, RngExt};

/// Draws from the normal distribution of mean 0 and standard deviation 1.
///
/// The trigonometric form of Box and Muller 1958, which takes the same two
/// uniform draws for every two normal ones: no draw depends on another's value.
pub(crate) struct StandardNormal<R> {
    rng: R,
    /// The second of the last two, if it has not been given yet.
    second: Option<f32>,
}

impl<R: Rng> StandardNormal<R> {
    pub(crate) fn new(rng: R) -> Self {
        Self { rng, second: None }
    }

    pub(crate) fn next(&mut self) -> f32 {
        if let Some(second) = self.second.take() {
            return second;
        }
        // Of 1 less a draw in 0..1 there is a logarithm.
        let radius = (-2.0 * (1.0 - self.rng.random::<f32>()).ln()).sqrt();
        let (sin, cos) = (TAU * self.rng.random::<f32>()).sin_cos();
        self.second = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
mod tests {
    use morphospace_core::Seed;

    use super::*;

    #[test]
    fn moments_are_those_of_the_normal_distribution() {
        let mut normal = StandardNormal::new(Seed::new(1).rng());
        let num_draws = 100_000;
        let draws: Vec<f64> = (0..num_draws).map(|_| f64::from(normal.next())).collect();
        let moment = |power| draws.iter().map(|x| x.powi(power)).sum::<f64>() / num_draws as f64;
        // Five standard errors.
        for (power, expect, tolerance) in [(1, 0.0, 0.016), (2, 1.0, 0.023), (4, 3.0, 0.16)] {
            let found = moment(power);
            assert!(
                (found - expect).abs() < tolerance,
                "moment {power}: {found}"
            );
        }
    }
}
