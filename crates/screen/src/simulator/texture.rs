use std::sync::OnceLock;

use morphospace_core::Seed;

use super::draw::PixelNoise;

const SIDE: usize = 256;
const MASK: i32 = SIDE as i32 - 1;
/// Size of the tile's own grains, pixels of the tile.
const TILE_GRAIN: f32 = 8.0;

/// A periodic tile of smooth noise, mean 0 and standard deviation 1, from
/// which every texture is cut. One tile serves all screens: a texture's
/// place on it is drawn per cell.
pub(super) struct Texture {
    values: Vec<f32>,
}

impl Texture {
    /// The tile, made at first use.
    pub(super) fn shared() -> &'static Self {
        static TILE: OnceLock<Texture> = OnceLock::new();
        TILE.get_or_init(|| Self::new(Seed::new(0).split("texture tile")))
    }

    fn new(seed: Seed) -> Self {
        let mut noise = PixelNoise::new(seed);
        let mut values: Vec<f32> = (0..SIDE * SIDE).map(|_| noise.next()).collect();
        // Three box filters of 5 pixels along each axis come close to a
        // Gaussian of sd 2.4, whose grains are about 8 pixels apart.
        for _ in 0..3 {
            values = box_filter(&values, |row, column, k| row * SIDE + (column + k) % SIDE);
            values = box_filter(&values, |row, column, k| (row + k) % SIDE * SIDE + column);
        }
        let num_values = values.len() as f32;
        let mean = values.iter().sum::<f32>() / num_values;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / num_values;
        values
            .iter_mut()
            .for_each(|v| *v = (*v - mean) / variance.sqrt());
        Self { values }
    }

    /// The noise at (x, y) when grains are `grain` pixels in size, shifted
    /// by `offset` tile pixels.
    #[inline]
    pub(super) fn at(&self, x: f32, y: f32, grain: f32, offset: (f32, f32)) -> f32 {
        let scale = TILE_GRAIN / grain;
        let (u, v) = (x * scale + offset.0, y * scale + offset.1);
        let (u_floor, v_floor) = (u.floor(), v.floor());
        let (fu, fv) = (u - u_floor, v - v_floor);
        let (u0, v0) = (u_floor as i32 & MASK, v_floor as i32 & MASK);
        let (u1, v1) = ((u0 + 1) & MASK, (v0 + 1) & MASK);
        let value = |u: i32, v: i32| self.values[v as usize * SIDE + u as usize];
        let top = value(u0, v0) + fu * (value(u1, v0) - value(u0, v0));
        let bottom = value(u0, v1) + fu * (value(u1, v1) - value(u0, v1));
        top + fv * (bottom - top)
    }
}

fn box_filter(values: &[f32], index: impl Fn(usize, usize, usize) -> usize) -> Vec<f32> {
    let mut filtered = Vec::with_capacity(values.len());
    for row in 0..SIDE {
        for column in 0..SIDE {
            filtered.push((0..5).map(|k| values[index(row, column, k)]).sum::<f32>() / 5.0);
        }
    }
    filtered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tile_wraps_around() {
        let texture = Texture::shared();
        let period = SIDE as f32;
        for (x, y) in [(0.25, 3.5), (250.75, 255.5), (-3.25, 17.0)] {
            let here = texture.at(x, y, TILE_GRAIN, (0.0, 0.0));
            let there = texture.at(x + period, y - period, TILE_GRAIN, (0.0, 0.0));
            assert!((here - there).abs() < 1e-4, "{here} {there}");
        }
    }

    #[test]
    fn finer_grain_changes_faster() {
        let texture = Texture::shared();
        let roughness = |grain: f32| -> f32 {
            let at = |x: usize| texture.at(x as f32, 40.0, grain, (0.0, 0.0));
            (0..200).map(|x| (at(x + 1) - at(x)).abs()).sum()
        };
        assert!(roughness(2.0) > 1.5 * roughness(6.0));
    }
}
