//! Tiny images and screens written for a test.

use std::fs;
use std::path::Path;

/// A grey 8-bit PNG whose pixels depend on `seed`.
pub(crate) fn png_u8(width: u32, height: u32, seed: u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..width * height)
        .map(|i| (i as u8).wrapping_mul(7).wrapping_add(seed))
        .collect();
    png(
        width,
        height,
        png::ColorType::Grayscale,
        png::BitDepth::Eight,
        &pixels,
    )
}

/// A grey 16-bit PNG.
pub(crate) fn png_u16(width: u32, height: u32, pixels: &[u16]) -> Vec<u8> {
    let bytes: Vec<u8> = pixels
        .iter()
        .flat_map(|pixel| pixel.to_be_bytes())
        .collect();
    png(
        width,
        height,
        png::ColorType::Grayscale,
        png::BitDepth::Sixteen,
        &bytes,
    )
}

/// Any PNG.
pub(crate) fn png(
    width: u32,
    height: u32,
    color: png::ColorType,
    depth: png::BitDepth,
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == png::ColorType::Indexed {
        encoder.set_palette(vec![0, 0, 0, 255, 255, 255]);
    }
    let mut writer = encoder.write_header().expect("a valid header");
    writer
        .write_image_data(data)
        .expect("the right number of bytes");
    writer.finish().expect("written to memory");
    bytes
}

/// A grey or colour JPEG.
pub(crate) fn jpeg(width: u16, height: u16, is_colour: bool) -> Vec<u8> {
    let per_pixel = if is_colour { 3 } else { 1 };
    let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height) * per_pixel)
        .map(|i| (i / 5) as u8)
        .collect();
    let color = if is_colour {
        jpeg_encoder::ColorType::Rgb
    } else {
        jpeg_encoder::ColorType::Luma
    };
    let mut bytes = Vec::new();
    jpeg_encoder::Encoder::new(&mut bytes, 90)
        .encode(&pixels, width, height, color)
        .expect("encoded in memory");
    bytes
}

/// Writes a file and the folders above it.
pub(crate) fn write(root: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("below the root")).expect("folders made");
    fs::write(path, bytes).expect("written");
}

/// Six 8 x 8 images of one RxRx1 site.
pub(crate) fn write_rxrx1_site(root: &Path, folder: &str, site: &str) {
    for channel in 1..=6 {
        write(
            root,
            &format!("{folder}/{site}_w{channel}.png"),
            png_u8(8, 8, channel * 3),
        );
    }
}

/// An error's text, of a result that has to be one.
pub(crate) fn message<T>(result: Result<T, impl std::fmt::Display>) -> String {
    match result {
        Ok(_) => panic!("this should have been refused"),
        Err(error) => error.to_string(),
    }
}

/// Checks that a text holds all of some parts.
#[track_caller]
pub(crate) fn assert_names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}
