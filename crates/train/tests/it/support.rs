//! Small screens and runs.

use std::path::Path;

use morphospace_models::{MaeConfig, MaeDecoderConfig, NetworkConfig, VitConfig};
use morphospace_screen::simulator::{SimulatorConfig, simulate};
use morphospace_screen::{Screen, open_screen};
use morphospace_train::{OptimiserConfig, Rise, Rule, Schedule, Span, TrainConfig};

/// Six wells of one experiment, images of 32 pixels.
pub(crate) fn tiny_screen(folder: &Path) -> Box<dyn Screen> {
    screen_of(&["RPE-01"], folder)
}

/// Six wells of each experiment, images of 32 pixels.
pub(crate) fn screen_of(experiments: &[&str], folder: &Path) -> Box<dyn Screen> {
    let config = SimulatorConfig {
        experiments: experiments.iter().map(|name| (*name).to_owned()).collect(),
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
    let text = "seed = 5\nlength = '6 steps'\nbatch_size = 4\ncheckpoint_minutes = 1e3";
    let mut table: toml::Table = text.parse().unwrap();
    let network = NetworkConfig::Mae(tiny_mae());
    table.insert(
        "network".to_owned(),
        toml::Value::try_from(network).unwrap(),
    );
    let optimiser = toml::Value::try_from(adam_w(1e-3)).unwrap();
    table.insert("optimiser".to_owned(), optimiser);
    TrainConfig {
        schedule: Schedule::WarmupCosine {
            warmup: Span::Steps(2),
            rise: Rise::AboveStart,
            start: 0.0,
            end: 0.0,
        },
        ..table.try_into().unwrap()
    }
}

pub(crate) fn adam_w(learning_rate: f64) -> OptimiserConfig {
    OptimiserConfig {
        rule: Rule::AdamW,
        learning_rate,
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        weight_decay: 0.0,
        weight_decay_end: None,
        decays_one_dimensional: false,
        groups: Vec::new(),
    }
}

/// All files below a folder.
pub(crate) fn walk(folder: &std::path::Path) -> Box<dyn Iterator<Item = std::path::PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    Box::new(entries.flat_map(|path| match path.is_dir() {
        true => walk(&path),
        false => Box::new(std::iter::once(path)),
    }))
}
