use std::path::Path;

use morphospace_core::{ControlRole, Stain};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{InspectDepth, ScreenFormat, inspect, open_screen};

use crate::support::{assert_names, check_packed, data, message, png_u8, write};

const INDEX: &str = "\u{feff}<?xml version=\"1.0\"?>\r\n<EvaluationInputData><Maps><Map>\
    <Entry ChannelID=\"1\"><ChannelName>HOECHST 33342</ChannelName></Entry>\
    <Entry ChannelID=\"2\">\n <FlatfieldProfile>x</FlatfieldProfile>\n\
    <ChannelName>Alexa 488 &amp; more</ChannelName></Entry></Map></Maps>\
    <Images><Image><id>0101K1F1P1R1</id><ChannelID>3</ChannelID>\
    <ChannelName>MitoTracker</ChannelName></Image>\
    <Image><ChannelID>1</ChannelID><ChannelName>HOECHST 33342</ChannelName></Image></Images>";

const PLATE: &str = "BR00116991__2020-11-05T19_51_35-Measurement 1/Images";
const OTHER: &str = "plate two/Images";

/// Two plates: one with an index, two planes and two time points, one bare.
pub(crate) fn write_screen(root: &Path) {
    write(root, &format!("{PLATE}/Index.idx.xml"), INDEX);
    let mut seed = 0;
    for (plane, time) in [(1, 1), (2, 1), (1, 2)] {
        for channel in 1..=3 {
            seed += 1;
            let name = format!("{PLATE}/r16c24f09p0{plane}-ch{channel}sk{time}fk1fl1.tiff");
            write(root, &name, png_u8(4, 4, seed));
        }
    }
    write(
        root,
        &format!("{OTHER}/r01c02f01p01-ch1sk1fk1fl1.tiff"),
        png_u8(4, 4, 100),
    );
}

#[test]
fn plates_planes_and_time_points_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path());
    let screen = check_packed(folder.path(), &ScreenFormat::Harmony);
    let keys: Vec<_> = screen
        .sites()
        .iter()
        .map(|site| {
            let key = &site.key;
            (
                key.plate.plate.as_str(),
                key.well.to_string(),
                key.site,
                key.z_index,
                key.time_index,
            )
        })
        .collect();
    let expected = [
        ("BR00116991", "P24".to_owned(), 9, Some(0), Some(0)),
        ("BR00116991", "P24".to_owned(), 9, Some(0), Some(1)),
        ("BR00116991", "P24".to_owned(), 9, Some(1), Some(0)),
        ("plate two", "A02".to_owned(), 1, None, None),
    ];
    assert_eq!(keys, expected);
    let channels: Vec<String> = screen.channels().iter().map(ToString::to_string).collect();
    assert_eq!(
        channels,
        [
            "HOECHST 33342",
            "ch1",
            "Alexa 488 & more",
            "MitoTracker (Mito)"
        ]
    );
    let well = &screen.sites()[0].well;
    assert_eq!(
        (well.control_role, well.label()),
        (ControlRole::Treatment, None)
    );
    assert_eq!(well.original_address, "r16c24");
    assert!(screen.is_present(3, 1) && !screen.is_present(3, 0));
}

#[test]
fn a_plate_measured_twice_is_two_plates() {
    let folder = tempfile::tempdir().expect("a folder");
    for measurement in ["A__1", "A__2"] {
        let name = format!("{measurement}/Images/r01c01f01p01-ch1sk1fk1fl1.tiff");
        write(folder.path(), &name, png_u8(4, 4, 1));
    }
    let screen = open_screen(folder.path(), None).expect("recognised");
    let plates: Vec<_> = screen
        .sites()
        .iter()
        .map(|site| &*site.key.plate.plate)
        .collect();
    assert_eq!(plates, ["A__1", "A__2"]);
}

#[test]
fn other_images_are_noted_and_twins_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path());
    write(
        folder.path(),
        "plate two/Images/r00c01f01p01-ch1sk1fk1fl1.tiff",
        b"",
    );
    write(folder.path(), "plate two/Images/overview.tif", b"");
    let screen = open_screen(folder.path(), None).expect("opens");
    assert_names(
        &screen.notes()[0],
        &["2 image files are left out", "overview.tif"],
    );
    write(
        folder.path(),
        "plate two/Images/r01c02f01p01-ch1sk1fk1fl2.tiff",
        b"",
    );
    let error = message(open_screen(folder.path(), None));
    assert_names(
        &error,
        &[
            "plate two well A02 site 1",
            "two images",
            "fl1.tiff",
            "fl2.tiff",
        ],
    );
    let empty = tempfile::tempdir().expect("a folder");
    let error = message(open_screen(empty.path(), Some(&ScreenFormat::Harmony)));
    assert_names(
        &error,
        &["has no site", "hint", "r01c02f03p01-ch4sk1fk1fl1.tiff"],
    );
}

#[test]
fn jump_field_is_one_site_of_six_channels() {
    let Some(root) = data("images/jump_field") else {
        return;
    };
    let screen = open_screen(&root, None).expect("recognised");
    check_screen(&*screen).expect("conforms");
    let site = &screen.sites()[0];
    assert_eq!(screen.sites().len(), 1);
    assert_eq!(
        site.key.to_string(),
        "jump_field plate jump_field well A02 site 1"
    );
    assert_eq!(site.well.original_address, "r01c02");
    let channels: Vec<_> = screen
        .channels()
        .iter()
        .map(|channel| channel.stain.clone())
        .collect();
    assert_eq!(
        channels,
        (1..=6)
            .map(|n| Stain::Other(format!("ch{n}")))
            .collect::<Vec<_>>()
    );
    let found = inspect(&*screen, InspectDepth::Presence);
    assert_eq!(found.num_present, [1; 6]);
    assert!(screen.notes().is_empty());
}
