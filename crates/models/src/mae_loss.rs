//! The objective of masked autoencoders.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::blocks::patches::{flatten_images, norm_pix, unflatten_tokens};

/// Options of [`mae_loss`]. The default is the plain masked mean squared error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaeLossConfig {
    /// Predict every patch with its own mean 0 and variance 1 (He et al.); off
    /// in the microscopy papers.
    pub norm_pix_loss: bool,
    /// Share `a` of the Fourier term in `(1 - a) mse + a fourier`; 0.01 in Kraus
    /// et al. 2023, 0 leaves it out.
    pub fourier_weight: f64,
    /// What the Fourier transform sees.
    pub fourier_view: FourierView,
}

/// What the Fourier transform of the loss sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FourierView {
    /// The images, every pixel of them: what the papers describe.
    #[default]
    Fixed,
    /// What the public code does: the memory of the tokens read as square
    /// planes of `sqrt(L / modalities)` pixels, masked like the squared error.
    /// In joint networks neighbours in such a plane are different channels;
    /// in channel-agnostic ones of patch 16 on 256 pixels a plane is a patch.
    Asis,
}

/// Terms of the loss, each a scalar `[1]`.
#[derive(Clone, Debug)]
pub struct MaeLoss {
    /// What to minimise.
    pub total: Tensor<1>,
    /// Mean squared error over removed tokens.
    pub mse: Tensor<1>,
    /// The Fourier term, if its weight is not zero.
    pub fourier: Option<Tensor<1>>,
}

/// The masked reconstruction loss.
///
/// Per token the mean over its pixels, then the mean over removed tokens: kept
/// tokens do not count.
///
/// # Shapes
/// `images`: `[B, C, H, W]`; `reconstruction`: `[B, L, P·P·C]` or
/// channel-agnostic `[B, C·L, P·P]`; `mask`: `[B, L]`, 1 = removed
///
/// # Source
/// He et al. 2022; Kraus et al. 2023, section 3; maes_microscopy
/// `mae.compute_MAE_loss`, `loss.FourierLoss`
pub fn mae_loss(
    config: &MaeLossConfig,
    images: Tensor<4>,
    reconstruction: Tensor<3>,
    mask: Tensor<2>,
    patch_size: usize,
    channel_agnostic: bool,
) -> MaeLoss {
    let [_, chans, _, _] = images.dims();
    let pixels = flatten_images(images.clone(), patch_size, channel_agnostic);
    let target = if config.norm_pix_loss {
        norm_pix(pixels)
    } else {
        pixels
    };
    let squares = (reconstruction.clone() - target.clone()).square();
    let mse = masked_mean(per_token_mean(squares), mask.clone());
    if config.fourier_weight == 0.0 {
        return MaeLoss {
            total: mse.clone(),
            mse,
            fourier: None,
        };
    }
    let fourier = match config.fourier_view {
        FourierView::Asis => {
            let modalities = if channel_agnostic { chans } else { 1 };
            let spectra = |tokens| fourier_magnitudes(tokens, modalities);
            let difference = (spectra(reconstruction) - spectra(target)).abs();
            masked_mean(per_token_mean(difference), mask)
        }
        FourierView::Fixed => {
            let image = |tokens| unflatten_tokens(tokens, patch_size, chans, channel_agnostic);
            (magnitudes(image(reconstruction)) - magnitudes(image(target)))
                .abs()
                .mean()
        }
    };
    let total =
        mse.clone() * (1.0 - config.fourier_weight) + fourier.clone() * config.fourier_weight;
    MaeLoss {
        total,
        mse,
        fourier: Some(fourier),
    }
}

/// Mean over the tokens whose mask is 1.
///
/// # Shapes
/// both `[B, L]`; result `[1]`
fn masked_mean(per_token: Tensor<2>, mask: Tensor<2>) -> Tensor<1> {
    (per_token * mask.clone()).sum() / mask.sum()
}

/// `[B, L, P]` to `[B, L]`
fn per_token_mean(values: Tensor<3>) -> Tensor<2> {
    values.mean_dim(2).squeeze_dim(2)
}

/// Magnitudes of the raw view: the memory of the tokens of every modality read
/// as square planes of `sqrt(L / modalities)` pixels, transformed, and read as
/// tokens again ([`FourierView::Asis`]).
///
/// # Shapes
/// `[B, L, P]`, kept
pub fn fourier_magnitudes(tokens: Tensor<3>, modalities: usize) -> Tensor<3> {
    let [batch, num_tokens, pixels] = tokens.dims();
    let side = (num_tokens / modalities).isqrt();
    let planes = num_tokens * pixels / (side * side);
    let magnitudes = magnitudes(tokens.reshape([batch, planes, side, side]));
    magnitudes.reshape([batch, num_tokens, pixels])
}

/// Magnitudes of the unnormalised two-dimensional discrete Fourier transform
/// of square planes.
///
/// The transform is two products with the cosine and sine matrices: planes are
/// small, products are the fastest thing a device does, and their gradient is
/// known. At magnitude 0 the gradient is 0.
///
/// # Shapes
/// `[B, K, s, s]`, kept
fn magnitudes(planes: Tensor<4>) -> Tensor<4> {
    let [batch, count, side, _] = planes.dims();
    let [cos, sin] = fourier_matrices(side, &planes.device());
    let rows = batch * count * side;
    // Transforms the last axis and puts it before the other one.
    let transform = |x: &Tensor<2>, matrix: &Tensor<2>| {
        let product = x.clone().matmul(matrix.clone());
        product
            .reshape([batch * count, side, side])
            .swap_dims(1, 2)
            .reshape([rows, side])
    };
    let x = planes.reshape([rows, side]);
    // e^(-i a) = cos a - i sin a: the result is (C - iS) applied to both axes.
    let along_cos = transform(&x, &cos);
    let along_sin = transform(&x, &sin);
    let real = transform(&along_cos, &cos) - transform(&along_sin, &sin);
    let imaginary = transform(&along_cos, &sin) + transform(&along_sin, &cos);
    let power = real.square() + imaginary.square();
    power
        .clamp_min(f32::MIN_POSITIVE)
        .sqrt()
        .reshape([batch, count, side, side])
}

fn fourier_matrices(side: usize, device: &Device) -> [Tensor<2>; 2] {
    let matrix = |wave: fn(f64) -> f64| {
        let values: Vec<f32> = (0..side * side)
            .map(|index| {
                // Reduced first: the angle of a large product would lose digits.
                let turns = (index / side) * (index % side) % side;
                wave(std::f64::consts::TAU * turns as f64 / side as f64) as f32
            })
            .collect();
        Tensor::from_data(TensorData::new(values, [side, side]), device)
    };
    [matrix(f64::cos), matrix(f64::sin)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_has_one_pair_of_magnitudes() {
        // cos(2 pi x / 4) along rows of a 4 x 4 plane: |F| = 8 at (0, 1), (0, 3).
        let device = Device::default();
        let row = [1.0f32, 0.0, -1.0, 0.0];
        let plane = Tensor::<1>::from_floats(row.repeat(4).as_slice(), &device);
        let values: Vec<f32> = magnitudes(plane.reshape([1, 1, 4, 4]))
            .into_data()
            .try_to_vec()
            .expect("floats");
        for (index, value) in values.iter().enumerate() {
            let expected = if index == 1 || index == 3 { 8.0 } else { 0.0 };
            assert!((value - expected).abs() < 1e-5, "{values:?}");
        }
    }

    #[test]
    fn the_gradient_at_magnitude_zero_is_zero() {
        let device = Device::default().autodiff();
        let planes = Tensor::<4>::zeros([1, 1, 4, 4], &device).require_grad();
        let gradients = magnitudes(planes.clone()).sum().backward();
        let gradient = planes.grad(&gradients).expect("a leaf");
        assert_eq!(gradient.abs().max().into_scalar::<f32>(), 0.0);
    }
}
