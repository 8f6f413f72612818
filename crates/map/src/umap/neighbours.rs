use std::sync::{Mutex, MutexGuard};

use faer::Mat;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::nearest_lists::NearestLists;
use super::points::Points;

/// The nearest other rows of every row.
pub(crate) struct Neighbours {
    pub(crate) num_rows: usize,
    /// Others of each row.
    pub(crate) num_others: usize,
    /// `[num_rows, num_others]`, nearest first.
    pub(crate) rows: Vec<u32>,
    /// Their distances.
    pub(crate) distances: Vec<f64>,
}

/// Candidates that are kept beyond those asked for: the search rounds, the
/// ranking of what it found does not.
pub(crate) const NUM_SPARE: usize = 4;

/// Rows of a block. A tile of two blocks is a quarter of the second-level
/// cache of most processors.
const BLOCK_ROWS: usize = 512;

/// Every row against every other, each pair once.
pub(crate) fn exact(points: &Points<'_>, num_others: usize) -> Neighbours {
    let num_rows = points.num_rows();
    let capacity = (num_others + NUM_SPARE).min(num_rows - 1);
    let num_blocks = num_rows.div_ceil(BLOCK_ROWS);
    let block = |index: usize| index * BLOCK_ROWS..((index + 1) * BLOCK_ROWS).min(num_rows);
    let lists: Vec<Mutex<NearestLists>> = (0..num_blocks)
        .map(|index| Mutex::new(NearestLists::new(block(index).len(), capacity)))
        .collect();
    // By distance from the diagonal, so that few tiles at work at the same
    // time share a block.
    let tiles: Vec<(usize, usize)> = (0..num_blocks)
        .flat_map(|offset| (offset..num_blocks).map(move |second| (second - offset, second)))
        .collect();
    let arch = Arch::new();
    tiles.par_iter().with_max_len(1).for_each_init(
        || Mat::<f32>::zeros(0, 0),
        |tile, &(first, second)| {
            points.products(block(second), block(first), tile);
            let tile = Tile {
                products: tile,
                first: block(first).start,
                second: block(second).start,
                squared_norms: points.squared_norms(),
            };
            let mut of_first = lock(&lists[first]);
            if first == second {
                tile.offer_within(&mut of_first);
            } else {
                let mut of_second = lock(&lists[second]);
                arch.dispatch(OfferBetween {
                    tile: &tile,
                    of_first: &mut of_first,
                    of_second: &mut of_second,
                });
            }
        },
    );
    let lists: Vec<NearestLists> = lists
        .into_iter()
        .map(|lists| lists.into_inner().expect("no thread panicked"))
        .collect();
    let candidates = |row: usize| lists[row / BLOCK_ROWS].rows(row % BLOCK_ROWS);
    let mut found = ranked(points, num_others, |row| candidates(row).collect());
    search_again(points, &mut found);
    found
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panicked")
}

/// Inner products, times -2, of two blocks of rows: one column for each row
/// of the first.
struct Tile<'a> {
    products: &'a Mat<f32>,
    /// Number of the first row of the first block.
    first: usize,
    /// Number of the first row of the second block.
    second: usize,
    squared_norms: &'a [f32],
}

/// Entries that are looked at together.
const LANES: usize = 16;

/// Offers the rows of either block to the other's.
struct OfferBetween<'a> {
    tile: &'a Tile<'a>,
    of_first: &'a mut NearestLists,
    of_second: &'a mut NearestLists,
}

impl WithSimd for OfferBetween<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        self.tile.offer_between(self.of_first, self.of_second);
    }
}

impl Tile<'_> {
    /// Offers the rows of a block to each other.
    fn offer_within(&self, lists: &mut NearestLists) {
        for i in 0..self.products.ncols() {
            let column = self.products.col_as_slice(i);
            let norm = self.squared_norms[self.first + i];
            for (j, product) in column.iter().enumerate() {
                let squared = product + (norm + self.squared_norms[self.second + j]);
                if i != j && squared <= lists.limits()[i] {
                    lists.offer(i, squared, (self.second + j) as u32);
                }
            }
        }
    }

    #[inline(always)]
    fn offer_between(&self, of_first: &mut NearestLists, of_second: &mut NearestLists) {
        let num_columns = self.products.nrows();
        let norms = &self.squared_norms[self.second..][..num_columns];
        for i in 0..self.products.ncols() {
            let column = self.products.col_as_slice(i);
            let norm = self.squared_norms[self.first + i];
            let mut start = 0;
            while start + LANES <= num_columns {
                let products: &[f32; LANES] = column[start..start + LANES]
                    .try_into()
                    .expect("a slice of so many");
                let norms: &[f32; LANES] = norms[start..start + LANES]
                    .try_into()
                    .expect("a slice of so many");
                let limits: &[f32; LANES] = of_second.limits()[start..start + LANES]
                    .try_into()
                    .expect("a slice of so many");
                let limit = of_first.limits()[i];
                let mut squared = [0.0; LANES];
                let mut num_near = 0u32;
                for lane in 0..LANES {
                    squared[lane] = products[lane] + (norm + norms[lane]);
                    num_near += u32::from(squared[lane] <= limits[lane].max(limit));
                }
                if num_near > 0 {
                    for (lane, squared) in squared.into_iter().enumerate() {
                        self.offer_pair(of_first, of_second, i, start + lane, squared);
                    }
                }
                start += LANES;
            }
            for j in start..num_columns {
                let squared = column[j] + (norm + norms[j]);
                self.offer_pair(of_first, of_second, i, j, squared);
            }
        }
    }

    #[inline]
    fn offer_pair(
        &self,
        of_first: &mut NearestLists,
        of_second: &mut NearestLists,
        i: usize,
        j: usize,
        squared: f32,
    ) {
        if squared <= of_first.limits()[i] {
            of_first.offer(i, squared, (self.second + j) as u32);
        }
        if squared <= of_second.limits()[j] {
            of_second.offer(j, squared, (self.first + i) as u32);
        }
    }
}

/// The nearest `num_others` of the candidates of every row, by distances
/// that are not rounded.
pub(crate) fn ranked(
    points: &Points<'_>,
    num_others: usize,
    candidates: impl Fn(usize) -> Vec<u32> + Sync,
) -> Neighbours {
    let num_rows = points.num_rows();
    let mut rows = vec![0; num_rows * num_others];
    let mut distances = vec![0.0; num_rows * num_others];
    rows.par_chunks_exact_mut(num_others)
        .zip(distances.par_chunks_exact_mut(num_others))
        .with_min_len(64)
        .enumerate()
        .for_each(|(row, (rows, distances))| {
            let found = candidates(row).into_iter();
            let mut found: Vec<(f64, u32)> = found
                .map(|other| (points.squared_distance(row, other as usize), other))
                .collect();
            found.sort_unstable_by(nearer);
            for (place, (squared, other)) in found.into_iter().take(num_others).enumerate() {
                rows[place] = other;
                distances[place] = points.distance(squared);
            }
        });
    Neighbours {
        num_rows,
        num_others,
        rows,
        distances,
    }
}

/// Inner products are rounded by about this share of the squared lengths.
const ROUNDING: f64 = 1e-6;

/// Searches again, without rounding, for rows that are so much nearer to
/// each other than to the centre of the table that inner products cannot
/// tell which is the nearest.
fn search_again(points: &Points<'_>, found: &mut Neighbours) {
    let num_others = found.num_others;
    let is_uncertain = |row: usize| {
        let farthest = found.rows[(row + 1) * num_others - 1];
        let error = ROUNDING * f64::from(points.squared_norms()[row]);
        error > 0.05 * points.squared_distance(row, farthest as usize)
    };
    let uncertain: Vec<u32> = (0..found.num_rows)
        .filter(|row| is_uncertain(*row))
        .map(|row| row as u32)
        .collect();
    if uncertain.is_empty() {
        return;
    }
    let values = points.unrounded();
    let num_features = points.num_features();
    let nearest = uncertain.par_iter().map(|row| {
        let own = &values[*row as usize * num_features..][..num_features];
        let squared = |other: &[f64]| own.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum();
        let mut others: Vec<(f64, u32)> = values
            .chunks_exact(num_features)
            .map(squared)
            .zip(0..)
            .filter(|(_, other)| other != row)
            .collect();
        others.select_nth_unstable_by(num_others - 1, nearer);
        others.truncate(num_others);
        others.sort_unstable_by(nearer);
        others
    });
    let nearest: Vec<Vec<(f64, u32)>> = nearest.collect();
    for (row, nearest) in uncertain.iter().zip(nearest) {
        let start = *row as usize * num_others;
        for (place, (squared, other)) in nearest.into_iter().enumerate() {
            found.rows[start + place] = other;
            found.distances[start + place] = points.distance(squared);
        }
    }
}

/// By distance, then by row.
fn nearer(a: &(f64, u32), b: &(f64, u32)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use faer::Mat;
    use morphospace_core::Seed;
    use rand::RngExt;

    use super::super::UmapMetric;
    use super::*;

    /// Every row compared with every other, without rounding.
    fn by_hand(values: &Mat<f64>, row: usize, num_others: usize) -> Vec<u32> {
        let squared = |other: usize| -> f64 {
            (0..values.ncols())
                .map(|j| (values[(row, j)] - values[(other, j)]).powi(2))
                .sum()
        };
        let mut others: Vec<(f64, u32)> = (0..values.nrows())
            .filter(|other| *other != row)
            .map(|other| (squared(other), other as u32))
            .collect();
        others.sort_by(nearer);
        others
            .iter()
            .take(num_others)
            .map(|(_, other)| *other)
            .collect()
    }

    #[test]
    fn the_nearest_are_those_of_every_row_against_every_other() {
        // More than two blocks, the last not full.
        let mut rng = Seed::new(5).rng();
        let values = Mat::from_fn(1201, 7, |_, _| rng.random_range(-1.0..1.0));
        let points = Points::new(values.as_ref(), UmapMetric::Euclidean).expect("finite");
        let found = exact(&points, 9);
        for row in 0..1201 {
            let expected = by_hand(&values, row, 9);
            assert_eq!(found.rows[row * 9..(row + 1) * 9], expected, "{row}");
        }
    }

    #[test]
    fn rows_far_from_the_centre_are_searched_again() {
        let mut rng = Seed::new(6).rng();
        let values = Mat::from_fn(300, 3, |row, _| {
            f64::from(row as u32 % 3) * 1e7 + rng.random_range(-1.0..1.0)
        });
        let points = Points::new(values.as_ref(), UmapMetric::Euclidean).expect("finite");
        let found = exact(&points, 5);
        for row in 0..300 {
            let expected = by_hand(&values, row, 5);
            assert_eq!(found.rows[row * 5..(row + 1) * 5], expected, "{row}");
        }
    }

    #[test]
    fn distances_are_by_cosine_where_asked_for() {
        let values = faer::mat![[1.0, 0.0], [3.0, 3.0], [0.0, 0.5f64]];
        let points = Points::new(values.as_ref(), UmapMetric::Cosine).expect("no zeros");
        let found = exact(&points, 2);
        assert_eq!(found.rows, [1, 2, 0, 2, 1, 0]);
        let eighth = 1.0 - 0.5f64.sqrt();
        for (found, expected) in found
            .distances
            .iter()
            .zip([eighth, 1.0, eighth, eighth, eighth, 1.0])
        {
            assert!((found - expected).abs() < 1e-6, "{found}");
        }
    }
}
