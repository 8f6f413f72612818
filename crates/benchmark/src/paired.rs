use std::collections::BTreeMap;

use crate::{BenchmarkError, Bootstrap, Interval};

/// How much a mean of values changes from one set of embeddings to another, over
/// the units (perturbations, genes, compounds) that both have.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedDifference {
    /// Mean of the first.
    pub first: f64,
    /// Mean of the second.
    pub second: f64,
    /// `second - first`.
    pub difference: f64,
    /// Of the difference; `None` of a single unit.
    pub interval: Option<Interval>,
    /// Units that both have.
    pub num_units: usize,
}

/// Compares two means over the same units: each resample takes the same units of
/// both, so that what makes a unit easy or hard for both does not widen the
/// interval.
///
/// # Errors
/// [`BenchmarkError::TooFewValues`] if there is no unit that both have.
///
/// # Example
/// ```
/// use std::collections::BTreeMap;
///
/// use morphospace_benchmark::{Bootstrap, paired_difference};
/// use morphospace_core::Seed;
///
/// let values = |shift: f64| -> BTreeMap<String, f64> {
///     (0..9).map(|unit| (format!("gene {unit}"), f64::from(unit) + shift)).collect()
/// };
/// let found = paired_difference(&values(0.0), &values(0.5), &Bootstrap::new(Seed::new(1)))?;
/// let interval = found.interval.expect("nine units");
/// assert_eq!((found.difference, interval.low, interval.high), (0.5, 0.5, 0.5));
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn paired_difference(
    first: &BTreeMap<String, f64>,
    second: &BTreeMap<String, f64>,
    bootstrap: &Bootstrap,
) -> Result<PairedDifference, BenchmarkError> {
    let pairs: Vec<(f64, f64)> = first
        .iter()
        .filter_map(|(unit, first)| Some((*first, *second.get(unit)?)))
        .collect();
    if pairs.is_empty() {
        return Err(BenchmarkError::TooFewValues {
            what: "a comparison of units that both have",
            needed: 1,
            found: 0,
        });
    }
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    let differences: Vec<f64> = pairs.iter().map(|(first, second)| second - first).collect();
    Ok(PairedDifference {
        first: mean(|pair| pair.0),
        second: mean(|pair| pair.1),
        difference: mean(|pair| pair.1 - pair.0),
        interval: bootstrap.interval_of_mean(&differences),
        num_units: pairs.len(),
    })
}

#[cfg(test)]
mod tests {
    use morphospace_core::Seed;

    use super::*;

    #[test]
    fn only_units_of_both_count() {
        let of = |values: &[(&str, f64)]| -> BTreeMap<String, f64> {
            let values = values.iter();
            values.map(|(unit, x)| ((*unit).to_owned(), *x)).collect()
        };
        let bootstrap = Bootstrap::new(Seed::new(1));
        let first = of(&[("A", 1.0), ("B", 2.0), ("only here", 50.0)]);
        let second = of(&[("A", 2.0), ("B", 5.0), ("only there", -50.0)]);
        let found = paired_difference(&first, &second, &bootstrap).expect("two units");
        assert_eq!((found.first, found.second), (1.5, 3.5));
        assert_eq!((found.difference, found.num_units), (2.0, 2));
        let interval = found.interval.expect("two units");
        assert_eq!((interval.low, interval.high), (1.0, 3.0));
        let apart = paired_difference(&first, &of(&[("C", 1.0)]), &bootstrap);
        assert!(apart.is_err());
    }
}
