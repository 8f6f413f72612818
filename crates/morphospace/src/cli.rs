//! Arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use morphospace::device::DeviceChoice;
use morphospace_map::AlignMethod;
use morphospace_models::Pooling;
use morphospace_models::plan::Precision;
use morphospace_profiles::Schema;
use morphospace_screen::split::{Part, SplitLevel};
use morphospace_screen::{
    ChannelChoice, ControlImages, EdgePolicy, IlluminationSource, LoaderOptions,
    NormalisationChoice, NormalisationScheme, OnIncomplete, ScreenFormat, TileSelection,
    ZSelection,
};

use crate::network_source::NetworkSource;

/// From the pixels of a high-content microscopy screen to a scored map of
/// biology.
///
/// Exit status: 0 done, 1 finished or stopped with reported failures, 2
/// refused before any work.
#[derive(Debug, Parser)]
#[command(name = "morphospace", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Simulate a small screen, train on it, and report what was learned
    Demo(DemoArgs),
    /// Fetch a published screen, annotations or weights; goes on where it broke off
    #[cfg(feature = "buckets")]
    Fetch(FetchArgs),
    /// Write a simulated screen in the layout of RxRx1, RxRx3 or JUMP
    Simulate(SimulateArgs),
    /// Look a screen over: counts, missing and unreadable images, quality of images
    Inspect(InspectArgs),
    /// Pack a screen into OME-Zarr plates that are fast to read in pieces
    Pack(PackArgs),
    /// Decide which sites are for training, validation and test
    Split(SplitArgs),
    /// Compute means and standard deviations of plates, experiments or a screen
    Normalise(NormaliseArgs),
    /// Fit the uneven illumination of each plate and channel
    Illumination(IlluminationArgs),
    /// Say what networks cost before anything is computed: parameters, FLOPs, memory, GPU-hours
    Plan(PlanArgs),
    /// Train a network on a screen; the same command goes on after a kill
    Train(TrainArgs),
    /// Tell the classes of a screen's sites with trained heads
    Predict(PredictArgs),
    /// Draw what a masked autoencoder makes of images that it sees parts of
    Reconstruct(ReconstructArgs),
    /// Take in weights of other programs: from files, Hugging Face or web servers
    Import(ImportArgs),
    /// Keep the first blocks of a vision transformer and leave out the rest
    Trim(TrimArgs),
    /// Turn the images of a screen into profiles, one row per well
    Embed(EmbedArgs),
    /// Take batch effects out of profiles
    Align(AlignArgs),
    /// Turn replicate wells into one row per perturbation
    Aggregate(AggregateArgs),
    /// List which perturbations are active, how sure that is and how much they do
    Hits(HitsArgs),
    /// Score profiles
    #[command(subcommand)]
    Benchmark(BenchmarkCommand),
    /// Draw a page about a run
    Report(ReportArgs),
    /// Print what this machine and this binary can do
    Doctor(DoctorArgs),
}

/// How far images are read ahead of the network.
#[derive(Debug, Args)]
pub(crate) struct LoaderArgs {
    /// Threads that read and decode images [default: one for each core]
    #[arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    decode_threads: Option<u16>,
    /// How many batches (train) or sites (embed) may wait in memory [default: two for each thread]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    decode_ahead: Option<u16>,
}

impl LoaderArgs {
    pub(crate) fn options(&self) -> LoaderOptions {
        let mut options = LoaderOptions::default();
        if let Some(threads) = self.decode_threads {
            options.num_threads = threads.into();
            options.num_ahead = 2 * options.num_threads;
        }
        if let Some(count) = self.decode_ahead {
            options.num_ahead = count.into();
        }
        options
    }
}

/// Where tensors live.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// auto, cpu, cuda[:n], rocm[:n], metal[:n], vulkan[:n] or webgpu[:n]
    #[arg(
        long,
        default_value = "auto",
        env = "MORPHOSPACE_DEVICE",
        value_name = "DEVICE"
    )]
    pub(crate) device: DeviceChoice,
}

#[derive(Debug, Args)]
pub(crate) struct ScreenArgs {
    /// The screen: a folder, .zip or .tar archive, or URL (s3://, gs://, az://, https://) in a known
    /// layout or with screen.toml, or a TOML description
    #[arg(value_name = "SCREEN")]
    pub(crate) screen: PathBuf,
    /// What the screen is read as, if not what its files say: `ome-zarr`, `rxrx3-core`, `rxrx3`,
    /// `wilds`, `rxrx1`, `jump`, `imagexpress`, `harmony`, or a TOML file that describes it
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ScreenFormat>,
    /// Divide uneven illumination out: `screen` for the functions that the screen's tables name, or a
    /// folder of them as `illumination` writes it
    #[arg(long, value_name = "SOURCE")]
    pub(crate) illumination: Option<IlluminationSource>,
    /// Channels to use, in order, by stain; STAIN=NAME where the screen calls one otherwise, e.g.
    /// DNA,ER,Actin=AGP,RNA,Mito,Golgi=AGP
    #[arg(long, value_delimiter = ',', value_name = "STAINS")]
    pub(crate) channels: Vec<ChannelChoice>,
    /// One image of each stack of z-planes: max (projection), focus (sharpest) or an index
    #[arg(long, value_name = "CHOICE")]
    pub(crate) z: Option<ZSelection>,
    /// The time point to use, by index
    #[arg(long, value_name = "INDEX")]
    pub(crate) timepoint: Option<u32>,
    /// A table of `split`: use only the sites of one of its parts
    #[arg(long, value_name = "PARQUET")]
    pub(crate) split: Option<PathBuf>,
    /// The part of --split: train, validation or test [default of `train`: train]
    #[arg(long, value_name = "PART", requires = "split")]
    pub(crate) part: Option<Part>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder for the screen, the network, profiles and the report
    #[arg(long, default_value = "morphospace-demo", value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Seed of the screen, the network and all draws; several seeds make one
    /// table with paired intervals
    #[arg(long = "seed", default_values_t = [1], value_name = "SEED")]
    pub(crate) seeds: Vec<u64>,
    /// Simulator settings in TOML in place of the built-in ones
    #[arg(long, value_name = "TOML")]
    pub(crate) simulator: Option<PathBuf>,
    /// Training settings in TOML in place of the built-in ones
    #[arg(long, value_name = "TOML")]
    pub(crate) training: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

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
#[cfg(feature = "buckets")]
fn parse_size(text: &str) -> Result<u64, String> {
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

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Networks: variants (e.g. mae_vit_gigantic_patch8), checkpoint or run folders, their config.json,
    /// or training settings in TOML. Of one, all is told; several make a table
    #[arg(value_name = "NETWORK", required = true)]
    pub(crate) networks: Vec<String>,
    /// Batches to tell the memory of, comma-separated [default: that of the TOML, or 1,8,64]
    #[arg(long, value_delimiter = ',', value_name = "IMAGES",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) batch: Vec<u64>,
    /// Channels of the images; of channel-agnostic networks, of those to embed [default: those of training]
    #[arg(long, value_name = "CHANNELS")]
    pub(crate) channels: Option<u16>,
    /// Side of the images, for networks that take any [default: that of training]
    #[arg(long, value_name = "PX")]
    pub(crate) img_size: Option<u16>,
    /// Numbers to compute with
    #[arg(long, default_value = "f32")]
    pub(crate) precision: PrecisionArg,
    /// How weights move in training [default: that of the TOML, or adamw]
    #[arg(long)]
    pub(crate) optimiser: Option<OptimiserArg>,
    /// T4, V100, A10G, L4, L40S, A100-40GB, A100-80GB, H100-SXM, H100-PCIe or H200 (repeatable)
    /// [default: L4, A100-80GB, H100-SXM]
    #[arg(long = "accelerator", value_delimiter = ',', value_name = "NAME")]
    pub(crate) accelerators: Vec<String>,
    /// Share of an accelerator's peak that is reached
    #[arg(long, default_value_t = morphospace_models::plan::Accelerator::UTILISATION, value_name = "0..1")]
    pub(crate) utilisation: f64,
    /// Images embedded per second where you measured it, e.g. on a CPU
    #[arg(long, value_name = "SPEED")]
    pub(crate) images_per_second: Option<f64>,
    #[command(flatten)]
    pub(crate) screen: PlanScreenArgs,
    /// Print JSON with all numbers
    #[arg(long)]
    pub(crate) json: bool,
}

/// The screen that a plan is for.
#[derive(Debug, Args)]
pub(crate) struct PlanScreenArgs {
    /// Wells of a screen: adds hours, bytes in and bytes out
    #[arg(long, value_name = "COUNT",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub(crate) wells: Option<u64>,
    /// Sites per well
    #[arg(long, default_value_t = 1, value_name = "COUNT", requires = "wells",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) sites_per_well: u32,
    /// Crops per site [default: as many as cover it]
    #[arg(long, value_name = "COUNT", requires = "wells",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) crops_per_site: Option<u32>,
    /// Side of a site in pixels
    #[arg(long, default_value_t = 2048, value_name = "PX", requires = "wells",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) site_px: u32,
    /// Bytes of a pixel of one channel
    #[arg(long, default_value_t = 1, value_name = "BYTES", requires = "wells",
          value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) bytes_per_pixel: u8,
    /// Also tell the hours of training that sees every crop so often
    #[arg(long, value_name = "COUNT", requires = "wells",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) epochs: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PrecisionArg {
    /// 32-bit numbers; on accelerators that have it, in TF32
    F32,
    /// 16-bit activations; in f16 where there is no bf16
    Bf16,
}

impl From<PrecisionArg> for Precision {
    fn from(precision: PrecisionArg) -> Self {
        match precision {
            PrecisionArg::F32 => Self::F32,
            PrecisionArg::Bf16 => Self::Bf16,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OptimiserArg {
    /// Two moving averages
    #[value(name = "adamw", alias = "adam_w")]
    AdamW,
    /// One moving average
    Lion,
    /// With momentum: one moving average
    Sgd,
}

impl OptimiserArg {
    /// The optimiser's name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AdamW => "AdamW",
            Self::Lion => "Lion",
            Self::Sgd => "SGD",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
    /// Training settings in TOML
    #[arg(long, value_name = "TOML")]
    pub(crate) config: PathBuf,
    /// Override one setting, e.g. --set length="100 steps" or --set scale=tiny (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Folder of the run; if it holds a checkpoint, the run goes on from it
    #[arg(long, value_name = "FOLDER", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
    /// The part of --split to validate with; none for no validation [default: validation, if the
    /// split has it]
    #[arg(long, value_name = "PART|none", requires = "split")]
    pub(crate) validation_part: Option<ValidationPart>,
    /// Train so often with other seeds, each into a folder of its own, and tell mean and spread
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) seeds: Option<u16>,
    /// Train on each of so many folds of `split --scheme cross-validation`, likewise
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(2..=6),
          conflicts_with_all = ["split", "part"])]
    pub(crate) folds: Option<u16>,
    /// The cells whose experiments make up the folds
    #[arg(long, value_name = "TYPE", requires = "folds", default_value = "HUVEC")]
    pub(crate) cell_type: String,
    /// If the last checkpoint is broken, remove it and go on from the one before
    #[arg(long)]
    pub(crate) drop_corrupt: bool,
    /// Print the resolved settings and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) loader: LoaderArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// `--validation-part`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValidationPart {
    None,
    Part(Part),
}

impl std::str::FromStr for ValidationPart {
    type Err = <Part as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            part => part.parse().map(Self::Part),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
    /// A run folder of `train` with objective supervised or classifier
    #[arg(long, value_name = "RUN")]
    pub(crate) network: PathBuf,
    /// Which of the run's checkpoints
    #[arg(long, default_value = "last")]
    pub(crate) checkpoint: CheckpointArg,
    /// Table to write, e.g. predictions.parquet
    #[arg(long, value_name = "PARQUET")]
    pub(crate) output: PathBuf,
    /// Where batch normalisation takes its statistics from [default: batch for runs with AdaBN, else
    /// running]
    #[arg(long)]
    pub(crate) norm: Option<NormArg>,
    /// Print JSON: of each head how many sites of known label are told right
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) loader: LoaderArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CheckpointArg {
    /// The last
    Last,
    /// The one with the best score of those that were evaluated
    Best,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum NormArg {
    /// Running averages of training
    Running,
    /// Batches of one experiment or plate each, as AdaBN trains
    Batch,
    /// All sites of an experiment or plate: exact, with all of them in memory
    Domain,
}

#[derive(Debug, Args)]
pub(crate) struct ReconstructArgs {
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
    /// A run folder of `train`, or a checkpoint folder, of a masked autoencoder
    #[arg(long, value_name = "NETWORK")]
    pub(crate) network: PathBuf,
    /// Page to write, e.g. reconstructions.html
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Sites to draw, spread over the screen
    #[arg(long, default_value_t = 2, value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(crate) sites: u16,
    /// Share of patches that is hidden [default: that of training]
    #[arg(long, value_name = "0..1")]
    pub(crate) mask_ratio: Option<f64>,
    /// Seed of what is hidden
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A file of weights (safetensors or PyTorch), hf://owner/name, hf://owner/name@revision,
    /// hf://owner/name/file, or https://server/file, with #sha256=... behind it if it is known
    #[arg(value_name = "WEIGHTS")]
    pub(crate) weights: String,
    /// The network that they are of: a name such as imagenet_vit_large_patch16, openphenom or
    /// densenet161, or a config.json of ours
    #[arg(long, value_name = "NETWORK")]
    pub(crate) network: String,
    /// Folder for the checkpoint, where no network is yet
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Channels of the images; a first convolution of three is repeated for them [default: the
    /// network's]
    #[arg(long, value_name = "COUNT")]
    pub(crate) in_chans: Option<usize>,
    /// Side of the images to embed, for networks of maps and those that interpolate their positions
    /// [default: the network's]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) input_size: Option<usize>,
    /// Eps of a vision transformer's norms: 1e-12 of Hugging Face's ViT [default: the network's]
    #[arg(long, value_name = "EPS")]
    pub(crate) norm_eps: Option<f64>,
    /// Where files of networks are kept [default: morphospace in the user's cache folder]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) cache: Option<PathBuf>,
    /// A mirror of Hugging Face
    #[arg(long = "from", value_name = "URL")]
    pub(crate) mirror: Option<String>,
    /// Most bytes that the file may have, e.g. 5GB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_bytes: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct TrimArgs {
    /// A checkpoint folder, or a run folder of `train`
    #[arg(value_name = "NETWORK")]
    pub(crate) network: PathBuf,
    /// Blocks to keep, from the first
    #[arg(long, value_name = "COUNT")]
    pub(crate) blocks: usize,
    /// Folder for the checkpoint, where no network is yet
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
    /// A checkpoint folder, a run folder of `train`, `untrained:<variant>`
    /// (e.g. untrained:camae_vit_small_patch16), or `intensity` for five
    /// statistics per channel
    #[arg(long, value_name = "NETWORK")]
    pub(crate) network: NetworkSource,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    /// Self-standardisation (instance_norm, instance_norm_no255,
    /// std_plus_eps, zero_to_one), or a table of `normalise` [default: what
    /// the network was trained with]
    #[arg(long, value_name = "METHOD|TABLE")]
    pub(crate) normalisation: Option<NormalisationChoice>,
    /// What to do with sites that lack images
    #[arg(long, default_value = "fail", value_name = "fail|skip|fill")]
    pub(crate) on_incomplete: OnIncomplete,
    /// What to do with pixels that fill no whole tile
    #[arg(long, default_value = "overlap")]
    pub(crate) edge: EdgeArg,
    /// Which tiles of a site
    #[arg(long, default_value = "all")]
    pub(crate) tiles: TilesArg,
    /// What to make of a tile's tokens
    #[arg(long, default_value = "patch-mean")]
    pub(crate) pooling: PoolingArg,
    /// Tiles per forward pass
    #[arg(long, default_value_t = 8)]
    pub(crate) batch_size: usize,
    /// Seed of an untrained network
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) loader: LoaderArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum EdgeArg {
    /// Leave them out
    Drop,
    /// Mirror the image beyond its edge
    Reflect,
    /// Let tiles overlap evenly
    Overlap,
}

impl From<EdgeArg> for EdgePolicy {
    fn from(edge: EdgeArg) -> Self {
        match edge {
            EdgeArg::Drop => Self::Drop,
            EdgeArg::Reflect => Self::Reflect,
            EdgeArg::Overlap => Self::Overlap,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TilesArg {
    /// All of them: 64 of a 2048-pixel image
    All,
    /// Without the outer ring: 36 of a 2048-pixel image
    Centre,
}

impl From<TilesArg> for TileSelection {
    fn from(tiles: TilesArg) -> Self {
        match tiles {
            TilesArg::All => Self::All,
            TilesArg::Centre => Self::CentreDropOuterRing,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PoolingArg {
    /// Mean of the patch tokens
    PatchMean,
    /// The class token
    Cls,
    /// Mean of the patch tokens of each channel, side by side
    PerChannel,
}

impl From<PoolingArg> for Pooling {
    fn from(pooling: PoolingArg) -> Self {
        match pooling {
            PoolingArg::PatchMean => Self::PatchMean,
            PoolingArg::Cls => Self::Cls,
            PoolingArg::PerChannel => Self::PerChannel,
        }
    }
}

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
fn share(text: &str) -> Result<f64, String> {
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

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Profiles before alignment
    #[arg(long, value_name = "FILE")]
    pub(crate) profiles: PathBuf,
    /// Profiles after alignment, with the same rows
    #[arg(long, value_name = "FILE")]
    pub(crate) aligned: Option<PathBuf>,
    /// Files of scores
    #[arg(long, num_args = 1.., value_name = "JSON")]
    pub(crate) scores: Vec<PathBuf>,
    /// Screen to show images of
    #[arg(long, value_name = "SCREEN")]
    pub(crate) screen: Option<PathBuf>,
    /// Format of the screen, as for `inspect`
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ScreenFormat>,
    /// Title of the page
    #[arg(long, default_value = "Screen report")]
    pub(crate) title: String,
    /// Column of the batch
    #[arg(long, default_value = "Metadata_Batch", value_name = "COLUMN")]
    pub(crate) batch_column: String,
    /// Column that colours the second row of scatters
    #[arg(long, default_value = "Metadata_treatment", value_name = "COLUMN")]
    pub(crate) group_column: String,
    /// Page to write
    #[arg(long, value_name = "HTML")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
