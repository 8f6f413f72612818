use std::collections::BTreeMap;

use morphospace_core::{PlateKey, Seed, Site};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::Sampler;
use super::batch::Batch;
use super::error::SamplerError;
use super::identity::SamplerIdentity;
use super::remainder::Remainder;

/// What shares its statistics: the batch whose effect is to be taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// Experiments, of a source where there are several, as in Sypetkowski et al. 2023.
    #[default]
    Experiment,
    /// Plates, as in Kraus et al. 2023.
    Plate,
}

impl Domain {
    /// The word in configurations and provenance.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Plate => "plate",
        }
    }

    /// The domain that a plate's sites are of.
    pub fn of(self, plate: &PlateKey) -> String {
        match self {
            Self::Experiment => plate.experiment_name(),
            Self::Plate => plate.to_string(),
        }
    }
}

/// How [`SingleDomain`] makes its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SingleDomainConfig {
    /// What shares its statistics.
    pub domain: Domain,
    /// Sites of one ghost batch, all of one domain.
    pub ghost_batch_size: usize,
    /// Ghost batches of one step, of any domains; 1 for steps of a single
    /// domain.
    pub ghosts_per_step: usize,
    /// What becomes of a domain's last sites and of an epoch's last ghost
    /// batches.
    pub remainder: Remainder,
}

/// Batches for normalisation layers that take their statistics from one
/// domain at a time: each step is some ghost batches, each of sites of one
/// experiment or plate.
///
/// An epoch shuffles each domain, cuts it into ghost batches, shuffles these
/// and takes them a few per step; no site is used twice, but to fill up under
/// [`Remainder::Wrap`].
///
/// # Source
/// AdaBN: Li et al. 2016, <https://arxiv.org/abs/1603.04779>, with batches of
/// one experiment in Sypetkowski et al. 2023 (64 per device, 512 in all);
/// ghost batches: Hoffer et al. 2017, <https://arxiv.org/abs/1705.08741>, of
/// one plate each in Kraus et al. 2023.
#[derive(Clone, Debug)]
pub struct SingleDomain {
    /// Sites of each domain, domains sorted.
    domains: Vec<Vec<usize>>,
    config: SingleDomainConfig,
    seed: Seed,
    identity: SamplerIdentity,
}

impl SingleDomain {
    /// Samples from the sites at the given positions of `sites`.
    ///
    /// # Errors
    /// [`SamplerError`]: there is no site, or a domain has fewer than a ghost
    /// batch takes, or all together make no step.
    pub fn new(
        sites: &[Site],
        site_indices: &[usize],
        config: SingleDomainConfig,
        seed: Seed,
    ) -> Result<Self, SamplerError> {
        if site_indices.is_empty() {
            return Err(SamplerError::NoSites);
        }
        for (what, size) in [
            ("the size of ghost batches", config.ghost_batch_size),
            (
                "the number of ghost batches per step",
                config.ghosts_per_step,
            ),
        ] {
            if size == 0 {
                return Err(SamplerError::ZeroSize { what });
            }
        }
        let mut domains: BTreeMap<PlateKey, Vec<usize>> = BTreeMap::new();
        for &index in site_indices {
            let plate = &sites[index].key.plate;
            let domain = match config.domain {
                Domain::Plate => plate.clone(),
                Domain::Experiment => PlateKey {
                    plate: String::new(),
                    ..plate.clone()
                },
            };
            domains.entry(domain).or_default().push(index);
        }
        if config.remainder == Remainder::Drop {
            refuse_unfilled(&domains, config)?;
        }
        Ok(Self {
            domains: domains.into_values().collect(),
            config,
            seed,
            identity: SamplerIdentity::new(
                "single_domain",
                &config,
                seed,
                sites,
                site_indices,
                false,
            ),
        })
    }
}

/// Without wrapping around, every domain fills a ghost batch and all ghost
/// batches a step.
fn refuse_unfilled(
    domains: &BTreeMap<PlateKey, Vec<usize>>,
    config: SingleDomainConfig,
) -> Result<(), SamplerError> {
    let SingleDomainConfig {
        domain,
        ghost_batch_size,
        ghosts_per_step,
        ..
    } = config;
    let is_too_small = |(_, sites): &(_, &Vec<usize>)| sites.len() < ghost_batch_size;
    if let Some((plate, sites)) = domains.iter().find(is_too_small) {
        return Err(SamplerError::TooSmallDomain {
            domain: match domain {
                Domain::Plate => plate.to_string(),
                Domain::Experiment => format!("experiment {}", plate.experiment_name()),
            },
            num_sites: sites.len(),
            ghost_batch_size,
        });
    }
    let num_ghost_batches = domains
        .values()
        .map(|sites| sites.len() / ghost_batch_size)
        .sum();
    if num_ghost_batches < ghosts_per_step {
        return Err(SamplerError::TooFewGhostBatches {
            num_ghost_batches,
            ghosts_per_step,
        });
    }
    Ok(())
}

impl Sampler for SingleDomain {
    fn plan(&self, epoch: u64) -> Vec<Batch> {
        let SingleDomainConfig {
            ghost_batch_size,
            ghosts_per_step,
            remainder,
            ..
        } = self.config;
        let mut rng = self.seed.split("epoch").split_index(epoch).rng();
        let mut ghosts: Vec<Vec<usize>> = Vec::new();
        for domain in &self.domains {
            let mut order = domain.clone();
            order.shuffle(&mut rng);
            ghosts.extend(remainder.pieces(&order, ghost_batch_size));
        }
        ghosts.shuffle(&mut rng);
        remainder
            .pieces(&ghosts, ghosts_per_step)
            .into_iter()
            .map(|step| Batch {
                site_indices: step.concat(),
                partner_indices: Vec::new(),
                ghost_batch_size: Some(ghost_batch_size),
            })
            .collect()
    }

    fn uses_labels(&self) -> bool {
        false
    }

    fn identity(&self) -> &SamplerIdentity {
        &self.identity
    }
}
