use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor};
use morphospace_models::{Parameter, parameters};
use serde::{Deserialize, Serialize};

/// The gradient of every parameter that has one, flat, by the parameter's
/// name.
///
/// Between the backward pass and the optimiser, gradients are only ever held
/// in this form: they are summed over the batches of a step
/// ([`GradientSet::add`]), over processes
/// ([`GradientReduction`](crate::GradientReduction)), and clipped.
#[derive(Clone, Debug, Default)]
pub struct GradientSet {
    by_name: BTreeMap<String, Tensor<1>>,
}

/// What becomes of gradients that are too long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Clip {
    /// Those of each parameter are shortened to this length by themselves
    /// (DINO's `clip_gradients`).
    PerParameter {
        /// Greatest length.
        length: f64,
    },
    /// All are shortened alike, so that together they have this length
    /// (`torch.nn.utils.clip_grad_norm_`).
    Global {
        /// Greatest length.
        length: f64,
    },
}

impl GradientSet {
    /// Takes the gradients of a module's parameters, those whose names pass.
    pub fn of<M: Module>(module: &M, gradients: &Gradients, takes: impl Fn(&str) -> bool) -> Self {
        let names = parameters(module)
            .into_iter()
            .map(|Parameter { name, id, .. }| (id, name))
            .filter(|(_, name)| takes(name))
            .collect();
        let mut collector = Collector {
            names,
            gradients,
            by_name: BTreeMap::new(),
        };
        module.visit(&mut collector);
        Self {
            by_name: collector.by_name,
        }
    }

    /// The gradient of a parameter.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.by_name.get(name)
    }

    /// Names and gradients in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<1>)> {
        self.by_name
            .iter()
            .map(|(name, gradient)| (name.as_str(), gradient))
    }

    /// Adds those of another batch.
    pub fn add(&mut self, other: Self) {
        for (name, gradient) in other.by_name {
            let sum = match self.by_name.remove(&name) {
                Some(before) => before + gradient,
                None => gradient,
            };
            self.by_name.insert(name, sum);
        }
    }

    /// Every gradient through a function of it.
    pub fn map(&mut self, mut function: impl FnMut(&str, Tensor<1>) -> Tensor<1>) {
        let before = std::mem::take(&mut self.by_name);
        let after = before.into_iter().map(|(name, gradient)| {
            let gradient = function(&name, gradient);
            (name, gradient)
        });
        self.by_name = after.collect();
    }

    /// Times a factor.
    pub fn scale(&mut self, factor: f64) {
        if factor != 1.0 {
            self.map(|_, gradient| gradient * factor);
        }
    }

    /// Length of each gradient, in the order of the names.
    pub fn lengths(&self) -> Tensor<1> {
        let lengths: Vec<Tensor<1>> = self.by_name.values().map(length).collect();
        Tensor::cat(lengths, 0)
    }

    /// Length of all of them together; 0 if there is none.
    pub fn total_length(&self) -> f32 {
        if self.by_name.is_empty() {
            return 0.0;
        }
        length(&self.lengths()).into_scalar()
    }

    /// Shortens what is too long, and gives the total length before.
    pub fn clip(&mut self, clip: Option<Clip>) -> f32 {
        if self.by_name.is_empty() {
            return 0.0;
        }
        // As in both references.
        let factor = |most: f64, length: Tensor<1>| ((length + 1e-6).recip() * most).clamp_max(1.0);
        let lengths = self.lengths();
        let total = length(&lengths);
        match clip {
            None => {}
            Some(Clip::PerParameter { length: most }) => {
                let factors = factor(most, lengths);
                let mut index = 0;
                self.map(|_, gradient| {
                    let own = factors.clone().narrow(0, index, 1);
                    index += 1;
                    gradient * own
                });
            }
            Some(Clip::Global { length: most }) => {
                let factor = factor(most, total.clone());
                self.map(|_, gradient| gradient * factor.clone());
            }
        }
        total.into_scalar()
    }
}

impl Clip {
    /// What is out of range, if anything is.
    pub(crate) fn problem(self) -> Option<String> {
        let (Self::PerParameter { length } | Self::Global { length }) = self;
        let is_valid = length > 0.0 && length.is_finite();
        (!is_valid).then(|| format!("clip.length {length} is not a positive number"))
    }
}

fn length(values: &Tensor<1>) -> Tensor<1> {
    values.clone().square().sum().sqrt()
}

struct Collector<'a> {
    names: std::collections::HashMap<ParamId, String>,
    gradients: &'a Gradients,
    by_name: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(name) = self.names.remove(&param.id) else {
            return;
        };
        if let Some(gradient) = param.val().grad(self.gradients) {
            self.by_name.insert(name, gradient.flatten(0, D - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn set(gradients: &[(&str, &[f32])]) -> GradientSet {
        let tensor = |values: &[f32]| Tensor::from_floats(values, &Device::default());
        let pairs = gradients.iter();
        GradientSet {
            by_name: pairs
                .map(|(name, values)| ((*name).to_owned(), tensor(values)))
                .collect(),
        }
    }

    fn values(set: &GradientSet, name: &str) -> Vec<f32> {
        let gradient = set.get(name).expect("is there").clone();
        gradient.into_data().iter().collect()
    }

    #[test]
    fn clipping_by_hand() {
        // Lengths 5 and 1.
        let long_and_short = || set(&[("a", &[3.0, 4.0]), ("b", &[1.0])]);
        let mut each = long_and_short();
        let total = each.clip(Some(Clip::PerParameter { length: 2.0 }));
        assert!((total - 26f32.sqrt()).abs() < 1e-5);
        assert!((values(&each, "a")[1] - 1.6).abs() < 1e-5);
        assert_eq!(values(&each, "b"), [1.0]);
        let mut all = long_and_short();
        all.clip(Some(Clip::Global { length: 2.0 }));
        let factor = 2.0 / 26f32.sqrt();
        assert!((values(&all, "b")[0] - factor).abs() < 1e-5);
        let mut none = long_and_short();
        none.clip(Some(Clip::Global { length: 100.0 }));
        assert_eq!(values(&none, "a"), [3.0, 4.0]);
    }

    #[test]
    fn sums_take_what_either_has() {
        let mut sum = set(&[("a", &[1.0])]);
        sum.add(set(&[("a", &[2.0]), ("b", &[5.0])]));
        sum.scale(0.5);
        assert_eq!(values(&sum, "a"), [1.5]);
        assert_eq!(values(&sum, "b"), [2.5]);
        assert_eq!(GradientSet::default().total_length(), 0.0);
        assert_eq!(GradientSet::default().clip(None), 0.0);
    }

    #[test]
    fn what_is_not_a_number_has_no_length() {
        assert!(set(&[("a", &[1.0, f32::NAN])]).total_length().is_nan());
    }
}
