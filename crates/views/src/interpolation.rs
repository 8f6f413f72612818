use serde::{Deserialize, Serialize};

/// How levels between pixels are found when an image changes its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// A triangle that widens as the image shrinks, so that every pixel
    /// counts: torchvision's `bilinear` with `antialias=True`.
    #[default]
    Bilinear,
    /// A cubic (a = -0.5) that widens as the image shrinks: torchvision's
    /// `bicubic` with `antialias=True`.
    Bicubic,
    /// Between the nearest two pixels, however much the image shrinks:
    /// `antialias=False`, and OpenCV's `INTER_LINEAR`.
    BilinearPlain,
    /// The pixel at or before the place, as OpenCV's `INTER_NEAREST`.
    Nearest,
}

/// Of every pixel of a resized line, which pixels of the line it is made of
/// and with which weights.
pub(crate) struct Taps {
    /// For each pixel the first it is made of, and where its weights begin.
    starts: Vec<(usize, usize)>,
    weights: Vec<f32>,
}

impl Taps {
    /// Taps of a line of `from` pixels that becomes one of `to`.
    ///
    /// Places are found in single precision, as PyTorch does for floats: in an
    /// image of 500 pixels the difference would be seen.
    pub(crate) fn new(interpolation: Interpolation, from: usize, to: usize) -> Self {
        let scale = from as f32 / to as f32;
        let centre = |index: usize| f64::from(scale * (index as f32 + 0.5));
        Self::at(interpolation, [from, to], scale.into(), centre)
    }

    /// Taps of bytes: their places are found in double precision, and their
    /// weights are whole numbers of some 2^-n, as large as 16 bits hold.
    pub(crate) fn of_bytes(interpolation: Interpolation, from: usize, to: usize) -> Self {
        const MOST: f32 = 32767.5;
        let scale = from as f64 / to as f64;
        let centre = |index: usize| scale * (index as f64 + 0.5);
        let mut taps = Self::at(interpolation, [from, to], scale, centre);
        let largest = taps.weights.iter().copied().fold(0.0, f32::max);
        let units = (1..=22).map(|bits| (1_u32 << bits) as f32);
        let fitting = units.take_while(|unit| largest * unit < MOST);
        let unit = fitting.last().expect("weights are at most about 1");
        for weight in &mut taps.weights {
            *weight = (*weight * unit).round() / unit;
        }
        taps
    }

    /// `centre` is where a resized pixel lies in the line.
    fn at(
        interpolation: Interpolation,
        [from, to]: [usize; 2],
        scale: f64,
        centre: impl Fn(usize) -> f64,
    ) -> Self {
        let mut taps = Self {
            starts: Vec::with_capacity(to + 1),
            weights: Vec::new(),
        };
        for index in 0..to {
            let begin = taps.weights.len();
            let start = match interpolation {
                Interpolation::Bilinear => {
                    taps.push_filtered(1.0, triangle, scale, centre(index), from)
                }
                Interpolation::Bicubic => {
                    taps.push_filtered(2.0, cubic, scale, centre(index), from)
                }
                Interpolation::BilinearPlain => taps.push_between(centre(index), from),
                Interpolation::Nearest => {
                    taps.weights.push(1.0);
                    // Of bytes too in single precision.
                    let place = index as f32 * (from as f32 / to as f32);
                    (place as usize).min(from - 1)
                }
            };
            taps.starts.push((start, begin));
        }
        // Ends the weights of the last pixel.
        taps.starts.push((0, taps.weights.len()));
        taps
    }

    /// For each resized pixel the first of its pixels and their weights.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let pairs = self.starts.iter().zip(&self.starts[1..]);
        pairs.map(|(&(start, begin), &(_, end))| (start, &self.weights[begin..end]))
    }

    fn push_filtered(
        &mut self,
        radius: f64,
        filter: fn(f64) -> f64,
        scale: f64,
        centre: f64,
        from: usize,
    ) -> usize {
        let widening = scale.max(1.0);
        let support = radius * widening;
        // Casts of negative numbers give 0.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weight = |pixel: usize| filter((pixel as f64 - centre + 0.5) / widening);
        let total: f64 = (first..end).map(weight).sum();
        let weights = (first..end).map(|pixel| (weight(pixel) / total) as f32);
        self.weights.extend(weights);
        first
    }

    fn push_between(&mut self, centre: f64, from: usize) -> usize {
        let place = (centre - 0.5).max(0.0);
        let first = (place as usize).min(from - 1);
        if first + 1 < from {
            let share = place - first as f64;
            self.weights.extend([(1.0 - share) as f32, share as f32]);
        } else {
            self.weights.push(1.0);
        }
        first
    }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(interpolation: Interpolation, from: usize, to: usize, expect: &[(usize, &[f32])]) {
        let taps = Taps::new(interpolation, from, to);
        let found: Vec<(usize, &[f32])> = taps.iter().collect();
        assert_eq!(found, expect, "{interpolation:?}, {from} to {to}");
    }

    #[test]
    fn taps_by_hand() {
        use Interpolation::*;
        // Half the size: a triangle of radius 2 about 1, cut off at the edge.
        let weights = [0.75_f64, 0.75, 0.25].map(|weight| (weight / 1.75) as f32);
        let turned = [weights[2], weights[1], weights[0]];
        check(Bilinear, 4, 2, &[(0, &weights), (1, &turned)]);
        // Twice the size: quarters of neighbours.
        let taps: [(usize, &[f32]); 4] = [
            (0, &[1.0]),
            (0, &[0.75, 0.25]),
            (0, &[0.25, 0.75]),
            (1, &[1.0]),
        ];
        let found = Taps::new(Bilinear, 2, 4);
        for ((start, weights), (first, expect)) in found.iter().zip(taps) {
            assert_eq!((start, weights), (first, expect));
        }
        let plain: [(usize, &[f32]); 2] = [(0, &[0.5, 0.5]), (2, &[0.5, 0.5])];
        check(BilinearPlain, 4, 2, &plain);
        check(Nearest, 5, 2, &[(0, &[1.0]), (2, &[1.0])]);
    }

    #[test]
    fn weights_of_bytes_are_rounded() {
        let taps = Taps::of_bytes(Interpolation::BilinearPlain, 3, 8);
        for (_, weights) in taps.iter() {
            for weight in weights {
                assert_eq!((weight * 16384.0).fract(), 0.0, "{weight}");
            }
        }
    }

    #[test]
    fn weights_add_up_to_one_and_stay_inside() {
        use Interpolation::*;
        for interpolation in [Bilinear, Bicubic, BilinearPlain, Nearest] {
            for (from, to) in [
                (1, 1),
                (1, 7),
                (7, 1),
                (5, 5),
                (512, 224),
                (160, 96),
                (3, 512),
            ] {
                let taps = Taps::new(interpolation, from, to);
                assert_eq!(taps.iter().count(), to);
                for (start, weights) in taps.iter() {
                    let total: f32 = weights.iter().sum();
                    assert!(
                        (total - 1.0).abs() < 1e-5,
                        "{interpolation:?}, {from} to {to}"
                    );
                    assert!(start + weights.len() <= from && !weights.is_empty());
                }
            }
        }
    }
}
