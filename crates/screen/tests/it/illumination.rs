use morphospace_core::{Channel, ControlRole, PlateKey, Seed, Stain};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{
    CorrectedScreen, Illumination, IlluminationOptions, IlluminationSmoothing, IlluminationSource,
    NpyFloat, OnIncomplete, Pixels, Plane, Screen, Tile, fit_illumination, refuse_missing_images,
};
use rand::RngExt;

use crate::memory_screen::{MemoryScreen, plane};
use crate::support::{assert_names, message};

const SIDE: usize = 64;

/// Light that falls from the centre to 60 % in the corners.
fn vignetting(x: usize, y: usize) -> f64 {
    let from_centre = |at: usize| (at as f64 - 31.5) / 31.5;
    let squared = from_centre(x).powi(2) + from_centre(y).powi(2);
    1.0 - 0.2 * squared
}

/// One plate of 16-bit images: cells at random places under uneven light.
fn vignetted_screen(num_wells: usize) -> MemoryScreen {
    let mut screen = MemoryScreen::new(vec![Channel::new("OrigDNA", Stain::Dna)]);
    let key = PlateKey::new("batch", "P1");
    for well in 0..num_wells {
        let mut rng = Seed::new(1).split_index(well as u64).rng();
        let pixels = (0..SIDE * SIDE).map(|index| {
            let is_cell = rng.random_bool(0.3);
            let truth = if is_cell { 20_000.0 } else { 8_000.0 };
            (truth * vignetting(index % SIDE, index / SIDE)).round() as u16
        });
        let image = Plane {
            width: SIDE,
            height: SIDE,
            pixels: Pixels::U16(pixels.collect()),
        };
        let name = format!("A{:02}", well + 1);
        screen.add(&key, &name, 1, ControlRole::Treatment, vec![Some(image)]);
    }
    screen
}

fn fit(screen: &MemoryScreen, options: &IlluminationOptions) -> Illumination {
    let plate = &screen.sites()[0].key.plate;
    let mut found = fit_illumination(screen, plate, options, OnIncomplete::Fail).expect("fitted");
    assert_eq!((found.functions.len(), found.left_out.len()), (1, 0));
    found.functions.remove(0)
}

/// Coefficient of variation over 8 x 8 blocks of an image's mean.
fn unevenness(values: &[f64]) -> f64 {
    let blocks: Vec<f64> = (0..64)
        .map(|block| {
            let (top, left) = (block / 8 * 8, block % 8 * 8);
            let of_block = (0..64).map(|i| values[(top + i / 8) * SIDE + left + i % 8]);
            of_block.sum::<f64>() / 64.0
        })
        .collect();
    let mean = blocks.iter().sum::<f64>() / 64.0;
    let squares = blocks.iter().map(|block| (block - mean).powi(2));
    (squares.sum::<f64>() / 64.0).sqrt() / mean
}

#[test]
fn planted_vignetting_is_recovered_and_taken_out() {
    let screen = vignetted_screen(40);
    // Random cells in 40 images leave 4 % of noise in the shrunk mean image;
    // the filters take it to about 1 %, of which the worst of 2,704 pixels
    // has three to four times as much.
    let tolerance = 0.04;
    for smoothing in [
        IlluminationSmoothing::Median,
        IlluminationSmoothing::Gaussian,
    ] {
        let options = IlluminationOptions {
            downscale: 2,
            smoothing,
            smoothing_filter_size_px: 6.0,
        };
        let found = fit(&screen, &options);
        assert_eq!((found.width, found.height), (SIDE, SIDE));
        let least = found.values.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(least, 1.0);
        // The truth is known up to a factor, taken at the centre; the corners
        // are raised to the robust minimum and smoothed towards the inside.
        let centre = found.values[32 * SIDE + 32] / vignetting(32, 32);
        let mut worst: f64 = 0.0;
        for y in 6..SIDE - 6 {
            for x in 6..SIDE - 6 {
                let ratio = found.values[y * SIDE + x] / (centre * vignetting(x, y));
                worst = worst.max((ratio - 1.0).abs());
            }
        }
        assert!(worst < tolerance, "{smoothing:?}: off by {worst}");

        let mut mean = vec![0.0; SIDE * SIDE];
        let mut raw_mean = vec![0.0; SIDE * SIDE];
        for site in 0..screen.sites().len() {
            let image = screen.read_plane(site, 0).expect("in memory");
            let corrected = found.correct(&image).expect("same size");
            let Pixels::U16(raw) = &image.pixels else {
                panic!("16 bit")
            };
            for (index, value) in corrected.into_iter().enumerate() {
                mean[index] += value;
                raw_mean[index] += f64::from(raw[index]);
            }
        }
        let (before, after) = (unevenness(&raw_mean), unevenness(&mean));
        assert!(before > 0.07, "{before}");
        assert!(after < 0.25 * before, "{smoothing:?}: {before} to {after}");
    }
}

#[test]
fn without_smoothing_the_mean_image_itself_is_the_function() {
    let mut screen = MemoryScreen::new(vec![Channel::new("w1", Stain::Dna)]);
    let key = PlateKey::new("b", "1");
    for (well, factor) in [("A01", 1), ("A02", 3)] {
        let image = plane(2, 2, |x, y| factor * (10 + 10 * x as u8 + 20 * y as u8));
        screen.add(&key, well, 1, ControlRole::Treatment, vec![Some(image)]);
    }
    let options = IlluminationOptions {
        downscale: 1,
        smoothing: IlluminationSmoothing::None,
        ..IlluminationOptions::default()
    };
    // Means 20, 40, 60, 80 over the least of them.
    let found = fit(&screen, &options);
    assert_eq!(found.values, [1.0, 2.0, 3.0, 4.0]);
    let image = screen.read_plane(0, 0).expect("in memory");
    assert_eq!(found.correct(&image).expect("same size"), [10.0; 4]);
    let rounded = found.correct_plane(&image).expect("same size");
    assert_eq!(rounded.pixels, Pixels::U8(vec![10; 4]));
}

#[test]
fn threads_change_no_bit() {
    let screen = vignetted_screen(12);
    let with_threads = |count| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .build()
            .expect("a pool");
        pool.install(|| fit(&screen, &IlluminationOptions::default()))
    };
    assert_eq!(with_threads(1), with_threads(4));
}

#[test]
fn functions_are_kept_as_npy() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("illum/P1/P1_IllumDNA.npy");
    let found = fit(&vignetted_screen(4), &IlluminationOptions::default());
    found.save(&path, NpyFloat::F64).expect("written");
    assert_eq!(Illumination::load(&path).expect("read"), found);
    found.save(&path, NpyFloat::F32).expect("written");
    let rounded = Illumination::load(&path).expect("read");
    for (value, exact) in rounded.values.iter().zip(&found.values) {
        assert!((value - exact).abs() < 1e-6 * exact);
    }
}

#[test]
fn what_cannot_be_fitted_or_applied_is_refused_by_name() {
    let options = IlluminationOptions::default();
    let mut screen = vignetted_screen(3);
    let plate = screen.sites()[0].key.plate.clone();
    let refused = |screen: &MemoryScreen, options| {
        message(fit_illumination(
            screen,
            &plate,
            options,
            OnIncomplete::Fail,
        ))
    };
    let wrong = IlluminationOptions {
        downscale: 0,
        ..options
    };
    assert_names(&refused(&screen, &wrong), &["downscale", "1 to 64"]);
    let wrong = IlluminationOptions {
        smoothing_filter_size_px: f64::NAN,
        ..options
    };
    assert_names(&refused(&screen, &wrong), &["smoothing_filter_size_px"]);

    let found = fit(&screen, &options);
    let small = Plane::zeros(4, 5);
    assert_names(
        &message(found.correct(&small)),
        &["4 x 5", "64 x 64", "hint:"],
    );
    screen.planes[2][0] = Some(small);
    assert_names(
        &refused(&screen, &options),
        &["well A03", "4 x 5", "well A01", "64 x 64", "hint:"],
    );
    let filled = fit_illumination(&screen, &plate, &options, OnIncomplete::Fill);
    assert_names(&message(filled), &["on_incomplete", "fail or skip"]);
    screen.planes[2][0] = None;
    assert_names(
        &refused(&screen, &options),
        &["well A03", "missing", "hint:"],
    );
    for site in &mut screen.planes {
        site[0] = Some(Plane::zeros(8, 8));
    }
    assert_names(&refused(&screen, &options), &["P1", "DNA", "are 0"]);
    for site in &mut screen.planes {
        site[0] = None;
    }
    assert_names(
        &refused(&screen, &options),
        &["batch plate P1", "DNA", "hint:"],
    );
}

#[test]
fn images_that_are_left_out_are_named_and_change_nothing() {
    let options = IlluminationOptions::default();
    let mut spoilt = vignetted_screen(8);
    let plate = spoilt.sites()[0].key.plate.clone();
    // The first image is the odd one.
    spoilt.planes[0][0] = Some(Plane::zeros(4, 5));
    spoilt.planes[7][0] = None;
    let mut expected = vignetted_screen(8);
    for place in [7, 0] {
        expected.sites.remove(place);
        expected.planes.remove(place);
    }
    let skipping = |screen: &MemoryScreen| {
        fit_illumination(screen, &plate, &options, OnIncomplete::Skip).expect("fitted")
    };
    let (found, clean) = (skipping(&spoilt), skipping(&expected));
    assert_eq!(found.functions, clean.functions);
    assert!(clean.left_out.is_empty());
    assert_eq!(found.left_out.len(), 2, "{:?}", found.left_out);
    assert_names(&found.left_out[0], &["well A01", "DNA", "4 x 5", "64 x 64"]);
    assert_names(&found.left_out[1], &["well A08", "DNA", "missing"]);

    assert!(refuse_missing_images(&expected).is_ok());
    assert_names(
        &message(refuse_missing_images(&spoilt)),
        &["1 images of 8 sites are missing", "well A08", "hint:"],
    );
    for planes in &mut spoilt.planes {
        planes[0] = None;
    }
    let error = message(fit_illumination(
        &spoilt,
        &plate,
        &options,
        OnIncomplete::Skip,
    ));
    assert_names(&error, &["batch plate P1 has no image", "hint:"]);
    let mut many = vignetted_screen(24);
    many.planes.iter_mut().for_each(|planes| planes[0] = None);
    let error = message(refuse_missing_images(&many));
    assert_names(&error, &["24 images", "well A20", "and 4 more"]);
    assert!(!error.contains("well A21"));
}

#[test]
fn files_that_are_no_functions_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("illum.npy");
    assert_names(&message(Illumination::load(&path)), &["illum.npy", "hint:"]);
    std::fs::write(&path, b"not numpy").expect("written");
    assert_names(
        &message(Illumination::load(&path)),
        &["illum.npy", "no .npy file", "hint:"],
    );
    let dark = Illumination {
        width: 2,
        height: 2,
        values: vec![1.0, 1.0, 1.0, 0.0],
    };
    dark.save(&path, NpyFloat::F64).expect("written");
    assert_names(
        &message(Illumination::load(&path)),
        &["illum.npy", "row 1, column 1", "hint:"],
    );
}

#[test]
fn a_corrected_screen_divides_by_its_plates_functions() {
    let mut screen = MemoryScreen::new(vec![Channel::new("OrigDNA", Stain::Dna)]);
    for plate in ["A", "B"] {
        let plate = PlateKey::new("batch-1", plate);
        let image = Some(plane(4, 4, |x, _| 40 * (1 + x as u8)));
        screen.add(&plate, "B02", 1, ControlRole::Untreated, vec![image]);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let source = IlluminationSource::Folder(folder.path().to_owned());
    let write = |plate: &str, factor: f64| {
        let function = Illumination {
            width: 4,
            height: 4,
            values: (0..16)
                .map(|index| factor * f64::from(1 + index % 4))
                .collect(),
        };
        std::fs::create_dir_all(folder.path().join(plate)).expect("a folder");
        let path = folder.path().join(format!("{plate}/{plate}_IllumDNA.npy"));
        function.save(&path, NpyFloat::F64).expect("written");
    };
    write("A", 1.0);
    let shared = || -> Box<dyn Screen> {
        Box::new(MemoryScreen {
            channels: screen.channels.clone(),
            sites: screen.sites.clone(),
            planes: screen.planes.clone(),
            notes: Vec::new(),
        })
    };
    let missing = CorrectedScreen::new(shared(), source.clone()).map(|_| ());
    let parts = [
        "batch-1 plate B",
        "OrigDNA (DNA)",
        "batch-1_B_IllumDNA.npy",
        "hint:",
    ];
    assert_names(&message(missing), &parts);
    let unnamed = CorrectedScreen::new(shared(), IlluminationSource::Screen).map(|_| ());
    assert_names(
        &message(unnamed),
        &["batch-1 plate A has no illumination function"],
    );

    write("B", 2.0);
    let corrected = CorrectedScreen::new(shared(), source).expect("both are there");
    check_screen(&corrected).expect("conforms");
    let values = |site| corrected.read_plane(site, 0).expect("whole").values();
    assert_eq!(values(0), [40; 16]);
    assert_eq!(values(1), [20; 16]);
    let region = Tile {
        top: 1,
        left: 2,
        crop_px: 2,
    };
    let square = corrected.read_region(1, 0, region).expect("inside");
    assert_eq!(square.values(), [20; 4]);
    assert!(corrected.notes()[0].contains("illumination is corrected"));
}

/// RxRx1's plates are 1 to 4 in every experiment.
#[test]
fn plates_of_one_number_have_functions_of_their_own() {
    let mut screen = MemoryScreen::new(vec![Channel::new("w1", Stain::Dna)]);
    for batch in ["HUVEC-01", "HUVEC-02"] {
        let plate = PlateKey::new(batch, "1");
        let image = Some(plane(2, 2, |_, _| 40));
        screen.add(&plate, "B02", 1, ControlRole::Untreated, vec![image]);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, factor: f64| {
        let function = Illumination {
            width: 2,
            height: 2,
            values: vec![factor; 4],
        };
        let path = folder
            .path()
            .join(Illumination::path_of(name, &screen.channels[0]));
        std::fs::create_dir_all(path.parent().expect("a plate's folder")).expect("a folder");
        function.save(&path, NpyFloat::F64).expect("written");
    };
    let shared = || {
        Box::new(MemoryScreen {
            channels: screen.channels.clone(),
            sites: screen.sites.clone(),
            planes: screen.planes.clone(),
            notes: Vec::new(),
        })
    };
    let source = IlluminationSource::Folder(folder.path().to_owned());
    // Which of the two this is of cannot be said.
    write("1", 1.0);
    let unknown = CorrectedScreen::new(shared(), source.clone()).map(|_| ());
    assert_names(&message(unknown), &["HUVEC-01_1_Illumw1.npy"]);
    write("HUVEC-01_1", 1.0);
    write("HUVEC-02_1", 2.0);
    let corrected = CorrectedScreen::new(shared(), source).expect("both are there");
    let values = |site| corrected.read_plane(site, 0).expect("whole").values();
    assert_eq!((values(0), values(1)), (vec![40; 4], vec![20; 4]));
}
