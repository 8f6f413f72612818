//! Where a network comes from on the command line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use burn::tensor::Device;
use morphospace_core::Seed;
use morphospace_models::{Encoder, NetworkConfig, open_checkpoint};
use morphospace_train::latest_checkpoint;

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
        let folder = match latest_checkpoint(folder)? {
            Some(checkpoint) => checkpoint.folder,
            None => folder.clone(),
        };
        Ok(Some(folder.join("model.safetensors")))
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

fn open_folder(folder: &Path, device: &Device) -> Result<Box<dyn Encoder>> {
    let folder = match latest_checkpoint(folder)? {
        Some(checkpoint) => checkpoint.folder,
        None => folder.to_owned(),
    };
    open_checkpoint(&folder, device).with_context(|| {
        format!(
            "opening the network in '{}' (a folder with model.safetensors and config.json, a run \
             of `train`, or untrained:<variant>, e.g. untrained:vit_small_patch16)",
            folder.display()
        )
    })
}
