//! Channels that are planes of files with several.

use std::path::Path;

use morphospace_screen::conformance::check_screen;
use morphospace_screen::{
    InspectDepth, Manifest, Screen, ScreenDescription, decode_planes, inspect, open_screen,
};

use crate::support::{assert_names, jpeg, message, png, write};

/// A TIFF of 16-bit pages.
fn pages(count: u16) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut bytes).expect("a header");
    for page in 0..count {
        let pixels: Vec<u16> = (0..20).map(|pixel| 1000 * page + pixel).collect();
        encoder
            .write_image::<tiff::encoder::colortype::Gray16>(5, 4, &pixels)
            .expect("a page");
    }
    bytes.into_inner()
}

fn colours() -> Vec<u8> {
    let pixels: Vec<u8> = (0..60).collect();
    png(5, 4, png::ColorType::Rgb, png::BitDepth::Eight, &pixels)
}

const PATTERN: &str = r#"
[[channels]]
name = "actin"
stain = "Actin"
plane = 2
[[channels]]
name = "nuclei"
stain = "DNA"
plane = 0
[pattern]
path = '^(?<plate>p\d)/(?<well>[A-H]\d\d)\.(tif|png|jpg)$'
"#;

fn write_screen(root: &Path, description: &str) {
    write(root, "screen.toml", description);
    write(root, "p1/A01.tif", pages(3));
    write(root, "p1/A02.png", colours());
    write(root, "p1/A03.jpg", jpeg(5, 4, true));
}

fn check_planes(screen: &dyn Screen, root: &Path) {
    check_screen(screen).expect("conforms");
    assert!(inspect(screen, InspectDepth::Decode).is_sound());
    assert_eq!(screen.sites().len(), 3);
    for (site, file) in ["p1/A01.tif", "p1/A02.png", "p1/A03.jpg"]
        .iter()
        .enumerate()
    {
        let bytes = std::fs::read(root.join(file)).expect("read");
        let planes = decode_planes(&bytes).expect("whole");
        assert_eq!(planes.len(), 3);
        assert_eq!(screen.read_plane(site, 0).expect("there"), planes[2]);
        assert_eq!(screen.read_plane(site, 1).expect("there"), planes[0]);
        let location = screen.plane_location(site, 0).expect("listed");
        assert!(location.ends_with(&format!("{file}#2")), "{location}");
    }
}

#[test]
fn pages_and_colours_are_channels() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path(), PATTERN);
    let screen = open_screen(folder.path(), None).expect("opens");
    check_planes(&*screen, folder.path());
    let manifest = Manifest::of(&*screen);
    let listed = manifest
        .into_screen("again", folder.path().to_owned())
        .expect("opens");
    check_planes(&listed, folder.path());
}

#[test]
fn an_index_names_planes_by_channel_or_in_its_paths() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = r#"
plate = "p1"
[[channels]]
name = "actin"
stain = "Actin"
path_column = "image"
plane = 2
[[channels]]
name = "nuclei"
stain = "DNA"
path_column = "image"
plane = 0
[index]
file = "index.csv"
well = "well"
"#;
    write_screen(folder.path(), index);
    let rows = "well,image\nA01,p1/A01.tif\nA02,p1/A02.png\nA03,p1/A03.jpg\n";
    write(folder.path(), "index.csv", rows);
    let screen = open_screen(folder.path(), None).expect("opens");
    check_planes(&*screen, folder.path());

    let in_paths = index
        .replacen(
            "path_column = \"image\"\nplane = 2",
            "path_column = \"last\"",
            1,
        )
        .replacen(
            "path_column = \"image\"\nplane = 0",
            "path_column = \"first\"",
            1,
        );
    write(folder.path(), "screen.toml", in_paths);
    let mut rows = "well,last,first\n".to_owned();
    for (well, file) in [
        ("A01", "p1/A01.tif"),
        ("A02", "p1/A02.png"),
        ("A03", "p1/A03.jpg"),
    ] {
        rows.push_str(&format!("{well},{file}#2,{file}#0\n"));
    }
    write(folder.path(), "index.csv", rows);
    let screen = open_screen(folder.path(), None).expect("opens");
    check_planes(&*screen, folder.path());
}

#[test]
fn files_told_apart_by_name_hold_planes_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = r#"
[[channels]]
name = "nuclei"
stain = "DNA"
in_file_name = "fixed"
plane = 1
[[channels]]
name = "actin"
stain = "Actin"
in_file_name = "fixed"
plane = 0
[[channels]]
name = "live"
stain = "RNA"
[pattern]
path = '^(?<plate>p\d)/(?<well>[A-H]\d\d)_(?<channel>\w+)\.tif$'
"#;
    write(folder.path(), "screen.toml", text);
    write(folder.path(), "p1/A01_fixed.tif", pages(2));
    write(folder.path(), "p1/A01_live.tif", pages(1));
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    let first = |channel: usize| screen.read_plane(0, channel).expect("there").values()[0];
    assert_eq!([0, 1, 2].map(first), [1000, 0, 0]);
}

#[test]
fn a_plane_that_is_not_there_is_named_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path(), &PATTERN.replace("plane = 2", "plane = 3"));
    write(folder.path(), "p1/A04.tif", pages(1));
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    assert_names(
        &message(screen.read_plane(0, 0)),
        &[
            "plate p1 well A01 site 1 channel actin",
            "holds 3 images",
            "no plane 3",
            "p1/A01.tif#3",
            "hint: planes count from 0",
        ],
    );
    assert_names(
        &message(screen.read_plane(3, 0)),
        &["holds 1 images", "p1/A04.tif#3"],
    );
    assert!(screen.read_plane(3, 1).is_ok());
    let found = inspect(&*screen, InspectDepth::Decode);
    assert_eq!((found.missing.len(), found.unreadable.len()), (0, 4));
    // Without 'plane' nothing says which of them is meant.
    let one = "[[channels]]\nname = 'DNA'\nstain = 'DNA'\n[pattern]\n\
               path = '^(?<plate>p1)/(?<well>A01)\\.tif$'";
    write(folder.path(), "screen.toml", one);
    let screen = open_screen(folder.path(), None).expect("opens");
    assert_names(
        &message(screen.read_plane(0, 0)),
        &["holds 3 images", "'plane'"],
    );
}

#[test]
fn planes_that_cannot_be_told_apart_are_refused() {
    let refused = |text: &str, parts: &[&str]| {
        assert_names(&message(ScreenDescription::parse("my.toml", text)), parts);
    };
    refused(
        &PATTERN.replace("plane = 2", "plane = 0"),
        &["'actin' and 'nuclei'", "the same plane"],
    );
    refused(
        &PATTERN.replace("plane = 2", ""),
        &[
            "nothing tells the channels 'actin' and 'nuclei' apart",
            "'plane'",
        ],
    );
    refused(
        &PATTERN.replace("plane = 2", "plane = -1"),
        &["my.toml", "plane"],
    );
}
