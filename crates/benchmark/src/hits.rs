use std::collections::BTreeMap;

use morphospace_core::Seed;

use crate::{
    BenchmarkError, ConsistencyForm, EnergyForm, EnergyReference, EntityMap, LabelColumn,
    PairRules, PrecisionNull, mean_average_precisions, row_precisions,
};

/// Which perturbations do something to cells.
///
/// A perturbation is active if its wells find each other among the negative
/// controls: its mean average precision is larger than that of random orders, at a
/// false discovery rate over all perturbations. How much it does is the energy
/// distance of its wells from the controls.
///
/// # Source
/// Kalinin et al. 2025, <https://doi.org/10.1038/s41467-025-60306-2> (activity);
/// Kraus et al. 2025, <https://arxiv.org/abs/2503.20158> (energy distance)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HitSettings {
    /// Random orders behind p-values.
    pub num_draws: usize,
    /// False discovery rate of the hits.
    pub false_discovery_rate: f64,
    /// Seed of the orders.
    pub seed: Seed,
}

impl HitSettings {
    /// 10,000 orders, a rate of 0.05.
    pub fn new(seed: Seed) -> Self {
        Self {
            num_draws: 10_000,
            false_discovery_rate: 0.05,
            seed,
        }
    }
}

/// What one perturbation does.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its name.
    pub perturbation: String,
    /// Its wells.
    pub num_wells: usize,
    /// How well they find each other among the controls, from 0 by chance to 1;
    /// NaN of a single well.
    pub normalised_precision: f64,
    /// Of that.
    pub p_value: f64,
    /// By Benjamini and Hochberg over all perturbations.
    pub q_value: f64,
    /// Of its wells from the controls; NaN of a single well.
    pub energy_distance: f64,
    /// Mean cosine of different wells, seen from the controls' mean; NaN of a single
    /// well.
    pub replicate_cosine: f64,
    /// Whether `q` is at most the rate.
    pub is_hit: bool,
}

/// Scores every perturbation against the negative controls, the most active first:
/// by q, then by precision, then by distance.
///
/// # Shapes
/// `values`: row-major `[perturbations.len(), num_features]`; `None` marks a
/// negative control; `batches`, if given, one for each row: wells are then told
/// from the controls of their own batch.
///
/// # Errors
/// [`BenchmarkError::TooFewValues`]: fewer than two controls or no perturbation;
/// [`BenchmarkError::NotFinite`], [`BenchmarkError::WrongNumberOfValues`].
///
/// # Example
/// ```
/// use morphospace_benchmark::{HitSettings, find_hits};
/// use morphospace_core::Seed;
///
/// let names = ["TP53"; 4].map(|name| Some(name.to_owned())).into_iter();
/// let perturbations: Vec<_> = names.chain(vec![None; 8]).collect();
/// let values = [
///     5.0, 0.1, 5.1, -0.1, 4.9, 0.0, 5.0, 0.2, // TP53
///     0.1, -0.2, -0.2, 0.1, 0.0, 0.3, 0.2, 0.2, -0.1, -0.3, 0.1, 0.4, 0.0, -0.1, 0.2, -0.4,
/// ];
/// let hits = find_hits(&values, 2, &perturbations, None, &HitSettings::new(Seed::new(1)))?;
/// assert!(hits[0].is_hit && hits[0].energy_distance > 9.0);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn find_hits(
    values: &[f64],
    num_features: usize,
    perturbations: &[Option<String>],
    batches: Option<&[String]>,
    settings: &HitSettings,
) -> Result<Vec<Hit>, BenchmarkError> {
    let names = |control: &str| -> Vec<String> {
        let names = perturbations.iter();
        names
            .map(|name| name.clone().unwrap_or_else(|| control.to_owned()))
            .collect()
    };
    // For messages, and to check what was given.
    EntityMap::new(names("a control"), values.to_vec(), num_features)?;
    let controls: Vec<usize> = (0..perturbations.len())
        .filter(|&row| perturbations[row].is_none())
        .collect();
    let mut rows: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
    for (row, name) in perturbations.iter().enumerate() {
        if let Some(name) = name {
            rows.entry(name).or_default().push(row);
        }
    }
    for (what, found, needed) in [
        ("a comparison with negative controls", controls.len(), 2),
        ("a list of perturbations", rows.len(), 1),
    ] {
        if found < needed {
            return Err(BenchmarkError::TooFewValues {
                what,
                needed,
                found,
            });
        }
    }
    let gather = |rows: &[usize]| -> Vec<f64> {
        let rows = rows.iter();
        rows.flat_map(|row| &values[row * num_features..][..num_features])
            .copied()
            .collect()
    };

    // Directions are seen from the mean of the controls.
    let of_controls = gather(&controls);
    let mut origin = vec![0.0; num_features];
    for row in of_controls.chunks_exact(num_features) {
        for (origin, x) in origin.iter_mut().zip(row) {
            *origin += x / controls.len() as f64;
        }
    }
    let centred = values.chunks_exact(num_features);
    let centred = centred.flat_map(|row| row.iter().zip(&origin).map(|(x, origin)| x - origin));
    let wells = EntityMap::new(names(""), centred.collect(), num_features)?;

    let is_control: Vec<bool> = perturbations.iter().map(Option::is_none).collect();
    let perturbation = LabelColumn::single(&names(""));
    let index = LabelColumn::references(&is_control);
    let batch = batches.map(LabelColumn::single);
    let rules = PairRules {
        pos_sameby: vec![&perturbation, &index],
        neg_diffby: vec![&perturbation, &index],
        neg_sameby: batch.iter().collect(),
        ..PairRules::default()
    };
    let mut precisions = row_precisions(&wells, &rules, None)?;
    precisions.retain(|precision| !is_control[precision.row] && precision.num_positives > 0);
    let groups: Vec<String> = precisions
        .iter()
        .map(|precision| wells.labels()[precision.row].clone())
        .collect();
    let null = PrecisionNull::draw(&precisions, settings.num_draws, settings.seed);
    let of_groups = mean_average_precisions(&precisions, &groups, &null);

    let reference = EnergyReference::new(&of_controls, num_features, EnergyForm::Exact)?;
    let mut hits: Vec<Hit> = rows
        .iter()
        .map(|(name, rows)| {
            let precision = of_groups.iter().find(|group| group.group == **name);
            let of = |value: fn(&crate::GroupPrecision) -> f64| precision.map_or(f64::NAN, value);
            let q_value = of(|group| group.corrected_p_value);
            Hit {
                perturbation: (*name).clone(),
                num_wells: rows.len(),
                normalised_precision: of(|group| group.mean_normalised),
                p_value: of(|group| group.p_value),
                q_value,
                energy_distance: match rows.len() {
                    0 | 1 => f64::NAN,
                    _ => reference.distance(&gather(rows)),
                },
                replicate_cosine: ConsistencyForm::DifferentPairs.of(&wells, rows),
                is_hit: q_value <= settings.false_discovery_rate,
            }
        })
        .collect();
    // NaN is greater than every number, and so last.
    hits.sort_by(|a, b| {
        let by_q = a.q_value.total_cmp(&b.q_value);
        let by_precision = b.normalised_precision.total_cmp(&a.normalised_precision);
        by_q.then(by_precision)
            .then(b.energy_distance.total_cmp(&a.energy_distance))
            .then_with(|| a.perturbation.cmp(&b.perturbation))
    });
    Ok(hits)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    /// Wells of noise, a perturbation of which is moved.
    fn screen(shift: f64) -> (Vec<f64>, Vec<Option<String>>) {
        let mut rng = Seed::new(5).rng();
        let mut names = vec![None; 24];
        for name in ["moved", "still", "single"] {
            let count = if name == "single" { 1 } else { 4 };
            names.extend(vec![Some(name.to_owned()); count]);
        }
        let mut values = Vec::new();
        for name in &names {
            let shift = if name.as_deref() == Some("moved") {
                shift
            } else {
                0.0
            };
            values.extend((0..6).map(|_| rng.random::<f64>() - 0.5 + shift));
        }
        (values, names)
    }

    #[test]
    fn what_moves_cells_is_found_and_nothing_else() {
        let settings = HitSettings::new(Seed::new(1));
        let (values, names) = screen(1.0);
        let hits = find_hits(&values, 6, &names, None, &settings).expect("a screen");
        assert_eq!(hits[0].perturbation, "moved");
        assert!(hits[0].is_hit && !hits[1].is_hit);
        assert!(hits[0].energy_distance > 5.0 * hits[1].energy_distance);
        assert!(hits[0].replicate_cosine > 0.8);
        // One well has no replicate to find.
        assert_eq!(
            (hits[2].perturbation.as_str(), hits[2].num_wells),
            ("single", 1)
        );
        assert!(hits[2].q_value.is_nan() && !hits[2].is_hit);
    }

    #[test]
    fn controls_of_the_own_batch_are_what_counts() {
        let (values, names) = screen(1.0);
        let batches: Vec<String> = (0..names.len()).map(|row| (row % 2).to_string()).collect();
        let settings = HitSettings::new(Seed::new(1));
        let all = find_hits(&values, 6, &names, None, &settings).expect("a screen");
        let own = find_hits(&values, 6, &names, Some(&batches), &settings).expect("a screen");
        // Twelve controls in place of 24: p cannot be as small.
        assert!(own[0].p_value >= all[0].p_value);
        assert_eq!(own[0].perturbation, "moved");
    }

    #[test]
    fn screens_without_controls_are_refused() {
        let settings = HitSettings::new(Seed::new(1));
        let named = vec![Some("A".to_owned()); 3];
        let error = find_hits(&[1.0, 2.0, 3.0], 1, &named, None, &settings);
        let error = error.expect_err("no control").to_string();
        assert!(
            error.contains("a comparison with negative controls needs at least 2"),
            "{error}"
        );
        assert!(find_hits(&[1.0, 2.0], 1, &[None, None], None, &settings).is_err());
        let error = find_hits(&[1.0, f64::NAN], 1, &[None, None], None, &settings);
        assert!(error.expect_err("NaN").to_string().contains("NaN"));
    }
}
