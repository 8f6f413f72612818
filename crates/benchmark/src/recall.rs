use std::collections::{BTreeSet, HashMap};

use morphospace_core::Seed;
use rand::RngExt;
use rayon::prelude::*;

use crate::cosine_population::{CosinePopulation, OrderStatistic, Scan};
use crate::{BenchmarkError, EntityMap, Relationships};

/// Which cosines known relationships are compared with.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum RecallNull {
    /// Every pair of rows of the map (EFAAR_benchmarking 1.0).
    #[default]
    AllPairs,
    /// Every (left, right) of two samples of rows, less pairs of an entity
    /// with itself; repeated rows stay repeated (Celik et al. 2022 and the
    /// earlier EFAAR_benchmarking, <https://doi.org/10.1101/2022.12.09.519400>).
    Samples {
        /// Rows of the first sample.
        left: Vec<usize>,
        /// Rows of the second sample.
        right: Vec<usize>,
    },
}

impl RecallNull {
    /// Sample size of the published form.
    pub const SAMPLE_SIZE: usize = 5000;

    /// Two samples of `size` entities each, drawn with replacement.
    pub fn draw_samples(map: &EntityMap, size: usize, seed: Seed) -> Self {
        let mut rows: Vec<usize> = map
            .rows_by_label()
            .values()
            .map(|rows| rows.first)
            .collect();
        rows.sort_unstable();
        let draw = |name: &str| -> Vec<usize> {
            let mut rng = seed.split(name).rng();
            (0..size)
                .map(|_| rows[rng.random_range(0..rows.len())])
                .collect()
        };
        if rows.is_empty() {
            return Self::Samples {
                left: Vec::new(),
                right: Vec::new(),
            };
        }
        Self::Samples {
            left: draw("left"),
            right: draw("right"),
        }
    }
}

/// Settings of [`relationship_recall`].
///
/// The defaults are those of EFAAR_benchmarking 1.0 (`RECALL_PERC_THRS`,
/// `MIN_REQ_ENT_CNT`), with the check on the number of entities enforced,
/// which the reference builds but never raises.
#[derive(Clone, Debug, PartialEq)]
pub struct RecallOptions {
    /// Pairs (low, high) of quantiles; a pair given the other way round is
    /// turned.
    pub thresholds: Vec<(f64, f64)>,
    /// What known relationships are compared with.
    pub null: RecallNull,
    /// Fewest entities a map may have. With [`RecallNull::Samples`] also the
    /// fewest different entities on either side of a source's pairs, below
    /// which the source is skipped, as the earlier reference does.
    pub min_num_entities: usize,
    /// False-positive rate at which the true-positive rate is also found
    /// (Kraus et al. 2023, table 2, use 0.05); `None` leaves it out.
    pub false_positive_rate: Option<f64>,
}

impl Default for RecallOptions {
    fn default() -> Self {
        Self {
            thresholds: vec![(0.05, 0.95), (0.1, 0.9)],
            null: RecallNull::AllPairs,
            min_num_entities: 20,
            false_positive_rate: Some(0.05),
        }
    }
}

/// The null distribution in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct NullSummary {
    /// Number of cosines.
    pub size: u64,
    /// Smallest cosine.
    pub min: f64,
    /// Largest cosine.
    pub max: f64,
    /// Mean cosine.
    pub mean: f64,
    /// (quantile q, cosine) at every threshold in ascending order: the cosine
    /// at rank `floor(q · size)` (from 0) of the sorted null.
    pub quantiles: Vec<(f64, f64)>,
}

/// Recall at one pair of thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThresholdRecall {
    /// Lower quantile, e.g. 0.05.
    pub low: f64,
    /// Upper quantile, e.g. 0.95.
    pub high: f64,
    /// Pairs in the lower tail of the null.
    pub hits_left: usize,
    /// Pairs in the upper tail of the null.
    pub hits_right: usize,
    /// Share of pairs in either tail; `None` without pairs.
    pub recall: Option<f64>,
    /// A cosine below this is in the lower tail.
    pub low_cutoff: f64,
    /// A cosine above this is in the upper tail.
    pub high_cutoff: f64,
}

impl ThresholdRecall {
    /// Whether a cosine lies in either tail.
    pub fn is_hit(&self, cosine: f64) -> bool {
        cosine < self.low_cutoff || cosine > self.high_cutoff
    }
}

/// How many known pairs lie above the unknown ones, one-sided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruePositiveRate {
    /// Largest true-positive rate on the ROC curve whose false-positive rate
    /// does not exceed the one asked for.
    pub on_roc_curve: f64,
    /// Share of known pairs above the interpolated quantile of the unknown.
    pub above_quantile: f64,
    /// The cosine above which known pairs count as found on the ROC curve.
    pub cutoff: f64,
    /// Known pairs.
    pub num_positives: usize,
    /// All other pairs of the map.
    pub num_negatives: u64,
}

/// A known relationship found in the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueryPair {
    /// Index into [`RecallReport::entities`]; sorts before the second.
    pub entity1: u32,
    /// Index into [`RecallReport::entities`].
    pub entity2: u32,
    /// Their cosine.
    pub cosine: f64,
}

/// Recall of one annotation source.
#[derive(Clone, Debug, PartialEq)]
pub struct Recall {
    /// The source, e.g. `CORUM`.
    pub source: String,
    /// Recall per pair of thresholds.
    pub thresholds: Vec<ThresholdRecall>,
    /// Mean cosine of the pairs; `None` without pairs.
    pub mean_query_cosine: Option<f64>,
    /// One-sided detection, if asked for and both sides have pairs.
    pub true_positive_rate: Option<TruePositiveRate>,
    /// The pairs whose entities are both in the map.
    pub pairs: Vec<QueryPair>,
}

impl Recall {
    /// Number of pairs whose entities are both in the map.
    pub fn num_query(&self) -> usize {
        self.pairs.len()
    }
}

/// What [`relationship_recall`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct RecallReport {
    /// The null all sources share.
    pub null: NullSummary,
    /// One per source, in the order given.
    pub sources: Vec<Recall>,
    /// Sorted labels of the map, without repeats.
    pub entities: Vec<String>,
}

/// Known-relationship recall: the share of annotated pairs whose cosine lies
/// in a tail of the null distribution of cosines.
///
/// A pair is a hit at (low, high) when the share of null values not above it
/// is at most `low`, or the share below it is at least `high`. Pairs with an
/// entity outside the map are left out. A source without pairs has no recall.
///
/// # Numerics
/// Cosines are computed in f64, in blocks, and counted without being stored;
/// hits are exact for the cosines computed. The result does not depend on
/// the number of threads. Memory is about 50 MB per thread plus the map and
/// the pairs, whatever the number of entities.
///
/// # Errors
/// - [`BenchmarkError::TooFewEntities`] for a map below `min_num_entities`
/// - [`BenchmarkError::DuplicateEntity`] if a label of a known pair stands on
///   two rows. Labels that no pair asks for may repeat (compounds at several
///   doses): their cosines are part of the null.
/// - [`BenchmarkError::InvalidThresholds`], [`BenchmarkError::RowOutOfRange`]
///
/// # Source
/// EFAAR_benchmarking 1.0 `benchmarking.known_relationship_benchmark` and
/// `compute_recall`; Celik et al. 2022, <https://doi.org/10.1101/2022.12.09.519400>.
///
/// # Example
/// ```
/// use morphospace_benchmark::{EntityMap, RecallOptions, Relationships, relationship_recall};
///
/// // Two pairs of neighbours among unrelated directions.
/// let labels = ["A", "B", "C", "D"].map(str::to_owned).to_vec();
/// let map = EntityMap::new(labels, vec![1.0, 0.1, 1.0, 0.0, 0.1, 1.0, 0.0, 1.0], 2)?;
/// let known = Relationships::new("made up", [("A", "B"), ("C", "D")]);
/// let options = RecallOptions {
///     thresholds: vec![(0.1, 0.6)],
///     min_num_entities: 2,
///     ..RecallOptions::default()
/// };
/// let report = relationship_recall(&map, &[known], &options)?;
/// assert_eq!(report.null.size, 6);
/// assert_eq!(report.sources[0].thresholds[0].recall, Some(1.0));
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn relationship_recall(
    map: &EntityMap,
    sources: &[Relationships],
    options: &RecallOptions,
) -> Result<RecallReport, BenchmarkError> {
    let thresholds = checked_thresholds(&options.thresholds)?;
    let rows_by_label = map.rows_by_label();
    let needed = options.min_num_entities.max(2);
    if rows_by_label.len() < needed {
        return Err(BenchmarkError::TooFewEntities {
            found: rows_by_label.len(),
            needed,
        });
    }
    let mut entities: Vec<String> = rows_by_label
        .keys()
        .map(|&label| label.to_owned())
        .collect();
    entities.sort_unstable();
    let numbered = entities.iter().enumerate();
    let entity_of_label: HashMap<&str, usize> = numbered
        .map(|(entity, label)| (label.as_str(), entity))
        .collect();
    let entity_of_label = |label: &str| entity_of_label.get(label).copied();
    let row_of_entity: Vec<usize> = entities
        .iter()
        .map(|label| rows_by_label[label.as_str()].first)
        .collect();

    let pairs_of_source: Vec<Vec<(usize, usize)>> = sources
        .iter()
        .map(|source| {
            let pairs: Vec<(usize, usize)> = source
                .pairs()
                .iter()
                .filter_map(|(a, b)| Some((entity_of_label(a)?, entity_of_label(b)?)))
                .collect();
            for entity in pairs.iter().flat_map(|&(a, b)| [a, b]) {
                let rows = rows_by_label[entities[entity].as_str()];
                if let Some(second_row) = rows.second {
                    return Err(BenchmarkError::DuplicateEntity {
                        label: entities[entity].clone(),
                        first_row: rows.first,
                        second_row,
                        source_name: source.source().to_owned(),
                    });
                }
            }
            Ok(if is_skipped(&pairs, options) {
                Vec::new()
            } else {
                pairs
            })
        })
        .collect::<Result<_, _>>()?;
    let asked: Vec<(usize, usize)> = pairs_of_source
        .iter()
        .flatten()
        .map(|&(a, b)| {
            let (a, b) = (row_of_entity[a], row_of_entity[b]);
            (a.min(b), a.max(b))
        })
        .collect();

    let shares: Vec<f64> = thresholds
        .iter()
        .flat_map(|&(low, high)| [low, high])
        .chain(options.false_positive_rate.map(|rate| 1.0 - rate))
        .collect();
    // The pairs' cosines come from the pass over all pairs, so that a pair
    // ties exactly with itself in the null.
    let all_pairs = CosinePopulation::all_pairs(map);
    let sampled = match &options.null {
        RecallNull::AllPairs => None,
        RecallNull::Samples { left, right } => {
            let num_rows = map.num_entities();
            if let Some(&row) = left.iter().chain(right).find(|&&row| row >= num_rows) {
                return Err(BenchmarkError::RowOutOfRange { row, num_rows });
            }
            let entity_of_row: Vec<u32> = map
                .labels()
                .iter()
                .map(|label| entity_of_label(label).expect("labels come from the map") as u32)
                .collect();
            let population = CosinePopulation::samples(map, left, right, &entity_of_row);
            let scan = population.scan(&[], &shares);
            if scan.size == 0 {
                return Err(BenchmarkError::TooFewValues {
                    what: "the sampled null",
                    needed: 1,
                    found: 0,
                });
            }
            Some((population, scan))
        }
    };
    let needs_all_pairs = sampled.is_none() || options.false_positive_rate.is_some();
    let all_scan = needs_all_pairs.then(|| all_pairs.scan(&asked, &shares));
    let cosines: Vec<f64> = match &all_scan {
        Some(scan) => scan.gathered.clone(),
        None => asked.par_iter().map(|&(a, b)| map.cosine(a, b)).collect(),
    };
    let mut rest = cosines.as_slice();
    let cosines_of_source: Vec<&[f64]> = pairs_of_source
        .iter()
        .map(|pairs| {
            let (these, others) = rest.split_at(pairs.len());
            rest = others;
            these
        })
        .collect();

    let (null, null_scan) = match (&sampled, &all_scan) {
        (Some((population, scan)), _) => (population, scan),
        (None, Some(scan)) => (&all_pairs, scan),
        (None, None) => unreachable!("all pairs are scanned when they are the null"),
    };
    let null_ranks = NullRanks::new(null_scan.size, &thresholds);
    let detections: Vec<Option<DetectionRanks>> = cosines_of_source
        .iter()
        .map(|positives| {
            let size = all_scan.as_ref()?.size;
            DetectionRanks::new(size, positives.len(), options.false_positive_rate?)
        })
        .collect();
    // One pass serves the null and the negatives where both are all pairs.
    let mut asked_statistics = null_ranks.order_statistics();
    let num_null = asked_statistics.len();
    let negatives: Vec<OrderStatistic> = detections
        .iter()
        .zip(&cosines_of_source)
        .filter_map(|(ranks, &without)| Some((ranks.as_ref()?, without)))
        .flat_map(|(ranks, without)| ranks.0.map(|rank| OrderStatistic { rank, without }))
        .collect();
    let (null_values, negative_values) = match (&sampled, &all_scan) {
        (None, Some(scan)) => {
            asked_statistics.extend(negatives);
            let mut values = all_pairs.order_statistics(scan, &asked_statistics);
            let negative_values = values.split_off(num_null);
            (values, negative_values)
        }
        _ => {
            let of_negatives = match &all_scan {
                Some(scan) => all_pairs.order_statistics(scan, &negatives),
                None => Vec::new(),
            };
            (
                null.order_statistics(null_scan, &asked_statistics),
                of_negatives,
            )
        }
    };
    let (cutoffs, quantiles) = null_ranks.resolve(&null_values);

    let mut negative_values = negative_values.chunks_exact(3);
    let sources = sources
        .iter()
        .zip(&pairs_of_source)
        .zip(cosines_of_source.iter().zip(detections))
        .map(|((source, pairs), (&cosines, detection))| Recall {
            source: source.source().to_owned(),
            thresholds: thresholds
                .iter()
                .zip(&cutoffs)
                .map(|(&thresholds, &cutoffs)| count_hits(cosines, thresholds, cutoffs))
                .collect(),
            mean_query_cosine: (!cosines.is_empty())
                .then(|| cosines.iter().sum::<f64>() / cosines.len() as f64),
            true_positive_rate: detection.map(|ranks| {
                let values = negative_values.next().expect("three values were asked for");
                ranks.rate(values, cosines)
            }),
            pairs: pairs
                .iter()
                .zip(cosines)
                .map(|(&(a, b), &cosine)| QueryPair {
                    entity1: a as u32,
                    entity2: b as u32,
                    cosine,
                })
                .collect(),
        })
        .collect();
    let null = summary(null_scan, quantiles);
    Ok(RecallReport {
        null,
        sources,
        entities,
    })
}

/// Recall of explicit cosines against an explicit null.
///
/// # Errors
/// [`BenchmarkError::InvalidThresholds`];
/// [`BenchmarkError::TooFewValues`] for an empty null.
///
/// # Source
/// EFAAR_benchmarking 1.0 `benchmarking.compute_recall`.
///
/// # Example
/// ```
/// use morphospace_benchmark::compute_recall;
///
/// let null = [1.0, 2.0, 3.0, 4.0, 5.0];
/// let recalls = compute_recall(&null, &[1.0, 5.0], &[(0.1, 0.9), (0.2, 0.8)])?;
/// assert_eq!((recalls[0].recall, recalls[1].recall), (Some(0.0), Some(1.0)));
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn compute_recall(
    null: &[f64],
    query: &[f64],
    thresholds: &[(f64, f64)],
) -> Result<Vec<ThresholdRecall>, BenchmarkError> {
    let thresholds = checked_thresholds(thresholds)?;
    if null.is_empty() {
        return Err(BenchmarkError::TooFewValues {
            what: "the null",
            needed: 1,
            found: 0,
        });
    }
    let mut sorted: Vec<f64> = null.iter().map(|value| value + 0.0).collect();
    sorted.par_sort_unstable_by(f64::total_cmp);
    let ranks = NullRanks::new(sorted.len() as u64, &thresholds);
    let values: Vec<f64> = ranks
        .order_statistics()
        .iter()
        .map(|asked| sorted[asked.rank as usize])
        .collect();
    let (cutoffs, _) = ranks.resolve(&values);
    Ok(thresholds
        .iter()
        .zip(cutoffs)
        .map(|(&thresholds, cutoffs)| count_hits(query, thresholds, cutoffs))
        .collect())
}

fn checked_thresholds(thresholds: &[(f64, f64)]) -> Result<Vec<(f64, f64)>, BenchmarkError> {
    thresholds
        .iter()
        .map(|&(low, high)| {
            let valid = |threshold: f64| (0.0..=1.0).contains(&threshold);
            if valid(low) && valid(high) {
                Ok((low.min(high), low.max(high)))
            } else {
                Err(BenchmarkError::InvalidThresholds { low, high })
            }
        })
        .collect()
}

/// The earlier reference skips a source whose pairs have few different
/// entities on either side.
fn is_skipped(pairs: &[(usize, usize)], options: &RecallOptions) -> bool {
    let RecallNull::Samples { .. } = options.null else {
        return false;
    };
    let num_different = |side: fn(&(usize, usize)) -> usize| {
        pairs.iter().map(side).collect::<BTreeSet<usize>>().len()
    };
    num_different(|pair| pair.0).min(num_different(|pair| pair.1)) < options.min_num_entities
}

fn count_hits(
    cosines: &[f64],
    (low, high): (f64, f64),
    (low_cutoff, high_cutoff): (f64, f64),
) -> ThresholdRecall {
    let mut found = ThresholdRecall {
        low,
        high,
        hits_left: cosines
            .iter()
            .filter(|&&cosine| cosine < low_cutoff)
            .count(),
        hits_right: cosines
            .iter()
            .filter(|&&cosine| cosine > high_cutoff)
            .count(),
        recall: None,
        low_cutoff,
        high_cutoff,
    };
    let hits = cosines
        .iter()
        .filter(|&&cosine| found.is_hit(cosine))
        .count();
    found.recall = (!cosines.is_empty()).then(|| hits as f64 / cosines.len() as f64);
    found
}

fn summary(scan: &Scan, quantiles: Vec<(f64, f64)>) -> NullSummary {
    NullSummary {
        size: scan.size,
        min: scan.min,
        max: scan.max,
        mean: scan.mean,
        quantiles,
    }
}

/// Which order statistics of a null decide hits and quantiles.
///
/// With ranks r = count / size: `r_right(v) <= low` holds for the values
/// below the k-th smallest null value (from 0), k the largest count whose
/// share is at most `low`; `r_left(v) >= high` for those above the
/// (m - 1)-th, m the smallest count whose share is at least `high`.
struct NullRanks {
    size: u64,
    /// (k, m) per pair of thresholds.
    counts: Vec<(u64, u64)>,
    quantiles: Vec<f64>,
}

impl NullRanks {
    fn new(size: u64, thresholds: &[(f64, f64)]) -> Self {
        let counts = thresholds
            .iter()
            .map(|&(low, high)| (largest_count(size, low), smallest_count(size, high)))
            .collect();
        let mut quantiles: Vec<f64> = thresholds
            .iter()
            .flat_map(|&(low, high)| [low, high])
            .collect();
        quantiles.sort_unstable_by(f64::total_cmp);
        quantiles.dedup();
        Self {
            size,
            counts,
            quantiles,
        }
    }

    /// Two per pair of thresholds (the cut-offs), then one per quantile.
    fn order_statistics(&self) -> Vec<OrderStatistic<'static>> {
        let last = self.size - 1;
        let cutoffs = self
            .counts
            .iter()
            .flat_map(|&(k, m)| [k.min(last), m.saturating_sub(1).min(last)]);
        let quantiles = self
            .quantiles
            .iter()
            .map(|&quantile| ((quantile * self.size as f64) as u64).min(last));
        cutoffs
            .chain(quantiles)
            .map(|rank| OrderStatistic { rank, without: &[] })
            .collect()
    }

    #[expect(
        clippy::type_complexity,
        reason = "two lists of pairs, named at the only caller"
    )]
    fn resolve(&self, values: &[f64]) -> (Vec<(f64, f64)>, Vec<(f64, f64)>) {
        let (cutoffs, quantiles) = values.split_at(2 * self.counts.len());
        let cutoffs = cutoffs
            .chunks_exact(2)
            .zip(&self.counts)
            .map(|(values, &(k, m))| {
                let low = if k >= self.size {
                    f64::INFINITY
                } else {
                    values[0]
                };
                let high = if m == 0 { f64::NEG_INFINITY } else { values[1] };
                (low, high)
            })
            .collect();
        let quantiles = self
            .quantiles
            .iter()
            .copied()
            .zip(quantiles.iter().copied())
            .collect();
        (cutoffs, quantiles)
    }
}

/// Largest count whose share of `size` is at most `share`, decided by the
/// same f64 division as the reference.
fn largest_count(size: u64, share: f64) -> u64 {
    let mut count = ((share * size as f64) as u64 + 1).min(size);
    while count > 0 && count as f64 / size as f64 > share {
        count -= 1;
    }
    count
}

/// Smallest count whose share of `size` is at least `share`.
fn smallest_count(size: u64, share: f64) -> u64 {
    let mut count = ((share * size as f64) as u64).saturating_sub(1);
    while (count as f64 / size as f64) < share {
        count += 1;
    }
    count
}

/// Rank below a quantile and the weight of the next rank, as in numpy.
fn interpolation(size: u64, quantile: f64) -> (u64, f64) {
    let at = quantile * (size - 1) as f64;
    (at.floor() as u64, at - at.floor())
}

fn interpolated(below: f64, above: f64, weight: f64) -> f64 {
    below + (above - below) * weight
}

/// Three ranks of the negatives: the largest false positive allowed to lose,
/// and the neighbours of the quantile.
struct DetectionRanks([u64; 3], f64, u64);

impl DetectionRanks {
    fn new(num_pairs: u64, num_positives: usize, false_positive_rate: f64) -> Option<Self> {
        let num_negatives = num_pairs - num_positives as u64;
        if num_positives == 0 || num_negatives == 0 {
            return None;
        }
        let last = num_negatives - 1;
        let allowed = largest_count(num_negatives, false_positive_rate).min(last);
        let (below, weight) = interpolation(num_negatives, 1.0 - false_positive_rate);
        Some(Self(
            [last - allowed, below, (below + 1).min(last)],
            weight,
            num_negatives,
        ))
    }

    fn rate(&self, values: &[f64], positives: &[f64]) -> TruePositiveRate {
        let share_above = |cutoff: f64| {
            positives.iter().filter(|&&cosine| cosine > cutoff).count() as f64
                / positives.len() as f64
        };
        TruePositiveRate {
            on_roc_curve: share_above(values[0]),
            cutoff: values[0],
            above_quantile: share_above(interpolated(values[1], values[2], self.1)),
            num_positives: positives.len(),
            num_negatives: self.2,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_are_decided_by_division() {
        // 0.07 * 100 is 7.000000000000001 and 7 / 100 is 0.07.
        assert_eq!(
            (largest_count(100, 0.07), smallest_count(100, 0.07)),
            (7, 7)
        );
        assert_eq!((largest_count(3, 0.5), smallest_count(3, 0.5)), (1, 2));
        assert_eq!((largest_count(4, 1.0), smallest_count(4, 0.0)), (4, 0));
    }

    #[test]
    fn thresholds_outside_the_unit_interval_are_refused() {
        let error = compute_recall(&[0.0], &[0.0], &[(5.0, 95.0)]).expect_err("per cent");
        assert_eq!(
            error.to_string(),
            "thresholds (5, 95) must lie between 0 and 1"
        );
        assert!(compute_recall(&[0.0], &[0.0], &[(f64::NAN, 0.9)]).is_err());
    }

    proptest! {
        /// The cut-offs say the same as `searchsorted` ranks, ties included.
        #[test]
        fn cutoffs_are_ranks(
            null in prop::collection::vec(-5i8..5, 1..60),
            query in prop::collection::vec(-6i8..6, 1..20),
            low in 0u8..=20, high in 0u8..=20,
        ) {
            let null: Vec<f64> = null.into_iter().map(f64::from).collect();
            let query: Vec<f64> = query.into_iter().map(f64::from).collect();
            let (low, high) = (f64::from(low.min(high)) / 20.0, f64::from(low.max(high)) / 20.0);
            let size = null.len() as f64;
            let share = |holds: &dyn Fn(f64) -> bool| {
                null.iter().filter(|&&value| holds(value)).count() as f64 / size
            };
            let found = compute_recall(&null, &query, &[(low, high)]).expect("valid")[0];
            let left = query.iter().filter(|&&q| share(&|value| value <= q) <= low).count();
            let right = query.iter().filter(|&&q| share(&|value| value < q) >= high).count();
            prop_assert_eq!((found.hits_left, found.hits_right), (left, right));
        }
    }
}
