//! Image files that lie: cut off, claiming absurd sizes, or built so that
//! reading them never ends.

use morphospace_screen::conformance::check_screen;
use morphospace_screen::{
    DecodeError, InspectDepth, decode_image, decode_planes, inspect, open_screen,
};

use crate::fuzz::allocation::within;
use crate::support::{assert_names, jpeg, message, png_u8, write};

fn fixture(path: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    std::fs::read(format!("{folder}/{path}")).expect("a committed fixture")
}

/// What a refusal may cost, whatever a header claims.
const LITTLE: usize = 1 << 20;

#[track_caller]
fn refused(bytes: &[u8], parts: &[&str]) {
    let error = within(LITTLE, || decode_planes(bytes)).expect_err("refused");
    assert_names(&error.to_string(), parts);
    assert!(!error.hint().is_empty());
}

const LONG: u16 = 4;

/// A little-endian TIFF: bytes at offset 8, then one directory of tags with
/// the count and the value or offset of each, then the offset of the next.
fn tiff(data: &[u8], tags: &[(u16, u32, u32)], next: u32) -> Vec<u8> {
    let mut bytes = b"II\x2a\0".to_vec();
    bytes.extend((8 + data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes.extend((tags.len() as u16).to_le_bytes());
    for &(tag, count, value) in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(LONG.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(next.to_le_bytes());
    bytes
}

/// The tags of a grey 8-bit image in one strip at offset 8.
fn tags(width: u32, height: u32, compression: u32, strip_len: u32) -> Vec<(u16, u32, u32)> {
    vec![
        (256, 1, width),
        (257, 1, height),
        (258, 1, 8),
        (259, 1, compression),
        (262, 1, 1),
        (273, 1, 8),
        (277, 1, 1),
        (278, 1, height),
        (279, 1, strip_len),
    ]
}

#[test]
fn arrays_and_wavelets_cut_anywhere_are_errors() {
    for name in [
        "npy/uint8_fortran.npy",
        "npy/uint16_big_endian.npy",
        "jp2/lossless_u8.jp2",
        "jp2/lossy_u8.jp2",
        "jp2/lossless_u16.jp2",
    ] {
        let bytes = fixture(name);
        decode_image(&bytes).expect(name);
        // A codestream ends with a marker of two bytes that says nothing.
        for len in 0..bytes.len() - 2 {
            let cut = decode_image(&bytes[..len]);
            assert!(cut.is_err(), "{name} cut to {len} of {}", bytes.len());
        }
    }
}

#[test]
fn files_without_a_byte_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write(
        root,
        "metadata.csv",
        "experiment,plate,well,site,well_type\nHUVEC-01,1,B02,1,negative_control\n",
    );
    for channel in 1..=6 {
        write(
            root,
            &format!("images/HUVEC-01/Plate1/B02_s1_w{channel}.png"),
            b"",
        );
    }
    let screen = open_screen(root, None).expect("opens");
    check_screen(&*screen).expect("conforms");
    let found = inspect(&*screen, InspectDepth::Decode);
    assert_eq!((found.missing.len(), found.unreadable.len()), (0, 6));
    assert_names(
        &message(screen.read_plane(0, 2)),
        &[
            "HUVEC-01 plate 1 well B02 site 1 channel w3",
            "empty",
            "B02_s1_w3.png",
            "hint",
        ],
    );
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_claimed() {
    let sides = [
        (u32::MAX, u32::MAX),
        (60_000, 60_000),
        (65_535, 2_000),
        (1, 70_000),
    ];
    for (width, height) in sides {
        for compression in [1, 5, 8, 32_773, 7] {
            refused(
                &tiff(&[0; 64], &tags(width, height, compression, 64), 0),
                &["claims"],
            );
        }
        let mut jp2 = fixture("jp2/lossless_u8.jp2");
        let at = jp2
            .windows(4)
            .position(|m| m == b"\xff\x4f\xff\x51")
            .expect("a header");
        jp2[at + 8..at + 12].copy_from_slice(&width.to_be_bytes());
        jp2[at + 12..at + 16].copy_from_slice(&height.to_be_bytes());
        assert!(
            within(LITTLE, || decode_planes(&jp2)).is_err(),
            "{width} x {height}"
        );
    }
    // A codestream that claims its tile is as large as the image.
    let mut blank = fixture("images/codestream_8.j2k");
    for at in [8, 24] {
        blank[at..at + 4].copy_from_slice(&11_500_u32.to_be_bytes());
        blank[at + 4..at + 8].copy_from_slice(&11_500_u32.to_be_bytes());
    }
    refused(
        &blank,
        &["claims 11500 x 11500 pixels", "JPEG 2000", "67108864"],
    );
    let mut big = fixture("images/bigtiff_8.tif");
    let width = big
        .windows(4)
        .position(|tag| tag == b"\x00\x01\x03\x00" || tag == b"\x00\x01\x04\x00")
        .expect("the width");
    big[width + 2] = 16;
    big[width + 12..width + 20].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(&big, &["claims"]);
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (11000, 11000)}";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((header.len() as u16).to_le_bytes());
    npy.extend(header.as_bytes());
    refused(&npy, &["claims 121000000 bytes"]);
}

#[test]
fn pages_that_lead_in_circles_are_refused() {
    // The directory's next is itself; of a page that decodes.
    let own = 8 + 4;
    refused(&tiff(&[1; 4], &tags(2, 2, 1, 4), own), &["never end"]);
    // A directory without a tag that is its own next.
    refused(b"II\x2a\0\x08\0\0\0\0\0\x08\0\0\0", &["never end"]);
    // Two that are each other's next.
    let first = tiff(&[1; 4], &tags(2, 2, 1, 4), 0);
    let mut both = first.clone();
    let second_at = both.len() as u32;
    both.extend_from_slice(&first[12..first.len() - 4]);
    both.extend(12u32.to_le_bytes());
    let next = second_at as usize - 4;
    both[next..next + 4].copy_from_slice(&second_at.to_le_bytes());
    refused(&both, &["never end"]);
}

#[test]
fn strips_that_claim_the_same_bytes_are_refused() {
    // 64 rows, each a strip of its own, all at offset 8; after the pixels the
    // offsets, then the lengths.
    let mut data = vec![7u8; 64];
    data.extend([8u32; 64].iter().flat_map(|offset| offset.to_le_bytes()));
    data.extend([64u32; 64].iter().flat_map(|len| len.to_le_bytes()));
    let mut overlapping = tags(64, 64, 1, 64);
    overlapping[5] = (273, 64, 8 + 64);
    overlapping[7] = (278, 1, 1);
    overlapping[8] = (279, 64, 8 + 64 + 256);
    refused(&tiff(&data, &overlapping, 0), &["overlap"]);
    // Two pages of one strip.
    let page = tiff(&[1; 400], &tags(20, 20, 1, 400), 0);
    let mut both = page.clone();
    both.extend_from_slice(&page[408..]);
    let next = page.len() - 4;
    both[next..next + 4].copy_from_slice(&(page.len() as u32).to_le_bytes());
    refused(&both, &["overlap"]);
    decode_image(&page).expect("one of them is sound");
}

#[test]
fn strips_and_tiles_without_end_are_refused() {
    let mut many = tags(2, 2, 1, 4);
    many[5] = (273, u32::MAX, 8);
    refused(&tiff(&[1; 4], &many, 0), &["ends before what it points to"]);
    let mut few = tags(2, 200, 1, 4);
    few[7] = (278, 1, 1);
    refused(&tiff(&[1; 4], &few, 0), &["1 of 200 strips"]);
    let mut without_rows = tags(2, 2, 1, 4);
    without_rows[7] = (278, 1, 0);
    refused(&tiff(&[1; 4], &without_rows, 0), &["empty"]);
    // One pixel in a tile of 130 million, for each way of packing.
    for compression in [1, 5, 8, 32_773] {
        let mut tiled = tags(1, 1, compression, 4);
        tiled.truncate(5);
        tiled.push((277, 1, 16));
        tiled.extend([(322, 1, 65_535), (323, 1, 2_000), (324, 1, 8), (325, 1, 4)]);
        refused(&tiff(&[1; 4], &tiled, 0), &["claims"]);
    }
    // Offsets beyond 64 bits in total.
    let mut beyond = tags(2, 2, 1, u32::MAX);
    beyond[5] = (273, 1, u32::MAX);
    refused(&tiff(&[1; 4], &beyond, 0), &["overlap"]);
}

#[test]
fn tables_of_jpeg_strips_are_short() {
    let mut tagged = tags(8, 8, 7, 4);
    tagged.push((347, 1 << 15, 8));
    refused(
        &tiff(&vec![0; 1 << 18], &tagged, 0),
        &["JPEG tables are too long"],
    );
}

#[test]
fn half_an_image_is_never_returned() {
    // Whole bytes of a strip, too few of them.
    let short = tiff(&[9; 99], &tags(10, 10, 1, 99), 0);
    refused(&short, &["cannot hold"]);
    // Deflate and PackBits that end early.
    refused(
        &tiff(&[0xfe, 9], &tags(10, 10, 32_773, 2), 0),
        &["holds 3 of 100 bytes"],
    );
    assert_eq!(
        decode_image(&tiff(&[0x9d, 9], &tags(10, 10, 32_773, 2), 0))
            .expect("a run of 100")
            .num_pixels(),
        100
    );
    // Data of one image, header of another: all lengths in between.
    let whole = png_u8(16, 16, 1);
    for cut in 1..whole.len() - 33 {
        let mut bytes = whole.clone();
        bytes.drain(33..33 + cut);
        assert!(decode_image(&bytes).is_err(), "{cut} bytes gone");
    }
    let whole = jpeg(24, 24, false);
    let end = whole.len() - 2;
    let mut emptied = whole[..2].to_vec();
    emptied.extend_from_slice(&whole[end..]);
    assert!(matches!(
        decode_image(&emptied),
        Err(DecodeError::Damaged { .. })
    ));
}

#[test]
fn jpeg_2000_of_odd_depths_is_refused() {
    let mut bytes = fixture("images/codestream_8.j2k");
    // Ssiz, the depth less one, behind the sizes of image and tiles.
    let depth = 42;
    assert_eq!((&bytes[2..4], bytes[depth]), (&b"\xff\x51"[..], 7));
    for bits in [1, 4, 7, 9, 12, 15] {
        bytes[depth] = bits - 1;
        refused(&bytes, &[&format!("{bits} bits per pixel, not 8 or 16")]);
    }
}
