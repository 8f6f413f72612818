use std::ops::Range;
use std::sync::Mutex;

use morphospace_core::PlateKey;
use rayon::prelude::*;

use super::downscale::{BlockSums, upscaled};
use super::{Illumination, IlluminationError, IlluminationOptions};
use crate::error::ImageProblem;
use crate::inspect::most_frequent;
use crate::screen::Screen;
use crate::site_image::OnIncomplete;

/// Share of the darkest pixels below the robust minimum; CellProfiler's
/// `ROBUST_FACTOR`.
const ROBUST_SHARE: f64 = 0.02;
/// Images whose sizes are looked at to tell the plate's size where others are
/// to be left out.
const NUM_PROBED: usize = 9;
/// Missing images that an error names.
const MOST_NAMED: usize = 20;

/// The illumination functions of a plate.
#[derive(Clone, Debug, PartialEq)]
pub struct IlluminationFit {
    /// One function per channel, in the screen's order.
    pub functions: Vec<Illumination>,
    /// Images that were left out, one line each: which, and why.
    pub left_out: Vec<String>,
}

/// Fits the illumination functions of a plate, one per channel.
///
/// The images of a channel are averaged over the plate's sites, the mean
/// image is shrunk and smoothed, brought back to full size by linear
/// interpolation, and divided by its robust minimum: values below the 2nd
/// percentile of the positive ones are raised to it, and it becomes 1. So
/// correction darkens and never brightens. Under [`OnIncomplete::Skip`],
/// images that are missing, unreadable or of another size than most are left
/// out and named; pixels are summed as whole numbers, so that the result does
/// not depend on the number of threads.
///
/// # Errors
/// [`IlluminationError`] names the plate and channel without an image, and,
/// under [`OnIncomplete::Fail`], an image that is missing, cannot be read or
/// whose size differs from the first. [`OnIncomplete::Fill`] is refused:
/// zeros are no light.
///
/// # Source
/// CellProfiler's `correctilluminationcalculate.py`, `Regular`, all images,
/// rescaled; there the function is rescaled before it is brought back to
/// full size, which leaves its minimum a little above 1.
///
/// ```no_run
/// use morphospace_core::PlateKey;
/// use morphospace_screen::{IlluminationOptions, OnIncomplete, fit_illumination, open_screen};
///
/// let screen = open_screen("jump".as_ref(), None)?;
/// let plate = &screen.sites()[0].key.plate;
/// let options = IlluminationOptions::default();
/// let fit = fit_illumination(&*screen, plate, &options, OnIncomplete::Fail)?;
/// let plane = screen.read_plane(0, 0)?;
/// let corrected = fit.functions[0].correct(&plane)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fit_illumination(
    screen: &dyn Screen,
    plate: &PlateKey,
    options: &IlluminationOptions,
    on_incomplete: OnIncomplete,
) -> Result<IlluminationFit, IlluminationError> {
    options.check()?;
    if on_incomplete == OnIncomplete::Fill {
        return Err(IlluminationError::InvalidOption {
            name: "on_incomplete",
            value: on_incomplete.to_string(),
            allowed: "fail or skip: zeros are no light",
        });
    }
    let sites = sites_of(screen, plate);
    let mut fit = IlluminationFit {
        functions: Vec::new(),
        left_out: Vec::new(),
    };
    for channel_index in 0..screen.channels().len() {
        let channel = ChannelImages {
            screen,
            plate,
            sites: sites.clone(),
            channel_index,
            on_incomplete,
        };
        let (function, left_out) = channel.fit(options)?;
        fit.functions.push(function);
        fit.left_out.extend(left_out);
    }
    Ok(fit)
}

/// Refuses a screen that lacks images, before time is spent on it.
///
/// # Errors
/// [`IlluminationError::Incomplete`] counts the images that are missing and
/// names the first of them.
pub fn refuse_missing_images(screen: &dyn Screen) -> Result<(), IlluminationError> {
    let num_channels = screen.channels().len();
    let missing: Vec<(usize, usize)> = (0..screen.sites().len())
        .into_par_iter()
        .flat_map_iter(|site| (0..num_channels).map(move |channel| (site, channel)))
        .filter(|&(site, channel)| !screen.is_present(site, channel))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let named = missing.iter().take(MOST_NAMED).map(|&(site, channel)| {
        let error = screen.image_error(site, channel, ImageProblem::Missing);
        first_line(&error)
    });
    Err(IlluminationError::Incomplete {
        num_missing: missing.len(),
        num_sites: screen.sites().len(),
        first: named.collect(),
    })
}

fn first_line(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Sites are sorted, so those of a plate follow each other.
fn sites_of(screen: &dyn Screen, plate: &PlateKey) -> Range<usize> {
    let sites = screen.sites();
    let start = sites.partition_point(|site| site.key.plate < *plate);
    let end = sites.partition_point(|site| site.key.plate <= *plate);
    start..end
}

/// The images of one channel of a plate.
struct ChannelImages<'a> {
    screen: &'a dyn Screen,
    plate: &'a PlateKey,
    sites: Range<usize>,
    channel_index: usize,
    on_incomplete: OnIncomplete,
}

/// The image whose size the others must have.
struct Reference {
    site_index: usize,
    /// Width and height in pixels.
    size: (usize, usize),
}

impl ChannelImages<'_> {
    /// The function, and what was left out.
    fn fit(
        &self,
        options: &IlluminationOptions,
    ) -> Result<(Illumination, Vec<String>), IlluminationError> {
        let channel = || self.screen.channels()[self.channel_index].clone();
        let Some(Reference {
            site_index: first,
            size: (width, height),
        }) = self.reference()?
        else {
            return Err(IlluminationError::NoImages {
                plate: self.plate.clone(),
                channel: channel(),
            });
        };
        let sums = Mutex::new(BlockSums::new(width, height, options.downscale));
        let looked_at = self.sites.clone().into_par_iter().map(|site_index| {
            let error = match self.screen.read_plane(site_index, self.channel_index) {
                Ok(plane) if (plane.width, plane.height) == (width, height) => {
                    let of_image = BlockSums::of(&plane, options.downscale);
                    let mut sums = sums.lock().expect("no thread panics while it adds");
                    sums.add(&of_image);
                    return Ok(None);
                }
                Ok(plane) => IlluminationError::SizesDiffer {
                    image: Box::new(self.screen.sites()[site_index].key.clone()),
                    channel: channel(),
                    size: (plane.width, plane.height),
                    first: Box::new(self.screen.sites()[first].key.clone()),
                    first_size: (width, height),
                },
                Err(error) => IlluminationError::from(error),
            };
            match self.on_incomplete {
                OnIncomplete::Skip => Ok(Some(first_line(&error))),
                OnIncomplete::Fail | OnIncomplete::Fill => Err(error),
            }
        });
        let looked_at = looked_at.collect::<Result<Vec<Option<String>>, IlluminationError>>()?;
        let left_out: Vec<String> = looked_at.into_iter().flatten().collect();
        let sums = sums
            .into_inner()
            .expect("no thread panicked while it added");
        let mean = sums.mean(self.sites.len() - left_out.len());
        let smooth = options
            .smoothing
            .apply(&mean, sums.width, options.smoothing_filter_size_px);
        let values = upscaled(&smooth, sums.width, options.downscale, width, height);
        let values = rescaled(values).ok_or_else(|| IlluminationError::AllDark {
            plate: self.plate.clone(),
            channel: channel(),
        })?;
        let function = Illumination {
            width,
            height,
            values,
        };
        Ok((function, left_out))
    }

    /// `None` where no image can be read. Where nothing is left out, the
    /// first image decides; else most of the first few.
    fn reference(&self) -> Result<Option<Reference>, IlluminationError> {
        let num_probed = match self.on_incomplete {
            OnIncomplete::Skip => NUM_PROBED,
            OnIncomplete::Fail | OnIncomplete::Fill => 1,
        };
        let mut probed = Vec::new();
        let present = self
            .sites
            .clone()
            .filter(|&site_index| self.screen.is_present(site_index, self.channel_index));
        for site_index in present {
            match self.screen.read_plane(site_index, self.channel_index) {
                Ok(plane) => probed.push(Reference {
                    site_index,
                    size: (plane.width, plane.height),
                }),
                Err(_) if self.on_incomplete == OnIncomplete::Skip => {}
                Err(error) => return Err(error.into()),
            }
            if probed.len() == num_probed {
                break;
            }
        }
        let usual = most_frequent(probed.iter().map(|image| image.size));
        Ok(probed.into_iter().find(|image| Some(image.size) == usual))
    }
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
