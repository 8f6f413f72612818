//! Uneven illumination: estimated per plate and channel, and divided out.

mod corrected_screen;
mod downscale;
mod error;
mod fit;
mod smoothing;

use std::path::{Path, PathBuf};

use morphospace_core::Channel;
use serde::{Deserialize, Serialize};

pub use corrected_screen::{CorrectedScreen, IlluminationSource};
pub use error::IlluminationError;
pub use fit::{IlluminationFit, fit_illumination, refuse_missing_images};
pub use smoothing::IlluminationSmoothing;

use crate::npy::{NpyFloat, decode_npy, write_npy};
use crate::plate_names::safe_in_file_names;
use crate::screen::{Pixels, Plane};
use crate::tiling::Tile;

/// How an illumination function is fitted: `Regular` of CellProfiler's
/// CorrectIlluminationCalculate.
///
/// The defaults are those of the pipelines behind the Cell Painting Gallery:
/// images shrunk 4 times, median filter of size 20.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IlluminationOptions {
    /// Squares of this many pixels by this many are averaged before
    /// smoothing; 1 leaves the image as it is.
    pub downscale: usize,
    /// How the mean image is smoothed.
    pub smoothing: IlluminationSmoothing,
    /// CellProfiler's "smoothing filter size", in pixels of the shrunk image:
    /// full width at half maximum of the Gaussian, whose standard deviation
    /// is `size / 2.35`; the median is taken over a square that reaches as
    /// far, rounded, in each direction (CellProfiler's is an octagon).
    pub smoothing_filter_size_px: f64,
}

impl Default for IlluminationOptions {
    fn default() -> Self {
        Self {
            downscale: 4,
            smoothing: IlluminationSmoothing::Median,
            smoothing_filter_size_px: 20.0,
        }
    }
}

impl IlluminationOptions {
    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// [`IlluminationError::InvalidOption`].
    pub fn check(&self) -> Result<(), IlluminationError> {
        if !(1..=64).contains(&self.downscale) {
            return Err(IlluminationError::InvalidOption {
                name: "downscale",
                value: self.downscale.to_string(),
                allowed: "1 to 64",
            });
        }
        if !(1.0..=2000.0).contains(&self.smoothing_filter_size_px) {
            return Err(IlluminationError::InvalidOption {
                name: "smoothing_filter_size_px",
                value: self.smoothing_filter_size_px.to_string(),
                allowed: "1 to 2000",
            });
        }
        Ok(())
    }
}

/// How much light each place of a field of view gets, 1 at its darkest.
///
/// # Shapes
/// `values` is row-major `[height, width]`, each finite and positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Illumination {
    /// Pixels per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// Factors.
    pub values: Vec<f64>,
}

impl Illumination {
    /// An image divided by the illumination, in the image's own grey levels.
    ///
    /// # Shapes
    /// Result: row-major `[height, width]`.
    ///
    /// # Errors
    /// [`IlluminationError::WrongSize`].
    pub fn correct(&self, plane: &Plane) -> Result<Vec<f64>, IlluminationError> {
        self.check_size(plane)?;
        Ok(match &plane.pixels {
            Pixels::U8(pixels) => self.divided(pixels),
            Pixels::U16(pixels) => self.divided(pixels),
        })
    }

    /// [`Illumination::correct`] rounded to whole grey levels of the same bit
    /// depth, for everything that takes images.
    ///
    /// # Errors
    /// [`IlluminationError::WrongSize`].
    pub fn correct_plane(&self, plane: &Plane) -> Result<Plane, IlluminationError> {
        let corrected = self.correct(plane)?;
        // Casts from floats saturate.
        let pixels = match &plane.pixels {
            Pixels::U8(_) => Pixels::U8(corrected.iter().map(|v| v.round() as u8).collect()),
            Pixels::U16(_) => Pixels::U16(corrected.iter().map(|v| v.round() as u16).collect()),
        };
        Ok(Plane {
            width: plane.width,
            height: plane.height,
            pixels,
        })
    }

    /// [`Illumination::correct_plane`] for a square of an image.
    ///
    /// # Errors
    /// [`IlluminationError::WrongSize`]: the square does not lie within the
    /// function, or is not the size of `plane`.
    pub fn correct_region(&self, plane: &Plane, region: Tile) -> Result<Plane, IlluminationError> {
        let is_inside = region.left.saturating_add(region.crop_px) <= self.width
            && region.top.saturating_add(region.crop_px) <= self.height;
        if !is_inside {
            let size = (
                region.left.saturating_add(region.crop_px),
                region.top.saturating_add(region.crop_px),
            );
            let expected = (self.width, self.height);
            return Err(IlluminationError::WrongSize { size, expected });
        }
        let rows = region.top..region.top + region.crop_px;
        let values = rows
            .flat_map(|row| &self.values[row * self.width + region.left..][..region.crop_px])
            .copied()
            .collect();
        let square = Self {
            width: region.crop_px,
            height: region.crop_px,
            values,
        };
        square.correct_plane(plane)
    }

    fn divided<T: Copy + Into<f64>>(&self, pixels: &[T]) -> Vec<f64> {
        let pairs = pixels.iter().zip(&self.values);
        pairs
            .map(|(&pixel, factor)| pixel.into() / factor)
            .collect()
    }

    fn check_size(&self, plane: &Plane) -> Result<(), IlluminationError> {
        let (size, expected) = ((plane.width, plane.height), (self.width, self.height));
        match size == expected {
            true => Ok(()),
            false => Err(IlluminationError::WrongSize { size, expected }),
        }
    }

    /// Writes the function as a `.npy` file of `[height, width]`, as the Cell
    /// Painting Gallery keeps them.
    ///
    /// # Errors
    /// [`IlluminationError::CannotWrite`].
    pub fn save(&self, path: &Path, float: NpyFloat) -> Result<(), IlluminationError> {
        write_npy(path, (self.height, self.width), &self.values, float).map_err(|source| {
            IlluminationError::CannotWrite {
                path: path.to_owned(),
                source,
            }
        })
    }

    /// Reads a function from a `.npy` file: ours, CellProfiler's, or one of
    /// the Cell Painting Gallery.
    ///
    /// # Errors
    /// [`IlluminationError`] names the file: unreadable, not a
    /// two-dimensional array, or with a value that is no positive number.
    pub fn load(path: &Path) -> Result<Self, IlluminationError> {
        let bytes = std::fs::read(path).map_err(|source| IlluminationError::CannotRead {
            path: path.to_owned(),
            source,
        })?;
        Self::decode(&bytes, path)
    }

    /// [`Illumination::load`] for bytes at hand; `path` is for messages.
    ///
    /// # Errors
    /// As [`Illumination::load`].
    pub fn decode(bytes: &[u8], path: &Path) -> Result<Self, IlluminationError> {
        let array = decode_npy(bytes).map_err(|source| IlluminationError::InvalidNpy {
            path: path.to_owned(),
            source,
        })?;
        let values = array.to_f64();
        let is_factor = |value: &f64| value.is_finite() && *value > 0.0;
        if let Some(index) = values.iter().position(|value| !is_factor(value)) {
            return Err(IlluminationError::NotPositive {
                path: path.to_owned(),
                row: index / array.width,
                column: index % array.width,
                value: values[index],
            });
        }
        Ok(Self {
            width: array.width,
            height: array.height,
            values,
        })
    }

    /// Where a function lies below a folder of them: `{plate}/{plate}_Illum{channel}.npy`,
    /// as below a batch's `illum` in the Cell Painting Gallery.
    ///
    /// ```
    /// use morphospace_core::{Channel, Stain};
    /// use morphospace_screen::Illumination;
    ///
    /// let path = Illumination::path_of("BR00116991", &Channel::new("OrigDNA", Stain::Dna));
    /// assert_eq!(path.to_string_lossy(), "BR00116991/BR00116991_IllumDNA.npy");
    /// ```
    pub fn path_of(plate_name: &str, channel: &Channel) -> PathBuf {
        let channel = channel.name.strip_prefix("Orig").unwrap_or(&channel.name);
        let channel = safe_in_file_names(channel);
        PathBuf::from(plate_name).join(format!("{plate_name}_Illum{channel}.npy"))
    }
}
