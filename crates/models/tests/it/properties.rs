//! What must hold whatever the weights are.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use morphospace_core::Seed;
use morphospace_models::{
    CaMaeConfig, ChannelSupport, Encoder, FourierView, GlobalPool, MaeConfig, MaeDecoderConfig,
    MaeLossConfig, Masking, NetworkConfig, Pooling, Precision, VitConfig, mae_loss,
};

use crate::support::{check_gradients, gradients, images, largest_difference, values};

fn tiny_vit() -> VitConfig {
    VitConfig {
        img_size: 16,
        patch_size: 4,
        in_chans: 3,
        embed_dim: 24,
        depth: 2,
        num_heads: 2,
        init_values: 0.5,
        ..VitConfig::default()
    }
}

pub(crate) fn tiny_mae() -> MaeConfig {
    MaeConfig {
        encoder: tiny_vit(),
        decoder: MaeDecoderConfig {
            embed_dim: 16,
            depth: 1,
            num_heads: 2,
            ..MaeDecoderConfig::default()
        },
        ..MaeConfig::default()
    }
}

pub(crate) fn tiny_camae() -> CaMaeConfig {
    CaMaeConfig {
        encoder: VitConfig {
            channel_agnostic: true,
            in_chans: 4,
            ..tiny_vit()
        },
        channels: 3,
        decoder: MaeDecoderConfig {
            num_heads: 4,
            ..tiny_mae().decoder
        },
        ..CaMaeConfig::default()
    }
}

fn scalar(tensor: Tensor<1>) -> f32 {
    tensor.into_scalar::<f32>()
}

fn permuted<const D: usize>(tensor: Tensor<D>, order: &[i64]) -> Tensor<D> {
    let device = tensor.device();
    tensor.select(
        1,
        Tensor::<1, Int>::from_data(TensorData::from(order), &device),
    )
}

#[test]
fn shapes() {
    let device = Device::default();
    let batch = images(2, 3, 16, &device);
    let vit = tiny_vit().init(&device, Seed::new(1)).unwrap();
    assert_eq!(vit.embed_tokens(batch.clone()).dims(), [2, 17, 24]);
    assert_eq!(vit.forward_features(batch.clone()).dims(), [2, 17, 24]);
    assert_eq!(vit.tokens_after_blocks(batch.clone()).len(), 2);
    let pooled = vit.forward_blocks(batch.clone(), &[1, 0, 1], Pooling::Cls);
    assert_eq!(pooled.len(), 3);
    assert_eq!(pooled[0].to_data(), pooled[2].to_data());
    assert_eq!(pooled[0].dims(), [2, 24]);
    assert_eq!(vit.in_chans(), ChannelSupport::Exactly(3));

    let ca = tiny_camae().encoder.init(&device, Seed::new(1)).unwrap();
    assert_eq!(ca.in_chans(), ChannelSupport::UpTo(4));
    for chans in 1..=4 {
        let pooled = ca.forward_pooled(images(2, chans, 16, &device), Pooling::PerChannel);
        assert_eq!(
            pooled.dims(),
            [2, ca.num_pooled_features(chans, Pooling::PerChannel)]
        );
        assert_eq!(pooled.dims(), [2, chans * 24]);
    }

    let mae = tiny_mae().init(&device, Seed::new(1)).unwrap();
    let masking = Masking::random(Seed::new(2), 2, mae.num_tokens(), 0.75).unwrap();
    let output = mae.forward(batch.clone(), &masking, None);
    assert_eq!(output.latent.dims(), [2, 5, 24]);
    assert_eq!(output.decoder_tokens.dims(), [2, 17, 16]);
    assert_eq!(output.reconstruction.dims(), [2, 16, 48]);
    assert_eq!(output.mask.dims(), [2, 16]);

    let camae = tiny_camae().init(&device, Seed::new(1)).unwrap();
    let masking = Masking::random(Seed::new(2), 2, camae.num_tokens(), 0.75).unwrap();
    let output = camae.forward(batch, &masking, None);
    assert_eq!(output.latent.dims(), [2, 13, 24]);
    assert_eq!(output.reconstruction.dims(), [2, 48, 16]);
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_others() {
    let device = Device::default();
    let batch = images(2, 3, 16, &device);
    let embed = |seed| {
        let vit = tiny_vit().init(&device, Seed::new(seed)).unwrap();
        values(vit.forward_pooled(batch.clone(), Pooling::PatchMean))
    };
    assert_eq!(embed(1), embed(1));
    assert_ne!(embed(1), embed(2));
    let vit = tiny_vit().init(&device, Seed::new(1)).unwrap();
    let weight = |block: usize| values(vit.blocks[block].in_proj.weight.val());
    assert_ne!(weight(0), weight(1));
}

#[test]
fn an_untrained_network_tells_images_apart() {
    let device = Device::default();
    for config in [
        tiny_vit(),
        VitConfig {
            init_values: 1e-4,
            ..tiny_vit()
        },
    ] {
        for global_pool in [GlobalPool::Token, GlobalPool::Avg] {
            let config = VitConfig {
                global_pool,
                ..config.clone()
            };
            let vit = config.init(&device, Seed::new(1)).unwrap();
            let pooled = vit.forward_pooled(images(4, 3, 16, &device), Pooling::PatchMean);
            let spread = pooled.clone().var(0).sqrt().mean().into_scalar::<f32>();
            assert!(values(pooled).iter().all(|value| value.is_finite()));
            assert!(spread > 1e-3, "{config:?}: {spread}");
        }
    }
}

#[test]
fn channels_permute_with_the_kernel() {
    let device = Device::default();
    let batch = images(2, 3, 16, &device);
    let order = [2, 0, 1];
    let mut vit = tiny_vit().init(&device, Seed::new(1)).unwrap();
    let expected = vit.forward_pooled(batch.clone(), Pooling::PatchMean);
    let kernel = vit.patch_embed.proj.weight.val();
    vit.patch_embed.proj.weight = Param::from_tensor(permuted(kernel, &order));
    let found = vit.forward_pooled(permuted(batch, &order), Pooling::PatchMean);
    assert!(largest_difference(found, expected) < 1e-5);
}

#[test]
fn a_channel_agnostic_network_does_not_know_the_order_of_channels() {
    let device = Device::default();
    let batch = images(2, 3, 16, &device);
    let order = [2, 0, 1];
    let ca = tiny_camae().encoder.init(&device, Seed::new(1)).unwrap();
    let pooled = |batch: &Tensor<4>, pooling| ca.forward_pooled(batch.clone(), pooling);
    let shuffled = permuted(batch.clone(), &order);
    let mean = |batch| pooled(batch, Pooling::PatchMean);
    assert!(largest_difference(mean(&batch), mean(&shuffled)) < 1e-5);
    let per_channel = |batch| pooled(batch, Pooling::PerChannel).reshape([2, 3, 24]);
    let expected = permuted::<3>(per_channel(&batch), &order);
    assert!(largest_difference(per_channel(&shuffled), expected) < 1e-5);
}

#[test]
fn the_loss_ignores_kept_patches() {
    let device = Device::default();
    let batch = images(2, 3, 16, &device);
    let mae = tiny_mae().init(&device, Seed::new(1)).unwrap();
    let masking = Masking::random(Seed::new(2), 2, 16, 0.5).unwrap();
    let output = mae.forward(batch.clone(), &masking, None);
    let kept = output
        .mask
        .clone()
        .mul_scalar(-1.0)
        .add_scalar(1.0)
        .unsqueeze_dim::<3>(2);
    let removed = output.mask.clone().unsqueeze_dim::<3>(2);
    for norm_pix_loss in [false, true] {
        let config = MaeLossConfig {
            norm_pix_loss,
            fourier_weight: 0.0,
            fourier_view: FourierView::Asis,
        };
        let loss = |reconstruction| {
            let mask = output.mask.clone();
            scalar(mae_loss(&config, batch.clone(), reconstruction, mask, 4, false).total)
        };
        let before = loss(output.reconstruction.clone());
        let elsewhere = output.reconstruction.clone() + kept.clone() * 7.0;
        assert_eq!(loss(elsewhere), before);
        let here = output.reconstruction.clone() + removed.clone() * 7.0;
        assert!(loss(here) > before + 1.0);
    }
}

#[test]
fn the_encoder_does_not_see_removed_patches() {
    let device = Device::default();
    let batch = images(1, 3, 16, &device);
    let mae = tiny_mae().init(&device, Seed::new(1)).unwrap();
    let masking = Masking::random(Seed::new(2), 1, 16, 0.75).unwrap();
    let expected = mae.forward(batch.clone(), &masking, None).latent;
    // Paint over one removed patch.
    let removed = (0..16)
        .find(|patch| !masking.kept(0).contains(patch))
        .unwrap();
    let (y, x) = (removed / 4 * 4, removed % 4 * 4);
    let painted = batch.slice_fill([0..1, 0..3, y..y + 4, x..x + 4], 9.0);
    let found = mae.forward(painted, &masking, None).latent;
    assert_eq!(found.into_data(), expected.into_data());
}

#[test]
fn every_parameter_receives_a_gradient_and_tables_none() {
    let device = Device::default().autodiff();
    let batch = images(2, 3, 16, &device);
    for fourier_weight in [0.0, 0.01] {
        let loss = MaeLossConfig {
            fourier_weight,
            ..MaeLossConfig::default()
        };
        let config = MaeConfig {
            loss: loss.clone(),
            ..tiny_mae()
        };
        let mae = config.init(&device, Seed::new(1)).unwrap();
        let masking = Masking::random(Seed::new(2), 2, mae.num_tokens(), 0.75).unwrap();
        let output = mae.forward(batch.clone(), &masking, Some(Seed::new(3)));
        let loss_of_mae = mae.loss(batch.clone(), &output).total;
        let fixed = ["encoder.vit_backbone.pos_embed", "decoder.pos_embeddings"];
        check_gradients(&gradients(&mae, &loss_of_mae), &fixed);

        let camae = CaMaeConfig {
            loss,
            ..tiny_camae()
        }
        .init(&device, Seed::new(1))
        .unwrap();
        let masking = Masking::random(Seed::new(2), 2, camae.num_tokens(), 0.75).unwrap();
        let output = camae.forward(batch.clone(), &masking, Some(Seed::new(3)));
        let loss_of_camae = camae.loss(batch.clone(), &output).total;
        let fixed = [fixed[0], fixed[1], "decoder.placeholder"];
        check_gradients(&gradients(&camae, &loss_of_camae), &fixed);
    }
}

#[test]
fn drop_path_acts_in_training_only() {
    let device = Device::default();
    let config = VitConfig {
        drop_path_rate: 0.5,
        ..tiny_vit()
    };
    let vit = config.init(&device, Seed::new(1)).unwrap();
    let tokens = vit.embed_tokens(images(8, 3, 16, &device));
    let forward =
        |seed: Option<u64>| values(vit.forward_tokens(tokens.clone(), seed.map(Seed::new)));
    assert!(forward(None) == forward(None));
    assert!(forward(Some(1)) == forward(Some(1)));
    assert!(forward(Some(1)) != forward(Some(2)));
    assert!(forward(Some(1)) != forward(None));
}

#[test]
fn a_trained_network_embeds_on_the_plain_device() {
    let device = Device::default();
    let trained = tiny_vit()
        .init(&device.clone().autodiff(), Seed::new(1))
        .unwrap();
    let plain = tiny_vit().init(&device, Seed::new(1)).unwrap();
    let batch = images(2, 3, 16, &device);
    let expected = plain.forward_pooled(batch.clone(), Pooling::PatchMean);
    let found = trained.valid().forward_pooled(batch, Pooling::PatchMean);
    assert!(!found.is_autodiff());
    assert_eq!(found.into_data(), expected.into_data());
}

#[test]
fn unfit_images_are_refused_with_the_fix() {
    let device = Device::default();
    let check = |network: &dyn Encoder, chans, pooling, expected: &str| {
        let error = network.check(chans, pooling).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let vit = tiny_vit().init(&device, Seed::new(1)).unwrap();
    check(
        &vit,
        6,
        Pooling::PatchMean,
        "expects 3 channels of 16 x 16 pixels, got 6 channels",
    );
    check(
        &vit,
        3,
        Pooling::PerChannel,
        "needs a channel-agnostic network",
    );
    let ca = tiny_camae().encoder.init(&device, Seed::new(1)).unwrap();
    check(&ca, 5, Pooling::PatchMean, "expects 1 to 4 channels");
    ca.check(2, Pooling::PerChannel).unwrap();
}

#[test]
fn configurations_that_do_not_fit_are_refused_with_the_nearest_that_do() {
    let vit = VitConfig::default;
    let mae = MaeConfig::default;
    let cases: [(NetworkConfig, &str); 13] = [
        (
            NetworkConfig::Vit(VitConfig {
                img_size: 250,
                ..vit()
            }),
            "vit: img_size 250 is not a multiple of patch_size 16 (nearest: 240, 256)",
        ),
        (
            NetworkConfig::Vit(VitConfig {
                img_size: 8,
                ..vit()
            }),
            "vit: img_size 8 is not a multiple of patch_size 16 (nearest: 16)",
        ),
        (
            NetworkConfig::Vit(VitConfig {
                num_heads: 7,
                ..vit()
            }),
            "vit: embed_dim 384 is not a multiple of num_heads 7 (nearest: 378, 385)",
        ),
        (
            NetworkConfig::Vit(VitConfig {
                embed_dim: 6,
                num_heads: 2,
                ..vit()
            }),
            "vit: embed_dim 6 is not a multiple of 4, as sine-cosine positions need (nearest: 4, 8)",
        ),
        (
            NetworkConfig::Vit(VitConfig { depth: 0, ..vit() }),
            "vit: depth 0 is not in 1..=512",
        ),
        (
            NetworkConfig::Vit(VitConfig {
                drop_path_rate: 1.0,
                ..vit()
            }),
            "vit: drop_path_rate 1 is not in 0..1",
        ),
        (
            NetworkConfig::Vit(VitConfig {
                mlp_ratio: f64::NAN,
                ..vit()
            }),
            "vit: mlp_ratio NaN is not in 0..64",
        ),
        (
            NetworkConfig::Vit(VitConfig {
                norm_eps: 0.0,
                ..vit()
            }),
            "vit: norm_eps 0 is not a positive number",
        ),
        (
            NetworkConfig::Mae(MaeConfig {
                mask_ratio: 0.999,
                ..mae()
            }),
            "mae: mask_ratio 0.999 keeps none of 256 tokens, or is not in 0..1",
        ),
        (
            NetworkConfig::Mae(MaeConfig {
                mask_ratio: 0.0,
                ..mae()
            }),
            "mae: mask_ratio 0 removes none of 256 tokens: there is nothing to predict",
        ),
        (
            NetworkConfig::Mae(MaeConfig {
                encoder: VitConfig {
                    channel_agnostic: true,
                    ..vit()
                },
                ..mae()
            }),
            "mae: a channel-agnostic encoder needs the decoder of kind 'camae'",
        ),
        (
            NetworkConfig::CaMae(CaMaeConfig {
                channels: 12,
                ..CaMaeConfig::default()
            }),
            "camae: channels 12 is not in 1..=11 (the encoder's in_chans)",
        ),
        (
            NetworkConfig::CaMae(CaMaeConfig {
                decoder: MaeDecoderConfig {
                    embed_dim: 12,
                    num_heads: 2,
                    ..mae().decoder
                },
                ..CaMaeConfig::default()
            }),
            "camae: decoder embed_dim 12 is not a multiple of heads of the cross-attention 8 (nearest: 8, 16)",
        ),
    ];
    for (config, expected) in cases {
        assert_eq!(config.check().unwrap_err().to_string(), expected);
    }
}

#[test]
fn variants_decode_by_name() {
    let check = |name: &str, expected: Result<[usize; 4], &str>| match (
        NetworkConfig::decode_variant(name),
        expected,
    ) {
        (Ok(config), Ok(expected)) => {
            config.check().unwrap();
            let vit = match config {
                NetworkConfig::Vit(vit) => vit,
                NetworkConfig::Mae(mae) => mae.encoder,
                NetworkConfig::CaMae(camae) => camae.encoder,
                other => panic!("{other:?}"),
            };
            let found = [vit.embed_dim, vit.depth, vit.mlp_hidden(), vit.img_size];
            assert_eq!(found, expected, "{name}");
        }
        (Err(error), Err(hint)) => assert!(error.to_string().contains(hint), "{error}"),
        (found, expected) => panic!("{name}: {found:?}, expected {expected:?}"),
    };
    check("vit_tiny_patch16", Ok([192, 12, 768, 256]));
    check("vit_gigantic_patch8", Ok([1664, 48, 8192, 256]));
    check("mae_vit_large_patch8_128", Ok([1024, 24, 4096, 128]));
    check("camae_vit_small_patch16", Ok([384, 12, 1536, 256]));
    check("vit_smal_patch16", Err("did you mean 'vit_small_patch16'?"));
    check(
        "vit_medium_patch16",
        Err("sizes are tiny, small, base, large, gigantic"),
    );
    check("resnet51", Err("resnet50"));
    check("densnet161", Err("did you mean 'densenet161'?"));
    check("swin", Err("names are such as vit_small_patch16"));
    check("vit_small_patchx", Err("names look like"));
    check(
        "vit_small_patch14",
        Err("img_size 256 is not a multiple of patch_size 14"),
    );
    check("vit_small_patch0", Err("patch_size 0 is not in"));
}

#[test]
fn half_floats_change_embeddings_by_their_rounding_only() {
    let device = Device::default();
    let text = [
        r#"{"kind": "vit", "config": {"img_size": 16, "patch_size": 4, "in_chans": 3, "embed_dim": 24, "depth": 2, "num_heads": 2, "init_values": 0.5}}"#,
        r#"{"kind": "plain_vit", "config": {"img_size": 16, "patch_size": 4, "in_chans": 3, "embed_dim": 24, "depth": 2, "num_heads": 2}}"#,
        r#"{"kind": "densenet", "config": {"img_size": 32, "in_chans": 3, "growth_rate": 4, "block_config": [2, 2], "num_init_features": 8}}"#,
    ];
    for text in text {
        let config: NetworkConfig = serde_json::from_str(text).unwrap();
        let network = config.init(&device, Seed::new(1)).unwrap().into_encoder();
        let batch = images(2, 3, network.img_size(), &device);
        // Evaluation has passes of its own for f32.
        let exact = network.forward_pooled(batch.clone(), Pooling::PatchMean);
        let scale = exact.clone().abs().max().into_scalar::<f32>();
        for (precision, digits) in [(Precision::Bf16, 8), (Precision::F16, 11)] {
            let batch = batch.clone();
            let rounded = precision.within(|| network.forward_pooled(batch, Pooling::PatchMean));
            let error = largest_difference(rounded, exact.clone()) / scale;
            let unit = f32::powi(2.0, -digits);
            assert!(
                error > unit / 100.0 && error < 8.0 * unit,
                "{text}: {error:e} in {precision}"
            );
        }
    }
}
