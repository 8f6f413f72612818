use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use morphospace_core::write_atomically;
use serde::{Deserialize, Serialize};

use crate::tensorboard::TensorBoard;
use crate::{EvaluationReport, StepReport, TrainError};

const METRICS_FILE: &str = "metrics.jsonl";
const LOCK_FILE: &str = ".lock";
/// What a run begins with. A folder that has folders in it and none of these is
/// something else, such as a screen; single files, a split among them, may be there
/// first.
const OWN: [&str; 3] = [LOCK_FILE, METRICS_FILE, "checkpoints"];

/// The folder of a run, held by one process at a time.
pub(crate) struct RunFolder {
    path: PathBuf,
    /// Released by the system when the process ends, however it ends.
    _lock: File,
}

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    Step(StepReport),
    Evaluation(EvaluationReport),
}

impl Line {
    fn num_steps_done(&self) -> u64 {
        match self {
            Self::Step(report) => report.step + 1,
            Self::Evaluation(report) => report.num_steps_done,
        }
    }
}

/// `metrics.jsonl` and TensorBoard's file, which say the same.
pub(crate) struct Metrics {
    path: PathBuf,
    file: File,
    tensorboard: TensorBoard,
}

impl RunFolder {
    /// Makes the folder, if it is not there, and takes hold of it.
    pub(crate) fn open(path: &Path) -> Result<Self, TrainError> {
        fs::create_dir_all(path).map_err(TrainError::file(path))?;
        let (mut is_runs, mut has_folders) = (false, false);
        for entry in fs::read_dir(path).map_err(TrainError::file(path))? {
            let entry = entry.map_err(TrainError::file(path))?;
            is_runs |= OWN.iter().any(|own| entry.file_name() == *own);
            has_folders |= entry.path().is_dir();
        }
        if has_folders && !is_runs {
            return Err(TrainError::NoRunFolder {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock(path)?,
        })
    }

    pub(crate) fn write_text(&self, name: &str, text: &str) -> Result<(), TrainError> {
        let path = self.path.join(name);
        write_atomically(&path, |file| file.write_all(text.as_bytes()))
            .map_err(TrainError::file(&path))
    }

    /// The metrics, without what a killed run reported after its last
    /// checkpoint, and without a line it may have left half written.
    pub(crate) fn metrics(&self, num_steps_done: u64) -> Result<Metrics, TrainError> {
        let path = self.path.join(METRICS_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(TrainError::file(&path)(error)),
        };
        let mut kept = String::new();
        let mut lines = Vec::new();
        for text in text.lines() {
            let Ok(line) = serde_json::from_str::<Line>(text) else {
                continue;
            };
            if line.num_steps_done() <= num_steps_done {
                kept.push_str(text);
                kept.push('\n');
                lines.push(line);
            }
        }
        write_atomically(&path, |file| file.write_all(kept.as_bytes()))
            .map_err(TrainError::file(&path))?;
        let mut tensorboard = TensorBoard::create(&self.path)?;
        for line in &lines {
            tensorboard.add(line)?;
        }
        let file = OpenOptions::new().append(true).open(&path);
        let file = file.map_err(TrainError::file(&path))?;
        Ok(Metrics {
            path,
            file,
            tensorboard,
        })
    }
}

impl Metrics {
    /// Adds a line, and its numbers to TensorBoard's file.
    pub(crate) fn add(&mut self, line: &Line) -> Result<(), TrainError> {
        let text = serde_json::to_string(line).expect("plain values serialise");
        writeln!(self.file, "{text}").map_err(TrainError::file(&self.path))?;
        self.tensorboard.add(line)
    }
}

/// Two processes in one folder would write over each other's checkpoints.
fn lock(folder: &Path) -> Result<File, TrainError> {
    let path = folder.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(TrainError::file(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TrainError::RunInUse {
            path: folder.to_owned(),
        }),
        // A file system without locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(TrainError::file(&path)(error)),
    }
}
