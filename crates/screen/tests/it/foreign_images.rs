//! Images that other programs wrote (`fixtures/images/make.py`).

use std::path::{Path, PathBuf};

use morphospace_screen::{DecodeError, Pixels, Plane, decode_image, decode_planes};
use proptest::prelude::*;

use crate::support::assert_names;

const WIDTH: usize = 45;
const HEIGHT: usize = 37;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What `make.py` drew.
fn pattern(plane: usize, bits: u8) -> Plane {
    let value = |at: usize| {
        let (x, y) = (at % WIDTH, at / WIDTH);
        (x, (7 * x + 13 * y + 31 * plane) % 251)
    };
    let all = (0..WIDTH * HEIGHT).map(value);
    let pixels = match bits {
        8 => Pixels::U8(all.map(|(_, value)| value as u8).collect()),
        _ => Pixels::U16(all.map(|(x, value)| (value * 257 + x) as u16).collect()),
    };
    Plane {
        width: WIDTH,
        height: HEIGHT,
        pixels,
    }
}

#[test]
fn lossless_images_of_other_programs_decode_exactly() {
    for bits in [8, 16] {
        for name in [
            "none_{}.tif",
            "lzw_{}.tif",
            "lzw_predictor_strips_{}.tif",
            "deflate_tiles_{}.tif",
            "packbits_{}.tif",
            "deflate_predictor_big_endian_{}.tif",
            "none_big_endian_{}.tif",
            "bigtiff_{}.tif",
            "white_is_zero_{}.tif",
            "lossless_{}.jp2",
            "grey_{}.png",
        ] {
            let name = name.replace("{}", &bits.to_string());
            let plane = decode_image(&fixture(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(plane == pattern(0, bits), "{name}");
        }
    }
    for name in ["pillow_lzw_8.tif", "thumbnail_8.tif", "codestream_8.j2k"] {
        let plane = decode_image(&fixture(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(plane == pattern(0, 8), "{name}");
    }
}

#[test]
fn pages_and_colours_are_planes() {
    for (name, bits) in [
        ("pages_16.tif", 16),
        ("rgb_8.tif", 8),
        ("rgb_planar_tiles_8.tif", 8),
        ("rgb_8.png", 8),
    ] {
        let planes = decode_planes(&fixture(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let expected: Vec<Plane> = (0..3).map(|plane| pattern(plane, bits)).collect();
        assert!(planes == expected, "{name}");
        let count = DecodeError::SeveralPlanes { count: 3 };
        assert_eq!(decode_image(&fixture(name)), Err(count), "{name}");
    }
}

#[test]
fn lossy_images_of_other_programs_come_close() {
    for name in ["jpeg_strips_8.tif", "lossy_8.jp2", "grey_8.jpg"] {
        let plane = decode_image(&fixture(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let Pixels::U8(pixels) = &plane.pixels else {
            panic!("{name}: 8 bit")
        };
        assert_eq!(pixels.len(), WIDTH * HEIGHT, "{name}");
        for (at, &pixel) in pixels.iter().enumerate() {
            let expected = 3 * (at % WIDTH) + 2 * (at / WIDTH);
            assert!(
                expected.abs_diff(usize::from(pixel)) <= 4,
                "{name} at {at}: {pixel}"
            );
        }
    }
}

#[test]
fn what_is_not_read_is_named() {
    let error = decode_image(&fixture("float_32.tif")).expect_err("floats");
    assert_eq!(error, DecodeError::UnsupportedDepth { bits: 32 });
    let error = decode_image(&fixture("rgb_8.jp2")).expect_err("colour");
    assert_names(&error.to_string(), &["colour image, not grey"]);
    // The sign is a bit of the depth, 38 bytes behind the marker of the size.
    let mut signed = fixture("lossless_16.jp2");
    let size = signed.windows(2).position(|part| part == b"\xff\x51");
    signed[size.expect("a size") + 40] |= 0x80;
    let error = decode_image(&signed).expect_err("signed");
    assert_names(&error.to_string(), &["JPEG 2000", "with a sign"]);
}

/// All fixtures that are images.
fn images() -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder()).expect("the folder of fixtures");
    let mut images: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| !name.ends_with(".py"))
        .map(|name| (name.clone(), fixture(&name)))
        .collect();
    images.sort();
    images
}

#[test]
fn images_cut_short_are_errors() {
    // What is cut off a file that ends with a thumbnail is not looked at.
    for (name, bytes) in images()
        .into_iter()
        .filter(|(name, _)| name != "thumbnail_8.tif")
    {
        for len in (0..bytes.len() - 4).step_by(7) {
            assert!(decode_planes(&bytes[..len]).is_err(), "{name} cut to {len}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No panic, and no memory that the file does not account for.
    #[test]
    fn damaged_images_are_survived(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let images = images();
        let mut bytes = images[which.index(images.len())].1.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = decode_planes(&bytes);
    }
}
