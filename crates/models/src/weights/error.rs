use std::io;
use std::path::PathBuf;

use super::load_report::LoadReport;

/// Why weights cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be read.
    #[error("cannot read weights '{}'", path.display())]
    CannotRead {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A PyTorch checkpoint that cannot be read.
    #[error(
        "weights '{}' are a PyTorch checkpoint that cannot be read: {message}\nhint: if PyTorch \
         opens it, convert it there: \
         safetensors.torch.save_file(torch.load(path, weights_only=True), \"model.safetensors\")",
        path.display()
    )]
    PyTorch {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Not a valid safetensors file.
    #[error("weights '{}' are not a valid safetensors file: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Tensors are missing, left over or of another shape. Nothing was loaded.
    #[error("weights '{}' do not fit the network: {report}{}", path.display(), hint.unwrap_or(""))]
    DoNotFit {
        /// The file.
        path: PathBuf,
        /// Every difference.
        report: Box<LoadReport>,
        /// What may help, on a line of its own.
        hint: Option<&'static str>,
    },
    /// A weight that is not a number.
    #[error("tensor '{tensor}' of weights '{}' holds NaN or infinite values", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A running variance below zero, from which nothing but NaN would come.
    #[error(
        "tensor '{tensor}' of weights '{}' is a variance and has values below zero",
        path.display()
    )]
    NegativeVariance {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// The file cannot be written.
    #[error("cannot write weights '{}'", path.display())]
    CannotWrite {
        /// The file.
        path: PathBuf,
        /// What the system or the format said.
        source: io::Error,
    },
}
