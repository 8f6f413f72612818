use serde::{Deserialize, Serialize};

/// A rectangle of pixels within an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropBox {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl CropBox {
    /// All of an image.
    pub fn whole(height: usize, width: usize) -> Self {
        Self {
            top: 0,
            left: 0,
            height,
            width,
        }
    }

    /// Number of pixels.
    pub fn area(self) -> usize {
        self.height * self.width
    }

    /// Whether it has pixels, all of them within an image of the given size.
    pub fn is_within(self, height: usize, width: usize) -> bool {
        self.area() > 0 && self.top + self.height <= height && self.left + self.width <= width
    }
}
