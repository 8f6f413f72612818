mod folder;

use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use morphospace::device::DeviceChoice;
use morphospace_core::{Provenance, Seed, Stain};
use morphospace_embed::{
    EmbedConfig, EmbedError, EmbedProgress, Embedded, Level, SiteMasks, embed, intensity_profiles,
};
use morphospace_models::blocks::norm_pass::NormStatistics;
use morphospace_models::{Encoder, Pooling, Precision, Representation};
use morphospace_profiles::Profiles;
use morphospace_screen::sampler::Domain;
use morphospace_screen::{
    Normalisation, NormalisationChoice, NormalisationScheme, NormalisationScope, Screen, Tiling,
    pixel_history, with_stains,
};

use crate::allocator;
use crate::cli::{BlocksArg, EmbedArgs, PoolingArg, TableArgs};
use crate::failure::{Failure, Outcome, Phase};
use crate::network_source::NetworkSource;
use crate::terminal::{Progress, warn, warn_each};

pub(crate) fn run(args: &EmbedArgs) -> Result<Outcome, Failure> {
    allocator::keep_pages();
    let is_table = super::is_table(&args.output);
    if is_table {
        super::refuse_unwritable_table(&args.output)?;
        refuse_for_table(args).or_refuse()?;
    } else {
        folder::refuse_no_folder(&args.output).or_refuse()?;
    }
    let device = args.device.device.open().or_refuse()?;
    let screen = super::open(&args.screen).or_refuse()?;
    let screen = match args.network.channels().or_refuse()? {
        Some(stains) => with_stains(screen, &stains)
            .with_context(|| trained_on(&args.network, &stains))
            .or_refuse()?,
        None => screen,
    };
    let (choice, normalisation) = normalisation(args).or_refuse()?;
    warn_of_other_pixels(&args.network, &*screen).or_refuse()?;
    let encoder = args
        .network
        .open(&device, Seed::new(args.seed))
        .or_refuse()?;
    let origin = origin(args, &choice, &device).or_refuse()?;
    let Some(encoder) = encoder else {
        refuse_for_intensity(args).or_refuse()?;
        if !is_table {
            return Err(Failure::Refused(anyhow::anyhow!(
                "--network intensity makes one table, '{}' is the name of a folder\nhint: name a \
                 file, e.g. intensity.parquet",
                args.output.display()
            )));
        }
        let (profiles, skipped) =
            intensity_profiles(&*screen, args.on_incomplete).map_err(failure)?;
        let names: Vec<String> = skipped.iter().map(ToString::to_string).collect();
        warn_each("sites left out", &names);
        return write_table(args, profiles, &origin, !names.is_empty());
    };
    let (norm, domain) = norm(args, is_table).or_refuse()?;
    let masks = args.masks.as_ref().map(SiteMasks::new).transpose();
    let masks = masks.map_err(failure)?;
    let config = EmbedConfig {
        tiling: Tiling {
            crop_px: encoder.img_size(),
            edge: args.edge.into(),
            selection: args.tiles.into(),
            stride_px: args.stride.map(|stride| stride as usize),
        },
        normalisation,
        representations: representations(args, &*encoder).or_refuse()?,
        levels: args.levels.clone(),
        batch_size: args.batch_size,
        precision: args.precision,
        norm,
        domain,
        masks,
        on_incomplete: args.on_incomplete,
        loader: args.loader.options(),
    };
    if is_table {
        let embedded = embed_under_progress(&*screen, &*encoder, &device, &config)?;
        let any = !(embedded.skipped.is_empty()
            && embedded.filled.is_empty()
            && embedded.outside.is_empty());
        return write_table(args, embedded.profiles, &origin, any);
    }
    folder::embed_into(args, &*screen, &*encoder, &device, &config)
}

/// Where batch normalisation takes its statistics from, and what shares them.
fn norm(args: &EmbedArgs, is_table: bool) -> Result<(NormStatistics, Domain)> {
    let trained = args.network.adabn_domain()?;
    let norm = match (args.norm, trained) {
        (Some(norm), _) => norm.into(),
        (None, Some(_)) => NormStatistics::Batch,
        (None, None) => NormStatistics::Running,
    };
    if args.domain.is_some() && norm == NormStatistics::Running {
        bail!("--domain is of --norm batch and --norm domain\nhint: leave it out, or give --norm");
    }
    // Plates of a folder are embedded one by one, wherever the others are.
    let domain = args
        .domain
        .map(Domain::from)
        .or(trained.filter(|_| is_table));
    Ok((norm, domain.unwrap_or(Domain::Plate)))
}

/// Options of networks, of which `intensity` is none.
fn refuse_for_intensity(args: &EmbedArgs) -> Result<()> {
    let options = [
        ("--masks", args.masks.is_some()),
        ("--norm", args.norm.is_some()),
        ("--domain", args.domain.is_some()),
        ("--stride", args.stride.is_some()),
        ("--blocks", args.blocks != BlocksArg::default()),
        ("--levels but wells", args.levels != [Level::default()]),
        ("--pooling", args.pooling != [PoolingArg::PatchMean]),
        ("--precision", args.precision != Precision::default()),
    ];
    match options.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => bail!(
            "--network intensity measures whole sites and takes no {option}\nhint: leave it out"
        ),
        None => Ok(()),
    }
}

/// What a table cannot hold.
fn refuse_for_table(args: &EmbedArgs) -> Result<()> {
    let instead = "hint: name a folder, which has a table for each";
    if args.shard.is_some() {
        bail!("--shard makes part of a table\n{instead} plate");
    }
    if args.levels.len() > 1 {
        bail!(
            "a table has rows of one level, here are {}\n{instead}",
            args.levels.len()
        );
    }
    Ok(())
}

/// What is taken of the network.
fn representations(args: &EmbedArgs, encoder: &dyn Encoder) -> Result<Vec<Representation>> {
    let blocks = args.blocks.of_network(encoder.num_blocks());
    let blocks = blocks.map_err(|message| anyhow::anyhow!("--blocks: {message}"))?;
    let of_block = |block: Option<usize>| {
        let poolings = args.pooling.iter();
        poolings.map(move |&pooling| Representation {
            block,
            pooling: pooling.into(),
        })
    };
    Ok(blocks.into_iter().flat_map(of_block).collect())
}

fn write_table(
    args: &EmbedArgs,
    profiles: Profiles,
    origin: &Provenance,
    any_left_out: bool,
) -> Result<Outcome, Failure> {
    let own = profiles.provenance().cloned();
    let provenance = joined(own.unwrap_or_else(|| Provenance::new("embed")), origin);
    let table = TableArgs {
        output: args.output.clone(),
        schema: args.schema,
    };
    super::write_table(&table, profiles.with_provenance(provenance))?;
    Ok(Outcome::with_failures(any_left_out))
}

/// Where it is computed; not that it was chosen by itself.
fn device_name(args: &EmbedArgs, device: &Device) -> String {
    match args.device.device {
        DeviceChoice::Auto if *device == Device::flex() => DeviceChoice::Cpu.to_string(),
        DeviceChoice::Auto => format!("{device:?}"),
        chosen => chosen.to_string(),
    }
}

/// What the command line says of where an embedding comes from.
fn origin(args: &EmbedArgs, choice: &NormalisationChoice, device: &Device) -> Result<Provenance> {
    let origin = Provenance::new("embed")
        .with_setting("network", &args.network)
        .with_setting("device", device_name(args, device))
        .with_seed("untrained network", args.seed);
    let origin = match args.network.uses_labels()? {
        Some(uses_labels) => origin.with_setting("network_uses_labels", uses_labels),
        None => origin,
    };
    let origin = super::with_screen(origin, &args.screen)?;
    let weights = args.network.weights_file()?;
    let table = choice.table().map(Path::to_owned);
    let mut inputs = weights.into_iter().chain(table);
    Ok(inputs.try_fold(origin, |origin, path| origin.with_input(&path))?)
}

/// Provenance with what another says too.
fn joined(mut provenance: Provenance, more: &Provenance) -> Provenance {
    provenance.inputs.extend(more.inputs.iter().cloned());
    provenance.seeds.extend(more.seeds.clone());
    provenance.settings.extend(more.settings.clone());
    provenance
}

/// What `--normalisation` says or else the network was trained with.
fn normalisation(args: &EmbedArgs) -> Result<(NormalisationChoice, Normalisation)> {
    let network = &args.network;
    let trained = network.normalisation()?;
    let choice = match (&args.normalisation, &trained) {
        (Some(_), _) if matches!(network, NetworkSource::Intensity) => bail!(
            "--normalisation would take away what --network intensity measures\nhint: leave one out"
        ),
        (Some(choice), _) => choice.clone(),
        (None, None) => NormalisationChoice::default(),
        (None, Some(name)) => match name.parse() {
            Ok(method) => NormalisationChoice::SelfStandardise(method),
            Err(_) => bail!(
                "network '{network}' was trained on images normalised by statistics ({name})\nhint: {}",
                how_to_normalise(name, &args.screen.screen)
            ),
        },
    };
    let normalisation = choice.open()?;
    if let Some(trained) = trained.filter(|trained| *trained != normalisation.name()) {
        warn(format!(
            "network '{network}' was trained on images normalised by {trained}, here they are by {}",
            normalisation.name()
        ));
    }
    Ok((choice, normalisation))
}

/// Says so if other things were done to the pixels than in training.
fn warn_of_other_pixels(network: &NetworkSource, screen: &dyn Screen) -> Result<()> {
    let in_words = |history: &[String]| match history {
        [] => "nothing".to_owned(),
        history => format!("'{}'", history.join("; ")),
    };
    let found = pixel_history(screen);
    if let Some(trained) = network.pixel_history()?.filter(|trained| *trained != found) {
        warn(format!(
            "network '{network}' was trained on images to which was done: {}, here: {} \
             (--illumination, --z)",
            in_words(&trained),
            in_words(&found)
        ));
    }
    Ok(())
}

/// Where the statistics are that a network wants.
fn how_to_normalise(name: &str, screen: &Path) -> String {
    let (scheme, controls) = match name.strip_suffix(" (negative)") {
        Some(scheme) => (scheme, " --controls negative"),
        None => (name, ""),
    };
    let scope = scheme.parse::<NormalisationScheme>().ok();
    match scope.and_then(NormalisationScheme::scope) {
        Some(NormalisationScope::Experiment | NormalisationScope::Plate) => format!(
            "`morphospace normalise {} --scheme {scheme}{controls} --output normalisation.parquet` \
             computes those of this screen for --normalisation normalisation.parquet",
            screen.display()
        ),
        Some(NormalisationScope::Global) => {
            "they are those of its training set: give that table with --normalisation".to_owned()
        }
        None => "this scheme is not known here; choose one with --normalisation".to_owned(),
    }
}

fn trained_on(network: &NetworkSource, stains: &[Stain]) -> String {
    format!(
        "network '{network}' was trained on channels {}",
        super::listed(stains)
    )
}

/// Embeds under a progress bar and names the sites that were left out or
/// filled.
pub(crate) fn embed_under_progress(
    screen: &dyn Screen,
    encoder: &dyn Encoder,
    device: &Device,
    config: &EmbedConfig,
) -> Result<Embedded, Failure> {
    let progress = Progress::new("embed", "sites", screen.sites().len());
    let mut observer = |at: EmbedProgress| progress.update(at.num_sites_done, "");
    let embedded = embed(screen, encoder, device, config, &mut observer).map_err(failure)?;
    progress.finish(&format!(
        "{} wells from {} tiles, {:.1} tiles/s, {:.0} % waiting for images",
        embedded.profiles.num_rows(),
        embedded.num_tiles,
        embedded.num_tiles as f64 / embedded.wall_seconds,
        100.0 * embedded.data_wait_share
    ));
    let skipped: Vec<String> = embedded.skipped.iter().map(ToString::to_string).collect();
    warn_each("sites left out", &skipped);
    warn_each(
        "sites with zeros in place of missing channels",
        &embedded.filled,
    );
    warn_each("sites whose mask has nothing inside", &embedded.outside);
    if embedded.batch_size < config.batch_size {
        warn_of_smaller_batches(config.batch_size, embedded.batch_size);
    }
    Ok(embedded)
}

fn warn_of_smaller_batches(asked: usize, used: usize) {
    warn(format!(
        "the device has not enough memory for batches of {asked}: {used} tiles at a time were \
         embedded\nhint: --batch-size {used}"
    ));
}

fn failure(error: EmbedError) -> Failure {
    match error {
        EmbedError::InvalidConfig(_)
        | EmbedError::WrongChannels { .. }
        | EmbedError::Normalisation(_)
        | EmbedError::Incomplete { .. }
        | EmbedError::OtherSettings { .. }
        | EmbedError::NoFolder { .. }
        | EmbedError::NotEmpty { .. }
        | EmbedError::NoMask { .. }
        | EmbedError::MixedPlanes { .. } => Failure::Refused(error.into()),
        _ => Failure::Stopped(error.into()),
    }
}

/// Profiles of a network as plain as they come, for the demo.
pub(crate) fn profiles_of(
    screen: &dyn Screen,
    encoder: &dyn Encoder,
    device: &Device,
) -> Result<Profiles, Failure> {
    let config = EmbedConfig {
        tiling: Tiling {
            crop_px: encoder.img_size(),
            ..Tiling::default()
        },
        normalisation: Normalisation::default(),
        representations: vec![Representation::output(Pooling::PatchMean)],
        levels: vec![Level::Wells],
        batch_size: 16,
        precision: Precision::F32,
        norm: NormStatistics::Running,
        domain: Domain::Plate,
        masks: None,
        on_incomplete: morphospace_screen::OnIncomplete::Fail,
        loader: morphospace_screen::LoaderOptions::default(),
    };
    Ok(embed_under_progress(screen, encoder, device, &config)?.profiles)
}
