use morphospace_core::{Channel, ControlRole, PlateKey, Stain};
use morphospace_screen::{InspectDepth, Inspection, Rxrx1Screen, inspect};

use crate::memory_screen::{MemoryScreen, plane};
use crate::support::{assert_names, png_u8, write, write_rxrx1_site};

fn spoilt_screen() -> (tempfile::TempDir, Rxrx1Screen) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let text = "experiment,plate,well,site,well_type,sirna\n\
                HUVEC-01,1,B02,1,negative_control,EMPTY\n\
                HUVEC-01,1,B03,1,treatment,s1\n\
                HUVEC-01,1,B03,2,treatment,s1\n\
                RPE-01,1,B03,1,treatment,s1\n\
                RPE-01,1,B04,1,treatment,\n";
    write(root, "metadata.csv", text);
    for site in ["B02_s1", "B03_s1", "B03_s2"] {
        write_rxrx1_site(root, "images/HUVEC-01/Plate1", site);
    }
    for site in ["B03_s1", "B04_s1"] {
        write_rxrx1_site(root, "images/RPE-01/Plate1", site);
    }
    let remove = |path: &str| std::fs::remove_file(root.join(path)).expect("removed");
    remove("images/HUVEC-01/Plate1/B03_s2_w5.png");
    remove("images/HUVEC-01/Plate1/B03_s2_w6.png");
    write(root, "images/HUVEC-01/Plate1/B03_s1_w2.png", b"");
    write(root, "images/RPE-01/Plate1/B04_s1_w3.png", png_u8(4, 4, 1));
    let screen = Rxrx1Screen::open(root).expect("opens");
    (folder, screen)
}

#[test]
fn everything_wrong_is_named_once() {
    let (_folder, screen) = spoilt_screen();
    let found = inspect(&screen, InspectDepth::Decode);
    assert_eq!((found.num_experiments, found.num_plates), (2, 2));
    assert_eq!((found.num_wells, found.num_sites), (4, 5));
    assert_eq!(
        (found.num_perturbations, found.num_unlabelled_wells),
        (1, 1)
    );
    assert_eq!(found.control_roles[&ControlRole::Treatment], 3);
    assert_eq!(found.control_roles[&ControlRole::Untreated], 1);
    assert_eq!(found.cell_types["HUVEC"], 2);
    assert_eq!(found.num_present, [5, 5, 5, 5, 4, 4]);
    assert_eq!(found.image_forms["8 x 8, 8 bit"], 26);
    assert_eq!(found.image_forms["4 x 4, 8 bit"], 1);
    assert_eq!(found.num_incomplete_sites, 1);
    let missing: Vec<&str> = found
        .missing
        .iter()
        .map(|image| image.channel.as_str())
        .collect();
    assert_eq!(missing, ["w5", "w6"]);
    let unreadable: Vec<String> = found.unreadable.iter().map(ToString::to_string).collect();
    assert_names(
        &unreadable[0],
        &["well B03 site 1 channel w2: image is unreadable", "empty"],
    );
    assert_eq!(unreadable.len(), 1);
    assert_eq!(found.mixed_sizes.len(), 1);
    assert_names(
        &found.mixed_sizes[0].to_string(),
        &[
            "RPE-01 plate 1 well B04",
            "channel w3",
            "4 x 4 pixels",
            "8 x 8",
        ],
    );
    assert_eq!(found.experiments_without_negative_controls, ["RPE-01"]);
    assert_eq!(found.min_negative_controls_per_plate, 0);
    assert!(!found.is_sound());

    let text = found.to_string();
    assert_names(
        &text,
        &[
            "2 experiments, 2 plates, 4 wells, 5 sites",
            "w5 (Mito)    4 of 5",
            "missing: 2 images",
            "HUVEC-01 plate 1 well B03 site 2 channel w5: image is missing",
            "no negative controls in RPE-01",
            "classes        2 of 1 to 2 wells each (median 1.5; fewest: EMPTY 1, s1 2)",
            "experiment  cell type  plates   wells   sites  treatment  untreated  unknown label  \
             incomplete sites",
            "HUVEC-01    HUVEC           1       2       3          1          1              0  \
             \u{20}              1",
            "RPE-01      RPE             1       2       2          2          0              1  \
             \u{20}              0",
        ],
    );
    let json = serde_json::to_string(&found).expect("serialises");
    assert_eq!(
        serde_json::from_str::<Inspection>(&json).expect("deserialises"),
        found
    );
}

/// Batch names of two imaging centres may be the same.
#[test]
fn experiments_of_two_sources_are_two() {
    let mut screen = MemoryScreen::new(vec![Channel::new("w1", Stain::Dna)]);
    for (source, role) in [
        ("source_1", ControlRole::Untreated),
        ("source_2", ControlRole::Treatment),
    ] {
        let plate = PlateKey {
            source: Some(source.into()),
            ..PlateKey::new("Batch1", "P")
        };
        screen.add(
            &plate,
            "A01",
            1,
            role,
            vec![Some(plane(4, 4, |x, _| x as u8))],
        );
    }
    let found = inspect(&screen, InspectDepth::Decode);
    assert_eq!(found.num_experiments, 2);
    assert_eq!(
        found.experiments_without_negative_controls,
        ["source_2 Batch1"]
    );
    let names = found.counts.experiments.iter().map(|group| &group.name);
    assert!(names.eq(["source_1 Batch1", "source_2 Batch1"]));
}

#[test]
fn the_table_of_experiments_is_bounded() {
    let mut screen = MemoryScreen::new(vec![Channel::new("w1", Stain::Dna)]);
    for experiment in 1..=70 {
        let plate = PlateKey::new(format!("HUVEC-{experiment:02}"), "1");
        let image = Some(plane(4, 4, |x, _| x as u8));
        screen.add(&plate, "A01", 1, ControlRole::Untreated, vec![image]);
    }
    let text = inspect(&screen, InspectDepth::Presence).to_string();
    assert_eq!(text.matches("\nHUVEC-").count(), 60);
    assert_names(&text, &["and 10 more", "classes        1 of 70 wells each"]);
}

#[test]
fn presence_finds_what_is_missing_without_decoding() {
    let (_folder, screen) = spoilt_screen();
    let found = inspect(&screen, InspectDepth::Presence);
    assert_eq!(found.missing.len(), 2);
    assert!(
        found.unreadable.is_empty(),
        "the damaged sites are not their plates' first"
    );
    assert_eq!(found.image_forms["8 x 8, 8 bit"], 12);
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let (_folder, screen) = spoilt_screen();
    let with_threads = |count| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .build()
            .expect("a pool");
        pool.install(|| inspect(&screen, InspectDepth::Decode))
    };
    assert_eq!(with_threads(1), with_threads(4));
}
