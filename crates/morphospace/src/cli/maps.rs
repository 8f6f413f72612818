//! Arguments of the commands on profiles.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use morphospace_map::AlignMethod;
use morphospace_profiles::Schema;

/// The table that a command writes.
#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// Table to write: .parquet, .csv, .csv.gz or .tsv
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
    /// tvn, pca_center_scale, center_scale, pca, mad_robustize or spherize
    #[arg(long, value_name = "METHOD", required_unless_present = "aligner")]
    pub(crate) method: Option<AlignMethod>,
    /// Apply the correction that --save-aligner kept in this folder, e.g. to
    /// new wells of its batches
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["method", "save_aligner"])]
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
