//! Seconds of one training step at real size, best of some repetitions, as one
//! number: what `benchmarks/training.py` compares with PyTorch.
//!
//! ```sh
//! cargo run --release -p morphospace-train --example training_speed -- mae_vit_small_patch16 8
//! ```
//!
//! A step is loss, gradients and AdamW, on random images of 256 pixels.

#![allow(clippy::print_stdout, reason = "a number is all it is for")]

use std::error::Error;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use morphospace_core::Seed;
use morphospace_models::{MaeConfig, Network, NetworkConfig};
use morphospace_train::{
    GradientSet, ImageBatch, Moment, Objective, Optimiser, OptimiserConfig, Supervised,
    SupervisedConfig,
};

// As the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "training_speed mae_vit_small_patch16|densenet161_supervised BATCH";
/// Heads as for RxRx1: 1,139 perturbations, 33 training experiments.
const SUPERVISED: &str = "
kind = 'supervised'
config.backbone.kind = 'densenet'
config.backbone.config = {}
";
/// Keeps pages from step to step, as the program does.
fn keep_pages() {
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: the function writes a number into the allocator's options.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 10_000) }
}

/// Repetitions, after one that does not count.
const REPEATS: u64 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, batch] = args.as_slice() else {
        return Err(USAGE.into());
    };
    keep_pages();
    let batch: usize = batch.parse()?;
    let device = Device::default().autodiff();
    let seed = Seed::new(1);
    let seconds = match name.as_str() {
        "mae_vit_small_patch16" => best(MaeConfig::default().init(&device, seed)?, batch, &device)?,
        "densenet161_supervised" => {
            let config: NetworkConfig = toml::from_str(SUPERVISED)?;
            let Network::Supervised(network) = config.init(&device, seed)? else {
                return Err(USAGE.into());
            };
            let objective = Supervised::new(network, SupervisedConfig::default());
            best(objective, batch, &device)?
        }
        _ => return Err(USAGE.into()),
    };
    println!("{seconds}");
    Ok(())
}

fn best<O: Objective>(
    mut objective: O,
    batch: usize,
    device: &Device,
) -> Result<f64, Box<dyn Error>> {
    device.seed(1);
    let normal = Distribution::Normal(0.0, 1.0);
    let batch = ImageBatch {
        views: vec![Tensor::random([batch, 6, 256, 256], normal, device)],
        classes: (0..batch).collect(),
        domains: (0..batch).map(|image| image % 2).collect(),
        mixture: None,
        ghost_batch_size: None,
    };
    let config: OptimiserConfig = toml::from_str("rule = 'adam_w'\nlearning_rate = 1e-4")?;
    let mut optimiser = Optimiser::new(config);
    let mut best = f64::INFINITY;
    for step in 0..=REPEATS {
        let started = Instant::now();
        let moment = Moment {
            step,
            num_steps: 1000,
            steps_per_epoch: 1000.0,
            epoch: 0,
            phase: 0,
            seed: Seed::new(step),
            is_training: true,
        };
        let loss = objective.loss(&batch, &moment);
        let mut gradients = GradientSet::of(&objective, &loss.total.backward(), |_| true);
        // Every report has the length of the gradients.
        gradients.clip(None);
        let size = optimiser.config().full_step();
        objective = optimiser.step(objective, &gradients, size);
        objective.end_step(&moment);
        if step > 0 {
            best = best.min(started.elapsed().as_secs_f64());
        }
    }
    Ok(best)
}
