use std::path::Path;

use morphospace_screen::conformance::check_screen;
use morphospace_screen::{InspectDepth, Pixels, ScreenFormat, inspect, open_screen};

use crate::support::{assert_names, check_packed, message, png, png_u8, write, write_rxrx1_site};

const METADATA: &str = "site_id,well_id,cell_type,dataset,experiment,plate,well,site,well_type,\
                        sirna,sirna_id\n\
                        x,x,HUVEC,train,HUVEC-01,1,B02,1,negative_control,EMPTY,1138\n\
                        x,x,HUVEC,train,HUVEC-01,1,B02,2,negative_control,EMPTY,1138\n\
                        x,x,HUVEC,val,HUVEC-01,1,B03,1,treatment,s21721,332\n";

fn colour_png(pixels: &[u8]) -> Vec<u8> {
    png(2, 1, png::ColorType::Rgb, png::BitDepth::Eight, pixels)
}

pub(crate) fn write_screen(root: &Path) {
    write(root, "metadata.csv", METADATA);
    for (name, seed) in [("B02_s1", 0), ("B02_s2", 10), ("B03_s1", 20)] {
        let pixels: Vec<u8> = (1..=6).map(|value| value + seed).collect();
        let path = format!("images/HUVEC-01/Plate1/{name}.png");
        write(root, &path, colour_png(&pixels));
    }
}

#[test]
fn components_are_the_first_three_channels() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path());
    let screen = check_packed(folder.path(), &ScreenFormat::Wilds);
    let names: Vec<String> = screen.channels().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["w1 (DNA)", "w2 (ER)", "w3 (Actin)"]);
    for (channel, pixels) in [(0, [11, 14]), (1, [12, 15]), (2, [13, 16])] {
        let plane = screen.read_plane(1, channel).expect("decodes");
        assert_eq!(plane.pixels, Pixels::U8(pixels.to_vec()));
    }
    let location = screen.plane_location(1, 2).expect("has a file");
    assert!(location.ends_with("B02_s2.png#w3"), "{location}");
}

#[test]
fn the_screen_says_that_it_is_a_reduction() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path());
    let screen = open_screen(folder.path(), None).expect("recognised");
    assert_names(
        &screen.notes()[0],
        &["w1 to w3 of six", "256 x 256 of 512 x 512"],
    );
    let shown = inspect(&*screen, InspectDepth::Decode).to_string();
    assert_names(&shown, &["note           WILDS"]);
}

#[test]
fn rxrx1_itself_is_not_taken_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata.csv", METADATA);
    for site in ["B02_s1", "B02_s2", "B03_s1"] {
        write_rxrx1_site(folder.path(), "images/HUVEC-01/Plate1", site);
    }
    let screen = open_screen(folder.path(), None).expect("opens");
    assert_eq!(screen.channels().len(), 6);
    assert!(screen.notes().is_empty());
}

#[test]
fn grey_and_damaged_images_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path());
    let plate = folder.path().join("images/HUVEC-01/Plate1");
    write(&plate, "B02_s1.png", png_u8(2, 1, 0));
    let mut cut = colour_png(&[1, 2, 3, 4, 5, 6]);
    cut.truncate(cut.len() - 10);
    write(&plate, "B02_s2.png", cut);
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("damaged images are reported");
    let error = message(screen.read_plane(0, 0));
    assert_names(
        &error,
        &[
            "HUVEC-01 plate 1 well B02 site 1 channel w1 (DNA)",
            "B02_s1.png",
        ],
    );
    assert_names(&message(screen.read_plane(1, 0)), &["site 2", "damaged"]);
}
