use morphospace_core::{Experiment, Seed};
use rand::seq::SliceRandom;

use super::candidates::Candidates;
use super::error::SplitError;
use super::part::Part;
use super::rxrx1_design::{check, experiments, official_part};

/// See [`SplitScheme::ExperimentsOfOneCellType`](super::SplitScheme::ExperimentsOfOneCellType).
pub(super) fn assign(
    candidates: &Candidates<'_>,
    scheme: &'static str,
    cell_type: &str,
    num_experiments: usize,
    seed: Seed,
) -> Result<Vec<Option<Part>>, SplitError> {
    let candidates = candidates.of_cell_type(cell_type)?;
    check(&candidates, scheme, Some(cell_type))?;
    let mut train: Vec<Experiment> = experiments(Some(cell_type))
        .into_iter()
        .filter(|experiment| official_part(experiment) == Some(Part::Train))
        .collect();
    if !(1..=train.len()).contains(&num_experiments) {
        return Err(SplitError::InvalidSetting {
            scheme,
            message: format!(
                "{num_experiments} of {} training experiments of {cell_type} cannot be drawn\n\
                 hint: Sypetkowski et al. 2023, table 3, draw 3",
                train.len()
            ),
        });
    }
    train.shuffle(&mut seed.rng());
    train.truncate(num_experiments);
    Ok(candidates.assign(|site| {
        let experiment = &site.key.plate.experiment;
        match official_part(experiment)? {
            Part::Train => train.contains(experiment).then_some(Part::Train),
            other => Some(other),
        }
    }))
}
