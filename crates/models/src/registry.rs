use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use morphospace_core::{Seed, Stain, suggestion, write_atomically};
use serde::{Deserialize, Serialize};

use crate::camae::CaMaeConfig;
use crate::densenet::DenseNetConfig;
use crate::encoder::Encoder;
use crate::error::ModelError;
use crate::mae::MaeConfig;
use crate::munet::MuNetConfig;
use crate::plain_vit::PlainVitConfig;
use crate::resnet::ResNetConfig;
use crate::vit::VitConfig;
use crate::weights::{Unexpected, WeightsError, WeightsFile, load_weights, save_weights};

/// Weights of a checkpoint folder.
const WEIGHTS_FILE: &str = "model.safetensors";
/// Network of a checkpoint folder.
const CONFIG_FILE: &str = "config.json";
/// Where an autoencoder's file keeps its encoder.
const MAE_ENCODER_PREFIX: &str = "encoder.vit_backbone.";
/// What a network's channels show, in [`CONFIG_FILE`].
const CHANNELS_FIELD: &str = "channels";
/// What had been done to its images' pixels, in [`CONFIG_FILE`].
const PIXEL_HISTORY_FIELD: &str = "pixel_history";
/// How its images were normalised, in [`CONFIG_FILE`].
const NORMALISATION_FIELD: &str = "normalisation";
/// Field of whether labels had a part in training.
const USES_LABELS_FIELD: &str = "uses_labels";
/// No honest `config.json` is longer.
const MOST_CONFIG_BYTES: u64 = 1 << 20;

/// A network by kind and configuration: what `config.json` of a checkpoint
/// holds, `{"kind": "vit", "config": {"img_size": 256, …}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    content = "config",
    rename_all = "snake_case",
    deny_unknown_fields
)]
pub enum NetworkConfig {
    /// [`Vit`](crate::Vit).
    Vit(VitConfig),
    /// [`Mae`](crate::Mae).
    Mae(MaeConfig),
    /// [`CaMae`](crate::CaMae).
    #[serde(rename = "camae")]
    CaMae(CaMaeConfig),
    /// [`PlainVit`](crate::PlainVit).
    PlainVit(PlainVitConfig),
    /// [`DenseNet`](crate::DenseNet).
    #[serde(rename = "densenet")]
    DenseNet(DenseNetConfig),
    /// [`ResNet`](crate::ResNet).
    #[serde(rename = "resnet")]
    ResNet(ResNetConfig),
    /// [`MuNet`](crate::MuNet).
    #[serde(rename = "munet")]
    MuNet(MuNetConfig),
}

impl NetworkConfig {
    /// A network by name, on six channels: a variant of
    /// [`VitConfig::decode_variant`], alone or behind `mae_` or `camae_`; of
    /// [`PlainVitConfig::decode_variant`]; `densenet161`; `resnet18` and so on;
    /// `munet_m` or `munet_l`.
    ///
    /// # Errors
    /// [`ModelError::UnknownVariant`] with the nearest name.
    ///
    /// ```
    /// use morphospace_models::NetworkConfig;
    ///
    /// let config = NetworkConfig::decode_variant("mae_vit_small_patch16")?;
    /// assert_eq!(config.img_size(), 256);
    /// # Ok::<(), morphospace_models::ModelError>(())
    /// ```
    pub fn decode_variant(name: &str) -> Result<Self, ModelError> {
        if let Some(variant) = name.strip_prefix("camae_") {
            let plain = VitConfig::decode_variant(variant)?;
            let config = CaMaeConfig::default();
            let in_chans = config.encoder.in_chans;
            let encoder = VitConfig {
                channel_agnostic: true,
                in_chans,
                ..plain
            };
            return Ok(Self::CaMae(CaMaeConfig { encoder, ..config }));
        }
        if let Some(variant) = name.strip_prefix("mae_") {
            let encoder = VitConfig::decode_variant(variant)?;
            return Ok(Self::Mae(MaeConfig {
                encoder,
                ..MaeConfig::default()
            }));
        }
        if name.starts_with("dino") {
            return PlainVitConfig::decode_variant(name).map(Self::PlainVit);
        }
        if let Some(depth) = name.strip_prefix("resnet") {
            return ResNetConfig::of_depth(depth.parse().unwrap_or(0)).map(Self::ResNet);
        }
        match name {
            "densenet161" => Ok(Self::DenseNet(DenseNetConfig::default())),
            "munet_m" => Ok(Self::MuNet(MuNetConfig::default())),
            "munet_l" => Ok(Self::MuNet(MuNetConfig::large())),
            _ if name.starts_with("vit") => VitConfig::decode_variant(name).map(Self::Vit),
            _ => Err(ModelError::UnknownVariant {
                name: name.to_owned(),
                hint: unknown_name(name),
            }),
        }
    }

    /// Side of the square images it is made for, in pixels.
    pub fn img_size(&self) -> usize {
        match self {
            Self::Vit(config) => config.img_size,
            Self::Mae(config) => config.encoder.img_size,
            Self::CaMae(config) => config.encoder.img_size,
            Self::PlainVit(config) => config.img_size,
            Self::DenseNet(config) => config.img_size,
            Self::ResNet(config) => config.img_size,
            Self::MuNet(config) => config.img_size,
        }
    }

    /// Channels of the images it is trained on, and the setting that says so.
    pub fn training_channels(&self) -> (usize, &'static str) {
        match self {
            Self::Vit(config) => (config.in_chans, "in_chans"),
            Self::Mae(config) => (config.encoder.in_chans, "encoder.in_chans"),
            Self::CaMae(config) => (config.channels, "channels"),
            Self::PlainVit(config) => (config.in_chans, "in_chans"),
            Self::DenseNet(config) => (config.in_chans, "in_chans"),
            Self::ResNet(config) => (config.in_chans, "in_chans"),
            Self::MuNet(config) => (config.in_chans, "in_chans"),
        }
    }

    /// Whether it takes any channels in any order.
    pub fn is_channel_agnostic(&self) -> bool {
        match self {
            Self::Vit(config) => config.channel_agnostic,
            Self::Mae(config) => config.encoder.channel_agnostic,
            Self::CaMae(_) => true,
            Self::PlainVit(_) | Self::DenseNet(_) | Self::ResNet(_) | Self::MuNet(_) => false,
        }
    }

    /// Whether the numbers fit together.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`].
    pub fn check(&self) -> Result<(), ModelError> {
        match self {
            Self::Vit(config) => config.check(),
            Self::Mae(config) => config.check(),
            Self::CaMae(config) => config.check(),
            Self::PlainVit(config) => config.check(),
            Self::DenseNet(config) => config.check(),
            Self::ResNet(config) => config.check(),
            Self::MuNet(config) => config.check(),
        }
    }

    /// The untrained encoder, its weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`NetworkConfig::check`].
    pub fn init_encoder(
        &self,
        device: &Device,
        seed: Seed,
    ) -> Result<Box<dyn Encoder>, ModelError> {
        self.check()?;
        Ok(match self {
            Self::Vit(config) => Box::new(config.init(device, seed)?),
            Self::Mae(config) => Box::new(config.encoder.init(device, seed)?),
            Self::CaMae(config) => Box::new(config.encoder.init(device, seed)?),
            Self::PlainVit(config) => Box::new(config.init(device, seed)?),
            Self::DenseNet(config) => Box::new(config.init(device, seed)?),
            Self::ResNet(config) => Box::new(config.init(device, seed)?),
            Self::MuNet(config) => Box::new(config.init(device, seed)?),
        })
    }

    /// The encoder with the weights of a file; of an autoencoder's the
    /// decoder's tensors are not read.
    fn load_encoder(
        &self,
        device: &Device,
        file: &WeightsFile,
    ) -> Result<Box<dyn Encoder>, ModelError> {
        fn load<M: Module + Encoder + 'static>(
            network: &M,
            file: &WeightsFile,
            prefix: &str,
        ) -> Result<Box<dyn Encoder>, ModelError> {
            let (network, _) = load_weights(network, file, prefix, Unexpected::Refuse)?;
            Ok(Box::new(network))
        }
        // Every weight is loaded, so nothing is ever drawn from the seed.
        let seed = Seed::new(0);
        let of_vit = |config: &VitConfig| {
            let names = file.names();
            let is_autoencoder = |name: &String| name.starts_with(MAE_ENCODER_PREFIX);
            let prefix = match names.iter().any(is_autoencoder) {
                true => MAE_ENCODER_PREFIX,
                false => "",
            };
            load(&config.init(device, seed)?, file, prefix)
        };
        match self {
            Self::Vit(config) => of_vit(config),
            Self::Mae(config) => of_vit(&config.encoder),
            Self::CaMae(config) => of_vit(&config.encoder),
            Self::PlainVit(config) => load(&config.init(device, seed)?, file, ""),
            Self::DenseNet(config) => load(&config.init(device, seed)?, file, ""),
            Self::ResNet(config) => load(&config.init(device, seed)?, file, ""),
            Self::MuNet(config) => load(&config.init(device, seed)?, file, ""),
        }
    }
}

/// What there is in place of a name that is none.
fn unknown_name(name: &str) -> String {
    const NAMES: [&str; 10] = [
        "vit_small_patch16",
        "mae_vit_small_patch16",
        "camae_vit_small_patch16",
        "dino_vit_small_patch16",
        "dinov2_vit_small_patch14_reg4",
        "densenet161",
        "resnet18",
        "resnet50",
        "munet_m",
        "munet_l",
    ];
    match suggestion(name, NAMES) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("names are such as {}", NAMES.join(", ")),
    }
}

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
        let channels = fields.remove(CHANNELS_FIELD).map(serde_json::from_value);
        let normalisation = fields.remove(NORMALISATION_FIELD);
        let normalisation = normalisation.map(serde_json::from_value);
        let pixel_history = fields.remove(PIXEL_HISTORY_FIELD);
        let pixel_history = pixel_history.map(serde_json::from_value);
        let uses_labels = fields.remove(USES_LABELS_FIELD);
        let uses_labels = uses_labels.map(serde_json::from_value);
        Ok(CheckpointConfig {
            network: serde_json::from_value(fields.into())?,
            channels: channels.transpose()?,
            normalisation: normalisation.transpose()?,
            pixel_history: pixel_history.transpose()?,
            uses_labels: uses_labels.transpose()?,
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
/// What [`read_checkpoint_config`] and [`load_weights`] return.
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
    let config = read_checkpoint_config(folder)?.network;
    let file = WeightsFile::open(&folder.join(WEIGHTS_FILE))?;
    config.load_encoder(device, &file)
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
    let weights = folder.join(WEIGHTS_FILE);
    fs::create_dir_all(folder).map_err(|source| WeightsError::CannotWrite {
        path: weights.clone(),
        source,
    })?;
    save_weights(network, &weights)?;
    let path = folder.join(CONFIG_FILE);
    let write = || -> io::Result<()> {
        let mut fields = serde_json::to_value(&config.network)?;
        if let Some(channels) = &config.channels {
            fields[CHANNELS_FIELD] = serde_json::to_value(channels)?;
        }
        if let Some(normalisation) = &config.normalisation {
            fields[NORMALISATION_FIELD] = normalisation.as_str().into();
        }
        if let Some(pixel_history) = &config.pixel_history {
            fields[PIXEL_HISTORY_FIELD] = pixel_history.as_slice().into();
        }
        if let Some(uses_labels) = config.uses_labels {
            fields[USES_LABELS_FIELD] = uses_labels.into();
        }
        let text = serde_json::to_string_pretty(&fields)?;
        write_atomically(&path, |file| writeln!(file, "{text}"))
    };
    write().map_err(|source| ModelError::CheckpointFile {
        path: path.clone(),
        source,
    })
}
