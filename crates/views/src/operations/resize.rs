use crate::interpolation::Taps;
use crate::{CropBox, Image, Interpolation, Levels};

/// Cuts a box out and brings it to a size `[height, width]`.
///
/// # Source
/// torchvision's `v2.functional.resized_crop`. Lines are resized one after the
/// other; bytes are rounded between, as PyTorch does.
pub(crate) fn resized_crop(
    image: &Image,
    crop: CropBox,
    size: [usize; 2],
    interpolation: Interpolation,
    levels: Levels,
) -> Image {
    if size == [crop.height, crop.width] {
        return super::crop(image, crop);
    }
    assert!(
        crop.is_within(image.height(), image.width()),
        "{crop:?} is not within {} x {} px",
        image.height(),
        image.width()
    );
    let [height, width] = size;
    let [rows, columns] =
        [(crop.height, height), (crop.width, width)].map(|(from, to)| match levels {
            Levels::Bytes => Taps::of_bytes(interpolation, from, to),
            Levels::Unit | Levels::Grey => Taps::new(interpolation, from, to),
        });
    // Fewer rows first, if there are to be fewer: that pass goes over whole
    // lines and is the faster one. PyTorch begins with columns, which is the
    // same but where bytes are rounded.
    let is_rows_first = height < crop.height && levels != Levels::Bytes;
    let between_len = if is_rows_first {
        height * crop.width
    } else {
        crop.height * width
    };
    let mut between = vec![0.0; between_len];
    image.map_planes(size, |plane, out| {
        let source = Lines {
            levels: &plane[crop.top * image.width() + crop.left..],
            width: crop.width,
            stride: image.width(),
        };
        if is_rows_first {
            resize_rows(source, &rows, &mut between);
            resize_columns(Lines::dense(&between, crop.width), &columns, width, out);
        } else {
            resize_columns(source, &columns, width, &mut between);
            bounded(&mut between, levels);
            resize_rows(Lines::dense(&between, width), &rows, out);
        }
        bounded(out, levels);
    })
}

/// Rows of equal length within a plane.
#[derive(Clone, Copy)]
struct Lines<'a> {
    levels: &'a [f32],
    width: usize,
    /// From one row to the next.
    stride: usize,
}

impl<'a> Lines<'a> {
    fn dense(levels: &'a [f32], width: usize) -> Self {
        Self {
            levels,
            width,
            stride: width,
        }
    }

    fn row(&self, index: usize) -> &'a [f32] {
        &self.levels[index * self.stride..][..self.width]
    }
}

/// Another number of rows, each a sum of rows.
fn resize_rows(source: Lines, taps: &Taps, out: &mut [f32]) {
    for ((start, weights), out) in taps.iter().zip(out.chunks_exact_mut(source.width)) {
        out.fill(0.0);
        for (index, &weight) in weights.iter().enumerate() {
            let row = source.row(start + index);
            for (sum, level) in out.iter_mut().zip(row) {
                *sum += weight * level;
            }
        }
    }
}

/// Another number of columns: each row resized.
fn resize_columns(source: Lines, taps: &Taps, width: usize, out: &mut [f32]) {
    for (index, out) in out.chunks_exact_mut(width).enumerate() {
        let row = source.row(index);
        for ((start, weights), out) in taps.iter().zip(out) {
            let levels = &row[start..][..weights.len()];
            let products = levels.iter().zip(weights);
            *out = products.map(|(level, weight)| level * weight).sum();
        }
    }
}

/// Cubics overshoot: PyTorch keeps bytes within their bounds, after rounding
/// halves up, and leaves floats as they are.
fn bounded(out: &mut [f32], levels: Levels) {
    let bound = levels.bound();
    match levels {
        Levels::Unit => {}
        Levels::Bytes => {
            for level in out {
                *level = (*level + 0.5).floor().clamp(0.0, bound);
            }
        }
        Levels::Grey => {
            for level in out {
                *level = level.clamp(0.0, bound);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_and_doubles_by_hand() {
        let image = Image::new(1, 2, 2, vec![0.0, 8.0, 16.0, 24.0]);
        let whole = CropBox::whole(2, 2);
        let resized =
            |size, kind| resized_crop(&image, whole, size, kind, Levels::Grey).into_levels();
        assert_eq!(resized([1, 1], Interpolation::Bilinear), [12.0]);
        assert_eq!(resized([1, 1], Interpolation::BilinearPlain), [12.0]);
        assert_eq!(resized([1, 1], Interpolation::Nearest), [0.0]);
        let wide = [0.0, 2.0, 6.0, 8.0, 16.0, 18.0, 22.0, 24.0];
        assert_eq!(resized([2, 4], Interpolation::Bilinear), wide);
        assert_eq!(resized([2, 4], Interpolation::BilinearPlain), wide);
    }

    #[test]
    fn only_the_box_counts() {
        // Levels outside would be seen at once.
        let mut levels = vec![1e9; 36];
        for row in 2..5 {
            levels[row * 6 + 1..row * 6 + 5].fill(7.0);
        }
        let image = Image::new(1, 6, 6, levels);
        let crop = CropBox {
            top: 2,
            left: 1,
            height: 3,
            width: 4,
        };
        for kind in [
            Interpolation::Bilinear,
            Interpolation::Bicubic,
            Interpolation::BilinearPlain,
            Interpolation::Nearest,
        ] {
            for size in [[1, 1], [2, 5], [3, 4], [9, 8]] {
                let resized = resized_crop(&image, crop, size, kind, Levels::Unit);
                let is_seven = |level: &f32| (level - 7.0).abs() < 1e-5;
                assert!(resized.levels().iter().all(is_seven), "{kind:?} {size:?}");
            }
        }
    }

    #[test]
    fn cubics_stay_within_the_bounds_of_grey_levels() {
        let image = Image::new(1, 1, 4, vec![0.0, 0.0, 255.0, 255.0]);
        let whole = CropBox::whole(1, 4);
        let resized = |levels| {
            resized_crop(&image, whole, [1, 16], Interpolation::Bicubic, levels).into_levels()
        };
        assert!(
            resized(Levels::Grey)
                .iter()
                .all(|level| (0.0..=255.0).contains(level))
        );
        assert!(resized(Levels::Unit).iter().any(|&level| level < -1.0));
    }
}
