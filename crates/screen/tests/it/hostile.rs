//! Whatever is done to the files of a screen, opening it and looking at its
//! images ends in a screen or in an error, never in a panic; and archives
//! that are traps are refused.

use std::fs;
use std::path::Path;

use morphospace_screen::{InspectDepth, ScreenFormat, inspect, open_screen};
use proptest::prelude::*;

use crate::support::{assert_names, files_of, message, write, write_tar, write_zip};
use crate::{harmony, imagexpress, jump, rxrx3, rxrx3_core, wilds};

/// A reader, and what writes a screen of its own.
type Layout = (ScreenFormat, fn(&Path));

const LAYOUTS: [Layout; 6] = [
    (ScreenFormat::Rxrx3, rxrx3::write_screen),
    (ScreenFormat::Rxrx3Core, rxrx3_core::write_screen),
    (ScreenFormat::Wilds, wilds::write_screen),
    (ScreenFormat::Jump, jump::write_screen),
    (ScreenFormat::ImageXpress, imagexpress::write_screen),
    (ScreenFormat::Harmony, harmony::write_screen),
];

/// A change to one file.
#[derive(Clone, Debug)]
enum Damage {
    Overwrite(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Rename(String),
    Swap(usize, usize),
}

fn damages() -> impl Strategy<Value = Damage> {
    let pieces = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..8),
        prop::sample::select(vec![
            &b"\n"[..],
            b",",
            b"\"",
            b"\r",
            b"\0",
            b"../",
            b"99999999999999999999",
            b"-1",
            b"_s",
            b"Plate",
            b"\xff",
            b"\xef\xbb\xbf",
            b"file:",
            b"s3:",
            b"ChannelID=\"",
            b"WaveName1",
            b"NaN",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    prop_oneof![
        (any::<usize>(), pieces.clone()).prop_map(|(at, piece)| Damage::Overwrite(at, piece)),
        (any::<usize>(), pieces).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        (any::<usize>(), 1_usize..200).prop_map(|(at, len)| Damage::Remove(at, len)),
        "[A-Za-z0-9_.#-]{1,30}(\\.tiff?|\\.png|\\.csv)?".prop_map(Damage::Rename),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Damage::Swap(a, b)),
    ]
}

/// Changes a file in place; the new name is that of a sibling.
fn damage(root: &Path, path: &str, bytes: &[u8], damage: &Damage) {
    let mut bytes = bytes.to_vec();
    let at = |index: usize| index % (bytes.len() + 1);
    match damage {
        Damage::Overwrite(index, piece) => {
            let start = at(*index);
            let end = (start + piece.len()).min(bytes.len());
            bytes.splice(start..end, piece.iter().copied());
        }
        Damage::Insert(index, piece) => {
            let start = at(*index);
            bytes.splice(start..start, piece.iter().copied());
        }
        Damage::Remove(index, len) => {
            let start = at(*index);
            bytes.drain(start..(start + len).min(bytes.len()));
        }
        Damage::Rename(name) => {
            let file = root.join(path);
            let _ = fs::rename(&file, file.with_file_name(name));
            return;
        }
        Damage::Swap(a, b) => {
            let len = bytes.len().max(1);
            if !bytes.is_empty() {
                bytes.swap(a % len, b % len);
            }
        }
    }
    fs::write(root.join(path), bytes).expect("written");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn damaged_screens_are_refused_or_read(
        layout in 0..LAYOUTS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), damages()), 1..4),
    ) {
        let (format, write_screen) = &LAYOUTS[layout];
        let folder = tempfile::tempdir().expect("a folder");
        write_screen(folder.path());
        for (file, change) in &changes {
            let mut files = files_of(folder.path());
            // Tables say more than pixels, and are rarer: prefer them.
            files.sort_by_key(|(path, _)| path.ends_with(".png") || path.to_lowercase().ends_with(".tiff"));
            let num_files = files.len().min(10);
            let (path, bytes) = &files[file.index(num_files)];
            damage(folder.path(), path, bytes, change);
        }
        // Without buckets a URL that leads out of the mirror is an error at once.
        match open_screen(folder.path(), Some(format)) {
            Ok(screen) => {
                let found = inspect(&*screen, InspectDepth::Decode);
                prop_assert!(found.num_sites > 0);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
        let _ = open_screen(folder.path(), None);
    }
}

#[test]
fn every_layout_is_recognised() {
    for (format, write_screen) in &LAYOUTS {
        let folder = tempfile::tempdir().expect("a folder");
        write_screen(folder.path());
        let named = open_screen(folder.path(), Some(format)).expect("opens");
        let recognised = open_screen(folder.path(), None).expect("recognised");
        assert_eq!(recognised.sites(), named.sites(), "{format:?}");
        assert_eq!(recognised.channels(), named.channels(), "{format:?}");
        assert_eq!(recognised.notes(), named.notes(), "{format:?}");
    }
}

#[test]
fn archives_that_lead_out_are_refused() {
    for (format, write_screen) in &LAYOUTS {
        let folder = tempfile::tempdir().expect("a folder");
        write_screen(folder.path());
        let mut files = files_of(folder.path());
        files.push(("../outside.png".to_owned(), b"x".to_vec()));
        let archive = folder.path().join("screen.zip");
        write_zip(&archive, &files);
        let error = message(open_screen(&archive, Some(format)));
        assert_names(&error, &["../outside.png", "leads out of it", "hint"]);
    }
}

#[test]
fn archives_cut_off_anywhere_are_refused() {
    for (format, write_screen) in &LAYOUTS {
        let folder = tempfile::tempdir().expect("a folder");
        let plain = folder.path().join("plain");
        write_screen(&plain);
        let mut files = files_of(&plain);
        files.push(("last".to_owned(), vec![0; 2_000]));
        let (tar, zip) = (
            folder.path().join("screen.tar"),
            folder.path().join("screen.zip"),
        );
        write_tar(&tar, &files);
        write_zip(&zip, &files);
        // Within the last file, and within the table of contents.
        for (archive, kind, num_cut) in [(tar, "tar", 2_000), (zip, "zip", 30)] {
            let whole = fs::read(&archive).expect("there");
            let len = whole.len() - num_cut;
            fs::write(&archive, &whole[..len]).expect("cut");
            let error = message(open_screen(&archive, Some(format)));
            assert_names(&error, &["is not a whole", kind, "hint"]);
        }
    }
}

#[test]
fn an_archive_that_claims_too_much_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = folder.path().join("plain");
    rxrx3::write_screen(&plain);
    let archive = folder.path().join("screen.zip");
    write_zip(&archive, &files_of(&plain));
    // The size of the table, in the archive's table of contents, is forged.
    let mut bytes = fs::read(&archive).expect("there");
    let name = b"metadata_rxrx3.csv";
    let entry = (0..bytes.len())
        .filter(|&at| bytes[at..].starts_with(b"PK\x01\x02"))
        .find(|&at| bytes[at + 46..].starts_with(name))
        .expect("it is listed");
    bytes[entry + 24..entry + 28].copy_from_slice(&0x3fff_ffff_u32.to_le_bytes());
    write(folder.path(), "screen.zip", bytes);
    let error = message(open_screen(&archive, Some(&ScreenFormat::Rxrx3)));
    assert_names(&error, &["metadata_rxrx3.csv", "the archive claims"]);
}
