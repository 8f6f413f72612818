/// p-values corrected for their number: the smallest false discovery rate at which
/// each is a discovery. NaN stay NaN and count for nothing.
///
/// # Source
/// Benjamini & Hochberg 1995, <https://doi.org/10.1111/j.2517-6161.1995.tb02031.x>
///
/// # Example
/// ```
/// use morphospace_benchmark::benjamini_hochberg;
///
/// assert_eq!(benjamini_hochberg(&[0.01, 0.04, 0.03]), [0.03, 0.04, 0.04]);
/// ```
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len())
        .filter(|&index| !p_values[index].is_nan())
        .collect();
    order.sort_by(|&a, &b| p_values[b].total_cmp(&p_values[a]));
    let count = order.len();
    let mut corrected = vec![f64::NAN; p_values.len()];
    let mut least = 1.0_f64;
    for (index, place) in order.into_iter().enumerate() {
        let rank = count - index;
        least = least.min(p_values[place] * count as f64 / rank as f64);
        corrected[place] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::benjamini_hochberg;

    #[test]
    fn corrections_by_hand() {
        // scipy.stats.false_discovery_control
        let found = benjamini_hochberg(&[0.2, f64::NAN, 0.001, 0.01, 0.9]);
        let expected = [0.2 * 4.0 / 3.0, f64::NAN, 0.004, 0.02, 0.9];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15 || (found.is_nan() && expected.is_nan()));
        }
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
