//! Small screens and runs.

use std::path::Path;

use burn::tensor::Device;
use morphospace_core::Seed;
use morphospace_models::{Mae, MaeConfig, MaeDecoderConfig, NetworkConfig, VitConfig};
use morphospace_screen::sampler::SamplerChoice;
use morphospace_screen::simulator::{SimulatorConfig, simulate};
use morphospace_screen::{NormalisationChoice, Screen, open_screen};
use morphospace_train::{OptimiserConfig, Rule, Schedule, TrainConfig};

/// Six wells of one experiment, images of 32 pixels.
pub(crate) fn tiny_screen(folder: &Path) -> Box<dyn Screen> {
    let config = SimulatorConfig {
        experiments: vec!["RPE-01".to_owned()],
        num_plates: 1,
        num_groups: 2,
        group_size: 2,
        num_replicates: 1,
        num_negative_controls: 1,
        num_positive_controls: 1,
        image_px: 32,
        ..SimulatorConfig::default()
    };
    simulate(&config.check().unwrap(), folder, &|_, _| {}).unwrap();
    open_screen(folder, None).unwrap()
}

pub(crate) fn tiny_mae() -> MaeConfig {
    MaeConfig {
        encoder: VitConfig {
            img_size: 16,
            patch_size: 4,
            in_chans: 6,
            embed_dim: 24,
            depth: 2,
            num_heads: 2,
            init_values: 0.1,
            drop_path_rate: 0.1,
            ..VitConfig::default()
        },
        decoder: MaeDecoderConfig {
            embed_dim: 16,
            depth: 1,
            num_heads: 2,
            ..MaeDecoderConfig::default()
        },
        ..MaeConfig::default()
    }
}

pub(crate) fn tiny_run() -> TrainConfig {
    TrainConfig {
        seed: 5,
        num_steps: 6,
        batch_size: 4,
        checkpoint_minutes: 1e3,
        normalisation: NormalisationChoice::default(),
        sampler: SamplerChoice::default(),
        gradient_checkpointing: false,
        network: NetworkConfig::Mae(tiny_mae()),
        optimiser: adam_w(1e-3),
        schedule: Schedule::WarmupCosine { warmup_steps: 2 },
    }
}

pub(crate) fn adam_w(learning_rate: f64) -> OptimiserConfig {
    OptimiserConfig {
        rule: Rule::AdamW,
        learning_rate,
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        weight_decay: 0.0,
        decays_one_dimensional: false,
    }
}

/// The network of [`tiny_run`], ready to learn.
pub(crate) fn fresh_mae(device: &Device) -> Mae {
    tiny_mae()
        .init(&device.clone().autodiff(), Seed::new(1))
        .unwrap()
}
