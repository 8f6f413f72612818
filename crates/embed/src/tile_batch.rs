use burn::tensor::{Device, Tensor, TensorData};
use morphospace_screen::Tile;

/// The tiles of a forward pass.
pub(crate) struct TileBatch {
    size: usize,
    /// Channels, side, side.
    shape: [usize; 3],
    /// `[tile, channel, row, column]`, of the tiles that are there.
    images: Vec<f32>,
    /// Site and place of each tile.
    pub(crate) places: Vec<(usize, Tile)>,
}

impl TileBatch {
    pub(crate) fn new(size: usize, num_channels: usize, side: usize) -> Self {
        let shape = [num_channels, side, side];
        Self {
            size,
            shape,
            images: Vec::new(),
            places: Vec::with_capacity(size),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.places.len() == self.size
    }

    pub(crate) fn push(&mut self, tile: &[f32], site_index: usize, place: Tile) {
        if self.images.is_empty() {
            self.images.reserve_exact(self.size * tile.len());
        }
        self.images.extend_from_slice(tile);
        self.places.push((site_index, place));
    }

    /// Fills the rest with the tiles that are there, from the first on, so that
    /// nothing else has a part in what the batch has in common.
    pub(crate) fn fill_up(&mut self) {
        let num = self.places.len();
        let len = self.images.len() / num;
        for place in num..self.size {
            let from = (place % num) * len;
            self.images.extend_from_within(from..from + len);
        }
    }

    /// The images, as many as a pass has, zeros behind the last.
    pub(crate) fn take_images(&mut self, device: &Device) -> Tensor<4> {
        let mut images = std::mem::take(&mut self.images);
        images.resize(self.size * self.shape.iter().product::<usize>(), 0.0);
        let [channels, height, width] = self.shape;
        let shape = [self.size, channels, height, width];
        Tensor::from_data(TensorData::new(images, shape), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fills_up_is_what_is_there() {
        let mut batch = TileBatch::new(5, 1, 1);
        let tile = Tile {
            top: 0,
            left: 0,
            crop_px: 1,
        };
        batch.push(&[1.0], 0, tile);
        batch.push(&[2.0], 1, tile);
        batch.fill_up();
        let images = batch.take_images(&Device::default()).into_data();
        let images: Vec<f32> = images.iter().collect();
        assert_eq!(images, [1.0, 2.0, 1.0, 2.0, 1.0]);
        assert_eq!(batch.len(), 2);
    }
}
