//! What must hold of networks with batch normalisation.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use morphospace_models::blocks::domain::forward_domain;
use morphospace_models::blocks::gradient_reversal::gradient_reversal;
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::{
    BatchHead, CheckpointConfig, DenseNet, DenseNetConfig, DinoHeadConfig, MapNetwork, MuNetConfig,
    NetworkConfig, Pooling, ResNetBlock, ResNetConfig, SupervisedHeadConfig, Unexpected,
    WeightsFile, load_weights, open_checkpoint, parameters, save_checkpoint, save_weights,
};

use crate::support::{check_gradients, gradients, images, largest_difference, values};

fn tiny_densenet() -> DenseNetConfig {
    DenseNetConfig {
        img_size: 64,
        in_chans: 3,
        growth_rate: 4,
        block_config: vec![1, 2],
        num_init_features: 8,
        bn_size: 2,
        num_classes: 5,
    }
}

fn tiny_resnet(block: ResNetBlock) -> ResNetConfig {
    ResNetConfig {
        img_size: 64,
        in_chans: 3,
        block,
        layers: [1, 1, 1, 1],
        width: 4,
        num_classes: 5,
    }
}

fn tiny_munet(residual: bool) -> MuNetConfig {
    MuNetConfig {
        img_size: 64,
        in_chans: 3,
        depths: vec![4, 6],
        kernel: 3,
        residual,
    }
}

/// Running averages are fixed, all else is trained.
fn check_trained<M: Module>(network: &M, loss: &Tensor<1>) {
    let gradients = gradients(network, loss);
    let averages: Vec<&str> = gradients
        .keys()
        .map(String::as_str)
        .filter(|name| name.contains("running_"))
        .collect();
    assert!(!averages.is_empty());
    check_gradients(&gradients, &averages);
}

#[test]
fn every_parameter_receives_a_gradient_and_averages_none() {
    let device = Device::default().autodiff();
    let seed = Seed::new(3);
    let batch = images(4, 3, 64, &device);
    let pass = NormPass::batch;

    let densenet = tiny_densenet().init(&device, seed).unwrap();
    let embedding = densenet.forward_embedding(batch.clone(), &mut pass());
    check_trained(&densenet, &densenet.classify(embedding).square().sum());
    for block in [ResNetBlock::Basic, ResNetBlock::Bottleneck] {
        let resnet = tiny_resnet(block).init(&device, seed).unwrap();
        let embedding = resnet.forward_embedding(batch.clone(), &mut pass());
        check_trained(&resnet, &resnet.classify(embedding).square().sum());
    }
    for residual in [false, true] {
        let munet = tiny_munet(residual).init(&device, seed).unwrap();
        let mut pass = pass();
        let maps = munet.forward_block_maps(batch.clone(), &mut pass);
        let image = munet.reconstruct(maps, &mut pass);
        check_trained(&munet, &(image - batch.clone()).square().sum());
    }
    let config = SupervisedHeadConfig {
        in_dim: 12,
        embed_dim: 8,
        num_classes: 5,
        num_batches: 3,
        batch_head: BatchHead::GradientReversal { lambda: 0.5 },
    };
    let head = config.init(&device, seed).unwrap();
    let features = batch.reshape([64, 3 * 256]).narrow(1, 0, 12);
    let embedding = head.neck.forward(features.clone(), &mut pass());
    let batches = head.classify_batches(embedding.clone(), 1.0).square().sum();
    check_trained(&head, &(head.classify(embedding).square().sum() + batches));

    for (use_bn, nlayers) in [(true, 3), (true, 2)] {
        let config = DinoHeadConfig {
            in_dim: 12,
            out_dim: 7,
            use_bn,
            norm_last_layer: false,
            nlayers,
            hidden_dim: 9,
            bottleneck_dim: 6,
        };
        let head = config.init(&device, seed).unwrap();
        let scores = head.forward(features.clone(), &mut pass());
        let weights = Tensor::arange(0..7, &device).float().unsqueeze_dim::<2>(0);
        check_trained(&head, &(scores * weights).sum());
    }
}

#[test]
fn a_head_of_one_layer_bears_the_keys_of_its_reference() {
    let names = |nlayers, use_bn| {
        let config = DinoHeadConfig {
            nlayers,
            use_bn,
            ..DinoHeadConfig::default()
        };
        let head = config.init(&Device::default(), Seed::new(1)).unwrap();
        let names = parameters(&head).into_iter().map(|p| p.name);
        names
            .filter(|name| name.ends_with(".weight"))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(1, true), ["mlp.weight"]);
    assert_eq!(names(2, false), ["mlp.0.weight", "mlp.2.weight"]);
    assert_eq!(
        names(3, true),
        [
            "mlp.0.weight",
            "mlp.1.weight",
            "mlp.3.weight",
            "mlp.4.weight",
            "mlp.6.weight"
        ]
    );
}

/// After a few batches, so that running averages say something.
fn trained(device: &Device) -> DenseNet {
    let mut densenet = tiny_densenet().init(device, Seed::new(3)).unwrap();
    for _ in 0..150 {
        let mut pass = NormPass::batch();
        densenet.forward_embedding(images(6, 3, 32, device), &mut pass);
        densenet = pass.update_running(densenet);
    }
    densenet
}

#[test]
fn an_image_depends_on_others_only_where_its_pass_says_so() {
    let device = Device::default();
    let densenet = trained(&device);
    let images = images(6, 3, 32, &device);
    let embed =
        |images: Tensor<4>, mut pass: NormPass| densenet.forward_embedding(images, &mut pass);
    let first_of = |num: usize, pass| {
        let embedding = embed(images.clone().narrow(0, 0, num), pass);
        embedding.narrow(0, 0, 2)
    };
    let difference =
        |pass: fn() -> NormPass| largest_difference(first_of(6, pass()), first_of(2, pass()));
    assert!(difference(NormPass::running) < 1e-5);
    assert!(difference(NormPass::batch) > 1e-2);
    // Each run of two is a batch of its own.
    assert!(difference(|| NormPass::ghost_batches(2)) < 1e-5);
    // A domain is one batch, however it is cut, and running averages come near
    // it once they have settled.
    let whole = embed(images.clone(), NormPass::batch());
    for size in [1, 2, 4, 6] {
        let batches = images.clone().split(size, 0);
        let parts = forward_domain(batches, |batch, pass| {
            densenet.forward_embedding(batch, pass)
        });
        let parts = Tensor::cat(parts, 0);
        assert!(largest_difference(parts, whole.clone()) < 1e-4, "{size}");
    }
    let by_averages = embed(images, NormPass::running());
    let spread = whole.clone().abs().max().into_scalar::<f32>();
    assert!(largest_difference(by_averages, whole) < 0.05 * spread);
}

#[test]
#[should_panic(expected = "a batch of 6 is not made up of ghost batches of 4")]
fn ghost_batches_that_do_not_divide_a_batch_are_refused() {
    let device = Device::default();
    let densenet = tiny_densenet().init(&device, Seed::new(3)).unwrap();
    densenet.forward_embedding(images(6, 3, 32, &device), &mut NormPass::ghost_batches(4));
}

#[test]
fn weights_and_averages_survive_the_round_trip_as_pytorch_names_them() {
    let device = Device::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let densenet = trained(&device);
    save_weights(&densenet, &path).unwrap();
    let file = WeightsFile::open(&path).unwrap();
    let names = file.names();
    for name in [
        "features.denseblock2.denselayer1.norm2.running_var",
        "features.denseblock1.denselayer1.norm1.num_batches_tracked",
        "features.transition1.conv.weight",
    ] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    let fresh = tiny_densenet().init(&device, Seed::new(9)).unwrap();
    let (loaded, _) = load_weights(&fresh, &file, "", Unexpected::Refuse).unwrap();
    let images = images(2, 3, 32, &device);
    let embed =
        |net: &DenseNet| values(net.forward_embedding(images.clone(), &mut NormPass::running()));
    assert_eq!(embed(&loaded), embed(&densenet));
    assert_ne!(embed(&fresh), embed(&densenet));
}

#[test]
fn reversal_keeps_values_and_turns_gradients() {
    let device = Device::default().autodiff();
    let x = Tensor::<1>::from_floats([1.5, -2.0, 1e20], &device).require_grad();
    let y = gradient_reversal(x.clone(), 0.3);
    assert_eq!(values(y.clone()), [1.5, -2.0, 1e20]);
    let gradients = (y * 2.0).sum().backward();
    assert_eq!(values(x.grad(&gradients).unwrap()), [-0.6, -0.6, -0.6]);
}

#[test]
fn configurations_that_cannot_be_are_refused_with_the_numbers() {
    let refused = |error: Result<(), morphospace_models::ModelError>, expected: &str| {
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let densenet = DenseNetConfig {
        block_config: vec![],
        ..tiny_densenet()
    };
    refused(densenet.check(), "blocks in block_config 0 is not in 1..=8");
    let resnet = ResNetConfig {
        layers: [1, 0, 1, 1],
        ..tiny_resnet(ResNetBlock::Basic)
    };
    refused(resnet.check(), "blocks of a stage 0 is not in 1..=512");
    refused(ResNetConfig::of_depth(51).map(|_| ()), "resnet50");
    let munet = MuNetConfig {
        kernel: 4,
        ..tiny_munet(false)
    };
    refused(munet.check(), "kernel 4 is even");
    let munet = MuNetConfig {
        img_size: 250,
        ..MuNetConfig::default()
    };
    refused(
        munet.check(),
        "img_size 250 is not a multiple of the deepest pixel 16 (nearest: 240, 256)",
    );
    let head = SupervisedHeadConfig {
        batch_head: BatchHead::GradientReversal { lambda: f64::NAN },
        ..SupervisedHeadConfig::default()
    };
    refused(head.check(), "lambda NaN");
    let dino = DinoHeadConfig {
        nlayers: 0,
        ..DinoHeadConfig::default()
    };
    refused(dino.check(), "nlayers 0 is not in 1..=64");
}

#[test]
fn networks_of_maps_embed_like_any_encoder() {
    let device = Device::default();
    let folder = tempfile::tempdir().unwrap();
    let networks = [
        NetworkConfig::DenseNet(tiny_densenet()),
        NetworkConfig::ResNet(tiny_resnet(ResNetBlock::Bottleneck)),
        NetworkConfig::MuNet(tiny_munet(true)),
    ];
    for network in networks {
        let encoder = network.init_encoder(&device, Seed::new(2)).unwrap();
        assert_eq!((encoder.img_size(), network.img_size()), (64, 64));
        encoder.check(3, Pooling::PatchMean).unwrap();
        let error = encoder.check(3, Pooling::Cls).unwrap_err().to_string();
        assert!(error.contains("hint: pool by patch-mean"), "{error}");
        let error = encoder
            .check(6, Pooling::PatchMean)
            .unwrap_err()
            .to_string();
        assert!(error.contains("expects 3 channels"), "{error}");
        let images = images(2, 3, 64, &device);
        let embedding = encoder.forward_pooled(images.clone(), Pooling::PatchMean);
        assert_eq!(embedding.dims(), [2, encoder.num_features()]);
        let blocks: Vec<usize> = (0..encoder.num_blocks()).rev().collect();
        let of_blocks = encoder.forward_blocks(images.clone(), &blocks, Pooling::PatchMean);
        assert_eq!(of_blocks.len(), blocks.len());
        assert!(of_blocks.iter().all(|block| block.dims()[0] == 2));

        // A checkpoint of it opens by its kind.
        let config = CheckpointConfig::new(network.clone());
        match &network {
            NetworkConfig::DenseNet(config_of) => {
                let net = config_of.init(&device, Seed::new(2)).unwrap();
                save_checkpoint(folder.path(), &config, &net).unwrap();
            }
            NetworkConfig::ResNet(config_of) => {
                let net = config_of.init(&device, Seed::new(2)).unwrap();
                save_checkpoint(folder.path(), &config, &net).unwrap();
            }
            NetworkConfig::MuNet(config_of) => {
                let net = config_of.init(&device, Seed::new(2)).unwrap();
                save_checkpoint(folder.path(), &config, &net).unwrap();
            }
            other => panic!("{other:?}"),
        }
        let opened = open_checkpoint(folder.path(), &device).unwrap();
        let again = opened.forward_pooled(images, Pooling::PatchMean);
        assert_eq!(values(again), values(embedding));
    }
}
