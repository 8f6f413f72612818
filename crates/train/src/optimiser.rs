use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use morphospace_core::write_atomically;
use morphospace_models::{Parameter, parameters};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// How weights move.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimiserConfig {
    /// The rule.
    pub rule: Rule,
    /// Highest learning rate of the schedule.
    pub learning_rate: f64,
    /// Decay rates of the first and second average.
    #[serde(default = "default_betas")]
    pub betas: [f64; 2],
    /// AdamW only: added to the spread of the gradient.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// Decoupled weight decay, applied before the update.
    #[serde(default)]
    pub weight_decay: f64,
    /// Whether biases, norms and other one-dimensional parameters decay too
    /// (they do in maes_microscopy).
    #[serde(default)]
    pub decays_one_dimensional: bool,
}

fn default_betas() -> [f64; 2] {
    [0.9, 0.95]
}

fn default_epsilon() -> f64 {
    1e-8
}

/// The update rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Loshchilov & Hutter 2019, as `torch.optim.AdamW` computes it.
    AdamW,
    /// Chen et al. 2023 (<https://arxiv.org/abs/2302.06675>), as timm 0.9.7.
    Lion,
}

impl OptimiserConfig {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let invalid = |message| Err(TrainError::InvalidConfig(message));
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return invalid(format!(
                "optimiser.learning_rate {} is not a positive number",
                self.learning_rate
            ));
        }
        if let Some(beta) = self.betas.iter().find(|beta| !(0.0..1.0).contains(*beta)) {
            return invalid(format!(
                "optimiser.betas contain {beta}, which is not in 0..1"
            ));
        }
        if !(self.epsilon >= 0.0 && self.epsilon.is_finite()) {
            return invalid(format!(
                "optimiser.epsilon {} is not a number from 0 up",
                self.epsilon
            ));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return invalid(format!(
                "optimiser.weight_decay {} is not a number from 0 up",
                self.weight_decay
            ));
        }
        Ok(())
    }
}

/// The optimiser and its running averages, one entry per parameter.
#[derive(Clone, Debug)]
pub struct Optimiser {
    config: OptimiserConfig,
    num_steps_done: u64,
    averages: BTreeMap<String, Averages>,
}

/// Running averages of a parameter's gradient, flat.
#[derive(Clone, Debug)]
struct Averages {
    first: Tensor<1>,
    /// AdamW only.
    second: Option<Tensor<1>>,
}

impl Optimiser {
    /// An optimiser that has seen no gradient.
    pub fn new(config: OptimiserConfig) -> Self {
        Self {
            config,
            num_steps_done: 0,
            averages: BTreeMap::new(),
        }
    }

    /// Moves every parameter that received a gradient; `factor` is the
    /// schedule's share of the highest learning rate.
    pub fn step<M: Module>(&mut self, module: M, gradients: &Gradients, factor: f64) -> M {
        self.num_steps_done += 1;
        let names = parameters(&module)
            .into_iter()
            .map(|Parameter { name, id, .. }| (id, name))
            .collect();
        let learning_rate = self.config.learning_rate * factor;
        module.map(&mut Step {
            optimiser: self,
            names,
            gradients,
            learning_rate,
        })
    }

    /// Writes the averages so that [`Optimiser::load`] goes on from here.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut tensors = BTreeMap::new();
        for (name, averages) in &self.averages {
            tensors.insert(format!("first.{name}"), bytes_of(&averages.first));
            if let Some(second) = &averages.second {
                tensors.insert(format!("second.{name}"), bytes_of(second));
            }
        }
        let views: Vec<(&str, TensorView<'_>)> = tensors
            .iter()
            .map(|(name, bytes)| {
                let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)
                    .expect("four bytes per value");
                (name.as_str(), view)
            })
            .collect();
        let steps = HashMap::from([("num_steps".to_owned(), self.num_steps_done.to_string())]);
        let bytes = safetensors::serialize(views, Some(steps)).map_err(io::Error::other)?;
        write_atomically(path, |file| file.write_all(&bytes))
    }

    /// Reads what [`Optimiser::save`] wrote.
    ///
    /// # Errors
    /// The file cannot be read or is not an optimiser's.
    pub fn load(config: OptimiserConfig, path: &Path, device: &Device) -> io::Result<Self> {
        let bytes = std::fs::read(path)?;
        let invalid = |message: &str| io::Error::new(io::ErrorKind::InvalidData, message);
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(io::Error::other)?;
        let num_steps_done = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get("num_steps"))
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| invalid("no 'num_steps' in the optimiser's file"))?;
        let file = SafeTensors::deserialize(&bytes).map_err(io::Error::other)?;
        let mut averages = BTreeMap::new();
        for (key, view) in file.tensors() {
            let Some(name) = key.strip_prefix("first.") else {
                continue;
            };
            let second = match config.rule {
                Rule::Lion => None,
                Rule::AdamW => {
                    let view = file
                        .tensor(&format!("second.{name}"))
                        .map_err(io::Error::other)?;
                    Some(tensor_of(&view, device))
                }
            };
            let first = tensor_of(&view, device);
            averages.insert(name.to_owned(), Averages { first, second });
        }
        Ok(Self {
            config,
            num_steps_done,
            averages,
        })
    }
}

fn bytes_of(tensor: &Tensor<1>) -> Vec<u8> {
    let values: Vec<f32> = tensor.to_data().try_to_vec().expect("averages are f32");
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn tensor_of(view: &TensorView<'_>, device: &Device) -> Tensor<1> {
    let values: Vec<f32> = view
        .data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

/// One step over all parameters of a module.
struct Step<'a> {
    optimiser: &'a mut Optimiser,
    names: HashMap<ParamId, String>,
    gradients: &'a Gradients,
    learning_rate: f64,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match tensor.grad(self.gradients) {
            Some(gradient) => {
                let name = self.names[&id].clone();
                let moved = self.update(name, tensor.inner(), gradient);
                Tensor::from_inner(moved).require_grad()
            }
            None => tensor,
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

impl Step<'_> {
    fn update<const D: usize>(
        &mut self,
        name: String,
        weights: Tensor<D>,
        gradient: Tensor<D>,
    ) -> Tensor<D> {
        let config = self.optimiser.config;
        let [beta1, beta2] = config.betas;
        let learning_rate = self.learning_rate;
        let shape = weights.shape();
        let gradient: Tensor<1> = gradient.flatten(0, D - 1);
        let decays = shape.num_dims() > 1 || config.decays_one_dimensional;
        let weights = match config.weight_decay {
            decay if decay > 0.0 && decays => weights * (1.0 - learning_rate * decay),
            _ => weights,
        };
        let zeros = || Tensor::zeros_like(&gradient);
        let before = self.optimiser.averages.remove(&name);
        let (first, second) = match before {
            Some(averages) => (averages.first, averages.second),
            None => (zeros(), None),
        };
        let (change, averages) = match config.rule {
            Rule::Lion => {
                let change = (first.clone() * beta1 + gradient.clone() * (1.0 - beta1)).sign();
                let first = first * beta2 + gradient * (1.0 - beta2);
                (
                    change * learning_rate,
                    Averages {
                        first,
                        second: None,
                    },
                )
            }
            Rule::AdamW => {
                let second = second.unwrap_or_else(zeros);
                let first = first * beta1 + gradient.clone() * (1.0 - beta1);
                let second = second * beta2 + gradient.square() * (1.0 - beta2);
                let steps = self.optimiser.num_steps_done as i32;
                let correction1 = 1.0 - beta1.powi(steps);
                let correction2 = 1.0 - beta2.powi(steps);
                let spread = second.clone().sqrt() / correction2.sqrt() + config.epsilon;
                let change = first.clone() / spread * (learning_rate / correction1);
                (
                    change,
                    Averages {
                        first,
                        second: Some(second),
                    },
                )
            }
        };
        self.optimiser.averages.insert(name, averages);
        weights - change.reshape(shape)
    }
}
