//! `.npy` files as numpy writes them (`fixtures/npy/make.py`), and as nobody
//! should.

use std::path::Path;

use morphospace_screen::{NpyArray, NpyError, NpyFloat, NpyValues, Pixels, decode_npy, encode_npy};
use proptest::prelude::*;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/npy");
    std::fs::read(folder.join(name)).expect("a committed fixture")
}

fn read(name: &str) -> NpyArray {
    let array = decode_npy(&fixture(name)).expect("written by numpy");
    assert_eq!((array.height, array.width), (3, 4));
    array
}

/// 10 * row + column.
fn whole() -> Vec<u8> {
    (0..3)
        .flat_map(|row| (0..4).map(move |column| 10 * row + column))
        .collect()
}

#[test]
fn arrays_of_numpy_are_read_in_either_order_and_endianness() {
    let real: Vec<f64> = whole().iter().map(|v| f64::from(*v) + 0.5).collect();
    assert_eq!(read("float64_c.npy").values, NpyValues::F64(real.clone()));
    assert_eq!(read("float32_fortran.npy").values, NpyValues::F64(real));
    let thousands = whole().iter().map(|v| u16::from(*v) * 1000).collect();
    assert_eq!(
        read("uint16_big_endian.npy").values,
        NpyValues::U16(thousands)
    );
    assert_eq!(read("uint8_fortran.npy").values, NpyValues::U8(whole()));
    let negative = whole().iter().map(|v| -f64::from(*v)).collect();
    assert_eq!(read("int32_version_2.npy").values, NpyValues::F64(negative));
}

#[test]
fn grey_levels_become_an_image_and_floats_do_not() {
    let plane = read("uint8_fortran.npy").into_plane().expect("u1");
    assert_eq!((plane.width, plane.height), (4, 3));
    assert_eq!(plane.pixels, Pixels::U8(whole()));
    let plane = read("uint16_big_endian.npy").into_plane().expect("u2");
    assert_eq!(plane.bit_depth(), 16);
    assert_eq!(
        read("float64_c.npy").into_plane(),
        Err(NpyError::NotGreyLevels)
    );
}

#[test]
fn what_is_written_is_what_numpy_writes() {
    let real: Vec<f64> = whole().iter().map(|v| f64::from(*v) + 0.5).collect();
    assert_eq!(
        encode_npy(3, 4, &real, NpyFloat::F64),
        fixture("float64_c.npy")
    );
}

/// A file with this header and that many bytes of values.
fn file(version: [u8; 2], header: &str, num_bytes: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend(version);
    match version[0] {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + num_bytes, 0);
    bytes
}

#[track_caller]
fn refuses(bytes: &[u8], part: &str) {
    let error = decode_npy(bytes).expect_err(part);
    assert!(error.to_string().contains(part), "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn hostile_headers_are_refused_before_memory_is_claimed() {
    let header = |descr: &str, shape: &str| {
        format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n")
    };
    let v1 = [1, 0];
    refuses(b"", "no .npy file");
    refuses(b"\x93NUMPY", "ends inside");
    refuses(b"\x93NUMPY\x01\x00\xff", "ends inside");
    refuses(&file([9, 0], "{}", 0), "version 9");
    refuses(&file(v1, &header("'<f8'", "(2,)"), 16), "shape [2]");
    refuses(&file(v1, &header("'<f8'", "()"), 8), "shape []");
    refuses(
        &file(v1, &header("'<f8'", "(1, 1, 1)"), 8),
        "shape [1, 1, 1]",
    );
    refuses(&file(v1, &header("'<f8'", "(0, 3)"), 0), "shape [0, 3]");
    refuses(&file(v1, &header("'|O'", "(1, 1)"), 8), "type '|O'");
    refuses(&file(v1, &header("'<i8'", "(1, 1)"), 8), "type '<i8'");
    refuses(&file(v1, &header("''", "(1, 1)"), 8), "type ''");
    refuses(&file(v1, &header("'é8'", "(1, 1)"), 8), "type 'é8'");
    refuses(&file(v1, &header("[('a', '<f4')]", "(1, 1)"), 4), "record");
    refuses(
        &file(v1, &header("'<f8'", "(60000, 60000)"), 8),
        "60000 x 60000",
    );
    let most = usize::MAX.to_string();
    refuses(
        &file(v1, &header("'<f8'", &format!("({most}, {most})")), 8),
        "more than",
    );
    refuses(
        &file(v1, &header("'<f8'", "(99999999999999999999, 1)"), 8),
        "no length",
    );
    refuses(&file(v1, &header("'<f8'", "(-1, 1)"), 8), "no length");
    refuses(&file(v1, &header("'<f8'", "(2, 2)"), 31), "32 bytes");
    refuses(&file(v1, &header("'<f8'", "(2, 2)"), 33), "32 bytes");
    refuses(&file(v1, "{'descr': '<f8'}", 0), "no 'fortran_order'");
    refuses(
        &file(v1, "{'descr': '<f8', 'descr': '<f8'}", 0),
        "'descr' twice",
    );
    refuses(&file(v1, "{'shape': (1, 1), 'x': 1}", 0), "entry 'x'");
    refuses(&file(v1, "{'descr': '<f8", 0), "has no end");
    refuses(&file(v1, &(header("'<f8'", "(1, 1)") + "x"), 8), "follows");
    let long = "{".to_owned() + &" ".repeat(20_000);
    refuses(&file(v1, &long, 0), "20001 bytes");
    let mut huge = file([2, 0], "{}", 0);
    huge[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    refuses(&huge, "4294967295 bytes");
    let mut many = "(".to_owned();
    many.push_str(&"1,".repeat(500));
    many.push(')');
    refuses(&file(v1, &header("'<f8'", &many), 8), "too many axes");
}

#[test]
fn python_2_wrote_long_numbers() {
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 1L), }";
    let array = decode_npy(&file([1, 0], header, 2)).expect("valid");
    assert_eq!((array.height, array.width), (2, 1));
}

proptest! {
    #[test]
    fn no_change_of_a_few_bytes_panics(
        which in 0usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let names = ["float64_c.npy", "uint8_fortran.npy", "int32_version_2.npy"];
        let mut bytes = fixture(names[which]);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(array) = decode_npy(&bytes) {
            prop_assert_eq!(array.to_f64().len(), array.height * array.width);
        }
    }

    #[test]
    fn arrays_round_trip(
        (height, width, values) in (1usize..7, 1usize..7).prop_flat_map(|(height, width)| {
            let values = prop::collection::vec(any::<f64>(), height * width);
            (Just(height), Just(width), values)
        })
    ) {
        let array = decode_npy(&encode_npy(height, width, &values, NpyFloat::F64)).expect("ours");
        prop_assert_eq!((array.height, array.width), (height, width));
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
        prop_assert_eq!(bits(&array.to_f64()), bits(&values));
    }
}
