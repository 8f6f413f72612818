use crate::BenchmarkError;

/// What each channel contributes to a score, fairly shared out: its Shapley
/// value over all subsets of channels.
///
/// `phi_c = sum over S without c of |S|! (n - 1 - |S|)! / n! (v(S + c) - v(S))`;
/// they sum to `v(all) - v(none)`.
///
/// # Shapes
/// `values`: one for each of the `2^n` subsets; bit `c` of its place says
/// whether channel `c` is in it. Result: `n`
///
/// # Errors
/// [`BenchmarkError::NotAllSubsets`], or [`BenchmarkError::TooFewValues`] where
/// there is no channel.
///
/// # Source
/// Shapley 1953; as used on channels by Sypetkowski et al. 2023,
/// <https://arxiv.org/abs/2301.05768>
///
/// # Example
/// ```
/// use morphospace_benchmark::shapley_values;
///
/// // Either channel alone tells half of what both tell together.
/// let values = shapley_values(&[0.0, 0.5, 0.5, 1.0])?;
/// assert_eq!(values, [0.5, 0.5]);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn shapley_values(values: &[f64]) -> Result<Vec<f64>, BenchmarkError> {
    if values.len() < 2 {
        return Err(BenchmarkError::TooFewValues {
            what: "a table of subsets",
            needed: 2,
            found: values.len(),
        });
    }
    if !values.len().is_power_of_two() {
        return Err(BenchmarkError::NotAllSubsets {
            found: values.len(),
        });
    }
    let num_channels = values.len().trailing_zeros() as usize;
    // |S|! (n - 1 - |S|)! / n! = 1 / (n C(n - 1, |S|))
    let mut binomial = 1.0;
    let mut weights = Vec::with_capacity(num_channels);
    for size in 0..num_channels {
        weights.push(1.0 / (num_channels as f64 * binomial));
        binomial *= (num_channels - 1 - size) as f64 / (size + 1) as f64;
    }
    let of_channel = |channel: usize| {
        let without = (0..values.len()).filter(|subset| subset >> channel & 1 == 0);
        let gains = without.map(|subset| {
            let gain = values[subset | 1 << channel] - values[subset];
            weights[subset.count_ones() as usize] * gain
        });
        gains.sum()
    };
    Ok((0..num_channels).map(of_channel).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_channel_gets_all_and_useless_ones_nothing() {
        assert_eq!(
            shapley_values(&[0.1, 0.7]).expect("all subsets"),
            [0.7 - 0.1]
        );
        // Channel 1 of three changes nothing.
        let value = |subset: usize| f64::from(subset as u32 & 0b101);
        let values: Vec<f64> = (0..8).map(value).collect();
        let found = shapley_values(&values).expect("all subsets");
        for (found, expected) in found.iter().zip([1.0, 0.0, 4.0]) {
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn tables_with_gaps_are_refused() {
        let error = shapley_values(&[0.0; 63]).expect_err("one is missing");
        assert_eq!(
            error.to_string(),
            "63 values are not one for each subset of some channels: 2, 4, 8, ... are"
        );
        assert!(shapley_values(&[1.0]).is_err());
    }
}
