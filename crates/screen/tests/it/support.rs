//! Tiny images and screens written for a test.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use morphospace_core::{ControlRole, Perturbation, PlateKey, Site, SiteKey, Well, WellAddress};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::store::{FolderStore, Store};
use morphospace_screen::{Screen, ScreenFormat, open_screen};

/// A grey 8-bit PNG whose pixels depend on `seed`.
pub(crate) fn png_u8(width: u32, height: u32, seed: u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..width * height)
        .map(|i| (i as u8).wrapping_mul(7).wrapping_add(seed))
        .collect();
    png(
        width,
        height,
        png::ColorType::Grayscale,
        png::BitDepth::Eight,
        &pixels,
    )
}

/// A grey 16-bit PNG.
pub(crate) fn png_u16(width: u32, height: u32, pixels: &[u16]) -> Vec<u8> {
    let bytes: Vec<u8> = pixels
        .iter()
        .flat_map(|pixel| pixel.to_be_bytes())
        .collect();
    png(
        width,
        height,
        png::ColorType::Grayscale,
        png::BitDepth::Sixteen,
        &bytes,
    )
}

/// Any PNG.
pub(crate) fn png(
    width: u32,
    height: u32,
    color: png::ColorType,
    depth: png::BitDepth,
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == png::ColorType::Indexed {
        encoder.set_palette(vec![0, 0, 0, 255, 255, 255]);
    }
    let mut writer = encoder.write_header().expect("a valid header");
    writer
        .write_image_data(data)
        .expect("the right number of bytes");
    writer.finish().expect("written to memory");
    bytes
}

/// A grey or colour JPEG.
pub(crate) fn jpeg(width: u16, height: u16, is_colour: bool) -> Vec<u8> {
    let per_pixel = if is_colour { 3 } else { 1 };
    let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height) * per_pixel)
        .map(|i| (i / 5) as u8)
        .collect();
    let color = if is_colour {
        jpeg_encoder::ColorType::Rgb
    } else {
        jpeg_encoder::ColorType::Luma
    };
    let mut bytes = Vec::new();
    jpeg_encoder::Encoder::new(&mut bytes, 90)
        .encode(&pixels, width, height, color)
        .expect("encoded in memory");
    bytes
}

/// Writes a file and the folders above it.
pub(crate) fn write(root: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("below the root")).expect("folders made");
    fs::write(path, bytes).expect("written");
}

/// Six 8 x 8 images of one RxRx1 site.
pub(crate) fn write_rxrx1_site(root: &Path, folder: &str, site: &str) {
    for channel in 1..=6 {
        write(
            root,
            &format!("{folder}/{site}_w{channel}.png"),
            png_u8(8, 8, channel * 3),
        );
    }
}

/// An error's text, of a result that has to be one.
pub(crate) fn message<T>(result: Result<T, impl std::fmt::Display>) -> String {
    match result {
        Ok(_) => panic!("this should have been refused"),
        Err(error) => error.to_string(),
    }
}

/// Checks that a text holds all of some parts.
#[track_caller]
pub(crate) fn assert_names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

/// Packs files into a tar archive.
pub(crate) fn write_tar(archive: &Path, files: &[(String, Vec<u8>)]) {
    let file = fs::File::create(archive).expect("created");
    let mut builder = tar::Builder::new(file);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, name, &bytes[..])
            .expect("packed");
    }
    builder.finish().expect("written");
}

/// Packs files into a zip archive.
pub(crate) fn write_zip(archive: &Path, files: &[(String, Vec<u8>)]) {
    let file = fs::File::create(archive).expect("created");
    let mut writer = zip::ZipWriter::new(file);
    for (name, bytes) in files {
        writer
            .start_file(name, zip::write::SimpleFileOptions::default())
            .expect("started");
        writer.write_all(bytes).expect("packed");
    }
    writer.finish().expect("written");
}

/// All files below a folder, by relative path.
pub(crate) fn files_of(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let store = FolderStore::new(folder);
    let paths = store.files("").expect("listed");
    paths
        .into_iter()
        .map(|path| {
            let bytes = store.read(&path).expect("read");
            (path, bytes)
        })
        .collect()
}

/// Checks that a folder, and the same files in a zip and a tar archive of its
/// name, are the same screen; hands back the folder's.
#[track_caller]
pub(crate) fn check_packed(folder: &Path, format: &ScreenFormat) -> Box<dyn Screen> {
    let screen = open_screen(folder, Some(format)).expect("opens");
    check_screen(&*screen).expect("conforms");
    let archives = tempfile::tempdir().expect("a folder");
    let stem = folder.file_name().expect("has one").to_string_lossy();
    let zip = archives.path().join(format!("{stem}.zip"));
    write_zip(&zip, &files_of(folder));
    let tar = archives.path().join(format!("{stem}.tar"));
    write_tar(&tar, &files_of(folder));
    for archive in [zip, tar] {
        let packed = open_screen(&archive, Some(format)).expect("opens packed");
        check_screen(&*packed).expect("conforms packed");
        assert_eq!(packed.sites(), screen.sites());
        assert_eq!(packed.channels(), screen.channels());
        for site in 0..screen.sites().len() {
            for channel in 0..screen.channels().len() {
                match (
                    screen.read_plane(site, channel),
                    packed.read_plane(site, channel),
                ) {
                    (Ok(plain), Ok(packed)) => assert_eq!(plain, packed),
                    (Err(_), Err(_)) => {}
                    _ => panic!("site {site} channel {channel} is in one of both"),
                }
            }
        }
    }
    screen
}

/// The folder of real data, if `MORPHOSPACE_DATA` names one.
pub(crate) fn data(folder: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("MORPHOSPACE_DATA") else {
        // Written past the test harness, which hides what passing tests print.
        let note = format!("SKIPPED: a test on real data ({folder}); set MORPHOSPACE_DATA\n");
        let _ = std::io::stderr().write_all(note.as_bytes());
        return None;
    };
    let path = Path::new(&root).join(folder);
    assert!(
        path.exists(),
        "MORPHOSPACE_DATA is set but has no '{folder}'"
    );
    Some(path)
}

/// The sites, numbered from 1, of a well whose cell type is its experiment's
/// series. The label `EMPTY` is an untreated well, `None` an unknown label.
pub(crate) fn sites_of_well(
    experiment: &str,
    plate: &str,
    address: WellAddress,
    label: Option<&str>,
    num_sites: u32,
) -> Vec<Site> {
    let plate = PlateKey::new(experiment, plate);
    let sirna = label
        .filter(|label| *label != "EMPTY")
        .map(|label| Perturbation::Sirna {
            name: label.to_owned(),
            gene: None,
        });
    let well = Arc::new(Well {
        address,
        original_address: address.to_string(),
        perturbations: sirna.into_iter().collect(),
        background: None,
        control_role: match label {
            Some("EMPTY") => ControlRole::Untreated,
            _ => ControlRole::Treatment,
        },
        cell_type: Some(plate.experiment.series().to_owned()),
        plate,
    });
    let site = |number| Site {
        key: SiteKey::new(well.plate.clone(), address, number),
        well: Arc::clone(&well),
    };
    (1..=num_sites).map(site).collect()
}

/// Sites of experiments designed as RxRx1's: on each plate its own group of
/// treatments, then the positive controls of all plates and an untreated
/// well; two sites per well.
pub(crate) fn designed_sites(
    experiments: &[String],
    num_plates: usize,
    num_treatments: usize,
    num_positive_controls: usize,
) -> Vec<Site> {
    const NUM_COLUMNS: usize = 22;
    let mut sites = Vec::new();
    for experiment in experiments {
        for plate in 0..num_plates {
            let treatments =
                (0..num_treatments).map(|i| format!("sirna_{}", plate * num_treatments + i));
            let controls = (0..num_positive_controls).map(|i| format!("control_{i}"));
            let labels = treatments.chain(controls).chain(["EMPTY".to_owned()]);
            for (place, label) in labels.enumerate() {
                let (row, column) = (1 + place / NUM_COLUMNS, 1 + place % NUM_COLUMNS);
                let address = WellAddress::from_indices(row, column).expect("on the plate");
                let plate = (plate + 1).to_string();
                sites.extend(sites_of_well(experiment, &plate, address, Some(&label), 2));
            }
        }
    }
    sites.sort_by(|a, b| a.key.cmp(&b.key));
    sites
}

/// The names of RxRx1's 51 experiments.
pub(crate) fn rxrx1_experiments() -> Vec<String> {
    [("HEPG2", 11), ("HUVEC", 24), ("RPE", 11), ("U2OS", 5)]
        .into_iter()
        .flat_map(|(series, count)| (1..=count).map(move |i| format!("{series}-{i:02}")))
        .collect()
}
