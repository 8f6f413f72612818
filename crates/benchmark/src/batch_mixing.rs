use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::BenchmarkError;

/// How far rows are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metric {
    /// One minus the cosine of their angle.
    #[default]
    Cosine,
    /// Euclidean.
    Euclidean,
}

/// All distances between the rows of a table.
///
/// # Shapes
/// `[rows, rows]`, symmetric, zeros on the diagonal
#[derive(Clone, Debug)]
pub struct Distances {
    values: Vec<f64>,
    pub(crate) num_rows: usize,
}

impl Distances {
    /// # Shapes
    /// `rows`: row-major `[any, num_features]`
    ///
    /// # Errors
    /// [`BenchmarkError::WrongNumberOfValues`]: the last row is not whole.
    pub fn new(rows: &[f64], num_features: usize, metric: Metric) -> Result<Self, BenchmarkError> {
        BenchmarkError::check_whole_rows(rows, num_features)?;
        let mut rows = rows.to_vec();
        if metric == Metric::Cosine {
            for row in rows.chunks_exact_mut(num_features) {
                let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                if length > 0.0 {
                    row.iter_mut().for_each(|x| *x /= length);
                }
            }
        }
        let num_rows = rows.len() / num_features;
        let row = |index: usize| &rows[index * num_features..][..num_features];
        let mut values = vec![0.0; num_rows * num_rows];
        let of_rows = values.par_chunks_exact_mut(num_rows.max(1)).enumerate();
        of_rows.for_each(|(a, distances)| {
            for (b, distance) in distances.iter_mut().enumerate() {
                let pairs = row(a).iter().zip(row(b));
                *distance = match metric {
                    _ if a == b => 0.0,
                    Metric::Cosine => 1.0 - pairs.map(|(x, y)| x * y).sum::<f64>(),
                    Metric::Euclidean => pairs.map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt(),
                };
            }
        });
        Ok(Self { values, num_rows })
    }

    pub(crate) fn of_row(&self, row: usize) -> &[f64] {
        &self.values[row * self.num_rows..][..self.num_rows]
    }

    pub(crate) fn check_labels(&self, labels: &[String]) -> Result<(), BenchmarkError> {
        if labels.len() == self.num_rows {
            return Ok(());
        }
        Err(BenchmarkError::WrongNumberOfValues {
            num_labels: labels.len(),
            num_features: 1,
            expected: self.num_rows,
            found: labels.len(),
        })
    }

    /// The `count` nearest of some rows, the first of equal ones.
    pub(crate) fn nearest(
        &self,
        row: usize,
        among: impl Iterator<Item = usize>,
        count: usize,
    ) -> Vec<usize> {
        let distances = self.of_row(row);
        let mut others: Vec<usize> = among.filter(|&other| other != row).collect();
        others.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
        others.truncate(count);
        others
    }

    /// The silhouette of every row: `(b - a) / max(a, b)` with its mean distance `a`
    /// to the others of its label and `b` to those of the nearest other label. 0
    /// for a label's only row; NaN where there is one label.
    ///
    /// # Errors
    /// [`BenchmarkError::WrongNumberOfValues`]: not as many labels as rows.
    ///
    /// # Source
    /// Rousseeuw 1987, <https://doi.org/10.1016/0377-0427(87)90125-7>; scikit-learn
    /// `silhouette_samples`
    pub fn silhouettes(&self, labels: &[String]) -> Result<Vec<f64>, BenchmarkError> {
        self.check_labels(labels)?;
        let mut sizes: BTreeMap<&String, usize> = BTreeMap::new();
        for label in labels {
            *sizes.entry(label).or_default() += 1;
        }
        let of_row = |row: usize| {
            let mut sums: BTreeMap<&String, f64> = BTreeMap::new();
            for (distance, label) in self.of_row(row).iter().zip(labels) {
                *sums.entry(label).or_default() += distance;
            }
            let own = &labels[row];
            let nearest = sums
                .iter()
                .filter(|(label, _)| **label != own)
                .map(|(label, sum)| sum / sizes[label] as f64)
                .fold(f64::NAN, f64::min);
            let others = sizes[own] - 1;
            if others == 0 && !nearest.is_nan() {
                return 0.0;
            }
            let within = sums[own] / others as f64;
            match within.max(nearest) {
                0.0 => 0.0,
                greatest => (nearest - within) / greatest,
            }
        };
        Ok((0..self.num_rows).into_par_iter().map(of_row).collect())
    }

    /// The label of every row as its nearest rows of **other batches** have it: of
    /// labels with equal votes the first by name. Empty text where there is no
    /// other batch.
    ///
    /// # Errors
    /// [`BenchmarkError::WrongNumberOfValues`]: not as many labels or batches as
    /// rows.
    pub fn transferred_labels(
        &self,
        labels: &[String],
        batches: &[String],
        num_neighbours: usize,
    ) -> Result<Vec<String>, BenchmarkError> {
        self.check_labels(labels)?;
        self.check_labels(batches)?;
        let of_row = |row: usize| {
            let others = (0..self.num_rows).filter(|&other| batches[other] != batches[row]);
            let mut votes: BTreeMap<&String, usize> = BTreeMap::new();
            for neighbour in self.nearest(row, others, num_neighbours) {
                *votes.entry(&labels[neighbour]).or_default() += 1;
            }
            let most = votes.values().max().copied().unwrap_or(0);
            let winner = votes.into_iter().find(|(_, count)| *count == most);
            winner.map_or_else(String::new, |(label, _)| label.clone())
        };
        Ok((0..self.num_rows).into_par_iter().map(of_row).collect())
    }

    /// Of every label the share of its rows in the largest connected part of the
    /// graph of nearest neighbours, restricted to its rows: 1 where batches do
    /// not tear it apart.
    ///
    /// # Errors
    /// [`BenchmarkError::WrongNumberOfValues`]: not as many labels as rows.
    ///
    /// # Source
    /// Luecken et al. 2022, <https://doi.org/10.1038/s41592-021-01336-8>; scIB
    /// `graph_connectivity`
    pub fn graph_connectivity(
        &self,
        labels: &[String],
        num_neighbours: usize,
    ) -> Result<BTreeMap<String, f64>, BenchmarkError> {
        self.check_labels(labels)?;
        let nearest: Vec<Vec<usize>> = (0..self.num_rows)
            .into_par_iter()
            .map(|row| self.nearest(row, 0..self.num_rows, num_neighbours))
            .collect();
        // Each row's part, by its first row as far as is known.
        let mut part: Vec<usize> = (0..self.num_rows).collect();
        fn first_of(part: &mut [usize], mut row: usize) -> usize {
            while part[row] != row {
                part[row] = part[part[row]];
                row = part[row];
            }
            row
        }
        for (row, neighbours) in nearest.iter().enumerate() {
            for &neighbour in neighbours {
                if labels[row] == labels[neighbour] {
                    let (a, b) = (first_of(&mut part, row), first_of(&mut part, neighbour));
                    part[a.max(b)] = a.min(b);
                }
            }
        }
        let mut parts: BTreeMap<&String, BTreeMap<usize, usize>> = BTreeMap::new();
        for (row, label) in labels.iter().enumerate() {
            let first = first_of(&mut part, row);
            *parts.entry(label).or_default().entry(first).or_default() += 1;
        }
        let share = |sizes: BTreeMap<usize, usize>| {
            let largest = sizes.values().max().copied().unwrap_or(0);
            largest as f64 / sizes.values().sum::<usize>() as f64
        };
        let shares = parts.into_iter();
        Ok(shares
            .map(|(label, sizes)| (label.clone(), share(sizes)))
            .collect())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// 60 rows of 3 features whose batches and labels overlap in part, by
    /// formulas that a reference can repeat.
    pub(crate) fn mixed_rows() -> (Vec<f64>, Vec<String>, Vec<String>) {
        let of_row = |i: u32| {
            let x = f64::from(i);
            [
                3.0 * (1.3 * x).sin() + f64::from(i % 3),
                2.0 * (2.7 * x).cos() + f64::from(i % 2),
                (0.37 * x).sin() + 0.5 * (5.1 * x).cos(),
            ]
        };
        let label = |i: u32| {
            if (1.3 * f64::from(i)).sin() > 0.0 {
                "x"
            } else {
                "y"
            }
        };
        (
            (0..60).flat_map(of_row).collect(),
            (0..60).map(|i| format!("b{}", i % 3)).collect(),
            (0..60).map(|i| label(i).to_owned()).collect(),
        )
    }

    #[test]
    fn silhouettes_by_hand() {
        let distances = Distances::new(&[0.0, 1.0, 5.0], 1, Metric::Euclidean).expect("whole");
        let found = distances
            .silhouettes(&names(&["a", "a", "b"]))
            .expect("fits");
        assert_eq!(found, [(5.0 - 1.0) / 5.0, (4.0 - 1.0) / 4.0, 0.0]);
        let one = distances.silhouettes(&names(&["a"; 3])).expect("fits");
        assert!(one.iter().all(|x| x.is_nan()));
        assert!(distances.silhouettes(&names(&["a"])).is_err());
    }

    #[test]
    fn labels_come_from_other_batches() {
        let distances = Distances::new(&[0.0, 0.1, 1.0, 1.1], 1, Metric::Euclidean).expect("whole");
        let labels = names(&["a", "b", "b", "a"]);
        let batches = names(&["1", "1", "2", "2"]);
        let found = distances
            .transferred_labels(&labels, &batches, 1)
            .expect("fits");
        assert_eq!(found, ["b", "b", "b", "b"]);
        // Both vote alike: the first by name.
        let found = distances
            .transferred_labels(&labels, &batches, 2)
            .expect("fits");
        assert_eq!(found, ["a", "a", "a", "a"]);
        let alone = distances.transferred_labels(&labels, &names(&["1"; 4]), 1);
        assert_eq!(alone.expect("fits"), ["", "", "", ""]);
    }

    #[test]
    fn a_label_in_two_places_is_half_connected() {
        let rows = [0.0, 0.1, 9.0, 9.1, 5.0];
        let distances = Distances::new(&rows, 1, Metric::Euclidean).expect("whole");
        let labels = names(&["a", "a", "a", "a", "b"]);
        let found = distances.graph_connectivity(&labels, 1).expect("fits");
        assert_eq!(found["a"], 0.5);
        assert_eq!(found["b"], 1.0);
    }
}
