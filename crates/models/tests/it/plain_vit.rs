//! What must hold of plain vision transformers.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use morphospace_models::blocks::feed_forward::FeedForwardKind;
use morphospace_models::blocks::position_interpolation::PositionInterpolation;
use morphospace_models::{
    CheckpointConfig, Encoder, GlobalPool, NetworkConfig, PlainVitConfig, Pooling, VitConfig,
    open_checkpoint, parameters, save_checkpoint,
};

use crate::support::{check_gradients, gradients, images, largest_difference, values};

fn tiny() -> PlainVitConfig {
    PlainVitConfig {
        img_size: 16,
        patch_size: 4,
        in_chans: 3,
        embed_dim: 24,
        depth: 2,
        num_heads: 2,
        ..PlainVitConfig::default()
    }
}

fn tiny_with_registers() -> PlainVitConfig {
    PlainVitConfig {
        feed_forward: FeedForwardKind::SwiGlu,
        init_values: Some(0.5),
        num_registers: 2,
        mask_token: true,
        interpolation: PositionInterpolation::DINO_V2,
        ..tiny()
    }
}

#[test]
fn every_parameter_receives_a_gradient_at_any_size() {
    let device = Device::default().autodiff();
    for config in [tiny(), tiny_with_registers()] {
        for side in [16, 12, 24] {
            let vit = config.init(&device, Seed::new(1)).unwrap();
            let num_patches = (side / 4) * (side / 4);
            let mask = config.mask_token.then(|| {
                let places = Tensor::arange(0..num_patches as i64, &device).float();
                places.lower_elem(2.0).float().unsqueeze_dim::<2>(0)
            });
            let mask = mask.map(|mask| mask.expand([2, num_patches]));
            let tokens = vit.embed_tokens(images(2, 3, side, &device), mask);
            let tokens = vit.normalise(vit.forward_tokens(tokens, None));
            // Weighted, as the norm makes every sum of squares alike.
            let weights = Tensor::arange(0..24, &device).float().reshape([1, 1, 24]);
            let loss = (tokens.tanh() * weights).sum();
            let found = gradients(&vit, &loss);
            // A bias of all keys is invisible; its part of the bias is not.
            check_gradients(&found, &[]);
        }
    }
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    let device = Device::default();
    let vit = tiny_with_registers().init(&device, Seed::new(1)).unwrap();
    let batch = images(3, 3, 16, &device);
    let alone = vit.forward_pooled(batch.clone().narrow(0, 0, 1), Pooling::Cls);
    let together = vit.forward_pooled(batch, Pooling::Cls).narrow(0, 0, 1);
    assert!(largest_difference(alone, together) < 1e-5);
}

#[test]
fn drop_path_acts_in_training_only() {
    let device = Device::default();
    let config = PlainVitConfig {
        drop_path_rate: 0.5,
        ..tiny()
    };
    let vit = config.init(&device, Seed::new(1)).unwrap();
    let tokens = vit.embed_tokens(images(8, 3, 16, &device), None);
    let forward =
        |seed: Option<u64>| values(vit.forward_tokens(tokens.clone(), seed.map(Seed::new)));
    assert!(forward(None) == forward(None));
    assert!(forward(Some(1)) == forward(Some(1)));
    assert!(forward(Some(1)) != forward(Some(2)));
    assert!(forward(Some(1)) != forward(None));
}

#[test]
fn a_table_keeps_constants_and_its_own_size() {
    let device = Device::default();
    let table = Tensor::<3>::ones([1, 16, 3], &device) * 2.5;
    for interpolation in [PositionInterpolation::DINO, PositionInterpolation::DINO_V2] {
        for (rows, cols) in [(4, 4), (2, 3), (7, 4), (9, 1)] {
            let resized = interpolation.resize(table.clone(), rows, cols);
            assert_eq!(resized.dims(), [1, rows * cols, 3]);
            let worst = (resized - 2.5).abs().max().into_scalar::<f32>();
            assert!(worst < 1e-5, "{rows} x {cols}: {worst}");
        }
    }
}

#[test]
fn variants_decode_by_name_or_say_the_nearest() {
    let config = PlainVitConfig::decode_variant("dinov2_vit_large_patch14_reg4").unwrap();
    assert_eq!(
        (config.embed_dim, config.num_registers, config.img_size),
        (1024, 4, 518)
    );
    assert_eq!(config.interpolation, PositionInterpolation::DINO_V2);
    let plain = PlainVitConfig::decode_variant("dinov2_vit_small_patch14").unwrap();
    assert_eq!(plain.interpolation, PositionInterpolation::DINO);
    for (name, hint) in [
        (
            "dino_vit_smal_patch16",
            "did you mean 'dino_vit_small_patch16'?",
        ),
        ("dino_vit_small", "names look like"),
        ("dino_vit_small_patch16_reg4", "names look like"),
        ("vit_small_patch16", "names look like"),
    ] {
        let error = PlainVitConfig::decode_variant(name)
            .unwrap_err()
            .to_string();
        assert!(error.contains(hint), "{name}: {error}");
    }
    let config = PlainVitConfig {
        img_size: 250,
        ..PlainVitConfig::default()
    };
    let error = config.check().unwrap_err().to_string();
    assert!(error.contains("nearest: 240, 256"), "{error}");
}

/// What a network gives behind a block is what it gives trimmed to it, from
/// memory and from a checkpoint, which is smaller.
fn check_trimmed<M: Module + Encoder>(
    network: M,
    trimmed: M,
    config: NetworkConfig,
    num_blocks: usize,
) {
    let device = Device::default();
    let folder = tempfile::tempdir().unwrap();
    let images = images(2, 3, 16, &device);
    for pooling in [Pooling::Cls, Pooling::PatchMean] {
        let behind = network.forward_blocks(images.clone(), &[num_blocks - 1], pooling);
        let expected = values(behind[0].clone());
        assert_eq!(trimmed.num_blocks(), num_blocks);
        assert_eq!(
            values(trimmed.forward_pooled(images.clone(), pooling)),
            expected
        );
        save_checkpoint(
            folder.path(),
            &CheckpointConfig::new(config.clone()),
            &trimmed,
        )
        .unwrap();
        let opened = open_checkpoint(folder.path(), &device).unwrap();
        assert_eq!(
            values(opened.forward_pooled(images.clone(), pooling)),
            expected
        );
    }
    assert!(parameters(&trimmed).len() < parameters(&network).len());
}

#[test]
fn a_trimmed_network_is_the_first_blocks_alone() {
    let device = Device::default();
    let vit = tiny_with_registers().init(&device, Seed::new(1)).unwrap();
    let trimmed = vit.clone().trimmed(1).unwrap();
    let config = NetworkConfig::PlainVit(trimmed.config().clone());
    check_trimmed(vit.clone(), trimmed, config, 1);
    for num_blocks in [0, 3] {
        let error = vit.clone().trimmed(num_blocks).unwrap_err().to_string();
        assert!(error.contains("is not in 1..=2"), "{error}");
    }
    for global_pool in [GlobalPool::Token, GlobalPool::Avg] {
        let config = VitConfig {
            img_size: 16,
            patch_size: 4,
            in_chans: 3,
            embed_dim: 24,
            depth: 3,
            num_heads: 2,
            init_values: 0.5,
            global_pool,
            ..VitConfig::default()
        };
        let vit = config.init(&device, Seed::new(1)).unwrap();
        let trimmed = vit.clone().trimmed(2).unwrap();
        let config = trimmed.config().clone();
        assert!((config.drop_path_rate - 0.05).abs() < 1e-12);
        check_trimmed(vit, trimmed, NetworkConfig::Vit(config), 2);
    }
}
