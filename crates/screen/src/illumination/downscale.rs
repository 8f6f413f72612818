use crate::screen::{Pixels, Plane};

/// Sums of pixels over squares of an image or of many, exact whatever their
/// order. Squares at the right and lower edge may be smaller.
pub(super) struct BlockSums {
    /// Squares per row.
    pub(super) width: usize,
    side_px: usize,
    image_width: usize,
    image_height: usize,
    sums: Vec<u64>,
}

impl BlockSums {
    pub(super) fn new(image_width: usize, image_height: usize, side_px: usize) -> Self {
        let width = image_width.div_ceil(side_px);
        Self {
            width,
            side_px,
            image_width,
            image_height,
            sums: vec![0; width * image_height.div_ceil(side_px)],
        }
    }

    pub(super) fn of(plane: &Plane, side_px: usize) -> Self {
        let mut sums = Self::new(plane.width, plane.height, side_px);
        match &plane.pixels {
            Pixels::U8(pixels) => sums.add_pixels(pixels),
            Pixels::U16(pixels) => sums.add_pixels(pixels),
        }
        sums
    }

    fn add_pixels<T: Copy + Into<u64>>(&mut self, pixels: &[T]) {
        for (y, row) in pixels.chunks_exact(self.image_width).enumerate() {
            let sums = &mut self.sums[y / self.side_px * self.width..][..self.width];
            for (sum, block) in sums.iter_mut().zip(row.chunks(self.side_px)) {
                *sum += block.iter().map(|&pixel| pixel.into()).sum::<u64>();
            }
        }
    }

    /// Adds the sums of images of the same size.
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            *sum += more;
        }
    }

    /// Mean pixel of each square over `num_images` images.
    pub(super) fn mean(&self, num_images: usize) -> Vec<f64> {
        let side =
            |index: usize, image_side: usize| self.side_px.min(image_side - index * self.side_px);
        let mean = |(index, &sum): (usize, &u64)| {
            let width = side(index % self.width, self.image_width);
            let height = side(index / self.width, self.image_height);
            sum as f64 / (width * height * num_images) as f64
        };
        self.sums.iter().enumerate().map(mean).collect()
    }
}

/// Brings a shrunk image back to full size by linear interpolation between
/// the centres of its squares; beyond the outermost centres it is constant.
pub(super) fn upscaled(
    values: &[f64],
    small_width: usize,
    side_px: usize,
    width: usize,
    height: usize,
) -> Vec<f64> {
    if side_px == 1 {
        return values.to_vec();
    }
    let small_height = values.len() / small_width;
    let columns: Vec<Between> = (0..width)
        .map(|x| Between::of(x, side_px, small_width))
        .collect();
    (0..height)
        .flat_map(|y| {
            let row = Between::of(y, side_px, small_height);
            let at = |row: usize, column: &Between| {
                let row = &values[row * small_width..][..small_width];
                row[column.low] + column.part * (row[column.high] - row[column.low])
            };
            columns
                .iter()
                .map(move |column| {
                    let (low, high) = (at(row.low, column), at(row.high, column));
                    low + row.part * (high - low)
                })
                .collect::<Vec<f64>>()
        })
        .collect()
}

/// The two squares a pixel lies between, and how far it is from the first.
#[derive(Clone, Copy)]
struct Between {
    low: usize,
    high: usize,
    part: f64,
}

impl Between {
    fn of(pixel: usize, side_px: usize, num_squares: usize) -> Self {
        let place = (pixel as f64 + 0.5) / side_px as f64 - 0.5;
        let place = place.clamp(0.0, (num_squares - 1) as f64);
        let low = place.floor() as usize;
        Self {
            low,
            high: (low + 1).min(num_squares - 1),
            part: place - low as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_at_the_edge_hold_fewer_pixels() {
        let plane = Plane {
            width: 3,
            height: 3,
            pixels: Pixels::U8(vec![1, 3, 10, 5, 7, 20, 8, 10, 30]),
        };
        let mut sums = BlockSums::of(&plane, 2);
        assert_eq!(sums.mean(1), [4.0, 15.0, 9.0, 30.0]);
        sums.add(&BlockSums::of(&Plane::zeros(3, 3), 2));
        assert_eq!(sums.mean(2), [2.0, 7.5, 4.5, 15.0]);
    }

    #[test]
    fn a_ramp_stays_a_ramp_between_the_outermost_centres() {
        let values = [0.0, 2.0, 4.0];
        let wide = upscaled(&values, 3, 2, 6, 1);
        assert_eq!(wide, [0.0, 0.5, 1.5, 2.5, 3.5, 4.0]);
    }
}
