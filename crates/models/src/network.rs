use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;

use crate::blocks::norm_pass::NormPass;
use crate::camae::CaMae;
use crate::densenet::DenseNet;
use crate::encoder::{Encoder, Pooling};
use crate::error::ModelError;
use crate::mae::Mae;
use crate::map_network::MapNetwork;
use crate::munet::MuNet;
use crate::plain_vit::PlainVit;
use crate::registry::NetworkConfig;
use crate::resnet::ResNet;
use crate::supervised_network::SupervisedNetwork;
use crate::vit::Vit;

/// Any network of a [`NetworkConfig`], with its decoder or head; which one has
/// no name in a checkpoint.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few networks")]
pub enum Network {
    /// [`Vit`].
    Vit(Vit),
    /// [`Mae`].
    Mae(Mae),
    /// [`CaMae`].
    CaMae(CaMae),
    /// [`PlainVit`].
    PlainVit(PlainVit),
    /// [`DenseNet`].
    DenseNet(DenseNet),
    /// [`ResNet`].
    ResNet(ResNet),
    /// [`MuNet`].
    MuNet(MuNet),
    /// [`SupervisedNetwork`].
    Supervised(SupervisedNetwork),
}

impl NetworkConfig {
    /// The network, its weights drawn from `seed` when they are needed:
    /// [`parameters`](crate::parameters) of a large one costs nothing.
    ///
    /// # Errors
    /// As [`NetworkConfig::check`].
    pub fn init(&self, device: &Device, seed: Seed) -> Result<Network, ModelError> {
        self.check()?;
        Ok(match self {
            Self::Vit(config) => Network::Vit(config.init(device, seed)?),
            Self::Mae(config) => Network::Mae(config.init(device, seed)?),
            Self::CaMae(config) => Network::CaMae(config.init(device, seed)?),
            Self::PlainVit(config) => Network::PlainVit(config.init(device, seed)?),
            Self::DenseNet(config) => Network::DenseNet(config.init(device, seed)?),
            Self::ResNet(config) => Network::ResNet(config.init(device, seed)?),
            Self::MuNet(config) => Network::MuNet(config.init(device, seed)?),
            Self::Supervised(config) => Network::Supervised(config.init(device, seed)?),
        })
    }
}

impl Network {
    /// What it was built from.
    pub fn config(&self) -> NetworkConfig {
        match self {
            Self::Vit(network) => NetworkConfig::Vit(network.config().clone()),
            Self::Mae(network) => NetworkConfig::Mae(network.config().clone()),
            Self::CaMae(network) => NetworkConfig::CaMae(network.config().clone()),
            Self::PlainVit(network) => NetworkConfig::PlainVit(network.config().clone()),
            Self::DenseNet(network) => NetworkConfig::DenseNet(network.config().clone()),
            Self::ResNet(network) => NetworkConfig::ResNet(network.config().clone()),
            Self::MuNet(network) => NetworkConfig::MuNet(network.config().clone()),
            Self::Supervised(network) => NetworkConfig::Supervised(network.config().clone()),
        }
    }

    /// The embedding, as in evaluation ([`Encoder::forward_pooled`]) or in
    /// training: `pass` says where batch normalisation takes its statistics
    /// from, and with a seed paths are dropped. Transformers use only the
    /// second, networks of maps only the first.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `[B, num_pooled_features]`
    pub fn forward_embedding(
        &self,
        images: Tensor<4>,
        pooling: Pooling,
        pass: &mut NormPass,
        drop_path_seed: Option<Seed>,
    ) -> Tensor<2> {
        match self {
            Self::Vit(network) => network.forward_embedding(images, pooling, drop_path_seed),
            Self::Mae(network) => {
                let vit = &network.encoder.vit_backbone;
                vit.forward_embedding(images, pooling, drop_path_seed)
            }
            Self::CaMae(network) => {
                let vit = &network.encoder.vit_backbone;
                vit.forward_embedding(images, pooling, drop_path_seed)
            }
            Self::PlainVit(network) => network.forward_embedding(images, pooling, drop_path_seed),
            Self::DenseNet(network) => network.forward_embedding(images, pass),
            Self::ResNet(network) => network.forward_embedding(images, pass),
            Self::MuNet(network) => network.forward_embedding(images, pass),
            Self::Supervised(network) => network.forward_embedding(images, pass),
        }
    }

    /// What embeds, without an autoencoder's decoder.
    pub fn into_encoder(self) -> Box<dyn Encoder> {
        match self {
            Self::Vit(network) => Box::new(network),
            Self::Mae(network) => Box::new(network.encoder.vit_backbone),
            Self::CaMae(network) => Box::new(network.encoder.vit_backbone),
            Self::PlainVit(network) => Box::new(network),
            Self::DenseNet(network) => Box::new(network),
            Self::ResNet(network) => Box::new(network),
            Self::MuNet(network) => Box::new(network),
            Self::Supervised(network) => Box::new(network),
        }
    }
}
