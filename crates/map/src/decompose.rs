use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul;
use faer::linalg::{evd, qr::no_pivoting::factor as qr, svd};
use faer::prelude::default;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

/// A decomposition did not converge, which happens for NaN and infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the decomposition did not converge")]
pub(crate) struct NotConverged;

/// Principal axes of centred rows, by decreasing spread.
pub(crate) struct PrincipalAxes {
    /// Singular values of the centred rows, decreasing.
    pub(crate) singular_values: Vec<f64>,
    /// One axis per column, `[num_columns, min(num_rows, num_columns)]`. The
    /// entry of largest magnitude of each axis is positive (scikit-learn's
    /// `svd_flip` with `u_based_decision=False`; the first of equals).
    pub(crate) axes: Mat<f64>,
}

/// The full singular value decomposition of centred rows, row-major.
///
/// Tall tables are first reduced to the triangular factor of a QR
/// decomposition, chunk by chunk, which keeps the singular values exact to
/// rounding (the eigenvalues of the covariance would lose every spread below
/// 1e-8 of the largest) and the chunks can be worked on side by side. Chunk
/// borders depend on the shape alone, so the result does not depend on the
/// number of threads.
pub(crate) fn principal_axes(rows: MatRef<'_, f64>) -> Result<PrincipalAxes, NotConverged> {
    let reduced;
    let rows = if rows.nrows() > 2 * rows.ncols() {
        reduced = triangular_factor(rows);
        reduced.as_ref()
    } else {
        rows
    };
    let (n, d) = (rows.nrows(), rows.ncols());
    let size = n.min(d);
    let mut singular_values = Diag::<f64>::zeros(size);
    let mut axes = Mat::<f64>::zeros(d, size);
    let scratch = svd::svd_scratch::<f64>(
        n,
        d,
        svd::ComputeSvdVectors::No,
        svd::ComputeSvdVectors::Thin,
        Par::Seq,
        default(),
    );
    svd::svd(
        rows,
        singular_values.as_mut(),
        None,
        Some(axes.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        default(),
    )
    .map_err(|_| NotConverged)?;
    fix_signs(&mut axes);
    let singular_values = singular_values.column_vector().iter().copied().collect();
    Ok(PrincipalAxes {
        singular_values,
        axes,
    })
}

/// Makes the entry of largest magnitude of each axis positive.
fn fix_signs(axes: &mut Mat<f64>) {
    for j in 0..axes.ncols() {
        let axis = axes.col_as_slice_mut(j);
        let mut largest = 0.0f64;
        for &entry in axis.iter() {
            if entry.abs() > largest.abs() {
                largest = entry;
            }
        }
        if largest < 0.0 {
            axis.iter_mut().for_each(|entry| *entry = -*entry);
        }
    }
}

/// Principal axes from `X'X` of centred rows, where the rows themselves are
/// too many to hold. Spreads below 1e-8 of the largest are rounding.
pub(crate) fn axes_of_products(products: Mat<f64>) -> Result<PrincipalAxes, NotConverged> {
    let d = products.nrows();
    let (eigenvalues, vectors) = eigen(products)?;
    let mut axes = Mat::from_fn(d, d, |i, j| vectors[(i, d - 1 - j)]);
    fix_signs(&mut axes);
    let decreasing = eigenvalues.iter().rev();
    Ok(PrincipalAxes {
        singular_values: decreasing.map(|value| value.max(0.0).sqrt()).collect(),
        axes,
    })
}

/// The triangular factor `R` of `rows = Q R`.
fn triangular_factor(rows: MatRef<'_, f64>) -> Mat<f64> {
    let (n, d) = (rows.nrows(), rows.ncols());
    let chunk_rows = (4 * d).max(1024);
    if n <= 2 * chunk_rows {
        return triangular_factor_of_chunk(rows);
    }
    let num_chunks = n.div_ceil(chunk_rows);
    let factors: Vec<Mat<f64>> = (0..num_chunks)
        .into_par_iter()
        .map(|chunk| {
            let start = chunk * chunk_rows;
            triangular_factor_of_chunk(rows.subrows(start, chunk_rows.min(n - start)))
        })
        .collect();
    let mut stacked = Mat::zeros(factors.iter().map(Mat::nrows).sum(), d);
    let mut start = 0;
    for factor in &factors {
        stacked
            .as_mut()
            .subrows_mut(start, factor.nrows())
            .copy_from(factor);
        start += factor.nrows();
    }
    triangular_factor(stacked.as_ref())
}

fn triangular_factor_of_chunk(rows: MatRef<'_, f64>) -> Mat<f64> {
    let (n, d) = (rows.nrows(), rows.ncols());
    let size = n.min(d);
    let mut factored = rows.to_owned();
    let block_size = qr::recommended_block_size::<f64>(n, d);
    let mut coefficients = Mat::zeros(block_size, size);
    let scratch = qr::qr_in_place_scratch::<f64>(n, d, block_size, Par::Seq, default());
    qr::qr_in_place(
        factored.as_mut(),
        coefficients.as_mut(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        default(),
    );
    Mat::from_fn(size, d, |i, j| if i <= j { factored[(i, j)] } else { 0.0 })
}

/// `(S + regularisation * I)^(-1/2)` where `S` is the covariance of centred
/// rows (divided by one less than their number).
///
/// With fewer rows than columns `S` has at most `num_rows` directions, and
/// the small matrix of inner products between rows tells all of them.
pub(crate) fn inverse_sqrt_covariance(
    centred: MatRef<'_, f64>,
    regularisation: f64,
) -> Result<Mat<f64>, NotConverged> {
    let (n, d) = (centred.nrows(), centred.ncols());
    let degrees = (n - 1) as f64;
    if n < d {
        let (eigenvalues, vectors) = eigen(product(centred, centred.transpose(), degrees.recip()))?;
        // ((l + r)^(-1/2) - r^(-1/2)) / l, which stays finite at l = 0.
        let root = regularisation.sqrt();
        let factors = eigenvalues.iter().map(|eigenvalue| {
            let shifted = (eigenvalue.max(0.0) + regularisation).sqrt();
            -(shifted * root * (shifted + root)).recip()
        });
        let factors: Vec<f64> = factors.collect();
        let turned = product(vectors.transpose(), centred, 1.0);
        let scaled = Mat::from_fn(n, d, |i, j| turned[(i, j)] * factors[i] / degrees);
        let mut result = product(turned.transpose(), scaled.as_ref(), 1.0);
        for j in 0..d {
            result[(j, j)] += root.recip();
        }
        return Ok(result);
    }
    let mut covariance = product(centred.transpose(), centred, degrees.recip());
    for j in 0..d {
        covariance[(j, j)] += regularisation;
    }
    let (eigenvalues, vectors) = eigen(covariance)?;
    if eigenvalues.iter().any(|&eigenvalue| eigenvalue <= 0.0) {
        return Err(NotConverged);
    }
    // The fourth root on either side keeps the result symmetric.
    let factors: Vec<f64> = eigenvalues.iter().map(|value| value.powf(-0.25)).collect();
    let scaled = Mat::from_fn(d, d, |i, j| vectors[(i, j)] * factors[j]);
    Ok(product(scaled.as_ref(), scaled.transpose(), 1.0))
}

/// Eigenvalues, increasing, and eigenvectors, one per column, of a symmetric
/// matrix.
pub(crate) fn eigen(matrix: Mat<f64>) -> Result<(Vec<f64>, Mat<f64>), NotConverged> {
    let d = matrix.nrows();
    let mut eigenvalues = Diag::<f64>::zeros(d);
    let mut vectors = Mat::<f64>::zeros(d, d);
    let scratch =
        evd::self_adjoint_evd_scratch::<f64>(d, evd::ComputeEigenvectors::Yes, Par::Seq, default());
    evd::self_adjoint_evd(
        matrix.as_ref(),
        eigenvalues.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        default(),
    )
    .map_err(|_| NotConverged)?;
    Ok((
        eigenvalues.column_vector().iter().copied().collect(),
        vectors,
    ))
}

/// `alpha * lhs * rhs` on the calling thread.
pub(crate) fn product(lhs: MatRef<'_, f64>, rhs: MatRef<'_, f64>, alpha: f64) -> Mat<f64> {
    let mut result = Mat::zeros(lhs.nrows(), rhs.ncols());
    matmul(result.as_mut(), Accum::Replace, lhs, rhs, alpha, Par::Seq);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(rows: usize, columns: usize, seed: u64) -> Mat<f64> {
        use rand::RngExt;
        let mut rng = morphospace_core::Seed::new(seed).rng();
        Mat::from_fn(rows, columns, |_, _| rng.random_range(-1.0..1.0))
    }

    fn largest_difference(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
        (a - b).norm_max()
    }

    #[test]
    fn axes_of_a_hand_worked_table() {
        // Spread 3 along (1, 1)/sqrt 2 and 1 along (1, -1)/sqrt 2.
        let rows = faer::mat![[3.0, 3.0], [-3.0, -3.0], [1.0, -1.0], [-1.0, 1.0f64]];
        let found = principal_axes(rows.as_ref()).expect("finite");
        assert!((found.singular_values[0] - 6.0).abs() < 1e-14);
        assert!((found.singular_values[1] - 2.0).abs() < 1e-14);
        let half = 0.5f64.sqrt();
        let magnitudes = Mat::from_fn(2, 2, |i, j| found.axes[(i, j)].abs());
        assert!(largest_difference(magnitudes.as_ref(), Mat::full(2, 2, half).as_ref()) < 1e-15);
        // The first axis points up; the second has one entry of either sign.
        assert!(found.axes[(0, 0)] > 0.0 && found.axes[(0, 1)] * found.axes[(1, 1)] < 0.0);
    }

    #[test]
    fn a_tall_table_has_the_axes_of_its_whole() {
        let (n, d) = (9000, 7);
        let rows = noise(n, d, 1);
        // Spreads from 1 down to 1e-9, which the covariance could not tell
        // from zero.
        let rows = Mat::from_fn(n, d, |i, j| match j {
            0 => rows[(i, 0)],
            _ => rows[(i, 0)] + 10f64.powi(-(j as i32) - 3) * rows[(i, j)],
        });
        let chunked = principal_axes(rows.as_ref()).expect("finite");
        let whole = rows.thin_svd().expect("finite");
        for j in 0..d {
            let expect = whole.S()[j];
            assert!(
                (chunked.singular_values[j] / expect - 1.0).abs() < 1e-6,
                "{j}"
            );
        }
        let unit = product(chunked.axes.transpose(), chunked.axes.as_ref(), 1.0);
        assert!(largest_difference(unit.as_ref(), Mat::identity(d, d).as_ref()) < 1e-13);
    }

    #[test]
    fn a_wide_table_has_as_many_axes_as_rows() {
        let found = principal_axes(noise(4, 9, 2).as_ref()).expect("finite");
        assert_eq!((found.axes.nrows(), found.axes.ncols()), (9, 4));
    }

    #[test]
    fn both_ways_to_the_inverse_root_agree_and_square_to_the_inverse() {
        for (n, d) in [(3, 8), (7, 8), (40, 8), (2, 8)] {
            let rows = noise(n, d, 3);
            let root = inverse_sqrt_covariance(rows.as_ref(), 0.5).expect("finite");
            let covariance = product(rows.transpose(), rows.as_ref(), 1.0 / (n as f64 - 1.0));
            let shifted = covariance + Mat::<f64>::identity(d, d) * faer::Scale(0.5);
            let unit = product(
                product(root.as_ref(), root.as_ref(), 1.0).as_ref(),
                shifted.as_ref(),
                1.0,
            );
            let difference = largest_difference(unit.as_ref(), Mat::identity(d, d).as_ref());
            assert!(difference < 1e-13, "{n} rows: {difference}");
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let rows = noise(7000, 20, 4);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool");
            pool.install(|| principal_axes(rows.as_ref()).expect("finite"))
        };
        let (one, three) = (run(1), run(3));
        assert_eq!(one.singular_values, three.singular_values);
        assert_eq!(one.axes, three.axes);
    }
}
