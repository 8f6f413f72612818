//! Update rules.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use morphospace_train::{GradientSet, Optimiser, OptimiserConfig, Rule, StepSize};
use safetensors::SafeTensors;

use super::case::{Case, Outputs};

/// Parameters of any shape, each flat.
#[derive(Module, Debug)]
struct Parameters {
    flat: Vec<Param<Tensor<1>>>,
}

pub(super) fn run(case: &Case) -> Outputs {
    let beta = |index: usize| case.config("betas")[index].as_f64();
    let config = OptimiserConfig {
        rule: match case.function() {
            "torch.optim.AdamW" => Rule::AdamW,
            "torch.optim.Adam" => Rule::Adam,
            "timm.optim.lion.Lion" => Rule::Lion,
            "torch.optim.SGD" if case.config("nesterov") == true => Rule::SgdNesterov,
            "torch.optim.SGD" => Rule::Sgd,
            other => panic!("case {} is of unknown optimiser '{other}'", case.name),
        },
        learning_rate: case.number("lr"),
        betas: [
            beta(0).unwrap_or_else(|| case.number("momentum")),
            beta(1).unwrap_or_default(),
        ],
        epsilon: case.config("eps").as_f64().unwrap_or(1e-8),
        weight_decay: case.number("weight_decay"),
        weight_decay_end: None,
        decays_one_dimensional: true,
        groups: Vec::new(),
    };
    let device = Device::default().autodiff();
    let flat = |values: Vec<f32>| -> Tensor<1> {
        let len = values.len();
        Tensor::from_data(TensorData::new(values, [len]), &device)
    };

    let num_parameters = case.config("shapes").as_array().unwrap().len();
    let num_steps = case.count("steps");
    let gradients: Vec<Vec<f32>> = (0..num_parameters)
        .map(|index| case.input(&format!("g{index}")))
        .collect();
    let mut parameters = Parameters {
        flat: (0..num_parameters)
            .map(|index| Param::from_tensor(flat(case.input(&format!("p{index}")))))
            .collect(),
    };
    let mut optimiser = Optimiser::new(config.clone());
    let mut found = Outputs::new();
    for step in 0..num_steps {
        // A loss whose gradient is the given one.
        let mut loss = flat(vec![0.0]);
        for (parameter, all) in parameters.flat.iter().zip(&gradients) {
            let len = all.len() / num_steps;
            let gradient = flat(all[step * len..][..len].to_vec());
            loss = loss + (parameter.val() * gradient).sum();
        }
        let factor = case.config("lr_factors")[step].as_f64().unwrap();
        let size = StepSize {
            learning_rate: config.learning_rate * factor,
            ..config.full_step()
        };
        let gradients = GradientSet::of(&parameters, &loss.backward(), |_| true);
        parameters = optimiser.step(parameters, &gradients, size);
        for (index, parameter) in parameters.flat.iter().enumerate() {
            let values = parameter.val().into_data().try_to_vec().unwrap();
            found.insert(format!("p{index}_step{}", step + 1), values);
        }
    }
    // The averages, from the file in which they are kept.
    let kept = tempfile::tempdir().unwrap();
    let kept = kept.path().join("optimiser.safetensors");
    optimiser.save(&kept).unwrap();
    let bytes = std::fs::read(kept).unwrap();
    let kept = SafeTensors::deserialize(&bytes).unwrap();
    let average = |name: &str| -> Option<Vec<f32>> {
        let view = kept.tensor(name).ok()?;
        let words = view.data().chunks_exact(4);
        Some(
            words
                .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
                .collect(),
        )
    };
    for index in 0..num_parameters {
        let first = average(&format!("first.flat.{index}")).unwrap();
        match (config.rule, average(&format!("second.flat.{index}"))) {
            (_, Some(second)) => {
                found.insert(format!("exp_avg_{index}"), first);
                found.insert(format!("exp_avg_sq_{index}"), second);
            }
            (Rule::Lion, None) => drop(found.insert(format!("m{index}"), first)),
            (_, None) => drop(found.insert(format!("momentum_buffer_{index}"), first)),
        }
    }
    found
}
