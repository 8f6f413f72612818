//! The projection head of SimCLR.
//!
//! Chen et al. 2020 (<https://arxiv.org/abs/2002.05709>): two linear maps with a
//! ReLU between; the contrastive loss sees their output and is thrown away with
//! them after training. Lugli et al. 2025 train with the variants below. Field
//! names are those of lightly's `SimCLRProjectionHead`, a `torch.nn.Sequential`.
//! Differences from it: none.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use crate::blocks::batch_norm::BatchNorm;
use crate::blocks::dropout::dropout;
use crate::blocks::linear::{Bias, Linear};
use crate::blocks::norm_pass::NormPass;
use crate::blocks::relu::relu;
use crate::error::ModelError;
use crate::initializer::Initializer;

/// Where a [`SimClrHead`] has batch normalisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimClrNorm {
    /// Nowhere.
    None,
    /// Behind the first map, which has no bias then.
    #[default]
    Hidden,
    /// Behind both.
    HiddenAndOutput,
}

/// Sizes of a [`SimClrHead`]. The default is that of ViT-S.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimClrHeadConfig {
    /// Features of the backbone.
    pub in_dim: usize,
    /// Features between the maps.
    pub hidden_dim: usize,
    /// Features that are compared.
    pub out_dim: usize,
    /// Where batch normalisation is.
    pub norm: SimClrNorm,
    /// Share of the hidden features that are dropped in training.
    pub dropout: f64,
}

impl Default for SimClrHeadConfig {
    fn default() -> Self {
        Self {
            in_dim: 384,
            hidden_dim: 384,
            out_dim: 128,
            norm: SimClrNorm::Hidden,
            dropout: 0.0,
        }
    }
}

impl SimClrHeadConfig {
    /// Of the original paper: no norm.
    pub fn classic(in_dim: usize) -> Self {
        Self {
            in_dim,
            hidden_dim: in_dim,
            norm: SimClrNorm::None,
            ..Self::default()
        }
    }

    /// Of Lugli et al.'s code on ResNet-18: 512, 128, 64.
    pub fn aibio_resnet18() -> Self {
        Self {
            in_dim: 512,
            hidden_dim: 128,
            out_dim: 64,
            norm: SimClrNorm::None,
            dropout: 0.0,
        }
    }

    /// Of Lugli et al.'s code on larger ResNets: both norms, a fifth dropped.
    pub fn aibio_resnet(in_dim: usize) -> Self {
        Self {
            in_dim,
            hidden_dim: in_dim,
            out_dim: 128,
            norm: SimClrNorm::HiddenAndOutput,
            dropout: 0.2,
        }
    }

    /// Whether the numbers can be.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), ModelError> {
        let invalid = |message| {
            Err(ModelError::InvalidConfig {
                network: "simclr_head",
                message,
            })
        };
        let counts = [
            ("in_dim", self.in_dim),
            ("hidden_dim", self.hidden_dim),
            ("out_dim", self.out_dim),
        ];
        for (name, value) in counts {
            let most = 1 << 20;
            if value == 0 || value > most {
                return invalid(format!("{name} {value} is not in 1..={most}"));
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return invalid(format!("dropout {} is not in 0..1", self.dropout));
        }
        Ok(())
    }

    /// A head with weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`SimClrHeadConfig::check`].
    pub fn init(&self, device: &Device, seed: Seed) -> Result<SimClrHead, ModelError> {
        self.check()?;
        let linear = |shape: [usize; 2], bias, name: &str| {
            let uniform = Initializer::Uniform { fan_in: shape[0] };
            SimClrLayer::Linear(Linear::init(shape, bias, uniform, seed.split(name), device))
        };
        let hidden_bias = match self.norm {
            SimClrNorm::None => Bias::Zeros,
            SimClrNorm::Hidden | SimClrNorm::HiddenAndOutput => Bias::None,
        };
        let mut layers = vec![linear([self.in_dim, self.hidden_dim], hidden_bias, "first")];
        if self.norm != SimClrNorm::None {
            layers.push(SimClrLayer::Norm(BatchNorm::init(self.hidden_dim, device)));
        }
        layers.push(SimClrLayer::Relu(Relu));
        if self.dropout > 0.0 {
            layers.push(SimClrLayer::Dropout(Dropout));
        }
        layers.push(linear(
            [self.hidden_dim, self.out_dim],
            Bias::Zeros,
            "second",
        ));
        if self.norm == SimClrNorm::HiddenAndOutput {
            layers.push(SimClrLayer::Norm(BatchNorm::init(self.out_dim, device)));
        }
        Ok(SimClrHead {
            layers,
            dropout: self.dropout,
        })
    }
}

/// Two linear maps and what is between them; field names are checkpoint keys.
#[derive(Module, Debug)]
pub struct SimClrHead {
    /// The steps.
    pub layers: Vec<SimClrLayer>,
    dropout: f64,
}

/// A step of a [`SimClrHead`].
#[derive(Module, Debug)]
pub enum SimClrLayer {
    /// A linear map.
    Linear(Linear),
    /// Behind it.
    Norm(BatchNorm),
    /// Before the second map.
    Relu(Relu),
    /// Before the second map, in training.
    Dropout(Dropout),
}

/// `max(x, 0)` in a list of modules.
#[derive(Module, Debug)]
pub struct Relu;

/// [`dropout`] in a list of modules.
#[derive(Module, Debug)]
pub struct Dropout;

impl SimClrHead {
    /// What the contrastive loss compares.
    ///
    /// # Shapes
    /// `[B, in_dim]` to `[B, out_dim]`; `dropout_seed` is `None` in evaluation
    pub fn forward(
        &self,
        features: Tensor<2>,
        pass: &mut NormPass,
        dropout_seed: Option<Seed>,
    ) -> Tensor<2> {
        self.layers.iter().fold(features, |x, layer| match layer {
            SimClrLayer::Linear(linear) => linear.forward(x),
            SimClrLayer::Norm(norm) => norm.forward(x, pass),
            SimClrLayer::Relu(_) => relu(x),
            SimClrLayer::Dropout(_) => dropout(x, self.dropout, dropout_seed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::parameters;

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().iter().collect()
    }

    #[test]
    fn variants_have_the_layers_of_their_sources() {
        let names = |config: SimClrHeadConfig| -> Vec<String> {
            let head = config
                .init(&Device::default(), Seed::new(1))
                .expect("valid");
            let parameters = parameters(&head).into_iter();
            parameters.map(|parameter| parameter.name).collect()
        };
        assert_eq!(
            names(SimClrHeadConfig::aibio_resnet18()),
            [
                "layers.0.weight",
                "layers.0.bias",
                "layers.2.weight",
                "layers.2.bias"
            ]
        );
        assert_eq!(
            names(SimClrHeadConfig::default())[..3],
            ["layers.0.weight", "layers.1.weight", "layers.1.bias"]
        );
        let both = names(SimClrHeadConfig::aibio_resnet(2048));
        assert!(both.contains(&"layers.4.weight".to_owned()), "{both:?}");
        assert!(
            both.contains(&"layers.5.running_var".to_owned()),
            "{both:?}"
        );
    }

    #[test]
    fn it_is_two_maps_with_a_relu_between() {
        let device = Device::default();
        let config = SimClrHeadConfig {
            in_dim: 2,
            hidden_dim: 2,
            out_dim: 1,
            norm: SimClrNorm::None,
            dropout: 0.0,
        };
        let mut head = config.init(&device, Seed::new(1)).expect("valid");
        let weights = [
            Tensor::<2>::from_floats([[1.0, -1.0], [2.0, 0.5]], &device),
            Tensor::<2>::from_floats([[3.0], [5.0]], &device),
        ];
        let mut weights = weights.into_iter();
        for layer in &mut head.layers {
            if let SimClrLayer::Linear(linear) = layer {
                let weight = weights.next().expect("there are two maps");
                linear.weight = burn::module::Param::from_tensor(weight);
            }
        }
        // [1, 1] → [3, -0.5] → [3, 0] → 9; [-1, 2] → [3, 2] → 9 + 10.
        let x = Tensor::from_floats([[1.0, 1.0], [-1.0, 2.0]], &device);
        let y = head.forward(x, &mut NormPass::running(), None);
        assert_eq!(values(y), [9.0, 19.0]);
    }

    #[test]
    fn dropout_acts_in_training_only_and_follows_its_seed() {
        let device = Device::default();
        let head = SimClrHeadConfig::aibio_resnet(64);
        let head = head.init(&device, Seed::new(1)).expect("valid");
        let x = Tensor::ones([4, 64], &device);
        let run = |seed: Option<u64>| {
            let seed = seed.map(Seed::new);
            values(head.forward(x.clone(), &mut NormPass::running(), seed))
        };
        assert_eq!(run(None), run(None));
        assert_eq!(run(Some(3)), run(Some(3)));
        assert_ne!(run(Some(3)), run(Some(4)));
        assert_ne!(run(None), run(Some(3)));
    }
}
