use std::collections::{BTreeMap, BTreeSet};

use faer::{Mat, MatRef};
use morphospace_profiles::{Profiles, ProfilesError};

use super::affine::{Affine, Scaling, check_counts};
use super::pca::FittedPca;
use super::spherize::Spread;
use super::{
    Align, AlignError, AlignInput, AlignMethod, CenterScale, FitReport, FittedAligner, Pca,
    Reference, Shrinkage, Sphering, Spherize, transform_profiles,
};
use crate::ControlRule;
use crate::decompose::{axes_of_products, product};
use crate::moments::Moments;

/// Fits a method to a table that comes in chunks and is never held whole.
///
/// Only the rows that the method is fitted on are kept, which for most methods
/// are the negative controls; the result is then the same, bit for bit, as
/// that of [`fit_profiles`](super::fit_profiles). If they take more than
/// `bound_mib`, [`CenterScale`], [`Pca`] and [`Spherize`] read the table once
/// more and take means and covariances chunk by chunk, which agrees to
/// rounding but cannot tell spreads below 1e-8 of the largest from none; other
/// methods are refused.
///
/// `open` begins the table anew each time it is called.
///
/// # Errors
/// As [`fit_profiles`](super::fit_profiles), with rows counted within their
/// chunk; [`AlignError::TooLarge`] says what to do about too many rows;
/// [`AlignError::OtherFeatures`] where chunks differ.
///
/// # Example
/// ```
/// use morphospace_map::{
///     AlignMethod, CenterScale, ControlRule, fit_profiles, fit_profiles_stream,
///     transform_profiles_stream,
/// };
/// use morphospace_profiles::{Column, Features, Profiles};
///
/// let chunk = |values: Vec<f64>| {
///     Profiles::new(
///         vec![
///             ("Metadata_Plate".to_owned(), Column::from(vec!["P1"; 2])),
///             ("Metadata_pert_type".to_owned(), Column::from(vec!["negcon", "trt"])),
///         ],
///         vec!["feature_0".to_owned()],
///         Features::F64(values),
///     )
/// };
/// let open = || Ok([chunk(vec![1.0, 9.0]), chunk(vec![3.0, 5.0])].into_iter());
/// let controls = ControlRule::new("Metadata_pert_type", ["negcon"]);
/// let method = AlignMethod::from(CenterScale::default());
/// let fitted = fit_profiles_stream(open, "Metadata_Plate", &controls, &method, 1024)?;
/// let chunks = transform_profiles_stream(&fitted, open()?, "Metadata_Plate");
/// let aligned = chunks.collect::<Result<Vec<Profiles>, _>>()?;
/// assert_eq!(aligned[1].values(), [1.0, 3.0].as_slice());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fit_profiles_stream<I>(
    mut open: impl FnMut() -> Result<I, ProfilesError>,
    batch_column: &str,
    controls: &ControlRule,
    method: &AlignMethod,
    bound_mib: usize,
) -> Result<FittedAligner, AlignError>
where
    I: Iterator<Item = Result<Profiles, ProfilesError>>,
{
    method.check()?;
    let mut table = Table::new(batch_column, controls, method);
    let bound = bound_mib.saturating_mul(1 << 20);
    let mut kept = Kept::default();
    for chunk in open()? {
        let chunk = table.read(chunk?)?;
        if !kept.is_given_up {
            kept.add(&chunk);
            if size_of_val(&kept.values[..]) > bound {
                check_moments_suffice(method, kept.batch.len(), chunk.num_features, bound_mib)?;
                kept = Kept {
                    is_given_up: true,
                    ..Kept::default()
                };
            }
        }
    }
    table.check()?;
    if kept.is_given_up {
        return fit_moments(open()?, table);
    }
    let num_features = table.feature_names.len();
    let values = MatRef::from_row_major_slice(&kept.values, kept.batch.len(), num_features);
    let input = AlignInput::new(values, &kept.batch, &kept.is_control)?;
    let input = match method.covariate() {
        Some(_) => input.with_covariate(&kept.covariate)?,
        None => input,
    };
    Ok(method
        .fit(&input)?
        .with_counts(table.num_rows, table.controls_per_batch)
        .with_feature_names(&table.feature_names))
}

/// Applies a fitted method to a table that comes in chunks; one chunk is held
/// at a time.
///
/// # Errors
/// Of each chunk, as [`transform_profiles`].
pub fn transform_profiles_stream<I>(
    fitted: &FittedAligner,
    chunks: I,
    batch_column: &str,
) -> impl Iterator<Item = Result<Profiles, AlignError>>
where
    I: Iterator<Item = Result<Profiles, ProfilesError>>,
{
    chunks.map(move |chunk| transform_profiles(fitted, &chunk?, batch_column))
}

/// What is known of a table while its chunks go by.
struct Table<'a> {
    batch_column: &'a str,
    controls: &'a ControlRule,
    method: &'a AlignMethod,
    feature_names: Vec<String>,
    num_rows: usize,
    controls_per_batch: BTreeMap<String, usize>,
    rows_per_batch: BTreeMap<String, usize>,
    /// Values of the controls' column, until the first control is found.
    present: BTreeSet<String>,
}

/// The rows of a chunk that the method is fitted on.
struct Chunk {
    num_features: usize,
    values: Vec<f64>,
    batch: Vec<String>,
    is_control: Vec<bool>,
    covariate: Vec<String>,
}

impl<'a> Table<'a> {
    fn new(batch_column: &'a str, controls: &'a ControlRule, method: &'a AlignMethod) -> Self {
        Self {
            batch_column,
            controls,
            method,
            feature_names: Vec::new(),
            num_rows: 0,
            controls_per_batch: BTreeMap::new(),
            rows_per_batch: BTreeMap::new(),
            present: BTreeSet::new(),
        }
    }

    /// Counts a chunk and picks the rows to fit on.
    fn read(&mut self, chunk: Profiles) -> Result<Chunk, AlignError> {
        self.check_features(&chunk)?;
        let batch = chunk.keys(self.batch_column)?;
        let controls_only = self.method.reference().controls_only();
        let is_control = match chunk.text(&self.controls.column) {
            Ok(found) => {
                let is_control = self.controls.matches(&found);
                if self.controls_per_batch.values().all(|&count| count == 0) {
                    self.present.extend(found.into_iter().flatten());
                }
                is_control
            }
            Err(error) if controls_only => {
                return Err(AlignError::NoControls(error.into()));
            }
            Err(_) => vec![false; batch.len()],
        };
        chunk.check_finite()?;
        self.num_rows += batch.len();
        for (batch, &is_control) in batch.iter().zip(&is_control) {
            *self.rows_per_batch.entry(batch.clone()).or_default() += 1;
            let count = self.controls_per_batch.entry(batch.clone()).or_default();
            *count += usize::from(is_control);
        }
        let covariate = match self.method.covariate() {
            Some(column) => chunk.keys(column)?,
            None => vec![],
        };
        let rows: Vec<usize> = (0..batch.len())
            .filter(|&row| !controls_only || is_control[row])
            .collect();
        let num_features = chunk.num_features();
        let values = chunk.values();
        Ok(Chunk {
            num_features,
            values: rows
                .iter()
                .flat_map(|&row| &values[row * num_features..][..num_features])
                .copied()
                .collect(),
            batch: rows.iter().map(|&row| batch[row].clone()).collect(),
            is_control: rows.iter().map(|&row| is_control[row]).collect(),
            covariate: match covariate.is_empty() {
                true => vec![],
                false => rows.iter().map(|&row| covariate[row].clone()).collect(),
            },
        })
    }

    fn check_features(&mut self, chunk: &Profiles) -> Result<(), AlignError> {
        let found = chunk.feature_names();
        if self.num_rows == 0 {
            self.feature_names = found.to_vec();
            return Ok(());
        }
        if self.feature_names == found {
            return Ok(());
        }
        let mut pairs = self.feature_names.iter().zip(found).enumerate();
        let differing = pairs.find(|(_, (then, now))| then != now);
        Err(AlignError::OtherFeatures {
            expected: self.feature_names.len(),
            found: found.len(),
            difference: differing
                .map(|(index, (then, now))| (index + 1, then.clone(), now.clone())),
        })
    }

    /// Refuses, after the last chunk, what the rows kept cannot tell: that
    /// there were none, or batches without any.
    fn check(&mut self) -> Result<(), AlignError> {
        if self.num_rows == 0 {
            return Err(AlignError::Empty {
                num_rows: 0,
                num_features: self.feature_names.len(),
            });
        }
        let reference = self.method.reference();
        if reference.controls_only() && self.controls_per_batch.values().all(|&count| count == 0) {
            let present = std::mem::take(&mut self.present);
            return Err(AlignError::NoControls(self.controls.none_matches(present)));
        }
        let counts = match reference {
            Reference::Controls => &self.controls_per_batch,
            Reference::All => &self.rows_per_batch,
        };
        let counts = counts.iter().map(|(name, &count)| (name.as_str(), count));
        check_counts(counts, reference, self.method.rows_per_batch())
    }
}

/// Rows that are kept to be fitted on.
#[derive(Default)]
struct Kept {
    /// Whether they were too many.
    is_given_up: bool,
    values: Vec<f64>,
    batch: Vec<String>,
    is_control: Vec<bool>,
    covariate: Vec<String>,
}

impl Kept {
    fn add(&mut self, chunk: &Chunk) {
        self.values.extend_from_slice(&chunk.values);
        self.batch.extend_from_slice(&chunk.batch);
        self.is_control.extend_from_slice(&chunk.is_control);
        self.covariate.extend_from_slice(&chunk.covariate);
    }
}

/// Refuses to fit on more rows than may be held, where means and covariances
/// do not say it all.
fn check_moments_suffice(
    method: &AlignMethod,
    num_rows: usize,
    num_features: usize,
    bound_mib: usize,
) -> Result<(), AlignError> {
    let hint = match method {
        AlignMethod::Spherize(spherize) if spherize.shrinkage == Shrinkage::LedoitWolf => {
            "set shrinkage to a number, or allow more memory"
        }
        AlignMethod::CenterScale(_) | AlignMethod::Pca(_) | AlignMethod::Spherize(_) => {
            return Ok(());
        }
        _ if method.reference() == Reference::All => {
            "fit on the controls where the method can (reference = \"controls\"), take fewer \
             features (pca), or allow more memory"
        }
        _ => "take fewer features (pca), or allow more memory",
    };
    Err(AlignError::TooLarge {
        method: method.name(),
        what: method.reference().rows(),
        num_rows,
        num_features,
        bound_mib,
        hint,
    })
}

/// Means of rows, and sums of squared deviations from them.
struct Accumulated {
    num_rows: usize,
    mean: Vec<f64>,
    /// `[num_features, num_features]`, or `[num_features, 1]` of the diagonal.
    products: Mat<f64>,
}

impl Accumulated {
    fn of(rows: &[f64], num_features: usize, diagonal_only: bool) -> Self {
        let num_rows = rows.len() / num_features;
        let moments = Moments::of(rows, num_features);
        let products = if diagonal_only {
            Mat::from_fn(num_features, 1, |j, _| {
                moments.variance[j] * num_rows as f64
            })
        } else {
            let mut centred = rows.to_vec();
            let centring = Scaling {
                center: moments.mean.clone(),
                scale: vec![1.0; num_features],
            };
            centring.apply_to_rows(&mut centred);
            let centred = MatRef::from_row_major_slice(&centred, num_rows, num_features);
            product(centred.transpose(), centred, 1.0)
        };
        Self {
            num_rows,
            mean: moments.mean,
            products,
        }
    }

    /// Adds further rows.
    ///
    /// # Source
    /// Chan, Golub & LeVeque 1983, which keeps the deviations from cancelling.
    fn merge(&mut self, other: Self) {
        let (n, m) = (self.num_rows as f64, other.num_rows as f64);
        let apart: Vec<f64> = other
            .mean
            .iter()
            .zip(&self.mean)
            .map(|(b, a)| b - a)
            .collect();
        let weight = n * m / (n + m);
        let is_diagonal = self.products.ncols() == 1;
        for j in 0..self.products.ncols() {
            for i in 0..self.products.nrows() {
                let with = if is_diagonal { apart[i] } else { apart[j] };
                self.products[(i, j)] += other.products[(i, j)] + weight * apart[i] * with;
            }
        }
        for (mean, apart) in self.mean.iter_mut().zip(apart) {
            *mean += apart * m / (n + m);
        }
        self.num_rows += other.num_rows;
    }

    /// The standard deviations of all features, 1 where one does not vary.
    fn scaling(&self) -> Scaling {
        let n = self.num_rows as f64;
        let is_diagonal = self.products.ncols() == 1;
        let variance = (0..self.mean.len())
            .map(|j| self.products[(j, if is_diagonal { 0 } else { j })] / n)
            .collect();
        let moments = Moments::from_parts(self.mean.clone(), variance, self.num_rows);
        Scaling {
            scale: moments.scale(),
            center: moments.mean,
        }
    }
}

/// Fits a method that means and covariances suffice for, in a pass of its own.
fn fit_moments<I>(chunks: I, mut table: Table<'_>) -> Result<FittedAligner, AlignError>
where
    I: Iterator<Item = Result<Profiles, ProfilesError>>,
{
    let method = table.method;
    let per_batch = method.rows_per_batch() > 0;
    let diagonal_only = matches!(method, AlignMethod::CenterScale(_));
    let counts = (
        table.num_rows,
        std::mem::take(&mut table.controls_per_batch),
    );
    table.num_rows = 0;
    let mut found: BTreeMap<String, Accumulated> = BTreeMap::new();
    for chunk in chunks {
        let chunk = table.read(chunk?)?;
        let d = chunk.num_features;
        let mut by_batch: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (row, batch) in chunk.values.chunks_exact(d).zip(&chunk.batch) {
            let key = if per_batch { batch.as_str() } else { "" };
            by_batch.entry(key).or_default().extend_from_slice(row);
        }
        for (key, rows) in by_batch {
            let rows = Accumulated::of(&rows, d, diagonal_only);
            match found.get_mut(key) {
                Some(accumulated) => accumulated.merge(rows),
                None => {
                    found.insert(key.to_owned(), rows);
                }
            }
        }
    }
    let report = FitReport::of_counts(counts.0, counts.1, table.feature_names.len());
    let fitted = match method {
        AlignMethod::CenterScale(method) => center_scale(method, found, report),
        AlignMethod::Pca(method) => pca(method, only(found)?, report)?,
        AlignMethod::Spherize(method) => spherize(method, only(found)?, report)?,
        _ => unreachable!("other methods were refused"),
    };
    Ok(fitted.with_feature_names(&table.feature_names))
}

/// # Errors
/// The table had rows in the first pass and has none now.
fn only(found: BTreeMap<String, Accumulated>) -> Result<Accumulated, AlignError> {
    found.into_values().next().ok_or(AlignError::Empty {
        num_rows: 0,
        num_features: 0,
    })
}

fn center_scale(
    method: &CenterScale,
    found: BTreeMap<String, Accumulated>,
    report: FitReport,
) -> FittedAligner {
    let affine = Affine {
        before: found.values().map(Accumulated::scaling).collect(),
        batches: method.per_batch.then(|| found.into_keys().collect()),
        projection: None,
        after: vec![],
        matrices: vec![],
    };
    FittedAligner::new(AlignMethod::CenterScale(method.clone()), affine, report)
}

/// Principal axes and the standard deviation along each.
fn axes(products: Mat<f64>, num_rows: usize) -> Result<(Mat<f64>, Vec<f64>), AlignError> {
    let found =
        axes_of_products(products).map_err(AlignError::not_converged("the rows to fit on"))?;
    let root = (num_rows as f64).sqrt();
    let sd = found.singular_values.iter().map(|value| value / root);
    Ok((found.axes, sd.collect()))
}

fn pca(method: &Pca, rows: Accumulated, report: FitReport) -> Result<FittedAligner, AlignError> {
    let d = rows.mean.len();
    let (axes, mut sd) = axes(rows.products, rows.num_rows)?;
    let size = rows.num_rows.min(d);
    sd.truncate(size);
    let fitted = FittedPca {
        centring: Scaling {
            center: rows.mean,
            scale: vec![1.0; d],
        },
        axes: axes.subcols(0, size).to_owned(),
        sd,
    };
    method.fitted(fitted, rows.num_rows, report)
}

fn spherize(
    method: &Spherize,
    rows: Accumulated,
    report: FitReport,
) -> Result<FittedAligner, AlignError> {
    let d = rows.mean.len();
    let mut before = rows.scaling();
    if matches!(method.sphering, Sphering::Zca | Sphering::Pca) {
        before.scale = vec![1.0; d];
    }
    let scale = &before.scale;
    let products = Mat::from_fn(d, d, |i, j| rows.products[(i, j)] / (scale[i] * scale[j]));
    let (axes, sd) = axes(products, rows.num_rows)?;
    let amount = match method.shrinkage {
        Shrinkage::Amount(amount) => amount,
        Shrinkage::None | Shrinkage::LedoitWolf => 0.0,
    };
    let spread = Spread {
        before,
        // The root of the rounding of squares.
        noise: sd[0] * (d as f64 * f64::EPSILON).sqrt(),
        axes,
        sd,
        amount,
        num_rows: rows.num_rows,
    };
    method.fitted(spread, report)
}
