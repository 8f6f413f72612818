//! What a branch of a network adds to its trunk.

use burn::tensor::Tensor;

use super::host::{Host, HostSlice};
use super::rows::{Start, rows_by_blocks};
use super::vector_unit::vectorised;

/// `x + gamma * branch`; `None` where the kernel does not
/// apply.
///
/// # Shapes
/// `x`, `branch`: `[.., D]`, `gamma`: `[D]`; kept
pub(crate) fn add_scaled<const D: usize>(
    x: &Tensor<D>,
    branch: &Tensor<D>,
    gamma: &Tensor<1>,
) -> Option<Tensor<D>> {
    let (values, branch) = (HostSlice::of(x)?, HostSlice::of(branch)?);
    let output = scaled_sum(&values, &branch, &HostSlice::of(gamma)?);
    Some(Host::tensor(output, x.dims()))
}

/// [`add_scaled`] of values.
pub(super) fn scaled_sum(x: &HostSlice, branch: &HostSlice, gamma: &HostSlice) -> Vec<f32> {
    let (x, branch, gamma) = (x.values(), branch.values(), gamma.values());
    let len = gamma.len();
    rows_by_blocks(x.len() / len, Start::Zeros(len), |_, first, output| {
        let inputs = first * len..first * len + output.len();
        let (x, branch) = (&x[inputs.clone()], &branch[inputs]);
        vectorised(
            #[inline(always)]
            || {
                let inputs = x.chunks_exact(len).zip(branch.chunks_exact(len));
                for (output, (x, branch)) in output.chunks_exact_mut(len).zip(inputs) {
                    let values = x.iter().zip(branch).zip(gamma);
                    for (output, ((x, branch), gamma)) in output.iter_mut().zip(values) {
                        *output = gamma.mul_add(*branch, *x);
                    }
                }
            },
        );
    })
}
