//! First convolutions for another number of channels.

use burn::tensor::Tensor;

/// A first convolution trained on RGB, for `in_chans` channels: the kernel is
/// repeated, cut and scaled by `3 / in_chans`, so that the sum over channels
/// keeps its size; for one channel the three are added.
///
/// # Shapes
/// `[D, 3, P, P]` to `[D, in_chans, P, P]`
///
/// # Source
/// timm `models._manipulate.adapt_input_conv`
pub fn adapt_input_conv(kernel: Tensor<4>, in_chans: usize) -> Tensor<4> {
    let [_, rgb, _, _] = kernel.dims();
    match in_chans {
        1 => kernel.sum_dim(1),
        chans if chans == rgb => kernel,
        chans => {
            let repeated = kernel
                .repeat_dim(1, chans.div_ceil(rgb))
                .narrow(1, 0, chans);
            repeated * (rgb as f64 / chans as f64)
        }
    }
}
