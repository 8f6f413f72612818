//! Update rules against the reference implementations' parameters.
//!
//! Reads the case folders of `MORPHOSPACE_GOLDEN` (several separated by `:`),
//! else the ones committed beside this test; takes every case of this crate,
//! builds it from its `config` and compares every listed output.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use morphospace_train::{Optimiser, OptimiserConfig, Rule};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;

/// Kinds of this crate that are not built yet.
const NOT_BUILT_YET: [&str; 14] = [
    "clip_ema",
    "cutmix",
    "cutmix_kaggle",
    "dino_loss",
    "dino_multicrop_step",
    "dinov2_losses",
    "loss_barlow",
    "loss_cross_entropy",
    "loss_ntxent",
    "multicenter_loss",
    "pixel_ops",
    "resized_crop",
    "schedules",
    "schedules_aibio",
];

/// Reference optimisers (kind `optimizer`) that are not built yet.
const OPTIMISERS_NOT_BUILT_YET: [&str; 2] = ["torch.optim.Adam", "torch.optim.SGD"];

#[test]
fn golden() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folders: Vec<PathBuf> = match std::env::var("MORPHOSPACE_GOLDEN") {
        Ok(folders) => folders.split(':').map(PathBuf::from).collect(),
        Err(_) => vec![committed],
    };
    let mut num_cases = 0;
    for folder in &folders {
        let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        cases.sort();
        for case in cases.iter().filter(|case| case.join("case.json").is_file()) {
            let text = fs::read_to_string(case.join("case.json")).unwrap();
            let json: Value = serde_json::from_str(&text).unwrap();
            if json["crate"] == "train" {
                num_cases += 1;
                check(case, &json);
            }
        }
    }
    assert!(num_cases > 0, "no case of crate 'train' in {folders:?}");
}

fn check(folder: &Path, json: &Value) {
    let kind = json["kind"].as_str().unwrap();
    let function = json["reference"]["function"].as_str().unwrap();
    match kind {
        "optimizer" if OPTIMISERS_NOT_BUILT_YET.contains(&function) => {
            eprintln!("NOT BUILT YET: {} ({function})", json["name"]);
        }
        "optimizer" => check_optimiser(folder, json, function),
        kind if NOT_BUILT_YET.contains(&kind) => {
            eprintln!("NOT BUILT YET: {} ({kind})", json["name"]);
        }
        kind => panic!("case {} is of unknown kind '{kind}'", json["name"]),
    }
}

/// Parameters of any shape, each flat.
#[derive(Module, Debug)]
struct Parameters {
    flat: Vec<Param<Tensor<1>>>,
}

fn check_optimiser(folder: &Path, json: &Value, function: &str) {
    let bytes = fs::read(folder.join("tensors.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |name: &str| -> Vec<f32> {
        values_of(&file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")))
    };
    let number = |name: &str| json["config"][name].as_f64();
    let betas = [0, 1].map(|index| json["config"]["betas"][index].as_f64().unwrap());
    let config = OptimiserConfig {
        rule: match function {
            "torch.optim.AdamW" => Rule::AdamW,
            "timm.optim.lion.Lion" => Rule::Lion,
            other => panic!("case {} is of unknown optimiser '{other}'", json["name"]),
        },
        learning_rate: number("lr").unwrap(),
        betas,
        epsilon: number("eps").unwrap_or(1e-8),
        weight_decay: number("weight_decay").unwrap(),
        decays_one_dimensional: true,
    };
    let device = Device::default().autodiff();
    let flat = |values: Vec<f32>| -> Tensor<1> {
        let len = values.len();
        Tensor::from_data(TensorData::new(values, [len]), &device)
    };

    let num_parameters = json["config"]["shapes"].as_array().unwrap().len();
    let num_steps = json["config"]["steps"].as_u64().unwrap() as usize;
    let gradients: Vec<Vec<f32>> = (0..num_parameters)
        .map(|index| tensor(&format!("input.g{index}")))
        .collect();
    let mut parameters = Parameters {
        flat: (0..num_parameters)
            .map(|index| Param::from_tensor(flat(tensor(&format!("input.p{index}")))))
            .collect(),
    };
    let mut optimiser = Optimiser::new(config);
    let mut found: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    for step in 0..num_steps {
        // A loss whose gradient is the given one.
        let mut loss = flat(vec![0.0]);
        for (parameter, all) in parameters.flat.iter().zip(&gradients) {
            let len = all.len() / num_steps;
            let gradient = flat(all[step * len..][..len].to_vec());
            loss = loss + (parameter.val() * gradient).sum();
        }
        let factor = json["config"]["lr_factors"][step].as_f64().unwrap();
        parameters = optimiser.step(parameters, &loss.backward(), factor);
        for (index, parameter) in parameters.flat.iter().enumerate() {
            let values = parameter.val().into_data().try_to_vec().unwrap();
            found.insert(format!("p{index}_step{}", step + 1), values);
        }
    }
    // The averages, from the file in which they are kept.
    let kept = tempfile::tempdir().unwrap();
    let kept = kept.path().join("optimiser.safetensors");
    optimiser.save(&kept).unwrap();
    let bytes = fs::read(kept).unwrap();
    let kept = SafeTensors::deserialize(&bytes).unwrap();
    for index in 0..num_parameters {
        let [first, second] =
            ["first", "second"].map(|which| kept.tensor(&format!("{which}.flat.{index}")).ok());
        let first = values_of(&first.unwrap());
        match second {
            Some(second) => {
                found.insert(format!("exp_avg_{index}"), first);
                found.insert(format!("exp_avg_sq_{index}"), values_of(&second));
            }
            None => {
                found.insert(format!("m{index}"), first);
            }
        }
    }
    compare(json, &found, &|name| tensor(&format!("output.{name}")));
}

/// Every listed output with its tolerance.
fn compare(json: &Value, found: &BTreeMap<String, Vec<f32>>, expected: &dyn Fn(&str) -> Vec<f32>) {
    let listed = json["outputs"].as_array().unwrap();
    assert!(!listed.is_empty(), "{} lists no output", json["name"]);
    for output in listed {
        let name = output["name"].as_str().unwrap();
        let values = found
            .get(name)
            .unwrap_or_else(|| panic!("{}: '{name}' is not computed", json["name"]));
        let tolerance = |which: &str| output["tolerance"][which].as_f64().unwrap();
        let (rtol, atol) = (tolerance("rtol"), tolerance("atol"));
        let expected = expected(name);
        assert_eq!(values.len(), expected.len(), "{}: {name}", json["name"]);
        for (found, expected) in values.iter().zip(expected) {
            let (found, expected) = (f64::from(*found), f64::from(expected));
            assert!(
                (found - expected).abs() <= atol + rtol * expected.abs(),
                "{}, {name}: {found} and not {expected}",
                json["name"]
            );
        }
    }
}

fn values_of(view: &TensorView<'_>) -> Vec<f32> {
    let chunks = view.data().chunks_exact(4);
    chunks
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}
