use std::path::{Path, PathBuf};

use morphospace_screen::conformance::check_screen;
use morphospace_screen::simulator::{SimulatorConfig, simulate};
use morphospace_screen::{
    OmeZarrScreen, OnIncomplete, PackConfig, PackError, Pixels, Plane, ReadSite, Screen, Tile,
    encode_tiff, open_screen, pack, read_site_crop, verify_pack,
};

use crate::support::{assert_names, message};

/// A small simulated screen, and its folder.
fn simulated() -> (tempfile::TempDir, Box<dyn Screen>) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = SimulatorConfig {
        experiments: vec!["HUVEC-01".to_owned(), "RPE-01".to_owned()],
        test_experiments: Vec::new(),
        num_plates: 1,
        num_groups: 1,
        group_size: 2,
        num_sites: 2,
        image_px: 96,
        ..SimulatorConfig::default()
    };
    let checked = config.check().expect("valid");
    simulate(&checked, folder.path(), &|_, _| {}).expect("simulates");
    let screen = open_screen(folder.path(), None).expect("opens");
    (folder, screen)
}

fn packed(screen: &dyn Screen, output: &Path) -> OmeZarrScreen {
    let config = PackConfig {
        chunk_px: 32,
        ..PackConfig::default()
    };
    pack(screen, output, &config, &|| {}).expect("packs");
    OmeZarrScreen::open(output).expect("opens")
}

/// The folder of a site's array.
fn array(pack: &OmeZarrScreen, site: usize) -> PathBuf {
    let plane = pack.plane_location(site, 0).expect("packed");
    PathBuf::from(plane.split('#').next().expect("a path"))
}

fn assert_same_pixels(a: &dyn Screen, b: &dyn Screen) {
    assert_eq!(a.channels(), b.channels());
    assert_eq!(a.sites(), b.sites());
    for site in 0..a.sites().len() {
        for channel in 0..a.channels().len() {
            let planes = [a, b].map(|screen| screen.read_plane(site, channel).expect("whole"));
            assert!(planes[0] == planes[1], "site {site} channel {channel}");
        }
    }
}

#[test]
fn a_pack_is_the_screen_it_was_made_of() {
    let (_folder, screen) = simulated();
    let output = tempfile::tempdir().expect("a folder");
    let pack = packed(&*screen, output.path());
    check_screen(&pack).expect("conforms");
    assert_same_pixels(&*screen, &pack);
    assert!(open_screen(output.path(), None).is_ok(), "it is recognised");
    // Regions are read without the rest, and are the same pixels.
    let region = Tile {
        top: 17,
        left: 30,
        crop_px: 40,
    };
    assert_eq!(pack.image_size(3).expect("known"), Some((96, 96)));
    let whole = screen.read_plane(3, 2).expect("whole").region(region);
    assert_eq!(pack.read_region(3, 2, region).expect("inside"), whole);
}

#[test]
fn plates_open_without_the_manifest() {
    let (_folder, screen) = simulated();
    let output = tempfile::tempdir().expect("a folder");
    let pack = packed(&*screen, output.path());
    std::fs::remove_file(output.path().join("manifest.parquet")).expect("removes");
    let plain = OmeZarrScreen::open(output.path()).expect("opens");
    check_screen(&plain).expect("conforms");
    assert_eq!(plain.sites().len(), pack.sites().len());
    assert_eq!(plain.channels()[0].name, "w1");
    let first = plain.sites()[0].key.clone();
    assert_eq!((first.well, first.site), (pack.sites()[0].key.well, 1));
    let pixels = |screen: &OmeZarrScreen| screen.read_plane(0, 5).expect("whole");
    assert_eq!(pixels(&plain), pixels(&pack));
}

#[test]
fn packing_goes_on_where_it_was_killed() {
    let (folder, screen) = simulated();
    let output = tempfile::tempdir().expect("a folder");
    let run = || pack(&*screen, output.path(), &PackConfig::default(), &|| {}).expect("packs");
    let total = screen.sites().len();
    assert_eq!((run().num_packed, run().num_kept), (total, total));
    // A kill leaves sites that are not there, and one that is half there.
    let pack = OmeZarrScreen::open(output.path()).expect("opens");
    let field = array(&pack, 4).parent().expect("a field").to_owned();
    let partial = field.with_file_name(".1.partial");
    std::fs::rename(&field, &partial).expect("renames");
    let report = run();
    assert_eq!((report.num_packed, report.num_kept), (1, total - 1));
    assert!(field.is_dir() && !partial.exists());
    // A channel that has come since is packed too.
    let site = &screen.sites()[7];
    let lost = screen.plane_location(7, 2).expect("a file");
    let bytes = std::fs::read(&lost).expect("a file");
    std::fs::remove_file(&lost).expect("removes");
    let report = run();
    assert_eq!((report.num_packed, report.missing.len()), (1, 1));
    let pack = OmeZarrScreen::open(output.path()).expect("opens");
    assert!(!pack.is_present(7, 2));
    assert_names(
        &message(pack.read_plane(7, 2)),
        &["names no file", &site.key.to_string()],
    );
    std::fs::write(&lost, bytes).expect("writes");
    assert_eq!(run().num_packed, 1);
    let pack = OmeZarrScreen::open(output.path()).expect("opens");
    assert_same_pixels(&*screen, &pack);
    drop(folder);
}

#[test]
fn what_has_changed_is_packed_again() {
    let (_folder, screen) = simulated();
    let output = tempfile::tempdir().expect("a folder");
    let pack_again = || pack(&*screen, output.path(), &PackConfig::default(), &|| {});
    pack_again().expect("packs");
    let first = OmeZarrScreen::open(output.path()).expect("opens");
    // Shards that were lost or emptied, though their site looks whole.
    std::fs::write(array(&first, 2).join("c/0/0/0"), b"").expect("writes");
    std::fs::remove_file(array(&first, 3).join("c/0/0/0")).expect("removes");
    assert_eq!(pack_again().expect("packs").num_packed, 2);
    // An image of the same length that came later.
    let image = screen.plane_location(5, 0).expect("a file");
    let bytes = std::fs::read(&image).expect("a file");
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    let file = std::fs::File::create(&image).expect("opens");
    std::io::Write::write_all(&mut &file, &bytes).expect("writes");
    file.set_modified(later).expect("sets");
    assert_eq!(pack_again().expect("packs").num_packed, 1);
    assert_eq!(pack_again().expect("packs").num_packed, 0);
    let pack = OmeZarrScreen::open(output.path()).expect("opens");
    assert_same_pixels(&*screen, &pack);
}

/// Files that were copied together may have one length and one time.
#[test]
fn another_file_of_the_same_version_is_packed_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let plate = folder.path().join("screen/P1");
    std::fs::create_dir_all(&plate).expect("creates");
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    for (name, value) in [("a", 10), ("b", 20)] {
        let plane = Plane {
            width: 16,
            height: 16,
            pixels: Pixels::U8(vec![value; 256]),
        };
        let path = plate.join(format!("B02_{name}.tif"));
        std::fs::write(&path, encode_tiff(&plane)).expect("writes");
        let file = std::fs::File::options()
            .write(true)
            .open(&path)
            .expect("opens");
        file.set_modified(time).expect("sets");
    }
    let first_pixels = |dna: &str, er: &str| {
        let text = format!(
            "name = \"s\"\n[pattern]\npath = '(?<plate>P1)/(?<well>B02)_(?<channel>.)\\.tif'\n\
             [[channels]]\nname = \"DNA\"\nstain = \"DNA\"\nin_file_name = \"{dna}\"\n\
             [[channels]]\nname = \"ER\"\nstain = \"ER\"\nin_file_name = \"{er}\"\n"
        );
        std::fs::write(folder.path().join("screen/screen.toml"), text).expect("writes");
        let screen = open_screen(&folder.path().join("screen"), None).expect("opens");
        let output = folder.path().join("pack");
        let report = pack(&*screen, &output, &PackConfig::default(), &|| {}).expect("packs");
        let pack = OmeZarrScreen::open(&output).expect("opens");
        let plane = pack.read_plane(0, 0).expect("reads");
        let Pixels::U8(pixels) = plane.pixels else {
            panic!("8 bit")
        };
        (pixels[0], report.num_packed)
    };
    assert_eq!(first_pixels("a", "b"), (10, 1));
    assert_eq!(first_pixels("a", "b"), (10, 0));
    assert_eq!(first_pixels("b", "a"), (20, 1));
}

/// Checksums are of whole chunks, and crops take parts of them.
#[test]
fn no_changed_bit_of_a_shard_goes_unnoticed() {
    let (_folder, screen) = simulated();
    let output = tempfile::tempdir().expect("a folder");
    let pack = packed(&*screen, output.path());
    let shard = array(&pack, 0).join("c/0/0/0");
    let sound = std::fs::read(&shard).expect("a shard");
    let region = Tile {
        top: 5,
        left: 7,
        crop_px: 20,
    };
    let num_channels = pack.channels().len();
    for position in (0..sound.len()).step_by(sound.len() / 97) {
        let mut bytes = sound.clone();
        bytes[position] ^= 0x10;
        std::fs::write(&shard, bytes).expect("writes");
        let reads = |channel| {
            [
                pack.read_plane(0, channel),
                pack.read_region(0, channel, region),
            ]
        };
        let num_refused = (0..num_channels)
            .flat_map(reads)
            .filter(Result::is_err)
            .count();
        // One chunk, or the index of them all.
        assert!(
            num_refused >= 1,
            "byte {position} of {}: {num_refused}",
            sound.len()
        );
    }
}

#[test]
fn damage_is_found_and_named() {
    let (_folder, screen) = simulated();
    let output = tempfile::tempdir().expect("a folder");
    let pack = packed(&*screen, output.path());
    let sound = verify_pack(output.path(), Some(&*screen)).expect("opens");
    assert_eq!(sound.num_sound, screen.sites().len() * 6);
    assert_eq!(sound.damaged, Vec::<String>::new());

    let shard = array(&pack, 0).join("c/0/0/0");
    let mut bytes = std::fs::read(&shard).expect("a shard");
    bytes[40] ^= 1;
    std::fs::write(&shard, bytes).expect("writes");
    std::fs::remove_file(array(&pack, 1).join("c/0/0/0")).expect("removes");
    let found = verify_pack(output.path(), None).expect("opens");
    assert_eq!(found.num_sound + found.damaged.len(), sound.num_sound);
    assert!(found.damaged.len() >= 7, "{:?}", found.damaged);
    let names = |index: usize| pack.sites()[index].key.to_string();
    assert_names(
        &found.damaged.join("\n"),
        &[&names(0), &names(1), "is missing"],
    );
}

#[test]
fn folders_of_others_are_refused() {
    let (_folder, screen) = simulated();
    let output = tempfile::tempdir().expect("a folder");
    std::fs::write(output.path().join("thesis.txt"), "years").expect("writes");
    let error = pack(&*screen, output.path(), &PackConfig::default(), &|| {});
    assert!(matches!(error, Err(PackError::OtherPack { .. })));
    let config = PackConfig {
        chunk_px: 1,
        ..PackConfig::default()
    };
    let error = pack(&*screen, output.path(), &config, &|| {}).expect_err("too small");
    assert_names(&error.to_string(), &["chunk_px is 1", "128"]);
}

/// What napari and other tools read packs with, where Python has it.
#[test]
fn the_packages_of_the_field_read_a_pack() {
    let Some(python) = std::env::var_os("MORPHOSPACE_PYTHON") else {
        eprintln!(
            "SKIPPED: set MORPHOSPACE_PYTHON to a Python with the packages of \
             crates/screen/tests/python/requirements.txt"
        );
        return;
    };
    let (_folder, screen) = simulated();
    let output = tempfile::tempdir().expect("a folder");
    let pack = packed(&*screen, output.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/read_pack.py");
    let run = std::process::Command::new(python)
        .arg(script)
        .arg(output.path())
        .output()
        .expect("Python runs");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let mut read: Vec<String> = String::from_utf8_lossy(&run.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    let mut expected: Vec<String> = (0..pack.sites().len())
        .map(|site| {
            let pixels: Vec<u8> = (0..pack.channels().len())
                .flat_map(|channel| screen.read_plane(site, channel).expect("whole").values())
                .map(|value| u8::try_from(value).expect("8 bit"))
                .collect();
            let key = &pack.sites()[site].key;
            let (experiment, well) = (&key.plate.experiment, key.well.to_string());
            format!(
                "{experiment}_{}.zarr {}/{} {} {} w1,w2,w3,w4,w5,w6",
                key.plate.plate,
                &well[..1],
                &well[1..],
                key.site,
                morphospace_core::sha256_hex(&pixels)
            )
        })
        .collect();
    read.sort();
    expected.sort();
    assert_eq!(read, expected);
}

#[test]
fn a_crop_of_a_pack_is_the_crop_of_its_source() {
    let (_folder, screen) = simulated();
    let output = tempfile::tempdir().expect("a folder");
    let pack = packed(&*screen, output.path());
    for site in [0, screen.sites().len() - 1] {
        // A place that depends on the size, as random crops do.
        let tile = |width: usize, height: usize| Tile {
            top: height - 40,
            left: width / 3,
            crop_px: 33,
        };
        let crops = [&*screen, &pack].map(|screen| {
            match read_site_crop(screen, site, OnIncomplete::Fail, tile).expect("whole") {
                ReadSite::Image(image) => image,
                ReadSite::Skipped(site) => panic!("{site}"),
            }
        });
        assert_eq!(crops[0], crops[1]);
        assert_eq!((crops[0].width(), crops[0].height()), (33, 33));
        let whole = screen.read_plane(site, 5).expect("whole");
        assert_eq!(crops[0].planes()[5], whole.region(tile(96, 96)));
    }
    let outside = |_, _| Tile {
        top: 0,
        left: 60,
        crop_px: 64,
    };
    for screen in [&*screen, &pack] {
        let error = read_site_crop(screen, 0, OnIncomplete::Fail, outside);
        let parts = ["HUVEC-01 plate 1", "96 x 96", "crop of 64", "hint:"];
        assert_names(&message(error.map(|_| ())), &parts);
    }
}
