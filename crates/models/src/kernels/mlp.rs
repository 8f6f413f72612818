//! Two linear maps around a GELU, without an array of all hidden features.

use burn::tensor::Tensor;

use super::gelu::gelu;
use super::host::Host;
use super::linear::LinearMap;
use super::matrix::{Threads, add_product};
use super::rows::{Rows, num_blocks, rows_by_blocks};

/// `fc2(gelu(fc1(x)))`; `None` where the kernel does not apply.
///
/// # Shapes
/// `x`: `[.., D]`; kept
pub(crate) fn mlp<const D: usize>(
    x: &Tensor<D>,
    fc1: &LinearMap,
    fc2: &LinearMap,
) -> Option<Tensor<D>> {
    let shape = x.dims();
    let x = Host::of(x)?;
    let x = x.rows(shape[D - 1])?.split(shape[D - 1])?;
    let w2 = fc2.matrix();
    let threads = Threads::of_each(num_blocks(x.count));
    let output = rows_by_blocks(x.count, fc2.start(), |hidden, first, output| {
        let block = x.block(first, output.len() / w2.cols);
        fc1.forward_then(block, hidden, threads, gelu);
        let hidden = Rows::new(hidden, w2.rows);
        add_product(hidden.into(), w2, output, threads);
    });
    Some(Host::tensor(output, shape))
}
