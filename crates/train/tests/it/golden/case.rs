//! One folder of golden data.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use morphospace_models::WeightsFile;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// Computed outputs by name, whatever their type.
pub(super) type Outputs = BTreeMap<String, Vec<f32>>;

pub(super) struct Case {
    pub(super) name: String,
    pub(super) kind: String,
    json: Value,
    /// Content of `tensors.safetensors`, if there is one.
    tensors: Vec<u8>,
    folder: PathBuf,
}

impl Case {
    /// The case of a folder, if it is one of this crate.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join("case.json")).ok()?;
        let json: Value = serde_json::from_str(&text).unwrap();
        (json["crate"] == "train").then(|| Self {
            name: json["name"].as_str().unwrap().to_owned(),
            kind: json["kind"].as_str().unwrap().to_owned(),
            json,
            tensors: fs::read(folder.join("tensors.safetensors")).unwrap_or_default(),
            folder: folder.to_owned(),
        })
    }

    /// A field of `config`.
    pub(super) fn config(&self, name: &str) -> &Value {
        &self.json["config"][name]
    }

    /// A number of `config`.
    pub(super) fn number(&self, name: &str) -> f64 {
        let value = self.config(name).as_f64();
        value.unwrap_or_else(|| panic!("{}: config.{name} is no number", self.name))
    }

    /// A count of `config`.
    pub(super) fn count(&self, name: &str) -> usize {
        let value = self.config(name).as_u64();
        value.unwrap_or_else(|| panic!("{}: config.{name} is no count", self.name)) as usize
    }

    /// Numbers of `config`.
    pub(super) fn numbers(&self, name: &str) -> Vec<f64> {
        let values = self.config(name).as_array();
        let values = values.unwrap_or_else(|| panic!("{}: config.{name} is no list", self.name));
        values.iter().map(|value| value.as_f64().unwrap()).collect()
    }

    /// The tensors, to load a network from.
    pub(super) fn weights_file(&self) -> WeightsFile {
        WeightsFile::open(&self.folder.join("tensors.safetensors")).unwrap()
    }

    /// The function that made it.
    pub(super) fn function(&self) -> &str {
        self.json["reference"]["function"].as_str().unwrap()
    }

    /// A tensor of any type, by its whole name (`input.a`, `weight.b`), with
    /// its shape.
    pub(super) fn values(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let file = SafeTensors::deserialize(&self.tensors)
            .unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let view = file
            .tensor(name)
            .unwrap_or_else(|e| panic!("{}, {name}: {e}", self.name));
        let bytes = view.data();
        let values = match view.dtype() {
            Dtype::F32 => words(bytes, f32::from_le_bytes),
            Dtype::I32 => words(bytes, |word| i32::from_le_bytes(word) as f32),
            Dtype::U8 => bytes.iter().map(|byte| f32::from(*byte)).collect(),
            other => panic!("{}, {name}: unexpected type {other:?}", self.name),
        };
        (values, view.shape().to_vec())
    }

    /// An input.
    pub(super) fn input(&self, name: &str) -> Vec<f32> {
        self.values(&format!("input.{name}")).0
    }

    /// An input of whole numbers.
    pub(super) fn indices(&self, name: &str) -> Vec<usize> {
        self.input(name)
            .iter()
            .map(|value| *value as usize)
            .collect()
    }

    /// An input as a tensor.
    pub(super) fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (values, shape) = self.values(&format!("input.{name}"));
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// Where outputs are not what they should be.
    pub(super) fn differences(&self, found: &Outputs) -> Vec<String> {
        let listed = self.json["outputs"].as_array().unwrap();
        assert!(!listed.is_empty(), "{} lists no output", self.name);
        let mut differences = Vec::new();
        for output in listed {
            let name = output["name"].as_str().unwrap();
            let Some(values) = found.get(name) else {
                differences.push(format!("{}: '{name}' is not computed", self.name));
                continue;
            };
            let (expected, _) = self.values(&format!("output.{name}"));
            if values.len() != expected.len() {
                let lens = (values.len(), expected.len());
                differences.push(format!("{}, {name}: {lens:?} values", self.name));
                continue;
            }
            let (rtol, atol) = tolerance(&output["tolerance"]);
            let is_far = |(found, expected): &(f64, f64)| {
                // Not `>`, so that NaN is far from everything.
                let is_near = (found - expected).abs() <= atol + rtol * expected.abs();
                !is_near
            };
            let pairs = values.iter().zip(expected);
            let pairs = pairs.map(|(found, expected)| (f64::from(*found), f64::from(expected)));
            let far: Vec<(f64, f64)> = pairs.filter(is_far).collect();
            if let Some((found, expected)) = far.first() {
                let name = format!("{}, {name}", self.name);
                let of = format!("{} of {}", far.len(), values.len());
                differences.push(format!("{name}: {of}, first {found} and not {expected}"));
            }
        }
        differences
    }
}

fn words(bytes: &[u8], value: impl Fn([u8; 4]) -> f32) -> Vec<f32> {
    let words = bytes.chunks_exact(4);
    words.map(|word| value(word.try_into().unwrap())).collect()
}

/// Relative and absolute: a table with both, or in words.
fn tolerance(json: &Value) -> (f64, f64) {
    match json.as_str() {
        Some("exact") => (0.0, 0.0),
        Some("max difference 1 grey level") => (0.0, 1.0),
        Some(other) => panic!("unknown tolerance '{other}'"),
        None => ["rtol", "atol"]
            .map(|which| json[which].as_f64().unwrap())
            .into(),
    }
}
