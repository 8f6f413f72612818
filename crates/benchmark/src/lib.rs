//! The scores of the papers, with their nulls and confidence intervals.
//!
//! | question | function | result |
//! |---|---|---|
//! | do known partners lie together? | [`relationship_recall`] | [`RecallReport`] |
//! | how sure is that? | [`recall_intervals`], [`shuffled_recall`], [`compare_recall`] | [`Interval`], [`ChanceRecall`], [`RecallComparison`] |
//! | do members of a complex lie together? | [`cluster_benchmark`] | [`ClusterScore`] |
//! | do replicates agree? | [`replicate_consistency`] | [`ReplicateConsistency`] |
//! | can the batch be told? | [`predict_batch`] | [`BatchPrediction`] |
//! | do classes lie together? | [`NearestNeighbours`] | predicted classes |
//! | how sure is a share of right answers? | [`binomial_interval`] | [`Interval`] |
//! | can the perturbation be told linearly? | [`LinearProbe`] | [`balanced_accuracy`] |
//!
//! Scores are computed in f64 and do not depend on the number of threads.
//! Every random element takes a [`morphospace_core::Seed`]. Every number ends
//! as a [`Score`] in a `scores.json` ([`Scores`]).

mod baselines;
mod batch_prediction;
mod binomial_interval;
mod bootstrap;
mod cluster;
mod cosine_population;
mod entity_map;
mod error;
mod kolmogorov;
mod logistic_regression;
mod nearest_neighbours;
mod probe;
mod recall;
mod recall_interval;
mod relationships;
mod replicate_consistency;
mod score;
mod standard_scaler;
mod two_sample;

pub use baselines::random_embeddings;
pub use batch_prediction::{
    BatchClassifier, BatchPrediction, predict_batch, predict_batch_of_profiles,
};
pub use binomial_interval::binomial_interval;
pub use bootstrap::{Bootstrap, Interval};
pub use cluster::{Cluster, ClusterScore, cluster_benchmark, read_clusters};
pub use entity_map::EntityMap;
pub use error::BenchmarkError;
pub use logistic_regression::{ClassWeight, FittedLogisticRegression, LogisticRegression};
pub use nearest_neighbours::NearestNeighbours;
pub use probe::{LinearProbe, balanced_accuracy};
pub use recall::{
    NullSummary, QueryPair, Recall, RecallNull, RecallOptions, RecallReport, ThresholdRecall,
    TruePositiveRate, compute_recall, relationship_recall,
};
pub use recall_interval::{
    ChanceRecall, RecallComparison, RecallIntervals, compare_recall, recall_intervals,
    shuffled_recall,
};
pub use relationships::{Relationships, filter_relationships, read_relationships};
pub use replicate_consistency::{
    MatchedWell, ReplicateConsistency, ReplicateNull, ReplicatePair, WellTable,
    replicate_consistency, replicate_consistency_interval, shuffled_replicate_consistency,
};
pub use score::{Score, Scores};
pub use standard_scaler::StandardScaler;
pub use two_sample::{
    CramerVonMises, KolmogorovSmirnov, cramer_von_mises, kolmogorov_smirnov,
    kolmogorov_smirnov_asymptotic_p, kolmogorov_smirnov_statistic, wasserstein_distance,
};
