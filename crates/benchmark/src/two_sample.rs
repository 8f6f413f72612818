use std::f64::consts::PI;

use crate::BenchmarkError;
use crate::kolmogorov::kolmogorov_survival;

/// A statistic and its two-sided p-value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KolmogorovSmirnov {
    /// `sup |F - G|`, between 0 and 1.
    pub statistic: f64,
    /// Probability of a statistic at least as large if both samples came
    /// from one continuous distribution.
    pub p_value: f64,
}

/// A Cramer-von-Mises statistic and its p-value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CramerVonMises {
    /// `T`, at least about 0; grows with the sizes of the samples.
    pub statistic: f64,
    /// Asymptotic probability of a statistic at least as large.
    pub p_value: f64,
}

/// Largest sample for which the exact distribution is used, as in scipy.
const MAX_EXACT: usize = 10_000;

/// Two-sample Kolmogorov-Smirnov statistic: the largest distance between
/// the two empirical distribution functions.
///
/// # Errors
/// [`BenchmarkError::TooFewValues`] for an empty sample.
///
/// # Source
/// Agrees with `scipy.stats.ks_2samp(a, b).statistic`.
///
/// # Example
/// ```
/// use morphospace_benchmark::kolmogorov_smirnov_statistic;
///
/// assert_eq!(kolmogorov_smirnov_statistic(&[1.0, 2.0], &[2.0, 3.0])?, 0.5);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn kolmogorov_smirnov_statistic(a: &[f64], b: &[f64]) -> Result<f64, BenchmarkError> {
    let (a, b) = sorted_samples("Kolmogorov-Smirnov", a, b)?;
    Ok(statistic_of_sorted(&a, &b))
}

/// [`kolmogorov_smirnov_statistic`] with its two-sided p-value.
///
/// Up to 10,000 values in the larger sample the p-value counts lattice paths
/// (exact without ties); above that it is the one-sample distribution at
/// `round(m n / (m + n))`.
///
/// # Errors
/// [`BenchmarkError::TooFewValues`] for an empty sample.
///
/// # Source
/// `scipy.stats.ks_2samp(a, b)` with `method="auto"`; Hodges 1958, Simard &
/// L'Ecuyer 2011.
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> Result<KolmogorovSmirnov, BenchmarkError> {
    let (a, b) = sorted_samples("Kolmogorov-Smirnov", a, b)?;
    let statistic = statistic_of_sorted(&a, &b);
    let exact = (a.len().max(b.len()) <= MAX_EXACT)
        .then(|| exact_p_value(a.len(), b.len(), statistic))
        .filter(|p| (0.0..=1.0).contains(p));
    let p_value = exact.unwrap_or_else(|| asymptotic_p_value(a.len(), b.len(), statistic));
    Ok(KolmogorovSmirnov { statistic, p_value })
}

/// The p-value of a two-sample Kolmogorov-Smirnov statistic by the
/// one-sample distribution at `round(m n / (m + n))`.
///
/// # Source
/// `scipy.stats.ks_2samp(a, b, method="asymp")`.
pub fn kolmogorov_smirnov_asymptotic_p(num_a: usize, num_b: usize, statistic: f64) -> f64 {
    asymptotic_p_value(num_a, num_b, statistic)
}

/// Two-sample Cramer-von-Mises test: `T` compares the two empirical
/// distribution functions everywhere, not only where they differ most; ties
/// get average ranks. The p-value is asymptotic.
///
/// # Errors
/// [`BenchmarkError::TooFewValues`] for a sample of fewer than two values.
///
/// # Source
/// Anderson 1962; agrees with
/// `scipy.stats.cramervonmises_2samp(a, b, method="asymptotic")`.
///
/// # Example
/// ```
/// use morphospace_benchmark::cramer_von_mises;
///
/// // Ranks 1, 2 and 3, 4: U = 0 + 2·(2² + 2²) = 16, T = 16/(4·4) - 15/24.
/// assert_eq!(cramer_von_mises(&[1.0, 2.0], &[3.0, 4.0])?.statistic, 0.375);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn cramer_von_mises(a: &[f64], b: &[f64]) -> Result<CramerVonMises, BenchmarkError> {
    let (a, b) = sorted_samples("Cramer-von-Mises", a, b)?;
    let found = a.len().min(b.len());
    if found < 2 {
        return Err(BenchmarkError::TooFewValues {
            what: "Cramer-von-Mises",
            needed: 2,
            found,
        });
    }
    let (mut at_a, mut at_b) = (0, 0);
    let (mut sum_a, mut sum_b) = (0.0, 0.0);
    while at_a < a.len() || at_b < b.len() {
        let value = next_value(&a, at_a, &b, at_b);
        let (start_a, start_b) = (at_a, at_b);
        skip_equal(&a, &mut at_a, value);
        skip_equal(&b, &mut at_b, value);
        // Ranks of a tie run from start + 1 to end; their mean:
        let rank = (start_a + start_b + 1 + at_a + at_b) as f64 / 2.0;
        sum_a += (start_a..at_a)
            .map(|i| (rank - (i + 1) as f64).powi(2))
            .sum::<f64>();
        sum_b += (start_b..at_b)
            .map(|i| (rank - (i + 1) as f64).powi(2))
            .sum::<f64>();
    }
    let (num_a, num_b) = (a.len() as f64, b.len() as f64);
    let (product, total) = (num_a * num_b, num_a + num_b);
    let statistic =
        (num_a * sum_a + num_b * sum_b) / (product * total) - (4.0 * product - 1.0) / (6.0 * total);
    // T is shifted and scaled to the mean 1/6 and variance 1/45 of its limit.
    let mean = (1.0 + 1.0 / total) / 6.0;
    let variance = (total + 1.0)
        * (4.0 * product * total - 3.0 * (num_a.powi(2) + num_b.powi(2)) - 2.0 * product)
        / (45.0 * total.powi(2) * 4.0 * product);
    let scaled = 1.0 / 6.0 + (statistic - mean) / (45.0 * variance).sqrt();
    let p_value = if scaled < 0.003 {
        1.0
    } else {
        (1.0 - cramer_von_mises_limit(scaled)).max(0.0)
    };
    Ok(CramerVonMises { statistic, p_value })
}

/// Distribution function of the limit of the Cramer-von-Mises statistic
/// (Csorgo & Faraway 1996, equation 1.2), summed as scipy does.
fn cramer_von_mises_limit(x: f64) -> f64 {
    let mut sum = 0.0;
    let mut gamma_ratio = PI.sqrt();
    for k in 0..1000 {
        let k = f64::from(k);
        let y = 4.0 * k + 1.0;
        let q = y * y / (16.0 * x);
        let term = gamma_ratio / (PI.powf(1.5) * x.sqrt()) * y.sqrt() * scaled_bessel_k(q);
        sum += term;
        if term.abs() < 1e-7 {
            break;
        }
        gamma_ratio *= (k + 0.5) / (k + 1.0);
    }
    sum
}

/// `exp(-q) K(q)` for the modified Bessel function of order 1/4, by the
/// trapezoid rule on its integral, which converges geometrically.
fn scaled_bessel_k(q: f64) -> f64 {
    const STEP: f64 = 1.0 / 64.0;
    let mut sum = (-2.0 * q).exp() / 2.0;
    let mut t = 0.0_f64;
    loop {
        t += STEP;
        let term = (-q * (t.cosh() + 1.0)).exp() * (t / 4.0).cosh();
        sum += term;
        if term <= sum * 1e-18 {
            return sum * STEP;
        }
    }
}

/// Wasserstein-1 distance: the area between the two empirical distribution
/// functions, in the unit of the values.
///
/// # Errors
/// [`BenchmarkError::TooFewValues`] for an empty sample.
///
/// # Source
/// Agrees with `scipy.stats.wasserstein_distance(a, b)`.
///
/// # Example
/// ```
/// use morphospace_benchmark::wasserstein_distance;
///
/// assert_eq!(wasserstein_distance(&[0.0, 1.0], &[10.0, 11.0])?, 10.0);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn wasserstein_distance(a: &[f64], b: &[f64]) -> Result<f64, BenchmarkError> {
    let (a, b) = sorted_samples("Wasserstein", a, b)?;
    let (mut at_a, mut at_b, mut area) = (0, 0, 0.0);
    let mut previous = next_value(&a, 0, &b, 0);
    while at_a < a.len() || at_b < b.len() {
        let value = next_value(&a, at_a, &b, at_b);
        let gap = at_a as f64 / a.len() as f64 - at_b as f64 / b.len() as f64;
        area += gap.abs() * (value - previous);
        skip_equal(&a, &mut at_a, value);
        skip_equal(&b, &mut at_b, value);
        previous = value;
    }
    Ok(area)
}

fn sorted_samples(
    what: &'static str,
    a: &[f64],
    b: &[f64],
) -> Result<(Vec<f64>, Vec<f64>), BenchmarkError> {
    let found = a.len().min(b.len());
    if found == 0 {
        return Err(BenchmarkError::TooFewValues {
            what,
            needed: 1,
            found,
        });
    }
    let sorted = |sample: &[f64]| {
        let mut sample: Vec<f64> = sample.iter().map(|value| value + 0.0).collect();
        sample.sort_unstable_by(f64::total_cmp);
        sample
    };
    Ok((sorted(a), sorted(b)))
}

fn next_value(a: &[f64], at_a: usize, b: &[f64], at_b: usize) -> f64 {
    match (a.get(at_a), b.get(at_b)) {
        (Some(&x), Some(&y)) => x.min(y),
        (Some(&x), None) | (None, Some(&x)) => x,
        (None, None) => f64::NAN,
    }
}

/// Moves past `value`; a NaN equals itself here, so the walk always ends.
fn skip_equal(sorted: &[f64], at: &mut usize, value: f64) {
    while *at < sorted.len() && (sorted[*at] == value || sorted[*at].is_nan()) {
        *at += 1;
    }
}

fn statistic_of_sorted(a: &[f64], b: &[f64]) -> f64 {
    let (mut at_a, mut at_b, mut largest) = (0, 0, 0.0_f64);
    while at_a < a.len() && at_b < b.len() {
        let value = next_value(a, at_a, b, at_b);
        skip_equal(a, &mut at_a, value);
        skip_equal(b, &mut at_b, value);
        let gap = at_a as f64 / a.len() as f64 - at_b as f64 / b.len() as f64;
        largest = largest.max(gap.abs());
    }
    largest
}

fn asymptotic_p_value(num_a: usize, num_b: usize, statistic: f64) -> f64 {
    let (a, b) = (num_a as f64, num_b as f64);
    let effective = (a * b / (a + b)).round_ties_even();
    kolmogorov_survival(effective as u64, statistic)
}

fn exact_p_value(num_a: usize, num_b: usize, statistic: f64) -> f64 {
    let common = greatest_common_divisor(num_a, num_b);
    let steps = (statistic * ((num_a / common) * num_b) as f64).round_ties_even() as usize;
    if steps == 0 {
        return 1.0;
    }
    if num_a == num_b {
        paths_outside_square(num_a, steps)
    } else {
        paths_outside_band(num_a, num_b, common, steps)
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// Share of lattice paths from (0, 0) to (n, n) that leave `|x - y| < steps`.
fn paths_outside_square(n: usize, steps: usize) -> f64 {
    let mut share = 0.0;
    for k in (0..=n / steps).rev() {
        let mut product = 1.0;
        for j in 0..steps {
            let up = n as f64 - (k * steps) as f64 - j as f64;
            product = up * product / (n + k * steps + j + 1) as f64;
        }
        share = product * (1.0 - share);
    }
    2.0 * share
}

/// Share of lattice paths from (0, 0) to (m, n) that leave
/// `|n x - m y| / common < steps`, one column of a sliding window at a time.
fn paths_outside_band(num_a: usize, num_b: usize, common: usize, steps: usize) -> f64 {
    let (m, n) = (num_a.max(num_b), num_a.min(num_b));
    let (m_step, n_step) = ((m / common) as i64, (n / common) as i64);
    let band = steps as i64;
    let ceil_div = |a: i64, b: i64| -(-a).div_euclid(b);
    let mut min_j = 0;
    let mut max_j = ceil_div(band, m_step).min(n as i64 + 1) as usize;
    let mut length = max_j;
    let mut column = vec![1.0; (2 * max_j + 2).min(n + 1)];
    column[..max_j].fill(0.0);
    for i in 1..=m {
        let (last_min_j, last_length) = (min_j, length);
        let along = n_step * i as i64;
        min_j = (((along - band).div_euclid(m_step) + 1).max(0) as usize).min(n);
        max_j = ceil_div(along + band, m_step).min(n as i64 + 1) as usize;
        if max_j <= min_j {
            return 1.0;
        }
        let mut value = if min_j == 0 { 0.0 } else { 1.0 };
        for jj in 0..max_j - min_j {
            let j = jj + min_j;
            value = (column[j - last_min_j] * i as f64 + value * j as f64) / (i + j) as f64;
            column[jj] = value;
        }
        length = max_j - min_j;
        if last_length > length {
            column[length..last_length].fill(1.0);
        }
    }
    column[length - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_worked_threes() {
        // F jumps at 1, 2, 3; G at 2, 3, 4: the functions differ by 1/3.
        let (a, b) = ([1.0, 2.0, 3.0], [4.0, 2.0, 3.0]);
        let ks = kolmogorov_smirnov(&a, &b).expect("two samples");
        assert!((ks.statistic - 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(ks.p_value, 1.0);
        assert!((wasserstein_distance(&a, &b).expect("two samples") - 1.0).abs() < 1e-15);
        // Ranks of a: 1, 2.5, 4.5; of b: 2.5, 4.5, 6.
        let u: f64 = 3.0 * (0.25 + 2.25) + 3.0 * (2.25 + 6.25 + 9.0);
        let expected = u / 54.0 - 35.0 / 36.0;
        assert!(
            (cramer_von_mises(&a, &b).expect("two samples").statistic - expected).abs() < 1e-15
        );
    }

    #[test]
    fn empty_samples_are_refused() {
        let error = wasserstein_distance(&[], &[1.0]).expect_err("empty");
        assert_eq!(
            error.to_string(),
            "Wasserstein needs at least 1 values, found 0"
        );
        assert!(cramer_von_mises(&[1.0], &[1.0, 2.0]).is_err());
    }

    #[test]
    fn disjoint_samples_have_two_extreme_paths() {
        // 2 of the C(6, 3) = 20 orders separate the samples.
        let ks = kolmogorov_smirnov(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]).expect("two samples");
        assert!((ks.p_value - 0.1).abs() < 1e-15);
        let ks = kolmogorov_smirnov(&[1.0, 2.0], &[4.0, 5.0, 6.0]).expect("two samples");
        assert!((ks.p_value - 0.2).abs() < 1e-15);
    }
}
