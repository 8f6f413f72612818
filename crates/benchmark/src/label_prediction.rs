use std::collections::BTreeSet;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use morphospace_core::Seed;
use morphospace_profiles::Profiles;
use rand::RngExt;
use rayon::prelude::*;

use crate::probe::weighted_balanced_accuracy;
use crate::{
    BenchmarkError, Bootstrap, EntityMap, Interval, LinearProbe, LogisticRegression,
    NearestNeighbours, PairedDifference, RidgeClassifier, balanced_accuracy,
};

/// Who predicts the label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LabelClassifier {
    /// The majority among the nearest rows of other groups by cosine; of equal
    /// votes the larger sum of cosines wins.
    NearestNeighbours {
        /// Number of neighbours.
        k: usize,
    },
    /// A linear probe, cross-validated with whole groups in a fold. Labels that
    /// only the tested fold has are told wrong.
    Linear {
        /// Number of folds; fewer where there are fewer groups.
        num_folds: usize,
        /// The probe's settings.
        settings: LogisticRegression,
        /// Deals groups to folds.
        seed: Seed,
    },
    /// A ridge classifier, cross-validated as the linear probe.
    Ridge {
        /// Number of folds; fewer where there are fewer groups.
        num_folds: usize,
        /// The classifier's settings.
        settings: RidgeClassifier,
        /// Deals groups to folds.
        seed: Seed,
    },
}

impl LabelClassifier {
    /// Fifteen neighbours.
    pub fn nearest_neighbours() -> Self {
        Self::NearestNeighbours { k: 15 }
    }

    /// Five folds of the papers' probe, a balanced logistic regression.
    ///
    /// # Source
    /// Kenyon-Dean et al. 2024, appendix A.4
    pub fn probe(seed: Seed) -> Self {
        Self::Linear {
            num_folds: 5,
            settings: LogisticRegression::default(),
            seed,
        }
    }

    /// As [`LabelClassifier::probe`], with a stronger penalty and a looser
    /// tolerance: five fits on every table of a comparison have to stay cheap.
    pub fn quick_probe(seed: Seed) -> Self {
        let settings = LogisticRegression {
            inverse_penalty: 0.1,
            gradient_tolerance: 1e-2,
            max_iterations: 200,
            ..LogisticRegression::default()
        };
        Self::Linear {
            num_folds: 5,
            settings,
            seed,
        }
    }
}

/// How well a label can be told from the profiles.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelPrediction {
    /// Mean over labels of the share of its rows told right.
    pub balanced_accuracy: f64,
    /// Share of the rows told right.
    pub accuracy: f64,
    /// What a guess reaches: one over the number of labels.
    pub chance: f64,
    /// Sorted labels.
    pub labels: Vec<String>,
    /// Index of the label of every row.
    pub truth: Vec<usize>,
    /// Index of the label predicted for every row.
    pub predicted: Vec<usize>,
    groups: Vec<usize>,
    num_groups: usize,
}

impl LabelPrediction {
    /// Bootstrap interval of the balanced accuracy over groups, the
    /// predictions held fixed.
    pub fn interval(&self, bootstrap: &Bootstrap) -> Option<Interval> {
        self.interval_of(&self.groups, self.num_groups, bootstrap)
    }

    /// As [`LabelPrediction::interval`] over other units, such as genes: one
    /// name for each row.
    ///
    /// # Panics
    /// There are more or fewer names than rows.
    pub fn interval_over(&self, units: &[String], bootstrap: &Bootstrap) -> Option<Interval> {
        assert_eq!(units.len(), self.truth.len(), "one unit for each row");
        let (names, units) = indices(units);
        self.interval_of(&units, names.len(), bootstrap)
    }

    /// How much better the same rows are told by `other`, with a paired interval over
    /// groups.
    ///
    /// # Errors
    /// [`BenchmarkError::WrongNumberOfValues`] if those are other rows or labels.
    pub fn compare(
        &self,
        other: &Self,
        bootstrap: &Bootstrap,
    ) -> Result<PairedDifference, BenchmarkError> {
        if (&self.truth, &self.groups, &self.labels) != (&other.truth, &other.groups, &other.labels)
        {
            return Err(BenchmarkError::WrongNumberOfValues {
                num_labels: self.truth.len(),
                num_features: 1,
                expected: self.truth.len(),
                found: other.truth.len(),
            });
        }
        let differences = (0..bootstrap.num_resamples)
            .into_par_iter()
            .map(|resample| {
                let weights = bootstrap.weights(resample, self.num_groups);
                let of = |predicted| {
                    let weight = |row: usize| weights[self.groups[row]];
                    weighted_balanced_accuracy(&self.truth, predicted, weight)
                };
                of(&other.predicted) - of(&self.predicted)
            })
            .collect();
        Ok(PairedDifference {
            first: self.balanced_accuracy,
            second: other.balanced_accuracy,
            difference: other.balanced_accuracy - self.balanced_accuracy,
            interval: bootstrap.interval(differences),
            num_units: self.num_groups,
        })
    }

    fn interval_of(
        &self,
        units: &[usize],
        num_units: usize,
        bootstrap: &Bootstrap,
    ) -> Option<Interval> {
        // One unit drawn from one is always the same.
        if num_units < 2 {
            return None;
        }
        let accuracies = (0..bootstrap.num_resamples)
            .into_par_iter()
            .map(|resample| {
                let weights = bootstrap.weights(resample, num_units);
                weighted_balanced_accuracy(&self.truth, &self.predicted, |row| weights[units[row]])
            })
            .collect();
        bootstrap.interval(accuracies)
    }
}

/// How well a label (batch, plate, perturbation, functional group) can be
/// predicted from profiles.
///
/// # Shapes
/// `values`: row-major `[labels.len(), num_features]`; `groups`: one for each row.
///
/// `groups` names what must not be split between learning and testing. For the
/// batch these are wells: rows of one well (sites) share a name, and with one row
/// per well every name differs. For what should be told in batches never seen,
/// they are batches.
///
/// # Errors
/// [`BenchmarkError::TooFewClasses`] for a single label (`what` it is),
/// [`BenchmarkError::TooFewGroups`] for a single group, or none left to vote,
/// [`BenchmarkError::WrongNumberOfValues`] if lengths differ.
///
/// # Source
/// Sypetkowski et al. 2023 (RxRx1), batch classification accuracy, as a probe
/// of finished profiles.
///
/// # Example
/// ```
/// use morphospace_benchmark::{LabelClassifier, predict_labels};
///
/// let names: Vec<String> = (0..8).map(|row| format!("well {row}")).collect();
/// let batches: Vec<String> = (0..8).map(|row| format!("batch {}", row / 4)).collect();
/// let values: Vec<f64> = (0..8).flat_map(|row| [f64::from(row / 4), 1.0]).collect();
/// let classifier = LabelClassifier::NearestNeighbours { k: 3 };
/// let found = predict_labels(&values, 2, "batch", &batches, &names, &classifier)?;
/// assert_eq!(found.balanced_accuracy, 1.0);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn predict_labels(
    values: &[f64],
    num_features: usize,
    what: &str,
    labels: &[String],
    groups: &[String],
    classifier: &LabelClassifier,
) -> Result<LabelPrediction, BenchmarkError> {
    let num_rows = labels.len();
    for (found, expected) in [
        (values.len(), num_rows * num_features),
        (groups.len(), num_rows),
    ] {
        if found != expected {
            return Err(BenchmarkError::WrongNumberOfValues {
                num_labels: num_rows,
                num_features,
                expected,
                found,
            });
        }
    }
    let (labels, truth) = indices(labels);
    if labels.len() < 2 {
        return Err(BenchmarkError::TooFewClasses {
            what: what.to_owned(),
            found: labels.len(),
        });
    }
    let (group_names, groups) = indices(groups);
    let num_groups = group_names.len();
    if num_groups < 2 {
        return Err(BenchmarkError::TooFewGroups {
            num_folds: 2,
            num_groups,
        });
    }
    let predicted = match *classifier {
        LabelClassifier::NearestNeighbours { k } => {
            let rows =
                EntityMap::new(vec![String::new(); num_rows], values.to_vec(), num_features)?;
            predict_by_neighbours(&rows, &truth, &groups, labels.len(), k.max(1))
        }
        LabelClassifier::Linear {
            num_folds,
            ref settings,
            seed,
        } => {
            let num_folds = num_folds.clamp(2, num_groups);
            let folds = deal_folds(&truth, &groups, num_groups, labels.len(), num_folds, seed);
            let tell = |learned: &Rows, told: &[f64]| tell_by_probe(settings, learned, told);
            predict_by_folds(values, num_features, &truth, &folds, num_folds, tell)?
        }
        LabelClassifier::Ridge {
            num_folds,
            ref settings,
            seed,
        } => {
            let num_folds = num_folds.clamp(2, num_groups);
            let folds = deal_folds(&truth, &groups, num_groups, labels.len(), num_folds, seed);
            let tell = |learned: &Rows, told: &[f64]| tell_by_ridge(settings, learned, told);
            predict_by_folds(values, num_features, &truth, &folds, num_folds, tell)?
        }
    };
    let num_right = truth.iter().zip(&predicted).filter(|(a, b)| a == b).count();
    Ok(LabelPrediction {
        balanced_accuracy: balanced_accuracy(&truth, &predicted),
        accuracy: num_right as f64 / truth.len() as f64,
        chance: 1.0 / labels.len() as f64,
        labels,
        truth,
        predicted,
        groups,
        num_groups,
    })
}

/// How well labels are told in some groups of rows by what is learned from all
/// others, e.g. in the experiments that the data set's authors set aside. A
/// classifier's folds have no part in it.
///
/// # Shapes
/// As [`predict_labels`]; `is_test`: for each row whether it is to be told. The
/// result holds those rows alone.
///
/// # Errors
/// As [`predict_labels`]; [`BenchmarkError::TooFewGroups`] if nothing is left to
/// learn from or to tell.
///
/// # Source
/// Kenyon-Dean et al. 2024, section 4: RxRx1's experiments of training and test.
///
/// # Example
/// ```
/// use morphospace_benchmark::{LabelClassifier, RidgeClassifier, predict_held_out};
/// use morphospace_core::Seed;
///
/// let labels = ["a", "b", "a", "b"].map(str::to_owned);
/// let batches = ["1", "1", "2", "2"].map(str::to_owned);
/// let is_test = [false, false, true, true];
/// let classifier = LabelClassifier::Ridge {
///     num_folds: 2,
///     settings: RidgeClassifier::default(),
///     seed: Seed::new(0),
/// };
/// let values = [0.0, 1.0, 0.1, 1.1];
/// let found =
///     predict_held_out(&values, 1, "gene", &labels, &batches, &is_test, &classifier)?;
/// assert_eq!((found.truth.len(), found.accuracy), (2, 1.0));
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn predict_held_out(
    values: &[f64],
    num_features: usize,
    what: &str,
    labels: &[String],
    groups: &[String],
    is_test: &[bool],
    classifier: &LabelClassifier,
) -> Result<LabelPrediction, BenchmarkError> {
    let num_rows = labels.len();
    for (found, expected) in [
        (values.len(), num_rows * num_features),
        (groups.len(), num_rows),
        (is_test.len(), num_rows),
    ] {
        if found != expected {
            return Err(BenchmarkError::WrongNumberOfValues {
                num_labels: num_rows,
                num_features,
                expected,
                found,
            });
        }
    }
    let (labels, all) = indices(labels);
    if labels.len() < 2 {
        return Err(BenchmarkError::TooFewClasses {
            what: what.to_owned(),
            found: labels.len(),
        });
    }
    let (test, train): (Vec<usize>, Vec<usize>) = (0..num_rows).partition(|&row| is_test[row]);
    if test.is_empty() || train.is_empty() {
        return Err(BenchmarkError::TooFewGroups {
            num_folds: 2,
            num_groups: 1,
        });
    }
    let split = [&train[..], &test[..]];
    let predicted = match classifier {
        LabelClassifier::NearestNeighbours { k } => {
            let settings = NearestNeighbours {
                num_neighbours: *k,
                ..NearestNeighbours::default()
            };
            let tell = |learned: &Rows, told: &[f64]| {
                settings.predict(&learned.values, num_features, &learned.labels, told)
            };
            learn_and_tell(values, num_features, &all, split, tell)
        }
        LabelClassifier::Linear { settings, .. } => {
            let tell = |learned: &Rows, told: &[f64]| tell_by_probe(settings, learned, told);
            learn_and_tell(values, num_features, &all, split, tell)
        }
        LabelClassifier::Ridge { settings, .. } => {
            let tell = |learned: &Rows, told: &[f64]| tell_by_ridge(settings, learned, told);
            learn_and_tell(values, num_features, &all, split, tell)
        }
    }?;
    let truth: Vec<usize> = test.iter().map(|&row| all[row]).collect();
    let of_test: Vec<String> = test.iter().map(|&row| groups[row].clone()).collect();
    let (group_names, groups) = indices(&of_test);
    let num_right = truth.iter().zip(&predicted).filter(|(a, b)| a == b).count();
    Ok(LabelPrediction {
        balanced_accuracy: balanced_accuracy(&truth, &predicted),
        accuracy: num_right as f64 / truth.len() as f64,
        chance: 1.0 / labels.len() as f64,
        labels,
        truth,
        predicted,
        groups,
        num_groups: group_names.len(),
    })
}

/// How well the value of a column is told from the direction of each row's profile,
/// which is what relationships are read from; every row is a group of its own.
///
/// # Errors
/// As [`predict_labels`]; the column is missing or a value not finite.
pub fn predict_column(
    profiles: &Profiles,
    column: &str,
    classifier: &LabelClassifier,
) -> Result<LabelPrediction, BenchmarkError> {
    let rows: Vec<String> = (0..profiles.num_rows())
        .map(|row| format!("row {row}"))
        .collect();
    predict_labels(
        EntityMap::from_profiles(profiles, column)?.directions(),
        profiles.num_features(),
        &format!("column '{column}'"),
        &profiles.keys(column)?,
        &rows,
        classifier,
    )
}

fn indices(names: &[String]) -> (Vec<String>, Vec<usize>) {
    let sorted: Vec<String> = names
        .iter()
        .cloned()
        .collect::<BTreeSet<String>>()
        .into_iter()
        .collect();
    let index = names
        .iter()
        .map(|name| sorted.binary_search(name).expect("names were collected"))
        .collect();
    (sorted, index)
}

/// Rows compared at a time.
const BLOCK: usize = 128;

fn predict_by_neighbours(
    profiles: &EntityMap,
    truth: &[usize],
    groups: &[usize],
    num_labels: usize,
    k: usize,
) -> Vec<usize> {
    let (num_rows, num_features) = (profiles.num_entities(), profiles.num_features());
    let all = MatRef::from_row_major_slice(profiles.directions(), num_rows, num_features);
    let blocks: Vec<Vec<usize>> = profiles
        .directions()
        .par_chunks(BLOCK * num_features)
        .enumerate()
        .map(|(block, directions)| {
            let num_block_rows = directions.len() / num_features;
            let mut cosines = vec![0.0; num_block_rows * num_rows];
            // [block rows, D] · [D, rows] → [block rows, rows]
            matmul(
                MatMut::from_row_major_slice_mut(&mut cosines, num_block_rows, num_rows),
                Accum::Replace,
                MatRef::from_row_major_slice(directions, num_block_rows, num_features),
                all.transpose(),
                1.0,
                Par::Seq,
            );
            cosines
                .chunks_exact(num_rows)
                .enumerate()
                .map(|(offset, cosines)| {
                    let group = groups[block * BLOCK + offset];
                    let mut others: Vec<(f64, usize)> = (0..num_rows)
                        .filter(|&other| groups[other] != group)
                        .map(|other| (cosines[other], other))
                        .collect();
                    let nearer = |a: &(f64, usize), b: &(f64, usize)| {
                        b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
                    };
                    let k = k.min(others.len());
                    if k < others.len() {
                        others.select_nth_unstable_by(k - 1, nearer);
                    }
                    // In order of nearness, so the sums round the same way.
                    others.truncate(k);
                    others.sort_unstable_by(nearer);
                    let mut votes = vec![(0_usize, 0.0_f64); num_labels];
                    for (cosine, other) in others {
                        votes[truth[other]].0 += 1;
                        votes[truth[other]].1 += cosine;
                    }
                    (0..num_labels)
                        .max_by(|&a, &b| {
                            let (a_votes, b_votes) = (votes[a], votes[b]);
                            a_votes
                                .0
                                .cmp(&b_votes.0)
                                .then(a_votes.1.total_cmp(&b_votes.1))
                                .then(b.cmp(&a))
                        })
                        .expect("there are two labels or more")
                })
                .collect()
        })
        .collect();
    blocks.concat()
}

/// The fold of every row: the groups of each label are shuffled and dealt in
/// turn, going on where the last label ended.
fn deal_folds(
    truth: &[usize],
    groups: &[usize],
    num_groups: usize,
    num_labels: usize,
    num_folds: usize,
    seed: Seed,
) -> Vec<usize> {
    let mut label_of_group = vec![0; num_groups];
    for (row, &group) in groups.iter().enumerate() {
        label_of_group[group] = truth[row];
    }
    let mut rng = seed.rng();
    let mut fold_of_group = vec![0; num_groups];
    let mut next = 0;
    for label in 0..num_labels {
        let mut dealt: Vec<usize> = (0..num_groups)
            .filter(|&group| label_of_group[group] == label)
            .collect();
        for i in (1..dealt.len()).rev() {
            dealt.swap(i, rng.random_range(0..=i));
        }
        for group in dealt {
            fold_of_group[group] = next % num_folds;
            next += 1;
        }
    }
    groups.iter().map(|&group| fold_of_group[group]).collect()
}

/// Rows to learn from.
struct Rows {
    values: Vec<f64>,
    num_features: usize,
    labels: Vec<usize>,
    num_labels: usize,
}

fn tell_by_probe(
    settings: &LogisticRegression,
    rows: &Rows,
    told: &[f64],
) -> Result<Vec<usize>, BenchmarkError> {
    let (values, labels) = (&rows.values, &rows.labels);
    let probe = LinearProbe::fit(settings, values, rows.num_features, labels, rows.num_labels)?;
    Ok(probe.predict(told))
}

fn tell_by_ridge(
    settings: &RidgeClassifier,
    rows: &Rows,
    told: &[f64],
) -> Result<Vec<usize>, BenchmarkError> {
    let fitted = settings.fit(
        &rows.values,
        rows.num_features,
        &rows.labels,
        rows.num_labels,
    )?;
    Ok(fitted.predict(told))
}

/// Learns from some rows and tells others.
fn learn_and_tell(
    values: &[f64],
    num_features: usize,
    truth: &[usize],
    [train, test]: [&[usize]; 2],
    tell: impl Fn(&Rows, &[f64]) -> Result<Vec<usize>, BenchmarkError>,
) -> Result<Vec<usize>, BenchmarkError> {
    let gather = |rows: &[usize]| -> Vec<f64> {
        let rows = rows.iter();
        rows.flat_map(|row| &values[row * num_features..][..num_features])
            .copied()
            .collect()
    };
    // Labels that the others lack are not among the classes of the probe.
    let mut classes: Vec<usize> = train.iter().map(|&row| truth[row]).collect();
    classes.sort_unstable();
    classes.dedup();
    let labels = train
        .iter()
        .map(|&row| classes.binary_search(&truth[row]).expect("it is one"));
    let learned = Rows {
        values: gather(train),
        num_features,
        labels: labels.collect(),
        num_labels: classes.len(),
    };
    let told = tell(&learned, &gather(test))?;
    Ok(told.into_iter().map(|class| classes[class]).collect())
}

fn predict_by_folds(
    values: &[f64],
    num_features: usize,
    truth: &[usize],
    folds: &[usize],
    num_folds: usize,
    tell: impl Fn(&Rows, &[f64]) -> Result<Vec<usize>, BenchmarkError>,
) -> Result<Vec<usize>, BenchmarkError> {
    let mut predicted = vec![0; truth.len()];
    for fold in 0..num_folds {
        let (test, train): (Vec<usize>, Vec<usize>) =
            (0..truth.len()).partition(|&row| folds[row] == fold);
        let told = learn_and_tell(values, num_features, truth, [&train, &test], &tell)?;
        for (&row, class) in test.iter().zip(told) {
            predicted[row] = class;
        }
    }
    Ok(predicted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stay_whole_and_labels_spread() {
        // 3 labels of 10 groups of 2 sites.
        let truth: Vec<usize> = (0..60).map(|row| row / 20).collect();
        let groups: Vec<usize> = (0..60).map(|row| row / 2).collect();
        let folds = deal_folds(&truth, &groups, 30, 3, 5, Seed::new(2));
        for rows in folds.chunks(2) {
            assert_eq!(rows[0], rows[1]);
        }
        for label in 0..3 {
            for fold in 0..5 {
                let count = (0..60)
                    .filter(|&r| truth[r] == label && folds[r] == fold)
                    .count();
                assert_eq!(count, 4, "label {label}, fold {fold}");
            }
        }
    }
}
