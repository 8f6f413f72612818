use morphospace_screen::{DecodeError, Pixels, decode_image};
use proptest::prelude::*;

use crate::support::{assert_names, jpeg, message, png, png_u8, png_u16};

#[test]
fn grey_images_decode() {
    let plane = decode_image(&png_u8(9, 5, 1)).expect("8-bit PNG");
    assert_eq!((plane.width, plane.height, plane.bit_depth()), (9, 5, 8));
    let Pixels::U8(pixels) = plane.pixels else {
        panic!("8 bit")
    };
    assert_eq!(pixels[..3], [1, 8, 15]);
    let plane = decode_image(&png_u16(2, 1, &[258, 65_535])).expect("16-bit PNG");
    assert_eq!(plane.pixels, Pixels::U16(vec![258, 65_535]));
    let plane = decode_image(&jpeg(17, 9, false)).expect("JPEG");
    assert_eq!(
        (plane.width, plane.height, plane.num_pixels()),
        (17, 9, 153)
    );
}

#[test]
fn what_is_not_grey_is_refused_with_the_fix() {
    use png::{BitDepth, ColorType};
    for (color, bytes_per_pixel) in [
        (ColorType::Rgba, 4),
        (ColorType::GrayscaleAlpha, 2),
        (ColorType::Indexed, 1),
    ] {
        let bytes = png(4, 4, color, BitDepth::Eight, &vec![0; 16 * bytes_per_pixel]);
        let error = decode_image(&bytes).expect_err("not grey");
        assert!(
            matches!(error, DecodeError::NotGrey { .. }),
            "{color:?}: {error}"
        );
        assert_names(error.hint(), &["one grey file per channel"]);
    }
    for bytes in [
        jpeg(16, 16, true),
        png(4, 4, ColorType::Rgb, BitDepth::Eight, &[0; 48]),
    ] {
        let error = decode_image(&bytes).expect_err("colours");
        assert_eq!(error, DecodeError::SeveralPlanes { count: 3 });
        assert_names(error.hint(), &["one grey file per channel"]);
    }
    let one_bit = png(8, 1, ColorType::Grayscale, BitDepth::One, &[0x55]);
    assert_eq!(
        decode_image(&one_bit),
        Err(DecodeError::UnsupportedDepth { bits: 1 })
    );
}

#[test]
fn every_truncation_is_an_error() {
    for bytes in [
        png_u8(16, 16, 3),
        png_u16(4, 4, &[7; 16]),
        jpeg(24, 24, false),
    ] {
        decode_image(&bytes).expect("whole");
        for len in 0..bytes.len() {
            assert!(
                decode_image(&bytes[..len]).is_err(),
                "{len} of {} bytes",
                bytes.len()
            );
        }
    }
}

#[test]
fn what_a_microscope_appends_to_a_jpeg_is_no_damage() {
    let mut bytes = jpeg(24, 24, false);
    let alone = decode_image(&bytes).expect("whole");
    bytes.extend(b"\0\0stage position 3");
    assert_eq!(decode_image(&bytes), Ok(alone));
}

#[test]
fn a_flipped_bit_in_a_png_is_found() {
    let bytes = png_u8(16, 16, 3);
    for at in 8..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(decode_image(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn a_forged_header_claims_no_memory() {
    // Of the four numbers, the last two are below the bound on pixels but
    // far above what so few bytes can hold.
    for (width, height) in [
        (u32::MAX, u32::MAX),
        (0x7fff_ffff, 0x7fff_ffff),
        (11_000, 11_000),
        (60_000, 2_000),
    ] {
        let mut bytes = png_u8(8, 8, 1);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = decode_image(&bytes).expect_err("forged");
        assert_names(&error.to_string(), &["claims"]);
    }
    let mut bytes = jpeg(8, 8, false);
    let at = bytes
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .expect("a frame header");
    bytes[at + 5..at + 9].copy_from_slice(&[0xff; 4]);
    assert!(matches!(
        decode_image(&bytes),
        Err(DecodeError::TooLarge { .. })
    ));
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn other_files_are_named_by_their_first_bytes() {
    assert_eq!(decode_image(b""), Err(DecodeError::Empty));
    assert_names(
        &message(decode_image(b"well,site\n")),
        &["no PNG, TIFF, JPEG, JPEG 2000 or .npy", "'well,sit'"],
    );
    assert_names(
        &message(decode_image(b"GIF89a")),
        &["no PNG, TIFF, JPEG, JPEG 2000 or .npy"],
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_image(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0usize..600, value in any::<u8>(), is_png in any::<bool>()) {
        let mut bytes = if is_png { png_u8(16, 16, 3) } else { jpeg(24, 24, false) };
        let len = bytes.len();
        bytes[at % len] = value;
        let _ = decode_image(&bytes);
    }
}
