use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use morphospace_core::Seed;
use pulp::{Arch, Simd, WithSimd};
use rand::RngExt;
use rayon::prelude::*;

use super::nearest_lists::NearestLists;
use super::neighbours::{NUM_SPARE, Neighbours, ranked};
use super::points::Points;

/// Rows of a cell, about.
const CELL_ROWS: usize = 200;

/// Rows that each row is compared with, at least, if there are as many.
const NUM_COMPARED: usize = 4000;

/// Rows on which the centres of the cells are found, for each cell.
const TRAINING_ROWS: usize = 40;

/// Rounds in which the centres move.
const NUM_ROUNDS: usize = 4;

/// Rows whose cells are looked up together.
const BLOCK_ROWS: usize = 1024;

/// The nearest rows of every row among those of near cells, then among the
/// neighbours of its neighbours.
///
/// Cells are those of k-means on some rows: a row is compared with the rows
/// of the cells whose centres are nearest to its own, by matrix products
/// (as Jégou et al. 2011, <https://doi.org/10.1109/TPAMI.2010.57>, without
/// the quantisation). Rows at the edge of their cells are found in a round
/// of Dong et al.'s descent (2011, <https://doi.org/10.1145/1963405.1963487>).
pub(crate) fn approximate(points: &Points<'_>, num_others: usize, seed: Seed) -> Neighbours {
    let cells = Cells::new(points, seed);
    let capacity = (num_others + NUM_SPARE).min(points.num_rows() - 1);
    let found: Vec<NearestLists> = (0..cells.num_cells())
        .into_par_iter()
        .with_max_len(1)
        .map(|cell| cells.search(cell, capacity))
        .collect();
    let mut places = vec![(0, 0); points.num_rows()];
    for cell in 0..cells.num_cells() {
        for (place, row) in cells.rows_of(cell).iter().enumerate() {
            places[*row as usize] = (cell, place);
        }
    }
    let rows_near = |row: usize| {
        let (cell, place) = places[row];
        found[cell].rows(place)
    };
    let first = ranked(points, num_others, |row| rows_near(row).collect());
    joined(points, &first)
}

/// The nearest among the neighbours of neighbours, in either direction.
fn joined(points: &Points<'_>, found: &Neighbours) -> Neighbours {
    let num_others = found.num_others;
    let of = |row: usize| &found.rows[row * num_others..(row + 1) * num_others];
    // The first that name a row, nearest first.
    let mut named_by = vec![Vec::new(); found.num_rows];
    for place in 0..num_others {
        for row in 0..found.num_rows {
            let named = &mut named_by[of(row)[place] as usize];
            if named.len() < num_others {
                named.push(row as u32);
            }
        }
    }
    ranked(points, num_others, |row| {
        let mut candidates: Vec<u32> = of(row).to_vec();
        for near in of(row).iter().chain(&named_by[row]) {
            candidates.push(*near);
            candidates.extend(of(*near as usize));
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|candidate| *candidate as usize != row);
        candidates
    })
}

/// Rows that lie together.
struct Cells {
    /// Rounded rows, cell by cell, row-major.
    values: Vec<f32>,
    num_features: usize,
    /// Of those rows.
    squared_norms: Vec<f32>,
    /// Their numbers in the table.
    rows: Vec<u32>,
    /// Where the rows of a cell begin; one more than there are cells.
    starts: Vec<usize>,
    /// The cells whose rows those of a cell are compared with, nearest
    /// first.
    near: Vec<Vec<u32>>,
}

impl Cells {
    fn new(points: &Points<'_>, seed: Seed) -> Self {
        let num_rows = points.num_rows();
        let centres = centres(points, num_rows.div_ceil(CELL_ROWS), seed);
        let of_row = nearest_centres(points, &centres, &(0..num_rows as u32).collect::<Vec<_>>());
        let mut rows_of = vec![Vec::new(); centres.nrows()];
        for (row, centre) in of_row.into_iter().enumerate() {
            rows_of[centre as usize].push(row as u32);
        }
        // Rows that are all the same would make one cell of the table.
        let mut cells: Vec<(usize, &[u32])> = Vec::new();
        for (centre, rows) in rows_of.iter().enumerate() {
            cells.extend(rows.chunks(4 * CELL_ROWS).map(|rows| (centre, rows)));
        }
        let mut starts = vec![0];
        let mut rows = Vec::with_capacity(num_rows);
        for (_, of_cell) in &cells {
            rows.extend_from_slice(of_cell);
            starts.push(rows.len());
        }
        let mut values = Vec::with_capacity(num_rows * points.num_features());
        for row in &rows {
            values.extend_from_slice(points.row(*row as usize));
        }
        let norms = points.squared_norms();
        let squared_norms = rows.iter().map(|row| norms[*row as usize]).collect();
        let near = (0..cells.len())
            .into_par_iter()
            .map(|cell| near_cells(&cells, cell, &centres))
            .collect();
        Self {
            values,
            num_features: points.num_features(),
            squared_norms,
            rows,
            starts,
            near,
        }
    }

    fn num_cells(&self) -> usize {
        self.near.len()
    }

    fn rows_of(&self, cell: usize) -> &[u32] {
        &self.rows[self.starts[cell]..self.starts[cell + 1]]
    }

    fn values_of(&self, cell: usize) -> MatRef<'_, f32> {
        let len = self.starts[cell + 1] - self.starts[cell];
        let start = self.starts[cell] * self.num_features;
        let values = &self.values[start..start + len * self.num_features];
        MatRef::from_row_major_slice(values, len, self.num_features)
    }

    /// The nearest rows of those of a cell.
    fn search(&self, cell: usize, capacity: usize) -> NearestLists {
        let rows = self.rows_of(cell);
        let mut lists = NearestLists::new(rows.len(), capacity);
        let mut products = Mat::zeros(0, 0);
        for other in &self.near[cell] {
            let other = *other as usize;
            let others = self.rows_of(other);
            products.resize_with(others.len(), rows.len(), |_, _| 0.0);
            matmul(
                products.as_mut(),
                Accum::Replace,
                self.values_of(other),
                self.values_of(cell).transpose(),
                -2.0,
                Par::Seq,
            );
            Arch::new().dispatch(Offer {
                products: &products,
                rows,
                norms: &self.squared_norms[self.starts[cell]..self.starts[cell + 1]],
                others,
                other_norms: &self.squared_norms[self.starts[other]..self.starts[other + 1]],
                lists: &mut lists,
            });
        }
        lists
    }
}

/// The rows of one cell offered to those of another.
struct Offer<'a> {
    /// Inner products times -2, one column for each of `rows`.
    products: &'a Mat<f32>,
    rows: &'a [u32],
    norms: &'a [f32],
    others: &'a [u32],
    other_norms: &'a [f32],
    lists: &'a mut NearestLists,
}

impl WithSimd for Offer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        const LANES: usize = 16;
        for (i, (row, norm)) in self.rows.iter().zip(self.norms).enumerate() {
            let products = self.products.col_as_slice(i).chunks(LANES);
            let others = self
                .others
                .chunks(LANES)
                .zip(self.other_norms.chunks(LANES));
            for (products, (others, other_norms)) in products.zip(others) {
                let limit = self.lists.limits()[i];
                let mut num_near = 0u32;
                for (product, other_norm) in products.iter().zip(other_norms) {
                    num_near += u32::from(product + (norm + other_norm) <= limit);
                }
                if num_near == 0 {
                    continue;
                }
                for (lane, other) in others.iter().enumerate() {
                    if other != row {
                        let squared = products[lane] + (norm + other_norms[lane]);
                        self.lists.offer(i, squared, *other);
                    }
                }
            }
        }
    }
}

/// The cells nearest to one, until they have rows enough.
fn near_cells(cells: &[(usize, &[u32])], cell: usize, centres: &Mat<f32>) -> Vec<u32> {
    let own = cells[cell].0;
    let squared = |other: usize| -> f32 {
        (0..centres.ncols())
            .map(|j| (centres[(own, j)] - centres[(other, j)]).powi(2))
            .sum()
    };
    let mut by_centre = vec![0.0; centres.nrows()];
    by_centre
        .iter_mut()
        .enumerate()
        .for_each(|(centre, found)| *found = squared(centre));
    let mut others: Vec<(f32, u32)> = cells
        .iter()
        .zip(0..)
        .map(|((centre, _), other)| (by_centre[*centre], other))
        .collect();
    // The cell's own rows come first, whatever other cells share its centre.
    others[cell].0 = -1.0;
    others.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut num_compared = 0;
    let enough = others.iter().take_while(|(_, other)| {
        let is_needed = num_compared < NUM_COMPARED;
        num_compared += cells[*other as usize].1.len();
        is_needed
    });
    enough.map(|(_, other)| *other).collect()
}

/// Centres of cells, `[num_cells, num_features]`: k-means on some rows.
fn centres(points: &Points<'_>, num_cells: usize, seed: Seed) -> Mat<f32> {
    let num_rows = points.num_rows();
    let num_training = (num_cells * TRAINING_ROWS).min(num_rows);
    // One row of each stretch of the table, wherever in it.
    let mut rng = seed.rng();
    let training: Vec<u32> = (0..num_training)
        .map(|index| {
            let start = index * num_rows / num_training;
            let end = ((index + 1) * num_rows / num_training).max(start + 1);
            rng.random_range(start..end) as u32
        })
        .collect();
    let row = |index: usize| points.row(training[index * num_training / num_cells] as usize);
    let mut centres = Mat::from_fn(num_cells, points.num_features(), |i, j| row(i)[j]);
    for _ in 0..NUM_ROUNDS {
        let nearest = nearest_centres(points, &centres, &training);
        let mut sums = Mat::<f64>::zeros(points.num_features(), num_cells);
        let mut counts = vec![0; num_cells];
        for (row, centre) in training.iter().zip(nearest) {
            counts[centre as usize] += 1;
            let sums = sums.col_as_slice_mut(centre as usize);
            for (sum, value) in sums.iter_mut().zip(points.row(*row as usize)) {
                *sum += f64::from(*value);
            }
        }
        // A centre without rows stays.
        for (centre, count) in counts
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0)
        {
            for feature in 0..points.num_features() {
                let mean = sums[(feature, centre)] / f64::from(count);
                centres[(centre, feature)] = mean as f32;
            }
        }
    }
    centres
}

/// The centre nearest to each of some rows.
fn nearest_centres(points: &Points<'_>, centres: &Mat<f32>, rows: &[u32]) -> Vec<u32> {
    let num_features = points.num_features();
    let norms: Vec<f32> = (0..centres.nrows())
        .map(|centre| centres.row(centre).iter().map(|value| value * value).sum())
        .collect();
    let blocks = rows.par_chunks(BLOCK_ROWS).map(|rows| {
        let mut values = Vec::with_capacity(rows.len() * num_features);
        for row in rows {
            values.extend_from_slice(points.row(*row as usize));
        }
        let values = MatRef::from_row_major_slice(&values, rows.len(), num_features);
        let mut products = Mat::zeros(centres.nrows(), rows.len());
        matmul(
            products.as_mut(),
            Accum::Replace,
            centres.as_ref(),
            values.transpose(),
            -2.0,
            Par::Seq,
        );
        let nearest = |index: usize| {
            let products = products.col_as_slice(index).iter().zip(&norms);
            let distances = products.map(|(product, norm)| product + norm).zip(0..);
            let best = distances.fold((f32::INFINITY, 0), |best, found| {
                if found.0 < best.0 { found } else { best }
            });
            best.1
        };
        (0..rows.len()).map(nearest).collect::<Vec<u32>>()
    });
    let blocks: Vec<Vec<u32>> = blocks.collect();
    blocks.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::UmapMetric;
    use super::super::neighbours::exact;
    use super::*;

    #[test]
    fn most_neighbours_are_found() {
        // Ten directions of 40 and some noise, as profiles have.
        let mut rng = Seed::new(3).rng();
        let axes = Mat::from_fn(10, 40, |_, _| rng.random_range(-1.0..1.0));
        let scores = Mat::from_fn(12_000, 10, |_, _| rng.random_range(-1.0..1.0));
        let values = &scores * &axes;
        let points = Points::new(values.as_ref(), UmapMetric::Euclidean).expect("finite");
        let expected = exact(&points, 14);
        let found = approximate(&points, 14, Seed::new(1));
        let of = |neighbours: &Neighbours, row: usize| -> Vec<u32> {
            neighbours.rows[row * 14..(row + 1) * 14].to_vec()
        };
        let is_found = |row: usize| {
            let found = of(&found, row);
            let expected = of(&expected, row);
            expected.iter().filter(|row| found.contains(row)).count()
        };
        let share = (0..12_000).map(is_found).sum::<usize>() as f64 / (12_000.0 * 14.0);
        assert!(share > 0.97, "{share}");
    }
}
