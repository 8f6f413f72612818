//! Uneven illumination: estimated per plate and channel, and divided out.

mod corrected_screen;
mod downscale;
mod error;
mod smoothing;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use morphospace_core::{Channel, PlateKey};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use corrected_screen::{CorrectedScreen, IlluminationSource};
use downscale::{BlockSums, upscaled};
pub use error::IlluminationError;
pub use smoothing::IlluminationSmoothing;

use crate::npy::{NpyFloat, decode_npy, write_npy};
use crate::plate_names::safe_in_file_names;
use crate::screen::{Pixels, Plane, Screen};
use crate::tiling::Tile;

/// Share of the darkest pixels below the robust minimum; CellProfiler's
/// `ROBUST_FACTOR`.
const ROBUST_SHARE: f64 = 0.02;

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

/// Fits the illumination functions of a plate, one per channel.
///
/// The images of a channel are averaged over the plate's sites, the mean
/// image is shrunk and smoothed, brought back to full size by linear
/// interpolation, and divided by its robust minimum: values below the 2nd
/// percentile of the positive ones are raised to it, and it becomes 1. So
/// correction darkens and never brightens. Images that are missing are left
/// out; pixels are summed as whole numbers, so that the result does not
/// depend on the number of threads.
///
/// # Errors
/// [`IlluminationError`] names the plate and channel without an image, the
/// image that cannot be read, or the one whose size differs from the first.
///
/// # Source
/// CellProfiler's `correctilluminationcalculate.py`, `Regular`, all images,
/// rescaled; there the function is rescaled before it is brought back to
/// full size, which leaves its minimum a little above 1.
///
/// ```no_run
/// use morphospace_core::PlateKey;
/// use morphospace_screen::{IlluminationOptions, fit_illumination, open_screen};
///
/// let screen = open_screen("jump".as_ref(), None)?;
/// let plate = &screen.sites()[0].key.plate;
/// let functions = fit_illumination(&*screen, plate, &IlluminationOptions::default())?;
/// let plane = screen.read_plane(0, 0)?;
/// let corrected = functions[0].correct(&plane)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fit_illumination(
    screen: &dyn Screen,
    plate: &PlateKey,
    options: &IlluminationOptions,
) -> Result<Vec<Illumination>, IlluminationError> {
    options.check()?;
    let sites = sites_of(screen, plate);
    (0..screen.channels().len())
        .map(|channel_index| fit_channel(screen, plate, sites.clone(), channel_index, options))
        .collect()
}

/// Sites are sorted, so those of a plate follow each other.
fn sites_of(screen: &dyn Screen, plate: &PlateKey) -> Range<usize> {
    let sites = screen.sites();
    let start = sites.partition_point(|site| site.key.plate < *plate);
    let end = sites.partition_point(|site| site.key.plate <= *plate);
    start..end
}

fn fit_channel(
    screen: &dyn Screen,
    plate: &PlateKey,
    sites: Range<usize>,
    channel_index: usize,
    options: &IlluminationOptions,
) -> Result<Illumination, IlluminationError> {
    let present: Vec<usize> = sites
        .filter(|&site_index| screen.is_present(site_index, channel_index))
        .collect();
    let Some(&first) = present.first() else {
        return Err(IlluminationError::NoImages {
            plate: plate.clone(),
            channel: screen.channels()[channel_index].clone(),
        });
    };
    let plane = screen.read_plane(first, channel_index)?;
    let (width, height) = (plane.width, plane.height);
    let sums = Mutex::new(BlockSums::new(width, height, options.downscale));
    present.par_iter().try_for_each(|&site_index| {
        let plane = screen.read_plane(site_index, channel_index)?;
        let size = (plane.width, plane.height);
        if size != (width, height) {
            return Err(IlluminationError::SizesDiffer {
                image: Box::new(screen.sites()[site_index].key.clone()),
                channel: screen.channels()[channel_index].clone(),
                size,
                first: Box::new(screen.sites()[first].key.clone()),
                first_size: (width, height),
            });
        }
        let of_image = BlockSums::of(&plane, options.downscale);
        let mut sums = sums.lock().expect("no thread panics while it adds");
        sums.add(&of_image);
        Ok(())
    })?;
    let sums = sums
        .into_inner()
        .expect("no thread panicked while it added");
    let mean = sums.mean(present.len());
    let smooth = options
        .smoothing
        .apply(&mean, sums.width, options.smoothing_filter_size_px);
    let values = upscaled(&smooth, sums.width, options.downscale, width, height);
    let values = rescaled(values).ok_or_else(|| IlluminationError::AllDark {
        plate: plate.clone(),
        channel: screen.channels()[channel_index].clone(),
    })?;
    Ok(Illumination {
        width,
        height,
        values,
    })
}

/// Divides by the robust minimum and raises what lies below it; `None` where
/// nothing is positive.
fn rescaled(mut values: Vec<f64>) -> Option<Vec<f64>> {
    let mut positive: Vec<f64> = values.iter().copied().filter(|v| *v > 0.0).collect();
    if positive.is_empty() {
        return None;
    }
    let rank = (positive.len() as f64 * ROBUST_SHARE) as usize;
    let (_, minimum, _) = positive.select_nth_unstable_by(rank, f64::total_cmp);
    let minimum = *minimum;
    for value in &mut values {
        *value = value.max(minimum) / minimum;
    }
    Some(values)
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
