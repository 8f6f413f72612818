//! Convolution of maps.

use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, module};
use morphospace_core::Seed;

use super::linear::Bias;
use crate::kernels::{self, training};
use crate::{Initializer, Precision};

/// A square kernel over maps (`torch.nn.Conv2d`).
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[out, in, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    stride: usize,
    padding: usize,
}

/// Sizes of a [`Conv2d`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2dConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Side of the kernel.
    pub kernel: usize,
    /// Step of the kernel.
    pub stride: usize,
    /// Whether there is a bias.
    pub bias: Bias,
    /// Start of the kernel.
    pub initializer: Initializer,
}

impl Conv2dConfig {
    /// A convolution that keeps the size but for its stride, zeros beyond the
    /// edge.
    pub fn init(&self, seed: Seed, device: &Device) -> Conv2d {
        let [d_in, d_out] = self.channels;
        let shape = [d_out, d_in, self.kernel, self.kernel];
        let zeros = || Initializer::ZEROS.parameter([d_out], seed.split("bias"), device);
        Conv2d {
            weight: self
                .initializer
                .parameter(shape, seed.split("weight"), device),
            bias: (self.bias == Bias::Zeros).then(zeros),
            stride: self.stride,
            padding: self.kernel / 2,
        }
    }
}

impl Conv2d {
    /// # Shapes
    /// `[B, in, H, W]` to `[B, out, H / stride, W / stride]`, rounded up
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (stride, padding) = (self.stride, self.padding);
        let (weight, bias) = (self.weight.val(), self.bias.as_ref().map(Param::val));
        let evaluated = kernels::conv2d::conv2d(&x, &weight, bias.as_ref(), stride, padding);
        let trained = || training::conv2d(&x, &weight, bias.as_ref(), stride, padding);
        if let Some(maps) = evaluated.or_else(trained) {
            return maps;
        }
        let options = ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1);
        match Precision::current() {
            Precision::F32 => module::conv2d(x, weight, bias, options),
            format => {
                let kernel = format.narrow(weight);
                let y = format.widen(module::conv2d(format.narrow(x), kernel, None, options));
                match bias {
                    // [out] → [1, out, 1, 1]
                    Some(bias) => y + bias.unsqueeze_dims(&[0, 2, 3]),
                    None => y,
                }
            }
        }
    }
}
