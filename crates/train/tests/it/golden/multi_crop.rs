//! A step of DINO: networks, loss, gradients and the teacher's new weights.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Gradients, Tensor, activation};
use morphospace_core::Seed;
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::{
    DinoHead, DinoHeadConfig, Encoder, Parameter, PlainVit, PlainVitConfig, Pooling, Unexpected,
    load_weights, parameters,
};
use morphospace_train::losses::{CenterConfig, CropPairs, centered_teacher, dino_loss};
use morphospace_train::{multi_crop_features, update_teacher};

use super::case::{Case, Outputs};
use super::losses::insert;

/// Backbone and head; field names are the case's keys.
#[derive(Module, Debug)]
struct Network {
    backbone: PlainVit,
    head: DinoHead,
}

impl Network {
    fn init(case: &Case, device: &Device, role: &str) -> Self {
        let backbone = PlainVitConfig {
            img_size: case.count("img_size"),
            patch_size: case.count("patch_size"),
            in_chans: case.count("in_chans"),
            embed_dim: case.count("embed_dim"),
            depth: case.count("depth"),
            num_heads: case.count("num_heads"),
            mlp_ratio: case.number("mlp_ratio"),
            ..PlainVitConfig::default()
        };
        let head = DinoHeadConfig {
            in_dim: case.count("embed_dim"),
            out_dim: case.count("K"),
            use_bn: case.config("use_bn").as_bool().unwrap_or(false),
            norm_last_layer: case.config("norm_last_layer").as_bool().unwrap_or(true),
            nlayers: case.config("nlayers").as_u64().unwrap_or(3) as usize,
            hidden_dim: case.count("hidden_dim"),
            bottleneck_dim: case.count("bottleneck_dim"),
        };
        let network = Self {
            backbone: backbone.init(device, Seed::new(1)).unwrap(),
            head: head.init(device, Seed::new(1)).unwrap(),
        };
        let prefix = format!("weight.{role}.");
        let file = case.weights_file();
        load_weights(&network, &file, &prefix, Unexpected::Refuse)
            .unwrap()
            .0
    }

    fn forward(&self, crops: &[Tensor<4>]) -> Tensor<2> {
        let features = multi_crop_features(crops, |_, images| {
            self.backbone.forward_pooled(images, Pooling::Cls)
        });
        self.head.forward(features, &mut NormPass::batch())
    }
}

pub(super) fn run(case: &Case) -> Outputs {
    let device = Device::default().autodiff();
    let student = Network::init(case, &device, "student");
    let teacher = Network::init(case, &device, "teacher");
    let num_crops = case.count("ncrops");
    let crops: Vec<Tensor<4>> = (0..num_crops)
        .map(|crop| case.tensor(&format!("crop{crop}"), &device))
        .collect();
    let number = |name, default| case.config(name).as_f64().unwrap_or(default);

    let mut found = Outputs::new();
    let teacher_out = teacher.forward(&crops[..2]);
    let student_out = student.forward(&crops);
    insert(&mut found, "teacher_out", teacher_out.clone());
    insert(&mut found, "student_out", student_out.clone());
    let center = Tensor::zeros([1, case.count("K")], &device);
    let temperature = number("teacher_temp", 0.04);
    let told = centered_teacher(teacher_out.clone(), center.clone(), temperature);
    let loss = dino_loss(
        &CropPairs::all(num_crops),
        student_out,
        activation::softmax(told, 1),
        number("student_temp", 0.1),
    );
    insert(&mut found, "loss", loss.clone());
    let center_config = CenterConfig {
        center_momentum: number("center_momentum", 0.9),
        ..CenterConfig::default()
    };
    insert(
        &mut found,
        "center",
        center_config.update(center, teacher_out),
    );

    let gradients = loss.backward();
    insert_named(&mut found, "grad", &student, Source::Gradient(&gradients));
    insert_named(
        &mut found,
        "teacher_grad",
        &teacher,
        Source::Gradient(&gradients),
    );
    assert!(!found.keys().any(|name| name.starts_with("teacher_grad")));
    let teacher = update_teacher(teacher, &student, case.number("momentum"));
    insert_named(&mut found, "ema", &teacher, Source::Value);
    found
}

/// What is asked of every parameter, under its key and in the file's layout.
fn insert_named(found: &mut Outputs, group: &str, network: &Network, source: Source<'_>) {
    let names = parameters(network).into_iter();
    network.visit(&mut Collector {
        found,
        group,
        source,
        names: names.map(|parameter| (parameter.id, parameter)).collect(),
    });
}

/// What is asked of a parameter.
#[derive(Clone, Copy)]
enum Source<'a> {
    Gradient(&'a Gradients),
    Value,
}

struct Collector<'a> {
    found: &'a mut Outputs,
    group: &'a str,
    source: Source<'a>,
    names: HashMap<ParamId, Parameter>,
}

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.source {
            Source::Gradient(gradients) => param.grad(gradients),
            Source::Value => Some(param.val()),
        };
        let Some(tensor) = tensor else {
            return;
        };
        let parameter = &self.names[&param.id];
        let tensor = match parameter.is_turned {
            true => tensor.transpose(),
            false => tensor,
        };
        insert(
            self.found,
            &format!("{}.{}", self.group, parameter.name),
            tensor,
        );
    }
}
