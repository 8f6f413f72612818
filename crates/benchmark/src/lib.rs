//! The scores of the papers, with their nulls and confidence intervals.
//!
//! | question | function | result |
//! |---|---|---|
//! | do known partners lie together? | [`relationship_recall`] | [`RecallReport`] |
//! | how sure is that? | [`recall_intervals`], [`shuffled_recall`], [`compare_recall`] | [`Interval`], [`ChanceRecall`], [`RecallComparison`] |
//! | do members of a complex lie together? | [`cluster_benchmark`] | [`ClusterScore`] |
//! | do replicates agree? | [`replicate_consistency`] | [`ReplicateConsistency`] |
//! | can the batch, the plate or the perturbation be told? | [`predict_labels`] | [`LabelPrediction`] |
//! | do classes lie together? | [`NearestNeighbours`] | predicted classes |
//! | how many sites does a trained head tell? | [`prediction_accuracy`] | [`PredictionAccuracy`] |
//! | how sure is a share of right answers? | [`binomial_interval`] | [`Interval`] |
//! | do replicates, or compounds of one target, find each other? | [`row_precisions`], [`mean_average_precisions`] | [`GroupPrecision`] |
//! | are the wells of a perturbation alike, or unlike controls? | [`ConsistencyForm`], [`EnergyReference`] | a statistic, its null, p |
//! | which conditions change cells reproducibly? | [`phenoprints()`] | [`Phenoprint`] |
//! | which perturbations are active? | [`find_hits`] | [`Hit`] |
//! | do compounds lie with the genes they act on? | [`CompoundGeneMap`] | [`CompoundPrecision`] |
//! | how far do perturbations lie from controls? | [`perturbation_magnitudes`] | [`Magnitude`] |
//! | do batches change cosines? | [`cosine_study`] | [`CosineStudy`] |
//! | which of two embeddings is better? | [`paired_difference`], [`compare_recall`] | [`PairedDifference`] |
//! | is a map true to its table? | [`trustworthiness`] | 1 at best, 0.5 by chance |
//! | are batches mixed? | [`Distances`] | silhouettes, transferred labels, connectivity, LISI, [`Kbet`] |
//! | how much of the variance do batches explain? | [`principal_component_regression`] | a share |
//! | which channels matter? | [`shapley_values`] | a share for each |
//! | can the functional group of a gene be told linearly? | [`probe_gene_groups`] | [`GeneGroupProbe`] |
//! | can the perturbation be told linearly? | [`LinearProbe`] | [`balanced_accuracy`] |
//!
//! Scores are computed in f64 and do not depend on the number of threads.
//! Every random element takes a [`morphospace_core::Seed`]. Every number ends
//! as a [`Score`] in a `scores.json` ([`Scores`]).

mod average_precision;
mod baselines;
mod batch_mixing;
mod binomial_interval;
mod bootstrap;
mod cluster;
mod compound_gene;
mod cosine_population;
mod cosine_study;
mod energy_distance;
mod entity_map;
mod error;
mod false_discovery;
mod gene_groups;
mod hits;
mod kbet;
mod kolmogorov;
mod label_prediction;
mod least_squares;
mod lisi;
mod logistic_regression;
mod mean_average_precision;
mod nearest_neighbours;
mod paired;
mod perturbation_consistency;
mod perturbation_magnitude;
mod phenoprints;
mod prediction_accuracy;
mod principal_component_regression;
mod probe;
mod rank_correlation;
mod recall;
mod recall_interval;
mod relationships;
mod replicate_consistency;
mod ridge_classifier;
mod score;
mod shapley;
mod standard_scaler;
mod trustworthiness;
mod two_sample;

pub use average_precision::{Ties, area_under_roc, average_precision, expected_average_precision};
pub use baselines::{random_embeddings, shuffled_rows};
pub use batch_mixing::{Distances, Metric};
pub use binomial_interval::binomial_interval;
pub use bootstrap::{Bootstrap, Interval, quantile_of_sorted};
pub use cluster::{Cluster, ClusterScore, cluster_benchmark, read_clusters};
pub use compound_gene::{
    CompoundGeneMap, CompoundGeneReport, CompoundGeneSettings, CompoundItems, CompoundPrecision,
    Interaction, MacroPrecision, NotScored, RetrievalSpread, macro_precisions, z_score,
};
pub use cosine_study::{CosineStudy, CosinesOfPairs, StudyRow, cosine_study};
pub use energy_distance::{EnergyForm, EnergyReference, UndefinedNull, share_above};
pub use entity_map::EntityMap;
pub use error::BenchmarkError;
pub use false_discovery::benjamini_hochberg;
pub use gene_groups::{GeneGroupProbe, GeneGroups, probe_gene_groups};
pub use hits::{Hit, HitSettings, find_hits};
pub use kbet::Kbet;
pub use label_prediction::{
    LabelClassifier, LabelPrediction, predict_column, predict_held_out, predict_labels,
};
pub use least_squares::least_squares_line;
pub use lisi::{scaled_clisi, scaled_ilisi};
pub use logistic_regression::{ClassWeight, FittedLogisticRegression, LogisticRegression};
pub use mean_average_precision::{
    GroupPrecision, LabelColumn, PairRules, PrecisionNull, RowPrecision, mean_average_precisions,
    row_precisions,
};
pub use nearest_neighbours::NearestNeighbours;
pub use paired::{PairedDifference, paired_difference};
pub use perturbation_consistency::ConsistencyForm;
pub use perturbation_magnitude::{Magnitude, magnitude_z_score, perturbation_magnitudes};
pub use phenoprints::{
    ExperimentConsistency, NotTested, Phenoprint, PhenoprintError, PhenoprintSettings, Phenoprints,
    phenoprints,
};
pub use prediction_accuracy::{PredictionAccuracy, Within, prediction_accuracy};
pub use principal_component_regression::{pcr_comparison, principal_component_regression};
pub use probe::{LinearProbe, balanced_accuracy};
pub use rank_correlation::rank_correlation;
pub use recall::{
    NullSummary, QueryPair, Recall, RecallNull, RecallOptions, RecallReport, ThresholdRecall,
    TruePositiveRate, compute_recall, relationship_recall,
};
pub use recall_interval::{
    ChanceRecall, RecallComparison, RecallIntervals, compare_recall, recall_intervals,
    shuffled_recall, true_positive_interval,
};
pub use relationships::{Relationships, filter_relationships, read_relationships, read_sources};
pub use replicate_consistency::{
    MatchedWell, ReplicateConsistency, ReplicateNull, ReplicatePair, WellTable,
    compare_replicate_consistency, replicate_consistency, replicate_consistency_interval,
    shuffled_replicate_consistency,
};
pub use ridge_classifier::{FittedRidgeClassifier, RidgeClassifier};
pub use score::{Score, Scores};
pub use shapley::shapley_values;
pub use standard_scaler::StandardScaler;
pub use trustworthiness::trustworthiness;
pub use two_sample::{
    CramerVonMises, KolmogorovSmirnov, cramer_von_mises, kolmogorov_smirnov,
    kolmogorov_smirnov_asymptotic_p, kolmogorov_smirnov_statistic, wasserstein_distance,
};
