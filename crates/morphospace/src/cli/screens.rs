//! Arguments of the commands on images.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use morphospace_screen::split::SplitLevel;
use morphospace_screen::{ControlImages, NormalisationScheme, OnIncomplete};

use super::ScreenArgs;

#[cfg(feature = "buckets")]
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// What to fetch, of those that `fetch --list` names. Who has the files already need not fetch them:
    /// `morphospace inspect rxrx1-images.zip` reads archives and folders as they are
    #[arg(value_name = "DATASET", required_unless_present = "list")]
    pub(crate) dataset: Option<String>,
    /// Folder to fetch into; what it holds already is checked and kept
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
    /// Print what can be fetched and stop
    #[arg(long)]
    pub(crate) list: bool,
    /// Print the files, their sizes and the licence, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Accept the licence of what is fetched
    #[arg(long)]
    pub(crate) accept_licence: bool,
    /// Only files whose paths start like this (repeatable)
    #[arg(long, value_name = "PATH")]
    pub(crate) only: Vec<String>,
    /// Most bytes that the files may have together, e.g. 500000 or 20GB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_bytes: Option<u64>,
    /// A mirror: a server that has the same files, in place of the publisher's
    #[arg(long = "from", value_name = "URL")]
    pub(crate) mirror: Option<String>,
    /// Files to fetch at the same time
    #[arg(long, default_value_t = 4, value_name = "COUNT",
          value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) connections: u8,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Bytes, or thousands, millions, … of them.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let upper = text.trim().to_ascii_uppercase();
    let digits = upper.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let factor = match upper[digits.len()..].trim() {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        unit => return Err(format!("'{unit}' is not one of B, KB, MB, GB, TB")),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "it is not a whole number and a unit".to_owned())?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "it is more than can be counted".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Folder to write, new or empty
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Whose tables and files to write; settings not given are then of its
    /// size
    #[arg(long)]
    pub(crate) layout: Option<LayoutArg>,
    /// Settings in TOML; without, those of the demo, or of the layout
    #[arg(long, value_name = "TOML")]
    pub(crate) config: Option<PathBuf>,
    /// Override one setting, e.g. --set num_plates=4 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LayoutArg {
    /// siRNAs, six 8-bit PNGs per site
    Rxrx1,
    /// CRISPR guides on 1,536-well plates, six 8-bit PNGs of 2048 pixels per well
    Rxrx3,
    /// The Cell Painting Gallery: five 16-bit TIFFs of 1080 pixels per site,
    /// with illumination functions
    Jump,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
    /// How closely images are looked at
    #[arg(long, default_value = "presence")]
    pub(crate) depth: DepthArg,
    /// The same as --depth decode
    #[arg(long, conflicts_with = "depth")]
    pub(crate) decode: bool,
    /// Override one threshold of quality control, e.g. --set outlier_z=3.5
    /// (repeatable): blank_sd, saturated_fraction, outlier_z, min_images,
    /// few_cells_fraction
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Also write the table of sites, with one qc_ column per flag, to this Parquet file
    #[arg(long, value_name = "PARQUET")]
    pub(crate) manifest: Option<PathBuf>,
    /// Also write what was measured of every image to this Parquet file
    #[arg(long, value_name = "PARQUET")]
    pub(crate) qc: Option<PathBuf>,
    /// Also draw a page with plate heat maps
    #[arg(long, value_name = "HTML")]
    pub(crate) page: Option<PathBuf>,
    /// Print JSON; with a file, write it there
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DepthArg {
    /// Whether each file is there; one site per plate is decoded
    Presence,
    /// Decode every image
    Decode,
    /// Measure every image, and compare it with the others of its plate
    Quality,
}

#[derive(Debug, Args)]
pub(crate) struct NormaliseArgs {
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
    /// all_images, controls_per_experiment, all_per_experiment,
    /// controls_per_plate, all_per_plate, global_mean_of_stats or
    /// all_per_experiment_unbiased
    #[arg(long, value_name = "SCHEME")]
    pub(crate) scheme: NormalisationScheme,
    /// Which images are control images
    #[arg(long, default_value = "negative-and-positive")]
    pub(crate) controls: ControlImagesArg,
    /// Only these experiments, e.g. those of the training set
    #[arg(long, value_delimiter = ',', value_name = "EXPERIMENT")]
    pub(crate) experiments: Vec<String>,
    /// What to do with sites that lack images
    #[arg(long, default_value = "fail", value_name = "fail|skip")]
    pub(crate) on_incomplete: OnIncomplete,
    /// Table to write; one that answers the same question is used as it is
    #[arg(long, default_value = "normalisation.parquet", value_name = "PARQUET")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct IlluminationArgs {
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
    /// Override one setting, e.g. --set smoothing_filter_size_px=50 (repeatable): downscale,
    /// smoothing (median or gaussian), smoothing_filter_size_px
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// What to do with images that are missing, unreadable or of another size than the others of
    /// their plate
    #[arg(long, default_value = "fail", value_name = "fail|skip")]
    pub(crate) on_incomplete: OnIncomplete,
    /// Folder to write `{plate}/{plate}_Illum{channel}.npy` into; experiment and plate make {plate}
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ControlImagesArg {
    /// Those of all wells that are no treatments
    NegativeAndPositive,
    /// Those of negative controls and untreated wells
    Negative,
}

impl From<ControlImagesArg> for ControlImages {
    fn from(controls: ControlImagesArg) -> Self {
        match controls {
            ControlImagesArg::NegativeAndPositive => Self::NegativeAndPositive,
            ControlImagesArg::Negative => Self::Negative,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PackArgs {
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
    /// Folder to write; if it holds part of this pack, the run goes on from it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Side in pixels of the squares that are compressed one by one
    #[arg(long, default_value_t = 128, value_name = "PX")]
    pub(crate) chunk_px: usize,
    /// 1 (fast) to 9 (small)
    #[arg(long, default_value_t = 3, value_name = "LEVEL")]
    pub(crate) compression_level: u8,
    /// Leave images that cannot be decoded out, in place of stopping
    #[arg(long)]
    pub(crate) skip_unreadable: bool,
    /// Decode all of the pack and of the screen afterwards and compare
    #[arg(long)]
    pub(crate) verify: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SplitArgs {
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
    /// The rule by which sites come to parts
    #[arg(long)]
    pub(crate) scheme: SchemeArg,
    /// Seed of the schemes that draw
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Fold of cross-validation, 1 to 6
    #[arg(long)]
    pub(crate) fold: Option<u32>,
    /// What stratified schemes draw: wells with all their sites (default), or
    /// single sites
    #[arg(long, value_name = "well|site")]
    pub(crate) level: Option<SplitLevel>,
    /// Only this cell type (cross-validation: HUVEC by default)
    #[arg(long)]
    pub(crate) cell_type: Option<String>,
    /// Experiments to test on
    #[arg(long, value_delimiter = ',', value_name = "EXPERIMENT")]
    pub(crate) experiments: Vec<String>,
    /// Plates of every experiment to test on
    #[arg(long, value_delimiter = ',', value_name = "PLATE")]
    pub(crate) plates: Vec<String>,
    /// Experiments to validate on
    #[arg(long, value_delimiter = ',', value_name = "EXPERIMENT")]
    pub(crate) validation_experiments: Vec<String>,
    /// How many experiments of the cell type to train on
    #[arg(long, alias = "k", value_name = "K")]
    pub(crate) num_experiments: Option<usize>,
    /// Share of the wells to train on (batch-stratified: 33/51 by default)
    #[arg(long, value_name = "0..1")]
    pub(crate) train_fraction: Option<f64>,
    /// Leave out experiments that have a site with an unknown label
    #[arg(long)]
    pub(crate) only_labelled: bool,
    /// Table to write
    #[arg(long, value_name = "PARQUET")]
    pub(crate) output: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemeArg {
    /// RxRx1's official 33 training and 18 test experiments (also: full)
    #[value(alias = "full")]
    BatchSeparated,
    /// Every class and every experiment in training and test
    BatchStratified,
    /// Four fifths of the wells of every experiment to train
    #[value(name = "stratified-80-20")]
    Stratified8020,
    /// One of six folds of the experiments of a cell type: 16, 4 and 4 of HUVEC
    CrossValidation,
    /// Fold 1 of cross-validation
    F0,
    /// WILDS: site 1 of the training experiments, 4 to validate, 14 to test
    WildsOfficial,
    /// WILDS: the same, tested on site 2 of the training experiments
    WildsOfficialId,
    /// WILDS: site 1 of the test experiments in place of some of training
    WildsMixedToTest,
    /// A few training experiments of one cell type of RxRx1
    ExperimentsOfOneCellType,
    /// The named experiments to test, all others to train
    LeaveExperimentOut,
    /// The named plates of every experiment to test, all others to train
    LeavePlateOut,
}
