use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};
use morphospace_core::{Provenance, write_atomically};
use morphospace_screen::sampler::Batches;
use morphospace_screen::{
    LoaderOptions, OnIncomplete, ReadSite, Screen, SkippedSite, pixel_history, read_site,
};
use serde::{Deserialize, Serialize};

use crate::loader::{LoaderSettings, spawn_loader};
use crate::{
    CheckedTrainConfig, Checkpoint, Objective, Optimiser, Resumed, TrainError, TrainedOn,
    latest_checkpoint,
};

const METRICS_FILE: &str = "metrics.jsonl";
/// The resolved configuration.
pub(crate) const CONFIG_FILE: &str = "config.toml";
/// The screen, its sites and channels, as [`Provenance::to_json`] writes them.
const PROVENANCE_FILE: &str = "provenance.json";

/// One line of `metrics.jsonl`, and what an observer sees of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// The step, from 0.
    pub step: u64,
    /// The loss.
    pub loss: f32,
    /// Its parts by name.
    pub parts: Vec<(String, f32)>,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Images of this step per second.
    pub images_per_second: f64,
    /// Share of the step's time that the training thread waited for images.
    pub data_wait_share: f64,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct TrainSummary {
    /// The checkpoint of the last step.
    pub checkpoint: Checkpoint,
    /// Step from which the run went on; 0 for a fresh one.
    pub first_step: u64,
    /// Reports of the steps done by this call.
    pub steps: Vec<StepReport>,
    /// Wall time of this call in seconds.
    pub wall_seconds: f64,
    /// Sites left out because images of theirs are missing.
    pub num_sites_left_out: usize,
    /// The first of them.
    pub first_site_left_out: Option<String>,
}

/// Trains a network on the complete sites of a screen and leaves the run in
/// `folder`: `config.toml`, `provenance.json`, `metrics.jsonl` and
/// `checkpoints/`.
///
/// A run whose folder holds a checkpoint goes on from it. `network` must live
/// on a device with autodiff.
///
/// # Errors
/// [`TrainError`]; before any work where the screen does not fit the network.
pub fn train<O: Objective>(
    network: O,
    screen: &dyn Screen,
    config: &CheckedTrainConfig,
    folder: &Path,
    device: &Device,
    loader: LoaderOptions,
    observer: &mut dyn FnMut(&StepReport),
) -> Result<TrainSummary, TrainError> {
    let started = Instant::now();
    let settings = config.get();
    let crop_px = settings.network.img_size();
    let channels = screen.channels();
    let num_channels = channels.len();

    // What is there to train on?
    let site_indices = trainable_sites(screen, config)?;
    let sampler = settings.sampler.open(
        screen.sites(),
        &site_indices,
        settings.batch_size,
        config.seed().split("sites"),
    )?;
    let normalisation = settings.normalisation.open()?;
    let trained_on = TrainedOn {
        channels: channels
            .iter()
            .map(|channel| channel.stain.clone())
            .collect(),
        normalisation: normalisation.name(),
        pixel_history: pixel_history(screen),
        uses_labels: sampler.uses_labels(),
    };
    let sha256 = config.sha256(normalisation.content_hash());
    let normalisation = normalisation.check(screen)?;
    let sites = screen.sites();
    let num_sites_left_out = sites.len() - site_indices.len();
    // Indices are in order: the first gap is the first site left out.
    let first_gap = (0..sites.len()).find(|site| site_indices.get(*site) != Some(site));
    let first_site_left_out = first_gap.map(|site| sites[site].key.to_string());
    // Fresh, or from the last checkpoint.
    let last = latest_checkpoint(folder)?;
    let first_step = last.as_ref().map_or(0, |last| last.num_steps_done);
    let resumed = match last {
        Some(checkpoint) => checkpoint.read(
            &network,
            config,
            &sha256,
            &trained_on,
            &*sampler,
            &device.clone().inner(),
        )?,
        None => Resumed {
            network,
            optimiser: Optimiser::new(settings.optimiser),
            batches: Batches::new(&*sampler),
        },
    };
    let Resumed {
        mut network,
        mut optimiser,
        mut batches,
    } = resumed;

    // What the run is, for whoever finds its folder.
    fs::create_dir_all(folder).map_err(TrainError::file(folder))?;
    let provenance = Provenance {
        config_sha256: Some(sha256.clone()),
        ..screen.provenance("train").with_seed("train", settings.seed)
    };
    for (name, text) in [
        (CONFIG_FILE, config.to_toml()),
        (PROVENANCE_FILE, provenance.to_json()),
    ] {
        let path = folder.join(name);
        write_atomically(&path, |file| file.write_all(text.as_bytes()))
            .map_err(TrainError::file(&path))?;
    }
    let metrics_path = folder.join(METRICS_FILE);
    forget_metrics_from(&metrics_path, first_step)?;
    let mut metrics = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&metrics_path)
        .map_err(TrainError::file(&metrics_path))?;

    let loader_settings = LoaderSettings {
        first_step,
        num_steps: settings.num_steps,
        crop_px,
        seed: config.seed().split("crops"),
    };
    let mut steps = Vec::new();
    let mut last_checkpoint = Instant::now();
    let between_checkpoints = Duration::from_secs_f64(settings.checkpoint_minutes * 60.0);
    thread::scope(|scope| {
        let mut loaded = spawn_loader(
            scope,
            screen,
            &batches,
            &normalisation,
            loader_settings,
            loader,
        );
        for step in first_step..settings.num_steps {
            // Images.
            let step_started = Instant::now();
            let batch = loaded
                .next()
                .expect("the loader sends every step or an error")?;
            debug_assert_eq!(batch.step, step);
            let waited = step_started.elapsed();
            let shape = [settings.batch_size, num_channels, crop_px, crop_px];
            let images = Tensor::from_data(TensorData::new(batch.images, shape), device);

            // Loss and gradients.
            let loss = network.loss(images, config.seed().split("step").split_index(step));
            let value = loss.total.clone().into_scalar::<f32>();
            if !value.is_finite() {
                let first_site = batch.first_site.to_string();
                return Err(TrainError::LossNotFinite {
                    step,
                    value,
                    first_site,
                });
            }
            let parts = loss
                .parts
                .into_iter()
                .map(|(name, part)| (name.to_owned(), part.into_scalar::<f32>()))
                .collect();
            let gradients = loss.total.backward();

            // Weights.
            let factor = settings.schedule.factor(step, settings.num_steps);
            network = optimiser.step(network, &gradients, factor);

            // Account.
            let seconds = step_started.elapsed().as_secs_f64();
            let report = StepReport {
                step,
                loss: value,
                parts,
                learning_rate: settings.optimiser.learning_rate * factor,
                images_per_second: settings.batch_size as f64 / seconds,
                data_wait_share: waited.as_secs_f64() / seconds,
            };
            let line = serde_json::to_string(&report).expect("plain values serialise");
            writeln!(metrics, "{line}").map_err(TrainError::file(&metrics_path))?;
            observer(&report);
            steps.push(report);

            // Checkpoint.
            batches.next();
            let is_last = step + 1 == settings.num_steps;
            if is_last || last_checkpoint.elapsed() >= between_checkpoints {
                let next = batches.position();
                Checkpoint::write(
                    folder,
                    step + 1,
                    &sha256,
                    &network,
                    &trained_on,
                    &optimiser,
                    next,
                )?;
                last_checkpoint = Instant::now();
            }
        }
        Ok(())
    })?;

    let checkpoint = latest_checkpoint(folder)?.expect("one was written at the last step");
    Ok(TrainSummary {
        checkpoint,
        first_step,
        steps,
        wall_seconds: started.elapsed().as_secs_f64(),
        num_sites_left_out,
        first_site_left_out,
    })
}

/// Sites with all their images, in order.
fn trainable_sites(
    screen: &dyn Screen,
    config: &CheckedTrainConfig,
) -> Result<Vec<usize>, TrainError> {
    let unsuitable = |message| TrainError::UnsuitableScreen {
        screen: screen.name().to_owned(),
        message,
    };
    let network = &config.get().network;
    let num_channels = screen.channels().len();
    let (expected, setting) = network.training_channels();
    if num_channels != expected {
        return Err(unsuitable(format!(
            "it has {num_channels} channels, the network is trained on {expected}; hint: set \
             network.config.{setting} = {num_channels}"
        )));
    }
    let is_complete =
        |site: &usize| (0..num_channels).all(|channel| screen.is_present(*site, channel));
    let num_sites = screen.sites().len();
    let complete: Vec<usize> = (0..num_sites).filter(is_complete).collect();
    let Some(first) = complete.first() else {
        return Err(unsuitable(format!(
            "none of its {num_sites} sites has all {num_channels} images"
        )));
    };
    let (width, height) = match read_site(screen, *first, OnIncomplete::Fail)? {
        ReadSite::Image(site) => (site.width(), site.height()),
        ReadSite::Skipped(SkippedSite { site, .. }) => {
            return Err(unsuitable(format!("{site} cannot be read")));
        }
    };
    let img_size = network.img_size();
    if width.min(height) < img_size {
        return Err(unsuitable(format!(
            "its images are {width} x {height}, smaller than the network's {img_size} pixels"
        )));
    }
    Ok(complete)
}

/// Drops what a killed run reported after its last checkpoint, and a line it
/// may have left half written.
fn forget_metrics_from(path: &PathBuf, first_step: u64) -> Result<(), TrainError> {
    let Ok(text) = fs::read_to_string(path) else {
        return Ok(());
    };
    let kept: String = text
        .lines()
        .filter(|line| {
            serde_json::from_str::<StepReport>(line).is_ok_and(|report| report.step < first_step)
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    write_atomically(path, |file| file.write_all(kept.as_bytes())).map_err(TrainError::file(path))
}
