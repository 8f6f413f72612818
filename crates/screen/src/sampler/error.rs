/// Why sites cannot be sampled as asked.
///
/// Every message has the numbers and, on a line that starts with `hint:`,
/// what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SamplerError {
    /// There is nothing to sample.
    #[error("there is no site to sample\nhint: check which part of which split is used")]
    NoSites,
    /// A size is 0.
    #[error("{what} is 0\nhint: give at least 1")]
    ZeroSize {
        /// The setting.
        what: &'static str,
    },
    /// Fewer sites than one batch takes, and no site may be used twice.
    #[error(
        "{num_sites} sites do not fill a batch of {batch_size}\nhint: use smaller batches, or \
         use sites twice (remainder = \"wrap\" in [sampler], beside its kind; kind = \"uniform\" where there is none)"
    )]
    TooFewSites {
        /// Sites to sample.
        num_sites: usize,
        /// Sites of one batch.
        batch_size: usize,
    },
    /// A domain has fewer sites than one ghost batch takes.
    #[error(
        "{domain} has {num_sites} sites, which do not fill a ghost batch of {ghost_batch_size}\n\
         hint: use smaller ghost batches, or use sites twice (remainder = \"wrap\" in [sampler], beside its kind; kind = \"uniform\" where there is none)"
    )]
    TooSmallDomain {
        /// The experiment or plate.
        domain: String,
        /// Its sites.
        num_sites: usize,
        /// Sites of one ghost batch.
        ghost_batch_size: usize,
    },
    /// Too few ghost batches for one step.
    #[error(
        "{num_ghost_batches} ghost batches do not make a step of {ghosts_per_step}\nhint: use \
         smaller batches, or use sites twice (remainder = \"wrap\" in [sampler], beside its kind; kind = \"uniform\" where there is none)"
    )]
    TooFewGhostBatches {
        /// Ghost batches of an epoch.
        num_ghost_batches: usize,
        /// Ghost batches of one step.
        ghosts_per_step: usize,
    },
    /// A batch that is not made up of whole ghost batches.
    #[error(
        "a batch of {batch_size} is not made up of ghost batches of {ghost_batch_size}\nhint: \
         give a batch size that is a multiple of it"
    )]
    PartialGhostBatch {
        /// Sites of one step.
        batch_size: usize,
        /// Sites of one ghost batch.
        ghost_batch_size: usize,
    },
    /// Labels are needed and not known.
    #[error(
        "{num_unknown} of {num_sites} sites have an unknown label, first {first}\nhint: sample \
         from a part of a split made with --only-labelled, or by a kind of sampler that needs no \
         labels (uniform, single_domain)"
    )]
    UnknownLabels {
        /// Sites whose perturbation is not known.
        num_unknown: usize,
        /// Sites to sample.
        num_sites: usize,
        /// The first of them.
        first: String,
    },
    /// Sites have no partner to be paired with.
    #[error(
        "{num_unpaired} of {num_sites} sites have no partner: no site of the same label in \
         another experiment{}, first {first}\nhint: leave such sites out (on_unpaired = \"skip\" in \
         [sampler]), or sample more experiments", if *other_cell_type { " of another cell type" } else { "" }
    )]
    NoPartner {
        /// Sites without a partner.
        num_unpaired: usize,
        /// Sites to sample.
        num_sites: usize,
        /// Whether partners had to be of another cell type.
        other_cell_type: bool,
        /// The first of them.
        first: String,
    },
    /// A run was saved with another sampler.
    #[error(
        "the run was saved with a sampler of {what} {saved}, and this one is of {what} {now}\n\
         hint: go on with the sampler, seed and sites it was started with, or start anew"
    )]
    OtherSampler {
        /// What differs first: kind, settings, seed or sites.
        what: &'static str,
        /// As it was saved.
        saved: String,
        /// As it is now.
        now: String,
    },
}
