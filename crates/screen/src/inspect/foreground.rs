use crate::screen::{Pixels, Plane};

/// Grey levels below this have a bin of their own in 16-bit histograms.
const NUM_EXACT: u16 = 64;
/// Bins per doubling of the grey level above that.
const BINS_PER_OCTAVE: usize = 32;

/// Counts of grey levels: 256 bins of 8-bit images; of 16-bit images bins
/// that grow with the grey level, none wider than 3 % of it, since a dim
/// 16-bit image fills few of the bins of a linear scale.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LevelHistogram {
    is_16_bit: bool,
    counts: Vec<u64>,
}

impl LevelHistogram {
    fn empty(is_16_bit: bool) -> Self {
        let num_bins = if is_16_bit { bin_of(u16::MAX) + 1 } else { 256 };
        Self {
            is_16_bit,
            counts: vec![0; num_bins],
        }
    }

    pub(super) fn of(plane: &Plane) -> Self {
        match &plane.pixels {
            Pixels::U8(pixels) => {
                let mut histogram = Self::empty(false);
                for &pixel in pixels {
                    histogram.counts[usize::from(pixel)] += 1;
                }
                histogram
            }
            Pixels::U16(pixels) => {
                let mut histogram = Self::empty(true);
                for &pixel in pixels {
                    histogram.counts[bin_of(pixel)] += 1;
                }
                histogram
            }
        }
    }

    /// The pixels of all images of one bit depth.
    fn pooled<'a>(histograms: impl Iterator<Item = &'a Self>, is_16_bit: bool) -> Self {
        let mut pooled = Self::empty(is_16_bit);
        for histogram in histograms.filter(|histogram| histogram.is_16_bit == is_16_bit) {
            for (count, more) in pooled.counts.iter_mut().zip(&histogram.counts) {
                *count += more;
            }
        }
        pooled
    }

    /// Otsu's threshold (1979): the last bin of the darker class, such that
    /// the variance between the classes is greatest. `None` where all pixels
    /// share a bin.
    fn otsu_bin(&self) -> Option<usize> {
        let level = |bin: usize| match self.is_16_bit {
            true => level_of(bin),
            false => bin as f64,
        };
        let weighted = self.counts.iter().enumerate();
        let total: f64 = self.counts.iter().map(|&count| count as f64).sum();
        let total_level: f64 = weighted
            .map(|(bin, &count)| count as f64 * level(bin))
            .sum();
        let (mut dark, mut dark_level) = (0.0, 0.0);
        let mut best: Option<(f64, usize)> = None;
        for (bin, &count) in self.counts.iter().enumerate() {
            dark += count as f64;
            dark_level += count as f64 * level(bin);
            let bright = total - dark;
            if dark == 0.0 || bright == 0.0 {
                continue;
            }
            let distance = dark_level / dark - (total_level - dark_level) / bright;
            let between = dark * bright * distance * distance;
            if best.is_none_or(|(most, _)| between > most) {
                best = Some((between, bin));
            }
        }
        best.map(|(_, bin)| bin)
    }

    fn fraction_above(&self, bin: usize) -> f64 {
        let total: u64 = self.counts.iter().sum();
        let above: u64 = self.counts[bin + 1..].iter().sum();
        above as f64 / total.max(1) as f64
    }
}

fn bin_of(level: u16) -> usize {
    if level < NUM_EXACT {
        return usize::from(level);
    }
    let octave = level.ilog2();
    let within = usize::from(level >> (octave - BINS_PER_OCTAVE.ilog2())) % BINS_PER_OCTAVE;
    let octaves_above = (octave - NUM_EXACT.ilog2()) as usize;
    usize::from(NUM_EXACT) + octaves_above * BINS_PER_OCTAVE + within
}

/// The middle of a bin of a 16-bit histogram.
fn level_of(bin: usize) -> f64 {
    let exact = usize::from(NUM_EXACT);
    if bin < exact {
        return bin as f64;
    }
    let (octave, within) = (
        (bin - exact) / BINS_PER_OCTAVE,
        (bin - exact) % BINS_PER_OCTAVE,
    );
    let start = (exact << octave) as f64;
    start * (1.0 + (within as f64 + 0.5) / BINS_PER_OCTAVE as f64)
}

/// The share of each image that is brighter than Otsu's threshold over all
/// images of the plate with its bit depth; `None` where there is no image or
/// the plate's pixels are all alike.
pub(super) fn foreground_fractions(images: &[Option<LevelHistogram>]) -> Vec<Option<f64>> {
    let thresholds = [false, true]
        .map(|is_16_bit| LevelHistogram::pooled(images.iter().flatten(), is_16_bit).otsu_bin());
    images
        .iter()
        .map(|image| {
            let image = image.as_ref()?;
            let bin = thresholds[usize::from(image.is_16_bit)]?;
            Some(image.fraction_above(bin))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram(pixels: &[u8]) -> LevelHistogram {
        LevelHistogram::of(&Plane {
            width: pixels.len(),
            height: 1,
            pixels: Pixels::U8(pixels.to_vec()),
        })
    }

    #[test]
    fn otsu_parts_two_clusters() {
        let found = histogram(&[10, 11, 12, 200, 201]);
        assert_eq!(found.otsu_bin(), Some(12));
        assert_eq!(found.fraction_above(12), 0.4);
        assert_eq!(histogram(&[7; 5]).otsu_bin(), None);
        // By hand: between 0,0,4 | 6 the variance is 3 x 1 x (4/3 - 6)^2 =
        // 65.3, between 0,0 | 4,6 it is 2 x 2 x 5^2 = 100.
        assert_eq!(histogram(&[0, 0, 4, 6]).otsu_bin(), Some(0));
    }

    #[test]
    fn images_share_the_threshold_of_their_plate() {
        let plate = [
            Some(histogram(&[10, 10, 200, 200])),
            Some(histogram(&[10, 12, 10, 11])),
            None,
        ];
        assert_eq!(
            foreground_fractions(&plate),
            [Some(0.5), Some(0.0), None],
            "the second image has no nucleus, whatever its own threshold"
        );
        assert_eq!(foreground_fractions(&[Some(histogram(&[3, 3]))]), [None]);
    }

    proptest! {
        #[test]
        fn bins_keep_the_order_and_the_size_of_grey_levels(level in 0u16..=65_534) {
            prop_assert!(bin_of(level) <= bin_of(level + 1));
            let middle = level_of(bin_of(level));
            prop_assert!((middle - f64::from(level)).abs() <= 0.5 + f64::from(level) / 32.0);
        }
    }
}
