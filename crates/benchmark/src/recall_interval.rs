use std::collections::{HashMap, HashSet};

use rand::RngExt;
use rayon::prelude::*;

use morphospace_core::Seed;

use crate::cosine_population::CosinePopulation;
use crate::{
    BenchmarkError, Bootstrap, EntityMap, Interval, QueryPair, RecallNull, RecallOptions,
    RecallReport, Relationships, relationship_recall,
};

/// Nulls of at most this many pairs are resampled with the entities; larger
/// ones are held fixed, since their tails then hardly move.
const MAX_RESAMPLED_NULL: u64 = 1 << 22;

/// How recall behaves when the entities of the map are drawn anew.
#[derive(Clone, Debug, PartialEq)]
pub struct RecallIntervals {
    /// `[source][threshold]`; `None` where a source has no pairs.
    pub intervals: Vec<Vec<Option<Interval>>>,
    /// Whether the null was resampled too (maps of up to about 2,900
    /// entities against all pairs) or held fixed.
    pub null_resampled: bool,
}

/// Bootstrap intervals of recall over the entities of a map.
///
/// Each resample draws as many entities as the map has, with replacement; a
/// pair counts as often as its first entity was drawn times its second
/// (copies of one entity make no pair). Entities are drawn in the order of
/// their labels, so the order of rows does not matter. Compared with a
/// bootstrap of pairs this respects that the pairs of one entity stand or
/// fall together.
///
/// The product of two counts varies three times as much as a pair drawn by
/// itself, so that where pairs hardly share entities the interval would be up to
/// 1.7 times too wide (it covered the truth in 99.8 % of simulated maps). The
/// deviations of the resamples are therefore scaled to the standard error that
/// takes pairs as dependent where they share an entity; never to less than that of
/// independent pairs.
///
/// # Source
/// Snijders & Borgatti 1999, "Non-parametric standard errors and tests for
/// network statistics" (the vertex bootstrap); Aronow, Samii & Assenova 2015,
/// <https://doi.org/10.1093/pan/mpv018> (standard errors of pairs). That 95 % of
/// the intervals cover the truth is tested in `tests/it/coverage.rs`.
pub fn recall_intervals(
    map: &EntityMap,
    report: &RecallReport,
    options: &RecallOptions,
    bootstrap: &Bootstrap,
) -> RecallIntervals {
    let resampler = Resampler::new(map, report, options);
    let resamples = resampler.run(bootstrap);
    RecallIntervals {
        intervals: resampler.by_source(&resamples, bootstrap),
        null_resampled: resampler.null.is_some(),
    }
}

/// Bootstrap interval of a source's [`TruePositiveRate`](crate::TruePositiveRate) on
/// the ROC curve over the entities of the map, as in [`recall_intervals`]; the cosine
/// that unknown pairs set is held fixed. `None` where the source has no such rate.
pub fn true_positive_interval(
    report: &RecallReport,
    source_index: usize,
    bootstrap: &Bootstrap,
) -> Option<Interval> {
    let source = &report.sources[source_index];
    let rate = source.true_positive_rate?;
    let cutoff = rate.cutoff;
    let spread = spread_of_pairs(&source.pairs, report.entities.len(), |_, pair| {
        f64::from(u8::from(pair.cosine > cutoff)) - rate.on_roc_curve
    });
    let rates = (0..bootstrap.num_resamples).into_par_iter().map(|index| {
        let weights = bootstrap.weights(index, report.entities.len());
        let (mut found, mut all) = (0, 0);
        for pair in &source.pairs {
            let weight = u64::from(weights[pair.entity1 as usize])
                * u64::from(weights[pair.entity2 as usize]);
            all += weight;
            found += weight * u64::from(pair.cosine > cutoff);
        }
        let resampled = found as f64 / all as f64;
        (rate.on_roc_curve + spread * (resampled - rate.on_roc_curve)).clamp(0.0, 1.0)
    });
    bootstrap.interval(rates.collect())
}

/// Recall by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChanceRecall {
    /// Mean over shuffles.
    pub mean: f64,
    /// Standard deviation over shuffles (n - 1); 0 for a single shuffle.
    pub standard_deviation: f64,
}

/// Recall of the same relationships after the labels of the map are
/// shuffled, `[source][threshold]`; `None` where a source has no pairs.
///
/// The null is the same set of cosines, so its cut-offs stay.
pub fn shuffled_recall(
    map: &EntityMap,
    report: &RecallReport,
    num_shuffles: usize,
    seed: Seed,
) -> Vec<Vec<Option<ChanceRecall>>> {
    let rows = rows_of_entities(map, report);
    let recalls: Vec<Vec<Vec<f64>>> = (0..num_shuffles)
        .into_par_iter()
        .map(|shuffle| {
            let mut rng = seed.split_index(shuffle as u64).rng();
            let mut shuffled = rows.clone();
            for i in (1..shuffled.len()).rev() {
                shuffled.swap(i, rng.random_range(0..=i));
            }
            report
                .sources
                .iter()
                .map(|source| {
                    let cosines: Vec<f64> = source
                        .pairs
                        .iter()
                        .map(|pair| {
                            map.cosine(
                                shuffled[pair.entity1 as usize],
                                shuffled[pair.entity2 as usize],
                            )
                        })
                        .collect();
                    let share = |is_hit: &dyn Fn(f64) -> bool| {
                        cosines.iter().filter(|&&cosine| is_hit(cosine)).count() as f64
                            / cosines.len() as f64
                    };
                    source
                        .thresholds
                        .iter()
                        .map(|threshold| share(&|cosine| threshold.is_hit(cosine)))
                        .collect()
                })
                .collect()
        })
        .collect();
    report
        .sources
        .iter()
        .enumerate()
        .map(|(source_index, source)| {
            (0..source.thresholds.len())
                .map(|threshold_index| {
                    let values: Vec<f64> = recalls
                        .iter()
                        .map(|recall| recall[source_index][threshold_index])
                        .collect();
                    chance(&values).filter(|_| !source.pairs.is_empty())
                })
                .collect()
        })
        .collect()
}

fn chance(values: &[f64]) -> Option<ChanceRecall> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let standard_deviation = if values.len() > 1 {
        (squares / (n - 1.0)).sqrt()
    } else {
        0.0
    };
    (!values.is_empty()).then_some(ChanceRecall {
        mean,
        standard_deviation,
    })
}

/// Recall of two maps of the same entities, resample by resample.
#[derive(Clone, Debug, PartialEq)]
pub struct RecallComparison {
    /// The source.
    pub source: String,
    /// Lower and upper quantile.
    pub thresholds: (f64, f64),
    /// Recall of the first map.
    pub first: f64,
    /// Recall of the second map.
    pub second: f64,
    /// `second - first`.
    pub difference: f64,
    /// Interval of the difference; both maps saw the same resamples.
    pub interval: Option<Interval>,
    /// Pairs scored.
    pub num_query: usize,
    /// Entities the maps share.
    pub num_entities: usize,
}

/// Compares two maps (two models, before and after alignment) on the
/// entities they share: recall of each, their difference, and a paired
/// bootstrap interval. Sources without pairs are left out.
///
/// # Errors
/// As [`relationship_recall`], for the maps restricted to shared entities.
pub fn compare_recall(
    first: &EntityMap,
    second: &EntityMap,
    sources: &[Relationships],
    options: &RecallOptions,
    bootstrap: &Bootstrap,
) -> Result<Vec<RecallComparison>, BenchmarkError> {
    let labels = |map: &EntityMap| map.labels().iter().cloned().collect::<HashSet<String>>();
    let (in_first, in_second) = (labels(first), labels(second));
    let first = first.filter(|label| in_second.contains(label));
    let second = second.filter(|label| in_first.contains(label));
    let first_report = relationship_recall(&first, sources, options)?;
    let second_report = relationship_recall(&second, sources, options)?;
    let (first_resamples, second_resamples) = (
        Resampler::new(&first, &first_report, options).run(bootstrap),
        Resampler::new(&second, &second_report, options).run(bootstrap),
    );
    let mut comparisons = Vec::new();
    for (source_index, source) in first_report.sources.iter().enumerate() {
        let thresholds = source
            .thresholds
            .iter()
            .zip(&second_report.sources[source_index].thresholds);
        for (threshold_index, (a, b)) in thresholds.enumerate() {
            let (Some(first), Some(second)) = (a.recall, b.recall) else {
                continue;
            };
            let in_second = &second_report.sources[source_index].pairs;
            let num_entities = first_report.entities.len();
            let spread = spread_of_pairs(&source.pairs, num_entities, |index, pair| {
                let hit = |is_hit: bool| f64::from(u8::from(is_hit));
                let gain = hit(b.is_hit(in_second[index].cosine)) - hit(a.is_hit(pair.cosine));
                gain - (second - first)
            });
            let at = |resample: &[Vec<f64>]| resample[source_index][threshold_index];
            let resamples = first_resamples.iter().zip(&second_resamples);
            let differences = resamples
                .map(|(a, b)| second - first + spread * (at(b) - at(a) - (second - first)))
                .collect();
            comparisons.push(RecallComparison {
                source: source.source.clone(),
                thresholds: (a.low, a.high),
                first,
                second,
                difference: second - first,
                interval: bootstrap.interval(differences),
                num_query: source.num_query(),
                num_entities: first_report.entities.len(),
            });
        }
    }
    Ok(comparisons)
}

fn rows_of_entities(map: &EntityMap, report: &RecallReport) -> Vec<usize> {
    let rows = map.rows_by_label();
    report
        .entities
        .iter()
        .map(|label| rows[label.as_str()].first)
        .collect()
}

/// Recall under given weights of the entities.
struct Resampler<'a> {
    report: &'a RecallReport,
    null: Option<SortedNull>,
}

/// All pairs of a small map in the order of their cosines.
struct SortedNull {
    cosines: Vec<f64>,
    entities: Vec<(u32, u32)>,
    /// Rows per entity: labels that no relationship asks for may repeat.
    num_rows: Vec<u32>,
}

impl<'a> Resampler<'a> {
    fn new(map: &EntityMap, report: &'a RecallReport, options: &RecallOptions) -> Self {
        let is_small =
            options.null == RecallNull::AllPairs && report.null.size <= MAX_RESAMPLED_NULL;
        Self {
            report,
            null: is_small.then(|| SortedNull::new(map, report)),
        }
    }

    /// `[resample][source][threshold]`; NaN where no pair was drawn.
    fn run(&self, bootstrap: &Bootstrap) -> Vec<Vec<Vec<f64>>> {
        (0..bootstrap.num_resamples)
            .into_par_iter()
            .map(|index| self.recalls(&bootstrap.weights(index, self.report.entities.len())))
            .collect()
    }

    fn recalls(&self, weights: &[u32]) -> Vec<Vec<f64>> {
        self.report
            .sources
            .iter()
            .map(|source| {
                let mut thresholds = source.thresholds.clone();
                if let Some(null) = &self.null {
                    for threshold in &mut thresholds {
                        (threshold.low_cutoff, threshold.high_cutoff) =
                            null.cutoffs(weights, threshold.low, threshold.high);
                    }
                }
                let mut hits = vec![0; thresholds.len()];
                let mut total = 0;
                for pair in &source.pairs {
                    let weight = u64::from(weights[pair.entity1 as usize])
                        * u64::from(weights[pair.entity2 as usize]);
                    total += weight;
                    for (hits, threshold) in hits.iter_mut().zip(&thresholds) {
                        *hits += weight * u64::from(threshold.is_hit(pair.cosine));
                    }
                }
                hits.into_iter()
                    .map(|hits: u64| hits as f64 / total as f64)
                    .collect()
            })
            .collect()
    }

    fn by_source(
        &self,
        resamples: &[Vec<Vec<f64>>],
        bootstrap: &Bootstrap,
    ) -> Vec<Vec<Option<Interval>>> {
        self.report
            .sources
            .iter()
            .enumerate()
            .map(|(source_index, source)| {
                (0..source.thresholds.len())
                    .map(|threshold_index| {
                        let threshold = source.thresholds[threshold_index];
                        let recall = threshold.recall?;
                        let num_entities = self.report.entities.len();
                        let spread = spread_of_pairs(&source.pairs, num_entities, |_, pair| {
                            f64::from(u8::from(threshold.is_hit(pair.cosine))) - recall
                        });
                        let values = resamples
                            .iter()
                            .map(|recalls| recalls[source_index][threshold_index])
                            .map(|resampled| {
                                (recall + spread * (resampled - recall)).clamp(0.0, 1.0)
                            })
                            .collect();
                        bootstrap.interval(values)
                    })
                    .collect()
            })
            .collect()
    }
}

/// Standard error of a mean over pairs that are dependent where they share an
/// entity, as a share of what resampling entities gives: from 0.58, where none
/// shares one, to 1, where all share many.
///
/// With deviations `e` of the pairs and their sums `S` over each entity's pairs the
/// former is `sum S² - sum e²` (in `sum S²` every pair meets itself twice), and the
/// latter `sum S² + sum e²`, for the product of two counts has variance 3.
fn spread_of_pairs(
    pairs: &[QueryPair],
    num_entities: usize,
    deviation: impl Fn(usize, &QueryPair) -> f64,
) -> f64 {
    let mut of_entity = vec![0.0; num_entities];
    let mut squares = 0.0;
    for (index, pair) in pairs.iter().enumerate() {
        let deviation = deviation(index, pair);
        of_entity[pair.entity1 as usize] += deviation;
        of_entity[pair.entity2 as usize] += deviation;
        squares += deviation * deviation;
    }
    let sums: f64 = of_entity.iter().map(|sum| sum * sum).sum();
    match squares > 0.0 {
        true => ((sums - squares).max(squares) / (sums + squares)).sqrt(),
        false => 1.0,
    }
}

impl SortedNull {
    fn new(map: &EntityMap, report: &RecallReport) -> Self {
        let entity_of_label: HashMap<&str, u32> = report
            .entities
            .iter()
            .enumerate()
            .map(|(index, label)| (label.as_str(), index as u32))
            .collect();
        let entity_of_row: Vec<u32> = map
            .labels()
            .iter()
            .map(|label| entity_of_label[label.as_str()])
            .collect();
        let mut num_rows = vec![0; report.entities.len()];
        for &entity in &entity_of_row {
            num_rows[entity as usize] += 1;
        }
        let num_entities = map.num_entities();
        let pairs: Vec<(usize, usize)> = (0..num_entities)
            .flat_map(|i| (i + 1..num_entities).map(move |j| (i, j)))
            .collect();
        // The same blocks as in the score itself, so that a known pair ties
        // with itself in the null.
        let cosines = CosinePopulation::all_pairs(map).scan(&pairs, &[]).gathered;
        let mut order: Vec<u32> = (0..pairs.len() as u32).collect();
        order.par_sort_unstable_by(|&a, &b| {
            cosines[a as usize]
                .total_cmp(&cosines[b as usize])
                .then(a.cmp(&b))
        });
        Self {
            cosines: order.iter().map(|&index| cosines[index as usize]).collect(),
            entities: order
                .iter()
                .map(|&index| {
                    let (i, j) = pairs[index as usize];
                    (entity_of_row[i], entity_of_row[j])
                })
                .collect(),
            num_rows,
        }
    }

    /// Cut-offs of the weighted null: the largest cosines whose weighted
    /// share is still at most `low`, and likewise from above. Only the tails
    /// are walked.
    fn cutoffs(&self, weights: &[u32], low: f64, high: f64) -> (f64, f64) {
        let weight = |at: usize| {
            let (a, b) = self.entities[at];
            u64::from(weights[a as usize]) * u64::from(weights[b as usize])
        };
        let (mut sum, mut squares) = (0_u64, 0_u64);
        for (&weight, &num_rows) in weights.iter().zip(&self.num_rows) {
            let (weight, num_rows) = (u64::from(weight), u64::from(num_rows));
            sum += weight * num_rows;
            squares += weight * weight * num_rows;
        }
        let total = ((sum * sum - squares) / 2) as f64;
        let n = self.cosines.len();

        let (mut at, mut below) = (0, 0);
        let mut low_cutoff = f64::INFINITY;
        while at < n {
            let value = self.cosines[at];
            while at < n && self.cosines[at] == value {
                below += weight(at);
                at += 1;
            }
            if below as f64 / total > low {
                low_cutoff = value;
                break;
            }
        }
        // From above: a value is a hit while what lies below it is enough.
        let (mut at, mut from_here) = (n, 0);
        let mut high_cutoff = f64::NEG_INFINITY;
        while at > 0 {
            let value = self.cosines[at - 1];
            while at > 0 && self.cosines[at - 1] == value {
                from_here += weight(at - 1);
                at -= 1;
            }
            if (total - from_here as f64) / total < high {
                high_cutoff = value;
                break;
            }
        }
        (low_cutoff, high_cutoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 entities around six directions; the planted pairs share one.
    fn planted() -> (EntityMap, Relationships) {
        let mut rng = Seed::new(5).rng();
        let labels: Vec<String> = (0..30).map(|i| format!("G{i:02}")).collect();
        let mut values = Vec::new();
        for i in 0..30 {
            for feature in 0..6 {
                let noise: f64 = rng.random_range(-1.0..1.0);
                values.push(noise + if feature == i / 5 { 2.0 } else { 0.0 });
            }
        }
        let pairs = (0..30).flat_map(|i| {
            (i + 1..30)
                .filter(move |j| j / 5 == i / 5)
                .map(move |j| (format!("G{i:02}"), format!("G{j:02}")))
        });
        (
            EntityMap::new(labels, values, 6).expect("finite"),
            Relationships::new("planted", pairs),
        )
    }

    #[test]
    fn weights_of_one_reproduce_the_recall() {
        let (map, known) = planted();
        let options = RecallOptions::default();
        let report = relationship_recall(&map, &[known], &options).expect("scored");
        let resampler = Resampler::new(&map, &report, &options);
        assert!(resampler.null.is_some());
        let found = resampler.recalls(&[1; 30]);
        for (found, threshold) in found[0].iter().zip(&report.sources[0].thresholds) {
            assert_eq!(Some(*found), threshold.recall);
        }
    }

    #[test]
    fn intervals_hold_the_estimate_and_not_chance() {
        let (map, known) = planted();
        let options = RecallOptions::default();
        let report = relationship_recall(&map, &[known], &options).expect("scored");
        let bootstrap = Bootstrap {
            num_resamples: 200,
            ..Bootstrap::new(Seed::new(3))
        };
        let intervals = recall_intervals(&map, &report, &options, &bootstrap);
        let interval = intervals.intervals[0][1].expect("has pairs");
        let recall = report.sources[0].thresholds[1].recall.expect("has pairs");
        let by_chance = shuffled_recall(&map, &report, 50, Seed::new(4))[0][1].expect("has pairs");
        assert!(interval.contains(recall), "{interval:?} {recall}");
        assert!((by_chance.mean - 0.2).abs() < 0.05, "{by_chance:?}");
        assert!(
            !interval.contains(by_chance.mean),
            "{interval:?} {by_chance:?}"
        );
    }

    #[test]
    fn true_positives_have_an_interval_around_them() {
        let (map, known) = planted();
        let none = Relationships::new("none", [("X", "Y")]);
        let options = RecallOptions::default();
        let report = relationship_recall(&map, &[known, none], &options).expect("scored");
        let bootstrap = Bootstrap::new(Seed::new(3));
        let rate = report.sources[0].true_positive_rate.expect("has pairs");
        let interval = true_positive_interval(&report, 0, &bootstrap).expect("has pairs");
        assert!(
            interval.contains(rate.on_roc_curve),
            "{interval:?} {rate:?}"
        );
        assert!(interval.low > 0.05, "{interval:?}");
        assert_eq!(true_positive_interval(&report, 1, &bootstrap), None);
    }

    #[test]
    fn a_map_compared_with_itself_differs_by_nothing() {
        let (map, known) = planted();
        let options = RecallOptions::default();
        let bootstrap = Bootstrap {
            num_resamples: 50,
            ..Bootstrap::new(Seed::new(3))
        };
        let found = compare_recall(&map, &map, &[known], &options, &bootstrap).expect("scored");
        assert_eq!(found.len(), 2);
        for comparison in found {
            assert_eq!(comparison.difference, 0.0);
            assert_eq!(
                comparison.interval,
                Some(Interval {
                    low: 0.0,
                    high: 0.0
                })
            );
        }
    }
}
