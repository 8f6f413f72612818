//! Where a network comes from on the command line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use burn::tensor::Device;
use morphospace_core::{Seed, Stain, sha256_hex, sha256_of_file};
use morphospace_models::{
    CheckpointConfig, Encoder, NetworkConfig, open_checkpoint, read_checkpoint_config,
};
use morphospace_screen::sampler::Domain;
use morphospace_train::{adabn_domain, latest_checkpoint};

/// `--network`.
#[derive(Clone, Debug)]
pub(crate) enum NetworkSource {
    /// A checkpoint folder or a run folder of `train`.
    Folder(PathBuf),
    /// `untrained:<variant>`.
    Untrained(String),
    /// No network: statistics of each channel.
    Intensity,
}

impl FromStr for NetworkSource {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.strip_prefix("untrained:") {
            Some(variant) => Self::Untrained(variant.to_owned()),
            None if text == "intensity" => Self::Intensity,
            None => Self::Folder(PathBuf::from(text)),
        })
    }
}

impl fmt::Display for NetworkSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Untrained(variant) => write!(f, "untrained:{variant}"),
            Self::Intensity => f.write_str("intensity"),
        }
    }
}

impl NetworkSource {
    /// The file of its weights, if it has one.
    pub(crate) fn weights_file(&self) -> Result<Option<PathBuf>> {
        let Self::Folder(folder) = self else {
            return Ok(None);
        };
        Ok(Some(checkpoint_folder(folder)?.join("model.safetensors")))
    }

    /// SHA-256 of what makes the network: weights and configuration, or the
    /// name and seed of an untrained one.
    pub(crate) fn sha256(&self, seed: u64) -> Result<String> {
        let made_of = match self {
            Self::Folder(folder) => {
                let folder = checkpoint_folder(folder)?;
                let hash = |name: &str| {
                    let path = folder.join(name);
                    sha256_of_file(&path).with_context(|| format!("reading '{}'", path.display()))
                };
                format!("{} {}", hash("model.safetensors")?, hash("config.json")?)
            }
            Self::Untrained(_) => format!("{self} {seed}"),
            Self::Intensity => self.to_string(),
        };
        Ok(sha256_hex(made_of.as_bytes()))
    }

    /// What the channels show that the network takes, where that matters: not
    /// for channel-agnostic networks, and not known of others' weights.
    pub(crate) fn channels(&self) -> Result<Option<Vec<Stain>>> {
        let Some(config) = self.config()? else {
            return Ok(None);
        };
        let is_agnostic = config.network.is_channel_agnostic();
        Ok(config.channels.filter(|_| !is_agnostic))
    }

    /// How the images were normalised that it was trained on, where that is
    /// known.
    pub(crate) fn normalisation(&self) -> Result<Option<String>> {
        Ok(self.config()?.and_then(|config| config.normalisation))
    }

    /// What had been done to the pixels that it was trained on, where that is
    /// known.
    pub(crate) fn pixel_history(&self) -> Result<Option<Vec<String>>> {
        Ok(self.config()?.and_then(|config| config.pixel_history))
    }

    /// Whether labels had a part in its training, where that is known.
    pub(crate) fn uses_labels(&self) -> Result<Option<bool>> {
        Ok(self.config()?.and_then(|config| config.uses_labels))
    }

    /// What shared its statistics in training with AdaBN.
    pub(crate) fn adabn_domain(&self) -> Result<Option<Domain>> {
        match self {
            Self::Folder(folder) => Ok(adabn_domain(folder)?),
            Self::Untrained(_) | Self::Intensity => Ok(None),
        }
    }

    fn config(&self) -> Result<Option<CheckpointConfig>> {
        let Self::Folder(folder) = self else {
            return Ok(None);
        };
        let folder = checkpoint_folder(folder)?;
        let config = read_checkpoint_config(&folder).with_context(|| opening(&folder))?;
        Ok(Some(config))
    }

    /// The encoder, if there is one; `seed` is used by an untrained one.
    pub(crate) fn open(&self, device: &Device, seed: Seed) -> Result<Option<Box<dyn Encoder>>> {
        Ok(Some(match self {
            Self::Intensity => return Ok(None),
            Self::Folder(folder) => open_folder(folder, device)?,
            Self::Untrained(variant) => {
                let config = NetworkConfig::decode_variant(variant)
                    .context("reading --network untrained:<variant>")?;
                config.init_encoder(device, seed)?
            }
        }))
    }
}

/// The last checkpoint of a run, or the folder itself.
pub(crate) fn checkpoint_folder(folder: &Path) -> Result<PathBuf> {
    Ok(match latest_checkpoint(folder)? {
        Some(checkpoint) => checkpoint.folder,
        None => folder.to_owned(),
    })
}

fn open_folder(folder: &Path, device: &Device) -> Result<Box<dyn Encoder>> {
    let folder = checkpoint_folder(folder)?;
    open_checkpoint(&folder, device).with_context(|| opening(&folder))
}

fn opening(folder: &Path) -> String {
    format!(
        "opening the network in '{}' (a folder with model.safetensors and config.json, a run of \
         `train`, or untrained:<variant>, e.g. untrained:vit_small_patch16)",
        folder.display()
    )
}
