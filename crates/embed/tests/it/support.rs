//! Small screens and networks.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use morphospace_core::Seed;
use morphospace_embed::{EmbedConfig, Level};
use morphospace_models::blocks::norm_pass::NormStatistics;
use morphospace_models::{Pooling, Precision, Representation, Vit, VitConfig};
use morphospace_screen::sampler::Domain;
use morphospace_screen::simulator::{SimulatorConfig, simulate};
use morphospace_screen::{LoaderOptions, Normalisation, OnIncomplete, Screen, Tiling, open_screen};

/// Eight wells with two sites each, images of 48 pixels.
pub(crate) fn simulated(folder: &Path) -> Box<dyn Screen> {
    simulated_plates(folder, &["U2OS-01"], 1)
}

/// Plates like that of [`simulated`].
pub(crate) fn simulated_plates(
    folder: &Path,
    experiments: &[&str],
    num_plates: usize,
) -> Box<dyn Screen> {
    let experiments = experiments.iter().map(|&name| name.to_owned());
    let config = SimulatorConfig {
        experiments: experiments.collect(),
        num_plates,
        num_sites: 2,
        num_groups: 2,
        group_size: 2,
        num_replicates: 1,
        num_negative_controls: 3,
        num_positive_controls: 1,
        image_px: 48,
        ..SimulatorConfig::default()
    };
    simulate(&config.check().unwrap(), folder, &|_, _| {}).unwrap();
    open_screen(folder, None).unwrap()
}

pub(crate) fn tiny_vit(in_chans: usize) -> Vit {
    let config = VitConfig {
        img_size: 32,
        patch_size: 8,
        in_chans,
        embed_dim: 24,
        depth: 2,
        num_heads: 2,
        init_values: 0.1,
        ..VitConfig::default()
    };
    config.init(&Device::default(), Seed::new(1)).unwrap()
}

/// Four tiles of each site of [`simulated`].
pub(crate) fn config() -> EmbedConfig {
    EmbedConfig {
        tiling: Tiling {
            crop_px: 32,
            ..Tiling::default()
        },
        normalisation: Normalisation::default(),
        representations: vec![Representation::output(Pooling::PatchMean)],
        levels: vec![Level::Wells],
        batch_size: 5,
        precision: Precision::F32,
        norm: NormStatistics::Running,
        domain: Domain::Plate,
        masks: None,
        on_incomplete: OnIncomplete::Fail,
        loader: LoaderOptions::default(),
    }
}

/// Removes an image of a site.
pub(crate) fn remove_image(screen: &dyn Screen, site_index: usize, channel_index: usize) {
    fs::remove_file(screen.plane_location(site_index, channel_index).unwrap()).unwrap();
}
