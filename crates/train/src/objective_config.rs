use morphospace_models::NetworkConfig;
use morphospace_screen::sampler::SamplerChoice;
use morphospace_views::{CheckedViews, Preset, ViewKind, ViewsConfig};
use serde::{Deserialize, Serialize};

use crate::loader::Pairing;
use crate::objective::{
    ClassifierConfig, ContrastiveConfig, CropPairing, DinoConfig, DinoV2ObjectiveConfig,
    MaskedModellingConfig, SupervisedConfig,
};
use crate::{TrainConfig, TrainError};

/// What a network is trained for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ObjectiveConfig {
    /// What the network is made for: autoencoders fill in what is masked,
    /// networks with heads tell classes.
    #[default]
    OfNetwork,
    /// [Fill in what is masked](crate::MaskedModellingConfig).
    MaskedModelling(MaskedModellingConfig),
    /// [Tell perturbations and experiments](crate::Supervised).
    Supervised(SupervisedConfig),
    /// [A linear head](crate::Classifier), frozen backbone or not.
    Classifier(ClassifierConfig),
    /// [SimCLR or Barlow Twins](crate::Contrastive).
    Contrastive(ContrastiveConfig),
    /// [Self-distillation](crate::Dino).
    Dino(DinoConfig),
    /// [Self-distillation of images and patches](crate::DinoV2).
    #[serde(rename = "dinov2")]
    DinoV2(DinoV2ObjectiveConfig),
}

impl ObjectiveConfig {
    /// The word in configurations.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OfNetwork => "of_network",
            Self::MaskedModelling(_) => "masked_modelling",
            Self::Supervised(_) => "supervised",
            Self::Classifier(_) => "classifier",
            Self::Contrastive(_) => "contrastive",
            Self::Dino(_) => "dino",
            Self::DinoV2(_) => "dinov2",
        }
    }

    /// Says what [`ObjectiveConfig::OfNetwork`] stands for, and refuses
    /// networks that an objective cannot train.
    pub(crate) fn resolve(self, network: &NetworkConfig) -> Result<Self, TrainError> {
        let invalid = |message: String| Err(TrainError::InvalidConfig(message));
        let is_autoencoder = matches!(
            network,
            NetworkConfig::Mae(_) | NetworkConfig::CaMae(_) | NetworkConfig::MuNet(_)
        );
        let has_heads = matches!(network, NetworkConfig::Supervised(_));
        let resolved = match self {
            Self::OfNetwork if is_autoencoder => {
                Self::MaskedModelling(MaskedModellingConfig::default())
            }
            Self::OfNetwork if has_heads => Self::Supervised(SupervisedConfig::default()),
            Self::OfNetwork => {
                return invalid(
                    "a network of this kind is made for nothing in particular: give \
                     objective.kind, one of 'classifier', 'contrastive', 'dino' and 'dinov2'"
                        .to_owned(),
                );
            }
            chosen => chosen,
        };
        let name = resolved.name();
        match &resolved {
            Self::MaskedModelling(_) if !is_autoencoder => invalid(format!(
                "objective '{name}' needs a network with a decoder: network.kind 'mae', 'camae' \
                 or 'munet'"
            )),
            Self::Supervised(_) if !has_heads => invalid(format!(
                "objective '{name}' needs a network with heads, network.kind 'supervised'; a \
                 linear head on any network is objective 'classifier'"
            )),
            Self::Contrastive(_) | Self::Dino(_) | Self::DinoV2(_)
                if is_autoencoder || has_heads =>
            {
                invalid(format!(
                    "objective '{name}' trains a backbone alone: network.kind 'vit', 'plain_vit', \
                     'densenet' or 'resnet'"
                ))
            }
            _ => Ok(resolved),
        }
    }

    /// What images are shown as, if the configuration does not say.
    pub(crate) fn usual_views(&self, img_size: usize) -> ViewsConfig {
        let preset = match self {
            Self::OfNetwork | Self::MaskedModelling(_) => Preset::Mae,
            Self::Supervised(_) | Self::Classifier(_) => Preset::Wsl,
            Self::Contrastive(_) => Preset::Simclr,
            Self::Dino(_) => Preset::Simple,
            Self::DinoV2(_) => Preset::Dinov2,
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
        views: &CheckedViews,
    ) -> Result<(), TrainError> {
        let invalid = |message: String| Err(TrainError::InvalidConfig(message));
        let name = self.name();
        let num_views = views.recipes().len();
        let preset = views.get().preset;
        let (expected, found) = match self {
            Self::OfNetwork
            | Self::MaskedModelling(_)
            | Self::Supervised(_)
            | Self::Classifier(_) => ("one view", num_views == 1),
            Self::Contrastive(_) => {
                let is_local = views
                    .recipes()
                    .iter()
                    .any(|recipe| recipe.kind == ViewKind::Local);
                ("two global views", num_views == 2 && !is_local)
            }
            Self::Dino(_) | Self::DinoV2(_) => ("two global views", views.num_global() == 2),
        };
        if !found {
            return invalid(format!(
                "objective '{name}' takes {expected} of an image, and views.preset '{preset}' has \
                 {} global and {} local ones",
                views.num_global(),
                num_views - views.num_global()
            ));
        }
        let is_paired = matches!(config.sampler, SamplerChoice::CrossDomain { .. });
        if is_paired && num_views == 1 {
            return invalid(format!(
                "sampler kind 'cross_domain' makes pairs, and objective '{name}' looks at one \
                 image at a time: use 'uniform', 'single_domain' or 'class_balanced'"
            ));
        }
        if config.cutmix.is_some() && !self.needs_classes() {
            return invalid(format!(
                "cutmix mixes labels with images, and objective '{name}' has none: leave it out"
            ));
        }
        if config.batch_size == 1 && matches!(self, Self::Contrastive(_)) {
            return invalid(format!(
                "objective '{name}' tells an image from the others of its batch, and batch_size is 1"
            ));
        }
        match self {
            Self::MaskedModelling(masked) => match &config.network {
                NetworkConfig::MuNet(munet) => masked.check(munet.img_size),
                _ => Ok(()),
            },
            Self::Supervised(supervised) => {
                let is_single = matches!(config.sampler, SamplerChoice::SingleDomain { .. });
                if supervised.adabn && !is_single {
                    return invalid(
                        "objective.adabn takes the statistics of one domain at a time, and \
                         batches of mixed domains have none: set sampler.kind to 'single_domain'"
                            .to_owned(),
                    );
                }
                supervised.check()
            }
            Self::Contrastive(contrastive) => contrastive.check(),
            Self::Dino(dino) => dino.check(is_paired),
            Self::DinoV2(dinov2) => dinov2.check(),
            Self::Classifier(classifier) => classifier.cross_entropy.check(),
            Self::OfNetwork => Ok(()),
        }
    }

    /// Whether images must have a class.
    pub(crate) fn needs_classes(&self) -> bool {
        matches!(self, Self::Supervised(_) | Self::Classifier(_))
    }

    /// Which views of pairs show the second site.
    pub(crate) fn pairing(&self) -> Pairing {
        match self {
            Self::Dino(DinoConfig {
                pairing: CropPairing::Aibio,
                ..
            }) => Pairing::Local,
            Self::Dino(_) | Self::DinoV2(_) => Pairing::Half,
            Self::Contrastive(_) => Pairing::SecondView,
            _ => Pairing::None,
        }
    }
}
