use crate::Interval;

/// The exact interval of a share: of all shares the ones under which neither so
/// few nor so many of `num_all` independent trials would succeed with less than
/// half of what `confidence` leaves.
///
/// # Source
/// Clopper & Pearson 1934, <https://doi.org/10.1093/biomet/26.4.404>; scipy
/// `binomtest(k, n).proportion_ci(method="exact")`.
///
/// # Panics
/// There are more successes than trials.
///
/// # Example
/// ```
/// use morphospace_benchmark::binomial_interval;
///
/// let interval = binomial_interval(8, 10, 0.95);
/// assert!((interval.low - 0.44390).abs() < 1e-5);
/// assert!((interval.high - 0.97479).abs() < 1e-5);
/// ```
pub fn binomial_interval(num_successes: usize, num_all: usize, confidence: f64) -> Interval {
    assert!(num_successes <= num_all, "successes are among the trials");
    let tail = (1.0 - confidence) / 2.0;
    // Both tails fall or rise steadily with the share.
    let bisect = |is_below: &dyn Fn(f64) -> bool| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            match is_below(middle) {
                true => low = middle,
                false => high = middle,
            }
        }
        (low + high) / 2.0
    };
    let at_least = |share: f64| {
        probabilities(num_all, share)
            .skip(num_successes)
            .sum::<f64>()
    };
    let at_most = |share: f64| {
        probabilities(num_all, share)
            .take(num_successes + 1)
            .sum::<f64>()
    };
    Interval {
        low: match num_successes {
            0 => 0.0,
            _ => bisect(&|share| at_least(share) < tail),
        },
        high: match num_successes == num_all {
            true => 1.0,
            false => bisect(&|share| at_most(share) > tail),
        },
    }
}

/// Of 0, 1, 2 and so on successes, each from the one before; `share` lies
/// between 0 and 1.
fn probabilities(num_all: usize, share: f64) -> impl Iterator<Item = f64> {
    let odds = (share / (1.0 - share)).ln();
    let none = num_all as f64 * (1.0 - share).ln();
    let next = move |(k, ln): (usize, f64)| {
        let choices = (num_all - k) as f64 / (k + 1) as f64;
        (k < num_all).then(|| (k + 1, ln + choices.ln() + odds))
    };
    std::iter::successors(Some((0, none)), move |last| next(*last)).map(|(_, ln)| ln.exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_scipy() {
        // scipy 1.17.1 binomtest(k, n).proportion_ci(0.95, "exact").
        for (k, n, low, high) in [
            (0, 5, 0.0, 0.521_823_750_104_981_4),
            (5, 5, 0.478_176_249_895_018_6, 1.0),
            (1, 2, 0.012_579_117_093_425_21, 0.987_420_882_906_321),
            (30, 40, 0.588_038_019_848_463_4, 0.873_085_201_067_155_3),
        ] {
            let found = binomial_interval(k, n, 0.95);
            assert!((found.low - low).abs() < 1e-6, "{k} of {n}: {found:?}");
            assert!((found.high - high).abs() < 1e-6, "{k} of {n}: {found:?}");
        }
    }

    #[test]
    fn many_trials_leave_little_room() {
        let found = binomial_interval(30_000, 60_000, 0.95);
        assert!(found.low > 0.495 && found.high < 0.505, "{found:?}");
    }
}
