use morphospace_core::{Seed, Site};
use rand::seq::SliceRandom;

use super::batch::Batch;
use super::error::SamplerError;
use super::identity::SamplerIdentity;
use super::remainder::Remainder;
use super::{Sampler, check_sizes};

/// Every site once per epoch, in an order drawn anew for each.
#[derive(Clone, Debug)]
pub struct Uniform {
    site_indices: Vec<usize>,
    batch_size: usize,
    remainder: Remainder,
    seed: Seed,
    identity: SamplerIdentity,
}

impl Uniform {
    /// Samples from the sites at the given positions of `sites`.
    ///
    /// # Errors
    /// [`SamplerError`]: there is no site, or fewer than one batch takes.
    pub fn new(
        sites: &[Site],
        site_indices: &[usize],
        batch_size: usize,
        remainder: Remainder,
        seed: Seed,
    ) -> Result<Self, SamplerError> {
        check_sizes(site_indices.len(), batch_size, remainder)?;
        let settings = serde_json::json!({"batch_size": batch_size, "remainder": remainder});
        let identity = SamplerIdentity::new("uniform", &settings, seed, sites, site_indices, false);
        Ok(Self {
            site_indices: site_indices.to_vec(),
            batch_size,
            remainder,
            seed,
            identity,
        })
    }

    /// All sites in the order of an epoch.
    pub fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order = self.site_indices.clone();
        order.shuffle(&mut self.seed.split("epoch").split_index(epoch).rng());
        order
    }
}

impl Sampler for Uniform {
    fn plan(&self, epoch: u64) -> Vec<Batch> {
        let batches = self.remainder.pieces(&self.order(epoch), self.batch_size);
        batches.into_iter().map(Batch::mixed).collect()
    }

    fn uses_labels(&self) -> bool {
        false
    }

    fn identity(&self) -> &SamplerIdentity {
        &self.identity
    }
}
