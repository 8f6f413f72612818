use std::collections::BTreeMap;

use morphospace_core::{Seed, Site};
use rand::seq::SliceRandom;

use super::batch::Batch;
use super::error::SamplerError;
use super::identity::SamplerIdentity;
use super::labels::labels_of;
use super::remainder::Remainder;
use super::{Sampler, check_sizes};

/// Every class equally often, however many sites it has: controls, of which
/// screens have many, do not outweigh treatments.
///
/// An epoch draws as many sites as there are. Classes take turns, in an order
/// drawn anew for each round, so that their counts differ by one at most; a
/// class gives its sites in turn, in an order drawn anew whenever all have
/// been given.
#[derive(Clone, Debug)]
pub struct ClassBalanced {
    /// Sites of each class, classes sorted by label.
    classes: Vec<Vec<usize>>,
    num_sites: usize,
    batch_size: usize,
    remainder: Remainder,
    seed: Seed,
    identity: SamplerIdentity,
}

impl ClassBalanced {
    /// Samples from the sites at the given positions of `sites`.
    ///
    /// # Errors
    /// [`SamplerError`]: there is no site, fewer than one batch takes, or one
    /// whose label is unknown.
    pub fn new(
        sites: &[Site],
        site_indices: &[usize],
        batch_size: usize,
        remainder: Remainder,
        seed: Seed,
    ) -> Result<Self, SamplerError> {
        check_sizes(site_indices.len(), batch_size, remainder)?;
        let mut classes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (label, &index) in labels_of(sites, site_indices)?
            .into_iter()
            .zip(site_indices)
        {
            classes.entry(label).or_default().push(index);
        }
        let settings = serde_json::json!({"batch_size": batch_size, "remainder": remainder});
        let identity =
            SamplerIdentity::new("class_balanced", &settings, seed, sites, site_indices, true);
        Ok(Self {
            classes: classes.into_values().collect(),
            num_sites: site_indices.len(),
            batch_size,
            remainder,
            seed,
            identity,
        })
    }
}

impl Sampler for ClassBalanced {
    fn plan(&self, epoch: u64) -> Vec<Batch> {
        let mut rng = self.seed.split("epoch").split_index(epoch).rng();
        let mut given = vec![0; self.classes.len()];
        let mut orders = self.classes.clone();
        let mut turns: Vec<usize> = (0..self.classes.len()).collect();
        let mut order = Vec::with_capacity(self.num_sites);
        while order.len() < self.num_sites {
            turns.shuffle(&mut rng);
            for &class in turns.iter().take(self.num_sites - order.len()) {
                let place = given[class] % orders[class].len();
                if place == 0 {
                    orders[class].shuffle(&mut rng);
                }
                order.push(orders[class][place]);
                given[class] += 1;
            }
        }
        let batches = self.remainder.pieces(&order, self.batch_size);
        batches.into_iter().map(Batch::mixed).collect()
    }

    fn uses_labels(&self) -> bool {
        true
    }

    fn identity(&self) -> &SamplerIdentity {
        &self.identity
    }
}
