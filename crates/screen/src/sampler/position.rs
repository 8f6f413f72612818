use serde::{Deserialize, Serialize};

use super::Sampler;
use super::batch::Batch;

/// Where a run stands in its sampler: the batch it takes next. Kept in a
/// checkpoint, it is all that is needed to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerPosition {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The step within it, from 0.
    pub step: u64,
}

/// The batches of a sampler, epoch after epoch without end, from any
/// position on.
///
/// # Example
/// ```
/// use morphospace_core::Seed;
/// use morphospace_screen::sampler::{Batches, Remainder, SamplerPosition, Uniform};
///
/// let sampler = Uniform::new((0..10).collect(), 4, Remainder::Drop, Seed::new(1))?;
/// let mut run = Batches::new(&sampler, SamplerPosition::default());
/// run.by_ref().take(3).for_each(drop);
/// let saved = serde_json::to_string(&run.position())?;
/// assert_eq!(saved, r#"{"epoch":1,"step":1}"#);
///
/// let mut resumed = Batches::new(&sampler, serde_json::from_str(&saved)?);
/// assert_eq!(resumed.next(), run.next());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Batches<'a> {
    sampler: &'a dyn Sampler,
    position: SamplerPosition,
    /// What is left of the epoch, the next batch last.
    left: Vec<Batch>,
}

impl<'a> Batches<'a> {
    /// Goes on from a position. One past the end of its epoch is the start
    /// of the next.
    pub fn new(sampler: &'a dyn Sampler, position: SamplerPosition) -> Self {
        let mut left = sampler.plan(position.epoch);
        left.reverse();
        let num_left = (left.len() as u64).saturating_sub(position.step);
        left.truncate(num_left as usize);
        let mut batches = Self {
            sampler,
            position,
            left,
        };
        batches.begin_epoch_if_done();
        batches
    }

    /// The position of the batch that comes next.
    pub fn position(&self) -> SamplerPosition {
        self.position
    }

    fn begin_epoch_if_done(&mut self) {
        if self.left.is_empty() {
            self.position = SamplerPosition {
                epoch: self.position.epoch.wrapping_add(1),
                step: 0,
            };
            self.left = self.sampler.plan(self.position.epoch);
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
        self.position.step += 1;
        self.begin_epoch_if_done();
        batch
    }
}
