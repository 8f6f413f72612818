use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use morphospace_core::{Channel, ControlRole, PlateKey, Stain};
use morphospace_screen::{
    ChannelStatistics, ControlImages, Normalisation, NormalisationError, NormalisationOptions,
    NormalisationScheme, NormalisationStatistics, OnIncomplete, Pixels, Plane, ReadSite, Screen,
    SelfStandardisation, Tile, read_site,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use crate::memory_screen::{MemoryScreen, plane};
use crate::support::{assert_names, message};

/// Wells of every plate and their roles.
const ROLES: [(&str, ControlRole); 4] = [
    ("B02", ControlRole::Untreated),
    ("B03", ControlRole::PositiveControl),
    ("B04", ControlRole::Treatment),
    ("B05", ControlRole::Treatment),
];

fn channels() -> Vec<Channel> {
    vec![
        Channel::new("w1", Stain::Dna),
        Channel::new("w2", Stain::Er),
    ]
}

/// The screen of `fixtures/normalisation/make.py`.
fn made_up_screen() -> MemoryScreen {
    let mut screen = MemoryScreen::new(channels());
    for experiment in ["A-01", "A-02"] {
        for plate in ["1", "2"] {
            for (well, role) in ROLES {
                let site = screen.sites.len();
                let planes = (0..2).map(|channel| Some(made_up_plane(site, channel)));
                let key = PlateKey::new(experiment, plate);
                screen.add(&key, well, 1, role, planes.collect());
            }
        }
    }
    screen
}

fn made_up_plane(site: usize, channel: usize) -> Plane {
    let values = (0..64).map(|i| (site * 37 + channel * 101 + 3 * i * i + 7 * i) % 251);
    let pixels = match site >= 8 {
        true => Pixels::U16(values.map(|value| (value * 200 + site) as u16).collect()),
        false => Pixels::U8(values.map(|value| value as u8).collect()),
    };
    Plane {
        width: 8,
        height: 8,
        pixels,
    }
}

fn all_sites(screen: &dyn Screen) -> Vec<usize> {
    (0..screen.sites().len()).collect()
}

fn statistics(
    screen: &dyn Screen,
    options: &NormalisationOptions,
) -> Result<NormalisationStatistics, NormalisationError> {
    NormalisationStatistics::of(screen, &all_sites(screen), options, &|_| ())
}

/// For each key, mean, standard deviation and number of pixels by channel.
type Expected = BTreeMap<String, Vec<(f64, f64, u64)>>;

#[test]
fn every_scheme_agrees_with_numpy() {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/normalisation/expected.json");
    let text = std::fs::read_to_string(fixture).expect("a committed fixture");
    let expected: BTreeMap<String, Expected> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(expected.len(), 8);
    let screen = made_up_screen();
    for (case, expected) in expected {
        let (scheme, controls) = match case.split_once(", ") {
            Some((scheme, _)) => (scheme, ControlImages::Negative),
            None => (&case[..], ControlImages::NegativeAndPositive),
        };
        let options = NormalisationOptions {
            controls,
            ..NormalisationOptions::new(scheme.parse().expect("a scheme"))
        };
        let found = statistics(&screen, &options).expect("computed");
        assert!(found.is_rescaled_to_8_bit_range, "A-02 has 16 bit");
        assert_eq!(found.keys.len(), expected.len(), "{case}");
        for (key, channels) in &found.keys {
            let expected = &expected[&key.to_string()];
            assert_eq!(channels.len(), expected.len());
            for (found, &(mean, sd, count)) in channels.iter().zip(expected) {
                assert_eq!(found.num_pixels, count, "{case} {key}");
                assert!(
                    (found.mean - mean).abs() < 1e-10,
                    "{case} {key}: {found:?} {mean}"
                );
                assert!(
                    (found.sd - sd).abs() < 1e-10,
                    "{case} {key}: {found:?} {sd}"
                );
            }
        }
    }
}

/// Two plates of one experiment: 2 x 2 pixels, one channel.
fn small_screen(first: [u8; 4], second: [u8; 4]) -> MemoryScreen {
    let mut screen = MemoryScreen::new(vec![Channel::new("w1", Stain::Dna)]);
    for (plate, pixels) in [("1", first), ("2", second)] {
        let image = plane(2, 2, |x, y| pixels[2 * y + x]);
        let key = PlateKey::new("HUVEC-01", plate);
        screen.add(&key, "B02", 1, ControlRole::Untreated, vec![Some(image)]);
    }
    screen
}

#[test]
fn hand_worked_statistics_of_two_plates() {
    let screen = small_screen([0, 0, 10, 10], [20, 40, 20, 40]);
    let of = |scheme| {
        let found = statistics(&screen, &NormalisationOptions::new(scheme)).expect("computed");
        found.keys.into_values().collect::<Vec<_>>()
    };
    let entry = |mean, sd, num_pixels| ChannelStatistics {
        mean,
        sd,
        num_pixels,
    };
    assert_eq!(
        of(NormalisationScheme::AllPerPlate),
        [[entry(5.0, 5.0, 4)], [entry(30.0, 10.0, 4)]]
    );
    // Squares: 2 x 100 + 2 x 400 + 2 x 1600 = 4200; 4200 / 8 - 17.5^2 = 218.75.
    assert_eq!(
        of(NormalisationScheme::AllPerExperiment),
        [[entry(17.5, 218.75f64.sqrt(), 8)]]
    );
    assert_eq!(
        of(NormalisationScheme::AllPerExperimentUnbiased),
        [[entry(17.5, 250.0f64.sqrt(), 8)]]
    );
}

#[test]
fn the_mean_of_statistics_counts_each_experiment_once() {
    let mut screen = small_screen([0, 0, 10, 10], [0, 0, 10, 10]);
    let key = PlateKey::new("RPE-01", "1");
    let bright = Some(plane(2, 2, |x, _| if x == 0 { 80 } else { 100 }));
    screen.add(&key, "B02", 1, ControlRole::Untreated, vec![bright]);
    let options = NormalisationOptions::new(NormalisationScheme::GlobalMeanOfStats);
    let found = statistics(&screen, &options).expect("computed");
    let values: Vec<_> = found.keys.values().flatten().collect();
    assert_eq!(
        values,
        [&ChannelStatistics {
            mean: (5.0 + 90.0) / 2.0,
            sd: (5.0 + 10.0) / 2.0,
            num_pixels: 12
        }]
    );
}

#[test]
fn threads_and_order_change_no_bit() {
    let screen = made_up_screen();
    let options = NormalisationOptions::new(NormalisationScheme::AllImages);
    let with = |num_threads, sites: &[usize]| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(num_threads)
            .build()
            .expect("a pool");
        pool.install(|| NormalisationStatistics::of(&screen, sites, &options, &|_| ()))
            .expect("computed")
    };
    let forward = all_sites(&screen);
    let backward: Vec<usize> = forward.iter().rev().copied().collect();
    assert_eq!(with(1, &forward), with(4, &backward));
}

#[test]
fn a_table_comes_back_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("normalisation.parquet");
    let mut screen = made_up_screen();
    screen.planes[3][1] = None;
    for scheme in NormalisationScheme::ALL {
        if scheme.scope().is_none() {
            continue;
        }
        let options = NormalisationOptions {
            on_incomplete: OnIncomplete::Skip,
            ..NormalisationOptions::new(scheme)
        };
        let found = statistics(&screen, &options).expect("computed");
        let left_out = if scheme.is_of_controls() { 0 } else { 1 };
        assert_eq!(found.skipped.len(), left_out, "{scheme}");
        found.save(&path).expect("written");
        assert_eq!(NormalisationStatistics::load(&path).expect("read"), found);
    }
}

#[test]
fn a_table_that_was_edited_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("normalisation.parquet");
    let options = NormalisationOptions::new(NormalisationScheme::AllPerPlate);
    let found = statistics(&made_up_screen(), &options).expect("computed");
    found.save(&path).expect("written");
    let file = std::fs::File::open(&path).expect("opens");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("opens");
    let metadata = builder
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .cloned();
    let schema = Arc::clone(builder.schema());
    let batches: Vec<RecordBatch> = builder
        .build()
        .expect("reads")
        .collect::<Result<_, _>>()
        .expect("reads");
    let write = |change: f64| {
        let properties = WriterProperties::builder().set_key_value_metadata(metadata.clone());
        let file = std::fs::File::create(&path).expect("creates");
        let properties = Some(properties.build());
        let mut writer =
            ArrowWriter::try_new(file, Arc::clone(&schema), properties).expect("starts");
        for batch in &batches {
            let mut columns = batch.columns().to_vec();
            let index = schema.index_of("mean").expect("a column");
            let means = columns[index].as_primitive::<Float64Type>();
            columns[index] = Arc::new(means.unary::<_, Float64Type>(|mean| mean + change));
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns).expect("fits");
            writer.write(&batch).expect("writes");
        }
        writer.close().expect("writes");
    };
    write(0.0);
    assert_eq!(NormalisationStatistics::load(&path).expect("read"), found);
    write(1.0);
    assert_names(
        &message(NormalisationStatistics::load(&path)),
        &[
            "normalisation.parquet",
            "values are not those that were computed",
            "hint",
        ],
    );
}

#[test]
fn statistics_of_other_pixels_are_refused() {
    let mut screen = made_up_screen();
    let options = NormalisationOptions::new(NormalisationScheme::AllPerPlate);
    let mut table_of = |notes: &[&str]| {
        screen.notes = notes.iter().map(|note| (*note).to_owned()).collect();
        let table = statistics(&screen, &options).expect("computed");
        Normalisation::Statistics(Arc::new(table))
    };
    let corrected = "illumination is corrected (functions: here)";
    let tables = [
        table_of(&["chosen sites: 3 of 9"]),
        table_of(&[corrected]),
        table_of(&["z-planes: max"]),
        table_of(&["channels: w1 is b (ER), w2 is a (DNA)"]),
    ];
    for (own, notes) in [
        (0, "chosen sites: 2 of 9"),
        (1, "illumination is corrected (functions: there)"),
        (2, "z-planes: max"),
        (3, "channels: w2 is a (DNA), w1 is b (ER)"),
    ] {
        screen.notes = vec![notes.to_owned()];
        for (index, table) in tables.iter().enumerate() {
            match table.check(&screen) {
                Ok(_) => assert_eq!(index, own, "{notes}"),
                Err(error) => {
                    assert_ne!(index, own, "{error}");
                    assert_names(
                        &error.to_string(),
                        &["was computed with", "hint", "--illumination"],
                    );
                }
            }
        }
    }
}

#[test]
fn a_cached_table_is_used_only_for_the_same_question() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cache/normalisation.parquet");
    let mut screen = made_up_screen();
    let sites = all_sites(&screen);
    let options = NormalisationOptions::new(NormalisationScheme::ControlsPerPlate);
    let is_reused = |screen: &MemoryScreen, sites: &[usize], options: &NormalisationOptions| {
        let found = NormalisationStatistics::cached(&path, screen, sites, options, &|_| ());
        let found = found.expect("computed or read");
        assert_eq!(
            found.statistics,
            NormalisationStatistics::of(screen, sites, options, &|_| ()).expect("computed")
        );
        found.is_reused
    };
    assert!(!is_reused(&screen, &sites, &options));
    assert!(is_reused(&screen, &sites, &options));
    let negative = NormalisationOptions {
        controls: ControlImages::Negative,
        ..options
    };
    assert!(!is_reused(&screen, &sites, &negative), "another option");
    assert!(is_reused(&screen, &sites, &negative));
    let scheme = NormalisationOptions::new(NormalisationScheme::AllPerPlate);
    assert!(!is_reused(&screen, &sites, &scheme), "another scheme");
    assert!(!is_reused(&screen, &sites[1..], &scheme), "fewer sites");
    let skip = NormalisationOptions {
        on_incomplete: OnIncomplete::Skip,
        ..scheme
    };
    assert!(!is_reused(&screen, &sites, &skip), "another policy");
    let image = screen.planes[5][0].take();
    assert!(!is_reused(&screen, &sites, &skip), "a file is gone");
    screen.planes[5][0] = image;
    assert!(!is_reused(&screen, &sites, &skip), "a file came back");
    Arc::make_mut(&mut screen.sites[2].well).control_role = ControlRole::NegativeControl;
    assert!(!is_reused(&screen, &sites, &skip), "another role");
}

#[test]
fn a_file_that_is_no_table_is_refused_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.parquet");
    std::fs::write(&path, b"my notes").expect("written");
    let screen = made_up_screen();
    let options = NormalisationOptions::new(NormalisationScheme::AllImages);
    let found =
        NormalisationStatistics::cached(&path, &screen, &all_sites(&screen), &options, &|_| ());
    assert_names(&message(found), &["notes.parquet"]);
    assert_eq!(std::fs::read(&path).expect("still there"), b"my notes");
}

#[test]
fn what_cannot_be_answered_is_refused_by_name() {
    let mut screen = made_up_screen();
    let refused = |screen: &MemoryScreen, options| message(statistics(screen, &options));
    let own = NormalisationOptions::new(NormalisationScheme::SelfStandardisation);
    assert_names(&refused(&screen, own), &["self_standardisation", "hint:"]);
    let fill = NormalisationOptions {
        on_incomplete: OnIncomplete::Fill,
        ..NormalisationOptions::new(NormalisationScheme::AllImages)
    };
    assert_names(&refused(&screen, fill), &["zeros", "hint:"]);
    let none = NormalisationStatistics::of(
        &screen,
        &[],
        &NormalisationOptions::new(NormalisationScheme::AllImages),
        &|_| (),
    );
    assert_names(&message(none), &["no site", "hint:"]);
    for site in 4..8 {
        Arc::make_mut(&mut screen.sites[site].well).control_role = ControlRole::Treatment;
    }
    let controls = NormalisationOptions::new(NormalisationScheme::ControlsPerPlate);
    assert_names(
        &refused(&screen, controls),
        &["no control images in A-01 plate 2", "hint:"],
    );
    screen.planes[9][1] = None;
    let all = NormalisationOptions::new(NormalisationScheme::AllPerPlate);
    assert_names(
        &refused(&screen, all),
        &[
            "1 images of 16 sites",
            "A-02 plate 1 well B03 site 1",
            "w2",
            "hint:",
        ],
    );
    for site in 8..12 {
        screen.planes[site][1] = None;
    }
    let skip = NormalisationOptions {
        on_incomplete: OnIncomplete::Skip,
        ..all
    };
    assert_names(
        &refused(&screen, skip),
        &["no usable image in A-02 plate 1", "hint:"],
    );
}

#[test]
fn crops_are_brought_to_the_scale_of_their_plate() {
    let screen = small_screen([0, 0, 10, 10], [20, 40, 20, 40]);
    let options = NormalisationOptions::new(NormalisationScheme::AllPerPlate);
    let found = Arc::new(statistics(&screen, &options).expect("computed"));
    let normalisation = Normalisation::Statistics(found).check(&screen);
    let normalisation = normalisation.expect("every plate is in the table");
    let tile = Tile {
        top: 0,
        left: 0,
        crop_px: 2,
    };
    let crop = |site_index| {
        let read = read_site(&screen, site_index, OnIncomplete::Fail).expect("whole");
        let ReadSite::Image(image) = read else {
            panic!("complete")
        };
        normalisation.crop(&image, tile)
    };
    assert_eq!(crop(0), [-1.0, -1.0, 1.0, 1.0]);
    assert_eq!(crop(1), [-1.0, 1.0, -1.0, 1.0]);
    let own = Normalisation::SelfStandardise(SelfStandardisation::ZeroToOne);
    let own = own.check(&screen).expect("needs no table");
    let ReadSite::Image(image) = read_site(&screen, 0, OnIncomplete::Fail).expect("whole") else {
        panic!("complete")
    };
    assert_eq!(
        own.crop(&image, tile),
        image.crop(tile, SelfStandardisation::ZeroToOne)
    );
}

#[test]
fn constant_and_filled_channels_become_zero() {
    let mut screen = MemoryScreen::new(channels());
    let key = PlateKey::new("HUVEC-01", "1");
    let images = |second| vec![Some(plane(2, 2, |_, _| 7)), second];
    let varied = plane(2, 2, |x, _| 100 + x as u8);
    screen.add(&key, "B02", 1, ControlRole::Untreated, images(Some(varied)));
    let options = NormalisationOptions::new(NormalisationScheme::AllPerPlate);
    let found = statistics(&screen, &options).expect("computed");
    screen.add(&key, "B03", 1, ControlRole::Treatment, images(None));
    let normalisation = Normalisation::Statistics(Arc::new(found));
    let normalisation = normalisation.check(&screen).expect("same plate");
    let tile = Tile {
        top: 0,
        left: 0,
        crop_px: 2,
    };
    let ReadSite::Image(image) = read_site(&screen, 1, OnIncomplete::Fill).expect("filled") else {
        panic!("filled")
    };
    assert_eq!(normalisation.crop(&image, tile), [0.0; 8]);
}

#[test]
fn a_site_of_another_plate_or_channel_is_refused_by_name() {
    let screen = made_up_screen();
    let options = NormalisationOptions::new(NormalisationScheme::AllPerPlate);
    let first_plates: Vec<usize> = (0..12).collect();
    let found = NormalisationStatistics::of(&screen, &first_plates, &options, &|_| ());
    let normalisation = Normalisation::Statistics(Arc::new(found.expect("computed")));
    assert_names(
        &message(normalisation.check(&screen)),
        &["A-02 plate 2 well B02 site 1", "A-01 plate 1", "hint:"],
    );
    let mut renamed = made_up_screen();
    renamed.channels[1].name = "w9".into();
    assert_names(
        &message(normalisation.check(&renamed)),
        &["'w9'", "w1, w2", "hint:"],
    );
    // Channels in another order are found by name.
    let mut swapped = made_up_screen();
    swapped.channels.reverse();
    let all = NormalisationOptions::new(NormalisationScheme::AllImages);
    let found = Arc::new(statistics(&screen, &all).expect("computed"));
    let first_mean = |screen: &MemoryScreen| {
        let checked = Normalisation::Statistics(Arc::clone(&found)).check(screen);
        match checked.expect("same names") {
            morphospace_screen::CheckedNormalisation::Statistics(of) => of.of_site(0)[0].mean,
            other => panic!("{other:?}"),
        }
    };
    let entry = found.keys.values().next().expect("one key");
    assert_eq!(first_mean(&screen), entry[0].mean);
    assert_eq!(first_mean(&swapped), entry[1].mean);
}

#[test]
fn tables_that_contradict_themselves_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("normalisation.parquet");
    let screen = made_up_screen();
    let options = NormalisationOptions::new(NormalisationScheme::AllPerPlate);
    let good = statistics(&screen, &options).expect("computed");
    let refused = |change: &dyn Fn(&mut NormalisationStatistics)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad.save(&path).expect("written");
        message(NormalisationStatistics::load(&path))
    };
    fn first(table: &mut NormalisationStatistics) -> &mut Vec<ChannelStatistics> {
        table.keys.values_mut().next().expect("a key")
    }
    assert_names(
        &refused(&|bad| first(bad)[1].sd = f64::NAN),
        &["row 2", "'sd'", "hint:"],
    );
    assert_names(&refused(&|bad| first(bad)[0].sd = -1.0), &["row 1", "'sd'"]);
    assert_names(
        &refused(&|bad| {
            // A variance in the mean's place, and the mean in the variance's.
            let entry = &mut first(bad)[0];
            (entry.mean, entry.sd) = (entry.sd * entry.sd, entry.mean.sqrt());
        }),
        &["row 1", "'mean'", "0..255"],
    );
    assert_names(
        &refused(&|bad| {
            first(bad)[0] = ChannelStatistics {
                mean: 2.0,
                sd: 30.0,
                num_pixels: 64,
            }
        }),
        &["row 1", "'sd'", "too large", "swapped"],
    );
    assert_names(&refused(&|bad| first(bad)[0].num_pixels = 0), &["'n'"]);
    assert_names(
        &refused(&|bad| {
            first(bad).pop();
        }),
        &["A-01 plate 1 lacks channel 'w2'"],
    );
    assert_names(
        &refused(&|bad| bad.channels[1] = "w1".into()),
        &["channel 'w1' twice"],
    );
    assert_names(&refused(&|bad| bad.keys.clear()), &["no row"]);
    // A constant channel is no contradiction.
    let mut constant = good.clone();
    first(&mut constant)[0].sd = 0.0;
    constant.save(&path).expect("written");
    assert_eq!(
        NormalisationStatistics::load(&path).expect("read"),
        constant
    );
}

#[test]
fn schemes_are_found_by_name_and_misspellings_answered() {
    for scheme in NormalisationScheme::ALL {
        assert_eq!(scheme.as_str().parse(), Ok(scheme));
    }
    let error = message("all_per_plat".parse::<NormalisationScheme>());
    assert_names(&error, &["all_per_plat", "did you mean 'all_per_plate'"]);
}

proptest! {
    #[test]
    fn pixels_come_out_with_mean_zero_and_spread_one(
        pixels in prop::collection::vec(any::<u8>(), 16..17), other in any::<[u8; 4]>()
    ) {
        prop_assume!(pixels.iter().any(|pixel| *pixel != pixels[0]));
        let mut screen = MemoryScreen::new(vec![Channel::new("w1", Stain::Dna)]);
        for (plate, image) in [
            ("1", plane(4, 4, |x, y| pixels[4 * y + x])),
            ("2", plane(4, 4, |x, _| other[x])),
        ] {
            let key = PlateKey::new("U2OS-01", plate);
            screen.add(&key, "B02", 1, ControlRole::Untreated, vec![Some(image)]);
        }
        let options = NormalisationOptions::new(NormalisationScheme::AllPerPlate);
        let found = Arc::new(statistics(&screen, &options).expect("computed"));
        let checked = Normalisation::Statistics(found).check(&screen).expect("fits");
        let ReadSite::Image(image) = read_site(&screen, 0, OnIncomplete::Fail).expect("whole")
        else {
            panic!("complete")
        };
        let crop = checked.crop(&image, Tile { top: 0, left: 0, crop_px: 4 });
        let mean = crop.iter().map(|v| f64::from(*v)).sum::<f64>() / 16.0;
        let square = crop.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 16.0;
        prop_assert!(mean.abs() < 1e-4, "{mean}");
        prop_assert!((square - 1.0).abs() < 1e-4, "{square}");
    }
}
