use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{Array, RecordBatch};
use morphospace_core::{
    Channel, ControlRole, Perturbation, PlateKey, Provenance, Seed, Site, SiteKey, Stain, Well,
    WellAddress,
};
use morphospace_screen::{
    InspectDepth, InspectOptions, Inspected, Inspection, Manifest, Pixels, Plane, QualityFlag,
    QualityFlags, QualityThresholds, Screen, inspect_images, read_manifest, write_image_quality,
    write_manifest,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::RngExt;

use crate::memory_screen::{MemoryScreen, plane};
use crate::support::{assert_names, message};

const SIDE: usize = 24;

/// A field of view with five to seven bright nuclei on a noisy ground,
/// different for each seed.
fn cells(seed: u64, brightness: f64) -> Plane {
    let mut rng = Seed::new(seed).rng();
    let num_nuclei = rng.random_range(5..8);
    let nuclei: Vec<(i32, i32)> = (0..num_nuclei)
        .map(|index| {
            let (column, row) = (index % 3, index / 3);
            let jitter = rng.random_range(-1..2);
            (4 + 8 * column + jitter, 4 + 8 * row - jitter)
        })
        .collect();
    plane(SIDE, SIDE, |x, y| {
        let inside = |&(cx, cy): &(i32, i32)| (x as i32 - cx).pow(2) + (y as i32 - cy).pow(2) <= 6;
        let noise = ((x * 31 + y * 17 + seed as usize * 7) % 5) as f64;
        let level = if nuclei.iter().any(inside) {
            160.0
        } else {
            20.0
        };
        (brightness * level + noise) as u8
    })
}

/// One plate of 24 wells with one sound site of two channels each.
fn sound_screen() -> MemoryScreen {
    let channels = vec![
        Channel::new("w1", Stain::Dna),
        Channel::new("w2", Stain::Er),
    ];
    let mut screen = MemoryScreen::new(channels);
    let key = PlateKey::new("HUVEC-01", "1");
    for well in 0..24u64 {
        let name = format!("{}{:02}", char::from(b'B' + (well / 6) as u8), well % 6 + 2);
        let role = match well {
            0 => ControlRole::Untreated,
            _ => ControlRole::Treatment,
        };
        let brightness = 1.0 + 0.02 * (well % 5) as f64;
        let planes = (0..2).map(|channel| Some(cells(2 * well + channel, brightness)));
        screen.add(&key, &name, 1, role, planes.collect());
    }
    screen
}

fn measure(screen: &dyn Screen) -> Inspected {
    let options = InspectOptions {
        depth: InspectDepth::Quality,
        ..InspectOptions::default()
    };
    inspect_images(screen, &options, &|_| ()).expect("valid thresholds")
}

/// Plants one defect, and expects that flag at that site, in its finding and
/// image, and no other flag anywhere but those of `besides`.
#[track_caller]
fn plant(
    spoil: impl Fn(&mut MemoryScreen),
    (site, channel, flag): (usize, usize, QualityFlag),
    besides: &[QualityFlag],
    parts: &[&str],
) {
    let mut screen = sound_screen();
    spoil(&mut screen);
    let inspected = measure(&screen);
    assert!(inspected.sites.looked_for.contains(flag));
    assert!(
        inspected.sites.flags[site].contains(flag),
        "{:?}",
        inspected.sites.flags
    );
    assert!(inspected.images[2 * site + channel].flags.contains(flag));
    let inspection = &inspected.inspection;
    let findings = match flag {
        QualityFlag::Missing => &inspection.missing,
        QualityFlag::Unreadable => &inspection.unreadable,
        _ => &inspection.quality.as_ref().expect("measured").findings[&flag],
    };
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_names(&findings[0].to_string(), parts);
    let well = &inspected.wells[site];
    assert!(well.flags.contains(flag) && well.channels[channel].flags.contains(flag));
    let text = inspection.to_string();
    assert_names(&text, &[flag.title(), parts[0]]);
    for (other, flags) in inspected.sites.flags.iter().enumerate() {
        let unexpected: QualityFlags = flags
            .iter()
            .filter(|found| *found != flag && !besides.contains(found))
            .collect();
        assert!(unexpected.is_empty(), "site {other}: {flags:?}");
    }
}

#[test]
fn a_sound_screen_has_no_flag() {
    let inspected = measure(&sound_screen());
    assert!(inspected.inspection.is_sound());
    let flags = &inspected.sites.flags;
    assert_eq!(flags, &vec![QualityFlags::default(); 24]);
    let report = inspected.inspection.quality.expect("measured");
    assert!(report.findings.is_empty());
    assert_eq!(report.usual_size, Some((SIDE, SIDE)));
    let looked_for: Vec<QualityFlag> = inspected.sites.looked_for.iter().collect();
    assert_eq!(looked_for, QualityFlag::ALL);
}

#[test]
fn a_missing_image_is_flagged() {
    plant(
        |screen| screen.planes[7][1] = None,
        (7, 1, QualityFlag::Missing),
        &[],
        &["HUVEC-01 plate 1 well C03 site 1 channel w2", "missing"],
    );
}

#[test]
fn an_image_of_another_size_than_its_site_is_flagged() {
    plant(
        |screen| screen.planes[7][1] = Some(plane(SIDE, 12, |x, y| (9 * x + 7 * y) as u8)),
        (7, 1, QualityFlag::OddSize),
        // An image that fits its site in no way.
        &[QualityFlag::OutOfFocus, QualityFlag::IntensityOutlier],
        &["well C03 site 1 channel w2", "24 x 12", "24 x 24"],
    );
}

#[test]
fn a_blank_image_is_flagged() {
    plant(
        |screen| screen.planes[5][1] = Some(plane(SIDE, SIDE, |_, _| 12)),
        (5, 1, QualityFlag::Blank),
        &[],
        &["well B07 site 1 channel w2", "every pixel is 12"],
    );
}

#[test]
fn a_saturated_image_is_flagged() {
    let bright = |x: usize, y: usize| match (x * 24 + y) % 40 {
        0 => 255,
        other => 20 + (other * x * y % 7) as u8,
    };
    plant(
        move |screen| screen.planes[20][0] = Some(plane(SIDE, SIDE, bright)),
        (20, 0, QualityFlag::Saturated),
        &[
            QualityFlag::FewCells,
            QualityFlag::OutOfFocus,
            QualityFlag::IntensityOutlier,
        ],
        &[
            "well E04 site 1 channel w1",
            "2.60 % of the pixels are saturated",
        ],
    );
}

#[test]
fn a_blurred_image_is_flagged() {
    let blurred = |sharp: &Plane| {
        let Pixels::U8(pixels) = &sharp.pixels else {
            panic!("8 bit")
        };
        plane(SIDE, SIDE, |x, y| {
            let near = |at: usize| at.saturating_sub(4)..(at + 5).min(SIDE);
            let around = near(y).flat_map(|row| near(x).map(move |column| (row, column)));
            let values: Vec<u32> = around
                .map(|(row, column)| u32::from(pixels[row * SIDE + column]))
                .collect();
            (values.iter().sum::<u32>() / values.len() as u32) as u8
        })
    };
    plant(
        move |screen| {
            let sharp = screen.planes[9][1].take().expect("an image");
            screen.planes[9][1] = Some(blurred(&sharp));
        },
        (9, 1, QualityFlag::OutOfFocus),
        &[],
        &["well C05 site 1 channel w2", "sharpness", "robust z -"],
    );
}

#[test]
fn a_dim_image_is_flagged() {
    plant(
        |screen| screen.planes[9][1] = Some(cells(19, 0.3)),
        (9, 1, QualityFlag::IntensityOutlier),
        &[],
        &["well C05 site 1 channel w2", "mean", "robust z -"],
    );
}

#[test]
fn an_image_of_odd_size_is_flagged() {
    plant(
        |screen| {
            // The whole site, so that its channels agree with each other.
            for channel in 0..2 {
                let tile = cells(100 + channel as u64, 1.0);
                let Pixels::U8(pixels) = &tile.pixels else {
                    panic!("8 bit")
                };
                let cut = plane(SIDE, SIDE - 1, |x, y| pixels[y * SIDE + x]);
                screen.planes[3][channel] = (channel == 1).then_some(cut);
            }
        },
        (3, 1, QualityFlag::OddSize),
        &[QualityFlag::Missing],
        &["well B05 site 1 channel w2", "24 x 23", "24 x 24"],
    );
}

#[test]
fn the_size_of_most_channels_is_that_of_the_site() {
    let small = || Some(plane(SIDE, 12, |x, y| (9 * x + 7 * y) as u8));
    // Two channels disagree: the screen's usual size counts.
    let mut screen = sound_screen();
    screen.planes[7][0] = small();
    let inspected = measure(&screen);
    let flags_of = |inspected: &Inspected, position: usize| {
        let flags = inspected.images[position].flags;
        flags.contains(QualityFlag::OddSize)
    };
    assert_eq!(
        (flags_of(&inspected, 14), flags_of(&inspected, 15)),
        (true, false)
    );
    let named = |inspected: &Inspected| -> Vec<String> {
        let findings = inspected.inspection.mixed_sizes.iter();
        findings.map(ToString::to_string).collect()
    };
    assert_eq!(named(&inspected).len(), 1);
    assert_names(
        &named(&inspected)[0],
        &[
            "well C03 site 1 channel w1",
            "24 x 12",
            "w2 (ER)",
            "24 x 24",
        ],
    );
    assert!(inspected.inspection.unreadable.is_empty());
    assert!(!inspected.inspection.is_sound());
    let text = inspected.inspection.to_string();
    assert_names(&text, &["of another size than their site: 1 image"]);

    // Of three channels two outvote the screen's usual size.
    let mut screen = sound_screen();
    screen.channels.push(Channel::new("w3", Stain::Actin));
    for (site, planes) in screen.planes.iter_mut().enumerate() {
        planes.push(Some(cells(300 + site as u64, 1.0)));
    }
    screen.planes[7][0] = small();
    screen.planes[7][2] = small();
    let options = InspectOptions {
        depth: InspectDepth::Decode,
        ..InspectOptions::default()
    };
    let inspected = inspect_images(&screen, &options, &|_| ()).expect("valid");
    assert_names(&named(&inspected).join("; "), &["channel w2", "w1 (DNA)"]);
    assert_eq!(named(&inspected).len(), 1);
    let flagged: Vec<usize> = (0..24)
        .filter(|&site| inspected.sites.flags[site].contains(QualityFlag::OddSize))
        .collect();
    assert_eq!(flagged, [7]);
}

/// The same picture with 16 bit.
fn widened(plane: &Plane) -> Plane {
    let values = plane.values().into_iter().map(|value| 257 * value);
    Plane {
        pixels: Pixels::U16(values.collect()),
        ..*plane
    }
}

#[test]
fn an_image_of_another_bit_depth_is_flagged_and_compared_on_one_scale() {
    plant(
        |screen| {
            let image = screen.planes[10][1].take().expect("an image");
            screen.planes[10][1] = Some(widened(&image));
        },
        (10, 1, QualityFlag::OddBitDepth),
        &[],
        &[
            "HUVEC-01 plate 1 well C06 site 1 channel w2",
            "16 bit, where most images of the channel have 8",
        ],
    );
    // The other way round, and its mean stays on the channel's scale.
    let mut screen = sound_screen();
    let of_8_bit = measure(&screen);
    for planes in &mut screen.planes {
        planes[1] = planes[1].as_ref().map(widened);
    }
    screen.planes[10][1] = Some(cells(21, 1.0));
    let inspected = measure(&screen);
    let report = inspected.inspection.quality.as_ref().expect("measured");
    assert_eq!(report.usual_bit_depths, [Some(8), Some(16)]);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.findings[&QualityFlag::OddBitDepth].len(), 1);
    let mean = |found: &Inspected| found.wells[10].channels[1].mean.expect("measured");
    let ratio = mean(&inspected) / mean(&of_8_bit);
    assert!((200.0..320.0).contains(&ratio), "{ratio}");
}

#[test]
fn an_image_that_occurs_twice_is_flagged_at_both_places() {
    plant(
        |screen| screen.planes[11][1] = screen.planes[4][1].clone(),
        (11, 1, QualityFlag::Duplicate),
        &[],
        &[
            "well C07 site 1 channel w2",
            "the same pixels as HUVEC-01 plate 1 well B06 site 1",
        ],
    );
    let mut screen = sound_screen();
    screen.planes[11][1] = screen.planes[4][1].clone();
    let inspected = measure(&screen);
    assert!(inspected.sites.flags[4].contains(QualityFlag::Duplicate));
    // Blank images are alike and no duplicates.
    for site in [2, 3] {
        screen.planes[site][1] = Some(plane(SIDE, SIDE, |_, _| 0));
    }
    let inspected = measure(&screen);
    assert!(!inspected.sites.flags[2].contains(QualityFlag::Duplicate));
}

#[test]
fn a_well_without_cells_is_flagged() {
    plant(
        |screen| {
            // As bright as a field with cells, but evenly so.
            let noise = |x: usize, y: usize| 36 + ((x * 31 + y * 17) % 5) as u8;
            screen.planes[13][0] = Some(plane(SIDE, SIDE, noise));
        },
        (13, 0, QualityFlag::FewCells),
        &[QualityFlag::OutOfFocus],
        &[
            "HUVEC-01 plate 1 well D03 site 1 channel w1",
            "0 % of the DNA foreground",
        ],
    );
}

#[test]
fn without_a_dna_channel_cells_are_not_counted() {
    let mut screen = sound_screen();
    screen.channels[0].stain = Stain::Actin;
    let inspected = measure(&screen);
    assert!(!inspected.sites.looked_for.contains(QualityFlag::FewCells));
    assert!(inspected.wells[0].foreground_fraction.is_none());
    assert_names(
        &inspected.inspection.to_string(),
        &["few cells      not looked for: no channel shows DNA"],
    );
}

#[test]
fn plates_of_few_images_have_no_outliers() {
    let mut screen = sound_screen();
    screen.sites.truncate(9);
    screen.planes.truncate(9);
    screen.planes[4][1] = Some(cells(9, 0.3));
    let inspected = measure(&screen);
    assert_eq!(inspected.sites.flags, vec![QualityFlags::default(); 9]);
}

#[test]
fn thresholds_move_the_lines() {
    let mut options = InspectOptions {
        depth: InspectDepth::Quality,
        thresholds: QualityThresholds {
            blank_sd: 200.0,
            ..QualityThresholds::default()
        },
    };
    let screen = sound_screen();
    let inspected = inspect_images(&screen, &options, &|_| ()).expect("valid");
    assert!(
        inspected
            .sites
            .flags
            .iter()
            .all(|flags| flags.contains(QualityFlag::Blank))
    );
    for (name, thresholds) in [
        (
            "blank_sd",
            QualityThresholds {
                blank_sd: f64::NAN,
                ..Default::default()
            },
        ),
        (
            "saturated_fraction",
            QualityThresholds {
                saturated_fraction: 1.0,
                ..Default::default()
            },
        ),
        (
            "outlier_z",
            QualityThresholds {
                outlier_z: 0.0,
                ..Default::default()
            },
        ),
        (
            "min_images",
            QualityThresholds {
                min_images: 2,
                ..Default::default()
            },
        ),
        (
            "few_cells_fraction",
            QualityThresholds {
                few_cells_fraction: -0.1,
                ..Default::default()
            },
        ),
    ] {
        options.thresholds = thresholds;
        let error = message(inspect_images(&screen, &options, &|_| ()));
        assert_names(&error, &[name, "hint:"]);
    }
}

#[test]
fn counts_are_of_wells_sites_and_flags() {
    let mut screen = sound_screen();
    let other = PlateKey::new("RPE-01", "2");
    for site in 1..=2 {
        let images = vec![Some(cells(200 + u64::from(site), 1.0)), None];
        screen.add(&other, "B02", site, ControlRole::Treatment, images);
    }
    let counts = measure(&screen).inspection.counts;
    let shape = |groups: &[morphospace_screen::GroupCount]| {
        groups
            .iter()
            .map(|group| (group.name.clone(), group.num_wells, group.num_sites))
            .collect::<Vec<_>>()
    };
    let expected = |a: &str, b: &str| vec![(a.to_owned(), 24, 24), (b.to_owned(), 1, 2)];
    assert_eq!(shape(&counts.experiments), expected("HUVEC-01", "RPE-01"));
    let plates = expected("HUVEC-01 plate 1", "RPE-01 plate 2");
    assert_eq!(shape(&counts.plates), plates);
    assert_eq!(shape(&counts.cell_types), expected("HUVEC", "RPE"));
    assert_eq!(
        counts.experiments[1].flagged_sites[&QualityFlag::Missing],
        2
    );
    assert_eq!(counts.experiments[1].num_incomplete_sites(), 2);
    assert_eq!(counts.experiments[0].num_plates, 1);
    let roles = &counts.experiments[0].control_roles;
    assert_eq!(
        (
            roles[&ControlRole::Treatment],
            roles[&ControlRole::Untreated]
        ),
        (23, 1)
    );
    assert!(counts.plates[1].cell_types.iter().eq(["RPE"]));
    assert_eq!(counts.classes.len(), 25);
    let smallest = counts.smallest_classes();
    assert!(
        smallest
            .windows(2)
            .all(|pair| pair[0].num_wells <= pair[1].num_wells)
    );
    let class = |name: &str| counts.classes.iter().find(|class| class.name == name);
    assert_eq!(class("EMPTY").expect("untreated").num_wells, 1);
    assert_eq!(class("sB02").expect("treated").num_sites, 2);
}

/// A plate with one image of each defect.
fn spoilt_screen() -> MemoryScreen {
    let mut screen = sound_screen();
    screen.planes[2][0] = None;
    screen.planes[5][1] = Some(plane(SIDE, SIDE, |_, _| 12));
    screen.planes[9][1] = Some(cells(19, 0.3));
    screen.planes[11][1] = screen.planes[4][1].clone();
    screen
}

#[test]
fn threads_change_nothing() {
    let screen = spoilt_screen();
    let with_threads = |count| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .build()
            .expect("a pool");
        pool.install(|| measure(&screen))
    };
    assert_eq!(with_threads(1), with_threads(4));
}

#[test]
fn flags_are_columns_of_the_manifest() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("manifest.parquet");
    let screen = spoilt_screen();
    let inspected = measure(&screen);
    let manifest = Manifest {
        quality: Some(inspected.sites.clone()),
        ..Manifest::of(&screen)
    };
    write_manifest(&path, &manifest).expect("written");
    assert_eq!(read_manifest(&path).expect("read"), manifest);
    let table = read_table(&path);
    for (flag, site, raised) in [
        ("qc_missing", 2, 1),
        ("qc_unreadable", 0, 0),
        ("qc_blank", 5, 1),
        ("qc_saturated", 0, 0),
        ("qc_out_of_focus", 0, 0),
        ("qc_intensity_outlier", 9, 1),
        ("qc_odd_size", 0, 0),
        ("qc_odd_bit_depth", 0, 0),
        ("qc_duplicate", 11, 2),
        ("qc_few_cells", 0, 0),
    ] {
        let column = table.column_by_name(flag).expect(flag).as_boolean();
        assert_eq!(column.true_count(), raised, "{flag}");
        assert_eq!(column.value(site), raised > 0, "{flag}");
    }
    // At the depth of presence only absence is known.
    let options = InspectOptions::default();
    let found = inspect_images(&screen, &options, &|_| ()).expect("valid");
    let looked_for: Vec<QualityFlag> = found.sites.looked_for.iter().collect();
    assert_eq!(looked_for, [QualityFlag::Missing]);
    let manifest = Manifest {
        quality: Some(found.sites),
        ..Manifest::of(&screen)
    };
    write_manifest(&path, &manifest).expect("written");
    assert_eq!(read_manifest(&path).expect("read"), manifest);
    let table = read_table(&path);
    assert!(table.column_by_name("qc_missing").is_some());
    assert!(table.column_by_name("qc_blank").is_none());
}

#[test]
fn measures_of_every_image_are_a_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("qc.parquet");
    let screen = spoilt_screen();
    let inspected = measure(&screen);
    let provenance = Provenance::new("inspect");
    write_image_quality(&path, &screen, &inspected.images, &provenance).expect("written");
    let table = read_table(&path);
    assert_eq!(table.num_rows(), 48);
    let keys = table.column_by_name("site_key").expect("a column");
    assert_eq!(keys.as_string::<i32>().value(11), "HUVEC-01_1_B07_1");
    let channels = table.column_by_name("channel").expect("a column");
    assert_eq!(channels.as_string::<i32>().value(11), "w2");
    let float = |name: &str| {
        let column = table.column_by_name(name).expect(name);
        column.as_primitive::<Float64Type>().clone()
    };
    let whole = |name: &str| {
        let column = table.column_by_name(name).expect(name);
        column.as_primitive::<UInt32Type>().clone()
    };
    assert_eq!(
        (float("mean").value(11), float("sd").value(11)),
        (12.0, 0.0)
    );
    assert_eq!(
        (whole("minimum").value(11), whole("maximum").value(11)),
        (12, 12)
    );
    assert_eq!(
        (whole("width").value(0), whole("height").value(0)),
        (24, 24)
    );
    assert!(float("focus").value(0) > 0.0 && float("relative_focus").value(0) > 0.0);
    let flags = |row: usize| {
        let lists = table
            .column_by_name("flags")
            .expect("a column")
            .as_list::<i32>();
        let words = lists.value(row);
        let words = words.as_string::<i32>();
        words
            .iter()
            .flatten()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(flags(0).is_empty());
    assert_eq!(flags(11), ["blank"]);
    assert_eq!(flags(23), ["duplicate"]);
    // A missing image has its row all the same.
    assert_eq!(flags(4), ["missing"]);
    assert!(float("mean").is_null(4) && whole("width").is_null(4));
}

fn read_table(path: &std::path::Path) -> RecordBatch {
    let file = std::fs::File::open(path).expect("opens");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let mut batches = reader.build().expect("readable");
    batches.next().expect("has rows").expect("readable")
}

#[test]
fn reports_serialise() {
    let inspection = measure(&spoilt_screen()).inspection;
    let json = serde_json::to_string(&inspection).expect("serialises");
    let read: Inspection = serde_json::from_str(&json).expect("deserialises");
    assert_eq!(read, inspection);
}

/// 100,000 sites of 52 experiments, as a manifest lists them, without images.
fn large_manifest() -> Manifest {
    let num_sites = 100_000;
    let mut sites = Vec::with_capacity(num_sites);
    let mut paths = Vec::with_capacity(num_sites);
    'all: for experiment in 1.. {
        for plate in 1..=4 {
            let key = PlateKey::new(format!("HUVEC-{experiment:02}"), plate.to_string());
            for well in 0..308 {
                let address = WellAddress::from_indices(1 + well / 22, 1 + well % 22);
                let address = address.expect("on the plate");
                let described = Arc::new(Well {
                    plate: key.clone(),
                    address,
                    original_address: address.to_string(),
                    perturbations: vec![Perturbation::Sirna {
                        name: format!("s{}", (well * 7 + plate) % 1108),
                        gene: None,
                    }],
                    background: None,
                    control_role: ControlRole::Treatment,
                    cell_type: Some("HUVEC".into()),
                });
                for site in 1..=2 {
                    if sites.len() == num_sites {
                        break 'all;
                    }
                    let image = |channel| {
                        Some(format!(
                            "images/{}/{plate}/{address}_{site}_w{channel}.png",
                            key.experiment
                        ))
                    };
                    paths.push((1..=6).map(image).collect());
                    sites.push(Site {
                        key: SiteKey::new(key.clone(), address, site),
                        well: Arc::clone(&described),
                    });
                }
            }
        }
    }
    Manifest {
        channels: Channel::rxrx1(),
        sites,
        paths,
        quality: None,
        provenance: None,
    }
}

#[test]
fn a_hundred_thousand_sites_are_looked_over_without_images() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("manifest.parquet");
    write_manifest(&path, &large_manifest()).expect("written");
    let start = Instant::now();
    let manifest = read_manifest(&path).expect("read");
    let read_seconds = start.elapsed().as_secs_f64();
    let screen = manifest.into_screen("large", folder.path().to_owned());
    let screen = screen.expect("has sites");
    let start = Instant::now();
    let options = InspectOptions::default();
    let inspected = inspect_images(&screen, &options, &|_| ()).expect("valid");
    let text = inspected.inspection.to_string();
    let seconds = start.elapsed().as_secs_f64();
    // Past the test harness, which hides what passing tests print.
    let note = format!(
        "100,000 sites: manifest read in {read_seconds:.1} s, looked over in {seconds:.1} s\n"
    );
    let _ = std::io::stderr().write_all(note.as_bytes());
    assert_eq!(inspected.inspection.missing.len(), 600_000);
    assert_eq!(inspected.inspection.num_incomplete_sites, 100_000);
    let looked = inspected.sites.flags.iter();
    assert_eq!(
        looked
            .filter(|flags| flags.contains(QualityFlag::Missing))
            .count(),
        100_000
    );
    assert_names(&text, &["missing: 600000 images", "and 599960 more"]);
}
