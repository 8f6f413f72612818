//! A linear map with rows of a given length.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;

use crate::{Initializer, Precision};

/// `y = x Wᵀ` with `W = g v / |v|`, row by row (Salimans & Kingma 2016;
/// `torch.nn.utils.weight_norm` of a `Linear` without bias).
#[derive(Module, Debug)]
pub struct WeightNormLinear {
    /// Lengths, `[out, 1]`.
    pub weight_g: Param<Tensor<2>>,
    /// Directions, `[out, in]`.
    pub weight_v: Param<Tensor<2>>,
}

impl WeightNormLinear {
    /// A map of `d_in` to `d_out` features with lengths of one, which are
    /// trained only with `trains_lengths`.
    pub fn init(
        [d_in, d_out]: [usize; 2],
        trains_lengths: bool,
        initializer: Initializer,
        seed: Seed,
        device: &Device,
    ) -> Self {
        let lengths = Initializer::ONES.parameter([d_out, 1], seed.split("weight_g"), device);
        Self {
            weight_g: lengths.set_require_grad(trains_lengths),
            weight_v: initializer.parameter([d_out, d_in], seed.split("weight_v"), device),
        }
    }

    /// # Shapes
    /// `[B, in]` to `[B, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let v = self.weight_v.val();
        let length = v.clone().square().sum_dim(1).sqrt();
        let weight = v * (self.weight_g.val() / length);
        Precision::current().product(x, weight.transpose())
    }
}
