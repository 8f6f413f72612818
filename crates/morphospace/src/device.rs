//! Where tensors live.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, DeviceType};

/// A device as a user names it: `auto`, `cpu`, `vulkan`, `vulkan:1`,
/// `cuda:0`, ...
///
/// ```
/// use morphospace::device::DeviceChoice;
///
/// let choice: DeviceChoice = "cuda:1".parse()?;
/// assert_eq!(choice.to_string(), "cuda:1");
/// assert!("tpu".parse::<DeviceChoice>().is_err());
/// # Ok::<(), morphospace::device::DeviceError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU of the first compiled-in backend that has one, else the
    /// CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The `index`-th device of a GPU backend.
    Gpu {
        /// The backend.
        backend: GpuBackend,
        /// Position in the backend's list, from 0.
        index: usize,
    },
}

/// A GPU backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuBackend {
    /// NVIDIA.
    Cuda,
    /// AMD.
    Rocm,
    /// Apple.
    Metal,
    /// Vulkan.
    Vulkan,
    /// WebGPU.
    WebGpu,
}

impl GpuBackend {
    /// All of them, in the order `auto` tries them.
    pub const ALL: [Self; 5] = [
        Self::Cuda,
        Self::Rocm,
        Self::Metal,
        Self::Vulkan,
        Self::WebGpu,
    ];

    /// The name in `--device` and the cargo feature.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
            Self::Metal => "metal",
            Self::Vulkan => "vulkan",
            Self::WebGpu => "webgpu",
        }
    }

    /// Whether this binary was compiled with the backend.
    pub fn is_compiled_in(self) -> bool {
        self.device_type().is_some()
    }

    /// The backend's devices on this machine; none if it is not compiled in.
    pub fn devices(self) -> Vec<Device> {
        self.device_type()
            .map_or_else(Vec::new, |kind| Device::enumerate(kind).into_vec())
    }

    fn device_type(self) -> Option<DeviceType> {
        match self {
            #[cfg(feature = "cuda")]
            Self::Cuda => Some(DeviceType::Cuda),
            #[cfg(feature = "rocm")]
            Self::Rocm => Some(DeviceType::Rocm),
            #[cfg(feature = "metal")]
            Self::Metal => Some(DeviceType::Metal),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Some(DeviceType::Vulkan),
            #[cfg(feature = "webgpu")]
            Self::WebGpu => Some(DeviceType::WebGpu),
            #[allow(
                unreachable_patterns,
                reason = "reached unless every backend is compiled in"
            )]
            _ => None,
        }
    }
}

/// Why a device was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No such name.
    #[error(
        "'{text}' is not a device (auto, cpu, cuda[:n], rocm[:n], metal[:n], vulkan[:n], \
         webgpu[:n])"
    )]
    UnknownName {
        /// What was given.
        text: String,
    },
    /// The binary lacks the backend.
    #[error(
        "this binary was built without '{backend}'; available: {available}\n\
         hint: build it with `cargo build --release --features {backend}`"
    )]
    NotCompiledIn {
        /// The backend.
        backend: &'static str,
        /// What could be chosen instead.
        available: String,
    },
    /// The machine lacks the device.
    #[error("there is no device '{device}' on this machine; available: {available}")]
    NotPresent {
        /// What was asked for.
        device: String,
        /// What could be chosen instead.
        available: String,
    },
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || DeviceError::UnknownName {
            text: text.to_owned(),
        };
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        match (name, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            _ => {
                let mut backends = GpuBackend::ALL.into_iter();
                let backend = backends.find(|b| b.as_str() == name).ok_or_else(unknown)?;
                Ok(Self::Gpu {
                    backend,
                    index: index.unwrap_or(0),
                })
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu { backend, index } => write!(f, "{}:{index}", backend.as_str()),
        }
    }
}

impl DeviceChoice {
    /// The device.
    ///
    /// # Errors
    /// [`DeviceError`]: the backend is not compiled in or the device is not
    /// present, with what is.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Auto => Ok(GpuBackend::ALL
                .into_iter()
                .find_map(|backend| backend.devices().into_iter().next())
                .unwrap_or_else(Device::flex)),
            Self::Gpu { backend, .. } if !backend.is_compiled_in() => {
                Err(DeviceError::NotCompiledIn {
                    backend: backend.as_str(),
                    available: available_devices().join(", "),
                })
            }
            Self::Gpu { backend, index } => {
                backend
                    .devices()
                    .into_iter()
                    .nth(index)
                    .ok_or_else(|| DeviceError::NotPresent {
                        device: self.to_string(),
                        available: available_devices().join(", "),
                    })
            }
        }
    }
}

/// Every device that `--device` accepts here and now, `cpu` first.
pub fn available_devices() -> Vec<String> {
    let gpus = GpuBackend::ALL.into_iter().flat_map(|backend| {
        (0..backend.devices().len()).map(move |index| format!("{}:{index}", backend.as_str()))
    });
    std::iter::once("cpu".to_owned()).chain(gpus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for name in [
            "auto", "cpu", "cuda:0", "rocm:2", "metal:0", "vulkan:1", "webgpu:0",
        ] {
            assert_eq!(name.parse::<DeviceChoice>().expect(name).to_string(), name);
        }
        for name in ["", "gpu", "cuda:", "cuda:x", "cpu:0", "auto:1", "CUDA"] {
            assert!(name.parse::<DeviceChoice>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_backend_that_is_not_compiled_in_is_refused_with_what_is() {
        for backend in GpuBackend::ALL
            .into_iter()
            .filter(|backend| !backend.is_compiled_in())
        {
            let error = DeviceChoice::Gpu { backend, index: 0 }
                .open()
                .expect_err("not there");
            let message = error.to_string();
            assert!(message.contains("available: cpu"), "{message}");
            assert!(
                message.contains(&format!("--features {}", backend.as_str())),
                "{message}"
            );
        }
    }
}
