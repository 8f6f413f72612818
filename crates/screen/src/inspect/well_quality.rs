use std::ops::Range;

use morphospace_core::{ControlRole, PlateKey, WellAddress};

use super::image_quality::ImageQuality;
use super::quality_flag::QualityFlags;
use crate::screen::Screen;

/// What an inspection found out about a well.
#[derive(Clone, Debug, PartialEq)]
pub struct WellQuality {
    /// The plate.
    pub plate: PlateKey,
    /// The well.
    pub address: WellAddress,
    /// What the well is for.
    pub control_role: ControlRole,
    /// Its label, `None` where it is unknown.
    pub label: Option<String>,
    /// Share of the well's images that are there.
    pub present_fraction: f64,
    /// Means over its sites, for each channel; none unless images were
    /// measured.
    pub channels: Vec<WellMeasures>,
    /// Share of the DNA channel that is foreground, mean over sites: above
    /// Otsu's threshold of the pooled pixels of the plate. A crude stand-in
    /// for the number of cells, without segmentation: it also falls when
    /// nuclei shrink or dim.
    pub foreground_fraction: Option<f64>,
    /// The foreground relative to the plate's median well.
    pub foreground_ratio: Option<f64>,
    /// The flags of its sites.
    pub flags: QualityFlags,
}

/// Means over the sites of a well of one channel; `None` where no image was
/// measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WellMeasures {
    /// Mean, in grey levels of the channel's usual bit depth.
    pub mean: Option<f64>,
    /// Sharpness relative to the squared mean.
    pub relative_focus: Option<f64>,
    /// Share of saturated pixels.
    pub saturated_fraction: Option<f64>,
    /// The flags of its images.
    pub flags: QualityFlags,
}

/// The sites of each well of some sites. They are sorted, so those of a well
/// follow each other.
pub(super) fn wells_of(screen: &dyn Screen, sites: Range<usize>) -> Vec<Range<usize>> {
    let keys = &screen.sites()[sites.clone()];
    let mut start = sites.start;
    keys.chunk_by(|a, b| a.key.plate == b.key.plate && a.key.well == b.key.well)
        .map(|well| {
            let range = start..start + well.len();
            start = range.end;
            range
        })
        .collect()
}

impl WellQuality {
    /// A well without measures of its images.
    pub(super) fn unmeasured(
        screen: &dyn Screen,
        sites: Range<usize>,
        num_present: &[usize],
        flags: &[QualityFlags],
    ) -> Self {
        let site = &screen.sites()[sites.start];
        let num_images = sites.len() * screen.channels().len();
        let num_present: usize = num_present[sites.clone()].iter().sum();
        Self {
            plate: site.key.plate.clone(),
            address: site.key.well,
            control_role: site.well.control_role,
            label: site.well.label(),
            present_fraction: num_present as f64 / num_images.max(1) as f64,
            channels: Vec::new(),
            foreground_fraction: None,
            foreground_ratio: None,
            flags: flags[sites]
                .iter()
                .fold(QualityFlags::default(), |all, flags| all.union(*flags)),
        }
    }
}

/// Of each channel of a well, from the images of a screen in the order of
/// sites and channels.
pub(super) fn well_measures(
    images: &[ImageQuality],
    usual_bit_depths: &[Option<u8>],
    sites: Range<usize>,
) -> Vec<WellMeasures> {
    let num_channels = usual_bit_depths.len();
    let of_well = &images[sites.start * num_channels..sites.end * num_channels];
    let of_channel = |(channel, depth): (usize, &Option<u8>)| {
        WellMeasures::of(of_well.iter().skip(channel).step_by(num_channels), *depth)
    };
    usual_bit_depths
        .iter()
        .enumerate()
        .map(of_channel)
        .collect()
}

impl WellMeasures {
    fn of<'a>(
        images: impl Iterator<Item = &'a ImageQuality> + Clone,
        usual_bit_depth: Option<u8>,
    ) -> Self {
        let measures = images.clone().filter_map(|image| image.measures);
        Self {
            mean: mean_of(
                measures
                    .clone()
                    .filter_map(|found| Some(found.mean_at(usual_bit_depth?))),
            ),
            relative_focus: mean_of(measures.clone().filter_map(|found| found.relative_focus())),
            saturated_fraction: mean_of(measures.map(|found| found.saturated_fraction)),
            flags: images.fold(QualityFlags::default(), |all, image| all.union(image.flags)),
        }
    }
}

/// `None` of no values.
pub(super) fn mean_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}
