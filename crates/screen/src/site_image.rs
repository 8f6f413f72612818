use std::fmt;
use std::str::FromStr;

use morphospace_core::SiteKey;
use serde::{Deserialize, Serialize};

use crate::ScreenError;
use crate::error::{ImageError, ImageProblem};
use crate::screen::{Pixels, Plane, Screen};
use crate::standardise::{PixelStats, SelfStandardisation, Standardiser};
use crate::tiling::{Tile, reflected};

/// What to do with a site that lacks an image of one of its channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnIncomplete {
    /// Stop at the first such site.
    #[default]
    Fail,
    /// Leave the site out and report it.
    Skip,
    /// Take a *missing* channel as zeros, which standardise to zeros. A file
    /// that is there but damaged, or of another size, is not covered up: its
    /// site is left out and reported, and so is a site without any image.
    Fill,
}

impl OnIncomplete {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Fill => "fill",
        }
    }
}

impl fmt::Display for OnIncomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no policy for incomplete sites.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a policy for incomplete sites (fail, skip, fill)")]
pub struct UnknownOnIncomplete {
    /// What was read.
    pub text: String,
}

impl FromStr for OnIncomplete {
    type Err = UnknownOnIncomplete;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Fail, Self::Skip, Self::Fill]
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| UnknownOnIncomplete {
                text: text.to_owned(),
            })
    }
}

/// What [`read_site`] found.
#[derive(Debug)]
pub enum ReadSite {
    /// The images.
    Image(SiteImage),
    /// The site was left out, and why.
    Skipped(SkippedSite),
}

/// A site that was left out, with every image that is to blame.
#[derive(Debug)]
pub struct SkippedSite {
    /// The site.
    pub site: SiteKey,
    /// Its position in the screen.
    pub site_index: usize,
    /// One error for each image that is missing or unusable.
    pub problems: Vec<ScreenError>,
}

impl SkippedSite {
    /// Whether images are merely missing, in contrast to unreadable.
    pub fn is_incomplete_only(&self) -> bool {
        self.problems.iter().all(is_missing)
    }

    /// The images to blame.
    pub fn images(&self) -> impl Iterator<Item = &ImageError> {
        self.problems.iter().filter_map(|problem| match problem {
            ScreenError::Image(image) => Some(&**image),
            _ => None,
        })
    }
}

impl fmt::Display for SkippedSite {
    /// One line: the site, then each image and what is wrong with it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} left out: ", self.site)?;
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            match problem {
                ScreenError::Image(image) => {
                    write!(f, "channel {}: {}", image.channel, image.problem)?;
                }
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

/// The images of all channels of one site.
///
/// # Shapes
/// One plane per channel of the screen, in its order, all `[height, width]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteImage {
    site_index: usize,
    width: usize,
    height: usize,
    planes: Vec<Plane>,
    is_filled: Vec<bool>,
}

/// Reads all channels of a site.
///
/// # Errors
/// Under [`OnIncomplete::Fail`], the first image that is missing, unreadable
/// or of another size than the first channel; [`ScreenError::Image`] names
/// plate, well, site, channel and file. The other policies never fail: they
/// report the site.
///
/// # Panics
/// `site_index` is out of range.
pub fn read_site(
    screen: &dyn Screen,
    site_index: usize,
    on_incomplete: OnIncomplete,
) -> Result<ReadSite, ScreenError> {
    read_channels(screen, site_index, on_incomplete, |channel_index| {
        let plane = screen.read_plane(site_index, channel_index)?;
        let size = (plane.width, plane.height);
        Ok((plane, size))
    })
}

/// Reads a square of all channels of a site; the [`SiteImage`] is the square
/// alone. Screens that store their images in pieces, as packed ones do,
/// decode only what the square touches.
///
/// `tile` is given width and height of the site's images in pixels.
///
/// # Errors
/// As [`read_site`]; and [`ScreenError::Image`] where the square does not lie
/// within the image.
///
/// # Panics
/// `site_index` is out of range.
pub fn read_site_crop(
    screen: &dyn Screen,
    site_index: usize,
    on_incomplete: OnIncomplete,
    tile: impl Fn(usize, usize) -> Tile,
) -> Result<ReadSite, ScreenError> {
    let known_size = screen.image_size(site_index)?;
    read_channels(screen, site_index, on_incomplete, |channel_index| {
        let tile_in = |(width, height): (usize, usize)| {
            let tile = tile(width, height);
            let is_inside = tile.left.saturating_add(tile.crop_px) <= width
                && tile.top.saturating_add(tile.crop_px) <= height;
            let problem = ImageProblem::TooSmall {
                size: (width, height),
                crop_px: tile.crop_px,
            };
            is_inside
                .then_some(tile)
                .ok_or_else(|| screen.image_error(site_index, channel_index, problem))
        };
        match known_size {
            Some(size) => {
                let plane = screen.read_region(site_index, channel_index, tile_in(size)?)?;
                Ok((plane, size))
            }
            None => {
                let plane = screen.read_plane(site_index, channel_index)?;
                let size = (plane.width, plane.height);
                Ok((plane.region(tile_in(size)?), size))
            }
        }
    })
}

/// `read` gives a channel's pixels and the size of the image they are from.
fn read_channels(
    screen: &dyn Screen,
    site_index: usize,
    on_incomplete: OnIncomplete,
    read: impl Fn(usize) -> Result<(Plane, (usize, usize)), ScreenError>,
) -> Result<ReadSite, ScreenError> {
    let num_channels = screen.channels().len();
    let mut planes: Vec<Option<Plane>> = Vec::with_capacity(num_channels);
    let mut problems = Vec::new();
    let mut first: Option<(usize, (usize, usize))> = None;
    for channel_index in 0..num_channels {
        let problem = match read(channel_index) {
            Ok((plane, size)) => {
                let (other_index, other_size) = *first.get_or_insert((channel_index, size));
                if size == other_size {
                    planes.push(Some(plane));
                    continue;
                }
                screen.image_error(
                    site_index,
                    channel_index,
                    ImageProblem::WrongSize {
                        size,
                        other_channel: screen.channels()[other_index].clone(),
                        other_size,
                    },
                )
            }
            Err(error) => error,
        };
        if on_incomplete == OnIncomplete::Fail {
            return Err(problem);
        }
        planes.push(None);
        problems.push(problem);
    }
    let may_fill = on_incomplete == OnIncomplete::Fill && problems.iter().all(is_missing);
    let is_filled: Vec<bool> = planes.iter().map(Option::is_none).collect();
    let size = planes.iter().flatten().next().map(|p| (p.width, p.height));
    match size {
        Some((width, height)) if problems.is_empty() || may_fill => {
            let planes = planes
                .into_iter()
                .map(|plane| plane.unwrap_or_else(|| Plane::zeros(width, height)))
                .collect();
            Ok(ReadSite::Image(SiteImage {
                site_index,
                width,
                height,
                planes,
                is_filled,
            }))
        }
        _ => {
            let site = screen.sites()[site_index].key.clone();
            Ok(ReadSite::Skipped(SkippedSite {
                site,
                site_index,
                problems,
            }))
        }
    }
}

fn is_missing(error: &ScreenError) -> bool {
    matches!(error, ScreenError::Image(image) if image.problem.is_missing())
}

impl SiteImage {
    /// The site's position in its screen.
    pub fn site_index(&self) -> usize {
        self.site_index
    }

    /// Pixels per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// One plane per channel.
    pub fn planes(&self) -> &[Plane] {
        &self.planes
    }

    /// For each channel, whether its image was missing and stands as zeros.
    pub fn is_filled(&self) -> &[bool] {
        &self.is_filled
    }

    /// Whether any channel has 16-bit pixels, which are divided by 257 when
    /// standardised: worth a line in the provenance of what follows.
    pub fn is_rescaled_to_8_bit_range(&self) -> bool {
        self.planes.iter().any(Plane::is_rescaled_to_8_bit_range)
    }

    /// A tile of every channel, standardised by its own pixels (crop first,
    /// then standardise, as masked autoencoders are trained).
    ///
    /// # Shapes
    /// Result: row-major `[num_channels, crop_px, crop_px]`.
    pub fn crop(&self, tile: Tile, method: SelfStandardisation) -> Vec<f32> {
        let mut output = vec![0.0; self.planes.len() * tile.crop_px * tile.crop_px];
        self.crop_into(tile, method, &mut output);
        output
    }

    /// [`SiteImage::crop`] into memory at hand, such as one item of a batch.
    ///
    /// # Panics
    /// `output` does not hold `num_channels * crop_px * crop_px` values.
    pub fn crop_into(&self, tile: Tile, method: SelfStandardisation, output: &mut [f32]) {
        self.crop_scaled_into(tile, |_, stats| method.standardiser(&stats()), output);
    }

    /// A tile of every channel, each brought to scale by a given centre and
    /// scale. A channel that was missing becomes 0, as it does when it is
    /// standardised by its own pixels.
    ///
    /// # Panics
    /// There is not one standardiser per channel, or `output` does not hold
    /// `num_channels * crop_px * crop_px` values.
    pub fn crop_with_into(&self, tile: Tile, standardisers: &[Standardiser], output: &mut [f32]) {
        assert_eq!(
            standardisers.len(),
            self.planes.len(),
            "one standardiser per channel"
        );
        let zero = Standardiser {
            mean: 0.0,
            scale: 0.0,
        };
        let of_channel = |channel: usize| match self.is_filled[channel] {
            true => zero,
            false => standardisers[channel],
        };
        self.crop_scaled_into(tile, |channel, _| of_channel(channel), output);
    }

    /// `standardiser` is given the channel and the statistics of its tile,
    /// which are computed if asked for.
    fn crop_scaled_into(
        &self,
        tile: Tile,
        standardiser: impl Fn(usize, &dyn Fn() -> PixelStats) -> Standardiser,
        output: &mut [f32],
    ) {
        let tile_len = tile.crop_px * tile.crop_px;
        assert_eq!(
            output.len(),
            self.planes.len() * tile_len,
            "one value per channel and pixel"
        );
        let mut bytes = Vec::new();
        let mut words = Vec::new();
        let outputs = output.chunks_exact_mut(tile_len);
        for (channel, (plane, output)) in self.planes.iter().zip(outputs).enumerate() {
            match &plane.pixels {
                Pixels::U8(pixels) => {
                    gather(pixels, self.width, self.height, tile, &mut bytes);
                    standardiser(channel, &|| PixelStats::of_u8(&bytes)).apply_u8(&bytes, output);
                }
                Pixels::U16(pixels) => {
                    gather(pixels, self.width, self.height, tile, &mut words);
                    standardiser(channel, &|| PixelStats::of_u16(&words)).apply_u16(&words, output);
                }
            }
        }
    }
}

/// Copies a tile into one piece of memory, reflecting what lies beyond the
/// image.
fn gather<T: Copy>(pixels: &[T], width: usize, height: usize, tile: Tile, tile_out: &mut Vec<T>) {
    tile_out.clear();
    let columns = tile.columns();
    for y in tile.rows() {
        let row = &pixels[reflected(y, height) * width..][..width];
        if columns.end <= width {
            tile_out.extend_from_slice(&row[columns.clone()]);
        } else {
            tile_out.extend(columns.clone().map(|x| row[reflected(x, width)]));
        }
    }
}
