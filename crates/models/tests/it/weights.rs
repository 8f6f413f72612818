//! Weights in and out: round trips, foreign layouts, hostile files.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::{Seed, Stain};
use morphospace_models::{
    CheckpointConfig, Encoder, MaeConfig, MaeDecoderConfig, ModelError, NetworkConfig, Pooling,
    Unexpected, Vit, VitConfig, WeightsError, WeightsFile, load_weights, open_checkpoint,
    parameters, read_checkpoint_config, save_checkpoint, save_weights,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn config() -> VitConfig {
    VitConfig {
        img_size: 8,
        patch_size: 4,
        in_chans: 2,
        embed_dim: 8,
        depth: 1,
        num_heads: 2,
        ..VitConfig::default()
    }
}

fn vit(seed: u64) -> Vit {
    config().init(&Device::default(), Seed::new(seed)).unwrap()
}

fn weights<M: Module>(module: &M, folder: &Path, name: &str) -> Vec<u8> {
    let path = folder.join(name);
    save_weights(module, &path).unwrap();
    fs::read(path).unwrap()
}

/// A file with a header of our making.
fn write(folder: &Path, header: &Value, data: &[u8]) -> PathBuf {
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    write_bytes(folder, &[&length, header.as_bytes(), data].concat())
}

fn write_bytes(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("model.safetensors");
    fs::write(&path, bytes).unwrap();
    path
}

/// The header of a file and its data.
fn taken_apart(bytes: &[u8]) -> (Value, Vec<u8>) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    (header, bytes[8 + length..].to_vec())
}

#[test]
fn weights_survive_the_round_trip_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = weights(&vit(1), folder.path(), "first.safetensors");
    let file = WeightsFile::open(&folder.path().join("first.safetensors")).unwrap();
    let (loaded, report) = load_weights(&vit(2), &file, "", Unexpected::Refuse).unwrap();
    assert_eq!(report.loaded.len(), parameters(&vit(1)).len());
    assert_eq!(weights(&loaded, folder.path(), "second.safetensors"), bytes);
    assert_ne!(weights(&vit(2), folder.path(), "third.safetensors"), bytes);
}

#[test]
fn files_hold_linear_weights_out_by_in() {
    let folder = tempfile::tempdir().unwrap();
    let vit = vit(1);
    weights(&vit, folder.path(), "model.safetensors");
    let file = WeightsFile::open(&folder.path().join("model.safetensors")).unwrap();
    assert_eq!(
        file.shape("blocks.0.in_proj.weight"),
        Some([56, 8].as_slice())
    );
    assert_eq!(
        file.shape("patch_embed.proj.weight"),
        Some([8, 2, 4, 4].as_slice())
    );
    let weight = vit.blocks[0].in_proj.weight.val().transpose();
    let weight: Vec<f32> = weight.into_data().iter::<f32>().collect();
    assert_eq!(file.read("blocks.0.in_proj.weight").unwrap(), Some(weight));
}

#[test]
fn loading_keeps_fixed_tables_fixed_and_the_rest_trainable() {
    let folder = tempfile::tempdir().unwrap();
    weights(&vit(1), folder.path(), "model.safetensors");
    let file = WeightsFile::open(&folder.path().join("model.safetensors")).unwrap();
    let device = Device::default().autodiff();
    let network = config().init(&device, Seed::new(2)).unwrap();
    let ids = |vit: &Vit| {
        parameters(vit)
            .into_iter()
            .map(|p| p.id)
            .collect::<Vec<_>>()
    };
    let (loaded, _) = load_weights(&network, &file, "", Unexpected::Refuse).unwrap();
    assert_eq!(
        ids(&loaded),
        ids(&network),
        "optimisers know parameters by these"
    );
    let images = Tensor::ones([1, 2, 8, 8], &device);
    let gradients = loaded.forward_features(images).square().sum().backward();
    assert!(loaded.pos_embed.grad(&gradients).is_none());
    assert!(loaded.cls_token.grad(&gradients).is_some());
}

#[test]
fn an_encoder_opens_from_an_autoencoders_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::default();
    let config = MaeConfig {
        encoder: config(),
        decoder: MaeDecoderConfig {
            embed_dim: 8,
            depth: 1,
            num_heads: 2,
            ..Default::default()
        },
        mask_ratio: 0.5,
        ..MaeConfig::default()
    };
    let mae = config.init(&device, Seed::new(1)).unwrap();
    let network = NetworkConfig::Mae(config.clone());
    let bare = CheckpointConfig::new(network.clone());
    let known = CheckpointConfig {
        network,
        channels: Some(vec![Stain::Dna, Stain::Other("w9".to_owned())]),
        normalisation: Some("std_plus_eps".to_owned()),
        pixel_history: Some(vec!["z-planes: max".to_owned()]),
        uses_labels: Some(true),
        classes: Some(vec!["EMPTY".to_owned(), "s1".to_owned()]),
        domains: None,
    };
    for config in [bare, known] {
        save_checkpoint(folder.path(), &config, &mae).unwrap();
        assert_eq!(read_checkpoint_config(folder.path()).unwrap(), config);
    }
    let images = Tensor::ones([1, 2, 8, 8], &device);
    let expected = mae
        .encoder
        .vit_backbone
        .forward_pooled(images.clone(), Pooling::PatchMean);
    let encoder = open_checkpoint(folder.path(), &device).unwrap();
    let found = encoder.forward_pooled(images.clone(), Pooling::PatchMean);
    assert_eq!(found.into_data(), expected.clone().into_data());

    // The same file with the config of its encoder alone.
    let text = serde_json::to_string(&NetworkConfig::Vit(config.encoder)).unwrap();
    fs::write(folder.path().join("config.json"), text).unwrap();
    let encoder = open_checkpoint(folder.path(), &device).unwrap();
    let found = encoder.forward_pooled(images, Pooling::PatchMean);
    assert_eq!(found.into_data(), expected.into_data());
}

#[test]
fn half_precision_files_open() {
    let folder = tempfile::tempdir().unwrap();
    let vit = vit(1);
    let (mut header, data) = taken_apart(&weights(&vit, folder.path(), "full.safetensors"));
    // bfloat16 is the upper half of a float.
    let halves: Vec<u8> = data.chunks_exact(4).flat_map(|b| [b[2], b[3]]).collect();
    for (_, info) in header
        .as_object_mut()
        .unwrap()
        .iter_mut()
        .filter(|(k, _)| !k.starts_with("__"))
    {
        info["dtype"] = json!("BF16");
        for offset in info["data_offsets"].as_array_mut().unwrap() {
            *offset = json!(offset.as_u64().unwrap() / 2);
        }
    }
    let file = WeightsFile::open(&write(folder.path(), &header, &halves)).unwrap();
    let (loaded, _) = load_weights(&vit, &file, "", Unexpected::Refuse).unwrap();
    let full: Vec<f32> = vit.cls_token.val().into_data().iter::<f32>().collect();
    let half: Vec<f32> = loaded.cls_token.val().into_data().iter::<f32>().collect();
    for (full, half) in full.iter().zip(&half) {
        assert!((full - half).abs() <= full.abs() / 128.0 && half.to_bits() & 0xffff == 0);
    }
}

#[test]
fn differences_are_reported_completely_and_nothing_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let other = VitConfig {
        in_chans: 3,
        depth: 2,
        ..config()
    };
    let other = other.init(&Device::default(), Seed::new(1)).unwrap();
    weights(&other, folder.path(), "other.safetensors");
    let file = WeightsFile::open(&folder.path().join("other.safetensors")).unwrap();
    let vit = vit(2);
    let before = weights(&vit, folder.path(), "before.safetensors");
    let error = load_weights(&vit, &file, "", Unexpected::Ignore).unwrap_err();
    let text = error.to_string();
    let WeightsError::DoNotFit { report, .. } = error else {
        panic!("{text}")
    };
    assert!(report.missing.is_empty());
    assert_eq!(report.mismatched.len(), 1);
    assert_eq!(report.unexpected.len(), 13);
    let expected = "patch_embed.proj.weight: expected [8, 2, 4, 4], found F32 [8, 3, 4, 4]";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("13 unexpected ('blocks.1."), "{text}");
    assert_eq!(weights(&vit, folder.path(), "after.safetensors"), before);

    // The other way round a block is missing.
    let file = WeightsFile::open(&folder.path().join("before.safetensors")).unwrap();
    let text = load_weights(&other, &file, "", Unexpected::Ignore)
        .unwrap_err()
        .to_string();
    assert!(text.contains("13 missing ('blocks.1."), "{text}");
    let text = load_weights(&vit, &file, "encoder.", Unexpected::Ignore)
        .unwrap_err()
        .to_string();
    assert!(text.contains("0 tensors fit; "), "{text}");
}

#[test]
fn left_over_tensors_are_refused_or_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (mut header, mut data) = taken_apart(&weights(&vit(1), folder.path(), "w.safetensors"));
    let end = data.len();
    header["head.bias"] = json!({"dtype": "F32", "shape": [1], "data_offsets": [end, end + 4]});
    data.extend([0; 4]);
    let file = WeightsFile::open(&write(folder.path(), &header, &data)).unwrap();
    let error = load_weights(&vit(2), &file, "", Unexpected::Refuse).unwrap_err();
    assert!(
        error.to_string().contains("1 unexpected ('head.bias')"),
        "{error}"
    );
    let (_, report) = load_weights(&vit(2), &file, "", Unexpected::Ignore).unwrap();
    assert_eq!(report.unexpected, ["head.bias"]);
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (header, mut data) = taken_apart(&weights(&vit(1), folder.path(), "w.safetensors"));
    let start = header["cls_token"]["data_offsets"][0].as_u64().unwrap() as usize;
    data[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let file = WeightsFile::open(&write(folder.path(), &header, &data)).unwrap();
    let error = load_weights(&vit(2), &file, "", Unexpected::Refuse).unwrap_err();
    assert!(error.to_string().contains("tensor 'cls_token'"), "{error}");
}

#[test]
fn damaged_torch_files_are_recognised_whatever_their_name() {
    let folder = tempfile::tempdir().unwrap();
    for start in [b"\x80\x02}q\x00X\n\x00".as_slice(), b"PK\x03\x04 zip"] {
        let path = write_bytes(folder.path(), &[start, &[7; 64]].concat());
        let error = WeightsFile::open(&path).unwrap_err();
        assert!(matches!(error, WeightsError::PyTorch { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("a PyTorch checkpoint") && text.contains("hint: if PyTorch opens it"),
            "{text}"
        );
    }
}

#[test]
fn hostile_headers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let check_bytes = |bytes: &[u8], expected: &str| {
        let error = WeightsFile::open(&write_bytes(folder.path(), bytes)).unwrap_err();
        assert!(matches!(error, WeightsError::Invalid { .. }), "{error}");
        assert!(
            error.to_string().contains(expected),
            "{error} lacks '{expected}'"
        );
    };
    check_bytes(b"", "fewer than a header");
    check_bytes(b"seven b", "fewer than a header");
    check_bytes(
        &u64::MAX.to_le_bytes(),
        "claims a header of 18446744073709551615 bytes",
    );
    check_bytes(
        &1_000_000u64.to_le_bytes(),
        "claims a header of 1000000 bytes in a file of 8",
    );
    check_bytes(
        &[&4u64.to_le_bytes()[..], b"oops"].concat(),
        "expected value",
    );
    check_bytes(
        &[&4u64.to_le_bytes()[..], b"\xff\xff\xff\xff"].concat(),
        "not a valid",
    );

    let check = |header: Value, data: &[u8], expected: &str| {
        let error = WeightsFile::open(&write(folder.path(), &header, data)).unwrap_err();
        assert!(matches!(error, WeightsError::Invalid { .. }), "{error}");
        assert!(
            error.to_string().contains(expected),
            "{error} lacks '{expected}'"
        );
    };
    let tensor = |shape: Value, offsets: Value| json!({"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}});
    check(tensor(json!([2]), json!([0, 8])), &[0; 4], "describes");
    check(tensor(json!([2]), json!([0, 8])), &[0; 12], "describes");
    check(tensor(json!([2]), json!([0, 4])), &[0; 4], "invalid shape");
    check(tensor(json!([2]), json!([8, 0])), &[0; 8], "invalid offset");
    check(
        tensor(json!([2]), json!([4, 12])),
        &[0; 12],
        "invalid offset",
    );
    check(
        tensor(json!([u64::MAX, 2]), json!([0, 8])),
        &[0; 8],
        "overflow",
    );
    check(tensor(json!([-1]), json!([0, 8])), &[0; 8], "not a valid");
    let unknown = json!({"a": {"dtype": "F31", "shape": [2], "data_offsets": [0, 8]}});
    check(unknown, &[0; 8], "F31");
    let overlapping = json!({
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
    });
    check(overlapping, &[0; 12], "invalid offset");
}

#[test]
fn bad_checkpoint_folders_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::default();
    let open = || open_checkpoint(folder.path(), &device).err().unwrap();
    let error = open();
    assert!(
        matches!(error, ModelError::CheckpointFile { .. }),
        "{error}"
    );
    let write_config = |text: &str| fs::write(folder.path().join("config.json"), text).unwrap();
    let source = |error: &ModelError| std::error::Error::source(error).unwrap().to_string();
    write_config("{\"kind\": \"vitt\", \"config\": {}}");
    assert!(source(&open()).contains("unknown variant `vitt`"));
    write_config("{\"kind\": \"vit\", \"config\": {\"img_sise\": 8}}");
    assert!(source(&open()).contains("unknown field `img_sise`"));
    write_config("{\"kind\": \"vit\", \"config\": {\"img_size\": 250}}");
    assert!(open().to_string().contains("nearest: 240, 256"));
    write_config("{\"kind\": \"vit\", \"config\": {}}");
    let error = open();
    assert!(error.to_string().contains("cannot read weights"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let _ = WeightsFile::open(&write_bytes(folder.path(), &bytes));
    }

    #[test]
    fn no_damage_makes_the_loader_panic(place in 0usize..3000, byte: u8, cut in 0usize..3000) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = weights(&vit(1), folder.path(), "good.safetensors");
        let place = place % bytes.len();
        bytes[place] = byte;
        if cut % 2 == 0 {
            bytes.truncate(bytes.len() - cut.min(bytes.len()));
        }
        if let Ok(file) = WeightsFile::open(&write_bytes(folder.path(), &bytes)) {
            let _ = load_weights(&vit(2), &file, "", Unexpected::Refuse);
        }
    }
}

#[test]
fn a_header_may_be_as_long_as_a_pickle_begins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save_weights(&vit(1), &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let (header, data) = taken_apart(&bytes);
    // 0x0280 and 0x10280: the bytes 80 02, as of a pickle of protocol 2.
    for length in [0x0280_usize, 0x1_0280, 0x0380, 0x1_0480] {
        let mut header = header.to_string();
        if header.len() > length {
            continue;
        }
        header.push_str(&" ".repeat(length - header.len()));
        let start = (length as u64).to_le_bytes();
        let path = write_bytes(folder.path(), &[&start, header.as_bytes(), &data].concat());
        let file = WeightsFile::open(&path).unwrap();
        load_weights(&vit(2), &file, "", Unexpected::Refuse).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused() {
    for path in ["/dev/null", "/dev/zero", "/"] {
        let error = WeightsFile::open(Path::new(path)).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}
