use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use super::{DecodeError, checked_size};
use crate::screen::{Pixels, Plane};

/// Most pixels of a JPEG 2000 that is decoded: 8,192 x 8,192. A blank image
/// of any size fits into a hundred bytes, so the length of a file says
/// nothing, and decoding takes several times the memory of the pixels.
const MAX_NUM_PIXELS: usize = 1 << 26;

/// A JP2 file or a bare codestream.
pub(super) fn is_jpeg2000(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0\0\0\x0cjP  ") || bytes.starts_with(b"\xff\x4f\xff\x51")
}

/// Decodes a grey JPEG 2000 of 8 or 16 bits per pixel, lossless or not.
pub(super) fn decode_jpeg2000(bytes: &[u8]) -> Result<Plane, DecodeError> {
    let damaged = |message: String| DecodeError::Damaged {
        format: "JPEG 2000",
        message,
    };
    let settings = DecodeSettings {
        resolve_palette_indices: false,
        // A file that ends early is an error, not a coarser image.
        strict: true,
        target_resolution: None,
    };
    let image = Image::new(bytes, &settings).map_err(|error| damaged(error.to_string()))?;
    let (width, height) = checked_size(image.width() as usize, image.height() as usize)?;
    if width * height > MAX_NUM_PIXELS {
        return Err(DecodeError::TooLargeForFormat {
            format: "JPEG 2000",
            width,
            height,
            max_num_pixels: MAX_NUM_PIXELS,
        });
    }
    if image.color_space().num_channels() != 1 || image.has_alpha() {
        return Err(DecodeError::NotGrey {
            found: "a colour image".to_owned(),
        });
    }
    if is_signed(bytes) {
        return Err(DecodeError::Unsupported {
            format: "JPEG 2000",
            found: "values with a sign".to_owned(),
        });
    }
    let bits = image.original_bit_depth();
    // Another depth would read as one of these, and never be saturated.
    if !matches!(bits, 8 | 16) {
        return Err(DecodeError::UnsupportedDepth { bits });
    }
    let mut context = DecoderContext::default();
    let decoded = image
        .decode(&mut context)
        .map_err(|error| damaged(error.to_string()))?;
    let samples = match decoded.components() {
        [component] if component.samples().len() == width * height => component.samples(),
        components => {
            return Err(damaged(format!("{} components", components.len())));
        }
    };
    // Lossy files overshoot the range, and `as` saturates only at the type's;
    // it also drops the fraction.
    let largest = ((1u32 << bits) - 1) as f32;
    let rounded = |&sample: &f32| (sample + 0.5).clamp(0.0, largest);
    let pixels = if bits == 8 {
        Pixels::U8(samples.iter().map(|sample| rounded(sample) as u8).collect())
    } else {
        Pixels::U16(
            samples
                .iter()
                .map(|sample| rounded(sample) as u16)
                .collect(),
        )
    };
    Ok(Plane {
        width,
        height,
        pixels,
    })
}

/// Whether the header of the codestream (ISO/IEC 15444-1, A.5.1) says that
/// samples have a sign, which is the highest bit of their depth.
fn is_signed(bytes: &[u8]) -> bool {
    const START: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];
    const DEPTH_AT: usize = 42;
    let start = bytes.windows(START.len()).position(|part| part == START);
    let depth = start.and_then(|start| bytes.get(start + DEPTH_AT));
    depth.is_some_and(|depth| depth & 0x80 != 0)
}
