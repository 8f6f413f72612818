use std::collections::{BTreeMap, BTreeSet};

use morphospace_core::{ControlRole, Experiment, Seed};
use morphospace_map::{Conditions, cauchy_combination};
use morphospace_profiles::Profiles;
use rayon::prelude::*;

use super::error::PhenoprintError;
use super::settings::PhenoprintSettings;
use super::table::{ExperimentConsistency, NotTested, Phenoprint, Phenoprints};
use crate::{ConsistencyForm, EntityMap, benjamini_hochberg};

/// Tests which conditions change cells reproducibly: those whose wells are more alike
/// than random wells of the same experiment.
///
/// In each experiment, the [`ConsistencyForm`] of the wells of a condition is compared
/// with that of as many wells drawn at random among all that are no controls; the
/// p-values of its experiments are combined ([`cauchy_combination`]). Wells of several
/// conditions, negative controls and untreated wells take no part; positive controls
/// are tested, and never drawn. A condition with a single well in an experiment is not
/// tested there.
///
/// | form | wells compared | null |
/// |---|---|---|
/// | `eq2` | of an experiment | draws of different wells of it |
/// | `celik_angle` | of an experiment | draws of wells of it, a well possibly twice |
/// | `efaar10` | of all experiments | conditions that do nothing |
///
/// p-values are shares of draws, and are combined as no smaller than one draw and no
/// larger than all but half a draw: one experiment whose wells are less alike than all
/// draws would otherwise outweigh any number of others.
///
/// Draws depend on the seed, the experiment and the number of wells; the result
/// depends neither on the order of rows, nor on names of conditions, nor on threads.
/// Experiments are held in memory one per thread.
///
/// # Shapes
/// `profiles`: one row per well, aligned; any features.
///
/// # Errors
/// [`PhenoprintError`]: columns, values that are not finite, no condition with two
/// wells in an experiment.
///
/// # Source
/// Kenyon-Dean et al. 2024, appendix A.3, <https://arxiv.org/abs/2411.02572>; Celik et al.
/// 2024, <https://doi.org/10.1371/journal.pcbi.1012463>; EFAAR_benchmarking 1.0.
///
/// # Example
/// ```
/// use morphospace_benchmark::{PhenoprintSettings, phenoprints};
/// use morphospace_profiles::{Column, Features, Profiles};
///
/// // Twenty conditions of two wells; those of the first lie in one direction.
/// let conditions: Vec<String> = (0..40).map(|well| format!("G{:02}", well / 2)).collect();
/// let angle = |well: usize| if well < 2 { 0.0 } else { (well * 89) as f64 };
/// let values = (0..40).flat_map(|well| [angle(well).cos(), angle(well).sin()]);
/// let profiles = Profiles::new(
///     vec![
///         ("Metadata_Batch".to_owned(), Column::from(vec!["E-1"; 40])),
///         ("Metadata_control_role".to_owned(), Column::from(vec!["treatment"; 40])),
///         ("Metadata_treatment".to_owned(), Column::from(conditions)),
///     ],
///     vec!["feature_0".to_owned(), "feature_1".to_owned()],
///     Features::F64(values.collect()),
/// )?;
/// let found = phenoprints(&profiles, &PhenoprintSettings::default())?;
/// assert_eq!((found.conditions[0].condition.as_str(), found.num_tested()), ("G00", 20));
/// assert!(found.conditions[0].has_phenoprint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn phenoprints(
    profiles: &Profiles,
    settings: &PhenoprintSettings,
) -> Result<Phenoprints, PhenoprintError> {
    settings.check()?;
    let conditions = Conditions::of(profiles, &settings.columns)?;
    profiles.check_finite()?;
    let wells = Wells::of(&conditions);
    if wells.by_condition.is_empty() {
        return Err(PhenoprintError::NothingToTest {
            num_rows: profiles.num_rows(),
            num_controls: wells.num_controls,
            num_combinations: wells.num_combinations,
            num_unknown: wells.num_unknown,
            column: settings.columns.condition.clone(),
        });
    }
    let (tested, experiments) = match settings.form {
        ConsistencyForm::DifferentPairs => {
            let tested = test_map(profiles, &conditions, &wells, settings)?;
            (tested, Vec::new())
        }
        ConsistencyForm::AllPairs | ConsistencyForm::MeanAngle => {
            test_experiments(profiles, &conditions, &wells, settings)?
        }
    };
    let p_values: Vec<f64> = tested.iter().map(|tested| tested.p_combined).collect();
    let q_values = benjamini_hochberg(&p_values);
    let rows = wells.by_condition.iter().zip(tested).zip(q_values);
    let mut found: Vec<Phenoprint> = rows
        .map(|(((condition, rows), tested), q_value)| Phenoprint {
            condition: (*condition).to_owned(),
            target: target_of(&conditions, rows),
            num_experiments: tested.num_experiments,
            num_wells: rows.len(),
            statistic: tested.statistic,
            p_combined: tested.p_combined,
            q_value,
            // NaN is below nothing.
            has_phenoprint: tested.p_combined < settings.threshold,
            not_tested: tested.not_tested,
        })
        .collect();
    // NaN is greater than every number, and so last; equal ones are sorted by name.
    found.sort_by(|a, b| a.p_combined.total_cmp(&b.p_combined));
    Ok(Phenoprints {
        conditions: found,
        experiments,
        num_controls: wells.num_controls,
        num_combinations: wells.num_combinations,
        num_unknown: wells.num_unknown,
    })
}

/// The rows that take part.
struct Wells<'c> {
    /// By the one condition that they carry.
    by_condition: BTreeMap<&'c str, Vec<usize>>,
    num_controls: usize,
    num_combinations: usize,
    num_unknown: usize,
}

impl<'c> Wells<'c> {
    fn of(conditions: &'c Conditions) -> Self {
        let mut wells = Self {
            by_condition: BTreeMap::new(),
            num_controls: 0,
            num_combinations: 0,
            num_unknown: 0,
        };
        for (row, role) in conditions.roles.iter().enumerate() {
            match conditions.applied[row].as_deref() {
                _ if role.is_negative() => wells.num_controls += 1,
                None | Some([]) => wells.num_unknown += 1,
                Some([condition]) => wells.by_condition.entry(condition).or_default().push(row),
                Some(_) => wells.num_combinations += 1,
            }
        }
        wells
    }
}

/// The target of a condition's rows; the first by name, should they differ.
fn target_of(conditions: &Conditions, rows: &[usize]) -> String {
    let targets = rows.iter().flat_map(|&row| &conditions.targets[row]);
    targets.min().cloned().unwrap_or_default()
}

/// What is known of a condition once it is tested, or not.
struct Tested {
    num_experiments: usize,
    statistic: f64,
    p_combined: f64,
    not_tested: Option<NotTested>,
}

impl Tested {
    fn none(why: NotTested) -> Self {
        Self {
            num_experiments: 0,
            statistic: f64::NAN,
            p_combined: f64::NAN,
            not_tested: Some(why),
        }
    }
}

/// Tests each condition in each experiment; results by condition, in order of names.
fn test_experiments(
    profiles: &Profiles,
    conditions: &Conditions,
    wells: &Wells<'_>,
    settings: &PhenoprintSettings,
) -> Result<(Vec<Tested>, Vec<ExperimentConsistency>), PhenoprintError> {
    let mut by_experiment: BTreeMap<&Experiment, Vec<(usize, usize)>> = BTreeMap::new();
    for (index, rows) in wells.by_condition.values().enumerate() {
        for &row in rows {
            by_experiment
                .entry(&conditions.experiments[row])
                .or_default()
                .push((row, index));
        }
    }
    let seed = settings.seed.split("phenoprints");
    let by_experiment: Vec<_> = by_experiment.into_iter().collect();
    let of_experiments: Vec<Vec<(usize, Consistency)>> = by_experiment
        .par_iter()
        .map(|(experiment, rows)| {
            // `HUVEC-01` and `HUVEC-1` are one experiment, and draw alike.
            let number = experiment.number().unwrap_or(u64::MAX);
            let seed = seed.split(experiment.series()).split_index(number);
            test_experiment(profiles, &conditions.roles, rows, settings, seed)
        })
        .collect::<Result<_, _>>()?;

    let mut by_condition: Vec<Vec<(usize, Consistency)>> = Vec::new();
    by_condition.resize_with(wells.by_condition.len(), Vec::new);
    for (experiment, found) in of_experiments.into_iter().enumerate() {
        for (index, consistency) in found {
            by_condition[index].push((experiment, consistency));
        }
    }
    if by_condition
        .iter()
        .flatten()
        .all(|(_, found)| found.num_wells < 2)
    {
        return Err(PhenoprintError::NothingTested {
            num_conditions: by_condition.len(),
            num_experiments: by_experiment.len(),
        });
    }
    let mut rows = Vec::new();
    for (condition, found) in wells.by_condition.keys().zip(&by_condition) {
        rows.extend(
            found
                .iter()
                .map(|(experiment, found)| ExperimentConsistency {
                    condition: (*condition).to_owned(),
                    experiment: by_experiment[*experiment].0.to_string(),
                    num_wells: found.num_wells,
                    statistic: found.statistic,
                    p_value: found.p_value,
                }),
        );
    }
    let combined = by_condition.iter().map(|found| combine(found, settings));
    Ok((combined.collect(), rows))
}

/// A condition in one experiment.
struct Consistency {
    num_wells: usize,
    statistic: f64,
    p_value: f64,
}

/// Tests the conditions of an experiment, given as rows and indices of conditions.
fn test_experiment(
    profiles: &Profiles,
    roles: &[ControlRole],
    rows: &[(usize, usize)],
    settings: &PhenoprintSettings,
    seed: Seed,
) -> Result<Vec<(usize, Consistency)>, PhenoprintError> {
    // In the order of their values: sums and draws then do not depend on that of rows.
    let mut wells: Vec<(Vec<f64>, usize, bool)> = rows
        .iter()
        .map(|&(row, index)| {
            let is_drawn = roles[row] == ControlRole::Treatment;
            (profiles.row(row), index, is_drawn)
        })
        .collect();
    // Equal wells change places only among each other, drawn ones first.
    wells.sort_by(|(a, _, a_is_drawn), (b, _, b_is_drawn)| {
        let values = a.iter().zip(b).map(|(x, y)| x.total_cmp(y));
        let mut differing = values.filter(|order| order.is_ne());
        let by_value = differing.next().unwrap_or(std::cmp::Ordering::Equal);
        by_value.then(b_is_drawn.cmp(a_is_drawn))
    });
    let mut of_conditions: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut population = Vec::new();
    let mut values = Vec::with_capacity(wells.len() * profiles.num_features());
    for (place, (row, index, is_drawn)) in wells.into_iter().enumerate() {
        values.extend(row);
        of_conditions.entry(index).or_default().push(place);
        if is_drawn {
            population.push(place);
        }
    }
    let map = EntityMap::new(
        vec![String::new(); rows.len()],
        values,
        profiles.num_features(),
    )?;
    // Conditions of equally many wells share their draws.
    let sizes: BTreeSet<usize> = of_conditions.values().map(Vec::len).collect();
    let sizes = sizes.into_iter().filter(|&size| size > 1);
    let nulls: BTreeMap<usize, Vec<f64>> = sizes
        .map(|size| {
            let seed = seed.split_index(size as u64);
            let form = settings.form;
            let mut null = form.null(&map, &population, size, settings.num_draws, seed);
            null.sort_unstable_by(f64::total_cmp);
            (size, null)
        })
        .collect();
    let found = of_conditions.into_iter().map(|(index, places)| {
        let statistic = settings.form.of(&map, &places);
        let null = nulls.get(&places.len()).map_or(&[][..], Vec::as_slice);
        let consistency = Consistency {
            num_wells: places.len(),
            statistic,
            p_value: settings.form.p_value(null, statistic),
        };
        (index, consistency)
    });
    Ok(found.collect())
}

/// Combines the experiments of a condition.
fn combine(found: &[(usize, Consistency)], settings: &PhenoprintSettings) -> Tested {
    let tested: Vec<&Consistency> = found
        .iter()
        .map(|(_, found)| found)
        .filter(|found| !found.p_value.is_nan())
        .collect();
    if tested.is_empty() {
        return Tested::none(match found.iter().any(|(_, found)| found.num_wells > 1) {
            true => NotTested::FewWellsToDraw,
            false => NotTested::SingleWells,
        });
    }
    let draw = 1.0 / settings.num_draws as f64;
    let p_combined = match tested.as_slice() {
        [only] => only.p_value.max(draw),
        _ => {
            let p_values = tested.iter().map(|found| found.p_value);
            let p_values: Vec<f64> = p_values.map(|p| p.clamp(draw, 1.0 - draw / 2.0)).collect();
            cauchy_combination(&p_values, None).expect("there are some, above 0 and below 1")
        }
    };
    let sum: f64 = tested.iter().map(|found| found.statistic).sum();
    Tested {
        num_experiments: tested.len(),
        statistic: sum / tested.len() as f64,
        p_combined,
        not_tested: None,
    }
}

/// Tests each condition over all experiments at once; results in order of names.
fn test_map(
    profiles: &Profiles,
    conditions: &Conditions,
    wells: &Wells<'_>,
    settings: &PhenoprintSettings,
) -> Result<Vec<Tested>, PhenoprintError> {
    let statistic = |rows: &Vec<usize>| -> Result<f64, PhenoprintError> {
        let mut rows: Vec<Vec<f64>> = rows.iter().map(|&row| profiles.row(row)).collect();
        rows.sort_by(|a, b| {
            let values = a.iter().zip(b).map(|(x, y)| x.total_cmp(y));
            let mut differing = values.filter(|order| order.is_ne());
            differing.next().unwrap_or(std::cmp::Ordering::Equal)
        });
        let places: Vec<usize> = (0..rows.len()).collect();
        let labels = vec![String::new(); rows.len()];
        let map = EntityMap::new(labels, rows.concat(), profiles.num_features())?;
        Ok(settings.form.of(&map, &places))
    };
    let of_conditions: Vec<&Vec<usize>> = wells.by_condition.values().collect();
    let statistics: Vec<f64> = of_conditions
        .par_iter()
        .map(|rows| statistic(rows))
        .collect::<Result<_, _>>()?;
    let null: Vec<f64> = match settings.null_conditions.is_empty() {
        true => {
            let of_controls = conditions_of_controls(conditions);
            let rows: Vec<&Vec<usize>> = of_controls.values().collect();
            rows.par_iter()
                .map(|rows| statistic(rows))
                .collect::<Result<_, _>>()?
        }
        false => {
            let named: BTreeSet<&str> = settings
                .null_conditions
                .iter()
                .map(String::as_str)
                .collect();
            let all = wells.by_condition.iter().zip(&statistics);
            all.filter(|((condition, rows), _)| {
                let target = target_of(conditions, rows);
                named.contains(**condition) || named.contains(target.as_str())
            })
            .map(|(_, statistic)| *statistic)
            .collect()
        }
    };
    if null.iter().all(|value| value.is_nan()) {
        let found = match (settings.null_conditions.first(), null.len()) {
            (Some(first), 0) => format!(
                "none of the {} named, such as '{first}', is in the table",
                settings.null_conditions.len()
            ),
            (Some(_), count) => format!("the {count} named have one well each"),
            (None, 0) => "there is none among the negative controls".to_owned(),
            (None, count) => format!("the {count} of the negative controls have one well each"),
        };
        return Err(PhenoprintError::NoNull { found });
    }
    let tested = statistics
        .iter()
        .zip(of_conditions)
        .map(|(&statistic, rows)| {
            if statistic.is_nan() {
                return Tested::none(NotTested::SingleWells);
            }
            let experiments = rows.iter().map(|&row| &conditions.experiments[row]);
            Tested {
                num_experiments: experiments.collect::<BTreeSet<_>>().len(),
                statistic,
                p_combined: settings.form.p_value(&null, statistic),
                not_tested: None,
            }
        });
    Ok(tested.collect())
}

/// The wells of each condition of negative controls: each non-targeting guide.
fn conditions_of_controls(conditions: &Conditions) -> BTreeMap<&str, Vec<usize>> {
    let mut found: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, role) in conditions.roles.iter().enumerate() {
        if let (ControlRole::NegativeControl, Some([condition])) =
            (role, conditions.applied[row].as_deref())
        {
            found.entry(condition).or_default().push(row);
        }
    }
    found
}
