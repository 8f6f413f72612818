//! Learned tables of positions for images of other sizes.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// How a square table of positions is resized, bicubically.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionInterpolation {
    /// Added to the number of patches before it is divided by the table's, as
    /// the factor that places samples: 0.1 in DINO, which adds it against
    /// rounding; 0 places them by the two sizes.
    pub offset: f64,
    /// Whether a smaller table averages over what it leaves out (the `a =
    /// -0.5` kernel, widened), as DINOv2 with registers does; else the `a =
    /// -0.75` kernel at four places.
    pub antialias: bool,
}

impl PositionInterpolation {
    /// Of DINO, and of DINOv2 without registers.
    pub const DINO: Self = Self {
        offset: 0.1,
        antialias: false,
    };
    /// Of DINOv2 with registers.
    pub const DINO_V2: Self = Self {
        offset: 0.0,
        antialias: true,
    };

    /// A table for `rows` by `cols` patches; the given one if it fits.
    ///
    /// # Shapes
    /// `[1, n·n, D]` to `[1, rows·cols, D]`, row by row
    ///
    /// # Source
    /// `interpolate_pos_encoding` of facebookresearch/dino and dinov2, on
    /// `torch.nn.functional.interpolate(mode="bicubic")`. The weights of this
    /// linear map depend on the sizes alone, so that it is a matrix product
    /// here and its gradient the transposed one.
    ///
    /// # Panics
    /// The table is not square.
    pub fn resize(&self, table: Tensor<3>, rows: usize, cols: usize) -> Tensor<3> {
        let [_, num_rows, dim] = table.dims();
        let grid = num_rows.isqrt();
        assert_eq!(grid * grid, num_rows, "tables of positions are square");
        if (rows, cols) == (grid, grid) {
            return table;
        }
        let device = table.device();
        let along = |size: usize| -> Tensor<2> {
            let weights = self.weights(grid, size);
            Tensor::from_data(TensorData::new(weights, [size, grid]), &device)
        };
        // [n·n, D] → [rows, n·D] → [n, rows·D] → [cols, rows·D]
        let by_row = along(rows).matmul(table.reshape([grid, grid * dim]));
        let by_row = by_row.reshape([rows, grid, dim]).swap_dims(0, 1);
        let by_col = along(cols).matmul(by_row.reshape([grid, rows * dim]));
        let resized = by_col.reshape([cols, rows, dim]).swap_dims(0, 1);
        resized.reshape([1, rows * cols, dim])
    }

    /// `[size, grid]`: what each place of the new axis takes of the old.
    fn weights(&self, grid: usize, size: usize) -> Vec<f32> {
        // Old pixels per new one.
        let step = match self.offset {
            0.0 => grid as f64 / size as f64,
            offset => grid as f64 / (size as f64 + offset),
        };
        let mut weights = vec![0.0; size * grid];
        for (place, row) in weights.chunks_exact_mut(grid).enumerate() {
            let center = (place as f64 + 0.5) * step;
            if self.antialias {
                antialiased(row, center, step);
            } else {
                four_places(row, center - 0.5);
            }
        }
        weights.into_iter().map(|weight| weight as f32).collect()
    }
}

/// Keys' kernel of four places around a position; those beyond the edge are
/// the edge.
fn four_places(row: &mut [f64], position: f64) {
    let first = position.floor() - 1.0;
    for place in 0..4 {
        let at = first + f64::from(place);
        let inside = at.clamp(0.0, (row.len() - 1) as f64) as usize;
        row[inside] += keys(at - position, -0.75);
    }
}

/// The kernel widened to the step, cut at the edge, with a sum of one.
fn antialiased(row: &mut [f64], center: f64, step: f64) {
    let width = step.max(1.0);
    let support = 2.0 * width;
    let first = ((center - support + 0.5) as usize).min(row.len());
    let end = ((center + support + 0.5) as usize).min(row.len());
    for (place, weight) in row.iter_mut().enumerate().take(end).skip(first) {
        *weight = keys((place as f64 - center + 0.5) / width, -0.5);
    }
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|weight| *weight /= sum);
}

/// The cubic convolution kernel of Keys 1981.
fn keys(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}
