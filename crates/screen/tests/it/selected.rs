//! Channels by stain, z-planes and time points of another screen.

use morphospace_core::{Channel, ControlRole, PlateKey, Stain};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{
    OnIncomplete, Pixels, Plane, ReadSite, Screen, SelectedScreen, Selection, Tile, ZSelection,
    read_site_crop, with_stains,
};

use crate::memory_screen::{MemoryScreen, plane};
use crate::support::{assert_names, message};

fn channels(names_and_stains: &[(&str, Stain)]) -> Vec<Channel> {
    names_and_stains
        .iter()
        .map(|(name, stain)| Channel::new(*name, stain.clone()))
        .collect()
}

/// One site whose images are filled with the channel's number.
fn numbered(channels: Vec<Channel>) -> Box<dyn Screen> {
    let planes = (0..channels.len())
        .map(|channel| Some(plane(4, 4, |_, _| channel as u8)))
        .collect();
    let mut screen = MemoryScreen::new(channels);
    let plate = PlateKey::new("A-1", "1");
    screen.add(&plate, "B02", 1, ControlRole::Untreated, planes);
    Box::new(screen)
}

fn first_pixels(screen: &dyn Screen) -> Vec<u16> {
    (0..screen.channels().len())
        .map(|channel| screen.read_plane(0, channel).expect("whole").values()[0])
        .collect()
}

#[test]
fn channels_come_in_the_order_a_network_wants() {
    let screen = numbered(channels(&[
        ("a", Stain::Mito),
        ("b", Stain::Dna),
        ("c", Stain::Er),
    ]));
    let found = with_stains(screen, &[Stain::Dna, Stain::Mito]).expect("both are there");
    check_screen(&*found).expect("conforms");
    assert_eq!(first_pixels(&*found), [1, 0]);
    assert_eq!(found.channels()[0].to_string(), "b (DNA)");
}

#[test]
fn a_stain_that_is_missing_or_could_be_two_is_refused() {
    let screen = || {
        numbered(channels(&[
            ("a", Stain::Dna),
            ("b", Stain::Agp),
            ("c", Stain::Dna),
        ]))
    };
    assert_names(
        &message(with_stains(screen(), &[Stain::Agp, Stain::Actin]).map(|_| ())),
        &[
            "no channel 'Actin'",
            "b (AGP)",
            "hint:",
            "--channels Actin=NAME",
        ],
    );
    assert_names(
        &message(with_stains(screen(), &[Stain::Dna]).map(|_| ())),
        &["'DNA' could be a (DNA) or c (DNA)", "hint:"],
    );
}

/// One well, z-planes 0 to 2 at time points 0 and 1; the second plane has
/// the sharpest detail, the third the brightest pixel.
fn stack() -> Box<dyn Screen> {
    let mut screen = MemoryScreen::new(channels(&[("w1", Stain::Dna)]));
    let plate = PlateKey::new("A-1", "1");
    for z in 0..3 {
        for time in 0..2 {
            let image = plane(6, 6, |x, y| match z {
                0 => 10 + time,
                1 => 40 * ((x + y) % 2) as u8 + time,
                _ => 30 + 10 * x as u8 + time,
            });
            screen.add(&plate, "B02", 1, ControlRole::Untreated, vec![Some(image)]);
            let site = screen.sites.last_mut().expect("just added");
            site.key.z_index = Some(z);
            site.key.time_index = Some(time.into());
        }
    }
    Box::new(screen)
}

fn selected(z: Option<ZSelection>, timepoint: Option<u32>) -> Result<SelectedScreen, String> {
    let selection = Selection {
        z,
        timepoint,
        channels: None,
        sites: None,
        sites_by: None,
    };
    SelectedScreen::new(stack(), &selection).map_err(|error| error.to_string())
}

fn pixels(screen: &SelectedScreen) -> Vec<u8> {
    match screen.read_plane(0, 0).expect("whole") {
        Plane {
            pixels: Pixels::U8(pixels),
            ..
        } => pixels,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stack_becomes_its_maximum_its_sharpest_plane_or_one_plane() {
    let maximum = selected(Some(ZSelection::Max), Some(0)).expect("there is one");
    check_screen(&maximum).expect("conforms");
    assert_eq!(maximum.sites().len(), 1);
    assert_eq!(maximum.sites()[0].key.z_index, None);
    assert_eq!(pixels(&maximum)[..3], [30, 40, 50]);
    assert_eq!(pixels(&maximum)[6..9], [40, 40, 50]);

    let focus = selected(Some(ZSelection::Focus), Some(1)).expect("there is one");
    assert_eq!(pixels(&focus)[..3], [1, 41, 1]);

    let third = selected(Some(ZSelection::Index(2)), Some(1)).expect("there is one");
    assert_eq!(pixels(&third)[..3], [31, 41, 51]);

    let all_times = selected(Some(ZSelection::Max), None).expect("both");
    assert_eq!(all_times.sites().len(), 2);
}

#[test]
fn crops_of_a_stack_are_crops_of_its_image() {
    for z in [ZSelection::Max, ZSelection::Focus, ZSelection::Index(1)] {
        let screen = selected(Some(z), Some(0)).expect("there is one");
        let tile = Tile {
            top: 1,
            left: 2,
            crop_px: 3,
        };
        let crop = read_site_crop(&screen, 0, OnIncomplete::Fail, |_, _| tile).expect("whole");
        let ReadSite::Image(crop) = crop else {
            panic!("not skipped");
        };
        let whole = screen.read_plane(0, 0).expect("whole");
        assert_eq!(crop.planes()[0], whole.region(tile), "{z}");
    }
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    assert_names(
        &selected(Some(ZSelection::Index(7)), Some(0))
            .map(|_| ())
            .expect_err("no such plane"),
        &["z 7", "hint: z-planes are 0, 1, 2; time points are 0, 1"],
    );
    let error = selected(None, Some(5))
        .map(|_| ())
        .expect_err("no such time");
    assert_names(&error, &["time point 5", "time points are 0, 1"]);
}

/// Two wells: B02 has planes 0 and 1 and a projection, B03 plane 0 and a
/// projection, each at time points 0 and, for B02, 1.
fn uneven_stacks() -> Box<MemoryScreen> {
    let mut screen = MemoryScreen::new(vec![
        Channel::new("w1", Stain::Dna),
        Channel::new("w2", Stain::Er),
    ]);
    let plate = PlateKey::new("batch-1", "P");
    let stacks: [(&str, &[Option<u32>], u32); 3] = [
        ("B02", &[None, Some(0), Some(1)], 0),
        ("B02", &[None, Some(0), Some(1)], 1),
        ("B03", &[None, Some(0)], 0),
    ];
    for (well, planes, time) in stacks {
        for &z in planes {
            let level = z.map_or(200, |z| 10 + z as u8);
            let image = plane(4, 4, |_, _| level + 100 * time as u8 / 2);
            // The second channel was not taken at plane 1.
            let second = (z != Some(1)).then(|| plane(4, 4, |_, _| level + 1));
            screen.add(
                &plate,
                well,
                1,
                ControlRole::Untreated,
                vec![Some(image), second],
            );
            let site = screen.sites.last_mut().expect("just added");
            site.key.z_index = z;
            site.key.time_index = Some(time);
        }
    }
    Box::new(screen)
}

#[test]
fn a_projection_stands_in_for_no_plane_that_is_chosen_by_index() {
    let choose = |z, timepoint| {
        let selection = Selection {
            z: Some(ZSelection::Index(z)),
            timepoint: Some(timepoint),
            ..Selection::default()
        };
        SelectedScreen::new(uneven_stacks(), &selection)
    };
    let chosen = choose(1, 0).expect("B02 has it");
    check_screen(&chosen).expect("conforms");
    let wells: Vec<String> = chosen
        .sites()
        .iter()
        .map(|s| s.key.well.to_string())
        .collect();
    assert_eq!(wells, ["B02"]);
    assert_eq!(chosen.read_plane(0, 0).expect("whole").values(), [11; 16]);
    assert!(!chosen.is_present(0, 1));
    assert_names(
        &message(chosen.read_plane(0, 1)),
        &["well B02", "channel w2", "is missing"],
    );
    assert_names(
        &chosen.notes().join("\n"),
        &[
            "z-planes: 1",
            "time point: 0",
            "left out: 1, on plates: 1 (first batch-1 plate P well B03",
        ],
    );
    let lacking = choose(0, 1).expect("B02 has it");
    assert_names(
        &lacking.notes().join("\n"),
        &["or time point 1 are left out: 1"],
    );
    for (z, timepoint) in [(9, 0), (0, 9)] {
        let refused = message(choose(z, timepoint).map(|_| ()));
        assert_names(&refused, &["z-planes are 0, 1; time points are 0, 1"]);
    }
}

#[test]
fn images_change_their_version_with_what_is_made_of_them() {
    let choose = |z| {
        let selection = Selection {
            z: Some(z),
            timepoint: Some(0),
            ..Selection::default()
        };
        SelectedScreen::new(uneven_stacks(), &selection).expect("there are some")
    };
    let versions: std::collections::HashSet<String> =
        [ZSelection::Max, ZSelection::Focus, ZSelection::Index(0)]
            .map(|z| choose(z).image_version(0, 0).expect("present"))
            .into();
    assert_eq!(versions.len(), 3);
}

#[test]
fn chosen_sites_are_those_alone() {
    let screen = uneven_stacks();
    let expected = [screen.sites[1].clone(), screen.sites[4].clone()];
    let selection = Selection {
        sites: Some(vec![1, 4]),
        sites_by: Some("part train of 'split.parquet'".to_owned()),
        ..Selection::default()
    };
    let chosen = SelectedScreen::new(screen, &selection).expect("there are some");
    assert_eq!(chosen.sites(), expected);
    assert_names(&chosen.notes().join("\n"), &["chosen sites: 2 of 8"]);
}
