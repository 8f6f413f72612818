//! The exact GELU and its gradient.

use burn::tensor::Tensor;

use super::{Operation, record, tracked};
use crate::kernels::exp::exp;
use crate::kernels::gelu as forward;
use crate::kernels::host::HostSlice;
use crate::kernels::rows::{Start, rows_by_blocks};
use crate::kernels::vector_unit::vectorised;

/// `x Φ(x)`; `None` where the kernel does not apply.
pub(crate) fn gelu<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    let shape = x.dims();
    if shape.contains(&0) {
        return None;
    }
    let (x, values) = tracked(x)?;
    let output = map(
        values.values(),
        shape[D - 1],
        #[inline(always)]
        |x, _| forward::gelu(x),
        None,
    );
    Some(record(Gelu(values), [&x], HostSlice::new(output, &shape)))
}

/// What it was computed from.
#[derive(Clone, Debug)]
struct Gelu(HostSlice);

impl Operation<1> for Gelu {
    fn gradients(self, of_output: &HostSlice, _: [bool; 1]) -> [Option<HostSlice>; 1] {
        let shape = self.0.shape();
        let len = *shape.last().expect("as many axes as the output");
        let values = map(
            self.0.values(),
            len,
            #[inline(always)]
            |x, gradient| gradient * slope(x),
            Some(of_output.values()),
        );
        [Some(HostSlice::new(values, &shape))]
    }
}

/// `Φ(x) + x φ(x)`.
#[inline(always)]
fn slope(x: f32) -> f32 {
    const FRAC_1_SQRT_TAU: f32 = 0.398_942_3;
    let density = FRAC_1_SQRT_TAU * exp(-0.5 * x * x);
    x.mul_add(density, forward::normal_distribution(x))
}

/// A function of each value and, if they are given, of the other at its place.
fn map(
    x: &[f32],
    len: usize,
    function: impl Fn(f32, f32) -> f32 + Sync,
    others: Option<&[f32]>,
) -> Vec<f32> {
    // Without others, the values stand in for them.
    let others = others.unwrap_or(x);
    rows_by_blocks(x.len() / len, Start::Zeros(len), |_, first, output| {
        let inputs = first * len..first * len + output.len();
        let (x, others) = (&x[inputs.clone()], &others[inputs]);
        vectorised(
            #[inline(always)]
            || {
                for ((output, x), other) in output.iter_mut().zip(x).zip(others) {
                    *output = function(*x, *other);
                }
            },
        );
    })
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn slopes_are_those_of_the_gelu() {
        // Φ(x) + x φ(x) in double precision.
        let cases = [
            (-5.0, -7.146_946_001_80e-6),
            (-1.0, -0.083_315_470_587_7),
            (0.0, 0.5),
            (0.5, 0.867_495_124_656),
            (1.0, 1.083_315_470_59),
            (4.0, 1.000_503_649_66),
        ];
        for (x, expected) in cases {
            let found = f64::from(slope(x));
            let error: f64 = found - expected;
            assert!(error.abs() < 3e-7, "{x}: {found}, not {expected}");
        }
    }
}
