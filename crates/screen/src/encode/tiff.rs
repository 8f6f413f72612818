use crate::screen::{Pixels, Plane};

// Tags of TIFF 6.0, in the order in which a page must list them.
const IMAGE_WIDTH: u16 = 256;
const IMAGE_LENGTH: u16 = 257;
const BITS_PER_SAMPLE: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const STRIP_OFFSETS: u16 = 273;
const SAMPLES_PER_PIXEL: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_BYTE_COUNTS: u16 = 279;

// Types of values.
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// `COMPRESSION` of plain pixels: the noise of a camera does not compress.
const NO_COMPRESSION: u32 = 1;
/// `PHOTOMETRIC` of grey levels of which 0 is black.
const BLACK_IS_ZERO: u32 = 1;

/// Header, number of entries, nine entries, and the offset of no next page.
const PIXELS_OFFSET: usize = 8 + 2 + 9 * 12 + 4;

/// Encodes a grey image of 8 or 16 bit as a TIFF of one page: little-endian,
/// uncompressed, in one strip. [`decode_image`](crate::decode_image) gives
/// the same pixels back.
///
/// Source: TIFF Revision 6.0 (Adobe, 1992), "Baseline TIFF Grayscale Images".
///
/// # Panics
/// The image has no pixels, or not `width * height` of them, or more bytes
/// than a TIFF can hold (4 GiB).
///
/// ```
/// use morphospace_screen::{Pixels, Plane, decode_image, encode_tiff};
///
/// let plane = Plane { width: 3, height: 1, pixels: Pixels::U16(vec![0, 700, 65_535]) };
/// assert_eq!(decode_image(&encode_tiff(&plane))?, plane);
/// # Ok::<(), morphospace_screen::DecodeError>(())
/// ```
pub fn encode_tiff(plane: &Plane) -> Vec<u8> {
    let num_pixels = plane.num_pixels();
    assert!(
        num_pixels > 0 && num_pixels == plane.width * plane.height,
        "an image has width x height pixels"
    );
    let bits = plane.bit_depth();
    let num_bytes = num_pixels * usize::from(bits) / 8;
    let long = |number: usize| u32::try_from(number).expect("a TIFF holds less than 4 GiB");
    let entries = [
        (IMAGE_WIDTH, LONG, long(plane.width)),
        (IMAGE_LENGTH, LONG, long(plane.height)),
        (BITS_PER_SAMPLE, SHORT, u32::from(bits)),
        (COMPRESSION, SHORT, NO_COMPRESSION),
        (PHOTOMETRIC, SHORT, BLACK_IS_ZERO),
        (STRIP_OFFSETS, LONG, long(PIXELS_OFFSET)),
        (SAMPLES_PER_PIXEL, SHORT, 1),
        (ROWS_PER_STRIP, LONG, long(plane.height)),
        (STRIP_BYTE_COUNTS, LONG, long(num_bytes)),
    ];
    let mut file = Vec::with_capacity(PIXELS_OFFSET + num_bytes);
    // The page follows the header of eight bytes.
    file.extend(b"II\x2a\0\x08\0\0\0");
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        // One value each. A short lies at the start of its field of four bytes,
        // where its bytes are in a little-endian file.
        file.extend(1u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    match &plane.pixels {
        Pixels::U8(values) => file.extend(values),
        Pixels::U16(values) => file.extend(values.iter().flat_map(|value| value.to_le_bytes())),
    }
    file
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode_image;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            (width, height) in (1..40usize, 1..40usize),
            is_wide: bool,
            seed: u16,
        ) {
            let value = |index: usize| (index as u16).wrapping_mul(seed);
            let pixels = match is_wide {
                true => Pixels::U16((0..width * height).map(value).collect()),
                false => Pixels::U8((0..width * height).map(|i| value(i) as u8).collect()),
            };
            let plane = Plane { width, height, pixels };
            let bytes = encode_tiff(&plane);
            prop_assert_eq!(bytes.len(), PIXELS_OFFSET + width * height * (1 + usize::from(is_wide)));
            prop_assert_eq!(decode_image(&bytes).expect("whole"), plane);
        }
    }

    #[test]
    fn another_reader_reads_the_same_pixels() {
        let plane = Plane {
            width: 7,
            height: 3,
            pixels: Pixels::U16((0..21).map(|i| i * 3_000).collect()),
        };
        let bytes = encode_tiff(&plane);
        let mut decoder = tiff::decoder::Decoder::new(std::io::Cursor::new(bytes)).expect("a TIFF");
        assert_eq!(decoder.dimensions().expect("a size"), (7, 3));
        match decoder.read_image().expect("whole") {
            tiff::decoder::DecodingResult::U16(values) => {
                assert_eq!(Pixels::U16(values), plane.pixels);
            }
            other => panic!("not 16 bit: {other:?}"),
        }
    }
}
