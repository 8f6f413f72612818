//! Training on the CPU has operations of its own; Burn's compute the same, and
//! are what gradient checkpointing takes.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::{Masking, Network, NetworkConfig, Pooling};

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
        let tolerance = (1e-4 * scale).max(1e-6 * largest);
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
    // Not all the same weight, or norms of embeddings would hide gradients.
    let weights = Tensor::<1, burn::tensor::Int>::arange(0..embedding.dims()[1] as i64, device);
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
