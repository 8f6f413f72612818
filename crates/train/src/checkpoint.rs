use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use morphospace_core::{Stain, write_atomically};
use morphospace_models::{
    CheckpointConfig, Unexpected, WeightsFile, load_weights, read_checkpoint_config,
    save_checkpoint,
};
use morphospace_screen::sampler::{Batches, Sampler, SamplerIdentity, SamplerPosition};
use serde::{Deserialize, Serialize};

use crate::training_loop::CONFIG_FILE;
use crate::{CheckedTrainConfig, Objective, Optimiser, TrainError};

/// Checkpoints of a run that are kept.
const NUM_KEPT: usize = 2;
const OPTIMISER_FILE: &str = "optimiser.safetensors";
const STATE_FILE: &str = "state.json";
const FOLDER_PREFIX: &str = "step-";

/// A folder that holds everything a run needs to go on:
/// `model.safetensors` and `config.json` (which `embed` reads too), the
/// optimiser's averages, and where the run stood.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The folder.
    pub folder: PathBuf,
    /// Steps that are done.
    pub num_steps_done: u64,
}

/// `state.json`. All generators follow from the step, so that it and the
/// sampler's position are all there is to remember.
#[derive(Serialize, Deserialize)]
struct State {
    schema_version: u32,
    num_steps_done: u64,
    config_sha256: String,
    sampler: SamplerPosition,
}

/// Version of `state.json`.
const STATE_VERSION: u32 = 2;

/// What a run goes on with.
pub struct Resumed<'a, O> {
    /// The network.
    pub network: O,
    /// Its optimiser.
    pub optimiser: Optimiser,
    /// The batches that come next.
    pub batches: Batches<'a>,
}

/// The images of a run, as far as they matter to whoever uses its network.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedOn {
    /// What their channels show.
    pub channels: Vec<Stain>,
    /// [`Normalisation::name`](morphospace_screen::Normalisation::name).
    pub normalisation: String,
    /// [`pixel_history`](morphospace_screen::pixel_history) of their screen.
    pub pixel_history: Vec<String>,
    /// Whether labels have a part in training.
    pub uses_labels: bool,
}

impl Checkpoint {
    /// Writes a checkpoint into `run_folder/checkpoints`. It is filled under
    /// another name and renamed, so a folder with the final name is whole;
    /// all but the last two are then removed. `next` is the batch that comes
    /// next.
    ///
    /// # Errors
    /// [`TrainError::File`] or [`TrainError::Model`]; earlier checkpoints are
    /// intact then.
    pub fn write<O: Objective>(
        run_folder: &Path,
        num_steps_done: u64,
        config_sha256: &str,
        network: &O,
        trained_on: &TrainedOn,
        optimiser: &Optimiser,
        next: SamplerPosition,
    ) -> Result<Self, TrainError> {
        let parent = run_folder.join("checkpoints");
        let folder = parent.join(format!("{FOLDER_PREFIX}{num_steps_done:08}"));
        let unfinished = parent.join(format!(".{FOLDER_PREFIX}{num_steps_done:08}.tmp"));
        remove_if_there(&unfinished).map_err(TrainError::file(&unfinished))?;
        fs::create_dir_all(&unfinished).map_err(TrainError::file(&unfinished))?;
        let config = CheckpointConfig {
            network: network.network_config(),
            channels: Some(trained_on.channels.clone()),
            normalisation: Some(trained_on.normalisation.clone()),
            pixel_history: Some(trained_on.pixel_history.clone()),
            uses_labels: Some(trained_on.uses_labels),
        };
        save_checkpoint(&unfinished, &config, network)?;
        optimiser
            .save(&unfinished.join(OPTIMISER_FILE))
            .map_err(TrainError::file(unfinished.join(OPTIMISER_FILE)))?;
        let state = State {
            schema_version: STATE_VERSION,
            num_steps_done,
            config_sha256: config_sha256.to_owned(),
            sampler: next,
        };
        let text = serde_json::to_string_pretty(&state).expect("plain values serialise");
        write_atomically(&unfinished.join(STATE_FILE), |file| {
            writeln!(file, "{text}")
        })
        .map_err(TrainError::file(unfinished.join(STATE_FILE)))?;
        remove_if_there(&folder).map_err(TrainError::file(&folder))?;
        fs::rename(&unfinished, &folder).map_err(TrainError::file(&folder))?;
        for old in list(run_folder)?.into_iter().rev().skip(NUM_KEPT) {
            fs::remove_dir_all(&old.folder).map_err(TrainError::file(&old.folder))?;
        }
        Ok(Self {
            folder,
            num_steps_done,
        })
    }

    /// Reads the weights into `network`, and what else a run goes on with.
    ///
    /// # Errors
    /// [`TrainError::ForeignCheckpoint`] if another configuration wrote it, or
    /// images of other sites or channels were trained on.
    pub fn read<'a, O: Objective>(
        &self,
        network: &O,
        config: &CheckedTrainConfig,
        config_sha256: &str,
        images: &TrainedOn,
        sampler: &'a dyn Sampler,
        device: &Device,
    ) -> Result<Resumed<'a, O>, TrainError> {
        let path = self.folder.join(STATE_FILE);
        let text = fs::read_to_string(&path).map_err(TrainError::file(&path))?;
        let foreign = |message: String| TrainError::ForeignCheckpoint {
            path: self.folder.clone(),
            message,
        };
        let unreadable = |error| TrainError::file(&path)(io::Error::other(error));
        let state: serde_json::Value = serde_json::from_str(&text).map_err(unreadable)?;
        let version = &state["schema_version"];
        if *version != STATE_VERSION {
            return Err(foreign(format!(
                "its state is of version {version}, this morphospace reads {STATE_VERSION}"
            )));
        }
        let state: State = serde_json::from_value(state).map_err(unreadable)?;
        if state.config_sha256 != config_sha256 {
            return Err(foreign(self.other_settings(config)));
        }
        let batches = Batches::resume(sampler, &state.sampler).map_err(|_| {
            let sites =
                |of: &SamplerIdentity| format!("{} sites (SHA-256 {:.12})", of.num_sites, of.sites);
            foreign(format!(
                "it was trained on {}, these are {}: another screen, split, part or label, \
                 or images that came or went (`inspect` names missing ones)",
                sites(&state.sampler.sampler),
                sites(sampler.identity())
            ))
        })?;
        let saved = read_checkpoint_config(&self.folder)?;
        let history = saved.pixel_history.unwrap_or_default();
        if history != images.pixel_history {
            return Err(foreign(format!(
                "what had been done to the images it was trained on: {}; to these: {}",
                in_words(&history),
                in_words(&images.pixel_history)
            )));
        }
        let channels = &images.channels[..];
        let trained_on = saved.channels;
        if trained_on
            .as_deref()
            .is_some_and(|trained| trained != channels)
        {
            return Err(foreign(format!(
                "it was trained on channels {}, the screen has {}",
                listed(&trained_on.unwrap_or_default()),
                listed(channels)
            )));
        }
        let weights = WeightsFile::open(&self.folder.join("model.safetensors"))
            .map_err(morphospace_models::ModelError::from)?;
        let (network, _) = load_weights(network, &weights, "", Unexpected::Refuse)
            .map_err(morphospace_models::ModelError::from)?;
        let path = self.folder.join(OPTIMISER_FILE);
        let settings = config.get().optimiser;
        let optimiser =
            Optimiser::load(settings, &path, device).map_err(TrainError::file(&path))?;
        Ok(Resumed {
            network,
            optimiser,
            batches,
        })
    }

    /// Which settings are others than those of the checkpoint's run.
    fn other_settings(&self, config: &CheckedTrainConfig) -> String {
        let run_folder = self.folder.parent().and_then(Path::parent);
        let before = run_folder.and_then(|run| fs::read_to_string(run.join(CONFIG_FILE)).ok());
        let differences = before.map_or_else(Vec::new, |before| config.differences(&before));
        match &differences[..] {
            [] => "it was written with other settings, or another table of statistics".to_owned(),
            differences => format!("it was written with {}", differences.join(", ")),
        }
    }
}

fn in_words(pixel_history: &[String]) -> String {
    match pixel_history {
        [] => "nothing".to_owned(),
        history => history.join("; "),
    }
}

/// The last whole checkpoint of a run, if there is one.
///
/// # Errors
/// [`TrainError::File`]: the folder cannot be listed.
pub fn latest_checkpoint(run_folder: &Path) -> Result<Option<Checkpoint>, TrainError> {
    Ok(list(run_folder)?.pop())
}

/// All whole checkpoints, oldest first.
fn list(run_folder: &Path) -> Result<Vec<Checkpoint>, TrainError> {
    let parent = run_folder.join("checkpoints");
    if !parent.exists() {
        return Ok(Vec::new());
    }
    let mut checkpoints = Vec::new();
    for entry in fs::read_dir(&parent).map_err(TrainError::file(&parent))? {
        let entry = entry.map_err(TrainError::file(&parent))?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(FOLDER_PREFIX));
        if let Some(num_steps_done) = number.and_then(|digits| digits.parse().ok()) {
            checkpoints.push(Checkpoint {
                folder: entry.path(),
                num_steps_done,
            });
        }
    }
    checkpoints.sort_by_key(|checkpoint| checkpoint.num_steps_done);
    Ok(checkpoints)
}

fn listed(stains: &[Stain]) -> String {
    let names: Vec<&str> = stains.iter().map(Stain::as_str).collect();
    names.join(", ")
}

fn remove_if_there(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
