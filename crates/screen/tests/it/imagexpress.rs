use std::path::Path;

use morphospace_screen::conformance::check_screen;
use morphospace_screen::{InspectDepth, ScreenFormat, inspect, open_screen};

use crate::support::{assert_names, check_packed, data, message, png_u8, write};

/// A sheet as MetaXpress writes it, with bytes that are no UTF-8.
fn sheet(time_points: u32, z_steps: u32, waves: &[&str]) -> Vec<u8> {
    let mut text = format!(
        "\"HTSInfoFile\", Version 1.0\r\n\"TimePoints\", {time_points}\r\n\"ZSteps\", {z_steps}\r\n"
    );
    for (index, wave) in waves.iter().enumerate() {
        text.push_str(&format!("\"WaveName{}\", \"{wave}\"\r\n", index + 1));
    }
    let mut bytes = b"\"Description\", \"3z\xc2\x81\xb5m\"\r\n".to_vec();
    bytes.extend(text.bytes());
    bytes
}

/// A plate of two z-planes and a projection, and one with ids in its names.
pub(crate) fn write_screen(root: &Path) {
    write(
        root,
        "plate 1/x.HTD",
        sheet(1, 2, &["DAPI", "Texas, Red", "Cy5"]),
    );
    let mut seed = 0;
    for step in 0..3 {
        for wave in [1, 2] {
            seed += 1;
            let name = format!("plate 1/TimePoint_1/ZStep_{step}/x_C03_s2_w{wave}.TIF");
            write(root, &name, png_u8(4, 4, seed));
        }
    }
    let id = "12345678-45E4-450A-9919-257C714278F7";
    write(root, "plate 2/x.htd", sheet(2, 0, &["Texas, Red", "DAPI"]));
    for time in [1, 2] {
        seed += 1;
        let folder = format!("plate 2/TimePoint_{time}");
        write(
            root,
            &format!("{folder}/x_A01_B02_w1{id}.tif"),
            png_u8(4, 4, seed),
        );
        write(
            root,
            &format!("{folder}/x_A01_B02_w1_thumb{id}.tif"),
            b"small",
        );
    }
    write(root, "plate 2/TimePoint_1/overview.tif", b"");
}

#[test]
fn planes_projections_and_time_points_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path());
    let screen = check_packed(folder.path(), &ScreenFormat::ImageXpress);
    let channels: Vec<String> = screen.channels().iter().map(ToString::to_string).collect();
    assert_eq!(channels, ["DAPI (DNA)", "Texas, Red"]);
    let sites: Vec<_> = screen
        .sites()
        .iter()
        .enumerate()
        .map(|(index, site)| {
            let key = &site.key;
            let is_present = [0, 1].map(|channel| screen.is_present(index, channel));
            (
                &*key.plate.plate,
                key.well.to_string(),
                key.site,
                key.z_index,
                key.time_index,
                is_present,
            )
        })
        .collect();
    let (c03, b02) = (|| "C03".to_owned(), || "B02".to_owned());
    assert_eq!(
        sites,
        [
            ("plate 1", c03(), 2, None, None, [true, true]),
            ("plate 1", c03(), 2, Some(0), None, [true, true]),
            ("plate 1", c03(), 2, Some(1), None, [true, true]),
            // Channels are matched by name, not by number.
            ("plate 2", b02(), 1, None, Some(0), [false, true]),
            ("plate 2", b02(), 1, None, Some(1), [false, true]),
        ]
    );
    assert_names(
        &screen.notes().join("\n"),
        &["'Cy5' was recorded", "1 image files", "overview.tif"],
    );
    let recognised = open_screen(folder.path(), None).expect("recognised");
    assert_eq!(recognised.sites(), screen.sites());
    // A plate alone, without levels above its images.
    let plate = open_screen(&folder.path().join("plate 1"), None).expect("recognised");
    assert_eq!(plate.sites()[0].key.plate.plate, "plate 1");
}

#[test]
fn without_a_sheet_channels_have_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a_B02_s1_w1.TIF", "a_B02_s1_w3.TIF"] {
        write(folder.path(), name, png_u8(4, 4, 1));
    }
    let format = Some(ScreenFormat::ImageXpress);
    let screen = open_screen(folder.path(), format.as_ref()).expect("opens");
    let names: Vec<_> = screen
        .channels()
        .iter()
        .map(|channel| &*channel.name)
        .collect();
    assert_eq!(names, ["w1", "w3"]);
    write(folder.path(), "b_B02_s1_w1.TIF", png_u8(4, 4, 1));
    let error = message(open_screen(folder.path(), format.as_ref()));
    assert_names(
        &error,
        &["well B02 site 1 channel w1", "two images", "a_B02", "b_B02"],
    );
}

/// Counted by hand in the list of files.
#[test]
fn exported_plates_have_21_sites() {
    let Some(root) = data("images/imagexpress/ImageXpress_exported") else {
        return;
    };
    let screen = open_screen(&root, None).expect("recognised");
    check_screen(&*screen).expect("conforms");
    let channels: Vec<String> = screen.channels().iter().map(ToString::to_string).collect();
    assert_eq!(channels, ["DAPI (DNA)", "FITC", "Texas Red"]);
    let found = inspect(&*screen, InspectDepth::Presence);
    assert_eq!(
        (found.num_plates, found.num_wells, found.num_sites),
        (3, 5, 21)
    );
    assert_eq!(found.num_present, [21, 20, 12]);
    assert_names(&screen.notes()[0], &["'Cy5'"]);
    let plate = |name: &str| {
        let keys = screen.sites().iter().map(|site| &site.key);
        keys.filter(|key| key.plate.plate == name)
            .map(|key| (key.well.to_string(), key.site, key.z_index, key.time_index))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        plate("9987_Plate_3420"),
        [("B02".to_owned(), 1, None, None)]
    );
    let mut mixed = Vec::new();
    let mut timed = Vec::new();
    for well in ["B02", "B03"] {
        for site in [1, 2] {
            mixed.extend([None, Some(0), Some(1)].map(|z| (well.to_owned(), site, z, None)));
            timed.extend([Some(0), Some(1)].map(|time| (well.to_owned(), site, None, time)));
        }
    }
    assert_eq!(plate("9987_Plate_3434"), mixed);
    assert_eq!(plate("9987_Plate_3435"), timed);
    for (name, sites, channels) in [("3420", 1, 1), ("3434", 12, 3), ("3435", 8, 2)] {
        let root = root.join(format!("9987_Plate_{name}"));
        let screen = open_screen(&root, None).expect("recognised");
        check_screen(&*screen).expect("conforms");
        let found = inspect(&*screen, InspectDepth::Presence);
        assert_eq!((found.num_sites, found.channels.len()), (sites, channels));
        assert!(found.missing.is_empty(), "{name}");
    }
}
