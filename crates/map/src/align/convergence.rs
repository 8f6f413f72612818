use serde::{Deserialize, Serialize};

/// Whether a method that goes step by step arrived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convergence {
    /// How it ended.
    pub verdict: Verdict,
    /// The most iterations that were allowed.
    pub max_iterations: usize,
    /// What is made small: at the start, then after every iteration.
    pub objective: Vec<f64>,
}

/// How steps ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The objective fell by less than asked for.
    Converged,
    /// The objective rose in the last iteration, where the reference stops,
    /// too, and calls it converged.
    ObjectiveRose,
    /// The objective was still falling after the last iteration allowed.
    ReachedLimit,
}

impl Convergence {
    /// Iterations that were taken.
    pub fn num_iterations(&self) -> usize {
        self.objective.len().saturating_sub(1)
    }

    /// What to warn of, if it did not converge.
    pub(crate) fn warning(&self, method: &str, setting: &str) -> Option<String> {
        let [.., before, last] = self.objective[..] else {
            return None;
        };
        let change = 100.0 * (last - before) / before.abs();
        let num_iterations = self.num_iterations();
        match self.verdict {
            Verdict::Converged => None,
            Verdict::ObjectiveRose => Some(format!(
                "{method} stopped after {num_iterations} iterations because its objective rose by \
                 {change:.2} % in the last ({before:.6} to {last:.6})"
            )),
            Verdict::ReachedLimit => Some(format!(
                "{method} did not converge in {num_iterations} iterations: its objective fell by \
                 {:.2} % in the last ({before:.6} to {last:.6}); raise {setting}",
                -change
            )),
        }
    }
}
