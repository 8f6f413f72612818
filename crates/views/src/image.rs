use std::ops::Range;

/// Grey levels of a site or of a part of it, plane by plane: those of channel
/// 0 row by row, then those of channel 1.
///
/// In training levels lie in 0..=255 and may be fractional; see
/// [`Levels`](crate::Levels).
///
/// ```
/// use morphospace_views::Image;
///
/// let image = Image::new(2, 1, 3, vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
/// assert_eq!(image.plane(1), [10.0, 11.0, 12.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    channels: usize,
    height: usize,
    width: usize,
    levels: Vec<f32>,
}

impl Image {
    /// An image of the given size, `levels` being `[channels, height, width]`.
    ///
    /// # Panics
    /// The size is 0, or not that of `levels`: a mistake of the program, not
    /// of a user.
    pub fn new(channels: usize, height: usize, width: usize, levels: Vec<f32>) -> Self {
        assert_eq!(
            levels.len(),
            channels * height * width,
            "levels of an image of {channels} x {height} x {width}"
        );
        assert!(!levels.is_empty(), "an image has pixels");
        Self {
            channels,
            height,
            width,
            levels,
        }
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All levels, `[channels, height, width]`.
    pub fn levels(&self) -> &[f32] {
        &self.levels
    }

    /// All levels, to be changed in place, as standardisation does.
    pub fn levels_mut(&mut self) -> &mut [f32] {
        &mut self.levels
    }

    /// All levels, `[channels, height, width]`.
    pub fn into_levels(self) -> Vec<f32> {
        self.levels
    }

    /// The levels of one channel, `[height, width]`.
    pub fn plane(&self, channel: usize) -> &[f32] {
        let len = self.height * self.width;
        &self.levels[channel * len..][..len]
    }

    /// The levels of neighbouring channels, one after the other.
    pub(crate) fn planes_mut(&mut self, channels: Range<usize>) -> &mut [f32] {
        let len = self.height * self.width;
        &mut self.levels[channels.start * len..channels.end * len]
    }

    /// All planes in turn.
    pub(crate) fn planes(&self) -> impl Iterator<Item = &[f32]> {
        self.levels.chunks_exact(self.height * self.width)
    }

    /// The image of the same channels whose planes are written by `plane`.
    pub(crate) fn map_planes(
        &self,
        [height, width]: [usize; 2],
        mut plane: impl FnMut(&[f32], &mut [f32]),
    ) -> Self {
        let len = height * width;
        let mut levels = vec![0.0; self.channels * len];
        for (from, to) in self.planes().zip(levels.chunks_exact_mut(len)) {
            plane(from, to);
        }
        Self::new(self.channels, height, width, levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "levels of an image of 2 x 1 x 3")]
    fn a_wrong_number_of_levels_is_a_mistake() {
        drop(Image::new(2, 1, 3, vec![0.0; 5]));
    }
}
