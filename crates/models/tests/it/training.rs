//! Training on the CPU has operations of its own; Burn's compute the same, and
//! are what gradient checkpointing takes.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use morphospace_core::Seed;
use morphospace_models::blocks::conv2d::Conv2dConfig;
use morphospace_models::blocks::linear::Bias;
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::{Initializer, Masking, Network, NetworkConfig, Pooling};
use rand::RngExt;

use crate::support::{gradient_values, images};

/// Compares a loss and its gradients by both kinds of operations.
fn check<M: Module>(
    name: &str,
    init: impl Fn(&Device) -> M,
    loss: impl Fn(&M, &Device) -> Tensor<1>,
) {
    let both = [
        Device::default().autodiff(),
        Device::default().autodiff().gradient_checkpointing(),
    ];
    let [ours, burns] = both.map(|device| {
        let network = init(&device);
        let loss = loss(&network, &device);
        let value: f32 = loss.clone().into_scalar();
        (value, gradient_values(&network, &loss))
    });
    let error = (ours.0 - burns.0).abs() / burns.0.abs();
    assert!(error < 1e-5, "{name}: loss {} and {}", ours.0, burns.0);
    let largest = burns.1.values().flatten().flatten();
    let largest = largest.fold(0.0_f32, |a, x| a.max(x.abs()));
    assert!(largest > 0.0, "{name}");
    for (parameter, expected) in burns.1 {
        let found = &ours.1[&parameter];
        assert_eq!(found.is_some(), expected.is_some(), "{name}: {parameter}");
        let (Some(found), Some(expected)) = (found, expected) else {
            continue;
        };
        let scale = expected.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
        // What is zero but for rounding is compared with the largest.
        let tolerance = (5e-4 * scale).max(1e-6 * largest);
        for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(
                (found - expected).abs() <= tolerance,
                "{name}: {parameter}[{place}] {found:e}, not {expected:e}"
            );
        }
    }
}

/// The mean square of an embedding of three images.
fn embedding_loss(network: &Network, device: &Device) -> Tensor<1> {
    let batch = images(3, 3, 16, device);
    let pass = &mut NormPass::batch();
    let seed = Some(Seed::new(4));
    let embedding = network.forward_embedding(batch, Pooling::PatchMean, pass, seed);
    weighted_square(embedding)
}

/// Not all features have the same weight, or norms would hide gradients.
fn weighted_square(embedding: Tensor<2>) -> Tensor<1> {
    let device = &embedding.device();
    let weights = Tensor::<1, Int>::arange(0..embedding.dims()[1] as i64, device);
    (embedding * (weights.float() * 0.7).sin().unsqueeze())
        .square()
        .mean()
}

#[test]
fn transformers_have_the_gradients_of_burns_operations() {
    let sizes = r#""img_size": 16, "patch_size": 4, "in_chans": 3, "embed_dim": 24, "depth": 2, "num_heads": 2"#;
    let configs = [
        format!(
            r#"{{"kind": "vit", "config": {{{sizes}, "init_values": 0.5, "drop_path_rate": 0.3}}}}"#
        ),
        format!(
            r#"{{"kind": "vit", "config": {{{sizes}, "init_values": 0.5, "bias_layout": "timm097"}}}}"#
        ),
        format!(
            r#"{{"kind": "vit", "config": {{{sizes}, "init_values": 0.5, "channel_agnostic": true}}}}"#
        ),
        format!(r#"{{"kind": "plain_vit", "config": {{{sizes}}}}}"#),
        format!(
            r#"{{"kind": "plain_vit", "config": {{{sizes}, "init_values": 0.1, "feed_forward": "swi_glu"}}}}"#
        ),
    ];
    for text in configs {
        let config: NetworkConfig = serde_json::from_str(&text).unwrap();
        let init = |device: &Device| config.init(device, Seed::new(1)).unwrap();
        check(&text, init, embedding_loss);
    }
}

#[test]
fn autoencoders_have_the_gradients_of_burns_operations() {
    let mae = crate::properties::tiny_mae();
    check(
        "mae",
        |device| mae.init(device, Seed::new(1)).unwrap(),
        |mae, device| {
            let batch = images(2, 3, 16, device);
            let masking = Masking::random(Seed::new(2), 2, mae.num_tokens(), 0.75).unwrap();
            let output = mae.forward(batch.clone(), &masking, Some(Seed::new(3)));
            mae.loss(batch, &output).total
        },
    );
    let camae = crate::properties::tiny_camae();
    check(
        "camae",
        |device| camae.init(device, Seed::new(1)).unwrap(),
        |camae, device| {
            let batch = images(2, 3, 16, device);
            let masking = Masking::random(Seed::new(2), 2, camae.num_tokens(), 0.75).unwrap();
            let output = camae.forward(batch.clone(), &masking, Some(Seed::new(3)));
            camae.loss(batch, &output).total
        },
    );
}

#[test]
fn networks_of_maps_have_the_gradients_of_burns_operations() {
    let configs = [
        r#"{"kind": "densenet", "config": {"img_size": 32, "in_chans": 3, "growth_rate": 24, "block_config": [2, 2], "num_init_features": 8, "bn_size": 2}}"#,
        r#"{"kind": "resnet", "config": {"img_size": 96, "in_chans": 3, "block": "bottleneck", "layers": [1, 1, 1, 1]}}"#,
        r#"{"kind": "munet", "config": {"img_size": 32, "in_chans": 3, "depths": [4, 26], "kernel": 5}}"#,
    ];
    for text in configs {
        let config: NetworkConfig = serde_json::from_str(text).unwrap();
        for size in [None, Some(2)] {
            let loss = |network: &Network, device: &Device| {
                let batch = images(4, 3, config.img_size(), device);
                let pass = &mut match size {
                    None => NormPass::batch(),
                    Some(size) => NormPass::ghost_batches(size),
                };
                let embedding = network.forward_embedding(batch, Pooling::PatchMean, pass, None);
                weighted_square(embedding)
            };
            let init = |device: &Device| config.init(device, Seed::new(1)).unwrap();
            check(text, init, loss);
        }
    }
}

#[test]
fn convolutions_of_all_sizes_agree_with_burns() {
    // Channels in and out, kernel, stride, height and width: few and many
    // channels, an odd size, more rows than a tile has, kernels as large as the
    // maps.
    let cases = [
        ([3, 5], 1, 1, [9, 13]),
        ([30, 4], 1, 2, [9, 13]),
        ([3, 5], 3, 1, [9, 13]),
        ([30, 4], 3, 1, [9, 13]),
        ([26, 30], 5, 1, [40, 70]),
        ([30, 6], 3, 2, [10, 8]),
        ([30, 6], 3, 2, [11, 7]),
        ([2, 6], 7, 2, [16, 16]),
        ([25, 25], 7, 1, [3, 3]),
        ([40, 3], 3, 1, [1, 1]),
        ([4, 3], 7, 2, [2, 5]),
    ];
    for (channels, kernel, stride, [height, width]) in cases {
        for bias in [Bias::None, Bias::Zeros] {
            let name = format!("{channels:?}, {kernel}, {stride}, {height} x {width}, {bias:?}");
            let initializer = Initializer::KaimingNormal;
            let config = Conv2dConfig {
                channels,
                kernel,
                stride,
                bias,
                initializer,
            };
            let draw = |device: &Device| {
                let count = 3 * channels[0] * height * width;
                let mut rng = Seed::new(7).rng();
                let values: Vec<f32> = (0..count).map(|_| rng.random::<f32>() - 0.5).collect();
                let shape = [3, channels[0], height, width];
                Tensor::<4>::from_data(TensorData::new(values, shape), device)
            };
            check(
                &name,
                |device| {
                    // The input is a parameter, too.
                    let input = Param::from_tensor(draw(device));
                    (config.init(Seed::new(5), device), Input { input })
                },
                |(conv, input), _| weighted_square(conv.forward(input.input.val()).flatten(1, 3)),
            );
            let device = Device::default();
            let evaluated = config.init(Seed::new(5), &device).forward(draw(&device));
            let device = device.autodiff().gradient_checkpointing();
            let burns = config.init(Seed::new(5), &device).forward(draw(&device));
            let difference = crate::support::largest_difference(evaluated, burns.inner());
            assert!(difference < 1e-5, "{name}: {difference:e} in evaluation");
        }
    }
}

#[derive(Module, Debug)]
struct Input {
    input: Param<Tensor<4>>,
}
