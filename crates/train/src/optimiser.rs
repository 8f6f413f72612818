use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use morphospace_core::write_atomically;
use morphospace_models::{Parameter, parameters};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::{GradientSet, TrainError};

/// How weights move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimiserConfig {
    /// The rule.
    pub rule: Rule,
    /// Highest learning rate of the schedule.
    pub learning_rate: f64,
    /// Decay rates of the first and second average; of plain gradient descent
    /// the first is the momentum, and the second is not used.
    #[serde(default = "default_betas")]
    pub betas: [f64; 2],
    /// AdamW and Adam only: added to the spread of the gradient.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// Weight decay: decoupled and applied before the update, but with Adam
    /// and plain gradient descent part of the gradient.
    #[serde(default)]
    pub weight_decay: f64,
    /// What weight decay moves to along half a cosine, if it moves (0.4 in
    /// DINO, from 0.04).
    #[serde(default)]
    pub weight_decay_end: Option<f64>,
    /// Whether biases, norms and other one-dimensional parameters decay too
    /// (they do in maes_microscopy).
    #[serde(default)]
    pub decays_one_dimensional: bool,
    /// Parameters that move otherwise than the rest. Of several groups that a
    /// name belongs to, the first counts.
    #[serde(default)]
    pub groups: Vec<ParameterGroup>,
}

/// Parameters whose names begin alike, and what is special about them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterGroup {
    /// How their names begin, such as `"head."`.
    pub prefix: String,
    /// Times the learning rate; 0 holds them still.
    #[serde(default = "one")]
    pub learning_rate_factor: f64,
    /// Their own weight decay.
    #[serde(default)]
    pub weight_decay: Option<f64>,
}

fn default_betas() -> [f64; 2] {
    [0.9, 0.95]
}

fn default_epsilon() -> f64 {
    1e-8
}

fn one() -> f64 {
    1.0
}

/// The update rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Loshchilov & Hutter 2019, as `torch.optim.AdamW` computes it.
    AdamW,
    /// Kingma & Ba 2015, as `torch.optim.Adam` computes it.
    Adam,
    /// Chen et al. 2023 (<https://arxiv.org/abs/2302.06675>), as timm 0.9.7.
    Lion,
    /// Gradient descent with momentum, as `torch.optim.SGD` computes it
    /// without dampening.
    Sgd,
    /// The same with Nesterov's momentum.
    SgdNesterov,
}

/// What of the rule changes from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepSize {
    /// The learning rate.
    pub learning_rate: f64,
    /// Weight decay of all parameters without their own.
    pub weight_decay: f64,
    /// The first beta, where the schedule cycles it.
    pub beta1: Option<f64>,
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
        let from_zero = [
            ("epsilon", Some(self.epsilon)),
            ("weight_decay", Some(self.weight_decay)),
            ("weight_decay_end", self.weight_decay_end),
        ];
        for (name, value) in from_zero {
            if value.is_some_and(|value| !(value >= 0.0 && value.is_finite())) {
                let value = value.unwrap_or_default();
                return invalid(format!(
                    "optimiser.{name} {value} is not a number from 0 up"
                ));
            }
        }
        for group in &self.groups {
            let numbers = [Some(group.learning_rate_factor), group.weight_decay];
            for value in numbers.into_iter().flatten() {
                if !(value >= 0.0 && value.is_finite()) {
                    return invalid(format!(
                        "optimiser.groups: '{}' has {value}, which is not a number from 0 up",
                        group.prefix
                    ));
                }
            }
        }
        Ok(())
    }

    /// The whole rate and decay, as at the peak of a schedule.
    pub fn full_step(&self) -> StepSize {
        StepSize {
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            beta1: None,
        }
    }

    /// A group to which no parameter belongs, in words.
    pub(crate) fn unknown_group<M: Module>(&self, module: &M) -> Option<String> {
        let parameters = parameters(module);
        let is_unknown = |group: &&ParameterGroup| {
            let mut names = parameters.iter().map(|parameter| &parameter.name);
            !names.any(|name| name.starts_with(&group.prefix))
        };
        let unknown = self.groups.iter().find(is_unknown)?;
        Some(format!(
            "optimiser.groups: no parameter begins with '{}'; the first is '{}'",
            unknown.prefix, parameters[0].name
        ))
    }

    fn group_of(&self, name: &str) -> Option<&ParameterGroup> {
        let mut groups = self.groups.iter();
        groups.find(|group| name.starts_with(&group.prefix))
    }
}

/// The optimiser and its running averages, one entry per parameter.
#[derive(Clone, Debug)]
pub struct Optimiser {
    config: OptimiserConfig,
    averages: BTreeMap<String, Averages>,
}

/// Running averages of a parameter's gradient, flat.
#[derive(Clone, Debug)]
struct Averages {
    first: Tensor<1>,
    /// AdamW and Adam only.
    second: Option<Second>,
}

/// What AdamW and Adam keep beside the first average.
#[derive(Clone, Debug)]
struct Second {
    average: Tensor<1>,
    /// How often the parameter was moved: as in torch, one that is held still
    /// for a while begins later.
    num_moves: i64,
}

impl Averages {
    fn of_first(first: Tensor<1>) -> Self {
        Self {
            first,
            second: None,
        }
    }
}

impl Optimiser {
    /// An optimiser that has seen no gradient.
    pub fn new(config: OptimiserConfig) -> Self {
        Self {
            config,
            averages: BTreeMap::new(),
        }
    }

    /// What it was made of.
    pub fn config(&self) -> &OptimiserConfig {
        &self.config
    }

    /// Moves every parameter that has a gradient.
    pub fn step<M: Module>(&mut self, module: M, gradients: &GradientSet, size: StepSize) -> M {
        let names = parameters(&module)
            .into_iter()
            .map(|Parameter { name, id, .. }| (id, name))
            .collect();
        module.map(&mut Step {
            optimiser: self,
            names,
            gradients,
            size,
        })
    }

    /// Writes the averages so that [`Optimiser::load`] goes on from here.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut tensors = BTreeMap::new();
        for (name, averages) in &self.averages {
            let first = (Dtype::F32, bytes_of(&averages.first));
            tensors.insert(format!("{FIRST}{name}"), first);
            if let Some(Second { average, num_moves }) = &averages.second {
                let second = (Dtype::F32, bytes_of(average));
                tensors.insert(format!("{SECOND}{name}"), second);
                let num_moves = (Dtype::I64, num_moves.to_le_bytes().to_vec());
                tensors.insert(format!("{NUM_MOVES}{name}"), num_moves);
            }
        }
        let views: Vec<(&str, TensorView<'_>)> = tensors
            .iter()
            .map(|(name, (dtype, bytes))| {
                let len = bytes.len() / (dtype.bitsize() / 8);
                let view = TensorView::new(*dtype, vec![len], bytes).expect("whole values");
                (name.as_str(), view)
            })
            .collect();
        let bytes = safetensors::serialize(views, None).map_err(io::Error::other)?;
        write_atomically(path, |file| file.write_all(&bytes))
    }

    /// Reads what [`Optimiser::save`] wrote.
    ///
    /// # Errors
    /// The file cannot be read or is not an optimiser's of this rule.
    pub fn load(config: OptimiserConfig, path: &Path, device: &Device) -> io::Result<Self> {
        let bytes = std::fs::read(path)?;
        let file = SafeTensors::deserialize(&bytes).map_err(io::Error::other)?;
        let mut averages = BTreeMap::new();
        for (key, view) in file.tensors() {
            let Some(name) = key.strip_prefix(FIRST) else {
                continue;
            };
            let second = match config.rule {
                Rule::Lion | Rule::Sgd | Rule::SgdNesterov => None,
                Rule::AdamW | Rule::Adam => {
                    let tensor = |what: &str| {
                        let view = file.tensor(&format!("{what}{name}"));
                        view.map_err(io::Error::other)
                    };
                    let num_moves = tensor(NUM_MOVES)?.data().try_into();
                    Some(Second {
                        average: tensor_of(&tensor(SECOND)?, device),
                        num_moves: num_moves
                            .map(i64::from_le_bytes)
                            .map_err(io::Error::other)?,
                    })
                }
            };
            let first = tensor_of(&view, device);
            averages.insert(name.to_owned(), Averages { first, second });
        }
        Ok(Self { config, averages })
    }
}

/// What stands before parameters' names in an optimiser's file.
const FIRST: &str = "first.";
const SECOND: &str = "second.";
const NUM_MOVES: &str = "num_moves.";

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
    gradients: &'a GradientSet,
    size: StepSize,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = &self.names[&param.id];
        let Some(gradient) = self.gradients.get(name).cloned() else {
            return param;
        };
        let group = self.optimiser.config.group_of(name);
        if group.is_some_and(|group| group.learning_rate_factor == 0.0) {
            return param;
        }
        let name = name.clone();
        let (id, tensor, mapper) = param.consume();
        let tensor = self.update(name, tensor.inner(), gradient);
        let tensor = Tensor::from_inner(tensor).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

impl Step<'_> {
    fn update<const D: usize>(
        &mut self,
        name: String,
        weights: Tensor<D>,
        gradient: Tensor<1>,
    ) -> Tensor<D> {
        let config = &self.optimiser.config;
        let group = config.group_of(&name);
        let beta1 = self.size.beta1.unwrap_or(config.betas[0]);
        let beta2 = config.betas[1];
        let learning_rate =
            self.size.learning_rate * group.map_or(1.0, |group| group.learning_rate_factor);
        let shape = weights.shape();
        let weights: Tensor<1> = weights.reshape([-1]);
        let decays = shape.num_dims() > 1 || config.decays_one_dimensional;
        let own_decay = group.and_then(|group| group.weight_decay);
        let decay = match own_decay {
            Some(decay) => decay,
            None if decays => self.size.weight_decay,
            None => 0.0,
        };
        let is_decoupled = matches!(config.rule, Rule::AdamW | Rule::Lion);
        let (weights, gradient) = match (decay > 0.0, is_decoupled) {
            (true, true) => (weights * (1.0 - learning_rate * decay), gradient),
            (true, false) => (weights.clone(), gradient + weights * decay),
            (false, _) => (weights, gradient),
        };
        let before = self.optimiser.averages.remove(&name);
        let (change, averages) = match config.rule {
            Rule::Lion => {
                let first = before.map_or_else(|| gradient.zeros_like(), |average| average.first);
                let change = (first.clone() * beta1 + gradient.clone() * (1.0 - beta1)).sign();
                let first = first * beta2 + gradient * (1.0 - beta2);
                (change * learning_rate, Averages::of_first(first))
            }
            Rule::AdamW | Rule::Adam => {
                let (first, second) = match before {
                    Some(averages) => (averages.first, averages.second),
                    None => (gradient.zeros_like(), None),
                };
                let (second, num_moves) = match second {
                    Some(Second { average, num_moves }) => (average, num_moves + 1),
                    None => (gradient.zeros_like(), 1),
                };
                let first = first * beta1 + gradient.clone() * (1.0 - beta1);
                let second = second * beta2 + gradient.square() * (1.0 - beta2);
                let correction1 = 1.0 - beta1.powf(num_moves as f64);
                let correction2 = 1.0 - beta2.powf(num_moves as f64);
                let spread = second.clone().sqrt() / correction2.sqrt() + config.epsilon;
                let change = first.clone() / spread * (learning_rate / correction1);
                let second = Second {
                    average: second,
                    num_moves,
                };
                let averages = Averages {
                    first,
                    second: Some(second),
                };
                (change, averages)
            }
            Rule::Sgd | Rule::SgdNesterov => {
                // The first gradient is not damped.
                let first = match before {
                    Some(averages) => averages.first * beta1 + gradient.clone(),
                    None => gradient.clone(),
                };
                let direction = match config.rule {
                    Rule::SgdNesterov => gradient + first.clone() * beta1,
                    _ => first.clone(),
                };
                (direction * learning_rate, Averages::of_first(first))
            }
        };
        self.optimiser.averages.insert(name, averages);
        (weights - change).reshape(shape)
    }
}
