use faer::{Mat, MatRef};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{UmapError, UmapMetric};

/// The rows of a table, made ready for comparing them all.
///
/// Features are centred, which the differences between rows do not notice
/// and the rounding of inner products does, and scaled so that no square
/// overflows. Rows compared by cosine have length one instead.
pub(crate) struct Points<'a> {
    metric: UmapMetric,
    num_rows: usize,
    num_features: usize,
    values: MatRef<'a, f64>,
    /// Row-major, centred and scaled.
    rounded: Vec<f32>,
    /// Of the rounded rows.
    squared_norms: Vec<f32>,
    /// What features are centred about and rows are multiplied by.
    centre: Vec<f64>,
    scales: Vec<f64>,
}

/// Rows are told apart by 32 bits.
const MAX_ROWS: usize = u32::MAX as usize;

/// Largest value after scaling: sums of a million squares are finite, and
/// rows 1e30 times nearer to each other keep their distances.
const LARGEST: f64 = 1e15;

/// Rows whose medians are taken for the centre.
const NUM_CENTRE_ROWS: usize = 1001;

impl<'a> Points<'a> {
    pub(crate) fn new(values: MatRef<'a, f64>, metric: UmapMetric) -> Result<Self, UmapError> {
        let (num_rows, num_features) = (values.nrows(), values.ncols());
        if num_rows < 3 || num_features == 0 {
            return Err(UmapError::TooSmall {
                required: 3,
                num_rows,
                num_features,
            });
        }
        if num_rows > MAX_ROWS {
            return Err(UmapError::TooLarge {
                num_rows,
                max_rows: MAX_ROWS,
            });
        }
        for row_index in 0..num_rows {
            for feature_index in 0..num_features {
                let value = values[(row_index, feature_index)];
                if !value.is_finite() {
                    return Err(UmapError::NotFinite {
                        row_index,
                        feature_index,
                        value,
                    });
                }
            }
        }
        let (centre, scales) = match metric {
            UmapMetric::Euclidean => centred(values),
            UmapMetric::Cosine => (vec![0.0; num_features], lengths_to_one(values)?),
        };
        let mut points = Self {
            metric,
            num_rows,
            num_features,
            values,
            rounded: vec![0.0; num_rows * num_features],
            squared_norms: vec![0.0; num_rows],
            centre,
            scales,
        };
        let mut rounded = std::mem::take(&mut points.rounded);
        rounded
            .par_chunks_exact_mut(num_features)
            .with_min_len(64)
            .enumerate()
            .for_each(|(row, rounded)| {
                for (feature, rounded) in rounded.iter_mut().enumerate() {
                    *rounded = points.entry(row, feature) as f32;
                }
            });
        points.squared_norms = rounded
            .par_chunks_exact(num_features)
            .with_min_len(64)
            .map(|row| squared_distance(row, &vec![0.0; num_features]) as f32)
            .collect();
        points.rounded = rounded;
        Ok(points)
    }

    /// A value, centred and scaled.
    fn entry(&self, row: usize, feature: usize) -> f64 {
        // Halved first, so that differences of the largest numbers are finite.
        (self.values[(row, feature)] / 2.0 - self.centre[feature] / 2.0) * self.scales[row]
    }

    /// All values, centred and scaled, row-major and not rounded.
    pub(crate) fn unrounded(&self) -> Vec<f64> {
        let places = (0..self.num_rows)
            .flat_map(|row| (0..self.num_features).map(move |feature| (row, feature)));
        places
            .map(|(row, feature)| self.entry(row, feature))
            .collect()
    }

    pub(crate) fn num_rows(&self) -> usize {
        self.num_rows
    }

    pub(crate) fn num_features(&self) -> usize {
        self.num_features
    }

    /// Row `row`, rounded.
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.rounded[row * self.num_features..][..self.num_features]
    }

    /// `[num_rows, num_features]`, rounded.
    pub(crate) fn rounded(&self) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(&self.rounded, self.num_rows, self.num_features)
    }

    /// Squared length of every rounded row.
    pub(crate) fn squared_norms(&self) -> &[f32] {
        &self.squared_norms
    }

    /// Inner products of a block of rows with another, one column per row of
    /// `columns`, times -2.
    pub(crate) fn products(
        &self,
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
        result: &mut Mat<f32>,
    ) {
        let of = |range: &std::ops::Range<usize>| self.rounded().subrows(range.start, range.len());
        result.resize_with(rows.len(), columns.len(), |_, _| 0.0);
        faer::linalg::matmul::matmul(
            result.as_mut(),
            faer::Accum::Replace,
            of(&rows),
            of(&columns).transpose(),
            -2.0,
            faer::Par::Seq,
        );
    }

    /// The squared distance of two rows, from their differences: inner
    /// products would round it.
    pub(crate) fn squared_distance(&self, a: usize, b: usize) -> f64 {
        squared_distance(self.row(a), self.row(b))
    }

    /// The distances that belong to squared ones.
    pub(crate) fn distance(&self, squared: f64) -> f64 {
        match self.metric {
            UmapMetric::Euclidean => squared.sqrt(),
            // |x - y|^2 = 2 - 2 cos for rows of length one.
            UmapMetric::Cosine => squared / 2.0,
        }
    }
}

/// The medians of the features over some rows, which no outlier moves away
/// from the others, and one scale for all rows.
fn centred(values: MatRef<'_, f64>) -> (Vec<f64>, Vec<f64>) {
    let (num_rows, num_features) = (values.nrows(), values.ncols());
    let step = num_rows.div_ceil(NUM_CENTRE_ROWS);
    let median = |feature: usize| {
        let mut some: Vec<f64> = (0..num_rows)
            .step_by(step)
            .map(|row| values[(row, feature)])
            .collect();
        let middle = some.len() / 2;
        *some.select_nth_unstable_by(middle, f64::total_cmp).1
    };
    let centre: Vec<f64> = (0..num_features).map(median).collect();
    let mut largest = 0.0f64;
    for row in 0..num_rows {
        for (feature, centre) in centre.iter().enumerate() {
            largest = largest.max((values[(row, feature)] / 2.0 - centre / 2.0).abs());
        }
    }
    // A reciprocal of the smallest numbers would be infinite.
    let scale = LARGEST / largest.max(1e-290);
    (centre, vec![scale; num_rows])
}

/// Twice what rows are multiplied by to have length one.
fn lengths_to_one(values: MatRef<'_, f64>) -> Result<Vec<f64>, UmapError> {
    (0..values.nrows())
        .map(|row_index| {
            let row = values.row(row_index);
            let largest = row.iter().fold(0.0f64, |most, value| most.max(value.abs()));
            if largest < 1e-290 {
                return Err(UmapError::ZeroRow { row_index });
            }
            let squares = row
                .iter()
                .map(|value| (value / largest) * (value / largest));
            Ok(2.0 / squares.sum::<f64>().sqrt() / largest)
        })
        .collect()
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    Arch::new().dispatch(SquaredDistance(a, b))
}

struct SquaredDistance<'a>(&'a [f32], &'a [f32]);

impl WithSimd for SquaredDistance<'_> {
    type Output = f64;

    /// Eight sums side by side, added in one order on every processor.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> f64 {
        let mut sums = [0.0; 8];
        let (a_chunks, b_chunks) = (self.0.chunks_exact(8), self.1.chunks_exact(8));
        let (a_rest, b_rest) = (a_chunks.remainder(), b_chunks.remainder());
        for (a, b) in a_chunks.zip(b_chunks) {
            for lane in 0..8 {
                let difference = f64::from(a[lane]) - f64::from(b[lane]);
                sums[lane] += difference * difference;
            }
        }
        for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
            let difference = f64::from(*a) - f64::from(*b);
            sums[lane] += difference * difference;
        }
        let [a, b, c, d, e, f, g, h] = sums;
        ((a + e) + (b + f)) + ((c + g) + (d + h))
    }
}
