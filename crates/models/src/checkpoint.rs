use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use morphospace_core::{Seed, Stain, write_atomically};

use crate::encoder::Encoder;
use crate::error::ModelError;
use crate::network::Network;
use crate::registry::NetworkConfig;
use crate::weights::{ImportReport, WeightsError, WeightsFile, import_weights, save_weights_as};

/// Weights of a checkpoint folder.
const WEIGHTS_FILE: &str = "model.safetensors";
/// Network of a checkpoint folder.
const CONFIG_FILE: &str = "config.json";
/// What a network's channels show, in [`CONFIG_FILE`].
const CHANNELS_FIELD: &str = "channels";
/// What had been done to its images' pixels, in [`CONFIG_FILE`].
const PIXEL_HISTORY_FIELD: &str = "pixel_history";
/// How its images were normalised, in [`CONFIG_FILE`].
const NORMALISATION_FIELD: &str = "normalisation";
/// Field of whether labels had a part in training.
const USES_LABELS_FIELD: &str = "uses_labels";
/// Names of what the network's heads tell apart, in [`CONFIG_FILE`].
const CLASSES_FIELD: &str = "classes";
/// Names of the batches that they tell apart, in [`CONFIG_FILE`].
const DOMAINS_FIELD: &str = "domains";
/// No honest `config.json` is longer.
const MOST_CONFIG_BYTES: u64 = 1 << 24;

/// What `config.json` of a checkpoint holds: a [`NetworkConfig`] and, where
/// they are known, what the images show that it was trained on and how they
/// were normalised, e.g. `{"kind": "vit", "config": {…}, "channels": ["DNA",
/// "ER"], "normalisation": "instance_norm"}`.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointConfig {
    /// The network.
    pub network: NetworkConfig,
    /// The stains of its input channels, in order; `None` of weights whose
    /// source does not say.
    pub channels: Option<Vec<Stain>>,
    /// The self-standardisation of its images, or the scheme of the statistics
    /// that normalised them; `None` of weights whose source does not say.
    pub normalisation: Option<String>,
    /// What had been done to all pixels before, such as illumination
    /// correction, a sentence each; `None` of weights whose source does not
    /// say.
    pub pixel_history: Option<Vec<String>>,
    /// Whether labels had a part in training, if only in which images it saw
    /// together: weakly supervised then, whatever the loss; `None` of weights
    /// whose source does not say.
    pub uses_labels: Option<bool>,
    /// What the outputs of its head of classes stand for, if it has one.
    pub classes: Option<Vec<String>>,
    /// Likewise of its head of batches.
    pub domains: Option<Vec<String>>,
}

impl CheckpointConfig {
    /// Of a network about whose images nothing is known.
    pub fn new(network: NetworkConfig) -> Self {
        Self {
            network,
            channels: None,
            normalisation: None,
            pixel_history: None,
            uses_labels: None,
            classes: None,
            domains: None,
        }
    }
}

/// Reads `config.json` of a checkpoint folder.
///
/// # Errors
/// [`ModelError::CheckpointFile`], [`ModelError::CheckpointConfig`], or what
/// [`NetworkConfig::check`] refuses.
pub fn read_checkpoint_config(folder: &Path) -> Result<CheckpointConfig, ModelError> {
    let path = folder.join(CONFIG_FILE);
    let mut text = String::new();
    File::open(&path)
        .and_then(|file| file.take(MOST_CONFIG_BYTES).read_to_string(&mut text))
        .map_err(|source| ModelError::CheckpointFile {
            path: path.clone(),
            source,
        })?;
    let parse = || {
        let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text)?;
        let mut take = |name: &str| fields.remove(name);
        let channels = take(CHANNELS_FIELD).map(serde_json::from_value);
        let normalisation = take(NORMALISATION_FIELD).map(serde_json::from_value);
        let pixel_history = take(PIXEL_HISTORY_FIELD).map(serde_json::from_value);
        let uses_labels = take(USES_LABELS_FIELD).map(serde_json::from_value);
        let classes = take(CLASSES_FIELD).map(serde_json::from_value);
        let domains = take(DOMAINS_FIELD).map(serde_json::from_value);
        Ok(CheckpointConfig {
            network: serde_json::from_value(fields.into())?,
            channels: channels.transpose()?,
            normalisation: normalisation.transpose()?,
            pixel_history: pixel_history.transpose()?,
            uses_labels: uses_labels.transpose()?,
            classes: classes.transpose()?,
            domains: domains.transpose()?,
        })
    };
    let config = parse().map_err(|source| ModelError::CheckpointConfig { path, source })?;
    config.network.check()?;
    Ok(config)
}

/// Opens the encoder of a checkpoint folder: `config.json` and
/// `model.safetensors` as [`save_checkpoint`] writes them. Of an autoencoder
/// the decoder's tensors are not read. A `vit` config also opens a published
/// autoencoder's file, whose keys start with `encoder.vit_backbone.`.
///
/// # Errors
/// What [`read_checkpoint_config`] and [`load_weights`](crate::load_weights) return.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use morphospace_core::Seed;
/// use morphospace_models::{
///     CheckpointConfig, Encoder, NetworkConfig, VitConfig, open_checkpoint, save_checkpoint,
/// };
///
/// let folder = tempfile::tempdir()?;
/// let device = Device::default();
/// let config = VitConfig { img_size: 32, embed_dim: 24, depth: 1, num_heads: 2, ..VitConfig::default() };
/// let vit = config.init(&device, Seed::new(3))?;
/// let config = CheckpointConfig::new(NetworkConfig::Vit(config));
/// save_checkpoint(folder.path(), &config, &vit)?;
/// assert_eq!(open_checkpoint(folder.path(), &device)?.num_features(), 24);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open_checkpoint(folder: &Path, device: &Device) -> Result<Box<dyn Encoder>, ModelError> {
    Ok(read_encoder(folder, device)?.1.into_encoder())
}

fn read_encoder(folder: &Path, device: &Device) -> Result<(CheckpointConfig, Network), ModelError> {
    let config = read_checkpoint_config(folder)?;
    let file = WeightsFile::open(&folder.join(WEIGHTS_FILE))?;
    let network = config.network.load_encoder(device, &file)?;
    Ok((config, network))
}

/// Writes a checkpoint folder with the weights of another program
/// ([`import_weights`]).
///
/// # Errors
/// What [`import_weights`] and [`save_checkpoint`] return.
pub fn import_checkpoint(
    folder: &Path,
    config: &CheckpointConfig,
    file: &WeightsFile,
    device: &Device,
) -> Result<ImportReport, ModelError> {
    // Every weight is imported, so nothing is ever drawn from the seed.
    let network = config.network.init(device, Seed::new(0))?;
    let (network, report) = import_weights(&network, file)?;
    save_checkpoint(folder, config, &network)?;
    Ok(report)
}

/// Writes a checkpoint folder with the first blocks of the encoder of another
/// one ([`Vit::trimmed`](crate::Vit::trimmed)).
///
/// # Errors
/// [`ModelError::InvalidConfig`] for a network that has no such blocks, and
/// what [`open_checkpoint`] and [`save_checkpoint`] return.
pub fn trim_checkpoint(
    from: &Path,
    num_blocks: usize,
    to: &Path,
    device: &Device,
) -> Result<CheckpointConfig, ModelError> {
    let (config, network) = read_encoder(from, device)?;
    let (kept, network) = match network {
        Network::Vit(vit) => {
            let vit = vit.trimmed(num_blocks)?;
            (NetworkConfig::Vit(vit.config().clone()), Network::Vit(vit))
        }
        Network::PlainVit(vit) => {
            let vit = vit.trimmed(num_blocks)?;
            (
                NetworkConfig::PlainVit(vit.config().clone()),
                Network::PlainVit(vit),
            )
        }
        _ => {
            return Err(ModelError::InvalidConfig {
                network: "network",
                message: "only vision transformers are cut behind a block".to_owned(),
            });
        }
    };
    let config = CheckpointConfig {
        network: kept,
        ..config
    };
    save_checkpoint(to, &config, &network)?;
    Ok(config)
}

/// Writes `model.safetensors` and `config.json` into a folder, each whole or
/// not at all, the weights first.
///
/// # Errors
/// [`WeightsError::CannotWrite`], [`ModelError::CheckpointFile`].
pub fn save_checkpoint<M: Module>(
    folder: &Path,
    config: &CheckpointConfig,
    network: &M,
) -> Result<(), ModelError> {
    save_checkpoint_as(folder, config, network, &|name| Some(name.to_owned()))
}

/// [`save_checkpoint`] of a network that is a part of a module: `key_of` gives
/// the network's names of the parameters that are its own.
///
/// # Errors
/// As [`save_checkpoint`].
pub fn save_checkpoint_as<M: Module>(
    folder: &Path,
    config: &CheckpointConfig,
    module: &M,
    key_of: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ModelError> {
    let weights = folder.join(WEIGHTS_FILE);
    fs::create_dir_all(folder).map_err(|source| WeightsError::CannotWrite {
        path: weights.clone(),
        source,
    })?;
    save_weights_as(module, &weights, key_of)?;
    let path = folder.join(CONFIG_FILE);
    let write = || -> io::Result<()> {
        let mut fields = serde_json::to_value(&config.network)?;
        let known = [
            (CHANNELS_FIELD, serde_json::to_value(&config.channels)?),
            (
                NORMALISATION_FIELD,
                serde_json::to_value(&config.normalisation)?,
            ),
            (
                PIXEL_HISTORY_FIELD,
                serde_json::to_value(&config.pixel_history)?,
            ),
            (USES_LABELS_FIELD, serde_json::to_value(config.uses_labels)?),
            (CLASSES_FIELD, serde_json::to_value(&config.classes)?),
            (DOMAINS_FIELD, serde_json::to_value(&config.domains)?),
        ];
        for (name, value) in known.into_iter().filter(|(_, value)| !value.is_null()) {
            fields[name] = value;
        }
        let text = serde_json::to_string_pretty(&fields)?;
        write_atomically(&path, |file| writeln!(file, "{text}"))
    };
    write().map_err(|source| ModelError::CheckpointFile {
        path: path.clone(),
        source,
    })
}
