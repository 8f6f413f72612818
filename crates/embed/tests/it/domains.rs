//! Batch normalisation by the statistics of plates and experiments (AdaBN).

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use morphospace_embed::{
    EmbedConfig, EmbedError, EmbeddingFolder, EmbeddingSettings, NetworkIdentity, PlateJob, Shard,
    embed,
};
use morphospace_models::blocks::norm_pass::{NormPass, NormStatistics};
use morphospace_models::{DenseNet, DenseNetConfig, MapNetwork, Pooling, Representation};
use morphospace_profiles::{Profiles, read_profiles};
use morphospace_screen::sampler::Domain;
use morphospace_screen::{LoaderOptions, OnIncomplete, Screen, Tiling};

use crate::support::{config, remove_image, simulated_plates, tiny_vit};

fn densenet() -> DenseNet {
    let config = DenseNetConfig {
        img_size: 32,
        in_chans: 6,
        growth_rate: 4,
        block_config: vec![2, 2],
        num_init_features: 8,
        ..DenseNetConfig::default()
    };
    config.init(&Device::default(), Seed::new(2)).unwrap()
}

fn of(norm: NormStatistics, domain: Domain, batch_size: usize) -> EmbedConfig {
    EmbedConfig {
        norm,
        domain,
        batch_size,
        ..config()
    }
}

fn table(screen: &dyn Screen, config: &EmbedConfig) -> Profiles {
    let device = Device::default();
    let embedded = embed(screen, &densenet(), &device, config, &mut |_| {});
    embedded.unwrap().profiles
}

fn close(a: &Profiles, b: &Profiles) {
    assert_eq!(a.num_rows(), b.num_rows());
    for (a, b) in a.values().iter().zip(&*b.values()) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

/// Two plates of one experiment and one of another.
fn screen(folder: &Path) -> Box<dyn Screen> {
    simulated_plates(&folder.join("screen"), &["HUVEC-01", "U2OS-01"], 2)
}

#[test]
fn a_domain_is_exact_whatever_its_batches() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let exact = |batch_size| of(NormStatistics::Domain, Domain::Plate, batch_size);
    let by_three = table(&*screen, &exact(3));
    close(&by_three, &table(&*screen, &exact(64)));
    let threads = LoaderOptions {
        num_threads: 3,
        ..LoaderOptions::default()
    };
    let loader = EmbedConfig {
        loader: threads,
        ..exact(3)
    };
    assert_eq!(by_three.values(), table(&*screen, &loader).values());

    // One batch with the whole of the first plate in it, tile by tile as the screen
    // has them.
    let sites = 0..screen.sites().len() / 4;
    let config = exact(3);
    let normalisation = config.normalisation.clone().check(&*screen).unwrap();
    let mut tiles = Vec::new();
    for site in sites.clone() {
        let image = morphospace_screen::read_site(&*screen, site, OnIncomplete::Fail).unwrap();
        let morphospace_screen::ReadSite::Image(image) = image else {
            panic!("the site is whole");
        };
        for tile in config.tiling.plan(48, 48).unwrap().tiles() {
            let mut crop = vec![0.0; 6 * 32 * 32];
            normalisation.crop_into(&image, *tile, &mut crop);
            tiles.extend(crop);
        }
    }
    let shape = [sites.len() * 4, 6, 32, 32];
    let data = burn::tensor::TensorData::new(tiles, shape);
    let images = Tensor::<4>::from_data(data, &Device::default());
    let vectors = densenet().forward_embedding(images, &mut NormPass::batch());
    // The first well: two sites of four tiles.
    let first = vectors.narrow(0, 0, 8).mean_dim(0).into_data();
    let first: Vec<f64> = first.iter().collect();
    for (a, b) in by_three.row(0).iter().zip(&first) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn experiments_and_plates_are_other_domains() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let of_plates = table(&*screen, &of(NormStatistics::Domain, Domain::Plate, 8));
    let of_experiments = table(&*screen, &of(NormStatistics::Domain, Domain::Experiment, 8));
    let running = table(&*screen, &of(NormStatistics::Running, Domain::Plate, 8));
    assert_ne!(of_plates.values(), of_experiments.values());
    assert_ne!(of_plates.values(), running.values());
    // Rows stay in the screen's order.
    for column in ["Metadata_Batch", "Metadata_Plate", "Metadata_Well"] {
        let keys = |table: &Profiles| table.keys(column).unwrap();
        assert_eq!(keys(&of_plates), keys(&running));
        assert_eq!(keys(&of_plates), keys(&of_experiments));
    }
}

#[test]
fn a_batch_of_all_sites_of_one_tile_is_the_domain() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let one_tile = |norm, batch_size| EmbedConfig {
        tiling: Tiling {
            crop_px: 32,
            stride_px: Some(48),
            edge: morphospace_screen::EdgePolicy::Drop,
            ..Tiling::default()
        },
        ..of(norm, Domain::Plate, batch_size)
    };
    let sites_of_plate = screen.sites().len() / 4;
    let of_domain = table(&*screen, &one_tile(NormStatistics::Domain, 5));
    let of_batch = table(&*screen, &one_tile(NormStatistics::Batch, sites_of_plate));
    close(&of_domain, &of_batch);
    // The last batch is filled up with sites that are in it: every one twice changes
    // no statistic.
    let twice = table(
        &*screen,
        &one_tile(NormStatistics::Batch, 2 * sites_of_plate),
    );
    close(&of_domain, &twice);
    // Smaller batches are of fewer sites, and another result, always the same.
    let smaller = one_tile(NormStatistics::Batch, 5);
    assert_ne!(of_batch.values(), table(&*screen, &smaller).values());
    assert_eq!(
        table(&*screen, &smaller).values(),
        table(&*screen, &smaller).values()
    );
}

#[test]
fn plates_of_a_folder_are_domains_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let stop = AtomicBool::new(false);
    let run = |config: &EmbedConfig, name: &str, shard| {
        let network = NetworkIdentity {
            name: "tiny".to_owned(),
            sha256: "1".to_owned(),
        };
        let settings = EmbeddingSettings::new(&*screen, &network, config);
        let embeddings = EmbeddingFolder::begin(&folder.path().join(name), settings).unwrap();
        let job = PlateJob {
            screen: &*screen,
            encoder: &densenet(),
            device: &Device::default(),
            device_name: "flex",
            config,
            folder: &embeddings,
            shard,
            stop: &stop,
            provenance: &|provenance| provenance,
        };
        job.run(&mut |_| {}, &mut |_| {})
    };
    for norm in [NormStatistics::Batch, NormStatistics::Domain] {
        let config = EmbedConfig {
            representations: vec![
                Representation::output(Pooling::PatchMean),
                Representation::behind(0, Pooling::PatchMean),
            ],
            ..of(norm, Domain::Plate, 4)
        };
        let whole = norm.as_str();
        run(&config, whole, Shard::WHOLE).unwrap();
        let parts = format!("{whole} parts");
        for part in ["0/3", "1/3", "2/3"] {
            run(&config, &parts, part.parse().unwrap()).unwrap();
        }
        for plate in ["HUVEC-01/2", "U2OS-01/1"] {
            let path = format!("wells/block-01/{plate}.parquet");
            let read = |name: &str| read_profiles(&folder.path().join(name).join(&path)).unwrap();
            assert_eq!(read(whole).values(), read(&parts).values());
        }
        let path = folder
            .path()
            .join(whole)
            .join("wells/output/HUVEC-01/1.parquet");
        let alone = EmbedConfig {
            representations: vec![Representation::output(Pooling::PatchMean)],
            ..config
        };
        let plate = read_profiles(&path).unwrap();
        let rows: Vec<usize> = (0..plate.num_rows()).collect();
        let of_screen = table(&*screen, &alone).select_rows(&rows);
        assert_eq!(plate.values(), of_screen.values());
    }
    let experiments = of(NormStatistics::Domain, Domain::Experiment, 4);
    let error = run(&experiments, "experiments", Shard::WHOLE).unwrap_err();
    assert!(error.to_string().contains("--domain plate"), "{error}");
}

#[test]
fn a_plate_without_a_site_is_left_out_and_tokens_have_no_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen(folder.path());
    let of_plate = screen.sites().len() / 4;
    for site in 0..of_plate {
        remove_image(&*screen, site, 2);
    }
    let config = EmbedConfig {
        on_incomplete: OnIncomplete::Skip,
        ..of(NormStatistics::Domain, Domain::Plate, 4)
    };
    let device = Device::default();
    let found = embed(&*screen, &densenet(), &device, &config, &mut |_| {}).unwrap();
    assert_eq!(found.skipped.len(), of_plate);
    assert_eq!(found.profiles.num_rows(), 3 * of_plate / 2);
    let error = embed(&*screen, &tiny_vit(6), &device, &config, &mut |_| {}).unwrap_err();
    assert!(matches!(error, EmbedError::InvalidConfig(_)), "{error}");
}
