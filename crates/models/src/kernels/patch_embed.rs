//! Images to tokens, without an array of all patches.

use burn::tensor::Tensor;

use super::host::{Host, HostSlice};
use super::linear::LinearMap;
use super::matrix::{Threads, add_product};
use super::rows::{Rows, num_blocks, rows_by_blocks};

/// The linear map of every patch; `None` where the kernel does not apply.
///
/// # Shapes
/// `images`: `[B, C, h·P, w·P]`; `map`: from `C·P·P` features, or `P·P` if
/// channels are cut on their own; result `[B, h·w, D]` or `[B, C·h·w, D]`
pub(crate) fn patch_embed(
    images: &Tensor<4>,
    patch_size: usize,
    map: &LinearMap,
) -> Option<Tensor<3>> {
    let [batch, chans, height, width] = images.dims();
    let images = HostSlice::of(images)?;
    let images = images.values();
    let w = map.matrix();
    // Channels that make up one token.
    let joint = w.rows / (patch_size * patch_size);
    let (rows, cols) = (height / patch_size, width / patch_size);
    let num_tokens = chans / joint * rows * cols;
    let threads = Threads::of_each(num_blocks(batch * num_tokens));
    let output = rows_by_blocks(batch * num_tokens, map.start(), |patches, first, output| {
        patches.clear();
        for token in first..first + output.len() / w.cols {
            let (image, place) = (token / (rows * cols), token % (rows * cols));
            let (row, col) = (place / cols, place % cols);
            for plane in image * joint..(image + 1) * joint {
                for y in row * patch_size..(row + 1) * patch_size {
                    let start = (plane * height + y) * width + col * patch_size;
                    patches.extend_from_slice(&images[start..start + patch_size]);
                }
            }
        }
        let patches = Rows::new(patches, w.rows);
        add_product(patches.into(), w, output, threads);
    });
    Some(Host::tensor(output, [batch, num_tokens, w.cols]))
}
