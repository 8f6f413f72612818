//! Arguments of scores.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

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
    /// How far perturbations lie from negative controls (energy distance)
    PerturbationMagnitude(MagnitudeArgs),
    /// How alike rows of the same and of different perturbations are, within and across batches
    CosineSimilarity(CosineSimilarityArgs),
    /// How well a label, such as the perturbation, is told in batches never seen
    LabelPrediction(LabelPredictionArgs),
    /// How well batches are mixed, and labels kept apart, among nearest rows
    BatchMixing(BatchMixingArgs),
    /// How well plate, row, column and batch are told: what is left of the layout
    PositionAudit(PositionAuditArgs),
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
    /// How rows at equal distances are ranked
    #[arg(long, value_enum, default_value_t)]
    pub(crate) ties: TiesArg,
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
    /// Column of the genes that wells lack
    #[arg(long, default_value = "Metadata_gene", value_name = "COLUMN")]
    pub(crate) gene_column: String,
    /// Column of the compounds [default: Metadata_compound, which `embed` writes and which is empty
    /// where a gene is lacking; of other tables Metadata_treatment, where that of the genes is empty]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) compound_column: Option<String>,
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
    /// Files of known relationships: with the header entity1,entity2, or of clusters, whose members
    /// are related to each other (.gmt, or lines of a name, a tab and the members)
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) relationships: Vec<PathBuf>,
    /// Column of the entities; rows of one entity are averaged, a table that
    /// `aggregate` wrote is taken as it is
    #[arg(long, default_value = "Metadata_gene", value_name = "COLUMN")]
    pub(crate) entity_column: String,
    /// Only entities that this file lists, one in a line
    #[arg(long, value_name = "FILE")]
    pub(crate) entities: Option<PathBuf>,
    /// Maps of fewer entities are refused: recall among few is mostly luck
    #[arg(long, default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) min_entities: u32,
    /// Shares of the null below and above which a pair is found (repeatable)
    /// [default: 0.05,0.95 and 0.1,0.9]
    #[arg(long = "threshold", value_name = "LOW,HIGH", value_parser = low_high)]
    pub(crate) thresholds: Vec<(f64, f64)>,
    /// Thresholds from 0.01,0.99 to 0.1,0.9 in steps of 0.01
    #[arg(long, conflicts_with = "thresholds")]
    pub(crate) sweep: bool,
    /// What known pairs are told from
    #[arg(long, default_value = "all-pairs")]
    pub(crate) null: RecallNullArg,
    /// Also tell how many known pairs lie above this share of all others
    #[arg(long, value_name = "SHARE", value_parser = super::maps::share)]
    pub(crate) false_positive_rate: Option<f64>,
    #[command(flatten)]
    pub(crate) controls: ControlArgs,
}

/// Two shares of which the first is the smaller.
fn low_high(text: &str) -> Result<(f64, f64), String> {
    let (low, high) = text
        .split_once(',')
        .ok_or_else(|| format!("'{text}' is not of the form LOW,HIGH, e.g. 0.05,0.95"))?;
    let (low, high) = (super::maps::share(low)?, super::maps::share(high)?);
    match low < high {
        true => Ok((low, high)),
        false => Err(format!("{low} is not below {high}")),
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TiesArg {
    /// The mean over all their orders
    #[default]
    Mean,
    /// Those that belong together first (copairs)
    PositivesFirst,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecallNullArg {
    /// All pairs of the map (EFAAR_benchmarking 1.0)
    AllPairs,
    /// Pairs between two random samples of 5,000 entities (Celik et al. 2022, Kraus et al.)
    Samples,
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

#[derive(Debug, Args)]
pub(crate) struct MagnitudeArgs {
    #[command(flatten)]
    pub(crate) score: ScoreArgs,
    /// Columns of the perturbations and, say, their concentrations: every combination is one
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "Metadata_treatment",
        value_name = "COLUMN"
    )]
    pub(crate) perturbation_column: Vec<String>,
    #[command(flatten)]
    pub(crate) controls: ControlArgs,
    /// Perturbations of fewer wells are left out
    #[arg(long, default_value_t = 5, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) min_wells: u16,
    /// Rows to leave out, such as positive controls (repeatable)
    #[arg(long, value_name = "COLUMN=VALUE[,VALUE]")]
    pub(crate) exclude: Vec<String>,
    /// Also write a row for each perturbation: .csv
    #[arg(long, value_name = "CSV")]
    pub(crate) perturbations: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CosineSimilarityArgs {
    #[command(flatten)]
    pub(crate) score: ScoreArgs,
    /// Column of the perturbation
    #[arg(long, default_value = "Metadata_treatment", value_name = "COLUMN")]
    pub(crate) perturbation_column: String,
    /// Column of the batch
    #[arg(long, default_value = "Metadata_Batch", value_name = "COLUMN")]
    pub(crate) batch_column: String,
    /// Column of the cell type: only rows of one type are compared; without it, all are
    #[arg(long, default_value = "Metadata_cell_type", value_name = "COLUMN")]
    pub(crate) cell_type_column: String,
    /// Most pairs of each kind; of more, random ones are taken
    #[arg(long, default_value_t = 1_000_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) max_pairs: u32,
    /// Rows to leave out, such as controls (repeatable)
    #[arg(long, value_name = "COLUMN=VALUE[,VALUE]")]
    pub(crate) exclude: Vec<String>,
    /// Also write counts of the cosines in bins: .csv
    #[arg(long, value_name = "CSV")]
    pub(crate) histograms: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LabelPredictionArgs {
    #[command(flatten)]
    pub(crate) score: ScoreArgs,
    /// Column of the label; rows without one are left out
    #[arg(long, default_value = "Metadata_treatment", value_name = "COLUMN")]
    pub(crate) label_column: String,
    /// Column of the groups that are never both learned from and told
    #[arg(long, default_value = "Metadata_Batch", value_name = "COLUMN")]
    pub(crate) group_column: String,
    /// Nearest rows that vote
    #[arg(long, default_value_t = 15, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) neighbours: u16,
    /// Parts of the groups, for the linear probe
    #[arg(long, default_value_t = 5, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) folds: u16,
    /// Rows to leave out (repeatable)
    #[arg(long, value_name = "COLUMN=VALUE[,VALUE]")]
    pub(crate) exclude: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BatchMixingArgs {
    #[command(flatten)]
    pub(crate) score: ScoreArgs,
    /// The same profiles before alignment, to be scored as well
    #[arg(long, value_name = "PROFILES")]
    pub(crate) before: Option<PathBuf>,
    /// Column of the batch
    #[arg(long, default_value = "Metadata_Batch", value_name = "COLUMN")]
    pub(crate) batch_column: String,
    /// Column of what should stay apart
    #[arg(long, default_value = "Metadata_treatment", value_name = "COLUMN")]
    pub(crate) label_column: String,
    /// Rows to leave out (repeatable)
    #[arg(long, value_name = "COLUMN=VALUE[,VALUE]")]
    pub(crate) exclude: Vec<String>,
    /// Neighbours of a row
    #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) neighbours: u16,
    /// Perplexity of LISI
    #[arg(long, default_value_t = 30.0, value_name = "NUMBER")]
    pub(crate) perplexity: f64,
}

#[derive(Debug, Args)]
pub(crate) struct PositionAuditArgs {
    #[command(flatten)]
    pub(crate) score: ScoreArgs,
    /// The same profiles before alignment, to be told as well
    #[arg(long, value_name = "PROFILES")]
    pub(crate) before: Option<PathBuf>,
    /// Column of the plate
    #[arg(long, default_value = "Metadata_Plate", value_name = "COLUMN")]
    pub(crate) plate_column: String,
    /// Column of the well, such as B02
    #[arg(long, default_value = "Metadata_Well", value_name = "COLUMN")]
    pub(crate) well_column: String,
    #[command(flatten)]
    pub(crate) controls: ControlArgs,
    /// Look at all rows, not at negative controls alone: where every plate has the same layout, the
    /// position then also tells the perturbation
    #[arg(long)]
    pub(crate) all_rows: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Two or more tables of the same wells; the others are compared with the first
    #[arg(required = true, num_args = 2.., value_name = "NAME=PROFILES", value_parser = named_profiles)]
    pub(crate) profiles: Vec<(String, PathBuf)>,
    /// Files of known relationships, as for `benchmark relationship-recall`
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) relationships: Vec<PathBuf>,
    /// Column of the entities: genes or perturbations
    #[arg(long, default_value = "Metadata_gene", value_name = "COLUMN")]
    pub(crate) entity_column: String,
    #[command(flatten)]
    pub(crate) controls: ControlArgs,
    /// Columns that tell rows apart: rows that agree in them are the same in all tables
    /// [default: those of --batch-column, Metadata_Plate, Metadata_Well and Metadata_Site that all
    /// tables have; without a well, --entity-column]
    #[arg(long, value_delimiter = ',', value_name = "COLUMN")]
    pub(crate) row_columns: Vec<String>,
    /// Seed of nulls and bootstraps
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Also write the differences: .csv
    #[arg(long, value_name = "CSV")]
    pub(crate) output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) fn named_profiles(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), PathBuf::from(path)))
        }
        _ => Err(format!(
            "'{text}' is not of the form NAME=FILE, e.g. tvn=aligned.parquet"
        )),
    }
}
