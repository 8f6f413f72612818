//! A linear map of rows and its gradients.

use burn::tensor::Tensor;

use super::{Operation, record, tracked};
use crate::kernels::host::HostSlice;
use crate::kernels::matrix::{Matrix, Threads, add_product, set_product};
use crate::kernels::rows::{Rows, Start, num_blocks, rows_by_blocks, sum_of_rows};

/// `x w + bias`; `None` where the kernel does not apply.
///
/// # Shapes
/// `x`: `[.., in]`, `w`: `[in, out]`, `bias`: `[out]`; result `[.., out]`
pub(crate) fn linear<const D: usize>(
    x: &Tensor<D>,
    w: &Tensor<2>,
    bias: Option<&Tensor<1>>,
) -> Option<Tensor<D>> {
    let mut shape = x.dims();
    let [d_in, d_out] = w.dims();
    if shape.contains(&0) || d_out == 0 {
        return None;
    }
    let (x, x_values) = tracked(x)?;
    let (w, w_values) = tracked(w)?;
    let rows = Rows::new(x_values.values(), d_in);
    let operation = Linear {
        x: x_values.clone(),
        w: w_values.clone(),
        sizes: [d_in, d_out],
    };
    shape[D - 1] = d_out;
    let Some(bias) = bias else {
        let output = product(rows, operation.w(), Start::Zeros(d_out));
        let output = HostSlice::new(output, &shape);
        return Some(record(operation, [&x, &w], output));
    };
    let (bias, bias_values) = tracked(bias)?;
    let output = product(rows, operation.w(), Start::Row(bias_values.values()));
    let output = HostSlice::new(output, &shape);
    Some(record(operation, [&x, &w, &bias], output))
}

#[derive(Clone, Debug)]
struct Linear {
    /// `[.., in]`.
    x: HostSlice,
    /// `[in, out]`.
    w: HostSlice,
    /// In, out.
    sizes: [usize; 2],
}

impl Linear {
    fn w(&self) -> Matrix<'_> {
        Rows::new(self.w.values(), self.sizes[1]).into()
    }

    /// Of `x` and `w`.
    fn of_both(&self, of_output: &HostSlice, wanted: [bool; 2]) -> [Option<HostSlice>; 2] {
        let [d_in, d_out] = self.sizes;
        let of_output = Rows::new(of_output.values(), d_out);
        let of_x = wanted[0].then(|| {
            let values = product(of_output, self.w().transposed(), Start::Zeros(d_in));
            HostSlice::new(values, &self.x.shape())
        });
        let of_w = wanted[1].then(|| {
            let x: Matrix<'_> = Rows::new(self.x.values(), d_in).into();
            let mut values = vec![0.0; d_in * d_out];
            set_product(x.transposed(), of_output.into(), &mut values, Threads::All);
            HostSlice::new(values, &self.sizes)
        });
        [of_x, of_w]
    }
}

impl Operation<2> for Linear {
    fn gradients(self, of_output: &HostSlice, wanted: [bool; 2]) -> [Option<HostSlice>; 2] {
        self.of_both(of_output, wanted)
    }
}

impl Operation<3> for Linear {
    fn gradients(self, of_output: &HostSlice, wanted: [bool; 3]) -> [Option<HostSlice>; 3] {
        let [of_x, of_w] = self.of_both(of_output, [wanted[0], wanted[1]]);
        let d_out = self.sizes[1];
        let of_bias = wanted[2].then(|| {
            let rows = Rows::new(of_output.values(), d_out);
            HostSlice::new(sum_of_rows(rows), &[d_out])
        });
        [of_x, of_w, of_bias]
    }
}

/// `x w`, added to what each row starts with.
fn product(x: Rows<'_>, w: Matrix<'_>, start: Start<'_>) -> Vec<f32> {
    let threads = Threads::of_each(num_blocks(x.count));
    rows_by_blocks(x.count, start, |_, first, output| {
        let block = x.block(first, output.len() / w.cols);
        add_product(block.into(), w, output, threads);
    })
}
