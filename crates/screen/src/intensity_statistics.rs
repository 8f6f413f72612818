use crate::Pixels;

/// Five numbers of one image: the "intensity features" that a learned
/// embedding has to beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntensityStatistics {
    /// Mean, grey levels.
    pub mean: f64,
    /// Standard deviation (of the population), grey levels.
    pub std: f64,
    /// Least grey level.
    pub min: f64,
    /// Greatest grey level.
    pub max: f64,
    /// Median, grey levels; halfway between the two middle ones of an even
    /// number of pixels.
    pub median: f64,
}

impl IntensityStatistics {
    /// Names, in the order of [`IntensityStatistics::to_array`].
    pub const NAMES: [&str; 5] = ["mean", "std", "min", "max", "median"];

    /// The statistics of an image; all NaN of an empty one.
    ///
    /// ```
    /// use morphospace_screen::{IntensityStatistics, Pixels};
    ///
    /// let found = IntensityStatistics::of(&Pixels::U8(vec![4, 0, 8, 0]));
    /// assert_eq!(found.to_array(), [3.0, 11f64.sqrt(), 0.0, 8.0, 2.0]);
    /// ```
    pub fn of(pixels: &Pixels) -> Self {
        match pixels {
            Pixels::U8(pixels) => of_levels(pixels),
            Pixels::U16(pixels) => of_levels(pixels),
        }
    }

    /// In the order of [`IntensityStatistics::NAMES`].
    pub fn to_array(self) -> [f64; 5] {
        [self.mean, self.std, self.min, self.max, self.median]
    }
}

fn of_levels<T: Copy + Ord + Into<f64>>(pixels: &[T]) -> IntensityStatistics {
    let num_pixels = pixels.len() as f64;
    let mean = pixels.iter().map(|p| (*p).into()).sum::<f64>() / num_pixels;
    let square_sum: f64 = pixels.iter().map(|p| ((*p).into() - mean).powi(2)).sum();
    let level = |p: Option<&T>| p.map_or(f64::NAN, |p| (*p).into());
    let mut sorted = pixels.to_vec();
    let median = match sorted.len() {
        0 => f64::NAN,
        len => {
            let (below, middle, _) = sorted.select_nth_unstable(len / 2);
            let middle: f64 = (*middle).into();
            match len % 2 {
                1 => middle,
                _ => (level(below.iter().max()) + middle) / 2.0,
            }
        }
    };
    IntensityStatistics {
        mean,
        std: (square_sum / num_pixels).sqrt(),
        min: level(pixels.iter().min()),
        max: level(pixels.iter().max()),
        median,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        let median = |pixels: &[u16]| IntensityStatistics::of(&Pixels::U16(pixels.into())).median;
        assert_eq!(median(&[9, 1, 5]), 5.0);
        assert_eq!(median(&[9, 1, 5, 8]), 6.5);
        assert_eq!(median(&[7]), 7.0);
        assert!(median(&[]).is_nan());
    }
}
