use std::f64::consts::PI;

/// Why p-values could not be combined.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CauchyError {
    /// Nothing to combine.
    #[error("there are no p-values to combine")]
    NoValues,
    /// A p-value that is none.
    #[error(
        "p-value {index} is {value}, but must be above 0 and at most 1\nhint: a p-value from draws is at least 1 / (number of draws + 1)"
    )]
    InvalidValue {
        /// Position, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// Weights that are negative, sum to zero or do not go with the values.
    #[error("{found} weights for {expected} p-values must be at least 0 and not all 0")]
    InvalidWeights {
        /// Weights given.
        found: usize,
        /// Values given.
        expected: usize,
    },
}

/// What a p-value of 1 is taken for: the combination would otherwise be 1
/// whatever the other values are.
const BELOW_ONE: f64 = 1.0 - 1e-9;

/// The Cauchy combination of p-values, such as those of one perturbation
/// over several experiments: valid under any dependence between them, and
/// ruled by the smallest.
///
/// `T = sum w tan((1/2 - p) pi)` and `p = 1/2 - atan(T) / pi`, evaluated as
/// cotangents so that p-values down to 1e-300 keep their digits. Weights are
/// equal unless given, and are divided by their sum.
///
/// # Errors
/// [`CauchyError`] names the value.
///
/// # Source
/// Liu & Xie 2020, <https://doi.org/10.1080/01621459.2018.1554485>.
///
/// ```
/// use morphospace_map::cauchy_combination;
///
/// let p = cauchy_combination(&[0.01, 0.5, 0.2], None)?;
/// assert!((p - 0.028687703876188977).abs() < 1e-15);
/// # Ok::<(), morphospace_map::CauchyError>(())
/// ```
pub fn cauchy_combination(p_values: &[f64], weights: Option<&[f64]>) -> Result<f64, CauchyError> {
    if p_values.is_empty() {
        return Err(CauchyError::NoValues);
    }
    if let Some(index) = p_values.iter().position(|&p| !(p > 0.0 && p <= 1.0)) {
        return Err(CauchyError::InvalidValue {
            index,
            value: p_values[index],
        });
    }
    let equal;
    let weights = match weights {
        Some(weights) => weights,
        None => {
            equal = vec![1.0; p_values.len()];
            &equal
        }
    };
    let total: f64 = weights.iter().sum();
    let invalid = weights.len() != p_values.len()
        || weights
            .iter()
            .any(|weight| !(weight.is_finite() && *weight >= 0.0))
        || total <= 0.0;
    if invalid {
        return Err(CauchyError::InvalidWeights {
            found: weights.len(),
            expected: p_values.len(),
        });
    }
    let statistic: f64 = p_values
        .iter()
        .zip(weights)
        .map(|(&p, weight)| weight / total * cotangent(p))
        .sum();
    // atan2(1, T) is the angle whose cotangent is T, exact for large T.
    Ok(1.0f64.atan2(statistic) / PI)
}

/// `cot(pi p)`, from the nearer end.
fn cotangent(p: f64) -> f64 {
    let p = p.min(BELOW_ONE);
    if p < 0.5 {
        (PI * p).tan().recip()
    } else if p > 0.5 {
        -(PI * (1.0 - p)).tan().recip()
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_itself_and_halves_cancel() {
        for p in [1e-300, 0.03, 0.5, 0.97] {
            let combined = cauchy_combination(&[p], None).expect("valid");
            assert!((combined / p - 1.0).abs() < 1e-9, "{p}: {combined}");
        }
        assert_eq!(cauchy_combination(&[0.5, 0.5], None), Ok(0.5));
    }

    #[test]
    fn what_is_no_p_value_is_named() {
        for (p, index) in [([0.1, 0.0], 1), ([1.5, 0.1], 0), ([0.1, f64::NAN], 1)] {
            match cauchy_combination(&p, None) {
                Err(CauchyError::InvalidValue { index: found, .. }) => assert_eq!(found, index),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(cauchy_combination(&[], None), Err(CauchyError::NoValues));
        for weights in [&[1.0][..], &[0.0, 0.0], &[1.0, -1.0]] {
            assert!(cauchy_combination(&[0.1, 0.2], Some(weights)).is_err());
        }
    }
}
