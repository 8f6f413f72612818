use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

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

/// `COMPRESSION` of deflate (TIFF Technical Note 3).
const DEFLATE: u32 = 8;
/// `PHOTOMETRIC` of grey levels of which 0 is black.
const BLACK_IS_ZERO: u32 = 1;

/// Bytes of a strip before compression: a few strips per image can be read
/// in parallel.
const STRIP_LEN: usize = 1 << 18;

/// Encodes a grey image of 8 or 16 bit as a TIFF of one page: little-endian,
/// strips compressed with deflate. [`decode_image`](crate::decode_image)
/// gives the same pixels back.
///
/// Source: TIFF Revision 6.0 (Adobe, 1992) and its Technical Note 3.
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
    let (bits, bytes) = match &plane.pixels {
        Pixels::U8(values) => (8, values.clone()),
        Pixels::U16(values) => (
            16,
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        ),
    };
    let row_len = plane.width * bits / 8;
    assert!(
        row_len > 0 && plane.height > 0 && bytes.len() == row_len * plane.height,
        "an image has width x height pixels"
    );
    let rows_per_strip = (STRIP_LEN / row_len).clamp(1, plane.height);

    // The page follows the strips; its offset stands in the header.
    let mut file = b"II\x2a\0\0\0\0\0".to_vec();
    let (mut offsets, mut lengths) = (Vec::new(), Vec::new());
    for strip in bytes.chunks(rows_per_strip * row_len) {
        let compressed = deflated(strip);
        offsets.push(long(file.len()));
        lengths.push(long(compressed.len()));
        file.extend(compressed);
        // Offsets are even.
        file.resize(file.len().next_multiple_of(2), 0);
    }
    let offsets_entry = Entry::longs(STRIP_OFFSETS, &offsets, &mut file);
    let lengths_entry = Entry::longs(STRIP_BYTE_COUNTS, &lengths, &mut file);
    let page = [
        Entry::long(IMAGE_WIDTH, long(plane.width)),
        Entry::long(IMAGE_LENGTH, long(plane.height)),
        Entry::short(BITS_PER_SAMPLE, long(bits)),
        Entry::short(COMPRESSION, DEFLATE),
        Entry::short(PHOTOMETRIC, BLACK_IS_ZERO),
        offsets_entry,
        Entry::short(SAMPLES_PER_PIXEL, 1),
        Entry::long(ROWS_PER_STRIP, long(rows_per_strip)),
        lengths_entry,
    ];
    let page_offset = long(file.len());
    file[4..8].copy_from_slice(&page_offset.to_le_bytes());
    file.extend((page.len() as u16).to_le_bytes());
    for entry in page {
        file.extend(entry.to_bytes());
    }
    // No page follows.
    file.extend([0; 4]);
    file
}

fn long(number: usize) -> u32 {
    u32::try_from(number).expect("a TIFF holds less than 4 GiB")
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all bytes");
    encoder.finish().expect("memory takes all bytes")
}

/// An entry of a page: a tag, the type and number of its values, and the
/// value, or where the values are.
struct Entry {
    tag: u16,
    kind: u16,
    count: u32,
    value: u32,
}

impl Entry {
    const SHORT: u16 = 3;
    const LONG: u16 = 4;

    fn short(tag: u16, value: u32) -> Self {
        // In a little-endian file a short lies at the start of the field.
        Self {
            tag,
            kind: Self::SHORT,
            count: 1,
            value,
        }
    }

    fn long(tag: u16, value: u32) -> Self {
        Self {
            tag,
            kind: Self::LONG,
            count: 1,
            value,
        }
    }

    /// One value stands in the entry; several are appended to the file.
    fn longs(tag: u16, values: &[u32], file: &mut Vec<u8>) -> Self {
        if let [only] = values {
            return Self::long(tag, *only);
        }
        let value = long(file.len());
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        Self {
            tag,
            kind: Self::LONG,
            count: long(values.len()),
            value,
        }
    }

    fn to_bytes(&self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..2].copy_from_slice(&self.tag.to_le_bytes());
        bytes[2..4].copy_from_slice(&self.kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.count.to_le_bytes());
        bytes[8..].copy_from_slice(&self.value.to_le_bytes());
        bytes
    }
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
            // A few levels beside each other, so that something compresses.
            let value = |index: usize| (index as u16 / 3).wrapping_mul(seed);
            let pixels = match is_wide {
                true => Pixels::U16((0..width * height).map(value).collect()),
                false => Pixels::U8((0..width * height).map(|i| value(i) as u8).collect()),
            };
            let plane = Plane { width, height, pixels };
            prop_assert_eq!(decode_image(&encode_tiff(&plane)).expect("whole"), plane);
        }
    }

    #[test]
    fn large_images_have_several_strips() {
        let (width, height) = (STRIP_LEN / 5, 5);
        let pixels = Pixels::U16((0..width * height).map(|i| i as u16).collect());
        let plane = Plane {
            width,
            height,
            pixels,
        };
        let bytes = encode_tiff(&plane);
        let page = u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes")) as usize;
        // The sixth entry lists two rows to a strip: three strips.
        let entry = &bytes[page + 2 + 5 * 12..][..12];
        assert_eq!(entry[..8], [17, 1, 4, 0, 3, 0, 0, 0]);
        assert_eq!(decode_image(&bytes).expect("whole"), plane);
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
