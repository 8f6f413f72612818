//! What networks cost, without building them.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use morphospace_models::blocks::feed_forward::FeedForwardKind;
use morphospace_models::plan::{
    Count, EmbeddingMemory, ForwardPass, ImageSize, MovingAverages, ParameterCount, Precision,
    TrainingMemory,
};
use morphospace_models::{
    BackboneConfig, CaMaeConfig, DenseNetConfig, MaeConfig, MaeDecoderConfig, MuNetConfig,
    NetworkConfig, PlainVitConfig, ResNetConfig, SupervisedNetworkConfig, VitConfig, parameters,
};

fn variant(name: &str) -> NetworkConfig {
    NetworkConfig::decode_variant(name).expect("a variant")
}

fn embedding(network: &NetworkConfig) -> ForwardPass {
    ForwardPass::embedding(network, ImageSize::of(network)).expect("valid")
}

fn training(network: &NetworkConfig) -> ForwardPass {
    ForwardPass::training(network, ImageSize::of(network)).expect("valid")
}

/// One network of each kind and option that changes what is computed, small.
fn small_networks() -> Vec<NetworkConfig> {
    let vit = VitConfig {
        img_size: 32,
        patch_size: 8,
        embed_dim: 24,
        depth: 3,
        num_heads: 2,
        ..VitConfig::default()
    };
    let decoder = MaeDecoderConfig {
        embed_dim: 32,
        depth: 2,
        num_heads: 4,
        ..MaeDecoderConfig::default()
    };
    let plain = PlainVitConfig {
        img_size: 32,
        patch_size: 8,
        embed_dim: 24,
        depth: 2,
        num_heads: 2,
        ..PlainVitConfig::default()
    };
    let munet = MuNetConfig {
        img_size: 32,
        depths: vec![4, 6, 10],
        ..MuNetConfig::default()
    };
    let backbone = BackboneConfig::ResNet(ResNetConfig {
        img_size: 64,
        width: 4,
        ..ResNetConfig::of_depth(18).expect("a depth")
    });
    vec![
        NetworkConfig::Supervised(SupervisedNetworkConfig::on(backbone)),
        NetworkConfig::Mae(MaeConfig {
            encoder: vit.clone(),
            decoder: decoder.clone(),
            ..MaeConfig::default()
        }),
        NetworkConfig::CaMae(CaMaeConfig {
            encoder: VitConfig {
                channel_agnostic: true,
                in_chans: 5,
                ..vit.clone()
            },
            channels: 3,
            decoder,
            ..CaMaeConfig::default()
        }),
        NetworkConfig::Vit(vit),
        NetworkConfig::PlainVit(PlainVitConfig {
            feed_forward: FeedForwardKind::SwiGlu,
            init_values: Some(1e-5),
            num_registers: 4,
            ..plain.clone()
        }),
        NetworkConfig::PlainVit(plain),
        NetworkConfig::DenseNet(DenseNetConfig {
            img_size: 64,
            growth_rate: 4,
            block_config: vec![2, 3],
            num_init_features: 6,
            num_classes: 7,
            ..DenseNetConfig::default()
        }),
        NetworkConfig::ResNet(ResNetConfig {
            img_size: 64,
            width: 4,
            num_classes: 5,
            ..ResNetConfig::of_depth(18).expect("a depth")
        }),
        NetworkConfig::ResNet(ResNetConfig {
            img_size: 64,
            width: 4,
            ..ResNetConfig::default()
        }),
        NetworkConfig::MuNet(munet.clone()),
        NetworkConfig::MuNet(MuNetConfig {
            residual: true,
            ..munet
        }),
    ]
}

/// Whether gradients move each parameter, as it says itself, and its shape.
fn as_built(network: &NetworkConfig) -> BTreeMap<String, (bool, Vec<usize>)> {
    struct Asked(BTreeMap<String, bool>);
    impl ModuleVisitor for Asked {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let is_trained = param.val().is_require_grad();
            self.0.insert(param.id.to_string(), is_trained);
        }
    }
    fn ask<M: Module>(network: M) -> BTreeMap<String, (bool, Vec<usize>)> {
        let mut asked = Asked(BTreeMap::new());
        network.visit(&mut asked);
        let named = parameters(&network).into_iter();
        named
            .map(|p| (p.name, (asked.0[&p.id.to_string()], p.shape)))
            .collect()
    }
    let (device, seed) = (Device::default().autodiff(), Seed::new(1));
    ask(network.init(&device, seed).unwrap())
}

#[test]
fn counts_are_those_of_the_networks_as_built() {
    for network in small_networks() {
        let counted = ParameterCount::of(&network).expect("valid");
        let mut expected = Count::default();
        for (is_trained, shape) in as_built(&network).into_values() {
            let count = shape.iter().product::<usize>() as u64;
            match is_trained {
                true => expected.trained += count,
                false => expected.fixed += count,
            }
        }
        let counted = (counted.trained(), counted.fixed());
        assert_eq!(counted, (expected.trained, expected.fixed), "{network:?}");
    }
}

/// If an operation of a network were forgotten or had another size, so would
/// its weights.
#[test]
fn operations_have_the_weights_of_the_networks_as_built() {
    for network in small_networks() {
        let matrices = as_built(&network).into_iter().filter(|(name, (_, shape))| {
            // Class tokens and tables of positions are no weights.
            name.ends_with("weight") && shape.len() >= 2
        });
        let expected: usize = matrices
            .map(|(_, (_, shape))| shape.iter().product::<usize>())
            .sum();
        assert_eq!(
            training(&network).num_weights(),
            expected as u128,
            "{network:?}"
        );
    }
}

#[test]
fn published_sizes_are_met_to_the_digit() {
    let of = |name: &str| ParameterCount::of(&variant(name)).expect("valid");
    // Kenyon-Dean et al. 2024: 1.86 thousand million.
    let giant = of("mae_vit_gigantic_patch8");
    assert_eq!(giant.encoder.trained, 1_841_709_056);
    assert_eq!(giant.decoder.trained, 26_270_080);
    assert_eq!(giant.encoder.fixed, 1025 * 1664);
    // The published checkpoint holds tables of positions too: 178.05 million.
    let channel_agnostic = of("camae_vit_small_patch16");
    assert_eq!(channel_agnostic.total(), 178_045_568);
    assert_eq!(of("openphenom").total(), 178_045_568);
    // Backbone, a neck of 1024 and heads of 1,139 and 33.
    let supervised = of("supervised_densenet161");
    let neck = 2208 * 1024 + 1024 * 1024 + 4 * 1024;
    assert_eq!(supervised.encoder.trained, 26_486_112 + neck);
    assert_eq!(supervised.head.trained, 1025 * (1139 + 33));
    // torchvision's 28,681,000 less its head of 2,209,000, with six channels
    // in place of three.
    assert_eq!(
        of("densenet161").trained(),
        28_681_000 - 2_209_000 + 3 * 49 * 96
    );
    for (name, millions) in [
        ("vit_tiny_patch16", 5.63),
        ("vit_small_patch16", 21.87),
        ("vit_base_patch16", 86.2),
        ("vit_base_patch8", 85.3),
        ("vit_large_patch16", 303.8),
        ("vit_large_patch8", 302.6),
        ("dino_vit_tiny_patch16", 5.671_872),
        ("dino_vit_small_patch16", 21.960_576),
        ("dino_vit_base_patch16", 86.388_480),
        ("munet_m", 33.2),
        ("munet_l", 133.1),
    ] {
        let counted = of(name).trained() as f64 / 1e6;
        assert!((counted - millions).abs() < 0.051, "{name}: {counted}");
    }
}

#[test]
fn operations_grow_with_depth_by_the_same_step() {
    let total = |depth| {
        let network = NetworkConfig::Vit(VitConfig {
            depth,
            ..VitConfig::default()
        });
        let pass = embedding(&network);
        (pass.flops().total(), pass.num_kept(), pass.most_alive())
    };
    let (one, two, twelve) = (total(1), total(2), total(12));
    assert_eq!(twelve.0 - one.0, 11 * (two.0 - one.0));
    assert_eq!(twelve.1 - one.1, 11 * (two.1 - one.1));
    // In evaluation a block leaves nothing behind.
    assert_eq!(one.2, twelve.2);
}

#[test]
fn a_trimmed_network_costs_its_blocks() {
    let whole = VitConfig::decode_variant("vit_small_patch16").expect("a variant");
    let vit = whole.init(&Device::default(), Seed::new(1)).unwrap();
    let trimmed = vit.trimmed(9).unwrap().config().clone();
    let (whole, trimmed) = (NetworkConfig::Vit(whole), NetworkConfig::Vit(trimmed));
    let (before, after) = (embedding(&whole).flops(), embedding(&trimmed).flops());
    assert_eq!(after.patch_embedding, before.patch_embedding);
    assert_eq!(12 * after.perceptron, 9 * before.perceptron);
    assert_eq!(12 * after.attention_matrices, 9 * before.attention_matrices);
    let [whole, trimmed] =
        [whole, trimmed].map(|network| ParameterCount::of(&network).expect("valid").trained());
    // A block, and the last norm.
    let block = (whole - trimmed - 2 * 384) / 3;
    assert_eq!(
        block,
        384 * (1536 + 3 * 384) + 384 * 384 + 1536 * 384 + 1536 + 5 * 384 + 4 * 64
    );
}

#[test]
fn a_channel_agnostic_network_costs_more_the_more_channels_there_are() {
    let network = variant("camae_vit_small_patch16");
    let flops = |in_chans| {
        let size = ImageSize {
            in_chans,
            side: 256,
        };
        Ok::<_, String>(
            ForwardPass::embedding(&network, size)
                .map_err(|error| error.to_string())?
                .flops(),
        )
    };
    let (one, three) = (flops(1).unwrap(), flops(3).unwrap());
    assert_eq!(three.patch_embedding, 3 * one.patch_embedding);
    assert!(three.attention_matrices > 8 * one.attention_matrices);
    assert_eq!(
        flops(12).unwrap_err(),
        "network expects 1 to 11 channels, got 12 channels"
    );
    let size = ImageSize {
        in_chans: 3,
        side: 256,
    };
    let refused = ForwardPass::training(&network, size).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "network expects 6 channels in training, got 3 channels"
    );
}

#[test]
fn images_that_a_network_does_not_take_are_refused() {
    let refusal = |name: &str, in_chans, side| {
        let size = ImageSize { in_chans, side };
        let error = ForwardPass::embedding(&variant(name), size).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refusal("mae_vit_small_patch16", 6, 512),
        "network expects images of 256 pixels, for which its table is, got 512 pixels"
    );
    assert_eq!(
        refusal("dinov2_vit_small_patch14_reg4", 6, 256),
        "network expects whole patches: img_size 256 is not a multiple of patch_size 14 \
         (nearest: 252, 266), got 256 pixels"
    );
    assert_eq!(
        refusal("resnet18", 5, 256),
        "network expects 6 channels, got 5 channels"
    );
    assert!(refusal("resnet18", 6, 0).contains("1 to 16384 pixels"));
    assert!(refusal("munet_m", 6, 250).contains("nearest: 240, 256"));
}

/// Numbers at which products of 64 bits would wrap.
#[test]
fn the_largest_valid_network_is_counted() {
    let network = NetworkConfig::Vit(VitConfig {
        img_size: 16_384,
        patch_size: 1,
        embed_dim: 16_384,
        depth: 512,
        num_heads: 512,
        ..VitConfig::default()
    });
    let num_tokens = 1 + 16_384u128 * 16_384;
    let flops = embedding(&network).flops();
    let expected = 2 * 512 * 2 * num_tokens * num_tokens * 16_384;
    assert_eq!(flops.attention_matrices, expected);
}

#[test]
fn memory_counts_what_it_says() {
    let network = variant("mae_vit_small_patch16");
    let parameters = ParameterCount::of(&network).expect("valid");
    let pass = training(&network);
    let of = |precision, averages| TrainingMemory::of(&pass, &parameters, precision, averages);
    let adam = of(Precision::F32, MovingAverages::Two);
    let lion = of(Precision::Bf16, MovingAverages::One);
    assert_eq!(adam.optimiser_bytes, 8 * u128::from(parameters.trained()));
    assert_eq!(adam.optimiser_bytes, 2 * lion.optimiser_bytes);
    assert_eq!(
        adam.activation_bytes_per_image,
        2 * lion.activation_bytes_per_image
    );
    assert_eq!(adam.weight_bytes, lion.weight_bytes);
    assert_eq!(
        adam.bytes(8) - adam.bytes(7),
        adam.activation_bytes_per_image
    );
    // Embedding needs neither decoder nor anything kept.
    let embedding = EmbeddingMemory::of(&embedding(&network), &parameters, Precision::F32);
    assert_eq!(
        embedding.weight_bytes,
        4 * u128::from(parameters.encoder.total())
    );
    assert!(embedding.activation_bytes_per_image < adam.activation_bytes_per_image / 20);
}

/// The resident set, in bytes, where the system tells it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kilobytes)
}

#[test]
fn nothing_is_allocated_for_the_largest_published_network() {
    let Some(before) = resident_bytes() else {
        return;
    };
    let network = variant("mae_vit_gigantic_patch8");
    let parameters = ParameterCount::of(&network).expect("valid");
    let after = resident_bytes().expect("told before");
    // Weights would be 7.5 GB; other tests run in this process.
    assert!(parameters.total() * 4 > 7_000_000_000);
    assert!(
        after.saturating_sub(before) < 1_000_000_000,
        "{before} {after}"
    );
}
