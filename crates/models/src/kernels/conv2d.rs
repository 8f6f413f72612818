//! Convolution of maps as matrix products, without laying pixels out anew for
//! each place of the kernel.
//!
//! With a stride of one, the maps of an image get an edge of zeros; then a place
//! of the kernel is a shift of all pixels, and the convolution is the sum of as
//! many products as the kernel has places. Where there are few input channels, or
//! the kernel moves by more, pixels under the kernel become columns of one matrix
//! (im2col), some rows of the output at a time.

use std::borrow::Cow;

use burn::tensor::Tensor;

use super::host::{Host, HostSlice};
use super::matrix::{Matrix, Threads, add_product, set_product};
use super::rows::{Rows, values_by_chunks};

/// Fewer input channels are not worth a product for each place of the kernel.
const LEAST_CHANNELS: usize = 24;
/// About as many values are worked on at a time, so that they stay in cache.
const TILE: usize = 1 << 18;

/// Sizes of a convolution with zeros beyond the edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Conv {
    /// Images.
    pub(super) batch: usize,
    /// Channels in and out.
    pub(super) channels: [usize; 2],
    /// Side of the kernel.
    pub(super) kernel: usize,
    /// Pixels from one place to the next.
    pub(super) stride: usize,
    /// Pixels beyond the edge.
    pub(super) padding: usize,
    /// Height and width of the input.
    pub(super) size: [usize; 2],
}

impl Conv {
    /// `None` where there is nothing to do, or the kernel is larger than what it
    /// moves over.
    pub(super) fn of(
        x: [usize; 4],
        weight: [usize; 4],
        stride: usize,
        padding: usize,
    ) -> Option<Self> {
        let [batch, d_in, height, width] = x;
        let [d_out, _, kernel, _] = weight;
        let is_empty = [batch, d_in, d_out, kernel, stride].contains(&0);
        let fits = height + 2 * padding >= kernel && width + 2 * padding >= kernel;
        (!is_empty && fits).then_some(Self {
            batch,
            channels: [d_in, d_out],
            kernel,
            stride,
            padding,
            size: [height, width],
        })
    }

    /// Height and width of the output.
    pub(super) fn output_size(&self) -> [usize; 2] {
        let places = |pixels: usize| (pixels + 2 * self.padding - self.kernel) / self.stride + 1;
        self.size.map(places)
    }

    /// The convolution that turns gradients of the output into those of the
    /// input, with a turned kernel.
    ///
    /// # Panics
    /// The stride is not one, or the output has another size than the input.
    pub(super) fn transposed(&self) -> Self {
        assert!(self.stride == 1 && self.output_size() == self.size);
        let [d_in, d_out] = self.channels;
        Self {
            channels: [d_out, d_in],
            ..*self
        }
    }

    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0
    }

    /// Whether it is a sum of products of shifted maps.
    pub(super) fn is_shifted(&self) -> bool {
        let keeps_size = self.stride == 1 && self.output_size() == self.size;
        keeps_size && self.channels[0] >= LEAST_CHANNELS
    }

    /// Values of an image and of its output.
    pub(super) fn image_lens(&self) -> [usize; 2] {
        let pixels = |[height, width]: [usize; 2]| height * width;
        [
            self.channels[0] * pixels(self.size),
            self.channels[1] * pixels(self.output_size()),
        ]
    }

    /// Width of a map with its edge.
    fn edged_width(&self) -> usize {
        self.size[1] + 2 * self.padding
    }

    /// Values of a map with its edge.
    fn edged_len(&self) -> usize {
        (self.size[0] + 2 * self.padding) * self.edged_width()
    }

    /// Rows and shifts of each tile of the output.
    pub(super) fn tiles(&self) -> impl Iterator<Item = Tile> + use<> {
        let height = self.output_size()[0];
        let of_row = match self.is_shifted() {
            true => self.channels[0] * self.edged_width(),
            false => self.columns_of_pixel() * self.output_size()[1],
        };
        let step = (TILE / of_row).clamp(1, height);
        (0..height).step_by(step).map(move |first| Tile {
            first,
            count: step.min(height - first),
        })
    }

    fn columns_of_pixel(&self) -> usize {
        self.channels[0] * self.kernel * self.kernel
    }
}

/// Some rows of the output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    pub(super) first: usize,
    pub(super) count: usize,
}

/// A kernel as a convolution takes it.
pub(super) struct Kernel<'a> {
    /// `[k², out, in]`, where maps are shifted.
    by_place: Vec<f32>,
    /// `[out, in·k²]`, as files have it.
    by_channel: Cow<'a, [f32]>,
    channels: [usize; 2],
}

impl<'a> Kernel<'a> {
    /// `weight`: `[out, in, k, k]`.
    pub(super) fn new(weight: impl Into<Cow<'a, [f32]>>, conv: &Conv) -> Self {
        let by_channel = weight.into();
        let [d_in, d_out] = conv.channels;
        let places = conv.kernel * conv.kernel;
        let by_place = match conv.is_shifted() && !conv.is_pointwise() {
            true => values_by_chunks(
                places,
                d_out * d_in,
                || (),
                |(), place, pairs| {
                    let taps = by_channel[place..].iter().step_by(places);
                    for (pair, tap) in pairs.iter_mut().zip(taps) {
                        *pair = *tap;
                    }
                },
            ),
            false => Vec::new(),
        };
        Self {
            by_place,
            by_channel,
            channels: conv.channels,
        }
    }

    /// The kernel of [`Conv::transposed`]: turned by half a turn, inputs and
    /// outputs changed.
    pub(super) fn transposed(weight: &[f32], conv: &Conv) -> Self {
        let [d_in, d_out] = conv.channels;
        let places = conv.kernel * conv.kernel;
        let turned = values_by_chunks(
            d_in,
            d_out * places,
            || (),
            |(), input, turned| {
                for (out, turned) in turned.chunks_exact_mut(places).enumerate() {
                    let taps = &weight[(out * d_in + input) * places..][..places];
                    for (tap, turned) in taps.iter().rev().zip(turned) {
                        *turned = *tap;
                    }
                }
            },
        );
        Self::new(turned, &conv.transposed())
    }

    fn place(&self, place: usize) -> Matrix<'_> {
        let [d_in, d_out] = self.channels;
        let len = d_in * d_out;
        Rows::new(&self.by_place[place * len..][..len], d_in).into()
    }

    /// `[out, in·k²]`.
    pub(super) fn matrix(&self) -> Matrix<'_> {
        let len = self.by_channel.len() / self.channels[1];
        Rows::new(&self.by_channel, len).into()
    }
}

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
    let (x, weight) = (HostSlice::of(x)?, HostSlice::of(weight)?);
    let bias = match bias {
        Some(bias) => Some(HostSlice::of(bias)?),
        None => None,
    };
    let kernel = Kernel::new(weight.values(), &conv);
    let bias = bias.as_ref().map(HostSlice::values);
    let output = convolve(&conv, x.values(), &kernel, bias);
    let [height, width] = conv.output_size();
    Some(Host::tensor(
        output,
        [conv.batch, conv.channels[1], height, width],
    ))
}

/// `[B, in, H, W]` to `[B, out, H', W']`.
pub(super) fn convolve(conv: &Conv, x: &[f32], kernel: &Kernel, bias: Option<&[f32]>) -> Vec<f32> {
    let [len_in, len_out] = conv.image_lens();
    let threads = Threads::of_each(conv.batch);
    values_by_chunks(
        conv.batch,
        len_out,
        Scratch::default,
        |scratch, image, output| {
            let x = &x[image * len_in..][..len_in];
            if conv.is_pointwise() {
                let x = Rows::new(x, len_in / conv.channels[0]);
                set_product(kernel.matrix(), x.into(), output, threads);
            } else if conv.is_shifted() {
                shifted(conv, x, kernel, scratch, output, threads);
            } else {
                by_columns(conv, x, kernel, scratch, output, threads);
            }
            if let Some(bias) = bias {
                let maps = output.chunks_exact_mut(len_out / bias.len());
                for (map, bias) in maps.zip(bias) {
                    map.iter_mut().for_each(|x| *x += bias);
                }
            }
        },
    )
}

/// What is written between steps; kept from image to image.
#[derive(Default)]
pub(super) struct Scratch {
    /// Maps with their edges.
    pub(super) edged: Vec<f32>,
    /// Pixels under the kernel, or gradients of them.
    pub(super) columns: Vec<f32>,
    /// Some rows of the output.
    pub(super) tile: Vec<f32>,
}

/// Maps with an edge of zeros.
pub(super) fn add_edge(conv: &Conv, maps: &[f32], edged: &mut Vec<f32>) {
    let [height, width] = conv.size;
    let (edge, wide) = (conv.padding, conv.edged_width());
    let count = maps.len() / (height * width);
    edged.clear();
    // The last shift ends behind the last map.
    edged.resize(count * conv.edged_len() + 2 * edge, 0.0);
    let rows = maps.chunks_exact(width).enumerate();
    for (row, values) in rows {
        let (map, row) = (row / height, row % height);
        let start = map * conv.edged_len() + (row + edge) * wide + edge;
        edged[start..][..width].copy_from_slice(values);
    }
}

/// All pixels of the maps that are under one place of the kernel while it moves
/// over some rows: `[channels, rows · edged width]`, of which the last columns of
/// each row are of no use.
pub(super) fn shift<'a>(
    conv: &Conv,
    edged: &'a [f32],
    channels: usize,
    tile: Tile,
    place: usize,
) -> Matrix<'a> {
    let wide = conv.edged_width();
    let (row, col) = (place / conv.kernel, place % conv.kernel);
    Matrix {
        data: &edged[(tile.first + row) * wide + col..],
        rows: channels,
        cols: tile.count * wide,
        row_step: conv.edged_len(),
        col_step: 1,
    }
}

fn shifted(
    conv: &Conv,
    x: &[f32],
    kernel: &Kernel<'_>,
    scratch: &mut Scratch,
    output: &mut [f32],
    threads: Threads,
) {
    let [height, width] = conv.size;
    let [d_in, d_out] = conv.channels;
    let wide = conv.edged_width();
    let Scratch { edged, tile, .. } = scratch;
    add_edge(conv, x, edged);
    for rows in conv.tiles() {
        tile.resize(d_out * rows.count * wide, 0.0);
        for place in 0..conv.kernel * conv.kernel {
            let x = shift(conv, edged, d_in, rows, place);
            match place {
                0 => set_product(kernel.place(place), x, tile, threads),
                _ => add_product(kernel.place(place), x, tile, threads),
            }
        }
        for (index, row) in tile.chunks_exact(wide).enumerate() {
            let (map, row_of_map) = (index / rows.count, rows.first + index % rows.count);
            let start = (map * height + row_of_map) * width;
            output[start..][..width].copy_from_slice(&row[..width]);
        }
    }
}

fn by_columns(
    conv: &Conv,
    x: &[f32],
    kernel: &Kernel<'_>,
    scratch: &mut Scratch,
    output: &mut [f32],
    threads: Threads,
) {
    let [height, width] = conv.output_size();
    let Scratch { columns, tile, .. } = scratch;
    for rows in conv.tiles() {
        let pixels = rows.count * width;
        write_columns(conv, x, rows, columns);
        tile.resize(conv.channels[1] * pixels, 0.0);
        let columns = Rows::new(columns, pixels);
        set_product(kernel.matrix(), columns.into(), tile, threads);
        for (map, values) in tile.chunks_exact(pixels).enumerate() {
            let start = (map * height + rows.first) * width;
            output[start..][..pixels].copy_from_slice(values);
        }
    }
}

/// Pixels under the kernel: `[in·k², rows · W']`.
pub(super) fn write_columns(conv: &Conv, x: &[f32], rows: Tile, columns: &mut Vec<f32>) {
    let [height, width] = conv.size;
    let out_width = conv.output_size()[1];
    columns.resize(conv.columns_of_pixel() * rows.count * out_width, 0.0);
    for (index, values) in columns.chunks_exact_mut(out_width).enumerate() {
        let (column, row) = (index / rows.count, rows.first + index % rows.count);
        let Some((map, y, places)) = under(conv, column, row) else {
            values.fill(0.0);
            continue;
        };
        let source = &x[(map * height + y) * width..][..width];
        let Places { first, count, x } = places;
        values[..first].fill(0.0);
        values[first + count..].fill(0.0);
        let inside = &mut values[first..][..count];
        match conv.stride {
            1 => inside.copy_from_slice(&source[x..][..count]),
            stride => {
                for (value, pixel) in inside.iter_mut().zip(source[x..].iter().step_by(stride)) {
                    *value = *pixel;
                }
            }
        }
    }
}

/// Adds gradients of [`write_columns`]' result to those of its input.
pub(super) fn add_columns(conv: &Conv, columns: &[f32], rows: Tile, of_x: &mut [f32]) {
    let [height, width] = conv.size;
    let out_width = conv.output_size()[1];
    for (index, values) in columns.chunks_exact(out_width).enumerate() {
        let (column, row) = (index / rows.count, rows.first + index % rows.count);
        let Some((map, y, places)) = under(conv, column, row) else {
            continue;
        };
        let target = &mut of_x[(map * height + y) * width..][..width];
        let Places { first, count, x } = places;
        let pixels = target[x..].iter_mut().step_by(conv.stride);
        for (pixel, value) in pixels.zip(&values[first..][..count]) {
            *pixel += value;
        }
    }
}

/// Which places of an output row have a pixel under them.
struct Places {
    first: usize,
    count: usize,
    /// The first one's pixel.
    x: usize,
}

/// The map and row of it that is under a row of a column, if there is one.
fn under(conv: &Conv, column: usize, row: usize) -> Option<(usize, usize, Places)> {
    let places = conv.kernel * conv.kernel;
    let (map, place) = (column / places, column % places);
    let (down, right) = (place / conv.kernel, place % conv.kernel);
    let [height, width] = conv.size;
    let y = (row * conv.stride + down).checked_sub(conv.padding)?;
    if y >= height {
        return None;
    }
    // The first place with x = place · stride + right - padding from 0 up, and
    // the first behind the last with x below the width.
    let first = conv.padding.saturating_sub(right).div_ceil(conv.stride);
    let end = (width + conv.padding)
        .saturating_sub(right)
        .div_ceil(conv.stride)
        .min(conv.output_size()[1]);
    let count = end.checked_sub(first).filter(|count| *count > 0)?;
    let x = first * conv.stride + right - conv.padding;
    Some((map, y, Places { first, count, x }))
}
