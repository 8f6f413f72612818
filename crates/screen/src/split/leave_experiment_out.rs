use morphospace_core::Experiment;

use super::candidates::Candidates;
use super::error::SplitError;
use super::part::Part;

/// See [`SplitScheme::LeaveExperimentOut`](super::SplitScheme::LeaveExperimentOut).
pub(super) fn assign(
    candidates: &Candidates<'_>,
    scheme: &'static str,
    test: &[Experiment],
    validation: &[Experiment],
) -> Result<Vec<Option<Part>>, SplitError> {
    let invalid = |message: String| Err(SplitError::InvalidSetting { scheme, message });
    if test.is_empty() {
        return invalid(
            "no experiment to test on is named\nhint: name them with --experiments".to_owned(),
        );
    }
    candidates.check_experiments(test)?;
    candidates.check_experiments(validation)?;
    if let Some(twice) = test
        .iter()
        .find(|experiment| validation.contains(experiment))
    {
        return invalid(format!(
            "{twice} is to be tested on and validated on\nhint: name it once"
        ));
    }
    Ok(candidates.assign(|site| {
        let experiment = &site.key.plate.experiment;
        Some(if test.contains(experiment) {
            Part::Test
        } else if validation.contains(experiment) {
            Part::Validation
        } else {
            Part::Train
        })
    }))
}
