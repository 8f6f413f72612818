//! Samplers: which sites make up the batches of an epoch.
//!
//! | sampler | batches | labels |
//! |---|---|---|
//! | [`Uniform`] | of any sites | unused |
//! | [`SingleDomain`] | of runs of one experiment or plate each, for AdaBN and ghost batch normalisation | unused |
//! | [`ClassBalanced`] | of every class equally often | used |
//! | [`CrossDomain`] | of pairs of one perturbation in two experiments | used |
//!
//! A plan is a function of the sampler and the epoch alone, so that a run is
//! resumed from two numbers ([`SamplerPosition`]) and never depends on what
//! was drawn before. With them goes the sampler's [`SamplerIdentity`], so that
//! another sampler is refused. Configurations name one by [`SamplerChoice`].
//!
//! # Example
//! ```no_run
//! use morphospace_core::Seed;
//! use morphospace_screen::open_screen;
//! use morphospace_screen::sampler::{
//!     Batches, Domain, Remainder, SingleDomain, SingleDomainConfig,
//! };
//! use morphospace_screen::split::{Part, read_split};
//!
//! let screen = open_screen("rxrx1".as_ref(), None)?;
//! let parts = read_split("split.parquet".as_ref())?.parts(screen.sites())?;
//! let to_train: Vec<usize> = (0..parts.len())
//!     .filter(|&site_index| parts[site_index] == Some(Part::Train))
//!     .collect();
//! let config = SingleDomainConfig {
//!     domain: Domain::Experiment,
//!     ghost_batch_size: 64,
//!     ghosts_per_step: 8,
//!     remainder: Remainder::Drop,
//! };
//! let sampler = SingleDomain::new(screen.sites(), &to_train, config, Seed::new(1))?;
//! for batch in Batches::new(&sampler).take(1000) {
//!     assert_eq!(batch.site_indices.len(), 512);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod choice;
mod class_balanced;
mod cross_domain;
mod error;
mod identity;
mod labels;
mod position;
mod remainder;
mod single_domain;
mod uniform;

pub use batch::Batch;
pub use choice::SamplerChoice;
pub use class_balanced::ClassBalanced;
pub use cross_domain::{CrossDomain, CrossDomainConfig, OnUnpaired};
pub use error::SamplerError;
pub use identity::SamplerIdentity;
pub use position::{Batches, SamplerPosition};
pub use remainder::Remainder;
pub use single_domain::{Domain, SingleDomain, SingleDomainConfig};
pub use uniform::Uniform;

/// Decides which sites make up which batch.
pub trait Sampler: Send + Sync {
    /// The batches of an epoch, at least one. The same at every call.
    fn plan(&self, epoch: u64) -> Vec<Batch>;

    /// Whether the choice depends on labels, which makes whatever is trained
    /// with it weakly supervised.
    fn uses_labels(&self) -> bool;

    /// What the plans depend on.
    fn identity(&self) -> &SamplerIdentity;
}

/// Sites and batch size from which at least one batch can be made.
fn check_sizes(
    num_sites: usize,
    batch_size: usize,
    remainder: Remainder,
) -> Result<(), SamplerError> {
    if num_sites == 0 {
        return Err(SamplerError::NoSites);
    }
    if batch_size == 0 {
        return Err(SamplerError::ZeroSize {
            what: "the batch size",
        });
    }
    if remainder == Remainder::Drop && num_sites < batch_size {
        return Err(SamplerError::TooFewSites {
            num_sites,
            batch_size,
        });
    }
    Ok(())
}
