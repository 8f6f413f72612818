mod page;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use morphospace_core::read_config;
use morphospace_models::plan::{
    Accelerator, BACKWARD_AND_FORWARD, EmbeddingMemory, Flops, ForwardPass, ImageSize,
    MovingAverages, ParameterCount, Precision, ScreenSize, TrainingMemory,
    approximate_multiply_adds, gpu_hours,
};
use morphospace_models::{CheckpointConfig, NetworkConfig, read_checkpoint_config};
use morphospace_train::{Rule, TrainConfig};
use serde::Serialize;

use crate::cli::{OptimiserArg, PlanArgs, PlanScreenArgs};
use crate::failure::{Failure, Outcome, Phase};
use crate::network_source::checkpoint_folder;

/// Accelerators of a plan for which none is named.
const USUAL_ACCELERATORS: [&str; 3] = ["L4", "A100-80GB", "H100-SXM"];
/// Batches of a plan for which none is named.
const USUAL_BATCHES: [u64; 3] = [1, 8, 64];

pub(crate) fn run(args: &PlanArgs) -> Result<Outcome, Failure> {
    let machines = machines(args).or_refuse()?;
    let plan_of = |name: &String| plan(name, args, &machines);
    let networks = args.networks.iter().map(plan_of).collect::<Result<_>>();
    let plans = Plans {
        precision: args.precision.into(),
        utilisation: args.utilisation,
        networks: networks.or_refuse()?,
    };
    let text = match args.json {
        true => serde_json::to_string_pretty(&plans).or_stop()?,
        false => page::page(&plans),
    };
    crate::print_line!("{}", text.trim_end());
    Ok(Outcome::Done)
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Plans {
    precision: Precision,
    /// Share of the accelerators' peak.
    utilisation: f64,
    networks: Vec<Plan>,
}

/// Of one network.
#[derive(Debug, Serialize)]
struct Plan {
    /// As given.
    name: String,
    network: NetworkConfig,
    image: ImageSize,
    /// What a decoder is for: the channels of training.
    training_image: ImageSize,
    num_features: usize,
    parameters: ParameterCount,
    trained_parameters: u64,
    embedding: Compute,
    training: Compute,
    /// Of forward and backward pass of one image.
    training_step_flops: u128,
    /// Multiply-adds to embed an image by the estimate of Kraus et al. 2023,
    /// appendix A.3, if it has one.
    approximate_multiply_adds: Option<f64>,
    optimiser: OptimiserArg,
    embedding_memory: EmbeddingMemory,
    training_memory: TrainingMemory,
    batches: Vec<Batch>,
    screen: Option<ScreenPlan>,
    machines: Vec<MachinePlan>,
}

/// Of one image's forward pass.
#[derive(Debug, Serialize)]
struct Compute {
    flops: u128,
    multiply_adds: u128,
    flops_by_part: Flops,
}

/// Bytes of memory with a batch of so many images.
#[derive(Debug, Serialize)]
struct Batch {
    batch_size: u64,
    embedding_bytes: u128,
    training_bytes: u128,
}

/// Of a whole screen.
#[derive(Debug, Serialize)]
struct ScreenPlan {
    size: ScreenSize,
    num_crops: u128,
    pixel_bytes: u128,
    bytes_by_well: u128,
    bytes_by_crop: u128,
    /// Times that training sees every crop.
    epochs: Option<u64>,
}

/// On an accelerator, or where a speed was measured.
#[derive(Debug, Serialize)]
struct MachinePlan {
    name: String,
    accelerator: Option<&'static Accelerator>,
    peak_flops_per_second: Option<f64>,
    embedding_images_per_second: f64,
    training_images_per_second: f64,
    /// What fits into its memory.
    largest_embedding_batch: Option<u64>,
    largest_training_batch: Option<u64>,
    embedding_hours: Option<f64>,
    training_hours: Option<f64>,
}

/// What images may be computed on.
enum Machine {
    Accelerator(&'static Accelerator),
    /// Images embedded per second.
    Measured(f64),
}

fn machines(args: &PlanArgs) -> Result<Vec<Machine>> {
    if !(args.utilisation > 0.0 && args.utilisation <= 1.0) {
        bail!(
            "--utilisation {} is not in 0..1\nhint: it is the share of an accelerator's peak, e.g. {}",
            args.utilisation,
            Accelerator::UTILISATION
        );
    }
    let measured = match args.images_per_second {
        Some(speed) if !(speed > 0.0 && speed.is_finite()) => {
            bail!("--images-per-second {speed} is not a positive number")
        }
        speed => speed.map(Machine::Measured),
    };
    let usual = || USUAL_ACCELERATORS.map(str::to_owned).to_vec();
    let names = match (&args.accelerators[..], &measured) {
        ([], None) => usual(),
        (names, _) => names.to_vec(),
    };
    let mut machines = Vec::new();
    for name in &names {
        if name.eq_ignore_ascii_case("cpu") {
            bail!(
                "no data sheet tells the speed of a CPU\nhint: measure it, e.g. with `morphospace \
                 embed` on a few sites, and give it as --images-per-second"
            );
        }
        machines.push(Machine::Accelerator(Accelerator::find(name)?));
    }
    machines.extend(measured);
    Ok(machines)
}

/// A network, and what else its file says.
struct Source {
    network: NetworkConfig,
    batch_size: Option<u64>,
    optimiser: Option<OptimiserArg>,
}

fn plan(name: &str, args: &PlanArgs, machines: &[Machine]) -> Result<Plan> {
    let source = source(name).with_context(|| format!("planning '{name}'"))?;
    let network = match args.channels {
        Some(channels) if !source.network.is_channel_agnostic() => {
            let network = source.network.with_in_chans(usize::from(channels));
            network.with_context(|| format!("planning '{name}'"))?
        }
        _ => source.network,
    };
    let own = ImageSize::of(&network);
    let image = ImageSize {
        in_chans: args.channels.map_or(own.in_chans, usize::from),
        side: args.img_size.map_or(own.side, usize::from),
    };
    let trained_on = match network {
        // A decoder is for the channels of training, whatever is embedded.
        NetworkConfig::CaMae(_) => ImageSize {
            in_chans: own.in_chans,
            ..image
        },
        _ => image,
    };
    let passes = || -> Result<_> {
        let embedding = ForwardPass::embedding(&network, image)?;
        let training = ForwardPass::training(&network, trained_on)?;
        Ok((embedding, training, ParameterCount::of(&network)?))
    };
    let (embedding, training, parameters) =
        passes().with_context(|| format!("planning '{name}'"))?;
    let optimiser = args
        .optimiser
        .or(source.optimiser)
        .unwrap_or(OptimiserArg::AdamW);
    let precision = args.precision.into();
    let embedding_memory = EmbeddingMemory::of(&embedding, &parameters, precision);
    let training_memory =
        TrainingMemory::of(&training, &parameters, precision, optimiser.averages());
    let batch_sizes = match (&args.batch[..], source.batch_size) {
        ([], Some(batch_size)) => vec![batch_size],
        ([], None) => USUAL_BATCHES.to_vec(),
        (batch_sizes, _) => batch_sizes.to_vec(),
    };
    let batch = |&batch_size: &u64| Batch {
        batch_size,
        embedding_bytes: embedding_memory.bytes(batch_size),
        training_bytes: training_memory.bytes(batch_size),
    };
    let num_features = num_features(&network);
    let screen = screen(&args.screen, image, num_features);
    let (embedding, training) = (Compute::of(&embedding), Compute::of(&training));
    let training_step_flops = BACKWARD_AND_FORWARD * training.flops;
    let machine_plan = |machine: &Machine| {
        let hours = |num_images: Option<u128>, speed| Some(gpu_hours(num_images?, speed));
        let num_crops = screen.as_ref().map(|screen| screen.num_crops);
        let seen = || Some(u128::from(screen.as_ref()?.epochs?) * num_crops?);
        let (embed_speed, train_speed) = match machine {
            Machine::Accelerator(one) => {
                let speed = |flops| one.images_per_second(flops, precision, args.utilisation);
                (speed(embedding.flops), speed(training_step_flops))
            }
            // Training is as much slower as it computes more.
            Machine::Measured(speed) => {
                let ratio = embedding.flops as f64 / training_step_flops as f64;
                (*speed, speed * ratio)
            }
        };
        let accelerator = match machine {
            Machine::Accelerator(one) => Some(*one),
            Machine::Measured(_) => None,
        };
        MachinePlan {
            name: accelerator.map_or("measured", |one| one.name).to_owned(),
            accelerator,
            peak_flops_per_second: accelerator.map(|one| one.peak(precision)),
            embedding_images_per_second: embed_speed,
            training_images_per_second: train_speed,
            largest_embedding_batch: accelerator
                .and_then(|one| embedding_memory.largest_batch(one.memory_bytes)),
            largest_training_batch: accelerator
                .and_then(|one| training_memory.largest_batch(one.memory_bytes)),
            embedding_hours: hours(num_crops, embed_speed),
            training_hours: hours(seen(), train_speed),
        }
    };
    Ok(Plan {
        name: name.to_owned(),
        image,
        training_image: trained_on,
        num_features,
        parameters,
        trained_parameters: parameters.trained(),
        training_step_flops,
        approximate_multiply_adds: approximate_multiply_adds(&network),
        optimiser,
        embedding_memory,
        training_memory,
        batches: batch_sizes.iter().map(batch).collect(),
        machines: machines.iter().map(machine_plan).collect(),
        embedding,
        training,
        screen,
        network,
    })
}

impl Compute {
    fn of(pass: &ForwardPass) -> Self {
        let flops_by_part = pass.flops();
        Self {
            flops: flops_by_part.total(),
            multiply_adds: flops_by_part.multiply_adds(),
            flops_by_part,
        }
    }
}

impl OptimiserArg {
    fn averages(self) -> MovingAverages {
        match self {
            Self::AdamW => MovingAverages::Two,
            Self::Lion | Self::Sgd => MovingAverages::One,
        }
    }
}

/// What the user may have meant: a file or folder that is there, or the name
/// of a variant.
fn source(name: &str) -> Result<Source> {
    let path = Path::new(name);
    let untrained = |network| Source {
        network,
        batch_size: None,
        optimiser: None,
    };
    if path.is_dir() {
        let config = read_checkpoint_config(&checkpoint_folder(path)?).context(
            "it is neither a checkpoint folder, with a config.json, nor a run of `train`",
        )?;
        return Ok(untrained(config.network));
    }
    let ending = path.extension().and_then(|ending| ending.to_str());
    match ending {
        Some("toml") => {
            let config: TrainConfig = read_config(path, &[])?;
            let config = config.check()?.get().clone();
            Ok(Source {
                batch_size: Some(config.batch_size as u64),
                optimiser: Some(match config.optimiser.rule {
                    Rule::AdamW | Rule::Adam => OptimiserArg::AdamW,
                    Rule::Sgd | Rule::SgdNesterov => OptimiserArg::Sgd,
                    Rule::Lion => OptimiserArg::Lion,
                }),
                network: config.network,
            })
        }
        Some("json") => Ok(untrained(read_json(path)?.network)),
        _ if path.components().count() > 1 => {
            bail!(
                "'{name}' does not exist\nhint: give a checkpoint folder, config.json, a training \
                 configuration (.toml) or the name of a network, e.g. mae_vit_small_patch16"
            )
        }
        _ => {
            let variant = name.strip_prefix("untrained:").unwrap_or(name);
            Ok(untrained(NetworkConfig::decode_variant(variant)?))
        }
    }
}

fn read_json(path: &Path) -> Result<CheckpointConfig> {
    let folder: PathBuf = match (path.file_name(), path.parent()) {
        (Some(file), Some(folder)) if file == "config.json" => folder.to_owned(),
        _ => bail!(
            "'{}' is not called config.json\nhint: networks are described by the config.json of a \
             checkpoint folder",
            path.display()
        ),
    };
    Ok(read_checkpoint_config(&folder)?)
}

fn num_features(network: &NetworkConfig) -> usize {
    match network {
        NetworkConfig::Vit(config) => config.embed_dim,
        NetworkConfig::Mae(config) => config.encoder.embed_dim,
        NetworkConfig::CaMae(config) => config.encoder.embed_dim,
        NetworkConfig::PlainVit(config) => config.embed_dim,
        NetworkConfig::DenseNet(config) => config.num_features(),
        NetworkConfig::ResNet(config) => config.num_features(),
        NetworkConfig::MuNet(config) => config.num_features(),
        NetworkConfig::Supervised(config) => config.head.embed_dim,
    }
}

fn screen(args: &PlanScreenArgs, image: ImageSize, num_features: usize) -> Option<ScreenPlan> {
    let num_wells = args.wells?;
    // As `embed` cuts a site unless told otherwise.
    let per_side = u64::from(args.site_px).div_ceil(image.side as u64);
    let crops_per_site = args.crops_per_site.map(u64::from);
    let size = ScreenSize {
        num_wells,
        sites_per_well: args.sites_per_well.into(),
        site_px: args.site_px.into(),
        in_chans: image.in_chans as u64,
        bytes_per_pixel: args.bytes_per_pixel.into(),
        crops_per_site: crops_per_site.unwrap_or(per_side * per_side),
    };
    Some(ScreenPlan {
        size,
        num_crops: size.num_crops(),
        pixel_bytes: size.pixel_bytes(),
        bytes_by_well: size.bytes_by_well(num_features),
        bytes_by_crop: size.bytes_by_crop(num_features),
        epochs: args.epochs.map(u64::from),
    })
}
