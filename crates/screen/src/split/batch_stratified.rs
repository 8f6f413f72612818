use std::collections::{BTreeMap, BTreeSet};

use morphospace_core::Seed;
use rand::seq::SliceRandom;

use super::candidates::{Candidates, Unit};
use super::dependent_rounding::{Cell, Share, round_share};
use super::error::SplitError;
use super::part::Part;
use super::scheme::SplitLevel;

/// See [`SplitScheme::BatchStratified`](super::SplitScheme::BatchStratified).
pub(super) fn assign(
    candidates: &Candidates<'_>,
    scheme: &'static str,
    train_fraction: f64,
    level: SplitLevel,
    seed: Seed,
) -> Result<Vec<Option<Part>>, SplitError> {
    if !(train_fraction > 0.0 && train_fraction < 1.0) {
        return Err(SplitError::InvalidSetting {
            scheme,
            message: format!(
                "train fraction {train_fraction} is not between 0 and 1\nhint: RxRx1's is 33/51 = \
                 0.647"
            ),
        });
    }
    let num_unknown = candidates.num_unlabelled();
    if num_unknown > 0 {
        return Err(SplitError::UnknownLabels {
            scheme,
            num_unknown,
            num_sites: candidates.num_sites(),
        });
    }

    // Wells by class and experiment, experiments by their place.
    let mut strata: BTreeMap<(String, usize), Vec<Unit>> = BTreeMap::new();
    let by_experiment = candidates.units_by_experiment(level);
    for (experiment, units) in by_experiment.into_values().enumerate() {
        for unit in units {
            let label = candidates.label_of(&unit).expect("all labels are known");
            strata.entry((label, experiment)).or_default().push(unit);
        }
    }
    let test_counts = round_share(
        &cells(&strata),
        Share::of(train_fraction).rest(),
        &mut seed.split("strata").rng(),
    );
    let mut rng = seed.split("wells").rng();
    let mut assigned = Vec::new();
    for (mut units, num_test) in strata.into_values().zip(test_counts) {
        units.shuffle(&mut rng);
        let parts = (0..).map(|place| {
            if place < num_test {
                Part::Test
            } else {
                Part::Train
            }
        });
        assigned.extend(units.into_iter().zip(parts));
    }
    Ok(candidates.assign_units(&assigned))
}

/// The table of classes and experiments.
fn cells(strata: &BTreeMap<(String, usize), Vec<Unit>>) -> Vec<Cell> {
    let labels: BTreeSet<&String> = strata.keys().map(|(label, _)| label).collect();
    let rows: BTreeMap<&String, usize> = labels.into_iter().zip(0..).collect();
    strata
        .iter()
        .map(|((label, experiment), units)| Cell {
            row: rows[label],
            column: *experiment,
            count: units.len() as u64,
        })
        .collect()
}
