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
    /// Computed in single precision, as PyTorch does: in an image of 500
    /// pixels the difference would be seen.
    pub(crate) fn new(interpolation: Interpolation, from: usize, to: usize) -> Self {
        let mut taps = Self {
            starts: Vec::with_capacity(to + 1),
            weights: Vec::new(),
        };
        let scale = from as f32 / to as f32;
        for index in 0..to {
            let begin = taps.weights.len();
            let start = match interpolation {
                Interpolation::Bilinear => taps.push_filtered(1.0, triangle, scale, index, from),
                Interpolation::Bicubic => taps.push_filtered(2.0, cubic, scale, index, from),
                Interpolation::BilinearPlain => taps.push_between(scale, index, from),
                Interpolation::Nearest => {
                    taps.weights.push(1.0);
                    ((index as f32 * scale) as usize).min(from - 1)
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
        radius: f32,
        filter: fn(f32) -> f32,
        scale: f32,
        index: usize,
        from: usize,
    ) -> usize {
        let widening = scale.max(1.0);
        let support = radius * widening;
        let center = scale * (index as f32 + 0.5);
        // Casts of negative numbers give 0.
        let first = (center - support + 0.5) as usize;
        let end = ((center + support + 0.5) as usize).min(from);
        let begin = self.weights.len();
        self.weights.extend(
            (first..end).map(|pixel| filter((pixel as f32 - center + 0.5) * (1.0 / widening))),
        );
        let weights = &mut self.weights[begin..];
        let total: f32 = weights.iter().sum();
        for weight in weights {
            *weight /= total;
        }
        first
    }

    fn push_between(&mut self, scale: f32, index: usize, from: usize) -> usize {
        let place = (scale * (index as f32 + 0.5) - 0.5).max(0.0);
        let first = (place as usize).min(from - 1);
        let share = if first + 1 < from {
            place - first as f32
        } else {
            0.0
        };
        self.weights.push(1.0 - share);
        if first + 1 < from {
            self.weights.push(share);
        }
        first
    }
}

fn triangle(x: f32) -> f32 {
    (1.0 - x.abs()).max(0.0)
}

fn cubic(x: f32) -> f32 {
    const A: f32 = -0.5;
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
        let sum = 0.75 + 0.75 + 0.25;
        let weights = [0.75 / sum, 0.75 / sum, 0.25 / sum];
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
