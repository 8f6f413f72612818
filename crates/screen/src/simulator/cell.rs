use std::f64::consts::{PI, TAU};

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use super::draw::{normal, round_at_random};
use super::{CellType, Effects, Morphology, Parameter};

/// An ellipse in the image, pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ellipse {
    pub(super) x: f32,
    pub(super) y: f32,
    /// Direction of the long axis.
    pub(super) cos: f32,
    pub(super) sin: f32,
    /// Half of the long and of the short axis.
    pub(super) a: f32,
    pub(super) b: f32,
}

impl Ellipse {
    fn new(x: f64, y: f64, angle: f64, radius: f64, elongation: f64) -> Self {
        Self {
            x: x as f32,
            y: y as f32,
            cos: angle.cos() as f32,
            sin: angle.sin() as f32,
            a: (radius * elongation.sqrt()) as f32,
            b: (radius / elongation.sqrt()) as f32,
        }
    }

    /// A point in units of the half axes: the rim lies at distance 1.
    #[inline]
    pub(super) fn local(&self, x: f32, y: f32) -> (f32, f32) {
        let (dx, dy) = (x - self.x, y - self.y);
        (
            (self.cos * dx + self.sin * dy) / self.a,
            (self.cos * dy - self.sin * dx) / self.b,
        )
    }

    /// The inverse of [`Ellipse::local`].
    #[inline]
    pub(super) fn global(&self, u: f32, v: f32) -> (f32, f32) {
        let (du, dv) = (u * self.a, v * self.b);
        (
            self.x + self.cos * du - self.sin * dv,
            self.y + self.sin * du + self.cos * dv,
        )
    }
}

/// A cell in its place: what the painter needs to know.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) morphology: Morphology,
    pub(super) body: Ellipse,
    pub(super) nucleus: Ellipse,
    /// Lobes of the outline: cosine and sine amplitudes of two, three and
    /// five waves around it.
    pub(super) lobes: [(f32, f32); 3],
    /// Where on the noise tile the cell's textures are cut.
    pub(super) texture_offset: (f32, f32),
    /// How strongly the cell takes each stain.
    pub(super) brightness: [f32; 6],
    /// Whether the cell's centre lies in the image.
    pub(super) is_inside: bool,
}

impl Cell {
    /// The radius of a circle that holds the whole cell, pixels.
    pub(super) fn reach(&self) -> f32 {
        let amplitude: f32 = self.lobes.iter().map(|(c, s)| c.hypot(*s)).sum();
        self.body.a * (1.0 + amplitude)
    }

    /// Distance from the centre in units of the outline: 1 on it.
    #[inline]
    pub(super) fn outline_distance(&self, x: f32, y: f32) -> f32 {
        let (u, v) = self.body.local(x, y);
        let distance = (u * u + v * v).sqrt();
        if distance < 1e-3 {
            return distance;
        }
        // Powers of the unit vector are the waves around the outline.
        let (c, s) = (u / distance, v / distance);
        let (c2, s2) = (c * c - s * s, 2.0 * c * s);
        let (c3, s3) = (c2 * c - s2 * s, c2 * s + s2 * c);
        let (c5, s5) = (c2 * c3 - s2 * s3, c2 * s3 + s2 * c3);
        let [(p2, q2), (p3, q3), (p5, q5)] = self.lobes;
        let outline = 1.0 + p2 * c2 + q2 * s2 + p3 * c3 + q3 * s3 + p5 * c5 + q5 * s5;
        distance / outline.max(0.4)
    }
}

/// Places cells in an image and a margin around it and draws their
/// parameters. Cells keep a distance from each other, or seek neighbours,
/// as their type does.
pub(super) fn place_cells(
    cell_type: CellType,
    effects: &Effects,
    cell_variation: f64,
    image_px: usize,
    magnification: f64,
    rng: &mut ChaCha8Rng,
) -> Vec<Cell> {
    let mean = Morphology::base(cell_type).moved(effects);
    let radius = mean.get(Parameter::CellSize) * magnification;
    let margin = 1.5 * radius;
    let side = image_px as f64 + 2.0 * margin;
    let per_pixel = mean.get(Parameter::CellCount) / (256.0 * magnification).powi(2);
    let num_cells = round_at_random(per_pixel * side * side, rng);
    let common_angle = rng.random_range(0.0..PI);

    let mut cells: Vec<Cell> = Vec::with_capacity(num_cells);
    for _ in 0..num_cells {
        let (x, y) = choose_place(&cells, radius, cell_type.clumping(), side, margin, rng);
        let mut own = *effects;
        own.0
            .iter_mut()
            .for_each(|effect| *effect += cell_variation * normal(rng));
        let morphology = within_reason(Morphology::base(cell_type).moved(&own), rng);
        let disorder = (1.0 - cell_type.alignment()) * PI / 2.0;
        let angle = common_angle + disorder * rng.random_range(-1.0..1.0);
        let is_inside = [x, y].iter().all(|at| (0.0..image_px as f64).contains(at));
        cells.push(draw_cell(
            morphology,
            (x, y),
            angle,
            magnification,
            is_inside,
            rng,
        ));
    }

    let count = cells.iter().filter(|cell| cell.is_inside).count() as f64
        * (256.0 * magnification / image_px as f64).powi(2);
    cells
        .iter_mut()
        .for_each(|cell| cell.morphology.set(Parameter::CellCount, count));
    cells
}

/// The best of some random places: not on another cell, and near one if the
/// cells clump.
fn choose_place(
    cells: &[Cell],
    radius: f64,
    clumping: f64,
    side: f64,
    margin: f64,
    rng: &mut ChaCha8Rng,
) -> (f64, f64) {
    const NUM_CANDIDATES: usize = 14;
    let spacing = 1.55 * radius;
    let mut best = (f64::NEG_INFINITY, (0.0, 0.0));
    for _ in 0..NUM_CANDIDATES {
        let x = rng.random::<f64>() * side - margin;
        let y = rng.random::<f64>() * side - margin;
        let nearest = cells
            .iter()
            .map(|cell| (x - f64::from(cell.body.x)).hypot(y - f64::from(cell.body.y)))
            .fold(4.0 * radius, f64::min);
        let score = match nearest - spacing {
            too_near if too_near < 0.0 => too_near,
            apart => -clumping * apart,
        };
        if score > best.0 {
            best = (score, (x, y));
        }
    }
    best.1
}

/// Keeps a cell's parameters where shapes stay drawable, and makes counts of
/// nucleoli whole.
fn within_reason(mut morphology: Morphology, rng: &mut ChaCha8Rng) -> Morphology {
    let mut bound = |parameter: Parameter, low: f64, high: f64| {
        morphology.set(parameter, morphology.get(parameter).clamp(low, high));
    };
    bound(Parameter::CellElongation, 1.0, 4.0);
    bound(Parameter::CellIrregularity, 0.0, 0.35);
    bound(Parameter::NucleusSize, 0.2, 0.75);
    bound(Parameter::NucleusElongation, 1.0, 2.5);
    bound(Parameter::FibreDisorder, 0.0, 1.6);
    let nucleoli = round_at_random(morphology.get(Parameter::NucleoliCount), rng).max(1);
    morphology.set(Parameter::NucleoliCount, nucleoli as f64);
    morphology
}

fn draw_cell(
    morphology: Morphology,
    (x, y): (f64, f64),
    angle: f64,
    magnification: f64,
    is_inside: bool,
    rng: &mut ChaCha8Rng,
) -> Cell {
    let get = |parameter| morphology.get(parameter);
    let radius = get(Parameter::CellSize) * magnification;
    let body = Ellipse::new(x, y, angle, radius, get(Parameter::CellElongation));

    // Few and large lobes, more and small ones.
    let mut lobe = |share: f64| {
        let amplitude = get(Parameter::CellIrregularity) * share * rng.random_range(0.5..1.5);
        let phase = rng.random_range(0.0..TAU);
        (
            (amplitude * phase.cos()) as f32,
            (amplitude * phase.sin()) as f32,
        )
    };
    let lobes = [lobe(0.8), lobe(0.75), lobe(0.35)];

    let offset = rng.random_range(0.0..0.22f32);
    let (toward_cos, toward_sin) = unit_vector(rng);
    let (nucleus_x, nucleus_y) = body.global(offset * toward_cos, offset * toward_sin);
    let mut nucleus = Ellipse::new(
        f64::from(nucleus_x),
        f64::from(nucleus_y),
        angle + 0.35 * normal(rng),
        radius * get(Parameter::NucleusSize),
        get(Parameter::NucleusElongation),
    );
    nucleus.b = nucleus.b.min(0.82 * body.b);
    nucleus.a = nucleus.a.min(0.82 * body.a).max(nucleus.b);

    Cell {
        morphology,
        body,
        nucleus,
        lobes,
        texture_offset: (rng.random_range(0.0..256.0), rng.random_range(0.0..256.0)),
        brightness: std::array::from_fn(|_| (0.18 * normal(rng)).exp() as f32),
        is_inside,
    }
}

/// A direction, all alike.
pub(super) fn unit_vector(rng: &mut impl Rng) -> (f32, f32) {
    let angle = rng.random_range(0.0..std::f32::consts::TAU);
    (angle.cos(), angle.sin())
}

#[cfg(test)]
mod tests {
    use morphospace_core::Seed;

    use super::*;

    #[test]
    fn cells_are_as_many_as_asked_and_keep_apart() {
        for cell_type in CellType::ALL {
            let mut rng = Seed::new(5).rng();
            let cells = place_cells(cell_type, &Effects::NONE, 0.3, 512, 1.0, &mut rng);
            let expected = Parameter::CellCount.base(cell_type);
            let count = cells[0].morphology.get(Parameter::CellCount);
            assert!(
                (count / expected - 1.0).abs() < 0.35,
                "{cell_type:?}: {count} of {expected}"
            );
            let mut too_near = 0;
            for (index, one) in cells.iter().enumerate() {
                for other in &cells[..index] {
                    let apart = (one.body.x - other.body.x).hypot(one.body.y - other.body.y);
                    too_near +=
                        usize::from(f64::from(apart) < 0.5 * Parameter::CellSize.base(cell_type));
                }
            }
            assert!(
                too_near * 20 <= cells.len(),
                "{cell_type:?}: {too_near} of {}",
                cells.len()
            );
        }
    }

    #[test]
    fn the_nucleus_lies_in_its_cell() {
        let mut rng = Seed::new(6).rng();
        for cell in place_cells(CellType::U2os, &Effects::NONE, 0.6, 512, 1.0, &mut rng) {
            assert!(cell.outline_distance(cell.nucleus.x, cell.nucleus.y) < 0.6);
            let (x, y) = cell.nucleus.global(1.0, 0.0);
            let (u, v) = cell.nucleus.local(x, y);
            assert!((u - 1.0).abs() < 1e-3 && v.abs() < 1e-3);
        }
    }
}
