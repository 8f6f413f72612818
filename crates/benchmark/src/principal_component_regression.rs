use std::collections::BTreeMap;

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use crate::BenchmarkError;

/// The share of a table's variance that batches explain: of each principal
/// component the R² of a regression on the batch, averaged with the
/// components' variances as weights. From 0 (batches are alike) to 1.
///
/// Of all components (`None`) that is the variance between batches over the
/// whole, and no components need to be taken.
///
/// # Shapes
/// `rows`: row-major `[batches.len(), num_features]`
///
/// # Errors
/// [`BenchmarkError::WrongNumberOfValues`]; [`BenchmarkError::TooFewValues`]:
/// fewer than two rows, or fewer components than asked for;
/// [`BenchmarkError::NotFinite`].
///
/// # Source
/// Büttner et al. 2019, <https://doi.org/10.1038/s41592-018-0254-1>;
/// scib-metrics 0.5.10 `principal_component_regression` with a categorical
/// covariate, with which it agrees to 1e-9.
///
/// # Example
/// ```
/// use morphospace_benchmark::principal_component_regression;
///
/// let batches = ["a", "a", "b", "b"].map(str::to_owned);
/// // Batch means 1 and 5 about 3: 4 * 4 of 4 * 4 + 4 * 1.
/// let share = principal_component_regression(&[0.0, 2.0, 4.0, 6.0], 1, &batches, None)?;
/// assert!((share - 0.8).abs() < 1e-12);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn principal_component_regression(
    rows: &[f64],
    num_features: usize,
    batches: &[String],
    num_components: Option<usize>,
) -> Result<f64, BenchmarkError> {
    let num_rows = batches.len();
    let expected = num_rows * num_features;
    if rows.len() != expected || num_features == 0 {
        return Err(BenchmarkError::WrongNumberOfValues {
            num_labels: num_rows,
            num_features,
            expected,
            found: rows.len(),
        });
    }
    if let Some(place) = rows.iter().position(|value| !value.is_finite()) {
        return Err(BenchmarkError::NotFinite {
            label: batches[place / num_features].clone(),
            row: place / num_features,
            feature: place % num_features,
            value: rows[place],
        });
    }
    let available = num_features.min(num_rows);
    let needed = num_components.unwrap_or(1).max(1);
    if num_rows < 2 || needed > available {
        return Err(BenchmarkError::TooFewValues {
            what: "principal component regression, for its components,",
            needed: needed.max(2),
            found: available,
        });
    }

    let mut centred = rows.to_vec();
    for j in 0..num_features {
        let mean = rows.iter().skip(j).step_by(num_features).sum::<f64>() / num_rows as f64;
        let column = centred.iter_mut().skip(j).step_by(num_features);
        column.for_each(|value| *value -= mean);
    }
    let mut sums: BTreeMap<&String, (f64, Vec<f64>)> = BTreeMap::new();
    for (row, batch) in centred.chunks_exact(num_features).zip(batches) {
        let (count, sum) = sums
            .entry(batch)
            .or_insert_with(|| (0.0, vec![0.0; num_features]));
        *count += 1.0;
        sum.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value);
    }
    let Some(num_components) = num_components else {
        let of_sums = |(count, sum): &(f64, Vec<f64>)| {
            sum.iter().map(|value| value * value).sum::<f64>() / count
        };
        let between: f64 = sums.values().map(of_sums).sum();
        let total: f64 = centred.iter().map(|value| value * value).sum();
        return Ok(share(between, total));
    };
    let (variances, axes) = axes_by_variance(&centred, num_features)?;
    // The R² of a component times its variance is its variance between
    // batches.
    let mut between = 0.0;
    for component in 0..num_components {
        for (count, sum) in sums.values() {
            let along: f64 = (0..num_features)
                .map(|j| sum[j] * axes[(j, component)])
                .sum();
            between += along * along / count;
        }
    }
    Ok(share(between, variances[..num_components].iter().sum()))
}

/// How much of what batches explained before a correction is gone after it,
/// from 0 (nothing, or more is explained than before) to 1 (all). NaN where
/// they explained nothing before.
///
/// # Source
/// Luecken et al. 2022, <https://doi.org/10.1038/s41592-021-01336-8>; scIB
/// `pcr_comparison` with `scale=True`
///
/// ```
/// use morphospace_benchmark::pcr_comparison;
///
/// assert_eq!(pcr_comparison(0.5, 0.125), 0.75);
/// assert_eq!(pcr_comparison(0.1, 0.4), 0.0);
/// ```
pub fn pcr_comparison(before: f64, after: f64) -> f64 {
    if before == 0.0 {
        return f64::NAN;
    }
    ((before - after) / before).max(0.0)
}

/// 0 of nothing: rows that are all alike are explained by no batch.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Sums of squares of centred rows along their principal axes, decreasing, and
/// the axes, one per column.
fn axes_by_variance(
    centred: &[f64],
    num_features: usize,
) -> Result<(Vec<f64>, Mat<f64>), BenchmarkError> {
    let d = num_features;
    let rows = MatRef::from_row_major_slice(centred, centred.len() / d, d);
    let mut products = Mat::zeros(d, d);
    let replace = Accum::Replace;
    matmul(
        products.as_mut(),
        replace,
        rows.transpose(),
        rows,
        1.0,
        Par::Seq,
    );
    let mut values = Diag::<f64>::zeros(d);
    let mut vectors = Mat::<f64>::zeros(d, d);
    let with_vectors = evd::ComputeEigenvectors::Yes;
    let scratch =
        evd::self_adjoint_evd_scratch::<f64>(d, with_vectors, Par::Seq, faer::prelude::default());
    evd::self_adjoint_evd(
        products.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        faer::prelude::default(),
    )
    .expect("the products of finite values have eigenvalues");
    let increasing = values.column_vector();
    let values = (0..d).rev().map(|j| increasing[j].max(0.0)).collect();
    Ok((values, Mat::from_fn(d, d, |i, j| vectors[(i, d - 1 - j)])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch_mixing::tests::{mixed_rows, names};

    /// scib-metrics 0.5.10 on jax in double precision:
    /// `principal_component_regression(rows, batches, categorical=True,
    /// n_components)` of the rows that `mixed_rows` makes.
    #[test]
    fn shares_are_those_of_scib_metrics() {
        let (rows, batches, _) = mixed_rows();
        for (num_components, expect) in [
            (None, 0.103105914760652),
            (Some(3), 0.103105914760652),
            (Some(1), 0.15734428044081172),
            (Some(2), 0.11137704470238385),
        ] {
            let found = principal_component_regression(&rows, 3, &batches, num_components);
            let found = found.expect("fits");
            assert!((found - expect).abs() < 1e-9, "{num_components:?}: {found}");
        }
    }

    #[test]
    fn what_cannot_be_scored() {
        let found = |rows: &[f64], batches: &[&str], components| {
            principal_component_regression(rows, 2, &names(batches), components)
        };
        assert_eq!(found(&[1.0; 6], &["a", "a", "b"], None).expect("fits"), 0.0);
        assert!(found(&[1.0; 5], &["a", "a", "b"], None).is_err());
        assert!(found(&[1.0, 2.0], &["a"], None).is_err());
        assert!(found(&[1.0; 6], &["a", "a", "b"], Some(3)).is_err());
        let holed = found(&[1.0, 2.0, f64::NAN, 4.0], &["a", "b"], None);
        assert!(
            holed
                .expect_err("NaN")
                .to_string()
                .contains("feature 0 of 'b'")
        );
        assert!(pcr_comparison(0.0, 0.1).is_nan());
    }
}
