/// Spearman's correlation: that of the ranks of two lists, equal values sharing the
/// mean of theirs. NaN where a list has fewer than two different values.
///
/// # Panics
/// The lists differ in length.
///
/// # Example
/// ```
/// use morphospace_benchmark::rank_correlation;
///
/// assert_eq!(rank_correlation(&[1.0, 2.0, 10.0], &[0.1, 0.2, 0.3]), 1.0);
/// ```
pub fn rank_correlation(x: &[f64], y: &[f64]) -> f64 {
    assert_eq!(x.len(), y.len(), "a value for each");
    let (x, y) = (ranks(x), ranks(y));
    let mean = (x.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    match product(&x, &x) * product(&y, &y) {
        0.0 => f64::NAN,
        both => product(&x, &y) / both.sqrt(),
    }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = first as f64 + (equal.len() as f64 + 1.0) / 2.0;
        for &index in equal {
            ranks[index] = rank;
        }
        first += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_ranks() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        // scipy.stats.spearmanr([1, 2, 2, 3], [1, 3, 2, 4])
        let found = rank_correlation(&[1.0, 2.0, 2.0, 3.0], &[1.0, 3.0, 2.0, 4.0]);
        assert!((found - 0.948_683_298_050_513_7).abs() < 1e-12, "{found}");
        assert!(rank_correlation(&[1.0, 1.0], &[1.0, 2.0]).is_nan());
        assert!(rank_correlation(&[], &[]).is_nan());
    }
}
