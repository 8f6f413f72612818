use serde::{Deserialize, Serialize};

use crate::{Span, TrainError};

/// What is looked at during a run, and what follows from it.
///
/// Where there are sites to validate with, their loss and its parts are
/// computed; the caller may add scores of its own
/// ([`Observer::probe`](crate::Observer::probe)). All are known by name:
/// `validation/loss`, `validation/accuracy`, `probe/knn_accuracy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Time between evaluations; the end of a run is always evaluated.
    pub every: Span,
    /// By which score checkpoints are compared.
    pub metric: String,
    /// Whether a smaller or a larger score is the better one.
    pub goal: Goal,
    /// Whether the best checkpoint is kept beside the last ones.
    pub keep_best: bool,
    /// Evaluations without a better score after which the run ends, if it is
    /// to end early.
    pub patience: Option<u32>,
    /// Sites of each part that are embedded at every evaluation for the
    /// caller's probe; 0 for none.
    pub probe_sites: usize,
    /// Steps between diagnoses of collapse: the spread and the effective rank
    /// of the batch's embeddings.
    pub diagnose_every: u64,
}

/// Which of two scores is the better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// The smaller: losses.
    #[default]
    Min,
    /// The larger: accuracies.
    Max,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            every: Span::Epochs(1.0),
            metric: "validation/loss".to_owned(),
            goal: Goal::Min,
            keep_best: true,
            patience: None,
            probe_sites: 0,
            diagnose_every: 50,
        }
    }
}

impl EvaluationConfig {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let invalid = |message: &str| Err(TrainError::InvalidConfig(message.to_owned()));
        if matches!(self.every, Span::Steps(0)) || self.every == Span::Epochs(0.0) {
            return invalid("evaluation.every is nothing: give at least \"1 steps\"");
        }
        if self.patience == Some(0) {
            return invalid("evaluation.patience is 0: give at least 1, or leave it out");
        }
        if self.diagnose_every == 0 {
            return invalid("evaluation.diagnose_every is 0: give at least 1");
        }
        Ok(())
    }
}

/// The best score so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its value.
    pub value: f64,
    /// Steps that were done then.
    pub step: u64,
    /// Evaluations since.
    pub num_since: u32,
}

impl Goal {
    /// What is best after another evaluation; a score that is no number is
    /// never better.
    pub(crate) fn next_best(self, best: Option<Best>, value: f64, step: u64) -> Option<Best> {
        let is_better = |before: f64| match self {
            Self::Min => value < before,
            Self::Max => value > before,
        };
        match best {
            Some(best) if !is_better(best.value) => Some(Best {
                num_since: best.num_since + 1,
                ..best
            }),
            None if value.is_nan() => None,
            _ => Some(Best {
                value,
                step,
                num_since: 0,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_kept_and_what_follows_is_counted() {
        let mut best = None;
        for (step, value) in [(1, f64::NAN), (2, 0.5), (3, 0.7), (4, f64::NAN), (5, 0.4)] {
            best = Goal::Min.next_best(best, value, step);
            if step == 4 {
                let best: Best = best.expect("one is a number");
                assert_eq!((best.value, best.step, best.num_since), (0.5, 2, 2));
            }
        }
        let best = best.expect("one is a number");
        assert_eq!((best.value, best.step, best.num_since), (0.4, 5, 0));
        let more = Goal::Max
            .next_best(Some(best), 0.6, 6)
            .expect("there is one");
        assert_eq!(more.step, 6);
    }
}
