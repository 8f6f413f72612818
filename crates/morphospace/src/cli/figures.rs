//! Arguments of figures.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ControlArgs;
use super::benchmarks::named_profiles;

#[derive(Debug, Subcommand)]
pub(crate) enum FigureCommand {
    /// Rows of one or two tables in two dimensions (UMAP), coloured by columns
    Umap(UmapArgs),
    /// Recall of known relationships over thresholds, with chance
    Recall(RecallFigureArgs),
    /// A score over the compute of a network
    Compute(ComputeFigureArgs),
    /// One score against another over models, with Spearman's correlation
    Models(ModelsFigureArgs),
    /// Average precision of compounds and genes over concentrations
    Concentrations(ScoreFigureArgs),
    /// How magnitudes of perturbations spread, by model
    Magnitudes(MagnitudesFigureArgs),
    /// A score over the blocks of a network
    Blocks(BlocksFigureArgs),
    /// Distributions of cosines within and across batches
    Cosines(CosinesFigureArgs),
    /// A value in every well of a plate
    Plate(PlateFigureArgs),
}

/// Where a figure goes.
#[derive(Debug, Args)]
pub(crate) struct FigureArgs {
    /// Figure to write: .svg, .png, or .html for a page
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct UmapArgs {
    /// Tables with the same rows, such as before and after alignment
    #[arg(required = true, num_args = 1..=3, value_name = "NAME=PROFILES", value_parser = named_profiles)]
    pub(crate) profiles: Vec<(String, PathBuf)>,
    /// Columns that colour the rows, a row of panels for each
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "Metadata_Batch,Metadata_treatment",
        value_name = "COLUMN"
    )]
    pub(crate) color_by: Vec<String>,
    /// Settings of UMAP, e.g. num_neighbours=30
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Seed of the layout
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Also write the coordinates, of one table: .parquet, .csv or .zarr
    #[arg(long, value_name = "FILE")]
    pub(crate) coordinates: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) figure: FigureArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreFigureArgs {
    /// Files of scores
    #[arg(required = true, num_args = 1.., value_name = "JSON")]
    pub(crate) scores: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) figure: FigureArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RecallFigureArgs {
    #[command(flatten)]
    pub(crate) scores: ScoreFigureArgs,
    /// The source to draw, if the scores are of several
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ComputeFigureArgs {
    #[command(flatten)]
    pub(crate) scores: ScoreFigureArgs,
    /// The score, e.g. 'relationship recall 5/95'
    #[arg(long, value_name = "NAME")]
    pub(crate) benchmark: String,
    /// Its source, if the scores are of several
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// The compute of each model, in GFLOPs: for an image, as `plan` tells it, or for training (repeatable); models of one family
    /// are joined: MODEL=GFLOPS[,FAMILY]
    #[arg(long, required = true, num_args = 1.., value_name = "MODEL=GFLOPS[,FAMILY]")]
    pub(crate) compute: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ModelsFigureArgs {
    #[command(flatten)]
    pub(crate) scores: ScoreFigureArgs,
    /// The score to the right, such as a probe's
    #[arg(long, value_name = "NAME")]
    pub(crate) x: String,
    /// The score upwards
    #[arg(long, value_name = "NAME")]
    pub(crate) y: String,
    /// The source, if the scores are of several
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MagnitudesFigureArgs {
    /// Tables that `benchmark perturbation-magnitude --perturbations` wrote
    #[arg(required = true, num_args = 1.., value_name = "NAME=CSV", value_parser = named_profiles)]
    pub(crate) perturbations: Vec<(String, PathBuf)>,
    #[command(flatten)]
    pub(crate) figure: FigureArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BlocksFigureArgs {
    #[command(flatten)]
    pub(crate) scores: ScoreFigureArgs,
    /// The score
    #[arg(long, value_name = "NAME")]
    pub(crate) benchmark: String,
}

#[derive(Debug, Args)]
pub(crate) struct CosinesFigureArgs {
    /// A table that `benchmark cosine-similarity --histograms` wrote
    #[arg(value_name = "CSV")]
    pub(crate) histograms: PathBuf,
    /// Pairs of different perturbations, not of the same
    #[arg(long)]
    pub(crate) different: bool,
    #[command(flatten)]
    pub(crate) figure: FigureArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PlateFigureArgs {
    /// Profiles of wells
    #[arg(value_name = "PROFILES")]
    pub(crate) profiles: PathBuf,
    /// The batch of the plate
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: String,
    /// The plate
    #[arg(long, value_name = "NAME")]
    pub(crate) plate: String,
    /// A feature, or a column of numbers
    #[arg(long, value_name = "COLUMN")]
    pub(crate) value: String,
    /// Column of the plate
    #[arg(long, default_value = "Metadata_Plate", value_name = "COLUMN")]
    pub(crate) plate_column: String,
    /// Column of the well
    #[arg(long, default_value = "Metadata_Well", value_name = "COLUMN")]
    pub(crate) well_column: String,
    #[command(flatten)]
    pub(crate) controls: ControlArgs,
    #[command(flatten)]
    pub(crate) figure: FigureArgs,
}
