use morphospace_core::Seed;
use rand::seq::SliceRandom;

use super::candidates::{Candidates, experiment_seed};
use super::error::SplitError;
use super::part::Part;
use super::scheme::SplitLevel;

/// See [`SplitScheme::Stratified8020`](super::SplitScheme::Stratified8020).
pub(super) fn assign(
    candidates: &Candidates<'_>,
    cell_type: Option<&str>,
    level: SplitLevel,
    seed: Seed,
) -> Result<Vec<Option<Part>>, SplitError> {
    let candidates = match cell_type {
        Some(cell_type) => candidates.of_cell_type(cell_type)?,
        None => candidates.clone(),
    };
    let mut assigned = Vec::new();
    for (experiment, mut units) in candidates.units_by_experiment(level) {
        units.shuffle(&mut experiment_seed(seed, experiment).rng());
        // A fifth, rounded to the nearest.
        let num_test = (units.len() + 2) / 5;
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
