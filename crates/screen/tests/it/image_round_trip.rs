//! What other encoders pack, our decoders unpack: random sizes, depths and
//! ways of packing.

use std::io::Cursor;

use morphospace_core::{Channel, ControlRole, PlateKey, Stain};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{
    OmeZarrScreen, PackConfig, Pixels, Plane, Screen, Tile, decode_image, pack, verify_pack,
};
use proptest::prelude::*;
use tiff::encoder::colortype::{Gray8, Gray16};
use tiff::encoder::{Compression, DeflateLevel, Predictor, TiffEncoder};

use crate::memory_screen::MemoryScreen;
use crate::support::png;

/// Noise, ramps and constants: what packs badly, well, and to nothing.
fn values(len: usize) -> impl Strategy<Value = Vec<u16>> {
    prop_oneof![
        prop::collection::vec(any::<u16>(), len),
        (any::<u16>(), any::<u16>()).prop_map(move |(start, step)| {
            let value = |i: usize| start.wrapping_add(step.wrapping_mul(i as u16));
            (0..len).map(value).collect()
        }),
        any::<u16>().prop_map(move |value| vec![value; len]),
        // Few values in runs, as of a segmented image.
        prop::collection::vec(0u16..4, len.div_ceil(9))
            .prop_map(move |runs| (0..len).map(|i| runs[i / 9] * 257).collect()),
    ]
}

fn planes(max_side: usize) -> impl Strategy<Value = Plane> {
    (1..=max_side, 1..=max_side, any::<bool>()).prop_flat_map(|(width, height, is_deep)| {
        values(width * height).prop_map(move |values| Plane {
            width,
            height,
            pixels: match is_deep {
                true => Pixels::U16(values),
                false => Pixels::U8(values.iter().map(|&value| value as u8).collect()),
            },
        })
    })
}

fn tiff(
    plane: &Plane,
    compression: Compression,
    is_differenced: bool,
    rows: u32,
    is_big: bool,
) -> Vec<u8> {
    let predictor = match is_differenced {
        true => Predictor::Horizontal,
        false => Predictor::None,
    };
    let mut bytes = Cursor::new(Vec::new());
    let (width, height) = (plane.width as u32, plane.height as u32);
    macro_rules! encode {
        ($encoder:expr) => {{
            let mut encoder = $encoder
                .expect("written to memory")
                .with_compression(compression)
                .with_predictor(predictor);
            match &plane.pixels {
                Pixels::U8(values) => {
                    let mut image = encoder.new_image::<Gray8>(width, height).expect("a header");
                    image.rows_per_strip(rows).expect("before any data");
                    image.write_data(values).expect("written to memory");
                }
                Pixels::U16(values) => {
                    let mut image = encoder
                        .new_image::<Gray16>(width, height)
                        .expect("a header");
                    image.rows_per_strip(rows).expect("before any data");
                    image.write_data(values).expect("written to memory");
                }
            }
        }};
    }
    match is_big {
        true => encode!(TiffEncoder::new_big(&mut bytes)),
        false => encode!(TiffEncoder::new(&mut bytes)),
    }
    bytes.into_inner()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn png_of_the_png_crate(plane in planes(70), filter in 0usize..6, level in 0u8..10) {
        let filter = [
            png::Filter::NoFilter,
            png::Filter::Sub,
            png::Filter::Up,
            png::Filter::Avg,
            png::Filter::Paeth,
            png::Filter::Adaptive,
        ][filter];
        let (depth, data) = match &plane.pixels {
            Pixels::U8(values) => (png::BitDepth::Eight, values.clone()),
            Pixels::U16(values) => (
                png::BitDepth::Sixteen,
                values.iter().flat_map(|value| value.to_be_bytes()).collect(),
            ),
        };
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, plane.width as u32, plane.height as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(depth);
        encoder.set_deflate_compression(match level {
            0 => png::DeflateCompression::NoCompression,
            level => png::DeflateCompression::Level(level),
        });
        encoder.set_filter(filter);
        let mut writer = encoder.write_header().expect("a valid header");
        writer.write_image_data(&data).expect("the right number of bytes");
        writer.finish().expect("written to memory");
        prop_assert_eq!(decode_image(&bytes), Ok(plane));
    }

    #[test]
    fn tiff_of_the_tiff_crate(
        plane in planes(70),
        compression in 0usize..4,
        is_differenced in any::<bool>(),
        rows in 1u32..80,
        is_big in any::<bool>(),
    ) {
        let compression = [
            Compression::Uncompressed,
            Compression::Lzw,
            Compression::Deflate(DeflateLevel::Balanced),
            Compression::Packbits,
        ][compression];
        let bytes = tiff(&plane, compression, is_differenced, rows, is_big);
        prop_assert_eq!(decode_image(&bytes), Ok(plane));
    }

    /// Long strips: the table of codes fills up and is cleared.
    #[test]
    fn lzw_of_weezl(plane in planes(400)) {
        let rows = plane.height as u32;
        let bytes = tiff(&plane, Compression::Lzw, false, rows, false);
        prop_assert!(decode_image(&bytes) == Ok(plane));
    }

    #[test]
    fn npy_in_either_order(plane in planes(40), is_fortran in any::<bool>(), is_big in any::<bool>()) {
        let (width, height) = (plane.width, plane.height);
        let depth = usize::from(plane.bit_depth()) / 8;
        let header = format!(
            "{{'descr': '{}u{depth}', 'fortran_order': {}, 'shape': ({height}, {width}), }}\n",
            if is_big { '>' } else { '<' },
            if is_fortran { "True" } else { "False" },
        );
        let header = header.replace("'>u1'", "'|u1'").replace("'<u1'", "'|u1'");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        let values = plane.values();
        for at in 0..values.len() {
            let value = match is_fortran {
                true => values[at % height * width + at / height],
                false => values[at],
            };
            let pair = if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
            match (depth, is_big) {
                (1, _) => bytes.push(value as u8),
                _ => bytes.extend(pair),
            }
        }
        prop_assert_eq!(decode_image(&bytes), Ok(plane));
    }
}

/// Sites of two channels, of one bit depth and one size each; the second
/// channel may be missing.
fn sites() -> impl Strategy<Value = Vec<(Plane, Option<Plane>)>> {
    let site = planes(90).prop_flat_map(|first| {
        let (width, height) = (first.width, first.height);
        let is_deep = first.bit_depth() == 16;
        let second = prop::option::of(values(width * height).prop_map(move |values| Plane {
            width,
            height,
            pixels: match is_deep {
                true => Pixels::U16(values),
                false => Pixels::U8(values.iter().map(|&value| value as u8).collect()),
            },
        }));
        (Just(first), second)
    });
    prop::collection::vec(site, 1..4)
}

#[test]
fn a_black_image_alone_is_packed_as_one() {
    for pixels in [Pixels::U8(vec![0; 85 * 64]), Pixels::U16(vec![0; 85 * 64])] {
        let black = Plane {
            width: 85,
            height: 64,
            pixels,
        };
        let channels = vec![Channel::new("a", Stain::Dna), Channel::new("b", Stain::Er)];
        let mut screen = MemoryScreen::new(channels);
        screen.add(
            &PlateKey::new("run-1", "1"),
            "B02",
            1,
            ControlRole::Treatment,
            vec![Some(black.clone()), None],
        );
        let folder = tempfile::tempdir().expect("a folder");
        pack(&screen, folder.path(), &PackConfig::default(), &|| {}).expect("packs");
        let packed = OmeZarrScreen::open(folder.path()).expect("opens");
        assert_eq!(packed.read_plane(0, 0).expect("is there"), black);
        assert!(!packed.is_present(0, 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn packs_hold_the_pixels(sites in sites(), chunk_px in 16usize..130, at in any::<prop::sample::Index>()) {
        let channels = vec![Channel::new("a", Stain::Dna), Channel::new("b", Stain::Er)];
        let mut screen = MemoryScreen::new(channels);
        for (number, (first, second)) in sites.into_iter().enumerate() {
            screen.add(
                &PlateKey::new("run-1", "1"),
                "B02",
                number as u32 + 1,
                ControlRole::Treatment,
                vec![Some(first), second],
            );
        }
        // Rows of one well share it.
        let well = std::sync::Arc::clone(&screen.sites[0].well);
        for site in &mut screen.sites {
            site.well = std::sync::Arc::clone(&well);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let config = PackConfig { chunk_px, ..PackConfig::default() };
        pack(&screen, folder.path(), &config, &|| {}).expect("packs");
        let packed = OmeZarrScreen::open(folder.path()).expect("opens");
        check_screen(&packed).expect("conforms");
        prop_assert_eq!(packed.sites(), screen.sites());
        for site in 0..screen.sites.len() {
            for channel in 0..2 {
                let (before, after) = (screen.read_plane(site, channel), packed.read_plane(site, channel));
                prop_assert_eq!(before.is_ok(), after.is_ok(), "{:?}", after.as_ref().err().map(ToString::to_string));
                let (Ok(before), Ok(after)) = (before, after) else { continue };
                prop_assert!(before == after, "site {} channel {}", site, channel);
                let side = before.width.min(before.height).div_ceil(2);
                let tile = Tile {
                    top: at.index(before.height - side + 1),
                    left: at.index(before.width - side + 1),
                    crop_px: side,
                };
                let region = packed.read_region(site, channel, tile).expect("inside");
                prop_assert!(region == before.region(tile));
            }
        }
        let verified = verify_pack(folder.path(), Some(&screen)).expect("opens");
        prop_assert_eq!(verified.damaged, Vec::<String>::new());
    }
}

#[test]
fn colour_of_the_png_crate_is_taken_apart() {
    let data: Vec<u8> = (0..5 * 3 * 3).map(|i| i as u8).collect();
    let bytes = png(5, 3, png::ColorType::Rgb, png::BitDepth::Eight, &data);
    let planes = morphospace_screen::decode_planes(&bytes).expect("colours");
    let green: Vec<u8> = data[1..].iter().step_by(3).copied().collect();
    assert_eq!(planes[1].pixels, Pixels::U8(green));
}
