//! Learning rates, momenta and weight decay, step by step.

use morphospace_train::{Rise, Schedule, Span, cosine_between};
use serde_json::Value;

use super::case::{Case, Outputs};

fn number(item: &Value, name: &str) -> f64 {
    item[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name} is no number in {item}"))
}

fn count(item: &Value, name: &str) -> u64 {
    item[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name} is no count in {item}"))
}

fn items<'a>(case: &'a Case, name: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    case.config(name)
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
}

/// `num` values from the first step on.
fn values(num: u64, value: impl Fn(u64) -> f64) -> Vec<f32> {
    (0..num).map(|step| value(step) as f32).collect()
}

pub(super) fn run(case: &Case) -> Outputs {
    let mut found = Outputs::new();
    for (index, item) in items(case, "onecycle") {
        let num_steps = count(item, "total_steps");
        let momenta = [number(item, "base_momentum"), number(item, "max_momentum")];
        let schedule = Schedule::OneCycle {
            pct_start: number(item, "pct_start"),
            div_factor: number(item, "div_factor"),
            final_div_factor: number(item, "final_div_factor"),
            cycled_momentum: (item["cycle_momentum"] == true).then_some(momenta),
        };
        let (peak, beta1) = (number(item, "max_lr"), number(item, "beta1"));
        let rates = values(num_steps, |step| {
            peak * schedule.factor(step, num_steps, 1.0)
        });
        let momenta = values(num_steps, |step| {
            schedule.momentum(step, num_steps).unwrap_or(beta1)
        });
        found.insert(format!("onecycle{index}_lr"), rates);
        found.insert(format!("onecycle{index}_beta1"), momenta);
    }
    for (index, item) in items(case, "dino_cosine") {
        let (base, end) = (number(item, "base"), number(item, "final"));
        let steps_per_epoch = count(item, "niter_per_ep");
        let num_steps = count(item, "epochs") * steps_per_epoch;
        let warmup = count(item, "warmup_epochs");
        let value = |step: u64| match warmup {
            // As of weight decay and the teacher's momentum.
            0 => cosine_between(base, end, step, num_steps),
            _ => {
                let schedule = Schedule::WarmupCosine {
                    warmup: Span::Epochs(warmup as f64),
                    rise: Rise::ToPeak,
                    start: number(item, "start_warmup") / base,
                    end: end / base,
                };
                base * schedule.factor(step, num_steps, steps_per_epoch as f64)
            }
        };
        found.insert(format!("dino_cosine{index}"), values(num_steps, value));
    }
    for (index, item) in items(case, "cdcl_linear_warmup") {
        let peak = number(item, "max_lr");
        let schedule = Schedule::CdclWarmup {
            warmup: Span::Steps(count(item, "warmup_iters")),
            start: number(item, "eta_min") / peak,
        };
        let num = count(item, "n");
        let rates = values(num, |step| peak * schedule.factor(step, num, 1.0));
        found.insert(format!("cdcl_linear_warmup{index}"), rates);
    }
    for (index, item) in items(case, "warmup_cosine") {
        let base = number(item, "base");
        let schedule = Schedule::WarmupCosine {
            warmup: Span::Steps(count(item, "warmup")),
            rise: Rise::FromStart,
            start: number(item, "start_factor"),
            end: 0.0,
        };
        let num_steps = count(item, "total");
        let rates = values(num_steps, |step| {
            base * schedule.factor(step, num_steps, 1.0)
        });
        found.insert(format!("warmup_cosine{index}"), rates);
    }
    for (index, item) in items(case, "polynomial") {
        let (base, num_steps) = (number(item, "base"), count(item, "total"));
        let schedule = Schedule::Polynomial {
            power: number(item, "power"),
        };
        // The reference goes on for some steps.
        let len = case.values(&format!("output.polynomial{index}")).0.len();
        let rates = values(len as u64, |step| {
            base * schedule.factor(step, num_steps, 1.0)
        });
        found.insert(format!("polynomial{index}"), rates);
    }
    found
}

/// Lugli et al.'s, where gradients of several batches make a step.
pub(super) fn run_aibio(case: &Case) -> Outputs {
    let mut found = Outputs::new();
    for (index, item) in items(case, "items") {
        let base = number(item, "lr");
        let schedule = Schedule::WarmupCosine {
            warmup: Span::Epochs(number(item, "warmup_epochs")),
            rise: Rise::FromStart,
            start: 0.0,
            end: number(item, "min_lr") / base,
        };
        let steps_per_epoch = number(item, "iters_per_epoch") / number(item, "acc_steps");
        let num_steps = Span::Epochs(number(item, "epochs")).in_steps(steps_per_epoch);
        let rates = values(num_steps, |step| {
            base * schedule.factor(step, num_steps, steps_per_epoch)
        });
        found.insert(format!("lr{index}"), rates);
    }
    found
}
