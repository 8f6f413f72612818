//! Real screens, where they are at hand: `MORPHOSPACE_DATA` names the folder
//! that holds `images/`.

use std::io::Write;
use std::path::Path;

use morphospace_core::{ControlRole, Stain};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{
    InspectDepth, NormalisationOptions, NormalisationScheme, NormalisationStatistics, OnIncomplete,
    PixelStats, QualityFlag, ReadSite, ScreenFormat, Tiling, decode_planes, inspect, open_screen,
    read_site,
};

use crate::support::{assert_names, data, message};

#[test]
fn rxrx1_sample_has_36_sites_of_which_18_are_incomplete() {
    let Some(root) = data("images/rxrx1_sample") else {
        return;
    };
    let screen = open_screen(&root, None).expect("opens");
    check_screen(&*screen).expect("conforms");
    let found = inspect(&*screen, InspectDepth::Decode);
    assert_eq!(
        (found.num_experiments, found.num_plates, found.num_sites),
        (5, 18, 36)
    );
    assert_eq!(found.num_incomplete_sites, 18);
    assert_eq!((found.missing.len(), found.unreadable.len()), (36, 0));
    assert!(
        found
            .missing
            .iter()
            .all(|image| image.site.ends_with("site 2"))
    );
    assert_eq!(found.image_forms["512 x 512, 8 bit"], 180);
    assert_eq!(found.control_roles[&ControlRole::Untreated], 18);
    let mut num_read = 0;
    for site_index in 0..36 {
        if let ReadSite::Image(image) =
            read_site(&*screen, site_index, OnIncomplete::Skip).expect("never fails")
        {
            num_read += 1;
            let plan = Tiling::default()
                .plan(image.width(), image.height())
                .expect("fits");
            assert_eq!(plan.tiles().len(), 4);
        }
    }
    assert_eq!(num_read, 18);
    let error = message(read_site(&*screen, 1, OnIncomplete::Fail));
    assert_names(
        &error,
        &[
            "HEPG2-01 plate 1 well B02 site 2 channel w5 (Mito)",
            "missing",
        ],
    );
}

#[test]
fn imagehts_submorph_reads_through_its_description() {
    let Some(root) = data("images/imagehts_submorph") else {
        return;
    };
    let description =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/screens/imagehts_submorph.toml");
    let screen = open_screen(&root, Some(&ScreenFormat::Described(description))).expect("opens");
    check_screen(&*screen).expect("conforms");
    let found = inspect(&*screen, InspectDepth::Decode);
    assert_eq!(
        (found.num_plates, found.num_wells, found.num_sites),
        (2, 12, 12)
    );
    assert_eq!(found.image_forms["1024 x 510, 8 bit"], 36);
    assert!(found.is_sound());
    assert_eq!(found.control_roles[&ControlRole::NegativeControl], 4);
    assert_eq!(found.control_roles[&ControlRole::PositiveControl], 4);
    assert_eq!(found.control_roles[&ControlRole::Treatment], 4);
    assert_eq!(found.min_negative_controls_per_plate, 2);
    let stains: Vec<_> = screen
        .channels()
        .iter()
        .map(|channel| channel.stain.clone())
        .collect();
    assert_eq!(stains, [Stain::Dna, Stain::Actin, Stain::Tubulin]);
    let well = &screen.sites()[1].well;
    assert_eq!(well.address.to_string(), "A05");
    assert_eq!(well.label().as_deref(), Some("M-005300-00"));
    assert_eq!(well.perturbations[0].target(), "AAK1");
    let ReadSite::Image(image) = read_site(&*screen, 0, OnIncomplete::Fail).expect("whole") else {
        panic!("complete")
    };
    assert_eq!(
        Tiling::default()
            .plan(image.width(), image.height())
            .expect("fits")
            .tiles()
            .len(),
        8
    );
}

/// Means and standard deviations of HEPG2-01 over all 2,464 sites, as Lugli
/// et al. 2025 print them (Table 1).
const HEPG2_01: [(f64, f64); 6] = [
    (38.15, 39.86),
    (26.58, 15.30),
    (35.02, 25.56),
    (40.29, 24.06),
    (44.27, 41.10),
    (31.06, 20.23),
];

#[test]
fn statistics_of_an_experiment_are_of_the_published_size() {
    let Some(root) = data("images/rxrx1_sample") else {
        return;
    };
    let screen = open_screen(&root, None).expect("opens");
    let sites: Vec<usize> = (0..screen.sites().len()).collect();
    let options = NormalisationOptions {
        on_incomplete: OnIncomplete::Skip,
        ..NormalisationOptions::new(NormalisationScheme::AllPerExperimentUnbiased)
    };
    let found = NormalisationStatistics::of(&*screen, &sites, &options, &|_| ());
    let found = found.expect("whole sites in every experiment");
    assert_eq!((found.keys.len(), found.skipped.len()), (5, 18));
    let (key, channels) = found.keys.iter().next().expect("five experiments");
    assert_eq!(key.to_string(), "HEPG2-01");
    for (channel, (published_mean, published_sd)) in channels.iter().zip(HEPG2_01) {
        let note = format!(
            "HEPG2-01: mean {:.2} (all sites: {published_mean}), sd {:.2} ({published_sd})\n",
            channel.mean, channel.sd
        );
        let _ = std::io::stderr().write_all(note.as_bytes());
        // One well per plate, untreated, stands for 308 here.
        for ratio in [channel.mean / published_mean, channel.sd / published_sd] {
            assert!((0.5..2.0).contains(&ratio), "{note}");
        }
    }
}

#[test]
fn real_images_are_measured() {
    let Some(root) = data("images/rxrx1_sample") else {
        return;
    };
    let screen = open_screen(&root, None).expect("opens");
    let found = inspect(&*screen, InspectDepth::Quality);
    let report = found.quality.expect("measured");
    assert_eq!(report.usual_size, Some((512, 512)));
    assert_eq!(report.plates.len(), 18 * 6);
    for plate in &report.plates {
        let mean = plate.mean.expect("one image at least").median;
        assert!((1.0..200.0).contains(&mean), "{plate:?}");
    }
    for flag in [
        QualityFlag::Blank,
        QualityFlag::Duplicate,
        QualityFlag::OddSize,
    ] {
        assert!(
            !report.findings.contains_key(&flag),
            "{:?}",
            report.findings
        );
    }
}

/// Means of pages as tifffile decodes them.
const MEANS_OF_PAGES: [(&str, [f64; 4]); 2] = [
    ("cells.tif", [39.2275, 45.9178, 54.6109, 59.4274]),
    ("nuclei.tif", [28.8960, 41.8608, 39.7218, 46.4001]),
];

/// JPEG within TIFF, four pages each.
#[test]
fn pages_of_real_cells_are_channels() {
    let Some(root) = data("images/ebimage_hela") else {
        return;
    };
    for (file, means) in MEANS_OF_PAGES {
        let bytes = std::fs::read(root.join(file)).expect("a file");
        let planes = decode_planes(&bytes).expect("whole");
        assert_eq!(planes.len(), means.len(), "{file}");
        for (plane, mean) in planes.iter().zip(means) {
            assert_eq!(plane.bit_depth(), 8);
            let found = PixelStats::of(plane).mean();
            assert!((found - mean).abs() < 0.05, "{file}: {found} is not {mean}");
        }
    }
}
