//! Arguments of the commands on networks.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use morphospace_embed::{InvalidShard, Level, Shard};
use morphospace_models::blocks::norm_pass::NormStatistics;
use morphospace_models::plan::Precision as PlanPrecision;
use morphospace_models::{Pooling, Precision};
use morphospace_screen::sampler::Domain;
use morphospace_screen::split::Part;
use morphospace_screen::{EdgePolicy, NormalisationChoice, OnIncomplete, TileSelection};

use super::{DeviceArgs, LoaderArgs, SchemaArg, ScreenArgs, TableArgs};
use crate::network_source::NetworkSource;

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

impl From<PrecisionArg> for PlanPrecision {
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
pub(crate) struct ChannelImportanceArgs {
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
    /// A run folder of `train` with objective supervised or classifier
    #[arg(long, value_name = "RUN")]
    pub(crate) network: PathBuf,
    /// Which of the run's checkpoints
    #[arg(long, default_value = "last")]
    pub(crate) checkpoint: CheckpointArg,
    /// Where batch normalisation takes its statistics from, as for `predict`
    #[arg(long)]
    pub(crate) norm: Option<NormArg>,
    /// Name of the model in the scores
    #[arg(long, default_value = "unnamed")]
    pub(crate) model: String,
    /// Seed of bootstraps
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Add the scores to this scores.json
    #[arg(long, value_name = "JSON")]
    pub(crate) output: Option<PathBuf>,
    /// Also draw the figure: .svg, .png or .html
    #[arg(long, value_name = "FILE")]
    pub(crate) figure: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) loader: LoaderArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
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

impl From<NormArg> for NormStatistics {
    fn from(norm: NormArg) -> Self {
        match norm {
            NormArg::Running => Self::Running,
            NormArg::Batch => Self::Batch,
            NormArg::Domain => Self::Domain,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DomainArg {
    /// All plates of an experiment
    Experiment,
    /// A plate
    Plate,
}

impl From<DomainArg> for Domain {
    fn from(domain: DomainArg) -> Self {
        match domain {
            DomainArg::Experiment => Self::Experiment,
            DomainArg::Plate => Self::Plate,
        }
    }
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
    #[arg(long, value_name = "SIZE", value_parser = super::screens::parse_size)]
    pub(crate) max_bytes: Option<u64>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["blocks", "probe"]))]
pub(crate) struct TrimArgs {
    /// A checkpoint folder, or a run folder of `train`
    #[arg(value_name = "NETWORK")]
    pub(crate) network: PathBuf,
    /// Blocks to keep, from the first
    #[arg(long, value_name = "COUNT")]
    pub(crate) blocks: Option<usize>,
    /// Keep up to the best block by the scores that `probe --output` wrote
    #[arg(long, value_name = "JSON", conflicts_with = "blocks")]
    pub(crate) probe: Option<PathBuf>,
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
    /// A table (.parquet, .csv, .tsv, .gct, .zarr), or a folder: with a table for
    /// each plate, block and level, filled by any number of processes, and gone on
    /// with where they were stopped
    #[arg(long, value_name = "FILE|FOLDER")]
    pub(crate) output: PathBuf,
    /// Names of the metadata columns of a table; folders have those of cytomining
    #[arg(long, default_value = "cytomining")]
    pub(crate) schema: SchemaArg,
    /// Blocks behind which to take embeddings, counted from 1, all in one pass:
    /// `all`, numbers and ranges (1-4,12), and `output` for the network's own
    #[arg(long, default_value = "output", value_name = "BLOCKS")]
    pub(crate) blocks: BlocksArg,
    /// What rows are: wells, sites, crops, or several, comma-separated
    #[arg(
        long,
        default_value = "wells",
        value_delimiter = ',',
        value_name = "LEVELS"
    )]
    pub(crate) levels: Vec<Level>,
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
    /// Pixels from one tile to the next [default: the side of a tile]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) stride: Option<u32>,
    /// What to make of a tile's tokens, or several, comma-separated
    #[arg(long, default_value = "patch-mean", value_delimiter = ',')]
    pub(crate) pooling: Vec<PoolingArg>,
    /// Where batch normalisation takes its statistics from [default: batch for runs with
    /// AdaBN, else running]
    #[arg(long)]
    pub(crate) norm: Option<NormArg>,
    /// What shares statistics of --norm batch and domain [default: as the run was trained,
    /// else plate]
    #[arg(long)]
    pub(crate) domain: Option<DomainArg>,
    /// Images that are 0 where there is nothing to look at, such as segmentations: patches
    /// without a pixel of another value are left out, e.g.
    /// masks/{batch}/{plate}/{well}_s{site}.png ({source} too)
    #[arg(long, value_name = "PATTERN")]
    pub(crate) masks: Option<String>,
    /// Numbers to compute products with: f32, bf16 or f16
    #[arg(long, default_value = "f32", value_name = "PRECISION")]
    pub(crate) precision: Precision,
    /// Tiles per forward pass
    #[arg(long, default_value_t = 8)]
    pub(crate) batch_size: usize,
    /// Seed of an untrained network
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Which part of the plates, counted from 0 (0/4 to 3/4), or `auto` for what
    /// the array job of Slurm, Kubernetes or AWS Batch says; of folders
    #[arg(long, value_name = "INDEX/COUNT|auto")]
    pub(crate) shard: Option<ShardArg>,
    #[command(flatten)]
    pub(crate) loader: LoaderArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// Which part of a screen's plates.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ShardArg {
    /// This one.
    Part(Shard),
    /// The one that the scheduler says.
    Auto,
}

impl FromStr for ShardArg {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            text => text.parse().map(Self::Part),
        }
    }
}

/// Blocks of a network, as they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlocksArg(Vec<BlockRange>);

impl Default for BlocksArg {
    /// The output alone.
    fn default() -> Self {
        Self(vec![BlockRange::Output])
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum BlockRange {
    All,
    Output,
    /// First and last, from 1.
    Numbers(usize, usize),
}

impl FromStr for BlocksArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let range = |word: &str| match word.trim() {
            "all" => Some(BlockRange::All),
            "output" => Some(BlockRange::Output),
            word => {
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                let numbers = (first.trim().parse().ok()?, last.trim().parse().ok()?);
                let (first, last): (usize, usize) = numbers;
                (0 < first && first <= last).then_some(BlockRange::Numbers(first, last))
            }
        };
        text.split(',')
            .map(|word| {
                range(word).ok_or_else(|| {
                    format!(
                        "'{word}' is no block: give all, output, numbers from 1 or ranges, e.g. \
                         1-4,12"
                    )
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl BlocksArg {
    /// Blocks from 0 and `None` for the output, each once, in order.
    pub(crate) fn of_network(&self, num_blocks: usize) -> Result<Vec<Option<usize>>, String> {
        let mut blocks = Vec::new();
        for range in &self.0 {
            match *range {
                BlockRange::All => blocks.extend((0..num_blocks).map(Some)),
                BlockRange::Output => blocks.push(None),
                BlockRange::Numbers(_, last) if last > num_blocks => {
                    return Err(format!(
                        "there is no block {last}: the network has {num_blocks}\nhint: --blocks all \
                         takes each"
                    ));
                }
                BlockRange::Numbers(first, last) => blocks.extend((first - 1..last).map(Some)),
            }
        }
        // The output is behind the last block.
        blocks.sort_by_key(|block| block.unwrap_or(usize::MAX));
        blocks.dedup();
        Ok(blocks)
    }
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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

#[derive(Debug, Args)]
pub(crate) struct CollateArgs {
    /// A folder that `embed` filled
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    /// What rows are: wells, sites or crops
    #[arg(long, default_value = "wells", value_name = "LEVEL")]
    pub(crate) level: Level,
    /// Which embedding: output, block-07, block-07-cls, ... [default: the only one, or output]
    #[arg(long, value_name = "NAME")]
    pub(crate) representation: Option<String>,
    /// What is written: one table, or the tree `workspace_dl` of the Cell Painting Gallery into
    /// the folder --output
    #[arg(long, default_value = "table")]
    pub(crate) layout: CollateLayoutArg,
    /// The network's name in the tree
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CollateLayoutArg {
    /// One table
    Table,
    /// Tables of plates and sites, and one of each batch, by the gallery's paths
    Gallery,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// A folder that `embed --blocks all --output FOLDER` filled
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// What tells the label: the papers' logistic regression, ridge regression or
    /// the nearest rows
    #[arg(long, default_value = "linear")]
    pub(crate) classifier: ClassifierArg,
    /// What rows are [default: sites if the folder has them]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) level: Option<Level>,
    /// Column of the label; rows without one are left out
    #[arg(long, default_value = "Metadata_treatment", value_name = "COLUMN")]
    pub(crate) label_column: String,
    /// Column of the groups that are never both learned from and told
    #[arg(long, default_value = "Metadata_Batch", value_name = "COLUMN")]
    pub(crate) group_column: String,
    /// Groups in which labels are told, learned from all others, comma-separated
    /// [default: each group once, in folds]
    #[arg(long, value_delimiter = ',', value_name = "GROUPS")]
    pub(crate) test: Vec<String>,
    /// Parts of the groups
    #[arg(long, default_value_t = 5, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) folds: u16,
    /// Nearest rows that vote, of knn
    #[arg(long, default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) neighbours: u16,
    /// Rows to leave out (repeatable)
    #[arg(long, value_name = "COLUMN=VALUE[,VALUE]")]
    pub(crate) exclude: Vec<String>,
    /// Name of the model in the scores
    #[arg(long, default_value = "unnamed")]
    pub(crate) model: String,
    /// Seed of folds and bootstraps
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Add the scores to this scores.json, from which `trim --probe` chooses
    #[arg(long, value_name = "JSON")]
    pub(crate) output: Option<PathBuf>,
    /// Also draw the curve over the blocks: .svg, .png or .html
    #[arg(long, value_name = "FILE")]
    pub(crate) figure: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ClassifierArg {
    /// Standardised, multinomial logistic regression, all classes equal in weight
    Linear,
    /// Standardised, ridge regression of class indicators
    Ridge,
    /// The nearest rows by cosine
    Knn,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_numbers_ranges_all_and_the_output() {
        let blocks = |text: &str| text.parse::<BlocksArg>().unwrap().of_network(4);
        assert_eq!(blocks("output"), Ok(vec![None]));
        assert_eq!(blocks("all"), Ok(vec![Some(0), Some(1), Some(2), Some(3)]));
        assert_eq!(
            blocks("output, 3,1-2,2"),
            Ok(vec![Some(0), Some(1), Some(2), None])
        );
        assert!(blocks("5").unwrap_err().contains("the network has 4"));
        for text in ["", "0", "3-1", "last", "1-", "1,,2"] {
            assert!(text.parse::<BlocksArg>().is_err(), "{text}");
        }
    }
}
