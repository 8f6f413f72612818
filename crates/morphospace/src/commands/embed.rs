use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use morphospace_core::{Provenance, Seed, Stain};
use morphospace_embed::{
    EmbedConfig, EmbedError, EmbedProgress, Embedded, embed, intensity_profiles,
};
use morphospace_models::Encoder;
use morphospace_profiles::Profiles;
use morphospace_screen::{
    Normalisation, NormalisationChoice, NormalisationScheme, NormalisationScope, Screen, Tiling,
    pixel_history, with_stains,
};

use crate::cli::EmbedArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::network_source::NetworkSource;
use crate::terminal::{Progress, warn, warn_each};

pub(crate) fn run(args: &EmbedArgs) -> Result<Outcome, Failure> {
    super::refuse_unwritable_table(&args.table.output)?;
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
    let (profiles, any_left_out) = match encoder {
        None => {
            let (profiles, skipped) =
                intensity_profiles(&*screen, args.on_incomplete).map_err(failure)?;
            let names: Vec<String> = skipped.iter().map(ToString::to_string).collect();
            warn_each("sites left out", &names);
            (profiles, !names.is_empty())
        }
        Some(encoder) => {
            let config = EmbedConfig {
                tiling: Tiling {
                    crop_px: encoder.img_size(),
                    edge: args.edge.into(),
                    selection: args.tiles.into(),
                },
                normalisation,
                pooling: args.pooling.into(),
                batch_size: args.batch_size,
                on_incomplete: args.on_incomplete,
                loader: args.loader.options(),
            };
            let embedded = embed_under_progress(&*screen, &*encoder, &device, &config)?;
            let any = !embedded.skipped.is_empty() || !embedded.filled.is_empty();
            (embedded.profiles, any)
        }
    };
    let provenance = profiles
        .provenance()
        .cloned()
        .unwrap_or_else(|| Provenance::new("embed"));
    let provenance = provenance
        .with_setting("network", &args.network)
        .with_setting("device", args.device.device)
        .with_seed("untrained network", args.seed);
    let provenance = match args.network.uses_labels().or_stop()? {
        Some(uses_labels) => provenance.with_setting("network_uses_labels", uses_labels),
        None => provenance,
    };
    let provenance = super::with_screen(provenance, &args.screen).or_stop()?;
    let weights = args.network.weights_file().or_stop()?;
    let table = choice.table().map(Path::to_owned);
    let provenance = weights
        .into_iter()
        .chain(table)
        .try_fold(provenance, |provenance, path| provenance.with_input(&path))
        .or_stop()?;
    super::write_table(&args.table, profiles.with_provenance(provenance))?;
    Ok(Outcome::with_failures(any_left_out))
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
    Ok(embedded)
}

fn failure(error: EmbedError) -> Failure {
    match error {
        EmbedError::InvalidConfig(_)
        | EmbedError::WrongChannels { .. }
        | EmbedError::Normalisation(_)
        | EmbedError::Incomplete { .. }
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
        pooling: morphospace_models::Pooling::PatchMean,
        batch_size: 16,
        on_incomplete: morphospace_screen::OnIncomplete::Fail,
        loader: morphospace_screen::LoaderOptions::default(),
    };
    Ok(embed_under_progress(screen, encoder, device, &config)?.profiles)
}
