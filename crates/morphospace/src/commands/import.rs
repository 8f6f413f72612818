use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use morphospace_core::{Provenance, write_atomically};
use morphospace_models::{
    CheckpointConfig, NetworkConfig, WeightsFile, import_checkpoint, read_checkpoint_config,
};

use crate::cli::ImportArgs;
use crate::failure::{Failure, Outcome, Phase};

/// Beside the network: where its weights are from.
const PROVENANCE_FILE: &str = "provenance.json";

pub(crate) fn run(args: &ImportArgs) -> Result<Outcome, Failure> {
    let config = config(args).or_refuse()?;
    refuse_network(&args.output)?;
    let (path, source) = weights(args).or_refuse()?;
    let file = WeightsFile::open(&path).or_refuse()?;
    // Weights are copied, not computed with: no other device is needed.
    let device = Device::flex();
    let report = import_checkpoint(&args.output, &config, &file, &device).or_refuse()?;
    let provenance = Provenance::new("import")
        .with_setting("weights", &source)
        .with_setting("network", &args.network)
        .with_input(&path)
        .or_stop()?;
    write_provenance(&args.output, &provenance)?;
    crate::print_line!("{report}");
    crate::print_line!("{}", args.output.display());
    Ok(Outcome::Done)
}

/// What is in the way of a checkpoint: another one.
pub(super) fn refuse_network(folder: &Path) -> Result<(), Failure> {
    for name in ["config.json", "model.safetensors"] {
        if folder.join(name).exists() {
            return Err(Failure::Refused(anyhow::anyhow!(
                "'{}' holds a network ({name})\nhint: give another folder, or move it away",
                folder.display()
            )));
        }
    }
    Ok(())
}

/// Says beside a checkpoint where it is from.
pub(super) fn write_provenance(folder: &Path, provenance: &Provenance) -> Result<(), Failure> {
    let json = provenance.to_json();
    write_atomically(&folder.join(PROVENANCE_FILE), |file| {
        writeln!(file, "{json}")
    })
    .or_stop()
}

/// The network that the weights are of, for the images that are wanted.
fn config(args: &ImportArgs) -> Result<CheckpointConfig> {
    let path = Path::new(&args.network);
    let mut config = match path.file_name() {
        Some(name) if name == "config.json" => {
            let folder = path.parent().unwrap_or(Path::new("."));
            read_checkpoint_config(folder)?
        }
        _ => CheckpointConfig::new(
            NetworkConfig::decode_variant(&args.network).context("reading --network")?,
        ),
    };
    if let Some(in_chans) = args.in_chans {
        config.network = config.network.with_in_chans(in_chans)?;
    }
    if let Some(input_size) = args.input_size {
        config.network = config.network.with_input_size(input_size)?;
    }
    if let Some(eps) = args.norm_eps {
        config.network = config.network.with_norm_eps(eps)?;
    }
    Ok(config)
}

/// The file of weights, and what to call where it is from.
fn weights(args: &ImportArgs) -> Result<(PathBuf, String)> {
    #[cfg(feature = "buckets")]
    if morphospace_screen::fetch::WeightsLocation::is_one(&args.weights) {
        return fetched(args);
    }
    if args.weights.contains("://") {
        bail!(
            "'{}' is not a location of weights\nhint: give a file, hf://owner/name or https://…",
            args.weights
        );
    }
    let path = PathBuf::from(&args.weights);
    if path.is_dir() {
        bail!(
            "'{}' is a folder\nhint: give the file of weights in it",
            path.display()
        );
    }
    Ok((path, args.weights.clone()))
}

#[cfg(feature = "buckets")]
fn fetched(args: &ImportArgs) -> Result<(PathBuf, String)> {
    use crate::terminal::{self, Progress};

    let location: morphospace_screen::fetch::WeightsLocation = args.weights.parse()?;
    let cache = match &args.cache {
        Some(cache) => cache.clone(),
        None => user_cache()?,
    };
    let progress = Progress::new("fetch", "kB", 0);
    let on_progress = |done: morphospace_screen::fetch::FetchProgress| {
        progress.update((done.num_bytes / 1_000) as usize, "");
    };
    let mirror = args.mirror.as_deref();
    let fetched = location.fetch(&cache, mirror, args.max_bytes, &on_progress)?;
    progress.finish(&format!("'{}'", fetched.path.display()));
    if let Some(warning) = fetched.warning {
        terminal::warn(format!("{warning}; what was fetched before is taken"));
    }
    Ok((fetched.path, fetched.url))
}

/// Where programs of this user keep what they can fetch again.
#[cfg(feature = "buckets")]
fn user_cache() -> Result<PathBuf> {
    let of_user = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty());
    let cache = of_user("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(of_user("HOME")?).join(".cache")));
    let cache = cache.context("no cache folder is known\nhint: give one with --cache")?;
    Ok(cache.join("morphospace"))
}
