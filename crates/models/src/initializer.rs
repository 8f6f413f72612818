use burn::module::{Param, ParamId};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use morphospace_core::Seed;
use rand::{Rng, RngExt};

/// How a parameter starts.
///
/// Values are drawn on the host from the parameter's own [`Seed`], so they are
/// the same on every device, for every number of threads and whatever was
/// initialised before. Drawing is put off until the value is needed: a network
/// that is built to be filled from a checkpoint never draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initializer {
    /// All equal.
    Constant(f32),
    /// Normal around zero. timm's `trunc_normal_(std=.02)` cuts at the absolute
    /// values -2 and 2, a hundred standard deviations away: the same thing.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Uniform in `±sqrt(6 / (fan_in + fan_out))`, the first axis against the
    /// product of the others (a convolution counts as the linear map of its
    /// patches, as in He et al.'s MAE).
    XavierUniform,
    /// Normal of variance `2 / fan_in` (He et al. 2015;
    /// `torch.nn.init.kaiming_normal_`), the first axis being the outputs.
    KaimingNormal,
    /// Normal of variance `2 / fan_out`, a kernel's outputs times its pixels
    /// (`kaiming_normal_(mode="fan_out")`).
    KaimingNormalFanOut,
    /// Uniform in `±1 / sqrt(fan)`: what PyTorch's own layers start with.
    Uniform {
        /// Inputs of one output.
        fan_in: usize,
    },
}

impl Initializer {
    /// Zeros.
    pub const ZEROS: Self = Self::Constant(0.0);
    /// Ones.
    pub const ONES: Self = Self::Constant(1.0);

    /// A trainable parameter that starts this way.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use morphospace_core::Seed;
    /// use morphospace_models::Initializer;
    ///
    /// let draw = || {
    ///     let normal = Initializer::Normal { std: 0.02 };
    ///     normal.parameter([3, 4], Seed::new(1).split("proj"), &Device::default()).val()
    /// };
    /// assert_eq!(draw().to_data(), draw().to_data());
    /// ```
    pub fn parameter<const D: usize>(
        self,
        shape: [usize; D],
        seed: Seed,
        device: &Device,
    ) -> Param<Tensor<D>> {
        Param::uninitialized(
            ParamId::new(),
            move |device, require_grad| {
                let data = TensorData::new(self.values(&shape, seed), shape);
                Tensor::from_data(data, device).set_require_grad(require_grad)
            },
            device.clone(),
            true,
            Shape::from(shape),
        )
    }

    fn values(self, shape: &[usize], seed: Seed) -> Vec<f32> {
        let count = shape.iter().product();
        let mut rng = seed.rng();
        match self {
            Self::Constant(value) => vec![value; count],
            Self::Normal { std } => normal_values(std, count, &mut rng),
            Self::KaimingNormal => {
                let fan_in: usize = shape.iter().skip(1).product();
                normal_values((2.0 / fan_in as f64).sqrt(), count, &mut rng)
            }
            Self::KaimingNormalFanOut => {
                let pixels: usize = shape.iter().skip(2).product();
                let fan_out = shape.first().copied().unwrap_or(1) * pixels;
                normal_values((2.0 / fan_out as f64).sqrt(), count, &mut rng)
            }
            Self::Uniform { fan_in } => {
                let bound = 1.0 / (fan_in as f64).sqrt();
                uniform_values(bound, count, &mut rng)
            }
            Self::XavierUniform => {
                let first = shape.first().copied().unwrap_or(1);
                let rest: usize = shape.iter().skip(1).product();
                let bound = (6.0 / (first + rest) as f64).sqrt();
                uniform_values(bound, count, &mut rng)
            }
        }
    }
}

fn normal_values(std: f64, count: usize, rng: &mut impl Rng) -> Vec<f32> {
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let (first, second) = normal_pair(rng);
        values.push((std * first) as f32);
        values.push((std * second) as f32);
    }
    values.truncate(count);
    values
}

/// Uniform in `±bound`.
fn uniform_values(bound: f64, count: usize, rng: &mut impl Rng) -> Vec<f32> {
    let mut draw = || ((2.0 * rng.random::<f64>() - 1.0) * bound) as f32;
    (0..count).map(|_| draw()).collect()
}

/// Two independent standard normal numbers (Box and Muller).
fn normal_pair(rng: &mut impl Rng) -> (f64, f64) {
    // 1 - u lies in (0, 1]: its logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * rng.random::<f64>()).sin_cos();
    (radius * cos, radius * sin)
}

/// A parameter that is stored and loaded but never trained, such as a fixed
/// table of positions.
pub(crate) fn fixed_parameter<const D: usize>(
    shape: [usize; D],
    values: impl FnOnce() -> Vec<f32> + Send + Sync + 'static,
    device: &Device,
) -> Param<Tensor<D>> {
    Param::uninitialized(
        ParamId::new(),
        move |device, _| Tensor::from_data(TensorData::new(values(), shape), device),
        device.clone(),
        false,
        Shape::from(shape),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_stated_spread() {
        let values = Initializer::Normal { std: 0.5 }.values(&[100, 101], Seed::new(3));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        assert!(
            mean.abs() < 0.02 && (variance - 0.25).abs() < 0.01,
            "{mean} {variance}"
        );
        let bound = (6.0f32 / 200.0).sqrt();
        let values = Initializer::XavierUniform.values(&[100, 10, 10], Seed::new(3));
        let largest = values.iter().fold(0.0f32, |a, v| a.max(v.abs()));
        assert!(
            largest <= bound && largest > 0.99 * bound,
            "{largest} {bound}"
        );
    }
}
