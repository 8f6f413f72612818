use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use pytorch_reader::{PytorchError, PytorchReader, Tensor as PytorchTensor};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::error::WeightsError;

/// The longest header the format allows.
const MOST_HEADER_BYTES: u64 = 100_000_000;

/// What a file says about a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Its shape, in the file's layout.
    pub shape: Vec<usize>,
    /// Its type, by the file's name for it.
    pub dtype: String,
    /// Whether its values are floating-point numbers.
    pub is_float: bool,
}

/// An open file of weights: safetensors, or a PyTorch checkpoint whatever its
/// name ends with.
///
/// Headers are checked on opening, those of safetensors against the file's
/// length, those of PyTorch against bounds (100 MiB of pickle, 10 GiB a
/// tensor); tensors are read one at a time, when they are asked for. A tensor
/// of a nested checkpoint is called by its path, such as
/// `state_dict.norm.weight`. Of a checkpoint's pickle nothing is executed.
#[derive(Debug)]
pub struct WeightsFile {
    path: PathBuf,
    tensors: BTreeMap<String, (TensorInfo, Place)>,
}

/// Where a tensor's values are.
#[derive(Debug)]
enum Place {
    /// Bytes of a safetensors file; `None` for a type that cannot be read.
    Bytes {
        start: u64,
        len: usize,
        dtype: Option<DType>,
    },
    /// In an archive.
    PyTorch(PytorchTensor),
}

impl WeightsFile {
    /// Opens a file.
    ///
    /// # Errors
    /// [`WeightsError::Invalid`] for a damaged header or a cut file,
    /// [`WeightsError::PyTorch`] for a checkpoint that is damaged or holds what
    /// is no tensor.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let cannot_read = |source| WeightsError::CannotRead {
            path: path.to_owned(),
            source,
        };
        if !fs::metadata(path).map_err(cannot_read)?.is_file() {
            return Err(WeightsError::Invalid {
                path: path.to_owned(),
                message: "it is not a regular file".to_owned(),
            });
        }
        let file = File::open(path).map_err(cannot_read)?;
        let mut start = Vec::with_capacity(512);
        (&file)
            .take(512)
            .read_to_end(&mut start)
            .map_err(cannot_read)?;
        let tensors = match is_pytorch(&start) {
            true => pytorch_tensors(path)?,
            false => safetensors_tensors(path, &file, &start)?,
        };
        Ok(Self {
            path: path.to_owned(),
            tensors,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keys of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    /// What the file says about a tensor.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name).map(|(info, _)| info)
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.info(name).map(|info| info.shape.as_slice())
    }

    /// One tensor as `f32`, row-major, whatever float or integer type it has
    /// in the file; `None` if there is no such tensor or it is of another
    /// type.
    ///
    /// # Errors
    /// [`WeightsError::CannotRead`].
    pub fn read(&self, name: &str) -> Result<Option<Vec<f32>>, WeightsError> {
        let Some((info, place)) = self.tensors.get(name) else {
            return Ok(None);
        };
        let cannot_read = |source| WeightsError::CannotRead {
            path: self.path.clone(),
            source,
        };
        let (bytes, dtype) = match place {
            Place::Bytes { dtype: None, .. } => return Ok(None),
            Place::Bytes {
                start,
                len,
                dtype: Some(dtype),
            } => {
                // `open` has compared all places with the length of the file.
                let mut bytes = vec![0; *len];
                let mut file = File::open(&self.path).map_err(cannot_read)?;
                file.seek(SeekFrom::Start(*start))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(cannot_read)?;
                (bytes, *dtype)
            }
            Place::PyTorch(tensor) => match pytorch_dtype(tensor.dtype()) {
                Some(dtype) => (tensor.read().map_err(cannot_read)?, dtype),
                None => return Ok(None),
            },
        };
        if dtype == DType::F32 {
            let values = bytes.chunks_exact(4);
            let value = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            return Ok(Some(values.map(value).collect()));
        }
        let data = TensorData::from_bytes_vec(bytes, info.shape.clone(), dtype);
        Ok(Some(data.iter::<f32>().collect()))
    }
}

/// Whether a file starts as PyTorch's do: a zip archive, a pickle, or a tar
/// archive of the time before.
fn is_pytorch(start: &[u8]) -> bool {
    // Behind the eight bytes of its length, a safetensors header starts so; a
    // length may by chance look like the first bytes of the others.
    if start.get(8) == Some(&b'{') && start.get(6..8) == Some(&[0, 0]) {
        return false;
    }
    match start {
        // Protocol byte of a pickle.
        [0x80, 2..=5, ..] => true,
        [b'P', b'K', 3, 4, ..] => true,
        _ => start.get(257..262) == Some(b"ustar"),
    }
}

type Tensors = BTreeMap<String, (TensorInfo, Place)>;

fn safetensors_tensors(path: &Path, file: &File, start: &[u8]) -> Result<Tensors, WeightsError> {
    let cannot_read = |source: io::Error| WeightsError::CannotRead {
        path: path.to_owned(),
        source,
    };
    let invalid = |message: String| WeightsError::Invalid {
        path: path.to_owned(),
        message,
    };
    let file_len = file.metadata().map_err(cannot_read)?.len();
    let Some(header_len) = start.first_chunk::<8>() else {
        return Err(invalid(format!(
            "it has {file_len} bytes, fewer than a header"
        )));
    };
    let header_len = u64::from_le_bytes(*header_len);
    if header_len > MOST_HEADER_BYTES || header_len > file_len - 8 {
        return Err(invalid(format!(
            "it claims a header of {header_len} bytes in a file of {file_len}"
        )));
    }
    let mut header = Vec::new();
    let mut file = file;
    file.seek(SeekFrom::Start(8))
        .and_then(|_| file.take(header_len).read_to_end(&mut header))
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
    let tensors = metadata.tensors().into_iter().map(|(name, info)| {
        let (start, end) = info.data_offsets;
        let place = Place::Bytes {
            start: data_start + start as u64,
            len: end - start,
            dtype: safetensors_dtype(info.dtype),
        };
        let info = TensorInfo {
            shape: info.shape.clone(),
            dtype: info.dtype.to_string(),
            is_float: matches!(
                info.dtype,
                Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16
            ),
        };
        (name, (info, place))
    });
    Ok(tensors.collect())
}

fn safetensors_dtype(dtype: Dtype) -> Option<DType> {
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

fn pytorch_tensors(path: &Path) -> Result<Tensors, WeightsError> {
    let reader = PytorchReader::new(path).map_err(|error| match error {
        PytorchError::Io(source) if source.kind() != io::ErrorKind::InvalidData => {
            WeightsError::CannotRead {
                path: path.to_owned(),
                source,
            }
        }
        error => WeightsError::PyTorch {
            path: path.to_owned(),
            message: error.to_string(),
        },
    })?;
    let tensors = reader.into_tensors().into_iter().map(|(name, tensor)| {
        use pytorch_reader::DType::{BF16, F16, F32, F64};
        let info = TensorInfo {
            shape: tensor.shape().to_vec(),
            dtype: format!("{:?}", tensor.dtype()),
            is_float: matches!(tensor.dtype(), F64 | F32 | F16 | BF16),
        };
        (name, (info, Place::PyTorch(tensor)))
    });
    Ok(tensors.collect())
}

fn pytorch_dtype(dtype: pytorch_reader::DType) -> Option<DType> {
    use pytorch_reader::DType as Stored;
    Some(match dtype {
        Stored::F64 => DType::F64,
        Stored::F32 => DType::F32,
        Stored::F16 => DType::F16,
        Stored::BF16 => DType::BF16,
        Stored::I64 => DType::I64,
        Stored::I32 => DType::I32,
        Stored::U8 => DType::U8,
        _ => return None,
    })
}
