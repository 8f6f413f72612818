/// Median and spread of some values.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Distribution {
    /// Median.
    pub median: f64,
    /// Median absolute deviation from the median.
    pub mad: f64,
    /// Least value.
    pub minimum: f64,
    /// Greatest value.
    pub maximum: f64,
}

impl Distribution {
    /// The distribution of some finite values; `None` of none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&minimum, &maximum) = (sorted.first()?, sorted.last()?);
        let median = median_of_sorted(&sorted);
        Some(Self {
            median,
            mad: median_of(&deviations(values, median)),
            minimum,
            maximum,
        })
    }
}

/// The robust z-score of each value: `0.6745 (x - median) / MAD` (Iglewicz &
/// Hoaglin 1993, "How to detect and handle outliers"). Where more than half
/// of the values are equal, so that the MAD is 0, the mean absolute deviation
/// takes its place: `(x - median) / (1.2533 mean |x - median|)`. All 0 where
/// all values are equal.
pub(crate) fn robust_z_scores(values: &[f64]) -> Vec<f64> {
    let median = median_of(values);
    let deviations = deviations(values, median);
    let mad = median_of(&deviations);
    let mean = deviations.iter().sum::<f64>() / deviations.len().max(1) as f64;
    let scale = match (mad > 0.0, mean > 0.0) {
        (true, _) => mad / 0.6745,
        // The square root of pi / 2: exact for normal values, as 0.6745 is.
        (false, true) => mean * 1.2533,
        (false, false) => return vec![0.0; values.len()],
    };
    values
        .iter()
        .map(|value| (value - median) / scale)
        .collect()
}

fn deviations(values: &[f64], median: f64) -> Vec<f64> {
    values.iter().map(|value| (value - median).abs()).collect()
}

/// The median; halfway between the two middle ones of an even number of
/// values, 0 of none.
pub(crate) fn median_of(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    median_of_sorted(&sorted)
}

fn median_of_sorted(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        len if len % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_worked_scores() {
        // Median 3, deviations 2, 1, 0, 1, 97: MAD 1.
        let scores = robust_z_scores(&[1.0, 2.0, 3.0, 4.0, 100.0]);
        assert!((scores[0] + 2.0 * 0.6745).abs() < 1e-12);
        assert!((scores[4] - 97.0 * 0.6745).abs() < 1e-12);
    }

    #[test]
    fn half_of_the_values_being_equal_does_not_divide_by_zero() {
        // Median 5, mean deviation 10 / 5 = 2.
        let scores = robust_z_scores(&[5.0, 5.0, 5.0, 5.0, 15.0]);
        assert!((scores[4] - 10.0 / (2.0 * 1.2533)).abs() < 1e-12);
        assert_eq!(robust_z_scores(&[5.0; 4]), [0.0; 4]);
        assert!(robust_z_scores(&[]).is_empty());
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let found = Distribution::of(&[4.0, 1.0, 2.0, 10.0]).expect("values");
        assert_eq!((found.median, found.mad), (3.0, 1.5));
        assert_eq!((found.minimum, found.maximum), (1.0, 10.0));
        assert_eq!(Distribution::of(&[]), None);
    }
}
