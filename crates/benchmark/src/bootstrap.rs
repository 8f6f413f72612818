use morphospace_core::Seed;
use rand::RngExt;

/// A bootstrap over entities (perturbations, wells): how often and how sure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Number of resamples.
    pub num_resamples: usize,
    /// Probability an interval should cover, e.g. 0.95.
    pub confidence: f64,
    /// Resample `r` draws from `seed.split_index(r)`, whatever the thread.
    pub seed: Seed,
}

impl Bootstrap {
    /// 1,000 resamples, 95 per cent.
    pub fn new(seed: Seed) -> Self {
        Self {
            num_resamples: 1000,
            confidence: 0.95,
            seed,
        }
    }

    /// How often each of `num_items` items occurs in resample `index`: a draw
    /// of as many items with replacement.
    pub fn weights(&self, index: usize, num_items: usize) -> Vec<u32> {
        let mut rng = self.seed.split_index(index as u64).rng();
        let mut weights = vec![0; num_items];
        for _ in 0..num_items {
            weights[rng.random_range(0..num_items)] += 1;
        }
        weights
    }

    /// Interval of the mean of some values, each of one item; `None` of fewer than
    /// two.
    pub fn interval_of_mean(&self, values: &[f64]) -> Option<Interval> {
        if values.len() < 2 {
            return None;
        }
        let means = (0..self.num_resamples).map(|index| {
            let weights = self.weights(index, values.len());
            let weighted = values.iter().zip(weights);
            let sum: f64 = weighted
                .map(|(value, weight)| value * f64::from(weight))
                .sum();
            sum / values.len() as f64
        });
        self.interval(means.collect())
    }

    /// Percentile interval of the resampled statistics (NaN is left out);
    /// `None` if fewer than two are left.
    pub fn interval(&self, mut statistics: Vec<f64>) -> Option<Interval> {
        statistics.retain(|value| !value.is_nan());
        if statistics.len() < 2 {
            return None;
        }
        statistics.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        Some(Interval {
            low: quantile_of_sorted(&statistics, tail),
            high: quantile_of_sorted(&statistics, 1.0 - tail),
        })
    }
}

/// A confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether a value lies in the interval, ends included.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Linearly interpolated quantile of sorted values, as `numpy.quantile`.
///
/// # Panics
/// There is no value.
///
/// ```
/// assert_eq!(morphospace_benchmark::quantile_of_sorted(&[0.0, 1.0, 3.0], 0.75), 2.0);
/// ```
pub fn quantile_of_sorted(sorted: &[f64], quantile: f64) -> f64 {
    let at = quantile.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (at - at.floor())
}

/// Median; the mean of the middle two of an even number of values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    quantile_of_sorted(&sorted, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resamples_have_a_fixed_size_and_intervals_interpolate() {
        let bootstrap = Bootstrap::new(Seed::new(1));
        assert_eq!(bootstrap.weights(3, 50).iter().sum::<u32>(), 50);
        assert_ne!(bootstrap.weights(3, 50), bootstrap.weights(4, 50));
        let interval = bootstrap
            .interval((0..=1000).map(f64::from).collect())
            .expect("many");
        assert!((interval.low - 25.0).abs() < 1e-9 && (interval.high - 975.0).abs() < 1e-9);
        assert_eq!(bootstrap.interval(vec![1.0, f64::NAN]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0, 10.0]), 2.5);
        let of_mean = bootstrap.interval_of_mean(&[1.0, 2.0, 3.0]).expect("three");
        assert!(of_mean.contains(2.0) && of_mean.low >= 1.0 && of_mean.high <= 3.0);
        assert_eq!(bootstrap.interval_of_mean(&[1.0]), None);
    }
}
