use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use morphospace_core::{ControlRole, Perturbation};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{IndexScreen, Screen, ScreenDescription, ScreenFormat, open_screen};
use parquet::arrow::ArrowWriter;

use crate::support::{assert_names, jpeg, message, png_u8, write};

const CHANNELS: &str = r#"
[[channels]]
name = "DAPI"
stain = "DNA"
path_column = "path_dapi"
[[channels]]
name = "Actin"
stain = "Actin"
path_column = "path_actin"
"#;

const INDEX: &str = r#"
cell_type = "U2OS"
missing_values = ["NA"]
[index]
file = "index.csv"
experiment = "batch"
plate = "plate"
well = "well"
site = "site"
[annotation]
background = "stimulus"
[[annotation.perturbations]]
kind = "crispr"
name = "guide"
gene = "gene"
[[annotation.perturbations]]
kind = "compound"
name = "compound"
concentration_micromolar = "dose"
[annotation.control_role]
column = "role"
missing = "untreated"
"#;

const TABLE: &str = "\
batch,plate,well,site,path_dapi,path_actin,guide,gene,compound,dose,role,stimulus
b1,P7,a1,1,p7/a1_1_d.png,p7/a1_1_a.png,PLK1_1,PLK1,Nocodazole,0.25,trt,TNF
b1,P7,a1,2,p7/a1_2_d.png,,PLK1_1,PLK1,Nocodazole,0.25,trt,TNF
b1,P7,A02,1,p7/a2_d.png,p7/a2_a.png,nt_1,,NA,,negcon,TNF
b1,P7,AA48,1,p7/aa48_d.png,p7/aa48_a.png,,,,,,TNF
";

fn description(text: &str) -> ScreenDescription {
    // Tables follow arrays of tables: keys at the top have to come first.
    let at = text.find("\n[").map_or(text.len(), |at| at + 1);
    let text = format!("{}{CHANNELS}{}", &text[..at], &text[at..]);
    ScreenDescription::parse("screen.toml", &text).expect("a valid description")
}

fn write_index_images(root: &Path) {
    for file in [
        "a1_1_d", "a1_1_a", "a1_2_d", "a2_d", "a2_a", "aa48_d", "aa48_a",
    ] {
        write(
            root,
            &format!("p7/{file}.png"),
            png_u8(6, 4, file.len() as u8),
        );
    }
}

fn check_index_screen(screen: &dyn Screen) {
    check_screen(screen).expect("conforms");
    let sites = screen.sites();
    assert_eq!(sites.len(), 4);
    assert_eq!(sites[0].key.to_string(), "b1 plate P7 well A01 site 1");
    assert_eq!(sites[0].well.original_address, "a1");
    assert!(Arc::ptr_eq(&sites[0].well, &sites[1].well));
    assert_eq!(
        sites[0].well.perturbations,
        [
            Perturbation::Crispr {
                guide: "PLK1_1".into(),
                gene: "PLK1".into()
            },
            Perturbation::Compound {
                name: "Nocodazole".into(),
                concentration_micromolar: Some(0.25)
            },
        ]
    );
    assert_eq!(sites[0].well.background.as_deref(), Some("TNF"));
    assert_eq!(sites[2].well.control_role, ControlRole::NegativeControl);
    assert_eq!(sites[2].well.label().as_deref(), Some("nt_1"));
    assert_eq!(sites[3].well.control_role, ControlRole::Untreated);
    assert_eq!(sites[3].key.well.to_string(), "AA48");
    assert_eq!(sites[3].well.cell_type.as_deref(), Some("U2OS"));
    assert_eq!(screen.plane_location(1, 1), None);
    let error = message(screen.read_plane(1, 1));
    assert_names(
        &error,
        &[
            "b1 plate P7 well A01 site 2 channel Actin",
            "names no file",
            "hint",
        ],
    );
}

#[test]
fn a_csv_index_is_a_screen() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "index.csv", TABLE);
    write_index_images(folder.path());
    let screen = IndexScreen::open(folder.path(), &description(INDEX)).expect("opens");
    check_index_screen(&screen);
}

#[test]
fn tsv_and_parquet_indices_are_the_same_screen() {
    let folder = tempfile::tempdir().expect("a folder");
    write_index_images(folder.path());
    write(folder.path(), "index.tsv", TABLE.replace(',', "\t"));
    let tsv = description(&INDEX.replace("index.csv", "index.tsv"));
    check_index_screen(&IndexScreen::open(folder.path(), &tsv).expect("TSV"));

    let mut lines = TABLE
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let rows: Vec<_> = lines.collect();
    let columns = header.iter().enumerate().map(|(index, &name)| {
        let column: ArrayRef = if name == "site" {
            let numbers = rows
                .iter()
                .map(|row| row[index].parse::<i64>().expect("a number"));
            Arc::new(numbers.map(Some).collect::<Int64Array>())
        } else {
            let texts = rows
                .iter()
                .map(|row| Some(row[index]).filter(|text| !text.is_empty()));
            Arc::new(texts.collect::<StringArray>())
        };
        (name, column, true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("a table");
    let file = File::create(folder.path().join("index.parquet")).expect("created");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    let parquet = description(&INDEX.replace("index.csv", "index.parquet"));
    check_index_screen(&IndexScreen::open(folder.path(), &parquet).expect("Parquet"));
}

#[test]
fn images_that_no_row_of_an_index_names_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write_index_images(root);
    // The table names images of a third channel, which the description passes
    // over, by their names alone.
    let table: String = TABLE
        .lines()
        .enumerate()
        .map(|(line, text)| match line {
            0 => format!("{text},file_er\n"),
            _ => format!("{text},er_{line}.png\n"),
        })
        .collect();
    write(
        root,
        "index.csv",
        table.replace("p7/a2_d.png", "./p7//a2_d.png"),
    );
    for line in 1..=4 {
        write(root, &format!("p7/er_{line}.png"), png_u8(6, 4, 1));
    }
    write(root, "p7/Thumbs.db", b"x");
    let screen = IndexScreen::open(root, &description(INDEX)).expect("opens");
    assert_eq!(screen.unlisted_images(), Vec::<String>::new());

    write(root, "p7/a3_d.png", png_u8(6, 4, 1));
    let unlisted = screen.unlisted_images();
    assert_eq!(unlisted.len(), 1, "{unlisted:?}");
    assert_names(&unlisted[0], &["p7/a3_d.png"]);
}

#[test]
fn a_folder_spelt_in_several_ways_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write_index_images(root);
    let absolute = root.join("p7/a1_1_d.png").display().to_string();
    let table = TABLE
        .replace("p7/a1_1_d.png", &absolute)
        .replace("p7/a2_d.png", "p7/../p7/a2_d.png")
        .replace("p7/a2_a.png", "linked/a2_a.png")
        .replace(",stimulus\n", ",stimulus,mask\n")
        .replace(",TNF\n", ",TNF,p7/../p7/mask.png\n");
    write(root, "index.csv", table);
    write(root, "p7/mask.png", png_u8(6, 4, 1));
    write(root, "p7/._a1_1_d.png", b"what macOS adds");
    #[cfg(unix)]
    std::os::unix::fs::symlink(root.join("p7"), root.join("linked")).expect("linked");
    let screen = IndexScreen::open(root, &description(INDEX)).expect("opens");
    assert!(screen.is_present(0, 0) && screen.is_present(2, 1));
    assert_eq!(screen.unlisted_images(), Vec::<String>::new());
    write(root, "p7/a3_d.png", png_u8(6, 4, 1));
    assert_eq!(screen.unlisted_images().len(), 1);
}

#[test]
fn planes_of_files_that_an_index_names_are_no_strangers() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write(root, "p/a1.tif", b"not looked at");
    write(root, "p/a2.tif", b"not looked at");
    write(
        root,
        "index.csv",
        "plate,well,dna,actin\nP,A1,p/a1.tif#0,p/a1.tif#1\n",
    );
    let description = ScreenDescription::parse(
        "screen.toml",
        "[[channels]]\nname = 'd'\nstain = 'DNA'\npath_column = 'dna'\n\
         [[channels]]\nname = 'a'\nstain = 'Actin'\npath_column = 'actin'\n\
         [index]\nfile = 'index.csv'\nplate = 'plate'\nwell = 'well'\n",
    )
    .expect("valid");
    let screen = IndexScreen::open(root, &description).expect("opens");
    let unlisted = screen.unlisted_images();
    assert_eq!(unlisted.len(), 1, "{unlisted:?}");
    assert_names(&unlisted[0], &["p/a2.tif"]);
}

#[track_caller]
fn check_index_refused(table: &str, parts: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "index.csv", table);
    assert_names(
        &message(IndexScreen::open(folder.path(), &description(INDEX))),
        parts,
    );
}

#[test]
fn refused_indices_say_why() {
    // One file for two channels, spelt differently.
    check_index_refused(
        &TABLE.replace("p7/a1_1_a.png", "p7/x/../a1_1_d.png"),
        &["p7/a1_1_d.png", "channel"],
    );
    let header = TABLE.lines().next().expect("a header");
    let row = |well: &str, dose: &str, role: &str| {
        format!("{header}\nb1,P7,{well},1,d,a,g,G,c,{dose},{role},\n")
    };
    check_index_refused("", &["index.csv", "empty"]);
    check_index_refused(header, &["has no site"]);
    check_index_refused(
        &row("Z99", "1", "trt"),
        &["unknown well", "'Z99'", "line 2"],
    );
    check_index_refused(
        &row("A01", "high", "trt"),
        &["line 2", "column 'dose'", "'high'"],
    );
    check_index_refused(&row("A01", "-1", "trt"), &["'-1' is not a concentration"]);
    check_index_refused(
        &row("A01", "1", "ctrl"),
        &["column 'role'", "'ctrl'", "otherwise"],
    );
    let twice = format!("{}b1,P7,A001,1,d,a,g,G,c,1,trt,\n", row("A01", "1", "trt"));
    check_index_refused(
        &twice,
        &["well A01 site 1 occurs twice", "line 2", "line 3"],
    );
    let conflict = format!("{}b1,P7,A01,2,d,a,h,G,c,1,trt,\n", row("A01", "1", "trt"));
    check_index_refused(&conflict, &["plate P7 well A01", "two ways", "line 3"]);
    let misspelt = TABLE.replace("path_actin", "path_actine");
    check_index_refused(
        &misspelt,
        &["no column 'path_actin'", "did you mean 'path_actine'"],
    );
    let folder = tempfile::tempdir().expect("a folder");
    let error = message(IndexScreen::open(folder.path(), &description(INDEX)));
    assert_names(&error, &["cannot read", "index.csv"]);
}

const PATTERN: &str = r#"
ignored_channels = ["thumb"]
missing_values = ["NA"]
[pattern]
path = '^(?<plate>(?<experiment>run\d)-pl(?<layout>\d))/r(?<row>\d\d)c(?<column>\d\d)f(?<site>\d)_(?<channel>\w+)\.(png|jpg)$'
[annotation]
file = "map.csv"
join = { layout = "layout", well = "well" }
cell_type = "cells"
[[annotation.perturbations]]
kind = "sirna"
name = "sirna"
gene = "gene"
[annotation.control_role]
column = "gene"
values = { RLUC = "negative_control" }
otherwise = "treatment"
"#;

const MAP: &str = "layout,well,sirna,gene,cells\n01,A01,M-1,PLK1,HeLa\n1,b1,NA,RLUC,HeLa\n";

fn write_pattern_screen(root: &Path) {
    write(root, "map.csv", MAP);
    write(root, "notes.txt", "not an image");
    for plate in ["run1-pl1", "run2-pl1"] {
        for site in ["r01c01f1", "r01c01f2", "r02c01f1", "r03c01f1"] {
            write(root, &format!("{plate}/{site}_DAPI.png"), png_u8(6, 4, 3));
            write(
                root,
                &format!("{plate}/{site}_Actin.jpg"),
                jpeg(6, 4, false),
            );
            write(root, &format!("{plate}/{site}_thumb.png"), png_u8(2, 2, 0));
        }
    }
    std::fs::remove_file(root.join("run2-pl1/r02c01f1_Actin.jpg")).expect("removed");
}

#[test]
fn file_names_are_a_screen() {
    let folder = tempfile::tempdir().expect("a folder");
    write_pattern_screen(folder.path());
    let screen = IndexScreen::open(folder.path(), &description(PATTERN)).expect("opens");
    check_screen(&screen).expect("conforms");
    let sites = screen.sites();
    assert_eq!(sites.len(), 8);
    assert_eq!(
        sites[1].key.to_string(),
        "run1 plate run1-pl1 well A01 site 2"
    );
    assert_eq!(sites[1].well.original_address, "0101");
    assert_eq!(sites[1].well.label().as_deref(), Some("M-1"));
    assert_eq!(sites[2].well.control_role, ControlRole::NegativeControl);
    assert_eq!(sites[2].well.label().as_deref(), Some("RLUC"));
    assert_eq!(sites[2].well.cell_type.as_deref(), Some("HeLa"));
    // Not annotated: the label is unknown.
    assert_eq!(
        (sites[3].well.label(), sites[3].well.control_role),
        (None, ControlRole::Treatment)
    );
    let missing: Vec<usize> = (0..8).filter(|&site| !screen.is_present(site, 1)).collect();
    assert_eq!(missing, [6]);
}

#[test]
fn refused_file_names_say_why() {
    let open = |change: &dyn Fn(&Path), pattern: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        write_pattern_screen(folder.path());
        change(folder.path());
        message(IndexScreen::open(folder.path(), &description(pattern)))
    };
    let put = |file: &'static str| move |root: &Path| write(root, file, png_u8(6, 4, 1));
    let error = open(&put("run1-pl1/r40c01f1_DAPI.png"), PATTERN);
    assert_names(
        &error,
        &[
            "unknown well",
            "row 40 column 01",
            "run1-pl1/r40c01f1_DAPI.png",
        ],
    );
    let error = open(&put("run1-pl1/r01c01f1_GFP.png"), PATTERN);
    assert_names(
        &error,
        &["channel 'GFP'", "DAPI, Actin", "ignored_channels"],
    );
    let error = open(&put("run1-pl1/r01c01f1_DAPI.jpg"), PATTERN);
    assert_names(
        &error,
        &["well A01 site 1 channel DAPI", "two images", "f1_DAPI.jpg"],
    );
    let error = open(&|_| {}, &PATTERN.replace("run", "lauf"));
    assert_names(
        &error,
        &[
            "has no site",
            "no file",
            "matches",
            "the first file is 'map.csv'",
        ],
    );
    let error = open(
        &|root| {
            write(
                root,
                "map.csv",
                MAP.replace("01,", "2,").replace("\n1,", "\n3,"),
            );
        },
        PATTERN,
    );
    assert_names(
        &error,
        &[
            "no well of the screen occurs in annotation",
            "layout '1'",
            "layout '2'",
        ],
    );
    let error = open(
        &|root| write(root, "map.csv", MAP.replace("b1", "a1")),
        PATTERN,
    );
    assert_names(&error, &["line 3", "annotated a second time", "line 2"]);
    let error = open(
        &|root| write(root, "map.csv", MAP.replace("b1", "b99")),
        PATTERN,
    );
    assert_names(&error, &["unknown well", "'b99'", "line 3"]);
}

#[test]
fn refused_descriptions_say_why() {
    let check = |text: &str, parts: &[&str]| {
        assert_names(&message(ScreenDescription::parse("my.toml", text)), parts);
    };
    let with = |rest: &str| format!("{CHANNELS}{rest}");
    check("channels = []", &["my.toml", "no channel"]);
    check(CHANNELS, &["my.toml", "nothing lists the sites"]);
    check(&with("[indx]\nfile = 'x'"), &["did you mean 'index'"]);
    check(
        &with("[index]\nfile = 'x'\nwel = 'w'"),
        &["did you mean 'well'"],
    );
    check(
        &with("[index]\nfile = 'x'\nplate = 'p'"),
        &["the column of the well"],
    );
    check(
        &with("[index]\nfile = 'x'\nwell = 'w'"),
        &["nothing tells the plate"],
    );
    check(&with("[pattern]\npath = '('"), &["pattern.path"]);
    check(
        &with("[pattern]\npath = '(?<plat>x)'"),
        &["'plat'", "did you mean 'plate'"],
    );
    check(
        &with("[pattern]\npath = '(?<plate>x)'"),
        &["nothing tells the well"],
    );
    check(
        &with("[pattern]\npath = '(?<plate>x)(?<well>y)'"),
        &["nothing tells the channel"],
    );
    let annotated = |rest: &str| {
        with(&format!(
            "[index]\nfile = 'x'\nwell = 'w'\nplate = 'p'\n[annotation]\n{rest}"
        ))
    };
    check(&annotated("file = 'y'"), &["not joined"]);
    check(
        &annotated("file = 'y'\njoin = { wells = 'w' }"),
        &["'wells'", "did you mean 'well'"],
    );
    check(
        &annotated("perturbations = [{ kind = 'crispr', name = 'g' }]"),
        &["have no gene"],
    );
    let twice = "[[channels]]\nname = 'a'\nstain = 'DNA'\n".repeat(2);
    check(
        &format!("{twice}[pattern]\npath = 'x'"),
        &["'a' is listed twice"],
    );
}

#[test]
fn screens_are_recognised_or_said_what_was_looked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let refused = |format: Option<&ScreenFormat>| message(open_screen(root, format).map(|_| ()));
    assert_names(&refused(None), &["metadata.csv", "screen.toml", "hint"]);
    let gone = message(open_screen(&root.join("gone"), None).map(|_| ()));
    assert_names(&gone, &["gone", "does not exist"]);
    assert_names(&refused(Some(&ScreenFormat::Rxrx1)), &["'metadata.csv'"]);

    write_pattern_screen(root);
    let text = PATTERN.replacen("[pattern]", &format!("{CHANNELS}[pattern]"), 1);
    write(root, "elsewhere/described.toml", &text);
    let format = ScreenFormat::Described(root.join("elsewhere/described.toml"));
    assert_eq!(
        open_screen(root, Some(&format))
            .expect("by format")
            .sites()
            .len(),
        8
    );
    write(root, "described.toml", &text);
    let by_file = open_screen(&root.join("described.toml"), None).expect("by its TOML file");
    assert_eq!(by_file.sites().len(), 8);
    write(root, "screen.toml", &text);
    assert_eq!(
        open_screen(root, None)
            .expect("by screen.toml")
            .sites()
            .len(),
        8
    );
    assert_names(
        &message("zarr".parse::<ScreenFormat>()),
        &["'zarr'", "rxrx1"],
    );
}

#[test]
fn the_example_descriptions_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/screens");
    let mut num_read = 0;
    for entry in std::fs::read_dir(folder).expect("listed") {
        let path = entry.expect("listed").path();
        ScreenDescription::read(&path).unwrap_or_else(|error| panic!("{error}"));
        num_read += 1;
    }
    assert!(num_read >= 2);
}
