use serde::{Deserialize, Serialize};

/// How the mean image is smoothed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IlluminationSmoothing {
    /// Not at all.
    None,
    /// Median over a square; what lies beyond the image does not count.
    #[default]
    Median,
    /// Gaussian, renormalised at the edges of the image.
    Gaussian,
}

/// Full width at half maximum of a Gaussian in standard deviations, as
/// CellProfiler rounds it.
const FWHM: f64 = 2.35;

impl IlluminationSmoothing {
    pub(super) fn apply(self, values: &[f64], width: usize, filter_size_px: f64) -> Vec<f64> {
        let sigma = filter_size_px / FWHM;
        match self {
            Self::None => values.to_vec(),
            Self::Median => median(values, width, (sigma.round() as usize).max(1)),
            Self::Gaussian => {
                let along_rows = gaussian_rows(values, width, sigma);
                let turned = transposed(&along_rows, width);
                let height = values.len() / width;
                let both = gaussian_rows(&turned, height, sigma);
                transposed(&both, height)
            }
        }
    }
}

fn transposed(values: &[f64], width: usize) -> Vec<f64> {
    let height = values.len() / width;
    (0..width)
        .flat_map(|x| (0..height).map(move |y| values[y * width + x]))
        .collect()
}

fn gaussian_rows(values: &[f64], width: usize, sigma: f64) -> Vec<f64> {
    // Beyond four standard deviations lies 6e-5 of the weight.
    let reach = ((4.0 * sigma).ceil() as usize).min(width);
    let weights: Vec<f64> = (0..=reach)
        .map(|d| (-0.5 * (d as f64 / sigma).powi(2)).exp())
        .collect();
    let mut smooth = Vec::with_capacity(values.len());
    for row in values.chunks_exact(width) {
        for x in 0..width {
            let inside = x.saturating_sub(reach)..(x + reach + 1).min(width);
            let (mut sum, mut total) = (0.0, 0.0);
            for other in inside {
                let weight = weights[x.abs_diff(other)];
                sum += weight * row[other];
                total += weight;
            }
            smooth.push(sum / total);
        }
    }
    smooth
}

/// The median of each pixel's square of `2 * reach + 1` pixels a side, with
/// a window that moves along each row (Huang, Yang & Tang 1979), over ranks
/// in place of grey levels so that it is exact. Of an even number of pixels
/// the upper of the two in the middle.
fn median(values: &[f64], width: usize, reach: usize) -> Vec<f64> {
    let height = values.len() / width;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0; values.len()];
    for (rank, &index) in order.iter().enumerate() {
        ranks[index] = rank;
    }
    let mut medians = Vec::with_capacity(values.len());
    for y in 0..height {
        let rows = y.saturating_sub(reach)..(y + reach + 1).min(height);
        let column = |x: usize| rows.clone().map(move |row| row * width + x);
        let mut window = RankWindow::new(values.len());
        for x in 0..(reach + 1).min(width) {
            column(x).for_each(|index| window.insert(ranks[index]));
        }
        for x in 0..width {
            if x > 0 && x + reach < width {
                column(x + reach).for_each(|index| window.insert(ranks[index]));
            }
            if x > reach {
                column(x - reach - 1).for_each(|index| window.remove(ranks[index]));
            }
            medians.push(values[order[window.median()]]);
        }
    }
    medians
}

/// A set of ranks that knows its median.
struct RankWindow {
    is_in: Vec<bool>,
    len: usize,
    /// A rank near the median, and how many of the set lie below it.
    place: usize,
    num_below: usize,
}

impl RankWindow {
    fn new(num_ranks: usize) -> Self {
        Self {
            is_in: vec![false; num_ranks],
            len: 0,
            place: 0,
            num_below: 0,
        }
    }

    fn insert(&mut self, rank: usize) {
        self.is_in[rank] = true;
        self.len += 1;
        self.num_below += usize::from(rank < self.place);
    }

    fn remove(&mut self, rank: usize) {
        self.is_in[rank] = false;
        self.len -= 1;
        self.num_below -= usize::from(rank < self.place);
    }

    /// The rank that half the set lies below. The set is not empty.
    fn median(&mut self) -> usize {
        let wanted = self.len / 2;
        while self.num_below > wanted {
            self.place -= 1;
            self.num_below -= usize::from(self.is_in[self.place]);
        }
        while self.num_below < wanted || !self.is_in[self.place] {
            self.num_below += usize::from(self.is_in[self.place]);
            self.place += 1;
        }
        self.place
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain_median(values: &[f64], width: usize, reach: usize) -> Vec<f64> {
        let height = values.len() / width;
        let near = |a: usize, b: usize| a.abs_diff(b) <= reach;
        (0..values.len())
            .map(|index| {
                let mut window: Vec<f64> = (0..values.len())
                    .filter(|other| {
                        near(other / width, index / width) && near(other % width, index % width)
                    })
                    .map(|other| values[other])
                    .collect();
                window.sort_by(f64::total_cmp);
                assert!(window.len() <= height * width);
                window[window.len() / 2]
            })
            .collect()
    }

    #[test]
    fn a_lone_bright_pixel_is_no_illumination() {
        let mut values = vec![1.0; 25];
        values[12] = 100.0;
        assert_eq!(median(&values, 5, 1), vec![1.0; 25]);
    }

    #[test]
    fn a_gaussian_keeps_a_constant_and_spreads_a_point_evenly() {
        let smooth = IlluminationSmoothing::Gaussian.apply(&[3.0; 12], 4, 20.0);
        assert!(smooth.iter().all(|v| (v - 3.0).abs() < 1e-12));
        let mut point = vec![0.0; 121];
        point[60] = 1.0;
        let smooth = IlluminationSmoothing::Gaussian.apply(&point, 11, 2.35);
        // Neighbour to centre of a Gaussian of sigma 1: exp(-1/2).
        assert!((smooth[61] / smooth[60] - (-0.5f64).exp()).abs() < 1e-12);
        assert!((smooth[61] - smooth[49]).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn the_moving_window_finds_the_median(
            values in prop::collection::vec(0u8..6, 30..60), width in 1usize..9, reach in 1usize..5
        ) {
            let len = values.len() / width * width;
            let values: Vec<f64> = values[..len].iter().copied().map(f64::from).collect();
            prop_assert_eq!(median(&values, width, reach), plain_median(&values, width, reach));
        }
    }
}
