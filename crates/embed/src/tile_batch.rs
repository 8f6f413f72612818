use burn::tensor::{Device, Tensor, TensorData};
use morphospace_screen::Tile;

/// The tiles of a forward pass.
pub(crate) struct TileBatch {
    size: usize,
    /// Channels, side, side.
    shape: [usize; 3],
    /// `[size, channel, row, column]`, zeros behind the last tile.
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
            images: vec![0.0; size * shape.iter().product::<usize>()],
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
        let start = self.places.len() * tile.len();
        self.images[start..start + tile.len()].copy_from_slice(tile);
        self.places.push((site_index, place));
    }

    /// Fills the rest with the tiles that are there, from the first on, so that
    /// nothing else has a part in what the batch has in common.
    pub(crate) fn fill_up(&mut self) {
        let len = self.images.len() / self.size;
        let num = self.places.len();
        for place in num..self.size {
            let from = (place % num) * len;
            self.images.copy_within(from..from + len, place * len);
        }
    }

    /// The images, as many as a pass has; what comes next begins with zeros.
    pub(crate) fn take_images(&mut self, device: &Device) -> Tensor<4> {
        let zeros = vec![0.0; self.images.len()];
        let images = std::mem::replace(&mut self.images, zeros);
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
