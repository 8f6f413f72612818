use std::io;
use std::path::PathBuf;

use morphospace_models::ModelError;
use morphospace_screen::sampler::SamplerError;
use morphospace_screen::{NormalisationError, ScreenError};

/// Why a network could not be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting is out of range; nothing has been done yet.
    #[error("training config: {0}")]
    InvalidConfig(String),
    /// The screen does not fit the network or has nothing to train on.
    #[error("cannot train on screen '{screen}': {message}")]
    UnsuitableScreen {
        /// The screen's name.
        screen: String,
        /// What does not fit, with numbers and the fix.
        message: String,
    },
    /// The labels of the screen's wells are not what training needs; nothing
    /// has been done yet.
    #[error("labels: {0}")]
    UnsuitableLabels(String),
    /// An image of a site cannot be shown as was asked for.
    #[error("{site}: {message}")]
    UnsuitableImage {
        /// The site.
        site: String,
        /// What does not fit, and the fix.
        message: String,
    },
    /// The table of statistics cannot be read, or does not fit the screen;
    /// nothing has been done yet.
    #[error(transparent)]
    Normalisation(#[from] NormalisationError),
    /// The screen's sites do not make up the batches that were asked for;
    /// nothing has been done yet.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// A site could not be read in the middle of training.
    #[error(transparent)]
    Screen(#[from] ScreenError),
    /// The network was refused or could not be saved.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The loss is not a number any more. The last checkpoint is intact.
    #[error(
        "the loss of step {step} is {value}; the batch began with {first_site}\n\
         hint: the last checkpoint is intact: begin another run from it with [init] checkpoint \
         and a smaller learning rate"
    )]
    LossNotFinite {
        /// The step.
        step: u64,
        /// The value.
        value: f32,
        /// The first site of the batch.
        first_site: String,
    },
    /// Gradients are not numbers any more, though the loss still is. The
    /// weights have not moved, and the last checkpoint is intact.
    #[error(
        "the gradients of step {step} are not finite, though its loss is\n\
         hint: the last checkpoint is intact: begin another run from it with [init] checkpoint \
         and a smaller learning rate or with [clip]"
    )]
    GradientNotFinite {
        /// The step.
        step: u64,
    },
    /// Evaluations do not have the score that is to be watched.
    #[error(
        "evaluation.metric '{metric}' is no score of this run{}\nhint: there are {}",
        near.as_ref().map_or_else(String::new, |near| format!(" (did you mean '{near}'?)")),
        known.join(", ")
    )]
    UnknownMetric {
        /// The score asked for.
        metric: String,
        /// The nearest one.
        near: Option<String>,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The folder of a run holds something else.
    #[error(
        "'{}' holds folders and no run\nhint: give --output a new folder",
        path.display()
    )]
    NoRunFolder {
        /// The folder.
        path: PathBuf,
    },
    /// What the caller looks at in evaluations failed.
    #[error("a probe of the network failed")]
    Probe(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another process trains in the folder.
    #[error(
        "run '{}' is in use by another process\nhint: wait for it, or give the run a new folder",
        path.display()
    )]
    RunInUse {
        /// The run's folder.
        path: PathBuf,
    },
    /// A checkpoint is not what was written.
    #[error(
        "checkpoint '{}' is broken: {message}\n\
         hint: --drop-corrupt removes it and goes on from the one before",
        path.display()
    )]
    CorruptCheckpoint {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What is broken.
        message: String,
    },
    /// A file of the run cannot be read or written.
    #[error("cannot use '{}'", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A checkpoint was written by a run with other settings.
    #[error(
        "checkpoint '{}' belongs to another run: {message}\n\
         hint: give the run a new folder",
        path.display()
    )]
    ForeignCheckpoint {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What differs.
        message: String,
    },
}

impl TrainError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
