//! Archives made to harm: what they hold is refused or read, never unpacked,
//! and never makes the program panic or fill the memory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use morphospace_screen::open_screen;
use morphospace_screen::store::{SharedStore, StoreError, open_store};
use zip::write::SimpleFileOptions;

use crate::rxrx1;
use crate::support::{assert_names, files_of, message, png_u8, write_tar, write_zip};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn zip_of(folder: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let path = folder.join("a.zip");
    let files: Vec<_> = files
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
        .collect();
    write_zip(&path, &files);
    path
}

/// A tar archive of entries whose names are written as they are.
fn tar_of(folder: &Path, entries: &[(tar::EntryType, &[u8], &[u8])]) -> PathBuf {
    let path = folder.join("a.tar");
    let mut builder = tar::Builder::new(File::create(&path).expect("created"));
    for (kind, name, bytes) in entries {
        let mut header = tar::Header::new_old();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, *bytes).expect("packed");
    }
    builder.finish().expect("written");
    path
}

/// Looks at all that an archive holds.
fn read_all(store: &SharedStore) -> usize {
    let paths = store.files("").expect("listed");
    for path in &paths {
        let len = store.len(path);
        if let (Ok(Some(len)), Ok(bytes)) = (&len, store.read(path)) {
            assert_eq!(*len, bytes.len() as u64, "{path}");
        }
        let _ = store.read_range(path, 1..3);
    }
    paths.len()
}

/// Where headers with a signature start.
fn headers(bytes: &[u8], signature: &[u8]) -> Vec<usize> {
    (0..bytes.len())
        .filter(|&at| bytes[at..].starts_with(signature))
        .collect()
}

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";

#[test]
fn names_that_lead_out_are_refused_in_zip_and_tar() {
    for name in [
        "../a.png",
        "x/../../a.png",
        "/etc/passwd",
        "..\\a.png",
        "\\\\host\\share\\a.png",
        "C:\\a.png",
        "c:a.png",
        "..",
    ] {
        let folder = folder();
        let archive = zip_of(folder.path(), &[("good.png", b"x"), (name, b"x")]);
        let error = message(open_store(&archive));
        assert_names(&error, &["a.zip", "leads out of it", "hint"]);
        let file = tar::EntryType::Regular;
        let archive = tar_of(folder.path(), &[(file, name.as_bytes(), b"x")]);
        let error = message(open_store(&archive));
        assert_names(&error, &["a.tar", "leads out of it", "hint"]);
    }
}

#[test]
fn links_and_devices_in_tar_are_not_followed() {
    let folder = folder();
    fs::write(folder.path().join("secret"), "secret").expect("written");
    let path = folder.path().join("a.tar");
    let mut builder = tar::Builder::new(File::create(&path).expect("created"));
    for (name, kind) in [
        ("symlink.png", tar::EntryType::Symlink),
        ("hardlink.png", tar::EntryType::Link),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        builder
            .append_link(&mut header, name, "secret")
            .expect("packed");
    }
    for kind in [
        tar::EntryType::Char,
        tar::EntryType::Fifo,
        tar::EntryType::Block,
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        builder
            .append_data(&mut header, "device.png", &b""[..])
            .expect("packed");
    }
    builder.finish().expect("written");
    let store = open_store(&path).expect("opens");
    assert_eq!(store.files(""), Ok(Vec::new()));
    assert_eq!(store.read("symlink.png"), Err(StoreError::Missing));
}

#[test]
fn links_in_zip_are_their_own_few_bytes() {
    let folder = folder();
    let path = folder.path().join("a.zip");
    let mut writer = zip::ZipWriter::new(File::create(&path).expect("created"));
    let options = SimpleFileOptions::default();
    writer
        .add_symlink("a.png", "/etc/passwd", options)
        .expect("packed");
    writer.finish().expect("written");
    let store = open_store(&path).expect("opens");
    assert_eq!(store.read("a.png"), Ok(b"/etc/passwd".to_vec()));
}

/// A zip of one deflated file of zeros.
fn zip_of_zeros(path: &Path, len: u64) {
    let mut writer = zip::ZipWriter::new(File::create(path).expect("created"));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    writer.start_file("zeros.png", options).expect("started");
    let zeros = vec![0; 1 << 20];
    let mut left = len;
    while left > 0 {
        let part = left.min(zeros.len() as u64);
        writer.write_all(&zeros[..part as usize]).expect("packed");
        left -= part;
    }
    writer.finish().expect("written");
}

#[test]
fn a_bomb_is_refused_before_it_is_inflated() {
    let folder = folder();
    let path = folder.path().join("bomb.zip");
    zip_of_zeros(&path, (1 << 30) + 1);
    assert!(fs::metadata(&path).expect("there").len() < 6 << 20);
    let store = open_store(&path).expect("opens");
    assert_names(
        &message(store.read("zeros.png")),
        &["1073741825 bytes long"],
    );
    assert_names(
        &message(store.read_range("zeros.png", 0..8)),
        &["1073741825 bytes long"],
    );
    // The same file, claimed to be small: no more than that is inflated.
    let mut bytes = fs::read(&path).expect("there");
    for (signature, offset) in [(LOCAL, 22), (CENTRAL, 24)] {
        let at = headers(&bytes, signature)[0] + offset;
        bytes[at..at + 4].copy_from_slice(&100_u32.to_le_bytes());
    }
    fs::write(&path, bytes).expect("written");
    let store = open_store(&path).expect("opens");
    let error = message(store.read("zeros.png"));
    assert_names(&error, &["larger than its declared"]);
}

#[test]
fn sizes_that_lie_are_refused() {
    let folder = folder();
    let path = folder.path().join("a.zip");
    // Stored and deflated; all claimed sizes are larger than what is there.
    for method in [
        zip::CompressionMethod::Stored,
        zip::CompressionMethod::Deflated,
    ] {
        let mut writer = zip::ZipWriter::new(File::create(&path).expect("created"));
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file("a.png", options).expect("started");
        writer.write_all(&png_u8(8, 8, 1)).expect("packed");
        writer.finish().expect("written");
        let good = fs::read(&path).expect("there");
        for claimed in [1_u32 << 20, 1 << 29, u32::MAX - 1] {
            for fields in [&[20][..], &[24], &[20, 24]] {
                let mut bytes = good.clone();
                let at = headers(&bytes, CENTRAL)[0];
                for field in fields {
                    bytes[at + field..at + field + 4].copy_from_slice(&claimed.to_le_bytes());
                }
                fs::write(&path, bytes).expect("written");
                let Ok(store) = open_store(&path) else {
                    continue;
                };
                if fields == [20] {
                    // Nothing is lost if only the compressed size is wrong.
                    let _ = store.read("a.png");
                } else {
                    assert!(
                        store.read("a.png").is_err(),
                        "{method:?} {claimed} {fields:?}"
                    );
                }
                let _ = store.read_range("a.png", 0..4);
                assert!(store.read_range("a.png", 0..u64::from(claimed)).is_err());
            }
        }
    }
}

#[test]
fn entries_that_overlap_are_bounded_one_by_one() {
    let folder = folder();
    let path = zip_of(folder.path(), &[("a.png", b"first"), ("b.png", b"second")]);
    let mut bytes = fs::read(&path).expect("there");
    // Both entries of the table point at the first file.
    let tables = headers(&bytes, CENTRAL);
    bytes.copy_within(tables[0] + 42..tables[0] + 46, tables[1] + 42);
    fs::write(&path, bytes).expect("written");
    match open_store(&path) {
        Err(error) => assert_names(&error.to_string(), &["not a whole zip archive"]),
        Ok(store) => {
            assert_eq!(store.read("a.png"), Ok(b"first".to_vec()));
            assert!(
                store.read("b.png").is_err(),
                "its length or checksum is another's"
            );
        }
    }
}

#[test]
fn archives_cut_off_at_any_place_are_refused() {
    let folder = folder();
    let plain = folder.path().join("plain");
    rxrx1::write_screen(&plain);
    let files = files_of(&plain);
    let path = folder.path().join("a.tar");
    write_tar(&path, &files);
    let whole = fs::read(&path).expect("there");
    // An archive ends with two blocks of zeros, of which one will do.
    for len in (0..whole.len() - 512).step_by(64) {
        fs::write(&path, &whole[..len]).expect("cut");
        let error = message(open_store(&path));
        assert_names(&error, &["is not a whole tar archive", "hint"]);
    }
    let path = folder.path().join("a.zip");
    write_zip(&path, &files);
    let whole = fs::read(&path).expect("there");
    for len in (0..whole.len()).step_by(64) {
        fs::write(&path, &whole[..len]).expect("cut");
        let error = message(open_store(&path));
        assert_names(&error, &["is not a whole zip archive", "hint"]);
    }
}

#[test]
fn archives_with_a_byte_changed_are_refused_or_read() {
    let folder = folder();
    let files = [
        ("x/a.png".to_owned(), png_u8(8, 8, 1)),
        ("b.csv".to_owned(), b"a,b\n".to_vec()),
    ];
    let (tar, zip) = (folder.path().join("a.tar"), folder.path().join("a.zip"));
    write_tar(&tar, &files);
    write_zip(&zip, &files);
    for path in [tar, zip] {
        let whole = fs::read(&path).expect("there");
        let (mut num_refused, mut num_read) = (0, 0);
        for at in (0..whole.len()).step_by(5) {
            for change in [0x01, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                fs::write(&path, bytes).expect("written");
                match open_store(&path) {
                    Ok(store) => num_read += read_all(&store),
                    Err(_) => num_refused += 1,
                }
            }
        }
        assert!(
            num_refused > 10 && num_read > 100,
            "{num_refused} {num_read}"
        );
    }
}

#[test]
fn of_two_entries_of_one_name_the_later_counts() {
    let folder = folder();
    let file = tar::EntryType::Regular;
    let path = tar_of(
        folder.path(),
        &[(file, b"a.png", b"first"), (file, b"./a.png", b"second")],
    );
    let store = open_store(&path).expect("opens");
    assert_eq!(store.files(""), Ok(vec!["a.png".to_owned()]));
    assert_eq!(store.entries("").expect("listed").len(), 1);
    assert_eq!(store.read("a.png"), Ok(b"second".to_vec()));
    let path = zip_of(
        folder.path(),
        &[("a.png", b"first"), ("./a.png", b"second")],
    );
    let store = open_store(&path).expect("opens");
    assert_eq!(store.read("a.png"), Ok(b"second".to_vec()));
}

#[test]
fn a_file_may_have_the_name_of_a_folder() {
    let folder = folder();
    let path = zip_of(folder.path(), &[("a", b"file"), ("a/b", b"inner")]);
    let store = open_store(&path).expect("opens");
    assert_eq!(store.read("a"), Ok(b"file".to_vec()));
    assert_eq!(store.read("a/b"), Ok(b"inner".to_vec()));
}

#[test]
fn names_that_are_no_text_are_read_as_best_can_be() {
    let folder = folder();
    let path = tar_of(
        folder.path(),
        &[(tar::EntryType::Regular, b"\xff\xfe.png", b"x")],
    );
    let store = open_store(&path).expect("opens");
    assert_eq!(read_all(&store), 1);
    let path = zip_of(folder.path(), &[("ab.png", b"x")]);
    let mut bytes = fs::read(&path).expect("there");
    for (signature, offset) in [(LOCAL, 30), (CENTRAL, 46)] {
        let at = headers(&bytes, signature)[0] + offset;
        bytes[at..at + 2].copy_from_slice(b"\xff\xfe");
    }
    fs::write(&path, bytes).expect("written");
    let store = open_store(&path).expect("opens");
    assert_eq!(read_all(&store), 1);
}

#[test]
fn names_that_fill_the_memory_are_refused() {
    let folder = folder();
    let deep = "a/".repeat(30_000) + "x";
    let path = zip_of(folder.path(), &[(&deep, b"x")]);
    let error = message(open_store(&path));
    assert_names(&error, &["a.zip", "longer than a path can be", "hint"]);
    assert!(error.len() < 1_000);
    let path = folder.path().join("long.tar");
    write_tar(&path, &[("a/".repeat(1_000) + "x", b"x".to_vec())]);
    assert_names(
        &message(open_store(&path)),
        &["lies deeper than folders can"],
    );
}

#[test]
fn encrypted_files_are_refused_by_name() {
    let folder = folder();
    let path = zip_of(folder.path(), &[("a.png", b"secret"), ("b.png", b"open")]);
    let mut bytes = fs::read(&path).expect("there");
    for (signature, offset) in [(LOCAL, 6), (CENTRAL, 8)] {
        let at = headers(&bytes, signature)[0] + offset;
        bytes[at] |= 1;
    }
    fs::write(&path, bytes).expect("written");
    let store = open_store(&path).expect("opens");
    assert_names(&message(store.read("a.png")).to_lowercase(), &["password"]);
    assert_names(
        &message(store.read_range("a.png", 0..2)).to_lowercase(),
        &["password"],
    );
    assert_eq!(store.read("b.png"), Ok(b"open".to_vec()));
}

#[test]
fn archives_within_archives_stay_closed() {
    let folder = folder();
    let inner = zip_of(folder.path(), &[("metadata.csv", b"x")]);
    let inner = fs::read(inner).expect("there");
    let path = zip_of(folder.path(), &[("inner.zip", &inner)]);
    let store = open_store(&path).expect("opens");
    assert_eq!(store.files(""), Ok(vec!["inner.zip".to_owned()]));
    assert_names(
        &message(open_screen(&path, None)),
        &["a.zip", "is not a screen"],
    );
}

#[test]
fn large_archives_formats_are_read() {
    let folder = folder();
    let plain = folder.path().join("plain");
    rxrx1::write_screen(&plain);
    let path = folder.path().join("large.zip");
    let mut writer = zip::ZipWriter::new(File::create(&path).expect("created"));
    for (name, bytes) in files_of(&plain) {
        let options = SimpleFileOptions::default().large_file(true);
        writer.start_file(name, options).expect("started");
        writer.write_all(&bytes).expect("packed");
    }
    writer.finish().expect("written");
    let screen = open_screen(&path, None).expect("opens");
    assert_eq!(screen.sites().len(), 5);
    assert!(screen.read_plane(0, 0).is_ok());
}

#[test]
fn empty_archives_are_no_screens() {
    let folder = folder();
    for (path, message_part) in [
        (zip_of(folder.path(), &[]), "is not a screen"),
        (tar_of(folder.path(), &[]), "is not a screen"),
    ] {
        assert_eq!(open_store(&path).expect("opens").files(""), Ok(Vec::new()));
        assert_names(&message(open_screen(&path, None)), &[message_part, "hint"]);
        fs::write(&path, "").expect("written");
        assert_names(
            &message(open_screen(&path, None)),
            &["is not a whole", "hint"],
        );
    }
}

/// Names and contents.
type Files = Vec<(String, Vec<u8>)>;

#[test]
fn archives_are_found_below_folders_of_plates() {
    let source = folder();
    rxrx1::write_screen(source.path());
    let mut metadata = Vec::new();
    let mut plates: BTreeMap<String, Files> = BTreeMap::new();
    for (path, bytes) in files_of(source.path()) {
        match path.rsplit_once('/') {
            None => metadata = bytes,
            Some((plate, name)) => {
                let files = plates.entry(plate.to_owned()).or_default();
                files.push((name.to_owned(), bytes));
            }
        }
    }
    assert_eq!(plates.len(), 2);
    // The screen itself, and within another folder.
    for above in ["", "rxrx1"] {
        let folder = folder();
        let root = folder.path().join(above);
        for (plate, files) in &plates {
            let path = root.join(format!("{plate}.tar"));
            fs::create_dir_all(path.parent().expect("below the root")).expect("made");
            write_tar(&path, files);
        }
        fs::write(root.join("metadata.csv"), &metadata).expect("written");
        let store = open_store(folder.path()).expect("opens");
        let place = |path: &str| match above {
            "" => path.to_owned(),
            above => format!("{above}/{path}"),
        };
        for (plate, files) in &plates {
            for (name, bytes) in files {
                let read = store.read(&place(&format!("{plate}/{name}")));
                assert_eq!(read.as_ref(), Ok(bytes), "{plate}/{name}");
            }
        }
        let screen = open_screen(&root, None).expect("opens");
        assert!((0..5).all(|site| (0..6).all(|channel| screen.is_present(site, channel))));
    }
}

#[cfg(unix)]
#[test]
fn pipes_are_refused_and_links_that_lead_up_are_not_followed() {
    let folder = folder();
    rxrx1::write_screen(folder.path());
    let image = "images/HUVEC-01/Plate1/B02_s1_w1.png";
    for path in [image, "plates.zip"] {
        let pipe = folder.path().join(path);
        let _ = fs::remove_file(&pipe);
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("a system with pipes").success());
    }
    let error = message(open_store(folder.path()));
    assert_names(&error, &["not a regular file", "hint"]);
    fs::remove_file(folder.path().join("plates.zip")).expect("removed");
    std::os::unix::fs::symlink(folder.path(), folder.path().join("images/all")).expect("linked");
    let store = open_store(folder.path()).expect("opens");
    let error = message(store.read(image));
    assert_names(&error, &["not a regular file", "hint"]);
    let error = message(store.read_range(image, 0..1));
    assert_names(&error, &["not a regular file"]);
    let screen = open_screen(folder.path(), None).expect("opens");
    let error = message(screen.read_plane(0, 0));
    assert_names(&error, &["B02", "channel w1", "pipe", "hint: put the file"]);
}

#[test]
fn compression_that_is_not_read_says_what_to_do() {
    let folder = folder();
    let path = folder.path().join("a.zip");
    write_zip(&path, &[("a.png".to_owned(), png_u8(64, 64, 1))]);
    let mut bytes = fs::read(&path).expect("there");
    // LZMA in place of deflate.
    for (signature, offset) in [(LOCAL, 8), (CENTRAL, 10)] {
        let at = headers(&bytes, signature)[0] + offset;
        bytes[at] = 14;
    }
    fs::write(&path, bytes).expect("written");
    let store = open_store(&path).expect("opens");
    let error = message(store.read("a.png"));
    assert_names(
        &error,
        &["ompression method", "hint: pack the archive again"],
    );
}
