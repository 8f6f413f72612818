//! U-Net for masked images.
//!
//! Microsnoop (Xun et al. 2023, <https://doi.org/10.1016/j.xinn.2023.100541>; the
//! style-conditioned U-Net of Cellpose, Stringer et al. 2021), as MU-Net of
//! Kraus et al. 2023 (<https://arxiv.org/abs/2309.16064>). Reference code:
//! microsnoop-publish on the blocks of scellseg 0.1.8. Differences: any number
//! of channels and levels (the published decoder has five at most).
//!
//! Kraus et al. print 52 and 135 million parameters for MU-Net-M and -L, with
//! kernels of 5. Plain blocks of kernel 5 have 33.2 and 133.1 million, the
//! latter 52.4 million of them in the encoder; residual ones 69.8 and 279.5. So
//! plain blocks are the default.
//!
//! `morphospace embed SCREEN --network untrained:munet_m --output p.parquet` runs
//! its encoder.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use crate::blocks::batch_norm::BatchNorm;
use crate::blocks::conv2d::{Conv2d, Conv2dConfig};
use crate::blocks::linear::{Bias, Linear};
use crate::blocks::norm_pass::NormPass;
use crate::blocks::pooling::{global_avg_pool, max_pool_2x2};
use crate::error::ModelError;
use crate::initializer::Initializer;
use crate::map_network::MapNetwork;
use crate::vit::not_a_multiple;

/// Sizes of a [`MuNet`]. The default is MU-Net-M on six channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MuNetConfig {
    /// Side of the square images it is made for, in pixels; it takes others.
    pub img_size: usize,
    /// Channels of the images, in and out.
    pub in_chans: usize,
    /// Channels of each level, from the image's size down by halves.
    pub depths: Vec<usize>,
    /// Side of the kernels, odd.
    pub kernel: usize,
    /// Residual blocks, of twice the convolutions.
    pub residual: bool,
}

impl Default for MuNetConfig {
    fn default() -> Self {
        Self {
            img_size: 256,
            in_chans: 6,
            depths: vec![32, 64, 128, 256, 512],
            kernel: 5,
            residual: false,
        }
    }
}

impl MuNetConfig {
    /// MU-Net-L on six channels.
    pub fn large() -> Self {
        Self {
            depths: vec![32, 64, 128, 256, 512, 1024],
            ..Self::default()
        }
    }

    /// Features of the embedding.
    pub fn num_features(&self) -> usize {
        self.depths.last().copied().unwrap_or_default()
    }

    /// Whether the numbers can be.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), ModelError> {
        let invalid = |message| {
            Err(ModelError::InvalidConfig {
                network: "munet",
                message,
            })
        };
        let counts = [
            ("img_size", self.img_size, 16_384),
            ("in_chans", self.in_chans, 1024),
            ("kernel", self.kernel, 63),
            ("levels in depths", self.depths.len(), 12),
        ];
        let levels = self.depths.iter();
        let levels = levels.map(|&channels| ("channels of a level", channels, 16_384));
        for (name, value, most) in counts.into_iter().chain(levels) {
            if value == 0 || value > most {
                return invalid(format!("{name} {value} is not in 1..={most}"));
            }
        }
        if self.kernel.is_multiple_of(2) {
            return invalid(format!(
                "kernel {} is even and would move the image (nearest: {}, {})",
                self.kernel,
                self.kernel - 1,
                self.kernel + 1
            ));
        }
        let unit = ("the deepest pixel", self.deepest_pixel());
        match not_a_multiple(("img_size", self.img_size), unit) {
            Some(message) => invalid(message),
            None => Ok(()),
        }
    }

    /// Pixels of the image that one of the deepest maps stands for, along a
    /// side.
    pub fn deepest_pixel(&self) -> usize {
        1 << (self.depths.len() - 1)
    }

    /// A network with weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`MuNetConfig::check`].
    pub fn init(&self, device: &Device, seed: Seed) -> Result<MuNet, ModelError> {
        self.check()?;
        let (mut downs, mut ups) = (Vec::new(), Vec::new());
        for (level, &channels) in self.depths.iter().enumerate() {
            let seed = seed.split_index(level as u64);
            let above = match level {
                0 => self.in_chans,
                _ => self.depths[level - 1],
            };
            let below = self.depths.get(level + 1).copied().unwrap_or(channels);
            downs.push(self.init_down([above, channels], seed.split("down"), device));
            ups.push(self.init_up([below, channels], seed.split("up"), device));
        }
        let (res_downs, conv_downs) = match self.residual {
            true => (downs, Vec::new()),
            false => (Vec::new(), downs),
        };
        let (res_ups, conv_ups) = match self.residual {
            true => (ups, Vec::new()),
            false => (Vec::new(), ups),
        };
        let first = self.depths[0];
        let channels = [first, self.in_chans];
        Ok(MuNet {
            encoder: MuNetEncoder {
                downsample: Downsampling {
                    down: DownBlocks {
                        res_downs,
                        conv_downs,
                    },
                },
            },
            decoder: MuNetDecoder {
                upsample: Upsampling {
                    up: UpBlocks { res_ups, conv_ups },
                },
                base_bn: BatchNorm::init(first, device),
                base_conv: conv(channels, 1, seed.split("base_conv"), device),
            },
            config: self.clone(),
        })
    }

    fn init_down(&self, [d_in, d_out]: [usize; 2], seed: Seed, device: &Device) -> DownBlock {
        let unit = |channels, name: &str| {
            NormReluConv::init(channels, self.kernel, seed.split(name), device)
        };
        let same = [d_out, d_out];
        DownBlock {
            conv: DownConvs {
                conv_0: unit([d_in, d_out], "conv_0"),
                conv_1: unit(same, "conv_1"),
                conv_2: self.residual.then(|| unit(same, "conv_2")),
                conv_3: self.residual.then(|| unit(same, "conv_3")),
            },
            proj: self
                .residual
                .then(|| Projection::init([d_in, d_out], seed.split("proj"), device)),
        }
    }

    fn init_up(&self, [d_in, d_out]: [usize; 2], seed: Seed, device: &Device) -> UpBlock {
        let style = self.num_features();
        let styled = |name: &str| {
            let seed = seed.split(name);
            let uniform = Initializer::Uniform { fan_in: style };
            StyledConv {
                conv: NormReluConv::init([d_out, d_out], self.kernel, seed, device),
                full: Linear::init([style, d_out], Bias::Zeros, uniform, seed, device),
            }
        };
        UpBlock {
            conv: UpConvs {
                conv_0: NormReluConv::init(
                    [d_in, d_out],
                    self.kernel,
                    seed.split("conv_0"),
                    device,
                ),
                conv_1: styled("conv_1"),
                conv_2: self.residual.then(|| styled("conv_2")),
                conv_3: self.residual.then(|| styled("conv_3")),
            },
            proj: self
                .residual
                .then(|| Projection::init([d_in, d_out], seed.split("proj"), device)),
        }
    }
}

fn conv(channels: [usize; 2], kernel: usize, seed: Seed, device: &Device) -> Conv2d {
    let config = Conv2dConfig {
        channels,
        kernel,
        stride: 1,
        bias: Bias::Zeros,
        initializer: Initializer::Uniform {
            fan_in: channels[0] * kernel * kernel,
        },
    };
    config.init(seed, device)
}

/// A U-Net; field names are checkpoint keys.
#[derive(Module, Debug)]
pub struct MuNet {
    /// Images to maps.
    pub encoder: MuNetEncoder,
    /// Maps to images.
    pub decoder: MuNetDecoder,
    #[module(skip)]
    config: MuNetConfig,
}

/// The way down.
#[derive(Module, Debug)]
pub struct MuNetEncoder {
    /// Its blocks.
    pub downsample: Downsampling,
}

/// Blocks of the way down, as the reference nests them.
#[derive(Module, Debug)]
pub struct Downsampling {
    /// The blocks.
    pub down: DownBlocks,
}

/// Blocks of either kind; there are none of the other.
#[derive(Module, Debug)]
pub struct DownBlocks {
    /// `res_down_0` and so on.
    pub res_downs: Vec<DownBlock>,
    /// `conv_down_0` and so on.
    pub conv_downs: Vec<DownBlock>,
}

/// The way up.
#[derive(Module, Debug)]
pub struct MuNetDecoder {
    /// Its blocks.
    pub upsample: Upsampling,
    /// Of the last maps.
    pub base_bn: BatchNorm,
    /// To the image's channels.
    pub base_conv: Conv2d,
}

/// Blocks of the way up, as the reference nests them.
#[derive(Module, Debug)]
pub struct Upsampling {
    /// The blocks.
    pub up: UpBlocks,
}

/// Blocks of either kind; there are none of the other.
#[derive(Module, Debug)]
pub struct UpBlocks {
    /// `res_up_0` and so on.
    pub res_ups: Vec<UpBlock>,
    /// `conv_up_0` and so on.
    pub conv_ups: Vec<UpBlock>,
}

/// A level of the way down.
#[derive(Module, Debug)]
pub struct DownBlock {
    /// Convolutions.
    pub conv: DownConvs,
    /// What goes around the first two, in residual blocks.
    pub proj: Option<Projection>,
}

/// Two convolutions, in residual blocks four.
#[derive(Module, Debug)]
pub struct DownConvs {
    /// To the level's channels.
    pub conv_0: NormReluConv,
    /// The second.
    pub conv_1: NormReluConv,
    /// The third.
    pub conv_2: Option<NormReluConv>,
    /// The fourth.
    pub conv_3: Option<NormReluConv>,
}

/// A level of the way up.
#[derive(Module, Debug)]
pub struct UpBlock {
    /// Convolutions.
    pub conv: UpConvs,
    /// What goes around the first two, in residual blocks.
    pub proj: Option<Projection>,
}

/// Two convolutions, in residual blocks four; all but the first see the style.
#[derive(Module, Debug)]
pub struct UpConvs {
    /// To the level's channels.
    pub conv_0: NormReluConv,
    /// The second.
    pub conv_1: StyledConv,
    /// The third.
    pub conv_2: Option<StyledConv>,
    /// The fourth.
    pub conv_3: Option<StyledConv>,
}

/// Norm, ReLU, convolution.
#[derive(Module, Debug)]
pub struct NormReluConv {
    /// The norm.
    pub _0: BatchNorm,
    /// The convolution.
    pub _2: Conv2d,
}

/// Norm and 1 x 1 convolution.
#[derive(Module, Debug)]
pub struct Projection {
    /// The norm.
    pub _0: BatchNorm,
    /// The convolution.
    pub _1: Conv2d,
}

/// [`NormReluConv`] of maps to which a linear map of the style is added.
#[derive(Module, Debug)]
pub struct StyledConv {
    /// The convolution.
    pub conv: NormReluConv,
    /// Style to channels.
    pub full: Linear,
}

impl NormReluConv {
    fn init(channels: [usize; 2], kernel: usize, seed: Seed, device: &Device) -> Self {
        Self {
            _0: BatchNorm::init(channels[0], device),
            _2: conv(channels, kernel, seed, device),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &mut NormPass) -> Tensor<4> {
        self._2.forward(self._0.forward_relu(x, pass))
    }
}

impl Projection {
    fn init(channels: [usize; 2], seed: Seed, device: &Device) -> Self {
        Self {
            _0: BatchNorm::init(channels[0], device),
            _1: conv(channels, 1, seed, device),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &mut NormPass) -> Tensor<4> {
        self._1.forward(self._0.forward(x, pass))
    }
}

impl StyledConv {
    fn forward(&self, style: &Tensor<2>, x: Tensor<4>, pass: &mut NormPass) -> Tensor<4> {
        let [batch, channels, _, _] = x.dims();
        let style = self.full.forward(style.clone());
        self.conv
            .forward(x + style.reshape([batch, channels, 1, 1]), pass)
    }
}

impl DownBlock {
    fn forward(&self, x: Tensor<4>, pass: &mut NormPass) -> Tensor<4> {
        let DownConvs {
            conv_0,
            conv_1,
            conv_2,
            conv_3,
        } = &self.conv;
        let y = conv_1.forward(conv_0.forward(x.clone(), pass), pass);
        let (Some(proj), Some(conv_2), Some(conv_3)) = (&self.proj, conv_2, conv_3) else {
            return y;
        };
        let x = proj.forward(x, pass) + y;
        x.clone() + conv_3.forward(conv_2.forward(x, pass), pass)
    }
}

impl UpBlock {
    fn forward(
        &self,
        x: Tensor<4>,
        skip: Tensor<4>,
        style: &Tensor<2>,
        pass: &mut NormPass,
    ) -> Tensor<4> {
        let UpConvs {
            conv_0,
            conv_1,
            conv_2,
            conv_3,
        } = &self.conv;
        let y = conv_0.forward(x.clone(), pass) + skip;
        let y = conv_1.forward(style, y, pass);
        let (Some(proj), Some(conv_2), Some(conv_3)) = (&self.proj, conv_2, conv_3) else {
            return y;
        };
        let x = proj.forward(x, pass) + y;
        let y = conv_2.forward(style, x.clone(), pass);
        x + conv_3.forward(style, y, pass)
    }
}

impl MuNet {
    /// What it was built from.
    pub fn config(&self) -> &MuNetConfig {
        &self.config
    }

    /// The embedding with a length of one, which the decoder sees and
    /// Microsnoop publishes; not a number for maps that are all zero, as
    /// there.
    ///
    /// # Shapes
    /// `[B, num_features]`, kept
    pub fn style(embedding: Tensor<2>) -> Tensor<2> {
        let length = embedding.clone().square().sum_dim(1).sqrt();
        embedding / length
    }

    /// The image behind the maps.
    ///
    /// # Shapes
    /// as [`MuNet::forward_block_maps`] returns them, to `[B, C, H, W]`
    pub fn reconstruct(&self, maps: Vec<Tensor<4>>, pass: &mut NormPass) -> Tensor<4> {
        let deepest = maps.last().expect("there is a level").clone();
        let style = Self::style(global_avg_pool(deepest.clone()));
        let UpBlocks { res_ups, conv_ups } = &self.decoder.upsample.up;
        let blocks = res_ups.iter().chain(conv_ups);
        let levels: Vec<(&UpBlock, Tensor<4>)> = blocks.zip(maps).collect();
        let mut x = deepest;
        for (place, (block, skip)) in levels.into_iter().rev().enumerate() {
            if place > 0 {
                x = twice_as_large(x);
            }
            x = block.forward(x, skip, &style, pass);
        }
        let x = self.decoder.base_bn.forward_relu(x, pass);
        self.decoder.base_conv.forward(x)
    }
}

impl MapNetwork for MuNet {
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
        self.config.depths.len()
    }

    fn forward_block_maps(&self, images: Tensor<4>, pass: &mut NormPass) -> Vec<Tensor<4>> {
        let DownBlocks {
            res_downs,
            conv_downs,
        } = &self.encoder.downsample.down;
        let mut maps: Vec<Tensor<4>> = Vec::with_capacity(self.config.depths.len());
        for block in res_downs.iter().chain(conv_downs) {
            let x = match maps.last() {
                None => images.clone(),
                Some(above) => max_pool_2x2(above.clone()),
            };
            maps.push(block.forward(x, pass));
        }
        maps
    }

    fn embedding_of_maps(&self, last: Tensor<4>, _: &mut NormPass) -> Tensor<2> {
        global_avg_pool(last)
    }
}

/// Every pixel four times.
fn twice_as_large(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height, 1, width, 1])
        .expand([batch, channels, height, 2, width, 2])
        .reshape([batch, channels, 2 * height, 2 * width])
}
