use faer::Mat;
use morphospace_core::Seed;
use pulp::{Arch, Simd, WithSimd};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::curve::Curve;
use super::fuzzy_graph::FuzzyGraph;

/// The moving of points: along each edge of the graph its ends attract each
/// other, as often as the edge is heavy, and each time some points drawn at
/// random repel them.
///
/// umap-learn moves both ends of an edge at once, which no two threads can
/// do in a given order. Here every point walks its own edges while the
/// others stand where they were when the epoch began; as the graph is
/// symmetric, the pull that an edge's other end would have given is given
/// at once. Numbers are drawn by seed, epoch and point, so any division of
/// the points among threads gives the same bytes.
pub(crate) struct Layout {
    pub(crate) curve: Curve,
    pub(crate) num_epochs: usize,
    pub(crate) learning_rate: f64,
    pub(crate) negative_sample_rate: usize,
    pub(crate) repulsion_strength: f64,
}

/// Points that a thread takes at a time.
const POINTS_AT_A_TIME: usize = 256;

/// Samples that are worked out together.
const LANES: usize = 16;

/// No coordinate is pulled further by one sample, before the learning rate.
const LARGEST_PULL: f32 = 4.0;

/// Keeps the repulsion of points upon each other finite.
const SMALLEST_SQUARED_DISTANCE: f32 = 0.001;

impl Layout {
    /// The coordinates after all epochs, `[num_rows, num_components]` with
    /// 2 or 3 components.
    pub(crate) fn run(&self, graph: &FuzzyGraph, start: &Mat<f64>, seed: Seed) -> Mat<f64> {
        match start.ncols() {
            2 => matrix(&self.moved::<2>(graph, points(start), seed)),
            3 => matrix(&self.moved::<3>(graph, points(start), seed)),
            other => unreachable!("settings of {other} components were refused"),
        }
    }

    fn moved<const D: usize>(
        &self,
        graph: &FuzzyGraph,
        mut points: Vec<[f32; D]>,
        seed: Seed,
    ) -> Vec<[f32; D]> {
        let rates = rates(&graph.weights);
        let pulls = Pulls::new(self.curve);
        let mut samples = Samples::new(points.len(), seed.split("samples"));
        let mut next = points.clone();
        for epoch in 0..self.num_epochs {
            let left = 1.0 - epoch as f64 / self.num_epochs as f64;
            samples.follow(&points);
            let round = Round {
                graph,
                rates: &rates,
                before: &points,
                samples: &samples,
                // The first epoch draws nothing, as no edge is due.
                epoch: epoch as u32 + 1,
                key: seed.split_index(epoch as u64).value(),
                step: (self.learning_rate * left) as f32,
                pulls: &pulls,
                a: self.curve.a as f32,
                b: self.curve.b as f32,
                negative_sample_rate: self.negative_sample_rate,
                repulsion_strength: self.repulsion_strength as f32,
            };
            next.par_chunks_mut(POINTS_AT_A_TIME)
                .enumerate()
                .for_each(|(index, points)| {
                    Arch::new().dispatch(Walk {
                        round: &round,
                        first: index * POINTS_AT_A_TIME,
                        points,
                    });
                });
            std::mem::swap(&mut points, &mut next);
        }
        points
    }
}

fn points<const D: usize>(coordinates: &Mat<f64>) -> Vec<[f32; D]> {
    let point = |row| std::array::from_fn(|component| coordinates[(row, component)] as f32);
    (0..coordinates.nrows()).map(point).collect()
}

fn matrix<const D: usize>(points: &[[f32; D]]) -> Mat<f64> {
    Mat::from_fn(points.len(), D, |row, component| {
        f64::from(points[row][component])
    })
}

/// Of 2^32 epochs, how many draw each edge: all for the heaviest.
fn rates(weights: &[f32]) -> Vec<u32> {
    let largest = weights.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let rate = |weight: &f32| (f64::from(weight / largest) * f64::from(u32::MAX)) as u32;
    weights.iter().map(rate).collect()
}

/// How strongly points attract each other, by squared distance: the
/// negative gradient of the logarithm of the curve, as a share of the
/// difference.
///
/// A table, as the pulls of a point follow one another and each would wait
/// for the power in it. Its steps are a 64th of a power of two, which keeps
/// pulls within 1 %; samples at random move points by far more.
struct Pulls {
    table: Vec<f32>,
}

impl Pulls {
    /// Bits of a number below its exponent and its first six digits.
    const SHIFT: u32 = 17;
    /// Squared distances beyond are taken for these.
    const SMALLEST: f32 = 1e-12;
    const LARGEST: f32 = 1e12;

    fn new(curve: Curve) -> Self {
        let (a, b) = (curve.a, curve.b);
        let bits = |value: f32| value.to_bits() >> Self::SHIFT;
        let table = (bits(Self::SMALLEST)..=bits(Self::LARGEST)).map(|bits| {
            let middle = f32::from_bits(bits << Self::SHIFT | 1 << (Self::SHIFT - 1));
            let squared = f64::from(middle);
            (2.0 * a * b * squared.powf(b - 1.0) / (1.0 + a * squared.powf(b))) as f32
        });
        Self {
            table: table.collect(),
        }
    }

    #[inline(always)]
    fn at(&self, squared: f32) -> f32 {
        let squared = squared.clamp(Self::SMALLEST, Self::LARGEST);
        let place = (squared.to_bits() >> Self::SHIFT) - (Self::SMALLEST.to_bits() >> Self::SHIFT);
        self.table[place as usize]
    }
}

/// What the points see in one epoch.
struct Round<'a, const D: usize> {
    graph: &'a FuzzyGraph,
    rates: &'a [u32],
    before: &'a [[f32; D]],
    samples: &'a Samples<D>,
    epoch: u32,
    key: u64,
    step: f32,
    pulls: &'a Pulls,
    a: f32,
    b: f32,
    negative_sample_rate: usize,
    repulsion_strength: f32,
}

/// The points from `first` on move.
struct Walk<'a, const D: usize> {
    round: &'a Round<'a, D>,
    first: usize,
    points: &'a mut [[f32; D]],
}

impl<const D: usize> WithSimd for Walk<'_, D> {
    type Output = ();

    /// What is inlined here is compiled for each kind of processor; without
    /// fused products, so that all give the same numbers.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let round = self.round;
        let mut due = Vec::new();
        for (offset, point) in self.points.iter_mut().enumerate() {
            let row = self.first + offset;
            let mut place = round.before[row];
            let key = mixed(round.key ^ (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let num_drawn = round.attract(row, key, &mut due, &mut place);
            let num_samples = num_drawn * round.negative_sample_rate;
            round.repel(key, num_samples, &mut place);
            *point = place;
        }
    }
}

impl<const D: usize> Round<'_, D> {
    /// Pulls a point along its edges that are due, one after the other, and
    /// counts them.
    #[inline(always)]
    fn attract(&self, row: usize, key: u64, due: &mut Vec<u32>, place: &mut [f32; D]) -> usize {
        let range = self.graph.starts[row]..self.graph.starts[row + 1];
        let ends = &self.graph.ends[range.clone()];
        // Written first and kept if due, as no processor foresees which are.
        due.resize(ends.len() + 1, 0);
        let mut num_due = 0;
        for (end, rate) in ends.iter().zip(&self.rates[range]) {
            due[num_due] = *end;
            // The product passes a multiple of 2^32 when the edge is due.
            num_due += usize::from(self.epoch.wrapping_mul(*rate) < *rate);
        }
        // The last of the pulls counts most. From an end drawn at random on,
        // forwards or backwards: were it always the same, a table's order
        // would pull all points one way.
        let first = (((key >> 32) * num_due as u64) >> 32) as usize;
        let is_forward = key & 1 == 1;
        for index in 0..num_due {
            let index = if is_forward {
                first + index
            } else {
                first + num_due - index
            };
            let end = due[if index < num_due {
                index
            } else {
                index - num_due
            }];
            let other = self.before[end as usize];
            let mut squared = 0.0;
            for c in 0..D {
                squared += (place[c] - other[c]) * (place[c] - other[c]);
            }
            // Twice: for this end's draw of the edge and the other's.
            let step = 2.0 * self.step;
            let pull = self.pulls.at(squared);
            for c in 0..D {
                let pulled = pull * (other[c] - place[c]);
                place[c] += step * pulled.clamp(-LARGEST_PULL, LARGEST_PULL);
            }
        }
        num_due
    }

    /// Pushes a point away from `num_samples` others.
    ///
    /// All pushes are worked out where the point stands, so that none waits
    /// for another; together they move it no further than one could, or a
    /// point upon many others would fly away.
    #[inline(always)]
    fn repel(&self, key: u64, num_samples: usize, place: &mut [f32; D]) {
        let (key_low, key_high) = (key as u32, (key >> 32) as u32);
        let num_rows = self.before.len() as u64;
        let mut sums = [[0.0f32; LANES]; D];
        let mut start = 0;
        while start < num_samples {
            let drawn = mixed_short(start as u32, key_low, key_high);
            let first = ((u64::from(drawn) * num_rows) >> 32) as usize;
            let others: [&[f32; LANES]; D] = self.samples.run(first);
            let remaining = (num_samples - start).min(LANES) as u32;
            let mut pushes = [0.0f32; LANES];
            for lane in 0..LANES {
                let mut squared = 0.0;
                for c in 0..D {
                    let difference = place[c] - others[c][lane];
                    squared += difference * difference;
                }
                let power = exp2(self.b * log2(squared));
                let push = 2.0 * self.repulsion_strength * self.b
                    / ((SMALLEST_SQUARED_DISTANCE + squared) * (1.0 + self.a * power));
                pushes[lane] = if (lane as u32) < remaining { push } else { 0.0 };
            }
            for c in 0..D {
                for lane in 0..LANES {
                    let push = pushes[lane] * (place[c] - others[c][lane]);
                    sums[c][lane] += push.clamp(-LARGEST_PULL, LARGEST_PULL);
                }
            }
            start += LANES;
        }
        for c in 0..D {
            let push = sum(&sums[c]).clamp(-LARGEST_PULL, LARGEST_PULL);
            place[c] += self.step * push;
        }
    }
}

/// Halves upon each other, which takes four steps and not 15.
#[inline(always)]
fn sum(lanes: &[f32; LANES]) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|lane| lanes[lane] + lanes[lane + 8]);
    let four: [f32; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// The points in an order drawn once, component by component: points that
/// follow one another in it are a sample, and are read in one piece.
///
/// A point that draws itself is no further from itself than 0 and not
/// pushed.
struct Samples<const D: usize> {
    order: Vec<u32>,
    /// After the last of the order the first come again.
    components: [Vec<f32>; D],
}

impl<const D: usize> Samples<D> {
    fn new(num_rows: usize, seed: Seed) -> Self {
        let mut order: Vec<u32> = (0..num_rows as u32).collect();
        order.shuffle(&mut seed.rng());
        let again: Vec<u32> = order.iter().copied().cycle().take(LANES).collect();
        order.extend(again);
        Self {
            components: std::array::from_fn(|_| vec![0.0; order.len()]),
            order,
        }
    }

    /// Takes over where the points are.
    fn follow(&mut self, points: &[[f32; D]]) {
        const PLACES_AT_A_TIME: usize = 16_384;
        for (c, component) in self.components.iter_mut().enumerate() {
            component
                .par_chunks_mut(PLACES_AT_A_TIME)
                .zip(self.order.par_chunks(PLACES_AT_A_TIME))
                .for_each(|(component, order)| {
                    for (place, row) in component.iter_mut().zip(order) {
                        *place = points[*row as usize][c];
                    }
                });
        }
    }

    /// The sample that begins at a place in the order.
    #[inline(always)]
    fn run(&self, first: usize) -> [&[f32; LANES]; D] {
        std::array::from_fn(|c| {
            self.components[c][first..first + LANES]
                .try_into()
                .expect("a slice of so many")
        })
    }
}

/// The finaliser of splitmix64.
fn mixed(key: u64) -> u64 {
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

/// 32 random bits for each `index`: Wellons' hash `lowbias32`
/// (<https://nullprogram.com/blog/2018/07/31/>), keyed.
#[inline(always)]
fn mixed_short(index: u32, key_low: u32, key_high: u32) -> u32 {
    let bits = index.wrapping_mul(0x9e37_79b9) ^ key_low;
    let bits = (bits ^ (bits >> 16)).wrapping_mul(0x7feb_352d);
    let bits = (bits ^ (bits >> 15))
        .wrapping_add(key_high)
        .wrapping_mul(0x846c_a68b);
    bits ^ (bits >> 16)
}

/// `log2(1 + t) / t` for t from 0 to 1: a polynomial through Chebyshev's
/// nodes, highest power first.
const LOG2: [f32; 7] = [
    0.020_490_348,
    -0.096_066_26,
    0.215_588_54,
    -0.339_247_76,
    0.477_705_93,
    -0.721_162_74,
    1.442_693_2,
];

/// 2 to the t for t within a half of 0, likewise.
const EXP2: [f32; 5] = [
    0.009_676_037,
    0.055_922_035,
    0.240_221_07,
    0.693_121,
    1.000_000_1,
];

/// The binary logarithm to 2e-6, of 0 a little less than that of the
/// smallest number: the library's would be called once per sample.
#[inline(always)]
fn log2(value: f32) -> f32 {
    let bits = value.to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    let t = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000) - 1.0;
    let mut sum = 0.0;
    for coefficient in LOG2 {
        sum = sum * t + coefficient;
    }
    exponent as f32 + sum * t
}

/// 2 to the `value`, to 4 millionths, for values within ±120.
#[inline(always)]
fn exp2(value: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let value = value.clamp(-120.0, 120.0);
    let shifted = value + ROUND;
    let t = value - (shifted - ROUND);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    let mut sum = 0.0;
    for coefficient in EXP2 {
        sum = sum * t + coefficient;
    }
    power * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_the_library() {
        let mut value = 1e-20f32;
        while value < 1e20 {
            assert!((log2(value) - value.log2()).abs() < 2e-5, "{value}");
            for exponent in [0.4f32, 0.895, 1.3] {
                let (found, expected) = (exp2(exponent * log2(value)), value.powf(exponent));
                assert!((found / expected - 1.0).abs() < 5e-5, "{value}^{exponent}");
            }
            value *= 1.0137;
        }
        assert!(exp2(0.9 * log2(0.0)) < 1e-30);
    }

    #[test]
    fn pulls_are_within_a_hundredth_of_the_gradient() {
        let curve = Curve { a: 1.577, b: 0.895 };
        let pulls = Pulls::new(curve);
        let mut squared = 2e-12f32;
        while squared < 9e11 {
            // Minus the derivative of ln(1 / (1 + a s^b)) by the distance,
            // over the distance.
            let s = f64::from(squared);
            let power = curve.a * s.powf(curve.b);
            let expected = 2.0 * curve.b * power / (s * (1.0 + power));
            let found = f64::from(pulls.at(squared));
            assert!((found / expected - 1.0).abs() < 0.01, "{squared}: {found}");
            squared *= 1.37;
        }
        assert_eq!(pulls.at(0.0), pulls.at(Pulls::SMALLEST));
        assert_eq!(pulls.at(f32::INFINITY), pulls.at(Pulls::LARGEST));
    }

    #[test]
    fn edges_are_drawn_as_often_as_they_are_heavy() {
        let rates = rates(&[1.0, 0.5, 0.125]);
        let times = |rate: u32| {
            (1..=1000u32)
                .filter(|n| n.wrapping_mul(rate) < rate)
                .count()
        };
        let times: Vec<usize> = rates.into_iter().map(times).collect();
        assert_eq!(times, [999, 499, 124]);
    }

    #[test]
    fn points_upon_each_other_do_not_fly_apart() {
        // A ring of 2,000, all but on one spot at first.
        let num_rows = 2000u32;
        let ends = (0..num_rows).flat_map(|row| {
            let mut ends: Vec<u32> = (1..=7)
                .flat_map(|step| [row + step, row + num_rows - step])
                .map(|end| end % num_rows)
                .collect();
            ends.sort_unstable();
            ends
        });
        let graph = FuzzyGraph {
            starts: (0..=num_rows as usize).map(|row| row * 14).collect(),
            ends: ends.collect(),
            weights: vec![1.0; num_rows as usize * 14],
        };
        let start = Mat::from_fn(num_rows as usize, 2, |row, component| {
            ((row * 2 + component) as f64).sin() * 1e-4
        });
        let layout = Layout {
            curve: Curve { a: 1.577, b: 0.895 },
            num_epochs: 200,
            learning_rate: 1.0,
            negative_sample_rate: 5,
            repulsion_strength: 1.0,
        };
        let found = layout.run(&graph, &start, Seed::new(1));
        assert!(found.norm_max() < 40.0, "{}", found.norm_max());
    }
}
