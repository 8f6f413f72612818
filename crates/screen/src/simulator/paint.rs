use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Parameter;
use super::cell::{Cell, unit_vector};
use super::draw::{normal, round_at_random};
use super::texture::Texture;

const DNA: usize = 0;
const ER: usize = 1;
const ACTIN: usize = 2;
const RNA: usize = 3;
const MITO: usize = 4;
const GOLGI: usize = 5;

/// Stained matter in every pixel of RxRx1's six stains, row-major, before any
/// optics. An even, thick cytoplasm is about 1.
pub(super) type Planes = [Vec<f32>; 6];

/// Paints cells: first which pixel belongs to which cell (neighbours share a
/// straight border, as in a dense layer), then each compartment.
pub(super) fn paint(
    cells: &[Cell],
    image_px: usize,
    magnification: f32,
    rng: &mut ChaCha8Rng,
) -> Planes {
    let mut painter = Painter {
        territory: Territory::of(cells, image_px),
        planes: std::array::from_fn(|_| vec![0.0; image_px * image_px]),
        image_px,
        magnification,
    };
    for (index, cell) in cells.iter().enumerate() {
        painter.paint_compartments(index, cell);
        painter.paint_nucleoli(cell, rng);
        painter.paint_fibres(index, cell, rng);
        painter.paint_mitochondria(index, cell, rng);
        painter.paint_golgi(index, cell, rng);
    }
    painter.planes
}

/// To which cell each pixel belongs.
struct Territory {
    /// Index of the cell + 1, 0 for ground between the cells.
    owner: Vec<u16>,
    /// Distance from the owner's centre in units of its outline.
    nearest: Vec<f32>,
    /// The same for the next cell.
    second: Vec<f32>,
}

impl Territory {
    fn of(cells: &[Cell], image_px: usize) -> Self {
        let num_pixels = image_px * image_px;
        let mut territory = Self {
            owner: vec![0; num_pixels],
            nearest: vec![1.0; num_pixels],
            second: vec![f32::INFINITY; num_pixels],
        };
        for (index, cell) in cells.iter().enumerate() {
            let owner = u16::try_from(index + 1).expect("an image holds fewer than 65,535 cells");
            for_pixels_near(
                cell.body.x,
                cell.body.y,
                cell.reach(),
                image_px,
                |pixel, x, y| {
                    let distance = cell.outline_distance(x, y);
                    if distance < territory.nearest[pixel] {
                        if territory.owner[pixel] != 0 {
                            territory.second[pixel] = territory.nearest[pixel];
                        }
                        territory.nearest[pixel] = distance;
                        territory.owner[pixel] = owner;
                    } else if distance < territory.second[pixel] {
                        territory.second[pixel] = distance;
                    }
                },
            );
        }
        territory
    }
}

/// Calls `visit(pixel, x, y)` for the pixels in the square of half width
/// `reach` around a point, as far as they lie in the image.
fn for_pixels_near(
    x: f32,
    y: f32,
    reach: f32,
    image_px: usize,
    mut visit: impl FnMut(usize, f32, f32),
) {
    let range = |at: f32| {
        let low = (at - reach).floor().max(0.0) as usize;
        let high = ((at + reach).ceil() + 1.0).clamp(0.0, image_px as f32) as usize;
        low..high
    };
    for row in range(y) {
        for column in range(x) {
            visit(row * image_px + column, column as f32, row as f32);
        }
    }
}

struct Painter {
    territory: Territory,
    planes: Planes,
    image_px: usize,
    magnification: f32,
}

impl Painter {
    /// Everything that fills space: chromatin, reticulum, cytoplasm, rims.
    fn paint_compartments(&mut self, index: usize, cell: &Cell) {
        let texture = Texture::shared();
        let get = |parameter: Parameter| cell.morphology.get(parameter) as f32;
        let (offset, scale) = (cell.texture_offset, self.magnification);
        let other_offset = (offset.1 + 101.5, offset.0 + 37.25);
        let chromatin_grain = get(Parameter::ChromatinGrain) * scale;
        let chromatin_contrast = get(Parameter::ChromatinContrast);
        let er_extent = get(Parameter::ErExtent) * scale;
        let er_mesh = get(Parameter::ErMesh) * scale;
        let actin_cortex = get(Parameter::ActinCortex);
        let nuclear_rna = get(Parameter::NuclearRna);
        let membrane_share = get(Parameter::MembraneShare);
        let owner = index as u16 + 1;
        let Self {
            territory,
            planes,
            image_px,
            ..
        } = self;

        for_pixels_near(
            cell.body.x,
            cell.body.y,
            cell.reach(),
            *image_px,
            |pixel, x, y| {
                if territory.owner[pixel] != owner {
                    return;
                }
                let (near, next) = (territory.nearest[pixel], territory.second[pixel]);
                let rim_px = (1.0 - near).min(0.7 * (next - near)) * cell.body.b;
                let cover = ((1.0 - near) * cell.body.b).min(1.0);
                let thickness = 1.0 - 0.75 * near * near;
                let cortex = (-(rim_px / 1.4).powi(2)).exp();

                let (u, v) = cell.nucleus.local(x, y);
                let from_centre = (u * u + v * v).sqrt();
                let nucleus_px = (from_centre - 1.0) * cell.nucleus.b;
                let in_nucleus = (0.5 - nucleus_px).clamp(0.0, 1.0);
                let outside = 1.0 - in_nucleus;
                let fade = (-nucleus_px.max(0.0) / er_extent).exp();

                let fine = texture.at(x, y, 3.0 * scale, offset);
                let mut add = |channel: usize, amount: f32| {
                    planes[channel][pixel] += cover * cell.brightness[channel] * amount;
                };
                if in_nucleus > 0.0 {
                    let clumps = texture.at(x, y, chromatin_grain, other_offset);
                    let dome = 1.1 - 0.25 * from_centre * from_centre;
                    let chromatin = (1.0 + chromatin_contrast * clumps).max(0.15);
                    add(DNA, in_nucleus * dome * chromatin);
                    add(RNA, in_nucleus * 0.9 * nuclear_rna * (1.0 + 0.12 * clumps));
                }
                let mesh = texture.at(x, y, er_mesh, other_offset).abs();
                let reticulum = 0.45 + 1.0 * (1.0 - 1.2 * mesh).max(0.0);
                add(
                    ER,
                    outside * thickness * (0.1 + fade) * reticulum + 0.12 * in_nucleus,
                );
                add(DNA, 0.02 * outside);
                add(
                    ACTIN,
                    0.2 * thickness * (1.0 + 0.2 * fine) * (1.0 - 0.3 * in_nucleus)
                        + 0.45 * actin_cortex * cortex,
                );
                add(
                    RNA,
                    outside * thickness * (0.3 + 0.6 * fade.sqrt()) * (1.0 + 0.22 * fine),
                );
                add(MITO, 0.05 * outside * thickness);
                let nuclear_rim = (-(nucleus_px / 1.5).powi(2)).exp();
                add(
                    GOLGI,
                    0.12 * thickness * (1.0 + 0.5 * fine).max(0.0)
                        + 0.08 * nuclear_rim
                        + 0.75 * membrane_share * cortex,
                );
            },
        );
    }

    /// Bright spots of RNA in the nucleus, spared by chromatin.
    fn paint_nucleoli(&mut self, cell: &Cell, rng: &mut ChaCha8Rng) {
        let num_nucleoli = cell.morphology.get(Parameter::NucleoliCount) as usize;
        let mean_radius = cell.morphology.get(Parameter::NucleoliSize) as f32 * self.magnification;
        for _ in 0..num_nucleoli {
            let (cos, sin) = unit_vector(rng);
            let from_centre = 0.68 * rng.random::<f32>().sqrt();
            let (x, y) = cell.nucleus.global(from_centre * cos, from_centre * sin);
            let radius = mean_radius * rng.random_range(0.8..1.2);
            let Self {
                planes, image_px, ..
            } = self;
            for_pixels_near(x, y, 2.0 * radius + 1.0, *image_px, |pixel, px, py| {
                let distance = (px - x).hypot(py - y);
                let share = (0.5 + radius - distance).clamp(0.0, 1.0);
                planes[RNA][pixel] += 1.1 * share * cell.brightness[RNA];
                planes[DNA][pixel] *= 1.0 - 0.5 * share;
            });
        }
    }

    /// Stress fibres: straight lines through the cell, more or less along it.
    fn paint_fibres(&mut self, index: usize, cell: &Cell, rng: &mut ChaCha8Rng) {
        let num_fibres = round_at_random(cell.morphology.get(Parameter::FibreCount), rng);
        let disorder = cell.morphology.get(Parameter::FibreDisorder);
        let along = f64::from(cell.body.sin).atan2(f64::from(cell.body.cos));
        for _ in 0..num_fibres {
            let angle = along + disorder * normal(rng);
            let (cos, sin) = (angle.cos() as f32, angle.sin() as f32);
            let (side_cos, side_sin) = unit_vector(rng);
            let from_centre = 0.8 * rng.random::<f32>().sqrt();
            let (x, y) = cell
                .body
                .global(from_centre * side_cos, from_centre * side_sin);
            let half_length = cell.body.a * rng.random_range(0.4..0.9);
            let amount = 0.55 * cell.brightness[ACTIN] * rng.random_range(0.6..1.4);
            let mut at = -half_length;
            while at <= half_length {
                let taper = 1.0 - (at / half_length).powi(4);
                self.dot(
                    ACTIN,
                    Some(index),
                    x + at * cos,
                    y + at * sin,
                    0.75 * taper * amount,
                );
                at += 0.75;
            }
        }
    }

    /// A network of short, winding filaments around the nucleus.
    fn paint_mitochondria(&mut self, index: usize, cell: &Cell, rng: &mut ChaCha8Rng) {
        let num_filaments = round_at_random(cell.morphology.get(Parameter::MitoCount), rng);
        let mean_length = cell.morphology.get(Parameter::MitoLength) as f32 * self.magnification;
        let spread = cell.morphology.get(Parameter::MitoSpread) as f32;
        let radius = (cell.body.a * cell.body.b).sqrt();
        for _ in 0..num_filaments {
            let (cos, sin) = unit_vector(rng);
            let (rim_x, rim_y) = cell.nucleus.global(1.05 * cos, 1.05 * sin);
            let away = spread * radius * normal(rng).abs() as f32;
            let (out_x, out_y) = (rim_x - cell.nucleus.x, rim_y - cell.nucleus.y);
            let norm = out_x.hypot(out_y).max(1e-3);
            let (mut x, mut y) = (rim_x + away * out_x / norm, rim_y + away * out_y / norm);
            let mut heading = rng.random_range(0.0..std::f32::consts::TAU);
            let length = mean_length * rng.random_range(0.5..1.5);
            let amount = 0.8 * cell.brightness[MITO] * rng.random_range(0.7..1.3);
            let mut walked = 0.0;
            while walked < length {
                let (u, v) = cell.nucleus.local(x, y);
                if u * u + v * v > 0.95 {
                    self.dot(MITO, Some(index), x, y, amount);
                }
                // Turns of 0.2 radians per step make gentle worms.
                heading += 0.35 * (rng.random::<f32>() - 0.5) * 2.0;
                x += heading.cos();
                y += heading.sin();
                walked += 1.0;
            }
        }
    }

    /// A ribbon of stacks beside the nucleus, and vesicles on their way out.
    fn paint_golgi(&mut self, index: usize, cell: &Cell, rng: &mut ChaCha8Rng) {
        const NUM_STACKS: usize = 14;
        const NUM_VESICLES: usize = 10;
        let distance = cell.morphology.get(Parameter::GolgiDistance) as f32;
        let spread = cell.morphology.get(Parameter::GolgiSpread) as f32 * self.magnification;
        let (cos, sin) = unit_vector(rng);
        let (centre_x, centre_y) = cell.nucleus.global(distance * cos, distance * sin);
        let (out_x, out_y) = (centre_x - cell.nucleus.x, centre_y - cell.nucleus.y);
        let norm = out_x.hypot(out_y).max(1e-3);
        let (out_x, out_y) = (out_x / norm, out_y / norm);
        for _ in 0..NUM_STACKS {
            // Twice as wide around the nucleus as away from it.
            let across = 1.3 * spread * normal(rng) as f32;
            let outward = 0.65 * spread * normal(rng) as f32;
            let x = centre_x + across * -out_y + outward * out_x;
            let y = centre_y + across * out_x + outward * out_y;
            let radius = self.magnification * rng.random_range(1.0..1.7f32);
            let amount = 0.7 * cell.brightness[GOLGI] * rng.random_range(0.6..1.4);
            self.blob(GOLGI, index, x, y, radius, amount);
        }
        for _ in 0..NUM_VESICLES {
            let (cos, sin) = unit_vector(rng);
            let from_centre = 0.9 * rng.random::<f32>().sqrt();
            let (x, y) = cell.body.global(from_centre * cos, from_centre * sin);
            self.dot(GOLGI, Some(index), x, y, 0.9 * cell.brightness[GOLGI]);
        }
    }

    /// A point of matter, shared among the four pixels around it. With an
    /// owner given, only on that cell's ground.
    #[inline]
    fn dot(&mut self, channel: usize, owner: Option<usize>, x: f32, y: f32, amount: f32) {
        let limit = (self.image_px - 1) as f32;
        if !(x >= 0.0 && y >= 0.0 && x < limit && y < limit) {
            return;
        }
        let (column, row) = (x as usize, y as usize);
        let pixel = row * self.image_px + column;
        if owner.is_some_and(|index| usize::from(self.territory.owner[pixel]) != index + 1) {
            return;
        }
        let (fx, fy) = (x - column as f32, y - row as f32);
        let plane = &mut self.planes[channel];
        plane[pixel] += amount * (1.0 - fx) * (1.0 - fy);
        plane[pixel + 1] += amount * fx * (1.0 - fy);
        plane[pixel + self.image_px] += amount * (1.0 - fx) * fy;
        plane[pixel + self.image_px + 1] += amount * fx * fy;
    }

    /// A soft spot on the ground of a cell.
    fn blob(&mut self, channel: usize, index: usize, x: f32, y: f32, radius: f32, amount: f32) {
        let Self {
            territory,
            planes,
            image_px,
            ..
        } = self;
        for_pixels_near(x, y, 2.5 * radius, *image_px, |pixel, px, py| {
            if usize::from(territory.owner[pixel]) == index + 1 {
                let squared = ((px - x).powi(2) + (py - y).powi(2)) / (2.0 * radius * radius);
                planes[channel][pixel] += amount * (-squared).exp();
            }
        });
    }
}
