//! Update rules, worked by hand, and learning on a fixed batch.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use morphospace_core::Seed;
use morphospace_models::{MaeConfig, Masking, VitConfig};
use morphospace_train::{GradientSet, Optimiser, OptimiserConfig, ParameterGroup, Rule};

use crate::support::{adam_w, tiny_mae};

/// A loss whose gradient is `slope`, whatever the weights.
#[derive(Module, Debug)]
struct Line {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Line {
    fn new() -> Self {
        let device = Device::default().autodiff();
        Self {
            weight: Param::from_tensor(Tensor::from_data([[1.0f32, -2.0]], &device)),
            bias: Param::from_tensor(Tensor::from_data([0.5f32], &device)),
        }
    }

    fn step(self, optimiser: &mut Optimiser, slope: f32) -> Self {
        let loss = (self.weight.val().sum() + self.bias.val().sum()) * slope;
        let gradients = GradientSet::of(&self, &loss.backward(), |_| true);
        let size = optimiser.config().full_step();
        optimiser.step(self, &gradients, size)
    }

    fn values(&self) -> [f32; 3] {
        let weight: Vec<f32> = self.weight.val().into_data().try_to_vec().unwrap();
        let bias: Vec<f32> = self.bias.val().into_data().try_to_vec().unwrap();
        [weight[0], weight[1], bias[0]]
    }
}

fn assert_near(found: [f32; 3], expected: [f64; 3]) {
    for (found, expected) in found.into_iter().zip(expected) {
        assert!(
            (f64::from(found) - expected).abs() < 1e-6,
            "{found} {expected}"
        );
    }
}

#[test]
fn adam_w_by_hand() {
    let config = OptimiserConfig {
        weight_decay: 0.5,
        ..adam_w(0.1)
    };
    let mut optimiser = Optimiser::new(config);
    // Step 1: m / (1 - 0.9) = g and v / (1 - 0.95) = g^2, so each moves by
    // the learning rate against the sign; weights decay by 1 - 0.1 * 0.5
    // before, the bias does not.
    let line = Line::new().step(&mut optimiser, 3.0);
    assert_near(line.values(), [0.95 - 0.1, -1.9 - 0.1, 0.5 - 0.1]);
    // Step 2 with g = -1: m = 0.9 * 0.3 - 0.1 = 0.17, m' = 0.17 / 0.19;
    // v = 0.95 * 0.45 + 0.05 = 0.4775, v' = 0.4775 / 0.0975.
    let line = line.step(&mut optimiser, -1.0);
    let change = 0.1 * (0.17 / 0.19) / (0.4775f64 / 0.0975).sqrt();
    assert_near(
        line.values(),
        [0.85 * 0.95 - change, -2.0 * 0.95 - change, 0.4 - change],
    );
}

#[test]
fn lion_by_hand() {
    let config = OptimiserConfig {
        rule: Rule::Lion,
        weight_decay: 0.5,
        decays_one_dimensional: true,
        ..adam_w(0.1)
    };
    let mut optimiser = Optimiser::new(config);
    let line = Line::new().step(&mut optimiser, 3.0);
    assert_near(line.values(), [0.95 - 0.1, -1.9 - 0.1, 0.475 - 0.1]);
    // The average is 0.05 * 3 = 0.15; with g = -1 the direction is
    // sign(0.9 * 0.15 - 0.1) = +: one slope against it does not turn it.
    let line = line.step(&mut optimiser, -1.0);
    assert_near(
        line.values(),
        [0.85 * 0.95 - 0.1, -2.0 * 0.95 - 0.1, 0.375 * 0.95 - 0.1],
    );
}

#[test]
fn momentum_by_hand() {
    for (rule, second) in [
        (Rule::Sgd, 0.9 * 3.0 - 1.0),
        (Rule::SgdNesterov, -1.0 + 0.9 * 1.7),
    ] {
        let config = OptimiserConfig {
            rule,
            betas: [0.9, 0.0],
            ..adam_w(0.1)
        };
        let mut optimiser = Optimiser::new(config);
        let line = Line::new().step(&mut optimiser, 3.0);
        let first = match rule {
            Rule::Sgd => 3.0,
            _ => 3.0 + 0.9 * 3.0,
        };
        assert_near(
            line.values(),
            [1.0 - 0.1 * first, -2.0 - 0.1 * first, 0.5 - 0.1 * first],
        );
        let line = line.step(&mut optimiser, -1.0);
        let both = first + second;
        assert_near(
            line.values(),
            [1.0 - 0.1 * both, -2.0 - 0.1 * both, 0.5 - 0.1 * both],
        );
    }
}

#[test]
fn groups_move_at_their_own_rate() {
    let group = |prefix: &str, learning_rate_factor, weight_decay| ParameterGroup {
        prefix: prefix.to_owned(),
        learning_rate_factor,
        weight_decay,
    };
    let config = OptimiserConfig {
        weight_decay: 0.5,
        groups: vec![group("bias", 2.0, Some(0.25)), group("weight", 0.0, None)],
        ..adam_w(0.1)
    };
    let mut optimiser = Optimiser::new(config);
    let line = Line::new().step(&mut optimiser, 3.0);
    // The weight is held still; the bias decays by 0.2 * 0.25.
    assert_near(line.values(), [1.0, -2.0, 0.5 * 0.95 - 0.2]);
}

#[test]
fn an_optimiser_goes_on_from_its_file() {
    for rule in [Rule::AdamW, Rule::Adam, Rule::Lion, Rule::Sgd] {
        let config = OptimiserConfig {
            rule,
            ..adam_w(0.1)
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("optimiser.safetensors");
        let mut optimiser = Optimiser::new(config.clone());
        let line = Line::new()
            .step(&mut optimiser, 3.0)
            .step(&mut optimiser, -0.5);
        optimiser.save(&path).unwrap();
        let mut loaded = Optimiser::load(config, &path, &Device::default()).unwrap();
        let went_on = line.clone().step(&mut optimiser, 0.25).values();
        assert_eq!(line.step(&mut loaded, 0.25).values(), went_on, "{rule:?}");
    }
}

#[test]
fn a_file_of_something_else_is_not_an_optimiser() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimiser.safetensors");
    std::fs::write(&path, b"not safetensors").unwrap();
    assert!(Optimiser::load(adam_w(0.1), &path, &Device::default()).is_err());
}

#[test]
fn overfits_eight_images_in_fifty_steps() {
    let device = Device::default().autodiff();
    let wave = |index: usize| {
        let (image, pixel) = (index / 256, index % 256);
        let (y, x) = ((pixel / 16) as f32, (pixel % 16) as f32);
        let phase = image as f32;
        (0.3 * x + phase).sin() + (0.2 * y - 0.7 * phase).cos()
    };
    let levels = TensorData::new((0..8 * 6 * 256).map(wave).collect(), [8, 6, 16, 16]);
    let batch: Tensor<4> = Tensor::from_data(levels, &device);
    let config = MaeConfig {
        encoder: VitConfig {
            embed_dim: 64,
            drop_path_rate: 0.0,
            ..tiny_mae().encoder
        },
        ..tiny_mae()
    };
    let mut mae = config.init(&device, Seed::new(1)).unwrap();
    let masking = Masking::random(Seed::new(2), 8, mae.num_tokens(), 0.25).unwrap();
    let mut optimiser = Optimiser::new(adam_w(3e-3));
    let mut losses: Vec<f32> = Vec::new();
    for _ in 0..50 {
        let output = mae.forward(batch.clone(), &masking, None);
        let loss = mae.loss(batch.clone(), &output).total;
        losses.push(loss.clone().into_scalar());
        let gradients = GradientSet::of(&mae, &loss.backward(), |_| true);
        let size = optimiser.config().full_step();
        mae = optimiser.step(mae, &gradients, size);
    }
    assert!(losses[49] < 0.2 * losses[0], "losses: {losses:?}");
}
