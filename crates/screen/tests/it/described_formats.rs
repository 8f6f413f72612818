//! Descriptions that add labels and stains to what another reader finds.

use std::path::Path;

use morphospace_core::{ControlRole, Stain};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{
    IndexScreen, Screen, ScreenDescription, ScreenFormat, SelectedScreen, Selection, ZSelection,
    open_screen,
};

use crate::support::{assert_names, data, message, png_u8, write};
use crate::{harmony, imagexpress};

const DESCRIPTION: &str = r#"
format = "imagexpress"
timepoint = 0
z = "max"
cell_type = "U2OS"
missing_values = ["NA"]
ignored_channels = []
[[channels]]
name = "actin"
stain = "Actin"
original_name = "Texas, Red"
[[channels]]
name = "DAPI"
stain = "DNA"
[annotation]
file = "map.csv"
join = { plate = "plate", well = "well" }
[[annotation.perturbations]]
kind = "crispr"
name = "guide"
gene = "gene"
[annotation.control_role]
column = "role"
"#;

const MAP: &str = "plate,well,guide,gene,role\n\
                   plate 1,c3,PLK1_1,PLK1,poscon\n\
                   plate 2,B02,NA,,empty\n";

fn write_screen(root: &Path, description: &str, map: &str) {
    imagexpress::write_screen(root);
    write(root, "screen.toml", description);
    write(root, "map.csv", map);
}

#[test]
fn an_imagexpress_screen_gets_labels_stains_and_one_image_per_site() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path(), DESCRIPTION, MAP);
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    let channels: Vec<String> = screen.channels().iter().map(ToString::to_string).collect();
    assert_eq!(channels, ["actin (Actin)", "DAPI (DNA)"]);
    let sites: Vec<_> = screen
        .sites()
        .iter()
        .map(|site| {
            assert_eq!((site.key.z_index, site.key.time_index), (None, None));
            let well = &site.well;
            assert_eq!(well.cell_type.as_deref(), Some("U2OS"));
            (&*well.plate.plate, well.label(), well.control_role)
        })
        .collect();
    assert_eq!(
        sites,
        [
            (
                "plate 1",
                Some("PLK1_1".into()),
                ControlRole::PositiveControl
            ),
            ("plate 2", Some("EMPTY".into()), ControlRole::Untreated),
        ]
    );
    // Channels are in the description's order: Texas Red is wavelength 2.
    let texas_red = [0, 1, 2].map(|step| {
        let name = format!("plate 1/TimePoint_1/ZStep_{step}/x_C03_s2_w2.TIF");
        let bytes = std::fs::read(folder.path().join(name)).expect("read");
        morphospace_screen::decode_image(&bytes)
            .expect("whole")
            .values()
    });
    let largest: Vec<u16> = (0..16)
        .map(|pixel| {
            texas_red
                .iter()
                .map(|step| step[pixel])
                .max()
                .expect("three")
        })
        .collect();
    assert_eq!(screen.read_plane(0, 0).expect("there").values(), largest);
    assert!(!screen.is_present(1, 1), "plate 2 has Texas Red alone");
    assert_names(
        &message(screen.read_plane(1, 1)),
        &["plate 2 well B02", "channel DAPI (DNA)"],
    );

    // The description may lie elsewhere, and be the format on the command line.
    let elsewhere = tempfile::tempdir().expect("a folder");
    write(elsewhere.path(), "mine.toml", DESCRIPTION);
    std::fs::remove_file(folder.path().join("screen.toml")).expect("removed");
    let format = ScreenFormat::Described(elsewhere.path().join("mine.toml"));
    let same = open_screen(folder.path(), Some(&format)).expect("opens");
    assert_eq!(same.sites(), screen.sites());
}

#[test]
fn what_the_annotation_and_the_images_do_not_share_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let map = "plate,well,guide,gene,role\nplate 1,C03,a_1,A,trt\nplate 1,C04,b_1,B,trt\n\
               plate 3,C04,b_1,B,trt\n";
    let text = DESCRIPTION
        .replace("z = \"max\"\n", "")
        .replace("timepoint = 0\n", "");
    write_screen(folder.path(), &text, map);
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    assert_eq!(screen.sites().len(), 5);
    let labels: Vec<_> = screen
        .sites()
        .iter()
        .map(|site| site.well.label())
        .collect();
    assert_eq!(labels[0].as_deref(), Some("a_1"));
    assert_eq!(labels[4], None);
    assert_names(
        &screen.notes().join("\n"),
        &[
            "1 wells do not occur in annotation",
            "plate 2 well B02",
            "2 rows of annotation",
            "line 3",
        ],
    );
    write(
        folder.path(),
        "map.csv",
        map.replace("plate 1,C03", "plate 9,C03"),
    );
    assert_names(
        &message(open_screen(folder.path(), None).map(|_| ())),
        &[
            "no well of the screen occurs in annotation",
            "plate 'plate 1'",
            "plate 'plate 9'",
        ],
    );
}

#[test]
fn channels_may_be_left_out_or_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    imagexpress::write_screen(folder.path());
    let names = |text: &str| -> (Vec<String>, String) {
        write(folder.path(), "screen.toml", text);
        let screen = open_screen(folder.path(), None).expect("opens");
        check_screen(&*screen).expect("conforms");
        let names = screen.channels().iter().map(ToString::to_string).collect();
        (names, screen.notes().join("\n"))
    };
    let (all, notes) = names("format = 'imagexpress'");
    assert_eq!(all, ["DAPI (DNA)", "Texas, Red"]);
    assert!(!notes.contains("left out: "), "{notes}");
    let (rest, _) = names("format = 'imagexpress'\nignored_channels = ['DAPI']");
    assert_eq!(rest, ["Texas, Red"]);
    let one = "format = 'imagexpress'\n[[channels]]\nname = 'DAPI'\nstain = 'DNA'\n";
    let (one, notes) = names(one);
    assert_eq!(one, ["DAPI (DNA)"]);
    assert_names(&notes, &["does not list are left out: Texas, Red"]);
}

#[test]
fn experiments_and_sources_can_be_named() {
    let folder = tempfile::tempdir().expect("a folder");
    imagexpress::write_screen(folder.path());
    let text = "format = 'imagexpress'\nname = 'pilot'\nexperiment = 'run-02'\nsource = 'lab'\n";
    write(folder.path(), "screen.toml", text);
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    assert_eq!(screen.name(), "pilot");
    assert_eq!(
        screen.sites()[0].key.to_string(),
        "lab run-02 plate plate 1 well C03 site 2"
    );
}

#[test]
fn a_harmony_screen_is_described_too() {
    let folder = tempfile::tempdir().expect("a folder");
    harmony::write_screen(folder.path());
    let plain = open_screen(folder.path(), Some(&ScreenFormat::Harmony)).expect("opens");
    let original = &plain.channels()[0].name;
    let well = &plain.sites()[0].well;
    let text = format!(
        "format = 'harmony'\n[[channels]]\nname = 'first'\nstain = 'Mito'\noriginal_name = \
         '{original}'\n[annotation]\nfile = 'map.tsv'\njoin = {{ well = 'well' }}\n\
         perturbations = [{{ kind = 'compound', name = 'compound' }}]\n"
    );
    write(folder.path(), "screen.toml", text);
    write(
        folder.path(),
        "map.tsv",
        format!("well\tcompound\n{}\tTaxol\n", well.address),
    );
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    assert_eq!(screen.channels().len(), 1);
    assert_eq!(screen.channels()[0].stain, Stain::Mito);
    assert_eq!(screen.sites()[0].well.label().as_deref(), Some("Taxol"));
}

#[test]
fn refused_descriptions_of_formats_say_why() {
    let refused = |text: &str, parts: &[&str]| {
        assert_names(&message(ScreenDescription::parse("my.toml", text)), parts);
    };
    refused(
        "format = 'imagexpres'",
        &["my.toml", "did you mean 'imagexpress'"],
    );
    refused("format = 'other.toml'", &["another description"]);
    refused("format = 'harmony'\nplate = 'P'", &["tells the plates"]);
    refused(
        "format = 'harmony'\nz = 'middle'",
        &["middle", "max, focus"],
    );
    refused(
        "format = 'harmony'\n[pattern]\npath = 'x'",
        &["more than one", "'format'"],
    );
    let channel = |rest: &str| format!("[[channels]]\nname = 'a'\nstain = 'DNA'\n{rest}\n");
    refused(
        &format!("format = 'harmony'\n{}", channel("plane = 1")),
        &["channel 'a' has 'plane'", "'original_name'"],
    );
    refused(
        &format!("format = 'harmony'\n{}", channel("in_file_name = 'b'")),
        &["'in_file_name'"],
    );
    refused(
        &format!("{}[pattern]\npath = 'x'", channel("original_name = 'b'"))
            .replace("path = 'x'", "path = '(?<plate>x)(?<well>y)'"),
        &["channel 'a' has an original_name"],
    );
    refused(
        "format = 'harmony'\n[annotation]\ncell_type = 'x'",
        &["needs a file"],
    );

    let folder = tempfile::tempdir().expect("a folder");
    write_screen(
        folder.path(),
        &DESCRIPTION.replace("Texas, Red", "Texas Red"),
        MAP,
    );
    assert_names(
        &message(open_screen(folder.path(), None).map(|_| ())),
        &[
            "no channel 'Texas Red'",
            "did you mean 'Texas, Red'",
            "DAPI, Texas, Red",
        ],
    );
    let ignored = DESCRIPTION.replace("ignored_channels = []", "ignored_channels = ['Cy7']");
    write(folder.path(), "screen.toml", ignored);
    assert_names(
        &message(open_screen(folder.path(), None).map(|_| ())),
        &["no channel 'Cy7'"],
    );
    let description = ScreenDescription::parse("my.toml", DESCRIPTION).expect("valid");
    assert_names(
        &message(IndexScreen::open(folder.path(), &description).map(|_| ())),
        &["'format'", "open_screen"],
    );
}

fn selected(root: &Path, z: Option<ZSelection>, timepoint: Option<u32>) -> SelectedScreen {
    let screen = open_screen(root, None).expect("opens");
    let selection = Selection {
        z,
        timepoint,
        channels: None,
        sites: None,
        sites_by: None,
    };
    let selected = SelectedScreen::new(screen, &selection).expect("there are some");
    check_screen(&selected).expect("conforms");
    selected
}

/// Three planes of which the second is sharp, and a projection that is none
/// of them.
#[test]
fn one_plane_of_a_stack_is_the_largest_the_sharpest_or_the_named_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let side = 8;
    let image = |value: fn(u8) -> u8| -> Vec<u8> {
        let pixels: Vec<u8> = (0..side * side).map(value).collect();
        let (colour, depth) = (png::ColorType::Grayscale, png::BitDepth::Eight);
        crate::support::png(side.into(), side.into(), colour, depth, &pixels)
    };
    let planes: [fn(u8) -> u8; 3] = [
        |pixel| 100 + pixel / 8,
        |pixel| {
            if (pixel + pixel / 8).is_multiple_of(2) {
                120
            } else {
                90
            }
        },
        |pixel| 110 - pixel / 8,
    ];
    let projection: fn(u8) -> u8 = |pixel| if pixel.is_multiple_of(2) { 1 } else { 125 };
    for time in [1, 2] {
        for (step, value) in [projection, planes[0], planes[1], planes[2]]
            .into_iter()
            .enumerate()
        {
            let name = format!("p/TimePoint_{time}/ZStep_{step}/x_B02_s1_w1.TIF");
            write(folder.path(), &name, image(value));
        }
        // One wavelength has its projection alone, one a single plane.
        let name = format!("p/TimePoint_{time}/ZStep_0/x_B02_s1_w2.TIF");
        write(folder.path(), &name, png_u8(8, 8, time));
        let name = format!("p/TimePoint_{time}/ZStep_3/x_B02_s1_w3.TIF");
        write(folder.path(), &name, png_u8(8, 8, 10 + time));
    }
    let sheet = "\"TimePoints\", 2\r\n\"ZSteps\", 3\r\n";
    write(folder.path(), "p/x.HTD", sheet);
    let expected = |value: &dyn Fn(u8) -> u8| -> Vec<u16> {
        (0..64).map(|pixel| u16::from(value(pixel))).collect()
    };
    let pixels = |z: ZSelection, site: usize, channel: usize| {
        let screen = selected(folder.path(), Some(z), Some(1));
        assert_eq!(screen.sites().len(), 1);
        assert_eq!(screen.sites()[0].key.time_index, None);
        screen.read_plane(site, channel).expect("there").values()
    };
    let largest = |pixel: u8| {
        let of_planes = planes.iter().map(|plane| plane(pixel)).max();
        of_planes.expect("three").max(projection(pixel))
    };
    assert_eq!(pixels(ZSelection::Max, 0, 0), expected(&largest));
    assert_eq!(pixels(ZSelection::Focus, 0, 0), expected(&planes[1]));
    for (index, plane) in planes.iter().enumerate() {
        assert_eq!(
            pixels(ZSelection::Index(index as u32), 0, 0),
            expected(plane)
        );
    }
    let projected = morphospace_screen::decode_image(&png_u8(8, 8, 2)).expect("whole");
    for z in [ZSelection::Max, ZSelection::Focus, ZSelection::Index(1)] {
        assert_eq!(pixels(z, 0, 1), projected.values(), "{z}");
    }
    let screen = selected(folder.path(), Some(ZSelection::Index(1)), None);
    assert_eq!(screen.sites().len(), 2, "a site for each time point");
    assert!(!screen.is_present(0, 2), "recorded at another height");
    let whole = open_screen(folder.path(), None).expect("opens");
    assert_eq!(whole.sites().len(), 8);
}

/// Plates 3434 (two planes and a projection, four sites), 3435 (two time
/// points, four sites) and 3420 (one site).
#[test]
fn real_stacks_and_time_points_become_single_images() {
    let Some(root) = data("images/imagexpress/ImageXpress_exported") else {
        return;
    };
    let all = open_screen(&root, None).expect("opens");
    assert_eq!(all.sites().len(), 21);
    let stack = |well: &str, site: u32| {
        let of_stack = |index: &usize| {
            let key = &all.sites()[*index].key;
            key.plate.plate.ends_with("3434") && key.well.to_string() == well && key.site == site
        };
        let found: Vec<usize> = (0..21).filter(of_stack).collect();
        assert_eq!(found.len(), 3, "a projection and two planes");
        found
    };
    let position = |screen: &SelectedScreen, well: &str, site: u32| {
        let found = screen.sites().iter().position(|other| {
            let key = &other.key;
            key.plate.plate.ends_with("3434") && key.well.to_string() == well && key.site == site
        });
        found.expect("the stack is one site")
    };
    for z in [ZSelection::Max, ZSelection::Focus, ZSelection::Index(1)] {
        let screen = selected(&root, Some(z), Some(0));
        assert_eq!(screen.sites().len(), 4 + 4 + 1);
        for (well, site) in [("B02", 1), ("B03", 2)] {
            let read = |index: usize| all.read_plane(index, 0).expect("whole").values();
            let [projection, planes @ ..] = &stack(well, site)[..] else {
                panic!("three");
            };
            let planes: Vec<Vec<u16>> = planes.iter().map(|&index| read(index)).collect();
            let found = screen
                .read_plane(position(&screen, well, site), 0)
                .expect("whole");
            match z {
                ZSelection::Max => {
                    let projection = read(*projection);
                    let pixels = planes[0].iter().zip(&planes[1]).zip(&projection);
                    let largest: Vec<u16> = pixels.map(|((a, b), c)| *a.max(b).max(c)).collect();
                    assert_eq!(found.values(), largest);
                }
                ZSelection::Focus => assert!(planes.contains(&found.values())),
                ZSelection::Index(index) => assert_eq!(found.values(), planes[index as usize]),
            }
        }
    }
    let second = selected(&root, None, Some(1));
    assert!(
        second
            .sites()
            .iter()
            .all(|site| site.key.time_index.is_none())
    );
    let none = Selection {
        timepoint: Some(7),
        z: Some(ZSelection::Index(9)),
        channels: None,
        sites: None,
        sites_by: None,
    };
    let plate = open_screen(&root.join("9987_Plate_3435"), None).expect("opens");
    let error = message(SelectedScreen::new(plate, &none).map(|_| ()));
    assert_names(&error, &["time point 7", "0, 1"]);
}

/// The same plates, with labels and stains from a description elsewhere.
#[test]
fn a_real_screen_gets_labels_and_stains() {
    let Some(root) = data("images/imagexpress/ImageXpress_exported") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let text = r#"
format = "imagexpress"
z = "max"
timepoint = 0
cell_type = "HeLa"
ignored_channels = ["Texas Red"]
[[channels]]
name = "nuclei"
stain = "DNA"
original_name = "DAPI"
[[channels]]
name = "FITC"
stain = "Tubulin"
"#;
    write(folder.path(), "mine.toml", text);
    let format = ScreenFormat::Described(folder.path().join("mine.toml"));
    let screen = open_screen(&root, Some(&format)).expect("opens");
    check_screen(&*screen).expect("conforms");
    assert_eq!(screen.sites().len(), 9);
    let channels: Vec<String> = screen.channels().iter().map(ToString::to_string).collect();
    assert_eq!(channels, ["nuclei (DNA)", "FITC (Tubulin)"]);
    assert!(
        screen
            .sites()
            .iter()
            .all(|site| site.well.cell_type.as_deref() == Some("HeLa"))
    );
    assert!((0..9).all(|site| screen.is_present(site, 0)));
}
