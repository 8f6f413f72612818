//! Arguments of the commands on profiles.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use morphospace_benchmark::ConsistencyForm;
use morphospace_map::{AlignMethod, Tails};
use morphospace_profiles::Schema;

/// The table that a command writes.
#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// Table to write: .parquet, .csv, .tsv, .gct (each also .gz but the first) or .zarr (AnnData)
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Names of its metadata columns
    #[arg(long, default_value = "cytomining")]
    pub(crate) schema: SchemaArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SchemaArg {
    /// Metadata_Plate, Metadata_Well, ...: pycytominer, JUMP
    Cytomining,
    /// plate, well, ...: RxRx data sets, EFAAR_benchmarking
    Recursion,
}

impl From<SchemaArg> for Schema {
    fn from(schema: SchemaArg) -> Self {
        match schema {
            SchemaArg::Cytomining => Self::Cytomining,
            SchemaArg::Recursion => Self::Recursion,
        }
    }
}

/// Which rows are negative controls.
#[derive(Debug, Args)]
pub(crate) struct ControlArgs {
    /// Column and values that mark negative controls
    #[arg(
        long,
        default_value = "Metadata_control_role=negative_control,untreated",
        value_name = "COLUMN=VALUE[,VALUE]"
    )]
    pub(crate) controls: String,
    /// Column of the batch
    #[arg(long, default_value = "Metadata_Batch", value_name = "COLUMN")]
    pub(crate) batch_column: String,
}

/// Settings that differ from their defaults.
#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    /// Settings in TOML
    #[arg(long, value_name = "TOML")]
    pub(crate) settings: Option<PathBuf>,
    /// A setting, over those of the file (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// Table: .parquet, .csv, .tsv, .gct (each also .gz but the first) or .zarr (AnnData)
    #[arg(value_name = "TABLE")]
    pub(crate) profiles: PathBuf,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    /// Columns that are features, by name or pattern (`*` is any text); all others are metadata
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    pub(crate) feature_columns: Vec<String>,
    /// Columns that are metadata, by name or pattern
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    pub(crate) metadata_columns: Vec<String>,
    /// Another beginning of features' names, e.g. feature_=Cells_, by which pycytominer knows them
    #[arg(long, value_name = "FROM=TO")]
    pub(crate) rename_features: Option<String>,
    /// A table whose metadata to add, such as that of the wells of published embeddings
    #[arg(long, value_name = "TABLE", requires = "on")]
    pub(crate) metadata: Option<PathBuf>,
    /// The column that says which of its rows belongs to which, or both names, e.g.
    /// well_id or cid=id
    #[arg(long, value_name = "COLUMN[=COLUMN]", requires = "metadata")]
    pub(crate) on: Option<String>,
    /// Rows to leave out (repeatable)
    #[arg(long, value_name = "COLUMN=VALUE[,VALUE]")]
    pub(crate) exclude: Vec<String>,
    /// Put chance in the place of what was measured, to see what scores make of it
    #[arg(long)]
    pub(crate) chance: Option<ChanceArg>,
    /// Seed of --chance
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ChanceArg {
    /// Normal numbers
    Random,
    /// The rows' own features, exchanged between rows
    Shuffled,
}

#[derive(Debug, Args)]
pub(crate) struct PhenoprintsArgs {
    /// Profiles of wells, aligned
    #[arg(value_name = "PROFILES")]
    pub(crate) profiles: PathBuf,
    /// What alikeness is measured by: eq2 (Kenyon-Dean et al. 2024), efaar10 or celik_angle
    #[arg(long, default_value = "eq2", value_name = "FORM")]
    pub(crate) form: ConsistencyForm,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Table to write, a row for each condition: .parquet, .csv, .csv.gz or .tsv
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Also write a row for each condition in each experiment
    #[arg(long, value_name = "FILE")]
    pub(crate) experiments: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CurateArgs {
    /// What is in the wells: a manifest that `inspect --manifest` wrote, or any table of wells
    #[arg(value_name = "TABLE")]
    pub(crate) table: PathBuf,
    /// Tables that `phenoprints` wrote: wells without a phenoprint in any go. Without, that step is
    /// not taken
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) phenoprints: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// The table to write, with the columns keep and reason: .parquet of a manifest
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Also write what each step drops: .csv
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RelateArgs {
    /// A map: one row for each entity, as `aggregate` writes it
    #[arg(value_name = "MAP")]
    pub(crate) map: PathBuf,
    /// Column of the entities
    #[arg(long, default_value = "Metadata_gene", value_name = "COLUMN")]
    pub(crate) entity_column: String,
    /// Files of known relationships: the table says which pairs are known, and where
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) relationships: Vec<PathBuf>,
    /// List the neighbours of these entities, not the relations of all
    #[arg(long, value_delimiter = ',', value_name = "ENTITY")]
    pub(crate) neighbours: Vec<String>,
    /// Relations from each end, or neighbours of each entity [default: 10000, or 20 neighbours]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) top: Option<u32>,
    /// Which ends of all pairs
    #[arg(long, default_value = "nearest", conflicts_with = "neighbours")]
    pub(crate) tails: TailsArg,
    /// Table to write: .parquet, .csv, .csv.gz or .tsv
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TailsArg {
    /// The largest cosines
    Nearest,
    /// The smallest: opposite effects
    Farthest,
    /// Both
    Both,
}

impl From<TailsArg> for Tails {
    fn from(tails: TailsArg) -> Self {
        match tails {
            TailsArg::Nearest => Self::Nearest,
            TailsArg::Farthest => Self::Farthest,
            TailsArg::Both => Self::Both,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct HitsArgs {
    /// Profiles of wells, aligned: .parquet, .csv, .csv.gz or .tsv
    #[arg(value_name = "PROFILES")]
    pub(crate) profiles: PathBuf,
    /// Column of the perturbations
    #[arg(long, default_value = "Metadata_gene", value_name = "COLUMN")]
    pub(crate) perturbation_column: String,
    /// Column of their doses: each dose is tested by itself
    #[arg(long, value_name = "COLUMN")]
    pub(crate) dose_column: Option<String>,
    #[command(flatten)]
    pub(crate) controls: ControlArgs,
    /// Tell wells from the controls of their own batch only
    #[arg(long)]
    pub(crate) within_batch: bool,
    /// Share of the hits that may be none
    #[arg(long, default_value_t = 0.05, value_name = "SHARE", value_parser = share)]
    pub(crate) false_discovery_rate: f64,
    /// Random orders behind p-values
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) draws: u32,
    /// Seed of the random orders
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Table to write: .csv or .tsv
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Also draw a page
    #[arg(long, value_name = "HTML")]
    pub(crate) page: Option<PathBuf>,
}

/// A number between 0 and 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    match share > 0.0 && share < 1.0 {
        true => Ok(share),
        false => Err(format!("{share} is not between 0 and 1")),
    }
}

#[derive(Debug, Args)]
pub(crate) struct AlignArgs {
    /// Profiles: .parquet, .csv, .csv.gz or .tsv
    #[arg(value_name = "PROFILES")]
    pub(crate) profiles: PathBuf,
    /// tvn, pca_center_scale, center_scale, pca, mad_robustize, spherize, coral, combat or harmony
    #[arg(long, value_name = "METHOD", required_unless_present = "aligner")]
    pub(crate) method: Option<AlignMethod>,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Hold no more than this of the table in memory, in MiB, and read it twice; without, all of it
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(8..))]
    pub(crate) memory: Option<u32>,
    /// Apply the correction that --save-aligner kept in this folder, e.g. to
    /// new wells of its batches
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["method", "save_aligner", "settings", "set"])]
    pub(crate) aligner: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    /// Also keep the fitted correction in this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) save_aligner: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) controls: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AggregateArgs {
    /// Profiles: .parquet, .csv, .csv.gz or .tsv
    #[arg(value_name = "PROFILES")]
    pub(crate) profiles: PathBuf,
    /// Columns whose values make a group
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "Metadata_gene",
        value_name = "COLUMN"
    )]
    pub(crate) by: Vec<String>,
    /// How the rows of a group become one
    #[arg(long, default_value = "mean")]
    pub(crate) average: AverageArg,
    /// Leave out groups with these keys
    #[arg(long, value_delimiter = ',', value_name = "KEY")]
    pub(crate) remove: Vec<String>,
    /// Subtract the mean of the negative controls first
    #[arg(long)]
    pub(crate) from_controls: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    #[command(flatten)]
    pub(crate) controls: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CenterArmsArgs {
    /// Aligned profiles of wells, guides or genes: .parquet, .csv, .csv.gz or .tsv
    #[arg(value_name = "PROFILES")]
    pub(crate) profiles: PathBuf,
    /// Column of the genes, by symbol
    #[arg(long, default_value = "Metadata_gene", value_name = "COLUMN")]
    pub(crate) gene_column: String,
    /// A table of genes and their arms: columns gene and chromosome_arm, such as chr7q
    #[arg(long, value_name = "FILE", conflicts_with_all = ["transcripts", "centromeres"])]
    pub(crate) arms: Option<PathBuf>,
    /// A table of transcripts in place of --arms: columns name2, chrom, txStart and txEnd, as
    /// UCSC's refGene
    #[arg(long, value_name = "FILE", requires = "centromeres")]
    pub(crate) transcripts: Option<PathBuf>,
    /// A table of centromeres: columns chrom, chromStart and chromEnd
    #[arg(long, value_name = "FILE", requires = "transcripts")]
    pub(crate) centromeres: Option<PathBuf>,
    /// A table of the genes' expression in these cells: columns gene and zfpkm; arms are
    /// then known by genes that are not expressed
    #[arg(long, value_name = "FILE")]
    pub(crate) expression: Option<PathBuf>,
    /// Genes below this zFPKM are not expressed
    #[arg(long, default_value_t = -3.0, value_name = "ZFPKM", allow_negative_numbers = true)]
    pub(crate) unexpressed_below: f64,
    /// Arms are corrected that have more rows than this (of genes that are not expressed)
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    pub(crate) min_rows: usize,
    /// Leave out every gene whose symbol begins with LO, as the published pattern does
    #[arg(long)]
    pub(crate) loc_as_published: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AverageArg {
    /// Mean of each feature
    Mean,
    /// Median of each feature
    Median,
    /// Mean direction, projected back on the sphere
    Spherical,
    /// Fréchet mean on the sphere
    Frechet,
}
