//! What is evaluated in fewer passes on the CPU is what tensor operations give.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, activation, module};
use morphospace_core::Seed;
use morphospace_models::blocks::block::{Block, BlockConfig};
use morphospace_models::blocks::cross_attention::CrossAttention;
use morphospace_models::blocks::feed_forward::FeedForwardKind;
use morphospace_models::blocks::gelu::gelu;
use morphospace_models::blocks::layer_norm::LayerNorm;
use morphospace_models::blocks::linear::{Bias, Linear};
use morphospace_models::blocks::parallel_scaling_block::{
    ParallelScalingBlock, ParallelScalingBlockConfig,
};
use morphospace_models::{BiasLayout, Initializer, VitConfig};

use rand::RngExt;

use crate::support::largest_difference;

const NORMAL: Initializer = Initializer::Normal { std: 0.3 };

/// Uniform values of variance 1, the same for the same shape.
fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let mut rng = Seed::new(count as u64).rng();
    let mut draw = || (rng.random::<f32>() - 0.5) * 12.0_f32.sqrt();
    let values = (0..count).map(|_| draw()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::default())
}

fn plain_block(dim: usize, num_heads: usize) -> Block {
    let config = BlockConfig {
        dim,
        num_heads,
        mlp_hidden: 4 * dim,
        feed_forward: FeedForwardKind::Mlp,
        qkv_bias: Bias::Zeros,
        init_values: None,
        drop_path_rate: 0.0,
        norm_eps: 1e-6,
        initializer: NORMAL,
    };
    config.init(Seed::new(1), &Device::default())
}

/// In training every operation is Burn's own.
fn both<M: Module>(module: &M, x: Tensor<3>, forward: impl Fn(&M, Tensor<3>) -> Tensor<3>) -> f32 {
    let training = forward(&module.clone().train(), x.clone().autodiff()).inner();
    largest_difference(forward(module, x), training)
}

#[test]
fn blocks_evaluate_as_they_train() {
    let device = Device::default();
    // Sizes below, at and around those where loops over lanes, rows and queries
    // end; head sizes of 8, 12, 21 and 104.
    for (batch, num_tokens, num_heads, head_dim) in [
        (1, 1, 1, 8),
        (2, 7, 2, 12),
        (3, 65, 3, 21),
        (1, 300, 2, 104),
        (5, 17, 6, 64),
    ] {
        let dim = num_heads * head_dim;
        let x = random([batch, num_tokens, dim]);
        for bias_layout in [BiasLayout::Aligned, BiasLayout::Timm097] {
            let config = ParallelScalingBlockConfig {
                dim,
                num_heads,
                mlp_hidden: 4 * dim + 3,
                norm_eps: 1e-6,
                init_values: 0.7,
                drop_path_rate: 0.0,
                bias_layout,
                initializer: Initializer::Normal { std: 0.05 },
            };
            let block: ParallelScalingBlock = config.init(Seed::new(1), &device);
            let difference = both(&block, x.clone(), |block, x| block.forward(x, None));
            assert!(difference < 2e-4, "{num_tokens} x {dim}: {difference}");
        }
        for (feed_forward, init_values) in [
            (FeedForwardKind::Mlp, None),
            (FeedForwardKind::SwiGlu, Some(0.5)),
        ] {
            let config = BlockConfig {
                dim,
                num_heads,
                mlp_hidden: 4 * dim,
                feed_forward,
                qkv_bias: Bias::Zeros,
                init_values,
                drop_path_rate: 0.0,
                norm_eps: 1e-6,
                initializer: Initializer::Normal { std: 0.05 },
            };
            let block: Block = config.init(Seed::new(1), &device);
            let difference = both(&block, x.clone(), |block, x| block.forward(x, None));
            assert!(difference < 2e-4, "{num_tokens} x {dim}: {difference}");
        }
        let cross = CrossAttention::init(dim, num_heads, NORMAL, Seed::new(2), &device);
        let context = random([batch, 2 * num_tokens + 1, dim]);
        let evaluation = cross.forward(x.clone(), context.clone());
        let training = cross.clone().train();
        let training = training.forward(x.autodiff(), context.autodiff()).inner();
        let scale = training.clone().abs().max().into_scalar::<f32>();
        assert!(largest_difference(evaluation, training) < 1e-4 * scale.max(1.0));
    }
}

#[test]
fn maps_take_tensors_as_they_lie() {
    let device = Device::default();
    let linear = Linear::init([24, 5], Bias::Zeros, NORMAL, Seed::new(3), &device);
    let norm = LayerNorm::init(24, 1e-6, &device);
    let wide = random([3, 8, 40]);
    let tokens = random([3, 24, 8]);
    let single = random([1, 1, 24]);
    let none = random([2, 0, 24]);
    let views = [
        // Features out of wider rows, turned axes, repeated rows, every second
        // image, one row, no rows.
        wide.narrow(2, 9, 24),
        tokens.swap_dims(1, 2),
        single.clone().expand([2, 4, 24]),
        random([6, 4, 24]).slice_dim(0, burn::tensor::s![..;2]),
        single,
        none,
    ];
    for (index, x) in views.into_iter().enumerate() {
        let (weight, bias) = (linear.weight.val(), linear.bias.as_ref().map(Param::val));
        let plain = |x| module::linear(x, weight.clone(), bias.clone());
        let difference = |a: Tensor<3>, b: Tensor<3>| {
            assert_eq!(a.dims(), b.dims(), "view {index}");
            match a.dims().contains(&0) {
                true => 0.0,
                false => largest_difference(a, b),
            }
        };
        assert!(
            difference(linear.forward(x.clone()), plain(x.clone())) < 1e-5,
            "view {index}"
        );
        let of_gelu = plain(activation::gelu(x.clone()));
        assert!(
            difference(linear.forward(gelu(x.clone())), of_gelu) < 1e-5,
            "view {index}"
        );
        assert!(
            difference(gelu(x.clone()), activation::gelu(x.clone())) < 1e-6,
            "view {index}"
        );
        let (weight, bias) = (norm.weight.val(), norm.bias.val());
        let plain = module::layer_norm(x.clone(), weight, Some(bias), 1e-6);
        assert!(difference(norm.forward(x), plain) < 1e-5, "view {index}");
    }
}

#[test]
fn a_token_does_not_depend_on_how_many_images_are_beside_it() {
    let block = plain_block(48, 3);
    let x = random([9, 50, 48]);
    let together = block.forward(x.clone(), None);
    for image in 0..9 {
        let alone = block.forward(x.clone().narrow(0, image, 1), None);
        let difference = largest_difference(alone, together.clone().narrow(0, image, 1));
        assert!(difference < 1e-5, "image {image}: {difference}");
    }
}

#[test]
fn what_is_no_number_stays_none() {
    let device = Device::default();
    let block = plain_block(16, 2);
    let x = random([2, 5, 16]);
    let spoilt = x.slice_assign(
        [0..1, 0..1, 0..1],
        Tensor::full([1, 1, 1], f32::NAN, &device),
    );
    let output = block.forward(spoilt, None);
    let of_image = |image| {
        output
            .clone()
            .narrow(0, image, 1)
            .sum()
            .into_scalar::<f32>()
    };
    assert!(of_image(0).is_nan());
    assert!(of_image(1).is_finite());
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let device = Device::default();
    // More hidden features than a matrix product takes in one go.
    let config = ParallelScalingBlockConfig {
        dim: 384,
        num_heads: 6,
        mlp_hidden: 1536,
        norm_eps: 1e-6,
        init_values: 0.7,
        drop_path_rate: 0.0,
        bias_layout: BiasLayout::Aligned,
        initializer: Initializer::Normal { std: 0.05 },
    };
    let block = config.init(Seed::new(1), &device);
    let x = random([3, 257, 384]);
    let images = crate::support::images(3, 6, 64, &device);
    let vit = VitConfig {
        img_size: 64,
        depth: 2,
        ..VitConfig::default()
    };
    let vit = vit.init(&device, Seed::new(1)).unwrap();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            // Also fewer rows, which are multiplied otherwise, and one.
            let few = [1, 17, 33].map(|n| block.forward(x.clone().narrow(1, 0, n), None));
            let few = few.map(Tensor::into_data);
            let tokens = block.forward(x.clone(), None);
            (
                few,
                tokens.into_data(),
                vit.forward_features(images.clone()).into_data(),
            )
        })
    };
    let one = with(1);
    for threads in [2, 3, 4, 16] {
        assert_eq!(with(threads), one, "{threads} threads");
    }
}
