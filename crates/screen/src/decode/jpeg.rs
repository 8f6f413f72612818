use super::{DecodeError, MAX_NUM_PIXELS, cannot_hold, checked_size};
use crate::screen::{Pixels, Plane};

/// Every 8 x 8 block of a JPEG takes at least one bit (its first coefficient
/// is coded on its own), so one byte holds at most 512 pixels.
const MAX_JPEG_RATIO: usize = 512;

/// The colour components of a JPEG: one of a grey, three of an RGB image.
pub(super) fn decode_jpeg(bytes: &[u8]) -> Result<Vec<Plane>, DecodeError> {
    let damaged = |message: String| DecodeError::Damaged {
        format: "JPEG",
        message,
    };
    // The decoder pads a scan that ends early with zeros; the end-of-image
    // marker is what tells a whole file.
    if !has_end_of_image(bytes) {
        return Err(damaged("no end-of-image marker".to_owned()));
    }
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MAX_NUM_PIXELS * 2);
    decoder
        .read_info()
        .map_err(|error| damaged(error.to_string()))?;
    let info = decoder
        .info()
        .ok_or_else(|| damaged("no header".to_owned()))?;
    let (width, height) = checked_size(usize::from(info.width), usize::from(info.height))?;
    if width * height / MAX_JPEG_RATIO > bytes.len() {
        return Err(damaged(cannot_hold(bytes.len(), width, height)));
    }
    let num_components = match info.pixel_format {
        jpeg_decoder::PixelFormat::L8 | jpeg_decoder::PixelFormat::L16 => 1,
        jpeg_decoder::PixelFormat::RGB24 => 3,
        jpeg_decoder::PixelFormat::CMYK32 => {
            return Err(DecodeError::NotGrey {
                found: "a CMYK image".to_owned(),
            });
        }
    };
    let data = decoder
        .decode()
        .map_err(|error| damaged(error.to_string()))?;
    let bytes_per_value = match info.pixel_format {
        jpeg_decoder::PixelFormat::L16 => 2,
        _ => 1,
    };
    let expected = width * height * num_components * bytes_per_value;
    if data.len() != expected {
        return Err(damaged(format!("{} of {expected} bytes", data.len())));
    }
    let plane = |pixels| Plane {
        width,
        height,
        pixels,
    };
    if info.pixel_format == jpeg_decoder::PixelFormat::L16 {
        let (values, _) = data.as_chunks();
        let values = values
            .iter()
            .map(|&pair| u16::from_ne_bytes(pair))
            .collect();
        return Ok(vec![plane(Pixels::U16(values))]);
    }
    if num_components == 1 {
        return Ok(vec![plane(Pixels::U8(data))]);
    }
    let component = |index: usize| {
        data[index..]
            .iter()
            .step_by(num_components)
            .copied()
            .collect()
    };
    Ok((0..num_components)
        .map(|index| plane(Pixels::U8(component(index))))
        .collect())
}

/// Whether the scans of a JPEG are followed by an end-of-image marker (and
/// then by whatever a microscope's writer appended). Headers may hold a
/// thumbnail with a marker of its own and are stepped over; in a scan the
/// marker's two bytes occur as nothing else.
fn has_end_of_image(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        if marker == 0xda {
            return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]);
        }
        // A marker may be preceded by any number of fill bytes.
        at += match marker {
            0xff => 1,
            _ => 2 + usize::from(u16::from_be_bytes([high, low])),
        };
    }
    false
}
