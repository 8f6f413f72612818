use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use morphospace_core::{ControlRole, Perturbation};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{Rxrx1Screen, Screen, open_screen};

use crate::support::{assert_names, message, write, write_rxrx1_site};

const HEADER: &str = "site_id,well_id,cell_type,dataset,experiment,plate,well,site,well_type,\
                      sirna,sirna_id";

/// Two experiments, three wells, five sites; `{e}` is the first experiment.
fn metadata(experiment: &str) -> String {
    [
        HEADER.to_owned(),
        format!("x,x,HUVEC,train,{experiment},1,B02,1,negative_control,EMPTY,1138"),
        format!("x,x,HUVEC,train,{experiment},1,B02,2,negative_control,EMPTY,1138"),
        format!("x,x,HUVEC,train,{experiment},1,B03,1,treatment,s21721,332"),
        "x,x,U2OS,test,U2OS-10,4,C05,1,positive_control,s100,1108".to_owned(),
        "x,x,U2OS,test,U2OS-10,4,C06,1,treatment,,".to_owned(),
    ]
    .join("\n")
}

fn write_images(root: &Path, first: &str, second: &str) {
    for site in ["B02_s1", "B02_s2", "B03_s1"] {
        write_rxrx1_site(root, &format!("{first}/Plate1"), site);
    }
    for site in ["C05_s1", "C06_s1"] {
        write_rxrx1_site(root, &format!("{second}/Plate4"), site);
    }
}

/// Two experiments, five sites.
pub(crate) fn write_screen(root: &Path) {
    write(root, "metadata.csv", metadata("HUVEC-01"));
    write_images(root, "images/HUVEC-01", "images/U2OS-10");
}

#[test]
fn every_layout_and_spelling_is_the_same_screen() {
    for (in_table, first, second) in [
        ("HUVEC-01", "images/HUVEC-01", "images/U2OS-10"),
        ("HUVEC-1", "images/HUVEC-01", "images/U2OS-10"),
        ("HUVEC-01", "images/HUVEC-1", "images/U2OS-010"),
        ("HUVEC-01", "images/train/HUVEC-01", "images/test/U2OS-10"),
        ("HUVEC-01", "train/HUVEC-1", "test/U2OS-10"),
        ("HUVEC-01", "HUVEC-01", "U2OS-10"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "metadata.csv", metadata(in_table));
        write_images(folder.path(), first, second);
        let screen = open_screen(folder.path(), None).expect(first);
        check_screen(&*screen).expect(first);
        let all_there = (0..5).all(|site| (0..6).all(|channel| screen.is_present(site, channel)));
        assert!(all_there, "{first}");
        assert_eq!(screen.channels()[3].to_string(), "w4 (RNA)");
    }
}

#[test]
fn wells_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(metadata("HUVEC-01").as_bytes())
        .expect("in memory");
    write(
        folder.path(),
        "metadata.csv.gz",
        gzip.finish().expect("in memory"),
    );
    write_images(folder.path(), "images/HUVEC-01", "images/U2OS-10");
    let screen = Rxrx1Screen::open(folder.path()).expect("opens");
    let wells: Vec<_> = screen.sites().iter().map(|site| &site.well).collect();
    assert!(Arc::ptr_eq(wells[0], wells[1]));
    assert_eq!(wells[0].control_role, ControlRole::Untreated);
    assert_eq!(wells[0].label().as_deref(), Some("EMPTY"));
    let sirna = Perturbation::Sirna {
        name: "s21721".into(),
        gene: None,
    };
    assert_eq!(wells[2].perturbations, [sirna]);
    assert_eq!(wells[3].control_role, ControlRole::PositiveControl);
    assert_eq!(wells[3].cell_type.as_deref(), Some("U2OS"));
    // A hidden label is neither a perturbation nor an untreated well.
    assert_eq!(
        (wells[4].control_role, wells[4].label()),
        (ControlRole::Treatment, None)
    );
}

#[test]
fn optional_columns_stand_in_for_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "experiment,plate,well,site,well_type,kaggle_sirna_id,gene\n\
                HUVEC-01,1,B02,1,negative_control,1138,\n\
                HUVEC-01,1,B03,1,treatment,17,PLK1\n\
                HUVEC-01,1,B04,1,negative_control,5,\n";
    write(folder.path(), "metadata.csv", text);
    let screen = Rxrx1Screen::open(folder.path()).expect("opens");
    let wells: Vec<_> = screen.sites().iter().map(|site| &site.well).collect();
    assert_eq!(wells[0].control_role, ControlRole::Untreated);
    assert_eq!(wells[1].label().as_deref(), Some("kaggle_17"));
    assert_eq!(wells[1].perturbations[0].target(), "PLK1");
    assert_eq!(wells[1].cell_type.as_deref(), Some("HUVEC"));
    assert_eq!(wells[2].control_role, ControlRole::NegativeControl);
    assert_eq!(wells[2].label().as_deref(), Some("kaggle_5"));
}

#[test]
fn a_hidden_name_is_known_by_its_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "experiment,plate,well,site,well_type,sirna,kaggle_sirna_id\n\
                HUVEC-01,1,B03,1,treatment,s250,513\n\
                HUVEC-01,1,B04,1,treatment,,513\n\
                HUVEC-01,1,B05,1,treatment,,514\n\
                HUVEC-01,1,B06,1,treatment,,\n";
    write(folder.path(), "metadata.csv", text);
    let screen = Rxrx1Screen::open(folder.path()).expect("opens");
    let labels: Vec<_> = screen.sites().iter().map(|s| s.well.label()).collect();
    let labels: Vec<_> = labels.iter().map(Option::as_deref).collect();
    let expected = [Some("s250"), Some("s250"), Some("kaggle_514"), None];
    assert_eq!(labels, expected);
}

#[test]
fn columns_that_were_moved_against_each_other_are_refused() {
    const COLUMNS: &str = "site_id,well_id,experiment,plate,well,site,well_type,sirna,sirna_id\n";
    let row = "HUVEC-01_1_B03_2,HUVEC-01_1_B03,HUVEC-01,1,B03,2,treatment,s1,7\n";
    let folder = tempfile::tempdir().expect("a folder");
    // Ids of another make say nothing.
    let other = "a,b_c,HUVEC-01,1,B04,2,treatment,s2,8\n";
    write(
        folder.path(),
        "metadata.csv",
        format!("{COLUMNS}{row}{other}"),
    );
    Rxrx1Screen::open(folder.path()).expect("opens");
    for (from, to, parts) in [
        (
            "B03_2,",
            "B03_1,",
            &["line 2, column 'site_id'", "HUVEC-01_1_B03_1", "site 2"][..],
        ),
        (
            ",HUVEC-01_1_B03,",
            ",HUVEC-01_1_B07,",
            &["line 2, column 'well_id'", "B07", "well B03"],
        ),
        (
            "b_c",
            "HUVEC-02_1_B04",
            &["line 3, column 'well_id'", "hint"],
        ),
        (
            "s2,8",
            "s2,7",
            &[
                "line 3, column 'sirna_id'",
                "'7' is the number of 's2' here and of 's1'",
            ],
        ),
    ] {
        let text = format!("{COLUMNS}{row}{other}").replacen(from, to, 1);
        check_refused(&text, parts);
    }
}

#[test]
fn missing_images_are_named_with_what_was_found() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata.csv", metadata("HUVEC-01"));
    write_rxrx1_site(folder.path(), "images/HUVEC-01/Plate1", "B02_s1");
    let screen = Rxrx1Screen::open(folder.path()).expect("opens");
    check_screen(&screen).expect("missing images are reported, not made up");
    let error = message(screen.read_plane(1, 4));
    assert_names(
        &error,
        &[
            "HUVEC-01 plate 1 well B02 site 2 channel w5 (Mito)",
            "missing",
            "B02_s2_w5.png",
            "hint",
        ],
    );
    let error = message(screen.read_plane(3, 0));
    assert_names(
        &error,
        &[
            "U2OS-10 plate 4 well C05 site 1",
            "no folder",
            "found: HUVEC-01",
        ],
    );
}

#[test]
fn a_table_without_any_image_opens_for_splits_and_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata.csv", metadata("HUVEC-01"));
    let screen = Rxrx1Screen::open(folder.path()).expect("opens");
    assert_eq!(screen.sites().len(), 5);
    assert_names(
        &message(screen.read_plane(0, 0)),
        &["no folder of any experiment"],
    );
}

#[track_caller]
fn check_refused(metadata: &str, parts: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata.csv", metadata);
    assert_names(&message(Rxrx1Screen::open(folder.path())), parts);
}

#[test]
fn refused_tables_say_why() {
    const COLUMNS: &str = "experiment,plate,well,site,well_type\n";
    check_refused("", &["metadata.csv", "the file is empty"]);
    check_refused(COLUMNS, &["has no site", "no row below its header"]);
    check_refused(
        "experiment,plate,wel,site,well_type\nHUVEC-01,1,B02,1,treatment\n",
        &["no column 'well'", "did you mean 'wel'"],
    );
    check_refused(
        "experiment,plate,well,site\nHUVEC-01,1,B02,1\n",
        &[
            "no column 'well_type'",
            "it has: experiment, plate, well, site",
        ],
    );
    check_refused(
        &format!("{COLUMNS}HUVEC-01,1,Z99,1,treatment\n"),
        &["unknown well", "'Z99'", "line 2", "hint"],
    );
    check_refused(
        &format!("{COLUMNS}HUVEC-01,1,B02,one,treatment\n"),
        &["line 2", "column 'site'", "'one' is not a whole number"],
    );
    check_refused(
        &format!("{COLUMNS}HUVEC-01,1,B02,1,treated\n"),
        &[
            "line 2",
            "column 'well_type'",
            "'treated' is not a control role",
        ],
    );
    check_refused(
        &format!("{COLUMNS}HUVEC-01,,B02,1,treatment\n"),
        &["line 2", "column 'plate'", "no value"],
    );
    check_refused(
        &format!("{COLUMNS}HUVEC-01,1,B02,1,treatment\nHUVEC-1,1,b2,1,treatment\n"),
        &[
            "HUVEC-1 plate 1 well B02 site 1 occurs twice",
            "line 2",
            "line 3",
        ],
    );
    check_refused(
        &format!("{COLUMNS}HUVEC-01,1,B02,1,treatment\nHUVEC-01,1,B02,2,positive_control\n"),
        &["HUVEC-01 plate 1 well B02", "two ways", "line 3"],
    );
    check_refused(
        &format!("{COLUMNS}HUVEC-01,1\n"),
        &["metadata.csv", "line 2"],
    );
    check_refused(
        "experiment,experiment,plate,well,site,well_type\n",
        &["two columns 'experiment'"],
    );
    let folder = tempfile::tempdir().expect("a folder");
    write(
        folder.path(),
        "metadata.csv",
        b"experiment,plate\n\xff\xfe,1\n",
    );
    assert_names(&message(Rxrx1Screen::open(folder.path())), &["UTF-8"]);
}
