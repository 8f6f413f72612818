use std::collections::HashMap;

use morphospace_profiles::Profiles;

use crate::BenchmarkError;

/// A map as the scores see it: one labelled direction per entity (gene,
/// compound), since every score here compares entities by the cosine of
/// their angle.
///
/// # Shapes
/// `[num_entities, num_features]`, row-major; rows are scaled to length 1 on
/// entry. A zero row keeps length 0, so its cosine with anything is 0, as in
/// scikit-learn's `cosine_similarity`.
///
/// # Example
/// ```
/// use morphospace_benchmark::EntityMap;
///
/// let map = EntityMap::new(vec!["A".into(), "B".into()], vec![3.0, 4.0, 0.0, 2.0], 2)?;
/// assert!((map.cosine(0, 1) - 0.8).abs() < 1e-15);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct EntityMap {
    labels: Vec<String>,
    directions: Vec<f64>,
    num_features: usize,
}

impl EntityMap {
    /// Labels and their rows of `num_features` values.
    ///
    /// # Errors
    /// [`BenchmarkError::WrongNumberOfValues`], or
    /// [`BenchmarkError::NotFinite`] naming the first NaN or infinity.
    pub fn new(
        labels: Vec<String>,
        mut values: Vec<f64>,
        num_features: usize,
    ) -> Result<Self, BenchmarkError> {
        let expected = labels.len() * num_features;
        if num_features == 0 || values.len() != expected {
            return Err(BenchmarkError::WrongNumberOfValues {
                num_labels: labels.len(),
                num_features,
                expected,
                found: values.len(),
            });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(BenchmarkError::NotFinite {
                label: labels[at / num_features].clone(),
                row: at / num_features,
                feature: at % num_features,
                value: values[at],
            });
        }
        values.chunks_exact_mut(num_features).for_each(normalise);
        Ok(Self {
            labels,
            directions: values,
            num_features,
        })
    }

    /// The rows of a table, labelled by one of its metadata columns.
    ///
    /// # Errors
    /// The column is missing or holds a null; a value is not finite.
    pub fn from_profiles(profiles: &Profiles, label_column: &str) -> Result<Self, BenchmarkError> {
        let labels = profiles.keys(label_column)?;
        Self::new(
            labels,
            profiles.values().into_owned(),
            profiles.num_features(),
        )
    }

    /// Rows.
    pub fn num_entities(&self) -> usize {
        self.labels.len()
    }

    /// Columns.
    pub fn num_features(&self) -> usize {
        self.num_features
    }

    /// Labels by row.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The unit vector of a row.
    pub fn direction(&self, row: usize) -> &[f64] {
        &self.directions[row * self.num_features..][..self.num_features]
    }

    /// Cosine of the angle between two rows.
    pub fn cosine(&self, first: usize, second: usize) -> f64 {
        dot(self.direction(first), self.direction(second))
    }

    /// The rows whose label `keep` accepts, in their order.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        let rows: Vec<usize> = (0..self.num_entities())
            .filter(|&row| keep(&self.labels[row]))
            .collect();
        Self {
            labels: rows.iter().map(|&row| self.labels[row].clone()).collect(),
            directions: self.gather(&rows),
            num_features: self.num_features,
        }
    }

    pub(crate) fn directions(&self) -> &[f64] {
        &self.directions
    }

    /// Unit vectors of some rows, row-major.
    pub(crate) fn gather(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter()
            .flat_map(|&row| self.direction(row))
            .copied()
            .collect()
    }

    /// The first row of every label, and the second row of those that repeat.
    pub(crate) fn rows_by_label(&self) -> HashMap<&str, LabelRows> {
        let mut rows: HashMap<&str, LabelRows> = HashMap::with_capacity(self.labels.len());
        for (row, label) in self.labels.iter().enumerate() {
            rows.entry(label)
                .and_modify(|rows| {
                    rows.second.get_or_insert(row);
                })
                .or_insert(LabelRows {
                    first: row,
                    second: None,
                });
        }
        rows
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct LabelRows {
    pub(crate) first: usize,
    pub(crate) second: Option<usize>,
}

fn normalise(row: &mut [f64]) {
    // The largest value is divided out first, so that a row of 1e200 does not
    // overflow and cosines do not depend on the unit.
    let largest = row
        .iter()
        .fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return;
    }
    let scale = if (1e-100..1e100).contains(&largest) {
        1.0
    } else {
        largest
    };
    row.iter_mut().for_each(|value| *value /= scale);
    let length = dot(row, row).sqrt();
    row.iter_mut().for_each(|value| *value /= length);
}

/// Sum of products in four interleaved chains: a fixed order, so equal rows
/// give equal cosines, and wide enough for the compiler to vectorise.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (b + f)) + ((c + g) + (d + h)) + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_rows_have_cosine_zero_and_units_cancel() {
        let labels = ["zero", "huge", "tiny"].map(str::to_owned).to_vec();
        let map = EntityMap::new(labels, vec![0.0, 0.0, 3e200, 4e200, 3e-200, 4e-200], 2)
            .expect("finite");
        assert_eq!(map.cosine(0, 1), 0.0);
        assert!((map.cosine(1, 2) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn refuses_what_has_no_angle() {
        let error = EntityMap::new(vec!["TP53".into()], vec![1.0, f64::NAN], 2).expect_err("NaN");
        assert!(
            error
                .to_string()
                .starts_with("feature 1 of 'TP53' (row 0) is NaN")
        );
        let error = EntityMap::new(vec!["TP53".into()], vec![1.0], 2).expect_err("too short");
        assert_eq!(
            error.to_string(),
            "1 labels need 2 values of 2 features, not 1"
        );
    }
}
