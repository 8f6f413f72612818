//! DenseNet.
//!
//! Huang et al. 2017 (<https://arxiv.org/abs/1608.06993>); reference code
//! torchvision `models.DenseNet`. Sypetkowski et al. 2023
//! (<https://arxiv.org/abs/2301.05768>) train DenseNet-161 on six channels,
//! Kraus et al. 2023 (<https://arxiv.org/abs/2309.16064>) too. Differences from
//! torchvision: the first convolution takes any number of channels; the
//! classifier is optional.
//!
//! `morphospace embed SCREEN --network untrained:densenet161 --output p.parquet`
//! runs it.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use crate::blocks::batch_norm::BatchNorm;
use crate::blocks::conv2d::{Conv2d, Conv2dConfig};
use crate::blocks::linear::{Bias, Linear};
use crate::blocks::norm_pass::NormPass;
use crate::blocks::pooling::{avg_pool_2x2, global_avg_pool, stem_max_pool};
use crate::blocks::relu::relu;
use crate::error::ModelError;
use crate::initializer::Initializer;
use crate::map_network::MapNetwork;

/// Sizes of a [`DenseNet`]. The default is DenseNet-161 on six channels,
/// without a classifier: 26,486,112 parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DenseNetConfig {
    /// Side of the square images it is made for, in pixels; it takes any.
    pub img_size: usize,
    /// Channels of the images.
    pub in_chans: usize,
    /// Channels that every layer adds.
    pub growth_rate: usize,
    /// Layers of each block.
    pub block_config: Vec<usize>,
    /// Channels behind the first convolution.
    pub num_init_features: usize,
    /// Channels between a layer's two convolutions, over `growth_rate`.
    pub bn_size: usize,
    /// Outputs of the classifier; 0 for none.
    pub num_classes: usize,
}

impl Default for DenseNetConfig {
    fn default() -> Self {
        Self {
            img_size: 256,
            in_chans: 6,
            growth_rate: 48,
            block_config: vec![6, 12, 36, 24],
            num_init_features: 96,
            bn_size: 4,
            num_classes: 0,
        }
    }
}

impl DenseNetConfig {
    /// Pixels of an image over those of the last maps, along a side.
    pub fn reduction(&self) -> usize {
        // Stem, and a transition between any two blocks.
        4 << (self.block_config.len() - 1)
    }

    /// Channels of the last maps: features of the embedding.
    pub fn num_features(&self) -> usize {
        let mut features = self.num_init_features;
        for (index, layers) in self.block_config.iter().enumerate() {
            if index > 0 {
                features /= 2;
            }
            features += layers * self.growth_rate;
        }
        features
    }

    /// Whether the numbers fit together.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`] gives the number and its range.
    ///
    /// ```
    /// use morphospace_models::DenseNetConfig;
    ///
    /// let config = DenseNetConfig { growth_rate: 0, ..DenseNetConfig::default() };
    /// assert_eq!(
    ///     config.check().unwrap_err().to_string(),
    ///     "densenet: growth_rate 0 is not in 1..=1024"
    /// );
    /// ```
    pub fn check(&self) -> Result<(), ModelError> {
        let invalid = |message| {
            Err(ModelError::InvalidConfig {
                network: "densenet",
                message,
            })
        };
        let counts = [
            ("img_size", self.img_size, 1, 16_384),
            ("in_chans", self.in_chans, 1, 1024),
            ("growth_rate", self.growth_rate, 1, 1024),
            ("num_init_features", self.num_init_features, 2, 4096),
            ("bn_size", self.bn_size, 1, 64),
            ("num_classes", self.num_classes, 0, 1 << 24),
            ("blocks in block_config", self.block_config.len(), 1, 8),
        ];
        let layers = self.block_config.iter();
        let layers = layers.map(|&layers| ("layers of a block", layers, 1, 512));
        for (name, value, least, most) in counts.into_iter().chain(layers) {
            if value < least || value > most {
                return invalid(format!("{name} {value} is not in {least}..={most}"));
            }
        }
        Ok(())
    }

    /// A network with weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`DenseNetConfig::check`].
    pub fn init(&self, device: &Device, seed: Seed) -> Result<DenseNet, ModelError> {
        self.check()?;
        let conv = |channels, kernel, stride, seed| {
            let config = Conv2dConfig {
                channels,
                kernel,
                stride,
                bias: Bias::None,
                initializer: Initializer::KaimingNormal,
            };
            config.init(seed, device)
        };
        let mut channels = self.num_init_features;
        let (mut denseblocks, mut transitions) = (Vec::new(), Vec::new());
        for (block, &num_layers) in self.block_config.iter().enumerate() {
            let seed = seed.split("denseblock").split_index(block as u64);
            if block > 0 {
                transitions.push(Transition {
                    norm: BatchNorm::init(channels, device),
                    conv: conv([channels, channels / 2], 1, 1, seed.split("transition")),
                });
                channels /= 2;
            }
            let layer = |index: usize| {
                let seed = seed.split_index(index as u64);
                let (growth, inner) = (self.growth_rate, self.bn_size * self.growth_rate);
                let d_in = channels + index * growth;
                DenseLayer {
                    norm1: BatchNorm::init(d_in, device),
                    conv1: conv([d_in, inner], 1, 1, seed.split("conv1")),
                    norm2: BatchNorm::init(inner, device),
                    conv2: conv([inner, growth], 3, 1, seed.split("conv2")),
                }
            };
            let denselayers = (0..num_layers).map(layer).collect();
            denseblocks.push(DenseBlock { denselayers });
            channels += num_layers * self.growth_rate;
        }
        let stem = [self.in_chans, self.num_init_features];
        let classifier = || {
            let shape = [channels, self.num_classes];
            let uniform = Initializer::Uniform { fan_in: channels };
            Linear::init(
                shape,
                Bias::Zeros,
                uniform,
                seed.split("classifier"),
                device,
            )
        };
        Ok(DenseNet {
            features: DenseFeatures {
                conv0: conv(stem, 7, 2, seed.split("conv0")),
                norm0: BatchNorm::init(self.num_init_features, device),
                denseblocks,
                transitions,
                norm5: BatchNorm::init(channels, device),
            },
            classifier: (self.num_classes > 0).then(classifier),
            config: self.clone(),
        })
    }
}

/// A densely connected network; field names are checkpoint keys.
#[derive(Module, Debug)]
pub struct DenseNet {
    /// Images to maps.
    pub features: DenseFeatures,
    /// Embedding to class scores.
    pub classifier: Option<Linear>,
    #[module(skip)]
    config: DenseNetConfig,
}

/// All of a [`DenseNet`] but its classifier.
#[derive(Module, Debug)]
pub struct DenseFeatures {
    /// 7 x 7, stride 2.
    pub conv0: Conv2d,
    /// Behind it.
    pub norm0: BatchNorm,
    /// `denseblock1` and so on.
    pub denseblocks: Vec<DenseBlock>,
    /// `transition1` and so on, each between two blocks.
    pub transitions: Vec<Transition>,
    /// Behind the last block.
    pub norm5: BatchNorm,
}

/// Layers of which each sees the maps of all before it.
#[derive(Module, Debug)]
pub struct DenseBlock {
    /// `denselayer1` and so on.
    pub denselayers: Vec<DenseLayer>,
}

/// Norm, ReLU, 1 x 1, norm, ReLU, 3 x 3.
#[derive(Module, Debug)]
pub struct DenseLayer {
    /// Of all maps so far.
    pub norm1: BatchNorm,
    /// To `bn_size * growth_rate` channels.
    pub conv1: Conv2d,
    /// Between the convolutions.
    pub norm2: BatchNorm,
    /// To `growth_rate` channels.
    pub conv2: Conv2d,
}

/// Norm, ReLU, 1 x 1 to half the channels, mean of 2 x 2 pixels.
#[derive(Module, Debug)]
pub struct Transition {
    /// Of the block's maps.
    pub norm: BatchNorm,
    /// To half the channels.
    pub conv: Conv2d,
}

impl DenseLayer {
    /// The maps that the layer adds.
    fn forward(&self, x: Tensor<4>, pass: &mut NormPass) -> Tensor<4> {
        let x = self.norm1.forward_relu(x, pass);
        let x = self.conv1.forward(x);
        let x = self.norm2.forward_relu(x, pass);
        self.conv2.forward(x)
    }
}

impl DenseNet {
    /// What it was built from.
    pub fn config(&self) -> &DenseNetConfig {
        &self.config
    }

    /// The last maps, behind `norm5`, before the ReLU.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `[B, num_features, H / reduction, W / reduction]`
    pub fn forward_features(&self, images: Tensor<4>, pass: &mut NormPass) -> Tensor<4> {
        let maps = self.forward_block_maps(images, pass);
        let last = maps.into_iter().next_back().expect("there is a block");
        self.features.norm5.forward(last, pass)
    }

    /// Class scores of an embedding.
    ///
    /// # Shapes
    /// `[B, num_features]` to `[B, num_classes]`
    ///
    /// # Panics
    /// There is no classifier.
    pub fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        let classifier = self.classifier.as_ref();
        classifier.expect("built with classes").forward(embedding)
    }
}

impl MapNetwork for DenseNet {
    fn num_features(&self) -> usize {
        self.config.num_features()
    }

    fn in_chans(&self) -> usize {
        self.config.in_chans
    }

    fn img_size(&self) -> usize {
        self.config.img_size
    }

    fn num_blocks(&self) -> usize {
        self.config.block_config.len()
    }

    fn forward_block_maps(&self, images: Tensor<4>, pass: &mut NormPass) -> Vec<Tensor<4>> {
        let features = &self.features;
        let mut maps = Vec::with_capacity(features.denseblocks.len());
        let x = features.conv0.forward(images);
        let x = features.norm0.forward_relu(x, pass);
        let mut x = stem_max_pool(x);
        for (index, block) in features.denseblocks.iter().enumerate() {
            if let Some(before) = index.checked_sub(1) {
                let transition = &features.transitions[before];
                x = transition.norm.forward_relu(x, pass);
                x = avg_pool_2x2(transition.conv.forward(x));
            }
            for layer in &block.denselayers {
                let added = layer.forward(x.clone(), pass);
                x = Tensor::cat(vec![x, added], 1);
            }
            maps.push(x.clone());
        }
        maps
    }

    fn embedding_of_maps(&self, last: Tensor<4>, pass: &mut NormPass) -> Tensor<2> {
        global_avg_pool(relu(self.features.norm5.forward(last, pass)))
    }
}
