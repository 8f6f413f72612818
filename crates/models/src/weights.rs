//! Weights in and out, under the key names of the published checkpoints.
//!
//! A parameter's key is its path through the fields of the module, so every
//! network gets loading and saving for free. One layout differs between
//! memory and files: the weight of a [`Linear`](crate::blocks::linear::Linear)
//! is `[in, out]` here and `[out, in]` there. This file is the only place that
//! knows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Tensor, TensorData};
use morphospace_core::write_atomically;
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensorError};

/// A count beside the running averages of PyTorch's batch normalisation, which
/// nothing depends on and its strict loading asks for.
const BATCHES_TRACKED: &str = ".num_batches_tracked";

/// The longest header the format allows.
const MOST_HEADER_BYTES: u64 = 100_000_000;

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
    /// A PyTorch checkpoint, whatever its name says.
    #[error(
        "weights '{}' are a PyTorch {kind}, not safetensors\nhint: convert them once in Python: \
         safetensors.torch.save_file(torch.load(path, weights_only=True), \"model.safetensors\") \
         (some published files hold the tensors under [\"state_dict\"])",
        path.display()
    )]
    PyTorch {
        /// The file.
        path: PathBuf,
        /// `pickle` or `zip archive`.
        kind: &'static str,
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
    #[error("weights '{}' do not fit the network: {report}", path.display())]
    DoNotFit {
        /// The file.
        path: PathBuf,
        /// Every difference.
        report: LoadReport,
    },
    /// A weight that is not a number.
    #[error("tensor '{tensor}' of weights '{}' holds NaN or infinite values", path.display())]
    NotFinite {
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

/// What a file of weights and a network have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Tensors of both, by file key.
    pub loaded: Vec<String>,
    /// Parameters of the network that the file does not have.
    pub missing: Vec<String>,
    /// Tensors of the file that the network does not have.
    pub unexpected: Vec<String>,
    /// Tensors of both that differ in shape or are of a type that is no float.
    pub mismatched: Vec<TensorMismatch>,
}

/// A tensor that cannot fill its parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorMismatch {
    /// File key.
    pub name: String,
    /// Shape the network needs, in the file's layout.
    pub expected: Vec<usize>,
    /// Shape in the file.
    pub found: Vec<usize>,
    /// Type in the file.
    pub dtype: String,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut part = |what: &str, names: Vec<String>| {
            if !names.is_empty() {
                let shown = names.iter().take(5).map(|name| format!("'{name}'"));
                let shown = shown.collect::<Vec<_>>().join(", ");
                let more = if names.len() > 5 { ", …" } else { "" };
                parts.push(format!("{} {what} ({shown}{more})", names.len()));
            }
        };
        part("missing", self.missing.clone());
        part("unexpected", self.unexpected.clone());
        let mismatch = |m: &TensorMismatch| {
            format!(
                "{}: expected {:?}, found {} {:?}",
                m.name, m.expected, m.dtype, m.found
            )
        };
        part("mismatched", self.mismatched.iter().map(mismatch).collect());
        write!(f, "{} tensors fit", self.loaded.len())?;
        parts.iter().try_for_each(|part| write!(f, "; {part}"))
    }
}

/// What to do about tensors that the network does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unexpected {
    /// An error.
    Refuse,
    /// Only report them: an encoder read from an autoencoder's file.
    Ignore,
}

/// An open safetensors file whose header has been checked against its length.
///
/// The header alone is read on opening; tensors are read one at a time, and no
/// more memory is asked for than the file is long.
#[derive(Debug)]
pub struct WeightsFile {
    path: PathBuf,
    metadata: Metadata,
    data_start: u64,
}

impl WeightsFile {
    /// Opens a file.
    ///
    /// # Errors
    /// [`WeightsError::PyTorch`] for a pickle or zip under this name,
    /// [`WeightsError::Invalid`] for a damaged header or a cut file.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let cannot_read = |source| WeightsError::CannotRead {
            path: path.to_owned(),
            source,
        };
        let invalid = |message: String| WeightsError::Invalid {
            path: path.to_owned(),
            message,
        };
        let file = File::open(path).map_err(cannot_read)?;
        let file_len = file.metadata().map_err(cannot_read)?.len();
        let mut start = Vec::with_capacity(8);
        (&file)
            .take(8)
            .read_to_end(&mut start)
            .map_err(cannot_read)?;
        if let Some(kind) = pytorch_magic(&start) {
            return Err(WeightsError::PyTorch {
                path: path.to_owned(),
                kind,
            });
        }
        let Ok(start) = <[u8; 8]>::try_from(start.as_slice()) else {
            return Err(invalid(format!(
                "it has {file_len} bytes, fewer than a header"
            )));
        };
        let header_len = u64::from_le_bytes(start);
        if header_len > MOST_HEADER_BYTES || header_len > file_len - 8 {
            return Err(invalid(format!(
                "it claims a header of {header_len} bytes in a file of {file_len}"
            )));
        }
        let mut header = Vec::new();
        file.take(header_len)
            .read_to_end(&mut header)
            .map_err(cannot_read)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| invalid(error.to_string()))?;
        let data_start = 8 + header_len;
        let expected_len = data_start + metadata.data_len() as u64;
        if expected_len != file_len {
            return Err(invalid(format!(
                "its header describes {expected_len} bytes, the file has {file_len}"
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            metadata,
            data_start,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keys of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.sort_unstable();
        names
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.metadata.info(name).map(|info| info.shape.as_slice())
    }

    /// One tensor as `f32`, row-major, whatever float or integer type it has
    /// in the file; `None` if there is no such tensor or it is of another
    /// type.
    ///
    /// # Errors
    /// [`WeightsError::CannotRead`].
    pub fn read(&self, name: &str) -> Result<Option<Vec<f32>>, WeightsError> {
        let mut file = self.open_again()?;
        self.read_from(&mut file, name)
    }

    fn open_again(&self) -> Result<File, WeightsError> {
        let path = self.path.clone();
        File::open(&path).map_err(|source| WeightsError::CannotRead { path, source })
    }

    fn read_from(&self, file: &mut File, name: &str) -> Result<Option<Vec<f32>>, WeightsError> {
        let Some(info) = self.metadata.info(name) else {
            return Ok(None);
        };
        let Some(dtype) = tensor_dtype(info.dtype) else {
            return Ok(None);
        };
        let (start, end) = info.data_offsets;
        // `open` has compared all offsets with the length of the file.
        let mut bytes = vec![0; end - start];
        file.seek(SeekFrom::Start(self.data_start + start as u64))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|source| WeightsError::CannotRead {
                path: self.path.clone(),
                source,
            })?;
        if dtype == DType::F32 {
            let values = bytes.chunks_exact(4);
            let value = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            return Ok(Some(values.map(value).collect()));
        }
        let data = TensorData::from_bytes_vec(bytes, info.shape.clone(), dtype);
        Ok(Some(data.iter::<f32>().collect()))
    }
}

fn pytorch_magic(start: &[u8]) -> Option<&'static str> {
    match start {
        // Protocol byte of a pickle; a safetensors header never has 128 as its
        // low byte together with a protocol number of 2 to 5.
        [0x80, 2..=5, ..] => Some("pickle"),
        [b'P', b'K', 3, 4, ..] => Some("zip archive"),
        _ => None,
    }
}

fn tensor_dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::U8 => DType::U8,
        _ => return None,
    })
}

fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

/// A parameter of a network: its key, identity and shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Key in a file, such as `blocks.0.in_proj.weight`.
    pub name: String,
    /// What optimisers know it by.
    pub id: ParamId,
    /// Shape in a file.
    pub shape: Vec<usize>,
    /// Whether the file's axes are the other way round than in memory.
    pub is_turned: bool,
}

/// All parameters of a network in the order of its fields, without
/// initialising any.
///
/// ```
/// use burn::tensor::Device;
/// use morphospace_core::Seed;
/// use morphospace_models::{VitConfig, parameters};
///
/// let vit = VitConfig::default().init(&Device::default(), Seed::new(1))?;
/// let names: Vec<String> = parameters(&vit).into_iter().map(|p| p.name).collect();
/// assert_eq!(names[0], "cls_token");
/// assert!(names.contains(&"blocks.11.ls.gamma".to_owned()));
/// # Ok::<(), morphospace_models::ModelError>(())
/// ```
pub fn parameters<M: Module>(module: &M) -> Vec<Parameter> {
    let mut lister = Lister {
        path: KeyPath::default(),
        parameters: Vec::new(),
    };
    module.visit(&mut lister);
    lister.parameters
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
    let report = compare(module, file, prefix);
    let fits = report.missing.is_empty()
        && report.mismatched.is_empty()
        && (report.unexpected.is_empty() || unexpected == Unexpected::Ignore);
    if !fits {
        return Err(WeightsError::DoNotFit {
            path: file.path.clone(),
            report,
        });
    }
    let mut loader = Loader {
        path: KeyPath::default(),
        weights: file,
        file: file.open_again()?,
        prefix,
        error: None,
    };
    let module = module.clone().map(&mut loader);
    match loader.error {
        Some(error) => Err(error),
        None => Ok((module, report)),
    }
}

fn compare<M: Module>(module: &M, file: &WeightsFile, prefix: &str) -> LoadReport {
    let mut report = LoadReport::default();
    let names = file.names();
    let mut left: BTreeSet<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with(prefix))
        .collect();
    for parameter in parameters(module) {
        let name = format!("{prefix}{}", parameter.name);
        let Some(info) = file.metadata.info(&name) else {
            report.missing.push(name);
            continue;
        };
        left.remove(name.as_str());
        if info.shape == parameter.shape && is_float(info.dtype) {
            report.loaded.push(name);
        } else {
            report.mismatched.push(TensorMismatch {
                name,
                expected: parameter.shape,
                found: info.shape.clone(),
                dtype: info.dtype.to_string(),
            });
        }
    }
    // What PyTorch counts beside running averages and uses for nothing.
    left.retain(|name| !name.ends_with(BATCHES_TRACKED));
    report.unexpected = left.into_iter().map(str::to_owned).collect();
    report
}

/// Writes the weights of a network under the names [`load_weights`] reads.
/// The file appears whole or not at all, and the same weights give the same
/// bytes.
///
/// # Errors
/// [`WeightsError::CannotWrite`].
pub fn save_weights<M: Module>(module: &M, path: &Path) -> Result<(), WeightsError> {
    let mut saver = Saver {
        path: KeyPath::default(),
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

/// Lists whose items torchvision's DenseNet and Microsnoop's U-Net number
/// without a dot: the field here, what stands before the number, the first.
const NUMBERED: [(&str, &str, usize); 7] = [
    ("denseblocks", "denseblock", 1),
    ("denselayers", "denselayer", 1),
    ("transitions", "transition", 1),
    ("res_downs", "res_down_", 0),
    ("conv_downs", "conv_down_", 0),
    ("res_ups", "res_up_", 0),
    ("conv_ups", "conv_up_", 0),
];

/// Where a traversal of a module stands.
#[derive(Debug, Default)]
struct KeyPath {
    names: Vec<String>,
    containers: Vec<String>,
}

impl KeyPath {
    fn enter(&mut self, name: &str, container: &str) {
        self.names.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    fn exit(&mut self) {
        self.names.pop();
        self.containers.pop();
    }

    /// The names joined by dots, but for forms that no field can have: `_0` is
    /// the number `0` of a `torch.nn.Sequential`, and the items of a list of
    /// [`NUMBERED`] bear their number in their name. Which of several modules
    /// one is has no name.
    fn key(&self) -> String {
        let mut parts: Vec<String> = Vec::with_capacity(self.names.len());
        let steps = self.names.iter().zip(&self.containers);
        let mut names = steps
            .filter(|(_, container)| !container.starts_with("Enum:"))
            .map(|(name, _)| name);
        while let Some(name) = names.next() {
            let numbered = NUMBERED.iter().find(|(list, _, _)| list == name);
            let part = match (numbered, name.strip_prefix('_')) {
                (Some((_, stem, first)), _) => match names.next() {
                    Some(index) => {
                        let index: usize = index.parse().expect("items of lists are numbered");
                        format!("{stem}{}", index + first)
                    }
                    None => name.clone(),
                },
                (None, Some(digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    digits.to_owned()
                }
                (None, _) => name.clone(),
            };
            parts.push(part);
        }
        parts.join(".")
    }

    /// Whether the parameter here is turned in files.
    fn is_turned(&self) -> bool {
        self.names.last().is_some_and(|name| name == "weight")
            && self
                .containers
                .last()
                .is_some_and(|container| container == "Struct:Linear")
    }

    fn file_shape<const D: usize>(&self, param: &Param<Tensor<D>>) -> Vec<usize> {
        let mut shape = param.lazy_shape().to_vec();
        if self.is_turned() {
            shape.reverse();
        }
        shape
    }
}

struct Lister {
    path: KeyPath,
    parameters: Vec<Parameter>,
}

impl ModuleVisitor for Lister {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = self.path.file_shape(param);
        self.parameters.push(Parameter {
            name: self.path.key(),
            id: param.id,
            shape,
            is_turned: self.path.is_turned(),
        });
    }
}

struct Loader<'a> {
    path: KeyPath,
    weights: &'a WeightsFile,
    file: File,
    prefix: &'a str,
    error: Option<WeightsError>,
}

impl Loader<'_> {
    fn read(&mut self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let values = self.weights.read_from(&mut self.file, name)?;
        let values = values.expect("`compare` has found the tensor and its type");
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            let path = self.weights.path.clone();
            Err(WeightsError::NotFinite {
                path,
                tensor: name.to_owned(),
            })
        }
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
        if self.error.is_some() {
            return param;
        }
        let file_shape = self.path.file_shape(&param);
        let mut values = match self.read(&format!("{}{}", self.prefix, self.path.key())) {
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

struct Saver {
    path: KeyPath,
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
}

impl ModuleVisitor for Saver {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = self.path.file_shape(param);
        let mut values: Vec<f32> = param.val().into_data().iter::<f32>().collect();
        if self.path.is_turned() {
            values = transposed(&values, shape[1], shape[0]);
        }
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.tensors.insert(self.path.key(), (shape, bytes));
    }
}

fn transposed(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let mut turned = Vec::with_capacity(values.len());
    for col in 0..cols {
        turned.extend((0..rows).map(|row| values[row * cols + col]));
    }
    turned
}
