//! A network of maps with the neck and heads of weak supervision.
//!
//! Sypetkowski et al. 2023 (<https://arxiv.org/abs/2301.05768>), figure 5 and
//! appendix: DenseNet-161 on six channels, a neck of two layers whose output is
//! the embedding, a head for perturbations and one for experiments, whose
//! gradient is stopped or reversed. Kraus et al. 2023 take a neck of 128.
//!
//! `morphospace embed --network untrained:supervised_densenet161` runs it.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use crate::blocks::norm_pass::NormPass;
use crate::densenet::{DenseNet, DenseNetConfig};
use crate::error::ModelError;
use crate::map_network::MapNetwork;
use crate::resnet::{ResNet, ResNetConfig};
use crate::supervised_head::{SupervisedHead, SupervisedHeadConfig};

/// Backbone and head of a [`SupervisedNetwork`]. The default is DenseNet-161
/// with a neck of 1024.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisedNetworkConfig {
    /// Images to features.
    pub backbone: BackboneConfig,
    /// Features to embedding and scores; its `in_dim` is the backbone's
    /// `num_features`.
    pub head: SupervisedHeadConfig,
}

/// Which network of maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    content = "config",
    rename_all = "lowercase",
    deny_unknown_fields
)]
pub enum BackboneConfig {
    /// [`DenseNet`].
    DenseNet(DenseNetConfig),
    /// [`ResNet`].
    ResNet(ResNetConfig),
}

impl Default for BackboneConfig {
    fn default() -> Self {
        Self::DenseNet(DenseNetConfig::default())
    }
}

impl BackboneConfig {
    /// Side of the square images it is made for, in pixels.
    pub fn img_size(&self) -> usize {
        match self {
            Self::DenseNet(config) => config.img_size,
            Self::ResNet(config) => config.img_size,
        }
    }

    /// Channels it takes.
    pub fn in_chans(&self) -> usize {
        match self {
            Self::DenseNet(config) => config.in_chans,
            Self::ResNet(config) => config.in_chans,
        }
    }

    /// Features of its embedding.
    pub fn num_features(&self) -> usize {
        match self {
            Self::DenseNet(config) => config.num_features(),
            Self::ResNet(config) => config.num_features(),
        }
    }

    fn check(&self) -> Result<(), ModelError> {
        match self {
            Self::DenseNet(config) => config.check(),
            Self::ResNet(config) => config.check(),
        }
    }
}

impl SupervisedNetworkConfig {
    /// The head of its default sizes on a backbone.
    pub fn on(backbone: BackboneConfig) -> Self {
        let head = SupervisedHeadConfig {
            in_dim: backbone.num_features(),
            ..SupervisedHeadConfig::default()
        };
        Self { backbone, head }
    }

    /// Whether the numbers fit together.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`] gives the numbers.
    ///
    /// ```
    /// use morphospace_models::SupervisedNetworkConfig;
    ///
    /// let mut config = SupervisedNetworkConfig::default();
    /// config.head.in_dim = 512;
    /// assert_eq!(
    ///     config.check().unwrap_err().to_string(),
    ///     "supervised: head.in_dim 512 is not the backbone's 2208 features"
    /// );
    /// ```
    pub fn check(&self) -> Result<(), ModelError> {
        self.backbone.check()?;
        self.head.check()?;
        let num_features = self.backbone.num_features();
        if self.head.in_dim != num_features {
            return Err(ModelError::InvalidConfig {
                network: "supervised",
                message: format!(
                    "head.in_dim {} is not the backbone's {num_features} features",
                    self.head.in_dim
                ),
            });
        }
        Ok(())
    }

    /// A network with weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`SupervisedNetworkConfig::check`].
    pub fn init(&self, device: &Device, seed: Seed) -> Result<SupervisedNetwork, ModelError> {
        self.check()?;
        let of_backbone = seed.split("backbone");
        Ok(SupervisedNetwork {
            backbone: match &self.backbone {
                BackboneConfig::DenseNet(config) => {
                    Backbone::DenseNet(config.init(device, of_backbone)?)
                }
                BackboneConfig::ResNet(config) => {
                    Backbone::ResNet(config.init(device, of_backbone)?)
                }
            },
            head: self.head.init(device, seed.split("head"))?,
            config: self.clone(),
        })
    }
}

/// A network of maps; which one has no name in a checkpoint.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few networks")]
pub enum Backbone {
    /// [`DenseNet`].
    DenseNet(DenseNet),
    /// [`ResNet`].
    ResNet(ResNet),
}

impl Backbone {
    fn as_maps(&self) -> &dyn MapNetwork {
        match self {
            Self::DenseNet(network) => network,
            Self::ResNet(network) => network,
        }
    }
}

/// Backbone, neck and heads; field names are checkpoint keys.
///
/// As an [`Encoder`](crate::Encoder), it gives the neck's output; behind
/// blocks, the backbone's maps.
#[derive(Module, Debug)]
pub struct SupervisedNetwork {
    /// Images to features.
    pub backbone: Backbone,
    /// Features to embedding and scores.
    pub head: SupervisedHead,
    #[module(skip)]
    config: SupervisedNetworkConfig,
}

impl SupervisedNetwork {
    /// What it was built from.
    pub fn config(&self) -> &SupervisedNetworkConfig {
        &self.config
    }
}

impl MapNetwork for SupervisedNetwork {
    fn num_features(&self) -> usize {
        self.config.head.embed_dim
    }

    fn in_chans(&self) -> usize {
        self.config.backbone.in_chans()
    }

    fn img_size(&self) -> usize {
        self.config.backbone.img_size()
    }

    fn num_blocks(&self) -> usize {
        self.backbone.as_maps().num_blocks()
    }

    fn forward_block_maps(&self, images: Tensor<4>, pass: &mut NormPass) -> Vec<Tensor<4>> {
        self.backbone.as_maps().forward_block_maps(images, pass)
    }

    fn embedding_of_maps(&self, last: Tensor<4>, pass: &mut NormPass) -> Tensor<2> {
        let features = self.backbone.as_maps().embedding_of_maps(last, pass);
        self.head.neck.forward(features, pass)
    }
}
