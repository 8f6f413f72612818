use gemm::Parallelism;

use super::rows::Rows;

/// Matrix products of fewer multiplications stay on one thread.
const PARALLEL_THRESHOLD: usize = 192 * 192 * 192;

/// A matrix in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    /// From the first value on.
    pub(crate) data: &'a [f32],
    /// Rows.
    pub(crate) rows: usize,
    /// Columns.
    pub(crate) cols: usize,
    /// From one row to the next.
    pub(crate) row_step: usize,
    /// From one column to the next.
    pub(crate) col_step: usize,
}

impl<'a> From<Rows<'a>> for Matrix<'a> {
    fn from(rows: Rows<'a>) -> Self {
        Self {
            data: rows.data,
            rows: rows.count,
            cols: rows.len,
            row_step: rows.stride,
            col_step: 1,
        }
    }
}

impl Matrix<'_> {
    /// Rows as columns.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_step: self.col_step,
            col_step: self.row_step,
            ..self
        }
    }

    fn lies_in_its_slice(&self) -> bool {
        if self.rows == 0 || self.cols == 0 {
            return true;
        }
        let last = (self.rows - 1) * self.row_step + (self.cols - 1) * self.col_step;
        last < self.data.len()
    }
}

/// Whether one piece of work uses all threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The caller's alone.
    One,
    /// All, if it is large enough.
    All,
}

impl Threads {
    /// Of each of several pieces that are done side by side: where they are
    /// fewer than the threads, each uses all.
    pub(crate) fn of_each(num_pieces: usize) -> Self {
        match num_pieces < rayon::current_num_threads() {
            true => Self::All,
            false => Self::One,
        }
    }
}

/// `output += x w`.
///
/// # Shapes
/// `x`: `[M, K]`, `w`: `[K, N]`, `output`: `[M, N]` without gaps
pub(crate) fn add_product(x: Matrix<'_>, w: Matrix<'_>, output: &mut [f32], threads: Threads) {
    multiply(x, w, output, true, threads);
}

/// `output = x w`.
///
/// # Shapes
/// `x`: `[M, K]`, `w`: `[K, N]`, `output`: `[M, N]` without gaps
pub(crate) fn set_product(x: Matrix<'_>, w: Matrix<'_>, output: &mut [f32], threads: Threads) {
    multiply(x, w, output, false, threads);
}

fn multiply(x: Matrix<'_>, w: Matrix<'_>, output: &mut [f32], adds: bool, threads: Threads) {
    let (m, k, n) = (x.rows, x.cols, w.cols);
    assert_eq!(k, w.rows, "inner sizes agree");
    assert_eq!(output.len(), m * n, "the output has the product's size");
    assert!(
        x.lies_in_its_slice() && w.lies_in_its_slice(),
        "no value lies outside"
    );
    let parallelism = match threads {
        Threads::All if m * n * k >= PARALLEL_THRESHOLD => Parallelism::Rayon(0),
        Threads::All | Threads::One => Parallelism::None,
    };
    // SAFETY: all values of the three matrices lie in their slices, as asserted
    // above; `output` is borrowed mutably, so it overlaps neither of the others.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            output.as_mut_ptr(),
            1,
            n as isize,
            adds,
            x.data.as_ptr(),
            x.col_step as isize,
            x.row_step as isize,
            w.data.as_ptr(),
            w.col_step as isize,
            w.row_step as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}
