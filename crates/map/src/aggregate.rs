use std::cmp::Ordering;
use std::collections::BTreeMap;

use morphospace_profiles::{Column, Features, Profiles, ProfilesError};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ControlRule;
use crate::controls::NoControlsError;
use crate::moments::median;

/// Column of the result that says how many rows went into each row.
pub const COUNT_COLUMN: &str = "Metadata_count";

/// How several rows become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// The mean of each feature.
    #[default]
    Mean,
    /// The median of each feature; of an even count, the mean of the two
    /// middle values.
    Median,
    /// The mean of the directions, put back on the unit sphere: the sum of
    /// `x / |x|`, divided by its length. Rows of length zero have no
    /// direction and are left out; directions that cancel give zeros.
    Spherical,
    /// The Fréchet (Karcher) mean on the unit sphere: the point from which
    /// the squared angles to all rows are smallest, found from the
    /// spherical mean on. NaN where directions cancel: there is no such
    /// point.
    SphericalFrechet,
}

/// How a table of replicates becomes a table of perturbations.
///
/// ```
/// use morphospace_map::{Aggregate, Average, aggregate};
/// use morphospace_profiles::{Column, Features, Profiles};
///
/// let wells = Profiles::new(
///     vec![("Metadata_gene".to_owned(), Column::from(vec!["PLK1", "MTOR", "PLK1", "EMPTY"]))],
///     vec!["feature_0".to_owned()],
///     Features::F64(vec![1.0, 5.0, 3.0, 0.0]),
/// )?;
/// let settings = Aggregate {
///     keys_to_remove: vec!["EMPTY".to_owned()],
///     ..Aggregate::by(["Metadata_gene"])
/// };
/// let genes = aggregate(&wells, &settings)?;
/// assert_eq!(genes.keys("Metadata_gene")?, ["MTOR", "PLK1"]);
/// assert_eq!(genes.keys("Metadata_count")?, ["1", "2"]);
/// assert_eq!(genes.values(), [5.0, 2.0].as_slice());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// The columns whose values make a group, e.g. `Metadata_gene`, or
    /// compound and concentration. The first must be filled in every row; a
    /// value missing in a further column is a value of its own.
    pub by: Vec<String>,
    /// How the rows of a group become one.
    #[serde(default)]
    pub average: Average,
    /// Rows with one of these keys in any of the columns are left out, such
    /// as controls.
    #[serde(default)]
    pub keys_to_remove: Vec<String>,
    /// The rows whose mean is taken away from every row first: directions
    /// are then seen from the controls and not from an arbitrary zero.
    #[serde(default)]
    pub origin: Option<ControlRule>,
}

impl Aggregate {
    /// The mean by some columns.
    pub fn by(columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            by: columns.into_iter().map(Into::into).collect(),
            average: Average::Mean,
            keys_to_remove: Vec::new(),
            origin: None,
        }
    }
}

/// Why a table could not be aggregated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AggregateError {
    /// No column is given.
    #[error("no column to aggregate by\nhint: name one, such as 'Metadata_gene'")]
    NoColumn,
    /// Nothing is left.
    #[error("no rows are left to aggregate: all {num_rows} have a key that is to be removed")]
    NothingLeft {
        /// Rows of the table.
        num_rows: usize,
    },
    /// The table was refused.
    #[error(transparent)]
    Profiles(#[from] ProfilesError),
    /// The rows of the origin cannot be told.
    #[error(transparent)]
    NoControls(#[from] NoControlsError),
}

/// Averages the rows of each group.
///
/// Groups are sorted by their keys in code-point order (a missing key after
/// all others). The result has the key columns, [`COUNT_COLUMN`], and the
/// features in double precision.
///
/// # Errors
/// A missing column or key, values that are not finite, or nothing left.
///
/// # Source
/// EFAAR_benchmarking 1.0 `efaar.aggregate` for mean and median; Fréchet
/// mean: Pennec 2006, <https://doi.org/10.1007/s10851-006-6228-4>.
pub fn aggregate(profiles: &Profiles, settings: &Aggregate) -> Result<Profiles, AggregateError> {
    let Some(first_column) = settings.by.first() else {
        return Err(AggregateError::NoColumn);
    };
    profiles.check_finite()?;
    profiles.keys(first_column)?;
    let columns: Vec<Vec<Option<String>>> = settings
        .by
        .iter()
        .map(|name| profiles.text(name))
        .collect::<Result<_, _>>()?;

    let mut groups: BTreeMap<Vec<Key<'_>>, Vec<usize>> = BTreeMap::new();
    for row in 0..profiles.num_rows() {
        let keys: Vec<Key<'_>> = columns
            .iter()
            .map(|column| Key(column[row].as_deref()))
            .collect();
        let is_removed = keys.iter().any(|key| {
            key.0
                .is_some_and(|key| settings.keys_to_remove.iter().any(|k| k == key))
        });
        if !is_removed {
            groups.entry(keys).or_default().push(row);
        }
    }
    if groups.is_empty() {
        return Err(AggregateError::NothingLeft {
            num_rows: profiles.num_rows(),
        });
    }

    let num_features = profiles.num_features();
    let values = match &settings.origin {
        Some(rule) => values_from_controls(profiles, rule)?,
        None => profiles.values().into_owned(),
    };

    let groups: Vec<Vec<usize>> = groups.into_values().collect();
    let averages: Vec<Vec<f64>> = groups
        .par_iter()
        .map(|rows| {
            let rows: Vec<&[f64]> = rows
                .iter()
                .map(|&row| &values[row * num_features..(row + 1) * num_features])
                .collect();
            match settings.average {
                Average::Mean => mean(&rows, num_features),
                Average::Median => median_of_each(&rows, num_features),
                Average::Spherical => spherical_mean(&rows, num_features),
                Average::SphericalFrechet => frechet_mean(&rows, num_features),
            }
        })
        .collect();

    let first_rows: Vec<usize> = groups.iter().map(|rows| rows[0]).collect();
    let mut metadata: Vec<(String, Column)> = Vec::new();
    for name in &settings.by {
        metadata.push((name.clone(), profiles.column(name)?.select(&first_rows)));
    }
    let counts: Vec<i64> = groups.iter().map(|rows| rows.len() as i64).collect();
    metadata.push((COUNT_COLUMN.to_owned(), Column::from(counts)));
    let features = Features::F64(averages.concat());
    Ok(Profiles::new(
        metadata,
        profiles.feature_names().to_vec(),
        features,
    )?)
}

/// The table with the mean of its negative controls taken away from every row, so
/// that directions are seen from the controls: what [`Aggregate::origin`] does, for
/// tables whose controls are left out before they are aggregated.
///
/// # Errors
/// A value is not finite, or there are no controls.
///
/// # Example
/// ```
/// use morphospace_map::{ControlRule, seen_from_controls};
/// use morphospace_profiles::{Column, Features, Profiles};
///
/// let roles = Column::Text(vec![Some("control".to_owned()), None]);
/// let features = Features::F64(vec![1.0, 2.0, 4.0, 8.0]);
/// let names = vec!["a".to_owned(), "b".to_owned()];
/// let profiles = Profiles::new(vec![("role".to_owned(), roles)], names, features)?;
/// let seen = seen_from_controls(&profiles, &ControlRule::new("role", ["control"]))?;
/// assert_eq!(*seen.values(), [0.0, 0.0, 3.0, 6.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn seen_from_controls(
    profiles: &Profiles,
    rule: &ControlRule,
) -> Result<Profiles, AggregateError> {
    profiles.check_finite()?;
    let values = values_from_controls(profiles, rule)?;
    Ok(profiles.with_values(profiles.feature_names().to_vec(), values)?)
}

fn values_from_controls(
    profiles: &Profiles,
    rule: &ControlRule,
) -> Result<Vec<f64>, AggregateError> {
    let num_features = profiles.num_features();
    let mut values = profiles.values().into_owned();
    let is_control = rule.select(profiles)?;
    let controls: Vec<&[f64]> = values
        .chunks_exact(num_features)
        .zip(&is_control)
        .filter_map(|(row, &is_control)| is_control.then_some(row))
        .collect();
    let origin = mean(&controls, num_features);
    for row in values.chunks_exact_mut(num_features) {
        row.iter_mut()
            .zip(&origin)
            .for_each(|(value, origin)| *value -= origin);
    }
    Ok(values)
}

/// A key; a missing one comes after all others.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key<'a>(Option<&'a str>);

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        }
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn mean(rows: &[&[f64]], num_features: usize) -> Vec<f64> {
    let mut mean = vec![0.0; num_features];
    for row in rows {
        mean.iter_mut()
            .zip(*row)
            .for_each(|(sum, value)| *sum += value);
    }
    mean.iter_mut().for_each(|sum| *sum /= rows.len() as f64);
    mean
}

fn median_of_each(rows: &[&[f64]], num_features: usize) -> Vec<f64> {
    (0..num_features)
        .map(|feature| median(&mut rows.iter().map(|row| row[feature]).collect::<Vec<f64>>()))
        .collect()
}

/// The directions of all rows that have one.
fn directions(rows: &[&[f64]]) -> Vec<Vec<f64>> {
    rows.iter()
        .filter_map(|row| {
            let length = norm(row);
            (length > 0.0).then(|| row.iter().map(|value| value / length).collect())
        })
        .collect()
}

fn spherical_mean(rows: &[&[f64]], num_features: usize) -> Vec<f64> {
    projected_mean(&directions(rows), num_features)
}

/// Zeros where the directions cancel up to rounding.
fn projected_mean(directions: &[Vec<f64>], num_features: usize) -> Vec<f64> {
    let mut sum = vec![0.0; num_features];
    for direction in directions {
        sum.iter_mut()
            .zip(direction)
            .for_each(|(sum, value)| *sum += value);
    }
    let length = norm(&sum);
    if length <= 1e-14 * directions.len() as f64 {
        return vec![0.0; num_features];
    }
    sum.iter_mut().for_each(|value| *value /= length);
    sum
}

/// Steps along the mean of the tangent vectors towards each direction until
/// the step is shorter than 1e-12.
fn frechet_mean(rows: &[&[f64]], num_features: usize) -> Vec<f64> {
    const TOLERANCE: f64 = 1e-12;
    const MAX_STEPS: usize = 10_000;
    let directions = directions(rows);
    let mut point = projected_mean(&directions, num_features);
    if norm(&point) == 0.0 {
        return vec![f64::NAN; num_features];
    }
    for _ in 0..MAX_STEPS {
        let mut step = vec![0.0; num_features];
        for direction in &directions {
            let cosine: f64 = point.iter().zip(direction).map(|(p, d)| p * d).sum();
            let tangent: Vec<f64> = point
                .iter()
                .zip(direction)
                .map(|(p, d)| d - cosine * p)
                .collect();
            let sine = norm(&tangent);
            // Exactly opposite there is no way that is shortest.
            if sine > 0.0 {
                let factor = sine.atan2(cosine) / sine;
                step.iter_mut()
                    .zip(&tangent)
                    .for_each(|(s, t)| *s += factor * t);
            }
        }
        step.iter_mut()
            .for_each(|value| *value /= directions.len() as f64);
        let angle = norm(&step);
        if angle < TOLERANCE {
            break;
        }
        let (sine, cosine) = angle.sin_cos();
        for (p, s) in point.iter_mut().zip(&step) {
            *p = cosine * *p + sine * s / angle;
        }
        let length = norm(&point);
        point.iter_mut().for_each(|value| *value /= length);
    }
    point
}

fn norm(row: &[f64]) -> f64 {
    row.iter().map(|value| value * value).sum::<f64>().sqrt()
}
