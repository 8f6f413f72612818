use super::candidates::Candidates;
use super::error::SplitError;
use super::part::Part;
use super::rxrx1_design::{check, official_part};

/// See [`SplitScheme::BatchSeparated`](super::SplitScheme::BatchSeparated).
pub(super) fn assign(
    candidates: &Candidates<'_>,
    scheme: &'static str,
) -> Result<Vec<Option<Part>>, SplitError> {
    check(candidates, scheme, None)?;
    Ok(candidates.assign(|site| official_part(&site.key.plate.experiment)))
}
