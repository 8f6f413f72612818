use crate::image_panel::png_base64;
use crate::number::px;
use crate::palette::{Marker, NUM_COLOURS};

/// Points drawn into an image, where as shapes they would make a page that no
/// browser scrolls: 100,000 of them are some 5 MB as shapes.
pub(crate) struct PointRaster {
    width: usize,
    height: usize,
    /// Red, green, blue and opacity.
    pixels: Vec<u8>,
}

/// Pixels of the image for each of the drawing.
const SCALE: f64 = 2.0;

/// The colours of the style sheet on a light page, which do on a dark one;
/// of black, which does not, a grey (`.raster .c6` in the style sheet).
const COLOURS: [[u8; 3]; NUM_COLOURS] = [
    [0x00, 0x72, 0xb2],
    [0xe6, 0x9f, 0x00],
    [0x00, 0x9e, 0x73],
    [0xd5, 0x5e, 0x00],
    [0x56, 0xb4, 0xe9],
    [0xcc, 0x79, 0xa7],
    [0x80, 0x80, 0x80],
    [0xf0, 0xe4, 0x42],
];

/// Of the groups that have no colour of their own.
const OTHER: [u8; 3] = [0xb9, 0xbe, 0xc6];

impl PointRaster {
    /// An empty image over a drawing of some width and height in pixels.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        let (width, height) = ((width * SCALE) as usize, (height * SCALE) as usize);
        Self {
            width,
            height,
            pixels: vec![0; 4 * width * height],
        }
    }

    /// Draws a disc over what is there.
    pub(crate) fn add(&mut self, marker: Marker, x: f64, y: f64, radius: f64) {
        let [red, green, blue] = match marker {
            Marker::Group(index) => COLOURS[index % NUM_COLOURS],
            Marker::Other => OTHER,
        };
        let (x, y, radius) = (x * SCALE, y * SCALE, radius * SCALE);
        let range = |centre: f64, len: usize| {
            let first = (centre - radius).floor().max(0.0) as usize;
            let end = ((centre + radius).ceil().max(0.0) as usize + 1).min(len);
            first..end
        };
        for row in range(y, self.height) {
            for column in range(x, self.width) {
                let (dx, dy) = (column as f64 + 0.5 - x, row as f64 + 0.5 - y);
                if dx * dx + dy * dy <= radius * radius {
                    let pixel = &mut self.pixels[4 * (row * self.width + column)..][..4];
                    pixel.copy_from_slice(&[red, green, blue, 217]);
                }
            }
        }
    }

    /// An `<image>` over the whole drawing.
    pub(crate) fn into_markup(self, width: f64, height: f64) -> String {
        let png = png_base64(self.width, self.height, png::ColorType::Rgba, &self.pixels);
        format!(
            "<image width=\"{}\" height=\"{}\" href=\"data:image/png;base64,{png}\"/>\n",
            px(width),
            px(height)
        )
    }
}
