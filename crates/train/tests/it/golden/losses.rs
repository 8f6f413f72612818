//! Losses that need no network.

use burn::tensor::{Device, Gradients, Tensor};
use morphospace_train::losses::{
    BarlowConfig, BarlowVariant, BlockMasks, CenterConfig, CropPairs, CrossEntropyConfig,
    DinoBarlowConfig, DinoV2Config, DinoV2Outputs, Reduction, TeacherTemperature, barlow_loss,
    centered_teacher, centers_of_views, cross_entropy, dino_barlow_loss, dinov2_loss, koleo_loss,
    nt_xent_loss, soft_cross_entropy,
};

use super::case::{Case, Outputs};

pub(super) fn cross_entropies(case: &Case) -> Outputs {
    let device = Device::default().autodiff();
    let labels = case.indices("labels");
    let plain = CrossEntropyConfig::default;
    let mut found = Outputs::new();
    let mut run = |name: &str, loss: &dyn Fn(Tensor<2>) -> Tensor<1>| {
        let logits = case.tensor::<2>("logits", &device).require_grad();
        let loss = loss(logits.clone());
        let gradients = loss.backward();
        insert(&mut found, &format!("loss_{name}"), loss);
        insert_gradient(&mut found, &format!("grad_{name}"), &logits, &gradients);
    };
    run("soft", &|logits| {
        soft_cross_entropy(&plain(), logits, case.tensor("soft", &device))
    });
    for (name, config) in [
        ("hard", plain()),
        (
            "weighted",
            CrossEntropyConfig {
                class_weights: Some(case.input("class_weights")),
                ..plain()
            },
        ),
        (
            "smooth",
            CrossEntropyConfig {
                label_smoothing: case.number("smoothing"),
                ..plain()
            },
        ),
        (
            "temp",
            CrossEntropyConfig {
                temperature: case.number("temp"),
                ..plain()
            },
        ),
        (
            "sum",
            CrossEntropyConfig {
                reduction: Reduction::Sum,
                ..plain()
            },
        ),
        (
            "focal2",
            CrossEntropyConfig {
                focal_gamma: 2.0,
                ..plain()
            },
        ),
    ] {
        run(name, &|logits| cross_entropy(&config, logits, &labels));
    }
    found
}

pub(super) fn nt_xent(case: &Case) -> Outputs {
    of_two_views(case, |temperature, a, b| nt_xent_loss(a, b, temperature))
}

pub(super) fn barlow(case: &Case) -> Outputs {
    of_two_views(case, |lambda, a, b| {
        let variant = BarlowVariant::Zbontar;
        barlow_loss(&BarlowConfig { variant, lambda }, a, b)
    })
}

/// A loss of views `a` and `b` for each of `params`.
fn of_two_views(case: &Case, loss: impl Fn(f64, Tensor<2>, Tensor<2>) -> Tensor<1>) -> Outputs {
    let device = Device::default().autodiff();
    let mut found = Outputs::new();
    for (index, param) in case.numbers("params").into_iter().enumerate() {
        let [a, b] = ["a", "b"].map(|view| case.tensor::<2>(view, &device).require_grad());
        let loss = loss(param, a.clone(), b.clone());
        let gradients = loss.backward();
        insert(&mut found, &format!("loss{index}"), loss);
        insert_gradient(&mut found, &format!("grad_a{index}"), &a, &gradients);
        insert_gradient(&mut found, &format!("grad_b{index}"), &b, &gradients);
    }
    found
}

/// DINO with one centre, and with Barlow Twins and centres of domains.
pub(super) fn dino(case: &Case) -> Outputs {
    let device = Device::default().autodiff();
    let flag = |name| case.config(name).as_bool().unwrap_or(false);
    // Facebook's loss has none of these options.
    let is_plain = case.kind == "dino_loss";
    let temperature = TeacherTemperature {
        warmup_teacher_temp: case.number("warmup_teacher_temp"),
        teacher_temp: case.number("teacher_temp"),
        warmup_teacher_temp_epochs: case.count("warmup_teacher_temp_epochs"),
    };
    let center_config = CenterConfig {
        center_momentum: case.number("center_momentum"),
        max_domain_weight: None,
    };
    let barlow_weight = match (is_plain || flag("use_dino"), flag("use_barlow")) {
        (true, true) => case.number("barlow_weight"),
        (false, true) => 1.0,
        _ => 0.0,
    };
    let config = DinoBarlowConfig {
        student_temp: case.number("student_temp"),
        scale_by_log_k: !is_plain,
        barlow_weight,
        barlow: BarlowConfig {
            variant: BarlowVariant::Aibio,
            lambda: case.config("barlow_lambda").as_f64().unwrap_or(0.0),
        },
    };
    let pairs = match flag("only_cross_domain") {
        false => CropPairs::all(case.count("ncrops")),
        true => {
            // The reference knows the images of eight crops; others, if there
            // are any, it takes for crops of neither.
            let images = CropPairs::CDCL_IMAGES
                .into_iter()
                .chain(std::iter::repeat(2));
            let images: Vec<usize> = images.take(case.count("ncrops")).collect();
            CropPairs::across_images(&images)
        }
    };
    let domain_counts: Option<Vec<usize>> = flag("multi_center").then(|| {
        let counts = case.numbers("examples_in_each_domain");
        counts.into_iter().map(|count| count as usize).collect()
    });

    let mut found = Outputs::new();
    let temperatures = 0..case.count("nepochs");
    let temperatures = temperatures.map(|epoch| temperature.of_epoch(epoch) as f32);
    found.insert("teacher_temp_schedule".to_owned(), temperatures.collect());
    let num_centers = domain_counts.as_ref().map_or(1, Vec::len);
    let mut centers = Tensor::<2>::zeros([num_centers, case.count("K")], &device);
    for (step, epoch) in case.numbers("epochs_of_steps").into_iter().enumerate() {
        let student = case
            .tensor::<2>(&format!("student{step}"), &device)
            .require_grad();
        let teacher = case
            .tensor::<2>(&format!("teacher{step}"), &device)
            .require_grad();
        let domains = || case.indices(&format!("domains{step}"));
        let of_views = match &domain_counts {
            None => centers.clone(),
            Some(_) => centers_of_views(centers.clone(), &domains(), 2),
        };
        let temp = temperature.of_epoch(epoch as usize);
        let told = centered_teacher(teacher.clone(), of_views, temp);
        let of_weight = |barlow_weight| {
            let config = DinoBarlowConfig {
                barlow_weight,
                ..config
            };
            dino_barlow_loss(&config, &pairs, student.clone(), told.clone())
        };
        let loss = of_weight(config.barlow_weight);
        let gradients = loss.total.backward();
        assert!(teacher.grad(&gradients).is_none(), "{}", case.name);
        for (name, part) in [
            ("loss", Some(loss.total)),
            // The reference computes parts without weight too.
            ("dino_loss", loss.dino.or_else(|| of_weight(0.0).dino)),
            ("barlow_loss", loss.barlow.or_else(|| of_weight(1.0).barlow)),
        ] {
            if let Some(part) = part {
                insert(&mut found, &format!("{name}{step}"), part);
            }
        }
        insert_gradient(
            &mut found,
            &format!("grad_student{step}"),
            &student,
            &gradients,
        );
        centers = match &domain_counts {
            None => center_config.update(centers, teacher),
            Some(counts) => center_config.update_domains(centers, teacher, &domains(), counts),
        };
        insert(&mut found, &format!("center{step}"), centers.clone());
    }
    found
}

pub(super) fn dinov2(case: &Case) -> Outputs {
    let device = Device::default().autodiff();
    let config = DinoV2Config {
        dino_weight: case.number("w_dino"),
        koleo_weight: case.number("w_koleo"),
        ibot_weight: case.number("w_ibot"),
        ..DinoV2Config::default()
    };
    let batch = case.count("batch");
    let mut centers = [(); 2].map(|()| Tensor::<2>::zeros([1, case.count("K")], &device));
    let mut found = Outputs::new();
    for (step, temperature) in case.numbers("teacher_temps").into_iter().enumerate() {
        let input = |name: &str| case.tensor::<2>(&format!("{name}{step}"), &device);
        let leaf = |name: &str| input(name).require_grad();
        // The case has the second view first.
        let teacher = input("teacher_cls");
        let teacher = [batch, 0].map(|start| teacher.clone().narrow(0, start, batch));
        let is_masked = case.input(&format!("mask{step}"));
        let is_masked = is_masked.into_iter().map(|value| value != 0.0).collect();
        let masks = BlockMasks::new(case.count("patches"), is_masked);
        let outputs = DinoV2Outputs {
            teacher_global: Tensor::cat(teacher.to_vec(), 0),
            teacher_patches: input("teacher_patch"),
            student_global: leaf("student_global"),
            student_local: (case.count("local_crops") > 0).then(|| leaf("student_local")),
            student_patches: leaf("student_patch"),
            student_features: leaf("student_cls"),
        };
        let loss = dinov2_loss(&config, outputs.clone(), &masks, centers, temperature);
        let gradients = loss.total.backward();
        let koleo_of_both = || {
            let views = outputs.student_features.clone().split(batch, 0).into_iter();
            let sum = views.map(koleo_loss).reduce(|a, b| a + b);
            sum.expect("two views")
        };
        for (name, part) in [
            ("total", Some(loss.total)),
            ("dino_local", loss.dino_local),
            ("dino_global", Some(loss.dino_global)),
            ("koleo_sum", loss.koleo.or_else(|| Some(koleo_of_both()))),
            ("ibot", Some(loss.ibot)),
        ] {
            if let Some(part) = part {
                insert(&mut found, &format!("{name}{step}"), part);
            }
        }
        for (name, leaf) in [
            ("global", Some(&outputs.student_global)),
            ("local", outputs.student_local.as_ref()),
            ("patch", Some(&outputs.student_patches)),
            ("cls", Some(&outputs.student_features)),
        ] {
            if let Some(leaf) = leaf {
                let name = format!("grad_student_{name}{step}");
                insert_gradient(&mut found, &name, leaf, &gradients);
            }
        }
        centers = [loss.image_center, loss.patch_center];
        insert(
            &mut found,
            &format!("center_dino{step}"),
            centers[0].clone(),
        );
        insert(
            &mut found,
            &format!("center_ibot{step}"),
            centers[1].clone(),
        );
    }
    found
}

pub(super) fn insert<const D: usize>(found: &mut Outputs, name: &str, tensor: Tensor<D>) {
    let values = tensor.into_data().iter::<f32>().collect();
    found.insert(name.to_owned(), values);
}

fn insert_gradient(found: &mut Outputs, name: &str, leaf: &Tensor<2>, gradients: &Gradients) {
    // A term without weight gives none.
    let gradient = leaf.grad(gradients);
    insert(found, name, gradient.unwrap_or_else(|| leaf.zeros_like()));
}
