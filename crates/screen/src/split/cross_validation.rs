use std::collections::BTreeMap;

use morphospace_core::Experiment;

use super::candidates::Candidates;
use super::error::SplitError;
use super::part::Part;

/// Folds, and blocks of experiments on the ring.
const NUM_FOLDS: usize = 6;
/// Blocks that a fold trains on.
const NUM_TRAIN_BLOCKS: usize = 4;

/// See [`SplitScheme::CrossValidation`](super::SplitScheme::CrossValidation).
pub(super) fn assign(
    candidates: &Candidates<'_>,
    scheme: &'static str,
    fold: u32,
    cell_type: &str,
) -> Result<Vec<Option<Part>>, SplitError> {
    let invalid = |message: String| Err(SplitError::InvalidSetting { scheme, message });
    let fold = match usize::try_from(fold) {
        Ok(fold @ 1..=NUM_FOLDS) => fold,
        _ => {
            return invalid(format!(
                "there is no fold {fold}\nhint: folds are numbered from 1 to {NUM_FOLDS}"
            ));
        }
    };
    let candidates = candidates.of_cell_type(cell_type)?;
    let experiments = candidates.experiments();
    if !experiments.len().is_multiple_of(NUM_FOLDS) {
        return invalid(format!(
            "{} has {} experiments of {cell_type}, which are not {NUM_FOLDS} blocks of one size\n\
             hint: RxRx1 has 24 of HUVEC; split by 'leave-experiment-out' otherwise",
            candidates.name,
            experiments.len()
        ));
    }
    let block_len = experiments.len() / NUM_FOLDS;
    let parts: BTreeMap<&Experiment, Part> = experiments
        .into_iter()
        .enumerate()
        .map(|(place, experiment)| {
            let block = (place / block_len + NUM_FOLDS - (fold - 1)) % NUM_FOLDS;
            let part = match block {
                0..NUM_TRAIN_BLOCKS => Part::Train,
                NUM_TRAIN_BLOCKS => Part::Validation,
                _ => Part::Test,
            };
            (experiment, part)
        })
        .collect();
    Ok(candidates.assign(|site| parts.get(&site.key.plate.experiment).copied()))
}
