use morphospace_core::Seed;
use rand::seq::SliceRandom;

use super::batch::Batch;
use super::error::SamplerError;
use super::remainder::Remainder;
use super::{Sampler, check_sizes};

/// Every site once per epoch, in an order drawn anew for each.
#[derive(Clone, Debug)]
pub struct Uniform {
    site_indices: Vec<usize>,
    batch_size: usize,
    remainder: Remainder,
    seed: Seed,
}

impl Uniform {
    /// Samples from the given sites.
    ///
    /// # Errors
    /// [`SamplerError`]: there is no site, or fewer than one batch takes.
    pub fn new(
        site_indices: Vec<usize>,
        batch_size: usize,
        remainder: Remainder,
        seed: Seed,
    ) -> Result<Self, SamplerError> {
        check_sizes(site_indices.len(), batch_size, remainder)?;
        Ok(Self {
            site_indices,
            batch_size,
            remainder,
            seed,
        })
    }

    /// All sites in the order of an epoch, for callers that cut batches
    /// across epochs.
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
}
