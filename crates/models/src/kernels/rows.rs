use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::vector_unit::vectorised;

/// About as many rows are worked on in one go: what is made of them stays in a
/// processor's cache.
const USUAL_ROWS: usize = 256;
/// A last block of fewer rows would be multiplied in another way than the rest.
const LEAST_ROWS: usize = 65;

/// Rows of equal length in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    /// From the first value of the first row on.
    pub(crate) data: &'a [f32],
    /// Rows.
    pub(crate) count: usize,
    /// Values of a row.
    pub(crate) len: usize,
    /// From one row to the next.
    pub(crate) stride: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `len` values without gaps.
    pub(crate) fn new(data: &'a [f32], len: usize) -> Self {
        Self {
            data,
            count: data.len() / len,
            len,
            stride: len,
        }
    }

    /// One row.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &'a [f32] {
        &self.data[row * self.stride..][..self.len]
    }

    /// `count` rows from `first` on.
    pub(crate) fn block(&self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.count, "the block lies in the rows");
        Self {
            data: &self.data[first * self.stride..],
            count,
            ..*self
        }
    }

    /// Rows of `len` values out of rows that may hold several; `None` if those
    /// are not evenly spaced.
    pub(crate) fn split(&self, len: usize) -> Option<Self> {
        if self.len == len {
            return Some(*self);
        }
        let is_even = self.count == 1 || self.stride == self.len;
        (is_even && self.len.is_multiple_of(len)).then(|| Self {
            count: self.count * (self.len / len),
            len,
            stride: len,
            ..*self
        })
    }
}

/// New rows, made block by block on all threads. `fill` gets a scratch vector
/// that it finds as it or another call left it, the block's first row, and the
/// block, whose rows are `start`.
///
/// Blocks are the same whatever the number of threads, and the last of them is
/// not small: products of few rows, and of a single one, add in another order.
pub(crate) fn rows_by_blocks(
    count: usize,
    start: Start<'_>,
    fill: impl Fn(&mut Vec<f32>, usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let len = start.len();
    let mut values = Vec::with_capacity(count * len);
    if count * len == 0 {
        return values;
    }
    let block = block_rows(count);
    // Each thread writes its blocks from the start on, not one all of them.
    let unwritten = &mut values.spare_capacity_mut()[..count * len];
    let blocks = unwritten.par_chunks_mut(block * len).enumerate();
    blocks.for_each_init(Vec::new, |scratch, (index, output)| {
        fill(scratch, index * block, start.write(output));
    });
    // SAFETY: all of them are written: `Start::write` returns the whole block.
    unsafe { values.set_len(count * len) };
    values
}

/// New rows and sums over them, made block by block on all threads. `fill` gets a
/// block's first row, the block, whose rows are zero, and its sums, which are too.
/// Sums of blocks are added in their order.
pub(crate) fn rows_and_sums(
    count: usize,
    len: usize,
    num_sums: usize,
    fill: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) -> (Vec<f32>, Vec<f32>) {
    let mut values = vec![0.0; count * len];
    let block = block_rows(count).max(1);
    let blocks = values.par_chunks_mut((block * len).max(1)).enumerate();
    let sums: Vec<Vec<f32>> = blocks
        .map(|(index, output)| {
            let mut sums = vec![0.0; num_sums];
            fill(index * block, output, &mut sums);
            sums
        })
        .collect();
    (values, sum_of_vectors(&sums, num_sums))
}

/// The sum of all rows.
pub(crate) fn sum_of_rows(rows: Rows<'_>) -> Vec<f32> {
    let block = block_rows(rows.count).max(1);
    let firsts: Vec<usize> = (0..rows.count).step_by(block).collect();
    let sums: Vec<Vec<f32>> = firsts
        .into_par_iter()
        .map(|first| {
            let mut sums = vec![0.0; rows.len];
            let count = block.min(rows.count - first);
            vectorised(
                #[inline(always)]
                || {
                    for row in first..first + count {
                        for (sum, x) in sums.iter_mut().zip(rows.row(row)) {
                            *sum += x;
                        }
                    }
                },
            );
            sums
        })
        .collect();
    sum_of_vectors(&sums, rows.len)
}

/// New values, zero at first, made chunk by chunk on all threads. `fill` gets what
/// `init` makes for each thread, the chunk's place among them, and the chunk.
pub(crate) fn values_by_chunks<S>(
    count: usize,
    len: usize,
    init: impl Fn() -> S + Sync + Send,
    fill: impl Fn(&mut S, usize, &mut [f32]) + Sync + Send,
) -> Vec<f32> {
    let mut values = Vec::with_capacity(count * len);
    if count * len == 0 {
        return values;
    }
    // Zeros too are written by all threads.
    let unwritten = &mut values.spare_capacity_mut()[..count * len];
    let chunks = unwritten.par_chunks_mut(len).enumerate();
    chunks.for_each_init(init, |scratch, (index, chunk)| {
        fill(scratch, index, Start::Zeros(len).write(chunk));
    });
    // SAFETY: all of them are written: `Start::write` returns the whole chunk.
    unsafe { values.set_len(count * len) };
    values
}

/// The sum of equally long vectors, added in their order, on all threads.
pub(crate) fn sum_of_vectors(vectors: &[Vec<f32>], len: usize) -> Vec<f32> {
    const PART: usize = 1 << 14;
    let mut total = vec![0.0; len];
    total
        .par_chunks_mut(PART)
        .enumerate()
        .for_each(|(part, total)| {
            let place = part * PART..part * PART + total.len();
            for vector in vectors {
                for (total, x) in total.iter_mut().zip(&vector[place.clone()]) {
                    *total += x;
                }
            }
        });
    total
}

/// Into how many blocks [`rows_by_blocks`] cuts so many rows.
pub(crate) fn num_blocks(count: usize) -> usize {
    count.div_ceil(block_rows(count).max(1))
}

/// Rows of a block; an even number of blocks, so that two threads end together.
fn block_rows(count: usize) -> usize {
    let blocks = match (count + USUAL_ROWS / 2) / USUAL_ROWS {
        0 | 1 => return count,
        blocks => blocks.next_multiple_of(2),
    };
    let even = count.div_ceil(blocks);
    let leaves_enough = |block: &usize| {
        let rest = count % block;
        rest == 0 || rest >= LEAST_ROWS
    };
    (even..even + USUAL_ROWS)
        .find(leaves_enough)
        .unwrap_or(even)
}

/// What new rows are at first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a> {
    /// So many zeros.
    Zeros(usize),
    /// This row.
    Row(&'a [f32]),
}

impl Start<'_> {
    fn len(self) -> usize {
        match self {
            Self::Zeros(len) => len,
            Self::Row(row) => row.len(),
        }
    }

    /// Writes all values of whole rows.
    fn write(self, rows: &mut [MaybeUninit<f32>]) -> &mut [f32] {
        match self {
            Self::Zeros(_) => rows.iter_mut().for_each(|value| {
                value.write(0.0);
            }),
            Self::Row(row) => {
                let rows = rows.chunks_exact_mut(row.len());
                rows.for_each(|new| {
                    new.write_copy_of_slice(row);
                });
            }
        }
        // SAFETY: both arms have written every value: rows are whole.
        unsafe { rows.assume_init_mut() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_of_usual_size_and_none_is_small() {
        assert_eq!(block_rows(8 * 257), 257);
        assert_eq!(block_rows(257), 257);
        assert_eq!(block_rows(1), 1);
        for count in 1..40_000 {
            let block = block_rows(count);
            assert!(block <= 2 * USUAL_ROWS, "{count} rows: {block}");
            let last = count - (num_blocks(count) - 1) * block;
            assert!(
                last >= LEAST_ROWS.min(count),
                "{count} rows: {last} in the last block"
            );
        }
    }
}
