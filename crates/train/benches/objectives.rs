//! Images per second of one training step of every objective, at small scale:
//! forward, backward, and the optimiser.
//!
//! `cargo bench -p morphospace-train --bench objectives`
#![allow(missing_docs)]

use std::time::Duration;

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use morphospace_core::Seed;
use morphospace_models::{MaeConfig, Network, NetworkConfig, Pooling};
use morphospace_train::{
    AdversaryConfig, Classifier, ClassifierConfig, Contrastive, ContrastiveConfig, Dino,
    DinoConfig, DinoV2, DinoV2ObjectiveConfig, GradientSet, ImageBatch, MaskedModellingConfig,
    MaskedMuNet, Moment, Objective, Optimiser, OptimiserConfig, Supervised, SupervisedConfig,
};

// As the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 16;
const SIDE: usize = 64;
const NUM_DOMAINS: usize = 4;

const PLAIN_VIT: &str = "
kind = 'plain_vit'
config = { img_size = 64, patch_size = 8, embed_dim = 192, depth = 6, num_heads = 3, mask_token = true }
";

fn network(text: &str, device: &Device) -> Network {
    let config: NetworkConfig = toml::from_str(text).expect("valid");
    config.init(device, Seed::new(1)).expect("valid")
}

/// Views of the given sides, of images of which every fourth is of one domain.
fn batch(sides: &[usize], device: &Device) -> ImageBatch {
    device.seed(1);
    let view = |side: &usize| {
        Tensor::random(
            [BATCH, 6, *side, *side],
            Distribution::Normal(0.0, 1.0),
            device,
        )
    };
    ImageBatch {
        views: sides.iter().map(view).collect(),
        classes: (0..BATCH).collect(),
        domains: (0..BATCH).map(|image| image % NUM_DOMAINS).collect(),
        mixture: None,
        ghost_batch_size: None,
    }
}

fn measure<O: Objective>(
    criterion: &mut Criterion,
    name: &str,
    mut objective: O,
    sides: &[usize],
    device: &Device,
) {
    let optimiser: OptimiserConfig =
        toml::from_str("rule = 'adam_w'\nlearning_rate = 1e-4").expect("valid");
    let mut optimiser = Optimiser::new(optimiser);
    let batch = batch(sides, device);
    let mut step = 0;
    let mut group = criterion.benchmark_group("train_step");
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    group.measurement_time(Duration::from_secs(8));
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            let moment = Moment {
                step,
                num_steps: 1 << 40,
                steps_per_epoch: 1e9,
                epoch: 0,
                phase: 0,
                seed: Seed::new(step),
                is_training: true,
            };
            step += 1;
            for phase in 0..objective.num_phases() {
                let moment = Moment { phase, ..moment };
                let loss = objective.loss(&batch, &moment);
                let moves = |name: &str| objective.moves(name, &moment);
                let gradients = GradientSet::of(&objective, &loss.total.backward(), moves);
                let size = optimiser.config().full_step();
                objective = optimiser.step(objective.clone(), &gradients, size);
            }
            objective.end_step(&moment);
        });
    });
}

fn benchmark(criterion: &mut Criterion) {
    let device = Device::default().autodiff();
    let seed = Seed::new(2);
    let vit = || network(PLAIN_VIT, &device);
    let local = [SIDE, SIDE, SIDE / 2, SIDE / 2, SIDE / 2, SIDE / 2];
    let one = [SIDE];

    let mut mae = MaeConfig::default();
    mae.encoder.img_size = SIDE;
    mae.encoder.patch_size = 8;
    (
        mae.encoder.embed_dim,
        mae.encoder.depth,
        mae.encoder.num_heads,
    ) = (192, 6, 3);
    (
        mae.decoder.embed_dim,
        mae.decoder.depth,
        mae.decoder.num_heads,
    ) = (128, 2, 4);
    let mae = mae.init(&device, seed).expect("valid");
    measure(criterion, "masked_modelling", mae, &one, &device);

    let munet = "kind = 'munet'\nconfig = { img_size = 64, depths = [16, 32, 64], kernel = 3 }";
    if let Network::MuNet(munet) = network(munet, &device) {
        let munet = MaskedMuNet::new(munet, MaskedModellingConfig::default()).expect("fits");
        measure(criterion, "masked_modelling_munet", munet, &one, &device);
    }
    let supervised = "
kind = 'supervised'
config.backbone.kind = 'densenet'
config.backbone.config = { img_size = 64, growth_rate = 12, block_config = [2, 2, 2, 2], num_init_features = 24 }
config.head = { in_dim = 48, embed_dim = 64, num_classes = 16, num_batches = 4 }
";
    if let Network::Supervised(supervised) = network(supervised, &device) {
        let supervised = Supervised::new(supervised, SupervisedConfig::default());
        measure(criterion, "supervised", supervised, &one, &device);
    }
    for (name, frozen) in [("classifier_frozen", true), ("classifier_tuned", false)] {
        let config = ClassifierConfig {
            frozen,
            ..ClassifierConfig::default()
        };
        let classifier = Classifier::new(vit(), BATCH, config, &device, seed);
        measure(criterion, name, classifier, &one, &device);
    }
    let adversary = Some(AdversaryConfig::default());
    for (name, adversary) in [("simclr", None), ("simclr_adversary", adversary)] {
        let config = ContrastiveConfig {
            pooling: Pooling::Cls,
            adversary,
            ..ContrastiveConfig::default()
        };
        let contrastive = Contrastive::new(vit(), NUM_DOMAINS, config, &device, seed);
        measure(
            criterion,
            name,
            contrastive.expect("valid"),
            &[SIDE; 2],
            &device,
        );
    }
    let mut dino = DinoConfig::default();
    dino.head.out_dim = 2048;
    for (name, barlow_weight) in [("dino", 0.0), ("dino_barlow", 0.75)] {
        dino.loss.barlow_weight = barlow_weight;
        let dino = Dino::new(
            vit(),
            vec![9; NUM_DOMAINS],
            false,
            dino.clone(),
            &device,
            seed,
        );
        measure(criterion, name, dino.expect("valid"), &local, &device);
    }
    let mut dinov2 = DinoV2ObjectiveConfig::default();
    dinov2.head.out_dim = 2048;
    let dinov2 = DinoV2::new(vit(), dinov2, &device, seed).expect("valid");
    measure(criterion, "dinov2", dinov2, &local, &device);
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
