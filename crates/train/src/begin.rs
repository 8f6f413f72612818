use std::path::Path;

use burn::tensor::Device;
use morphospace_models::{ModelError, Network, Unexpected, WeightsFile, load_weights_as};
use morphospace_screen::LoaderOptions;

use crate::training_loop::run;
use crate::{
    CheckedTrainConfig, InitConfig, MaskedMuNet, ObjectiveConfig, Observer, Prepared,
    SingleProcess, TrainError, TrainSummary, TrainingData,
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
    let device = &match settings.gradient_checkpointing {
        true => device.clone().autodiff().gradient_checkpointing(),
        false => device.clone().autodiff(),
    };
    let reduction = &mut SingleProcess;
    let seed = config.seed().split("init");
    let network = settings.network.init(device, seed)?;
    let network = match &settings.init {
        Some(init) => begin_with(network, init)?,
        None => network,
    };
    match (&settings.objective, network) {
        (ObjectiveConfig::MaskedModelling(_), Network::Mae(network)) => run(
            network, &prepared, folder, device, loader, reduction, observer,
        ),
        (ObjectiveConfig::MaskedModelling(_), Network::CaMae(network)) => run(
            network, &prepared, folder, device, loader, reduction, observer,
        ),
        (ObjectiveConfig::MaskedModelling(masked), Network::MuNet(network)) => {
            let objective = MaskedMuNet::new(network, *masked)?;
            run(
                objective, &prepared, folder, device, loader, reduction, observer,
            )
        }
        _ => unreachable!("the configuration was checked"),
    }
}

/// A network with the weights of a checkpoint.
fn begin_with(network: Network, init: &InitConfig) -> Result<Network, TrainError> {
    let folder = match crate::latest_checkpoint(&init.checkpoint)? {
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
