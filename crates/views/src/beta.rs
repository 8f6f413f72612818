use rand::{Rng, RngExt};

use crate::normal::StandardNormal;

/// A draw from Beta(alpha, alpha), in 0..=1.
///
/// Of two gamma draws, each by Marsaglia and Tsang 2000 ("A simple method for
/// generating gamma variables").
pub(crate) fn symmetric_beta(alpha: f64, rng: &mut impl Rng) -> f64 {
    if alpha == 1.0 {
        return rng.random();
    }
    // Logarithms: of a small alpha the draws themselves are too small for
    // numbers.
    let [first, second] = [(); 2].map(|()| ln_gamma_draw(alpha, rng));
    1.0 / (1.0 + (second - first).exp())
}

/// Logarithm of a draw from Gamma(alpha, 1).
fn ln_gamma_draw(alpha: f64, rng: &mut impl Rng) -> f64 {
    if alpha < 1.0 {
        // Gamma(alpha) is Gamma(alpha + 1) times a uniform draw to the power of
        // 1 / alpha.
        let uniform = 1.0 - rng.random::<f64>();
        return ln_gamma_draw(alpha + 1.0, rng) + uniform.ln() / alpha;
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = f64::from(StandardNormal::new(&mut *rng).next());
        let v = (1.0 + c * x).powi(3);
        let uniform = 1.0 - rng.random::<f64>();
        if v > 0.0 && uniform.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return (d * v).ln();
        }
    }
}

#[cfg(test)]
mod tests {
    use morphospace_core::Seed;

    use super::*;

    #[test]
    fn mean_and_variance_are_those_of_the_beta_distribution() {
        for alpha in [0.01, 0.2, 1.0, 2.5, 100.0] {
            let mut rng = Seed::new(3).rng();
            let num_draws = 50_000;
            let draws: Vec<f64> = (0..num_draws)
                .map(|_| symmetric_beta(alpha, &mut rng))
                .collect();
            assert!(draws.iter().all(|draw| (0.0..=1.0).contains(draw)));
            let mean = draws.iter().sum::<f64>() / num_draws as f64;
            let square = |draw: &f64| (draw - 0.5).powi(2);
            let variance = draws.iter().map(square).sum::<f64>() / num_draws as f64;
            let expect = 0.25 / (2.0 * alpha + 1.0);
            assert!((mean - 0.5).abs() < 0.012, "alpha {alpha}: mean {mean}");
            assert!(
                (variance / expect - 1.0).abs() < 0.04,
                "{alpha}: {variance}"
            );
        }
    }
}
