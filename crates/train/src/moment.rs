use morphospace_core::Seed;

/// Where a run stands when a loss is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// The step, from 0.
    pub step: u64,
    /// Steps of the run.
    pub num_steps: u64,
    /// Steps of an epoch, not necessarily whole ones.
    pub steps_per_epoch: f64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// Which of the objective's phases.
    pub phase: usize,
    /// For all that is drawn with this batch.
    pub seed: Seed,
    /// Whether gradients follow. In validation nothing is dropped and no
    /// running average moves.
    pub is_training: bool,
}

impl Moment {
    /// The seed of what is dropped, in training.
    pub fn drop_path_seed(&self) -> Option<Seed> {
        self.is_training.then(|| self.seed.split("drop_path"))
    }
}
