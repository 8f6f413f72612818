//! The scores of one set of profiles under one alignment.

use std::collections::{BTreeSet, HashSet};

use anyhow::Result;
use morphospace_benchmark::{
    Bootstrap, EntityMap, LabelClassifier, Recall, RecallNull, RecallOptions, Relationships,
    ReplicateNull, Score, WellTable, predict_column, recall_intervals, relationship_recall,
    replicate_consistency, replicate_consistency_interval, shuffled_recall,
    shuffled_replicate_consistency, true_positive_interval,
};
use morphospace_core::{ControlRole, Seed};
use morphospace_map::{
    Aggregate, AlignMethod, ControlRule, aggregate, align_profiles, seen_from_controls,
};
use morphospace_profiles::Profiles;

/// First words of the scores for recall of known relationships; see
/// [`recall_name`].
pub const RECALL: &str = "relationship recall";
/// Name of the score for agreement of replicates.
pub const REPLICATES: &str = "replicate consistency (KS)";
/// Name of the score for how well the batch is told by nearest neighbours.
pub const BATCH_NEIGHBOURS: &str = "batch prediction (15 nearest neighbours)";
/// Name of the score for how well the batch is told by a linear probe.
pub const BATCH_LINEAR: &str = "batch prediction (linear)";

/// Shuffles behind a chance level.
const NUM_SHUFFLES: usize = 100;
/// Where relationships have so many pairs that fewer shuffles tell their mean, these
/// many pairs in all, but no fewer than so many shuffles.
const SHUFFLED_PAIRS: usize = 2_000_000;
const MIN_SHUFFLES: usize = 10;

/// What is scored and how.
#[derive(Clone, Debug)]
pub struct Evaluation<'a> {
    /// Who made the profiles.
    pub model: &'a str,
    /// Column of the batch.
    pub batch_column: &'a str,
    /// Column of the map's entities.
    pub entity_column: &'a str,
    /// Known relationships between entities.
    pub relationships: &'a [Relationships],
    /// Which rows are negative controls.
    pub controls: ControlRule,
    /// Seed of bootstraps, nulls and folds.
    pub seed: Seed,
}

impl Evaluation<'_> {
    /// Profiles after an alignment, or as they are.
    ///
    /// # Errors
    /// The alignment was refused.
    pub fn align(&self, profiles: &Profiles, method: Option<&AlignMethod>) -> Result<Profiles> {
        Ok(match method {
            None => profiles.clone(),
            Some(method) => align_profiles(profiles, self.batch_column, &self.controls, method)?,
        })
    }

    /// One row per entity of the treatments: the mean of all its wells, seen
    /// from the mean of the negative controls. Wells of no entity, as controls may
    /// be, have no row. A table that has one row per entity and no column of controls
    /// is such a map already.
    ///
    /// # Errors
    /// A column is missing or a value not finite.
    pub fn entity_map(&self, aligned: &Profiles) -> Result<Profiles> {
        if self.is_entity_map(aligned)? {
            aligned.check_finite()?;
            return Ok(aligned.clone());
        }
        let seen = seen_from_controls(&self.without_positive_controls(aligned)?, &self.controls)?;
        let entities = seen.text(self.entity_column)?;
        let has_entity: Vec<usize> = (0..seen.num_rows())
            .filter(|row| entities[*row].is_some())
            .collect();
        let all = aggregate(
            &seen.select_rows(&has_entity),
            &Aggregate::by([self.entity_column]),
        )?;
        // Controls are no entities of the map: their label is any control's.
        let is_control = self.controls.select(aligned)?;
        let keys = aligned.text(self.entity_column)?;
        let control_keys: Vec<&String> = keys
            .iter()
            .zip(&is_control)
            .filter(|(_, is_control)| **is_control)
            .filter_map(|(key, _)| key.as_ref())
            .collect();
        let names = all.keys(self.entity_column)?;
        let kept: Vec<usize> = (0..all.num_rows())
            .filter(|row| !control_keys.contains(&&names[*row]))
            .collect();
        Ok(all.select_rows(&kept))
    }

    fn is_entity_map(&self, profiles: &Profiles) -> Result<bool> {
        let entities = profiles.text(self.entity_column)?;
        let distinct: HashSet<&String> = entities.iter().flatten().collect();
        Ok(distinct.len() == profiles.num_rows() && !profiles.has_column(&self.controls.column))
    }

    fn without_positive_controls(&self, profiles: &Profiles) -> Result<Profiles> {
        let Ok(roles) = profiles.text("Metadata_control_role") else {
            return Ok(profiles.clone());
        };
        let positive = ControlRole::PositiveControl.as_str();
        let kept: Vec<usize> = (0..profiles.num_rows())
            .filter(|row| roles[*row].as_deref() != Some(positive))
            .collect();
        Ok(profiles.select_rows(&kept))
    }

    /// Recall of known relationships in the map of entities, per source and
    /// pair of thresholds, with its chance level and a bootstrap interval
    /// over entities.
    ///
    /// # Errors
    /// There are too few entities, or a column is missing.
    pub fn relationship_recall(
        &self,
        aligned: &Profiles,
        alignment: &str,
        settings: &RecallSettings,
    ) -> Result<Vec<Score>> {
        let table = self.entity_map(aligned)?;
        let map = EntityMap::from_profiles(&table, self.entity_column)?;
        let named = [self.model, alignment];
        recall_scores(&map, self.relationships, settings, named, self.seed)
    }

    /// How well the batch of a well is told from its profile.
    ///
    /// # Errors
    /// There is a single batch, or a column is missing.
    pub fn batch_prediction(&self, aligned: &Profiles, alignment: &str) -> Result<Vec<Score>> {
        let seed = self.seed.split("batch prediction");
        let classifiers = [
            (BATCH_NEIGHBOURS, LabelClassifier::nearest_neighbours()),
            (
                BATCH_LINEAR,
                LabelClassifier::quick_probe(seed.split("folds")),
            ),
        ];
        let mut scores = Vec::new();
        for (name, classifier) in classifiers {
            let found = predict_column(aligned, self.batch_column, &classifier)?;
            let n = found.truth.len();
            let score = Score::new(name, self.model, alignment, found.balanced_accuracy, n)
                .with_null(found.chance)
                .with_seed(seed);
            let interval = found.interval(&Bootstrap::new(seed.split("bootstrap")));
            scores.push(match interval {
                Some(interval) => score.with_interval(interval),
                None => score,
            });
        }
        Ok(scores)
    }

    /// Agreement of replicate batches: each perturbation's mean profile in
    /// one batch against the same in another, compared with random pairs.
    ///
    /// # Errors
    /// There is a single batch, or a column is missing.
    pub fn replicate_consistency(&self, aligned: &Profiles, alignment: &str) -> Result<Score> {
        let wells = self.replicate_wells(aligned)?;
        let pairs = all_pairs(&aligned.keys(self.batch_column)?);
        replicate_score(&wells, &pairs, self.model, alignment, self.seed)
    }

    /// Each perturbation's mean profile in each batch.
    pub(crate) fn replicate_wells(&self, aligned: &Profiles) -> Result<WellTable> {
        let treatments = self.without_positive_controls(aligned)?;
        let is_control = self.controls.select(&treatments)?;
        let labels = treatments.text(self.entity_column)?;
        let kept: Vec<usize> = (0..treatments.num_rows())
            .filter(|row| !is_control[*row] && labels[*row].is_some())
            .collect();
        let settings = Aggregate::by([self.batch_column, self.entity_column]);
        let means = aggregate(&treatments.select_rows(&kept), &settings)?;
        let entity = self.entity_column;
        Ok(WellTable::from_profiles(
            &means,
            self.batch_column,
            entity,
            entity,
        )?)
    }
}

/// Every pair of distinct values, in order.
pub fn all_pairs(values: &[String]) -> Vec<(String, String)> {
    let mut distinct: Vec<&String> = values.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let mut pairs = Vec::new();
    for (index, first) in distinct.iter().enumerate() {
        for second in &distinct[index + 1..] {
            pairs.push(((*first).clone(), (*second).clone()));
        }
    }
    pairs
}

/// `relationship recall 5/95` for the tails below 0.05 and above 0.95.
pub fn recall_name(low: f64, high: f64) -> String {
    format!("{RECALL} {}/{}", per_cent(low), per_cent(high))
}

/// Per cent without the rounding errors of 100 * 0.95.
fn per_cent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

/// How recall is found.
#[derive(Clone, Debug, PartialEq)]
pub struct RecallSettings {
    /// Shares of the null below and above which a pair is found.
    pub thresholds: Vec<(f64, f64)>,
    /// Compare with pairs between two samples of entities, not with all pairs.
    pub sampled_null: bool,
    /// Also tell how many known pairs lie above all but this share of the others.
    pub false_positive_rate: Option<f64>,
    /// Only these entities.
    pub entities: Option<BTreeSet<String>>,
    /// Maps of fewer entities are refused.
    pub min_num_entities: usize,
}

impl Default for RecallSettings {
    fn default() -> Self {
        Self {
            thresholds: RecallOptions::default().thresholds,
            sampled_null: false,
            false_positive_rate: None,
            entities: None,
            min_num_entities: RecallOptions::default().min_num_entities,
        }
    }
}

impl RecallSettings {
    /// The map of the entities asked for, and how recall is found in it.
    fn options(&self, map: &EntityMap, seed: Seed) -> (EntityMap, RecallOptions) {
        let map = match &self.entities {
            Some(entities) => map.filter(|label| entities.contains(label)),
            None => map.clone(),
        };
        let null = match self.sampled_null {
            true => RecallNull::draw_samples(&map, RecallNull::SAMPLE_SIZE, seed.split("null")),
            false => RecallNull::AllPairs,
        };
        let options = RecallOptions {
            thresholds: self.thresholds.clone(),
            null,
            false_positive_rate: self.false_positive_rate,
            min_num_entities: self.min_num_entities,
        };
        (map, options)
    }
}

/// Recall of each source at each pair of thresholds as scores, of a model and an
/// alignment.
///
/// # Errors
/// There are too few entities.
pub fn recall_scores(
    map: &EntityMap,
    relationships: &[Relationships],
    settings: &RecallSettings,
    [model, alignment]: [&str; 2],
    seed: Seed,
) -> Result<Vec<Score>> {
    let seed = seed.split("relationship recall");
    let (map, options) = settings.options(map, seed);
    let report = relationship_recall(&map, relationships, &options)?;
    let bootstrap = Bootstrap::new(seed.split("bootstrap"));
    let intervals = recall_intervals(&map, &report, &options, &bootstrap);
    let num_pairs: usize = report.sources.iter().map(Recall::num_query).sum();
    let num_shuffles = (SHUFFLED_PAIRS / num_pairs.max(1)).clamp(MIN_SHUFFLES, NUM_SHUFFLES);
    let chance = shuffled_recall(&map, &report, num_shuffles, seed.split("shuffle"));
    let mut scores = Vec::new();
    for (source_index, source) in report.sources.iter().enumerate() {
        let score = |name: String, value: f64| {
            Score::new(name, model, alignment, value, source.num_query())
                .with_seed(seed)
                .with_setting("source", &source.source)
                .with_setting("num_entities", report.entities.len())
        };
        for (index, threshold) in source.thresholds.iter().enumerate() {
            let Some(recall) = threshold.recall else {
                continue;
            };
            let (low, high) = (threshold.low, threshold.high);
            let mut score = score(recall_name(low, high), recall)
                .with_setting("thresholds", format!("{low}, {high}"))
                .with_setting(
                    "null",
                    match settings.sampled_null {
                        true => "pairs between two samples of entities",
                        false => "all pairs of entities",
                    },
                );
            if let Some(chance) = chance[source_index][index] {
                score = score.with_null(chance.mean);
            }
            if let Some(interval) = intervals.intervals[source_index][index] {
                score = score.with_interval(interval);
            }
            scores.push(score);
        }
        if let (Some(found), Some(rate)) = (source.true_positive_rate, settings.false_positive_rate)
        {
            let name = format!("recall at {} % false positives", per_cent(rate));
            let score = score(name, found.on_roc_curve).with_null(rate);
            let interval = true_positive_interval(&report, source_index, &bootstrap);
            scores.push(match interval {
                Some(interval) => score.with_interval(interval),
                None => score,
            });
        }
    }
    Ok(scores)
}

/// Replicate consistency as a score: the median over pairs of the
/// Kolmogorov-Smirnov statistic, with what it is where replicates agree no
/// better than random pairs.
///
/// # Errors
/// A pair shares no perturbation.
pub fn replicate_score(
    wells: &WellTable,
    pairs: &[(String, String)],
    model: &str,
    alignment: &str,
    seed: Seed,
) -> Result<Score> {
    let seed = seed.split("replicate consistency");
    let null = ReplicateNull::Drawn(seed.split("null"));
    let found = replicate_consistency(wells, pairs, &null)?;
    let n = found.pairs.iter().map(|pair| pair.matched.len()).sum();
    let mean = |value: &dyn Fn(&morphospace_benchmark::ReplicatePair) -> f64| {
        found.pairs.iter().map(value).sum::<f64>() / found.pairs.len() as f64
    };
    let chance = shuffled_replicate_consistency(&found, NUM_SHUFFLES, seed.split("shuffle"));
    let score = Score::new(
        REPLICATES,
        model,
        alignment,
        found.median_kolmogorov_smirnov,
        n,
    )
    .with_seed(seed)
    .with_null(chance)
    .with_setting("num_pairs", found.pairs.len())
    .with_setting(
        "median_cramer_von_mises",
        format!("{:.4}", found.median_cramer_von_mises),
    )
    .with_setting(
        "mean_matched_cosine",
        format!("{:.3}", mean(&|pair| pair.mean_query())),
    )
    .with_setting(
        "mean_null_cosine",
        format!("{:.3}", mean(&|pair| pair.mean_null())),
    );
    let bootstrap = Bootstrap::new(seed.split("bootstrap"));
    Ok(match replicate_consistency_interval(&found, &bootstrap) {
        Some(interval) => score.with_interval(interval),
        None => score,
    })
}
