//! Number format of matrix products and convolutions.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

/// In what matrix products and convolutions are computed (mixed precision).
///
/// Weights, sums, norms, soft-max and losses are held in `f32` whatever this
/// says; the operands of products are rounded on their way in and their results
/// widened on their way out, forward and backward. This is what
/// `torch.autocast` does but for the additions between two products, which
/// remain in `f32` here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits throughout.
    #[default]
    F32,
    /// Brain floats: the range of `f32` with 8 bits of precision.
    Bf16,
    /// IEEE half floats: 11 bits of precision, nothing beyond 65504. Small
    /// gradients are lost unless the loss is scaled up.
    F16,
}

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::F32) };
}

impl Precision {
    /// Does `work` with the products that this thread computes meanwhile in
    /// this format.
    ///
    /// # Example
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use morphospace_core::Seed;
    /// use morphospace_models::blocks::linear::{Bias, Linear};
    /// use morphospace_models::{Initializer, Precision};
    ///
    /// let device = Device::default();
    /// let ones = Initializer::ONES;
    /// let third = Linear::init([1, 1], Bias::None, ones, Seed::new(1), &device);
    /// let x = Tensor::<2>::full([1, 1], 1.0 / 3.0, &device);
    /// let rounded = Precision::Bf16.within(|| third.forward(x));
    /// assert_eq!(rounded.into_scalar::<f32>(), 0.333_984_38);
    /// ```
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        struct Restore(Precision);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        let _restore = Restore(CURRENT.replace(self));
        work()
    }

    /// Whether a device computes in it.
    pub fn is_supported(self, device: &Device) -> bool {
        device.supports_dtype(self.dtype())
    }

    /// The format that products of this thread are computed in.
    pub(crate) fn current() -> Self {
        CURRENT.get()
    }

    /// An operand of a product.
    pub(crate) fn narrow<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => x,
            Self::Bf16 | Self::F16 => x.cast(self.dtype()),
        }
    }

    /// The result of a product.
    pub(crate) fn widen<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => x,
            Self::Bf16 | Self::F16 => x.cast(FloatDType::F32),
        }
    }

    /// `a b` over the last two axes.
    pub(crate) fn product<const D: usize>(self, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        self.widen(self.narrow(a).matmul(self.narrow(b)))
    }

    /// As configurations write it.
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
            Self::F16 => FloatDType::F16,
        }
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::F32, Self::Bf16, Self::F16]
            .into_iter()
            .find(|precision| precision.name() == text)
            .ok_or_else(|| format!("'{text}' is no precision (f32, bf16, f16)"))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_ends_with_the_work() {
        Precision::F16.within(|| {
            Precision::Bf16.within(|| assert_eq!(Precision::current(), Precision::Bf16));
            assert_eq!(Precision::current(), Precision::F16);
        });
        let panicked = std::panic::catch_unwind(|| Precision::F16.within(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(Precision::current(), Precision::F32);
    }
}
