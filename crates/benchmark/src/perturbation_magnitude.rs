use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::bootstrap::median;
use crate::{BenchmarkError, EnergyForm, EnergyReference};

/// How far the wells of a perturbation lie from the controls.
#[derive(Clone, Debug, PartialEq)]
pub struct Magnitude {
    /// Its name.
    pub perturbation: String,
    /// Its wells.
    pub num_wells: usize,
    /// Energy distance of its wells from the controls, in units of the features.
    pub energy_distance: f64,
}

/// The energy distance of every perturbation from the negative controls, by name.
///
/// Perturbations of fewer than `min_wells` wells are left out: the mean distance
/// of a handful of wells among themselves is mostly that of a well from itself.
///
/// # Shapes
/// `values`: row-major `[perturbations.len(), num_features]`; `None` marks a
/// negative control.
///
/// # Errors
/// [`BenchmarkError::TooFewValues`]: no control, or no perturbation with enough
/// wells.
///
/// # Source
/// EFAAR_benchmarking 1.0 `pert_signal_magnitude_metric` (`min_wells` is 5 there);
/// Kenyon-Dean et al. 2024, section 6
///
/// # Example
/// ```
/// use morphospace_benchmark::{EnergyForm, perturbation_magnitudes};
///
/// let names = [None, None, Some("A".to_owned()), Some("A".to_owned())];
/// let found = perturbation_magnitudes(&[0.0, 0.0, 3.0, 3.0], 1, &names, 2, EnergyForm::Exact)?;
/// assert_eq!((found[0].num_wells, found[0].energy_distance), (2, 6.0));
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn perturbation_magnitudes(
    values: &[f64],
    num_features: usize,
    perturbations: &[Option<String>],
    min_wells: usize,
    form: EnergyForm,
) -> Result<Vec<Magnitude>, BenchmarkError> {
    BenchmarkError::check_whole_rows(values, num_features)?;
    if values.len() != perturbations.len() * num_features {
        return Err(BenchmarkError::WrongNumberOfValues {
            num_labels: perturbations.len(),
            num_features,
            expected: perturbations.len() * num_features,
            found: values.len(),
        });
    }
    let mut controls = Vec::new();
    let mut rows: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    for (row, name) in values.chunks_exact(num_features).zip(perturbations) {
        match name {
            Some(name) => rows.entry(name).or_default().extend(row),
            None => controls.extend(row),
        }
    }
    let reference = EnergyReference::new(&controls, num_features, form)?;
    let groups: Vec<(&String, Vec<f64>)> = rows
        .into_iter()
        .filter(|(_, rows)| rows.len() / num_features >= min_wells)
        .collect();
    if groups.is_empty() {
        return Err(BenchmarkError::TooFewValues {
            what: "a list of perturbations with enough wells",
            needed: 1,
            found: 0,
        });
    }
    let magnitude = |(name, rows): &(&String, Vec<f64>)| Magnitude {
        perturbation: (*name).clone(),
        num_wells: rows.len() / num_features,
        energy_distance: reference.distance(rows),
    };
    Ok(groups.par_iter().map(magnitude).collect())
}

/// How far a mean lies above that of a baseline, in units of their spreads:
/// `(mean - baseline) / sqrt(s² + s_baseline²)`, where `s` is the median absolute
/// deviation from the median, not scaled. `None` where both spreads are 0.
///
/// # Source
/// Kenyon-Dean et al. 2024, tables 3 and 6, whose seven values of the energy distance
/// this formula gives within the rounding of what is printed.
///
/// # Example
/// ```
/// let z = morphospace_benchmark::magnitude_z_score(&[4.0, 5.0, 6.0], &[1.0, 1.0, 1.0]);
/// assert_eq!(z, Some(4.0));
/// ```
pub fn magnitude_z_score(magnitudes: &[f64], baseline: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let spread = |values: &[f64]| {
        let middle = median(values);
        let deviations: Vec<f64> = values.iter().map(|x| (x - middle).abs()).collect();
        median(&deviations)
    };
    if magnitudes.is_empty() || baseline.is_empty() {
        return None;
    }
    let of_both = spread(magnitudes).hypot(spread(baseline));
    (of_both > 0.0).then(|| (mean(magnitudes) - mean(baseline)) / of_both)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<Option<String>> {
        let name = |name: &&str| (*name != "control").then(|| (*name).to_owned());
        names.iter().map(name).collect()
    }

    #[test]
    fn magnitudes_by_hand_and_small_groups_left_out() {
        let names = named(&["control", "control", "B", "A", "B", "A", "C"]);
        let values = [0.0, 2.0, 1.0, 10.0, 1.0, 12.0, 5.0];
        let found = perturbation_magnitudes(&values, 1, &names, 2, EnergyForm::Exact);
        let found = found.expect("two groups");
        // 2 · 10 - 1 - 1, and 2 · 1 - 1 - 0.
        let of: Vec<(&str, f64)> = found
            .iter()
            .map(|found| (found.perturbation.as_str(), found.energy_distance))
            .collect();
        assert_eq!(of, [("A", 18.0), ("B", 1.0)]);
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let without = perturbation_magnitudes(&[1.0], 1, &named(&["A"]), 1, EnergyForm::Exact);
        assert!(without.is_err());
        let names = named(&["control", "A"]);
        let single = perturbation_magnitudes(&[1.0, 2.0], 1, &names, 2, EnergyForm::Exact);
        let error = single.expect_err("one well").to_string();
        assert!(error.contains("enough wells"), "{error}");
        assert!(perturbation_magnitudes(&[1.0], 1, &names, 2, EnergyForm::Exact).is_err());
    }

    #[test]
    fn spreads_are_median_deviations() {
        // Deviations 1, 0, 1 (and 8) around 5; a far value moves only the mean.
        let z = magnitude_z_score(&[4.0, 5.0, 6.0, 13.0], &[0.0, 0.0]).expect("a spread");
        assert!((z - 7.0).abs() < 1e-12, "{z}");
        assert_eq!(magnitude_z_score(&[1.0, 1.0], &[0.0, 0.0]), None);
        assert_eq!(magnitude_z_score(&[], &[0.0]), None);
    }
}
