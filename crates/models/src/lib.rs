//! Networks that turn images of cells into vectors: one network per file, the
//! blocks they are built from, and weights in and out.
//!
//! | network | file | source |
//! |---|---|---|
//! | [`Vit`] | `vit.rs` | vision transformer with parallel scaling blocks, plain or channel-agnostic (maes_microscopy on timm) |
//! | [`Mae`] | `mae.rs` | masked autoencoder around it (He et al. 2022) |
//! | [`CaMae`] | `camae.rs` | channel-agnostic masked autoencoder (Kraus et al. 2024) |
//! | [`PlainVit`] | `plain_vit.rs` | vision transformer of DINO, DINOv2 and the ImageNet baselines |
//! | [`DenseNet`] | `densenet.rs` | Huang et al. 2017, for six channels (Sypetkowski et al. 2023) |
//! | [`ResNet`] | `resnet.rs` | He et al. 2016 |
//! | [`MuNet`] | `munet.rs` | U-Net for masked images (Kraus et al. 2023, after Microsnoop) |
//! | [`SupervisedNetwork`] | `supervised_network.rs` | DenseNet or ResNet with the neck and heads of weak supervision (Sypetkowski et al. 2023) |
//! | [`SupervisedHead`] | `supervised_head.rs` | that neck and those heads, with gradient reversal |
//! | [`DinoHead`] | `dino_head.rs` | projection head of DINO |
//! | [`SimClrHead`] | `simclr_head.rs` | projection head of SimCLR, in the variants of Lugli et al. 2025 |
//!
//! A caller who only wants embeddings works with [`Encoder`], which
//! [`open_checkpoint`] and [`NetworkConfig::init_encoder`] return. Weights keep
//! the key names of the published checkpoints ([`load_weights`],
//! [`save_weights`]), so a file of the reference implementation opens here and
//! the other way round.
//!
//! What a network costs is told by [`plan`], without building it.
//!
//! Conventions: images are `[B, C, H, W]` and already self-standardised
//! ([`self_standardise`]); tokens are `[B, N, D]` with the class token first;
//! in a mask 1 means removed and 0 kept. Every random element takes a
//! [`Seed`](morphospace_core::Seed) and draws on the host, so initial weights,
//! masks and dropped paths depend neither on the device nor on the number of
//! threads.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use morphospace_core::Seed;
//! use morphospace_models::{Encoder, Pooling, VitConfig};
//!
//! let device = Device::default();
//! let config = VitConfig { img_size: 32, embed_dim: 48, depth: 2, num_heads: 3, ..VitConfig::default() };
//! let vit = config.init(&device, Seed::new(7))?;
//! let images = Tensor::ones([2, 6, 32, 32], &device);
//! assert_eq!(vit.forward_pooled(images, Pooling::PatchMean).dims(), [2, 48]);
//! # Ok::<(), morphospace_models::ModelError>(())
//! ```

mod camae;
mod checkpoint;
mod encoder;
mod error;
mod initializer;
mod kernels;
mod mae;
mod mae_loss;
mod map_network;
mod network;
mod plain_vit;
mod precision;
mod registry;
mod vit;
mod weights;

pub mod blocks;
pub mod densenet;
pub mod dino_head;
pub mod munet;
pub mod plan;
pub mod resnet;
pub mod simclr_head;
pub mod supervised_head;
pub mod supervised_network;

pub use blocks::masking::Masking;
pub use blocks::parallel_scaling_block::BiasLayout;
pub use blocks::self_standardise::self_standardise;
pub use camae::{CaMae, CaMaeConfig};
pub use checkpoint::{
    CheckpointConfig, import_checkpoint, open_checkpoint, read_checkpoint_config, save_checkpoint,
    save_checkpoint_as, trim_checkpoint,
};
pub use densenet::{DenseNet, DenseNetConfig};
pub use dino_head::{DinoHead, DinoHeadConfig};
pub use encoder::{ChannelSupport, Encoder, Pooling, Representation};
pub use error::ModelError;
pub use initializer::Initializer;
pub use mae::{Mae, MaeConfig, MaeDecoderConfig, MaeOutput};
pub use mae_loss::{FourierView, MaeLoss, MaeLossConfig, fourier_magnitudes, mae_loss};
pub use map_network::MapNetwork;
pub use munet::{MuNet, MuNetConfig};
pub use network::Network;
pub use plain_vit::{PlainVit, PlainVitConfig};
pub use precision::Precision;
pub use registry::NetworkConfig;
pub use resnet::{ResNet, ResNetBlock, ResNetConfig};
pub use simclr_head::{SimClrHead, SimClrHeadConfig, SimClrNorm};
pub use supervised_head::{BatchHead, SupervisedHead, SupervisedHeadConfig};
pub use supervised_network::{
    Backbone, BackboneConfig, SupervisedNetwork, SupervisedNetworkConfig,
};
pub use vit::{GlobalPool, Vit, VitConfig, WeightInit};
pub use weights::{
    Adaptation, ImportReport, LoadReport, Parameter, TensorInfo, TensorMismatch, Unexpected,
    WeightsError, WeightsFile, import_weights, load_weights, load_weights_as, parameters,
    save_weights, save_weights_as,
};
