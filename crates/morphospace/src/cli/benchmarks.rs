//! Arguments of scores.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ControlArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum BenchmarkCommand {
    /// Recall of known relationships in a map of entities
    RelationshipRecall(RecallArgs),
    /// Agreement of replicate plates or experiments
    ReplicateConsistency(ReplicateArgs),
    /// How well the batch is told from the profiles
    BatchPrediction(BatchPredictionArgs),
    /// How well rows find those they belong to among all others (mean average precision)
    MeanAveragePrecision(MeanAveragePrecisionArgs),
    /// How well compounds find the genes they act on (RxRx3-core)
    CompoundGene(CompoundGeneArgs),
    /// How well the functional group of a well's gene is told linearly (Anax)
    Anax(AnaxArgs),
    /// What trained heads told of sites: accuracy of perturbations, of each cell type, of experiments
    Predictions(PredictionScoreArgs),
}

#[derive(Debug, Args)]
pub(crate) struct MeanAveragePrecisionArgs {
    #[command(flatten)]
    pub(crate) score: ScoreArgs,
    /// Columns that rows which belong together share; they name the groups
    #[arg(long, num_args = 1.., value_name = "COLUMN")]
    pub(crate) pos_sameby: Vec<String>,
    /// Columns in which they differ, such as the plate
    #[arg(long, num_args = 1.., value_name = "COLUMN")]
    pub(crate) pos_diffby: Vec<String>,
    /// Columns that rows to be told apart share
    #[arg(long, num_args = 1.., value_name = "COLUMN")]
    pub(crate) neg_sameby: Vec<String>,
    /// Columns in which they differ
    #[arg(long, num_args = 1.., value_name = "COLUMN")]
    pub(crate) neg_diffby: Vec<String>,
    /// Column of several labels in a row, such as a compound's targets: each is a
    /// group, told from rows that share none
    #[arg(long, value_name = "COLUMN")]
    pub(crate) several: Option<String>,
    /// What stands between them
    #[arg(long, default_value = "|", value_name = "TEXT")]
    pub(crate) separator: String,
    /// Rows that all others are told from, such as negative controls, and that are
    /// no group of their own
    #[arg(long, value_name = "COLUMN=VALUE[,VALUE]")]
    pub(crate) reference: Option<String>,
    /// Rows to leave out (repeatable)
    #[arg(long, value_name = "COLUMN=VALUE[,VALUE]")]
    pub(crate) exclude: Vec<String>,
    /// Random orders behind p-values
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) draws: u32,
    /// Also write a row for each group: .csv
    #[arg(long, value_name = "CSV")]
    pub(crate) groups: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AnaxArgs {
    #[command(flatten)]
    pub(crate) score: ScoreArgs,
    /// Column of the genes
    #[arg(long, default_value = "Metadata_gene", value_name = "COLUMN")]
    pub(crate) gene_column: String,
    /// Column of the batch: wells of a batch are never told by a probe of the same
    #[arg(long, default_value = "Metadata_Batch", value_name = "COLUMN")]
    pub(crate) batch_column: String,
    /// Groups in place of those of the paper: tab-separated, with the columns group
    /// and gene
    #[arg(long, value_name = "TSV")]
    pub(crate) groups: Option<PathBuf>,
    /// Parts of the batches
    #[arg(long, default_value_t = 5, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) folds: u16,
}

#[derive(Debug, Args)]
pub(crate) struct CompoundGeneArgs {
    #[command(flatten)]
    pub(crate) score: ScoreArgs,
    /// Known interactions: a CSV with gene_symbol, nM_value and treatment
    #[arg(long, value_name = "CSV")]
    pub(crate) interactions: PathBuf,
    /// Column of the genes that wells lack, empty where they have a compound
    #[arg(long, default_value = "Metadata_gene", value_name = "COLUMN")]
    pub(crate) gene_column: String,
    /// Column of the compounds; it counts where that of the genes is empty
    #[arg(long, default_value = "Metadata_treatment", value_name = "COLUMN")]
    pub(crate) compound_column: String,
    /// Column of their concentrations
    #[arg(long, default_value = "Metadata_concentration", value_name = "COLUMN")]
    pub(crate) concentration_column: String,
    /// Rows to leave out, such as controls (repeatable)
    #[arg(long, value_name = "COLUMN=VALUE[,VALUE]")]
    pub(crate) exclude: Vec<String>,
    /// Draws of genes to tell from
    #[arg(long, default_value_t = 100, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) draws: u16,
}

#[derive(Debug, Args)]
pub(crate) struct PredictionScoreArgs {
    /// What `predict` wrote of unseen experiments
    #[arg(value_name = "PREDICTIONS")]
    pub(crate) predictions: PathBuf,
    /// What it wrote of a network trained and tested on the same experiments:
    /// gives generalisation and how well experiments are told
    #[arg(long, value_name = "PREDICTIONS")]
    pub(crate) stratified: Option<PathBuf>,
    /// Name of the model in the scores
    #[arg(long, default_value = "unnamed")]
    pub(crate) model: String,
    /// Seed of bootstraps
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Add the scores to this scores.json
    #[arg(long, value_name = "JSON")]
    pub(crate) output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl PredictionScoreArgs {
    /// As other scores have them.
    pub(crate) fn score(&self) -> ScoreArgs {
        ScoreArgs {
            profiles: self.predictions.clone(),
            model: self.model.clone(),
            alignment: "none".to_owned(),
            seed: self.seed,
            output: self.output.clone(),
            json: self.json,
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ScoreArgs {
    /// Profiles: .parquet, .csv, .csv.gz or .tsv
    #[arg(value_name = "PROFILES")]
    pub(crate) profiles: PathBuf,
    /// Name of the model in the scores
    #[arg(long, default_value = "unnamed")]
    pub(crate) model: String,
    /// Name of the alignment in the scores
    #[arg(long, default_value = "unstated")]
    pub(crate) alignment: String,
    /// Seed of nulls, folds and bootstraps
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Add the scores to this scores.json
    #[arg(long, value_name = "JSON")]
    pub(crate) output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RecallArgs {
    #[command(flatten)]
    pub(crate) score: ScoreArgs,
    /// Files of known relationships with the header entity1,entity2
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) relationships: Vec<PathBuf>,
    /// Column of the entities; rows of one entity are averaged, a table that
    /// `aggregate` wrote is taken as it is
    #[arg(long, default_value = "Metadata_gene", value_name = "COLUMN")]
    pub(crate) entity_column: String,
    #[command(flatten)]
    pub(crate) controls: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReplicateArgs {
    #[command(flatten)]
    pub(crate) score: ScoreArgs,
    /// Column that tells replicates apart; plates are numbered anew in every
    /// experiment, so that `Metadata_Plate` alone does so only within one
    #[arg(long, default_value = "Metadata_Batch", value_name = "COLUMN")]
    pub(crate) replicate_column: String,
    /// Column that says which rows of two replicates belong together, besides
    /// the perturbation: `Metadata_Well` where they share their layout
    #[arg(long, default_value = "Metadata_treatment", value_name = "COLUMN")]
    pub(crate) match_column: String,
    /// Column of the perturbation
    #[arg(long, default_value = "Metadata_treatment", value_name = "COLUMN")]
    pub(crate) perturbation_column: String,
    /// Rows to leave out, such as negative controls, whose many replicates
    /// would outweigh all others (repeatable)
    #[arg(long, value_name = "COLUMN=VALUE[,VALUE]")]
    pub(crate) exclude: Vec<String>,
    /// Two replicates to compare; without, all pairs (repeatable)
    #[arg(long = "pair", value_name = "A,B")]
    pub(crate) pairs: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BatchPredictionArgs {
    #[command(flatten)]
    pub(crate) score: ScoreArgs,
    /// Column of the batch
    #[arg(long, default_value = "Metadata_Batch", value_name = "COLUMN")]
    pub(crate) batch_column: String,
}
