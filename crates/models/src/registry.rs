use burn::tensor::Device;
use morphospace_core::{Seed, suggestion};
use serde::{Deserialize, Serialize};

use crate::blocks::parallel_scaling_block::BiasLayout;
use crate::camae::CaMaeConfig;
use crate::densenet::DenseNetConfig;
use crate::encoder::Encoder;
use crate::error::ModelError;
use crate::mae::MaeConfig;
use crate::munet::MuNetConfig;
use crate::network::Network;
use crate::plain_vit::PlainVitConfig;
use crate::resnet::ResNetConfig;
use crate::supervised_network::{BackboneConfig, SupervisedNetworkConfig};
use crate::vit::{GlobalPool, VitConfig};
use crate::weights::{Unexpected, WeightsFile, load_weights};

/// Where an autoencoder's file keeps its encoder.
const MAE_ENCODER_PREFIX: &str = "encoder.vit_backbone.";

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
    /// [`SupervisedNetwork`](crate::SupervisedNetwork).
    Supervised(SupervisedNetworkConfig),
}

impl NetworkConfig {
    /// A network by name, on six channels: a variant of
    /// [`VitConfig::decode_variant`], alone or behind `mae_` or `camae_`; of
    /// [`PlainVitConfig::decode_variant`]; `openphenom` (up to eleven
    /// channels); `densenet161`; `resnet18` and so on, alone or behind
    /// `supervised_`; `munet_m` or `munet_l`.
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
            let plain = VitConfig::decode_variant(variant).map_err(|e| behind("camae_", e))?;
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
            let encoder = VitConfig::decode_variant(variant).map_err(|e| behind("mae_", e))?;
            return Ok(Self::Mae(MaeConfig {
                encoder,
                ..MaeConfig::default()
            }));
        }
        if let Some(backbone) = name.strip_prefix("supervised_") {
            let backbone = match Self::decode_variant(backbone)? {
                Self::DenseNet(config) => BackboneConfig::DenseNet(config),
                Self::ResNet(config) => BackboneConfig::ResNet(config),
                _ => {
                    return Err(ModelError::UnknownVariant {
                        name: name.to_owned(),
                        hint: "a supervised network has a backbone such as densenet161 or \
                               resnet18"
                            .to_owned(),
                    });
                }
            };
            let config = SupervisedNetworkConfig::on(backbone);
            return Ok(Self::Supervised(config));
        }
        if name.starts_with("dino") || name.starts_with("imagenet_vit") {
            return PlainVitConfig::decode_variant(name).map(Self::PlainVit);
        }
        let depth = name.strip_prefix("resnet").map(str::parse);
        if let Some(Ok(depth)) = depth {
            return ResNetConfig::of_depth(depth).map(Self::ResNet);
        }
        match name {
            "densenet161" => Ok(Self::DenseNet(DenseNetConfig::default())),
            "munet_m" => Ok(Self::MuNet(MuNetConfig::default())),
            "openphenom" => Ok(Self::CaMae(openphenom())),
            "openphenom_encoder" => Ok(Self::Vit(openphenom().encoder)),
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
            Self::PlainVit(config) => config.input_size.unwrap_or(config.img_size),
            Self::DenseNet(config) => config.img_size,
            Self::ResNet(config) => config.img_size,
            Self::MuNet(config) => config.img_size,
            Self::Supervised(config) => config.backbone.img_size(),
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
            Self::Supervised(config) => (config.backbone.in_chans(), "backbone.config.in_chans"),
        }
    }

    /// The same network for images of so many channels.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`]: it takes any channels, or not so many.
    pub fn with_in_chans(mut self, chans: usize) -> Result<Self, ModelError> {
        let agnostic = self.is_channel_agnostic();
        let in_chans = match &mut self {
            Self::Vit(config) => &mut config.in_chans,
            Self::Mae(config) => &mut config.encoder.in_chans,
            Self::CaMae(config) => &mut config.channels,
            Self::PlainVit(config) => &mut config.in_chans,
            Self::DenseNet(config) => &mut config.in_chans,
            Self::ResNet(config) => &mut config.in_chans,
            Self::MuNet(config) => &mut config.in_chans,
            Self::Supervised(config) => match &mut config.backbone {
                BackboneConfig::DenseNet(config) => &mut config.in_chans,
                BackboneConfig::ResNet(config) => &mut config.in_chans,
            },
        };
        if agnostic {
            return Err(ModelError::InvalidConfig {
                network: "network",
                message: "a channel-agnostic network takes any channels: their number is not part \
                          of it"
                    .to_owned(),
            });
        }
        *in_chans = chans;
        self.check()?;
        Ok(self)
    }

    /// The same network for images of another side, in pixels.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`]: transformers with fixed positions take
    /// one size; the others take whole patches or pixels of their deepest maps.
    pub fn with_input_size(mut self, side: usize) -> Result<Self, ModelError> {
        match &mut self {
            Self::PlainVit(config) => config.input_size = Some(side),
            Self::DenseNet(config) => config.img_size = side,
            Self::ResNet(config) => config.img_size = side,
            Self::MuNet(config) => config.img_size = side,
            Self::Supervised(config) => match &mut config.backbone {
                BackboneConfig::DenseNet(config) => config.img_size = side,
                BackboneConfig::ResNet(config) => config.img_size = side,
            },
            Self::Vit(_) | Self::Mae(_) | Self::CaMae(_) => {
                return Err(ModelError::InvalidConfig {
                    network: "network",
                    message: "its positions are fixed for one size: give it in the name, as in \
                              vit_small_patch16_224"
                        .to_owned(),
                });
            }
        }
        self.check()?;
        Ok(self)
    }

    /// The same network with another eps of its norms: Hugging Face's ViT has
    /// 1e-12.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`]: it is no vision transformer, or the
    /// number is not positive.
    pub fn with_norm_eps(mut self, eps: f64) -> Result<Self, ModelError> {
        match &mut self {
            Self::PlainVit(config) => config.norm_eps = eps,
            Self::Vit(config) => config.norm_eps = eps,
            _ => {
                return Err(ModelError::InvalidConfig {
                    network: "network",
                    message: "only vision transformers have an eps to choose".to_owned(),
                });
            }
        }
        self.check()?;
        Ok(self)
    }

    /// Whether it takes any channels in any order.
    pub fn is_channel_agnostic(&self) -> bool {
        match self {
            Self::Vit(config) => config.channel_agnostic,
            Self::Mae(config) => config.encoder.channel_agnostic,
            Self::CaMae(_) => true,
            Self::PlainVit(_)
            | Self::DenseNet(_)
            | Self::ResNet(_)
            | Self::MuNet(_)
            | Self::Supervised(_) => false,
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
            Self::Supervised(config) => config.check(),
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
        Ok(self.encoder().init(device, seed)?.into_encoder())
    }

    /// The network that embeds: of an autoencoder, its encoder.
    fn encoder(&self) -> Self {
        match self {
            Self::Mae(config) => Self::Vit(config.encoder.clone()),
            Self::CaMae(config) => Self::Vit(config.encoder.clone()),
            other => other.clone(),
        }
    }

    /// The encoder with the weights of a file; of an autoencoder's the
    /// decoder's tensors are not read.
    pub(crate) fn load_encoder(
        &self,
        device: &Device,
        file: &WeightsFile,
    ) -> Result<Network, ModelError> {
        // Every weight is loaded, so nothing is ever drawn from the seed.
        let network = self.encoder().init(device, Seed::new(0))?;
        let names = file.names();
        let is_autoencoder = |name: &String| name.starts_with(MAE_ENCODER_PREFIX);
        let prefix = match network {
            Network::Vit(_) if names.iter().any(is_autoencoder) => MAE_ENCODER_PREFIX,
            _ => "",
        };
        let (network, _) = load_weights(&network, file, prefix, Unexpected::Refuse)?;
        Ok(network)
    }
}

/// The autoencoder of OpenPhenom-S/16, as maes_microscopy's
/// `huggingface_mae.py` builds it.
fn openphenom() -> CaMaeConfig {
    let config = CaMaeConfig::default();
    CaMaeConfig {
        encoder: VitConfig {
            global_pool: GlobalPool::Avg,
            bias_layout: BiasLayout::Timm097,
            ..config.encoder
        },
        ..config
    }
}

/// What is wrong with a name behind a prefix, said of the whole name.
fn behind(prefix: &str, error: ModelError) -> ModelError {
    match error {
        ModelError::UnknownVariant { name, hint } => ModelError::UnknownVariant {
            name: format!("{prefix}{name}"),
            hint: hint.replace("'vit_", &format!("'{prefix}vit_")),
        },
        other => other,
    }
}

/// What there is in place of a name that is none.
fn unknown_name(name: &str) -> String {
    const NAMES: [&str; 13] = [
        "vit_small_patch16",
        "mae_vit_small_patch16",
        "camae_vit_small_patch16",
        "dino_vit_small_patch16",
        "dinov2_vit_small_patch14_reg4",
        "imagenet_vit_large_patch16",
        "openphenom",
        "supervised_densenet161",
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
