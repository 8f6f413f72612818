//! Plates that ome-zarr-py wrote, of both versions: see
//! `tests/fixtures/ome_zarr/make.py`.

use std::path::Path;

use morphospace_core::Stain;
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{Screen, Tile, open_screen};

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
