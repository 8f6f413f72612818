use serde::{Deserialize, Serialize};

/// The learning rate of every step as a share of the highest one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Always the highest.
    Constant,
    /// Linear rise from 0, then half a cosine down to 0.
    WarmupCosine {
        /// Steps of the rise.
        warmup_steps: u64,
    },
    /// `torch.optim.lr_scheduler.OneCycleLR` with cosine annealing: from
    /// 1/25 up to 1 over `pct_start` of the steps, then down to 1/250,000
    /// (Kraus et al. 2023; maes_microscopy's published configuration).
    OneCycle {
        /// Share of the steps that rise; 0.1 in the reference.
        pct_start: f64,
    },
}

impl Schedule {
    /// The share at `step` of `num_steps`.
    ///
    /// ```
    /// use morphospace_train::Schedule;
    ///
    /// let one_cycle = Schedule::OneCycle { pct_start: 0.1 };
    /// assert!((one_cycle.factor(0, 100) - 0.04).abs() < 1e-12);
    /// assert!((one_cycle.factor(9, 100) - 1.0).abs() < 1e-12);
    /// assert!((one_cycle.factor(50, 100) - 0.569588).abs() < 1e-6);
    /// assert!((one_cycle.factor(99, 100) - 4e-6).abs() < 1e-12);
    /// ```
    pub fn factor(self, step: u64, num_steps: u64) -> f64 {
        let step = step.min(num_steps.saturating_sub(1)) as f64;
        let num_steps = num_steps as f64;
        match self {
            Self::Constant => 1.0,
            Self::WarmupCosine { warmup_steps } => {
                let warmup = warmup_steps as f64;
                if step < warmup {
                    return (step + 1.0) / warmup;
                }
                let rest = (num_steps - warmup).max(1.0);
                cosine(1.0, 0.0, (step - warmup) / rest)
            }
            Self::OneCycle { pct_start } => {
                // As in torch: both phases end at a float, inclusive.
                let peak = pct_start * num_steps - 1.0;
                let end = num_steps - 1.0;
                if step <= peak {
                    cosine(1.0 / 25.0, 1.0, step / peak)
                } else {
                    cosine(1.0, 1.0 / 25.0 / 1e4, (step - peak) / (end - peak))
                }
            }
        }
    }
}

/// From `start` at 0 to `end` at 1 along half a cosine.
fn cosine(start: f64, end: f64, progress: f64) -> f64 {
    end + (start - end) / 2.0 * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cycle_is_torch() {
        // torch 2.15 OneCycleLR(max_lr=1, total_steps=100, pct_start=0.1).
        let schedule = Schedule::OneCycle { pct_start: 0.1 };
        for (step, expected) in [
            (0, 0.04),
            (4, 0.436649),
            (9, 1.0),
            (50, 0.569588),
            (99, 4e-6),
        ] {
            assert!(
                (schedule.factor(step, 100) - expected).abs() < 1e-6,
                "step {step}"
            );
        }
    }

    #[test]
    fn warm_up_rises_to_one_and_the_cosine_falls() {
        let schedule = Schedule::WarmupCosine { warmup_steps: 4 };
        let factors: Vec<f64> = (0..20).map(|step| schedule.factor(step, 20)).collect();
        assert_eq!(factors[..5], [0.25, 0.5, 0.75, 1.0, 1.0]);
        assert!(factors[4..].windows(2).all(|pair| pair[1] < pair[0]));
        assert!(factors[19] > 0.0);
    }
}
