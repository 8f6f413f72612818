//! Linear map of the last axis.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, module};
use morphospace_core::Seed;

use crate::kernels::linear::{LinearMap, linear};
use crate::kernels::training;
use crate::{Initializer, Precision};

/// `y = x W + b`.
///
/// The weight is held as `[in, out]`, the layout the matrix product reads
/// fastest; files hold `[out, in]`, and [`load_weights`](crate::load_weights)
/// is the one place that turns it.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
}

/// Whether a linear map adds a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// A trained bias that starts at zero.
    Zeros,
    /// None.
    None,
}

impl Linear {
    /// A map of `d_in` to `d_out` features.
    pub fn init(
        [d_in, d_out]: [usize; 2],
        bias: Bias,
        initializer: Initializer,
        seed: Seed,
        device: &Device,
    ) -> Self {
        let zeros = || Initializer::ZEROS.parameter([d_out], seed.split("bias"), device);
        Self {
            weight: initializer.parameter([d_in, d_out], seed.split("weight"), device),
            bias: (bias == Bias::Zeros).then(zeros),
        }
    }

    /// Weight and bias where they can be evaluated outside of Burn.
    pub(crate) fn host_map(&self) -> Option<LinearMap> {
        let bias = self.bias.as_ref().map(Param::val);
        LinearMap::of(&self.weight.val(), bias.as_ref())
    }

    /// # Shapes
    /// `[.., in]` to `[.., out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        map_rows(x, self.weight.val(), self.bias.as_ref().map(Param::val))
    }

    /// The map with a bias that the caller lays out.
    ///
    /// # Shapes
    /// `x`: `[.., in]`; `bias`: `[out]`; result `[.., out]`
    pub fn forward_with_bias<const D: usize>(&self, x: Tensor<D>, bias: Tensor<1>) -> Tensor<D> {
        map_rows(x, self.weight.val(), Some(bias))
    }
}

/// `x w + bias` over the last axis.
///
/// # Shapes
/// `x`: `[.., in]`; `w`: `[in, out]`; `bias`: `[out]`; result `[.., out]`
pub(super) fn map_rows<const D: usize>(
    x: Tensor<D>,
    w: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let evaluated = || linear(&x, &LinearMap::of(&w, bias.as_ref())?);
    let trained = || training::linear(&x, &w, bias.as_ref());
    evaluated()
        .or_else(trained)
        .unwrap_or_else(|| match Precision::current() {
            Precision::F32 => module::linear(x, w, bias),
            format => {
                let y = module::linear(format.narrow(x), format.narrow(w), None);
                let y = format.widen(y);
                match bias {
                    Some(bias) => y + bias.unsqueeze(),
                    None => y,
                }
            }
        })
}
