//! ResNet.
//!
//! He et al. 2016 (<https://arxiv.org/abs/1512.03385>); reference code
//! torchvision `models.ResNet`, whose bottlenecks have their stride in the
//! 3 x 3 convolution (version 1.5). Differences from it: the first convolution
//! takes any number of channels; the classifier is optional.
//!
//! `morphospace embed SCREEN --network untrained:resnet50 --output p.parquet` runs
//! it.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use crate::blocks::batch_norm::BatchNorm;
use crate::blocks::conv2d::{Conv2d, Conv2dConfig};
use crate::blocks::linear::{Bias, Linear};
use crate::blocks::norm_pass::NormPass;
use crate::blocks::pooling::{global_avg_pool, stem_max_pool};
use crate::blocks::relu::relu;
use crate::error::ModelError;
use crate::initializer::Initializer;
use crate::map_network::MapNetwork;

/// Which blocks a [`ResNet`] is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResNetBlock {
    /// Two 3 x 3 convolutions.
    Basic,
    /// 1 x 1, 3 x 3, and 1 x 1 to four times the channels.
    #[default]
    Bottleneck,
}

impl ResNetBlock {
    pub(crate) fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// Sizes of a [`ResNet`]. The default is ResNet-50 on six channels, without a
/// classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResNetConfig {
    /// Side of the square images it is made for, in pixels; it takes any.
    pub img_size: usize,
    /// Channels of the images.
    pub in_chans: usize,
    /// What it is made of.
    pub block: ResNetBlock,
    /// Blocks of the four stages.
    pub layers: [usize; 4],
    /// Channels of the first stage's 3 x 3 convolutions.
    pub width: usize,
    /// Outputs of the classifier; 0 for none.
    pub num_classes: usize,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self {
            img_size: 256,
            in_chans: 6,
            block: ResNetBlock::Bottleneck,
            layers: [3, 4, 6, 3],
            width: 64,
            num_classes: 0,
        }
    }
}

impl ResNetConfig {
    /// ResNet-18, 34, 50, 101 or 152 on six channels.
    ///
    /// # Errors
    /// [`ModelError::UnknownVariant`] names those there are.
    ///
    /// ```
    /// use morphospace_models::ResNetConfig;
    ///
    /// assert_eq!(ResNetConfig::of_depth(152)?.num_features(), 2048);
    /// # Ok::<(), morphospace_models::ModelError>(())
    /// ```
    pub fn of_depth(depth: usize) -> Result<Self, ModelError> {
        let (block, layers) = match depth {
            18 => (ResNetBlock::Basic, [2, 2, 2, 2]),
            34 => (ResNetBlock::Basic, [3, 4, 6, 3]),
            50 => (ResNetBlock::Bottleneck, [3, 4, 6, 3]),
            101 => (ResNetBlock::Bottleneck, [3, 4, 23, 3]),
            152 => (ResNetBlock::Bottleneck, [3, 8, 36, 3]),
            _ => {
                return Err(ModelError::UnknownVariant {
                    name: format!("resnet{depth}"),
                    hint: "there are resnet18, resnet34, resnet50, resnet101 and resnet152"
                        .to_owned(),
                });
            }
        };
        Ok(Self {
            block,
            layers,
            ..Self::default()
        })
    }

    /// Channels of the last maps: features of the embedding.
    pub fn num_features(&self) -> usize {
        8 * self.width * self.block.expansion()
    }

    /// Whether the numbers fit together.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), ModelError> {
        let counts = [
            ("img_size", self.img_size, 1, 16_384),
            ("in_chans", self.in_chans, 1, 1024),
            ("width", self.width, 1, 4096),
            ("num_classes", self.num_classes, 0, 1 << 24),
        ];
        let layers = self.layers.iter();
        let layers = layers.map(|&layers| ("blocks of a stage", layers, 1, 512));
        for (name, value, least, most) in counts.into_iter().chain(layers) {
            if value < least || value > most {
                return Err(ModelError::InvalidConfig {
                    network: "resnet",
                    message: format!("{name} {value} is not in {least}..={most}"),
                });
            }
        }
        Ok(())
    }

    /// A network with weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`ResNetConfig::check`].
    pub fn init(&self, device: &Device, seed: Seed) -> Result<ResNet, ModelError> {
        self.check()?;
        let stage = |index: usize| {
            let seed = seed.split("layer").split_index(index as u64);
            let width = self.width << index;
            let d_out = width * self.block.expansion();
            let d_before = match index {
                0 => self.width,
                _ => d_out / 2,
            };
            let block = |place: usize| {
                let (d_in, stride) = match (place, index) {
                    (0, 0) => (d_before, 1),
                    (0, _) => (d_before, 2),
                    _ => (d_out, 1),
                };
                self.init_block(
                    [d_in, width],
                    stride,
                    seed.split_index(place as u64),
                    device,
                )
            };
            (0..self.layers[index]).map(block).collect::<Vec<_>>()
        };
        let d_out = self.num_features();
        let fc = || {
            let shape = [d_out, self.num_classes];
            let uniform = Initializer::Uniform { fan_in: d_out };
            Linear::init(shape, Bias::Zeros, uniform, seed.split("fc"), device)
        };
        let stem = [self.in_chans, self.width];
        Ok(ResNet {
            conv1: conv(stem, 7, 2, seed.split("conv1"), device),
            bn1: BatchNorm::init(self.width, device),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
            fc: (self.num_classes > 0).then(fc),
            config: self.clone(),
        })
    }

    fn init_block(
        &self,
        [d_in, width]: [usize; 2],
        stride: usize,
        seed: Seed,
        device: &Device,
    ) -> ResidualBlock {
        let d_out = width * self.block.expansion();
        let norm = |channels| BatchNorm::init(channels, device);
        let conv = |channels, kernel, stride, name: &str| {
            conv(channels, kernel, stride, seed.split(name), device)
        };
        let downsample = || Downsample {
            _0: conv([d_in, d_out], 1, stride, "downsample"),
            _1: norm(d_out),
        };
        let downsample = (stride != 1 || d_in != d_out).then(downsample);
        match self.block {
            ResNetBlock::Basic => ResidualBlock {
                conv1: conv([d_in, width], 3, stride, "conv1"),
                bn1: norm(width),
                conv2: conv([width, width], 3, 1, "conv2"),
                bn2: norm(width),
                conv3: None,
                bn3: None,
                downsample,
            },
            ResNetBlock::Bottleneck => ResidualBlock {
                conv1: conv([d_in, width], 1, 1, "conv1"),
                bn1: norm(width),
                conv2: conv([width, width], 3, stride, "conv2"),
                bn2: norm(width),
                conv3: Some(conv([width, d_out], 1, 1, "conv3")),
                bn3: Some(norm(d_out)),
                downsample,
            },
        }
    }
}

fn conv(channels: [usize; 2], kernel: usize, stride: usize, seed: Seed, device: &Device) -> Conv2d {
    let config = Conv2dConfig {
        channels,
        kernel,
        stride,
        bias: Bias::None,
        initializer: Initializer::KaimingNormalFanOut,
    };
    config.init(seed, device)
}

/// A residual network; field names are checkpoint keys.
#[derive(Module, Debug)]
pub struct ResNet {
    /// 7 x 7, stride 2.
    pub conv1: Conv2d,
    /// Behind it.
    pub bn1: BatchNorm,
    /// First stage.
    pub layer1: Vec<ResidualBlock>,
    /// Second stage, at half the size.
    pub layer2: Vec<ResidualBlock>,
    /// Third stage.
    pub layer3: Vec<ResidualBlock>,
    /// Fourth stage.
    pub layer4: Vec<ResidualBlock>,
    /// Embedding to class scores.
    pub fc: Option<Linear>,
    #[module(skip)]
    config: ResNetConfig,
}

/// Convolutions whose result is added to what goes in.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    /// 3 x 3, in bottlenecks 1 x 1.
    pub conv1: Conv2d,
    /// Behind it.
    pub bn1: BatchNorm,
    /// 3 x 3.
    pub conv2: Conv2d,
    /// Behind it.
    pub bn2: BatchNorm,
    /// 1 x 1, in bottlenecks.
    pub conv3: Option<Conv2d>,
    /// Behind it.
    pub bn3: Option<BatchNorm>,
    /// What goes in, where its size or channels change.
    pub downsample: Option<Downsample>,
}

/// 1 x 1 convolution and norm.
#[derive(Module, Debug)]
pub struct Downsample {
    /// The convolution, `downsample.0`.
    pub _0: Conv2d,
    /// The norm, `downsample.1`.
    pub _1: BatchNorm,
}

impl ResidualBlock {
    fn forward(&self, x: Tensor<4>, pass: &mut NormPass) -> Tensor<4> {
        let y = self.bn1.forward(self.conv1.forward(x.clone()), pass);
        let y = self.conv2.forward(relu(y));
        let mut y = self.bn2.forward(y, pass);
        if let (Some(conv3), Some(bn3)) = (&self.conv3, &self.bn3) {
            y = bn3.forward(conv3.forward(relu(y)), pass);
        }
        let x = match &self.downsample {
            Some(downsample) => downsample._1.forward(downsample._0.forward(x), pass),
            None => x,
        };
        relu(y + x)
    }
}

impl ResNet {
    /// What it was built from.
    pub fn config(&self) -> &ResNetConfig {
        &self.config
    }

    /// The last maps.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `[B, num_features, H / 32, W / 32]`, rounded up
    pub fn forward_features(&self, images: Tensor<4>, pass: &mut NormPass) -> Tensor<4> {
        let maps = self.forward_block_maps(images, pass);
        maps.into_iter().next_back().expect("there are four stages")
    }

    /// Class scores of an embedding.
    ///
    /// # Shapes
    /// `[B, num_features]` to `[B, num_classes]`
    ///
    /// # Panics
    /// There is no classifier.
    pub fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        let fc = self.fc.as_ref();
        fc.expect("built with classes").forward(embedding)
    }
}

impl MapNetwork for ResNet {
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
        self.config.layers.len()
    }

    fn forward_block_maps(&self, images: Tensor<4>, pass: &mut NormPass) -> Vec<Tensor<4>> {
        let mut maps = Vec::with_capacity(4);
        let x = self.bn1.forward(self.conv1.forward(images), pass);
        let mut x = stem_max_pool(relu(x));
        for stage in [&self.layer1, &self.layer2, &self.layer3, &self.layer4] {
            for block in stage {
                x = block.forward(x, pass);
            }
            maps.push(x.clone());
        }
        maps
    }

    fn embedding_of_maps(&self, last: Tensor<4>, _: &mut NormPass) -> Tensor<2> {
        global_avg_pool(last)
    }
}
