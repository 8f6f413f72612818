use std::collections::{BTreeMap, HashMap};

use morphospace_core::Seed;
use morphospace_profiles::Profiles;
use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::bootstrap::median;
use crate::{
    BenchmarkError, Bootstrap, EntityMap, Interval, PairedDifference, cramer_von_mises,
    kolmogorov_smirnov_statistic, wasserstein_distance,
};

/// Wells of several experiments: where they are, what was done to them, and
/// their profile.
#[derive(Clone, Debug, PartialEq)]
pub struct WellTable {
    experiments: Vec<String>,
    addresses: Vec<String>,
    profiles: EntityMap,
}

impl WellTable {
    /// One entry per well; the labels of `profiles` are the perturbations.
    ///
    /// # Errors
    /// [`BenchmarkError::WrongNumberOfValues`] if the lengths differ.
    pub fn new(
        experiments: Vec<String>,
        addresses: Vec<String>,
        profiles: EntityMap,
    ) -> Result<Self, BenchmarkError> {
        for found in [experiments.len(), addresses.len()] {
            if found != profiles.num_entities() {
                return Err(BenchmarkError::WrongNumberOfValues {
                    num_labels: profiles.num_entities(),
                    num_features: 1,
                    expected: profiles.num_entities(),
                    found,
                });
            }
        }
        Ok(Self {
            experiments,
            addresses,
            profiles,
        })
    }

    /// The wells of a profile table; the columns name what is replicated
    /// (an experiment or a plate), the position and the perturbation.
    ///
    /// # Errors
    /// A column is missing or holds a null, a value is not finite.
    pub fn from_profiles(
        profiles: &Profiles,
        experiment_column: &str,
        address_column: &str,
        perturbation_column: &str,
    ) -> Result<Self, BenchmarkError> {
        Self::new(
            profiles.keys(experiment_column)?,
            profiles.keys(address_column)?,
            EntityMap::from_profiles(profiles, perturbation_column)?,
        )
    }

    /// The perturbation of a well.
    pub fn perturbation(&self, row: usize) -> &str {
        &self.profiles.labels()[row]
    }

    /// Rows of an experiment.
    fn rows_of(&self, experiment: &str) -> Result<Vec<usize>, BenchmarkError> {
        let rows: Vec<usize> = (0..self.experiments.len())
            .filter(|&row| self.experiments[row] == experiment)
            .collect();
        if rows.is_empty() {
            return Err(BenchmarkError::UnknownExperiment {
                experiment: experiment.to_owned(),
            });
        }
        Ok(rows)
    }
}

/// Where the random pairs come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplicateNull {
    /// As many as there are matched wells: a well of each experiment drawn
    /// uniformly, again and again until the perturbations differ.
    Drawn(Seed),
    /// Given rows (first, second) for every pair of experiments.
    Explicit(Vec<Vec<(usize, usize)>>),
}

/// A well that two experiments share.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchedWell {
    /// Its address.
    pub address: String,
    /// Its perturbation.
    pub perturbation: String,
    /// Cosine between the two profiles.
    pub cosine: f64,
}

/// Replicate consistency of one pair of experiments.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicatePair {
    /// First experiment.
    pub first: String,
    /// Second experiment.
    pub second: String,
    /// Wells with the same address and perturbation, by address.
    pub matched: Vec<MatchedWell>,
    /// Cosines of random pairs with different perturbations.
    pub null_cosines: Vec<f64>,
    /// Kolmogorov-Smirnov statistic between the two.
    pub kolmogorov_smirnov: f64,
    /// Cramer-von-Mises statistic between the two.
    pub cramer_von_mises: f64,
    /// Wasserstein distance between the two.
    pub wasserstein: f64,
}

impl ReplicatePair {
    /// Cosines of the matched wells.
    pub fn query_cosines(&self) -> Vec<f64> {
        self.matched.iter().map(|well| well.cosine).collect()
    }

    /// Mean cosine of the matched wells.
    pub fn mean_query(&self) -> f64 {
        self.query_cosines().iter().sum::<f64>() / self.matched.len() as f64
    }

    /// Mean cosine of the random pairs.
    pub fn mean_null(&self) -> f64 {
        self.null_cosines.iter().sum::<f64>() / self.null_cosines.len() as f64
    }
}

/// Replicate consistency over all pairs of experiments.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicateConsistency {
    /// Per pair, in the order given.
    pub pairs: Vec<ReplicatePair>,
    /// Median over pairs.
    pub median_kolmogorov_smirnov: f64,
    /// Median over pairs.
    pub median_cramer_von_mises: f64,
    /// Median over pairs.
    pub median_wasserstein: f64,
}

/// Replicate consistency: do wells with the same address and perturbation in
/// two replicate experiments (or plates) look more alike than wells with
/// different perturbations?
///
/// If an experiment holds several wells with one address and perturbation,
/// every combination is a match.
///
/// # Errors
/// [`BenchmarkError`] names the experiments: unknown, no shared well, or a
/// single perturbation; and [`BenchmarkError::TooFewValues`] for a single
/// matched well or a list of random pairs that is missing.
///
/// # Source
/// Kenyon-Dean et al. 2024 ("ViTally Consistent"), section 5; the statistics
/// agree with scipy's `ks_2samp`, `cramervonmises_2samp` and
/// `wasserstein_distance`.
///
/// # Example
/// ```
/// use morphospace_benchmark::{EntityMap, ReplicateNull, WellTable, replicate_consistency};
/// use morphospace_core::Seed;
///
/// let text = |list: [&str; 4]| list.map(str::to_owned).to_vec();
/// let profiles =
///     EntityMap::new(text(["X", "Y", "X", "Y"]), vec![1., 0., 0., 1., 2., 0., 0., 3.], 2)?;
/// let wells = WellTable::new(text(["a", "a", "b", "b"]), text(["A1", "A2", "A1", "A2"]), profiles)?;
/// let pairs = [("a".to_owned(), "b".to_owned())];
/// let found = replicate_consistency(&wells, &pairs, &ReplicateNull::Drawn(Seed::new(1)))?;
/// assert_eq!(found.median_kolmogorov_smirnov, 1.0);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn replicate_consistency(
    wells: &WellTable,
    pairs: &[(String, String)],
    null: &ReplicateNull,
) -> Result<ReplicateConsistency, BenchmarkError> {
    if pairs.is_empty() {
        return Err(BenchmarkError::TooFewValues {
            what: "replicate consistency",
            needed: 1,
            found: 0,
        });
    }
    let pairs: Vec<ReplicatePair> = pairs
        .iter()
        .enumerate()
        .map(|(index, (first, second))| score_pair(wells, index, first, second, null))
        .collect::<Result<_, _>>()?;
    let median_of = |statistic: fn(&ReplicatePair) -> f64| {
        median(&pairs.iter().map(statistic).collect::<Vec<f64>>())
    };
    Ok(ReplicateConsistency {
        median_kolmogorov_smirnov: median_of(|pair| pair.kolmogorov_smirnov),
        median_cramer_von_mises: median_of(|pair| pair.cramer_von_mises),
        median_wasserstein: median_of(|pair| pair.wasserstein),
        pairs,
    })
}

/// The median Kolmogorov-Smirnov statistic where replicates agree no better
/// than random pairs, which is not 0 but shrinks with the number of wells:
/// the cosines of both are pooled and dealt out anew, `num_shuffles` times.
pub fn shuffled_replicate_consistency(
    found: &ReplicateConsistency,
    num_shuffles: usize,
    seed: Seed,
) -> f64 {
    let medians: Vec<f64> = (0..num_shuffles)
        .into_par_iter()
        .map(|shuffle| {
            let mut rng = seed.split_index(shuffle as u64).rng();
            let statistics: Vec<f64> = found
                .pairs
                .iter()
                .filter_map(|pair| {
                    let mut pool = pair.query_cosines();
                    let num_query = pool.len();
                    pool.extend(&pair.null_cosines);
                    pool.shuffle(&mut rng);
                    let (query, null) = pool.split_at(num_query);
                    kolmogorov_smirnov_statistic(query, null).ok()
                })
                .collect();
            median(&statistics)
        })
        .collect();
    medians.iter().sum::<f64>() / medians.len() as f64
}

/// Bootstrap interval of the median Kolmogorov-Smirnov statistic: the
/// perturbations are drawn anew, their wells come with them in all pairs of
/// experiments, and so are the random pairs.
///
/// Wells drawn twice widen the distance from the random pairs, so resampled
/// statistics lie above the measured one; the interval is moved down by the
/// median of that excess. That it covers the truth is tested in
/// `tests/it/coverage.rs`.
pub fn replicate_consistency_interval(
    found: &ReplicateConsistency,
    bootstrap: &Bootstrap,
) -> Option<Interval> {
    let perturbations = found.perturbations();
    let medians = found.resampled_medians(&perturbations, bootstrap);
    let known: Vec<f64> = medians.iter().copied().filter(|m| !m.is_nan()).collect();
    if known.is_empty() {
        return None;
    }
    let excess = median(&known) - found.median_kolmogorov_smirnov;
    let interval = bootstrap.interval(medians)?;
    let moved = |end: f64| (end - excess).clamp(0.0, 1.0);
    Some(Interval {
        low: moved(interval.low),
        high: moved(interval.high),
    })
}

/// The difference of two median Kolmogorov-Smirnov statistics of the same wells,
/// `second - first`, with a paired interval: each resample takes the same
/// perturbations of both, and is moved as in [`replicate_consistency_interval`].
///
/// # Errors
/// [`BenchmarkError::TooFewValues`] if they share no perturbation.
pub fn compare_replicate_consistency(
    first: &ReplicateConsistency,
    second: &ReplicateConsistency,
    bootstrap: &Bootstrap,
) -> Result<PairedDifference, BenchmarkError> {
    let of_second = second.perturbations();
    let mut perturbations = first.perturbations();
    perturbations.retain(|name| of_second.binary_search(name).is_ok());
    if perturbations.is_empty() {
        return Err(BenchmarkError::TooFewValues {
            what: "a comparison of units that both have",
            needed: 1,
            found: 0,
        });
    }
    let medians = |of: &ReplicateConsistency| of.resampled_medians(&perturbations, bootstrap);
    let pairs = medians(first).into_iter().zip(medians(second));
    let differences: Vec<f64> = pairs
        .map(|(first, second)| second - first)
        .filter(|difference| !difference.is_nan())
        .collect();
    let difference = second.median_kolmogorov_smirnov - first.median_kolmogorov_smirnov;
    let interval = match differences.is_empty() {
        true => None,
        false => {
            let excess = median(&differences) - difference;
            let interval = bootstrap.interval(differences);
            interval.map(|interval| Interval {
                low: interval.low - excess,
                high: interval.high - excess,
            })
        }
    };
    Ok(PairedDifference {
        first: first.median_kolmogorov_smirnov,
        second: second.median_kolmogorov_smirnov,
        difference,
        interval,
        num_units: perturbations.len(),
    })
}

impl ReplicateConsistency {
    /// Names of the perturbations with matched wells, sorted.
    fn perturbations(&self) -> Vec<&str> {
        let wells = self.pairs.iter().flat_map(|pair| &pair.matched);
        let mut perturbations: Vec<&str> = wells.map(|well| well.perturbation.as_str()).collect();
        perturbations.sort_unstable();
        perturbations.dedup();
        perturbations
    }

    /// The median statistic of each resample of some perturbations; NaN where none
    /// of their wells was drawn.
    fn resampled_medians(&self, perturbations: &[&str], bootstrap: &Bootstrap) -> Vec<f64> {
        let index_of: HashMap<&str, usize> = perturbations.iter().copied().zip(0..).collect();
        let of_null = Bootstrap {
            seed: bootstrap.seed.split("null"),
            ..*bootstrap
        };
        (0..bootstrap.num_resamples)
            .into_par_iter()
            .map(|resample| {
                let weights = bootstrap.weights(resample, perturbations.len());
                let times = |well: &MatchedWell| {
                    let index = index_of.get(well.perturbation.as_str());
                    index.map_or(0, |&index| weights[index] as usize)
                };
                let statistics: Vec<f64> = self
                    .pairs
                    .iter()
                    .filter_map(|pair| {
                        let wells = pair.matched.iter();
                        let query: Vec<f64> = wells
                            .flat_map(|well| std::iter::repeat_n(well.cosine, times(well)))
                            .collect();
                        let null = pair.null_cosines.iter();
                        let null: Vec<f64> = null
                            .zip(of_null.weights(resample, pair.null_cosines.len()))
                            .flat_map(|(cosine, times)| {
                                std::iter::repeat_n(*cosine, times as usize)
                            })
                            .collect();
                        kolmogorov_smirnov_statistic(&query, &null).ok()
                    })
                    .collect();
                match statistics.is_empty() {
                    true => f64::NAN,
                    false => median(&statistics),
                }
            })
            .collect()
    }
}

/// Rows of one address and perturbation in two experiments.
#[derive(Default)]
struct RowsInBoth {
    first: Vec<usize>,
    second: Vec<usize>,
}

fn score_pair(
    wells: &WellTable,
    index: usize,
    first: &str,
    second: &str,
    null: &ReplicateNull,
) -> Result<ReplicatePair, BenchmarkError> {
    let (first_rows, second_rows) = (wells.rows_of(first)?, wells.rows_of(second)?);
    let mut by_place: BTreeMap<(&str, &str), RowsInBoth> = BTreeMap::new();
    let place = |row: usize| (wells.addresses[row].as_str(), wells.perturbation(row));
    for &row in &first_rows {
        by_place.entry(place(row)).or_default().first.push(row);
    }
    for &row in &second_rows {
        by_place.entry(place(row)).or_default().second.push(row);
    }
    let matched: Vec<MatchedWell> = by_place
        .into_iter()
        .flat_map(|((address, perturbation), rows)| {
            let combinations: Vec<(usize, usize)> = rows
                .first
                .iter()
                .flat_map(|&a| rows.second.iter().map(move |&b| (a, b)))
                .collect();
            combinations.into_iter().map(|(a, b)| MatchedWell {
                address: address.to_owned(),
                perturbation: perturbation.to_owned(),
                cosine: wells.profiles.cosine(a, b),
            })
        })
        .collect();
    if matched.is_empty() {
        return Err(BenchmarkError::NoMatchedWells {
            first: first.to_owned(),
            second: second.to_owned(),
        });
    }
    let null_pairs = match null {
        ReplicateNull::Explicit(lists) => lists.get(index).cloned().unwrap_or_default(),
        ReplicateNull::Drawn(seed) => {
            // By name, not by place: a pair draws the same whatever its
            // neighbours in the list.
            let seed = seed.split(first).split(second);
            draw_different(wells, &first_rows, &second_rows, matched.len(), seed).ok_or_else(
                || BenchmarkError::NoDifferentPerturbations {
                    first: first.to_owned(),
                    second: second.to_owned(),
                    perturbation: wells.perturbation(first_rows[0]).to_owned(),
                },
            )?
        }
    };
    let num_rows = wells.experiments.len();
    if let Some(row) = null_pairs
        .iter()
        .flat_map(|&(a, b)| [a, b])
        .find(|&row| row >= num_rows)
    {
        return Err(BenchmarkError::RowOutOfRange { row, num_rows });
    }
    let null_cosines: Vec<f64> = null_pairs
        .iter()
        .map(|&(a, b)| wells.profiles.cosine(a, b))
        .collect();
    let query: Vec<f64> = matched.iter().map(|well| well.cosine).collect();
    Ok(ReplicatePair {
        first: first.to_owned(),
        second: second.to_owned(),
        kolmogorov_smirnov: kolmogorov_smirnov_statistic(&query, &null_cosines)?,
        cramer_von_mises: cramer_von_mises(&query, &null_cosines)?.statistic,
        wasserstein: wasserstein_distance(&query, &null_cosines)?,
        matched,
        null_cosines,
    })
}

/// `None` if all wells of both experiments carry one perturbation.
fn draw_different(
    wells: &WellTable,
    first_rows: &[usize],
    second_rows: &[usize],
    num_pairs: usize,
    seed: Seed,
) -> Option<Vec<(usize, usize)>> {
    let only = wells.perturbation(first_rows[0]);
    let all = || first_rows.iter().chain(second_rows);
    if all().all(|&row| wells.perturbation(row) == only) {
        return None;
    }
    let mut rng = seed.rng();
    let mut draw = || loop {
        let a = first_rows[rng.random_range(0..first_rows.len())];
        let b = second_rows[rng.random_range(0..second_rows.len())];
        if wells.perturbation(a) != wells.perturbation(b) {
            break (a, b);
        }
    };
    Some((0..num_pairs).map(|_| draw()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(perturbations: [&str; 4], addresses: [&str; 4]) -> WellTable {
        let text = |list: [&str; 4]| list.map(str::to_owned).to_vec();
        let profiles = EntityMap::new(text(perturbations), vec![1., 0., 0., 1., 2., 0., 0., 3.], 2)
            .expect("finite");
        WellTable::new(text(["a", "a", "b", "b"]), text(addresses), profiles).expect("fits")
    }

    fn refusal(wells: &WellTable, second: &str) -> String {
        let pairs = [("a".to_owned(), second.to_owned())];
        replicate_consistency(wells, &pairs, &ReplicateNull::Drawn(Seed::new(1)))
            .expect_err("refused")
            .to_string()
    }

    #[test]
    fn refusals_name_the_experiments() {
        let wells = table(["X", "Y", "X", "Y"], ["A1", "A2", "A1", "A2"]);
        assert_eq!(refusal(&wells, "c"), "no well belongs to experiment 'c'");
        let wells = table(["X", "Y", "Z", "Y"], ["A1", "A2", "A1", "A3"]);
        assert!(refusal(&wells, "b").starts_with("experiments 'a' and 'b' share no well"));
        let wells = table(["X", "X", "X", "X"], ["A1", "A2", "A1", "A2"]);
        assert!(refusal(&wells, "b").contains("a single perturbation 'X'"));
    }
}
