use std::collections::BTreeMap;
use std::error::Error;

use crate::{EmbeddedSites, EvaluationReport, StepReport};

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

    /// Scores, by name, of what the network makes of sites that are trained on
    /// and of sites to validate with, at every evaluation of a run that asks
    /// for it ([`EvaluationConfig::probe_sites`](crate::EvaluationConfig)).
    ///
    /// # Errors
    /// Whatever the probe cannot do; the run stops.
    fn probe(
        &mut self,
        _training: &EmbeddedSites,
        _validation: &EmbeddedSites,
    ) -> Result<BTreeMap<String, f64>, Box<dyn Error + Send + Sync>> {
        Ok(BTreeMap::new())
    }

    /// An evaluation was done; `is_best` by the score that was asked for.
    fn on_evaluation(&mut self, _report: &EvaluationReport, _is_best: bool) {}
}

/// Who does not look.
impl Observer for () {}
