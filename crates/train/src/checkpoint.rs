use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use morphospace_core::{Stain, sha256_hex, sha256_of_file, write_atomically};
use morphospace_models::{
    CheckpointConfig, ModelError, Unexpected, WeightsFile, load_weights_as, parameters,
    read_checkpoint_config, save_checkpoint_as, save_weights_as,
};
use morphospace_screen::sampler::{Batches, Sampler, SamplerIdentity, SamplerPosition};
use serde::{Deserialize, Serialize};

use crate::training_loop::CONFIG_FILE;
use crate::{Best, CheckedTrainConfig, Classes, LossScale, Objective, Optimiser, TrainError};

const CHECKPOINTS: &str = "checkpoints";
const NETWORK_FILE: &str = "model.safetensors";
/// What of the objective is not the network: heads, a teacher, centres.
const REST_FILE: &str = "objective.safetensors";
const OPTIMISER_FILE: &str = "optimiser.safetensors";
const STATE_FILE: &str = "state.json";
/// Its SHA-256.
const STATE_DIGEST_FILE: &str = "state.sha256";
const FOLDER_PREFIX: &str = "step-";
const BEST_PREFIX: &str = "best-step-";

/// A folder that holds everything a run needs to go on:
/// `model.safetensors` and `config.json` (which `embed` reads too), what else
/// the objective has learnt, the optimiser's averages, and where the run
/// stood.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The folder.
    pub folder: PathBuf,
    /// Steps that are done.
    pub num_steps_done: u64,
}

/// `state.json`. All generators follow from the step, so that it, the
/// sampler's position, the best score and the loss scale are all there is to
/// remember.
#[derive(Serialize, Deserialize)]
struct State {
    schema_version: u32,
    num_steps_done: u64,
    config_sha256: String,
    sampler: SamplerPosition,
    best: Option<Best>,
    /// Whether nothing is left to do: the run is over, early or not.
    is_finished: bool,
    loss_scale: LossScale,
    data: DataIdentity,
    /// SHA-256 of the other files, by their names.
    files: BTreeMap<String, String>,
}

/// Version of `state.json`.
const STATE_VERSION: u32 = 4;

/// Where a run stands.
#[derive(Clone)]
pub struct Standing<'a> {
    /// Steps that are done.
    pub num_steps_done: u64,
    /// The batches that come next.
    pub batches: Batches<'a>,
    /// The best score so far.
    pub best: Option<Best>,
    /// Whether nothing is left to do.
    pub is_finished: bool,
    /// What losses are multiplied by.
    pub loss_scale: LossScale,
}

/// What a run goes on with.
pub struct Resumed<'a, O> {
    /// The objective with its networks.
    pub objective: O,
    /// Its optimiser.
    pub optimiser: Optimiser,
    /// Where it stands.
    pub standing: Standing<'a>,
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
    /// What is told apart, if anything is.
    pub classes: Option<Classes>,
    /// What else tells the images from others.
    pub data: DataIdentity,
}

/// What tells the images of a run from others, besides the sites and labels that
/// its sampler knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataIdentity {
    /// SHA-256 of the pixels of some sites.
    pub pixels: String,
    /// SHA-256 of the sites to validate with, if there are any.
    pub validation_sites: Option<String>,
}

/// A run's folder, as far as checkpoints go.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointFolder<'a> {
    /// Where the run leaves what it makes.
    pub run_folder: &'a Path,
    /// Digest of the settings that decide its result.
    pub config_sha256: &'a str,
    /// What it trains on.
    pub trained_on: &'a TrainedOn,
    /// Checkpoints that are kept, beside the best.
    pub keep_last: usize,
}

impl CheckpointFolder<'_> {
    /// Writes a checkpoint. It is filled under another name and renamed, so a
    /// folder with the final name is whole; the oldest are then removed. With
    /// `is_best`, it is kept until there is a better one, too.
    ///
    /// # Errors
    /// [`TrainError::File`] or [`TrainError::Model`]; earlier checkpoints are
    /// intact then.
    pub fn write<O: Objective>(
        &self,
        objective: &O,
        optimiser: &Optimiser,
        standing: &Standing<'_>,
        is_best: bool,
    ) -> Result<Checkpoint, TrainError> {
        let num_steps_done = standing.num_steps_done;
        let parent = self.run_folder.join(CHECKPOINTS);
        let folder = parent.join(format!("{FOLDER_PREFIX}{num_steps_done:08}"));
        let unfinished = parent.join(format!(".{FOLDER_PREFIX}{num_steps_done:08}.tmp"));
        remove_unfinished(&parent)?;
        fs::create_dir_all(&unfinished).map_err(TrainError::file(&unfinished))?;
        let (network, prefix) = objective.network();
        let config = CheckpointConfig {
            network,
            channels: Some(self.trained_on.channels.clone()),
            normalisation: Some(self.trained_on.normalisation.clone()),
            pixel_history: Some(self.trained_on.pixel_history.clone()),
            uses_labels: Some(self.trained_on.uses_labels),
            classes: self.trained_on.classes.clone().map(|names| names.classes),
            domains: self.trained_on.classes.clone().map(|names| names.domains),
        };
        save_checkpoint_as(&unfinished, &config, objective, &network_key(prefix))?;
        if has_rest(objective) {
            let rest = unfinished.join(REST_FILE);
            save_weights_as(objective, &rest, &rest_key(prefix)).map_err(ModelError::from)?;
        }
        optimiser
            .save(&unfinished.join(OPTIMISER_FILE))
            .map_err(TrainError::file(unfinished.join(OPTIMISER_FILE)))?;
        let state = State {
            schema_version: STATE_VERSION,
            num_steps_done,
            config_sha256: self.config_sha256.to_owned(),
            sampler: standing.batches.position(),
            best: standing.best,
            is_finished: standing.is_finished,
            loss_scale: standing.loss_scale,
            data: self.trained_on.data.clone(),
            files: digests(&unfinished)?,
        };
        let text = serde_json::to_string_pretty(&state).expect("plain values serialise");
        let digest = sha256_hex(format!("{text}\n").as_bytes());
        for (file, text) in [(STATE_FILE, &text), (STATE_DIGEST_FILE, &digest)] {
            let path = unfinished.join(file);
            write_atomically(&path, |file| writeln!(file, "{text}"))
                .map_err(TrainError::file(&path))?;
        }
        remove_if_there(&folder)?;
        fs::rename(&unfinished, &folder).map_err(TrainError::file(&folder))?;
        if is_best {
            self.keep_as_best(&folder, num_steps_done)?;
        }
        for old in list(self.run_folder, FOLDER_PREFIX)?
            .into_iter()
            .rev()
            .skip(self.keep_last)
        {
            fs::remove_dir_all(&old.folder).map_err(TrainError::file(&old.folder))?;
        }
        Ok(Checkpoint {
            folder,
            num_steps_done,
        })
    }

    /// A second name for the files of a checkpoint.
    fn keep_as_best(&self, folder: &Path, num_steps_done: u64) -> Result<(), TrainError> {
        let parent = self.run_folder.join(CHECKPOINTS);
        let best = parent.join(format!("{BEST_PREFIX}{num_steps_done:08}"));
        let unfinished = parent.join(format!(".{BEST_PREFIX}{num_steps_done:08}.tmp"));
        remove_if_there(&unfinished)?;
        fs::create_dir_all(&unfinished).map_err(TrainError::file(&unfinished))?;
        for entry in fs::read_dir(folder).map_err(TrainError::file(folder))? {
            let from = entry.map_err(TrainError::file(folder))?.path();
            let to = unfinished.join(from.file_name().expect("entries have names"));
            // Not every file system links.
            fs::hard_link(&from, &to)
                .or_else(|_| fs::copy(&from, &to).map(drop))
                .map_err(TrainError::file(&to))?;
        }
        remove_if_there(&best)?;
        fs::rename(&unfinished, &best).map_err(TrainError::file(&best))?;
        for old in list(self.run_folder, BEST_PREFIX)? {
            if old.folder != best {
                fs::remove_dir_all(&old.folder).map_err(TrainError::file(&old.folder))?;
            }
        }
        Ok(())
    }

    /// Reads what a run goes on with from a checkpoint.
    ///
    /// # Errors
    /// [`TrainError::ForeignCheckpoint`] if another configuration wrote it, or
    /// images of other sites or channels were trained on;
    /// [`TrainError::CorruptCheckpoint`] if it is not what was written.
    pub fn read<'a, O: Objective>(
        &self,
        checkpoint: &Checkpoint,
        objective: &O,
        config: &CheckedTrainConfig,
        sampler: &'a dyn Sampler,
        device: &Device,
    ) -> Result<Resumed<'a, O>, TrainError> {
        let folder = &checkpoint.folder;
        let foreign = |message: String| TrainError::ForeignCheckpoint {
            path: folder.clone(),
            message,
        };
        let state = read_state(folder)?;
        if state.config_sha256 != self.config_sha256 {
            return Err(foreign(other_settings(folder, config)));
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
        let saved = read_checkpoint_config(folder)?;
        let history = saved.pixel_history.unwrap_or_default();
        if history != self.trained_on.pixel_history {
            return Err(foreign(format!(
                "what had been done to the images it was trained on: {}; to these: {}",
                in_words(&history),
                in_words(&self.trained_on.pixel_history)
            )));
        }
        let channels = &self.trained_on.channels;
        if let Some(before) = saved.channels.filter(|before| before != channels) {
            return Err(foreign(format!(
                "it was trained on channels {}, the screen has {}",
                listed(&before),
                listed(channels)
            )));
        }
        let data = &self.trained_on.data;
        if state.data.pixels != data.pixels {
            return Err(foreign(
                "sites that it was trained on have other pixels now".to_owned(),
            ));
        }
        if state.data.validation_sites != data.validation_sites {
            return Err(foreign(
                "it was validated with other sites (--validation-part, or another split)"
                    .to_owned(),
            ));
        }
        let (_, prefix) = objective.network();
        let load = |objective: &O, file: &str, key: &dyn Fn(&str) -> Option<String>| {
            let file = WeightsFile::open(&folder.join(file)).map_err(ModelError::from)?;
            let loaded = load_weights_as(objective, &file, key, "", Unexpected::Refuse);
            loaded
                .map(|(objective, _)| objective)
                .map_err(ModelError::from)
        };
        let mut objective = load(objective, NETWORK_FILE, &network_key(prefix))?;
        if has_rest(&objective) {
            objective = load(&objective, REST_FILE, &rest_key(prefix))?;
        }
        let path = folder.join(OPTIMISER_FILE);
        let settings = config.get().optimiser.clone();
        let optimiser =
            Optimiser::load(settings, &path, device).map_err(TrainError::file(&path))?;
        Ok(Resumed {
            objective,
            optimiser,
            standing: Standing {
                num_steps_done: state.num_steps_done,
                batches,
                best: state.best,
                is_finished: state.is_finished,
                loss_scale: state.loss_scale,
            },
        })
    }
}

/// The network's name of a parameter that is its own.
fn network_key(prefix: &'static str) -> impl Fn(&str) -> Option<String> {
    move |name| name.strip_prefix(prefix).map(str::to_owned)
}

/// The name of a parameter that is not the network's.
fn rest_key(prefix: &'static str) -> impl Fn(&str) -> Option<String> {
    move |name| (!name.starts_with(prefix)).then(|| name.to_owned())
}

fn has_rest<O: Objective>(objective: &O) -> bool {
    let (_, prefix) = objective.network();
    let mut parameters = parameters(objective).into_iter();
    parameters.any(|parameter| !parameter.name.starts_with(prefix))
}

/// SHA-256 of every file of a folder but the state.
fn digests(folder: &Path) -> Result<BTreeMap<String, String>, TrainError> {
    let mut digests = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(TrainError::file(folder))? {
        let path = entry.map_err(TrainError::file(folder))?.path();
        let name = path.file_name().expect("entries have names");
        let name = name.to_string_lossy().into_owned();
        if ![STATE_FILE, STATE_DIGEST_FILE].contains(&&*name) {
            let digest = sha256_of_file(&path).map_err(TrainError::file(&path))?;
            digests.insert(name, digest);
        }
    }
    Ok(digests)
}

/// The state of a checkpoint whose files are those that were written.
fn read_state(folder: &Path) -> Result<State, TrainError> {
    let corrupt = |message: String| TrainError::CorruptCheckpoint {
        path: folder.to_owned(),
        message,
    };
    let path = folder.join(STATE_FILE);
    let text = fs::read_to_string(&path)
        .map_err(|error| corrupt(format!("'{STATE_FILE}' cannot be read: {error}")))?;
    let unreadable = |error| corrupt(format!("'{STATE_FILE}' is not whole: {error}"));
    let state: serde_json::Value = serde_json::from_str(&text).map_err(unreadable)?;
    let version = &state["schema_version"];
    if *version != STATE_VERSION {
        return Err(TrainError::ForeignCheckpoint {
            path: folder.to_owned(),
            message: format!(
                "its state is of version {version}, this morphospace reads {STATE_VERSION}"
            ),
        });
    }
    let digest = fs::read_to_string(folder.join(STATE_DIGEST_FILE)).unwrap_or_default();
    if digest.trim_end() != sha256_hex(text.as_bytes()) {
        return Err(corrupt(format!("'{STATE_FILE}' is not what was written")));
    }
    let state: State = serde_json::from_value(state).map_err(unreadable)?;
    let found = digests(folder)?;
    for (name, digest) in &state.files {
        match found.get(name) {
            None => return Err(corrupt(format!("'{name}' is gone"))),
            Some(found) if found != digest => {
                return Err(corrupt(format!("'{name}' is not what was written")));
            }
            Some(_) => {}
        }
    }
    Ok(state)
}

/// Which settings are others than those of the checkpoint's run.
fn other_settings(folder: &Path, config: &CheckedTrainConfig) -> String {
    let run_folder = folder.parent().and_then(Path::parent);
    let before = run_folder.and_then(|run| fs::read_to_string(run.join(CONFIG_FILE)).ok());
    let differences = before.map_or_else(Vec::new, |before| config.differences(&before));
    match &differences[..] {
        [] => "it was written with other settings, or another table of statistics".to_owned(),
        differences => format!("it was written with {}", differences.join(", ")),
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
    Ok(list(run_folder, FOLDER_PREFIX)?.pop())
}

/// The checkpoint with the best score of a run, if it was kept.
///
/// # Errors
/// [`TrainError::File`]: the folder cannot be listed.
pub fn best_checkpoint(run_folder: &Path) -> Result<Option<Checkpoint>, TrainError> {
    Ok(list(run_folder, BEST_PREFIX)?.pop())
}

/// The last checkpoint that is what was written; those behind it are removed
/// from the run.
///
/// # Errors
/// [`TrainError::File`]: the folder cannot be listed or changed.
pub fn drop_corrupt_checkpoints(run_folder: &Path) -> Result<Vec<Checkpoint>, TrainError> {
    let mut dropped = Vec::new();
    for checkpoint in list(run_folder, FOLDER_PREFIX)?.into_iter().rev() {
        match read_state(&checkpoint.folder) {
            Err(TrainError::CorruptCheckpoint { .. }) => {
                let folder = &checkpoint.folder;
                fs::remove_dir_all(folder).map_err(TrainError::file(folder))?;
                dropped.push(checkpoint);
            }
            _ => break,
        }
    }
    Ok(dropped)
}

/// All whole checkpoints of a kind, oldest first.
fn list(run_folder: &Path, prefix: &str) -> Result<Vec<Checkpoint>, TrainError> {
    let parent = run_folder.join(CHECKPOINTS);
    if !parent.exists() {
        return Ok(Vec::new());
    }
    let mut checkpoints = Vec::new();
    for entry in fs::read_dir(&parent).map_err(TrainError::file(&parent))? {
        let entry = entry.map_err(TrainError::file(&parent))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(prefix));
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

/// What kills in the middle of a checkpoint have left behind.
fn remove_unfinished(parent: &Path) -> Result<(), TrainError> {
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(TrainError::file(parent))?,
    };
    for entry in entries {
        let entry = entry.map_err(TrainError::file(parent))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(".tmp") {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

fn listed(stains: &[Stain]) -> String {
    let names: Vec<&str> = stains.iter().map(Stain::as_str).collect();
    names.join(", ")
}

fn remove_if_there(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(TrainError::file(folder)),
    }
}
