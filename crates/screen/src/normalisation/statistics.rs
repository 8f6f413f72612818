use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use morphospace_core::Provenance;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::NormalisationError;
use super::scheme::{ControlImages, NormalisationKey, NormalisationScheme, NormalisationScope};
use crate::error::ImageProblem;
use crate::pixel_history::PixelHistory;
use crate::screen::Screen;
use crate::site_image::{OnIncomplete, ReadSite, read_site};
use crate::standardise::PixelStats;

/// How statistics are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NormalisationOptions {
    /// Over which pixels.
    pub scheme: NormalisationScheme,
    /// Which images are control images, for schemes of controls.
    pub controls: ControlImages,
    /// Whether sites that lack an image stop the computation or are left
    /// out. [`OnIncomplete::Fill`] is refused: zeros are no pixels.
    pub on_incomplete: OnIncomplete,
}

impl NormalisationOptions {
    /// A scheme; controls are negative and positive, incomplete sites stop.
    pub fn new(scheme: NormalisationScheme) -> Self {
        Self {
            scheme,
            controls: ControlImages::default(),
            on_incomplete: OnIncomplete::default(),
        }
    }
}

/// Mean and spread of the pixels of one channel, on the 0..255 scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelStatistics {
    /// Mean, 0..=255.
    pub mean: f64,
    /// Standard deviation; 0 where all pixels are equal.
    pub sd: f64,
    /// Number of pixels.
    pub num_pixels: u64,
}

/// Mean and standard deviation of every channel for each experiment, each
/// plate or all images: `normalisation.parquet`.
///
/// Values are on the raw 0..255 scale of 8-bit images; 16-bit pixels count
/// as `x / 257`, as in [`SelfStandardisation`](crate::SelfStandardisation),
/// and `is_rescaled_to_8_bit_range` says whether there were any. Pixels are
/// summed as whole numbers, so the result is the same to the last bit for
/// any order of sites and any number of threads.
///
/// ```no_run
/// use morphospace_screen::{
///     NormalisationOptions, NormalisationScheme, NormalisationStatistics, open_screen,
/// };
///
/// let screen = open_screen("rxrx1".as_ref(), None)?;
/// let sites: Vec<usize> = (0..screen.sites().len()).collect();
/// let options = NormalisationOptions::new(NormalisationScheme::AllPerPlate);
/// let statistics = NormalisationStatistics::of(&*screen, &sites, &options, &|_| ())?;
/// statistics.save("normalisation.parquet".as_ref())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NormalisationStatistics {
    /// How they were computed.
    pub options: NormalisationOptions,
    /// To which images one entry of `keys` applies.
    pub scope: NormalisationScope,
    /// Names of the channels.
    pub channels: Vec<String>,
    /// For each experiment, each plate or all images, the statistics of each
    /// channel.
    pub keys: BTreeMap<NormalisationKey, Vec<ChannelStatistics>>,
    /// Sites that were left out, one line each: what they lack.
    pub skipped: Vec<String>,
    /// Whether 16-bit pixels were divided by 257.
    pub is_rescaled_to_8_bit_range: bool,
    /// SHA-256 of everything the statistics were computed from, with
    /// [`Screen::image_version`] for the pixels: see
    /// [`NormalisationStatistics::content_hash_of`].
    pub content_hash: String,
    /// What had been done to the pixels.
    pub(super) pixel_history: PixelHistory,
    /// Where the table comes from.
    pub provenance: Provenance,
}

/// A table that was computed, or found as a file.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedStatistics {
    /// The table.
    pub statistics: NormalisationStatistics,
    /// Whether the file at hand was used.
    pub is_reused: bool,
}

impl NormalisationStatistics {
    /// Computes the statistics of some sites of a screen, given by their
    /// positions. Sites are decoded in parallel, and one at a time by each
    /// thread; `progress` is told how many are done.
    ///
    /// # Errors
    /// Before an image is decoded: a scheme without statistics, an experiment
    /// or plate without control images, and missing images unless incomplete
    /// sites are left out. On the way: the first image that cannot be used.
    ///
    /// # Panics
    /// A position is out of range.
    pub fn of(
        screen: &dyn Screen,
        sites: &[usize],
        options: &NormalisationOptions,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Self, NormalisationError> {
        let scope = checked_scope(sites, options)?;
        let groups = Groups::of(screen, sites, options, scope)?;
        if options.on_incomplete == OnIncomplete::Fail {
            refuse_missing(screen, &groups.sites)?;
        }
        let num_channels = screen.channels().len();
        let sums: Vec<Mutex<Vec<PixelStats>>> = groups
            .keys
            .iter()
            .map(|_| Mutex::new(vec![PixelStats::default(); num_channels]))
            .collect();
        let num_done = AtomicUsize::new(0);
        let looked_at = groups
            .sites
            .par_iter()
            .map(|&(site_index, group)| {
                let found = read_site(screen, site_index, options.on_incomplete)?;
                progress(num_done.fetch_add(1, Ordering::Relaxed) + 1);
                let image = match found {
                    ReadSite::Image(image) => image,
                    ReadSite::Skipped(site) => return Ok((Some(site.to_string()), false)),
                };
                let of_site: Vec<PixelStats> = image.planes().iter().map(PixelStats::of).collect();
                let mut sums = sums[group].lock().expect("no thread panics while it adds");
                for (sum, found) in sums.iter_mut().zip(of_site) {
                    *sum = sum.merge(found);
                }
                Ok((None, image.is_rescaled_to_8_bit_range()))
            })
            .collect::<Result<Vec<(Option<String>, bool)>, NormalisationError>>()?;
        let sums: Vec<Vec<PixelStats>> = sums
            .into_iter()
            .map(|sums| {
                sums.into_inner()
                    .expect("no thread panicked while it added")
            })
            .collect();
        groups.refuse_empty(&sums)?;
        let content_hash = Self::content_hash_of(screen, sites, options);
        let provenance = screen
            .provenance("normalise")
            .with_setting("scheme", options.scheme)
            .with_setting("controls", options.controls.as_str())
            .with_setting("sites", groups.sites.len());
        Ok(Self {
            options: *options,
            scope,
            channels: screen.channels().iter().map(|c| c.name.clone()).collect(),
            keys: groups.statistics(&sums, options.scheme),
            is_rescaled_to_8_bit_range: looked_at.iter().any(|(_, is_rescaled)| *is_rescaled),
            skipped: looked_at.into_iter().filter_map(|(site, _)| site).collect(),
            content_hash,
            pixel_history: PixelHistory::of(screen),
            provenance,
        })
    }

    /// The statistics in a file if they are of the same sites, scheme and
    /// options and of files that have not changed since
    /// ([`Screen::image_version`]); else computes them and writes the file.
    ///
    /// # Errors
    /// As [`NormalisationStatistics::of`]; a file that is there but no
    /// normalisation table is refused, not overwritten.
    pub fn cached(
        path: &Path,
        screen: &dyn Screen,
        sites: &[usize],
        options: &NormalisationOptions,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<CachedStatistics, NormalisationError> {
        checked_scope(sites, options)?;
        if path.exists() {
            let found = Self::load(path)?;
            if found.content_hash == Self::content_hash_of(screen, sites, options) {
                return Ok(CachedStatistics {
                    statistics: found,
                    is_reused: true,
                });
            }
        }
        let statistics = Self::of(screen, sites, options, progress)?;
        statistics.save(path)?;
        Ok(CachedStatistics {
            statistics,
            is_reused: false,
        })
    }

    /// SHA-256, in hexadecimal, of the options, the channels, and of every
    /// site in sorted order: its key, control role, and the files and
    /// versions of its images.
    pub fn content_hash_of(
        screen: &dyn Screen,
        sites: &[usize],
        options: &NormalisationOptions,
    ) -> String {
        let mut hasher = Sha256::new();
        // Lengths keep neighbouring texts apart.
        let mut add = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        add("morphospace normalisation 3");
        add(options.scheme.as_str());
        add(options.controls.as_str());
        add(options.on_incomplete.as_str());
        for channel in screen.channels() {
            add(&channel.name);
        }
        let sorted: BTreeSet<usize> = sites.iter().copied().collect();
        let sorted: Vec<usize> = sorted.into_iter().collect();
        let num_channels = screen.channels().len();
        let versions: Vec<Option<String>> = sorted
            .par_iter()
            .flat_map_iter(|&site_index| {
                (0..num_channels).map(move |channel| screen.image_version(site_index, channel))
            })
            .collect();
        for (site_index, versions) in sorted.into_iter().zip(versions.chunks(num_channels)) {
            let site = &screen.sites()[site_index];
            add(site.key.plate.source.as_deref().unwrap_or_default());
            add(site.key.plate.experiment.as_str());
            add(&site.key.plate.plate);
            add(&crate::site_list::site_key_text(&site.key));
            add(site.well.control_role.as_str());
            for (channel_index, version) in versions.iter().enumerate() {
                let location = screen.plane_location(site_index, channel_index);
                add(location.as_deref().unwrap_or_default());
                add(version.as_deref().unwrap_or("missing"));
            }
        }
        let digest = hasher.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn checked_scope(
    sites: &[usize],
    options: &NormalisationOptions,
) -> Result<NormalisationScope, NormalisationError> {
    if options.on_incomplete == OnIncomplete::Fill {
        return Err(NormalisationError::WouldCountZeros);
    }
    let scope = options.scheme.scope();
    let scope = scope.ok_or(NormalisationError::NothingToCompute)?;
    if sites.is_empty() {
        return Err(NormalisationError::NoSites);
    }
    Ok(scope)
}

fn refuse_missing(screen: &dyn Screen, sites: &[(usize, usize)]) -> Result<(), NormalisationError> {
    let missing: Vec<(usize, usize)> = sites
        .par_iter()
        .flat_map_iter(|&(site_index, _)| {
            (0..screen.channels().len())
                .filter(move |&channel_index| !screen.is_present(site_index, channel_index))
                .map(move |channel_index| (site_index, channel_index))
        })
        .collect();
    let Some(&(site_index, channel_index)) = missing.first() else {
        return Ok(());
    };
    let error = screen.image_error(site_index, channel_index, ImageProblem::Missing);
    let text = error.to_string();
    Err(NormalisationError::Incomplete {
        num_missing: missing.len(),
        num_sites: sites.len(),
        first: text.lines().next().unwrap_or_default().to_owned(),
    })
}

/// Sites whose pixels are pooled.
struct Groups {
    keys: Vec<NormalisationKey>,
    /// Position of a site, and of its key.
    sites: Vec<(usize, usize)>,
}

impl Groups {
    fn of(
        screen: &dyn Screen,
        sites: &[usize],
        options: &NormalisationOptions,
        scope: NormalisationScope,
    ) -> Result<Self, NormalisationError> {
        // A mean over experiments pools their pixels first.
        let pooled = match options.scheme {
            NormalisationScheme::GlobalMeanOfStats => NormalisationScope::Experiment,
            _ => scope,
        };
        let mut indices: BTreeMap<NormalisationKey, usize> = BTreeMap::new();
        let unique: BTreeSet<usize> = sites.iter().copied().collect();
        for &site_index in &unique {
            indices.insert(pooled.key(&screen.sites()[site_index].key.plate), 0);
        }
        for (index, place) in indices.values_mut().enumerate() {
            *place = index;
        }
        let mut is_empty = vec![true; indices.len()];
        let mut chosen = Vec::new();
        for site_index in unique {
            let site = &screen.sites()[site_index];
            let group = indices[&pooled.key(&site.key.plate)];
            let role = site.well.control_role;
            if !options.scheme.is_of_controls() || options.controls.includes(role) {
                is_empty[group] = false;
                chosen.push((site_index, group));
            }
        }
        let keys: Vec<NormalisationKey> = indices.into_keys().collect();
        let without: Vec<String> = named(&keys, |group| is_empty[group]);
        if !without.is_empty() {
            return Err(NormalisationError::NoControls {
                what: match options.controls {
                    ControlImages::NegativeAndPositive => "control",
                    ControlImages::Negative => "negative control",
                },
                keys: without,
            });
        }
        Ok(Self {
            keys,
            sites: chosen,
        })
    }

    fn refuse_empty(&self, sums: &[Vec<PixelStats>]) -> Result<(), NormalisationError> {
        let has_no_pixel = |group: usize| sums[group].iter().any(|sum| sum.num_pixels() == 0);
        match named(&self.keys, has_no_pixel) {
            keys if keys.is_empty() => Ok(()),
            keys => Err(NormalisationError::NoImages { keys }),
        }
    }

    fn statistics(
        self,
        sums: &[Vec<PixelStats>],
        scheme: NormalisationScheme,
    ) -> BTreeMap<NormalisationKey, Vec<ChannelStatistics>> {
        let of_group = |sums: &Vec<PixelStats>| -> Vec<ChannelStatistics> {
            sums.iter()
                .map(|sum| ChannelStatistics {
                    mean: sum.mean(),
                    sd: sum.std(scheme.ddof()),
                    num_pixels: sum.num_pixels(),
                })
                .collect()
        };
        let found: Vec<Vec<ChannelStatistics>> = sums.iter().map(of_group).collect();
        if scheme == NormalisationScheme::GlobalMeanOfStats {
            return BTreeMap::from([(NormalisationKey::Global, mean_of_statistics(&found))]);
        }
        self.keys.into_iter().zip(found).collect()
    }
}

fn named(keys: &[NormalisationKey], is_named: impl Fn(usize) -> bool) -> Vec<String> {
    keys.iter()
        .enumerate()
        .filter(|(index, _)| is_named(*index))
        .map(|(_, key)| key.to_string())
        .collect()
}

/// Channel by channel, the mean over groups of means and of standard
/// deviations; each group counts once, however many pixels it has.
fn mean_of_statistics(groups: &[Vec<ChannelStatistics>]) -> Vec<ChannelStatistics> {
    let num_groups = groups.len() as f64;
    (0..groups[0].len())
        .map(|channel| {
            let sum = |value: fn(&ChannelStatistics) -> f64| {
                groups
                    .iter()
                    .map(|group| value(&group[channel]))
                    .sum::<f64>()
            };
            ChannelStatistics {
                mean: sum(|found| found.mean) / num_groups,
                sd: sum(|found| found.sd) / num_groups,
                num_pixels: groups.iter().map(|group| group[channel].num_pixels).sum(),
            }
        })
        .collect()
}
