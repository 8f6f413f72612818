//! Linear maps of rows.

use burn::tensor::Tensor;

use super::host::{Host, HostSlice};
use super::matrix::{Matrix, Threads, add_product, set_product};
use super::rows::{Rows, Start, num_blocks, rows_by_blocks};
use super::vector_unit::vectorised;

/// Weight and bias of a linear map.
pub(crate) struct LinearMap {
    weight: Host,
    bias: Option<HostSlice>,
}

impl LinearMap {
    /// `weight`: `[in, out]`, `bias`: `[out]`; `None` where kernels do not apply.
    pub(crate) fn of(weight: &Tensor<2>, bias: Option<&Tensor<1>>) -> Option<Self> {
        let weight = Host::of(weight)?;
        weight.matrix()?;
        let bias = match bias {
            Some(bias) => Some(HostSlice::of(bias)?),
            None => None,
        };
        Some(Self { weight, bias })
    }

    /// The weight.
    pub(super) fn matrix(&self) -> Matrix<'_> {
        self.weight.matrix().expect("`of` has seen it as a matrix")
    }

    /// What the sum of an output row starts with.
    pub(super) fn start(&self) -> Start<'_> {
        match &self.bias {
            Some(bias) => Start::Row(bias.values()),
            None => Start::Zeros(self.matrix().cols),
        }
    }

    /// `x w + bias`; `output` takes the size that it needs.
    pub(super) fn forward(&self, x: Rows<'_>, output: &mut Vec<f32>, threads: Threads) {
        output.clear();
        match self.start() {
            Start::Row(bias) => (0..x.count).for_each(|_| output.extend_from_slice(bias)),
            Start::Zeros(len) => output.resize(x.count * len, 0.0),
        }
        add_product(x.into(), self.matrix(), output, threads);
    }

    /// `f(x w + bias)`; `output` takes the size that it needs.
    pub(super) fn forward_then(
        &self,
        x: Rows<'_>,
        output: &mut Vec<f32>,
        threads: Threads,
        f: impl Fn(f32) -> f32,
    ) {
        let w = self.matrix();
        // What was there is written over.
        output.resize(x.count * w.cols, 0.0);
        set_product(x.into(), w, output, threads);
        let bias = self.bias.as_ref().map(HostSlice::values);
        vectorised(
            #[inline(always)]
            || {
                for row in output.chunks_exact_mut(w.cols) {
                    match bias {
                        Some(bias) => {
                            for (x, bias) in row.iter_mut().zip(bias) {
                                *x = f(*x + bias);
                            }
                        }
                        None => {
                            for x in row {
                                *x = f(*x);
                            }
                        }
                    }
                }
            },
        );
    }
}

/// `x w + bias`; `None` where the kernel does not apply.
///
/// # Shapes
/// `x`: `[.., in]`; result `[.., out]`
pub(crate) fn linear<const D: usize>(x: &Tensor<D>, map: &LinearMap) -> Option<Tensor<D>> {
    let mut shape = x.dims();
    let x = Host::of(x)?;
    let x = x.rows(shape[D - 1])?.split(shape[D - 1])?;
    let w = map.matrix();
    let threads = Threads::of_each(num_blocks(x.count));
    let output = rows_by_blocks(x.count, map.start(), |_, first, output| {
        let block = x.block(first, output.len() / w.cols);
        add_product(block.into(), w, output, threads);
    });
    shape[D - 1] = w.cols;
    Some(Host::tensor(output, shape))
}
