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

#[test]
fn a_token_for_masked_patches_may_be_missing() {
    // By the name that a user gives it, at its real size but for its depth.
    let Ok(NetworkConfig::PlainVit(mut config)) =
        NetworkConfig::decode_variant("dinov2_vit_small_patch14_reg4")
    else {
        panic!("a plain vision transformer");
    };
    (
        config.depth,
        config.img_size,
        config.embed_dim,
        config.num_heads,
    ) = (2, 28, 12, 2);
    let device = Device::default();
    let without = morphospace_models::PlainVitConfig {
        mask_token: false,
        ..config.clone()
    };
    let theirs = without.init(&device, Seed::new(3)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("timm.safetensors");
    morphospace_models::save_weights(&theirs, &path).unwrap();
    let file = WeightsFile::open(&path).unwrap();
    let ours = config.init(&device, Seed::new(4)).unwrap();
    let (ours, report) = import_weights(&ours, &file).unwrap();
    assert_eq!(
        report.adapted,
        [("mask_token".to_owned(), Adaptation::NoMaskToken)]
    );
    assert!(
        report
            .to_string()
            .contains("'mask_token' is not there and is zeros")
    );
    let images = crate::support::images(2, 6, 28, &device);
    let embedding = |network: &dyn Encoder| {
        network
            .forward_pooled(images.clone(), Pooling::Cls)
            .into_data()
    };
    assert_eq!(embedding(&ours), embedding(&theirs));
    // But not everything else with it.
    let other = case("torchvision_densenet").1;
    let other = WeightsFile::open(&other).unwrap();
    assert!(import_weights(&ours, &other).is_err());
}

#[test]
fn another_network_in_the_file_is_named() {
    let (case, file) = case("dino_checkpoint");
    let folder = tempfile::tempdir().unwrap();
    let report = imported(&case, &file, folder.path());
    assert_eq!(report.passed_over, ["student.module.backbone."]);
}

#[test]
fn a_variance_below_zero_is_refused() {
    let device = Device::default();
    let (case, file) = case("hugging_face_resnet");
    let network = case.network.init(&device, Seed::new(1)).unwrap();
    let bytes = fs::read(file).unwrap();
    // All running variances are positive there: turn the sign of every one of
    // the first such tensor.
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let tensors = header.as_object().unwrap();
    let (name, info) = tensors
        .iter()
        .find(|(name, _)| name.ends_with("running_var"))
        .unwrap();
    let offsets = &info["data_offsets"];
    let mut spoilt = bytes.clone();
    let place = 8 + length + offsets[0].as_u64().unwrap() as usize;
    spoilt[place + 3] |= 0x80;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, spoilt).unwrap();
    let error = import_weights(&network, &WeightsFile::open(&path).unwrap()).unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
    assert!(error.to_string().contains("below zero"), "{error}");
}

#[test]
fn a_file_without_its_decoder_is_told_by_what_it_lacks() {
    let device = Device::default();
    let Ok(NetworkConfig::CaMae(mut config)) = NetworkConfig::decode_variant("openphenom") else {
        panic!("an autoencoder");
    };
    (
        config.encoder.depth,
        config.encoder.embed_dim,
        config.encoder.num_heads,
    ) = (1, 12, 2);
    (
        config.decoder.depth,
        config.decoder.embed_dim,
        config.decoder.num_heads,
    ) = (1, 16, 2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("encoder.safetensors");
    let encoder = config.encoder.init(&device, Seed::new(1)).unwrap();
    morphospace_models::save_weights(&encoder, &path).unwrap();
    let file = WeightsFile::open(&path).unwrap();
    let whole = config.init(&device, Seed::new(2)).unwrap();
    // The encoder's own names stand for `encoder.vit_backbone.` ones.
    let error = import_weights(&whole, &file).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
    let (_, report) =
        import_weights(&config.encoder.init(&device, Seed::new(3)).unwrap(), &file).unwrap();
    assert!(report.left_out.is_empty());
}
