use morphospace_models::NetworkConfig;
use morphospace_views::{CheckedViews, Preset, ViewsConfig};
use serde::{Deserialize, Serialize};

use crate::loader::Pairing;
use crate::{MaskedModellingConfig, TrainConfig, TrainError};

/// What a network is trained for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ObjectiveConfig {
    /// What the network is made for: autoencoders fill in what is masked,
    /// networks with heads tell classes.
    #[default]
    OfNetwork,
    /// Fill in what is masked.
    MaskedModelling(MaskedModellingConfig),
}

impl ObjectiveConfig {
    /// Says what [`ObjectiveConfig::OfNetwork`] stands for.
    pub(crate) fn resolve(self, network: &NetworkConfig) -> Result<Self, TrainError> {
        Ok(match (self, network) {
            (
                Self::OfNetwork,
                NetworkConfig::Mae(_) | NetworkConfig::CaMae(_) | NetworkConfig::MuNet(_),
            ) => Self::MaskedModelling(MaskedModellingConfig::default()),
            (Self::OfNetwork, _) => {
                return Err(TrainError::InvalidConfig(
                    "a network of this kind is made for nothing in particular: give \
                     objective.kind"
                        .to_owned(),
                ));
            }
            (chosen, _) => chosen,
        })
    }

    /// What images are shown as, if the configuration does not say.
    pub(crate) fn usual_views(&self, img_size: usize) -> ViewsConfig {
        let preset = match self {
            Self::OfNetwork | Self::MaskedModelling(_) => Preset::Mae,
        };
        ViewsConfig {
            crop_px: Some(img_size),
            ..ViewsConfig::new(preset)
        }
    }

    /// Whether it fits the rest of the configuration.
    pub(crate) fn check(
        &self,
        config: &TrainConfig,
        _views: &CheckedViews,
    ) -> Result<(), TrainError> {
        match (self, &config.network) {
            (Self::MaskedModelling(masked), NetworkConfig::MuNet(munet)) => {
                masked.check(munet.img_size)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn needs_classes(&self) -> bool {
        match self {
            Self::OfNetwork | Self::MaskedModelling(_) => false,
        }
    }

    /// Which views of pairs show the second site.
    pub(crate) fn pairing(&self) -> Pairing {
        match self {
            Self::OfNetwork | Self::MaskedModelling(_) => Pairing::None,
        }
    }
}
