use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{ArrayRef, BinaryArray, LargeBinaryArray, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field, Fields};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::store::{Entry, FolderStore, SharedStore, Store, StoreError};
use morphospace_screen::{
    InspectDepth, Pixels, Rxrx3CoreScreen, Screen, ScreenFormat, decode_image, inspect, open_screen,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::rxrx3::HEADER;
use crate::support::{assert_names, check_packed, message, png_u8, write};

/// Rows of a shard: key and image.
type Row = (String, Vec<u8>);

/// How a shard holds its images.
#[derive(Clone, Copy, Debug)]
enum Form {
    Bytes,
    LargeBytes,
    Struct,
}

fn write_shard(root: &Path, name: &str, rows: &[Row], form: Form, rows_per_group: usize) {
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.0)));
    let bytes = || BinaryArray::from_iter_values(rows.iter().map(|row| &row.1));
    let images: ArrayRef = match form {
        Form::Bytes => Arc::new(bytes()),
        Form::LargeBytes => Arc::new(LargeBinaryArray::from_iter_values(
            rows.iter().map(|row| &row.1),
        )),
        Form::Struct => {
            let fields = Fields::from(vec![
                Field::new("bytes", DataType::Binary, true),
                Field::new("path", DataType::Utf8, true),
            ]);
            let paths = StringArray::from_iter_values(rows.iter().map(|_| "x.jp2"));
            Arc::new(StructArray::new(
                fields,
                vec![Arc::new(bytes()), Arc::new(paths)],
                None,
            ))
        }
    };
    let batch = RecordBatch::try_from_iter([("__key__", keys), ("jp2", images)]).expect("a batch");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(rows_per_group))
        .set_dictionary_enabled(false)
        .build();
    let path = root.join("data").join(name);
    fs::create_dir_all(path.parent().expect("below the root")).expect("made");
    let file = File::create(path).expect("created");
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
}

/// Six images of a well; their pixels tell well and channel.
fn images(well: &str, seed: u8, prefix: &str) -> Vec<Row> {
    (1..=6)
        .map(|channel| {
            (
                format!("{well}_s1_{prefix}{channel}"),
                png_u8(8, 8, seed + channel),
            )
        })
        .collect()
}

fn metadata() -> String {
    [
        HEADER,
        "gene-001_1_B02,gene-001,1,B02,EMPTY_control,EMPTY_control,,,CRISPR,HUVEC",
        "gene-001_1_AA03,gene-001,1,AA03,PLK1,PLK1_guide_1,,,CRISPR,HUVEC",
        "compound-002_7_C04,compound-002,7,C04,,lovastatin,,0.25,COMPOUND,HUVEC",
    ]
    .join("\n")
}

fn write_screen_as(root: &Path, form: Form, prefix: &str) {
    write(root, "metadata_rxrx3_core.csv", metadata());
    // In another order than the metadata's, a well across two row groups.
    let mut rows = images("gene-001/Plate1/AA03", 20, prefix);
    rows.extend(images("gene-001/Plate1/B02", 10, prefix));
    write_shard(root, "train-00000-of-00002.parquet", &rows, form, 4);
    let rows = images("compound-002/Plate7/C04", 30, prefix);
    write_shard(root, "train-00001-of-00002.parquet", &rows, form, 4);
}

pub(crate) fn write_screen(root: &Path) {
    write_screen_as(root, Form::Bytes, "");
}

#[test]
fn images_are_found_by_their_keys_in_every_form() {
    for (form, prefix) in [
        (Form::Bytes, ""),
        (Form::LargeBytes, "w"),
        (Form::Struct, ""),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        write_screen_as(folder.path(), form, prefix);
        let screen = check_packed(folder.path(), &ScreenFormat::Rxrx3Core);
        let wells: Vec<String> = screen
            .sites()
            .iter()
            .map(|site| site.key.well_id())
            .collect();
        assert_eq!(
            wells,
            ["compound-002_7_C04", "gene-001_1_B02", "gene-001_1_AA03"]
        );
        for (site, seed) in [(0, 30), (1, 10), (2, 20)] {
            for channel in 0..6 {
                let expected =
                    decode_image(&png_u8(8, 8, seed + channel as u8 + 1)).expect("a PNG");
                let plane = screen.read_plane(site, channel).expect("decodes");
                assert_eq!(plane, expected, "{form:?} site {site} channel {channel}");
            }
        }
        let location = screen.plane_location(2, 3).expect("is listed");
        let end = "train-00000-of-00002.parquet#gene-001/Plate1/AA03_s1_4";
        assert!(location.ends_with(end), "{location}");
        assert!(screen.notes().is_empty(), "{:?}", screen.notes());
        let labels: Vec<_> = screen
            .sites()
            .iter()
            .map(|site| site.well.label())
            .collect();
        assert_eq!(labels[0].as_deref(), Some("lovastatin @ 0.25"));
    }
}

#[test]
fn what_matches_nothing_is_counted_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata_rxrx3_core.csv", metadata());
    let mut rows = images("gene-001/Plate1/B02", 10, "");
    rows.pop();
    rows.extend(images("gene-001/Plate1/P24", 40, ""));
    rows.extend(images("gene-002/Plate1/B02", 50, ""));
    write_shard(
        folder.path(),
        "train-00003-of-00035.parquet",
        &rows,
        Form::Bytes,
        100,
    );
    let screen = open_screen(folder.path(), None).expect("recognised");
    check_screen(&*screen).expect("conforms");
    let expected = [
        "1 of 35 shards are here".to_owned(),
        "12 images of 2 sites are left out, as 'metadata_rxrx3_core.csv' has no row for them \
         (first: 'gene-001/Plate1/P24_s1_1')"
            .to_owned(),
        "2 wells of 'metadata_rxrx3_core.csv' have no image in any shard (first: compound-002 \
         plate 7 well C04)"
            .to_owned(),
    ];
    assert_eq!(screen.notes(), expected);
    let found = inspect(&*screen, InspectDepth::Decode);
    assert_eq!(found.num_present, [1, 1, 1, 1, 1, 0]);
    assert_eq!(found.missing.len(), 13);
    assert_names(
        &message(screen.read_plane(1, 5)),
        &["well B02 site 1 channel w6", "missing"],
    );
}

#[track_caller]
fn check_refused(rows: &[Row], parts: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata_rxrx3_core.csv", metadata());
    write_shard(
        folder.path(),
        "train-00000-of-00001.parquet",
        rows,
        Form::Bytes,
        100,
    );
    assert_names(&message(open_screen(folder.path(), None)), parts);
}

#[test]
fn refused_shards_say_why() {
    for key in [
        "",
        "B02_s1_1",
        "gene-001/Plate1/B02_s1_7",
        "gene-001/Plate1/B02_s1_0",
        "gene-001/Plate../B02_s1_1",
        "gene-001/Plate1/B99_s1_1",
        "gene-001/Plate1/B02_1",
    ] {
        let rows = [
            ("gene-001/Plate1/B02_s1_1".to_owned(), vec![]),
            (key.to_owned(), vec![]),
        ];
        check_refused(
            &rows,
            &["train-00000-of-00001.parquet", "row 2", "__key__", key],
        );
    }
    let twice = [
        images("gene-001/Plate1/B02", 1, ""),
        images("gene-1/Plate1/b2", 1, ""),
    ]
    .concat();
    check_refused(
        &twice,
        &[
            "gene-001 plate 1 well B02 site 1 channel w1",
            "two images",
            "train-00000-of-00001.parquet row 1'",
            "train-00000-of-00001.parquet row 7'",
        ],
    );

    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata_rxrx3_core.csv", metadata());
    assert_names(
        &message(open_screen(folder.path(), None)),
        &["no shard of images"],
    );
    write(
        folder.path(),
        "data/train-00000-of-00001.parquet",
        b"PAR1 not really",
    );
    let error = message(open_screen(folder.path(), None));
    assert_names(
        &error,
        &["train-00000-of-00001.parquet", "damaged or cut off", "hint"],
    );
}

#[test]
fn images_that_are_far_too_long_are_refused() {
    let long = || vec![0; (64 << 20) + 1];
    let mut rows = images("gene-001/Plate1/B02", 1, "");
    rows[2].1 = long();
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata_rxrx3_core.csv", metadata());
    let name = "train-00000-of-00001.parquet";
    write_shard(folder.path(), name, &rows, Form::Bytes, 100);
    let screen = open_screen(folder.path(), None).expect("opens");
    let error = message(screen.read_plane(1, 2));
    assert_names(
        &error,
        &[
            "well B02",
            "channel w3",
            "67108865 bytes",
            "hint: fetch the shard",
        ],
    );
    assert_eq!(error.matches("hint: ").count(), 1, "{error}");
    let alone = [("gene-001/Plate1/B02_s1_1".to_owned(), long())];
    check_refused(&alone, &[name, "row group 1", "bytes each", "hint"]);
}

#[test]
fn a_shard_cut_off_anywhere_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path());
    let path = folder.path().join("data/train-00001-of-00002.parquet");
    let whole = fs::read(&path).expect("there");
    for len in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..len]).expect("cut");
        let error = message(Rxrx3CoreScreen::open_in(Arc::new(FolderStore::new(
            folder.path(),
        ))));
        assert_names(&error, &["train-00001-of-00002.parquet", "hint"]);
    }
}

#[test]
fn damaged_images_name_their_key() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata_rxrx3_core.csv", metadata());
    let mut rows = images("gene-001/Plate1/B02", 10, "");
    rows[2].1.truncate(20);
    rows[3].1.clear();
    write_shard(
        folder.path(),
        "train-00000-of-00001.parquet",
        &rows,
        Form::Struct,
        100,
    );
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    let error = message(screen.read_plane(1, 2));
    assert_names(
        &error,
        &[
            "well B02 site 1 channel w3",
            "#gene-001/Plate1/B02_s1_3",
            "damaged",
        ],
    );
    assert_names(&message(screen.read_plane(1, 3)), &["the file is empty"]);
}

/// A folder that counts the bytes asked of its shards.
#[derive(Debug)]
struct CountingStore {
    folder: FolderStore,
    num_bytes: AtomicU64,
}

impl Store for CountingStore {
    fn location(&self) -> String {
        self.folder.location()
    }

    fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        self.folder.entries(folder)
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.folder.files(folder)
    }

    fn len(&self, path: &str) -> Result<Option<u64>, StoreError> {
        self.folder.len(path)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        self.folder.read(path)
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.num_bytes
            .fetch_add(range.end - range.start, Ordering::Relaxed);
        self.folder.read_range(path, range)
    }
}

/// 40 wells of noise in row groups of four wells, 2 MB in all.
fn noisy_screen(root: &Path) -> (Arc<CountingStore>, u64) {
    let mut table = format!("{HEADER}\n");
    let mut rows = Vec::new();
    let mut noise = 1_u32;
    for well in 0..40 {
        let (row, column) = (char::from(b'A' + well / 20), well % 20 + 1);
        let address = format!("{row}{column:02}");
        table.push_str(&format!(",gene-001,1,{address},G,G_guide_1,,,CRISPR,\n"));
        for channel in 1..=6 {
            let pixels: Vec<u8> = (0..96 * 96)
                .map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (noise >> 24) as u8
                })
                .collect();
            let image = crate::support::png(
                96,
                96,
                png::ColorType::Grayscale,
                png::BitDepth::Eight,
                &pixels,
            );
            rows.push((format!("gene-001/Plate1/{address}_s1_{channel}"), image));
        }
    }
    write(root, "metadata_rxrx3_core.csv", table);
    write_shard(root, "train-00000-of-00001.parquet", &rows, Form::Bytes, 24);
    let len = rows.iter().map(|row| row.1.len() as u64).sum();
    let store = CountingStore {
        folder: FolderStore::new(root),
        num_bytes: AtomicU64::new(0),
    };
    (Arc::new(store), len)
}

#[test]
fn only_the_rows_around_an_image_are_read_and_each_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, len) = noisy_screen(folder.path());
    let shared: SharedStore = Arc::clone(&store) as SharedStore;
    let screen = Rxrx3CoreScreen::open_in(shared).expect("opens");
    let taken = || store.num_bytes.swap(0, Ordering::Relaxed);
    // Opening reads keys: 64 KiB of each of the ten row groups.
    let for_keys = taken();
    assert!(for_keys < len / 3, "{for_keys} of {len} bytes to open");
    screen.read_plane(17, 3).expect("decodes");
    let for_one = taken();
    assert!(for_one < len / 5, "{for_one} of {len} bytes for one image");
    for site in 16..20 {
        for channel in 0..6 {
            screen.read_plane(site, channel).expect("decodes");
        }
    }
    assert_eq!(taken(), 0, "the row group of the first image is kept");
    for site in 0..40 {
        for channel in 0..6 {
            screen.read_plane(site, channel).expect("decodes");
        }
    }
    let for_all = taken();
    assert!(
        for_all < len * 5 / 4,
        "{for_all} of {len} bytes for all images"
    );
}

#[test]
fn threads_see_the_same_images() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, _) = noisy_screen(folder.path());
    let screen = Rxrx3CoreScreen::open_in(store).expect("opens");
    check_screen(&screen).expect("conforms, and reads from all threads");
}

/// Images made by `tests/fixtures/jp2/make.py`.
#[test]
fn jpeg_2000_images_decode() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/jp2");
    let fixture = |name: &str| fs::read(fixtures.join(name)).expect("committed");
    let ramp = |x: usize, y: usize| (y * 7 + x * 3) % 256;
    let pixels = || (0..32).flat_map(|y| (0..48).map(move |x| ramp(x, y)));
    let mut rows = images("gene-001/Plate1/B02", 10, "");
    rows[0].1 = fixture("lossless_u8.jp2");
    rows[1].1 = fixture("lossless_u16.jp2");
    rows[2].1 = fixture("lossy_u8.jp2");
    rows[3].1 = fixture("lossy_u8.jp2");
    rows[3].1.truncate(300);
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata_rxrx3_core.csv", metadata());
    let name = "train-00000-of-00001.parquet";
    write_shard(folder.path(), name, &rows, Form::Struct, 100);
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    let read = |channel| screen.read_plane(1, channel).expect("decodes");
    let u8_values = pixels().map(|value| value as u8).collect::<Vec<_>>();
    let u16_values = pixels().map(|value| value as u16 * 257).collect();
    assert_eq!((read(0).width, read(0).height), (48, 32));
    assert_eq!(read(0).pixels, Pixels::U8(u8_values.clone()));
    assert_eq!(read(1).pixels, Pixels::U16(u16_values));
    let Pixels::U8(lossy) = read(2).pixels else {
        panic!("8 bit");
    };
    // The reference decoder is off by 1 at most; rounding may add one.
    let mut pairs = lossy.iter().zip(&u8_values);
    assert!(pairs.all(|(a, b)| a.abs_diff(*b) <= 2));
    assert_names(
        &message(screen.read_plane(1, 3)),
        &["channel w4", "damaged"],
    );
}
