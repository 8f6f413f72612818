use morphospace_core::suggestion;
use morphospace_profiles::{Column, Features, Profiles};

use super::error::RelateError;

/// The directions of a map's entities, one row for each.
///
/// # Shapes
/// `[num_entities, num_features]`, row-major, each row of length 1; sorted by name,
/// so that nothing depends on the order in which rows were given.
///
/// # Example
/// ```
/// use morphospace_map::RelationMap;
///
/// let labels = ["TP53", "MDM2", "PLK1"].map(str::to_owned).to_vec();
/// let map = RelationMap::new(labels, vec![1.0, 0.0, 3.0, 4.0, -2.0, 0.0], 2)?;
/// let neighbours = map.nearest_neighbours("TP53", 2)?;
/// assert_eq!(neighbours[0].entity, "MDM2");
/// assert!((neighbours[0].cosine - 0.6).abs() < 1e-15);
/// assert_eq!(neighbours[1].cosine, -1.0);
/// # Ok::<(), morphospace_map::RelateError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RelationMap {
    labels: Vec<String>,
    directions: Vec<f64>,
    num_features: usize,
}

/// An entity near another.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// Its name.
    pub entity: String,
    /// 1 of the nearest.
    pub rank: usize,
    /// Cosine of the angle between the two.
    pub cosine: f64,
}

impl RelationMap {
    /// Entities and their rows of `num_features` values.
    ///
    /// # Errors
    /// [`RelateError`]: fewer than two entities, one of them twice, a value that is
    /// not finite, a row of zeros.
    pub fn new(
        labels: Vec<String>,
        values: Vec<f64>,
        num_features: usize,
    ) -> Result<Self, RelateError> {
        if num_features == 0 || labels.len().checked_mul(num_features) != Some(values.len()) {
            return Err(RelateError::WrongNumberOfValues {
                num_labels: labels.len(),
                num_features,
                found: values.len(),
            });
        }
        if labels.len() < 2 {
            return Err(RelateError::TooFewEntities {
                found: labels.len(),
            });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(RelateError::NotFinite {
                entity: labels[at / num_features].clone(),
                feature_index: at % num_features,
                value: values[at],
            });
        }
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|&a, &b| labels[a].cmp(&labels[b]));
        if let Some(pair) = order
            .windows(2)
            .find(|pair| labels[pair[0]] == labels[pair[1]])
        {
            return Err(RelateError::DuplicateEntity {
                entity: labels[pair[0]].clone(),
                first_row: pair[0] + 1,
                second_row: pair[1] + 1,
            });
        }
        let row = |at: usize| &values[at * num_features..(at + 1) * num_features];
        let zeros: Vec<usize> = (0..labels.len())
            .filter(|&at| row(at).iter().all(|value| *value == 0.0))
            .collect();
        if let Some(&first) = zeros.first() {
            return Err(RelateError::ZeroVector {
                entity: labels[first].clone(),
                num_more: zeros.len() - 1,
            });
        }
        let mut directions = Vec::with_capacity(values.len());
        for &at in &order {
            // The largest value is divided out first: a row of 1e200 has a direction.
            let largest = row(at).iter().fold(0.0_f64, |most, x| most.max(x.abs()));
            let scaled: Vec<f64> = row(at).iter().map(|value| value / largest).collect();
            let length = dot(&scaled, &scaled).sqrt();
            directions.extend(scaled.iter().map(|value| value / length));
        }
        Ok(Self {
            labels: order.iter().map(|&at| labels[at].clone()).collect(),
            directions,
            num_features,
        })
    }

    /// The rows of an aggregated table, named by one of its columns.
    ///
    /// # Errors
    /// The column is missing or not filled, and those of [`RelationMap::new`].
    pub fn of_profiles(table: &Profiles, entity_column: &str) -> Result<Self, RelateError> {
        let labels = table.keys(table.column_in_any_schema(entity_column)?)?;
        Self::new(labels, table.values().into_owned(), table.num_features())
    }

    /// Names, sorted.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Number of entities.
    pub fn num_entities(&self) -> usize {
        self.labels.len()
    }

    /// The `count` entities nearest to one, the nearest first; equal ones by name.
    ///
    /// # Errors
    /// [`RelateError::UnknownEntity`] suggests the nearest name.
    pub fn nearest_neighbours(
        &self,
        entity: &str,
        count: usize,
    ) -> Result<Vec<Neighbour>, RelateError> {
        let row = self
            .row_of(entity)
            .ok_or_else(|| RelateError::UnknownEntity {
                entity: entity.to_owned(),
                suggestion: suggestion(entity, self.labels.iter().map(String::as_str))
                    .map(str::to_owned),
            })?;
        let others = (0..self.num_entities()).filter(|&other| other != row);
        let mut found: Vec<(usize, f64)> = others
            .map(|other| {
                let cosine = dot(self.direction(row), self.direction(other));
                (other, cosine.clamp(-1.0, 1.0))
            })
            .collect();
        found.sort_by(|(a, a_cosine), (b, b_cosine)| b_cosine.total_cmp(a_cosine).then(a.cmp(b)));
        found.truncate(count);
        let found = found.into_iter().enumerate();
        Ok(found
            .map(|(place, (other, cosine))| Neighbour {
                entity: self.labels[other].clone(),
                rank: place + 1,
                cosine,
            })
            .collect())
    }

    /// [`RelationMap::nearest_neighbours`] of several entities as a table with the
    /// columns `entity`, `neighbour`, `rank` and `cosine`.
    ///
    /// # Errors
    /// [`RelateError::UnknownEntity`] suggests the nearest name.
    pub fn neighbour_table(
        &self,
        entities: &[String],
        count: usize,
    ) -> Result<Profiles, RelateError> {
        let mut rows: Vec<(&String, Neighbour)> = Vec::new();
        for entity in entities {
            let found = self.nearest_neighbours(entity, count)?;
            rows.extend(found.into_iter().map(|neighbour| (entity, neighbour)));
        }
        let ranks: Vec<i64> = rows.iter().map(|(_, row)| row.rank as i64).collect();
        let cosines: Vec<f64> = rows.iter().map(|(_, row)| row.cosine).collect();
        let (entities, neighbours): (Vec<String>, Vec<String>) = rows
            .into_iter()
            .map(|(entity, row)| (entity.clone(), row.entity))
            .unzip();
        let columns = [
            ("entity", Column::from(entities)),
            ("neighbour", Column::from(neighbours)),
            ("rank", Column::from(ranks)),
            ("cosine", Column::from(cosines)),
        ];
        let columns = columns.map(|(name, column)| (name.to_owned(), column));
        let none = Features::F64(Vec::new());
        Ok(Profiles::new(columns.into(), Vec::new(), none)?)
    }

    pub(super) fn row_of(&self, entity: &str) -> Option<usize> {
        let found = self
            .labels
            .binary_search_by(|label| label.as_str().cmp(entity));
        found.ok()
    }

    pub(super) fn num_features(&self) -> usize {
        self.num_features
    }

    /// Row-major.
    pub(super) fn directions(&self) -> &[f64] {
        &self.directions
    }

    fn direction(&self, row: usize) -> &[f64] {
        &self.directions[row * self.num_features..(row + 1) * self.num_features]
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
