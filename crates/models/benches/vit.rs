//! Images per second of ViT-S/16 at 256 pixels and six channels: embedding and
//! one training step of the masked autoencoder around it.
//!
//! `cargo bench -p morphospace-models --bench vit`
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor, module};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use morphospace_core::Seed;
use morphospace_models::{
    CaMaeConfig, Encoder, MaeConfig, Masking, Pooling, VitConfig, self_standardise,
};

// As the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 8;

fn images(device: &Device) -> Tensor<4> {
    device.seed(1);
    let levels = Tensor::random(
        [BATCH, 6, 256, 256],
        Distribution::Uniform(0.0, 255.0),
        device,
    );
    self_standardise(levels)
}

fn benchmark(criterion: &mut Criterion) {
    let device = Device::default();
    let mut group = criterion.benchmark_group("vit_small_patch16");
    group.sample_size(10).warm_up_time(Duration::from_secs(2));
    group.measurement_time(Duration::from_secs(15));
    group.throughput(Throughput::Elements(BATCH as u64));

    let config = VitConfig::decode_variant("vit_small_patch16").expect("a variant");
    let vit = config.init(&device, Seed::new(1)).expect("valid");
    let batch = images(&device);
    group.bench_function("embed", |b| {
        b.iter(|| {
            black_box(
                vit.forward_pooled(batch.clone(), Pooling::PatchMean)
                    .into_data(),
            )
        });
    });

    group.bench_function("patch_embed_product", |b| {
        b.iter(|| black_box(vit.patch_embed.forward(batch.clone()).into_data()));
    });
    let proj = &vit.patch_embed.proj;
    group.bench_function("patch_embed_convolution", |b| {
        b.iter(|| {
            let options = ConvOptions::new([16, 16], [0, 0], [1, 1], 1);
            let bias = Some(proj.bias.val());
            let tokens = module::conv2d(batch.clone(), proj.weight.val(), bias, options);
            black_box(tokens.flatten::<3>(2, 3).swap_dims(1, 2).into_data())
        });
    });
    let block = &vit.blocks[0];
    let tokens = vit.embed_tokens(batch.clone());
    group.bench_function("one_block", |b| {
        b.iter(|| black_box(block.forward(tokens.clone(), None).into_data()));
    });

    let config = CaMaeConfig::default();
    let camae = config.encoder.init(&device, Seed::new(1)).expect("valid");
    let pair = batch.clone().narrow(0, 0, 2);
    group.throughput(Throughput::Elements(2));
    group.bench_function("channel_agnostic_embed", |b| {
        b.iter(|| {
            black_box(
                camae
                    .forward_pooled(pair.clone(), Pooling::PatchMean)
                    .into_data(),
            )
        });
    });
    group.throughput(Throughput::Elements(BATCH as u64));

    let device = device.autodiff();
    let mae = MaeConfig::default()
        .init(&device, Seed::new(1))
        .expect("valid");
    let batch = images(&device);
    let masking = Masking::random(Seed::new(2), BATCH, mae.num_tokens(), 0.75).expect("valid");
    group.bench_function("mae_forward_backward", |b| {
        b.iter(|| {
            let output = mae.forward(batch.clone(), &masking, Some(Seed::new(3)));
            black_box(mae.loss(batch.clone(), &output).total.backward())
        });
    });
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
