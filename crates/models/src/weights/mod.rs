//! Weights in and out.
//!
//! A parameter's key is its path through the fields of the module, so every
//! network gets loading and saving for free. Files of this program have these
//! keys, which are those of the reference implementations ([`load_weights`],
//! [`save_weights`]); other programs' files are matched to them
//! ([`import_weights`]). One layout differs between memory and files: the
//! weight of a [`Linear`](crate::blocks::linear::Linear) is `[in, out]` here
//! and `[out, in]` there.
//!
//! Nothing in a file is ever executed: of a pickle only its tensors are read.

mod error;
mod foreign_keys;
mod import;
mod key_path;
mod load;
mod load_report;
mod parameter;
mod save;
mod source;
mod weights_file;

pub use error::WeightsError;
pub use import::{ImportReport, import_weights};
pub use load::{Unexpected, load_weights, load_weights_as};
pub use load_report::{LoadReport, TensorMismatch};
pub use parameter::{Parameter, parameters};
pub use save::{save_weights, save_weights_as};
pub use source::Adaptation;
pub use weights_file::{TensorInfo, WeightsFile};

/// A count beside the running averages of PyTorch's batch normalisation, which
/// nothing depends on and its strict loading asks for.
const BATCHES_TRACKED: &str = ".num_batches_tracked";

/// Rows become columns.
fn transposed(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let mut turned = Vec::with_capacity(values.len());
    for col in 0..cols {
        turned.extend((0..rows).map(|row| values[row * cols + col]));
    }
    turned
}
