use std::io::{self, Write};

use crate::screen::{Pixels, Plane};

/// Writes a grey PNG of the plane's bit depth.
pub(crate) fn write_png(mut file: impl Write, plane: &Plane) -> io::Result<()> {
    let size = |px: usize| u32::try_from(px).map_err(io::Error::other);
    let mut encoder = png::Encoder::new(&mut file, size(plane.width)?, size(plane.height)?);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_compression(png::Compression::Fast);
    match &plane.pixels {
        Pixels::U8(values) => {
            encoder.set_depth(png::BitDepth::Eight);
            let mut writer = encoder.write_header()?;
            writer.write_image_data(values)?;
            writer.finish()?;
        }
        Pixels::U16(values) => {
            encoder.set_depth(png::BitDepth::Sixteen);
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_be_bytes())
                .collect();
            let mut writer = encoder.write_header()?;
            writer.write_image_data(&bytes)?;
            writer.finish()?;
        }
    }
    file.flush()
}
