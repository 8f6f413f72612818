use morphospace_core::Experiment;

use super::candidates::Candidates;
use super::error::SplitError;
use super::part::Part;

/// See [`SplitScheme::LeavePlateOut`](super::SplitScheme::LeavePlateOut).
pub(super) fn assign(
    candidates: &Candidates<'_>,
    scheme: &'static str,
    plates: &[String],
    test: &[Experiment],
) -> Result<Vec<Option<Part>>, SplitError> {
    let invalid = |message: String| Err(SplitError::InvalidSetting { scheme, message });
    if plates.is_empty() {
        return invalid("no plate to test on is named\nhint: name them with --plates".to_owned());
    }
    candidates.check_experiments(test)?;
    let parts = candidates.assign(|site| {
        let plate = &site.key.plate;
        let is_test = plates.contains(&plate.plate) || test.contains(&plate.experiment);
        Some(if is_test { Part::Test } else { Part::Train })
    });
    let is_named = |name: &&String| candidates.plates().contains(name);
    match plates.iter().find(|name| !is_named(name)) {
        Some(unknown) => invalid(format!(
            "no experiment has a plate '{unknown}'\nhint: plates are {}",
            candidates
                .plates()
                .iter()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        )),
        None => Ok(parts),
    }
}
