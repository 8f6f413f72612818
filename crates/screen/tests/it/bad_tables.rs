//! Tables as people and programs leave them, and folders that do not match
//! them.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, BooleanArray, DictionaryArray, RecordBatch, StringArray};
use flate2::Compression;
use flate2::write::GzEncoder;
use morphospace_screen::conformance::check_screen;
use morphospace_screen::split::read_split;
use morphospace_screen::{
    IndexScreen, InspectDepth, Manifest, Screen, ScreenDescription, inspect, open_screen,
    read_manifest, write_manifest,
};
use parquet::arrow::ArrowWriter;

use crate::support::{assert_names, message, write, write_rxrx1_site};

const HEADER: &str = "experiment,plate,well,site,well_type,sirna";

/// A screen of nothing but this `metadata.csv`.
fn rxrx1(table: impl AsRef<[u8]>) -> Result<Box<dyn Screen>, String> {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata.csv", table);
    let screen = open_screen(folder.path(), None).map_err(|error| error.to_string())?;
    check_screen(&*screen).expect("conforms");
    Ok(screen)
}

fn rows(rows: &[&str]) -> String {
    let mut text = HEADER.to_owned();
    for row in rows {
        text.push('\n');
        text.push_str(row);
    }
    text
}

#[track_caller]
fn refused(table: impl AsRef<[u8]>, parts: &[&str]) {
    let error = message(rxrx1(table));
    assert_names(&error, &["metadata.csv"]);
    assert_names(&error, parts);
    // No message is a page long, whatever the table holds.
    assert!(error.len() < 1_000, "{} bytes", error.len());
}

#[test]
fn every_program_s_line_ends_are_read() {
    let plain = rows(&[
        "HUVEC-01,1,B02,1,treatment,s1",
        "HUVEC-01,1,B03,1,negative_control,EMPTY",
    ]);
    let expected = rxrx1(&plain).expect("opens");
    for table in [
        format!("{plain}\n"),
        format!("\u{feff}{plain}"),
        plain.replace('\n', "\r\n"),
        format!("\u{feff}{}\r\n", plain.replace('\n', "\r\n")),
        plain.replace('\n', "\r"),
        plain.replace('\n', "\n\n"),
        plain.replace(',', " , "),
        plain.replace("HUVEC-01", "\"HUVEC-01\""),
    ] {
        let screen = rxrx1(&table).expect(&table);
        assert_eq!(screen.sites(), expected.sites(), "{table:?}");
    }
}

#[test]
fn lines_are_counted_whatever_ends_them() {
    let table = rows(&[
        "HUVEC-01,1,B02,1,treatment,s1",
        "HUVEC-01,1,B99,1,treatment,s1",
    ]);
    for end in ["\n", "\r\n", "\r"] {
        refused(
            table.replace('\n', end),
            &["line 3", "'B99' is not a well", "hint"],
        );
    }
    refused(
        format!("\u{feff}{}", table.replace('\n', "\n\n")),
        &["line 5", "'B99' is not a well"],
    );
    // A line end within quotes is a line, too.
    let table = rows(&[
        "\"HUVEC\n-01\",1,B02,1,treatment,s1",
        "HUVEC-01,1,B99,1,treatment,s1",
    ]);
    refused(table, &["line 4", "'B99' is not a well"]);
}

#[test]
fn what_is_not_text_is_named_by_line_and_column() {
    let mut latin_1 = rows(&["HUVEC-01,1,B02,1,treatment,s1"]).into_bytes();
    latin_1.extend(b"\nHUVEC-01,1,B03,1,tr\xe4tment,s1\n");
    refused(
        &latin_1,
        &["line 3", "column 'well_type'", "not UTF-8", "hint: save"],
    );
    let mut header = b"exp\xe9riment,".to_vec();
    header.extend(rows(&["x,HUVEC-01,1,B02,1,treatment,s1"]).bytes());
    refused(&header, &["name of column 1 is not UTF-8", "hint: save"]);
    // UTF-16, with and without its mark.
    let plain = rows(&["HUVEC-01,1,B02,1,treatment,s1"]);
    let wide: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused(&wide, &["NUL", "hint: save the table as UTF-8"]);
    refused(
        [b"\xff\xfe".to_vec(), wide].concat(),
        &["not UTF-8", "hint: save"],
    );
    refused(
        rows(&[
            "HUVEC-01,1,B02,1,treatment,s1",
            "HUVEC-01,1,B\0,1,treatment,s1",
        ]),
        &["line 3", "column 'well'", "NUL character", "hint"],
    );
    refused(b"", &["is empty", "hint"]);
    refused(b"\n\r\n", &["is empty", "hint"]);
    refused(b"\xef\xbb\xbf", &["is empty", "hint"]);
    refused(HEADER, &["no row below its header"]);
}

#[test]
fn a_quote_that_is_never_closed_swallows_no_row() {
    // Of the last column, which is free text: each row would still have as
    // many values as the header.
    let table = rows(&[
        "HUVEC-01,1,B02,1,treatment,s1",
        "HUVEC-01,1,B03,1,treatment,\"s2",
        "HUVEC-01,1,B04,1,treatment,s3",
    ]);
    for end in ["", "\n", "\r\n"] {
        refused(
            format!("{table}{end}"),
            &[
                "line 3",
                "column 'sirna'",
                "quote is opened and never closed",
                "hint",
            ],
        );
    }
    refused(
        format!("\"{}", rows(&["HUVEC-01,1,B02,1,treatment,s1"])),
        &["header", "quote that is never closed", "hint"],
    );
    // Quotes that are closed, doubled, or within a value.
    let table = rows(&[
        "HUVEC-01,1,B02,1,treatment,\"a \"\"b\"\", c\"",
        "HUVEC-01,1,B03,1,treatment,5\" dish",
    ]);
    let screen = rxrx1(table).expect("opens");
    let labels: Vec<_> = screen
        .sites()
        .iter()
        .map(|site| site.well.label())
        .collect();
    assert_eq!(
        labels,
        [Some("a \"b\", c".to_owned()), Some("5\" dish".to_owned())]
    );
}

#[test]
fn rows_and_headers_that_do_not_match_are_named() {
    refused(
        rows(&[
            "HUVEC-01,1,B02,1,treatment,s1",
            "HUVEC-01,1,B03,1,treatment",
        ]),
        &["line 3 has 5 values", "names 6 columns", "hint"],
    );
    refused(
        rows(&["HUVEC-01,1,B02,1,treatment,s1,too,many"]),
        &["line 2 has 8 values", "names 6 columns", "hint"],
    );
    refused(
        format!("{HEADER},well\nHUVEC-01,1,B02,1,treatment,s1,B02"),
        &["two columns 'well'", "hint"],
    );
    // Columns that nobody asks for may share a name.
    assert!(rxrx1(format!("{HEADER},x,x\nHUVEC-01,1,B02,1,treatment,s1,,")).is_ok());
    refused(
        "experiment,plate,well,site,wel_type,cell_type\nHUVEC-01,1,B02,1,treatment,HUVEC",
        &["no column 'well_type'", "did you mean 'wel_type'"],
    );
}

#[test]
fn values_of_mixed_kinds_are_named() {
    let row = |site: &str| {
        rows(&[
            "HUVEC-01,1,B02,1,treatment,s1",
            &format!("HUVEC-01,1,B03,{site},treatment,s1"),
        ])
    };
    for site in ["two", "1.5", "-1", "NaN", "1e3", "0x1", "99999999999"] {
        refused(
            row(site),
            &[
                "line 3, column 'site'",
                &format!("'{site}' is not a whole number from 0 to 4294967295"),
            ],
        );
    }
    refused(row(""), &["line 3, column 'site'", "no value"]);
    for site in ["2", "2.0", " 2 ", "002"] {
        assert_eq!(rxrx1(row(site)).expect(site).sites()[1].key.site, 2);
    }
    refused(
        rows(&["HUVEC-01,1,B02,1,tretment,s1"]),
        &[
            "line 2, column 'well_type'",
            "'tretment' is not a control role",
        ],
    );
}

#[test]
fn a_cell_of_many_characters_is_not_printed() {
    let long = "x".repeat(60_000);
    for row in [
        format!("HUVEC-01,1,{long},1,treatment,s1"),
        format!("HUVEC-01,1,B02,{long},treatment,s1"),
        format!("HUVEC-01,1,B02,1,{long},s1"),
    ] {
        refused(rows(&[&row]), &["line 2", "xxx…"]);
    }
    // Where any text goes it is a name, if an odd one: there is no such file.
    let screen = rxrx1(rows(&[&format!("HUVEC-01,{long},B02,1,treatment,s1")])).expect("opens");
    assert!(!screen.is_present(0, 0));
}

#[test]
fn wells_are_the_same_however_they_are_spelt() {
    let screen = rxrx1(rows(&[
        "HUVEC-01,1,b02,1,treatment,s1",
        "HUVEC-01,1,B2,2,treatment,s1",
        "HUVEC-01,1,B002,3,treatment,s1",
    ]))
    .expect("opens");
    let keys: Vec<String> = screen
        .sites()
        .iter()
        .map(|site| site.key.site_id())
        .collect();
    assert_eq!(
        keys,
        ["HUVEC-01_1_B02_1", "HUVEC-01_1_B02_2", "HUVEC-01_1_B02_3"]
    );
    assert_eq!(screen.sites()[0].well.original_address, "b02");
    refused(
        rows(&[
            "HUVEC-01,1,b02,1,treatment,s1",
            "HUVEC-1,1,B2,1,treatment,s1",
        ]),
        &["well B02 site 1 occurs twice", "line 2", "line 3", "hint"],
    );
}

/// An index of one channel.
fn index(root: &Path, table: &str) -> Result<IndexScreen, String> {
    write(root, "index.csv", table);
    let description = ScreenDescription::parse(
        "screen.toml",
        "[[channels]]\nname = 'a'\nstain = 'DNA'\npath_column = 'file'\n\
         [index]\nfile = 'index.csv'\nsource = 'source'\nexperiment = 'batch'\nplate = 'plate'\n\
         well = 'well'\nsite = 'site'\n",
    )
    .expect("valid");
    IndexScreen::open(root, &description).map_err(|error| error.to_string())
}

#[test]
fn one_barcode_in_two_batches_or_sources_is_two_plates() {
    let folder = tempfile::tempdir().expect("a folder");
    let screen = index(
        folder.path(),
        "source,batch,plate,well,site,file\ns1,b1,BR1,A01,1,a.png\ns1,b2,BR1,A01,1,b.png\n\
         s2,b1,BR1,A01,1,c.png\n",
    )
    .expect("opens");
    check_screen(&screen).expect("conforms");
    let plates: Vec<String> = screen
        .sites()
        .iter()
        .map(|site| site.key.plate.to_string())
        .collect();
    assert_eq!(
        plates,
        ["s1 b1 plate BR1", "s1 b2 plate BR1", "s2 b1 plate BR1"]
    );
}

#[test]
fn a_file_that_two_sites_name_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for again in ["x/a.png", "./x/a.png", "x//a.png", "x/./a.png"] {
        let error = message(index(
            folder.path(),
            &format!(
                "source,batch,plate,well,site,file\ns1,b1,BR1,A01,1,x/a.png\n\
                 s1,b1,BR1,A01,2,x/b.png\ns1,b1,BR1,B02,1,{again}\n"
            ),
        ));
        assert_names(
            &error,
            &[
                "'x/a.png' is the image of",
                "s1 b1 plate BR1 well A01 site 1 channel a (DNA)",
                "s1 b1 plate BR1 well B02 site 1 channel a (DNA)",
                "hint",
            ],
        );
    }
}

#[test]
fn a_manifest_that_names_a_file_twice_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let screen = index(
        folder.path(),
        "source,batch,plate,well,site,file\ns1,b1,BR1,A01,1,a.png\ns1,b1,BR1,A01,2,b.png\n",
    )
    .expect("opens");
    let mut manifest = Manifest::of(&screen);
    manifest.paths[1] = manifest.paths[0].clone();
    let path = folder.path().join("manifest.parquet");
    write_manifest(&path, &manifest).expect("written");
    let read = read_manifest(&path).expect("read");
    let error = message(
        read.into_screen("again", folder.path().to_owned())
            .map(|_| ()),
    );
    assert_names(
        &error,
        &["a.png' is the image of", "site 1", "site 2", "hint"],
    );
}

#[test]
fn paths_that_no_file_can_have_are_missing_images() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = "x".repeat(5_000);
    write(folder.path(), "folder/a.png", b"");
    let screen = index(
        folder.path(),
        &format!(
            "source,batch,plate,well,site,file\ns1,b1,BR1,A01,1,{long}\ns1,b1,BR1,A01,2,folder\n\
             s1,b1,BR1,A01,3,index.csv/a.png\ns1,b1,BR1,A01,4,\n"
        ),
    )
    .expect("opens");
    check_screen(&screen).expect("conforms");
    let found = inspect(&screen, InspectDepth::Decode);
    assert_eq!((found.missing.len(), found.unreadable.len()), (4, 0));
}

#[test]
fn images_that_no_row_names_are_noted() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write(
        root,
        "metadata.csv",
        rows(&[
            "HUVEC-01,1,B02,1,treatment,s1",
            "HUVEC-01,2,B02,1,treatment,s1",
        ]),
    );
    write_rxrx1_site(root, "images/HUVEC-1/Plate1", "B02_s1");
    let screen = open_screen(root, None).expect("opens");
    assert_eq!(screen.unlisted_images(), Vec::<String>::new());
    assert_eq!(
        inspect(&*screen, InspectDepth::Presence).notes,
        Vec::<String>::new()
    );
    // A site, a plate and something that is no image.
    write_rxrx1_site(root, "images/HUVEC-1/Plate1", "B03_s1");
    write_rxrx1_site(root, "images/HUVEC-1/Plate3", "B02_s1");
    write(root, "images/HUVEC-1/Plate1/Thumbs.db", b"x");
    let unlisted = screen.unlisted_images();
    assert_eq!(unlisted.len(), 7);
    assert_names(&unlisted[0], &["images/HUVEC-1/Plate1/B03_s1_w1.png"]);
    assert_names(&unlisted[6], &["images/HUVEC-1/Plate3"]);
    let found = inspect(&*screen, InspectDepth::Presence);
    assert_names(
        &found.notes.join("\n"),
        &[
            "7 image files or folders belong to no site",
            "B03_s1_w1.png",
        ],
    );
    assert_eq!(found.unlisted, unlisted);
    // Rows that name missing files are findings, each with its names.
    assert_eq!(found.missing.len(), 6);
    assert_names(
        &found.missing[0].to_string(),
        &["plate 2 well B02 site 1 channel w1", "Plate2/B02_s1_w1.png"],
    );
}

#[test]
fn experiments_and_images_that_no_row_names_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write(
        root,
        "metadata.csv",
        rows(&["HUVEC-01,1,B02,1,treatment,s1"]),
    );
    write_rxrx1_site(root, "images/HUVEC-01/Plate1", "B02_s1");
    std::fs::create_dir_all(root.join("images/notes")).expect("created");
    let screen = open_screen(root, None).expect("opens");
    assert_eq!(screen.unlisted_images(), Vec::<String>::new());
    write_rxrx1_site(root, "images/RPE-01/Plate1", "B02_s1");
    for path in [
        "images/a.png",
        "images/HUVEC-01/b.png",
        "images/HUVEC-01/Plate1/c.JPG",
    ] {
        write(root, path, b"x");
    }
    let unlisted = screen.unlisted_images();
    assert_eq!(unlisted.len(), 4, "{unlisted:?}");
    for (found, part) in unlisted
        .iter()
        .zip(["Plate1/c.JPG", "HUVEC-01/b.png", "RPE-01", "a.png"])
    {
        assert!(found.contains(part), "{unlisted:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf_8_stop_nothing() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write(
        root,
        "metadata.csv",
        rows(&["HUVEC-01,1,B02,1,treatment,s1"]),
    );
    write_rxrx1_site(root, "images/HUVEC-01/Plate1", "B02_s1");
    for name in [&b"B02_s1_w\xff.png"[..], b"\xe4.png", b"\xfc.png"] {
        let path = root
            .join("images/HUVEC-01/Plate1")
            .join(OsStr::from_bytes(name));
        std::fs::write(path, b"x").expect("written");
    }
    let screen = open_screen(root, None).expect("opens");
    check_screen(&*screen).expect("conforms");
    assert!((0..6).all(|channel| screen.read_plane(0, channel).is_ok()));
    assert_eq!(screen.unlisted_images().len(), 3);
    // Told by their names, they are images that cannot be reached.
    let description = ScreenDescription::parse(
        "screen.toml",
        "plate = 'p'\n[[channels]]\nname = 'a'\nstain = 'DNA'\n\
         [pattern]\npath = '(?<well>[A-Z]\\d+)_s(?<site>\\d)_w[^1-6]+\\.png$'\n",
    )
    .expect("valid");
    let screen = IndexScreen::open(root, &description).expect("opens");
    check_screen(&screen).expect("conforms");
    assert_names(
        &message(screen.read_plane(0, 0)),
        &["well B02 site 1", "missing", "hint"],
    );
}

/// A `metadata.csv.gz` of a header, and of other text so many times.
fn gzipped(text: &str, times: usize) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = File::create(folder.path().join("metadata.csv.gz")).expect("created");
    let mut writer = GzEncoder::new(file, Compression::best());
    writer.write_all(HEADER.as_bytes()).expect("written");
    let many = text.repeat(1_000);
    for _ in 0..times / 1_000 {
        writer.write_all(many.as_bytes()).expect("written");
    }
    let rest = text.repeat(times % 1_000);
    writer.write_all(rest.as_bytes()).expect("written");
    let len = writer
        .finish()
        .expect("written")
        .metadata()
        .expect("there")
        .len();
    assert!(len < 1 << 20, "{len} bytes");
    message(open_screen(folder.path(), None))
}

#[test]
fn gzipped_tables_that_are_far_larger_inside_are_refused() {
    let row = "\nHUVEC-01,1,B02,1,treatment,s1";
    let error = gzipped(row, 5_000_001);
    assert_names(
        &error,
        &["metadata.csv.gz", "more than 5000000 rows", "hint"],
    );
    let long = format!("\nHUVEC-01,1,B02,1,treatment,{}", "s".repeat(70_000));
    let error = gzipped(&long, 1);
    let parts = ["line 2, column 'sirna'", "more than 65536 bytes", "hint"];
    assert_names(&error, &parts);
    // One value that goes on and on, with quotes and without.
    let error = gzipped("ssssssssssssssssssss", 1_000_000);
    assert_names(&error, &["a row has more than 16777216 bytes", "hint"]);
    for text in [",", "\n\"", "\nx,\"s"] {
        let error = gzipped(&format!("{text}{}", "s".repeat(100)), 200_000);
        assert_names(&error, &["metadata.csv.gz", "hint"]);
    }
    assert_names(
        &gzipped(&",x".repeat(1_000), 100),
        &["more than 65536 columns", "hint"],
    );
}

fn write_columns(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let file = File::create(path).expect("created");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
}

/// A column that has one value in all rows, stored once.
fn repeated(value: &str, num_rows: usize) -> ArrayRef {
    let keys = vec![0; num_rows].into();
    let values = Arc::new(StringArray::from(vec![value]));
    Arc::new(DictionaryArray::<Int32Type>::new(keys, values))
}

#[test]
fn parquet_tables_that_are_far_larger_inside_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("load_data.parquet");
    let open = |columns| {
        write_columns(&path, columns);
        let len = path.metadata().expect("there").len();
        assert!(len < 1 << 20, "{len} bytes");
        message(open_screen(folder.path(), None))
    };
    let rows: ArrayRef = Arc::new(BooleanArray::from(vec![true; 5_000_001]));
    let error = open(vec![("Metadata_Plate", rows)]);
    assert_names(
        &error,
        &["load_data.parquet", "more than 5000000 rows", "hint"],
    );
    // A value that is long, of which there is one in the file.
    let long = repeated(&"P".repeat(70_000), 5_000);
    let error = open(vec![("Metadata_Plate", long)]);
    let parts = [
        "row 1, column 'Metadata_Plate'",
        "more than 65536 bytes",
        "hint",
    ];
    assert_names(&error, &parts);
    let split = folder.path().join("split.parquet");
    let part = || repeated("train", 1_000);
    let key = repeated(&"x".repeat(70_000), 1_000);
    write_columns(&split, vec![("site_key", key), ("part", part())]);
    let error = message(read_split(&split));
    assert_names(
        &error,
        &["column 'site_key'", "more than 65536 bytes", "hint"],
    );
}

#[test]
fn texts_of_every_parquet_type_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("load_data.parquet");
    let text: ArrayRef = Arc::new(StringArray::from(vec!["P1", "P1"]));
    let large = arrow_cast::cast(&text, &arrow_schema::DataType::LargeUtf8).expect("text");
    let view = arrow_cast::cast(&text, &arrow_schema::DataType::Utf8View).expect("text");
    for plate in [text, large, view, repeated("P1", 2)] {
        let well: ArrayRef = Arc::new(StringArray::from(vec![Some("A01"), Some("A02")]));
        let image: ArrayRef = Arc::new(StringArray::from(vec![Some("a.tif"), None]));
        let columns = vec![
            ("Metadata_Plate", plate),
            ("Metadata_Well", well),
            ("URL_OrigDNA", image),
        ];
        write_columns(&path, columns);
        let screen = open_screen(folder.path(), None).expect("opens");
        let sites: Vec<String> = screen
            .sites()
            .iter()
            .map(|site| site.key.well_id())
            .collect();
        let names = sites
            .iter()
            .map(|id| id.rsplit_once("_P1_").expect("of P1").1);
        assert_eq!(names.collect::<Vec<_>>(), ["A01", "A02"]);
        assert_eq!(screen.plane_location(1, 0), None);
    }
}

#[test]
fn plates_that_went_through_floating_point_keep_their_number() {
    let table = rows(&["HUVEC-01,1.0,B02,1.0,treatment,s1"]);
    let screen = rxrx1(&table).expect("opens");
    assert_eq!(screen.sites()[0].key.plate.plate, "1");
    let table = "experiment,plate,well,site,well_type,sirna_id\n\
                 HUVEC-01,1.0,B02,1,treatment,7.0\nHUVEC-01,1,B03,1,negative_control,1138.0\n";
    let screen = rxrx1(table).expect("opens");
    let wells = [0, 1].map(|site: usize| &screen.sites()[site].well);
    assert_eq!(wells[0].plate, wells[1].plate);
    assert_eq!(wells[0].label().as_deref(), Some("sirna_7"));
    assert!(wells[1].perturbations.is_empty());
}

#[test]
fn rows_that_disagree_on_a_well_are_both_named() {
    refused(
        rows(&[
            "HUVEC-01,1,B02,1,treatment,s1",
            "HUVEC-01,1,B03,1,treatment,s1",
            "HUVEC-01,1,B02,2,treatment,s2",
        ]),
        &["well B02", "'s1'", "line 2", "'s2'", "line 4", "hint"],
    );
}
