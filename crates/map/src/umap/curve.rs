use std::f64::consts::LN_2;

/// How near two points are on the map: `1 / (1 + a d^(2b))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Curve {
    pub(crate) a: f64,
    pub(crate) b: f64,
}

impl Curve {
    /// The curve nearest, by least squares at 300 distances up to three
    /// times `spread`, to 1 within `min_dist` and an exponential decline
    /// beyond (umap-learn `find_ab_params`).
    ///
    /// Levenberg and Marquardt's steps in the logarithms of `a` and `b`,
    /// which keeps both positive.
    pub(crate) fn fit(spread: f64, min_dist: f64) -> Self {
        let samples: Vec<(f64, f64)> = (0..300)
            .map(|index| {
                let distance = 3.0 * spread * f64::from(index) / 299.0;
                let wanted = if distance < min_dist {
                    1.0
                } else {
                    ((min_dist - distance) / spread).exp()
                };
                (distance, wanted)
            })
            .collect();
        let squares = |a_log: f64, b_log: f64| -> f64 {
            let curve = Self {
                a: a_log.exp(),
                b: b_log.exp(),
            };
            samples
                .iter()
                .map(|(distance, wanted)| (curve.at(*distance) - wanted).powi(2))
                .sum()
        };
        // Where half of the decline is, so that distances of any unit do.
        let half = min_dist + spread * LN_2;
        let (mut a_log, mut b_log) = (-2.0 * half.ln(), 0.0);
        let mut best = squares(a_log, b_log);
        let mut damping = 1e-3;
        for _ in 0..500 {
            let (mut aa, mut ab, mut bb, mut ga, mut gb) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for &(distance, wanted) in samples.iter().filter(|(distance, _)| *distance > 0.0) {
                let power = a_log.exp() * distance.powf(2.0 * b_log.exp());
                let value = 1.0 / (1.0 + power);
                // Derivatives by the logarithms.
                let by_a = -power * value * value;
                let by_b = by_a * 2.0 * b_log.exp() * distance.ln();
                let residual = value - wanted;
                aa += by_a * by_a;
                ab += by_a * by_b;
                bb += by_b * by_b;
                ga += by_a * residual;
                gb += by_b * residual;
            }
            let (aa, bb) = (aa * (1.0 + damping), bb * (1.0 + damping));
            let determinant = aa * bb - ab * ab;
            if determinant <= 0.0 {
                break;
            }
            let step_a = (ab * gb - bb * ga) / determinant;
            let step_b = (ab * ga - aa * gb) / determinant;
            let found = squares(a_log + step_a, b_log + step_b);
            if found < best {
                a_log += step_a;
                b_log += step_b;
                damping *= 0.3;
                best = found;
                if step_a.abs().max(step_b.abs()) < 1e-12 {
                    break;
                }
            } else {
                damping *= 4.0;
                if damping > 1e12 {
                    break;
                }
            }
        }
        Self {
            a: a_log.exp(),
            b: b_log.exp(),
        }
    }

    fn at(&self, distance: f64) -> f64 {
        1.0 / (1.0 + self.a * distance.powf(2.0 * self.b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_those_of_umap_learn() {
        // umap-learn 0.5.12 `find_ab_params(spread, min_dist)`.
        for (spread, min_dist, a, b) in [
            (1.0, 0.1, 1.576_943_460_3, 0.895_060_877_9),
            (1.0, 0.0, 1.932_808_397_3, 0.790_494_973_2),
            (1.0, 0.5, 0.583_030_020_3, 1.334_166_992_4),
            (2.0, 0.25, 0.416_273_496_7, 0.921_855_132_4),
        ] {
            let found = Curve::fit(spread, min_dist);
            assert!((found.a / a - 1.0).abs() < 1e-5, "{found:?}, not {a} {b}");
            assert!((found.b / b - 1.0).abs() < 1e-5, "{found:?}, not {a} {b}");
        }
    }

    #[test]
    fn a_curve_of_another_unit_is_the_same_curve() {
        let one = Curve::fit(1.0, 0.1);
        let other = Curve::fit(0.01, 0.001);
        assert!((one.b - other.b).abs() < 1e-6, "{one:?} {other:?}");
        assert!((one.at(0.7) - other.at(0.007)).abs() < 1e-6);
    }
}
