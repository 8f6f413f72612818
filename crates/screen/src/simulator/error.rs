use std::io;
use std::path::PathBuf;

/// Why a screen was not simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// A parameter has a value that cannot be simulated.
    #[error("simulator parameter '{parameter}': {message}")]
    InvalidParameter {
        /// The parameter as written in TOML, e.g. `batch.gain`.
        parameter: &'static str,
        /// What is wrong, with the numbers and the nearest valid values.
        message: String,
    },
    /// The output folder already holds something.
    #[error(
        "'{}' is not empty\nhint: choose another folder, or remove this one if it is the rest of \
         a simulation that was stopped (then it has no metadata.csv, metadata_rxrx3.csv or \
         workspace folder)",
        folder.display()
    )]
    FolderNotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of the screen cannot be written.
    #[error("cannot write '{}'", path.display())]
    CannotWrite {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
