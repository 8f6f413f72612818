use std::path::PathBuf;

use crate::weights::WeightsError;

/// Why a network could not be built, opened or fed.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A configuration whose numbers do not fit together.
    #[error("{network}: {message}")]
    InvalidConfig {
        /// The network's name in the registry.
        network: &'static str,
        /// The numbers and the nearest valid ones.
        message: String,
    },
    /// No variant of that name.
    #[error("unknown network variant '{name}'\nhint: {hint}")]
    UnknownVariant {
        /// What was asked for.
        name: String,
        /// The nearest name or the form names take.
        hint: String,
    },
    /// Images the network was not built for.
    #[error("network expects {expected}, got {got}")]
    WrongImages {
        /// Channels and size the network takes.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A pooling that this network has not.
    #[error("{0}")]
    WrongPooling(String),
    /// A mask that keeps no token, or noise of the wrong length.
    #[error("cannot mask: {0}")]
    InvalidMask(String),
    /// A file of a checkpoint folder cannot be read or written.
    #[error("cannot access checkpoint file '{}'", path.display())]
    CheckpointFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `config.json` of a checkpoint does not describe a network.
    #[error("checkpoint config '{}' does not describe a network", path.display())]
    CheckpointConfig {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}
