//! What a branch of a network adds to its trunk, and its gradients.

use burn::tensor::Tensor;

use super::{Operation, record, tracked};
use crate::kernels::host::HostSlice;
use crate::kernels::residual::scaled_sum;
use crate::kernels::rows::rows_and_sums;
use crate::kernels::vector_unit::vectorised;

/// `x + gamma * branch`; `None` where the kernel does not apply.
///
/// # Shapes
/// `x`, `branch`: `[.., D]`, `gamma`: `[D]`; kept
pub(crate) fn add_scaled<const D: usize>(
    x: &Tensor<D>,
    branch: &Tensor<D>,
    gamma: &Tensor<1>,
) -> Option<Tensor<D>> {
    let shape = x.dims();
    if shape.contains(&0) {
        return None;
    }
    let (x, x_values) = tracked(x)?;
    let (branch, branch_values) = tracked(branch)?;
    let (gamma, gamma_values) = tracked(gamma)?;
    let output = scaled_sum(&x_values, &branch_values, &gamma_values);
    let operation = AddScaled {
        branch: branch_values,
        gamma: gamma_values,
    };
    let output = HostSlice::new(output, &shape);
    Some(record(operation, [&x, &branch, &gamma], output))
}

#[derive(Clone, Debug)]
struct AddScaled {
    branch: HostSlice,
    gamma: HostSlice,
}

impl Operation<3> for AddScaled {
    fn gradients(self, of_output: &HostSlice, _: [bool; 3]) -> [Option<HostSlice>; 3] {
        let shape = self.branch.shape();
        let (branch, gamma, all) = (
            self.branch.values(),
            self.gamma.values(),
            of_output.values(),
        );
        let len = gamma.len();
        let (of_branch, of_gamma) =
            rows_and_sums(all.len() / len, len, len, |first, output, sums| {
                let inputs = first * len..first * len + output.len();
                let (branch, gradient) = (&branch[inputs.clone()], &all[inputs]);
                vectorised(
                    #[inline(always)]
                    || {
                        let rows = gradient.chunks_exact(len).zip(branch.chunks_exact(len));
                        for (output, (gradient, branch)) in output.chunks_exact_mut(len).zip(rows) {
                            for ((output, gradient), gamma) in
                                output.iter_mut().zip(gradient).zip(gamma)
                            {
                                *output = gradient * gamma;
                            }
                            for ((sum, gradient), branch) in
                                sums.iter_mut().zip(gradient).zip(branch)
                            {
                                *sum = gradient.mul_add(*branch, *sum);
                            }
                        }
                    },
                );
            });
        [
            Some(of_output.clone()),
            Some(HostSlice::new(of_branch, &shape)),
            Some(HostSlice::new(of_gamma, &[len])),
        ]
    }
}
