//! Looking a screen over before time is spent on it.

mod assessment;
mod counts;
mod finding;
mod foreground;
mod image_quality;
mod image_table;
mod inspection;
mod outlier;
mod quality_flag;
mod quality_thresholds;
mod well_quality;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use morphospace_core::{Perturbation, Stain};
use rayon::prelude::*;

use assessment::{Assessment, Foreground};
pub use assessment::{PlateChannel, QualityReport};
pub use counts::{Counts, GroupCount};
pub use finding::Finding;
use foreground::{LevelHistogram, foreground_fractions};
pub use image_quality::{ImageMeasures, ImageQuality};
pub use image_table::write_image_quality;
pub use inspection::{InspectDepth, Inspection};
pub use outlier::Distribution;
pub use quality_flag::{QualityFlag, QualityFlags, SiteQuality};
pub use quality_thresholds::QualityThresholds;
pub use well_quality::{WellMeasures, WellQuality};
use well_quality::{well_measures, wells_of};

use crate::ScreenError;
use crate::error::ImageProblem;
use crate::screen::{Plane, Screen};

/// How closely images are looked at, and where lines are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InspectOptions {
    /// How closely.
    pub depth: InspectDepth,
    /// Used where images are measured.
    pub thresholds: QualityThresholds,
}

/// An inspection and what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// Counts and findings.
    pub inspection: Inspection,
    /// The flags of every site, for a [`Manifest`](crate::Manifest).
    pub sites: SiteQuality,
    /// Every image in the order of sites and channels, those that are missing
    /// included; none unless images were measured.
    pub images: Vec<ImageQuality>,
    /// Every well, in the order of sites.
    pub wells: Vec<WellQuality>,
}

/// Looks a screen over: counts, and every image that is missing or cannot be
/// used, by name. [`inspect_images`] with the usual thresholds, less what was
/// measured of each image.
///
/// ```no_run
/// use morphospace_screen::{InspectDepth, inspect, open_screen};
///
/// let screen = open_screen("rxrx1".as_ref(), None)?;
/// let inspection = inspect(&*screen, InspectDepth::Presence);
/// print!("{inspection}");
/// # Ok::<(), morphospace_screen::ScreenError>(())
/// ```
pub fn inspect(screen: &dyn Screen, depth: InspectDepth) -> Inspection {
    let options = InspectOptions {
        depth,
        thresholds: QualityThresholds::default(),
    };
    let inspected = inspect_images(screen, &options, &|_| ());
    inspected
        .expect("the usual thresholds are valid")
        .inspection
}

/// Looks a screen over and keeps what was found out about each site, image
/// and well. Sites are visited in parallel; the result does not depend on the
/// number of threads. Pixels of no more than one site per thread are held at
/// a time, and grey-level counts of one plate's DNA channel.
///
/// At [`InspectDepth::Quality`], images get the flags of [`QualityFlag`];
/// nothing is left out because of them.
///
/// # Errors
/// [`ScreenError::InvalidThreshold`]. Images that cannot be read are no
/// errors here but findings.
///
/// ```no_run
/// use morphospace_screen::{
///     InspectDepth, InspectOptions, QualityFlag, inspect_images, open_screen,
/// };
///
/// let screen = open_screen("rxrx1".as_ref(), None)?;
/// let options = InspectOptions { depth: InspectDepth::Quality, ..InspectOptions::default() };
/// let inspected = inspect_images(&*screen, &options, &|_| ())?;
/// for (site, flags) in screen.sites().iter().zip(&inspected.sites.flags) {
///     if flags.contains(QualityFlag::OutOfFocus) {
///         println!("{}", site.key);
///     }
/// }
/// # Ok::<(), morphospace_screen::ScreenError>(())
/// ```
pub fn inspect_images(
    screen: &dyn Screen,
    options: &InspectOptions,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Inspected, ScreenError> {
    options.thresholds.check()?;
    let plates = plates_of(screen);
    let look = Look {
        screen,
        depth: options.depth,
        dna_index: dna_channel(screen),
        num_done: AtomicUsize::new(0),
        progress,
    };
    let looked_at: Vec<PlateFindings> = plates
        .par_iter()
        .map(|plate| look.at_plate(plate.clone()))
        .collect();

    let sizes = looked_at.iter().flat_map(|plate| &plate.sites);
    let usual_size = most_frequent(sizes.flat_map(|site| site.sizes.iter().copied().flatten()));
    let mut inspection = count_wells(screen, options.depth);
    let mut site_flags = Vec::with_capacity(screen.sites().len());
    let mut num_present = Vec::with_capacity(screen.sites().len());
    let mut images = Vec::new();
    let mut foreground = Vec::new();
    for plate in looked_at {
        foreground.extend(plate.foreground);
        for mut found in plate.sites {
            found.compare_sizes(screen, site_flags.len(), usual_size);
            num_present.push(found.is_present.iter().filter(|present| **present).count());
            site_flags.push(found.flags());
            images.extend(inspection.take(found));
        }
    }

    let mut of_wells = Vec::new();
    let mut usual_bit_depths = Vec::new();
    let mut looked_for = looked_for(options.depth);
    if options.depth == InspectDepth::Quality {
        let cells = look.dna_index.map(|index| (index, &foreground[..]));
        let assessment = Assessment::new(screen, &options.thresholds, &mut images);
        let (report, found) = assessment.report(&plates, usual_size, cells);
        of_wells = found;
        looked_for = looked_for.union(report.looked_for.iter().copied().collect());
        usual_bit_depths.clone_from(&report.usual_bit_depths);
        inspection.quality = Some(report);
        for image in &images {
            let flags = &mut site_flags[image.site_index];
            *flags = flags.union(image.flags);
        }
    }
    inspection.counts = Counts::of(screen, &site_flags);
    let mut wells: Vec<WellQuality> = wells_of(screen, 0..screen.sites().len())
        .into_iter()
        .map(|sites| WellQuality::unmeasured(screen, sites, &num_present, &site_flags))
        .collect();
    if options.depth == InspectDepth::Quality {
        add_measures(screen, &mut wells, &images, &usual_bit_depths, of_wells);
    }
    Ok(Inspected {
        inspection,
        sites: SiteQuality {
            looked_for,
            flags: site_flags,
        },
        images,
        wells,
    })
}

/// Adds what was measured to wells in the order of sites.
fn add_measures(
    screen: &dyn Screen,
    wells: &mut [WellQuality],
    images: &[ImageQuality],
    usual_bit_depths: &[Option<u8>],
    foreground: Vec<Foreground>,
) {
    let sites_of_wells = wells_of(screen, 0..screen.sites().len());
    for (well, sites) in wells.iter_mut().zip(sites_of_wells) {
        well.channels = well_measures(images, usual_bit_depths, sites);
    }
    for (well, found) in wells.iter_mut().zip(foreground) {
        well.foreground_fraction = found.fraction;
        well.foreground_ratio = found.ratio;
    }
}

/// Sites are sorted, so those of a plate follow each other.
fn plates_of(screen: &dyn Screen) -> Vec<Range<usize>> {
    let mut start = 0;
    let plates = screen.sites().chunk_by(|a, b| a.key.plate == b.key.plate);
    plates
        .map(|plate| {
            let range = start..start + plate.len();
            start = range.end;
            range
        })
        .collect()
}

fn dna_channel(screen: &dyn Screen) -> Option<usize> {
    let shows_dna = |channel: &morphospace_core::Channel| channel.stain == Stain::Dna;
    screen.channels().iter().position(shows_dna)
}

/// What is known of every site, before images are compared.
fn looked_for(depth: InspectDepth) -> QualityFlags {
    let flags: &[QualityFlag] = match depth {
        InspectDepth::Presence => &[QualityFlag::Missing],
        InspectDepth::Decode | InspectDepth::Quality => &[
            QualityFlag::Missing,
            QualityFlag::Unreadable,
            QualityFlag::OddSize,
        ],
    };
    flags.iter().copied().collect()
}

/// The counts of an inspection; what its images are like is still open.
fn count_wells(screen: &dyn Screen, depth: InspectDepth) -> Inspection {
    let mut inspection = Inspection::empty(screen, depth);
    let mut experiments: BTreeMap<_, (String, usize)> = BTreeMap::new();
    let mut plates = BTreeMap::new();
    let mut perturbations = BTreeSet::new();
    let mut targets = BTreeSet::new();
    for sites in wells_of(screen, 0..screen.sites().len()) {
        let site = &screen.sites()[sites.start];
        let well = &site.well;
        let is_negative = usize::from(well.control_role.is_negative());
        let plate = &site.key.plate;
        let experiment = experiments
            .entry((&plate.source, &plate.experiment))
            .or_insert_with(|| (plate.experiment_name(), 0));
        experiment.1 += is_negative;
        *plates.entry(plate).or_insert(0) += is_negative;
        inspection.num_wells += 1;
        *inspection
            .control_roles
            .entry(well.control_role)
            .or_default() += 1;
        inspection.num_unlabelled_wells += usize::from(well.label().is_none());
        if let Some(cell_type) = &well.cell_type {
            *inspection.cell_types.entry(cell_type.clone()).or_default() += 1;
        }
        if let Some(background) = &well.background {
            *inspection
                .backgrounds
                .entry(background.clone())
                .or_default() += 1;
        }
        perturbations.extend(well.perturbations.iter().map(Perturbation::label));
        targets.extend(well.perturbations.iter().map(|p| p.target().to_owned()));
    }
    inspection.num_experiments = experiments.len();
    inspection.num_plates = plates.len();
    inspection.num_perturbations = perturbations.len();
    inspection.num_targets = targets.len();
    inspection.min_negative_controls_per_plate = plates.values().copied().min().unwrap_or(0);
    inspection.experiments_without_negative_controls = experiments
        .into_values()
        .filter(|(_, num_negative)| *num_negative == 0)
        .map(|(experiment, _)| experiment)
        .collect();
    inspection
}

/// What tells of image files that no row names.
fn note_of_unlisted(unlisted: &[String]) -> Option<String> {
    let first = unlisted.first()?;
    let rest = match unlisted.len() {
        1 => "",
        _ => "; all of them are in the JSON",
    };
    Some(format!(
        "{} image files or folders belong to no site of the screen's table (first: '{first}'{rest})",
        unlisted.len()
    ))
}

impl Inspection {
    fn empty(screen: &dyn Screen, depth: InspectDepth) -> Self {
        let mut notes = screen.notes().to_vec();
        let unlisted = screen.unlisted_images();
        notes.extend(note_of_unlisted(&unlisted));
        Self {
            screen: screen.name().to_owned(),
            depth,
            num_experiments: 0,
            num_plates: 0,
            num_wells: 0,
            num_sites: screen.sites().len(),
            channels: screen.channels().to_vec(),
            notes,
            unlisted,
            num_present: vec![0; screen.channels().len()],
            num_perturbations: 0,
            num_targets: 0,
            control_roles: BTreeMap::new(),
            num_unlabelled_wells: 0,
            cell_types: BTreeMap::new(),
            backgrounds: BTreeMap::new(),
            image_forms: BTreeMap::new(),
            num_incomplete_sites: 0,
            missing: Vec::new(),
            unreadable: Vec::new(),
            mixed_sizes: Vec::new(),
            experiments_without_negative_controls: Vec::new(),
            min_negative_controls_per_plate: 0,
            counts: Counts::default(),
            quality: None,
        }
    }

    /// Adds what was found at a site and hands its images on.
    fn take(&mut self, found: SiteFindings) -> Vec<ImageQuality> {
        self.num_incomplete_sites += usize::from(!found.missing.is_empty());
        for (count, is_present) in self.num_present.iter_mut().zip(found.is_present) {
            *count += usize::from(is_present);
        }
        for form in found.forms {
            *self.image_forms.entry(form).or_default() += 1;
        }
        self.missing.extend(found.missing);
        self.unreadable.extend(found.unreadable);
        self.mixed_sizes.extend(found.mixed_sizes);
        found.images
    }
}

struct PlateFindings {
    sites: Vec<SiteFindings>,
    /// Share of foreground of each site's DNA image.
    foreground: Vec<Option<f64>>,
}

#[derive(Default)]
struct SiteFindings {
    is_present: Vec<bool>,
    forms: Vec<String>,
    missing: Vec<Finding>,
    unreadable: Vec<Finding>,
    mixed_sizes: Vec<Finding>,
    /// Width and height of each channel's image, where it was decoded.
    sizes: Vec<Option<(usize, usize)>>,
    /// One per channel if images are measured, else none.
    images: Vec<ImageQuality>,
    dna: Option<LevelHistogram>,
}

impl SiteFindings {
    fn flags(&self) -> QualityFlags {
        let found = [
            (QualityFlag::Missing, self.missing.is_empty()),
            (QualityFlag::Unreadable, self.unreadable.is_empty()),
            (QualityFlag::OddSize, self.mixed_sizes.is_empty()),
        ];
        let raised = found.into_iter().filter(|(_, is_empty)| !is_empty);
        raised.map(|(flag, _)| flag).collect()
    }
}

impl SiteFindings {
    /// Names the images whose size is not that of most channels of their
    /// site; of sizes that are equally frequent among them, the screen's
    /// usual one counts, else the first.
    fn compare_sizes(
        &mut self,
        screen: &dyn Screen,
        site_index: usize,
        usual: Option<(usize, usize)>,
    ) {
        let sizes = std::mem::take(&mut self.sizes);
        let num_of = |size| sizes.iter().filter(|found| **found == size).count();
        let candidates = sizes.iter().enumerate().rev();
        let most = candidates
            .filter(|(_, size)| size.is_some())
            .max_by_key(|(_, size)| (num_of(**size), **size == usual));
        let Some((other_index, &Some(other_size))) = most else {
            return;
        };
        for (channel_index, size) in sizes.iter().enumerate() {
            let Some(size) = size.filter(|size| *size != other_size) else {
                continue;
            };
            let problem = ImageProblem::WrongSize {
                size,
                other_channel: screen.channels()[other_index].clone(),
                other_size,
            };
            let error = screen.image_error(site_index, channel_index, problem);
            let finding = Finding::of_error(screen, site_index, channel_index, &error);
            self.mixed_sizes.push(finding);
            if let Some(image) = self.images.get_mut(channel_index) {
                image.flags.insert(QualityFlag::OddSize);
            }
        }
    }
}

/// The value that occurs most often; of equally frequent ones the greatest.
pub(crate) fn most_frequent<T: Copy + Ord + Hash>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let most = counts
        .into_iter()
        .max_by_key(|&(value, count)| (count, value));
    most.map(|(value, _)| value)
}

/// What it takes to look at a site.
struct Look<'a> {
    screen: &'a dyn Screen,
    depth: InspectDepth,
    dna_index: Option<usize>,
    num_done: AtomicUsize,
    progress: &'a (dyn Fn(usize) + Sync),
}

impl Look<'_> {
    fn at_plate(&self, plate: Range<usize>) -> PlateFindings {
        let first = plate.start;
        let mut sites: Vec<SiteFindings> = plate
            .into_par_iter()
            .map(|site_index| {
                let is_decoded = self.depth != InspectDepth::Presence || site_index == first;
                let found = self.at_site(site_index, is_decoded);
                (self.progress)(self.num_done.fetch_add(1, Ordering::Relaxed) + 1);
                found
            })
            .collect();
        let histograms: Vec<_> = sites.iter_mut().map(|site| site.dna.take()).collect();
        PlateFindings {
            sites,
            foreground: foreground_fractions(&histograms),
        }
    }

    fn at_site(&self, site_index: usize, is_decoded: bool) -> SiteFindings {
        let screen = self.screen;
        let mut found = SiteFindings::default();
        for channel_index in 0..screen.channels().len() {
            let is_present = screen.is_present(site_index, channel_index);
            found.is_present.push(is_present);
            if is_present && !is_decoded {
                continue;
            }
            found.sizes.resize(channel_index, None);
            // A missing image is asked for as well: the error says why.
            let read = screen.read_plane(site_index, channel_index);
            let mut image = ImageQuality {
                site_index,
                channel_index,
                flags: QualityFlags::default(),
                measures: None,
            };
            match read {
                Ok(plane) => {
                    found.forms.push(form(&plane));
                    found.sizes.push(Some((plane.width, plane.height)));
                    if self.depth == InspectDepth::Quality {
                        image.measures = Some(ImageMeasures::of(&plane));
                        if self.dna_index == Some(channel_index) {
                            found.dna = Some(LevelHistogram::of(&plane));
                        }
                    }
                }
                Err(error) => {
                    let finding = Finding::of_error(screen, site_index, channel_index, &error);
                    if is_present {
                        image.flags.insert(QualityFlag::Unreadable);
                        found.unreadable.push(finding);
                    } else {
                        image.flags.insert(QualityFlag::Missing);
                        found.missing.push(finding);
                    }
                }
            }
            if self.depth == InspectDepth::Quality {
                found.images.push(image);
            }
        }
        found
    }
}

fn form(plane: &Plane) -> String {
    format!(
        "{} x {}, {} bit",
        plane.width,
        plane.height,
        plane.bit_depth()
    )
}
