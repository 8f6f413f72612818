//! A teacher that follows its student.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use morphospace_models::{Parameter, parameters};

/// Moves every parameter of the teacher towards the student's of the same
/// name: `momentum · teacher + (1 - momentum) · student`. No gradient is
/// recorded.
///
/// The running averages of batch normalisation are no parameters: the teacher
/// keeps those of its own passes, as in PyTorch.
///
/// # Panics
/// The student lacks a parameter of the teacher, or has it in another shape.
///
/// # Source
/// Tarvainen & Valpola 2017, <https://arxiv.org/abs/1703.01780>;
/// facebookresearch/dino `main_dino.train_one_epoch`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_core::Seed;
/// use morphospace_models::DinoHeadConfig;
/// use morphospace_train::update_teacher;
///
/// let device = Device::default();
/// let config = DinoHeadConfig { in_dim: 4, out_dim: 8, hidden_dim: 6, bottleneck_dim: 3, ..DinoHeadConfig::default() };
/// let (teacher, student) = (config.init(&device, Seed::new(1))?, config.init(&device, Seed::new(2))?);
/// let before = teacher.last_layer.weight_v.val();
/// let teacher = update_teacher(teacher, &student, 0.9);
/// let expected = before * 0.9 + student.last_layer.weight_v.val() * 0.1;
/// let difference = (teacher.last_layer.weight_v.val() - expected).abs().max();
/// assert!(difference.into_scalar::<f32>() < 1e-6);
/// # Ok::<(), morphospace_models::ModelError>(())
/// ```
pub fn update_teacher<M: Module>(teacher: M, student: &M, momentum: f64) -> M {
    let mut values = Values {
        names: names(student),
        flat: HashMap::new(),
    };
    student.visit(&mut values);
    let mut follow = Follow {
        names: names(&teacher),
        student: values.flat,
        momentum,
    };
    teacher.map(&mut follow)
}

fn names<M: Module>(module: &M) -> HashMap<ParamId, String> {
    let parameters = parameters(module).into_iter();
    parameters
        .map(|Parameter { id, name, .. }| (id, name))
        .collect()
}

/// Collects a module's parameters, flat.
struct Values {
    names: HashMap<ParamId, String>,
    flat: HashMap<String, Tensor<1>>,
}

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().inner().flatten(0, D - 1);
        self.flat.insert(self.names[&param.id].clone(), values);
    }
}

struct Follow {
    names: HashMap<ParamId, String>,
    student: HashMap<String, Tensor<1>>,
    momentum: f64,
}

impl ModuleMapper for Follow {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = &self.names[&param.id];
        if name.ends_with("running_mean") || name.ends_with("running_var") {
            return param;
        }
        let student = self.student.remove(name);
        let student = student.unwrap_or_else(|| panic!("the student has no '{name}'"));
        let momentum = self.momentum;
        param.map(|teacher| {
            let student = student.reshape(teacher.dims());
            let (is_autodiff, requires_grad) = (teacher.is_autodiff(), teacher.is_require_grad());
            // In this form what both have in common, such as a fixed table of
            // positions, stays as it is to the last bit.
            let teacher = teacher.inner();
            let moved = teacher.clone() + (student - teacher) * (1.0 - momentum);
            match is_autodiff {
                true => Tensor::from_inner(moved).set_require_grad(requires_grad),
                false => moved,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use morphospace_core::Seed;
    use morphospace_models::DinoHeadConfig;

    use super::*;

    #[test]
    fn every_parameter_moves_and_averages_do_not() {
        let config = DinoHeadConfig {
            in_dim: 4,
            out_dim: 5,
            use_bn: true,
            nlayers: 2,
            hidden_dim: 3,
            bottleneck_dim: 2,
            ..DinoHeadConfig::default()
        };
        struct Set(f32);
        impl ModuleMapper for Set {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|tensor| {
                    let requires_grad = tensor.is_require_grad();
                    let set = tensor.full_like(self.0).detach();
                    set.set_require_grad(requires_grad)
                })
            }
        }
        // The student trains, the teacher may stand on a device that does not.
        let student = config.init(&Device::default().autodiff(), Seed::new(1));
        let student = student.expect("valid").map(&mut Set(3.0));
        for device in [Device::default(), Device::default().autodiff()] {
            let teacher = config.init(&device, Seed::new(2)).expect("valid");
            let teacher = teacher.map(&mut Set(1.0));
            let requires_grad = teacher.last_layer.weight_v.val().is_require_grad();
            let teacher = update_teacher(teacher, &student, 0.75);
            let weights = teacher.last_layer.weight_v.val();
            assert_eq!(weights.is_require_grad(), requires_grad);
            let mut values = Values {
                names: names(&teacher),
                flat: HashMap::new(),
            };
            teacher.visit(&mut values);
            assert_eq!(values.flat.len(), 10);
            for (name, flat) in values.flat {
                let expected = if name.contains("running") { 1.0 } else { 1.5 };
                let found: Vec<f32> = flat.into_data().iter::<f32>().collect();
                assert!(
                    found.iter().all(|value| *value == expected),
                    "{name}: {found:?}"
                );
            }
        }
    }
}
