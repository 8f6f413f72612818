use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::error::WeightsError;
use super::key_path::KeyPath;
use super::load_report::{LoadReport, TensorMismatch};
use super::parameter::{Parameter, parameters};
use super::source::Source;
use super::weights_file::{TensorInfo, WeightsFile};
use super::{BATCHES_TRACKED, transposed};

/// What to do about tensors that the network does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unexpected {
    /// An error.
    Refuse,
    /// Only report them: an encoder read from an autoencoder's file.
    Ignore,
}

/// Fills a network from a file and returns it; the given one is left as it was.
///
/// `prefix` is what the file's keys have before the network's own, such as
/// `encoder.vit_backbone.`; keys without it do not count.
///
/// # Errors
/// [`WeightsError::DoNotFit`] with the complete report if any tensor is
/// missing, of another shape or (with [`Unexpected::Refuse`]) left over;
/// [`WeightsError::NotFinite`]; [`WeightsError::CannotRead`]. All of the
/// parameters are loaded or none.
pub fn load_weights<M: Module>(
    module: &M,
    file: &WeightsFile,
    prefix: &str,
    unexpected: Unexpected,
) -> Result<(M, LoadReport), WeightsError> {
    let key_of = |name: &str| Some(format!("{prefix}{name}"));
    load_weights_as(module, file, &key_of, prefix, unexpected)
}

/// [`load_weights`] of some parameters from other names: those to whose name
/// `key_of` gives a key; the others keep their values.
///
/// # Errors
/// As [`load_weights`].
pub fn load_weights_as<M: Module>(
    module: &M,
    file: &WeightsFile,
    key_of: &dyn Fn(&str) -> Option<String>,
    prefix: &str,
    unexpected: Unexpected,
) -> Result<(M, LoadReport), WeightsError> {
    let mut parameters = parameters(module);
    parameters.retain(|parameter| key_of(&parameter.name).is_some());
    let mut sources = BTreeMap::new();
    let mut missing = Vec::new();
    for parameter in &parameters {
        let key = key_of(&parameter.name).expect("only such are retained");
        match file.info(&key) {
            Some(_) => drop(sources.insert(parameter.name.clone(), Source::of(key))),
            None => missing.push(key),
        }
    }
    let mut report = compare(&parameters, &sources, file);
    report.missing = missing;
    let used: BTreeSet<&String> = sources.values().flat_map(|source| &source.keys).collect();
    report.unexpected = file
        .names()
        .into_iter()
        .filter(|name| name.starts_with(prefix) && !used.contains(name))
        // What PyTorch counts beside running averages and uses for nothing.
        .filter(|name| !name.ends_with(BATCHES_TRACKED))
        .collect();
    let fits = report.missing.is_empty()
        && report.mismatched.is_empty()
        && (report.unexpected.is_empty() || unexpected == Unexpected::Ignore);
    if !fits {
        let is_foreign = report.loaded.is_empty();
        return Err(WeightsError::DoNotFit {
            path: file.path().to_owned(),
            report: Box::new(report),
            hint: is_foreign
                .then_some("\nhint: weights of other programs are taken in by `import`"),
        });
    }
    let module = fill(module, file, sources)?;
    Ok((module, report))
}

/// A module with the values of all its parameters that have a source.
pub(super) fn fill<M: Module>(
    module: &M,
    file: &WeightsFile,
    sources: BTreeMap<String, Source>,
) -> Result<M, WeightsError> {
    let mut loader = Loader {
        path: KeyPath::default(),
        weights: file,
        sources,
        error: None,
    };
    let module = module.clone().map(&mut loader);
    match loader.error {
        Some(error) => Err(error),
        None => Ok(module),
    }
}

/// Whether the tensors of a file fit the parameters that they are for.
pub(super) fn compare(
    parameters: &[Parameter],
    sources: &BTreeMap<String, Source>,
    file: &WeightsFile,
) -> LoadReport {
    let mut report = LoadReport::default();
    for parameter in parameters {
        let Some(source) = sources.get(&parameter.name) else {
            report.missing.push(parameter.name.clone());
            continue;
        };
        let infos: Option<Vec<&TensorInfo>> =
            source.keys.iter().map(|key| file.info(key)).collect();
        let infos = infos.expect("sources are keys of the file");
        let found = source.shape(&infos);
        let name = source.keys.join("' + '");
        if found.as_ref() == Some(&parameter.shape) && infos.iter().all(|info| info.is_float) {
            report.loaded.push(name);
        } else {
            report.mismatched.push(TensorMismatch {
                name,
                expected: parameter.shape.clone(),
                found: infos[0].shape.clone(),
                dtype: infos[0].dtype.clone(),
            });
        }
    }
    report
}

struct Loader<'a> {
    path: KeyPath,
    weights: &'a WeightsFile,
    sources: BTreeMap<String, Source>,
    error: Option<WeightsError>,
}

impl Loader<'_> {
    fn read(
        &self,
        name: &str,
        file_shape: &[usize],
        device: &Device,
    ) -> Result<Vec<f32>, WeightsError> {
        let source = self.sources.get(name);
        let source = source.expect("`compare` has found all parameters");
        let mut parts = Vec::with_capacity(source.keys.len());
        for key in &source.keys {
            let values = self.weights.read(key)?;
            let values = values.expect("`compare` has found the tensor and its type");
            if !values.iter().all(|value| value.is_finite()) {
                return Err(WeightsError::NotFinite {
                    path: self.weights.path().to_owned(),
                    tensor: key.clone(),
                });
            }
            if name.ends_with(".running_var") && values.iter().any(|value| *value < 0.0) {
                return Err(WeightsError::NegativeVariance {
                    path: self.weights.path().to_owned(),
                    tensor: key.clone(),
                });
            }
            parts.push(values);
        }
        Ok(source.assemble(&parts, file_shape, device))
    }
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() || !self.sources.contains_key(&self.path.key()) {
            return param;
        }
        let file_shape = self.path.file_shape(&param);
        let mut values = match self.read(&self.path.key(), &file_shape, &param.lazy_device()) {
            Ok(values) => values,
            Err(error) => {
                self.error = Some(error);
                return param;
            }
        };
        if self.path.is_turned() {
            values = transposed(&values, file_shape[0], file_shape[1]);
        }
        let data = TensorData::new(values, param.lazy_shape());
        let tensor = Tensor::from_data(data, &param.lazy_device());
        let id = param.id;
        param.transform_for_load(tensor, id)
    }
}
