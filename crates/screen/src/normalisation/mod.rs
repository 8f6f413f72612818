//! Images brought to a common scale, by their own pixels or by statistics of
//! an experiment, a plate or a whole screen.

mod choice;
mod error;
mod scheme;
mod statistics;
mod table;

use std::collections::HashMap;
use std::sync::Arc;

pub use choice::{NormalisationChoice, UnknownNormalisation};
pub use error::NormalisationError;
pub use scheme::{
    ControlImages, NormalisationKey, NormalisationScheme, NormalisationScope,
    UnknownNormalisationScheme,
};
pub use statistics::{
    CachedStatistics, ChannelStatistics, NormalisationOptions, NormalisationStatistics,
};

use crate::pixel_history::PixelHistory;
use crate::screen::Screen;
use crate::site_image::SiteImage;
use crate::standardise::{SelfStandardisation, Standardiser};
use crate::tiling::Tile;

/// How the pixels of an image become a network's input: `(x - mean) / sd`,
/// channel by channel.
///
/// ```
/// use morphospace_screen::{Normalisation, SelfStandardisation};
///
/// let normalisation = Normalisation::default();
/// let expected = Normalisation::SelfStandardise(SelfStandardisation::InstanceNorm);
/// assert_eq!(normalisation, expected);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Normalisation {
    /// Mean and standard deviation are the crop's own.
    SelfStandardise(SelfStandardisation),
    /// Mean and standard deviation are those of the site's experiment or
    /// plate, or of all images. A channel whose pixels are all equal
    /// (`sd == 0`) is divided by 1, as in WILDS (`rxrx1_dataset.py`): there
    /// it becomes 0. A channel that was missing and filled becomes 0.
    Statistics(Arc<NormalisationStatistics>),
}

impl Default for Normalisation {
    fn default() -> Self {
        Self::SelfStandardise(SelfStandardisation::default())
    }
}

impl Normalisation {
    /// What a network is trained with by it: the self-standardisation, or the
    /// scheme of the statistics, with the controls that they are of if those
    /// are not negative and positive ones: `controls_per_plate (negative)`.
    pub fn name(&self) -> String {
        match self {
            Self::SelfStandardise(method) => method.as_str().to_owned(),
            Self::Statistics(statistics) => {
                let NormalisationOptions {
                    scheme, controls, ..
                } = statistics.options;
                match scheme.is_of_controls() && controls != ControlImages::default() {
                    true => format!("{scheme} ({})", controls.as_str()),
                    false => scheme.to_string(),
                }
            }
        }
    }

    /// SHA-256 of what the statistics were computed from, if there are any.
    pub fn content_hash(&self) -> Option<&str> {
        match self {
            Self::SelfStandardise(_) => None,
            Self::Statistics(statistics) => Some(&statistics.content_hash),
        }
    }

    /// Looks up what every site of a screen needs, before an image is read.
    /// Channels are matched by name.
    ///
    /// # Errors
    /// [`NormalisationError::NoStatistics`] names the first site whose
    /// experiment or plate the table lacks, [`NormalisationError::NoChannel`]
    /// the channel; [`NormalisationError::OtherPixels`]: the table is of
    /// images with or without illumination correction, of other z-planes, or
    /// has another channel under a name.
    pub fn check(&self, screen: &dyn Screen) -> Result<CheckedNormalisation, NormalisationError> {
        match self {
            Self::SelfStandardise(method) => Ok(CheckedNormalisation::SelfStandardise(*method)),
            Self::Statistics(statistics) => {
                let standardisers = SiteStandardisers::of(statistics, screen)?;
                Ok(CheckedNormalisation::Statistics(standardisers))
            }
        }
    }
}

/// A [`Normalisation`] that fits every site of a screen.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckedNormalisation {
    /// See [`Normalisation::SelfStandardise`].
    SelfStandardise(SelfStandardisation),
    /// See [`Normalisation::Statistics`].
    Statistics(SiteStandardisers),
}

/// Centre and scale of each channel for every site of a screen.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteStandardisers {
    /// For each experiment, plate or all images, those of each channel.
    groups: Vec<Vec<Standardiser>>,
    /// The group of each site.
    group_of_site: Vec<usize>,
}

impl SiteStandardisers {
    fn of(
        statistics: &NormalisationStatistics,
        screen: &dyn Screen,
    ) -> Result<Self, NormalisationError> {
        let mut channels = Vec::new();
        for channel in screen.channels() {
            let position = |name: &String| *name == channel.name;
            let index = statistics.channels.iter().position(position);
            channels.push(index.ok_or_else(|| NormalisationError::NoChannel {
                channel: channel.name.clone(),
                known: statistics.channels.clone(),
            })?);
        }
        let names = screen.channels().iter().map(|channel| &*channel.name);
        let history = PixelHistory::of(screen);
        if let Some(difference) = statistics.pixel_history.difference(&history, names) {
            return Err(NormalisationError::OtherPixels { difference });
        }
        let mut group_of_key = HashMap::new();
        let mut groups = Vec::new();
        for (key, found) in &statistics.keys {
            group_of_key.insert(key, groups.len());
            let standardisers = channels.iter().map(|&index| standardiser(&found[index]));
            groups.push(standardisers.collect());
        }
        let mut group_of_site = Vec::with_capacity(screen.sites().len());
        for site in screen.sites() {
            let key = statistics.scope.key(&site.key.plate);
            let group = group_of_key.get(&key);
            group_of_site.push(*group.ok_or_else(|| NormalisationError::NoStatistics {
                site: Box::new(site.key.clone()),
                key: key.to_string(),
                known: statistics.keys.keys().map(ToString::to_string).collect(),
            })?);
        }
        Ok(Self {
            groups,
            group_of_site,
        })
    }

    /// Centre and scale of each channel of a site.
    pub fn of_site(&self, site_index: usize) -> &[Standardiser] {
        &self.groups[self.group_of_site[site_index]]
    }
}

fn standardiser(found: &ChannelStatistics) -> Standardiser {
    let sd = if found.sd == 0.0 { 1.0 } else { found.sd };
    Standardiser {
        mean: found.mean,
        scale: 1.0 / sd,
    }
}

impl CheckedNormalisation {
    /// A tile of every channel of a site, normalised.
    ///
    /// # Shapes
    /// Result: row-major `[num_channels, crop_px, crop_px]`.
    ///
    /// # Panics
    /// `image` is of another screen than the normalisation was checked with.
    pub fn crop(&self, image: &SiteImage, tile: Tile) -> Vec<f32> {
        let mut output = vec![0.0; image.planes().len() * tile.crop_px * tile.crop_px];
        self.crop_into(image, tile, &mut output);
        output
    }

    /// Normalises grey levels on the 0..255 scale in place: those of an image
    /// that was cut from a site and changed on the way.
    ///
    /// # Shapes
    /// `levels`: `[num_channels, any number of pixels]`
    ///
    /// # Panics
    /// There are not as many values for each channel, or the site is of
    /// another screen.
    pub fn levels_in_place(&self, site_index: usize, num_channels: usize, levels: &mut [f32]) {
        assert!(levels.len().is_multiple_of(num_channels), "whole channels");
        let num_pixels = levels.len() / num_channels;
        for (channel, levels) in levels.chunks_exact_mut(num_pixels.max(1)).enumerate() {
            let standardiser = match self {
                Self::SelfStandardise(method) => method.standardiser_of_levels(levels),
                Self::Statistics(standardisers) => standardisers.of_site(site_index)[channel],
            };
            standardiser.apply_levels(levels);
        }
    }

    /// [`CheckedNormalisation::crop`] into memory at hand, such as one item
    /// of a batch.
    ///
    /// # Panics
    /// `output` does not hold `num_channels * crop_px * crop_px` values, or
    /// `image` is of another screen.
    pub fn crop_into(&self, image: &SiteImage, tile: Tile, output: &mut [f32]) {
        match self {
            Self::SelfStandardise(method) => image.crop_into(tile, *method, output),
            Self::Statistics(standardisers) => {
                let of_site = standardisers.of_site(image.site_index());
                image.crop_with_into(tile, of_site, output);
            }
        }
    }
}
