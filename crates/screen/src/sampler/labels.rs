use morphospace_core::Site;

use super::error::SamplerError;

/// The label of every site, all of which are known.
pub(super) fn labels_of(
    sites: &[Site],
    site_indices: &[usize],
) -> Result<Vec<String>, SamplerError> {
    let labels: Vec<String> = site_indices
        .iter()
        .filter_map(|&index| sites[index].well.label())
        .collect();
    if labels.len() == site_indices.len() {
        return Ok(labels);
    }
    let first = site_indices
        .iter()
        .map(|&index| &sites[index])
        .find(|site| site.well.label().is_none())
        .expect("some site has no label");
    Err(SamplerError::UnknownLabels {
        num_unknown: site_indices.len() - labels.len(),
        num_sites: site_indices.len(),
        first: first.key.to_string(),
    })
}
