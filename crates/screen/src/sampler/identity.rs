use morphospace_core::{Seed, Site};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::SamplerError;
use crate::site_list::site_key_text;

/// Everything that a sampler's plans depend on, so that a run which goes on
/// with another sampler is told so in place of getting other batches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerIdentity {
    /// The kind, e.g. `single_domain`.
    pub kind: String,
    /// Its settings as JSON.
    pub settings: String,
    /// Its seed.
    pub seed: Seed,
    /// Number of sites it samples from.
    pub num_sites: usize,
    /// SHA-256, in hexadecimal, of their keys in order, and of labels and
    /// cell types where the plan depends on them.
    pub sites: String,
}

impl SamplerIdentity {
    pub(super) fn new(
        kind: &str,
        settings: &impl Serialize,
        seed: Seed,
        sites: &[Site],
        site_indices: &[usize],
        uses_labels: bool,
    ) -> Self {
        Self {
            kind: kind.to_owned(),
            settings: serde_json::to_string(settings).expect("numbers and words are JSON"),
            seed,
            num_sites: site_indices.len(),
            sites: hash_of(sites, site_indices, uses_labels),
        }
    }

    /// Whether plans of a sampler are those of another that was saved.
    ///
    /// # Errors
    /// [`SamplerError::OtherSampler`] says what differs.
    pub(super) fn check_same(&self, saved: &Self) -> Result<(), SamplerError> {
        let sites = |of: &Self| format!("{} sites (SHA-256 {:.12})", of.num_sites, of.sites);
        let parts = [
            ("kind", saved.kind.clone(), self.kind.clone()),
            ("settings", saved.settings.clone(), self.settings.clone()),
            (
                "seed",
                saved.seed.value().to_string(),
                self.seed.value().to_string(),
            ),
            ("sites", sites(saved), sites(self)),
        ];
        let differing = parts.into_iter().find(|(_, saved, now)| saved != now);
        match differing {
            Some((what, saved, now)) => Err(SamplerError::OtherSampler { what, saved, now }),
            None => Ok(()),
        }
    }
}

fn hash_of(sites: &[Site], site_indices: &[usize], uses_labels: bool) -> String {
    let mut hasher = Sha256::new();
    // Lengths keep neighbouring texts apart.
    let mut add = |text: &str| {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    for &index in site_indices {
        let site = &sites[index];
        add(&site.key.plate.experiment_name());
        add(&site.key.plate.plate);
        add(&site_key_text(&site.key));
        if uses_labels {
            add(&site.well.label().unwrap_or_default());
            add(site.well.cell_type.as_deref().unwrap_or_default());
        }
    }
    let digest = hasher.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
