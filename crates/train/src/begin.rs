use std::path::Path;

use burn::tensor::Device;
use morphospace_models::{
    ModelError, Network, NetworkConfig, Unexpected, WeightsFile, load_weights_as, parameters,
};
use morphospace_screen::LoaderOptions;
use morphospace_screen::sampler::SamplerChoice;

use crate::training_loop::run;
use crate::{
    CheckedTrainConfig, Classes, Classifier, Contrastive, Dino, DinoV2, InitConfig, MaskedMuNet,
    ObjectiveConfig, Observer, Prepared, SingleProcess, Supervised, TrainError, TrainSummary,
    TrainingData, latest_checkpoint,
};

/// Trains the network of a configuration for its objective and leaves the run
/// in `folder`. A run whose folder holds a checkpoint goes on from it.
///
/// # Errors
/// [`TrainError`]; before any work where the screens do not fit the
/// configuration.
pub fn train(
    config: &CheckedTrainConfig,
    data: TrainingData<'_>,
    folder: &Path,
    device: &Device,
    loader: LoaderOptions,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainError> {
    let prepared = Prepared::new(config, data)?;
    let settings = config.get();
    if !settings.precision.is_supported(device) {
        return Err(TrainError::InvalidConfig(format!(
            "precision = \"{}\": the device does not compute in it; leave it out for f32",
            settings.precision
        )));
    }
    let device = &match settings.gradient_checkpointing {
        true => device.clone().autodiff().gradient_checkpointing(),
        false => device.clone().autodiff(),
    };
    let reduction = &mut SingleProcess;
    let seed = config.seed().split("init");
    let names = &prepared.labels().names;
    let network = with_heads_for(&settings.network, names)?.init(device, seed)?;
    let network = match &settings.init {
        // A run that goes on has its own weights.
        Some(init) if latest_checkpoint(folder)?.is_none() => begin_with(network, init)?,
        _ => network,
    };
    let seed = seed.split("objective");
    let num_domains = names.domains.len();
    // One loop for each type of module.
    macro_rules! run {
        ($objective:expr) => {
            run(
                $objective, &prepared, folder, device, loader, reduction, observer,
            )
        };
    }
    match (&settings.objective, network) {
        (ObjectiveConfig::MaskedModelling(_), Network::Mae(network)) => run!(network),
        (ObjectiveConfig::MaskedModelling(_), Network::CaMae(network)) => run!(network),
        (ObjectiveConfig::MaskedModelling(masked), Network::MuNet(network)) => {
            run!(MaskedMuNet::new(network, *masked)?)
        }
        (ObjectiveConfig::Supervised(supervised), Network::Supervised(network)) => {
            run!(Supervised::new(network, supervised.clone()))
        }
        (ObjectiveConfig::Classifier(classifier), network) => {
            let num_classes = names.classes.len();
            let classifier = classifier.clone();
            run!(Classifier::new(
                network,
                num_classes,
                classifier,
                device,
                seed
            ))
        }
        (ObjectiveConfig::Contrastive(contrastive), network) => {
            let contrastive = contrastive.clone();
            run!(Contrastive::new(
                network,
                num_domains,
                contrastive,
                device,
                seed
            )?)
        }
        (ObjectiveConfig::Dino(dino), network) => {
            let num_images = prepared.labels().num_sites_of_domain.clone();
            let is_paired = matches!(settings.sampler, SamplerChoice::CrossDomain { .. });
            run!(Dino::new(
                network,
                num_images,
                is_paired,
                dino.clone(),
                device,
                seed
            )?)
        }
        (ObjectiveConfig::DinoV2(dinov2), network) => {
            run!(DinoV2::new(network, dinov2.clone(), device, seed)?)
        }
        _ => unreachable!("the configuration was checked"),
    }
}

/// A network whose heads, if it has any, tell as many classes and domains as
/// there are.
fn with_heads_for(network: &NetworkConfig, names: &Classes) -> Result<NetworkConfig, TrainError> {
    let mut network = network.clone();
    if let NetworkConfig::Supervised(supervised) = &mut network {
        supervised.head.num_classes = names.classes.len();
        supervised.head.num_batches = names.domains.len();
    }
    network.check()?;
    Ok(network)
}

/// A network with the weights of a checkpoint.
fn begin_with(network: Network, init: &InitConfig) -> Result<Network, TrainError> {
    let parameters = parameters(&network);
    let is_unknown = |prefix: &&String| {
        !parameters
            .iter()
            .any(|parameter| parameter.name.starts_with(*prefix))
    };
    if let Some(unknown) = init.leave_out.iter().find(is_unknown) {
        return Err(TrainError::InvalidConfig(format!(
            "init.leave_out: no parameter begins with '{unknown}'; the first is '{}'",
            parameters[0].name
        )));
    }
    let folder = match latest_checkpoint(&init.checkpoint)? {
        Some(last) => last.folder,
        None => init.checkpoint.clone(),
    };
    let file = WeightsFile::open(&folder.join("model.safetensors")).map_err(ModelError::from)?;
    // An encoder may begin with that of an autoencoder, and the other way
    // round.
    let names = file.names();
    let has = |name: &str| names.iter().any(|other| other == name);
    let key_of = |name: &str| {
        if init.leave_out.iter().any(|prefix| name.starts_with(prefix)) {
            return None;
        }
        let encoder = "encoder.vit_backbone.";
        let alone = name.strip_prefix(encoder).unwrap_or(name);
        let within = format!("{encoder}{alone}");
        let keys = [name, alone, &within];
        let found = keys.into_iter().find(|key| has(key));
        Some(found.unwrap_or(name).to_owned())
    };
    let loaded = load_weights_as(&network, &file, &key_of, "", Unexpected::Ignore);
    let (network, _) = loaded.map_err(ModelError::from)?;
    Ok(network)
}
