use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use morphospace_core::write_atomically;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError};

use super::error::WeightsError;
use super::key_path::KeyPath;
use super::{BATCHES_TRACKED, transposed};

/// Writes the weights of a network under the names [`load_weights`](super::load_weights) reads.
/// The file appears whole or not at all, and the same weights give the same
/// bytes.
///
/// # Errors
/// [`WeightsError::CannotWrite`].
pub fn save_weights<M: Module>(module: &M, path: &Path) -> Result<(), WeightsError> {
    save_weights_as(module, path, &|name| Some(name.to_owned()))
}

/// [`save_weights`] of some parameters under other names: those to whose name
/// `key_of` gives a key.
///
/// # Errors
/// [`WeightsError::CannotWrite`].
pub fn save_weights_as<M: Module>(
    module: &M,
    path: &Path,
    key_of: &dyn Fn(&str) -> Option<String>,
) -> Result<(), WeightsError> {
    let mut saver = Saver {
        path: KeyPath::default(),
        key_of,
        tensors: BTreeMap::new(),
    };
    module.visit(&mut saver);
    let cannot_write = |source| WeightsError::CannotWrite {
        path: path.to_owned(),
        source,
    };
    let averages = saver.tensors.keys();
    let counts: Vec<String> = averages
        .filter_map(|name| {
            Some(format!(
                "{}{BATCHES_TRACKED}",
                name.strip_suffix(".running_mean")?
            ))
        })
        .collect();
    let counts = counts.iter().map(|name| {
        Ok((
            name.as_str(),
            TensorView::new(Dtype::I64, Vec::new(), &[0; 8])?,
        ))
    });
    let weights = saver.tensors.iter().map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes)?;
        Ok((name.as_str(), view))
    });
    let views: Result<Vec<(&str, TensorView<'_>)>, SafeTensorError> =
        weights.chain(counts).collect();
    // Readers in Python ask for the format.
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = views
        .and_then(|views| safetensors::serialize(views, Some(format)))
        .map_err(|error| cannot_write(io::Error::other(error)))?;
    write_atomically(path, |file| file.write_all(&bytes)).map_err(cannot_write)
}

struct Saver<'a> {
    path: KeyPath,
    key_of: &'a dyn Fn(&str) -> Option<String>,
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
}

impl ModuleVisitor for Saver<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(key) = (self.key_of)(&self.path.key()) else {
            return;
        };
        let shape = self.path.file_shape(param);
        let mut values: Vec<f32> = param.val().into_data().iter::<f32>().collect();
        if self.path.is_turned() {
            values = transposed(&values, shape[1], shape[0]);
        }
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.tensors.insert(key, (shape, bytes));
    }
}
