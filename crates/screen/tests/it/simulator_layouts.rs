//! Simulated screens in every layout, from the generator through the reader of
//! the real screen back to the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use morphospace_core::{ControlRole, Perturbation, SiteKey};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::simulator::{
    BatchConfig, CheckedSimulator, EffectsConfig, MicroscopeConfig, Parameter, ScreenLayout,
    SimulatorConfig, draw_site, simulate,
};
use morphospace_screen::{
    InspectDepth, OmeZarrScreen, PackConfig, PerturbationKind, Pixels, QualityFlag, Screen,
    ScreenFormat, decode_npy, inspect, open_screen, pack,
};

/// A layout's preset in small.
fn small(layout: ScreenLayout) -> SimulatorConfig {
    SimulatorConfig {
        num_groups: 2,
        group_size: 2,
        num_negative_controls: 5,
        image_px: 64,
        ..SimulatorConfig::preset(layout)
    }
}

fn simulated(config: &SimulatorConfig) -> (tempfile::TempDir, CheckedSimulator, Box<dyn Screen>) {
    let folder = tempfile::tempdir().expect("a folder");
    let planned = config.check().expect("valid");
    simulate(&planned, folder.path(), &|_, _| {}).expect("simulates");
    let screen = open_screen(folder.path(), None).expect("is recognised");
    (folder, planned, screen)
}

/// The reader finds every planned site, label and pixel, and nothing to
/// complain of; so does the reader of the packed screen.
fn check_read_back(config: &SimulatorConfig) {
    let (_folder, planned, screen) = simulated(config);
    check_screen(&*screen).expect("conforms");
    assert_eq!(screen.channels(), config.layout.channels());
    assert_eq!(screen.notes(), [] as [String; 0]);
    assert_eq!(
        screen.sites().len(),
        planned.wells().len() * config.num_sites
    );
    for (well_index, well) in planned.wells().iter().enumerate() {
        for number in 1..=config.num_sites as u32 {
            let key = SiteKey::new(well.well.plate.clone(), well.well.address, number);
            let site = screen
                .site_index(&key)
                .expect("every planned site is listed");
            let read = &screen.sites()[site].well;
            assert_eq!(read.perturbations, well.well.perturbations, "{key}");
            assert_eq!(read.original_address, well.well.original_address);
            if config.layout == ScreenLayout::Rxrx1 {
                assert_eq!(
                    read.control_role.is_negative(),
                    well.well.control_role.is_negative()
                );
            } else {
                assert_eq!(read.control_role, well.well.control_role, "{key}");
            }
            let drawn = draw_site(&planned, well_index, number);
            for (channel, plane) in drawn.planes.iter().enumerate() {
                assert_eq!(&screen.read_plane(site, channel).expect("whole"), plane);
            }
        }
    }
    let inspection = inspect(&*screen, InspectDepth::Decode);
    assert!(inspection.is_sound() && inspection.num_incomplete_sites == 0);
    assert_eq!(inspection.num_unlabelled_wells, 0);
    assert_eq!(
        inspection.experiments_without_negative_controls,
        [] as [String; 0]
    );

    let output = tempfile::tempdir().expect("a folder");
    let options = PackConfig {
        chunk_px: 32,
        ..PackConfig::default()
    };
    pack(&*screen, output.path(), &options, &|| {}).expect("packs");
    let packed = OmeZarrScreen::open(output.path()).expect("opens");
    assert_eq!(packed.sites(), screen.sites());
    assert_eq!(packed.channels(), screen.channels());
    for site in 0..screen.sites().len() {
        for channel in 0..screen.channels().len() {
            let planes = [&packed as &dyn Screen, &*screen]
                .map(|screen| screen.read_plane(site, channel).expect("whole"));
            assert!(planes[0] == planes[1], "site {site} channel {channel}");
        }
    }
}

#[test]
fn rxrx1_is_read_as_it_was_planned() {
    check_read_back(&SimulatorConfig {
        experiments: vec!["HUVEC-01".into(), "RPE-02".into()],
        ..small(ScreenLayout::Rxrx1)
    });
}

#[test]
fn rxrx3_is_read_as_it_was_planned() {
    check_read_back(&small(ScreenLayout::Rxrx3));
}

#[test]
fn jump_is_read_as_it_was_planned() {
    let config = SimulatorConfig {
        num_sites: 2,
        num_plates: 2,
        num_replicates: 2,
        ..small(ScreenLayout::Jump)
    };
    check_read_back(&config);
    for (kind, num_guides) in [(PerturbationKind::Orf, 2), (PerturbationKind::Compound, 1)] {
        check_read_back(&SimulatorConfig {
            perturbation_kind: Some(kind),
            num_guides,
            num_sites: 1,
            image_px: 32,
            ..config.clone()
        });
    }
}

#[test]
fn rxrx3_has_its_addresses_files_and_controls() {
    let config = small(ScreenLayout::Rxrx3);
    let (folder, _, screen) = simulated(&config);
    assert!(folder.path().join("metadata_rxrx3.csv").is_file());
    let keys: Vec<&SiteKey> = screen.sites().iter().map(|site| &site.key).collect();
    // 2 x (8 guides + 5 negative + 16 positive controls), spread over plates of
    // 32 rows and 48 columns: some lie beyond row Z and column 24.
    assert_eq!(keys.len(), 2 * (8 + 5 + 16));
    let beyond = keys
        .iter()
        .find(|key| key.well.row_index() >= 26)
        .expect("a row of two letters");
    let name = format!(
        "{}/Plate1/{}_s1_w3.png",
        beyond.plate.experiment, beyond.well
    );
    assert!(folder.path().join(&name).is_file(), "{name}");
    assert!(beyond.well.to_string().starts_with('A') && beyond.well.to_string().len() == 4);
    assert!(keys.iter().any(|key| key.well.column_index() >= 24));

    let mut labels: BTreeMap<(String, ControlRole), usize> = BTreeMap::new();
    for site in screen.sites() {
        let label = site.well.label().unwrap_or_default();
        *labels.entry((label, site.well.control_role)).or_default() += 1;
    }
    let count = |label: &str, role| labels.get(&(label.to_owned(), role)).copied();
    assert_eq!(count("EMPTY", ControlRole::Untreated), Some(2 * 3));
    assert_eq!(
        count("CRISPR_control", ControlRole::NegativeControl),
        Some(2 * 2)
    );
    for guide in [
        "PLK1_guide_1",
        "PLK1_guide_6",
        "MTOR_guide_6",
        "SRC_guide_1",
        "HCK_guide_1",
    ] {
        assert_eq!(
            count(guide, ControlRole::PositiveControl),
            Some(2),
            "{guide}"
        );
    }
    let treatments = labels
        .keys()
        .filter(|(_, role)| *role == ControlRole::Treatment);
    assert!(treatments.clone().all(|(label, _)| {
        label.starts_with("SIM") && (label.ends_with("_guide_1") || label.ends_with("_guide_2"))
    }));
    assert_eq!(treatments.count(), 8);
}

fn column(folder: &Path, table: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(folder.join(table)).expect("a table");
    let headers = reader.headers().expect("a header").clone();
    let column = headers
        .iter()
        .position(|header| header == name)
        .expect(name);
    let rows = reader
        .records()
        .map(|row| row.expect("a row")[column].to_owned());
    rows.collect()
}

#[test]
fn the_truth_names_what_the_screen_names() {
    for (layout, name) in [
        (ScreenLayout::Rxrx3, "treatment"),
        (ScreenLayout::Jump, "Metadata_JCP2022"),
    ] {
        let config = SimulatorConfig {
            num_sites: 1,
            num_guides: 2,
            ..small(layout)
        };
        let (folder, planned, screen) = simulated(&config);
        let wells: BTreeSet<String> = screen
            .sites()
            .iter()
            .map(|site| site.key.well_id())
            .collect();
        let truth = column(folder.path(), "truth.csv", "well_id");
        assert_eq!(truth.into_iter().collect::<BTreeSet<_>>(), wells);
        let named = column(folder.path(), "perturbations.csv", name);
        let in_truth = column(folder.path(), "truth.csv", name);
        assert!(in_truth.iter().all(|name| named.contains(name)));
        assert_eq!(named.len(), planned.perturbations().len());

        // Relationships are between genes that wells name as their targets: one
        // pair in each of two groups of two genes, whatever number of guides.
        let targets: BTreeSet<&str> = screen
            .sites()
            .iter()
            .flat_map(|site| &site.well.perturbations)
            .map(Perturbation::target)
            .collect();
        let one = column(folder.path(), "relationships.csv", "entity1");
        let other = column(folder.path(), "relationships.csv", "entity2");
        assert_eq!((one.len(), other.len()), (2, 2));
        for (one, other) in one.iter().zip(&other) {
            assert!(targets.contains(one.as_str()) && targets.contains(other.as_str()));
            assert_ne!(one, other);
        }
    }
}

#[test]
fn guides_of_a_gene_do_the_same_to_a_lesser_degree() {
    // Too weak to meet the bounds of effects.
    let config = SimulatorConfig {
        num_guides: 3,
        effects: EffectsConfig {
            group_strength: 0.5,
            own_strength: 0.5,
            ..EffectsConfig::default()
        },
        ..small(ScreenLayout::Rxrx3)
    };
    let planned = config.check().expect("valid");
    for guides in planned.perturbations()[..12].chunks(3) {
        assert!(guides.iter().all(|guide| guide.gene == guides[0].gene));
        assert_eq!(guides[2].name, format!("{}_guide_3", guides[0].target()));
        for guide in &guides[1..] {
            let effects =
                [&guides[0], guide].map(|guide| Parameter::ALL.map(|p| guide.effects.get(p)));
            let moved = effects[0].iter().position(|effect| *effect != 0.0);
            let moved = moved.expect("a gene does something");
            let share = effects[1][moved] / effects[0][moved];
            assert!((0.6..1.0).contains(&share), "{share}");
            for (whole, part) in effects[0].iter().zip(effects[1]) {
                assert!((whole * share - part).abs() < 1e-12, "{whole} {part}");
            }
        }
    }
}

#[test]
fn jump_images_divided_by_their_function_are_evenly_lit() {
    let lit = |illumination: f64| {
        simulated(&SimulatorConfig {
            num_sites: 1,
            num_groups: 1,
            batch: BatchConfig {
                illumination,
                ..BatchConfig::default()
            },
            microscope: MicroscopeConfig {
                noise: 0.0,
                ..MicroscopeConfig::default()
            },
            ..small(ScreenLayout::Jump)
        })
    };
    let (_even_folder, _, even) = lit(0.0);
    let (_dark_folder, _, dark) = lit(0.8);
    for (site, channel) in [(0, 0), (3, 3), (7, 4)] {
        let bytes = dark
            .read_illumination(site, channel)
            .expect("read")
            .expect("there is one");
        let function = decode_npy(&bytes).expect("an array");
        assert_eq!((function.height, function.width), (64, 64));
        let function = function.to_f64();
        let smallest = function.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = function.iter().copied().fold(0.0, f64::max);
        assert_eq!(smallest, 1.0);
        assert!(largest > 1.1, "{largest}");
        let values = [&even, &dark].map(|screen| {
            let plane = screen.read_plane(site, channel).expect("whole");
            assert!(matches!(plane.pixels, Pixels::U16(_)));
            plane.values()
        });
        let ratios = values[0].iter().zip(&values[1]).zip(&function);
        for ((even, dark), light) in ratios {
            // The function is 1, not `1 / largest`, at its darkest.
            let corrected = f64::from(*dark) / light * largest;
            assert!((corrected - f64::from(*even)).abs() < 1e-3 * corrected + 3.0);
        }
        let flat = decode_npy(
            &even
                .read_illumination(site, channel)
                .expect("read")
                .expect("one"),
        );
        assert!(
            flat.expect("an array")
                .to_f64()
                .iter()
                .all(|light| *light == 1.0)
        );
    }
}

#[test]
fn jump_files_lie_where_the_gallery_has_them() {
    let config = SimulatorConfig {
        num_sites: 1,
        num_groups: 1,
        ..small(ScreenLayout::Jump)
    };
    let (folder, planned, screen) = simulated(&config);
    let root = folder.path();
    for file in [
        "source_1/workspace/load_data_csv/2021_04_26_Batch1/BR00001001/load_data_with_illum.csv",
        "source_2/images/2021_06_14_Batch6/illum/BR00002001/BR00002001_IllumAGP.npy",
        "metadata/plate.csv",
        "metadata/well.csv",
        "metadata/crispr.csv",
        "metadata/perturbation_control.csv",
    ] {
        assert!(root.join(file).is_file(), "{file}");
    }
    let first = &planned.wells()[0].well;
    let (row, column) = (
        first.address.row_index() + 1,
        first.address.column_index() + 1,
    );
    let name = format!("r{row:02}c{column:02}f01p01-ch5sk1fk1fl1.tiff");
    let dna = screen.plane_location(0, 0).expect("listed");
    assert!(dna.ends_with(&format!("BR00001001/Images/{name}")), "{dna}");
    // A source alone, or a copy in another place, is a screen as well.
    let source = open_screen(&root.join("source_2"), None).expect("opens");
    assert_eq!(source.sites().len(), screen.sites().len() / 2);
    assert!(source.is_present(0, 0));
}

#[test]
fn a_stopped_simulation_is_no_screen() {
    for layout in ScreenLayout::ALL {
        let folder = tempfile::tempdir().expect("a folder");
        let planned = SimulatorConfig {
            num_sites: 1,
            ..small(layout)
        };
        let planned = planned.check().expect("valid");
        let sabotage = |_: usize, _: usize| {
            for entry in walkdir::WalkDir::new(folder.path()).contents_first(true) {
                if let Ok(entry) = entry
                    && entry.file_type().is_dir()
                    && entry.path() != folder.path()
                {
                    drop(fs::remove_dir_all(entry.path()));
                }
            }
        };
        simulate(&planned, folder.path(), &sabotage).expect_err("sabotaged");
        assert!(open_screen(folder.path(), None).is_err(), "{layout}");
    }
}

#[test]
fn jump_is_described_as_a_screen_of_six_channels() {
    let (folder, _, jump) = simulated(&SimulatorConfig {
        num_sites: 1,
        ..small(ScreenLayout::Jump)
    });
    let description =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/screens/jump_as_rxrx1.toml");
    let format = ScreenFormat::Described(description);
    let screen = open_screen(folder.path(), Some(&format)).expect("opens");
    check_screen(&*screen).expect("conforms");
    let stains = |screen: &dyn Screen| -> Vec<String> {
        let channels = screen.channels().iter();
        channels.map(|channel| channel.stain.to_string()).collect()
    };
    assert_eq!(stains(&*jump), ["DNA", "ER", "RNA", "AGP", "Mito"]);
    assert_eq!(
        stains(&*screen),
        ["DNA", "ER", "Actin", "RNA", "Mito", "Golgi"]
    );
    assert_eq!(screen.sites()[0].well.label(), jump.sites()[0].well.label());
    let quality = inspect(&*screen, InspectDepth::Quality).quality;
    let findings = quality.expect("of that depth").findings;
    assert!(
        findings
            .get(&QualityFlag::Duplicate)
            .is_none_or(Vec::is_empty)
    );
    for (channel, original) in [0, 1, 3, 2, 4, 3].into_iter().enumerate() {
        assert_eq!(
            screen.read_plane(0, channel).expect("whole"),
            jump.read_plane(0, original).expect("whole")
        );
    }
}
