//! Seconds of one pass of a network over a batch, best of some repetitions, as
//! one number: what `benchmarks/networks.py` compares with PyTorch.
//!
//! ```sh
//! cargo run --release -p morphospace-models --example network_speed -- vit_small_patch16 embed 8
//! ```
//!
//! `step-checkpointed` computes again what is cheap, in the backward pass;
//! `embed` evaluates the embedding (the best of some, `embed-mean`: the mean of ten
//! seconds); `step` trains: embedding (of a MU-Net, the
//! image behind its maps), mean of squares, gradients of all parameters.

#![allow(clippy::print_stdout, reason = "a number is all it is for")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use morphospace_core::Seed;
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::{Encoder, MapNetwork, Network, NetworkConfig, Pooling};

// As the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "network_speed NETWORK embed|embed-mean|step|step-checkpointed BATCH";
/// Channels of the images.
const CHANNELS: usize = 6;
/// Side of the images in pixels.
const SIDE: usize = 256;
/// Repetitions, after one that does not count.
const REPEATS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, pass, batch] = args.as_slice() else {
        return Err(USAGE.into());
    };
    let batch: usize = batch.parse()?;
    let device = match pass.as_str() {
        "embed" | "embed-mean" => Device::default(),
        "step" => Device::default().autodiff(),
        "step-checkpointed" => Device::default().autodiff().gradient_checkpointing(),
        _ => return Err(USAGE.into()),
    };
    let network = NetworkConfig::decode_variant(name)?.init(&device, Seed::new(1))?;
    device.seed(1);
    let shape = [batch, CHANNELS, SIDE, SIDE];
    let images = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let seconds = match pass.as_str() {
        "embed" | "embed-mean" => {
            let encoder = network.into_encoder();
            let measure = if pass == "embed" { best } else { mean };
            measure(&mut || {
                black_box(
                    encoder
                        .forward_pooled(images.clone(), Pooling::PatchMean)
                        .into_data(),
                );
            })
        }
        _ => best(&mut || {
            black_box(output(&network, images.clone()).square().mean().backward());
        }),
    };
    println!("{seconds}");
    Ok(())
}

/// Over ten seconds, to compare with what goes on as long.
fn mean(work: &mut dyn FnMut()) -> f64 {
    const SECONDS: f64 = 10.0;
    work();
    let started = Instant::now();
    let mut num = 0;
    while started.elapsed().as_secs_f64() < SECONDS {
        work();
        num += 1;
    }
    started.elapsed().as_secs_f64() / f64::from(num)
}

fn best(work: &mut dyn FnMut()) -> f64 {
    work();
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        let started = Instant::now();
        work();
        best = best.min(started.elapsed().as_secs_f64());
    }
    best
}

/// What is trained.
fn output(network: &Network, images: Tensor<4>) -> Tensor<2> {
    let mut pass = NormPass::batch();
    match network {
        Network::Vit(vit) => vit.forward_pooled(images, Pooling::PatchMean),
        Network::CaMae(mae) => {
            let vit = &mae.encoder.vit_backbone;
            vit.forward_pooled(images, Pooling::PatchMean)
        }
        Network::MuNet(network) => {
            let maps = network.forward_block_maps(images, &mut pass);
            network.reconstruct(maps, &mut pass).flatten(1, 3)
        }
        Network::DenseNet(network) => network.forward_embedding(images, &mut pass),
        Network::ResNet(network) => network.forward_embedding(images, &mut pass),
        _ => panic!("this network's training pass is not measured"),
    }
}
