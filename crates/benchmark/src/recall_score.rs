use crate::{ChanceRecall, RecallIntervals, RecallReport, Score};

/// A report as scores, one per source with pairs and pair of thresholds,
/// named `recall <source> <low> <high>`; with what is known about them: their
/// intervals, and chance under shuffled labels as the null.
///
/// # Example
/// ```
/// use morphospace_benchmark::{
///     EntityMap, RecallOptions, Relationships, random_embeddings, recall_scores,
///     relationship_recall,
/// };
/// use morphospace_core::Seed;
///
/// let labels = (0..30).map(|i| format!("G{i}")).collect();
/// let map = EntityMap::new(labels, random_embeddings(30, 8, Seed::new(1)), 8)?;
/// let known = Relationships::new("made up", [("G1", "G2"), ("G3", "G4")]);
/// let report = relationship_recall(&map, &[known], &RecallOptions::default())?;
/// let scores = recall_scores(&report, None, None, "random", "none");
/// assert_eq!(scores[0].benchmark, "recall made up 0.05 0.95");
/// assert_eq!(scores[0].n, 2);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn recall_scores(
    report: &RecallReport,
    intervals: Option<&RecallIntervals>,
    chance: Option<&[Vec<Option<ChanceRecall>>]>,
    model: &str,
    alignment: &str,
) -> Vec<Score> {
    let mut scores = Vec::new();
    for (source_index, source) in report.sources.iter().enumerate() {
        for (threshold_index, threshold) in source.thresholds.iter().enumerate() {
            let Some(recall) = threshold.recall else {
                continue;
            };
            let benchmark = format!(
                "recall {} {} {}",
                source.source, threshold.low, threshold.high
            );
            let mut score = Score::new(benchmark, model, alignment, recall, source.num_query())
                .with_setting("null_size", report.null.size)
                .with_setting("num_entities", report.entities.len());
            if let Some(intervals) = intervals {
                score = score.with_setting("null_resampled", intervals.null_resampled);
                if let Some(interval) = intervals.intervals[source_index][threshold_index] {
                    score = score.with_interval(interval);
                }
            }
            if let Some(chance) = chance.and_then(|all| all[source_index][threshold_index]) {
                score = score
                    .with_null(chance.mean)
                    .with_setting("null_standard_deviation", chance.standard_deviation);
            }
            scores.push(score);
        }
    }
    scores
}
