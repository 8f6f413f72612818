use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::image_quality::{ImageMeasures, ImageQuality};
use super::most_frequent;
use super::outlier::{Distribution, median_of, robust_z_scores};
use super::quality_flag::QualityFlag;
use super::quality_thresholds::QualityThresholds;
use super::well_quality::{mean_of, wells_of};
use crate::screen::Screen;

/// What quality control found in the images of a screen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityReport {
    /// Where the lines were drawn.
    pub thresholds: QualityThresholds,
    /// What was looked for, beside images that are missing or unreadable.
    pub looked_for: Vec<QualityFlag>,
    /// Width and height of most images.
    pub usual_size: Option<(usize, usize)>,
    /// Of each channel the bit depth of most images.
    #[serde(default)]
    pub usual_bit_depths: Vec<Option<u8>>,
    /// Images by flag, in the order of sites and channels. Of images that
    /// are the same each but the first is listed, and names the first.
    pub findings: BTreeMap<QualityFlag, Vec<Finding>>,
    /// Distributions over the images of each plate and channel.
    pub plates: Vec<PlateChannel>,
}

/// Distributions over the images of one channel of a plate. Blank images do
/// not count, so that they do not hide others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlateChannel {
    /// The plate, with its experiment.
    pub plate: String,
    /// The channel's name.
    pub channel: String,
    /// Number of images that were measured and are not blank.
    pub num_images: usize,
    /// Mean of an image, in grey levels of the channel's usual bit depth.
    pub mean: Option<Distribution>,
    /// Sharpness of an image relative to its squared mean.
    pub relative_focus: Option<Distribution>,
    /// Share of saturated pixels.
    pub saturated_fraction: Option<Distribution>,
}

/// Foreground of a well, and of a well relative to its plate's median well.
pub(super) struct Foreground {
    pub(super) fraction: Option<f64>,
    pub(super) ratio: Option<f64>,
}

/// Images under assessment. Those of site `s` and channel `c` of `n` stand
/// at `s * n + c`.
pub(super) struct Assessment<'a> {
    screen: &'a dyn Screen,
    thresholds: &'a QualityThresholds,
    images: &'a mut [ImageQuality],
    /// Of each channel the bit depth of most images.
    usual_bit_depths: Vec<Option<u8>>,
    /// Each with the position of its image.
    findings: BTreeMap<QualityFlag, Vec<(usize, Finding)>>,
}

impl<'a> Assessment<'a> {
    pub(super) fn new(
        screen: &'a dyn Screen,
        thresholds: &'a QualityThresholds,
        images: &'a mut [ImageQuality],
    ) -> Self {
        let num_channels = screen.channels().len();
        let depths = |channel_index: usize| {
            let of_channel = images.iter().skip(channel_index).step_by(num_channels);
            most_frequent(of_channel.filter_map(|image| Some(image.measures?.bit_depth)))
        };
        Self {
            screen,
            thresholds,
            usual_bit_depths: (0..num_channels).map(depths).collect(),
            images,
            findings: BTreeMap::new(),
        }
    }

    /// Raises every flag of single images, of images among all, and of images
    /// among those of their plate. `cells`: the DNA channel and the share of
    /// foreground of each site. The second result holds one entry per well,
    /// none where there are no `cells`.
    pub(super) fn report(
        mut self,
        plates: &[Range<usize>],
        usual_size: Option<(usize, usize)>,
        cells: Option<(usize, &[Option<f64>])>,
    ) -> (QualityReport, Vec<Foreground>) {
        self.flag_alone(usual_size);
        self.flag_duplicates();
        let mut summaries = Vec::new();
        let mut foreground = Vec::new();
        for plate in plates {
            for channel_index in 0..self.screen.channels().len() {
                summaries.push(self.flag_within_plate(plate.clone(), channel_index));
            }
            if let Some((dna_index, fractions)) = cells {
                foreground.extend(self.flag_few_cells(plate.clone(), dna_index, fractions));
            }
        }
        let looked_for = QualityFlag::ALL.into_iter().filter(|flag| match flag {
            QualityFlag::Missing | QualityFlag::Unreadable => false,
            QualityFlag::FewCells => cells.is_some(),
            _ => true,
        });
        let in_order = |mut findings: Vec<(usize, Finding)>| {
            findings.sort_by_key(|(position, _)| *position);
            findings.into_iter().map(|(_, finding)| finding).collect()
        };
        let report = QualityReport {
            thresholds: *self.thresholds,
            looked_for: looked_for.collect(),
            usual_size,
            usual_bit_depths: self.usual_bit_depths,
            findings: self
                .findings
                .into_iter()
                .map(|(flag, findings)| (flag, in_order(findings)))
                .collect(),
            plates: summaries,
        };
        (report, foreground)
    }

    fn raise(&mut self, position: usize, flag: QualityFlag, problem: String) {
        let image = &mut self.images[position];
        image.flags.insert(flag);
        let finding = Finding::new(self.screen, image.site_index, image.channel_index, problem);
        let findings = self.findings.entry(flag).or_default();
        findings.push((position, finding));
    }

    fn flag_alone(&mut self, usual_size: Option<(usize, usize)>) {
        let QualityThresholds {
            blank_sd,
            saturated_fraction,
            ..
        } = *self.thresholds;
        for position in 0..self.images.len() {
            let Some(found) = self.images[position].measures else {
                continue;
            };
            if is_blank(&found, blank_sd) {
                let problem = match found.minimum == found.maximum {
                    true => format!("every pixel is {}", found.minimum),
                    false => format!("standard deviation {:.3} grey levels", found.sd),
                };
                self.raise(position, QualityFlag::Blank, problem);
            }
            if found.saturated_fraction > saturated_fraction {
                let percent = 100.0 * found.saturated_fraction;
                let problem = format!("{percent:.2} % of the pixels are saturated");
                self.raise(position, QualityFlag::Saturated, problem);
            }
            let size = (found.width, found.height);
            if let Some(usual) = usual_size.filter(|usual| *usual != size) {
                let problem = format!(
                    "{} x {} pixels, where most images are {} x {}",
                    size.0, size.1, usual.0, usual.1
                );
                self.raise(position, QualityFlag::OddSize, problem);
            }
            let usual_depth = self.usual_bit_depths[self.images[position].channel_index];
            if let Some(usual) = usual_depth.filter(|usual| *usual != found.bit_depth) {
                let problem = format!(
                    "{} bit, where most images of the channel have {usual}",
                    found.bit_depth
                );
                self.raise(position, QualityFlag::OddBitDepth, problem);
            }
        }
    }

    fn location(&self, position: usize) -> Option<String> {
        let ImageQuality {
            site_index,
            channel_index,
            ..
        } = self.images[position];
        self.screen.plane_location(site_index, channel_index)
    }

    /// Blank images are all alike and say nothing about each other; nor do
    /// two channels of one site that are made of one image.
    fn flag_duplicates(&mut self) {
        let mut hashes: Vec<([u8; 16], usize)> = self
            .images
            .iter()
            .enumerate()
            .filter(|(_, image)| !image.flags.contains(QualityFlag::Blank))
            .filter_map(|(position, image)| Some((image.measures?.pixel_hash, position)))
            .collect();
        hashes.sort_unstable();
        for same in hashes.chunk_by(|a, b| a.0 == b.0) {
            let [(_, first), rest @ ..] = same else {
                continue;
            };
            for &(_, position) in rest {
                let location = self.location(position);
                if location.is_some() && location == self.location(*first) {
                    continue;
                }
                let first = &mut self.images[*first];
                first.flags.insert(QualityFlag::Duplicate);
                let channel = &self.screen.channels()[first.channel_index];
                let site = &self.screen.sites()[first.site_index].key;
                let problem = format!("the same pixels as {site} channel {}", channel.name);
                self.raise(position, QualityFlag::Duplicate, problem);
            }
        }
    }

    /// Flags outliers among the images of one plate and channel.
    fn flag_within_plate(&mut self, sites: Range<usize>, channel_index: usize) -> PlateChannel {
        let num_channels = self.screen.channels().len();
        let measured: Vec<(usize, ImageMeasures)> = sites
            .clone()
            .map(|site_index| site_index * num_channels + channel_index)
            .filter(|&position| !self.images[position].flags.contains(QualityFlag::Blank))
            .filter_map(|position| Some((position, self.images[position].measures?)))
            .collect();
        let usual_depth = self.usual_bit_depths[channel_index];
        let mean = |found: &ImageMeasures| Some(found.mean_at(usual_depth?));
        let distribution = |value: &dyn Fn(&ImageMeasures) -> Option<f64>| {
            let values: Vec<f64> = measured.iter().filter_map(|(_, m)| value(m)).collect();
            Distribution::of(&values)
        };
        let summary = PlateChannel {
            plate: self.screen.sites()[sites.start].key.plate.to_string(),
            channel: self.screen.channels()[channel_index].name.clone(),
            num_images: measured.len(),
            mean: distribution(&mean),
            relative_focus: distribution(&ImageMeasures::relative_focus),
            saturated_fraction: distribution(&|found| Some(found.saturated_fraction)),
        };
        let outliers = |value: &dyn Fn(&ImageMeasures) -> Option<f64>| {
            outliers(&measured, value, self.thresholds)
        };
        let intensity = outliers(&mean);
        let focus = outliers(&ImageMeasures::relative_focus);
        for Outlier {
            position,
            value,
            median,
            z,
        } in intensity
        {
            let problem = format!(
                "mean {value:.1} where the plate's median is {median:.1} (robust z {z:.1})"
            );
            self.raise(position, QualityFlag::IntensityOutlier, problem);
        }
        for outlier in focus.into_iter().filter(|outlier| outlier.z < 0.0) {
            let problem = format!(
                "sharpness {:.2e} where the plate's median is {:.2e} (robust z {:.1})",
                outlier.value, outlier.median, outlier.z
            );
            self.raise(outlier.position, QualityFlag::OutOfFocus, problem);
        }
        summary
    }

    fn flag_few_cells(
        &mut self,
        sites: Range<usize>,
        dna_index: usize,
        fractions: &[Option<f64>],
    ) -> Vec<Foreground> {
        let num_channels = self.screen.channels().len();
        let wells = wells_of(self.screen, sites);
        let of_wells: Vec<Option<f64>> = wells
            .iter()
            .map(|well| mean_of(fractions[well.clone()].iter().flatten().copied()))
            .collect();
        let known: Vec<f64> = of_wells.iter().flatten().copied().collect();
        let median = median_of(&known);
        let mut foreground = Vec::with_capacity(wells.len());
        for (well, fraction) in wells.into_iter().zip(of_wells) {
            let ratio = fraction
                .filter(|_| median > 0.0)
                .map(|found| found / median);
            if let Some(ratio) = ratio.filter(|ratio| *ratio < self.thresholds.few_cells_fraction) {
                let problem = format!(
                    "the well has {:.0} % of the DNA foreground of its plate's median \
                     well",
                    100.0 * ratio
                );
                for site_index in well {
                    let position = site_index * num_channels + dna_index;
                    self.raise(position, QualityFlag::FewCells, problem.clone());
                }
            }
            foreground.push(Foreground { fraction, ratio });
        }
        foreground
    }
}

fn is_blank(found: &ImageMeasures, blank_sd: f64) -> bool {
    found.minimum == found.maximum || found.sd < blank_sd
}

struct Outlier {
    position: usize,
    value: f64,
    median: f64,
    z: f64,
}

/// Images whose value is far from those of the others, on a logarithmic
/// scale: brightness and sharpness vary by factors.
fn outliers(
    measured: &[(usize, ImageMeasures)],
    value: &dyn Fn(&ImageMeasures) -> Option<f64>,
    thresholds: &QualityThresholds,
) -> Vec<Outlier> {
    let known: Vec<(usize, f64)> = measured
        .iter()
        .filter_map(|(position, found)| Some((*position, value(found)?)))
        .filter(|(_, value)| *value > 0.0)
        .collect();
    if known.len() < thresholds.min_images {
        return Vec::new();
    }
    let logarithms: Vec<f64> = known.iter().map(|(_, value)| value.ln()).collect();
    let values: Vec<f64> = known.iter().map(|(_, value)| *value).collect();
    let median = median_of(&values);
    let scores = robust_z_scores(&logarithms);
    known
        .into_iter()
        .zip(scores)
        .filter(|(_, z)| z.abs() > thresholds.outlier_z)
        .map(|((position, value), z)| Outlier {
            position,
            value,
            median,
            z,
        })
        .collect()
}
