use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use morphospace_screen::{
    NpyFloat, Pixels, Plane, decode_image, decode_npy, decode_planes, encode_npy,
};

use super::allocation::within;

/// What may be held whatever the file's length.
const BASE: usize = 1 << 20;

/// Most bytes that one byte of each format stands for.
const MAX_DEFLATE_RATIO: usize = 1_032;
const MAX_LZW_RATIO: usize = 4_096;
const MAX_JPEG_RATIO: usize = 512;

/// Decodes within a bound on memory; whatever comes out is whole.
fn decoded(bytes: &[u8], bound: usize) -> Option<Vec<Plane>> {
    match within(bound, || decode_planes(bytes)) {
        Ok(planes) => {
            assert!(!planes.is_empty(), "there is an image or an error");
            for plane in &planes {
                assert!(plane.width > 0 && plane.height > 0);
                assert_eq!(plane.num_pixels(), plane.width * plane.height);
            }
            let one = decode_image(bytes);
            assert_eq!(
                one.ok().as_ref(),
                planes.first().filter(|_| planes.len() == 1)
            );
            Some(planes)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.hint().is_empty());
            None
        }
    }
}

/// A PNG, with the sums of its chunks put right: a fuzzer cannot guess them.
/// What the `png` crate reads, too, has the same pixels.
pub(super) fn png(bytes: &[u8]) {
    let bytes = with_sums(bytes);
    let bound = 4 * MAX_DEFLATE_RATIO * bytes.len() + 2 * BASE;
    if let Some(planes) = decoded(&bytes, bound)
        && let Some(reference) = by_png_crate(&bytes)
    {
        assert!(planes == reference, "the png crate sees other pixels");
    }
}

/// Filtered rows: the width, whether pixels have 16 bits, then rows that
/// begin with their filter.
pub(super) fn png_rows(bytes: &[u8]) {
    let &[width, depth, ref rows @ ..] = bytes else {
        return;
    };
    let (width, depth) = (usize::from(width) + 1, [8u8, 16][usize::from(depth & 1)]);
    let row_len = 1 + width * usize::from(depth) / 8;
    let height = rows.len() / row_len;
    if height == 0 {
        return;
    }
    let mut header = Vec::new();
    header.extend((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    header.extend([depth, 0, 0, 0, 0]);
    let mut deflated = ZlibEncoder::new(Vec::new(), Compression::none());
    deflated
        .write_all(&rows[..height * row_len])
        .expect("written to memory");
    let data = deflated.finish().expect("written to memory");
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(kind);
        png.extend(data);
        png.extend([0; 4]);
    }
    let png = with_sums(&png);
    let planes = decoded(&png, 8 * bytes.len() + BASE);
    assert!(
        planes == by_png_crate(&png),
        "the png crate sees another image"
    );
}

/// A PNG with the sum of each chunk computed anew.
fn with_sums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 8;
    while let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let end = (at + 8).saturating_add(u32::from_be_bytes(*length) as usize);
        let Some(named) = bytes.get(at + 4..end) else {
            break;
        };
        let mut sum = flate2::Crc::new();
        sum.update(named);
        if let Some(place) = bytes.get_mut(end..end + 4) {
            place.copy_from_slice(&sum.sum().to_be_bytes());
        }
        at = end + 4;
    }
    bytes
}

/// Grey and colour images of 8 or 16 bit, by the `png` crate.
fn by_png_crate(bytes: &[u8]) -> Option<Vec<Plane>> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().ok()?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    let components = match info.color_type {
        png::ColorType::Grayscale => 1,
        png::ColorType::Rgb => 3,
        _ => return None,
    };
    let is_deep = info.bit_depth == png::BitDepth::Sixteen;
    let mut data = vec![0; reader.output_buffer_size()?];
    reader.next_frame(&mut data).ok()?;
    reader.finish().ok()?;
    let pixels = |component: usize| match is_deep {
        false => {
            let values = data[component..].iter().step_by(components);
            Pixels::U8(values.copied().collect())
        }
        true => {
            let values = data.as_chunks().0[component..].iter().step_by(components);
            Pixels::U16(values.map(|&pair| u16::from_be_bytes(pair)).collect())
        }
    };
    let plane = |component| Plane {
        width,
        height,
        pixels: pixels(component),
    };
    Some((0..components).map(plane).collect())
}

/// A TIFF.
pub(super) fn tiff(bytes: &[u8]) {
    decoded(bytes, 8 * MAX_LZW_RATIO * bytes.len() + BASE);
}

/// LZW, as the only strip of a TIFF whose width is the first byte. What the
/// `tiff` crate reads, too, has the same pixels.
pub(super) fn lzw(bytes: &[u8]) {
    let &[width, height, ref strip @ ..] = bytes else {
        return;
    };
    let (width, height) = (u32::from(width) + 1, u32::from(height) + 1);
    let tags = [
        (256, width),
        (257, height),
        (258, 8),
        (259, 5),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, strip.len() as u32),
    ];
    let mut file = b"II\x2a\0".to_vec();
    file.extend((8 + strip.len() as u32).to_le_bytes());
    file.extend(strip);
    file.extend((tags.len() as u16).to_le_bytes());
    for (tag, value) in tags {
        file.extend((tag as u16).to_le_bytes());
        file.extend(4u16.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    let planes = decoded(&file, 8 * (1 << 16) + BASE);
    let reference = tiff::decoder::Decoder::new(Cursor::new(&file))
        .and_then(|mut decoder| decoder.read_image());
    if let (Some(planes), Ok(tiff::decoder::DecodingResult::U8(pixels))) = (planes, reference) {
        assert!(planes[0].pixels == Pixels::U8(pixels), "other pixels");
    }
}

/// A JPEG.
pub(super) fn jpeg(bytes: &[u8]) {
    // Coefficients of 16 bit and values of three components.
    decoded(bytes, 32 * MAX_JPEG_RATIO * bytes.len() + 4 * BASE);
}

/// A JPEG 2000. One that claims more than a field of view is left alone: a
/// hundred bytes may be a blank image of any size.
pub(super) fn jpeg2000(bytes: &[u8]) {
    let sides = bytes
        .windows(4)
        .position(|marker| marker == b"\xff\x4f\xff\x51")
        .and_then(|at| bytes.get(at + 8..at + 16)?.as_chunks().0.first_chunk());
    if let Some(&[width, height]) = sides
        && u64::from(u32::from_be_bytes(width)) * u64::from(u32::from_be_bytes(height)) < 1 << 18
    {
        decoded(bytes, 256 << 20);
    }
}

/// A NumPy array; floats come back as they were.
pub(super) fn npy(bytes: &[u8]) {
    decoded(bytes, 16 * bytes.len() + BASE);
    if let Ok(array) = within(16 * bytes.len() + BASE, || decode_npy(bytes)) {
        let values = array.to_f64();
        assert_eq!(values.len(), array.width * array.height);
        let again = encode_npy(array.height, array.width, &values, NpyFloat::F64);
        let again = decode_npy(&again).expect("what is written reads").to_f64();
        let bits = |values: &[f64]| -> Vec<u64> { values.iter().map(|v| v.to_bits()).collect() };
        assert_eq!(bits(&again), bits(&values));
    }
}
