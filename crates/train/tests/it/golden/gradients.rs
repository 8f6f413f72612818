//! Clipping, and a teacher that follows its student.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use morphospace_train::{Clip, GradientSet, cosine_between, update_teacher};

use super::case::{Case, Outputs};

/// Parameters of any shape, each flat.
#[derive(Module, Debug)]
struct Parameters {
    flat: Vec<Param<Tensor<1>>>,
}

impl Parameters {
    fn of(all: Vec<Vec<f32>>) -> Self {
        let device = Device::default().autodiff();
        let parameter = |values: Vec<f32>| {
            let len = values.len();
            Param::from_tensor(Tensor::from_data(TensorData::new(values, [len]), &device))
        };
        Self {
            flat: all.into_iter().map(parameter).collect(),
        }
    }
}

/// A set with these gradients: those of a sum in which each is a slope.
fn gradients(slopes: &[Vec<f32>]) -> GradientSet {
    let parameters = Parameters::of(slopes.iter().map(|slope| vec![0.0; slope.len()]).collect());
    let products = parameters
        .flat
        .iter()
        .zip(slopes)
        .map(|(parameter, slope)| {
            let device = parameter.val().device();
            let slope = Tensor::<1>::from_floats(slope.as_slice(), &device);
            (parameter.val() * slope).sum()
        });
    let loss = products.reduce(|sum, next| sum + next).unwrap();
    GradientSet::of(&parameters, &loss.backward(), |_| true)
}

fn values(tensor: &Tensor<1>) -> Vec<f32> {
    tensor.to_data().iter().collect()
}

pub(super) fn run(case: &Case) -> Outputs {
    let num_parameters = case.config("shapes").as_array().unwrap().len();
    let inputs = |name: &str| -> Vec<Vec<f32>> {
        (0..num_parameters)
            .map(|index| case.input(&format!("{name}{index}")))
            .collect()
    };
    let slopes = inputs("g");
    let length = case.number("clip");
    let mut found = Outputs::new();
    let before = gradients(&slopes);
    found.insert("norms".to_owned(), values(&before.lengths()));
    found.insert("global_norm".to_owned(), vec![before.total_length()]);
    for (name, clip) in [
        ("per_param", Clip::PerParameter { length }),
        ("global", Clip::Global { length }),
    ] {
        let mut clipped = before.clone();
        clipped.clip(Some(clip));
        for index in 0..num_parameters {
            let gradient = clipped.get(&format!("flat.{index}")).unwrap();
            found.insert(format!("{name}{index}"), values(gradient));
        }
    }

    let students = inputs("student");
    let mut teacher = Parameters::of(inputs("teacher"));
    let num_steps = (case.count("ema_epochs") * case.count("ema_iters")) as u64;
    for step in 0..case.count("ema_updates") as u64 {
        let factor = 1.0 + 0.1 * step as f32;
        let moved = students
            .iter()
            .map(|all| all.iter().map(|value| value * factor).collect());
        let momentum = cosine_between(case.number("momentum"), 1.0, step, num_steps);
        teacher = update_teacher(teacher, &Parameters::of(moved.collect()), momentum);
    }
    for (index, parameter) in teacher.flat.iter().enumerate() {
        found.insert(format!("ema{index}"), values(&parameter.val()));
    }
    found
}
