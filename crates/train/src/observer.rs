use std::collections::BTreeMap;
use std::error::Error;

use morphospace_models::Encoder;

use crate::{EvaluationReport, StepReport};

/// Who looks on while a network is trained.
///
/// ```
/// use morphospace_train::{Observer, StepReport};
///
/// struct LastLoss(Option<f64>);
///
/// impl Observer for LastLoss {
///     fn on_step(&mut self, report: &StepReport) {
///         self.0 = Some(report.loss);
///     }
/// }
/// ```
pub trait Observer {
    /// Where the run begins: steps that were done before, and those it will
    /// have done in the end.
    fn on_start(&mut self, _num_steps_done: u64, _num_steps: u64) {}

    /// A step was done.
    fn on_step(&mut self, _report: &StepReport) {}

    /// Scores of the network as it embeds, by name; called at every
    /// evaluation. A probe must not look at what it is to be compared on: take
    /// experiments that are not trained on.
    ///
    /// # Errors
    /// Whatever the probe cannot do; the run stops.
    fn probe(
        &mut self,
        _encoder: &dyn Encoder,
    ) -> Result<BTreeMap<String, f64>, Box<dyn Error + Send + Sync>> {
        Ok(BTreeMap::new())
    }

    /// An evaluation was done; `is_best` by the score that was asked for.
    fn on_evaluation(&mut self, _report: &EvaluationReport, _is_best: bool) {}
}

/// Who does not look.
impl Observer for () {}
