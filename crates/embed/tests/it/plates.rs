//! Plate by plate into a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use burn::tensor::{Device, Tensor};
use morphospace_core::Provenance;
use morphospace_embed::{
    EmbedConfig, EmbedError, EmbeddingFolder, EmbeddingSettings, Level, NetworkIdentity, PlateJob,
    PlateRecord, PlatesDone, Shard, embed,
};
use morphospace_models::{ChannelSupport, Encoder, ModelError, Pooling, Representation, Vit};
use morphospace_profiles::{Profiles, read_profiles};
use morphospace_screen::{LoaderOptions, OnIncomplete, Screen, open_screen};

use crate::support::{config, remove_image, simulated_plates, tiny_vit};

/// Four plates in two experiments.
fn screen(folder: &Path) -> Box<dyn Screen> {
    simulated_plates(&folder.join("screen"), &["HUVEC-01", "U2OS-01"], 2)
}

fn network(sha256: &str) -> NetworkIdentity {
    NetworkIdentity {
        name: "tiny".to_owned(),
        sha256: sha256.to_owned(),
    }
}

fn run_with(
    screen: &dyn Screen,
    encoder: &dyn Encoder,
    config: &EmbedConfig,
    root: &Path,
    shard: Shard,
    stop: &AtomicBool,
) -> Result<PlatesDone, EmbedError> {
    let settings = EmbeddingSettings::new(screen, &network("1"), config);
    let folder = EmbeddingFolder::begin(root, settings)?;
    let job = PlateJob {
        screen,
        encoder,
        device: &Device::default(),
        device_name: "flex",
        config,
        folder: &folder,
        shard,
        stop,
        provenance: &|provenance: Provenance| provenance,
    };
    job.run(&mut |_| {}, &mut |_| {})
}

fn run(screen: &dyn Screen, config: &EmbedConfig, root: &Path, shard: Shard) -> PlatesDone {
    let stop = AtomicBool::new(false);
    run_with(screen, &tiny_vit(6), config, root, shard, &stop).unwrap()
}

/// The files below a folder that end so, with their bytes.
fn files(root: &Path, ending: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    fn collect(folder: &Path, root: &Path, ending: &str, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, root, ending, found);
            } else if path.to_string_lossy().ends_with(ending) {
                let bytes = fs::read(&path).unwrap();
                found.insert(path.strip_prefix(root).unwrap().to_owned(), bytes);
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(root, root, ending, &mut found);
    found
}

fn manifest(root: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(root.join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn all_blocks_and_levels_come_of_one_pass() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let all = EmbedConfig {
        representations: vec![
            Representation::output(Pooling::PatchMean),
            Representation::behind(0, Pooling::PatchMean),
            Representation::behind(1, Pooling::Cls),
        ],
        levels: Level::ALL.to_vec(),
        ..config()
    };
    let root = folder.path().join("all");
    let done = run(&*screen, &all, &root, Shard::WHOLE);
    assert_eq!((done.num_plates, done.before.len()), (4, 0));
    let table = |level: &str, representation: &str| -> Profiles {
        read_profiles(&root.join(format!("{level}/{representation}/HUVEC-01/1.parquet"))).unwrap()
    };
    for (representation, name) in
        all.representations
            .iter()
            .zip(["output", "block-01", "block-02-cls"])
    {
        assert_eq!(representation.name(), name);
        let (wells, sites, crops) = (
            table("wells", name),
            table("sites", name),
            table("crops", name),
        );
        let rows = [&wells, &sites, &crops].map(Profiles::num_rows);
        assert_eq!(
            rows,
            [wells.num_rows(), 2 * wells.num_rows(), 8 * wells.num_rows()]
        );
        // Crops are averaged to sites, and those to wells.
        let mean = |of: &Profiles, rows: std::ops::Range<usize>| -> Vec<f64> {
            let mut sum = vec![0.0; of.num_features()];
            for row in rows.clone() {
                for (sum, value) in sum.iter_mut().zip(of.row(row)) {
                    *sum += value / rows.len() as f64;
                }
            }
            sum
        };
        for (found, expected) in [
            (sites.row(3), mean(&crops, 12..16)),
            (wells.row(2), mean(&sites, 4..6)),
        ] {
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6);
            }
        }
        let alone = EmbedConfig {
            representations: vec![*representation],
            ..config()
        };
        let alone = embed(
            &*screen,
            &tiny_vit(6),
            &Device::default(),
            &alone,
            &mut |_| {},
        )
        .unwrap();
        for row in 0..wells.num_rows() {
            for (found, expected) in wells.row(row).iter().zip(alone.profiles.row(row)) {
                assert!((found - expected).abs() < 1e-5);
            }
        }
    }
    let crops = table("crops", "output");
    let places =
        ["Metadata_top", "Metadata_left"].map(|name| crops.keys(name).unwrap()[..4].join(" "));
    assert_eq!(places, ["0 0 16 16", "0 16 0 16"]);
    assert_eq!(crops.keys("Metadata_Site").unwrap()[3..5], ["1", "2"]);
    assert_ne!(
        table("wells", "output").row(0),
        table("wells", "block-01").row(0)
    );
    // Tables by themselves tell what they are.
    let settings = &table("sites", "block-01")
        .provenance()
        .unwrap()
        .settings
        .clone();
    assert_eq!(
        (
            settings["level"].as_str(),
            settings["representation"].as_str()
        ),
        ("sites", "block-01")
    );
}

#[test]
fn shards_and_threads_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let whole = folder.path().join("whole");
    run(&*screen, &config(), &whole, Shard::WHOLE);
    let expected = files(&whole, ".parquet");
    assert_eq!(expected.len(), 4);
    let parts = folder.path().join("parts");
    for index in [2, 0, 1] {
        let loader = LoaderOptions {
            num_threads: index + 1,
            num_ahead: 1,
        };
        let config = EmbedConfig { loader, ..config() };
        let done = run(&*screen, &config, &parts, Shard::new(index, 3).unwrap());
        assert_eq!(done.records.len(), [2, 1, 1][index]);
    }
    assert!(files(&parts, ".parquet") == expected);
    let manifest = manifest(&parts);
    assert_eq!(manifest["num_plates_done"], 4);
    assert_eq!(manifest["missing"].as_array().unwrap().len(), 0);

    // Two that do the same at the same time.
    let both = folder.path().join("both");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| run(&*screen, &config(), &both, Shard::WHOLE));
        }
    });
    assert!(files(&both, ".parquet") == expected);
    assert_eq!(files(&both, ".tmp").len(), 0);
}

#[test]
fn done_plates_are_skipped_until_something_changes() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let root = folder.path().join("out");
    let names = |done: &PlatesDone| -> Vec<String> {
        let records = done.records.iter();
        records.map(|record| record.key().to_string()).collect()
    };
    assert_eq!(
        run(&*screen, &config(), &root, Shard::WHOLE).records.len(),
        4
    );
    let before = files(&root, ".parquet");
    let again = run(&*screen, &config(), &root, Shard::WHOLE);
    assert_eq!((again.num_plates, again.before.len()), (4, 4));

    // Another image under the name of one.
    let images = [0, 1].map(|site| screen.plane_location(site, 0).unwrap());
    fs::copy(&images[1], &images[0]).unwrap();
    let again = run(&*screen, &config(), &root, Shard::WHOLE);
    assert_eq!(names(&again), [screen.sites()[0].key.plate.to_string()]);
    assert!(files(&root, ".parquet") != before);

    // A table that is gone, and one that is cut off.
    let [one, .., other] = &files(&root, ".parquet").into_keys().collect::<Vec<_>>()[..] else {
        panic!("there are four");
    };
    fs::remove_file(root.join(one)).unwrap();
    fs::write(root.join(other), b"PAR1").unwrap();
    assert_eq!(
        run(&*screen, &config(), &root, Shard::WHOLE).records.len(),
        2
    );
    assert_eq!(
        run(&*screen, &config(), &root, Shard::WHOLE).records.len(),
        0
    );
}

#[test]
fn other_settings_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let root = folder.path().join("out");
    let begin = |network: &str, config: &EmbedConfig| {
        let settings = EmbeddingSettings::new(&*screen, &self::network(network), config);
        EmbeddingFolder::begin(&root, settings).map(|_| ())
    };
    begin("1", &config()).unwrap();
    begin("1", &config()).unwrap();
    let error = begin("2", &config()).unwrap_err().to_string();
    assert!(
        error.contains(r#"network_sha256: "1" there, "2" now"#),
        "{error}"
    );
    let batches = EmbedConfig {
        batch_size: 6,
        ..config()
    };
    let error = begin("1", &batches).unwrap_err().to_string();
    assert!(error.contains("batch_size: 5 there, 6 now"), "{error}");
    let error = EmbeddingFolder::open(folder.path())
        .unwrap_err()
        .to_string();
    assert!(error.contains("is no folder of embeddings"), "{error}");
}

#[test]
fn a_plate_that_fails_is_named_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let of_second = screen.sites().len() / 4;
    let plate = screen.sites()[of_second].key.plate.to_string();
    let image = screen.plane_location(of_second + 3, 2).unwrap();
    let whole = fs::read(&image).unwrap();
    fs::write(&image, &whole[..whole.len() / 2]).unwrap();
    let root = folder.path().join("out");
    let done = run(&*screen, &config(), &root, Shard::WHOLE);
    let failures: Vec<&PlateRecord> = done
        .records
        .iter()
        .filter(|r| r.failure.is_some())
        .collect();
    assert_eq!((done.records.len(), failures.len()), (4, 1));
    let failure = failures[0].failure.as_deref().unwrap();
    let site = screen.sites()[of_second + 3].key.to_string();
    assert!(
        failure.contains(&site) && failure.contains("w3"),
        "{failure}"
    );
    assert_eq!(files(&root, ".parquet").len(), 3);
    assert_eq!(files(&root, ".tmp").len(), 0);
    let found = manifest(&root);
    assert_eq!(found["num_plates_done"], 3);
    assert!(
        found["failed"][&plate].as_str().unwrap().contains(&site),
        "{found}"
    );

    // Left out, the plate is done; mended, it is done again, whole.
    let skipping = EmbedConfig {
        on_incomplete: OnIncomplete::Skip,
        ..config()
    };
    let done = run(&*screen, &skipping, &root, Shard::WHOLE);
    assert_eq!((done.before.len(), done.records.len()), (3, 1));
    assert_eq!(done.records[0].skipped.len(), 1);
    assert_eq!(manifest(&root)["skipped"].as_array().unwrap().len(), 1);
    let done = run(&*screen, &config(), &root, Shard::WHOLE);
    let [stands] = &done.records[..] else {
        panic!("its policy was another");
    };
    assert!(stands.failure.is_none() && stands.later_failure.is_some());
    assert_eq!(files(&root, ".parquet").len(), 4);
    assert!(manifest(&root)["failed"][&plate].is_string());
    fs::write(&image, whole).unwrap();
    let done = run(&*screen, &config(), &root, Shard::WHOLE);
    assert_eq!((done.before.len(), done.records.len()), (3, 1));
    let intact = folder.path().join("intact");
    run(&*screen, &config(), &intact, Shard::WHOLE);
    let tables = |root: &Path| -> Vec<Profiles> {
        let names = files(root, ".parquet").into_keys();
        names
            .map(|name| read_profiles(&root.join(name)).unwrap())
            .collect()
    };
    for (one, other) in tables(&root).iter().zip(tables(&intact)) {
        assert_eq!(one.features(), other.features());
    }
}

#[test]
fn a_plate_whose_folder_vanishes_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let root = folder.path().join("out");
    let last = screen.sites().len() - 1;
    let image = PathBuf::from(screen.plane_location(last, 0).unwrap());
    // After the screen was opened and looked at, while the first plate is at work.
    let vanishing = Meddling {
        vit: tiny_vit(6),
        // Gone at the first pass already.
        before: |_: &Tensor<4>| drop(fs::remove_dir_all(image.parent().unwrap())),
    };
    let stop = AtomicBool::new(false);
    let done = run_with(&*screen, &vanishing, &config(), &root, Shard::WHOLE, &stop).unwrap();
    let failed: Vec<bool> = done.records.iter().map(|r| r.failure.is_some()).collect();
    assert_eq!(failed, [false, false, false, true]);
    // What lacks images is refused as long as it lacks them, before the rest is done.
    let reopened = open_screen(&folder.path().join("screen"), None).unwrap();
    let stop = AtomicBool::new(false);
    let error = run_with(
        &*reopened,
        &tiny_vit(6),
        &config(),
        &root,
        Shard::WHOLE,
        &stop,
    );
    assert!(matches!(error, Err(EmbedError::Incomplete { .. })));
}

/// Times are compared, never ordered: a machine whose clock is wrong does no harm.
#[test]
fn clocks_may_be_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let root = folder.path().join("out");
    run(&*screen, &config(), &root, Shard::WHOLE);
    let tables = files(&root, ".parquet");
    let set_time = |path: &Path, time: SystemTime| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    };
    let day = Duration::from_secs(86_400);
    // Tables and records of the future, and half a file of a machine that is ahead.
    for path in files(&root, "").keys() {
        set_time(&root.join(path), SystemTime::now() + day);
    }
    let half = root.join("wells/output/HUVEC-01/.1.parquet.xyz.tmp");
    fs::write(&half, b"half").unwrap();
    set_time(&half, SystemTime::now() + day);
    let image = |site: usize| PathBuf::from(screen.plane_location(site, 0).unwrap());
    let of_plate = screen.sites().len() / 4;
    // An image that came later but says that it is older, and one of the future.
    set_time(&image(0), SystemTime::now() - 400 * day);
    set_time(&image(of_plate), SystemTime::now() + 400 * day);
    let reopened = open_screen(&folder.path().join("screen"), None).unwrap();
    let done = run(&*reopened, &config(), &root, Shard::WHOLE);
    assert_eq!((done.before.len(), done.records.len()), (2, 2));
    assert_eq!(
        run(&*reopened, &config(), &root, Shard::WHOLE).before.len(),
        4
    );
    assert!(half.exists(), "who writes it may be at work");
    fs::remove_file(half).unwrap();
    let again = files(&root, ".parquet");
    assert_eq!(again.len(), tables.len());
    // What is said of versions of images changes, the numbers do not.
    for plate in ["HUVEC-01/1", "U2OS-01/2"] {
        let path = root.join(format!("wells/output/{plate}.parquet"));
        assert!(read_profiles(&path).unwrap().num_rows() > 0);
    }
}

/// Does something before every pass.
struct Meddling<F> {
    vit: Vit,
    before: F,
}

impl<F: Fn(&Tensor<4>) + Send> Encoder for Meddling<F> {
    fn num_features(&self) -> usize {
        self.vit.num_features()
    }

    fn in_chans(&self) -> ChannelSupport {
        Encoder::in_chans(&self.vit)
    }

    fn img_size(&self) -> usize {
        self.vit.img_size()
    }

    fn num_blocks(&self) -> usize {
        self.vit.num_blocks()
    }

    fn check(&self, in_chans: usize, pooling: Pooling) -> Result<(), ModelError> {
        self.vit.check(in_chans, pooling)
    }

    fn forward_representations(
        &self,
        images: Tensor<4>,
        wanted: &[Representation],
    ) -> Vec<Tensor<2>> {
        (self.before)(&images);
        self.vit.forward_representations(images, wanted)
    }
}

#[test]
fn a_device_without_memory_is_given_fewer_tiles_and_the_plate_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let num_passes = AtomicUsize::new(0);
    // Four tiles of each site.
    let passes_of_plate = screen.sites().len().div_ceil(5);
    // There is room for five tiles until the second plate, and then for two.
    let small = Meddling {
        vit: tiny_vit(6),
        before: |images: &Tensor<4>| {
            let room = match num_passes.fetch_add(1, Ordering::Relaxed) < passes_of_plate + 3 {
                true => 5,
                false => 2,
            };
            let batch = images.dims()[0];
            assert!(batch <= room, "Vulkan: VK_ERROR_OUT_OF_DEVICE_MEMORY");
        },
    };
    let (root, stop) = (folder.path().join("small"), AtomicBool::new(false));
    let done = run_with(&*screen, &small, &config(), &root, Shard::WHOLE, &stop).unwrap();
    let sizes: Vec<usize> = done.records.iter().map(|one| one.batch_size).collect();
    assert_eq!(sizes, [5, 2, 2, 2]);
    assert!(done.records.iter().all(|one| one.failure.is_none()));
    assert_eq!(
        manifest(&root)["batch_sizes"],
        serde_json::json!({"2": 3, "5": 1})
    );
    // Done plates stay done, whatever they were made with.
    assert_eq!(
        run(&*screen, &config(), &root, Shard::WHOLE).before.len(),
        4
    );
    // The same numbers, but for rounding, and no row twice.
    let whole = folder.path().join("whole");
    run(&*screen, &config(), &whole, Shard::WHOLE);
    for plate in ["HUVEC-01/1", "HUVEC-01/2", "U2OS-01/1", "U2OS-01/2"] {
        let table = |root: &Path| {
            read_profiles(&root.join(format!("wells/output/{plate}.parquet"))).unwrap()
        };
        let (found, expected) = (table(&root), table(&whole));
        assert_eq!(found.num_rows(), expected.num_rows());
        for (a, b) in found.values().iter().zip(&*expected.values()) {
            assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a} {b}");
        }
    }

    // One tile at a time and still none, and other panics, end it.
    for (message, is_memory) in [("out of memory", true), ("index out of bounds", false)] {
        let never = Meddling {
            vit: tiny_vit(6),
            before: |_: &Tensor<4>| panic!("{message}"),
        };
        let root = folder.path().join(message);
        let work = || run_with(&*screen, &never, &config(), &root, Shard::WHOLE, &stop);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        match ended {
            Ok(Err(EmbedError::OutOfMemory { batch_size: 1, .. })) => assert!(is_memory),
            Ok(other) => panic!("{other:?}"),
            Err(_) => assert!(!is_memory),
        }
    }
}

#[test]
fn a_stop_drops_the_plate_at_hand_and_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let root = folder.path().join("out");
    let settings = EmbeddingSettings::new(&*screen, &network("1"), &config());
    let embeddings = EmbeddingFolder::begin(&root, settings).unwrap();
    let stop = AtomicBool::new(false);
    let job = PlateJob {
        screen: &*screen,
        encoder: &tiny_vit(6),
        device: &Device::default(),
        device_name: "flex",
        config: &config(),
        folder: &embeddings,
        shard: Shard::WHOLE,
        stop: &stop,
        provenance: &|provenance: Provenance| provenance,
    };
    let of_plate = screen.sites().len() / 4;
    let stopped = job.run(
        &mut |at| stop.store(at.num_sites_done > of_plate + 2, Ordering::Relaxed),
        &mut |_| {},
    );
    assert!(matches!(stopped, Err(EmbedError::Stopped)));
    assert_eq!(files(&root, ".parquet").len(), 1);
    assert_eq!(files(&root, ".tmp").len(), 0);
    assert_eq!(manifest(&root)["missing"].as_array().unwrap().len(), 3);
    let rest = run(&*screen, &config(), &root, Shard::WHOLE);
    assert_eq!((rest.before.len(), rest.records.len()), (1, 3));
    assert_eq!(embeddings.records().unwrap().len(), 4);
}

#[test]
fn missing_images_of_other_parts_are_left_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    remove_image(&*screen, 0, 1);
    let screen = open_screen(&folder.path().join("screen"), None).unwrap();
    let root = folder.path().join("out");
    let done = run(&*screen, &config(), &root, Shard::new(1, 2).unwrap());
    assert_eq!(done.records.len(), 2);
    let stop = AtomicBool::new(false);
    let first = Shard::new(0, 2).unwrap();
    let error = run_with(&*screen, &tiny_vit(6), &config(), &root, first, &stop).unwrap_err();
    assert!(error.to_string().contains("1 of the"), "{error}");
}

#[test]
fn what_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let refused = |change: fn(&mut EmbedConfig)| {
        let mut config = config();
        change(&mut config);
        let stop = AtomicBool::new(false);
        let root = folder.path().join("refused");
        fs::remove_dir_all(&root).ok();
        run_with(&*screen, &tiny_vit(6), &config, &root, Shard::WHOLE, &stop)
            .unwrap_err()
            .to_string()
    };
    let block = refused(|config| {
        config.representations = vec![Representation::behind(2, Pooling::PatchMean)];
    });
    assert!(
        block.contains("there is no block 3: the network has 2"),
        "{block}"
    );
    let twice = refused(|config| config.levels = vec![Level::Wells, Level::Wells]);
    assert!(
        twice.contains("level 'wells' is asked for twice"),
        "{twice}"
    );
    let none = refused(|config| config.representations.clear());
    assert!(none.contains("no representation"), "{none}");
}
