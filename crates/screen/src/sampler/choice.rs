use morphospace_core::{Seed, Site};
use serde::{Deserialize, Serialize};

use super::Sampler;
use super::class_balanced::ClassBalanced;
use super::cross_domain::{CrossDomain, CrossDomainConfig, OnUnpaired};
use super::error::SamplerError;
use super::remainder::Remainder;
use super::single_domain::{Domain, SingleDomain, SingleDomainConfig};
use super::uniform::Uniform;

/// A [`Sampler`] as configurations name it.
///
/// ```
/// use morphospace_screen::sampler::{Domain, Remainder, SamplerChoice};
///
/// let text = "kind = 'single_domain'\ndomain = 'plate'\nghost_batch_size = 64";
/// let choice: SamplerChoice = toml::from_str(text)?;
/// let expected = SamplerChoice::SingleDomain {
///     domain: Domain::Plate,
///     ghost_batch_size: 64,
///     remainder: Remainder::Drop,
/// };
/// assert_eq!(choice, expected);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "snake_case",
    deny_unknown_fields,
    expecting = "a table with a kind, e.g. {kind = \"uniform\"}"
)]
pub enum SamplerChoice {
    /// [`Uniform`].
    Uniform {
        /// What becomes of an epoch's last sites.
        #[serde(default)]
        remainder: Remainder,
    },
    /// [`SingleDomain`], with as many ghost batches per step as make up the
    /// batch.
    SingleDomain {
        /// What shares its statistics.
        #[serde(default)]
        domain: Domain,
        /// Sites of one ghost batch; a divisor of the batch size.
        ghost_batch_size: usize,
        /// What becomes of last sites and ghost batches.
        #[serde(default)]
        remainder: Remainder,
    },
    /// [`ClassBalanced`].
    ClassBalanced {
        /// What becomes of an epoch's last sites.
        #[serde(default)]
        remainder: Remainder,
    },
    /// [`CrossDomain`].
    CrossDomain {
        /// Whether a partner is also of another cell type.
        #[serde(default)]
        other_cell_type: bool,
        /// What to do with sites that have no known label or no partner.
        #[serde(default)]
        on_unpaired: OnUnpaired,
        /// What becomes of an epoch's last sites.
        #[serde(default)]
        remainder: Remainder,
    },
}

impl Default for SamplerChoice {
    fn default() -> Self {
        Self::Uniform {
            remainder: Remainder::default(),
        }
    }
}

impl SamplerChoice {
    /// The sampler of the sites at the given positions of `sites`.
    ///
    /// # Errors
    /// [`SamplerError`]: as the sampler's own, or the batch is not made up of
    /// whole ghost batches.
    pub fn open(
        self,
        sites: &[Site],
        site_indices: &[usize],
        batch_size: usize,
        seed: Seed,
    ) -> Result<Box<dyn Sampler>, SamplerError> {
        Ok(match self {
            Self::Uniform { remainder } => {
                let sampler = Uniform::new(sites, site_indices, batch_size, remainder, seed)?;
                Box::new(sampler)
            }
            Self::SingleDomain {
                domain,
                ghost_batch_size,
                remainder,
            } => {
                if ghost_batch_size > 0 && !batch_size.is_multiple_of(ghost_batch_size) {
                    return Err(SamplerError::PartialGhostBatch {
                        batch_size,
                        ghost_batch_size,
                    });
                }
                let config = SingleDomainConfig {
                    domain,
                    ghost_batch_size,
                    ghosts_per_step: batch_size / ghost_batch_size.max(1),
                    remainder,
                };
                Box::new(SingleDomain::new(sites, site_indices, config, seed)?)
            }
            Self::ClassBalanced { remainder } => {
                let sampler = ClassBalanced::new(sites, site_indices, batch_size, remainder, seed)?;
                Box::new(sampler)
            }
            Self::CrossDomain {
                other_cell_type,
                on_unpaired,
                remainder,
            } => {
                let config = CrossDomainConfig {
                    batch_size,
                    other_cell_type,
                    on_unpaired,
                    remainder,
                };
                Box::new(CrossDomain::new(sites, site_indices, config, seed)?)
            }
        })
    }
}
