//! Plates that ome-zarr-py wrote, of both versions: see
//! `tests/fixtures/ome_zarr/make.py`.

use std::fs;
use std::path::Path;

use morphospace_core::Stain;
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{Screen, ScreenError, Tile, open_screen};
use serde_json::json;

use crate::support::assert_names;

fn plates() -> Box<dyn Screen> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ome_zarr/plates.zip");
    open_screen(&root, None).expect("opens")
}

#[test]
fn plates_of_both_versions_are_read() {
    let screen = plates();
    check_screen(&*screen).expect("conforms");
    let stains: Vec<&Stain> = screen.channels().iter().map(|c| &c.stain).collect();
    assert_eq!(stains, [&Stain::Dna, &Stain::Mito]);
    // Two plates, three fields, two time points, two planes.
    assert_eq!(screen.sites().len(), 24);
    for (index, site) in screen.sites().iter().enumerate() {
        let key = &site.key;
        assert!(["P4", "P5"].contains(&key.plate.plate.as_str()), "{key}");
        let (well, field) = match (key.well.to_string().as_str(), key.site) {
            ("A01", 1 | 2) => (0, key.site - 1),
            ("B03", 1) => (1, 0),
            other => panic!("{other:?}"),
        };
        let (time, z) = (key.time_index.expect("2"), key.z_index.expect("2"));
        for channel in 0..2 {
            let first = 10_000 * well + 4000 * field + 2000 * time + 1000 * channel + 300 * z;
            let plane = screen.read_plane(index, channel as usize).expect("whole");
            assert_eq!((plane.width, plane.height, plane.bit_depth()), (10, 12, 16));
            let expected: Vec<u16> = (0..120)
                .map(|pixel| (first + 10 * (pixel / 10) + pixel % 10) as u16)
                .collect();
            assert_eq!(plane.values(), expected, "{key} channel {channel}");
            let region = Tile {
                top: 5,
                left: 6,
                crop_px: 4,
            };
            let square = screen.read_region(index, channel as usize, region);
            assert_eq!(square.expect("inside"), plane.region(region));
        }
    }
}

#[test]
fn a_channel_says_where_it_lies() {
    let screen = plates();
    let place = screen.plane_location(0, 1).expect("there");
    assert_names(&place, &["plates.zip", "P4.zarr/A/1/0"]);
}

/// A plate of one image without a chunk, of version 0.4.
fn plate_of(shape: [u64; 3], labels: &[&str]) -> Result<Box<dyn Screen>, ScreenError> {
    plate_as("A/1", ["c", "y", "x"], shape, labels)
}

/// [`plate_of`] of other axes, or whose well is said to lie elsewhere.
fn plate_as(
    well: &str,
    axes: [&str; 3],
    shape: [u64; 3],
    labels: &[&str],
) -> Result<Box<dyn Screen>, ScreenError> {
    let axes = axes.map(|name| json!({ "name": name }));
    let folder = tempfile::tempdir().expect("a folder");
    let labels: Vec<_> = labels
        .iter()
        .map(|label| json!({ "label": label }))
        .collect();
    for (file, content) in [
        (
            ".zattrs",
            json!({ "plate": {
                "rows": [{ "name": "A" }],
                "columns": [{ "name": "1" }],
                "wells": [{ "path": well, "rowIndex": 0, "columnIndex": 0 }],
            } }),
        ),
        (
            "A/1/.zattrs",
            json!({ "well": { "images": [{ "path": "0" }] } }),
        ),
        (
            "A/1/0/.zattrs",
            json!({
                "multiscales": [{
                    "axes": axes,
                    "datasets": [{ "path": "0" }],
                }],
                "omero": { "channels": labels },
            }),
        ),
        (
            "A/1/0/0/.zarray",
            json!({
                "zarr_format": 2, "shape": shape, "chunks": [1, 4, 4], "dtype": "|u1",
                "compressor": null, "fill_value": 0, "filters": null, "order": "C",
                "dimension_separator": "/",
            }),
        ),
    ] {
        let path = folder.path().join("p.zarr").join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(path, content.to_string()).expect("written");
    }
    open_screen(folder.path(), None)
}

#[test]
fn labels_that_do_not_tell_channels_apart_give_way_to_numbers() {
    let of = |labels: &[&str]| {
        let screen = plate_of([2, 4, 4], labels).expect("opens");
        let names: Vec<_> = screen.channels().iter().map(|c| c.name.clone()).collect();
        (names.join(" "), screen.notes().join(" "))
    };
    assert_eq!(of(&["DNA", "ER"]), ("DNA ER".to_owned(), String::new()));
    assert_eq!(of(&[]), ("c0 c1".to_owned(), String::new()));
    for labels in [
        &["DNA", "DNA"][..],
        &["DNA", ""],
        &["DNA"],
        &["a", "b", "c"],
    ] {
        let (names, note) = of(labels);
        assert_eq!(names, "c0 c1");
        assert_names(&note, &["p.zarr/A/1/0", "2 channels", labels[0], "c0"]);
    }
}

#[test]
fn wells_and_axes_that_would_be_read_wrongly_are_refused() {
    for (well, axes, parts) in [
        (
            "B/2",
            ["c", "y", "x"],
            &["p.zarr", "'B/2'", "A01", "hint"][..],
        ),
        (
            "A/1",
            ["c", "x", "y"],
            &["p.zarr/A/1/0", "'x' comes before 'y'", "hint"],
        ),
    ] {
        let error = match plate_as(well, axes, [2, 4, 4], &["DNA", "ER"]) {
            Ok(_) => panic!("{well} {axes:?} is accepted"),
            Err(error) => error.to_string(),
        };
        assert_names(&error, parts);
    }
}

#[test]
fn an_array_without_planes_or_with_absurdly_many_is_refused() {
    for (num_channels, said) in [(0, "has 0 planes"), (1 << 60, "planes")] {
        let error = match plate_of([num_channels, 4, 4], &["DNA", "ER"]) {
            Ok(_) => panic!("{num_channels} channels are accepted"),
            Err(error) => error.to_string(),
        };
        assert_names(&error, &["p.zarr/A/1/0", said, "hint"]);
    }
}
