//! Weights as other programs write them: tiny networks of theirs
//! (`make_foreign_cases.py`) give here what they give there.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use morphospace_core::Seed;
use morphospace_models::{
    Adaptation, CheckpointConfig, Encoder, ImportReport, Network, NetworkConfig, Pooling,
    VitConfig, WeightsError, WeightsFile, import_checkpoint, import_weights, open_checkpoint,
    save_checkpoint, trim_checkpoint,
};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    weights: String,
    network: NetworkConfig,
    pooling: Pooling,
    shape: [usize; 4],
    image: Vec<f32>,
    embedding: Vec<f32>,
    prefix: String,
    left_out: usize,
}

fn foreign() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign")
}

fn case(name: &str) -> (Case, PathBuf) {
    let folder = foreign().join(name);
    let text = fs::read_to_string(folder.join("case.json")).unwrap();
    let case: Case = serde_json::from_str(&text).unwrap();
    let file = folder.join(&case.weights);
    (case, file)
}

fn imported(case: &Case, file: &Path, folder: &Path) -> ImportReport {
    let config = CheckpointConfig::new(case.network.clone());
    let file = WeightsFile::open(file).unwrap();
    import_checkpoint(folder, &config, &file, &Device::default()).unwrap()
}

#[test]
fn networks_of_other_programs_give_what_they_give_there() {
    let mut names: Vec<String> = fs::read_dir(foreign())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 6, "{names:?}");
    for name in names {
        let (case, file) = case(&name);
        let folder = tempfile::tempdir().unwrap();
        let report = imported(&case, &file, folder.path());
        assert_eq!(report.prefix, case.prefix, "{name}");
        assert_eq!(
            report.left_out.len(),
            case.left_out,
            "{name}: {:?}",
            report.left_out
        );
        let device = Device::default();
        let encoder = open_checkpoint(folder.path(), &device).unwrap();
        encoder.check(case.shape[1], case.pooling).unwrap();
        let mut images = Tensor::<4>::from_data(TensorData::new(case.image, case.shape), &device);
        if encoder.img_size() == 2 * case.shape[2] {
            // Each pixel four times.
            let [batch, chans, height, width] = case.shape;
            images = images
                .reshape([batch, chans, height, 1, width])
                .repeat_dim(3, 2)
                .reshape([batch, chans, 2 * height, width, 1])
                .repeat_dim(4, 2)
                .reshape([batch, chans, 2 * height, 2 * width]);
        }
        let found = encoder.forward_pooled(images, case.pooling).into_data();
        for (found, expected) in found.iter::<f32>().zip(case.embedding) {
            let tolerance = 1e-4 * expected.abs().max(1.0);
            assert!(
                (found - expected).abs() < tolerance,
                "{name}: {found}, not {expected}"
            );
        }
    }
}

#[test]
fn what_was_needed_to_fit_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let report = |name: &str| {
        let (case, file) = case(name);
        imported(&case, &file, folder.path())
    };
    let dino = report("dino_checkpoint");
    assert_eq!(
        dino.adapted,
        [(
            "patch_embed.proj.weight".to_owned(),
            Adaptation::InputChannels { from: 3, to: 6 }
        )]
    );
    assert_eq!(dino.num_renamed, 0);
    insta::assert_snapshot!("dino_checkpoint", dino.to_string());
    insta::assert_snapshot!("hugging_face_vit", report("hugging_face_vit").to_string());
    insta::assert_snapshot!("timm_dinov2", report("timm_dinov2").to_string());
}

#[test]
fn weights_of_another_network_are_refused_with_the_difference() {
    let (_, file) = case("hugging_face_vit");
    let file = WeightsFile::open(&file).unwrap();
    let refused = |config: NetworkConfig| {
        let network = config.init(&Device::default(), Seed::new(1)).unwrap();
        let error = import_weights(&network, &file).unwrap_err();
        assert!(matches!(error, WeightsError::DoNotFit { .. }), "{error}");
        error.to_string()
    };
    let (case, _) = case("torchvision_densenet");
    let other = refused(case.network);
    assert!(other.contains("of another kind"), "{other}");
    let mut wide = self::case("hugging_face_vit").0.network;
    if let NetworkConfig::PlainVit(config) = &mut wide {
        config.embed_dim = 16;
    }
    let wide = refused(wide);
    assert!(
        wide.contains("mismatched") && wide.contains("compare its sizes"),
        "{wide}"
    );
}

#[test]
fn a_checkpoint_is_trimmed_to_its_first_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    let device = Device::default();
    let config = VitConfig {
        img_size: 16,
        patch_size: 8,
        embed_dim: 24,
        depth: 3,
        num_heads: 2,
        init_values: 0.5,
        ..VitConfig::default()
    };
    let vit = config.init(&device, Seed::new(4)).unwrap();
    let config = CheckpointConfig {
        normalisation: Some("instance_norm".to_owned()),
        ..CheckpointConfig::new(NetworkConfig::Vit(config))
    };
    save_checkpoint(&whole, &config, &vit).unwrap();
    let kept = trim_checkpoint(&whole, 2, &cut, &device).unwrap();
    assert_eq!(kept.normalisation, config.normalisation);
    let images = crate::support::images(2, 6, 16, &device);
    let of_block = vit.forward_blocks(images.clone(), &[1], Pooling::PatchMean);
    let trimmed = open_checkpoint(&cut, &device).unwrap();
    let of_trimmed = trimmed.forward_pooled(images, Pooling::PatchMean);
    assert_eq!(of_trimmed.into_data(), of_block[0].clone().into_data());
    let len = |folder: &Path| {
        fs::metadata(folder.join("model.safetensors"))
            .unwrap()
            .len()
    };
    assert!(len(&cut) < len(&whole));
    let error = trim_checkpoint(&whole, 4, &cut, &device).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("4 blocks to keep is not in 1..=3"),
        "{error}"
    );
}

#[test]
fn a_network_is_built_from_its_config_whatever_its_kind() {
    let device = Device::default();
    for name in [
        "vit_small_patch16",
        "mae_vit_small_patch16",
        "openphenom",
        "imagenet_vit_large_patch16",
        "dinov2_vit_giant_patch14_reg4",
        "supervised_densenet161",
        "supervised_resnet18",
        "munet_l",
    ] {
        let config = NetworkConfig::decode_variant(name).unwrap();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<NetworkConfig>(&json).unwrap(),
            config,
            "{name}"
        );
        let network = config.init(&device, Seed::new(1)).unwrap();
        assert!(!matches!((&network, name), (Network::Vit(_), "openphenom")));
        assert_eq!(
            network.into_encoder().img_size(),
            config.img_size(),
            "{name}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_to_a_pickle_makes_the_reader_panic(
        place in 0.0..1.0_f64, byte: u8, cut in proptest::option::of(0.0..1.0_f64)
    ) {
        for name in ["dino_checkpoint", "hugging_face_dinov2", "timm_dinov2"] {
            let (case, file) = case(name);
            let mut bytes = fs::read(file).unwrap();
            let len = bytes.len() as f64;
            bytes[(place * len) as usize] = byte;
            if let Some(cut) = cut {
                bytes.truncate((cut * len) as usize);
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model.bin");
            fs::write(&path, bytes).unwrap();
            if let Ok(file) = WeightsFile::open(&path) {
                let network = case.network.init(&Device::default(), Seed::new(1)).unwrap();
                let _ = import_weights(&network, &file);
            }
        }
    }
}
