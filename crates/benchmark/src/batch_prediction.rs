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
    balanced_accuracy,
};

/// Who predicts the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BatchClassifier {
    /// The majority among the nearest rows by cosine, the well itself left
    /// out; of equal votes the larger sum of cosines wins.
    NearestNeighbours {
        /// Number of neighbours.
        k: usize,
    },
    /// A linear probe, cross-validated with whole wells in a fold and every
    /// batch spread over the folds.
    Linear {
        /// Number of folds.
        num_folds: usize,
        /// The probe's settings.
        settings: LogisticRegression,
        /// Deals wells to folds.
        seed: Seed,
    },
}

impl BatchClassifier {
    /// Fifteen neighbours.
    pub fn nearest_neighbours() -> Self {
        Self::NearestNeighbours { k: 15 }
    }

    /// Five folds of a balanced logistic regression. The penalty is stronger
    /// and the tolerance looser than a probe's: five fits on every table of a
    /// comparison have to stay cheap.
    pub fn linear(seed: Seed) -> Self {
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

/// How well the batch can be told from the profiles; low is good.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchPrediction {
    /// Mean over batches of the share of its rows told right.
    pub balanced_accuracy: f64,
    /// What a guess reaches: one over the number of batches.
    pub chance: f64,
    /// Sorted names of the batches.
    pub batches: Vec<String>,
    /// Index of the batch of every row.
    pub truth: Vec<usize>,
    /// Index of the batch predicted for every row.
    pub predicted: Vec<usize>,
    wells: Vec<usize>,
    num_wells: usize,
}

impl BatchPrediction {
    /// Bootstrap interval of the balanced accuracy over wells, the
    /// predictions held fixed.
    pub fn interval(&self, bootstrap: &Bootstrap) -> Option<Interval> {
        let accuracies = (0..bootstrap.num_resamples)
            .into_par_iter()
            .map(|resample| {
                let weights = bootstrap.weights(resample, self.num_wells);
                weighted_balanced_accuracy(&self.truth, &self.predicted, |row| {
                    weights[self.wells[row]]
                })
            })
            .collect();
        bootstrap.interval(accuracies)
    }
}

/// How well a batch (experiment, plate, source) can be predicted from
/// profiles: run it before and after an alignment.
///
/// `wells` names what must not be split between learning and testing: rows of
/// one well (sites) share a name; with one row per well every name differs.
///
/// # Errors
/// [`BenchmarkError::TooFewClasses`] for a single batch,
/// [`BenchmarkError::TooFewGroups`] for fewer wells than folds or none left
/// to vote, [`BenchmarkError::WrongNumberOfValues`] if lengths differ.
///
/// # Source
/// Sypetkowski et al. 2023 (RxRx1), batch classification accuracy, as a probe
/// of finished profiles.
///
/// # Example
/// ```
/// use morphospace_benchmark::{BatchClassifier, EntityMap, predict_batch};
///
/// // Two batches that point in different directions.
/// let batches: Vec<String> = (0..8).map(|i| format!("batch {}", i % 2)).collect();
/// let wells: Vec<String> = (0..8).map(|i| format!("well {i}")).collect();
/// let values = (0..8).flat_map(|i| [f64::from(i % 2), 1.0 - f64::from(i % 2)]).collect();
/// let profiles = EntityMap::new(wells.clone(), values, 2)?;
/// let found =
///     predict_batch(&profiles, &batches, &wells, &BatchClassifier::NearestNeighbours { k: 3 })?;
/// assert_eq!((found.balanced_accuracy, found.chance), (1.0, 0.5));
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn predict_batch(
    profiles: &EntityMap,
    batches: &[String],
    wells: &[String],
    classifier: &BatchClassifier,
) -> Result<BatchPrediction, BenchmarkError> {
    for found in [batches.len(), wells.len()] {
        if found != profiles.num_entities() {
            return Err(BenchmarkError::WrongNumberOfValues {
                num_labels: profiles.num_entities(),
                num_features: 1,
                expected: profiles.num_entities(),
                found,
            });
        }
    }
    let (batches, truth) = indices(batches);
    if batches.len() < 2 {
        return Err(BenchmarkError::TooFewClasses {
            what: "batch".to_owned(),
            found: batches.len(),
        });
    }
    let (well_names, wells) = indices(wells);
    let num_wells = well_names.len();
    let predicted = match *classifier {
        BatchClassifier::NearestNeighbours { k } => {
            if num_wells < 2 || k == 0 {
                return Err(BenchmarkError::TooFewGroups {
                    num_folds: 2,
                    num_groups: num_wells,
                });
            }
            predict_by_neighbours(profiles, &truth, &wells, batches.len(), k)
        }
        BatchClassifier::Linear {
            num_folds,
            ref settings,
            seed,
        } => {
            if num_folds < 2 || num_wells < num_folds {
                return Err(BenchmarkError::TooFewGroups {
                    num_folds,
                    num_groups: num_wells,
                });
            }
            let folds = deal_folds(&truth, &wells, num_wells, batches.len(), num_folds, seed);
            predict_by_folds(profiles, &truth, &folds, batches.len(), num_folds, settings)?
        }
    };
    Ok(BatchPrediction {
        balanced_accuracy: balanced_accuracy(&truth, &predicted),
        chance: 1.0 / batches.len() as f64,
        batches,
        truth,
        predicted,
        wells,
        num_wells,
    })
}

/// [`predict_batch`] on a profile table with one row per well; rows are told
/// apart by their place. `batch_column` names what is predicted.
///
/// # Errors
/// As [`predict_batch`], or the column is missing or holds a null.
pub fn predict_batch_of_profiles(
    profiles: &Profiles,
    batch_column: &str,
    classifier: &BatchClassifier,
) -> Result<BatchPrediction, BenchmarkError> {
    let batches = profiles.keys(batch_column)?;
    let wells: Vec<String> = (0..profiles.num_rows())
        .map(|row| format!("row {row}"))
        .collect();
    predict_batch(
        &EntityMap::from_profiles(profiles, batch_column)?,
        &batches,
        &wells,
        classifier,
    )
}

/// Sorted names and the index of every entry among them.
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
    wells: &[usize],
    num_batches: usize,
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
                    let well = wells[block * BLOCK + offset];
                    let mut others: Vec<(f64, usize)> = (0..num_rows)
                        .filter(|&other| wells[other] != well)
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
                    let mut votes = vec![(0_usize, 0.0_f64); num_batches];
                    for (cosine, other) in others {
                        votes[truth[other]].0 += 1;
                        votes[truth[other]].1 += cosine;
                    }
                    (0..num_batches)
                        .max_by(|&a, &b| {
                            let (a_votes, b_votes) = (votes[a], votes[b]);
                            a_votes
                                .0
                                .cmp(&b_votes.0)
                                .then(a_votes.1.total_cmp(&b_votes.1))
                                .then(b.cmp(&a))
                        })
                        .expect("there are two batches or more")
                })
                .collect()
        })
        .collect();
    blocks.concat()
}

/// The fold of every row: the wells of each batch are shuffled and dealt in
/// turn, going on where the last batch ended.
fn deal_folds(
    truth: &[usize],
    wells: &[usize],
    num_wells: usize,
    num_batches: usize,
    num_folds: usize,
    seed: Seed,
) -> Vec<usize> {
    let mut batch_of_well = vec![0; num_wells];
    for (row, &well) in wells.iter().enumerate() {
        batch_of_well[well] = truth[row];
    }
    let mut rng = seed.rng();
    let mut fold_of_well = vec![0; num_wells];
    let mut next = 0;
    for batch in 0..num_batches {
        let mut dealt: Vec<usize> = (0..num_wells)
            .filter(|&well| batch_of_well[well] == batch)
            .collect();
        for i in (1..dealt.len()).rev() {
            dealt.swap(i, rng.random_range(0..=i));
        }
        for well in dealt {
            fold_of_well[well] = next % num_folds;
            next += 1;
        }
    }
    wells.iter().map(|&well| fold_of_well[well]).collect()
}

fn predict_by_folds(
    profiles: &EntityMap,
    truth: &[usize],
    folds: &[usize],
    num_batches: usize,
    num_folds: usize,
    settings: &LogisticRegression,
) -> Result<Vec<usize>, BenchmarkError> {
    let mut predicted = vec![0; truth.len()];
    for fold in 0..num_folds {
        let (test, train): (Vec<usize>, Vec<usize>) =
            (0..truth.len()).partition(|&row| folds[row] == fold);
        let labels: Vec<usize> = train.iter().map(|&row| truth[row]).collect();
        let probe = LinearProbe::fit(
            settings,
            &profiles.gather(&train),
            profiles.num_features(),
            &labels,
            num_batches,
        )?;
        for (&row, class) in test.iter().zip(probe.predict(&profiles.gather(&test))) {
            predicted[row] = class;
        }
    }
    Ok(predicted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wells_stay_whole_and_batches_spread() {
        // 3 batches of 10 wells of 2 sites.
        let truth: Vec<usize> = (0..60).map(|row| row / 20).collect();
        let wells: Vec<usize> = (0..60).map(|row| row / 2).collect();
        let folds = deal_folds(&truth, &wells, 30, 3, 5, Seed::new(2));
        for rows in folds.chunks(2) {
            assert_eq!(rows[0], rows[1]);
        }
        for batch in 0..3 {
            for fold in 0..5 {
                let count = (0..60)
                    .filter(|&r| truth[r] == batch && folds[r] == fold)
                    .count();
                assert_eq!(count, 4, "batch {batch}, fold {fold}");
            }
        }
    }
}
