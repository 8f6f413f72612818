use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::Span;

/// The learning rate over a run, as a share of the highest one
/// ([`OptimiserConfig::learning_rate`](crate::OptimiserConfig::learning_rate)).
///
/// # Source
/// Each kind is equal to that of its reference step by step
/// (`tests/it/golden/schedules.rs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Always the highest.
    #[default]
    Constant,
    /// A linear rise, then half a cosine down to `end`.
    WarmupCosine {
        /// The rise.
        #[serde(default)]
        warmup: Span,
        /// How the rise is cut into steps.
        #[serde(default)]
        rise: Rise,
        /// What the rise begins with.
        #[serde(default)]
        start: f64,
        /// What the cosine would come to one step behind the last.
        #[serde(default)]
        end: f64,
    },
    /// `torch.optim.lr_scheduler.OneCycleLR` with cosine annealing: from
    /// `1 / div_factor` up to 1 over `pct_start` of the steps, then down to
    /// `1 / div_factor / final_div_factor` (Kraus et al. 2023;
    /// maes_microscopy's published configuration).
    OneCycle {
        /// Share of the steps that rise; 0.1 in the reference.
        pct_start: f64,
        /// Highest by first.
        #[serde(default = "default_div_factor")]
        div_factor: f64,
        /// First by last.
        #[serde(default = "default_final_div_factor")]
        final_div_factor: f64,
        /// Bounds between which the first of the optimiser's betas (or the
        /// momentum) moves against the learning rate. torch does this where
        /// nothing else is said, with 0.85 and 0.95, and so did
        /// maes_microscopy, although the papers give a constant 0.9.
        #[serde(default)]
        cycled_momentum: Option<[f64; 2]>,
    },
    /// `torch.optim.lr_scheduler.PolynomialLR`: down to 0 at the end as
    /// `(1 - step / steps)^power`.
    Polynomial {
        /// 1 is a straight line.
        power: f64,
    },
    /// CDCL's `LinearWarmup`: rises from nearly 0 and stays. It adds once more
    /// than it should, so that it ends above 1.
    CdclWarmup {
        /// The rise.
        warmup: Span,
        /// What it begins with; 1e-8 by the highest rate in the reference.
        #[serde(default)]
        start: f64,
    },
}

/// How a rise over `W` steps is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rise {
    /// Step `s` has `s / W` of the way: the first learns at the start rate
    /// (nothing, by default), the peak is the first step of the cosine. torch's
    /// `LinearLR`; Lugli et al.'s code.
    #[default]
    FromStart,
    /// Step `s` has `s / (W - 1)`: the last of the rise is the peak, and so is
    /// the first of the cosine. DINO's `cosine_scheduler`.
    ToPeak,
    /// Step `s` has `(s + 1) / W`: as before, and the first step learns.
    AboveStart,
}

fn default_div_factor() -> f64 {
    25.0
}

fn default_final_div_factor() -> f64 {
    1e4
}

impl Schedule {
    /// The share at `step` of `num_steps`, of which an epoch has so many.
    ///
    /// ```
    /// use morphospace_train::Schedule;
    ///
    /// let text = "kind = 'one_cycle'\npct_start = 0.1";
    /// let one_cycle: Schedule = toml::from_str(text)?;
    /// let factor = |step| one_cycle.factor(step, 100, 10.0);
    /// assert!((factor(0) - 0.04).abs() < 1e-12);
    /// assert!((factor(9) - 1.0).abs() < 1e-12);
    /// assert!((factor(50) - 0.569588).abs() < 1e-6);
    /// assert!((factor(99) - 4e-6).abs() < 1e-12);
    /// # Ok::<(), toml::de::Error>(())
    /// ```
    pub fn factor(self, step: u64, num_steps: u64, steps_per_epoch: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::WarmupCosine {
                warmup,
                rise,
                start,
                end,
            } => {
                let step = step.min(num_steps.saturating_sub(1));
                let warmup = warmup.in_steps(steps_per_epoch);
                if step < warmup {
                    return start + (1.0 - start) * rise.share(step, warmup);
                }
                let rest = num_steps.saturating_sub(warmup).max(1) as f64;
                cosine(1.0, end, (step - warmup) as f64 / rest)
            }
            Self::OneCycle {
                pct_start,
                div_factor,
                final_div_factor,
                ..
            } => {
                let first = 1.0 / div_factor;
                one_cycle(
                    step,
                    num_steps,
                    pct_start,
                    [first, 1.0, first / final_div_factor],
                )
            }
            Self::Polynomial { power } => {
                let left = num_steps.saturating_sub(step) as f64;
                (left / num_steps as f64).powf(power)
            }
            Self::CdclWarmup { warmup, start } => {
                let warmup = warmup.in_steps(steps_per_epoch);
                let added = (step + 1).min(warmup + 1) as f64;
                start + added * (1.0 - start) / warmup.max(1) as f64
            }
        }
    }

    /// The first of the optimiser's betas at `step`, if it is cycled.
    pub fn momentum(self, step: u64, num_steps: u64) -> Option<f64> {
        let Self::OneCycle {
            pct_start,
            cycled_momentum: Some([least, most]),
            ..
        } = self
        else {
            return None;
        };
        Some(one_cycle(step, num_steps, pct_start, [most, least, most]))
    }

    /// What is out of range, if anything is.
    pub(crate) fn problem(self, num_steps: u64, steps_per_epoch: f64) -> Option<String> {
        match self {
            Self::WarmupCosine { warmup, .. } | Self::CdclWarmup { warmup, .. }
                if warmup != Span::NONE && warmup.in_steps(steps_per_epoch) >= num_steps =>
            {
                Some(format!(
                    "schedule.warmup \"{warmup}\" leaves nothing of the run's {num_steps} steps"
                ))
            }
            Self::WarmupCosine { start, end, .. } => [("start", start), ("end", end)]
                .into_iter()
                .find(|(_, value)| !(0.0..=1.0).contains(value))
                .map(|(name, value)| format!("schedule.{name} {value} is not in 0..=1")),
            Self::OneCycle { pct_start, .. } if !(0.0..1.0).contains(&pct_start) => {
                Some(format!("schedule.pct_start {pct_start} is not in 0..1"))
            }
            Self::OneCycle {
                div_factor,
                final_div_factor,
                ..
            } if !(div_factor >= 1.0 && final_div_factor >= 1.0) => {
                let factors = format!("{div_factor} and {final_div_factor}");
                Some(format!(
                    "schedule.div_factor and final_div_factor are {factors}: give numbers from 1 up"
                ))
            }
            Self::OneCycle {
                cycled_momentum: Some([least, most]),
                ..
            } if !(0.0 <= least && least <= most && most < 1.0) => Some(format!(
                "schedule.cycled_momentum [{least}, {most}] does not rise within 0..1"
            )),
            Self::Polynomial { power } if !(power > 0.0 && power <= 100.0) => {
                Some(format!("schedule.power {power} is not in 0..100"))
            }
            _ => None,
        }
    }
}

impl Rise {
    /// Share of the way at `step` of a rise over `warmup` steps.
    fn share(self, step: u64, warmup: u64) -> f64 {
        let (step, warmup) = (step as f64, warmup as f64);
        match self {
            Self::FromStart => step / warmup,
            // numpy.linspace of one value gives the start.
            Self::ToPeak if warmup == 1.0 => 0.0,
            Self::ToPeak => step / (warmup - 1.0),
            Self::AboveStart => (step + 1.0) / warmup,
        }
    }
}

/// From the first value to the second and on to the third. As in torch, both
/// phases end at a step that need not be whole.
fn one_cycle(step: u64, num_steps: u64, pct_start: f64, [first, peak, last]: [f64; 3]) -> f64 {
    let step = step.min(num_steps.saturating_sub(1)) as f64;
    let top = pct_start * num_steps as f64 - 1.0;
    let end = num_steps as f64 - 1.0;
    if step <= top {
        // Of two steps with half of them to rise, the first is at the peak.
        let progress = if top > 0.0 { step / top } else { 1.0 };
        cosine(first, peak, progress)
    } else {
        cosine(peak, last, (step - top) / (end - top))
    }
}

/// From `start` at 0 to `end` at 1 along half a cosine.
fn cosine(start: f64, end: f64, progress: f64) -> f64 {
    end + (start - end) / 2.0 * (1.0 + (PI * progress).cos())
}

/// DINO's schedule of weight decay and of the teacher's momentum: from `start`
/// towards `end` along half a cosine, which it would reach one step behind the
/// last.
///
/// ```
/// use morphospace_train::cosine_between;
///
/// assert_eq!(cosine_between(0.996, 1.0, 0, 10), 0.996);
/// assert!((cosine_between(0.996, 1.0, 5, 10) - 0.998).abs() < 1e-12);
/// ```
pub fn cosine_between(start: f64, end: f64, step: u64, num_steps: u64) -> f64 {
    // The reference's last steps overrun its list; ours stay at the last value.
    let step = step.min(num_steps.saturating_sub(1));
    cosine(start, end, step as f64 / num_steps.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_of_one_step_begins_at_the_peak() {
        assert_eq!(one_cycle(0, 2, 0.5, [0.1, 1.0, 0.0]), 1.0);
        assert_eq!(one_cycle(1, 2, 0.5, [0.1, 1.0, 0.0]), 0.0);
    }

    #[test]
    fn warm_up_rises_to_one_and_the_cosine_falls() {
        let schedule = |rise| Schedule::WarmupCosine {
            warmup: Span::Steps(4),
            rise,
            start: 0.0,
            end: 0.1,
        };
        let factors = |rise| -> Vec<f64> {
            (0..20)
                .map(|step| schedule(rise).factor(step, 20, 5.0))
                .collect()
        };
        assert_eq!(factors(Rise::FromStart)[..5], [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(factors(Rise::AboveStart)[..5], [0.25, 0.5, 0.75, 1.0, 1.0]);
        let to_peak = factors(Rise::ToPeak);
        assert!((to_peak[1] - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!([to_peak[0], to_peak[3], to_peak[4]], [0.0, 1.0, 1.0]);
        assert!(to_peak[4..].windows(2).all(|pair| pair[1] < pair[0]));
        assert!(to_peak[19] > 0.1);
    }

    #[test]
    fn a_run_longer_than_planned_stays_at_the_end() {
        let schedules = [
            Schedule::Constant,
            Schedule::Polynomial { power: 1.5 },
            Schedule::OneCycle {
                pct_start: 0.1,
                div_factor: 25.0,
                final_div_factor: 1e4,
                cycled_momentum: Some([0.85, 0.95]),
            },
        ];
        for schedule in schedules {
            for step in 98..105 {
                assert!((0.0..=1.0).contains(&schedule.factor(step, 100, 7.0)));
            }
        }
        assert_eq!(
            cosine_between(1.0, 0.0, 12, 10),
            cosine_between(1.0, 0.0, 9, 10)
        );
    }
}
