//! Convolution of maps and its gradients.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{Operation, record, tracked};
use crate::kernels::conv2d::{
    Conv, Kernel, Scratch, add_columns, add_edge, convolve, shift, write_columns,
};
use crate::kernels::host::HostSlice;
use crate::kernels::matrix::{Matrix, Threads, add_product, set_product};
use crate::kernels::rows::{Rows, sum_of_vectors, values_by_chunks};

/// The convolution of maps; `None` where the kernel does not apply.
///
/// # Shapes
/// `x`: `[B, in, H, W]`, `weight`: `[out, in, k, k]`, `bias`: `[out]`
pub(crate) fn conv2d(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    stride: usize,
    padding: usize,
) -> Option<Tensor<4>> {
    let conv = Conv::of(x.dims(), weight.dims(), stride, padding)?;
    if stride == 1 && conv.output_size() != conv.size {
        return None;
    }
    let (x, x_values) = tracked(x)?;
    let (weight, weight_values) = tracked(weight)?;
    let [height, width] = conv.output_size();
    let shape = [conv.batch, conv.channels[1], height, width];
    let kernel = Kernel::new(weight_values.values(), &conv);
    let operation = Conv2d {
        x: x_values.clone(),
        weight: weight_values.clone(),
        conv,
    };
    let Some(bias) = bias else {
        let output = convolve(&conv, x_values.values(), &kernel, None);
        let output = HostSlice::new(output, &shape);
        return Some(record(operation, [&x, &weight], output));
    };
    let (bias, bias_values) = tracked(bias)?;
    let output = convolve(
        &conv,
        x_values.values(),
        &kernel,
        Some(bias_values.values()),
    );
    let output = HostSlice::new(output, &shape);
    Some(record(operation, [&x, &weight, &bias], output))
}

#[derive(Clone, Debug)]
struct Conv2d {
    x: HostSlice,
    weight: HostSlice,
    conv: Conv,
}

impl Conv2d {
    /// Of `x` and `weight`.
    fn of_both(&self, of_output: &[f32], wanted: [bool; 2]) -> [Option<HostSlice>; 2] {
        let of_x = wanted[0].then(|| HostSlice::new(self.of_x(of_output), &self.x.shape()));
        let of_weight =
            wanted[1].then(|| HostSlice::new(self.of_weight(of_output), &self.weight.shape()));
        [of_x, of_weight]
    }

    fn of_x(&self, of_output: &[f32]) -> Vec<f32> {
        let conv = &self.conv;
        if conv.stride == 1 {
            let kernel = Kernel::transposed(self.weight.values(), conv);
            return convolve(&conv.transposed(), of_output, &kernel, None);
        }
        let kernel = Kernel::new(self.weight.values(), conv);
        let threads = Threads::of_each(conv.batch);
        let [len_in, len_out] = conv.image_lens();
        let batch = conv.batch;
        values_by_chunks(batch, len_in, Scratch::default, |scratch, image, of_x| {
            let of_output = &of_output[image * len_out..][..len_out];
            let columns = &mut scratch.columns;
            for rows in conv.tiles() {
                let of_tile = self.output_rows(of_output, rows.first, rows.count);
                columns.resize(kernel.matrix().cols * of_tile.cols, 0.0);
                set_product(kernel.matrix().transposed(), of_tile, columns, threads);
                add_columns(conv, columns, rows, of_x);
            }
        })
    }

    fn of_weight(&self, of_output: &[f32]) -> Vec<f32> {
        let conv = &self.conv;
        let [d_in, d_out] = conv.channels;
        let places = conv.kernel * conv.kernel;
        let [len_in, len_out] = conv.image_lens();
        let images = self.x.values().chunks_exact(len_in);
        let images = images.zip(of_output.chunks_exact(len_out));
        if conv.is_pointwise() {
            // One sum for all images: the kernel may be larger than they are.
            let mut sum = vec![0.0; d_out * d_in];
            for (x, of_output) in images {
                let x = Matrix::from(Rows::new(x, len_in / d_in));
                let of_output = Rows::new(of_output, len_out / d_out);
                add_product(of_output.into(), x.transposed(), &mut sum, Threads::All);
            }
            return sum;
        }
        let images: Vec<(&[f32], &[f32])> = images.collect();
        let threads = Threads::of_each(conv.batch);
        let of_images: Vec<Vec<f32>> = images
            .into_par_iter()
            .map_init(Default::default, |scratch, (x, of_output)| {
                let mut sum = vec![0.0; places * d_out * d_in];
                match conv.is_shifted() {
                    true => self.add_shifted(x, of_output, scratch, &mut sum, threads),
                    false => {
                        self.add_by_columns(x, of_output, &mut scratch[0], &mut sum, threads);
                    }
                }
                sum
            })
            .collect();
        let sum = sum_of_vectors(&of_images, places * d_out * d_in);
        if !conv.is_shifted() {
            return sum;
        }
        // [k², out, in] → [out, in, k²]
        let pairs = d_out * d_in;
        let of_inputs = |(): &mut (), out: usize, weight: &mut [f32]| {
            for (input, taps) in weight.chunks_exact_mut(places).enumerate() {
                for (place, tap) in taps.iter_mut().enumerate() {
                    *tap = sum[place * pairs + out * d_in + input];
                }
            }
        };
        values_by_chunks(d_out, d_in * places, || (), of_inputs)
    }

    /// Adds an image's to `[k², out, in]`.
    fn add_shifted(
        &self,
        x: &[f32],
        of_output: &[f32],
        [of_x, of_y]: &mut [Scratch; 2],
        sum: &mut [f32],
        threads: Threads,
    ) {
        let conv = &self.conv;
        let [d_in, d_out] = conv.channels;
        add_edge(conv, x, &mut of_x.edged);
        add_edge(conv, of_output, &mut of_y.edged);
        // Where the kernel's middle is, its own pixel is: zeros in the columns
        // of no use.
        let middle = conv.kernel * conv.kernel / 2;
        for rows in conv.tiles() {
            let of_output = shift(conv, &of_y.edged, d_out, rows, middle);
            for (place, sum) in sum.chunks_exact_mut(d_out * d_in).enumerate() {
                let x = shift(conv, &of_x.edged, d_in, rows, place);
                add_product(of_output, x.transposed(), sum, threads);
            }
        }
    }

    /// Adds an image's to `[out, in·k²]`.
    fn add_by_columns(
        &self,
        x: &[f32],
        of_output: &[f32],
        scratch: &mut Scratch,
        sum: &mut [f32],
        threads: Threads,
    ) {
        let columns = &mut scratch.columns;
        for rows in self.conv.tiles() {
            write_columns(&self.conv, x, rows, columns);
            let of_tile = self.output_rows(of_output, rows.first, rows.count);
            let columns = Matrix::from(Rows::new(columns, of_tile.cols));
            add_product(of_tile, columns.transposed(), sum, threads);
        }
    }

    /// Some rows of all maps of an image's output.
    fn output_rows<'a>(&self, of_output: &'a [f32], first: usize, count: usize) -> Matrix<'a> {
        let [height, width] = self.conv.output_size();
        Matrix {
            data: &of_output[first * width..],
            rows: self.conv.channels[1],
            cols: count * width,
            row_step: height * width,
            col_step: 1,
        }
    }
}

impl Operation<2> for Conv2d {
    fn gradients(self, of_output: &HostSlice, wanted: [bool; 2]) -> [Option<HostSlice>; 2] {
        self.of_both(of_output.values(), wanted)
    }
}

impl Operation<3> for Conv2d {
    fn gradients(self, of_output: &HostSlice, wanted: [bool; 3]) -> [Option<HostSlice>; 3] {
        let of_output = of_output.values();
        let [of_x, of_weight] = self.of_both(of_output, [wanted[0], wanted[1]]);
        let d_out = self.conv.channels[1];
        let pixels = of_output.len() / (self.conv.batch * d_out);
        let of_bias = wanted[2].then(|| {
            let mut sums = vec![0.0; d_out];
            for (index, map) in of_output.chunks_exact(pixels).enumerate() {
                sums[index % d_out] += map.iter().sum::<f32>();
            }
            HostSlice::new(sums, &[d_out])
        });
        [of_x, of_weight, of_bias]
    }
}
