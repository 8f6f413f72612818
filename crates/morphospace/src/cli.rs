//! Arguments.

mod benchmarks;
mod clusters;
mod figures;
mod maps;
mod networks;
mod recipes;
mod screens;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use morphospace::device::DeviceChoice;
use morphospace_screen::split::Part;
use morphospace_screen::{
    ChannelChoice, IlluminationSource, LoaderOptions, ScreenFormat, ZSelection,
};

pub(crate) use benchmarks::*;
pub(crate) use clusters::*;
pub(crate) use figures::*;
pub(crate) use maps::*;
pub(crate) use networks::*;
pub(crate) use recipes::*;
pub(crate) use screens::*;

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
    /// Tell how much each channel has to do with what trained heads tell (Shapley values)
    ChannelImportance(ChannelImportanceArgs),
    /// Draw what a masked autoencoder makes of images that it sees parts of
    Reconstruct(ReconstructArgs),
    /// Take in weights of other programs: from files, Hugging Face or web servers
    Import(ImportArgs),
    /// Keep the first blocks of a vision transformer and leave out the rest
    Trim(TrimArgs),
    /// Turn the images of a screen into profiles: a table of wells, or a folder of plates
    Embed(EmbedArgs),
    /// Write the job of a cluster's scheduler that embeds a screen in parts, and hand it in
    Submit(SubmitArgs),
    /// Tell labels from every block of a network, and which block is best
    Probe(ProbeArgs),
    /// Put the plates of a folder that `embed` filled into one table
    Collate(CollateArgs),
    /// Bring a table into another format or naming, and add what is known of its wells
    Convert(ConvertArgs),
    /// Test which conditions change cells in the same way wherever they are
    Phenoprints(PhenoprintsArgs),
    /// Decide which wells are worth training on, and say why the others are not
    Curate(CurateArgs),
    /// Take batch effects out of profiles
    Align(AlignArgs),
    /// Take what cuts do to whole chromosome arms out of aligned profiles of knock-outs
    CenterArms(CenterArmsArgs),
    /// Turn replicate wells into one row per perturbation
    Aggregate(AggregateArgs),
    /// List the relations of a map, known and novel, or the neighbours of some entities
    Relate(RelateArgs),
    /// List which perturbations are active, how sure that is and how much they do
    Hits(HitsArgs),
    /// Score profiles
    #[command(subcommand)]
    Benchmark(BenchmarkCommand),
    /// Score tables of the same wells against each other, with paired intervals
    Compare(CompareArgs),
    /// Draw one of the papers' figures
    #[command(subcommand)]
    Figure(FigureCommand),
    /// Draw a page about a run
    Report(ReportArgs),
    /// Follow a recipe: from a screen to scores, with seeds and folds; goes on after a kill
    Run(RunArgs),
    /// Put what recipes came to into tables as in papers, with means and spreads
    Collect(CollectArgs),
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
    /// A table of `curate`: use only the sites that it keeps
    #[arg(long, value_name = "PARQUET")]
    pub(crate) curated: Option<PathBuf>,
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
