use serde::{Deserialize, Serialize};

use super::Sampler;
use super::batch::Batch;
use super::error::SamplerError;
use super::identity::SamplerIdentity;

/// Where a run stands in its sampler: the batch it takes next. Kept in a
/// checkpoint, it is all that is needed to go on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerPosition {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The step within it, from 0.
    pub step: u64,
    /// The sampler whose epochs and steps these are.
    pub sampler: SamplerIdentity,
}

/// The batches of a sampler, epoch after epoch without end, from any
/// position on.
///
/// # Example
/// ```no_run
/// use morphospace_core::Seed;
/// use morphospace_screen::open_screen;
/// use morphospace_screen::sampler::{Batches, Remainder, Uniform};
///
/// let screen = open_screen("rxrx1".as_ref(), None)?;
/// let all: Vec<usize> = (0..screen.sites().len()).collect();
/// let sampler = Uniform::new(screen.sites(), &all, 4, Remainder::Drop, Seed::new(1))?;
/// let mut run = Batches::new(&sampler);
/// run.by_ref().take(3).for_each(drop);
/// let saved = serde_json::to_string(&run.position())?;
///
/// let mut resumed = Batches::resume(&sampler, &serde_json::from_str(&saved)?)?;
/// assert_eq!(resumed.next(), run.next());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Batches<'a> {
    sampler: &'a dyn Sampler,
    epoch: u64,
    step: u64,
    /// What is left of the epoch, the next batch last.
    left: Vec<Batch>,
}

impl<'a> Batches<'a> {
    /// Starts at the first epoch.
    pub fn new(sampler: &'a dyn Sampler) -> Self {
        Self::from_step(sampler, 0, 0)
    }

    /// Goes on from a position. One past the end of its epoch is the start
    /// of the next.
    ///
    /// # Errors
    /// [`SamplerError::OtherSampler`]: the position belongs to a sampler of
    /// another kind, other settings, another seed or other sites.
    pub fn resume(
        sampler: &'a dyn Sampler,
        position: &SamplerPosition,
    ) -> Result<Self, SamplerError> {
        sampler.identity().check_same(&position.sampler)?;
        Ok(Self::from_step(sampler, position.epoch, position.step))
    }

    fn from_step(sampler: &'a dyn Sampler, epoch: u64, step: u64) -> Self {
        let mut left = sampler.plan(epoch);
        left.reverse();
        let num_left = (left.len() as u64).saturating_sub(step);
        left.truncate(num_left as usize);
        let mut batches = Self {
            sampler,
            epoch,
            step,
            left,
        };
        batches.begin_epoch_if_done();
        batches
    }

    /// The position of the batch that comes next.
    pub fn position(&self) -> SamplerPosition {
        SamplerPosition {
            epoch: self.epoch,
            step: self.step,
            sampler: self.sampler.identity().clone(),
        }
    }

    fn begin_epoch_if_done(&mut self) {
        if self.left.is_empty() {
            (self.epoch, self.step) = (self.epoch.wrapping_add(1), 0);
            self.left = self.sampler.plan(self.epoch);
            self.left.reverse();
        }
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    /// Never `None`: a sampler that would have nothing to give is refused
    /// when it is made.
    fn next(&mut self) -> Option<Batch> {
        let batch = self.left.pop();
        self.step += 1;
        self.begin_epoch_if_done();
        batch
    }
}
