//! What training minimises, as pure functions on tensors: one loss per file.
//!
//! Nothing here keeps state. What a loss remembers from step to step (the
//! centres of a teacher's outputs) is a tensor that the caller hands in and
//! gets back, so that it can live in a module's parameter and in a checkpoint.
//! Whatever comes from a teacher is a constant: no gradient reaches it.
//!
//! | file | what | from |
//! |---|---|---|
//! | `cross_entropy.rs` | perturbations and experiments from labels | weak supervision |
//! | `nt_xent.rs` | two views of an image among all others | SimCLR |
//! | `batch_decorrelation.rs` | images of other experiments pulled together | Lugli et al. 2025 |
//! | `barlow.rs` | features of two views alike and unlike each other | Barlow Twins |
//! | `dino.rs` | a student's crops against a teacher's views | DINO |
//! | `teacher_temperature.rs`, `centers.rs` | what keeps the teacher from collapse | DINO, CDCL |
//! | `dino_barlow.rs` | DINO and Barlow Twins on the same outputs | Lugli et al. 2025 |
//! | `koleo.rs` | features spread out | DINOv2 |
//! | `block_masks.rs`, `ibot.rs` | hidden patches, as the teacher sees them | iBOT |
//! | `dinov2.rs` | the weighted sum of the last three | DINOv2 |

mod barlow;
mod batch_decorrelation;
mod block_masks;
mod centers;
mod cross_entropy;
mod dino;
mod dino_barlow;
mod dinov2;
mod ibot;
mod koleo;
mod nt_xent;
mod teacher_temperature;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::TrainError;

pub use barlow::{BarlowConfig, BarlowVariant, barlow_loss};
pub use batch_decorrelation::{
    BatchDecorrelationConfig, BatchDecorrelationVariant, batch_decorrelation_loss,
};
pub use block_masks::{BlockMaskConfig, BlockMasks};
pub use centers::{CenterConfig, centers_of_views};
pub use cross_entropy::{CrossEntropyConfig, Reduction, cross_entropy, soft_cross_entropy};
pub use dino::{CropPairs, centered_teacher, dino_loss};
pub use dino_barlow::{DinoBarlowConfig, DinoBarlowLoss, dino_barlow_loss};
pub use dinov2::{DinoV2Config, DinoV2Loss, DinoV2Outputs, dinov2_loss};
pub use ibot::ibot_loss;
pub use koleo::koleo_loss;
pub use nt_xent::nt_xent_loss;
pub use teacher_temperature::TeacherTemperature;

/// Refuses a number that is not above zero.
fn check_positive(name: &str, value: f64) -> Result<(), TrainError> {
    match value > 0.0 && value.is_finite() {
        true => Ok(()),
        false => Err(TrainError::InvalidConfig(format!(
            "{name} {value} is not a positive number"
        ))),
    }
}

/// Refuses a number below zero.
fn check_not_negative(name: &str, value: f64) -> Result<(), TrainError> {
    match value >= 0.0 && value.is_finite() {
        true => Ok(()),
        false => Err(TrainError::InvalidConfig(format!(
            "{name} {value} is not a number from 0 up"
        ))),
    }
}

/// Refuses a number that is no share.
fn check_share(name: &str, value: f64) -> Result<(), TrainError> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => Err(TrainError::InvalidConfig(format!(
            "{name} {value} is not in 0..=1"
        ))),
    }
}

/// Indices on the host as a tensor to pick rows with.
fn index_tensor(indices: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let indices: Vec<i64> = indices.map(|index| index as i64).collect();
    let count = indices.len();
    Tensor::from_data(TensorData::new(indices, [count]), device)
}

/// Values in 0..1 for tests, the same at every call.
#[cfg(test)]
fn drawn(shape: [usize; 2], seed: u64, device: &Device) -> Tensor<2> {
    let mut rng = morphospace_core::Seed::new(seed).rng();
    let len = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..len).map(|_| rand::RngExt::random(&mut rng)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(found: Result<(), TrainError>, expected: &str) {
        let error = found.expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        let cross_entropy = |temperature, weight| CrossEntropyConfig {
            temperature,
            class_weights: Some(vec![1.0, weight]),
            ..CrossEntropyConfig::default()
        };
        check_refused(
            cross_entropy(0.0, 1.0).check(),
            "temperature 0 is not a positive number",
        );
        check_refused(
            cross_entropy(1.0, -1.0).check(),
            "class weight -1 is not a number from 0",
        );
        let dino_barlow = |student_temp, barlow_weight| DinoBarlowConfig {
            student_temp,
            barlow_weight,
            ..DinoBarlowConfig::default()
        };
        check_refused(dino_barlow(f64::NAN, 0.5).check(), "student_temp NaN");
        check_refused(
            dino_barlow(0.1, f64::NAN).check(),
            "barlow_weight NaN is not in 0..=1",
        );
        let masks = BlockMaskConfig {
            mask_ratio_min_max: [0.5, 0.1],
            ..BlockMaskConfig::default()
        };
        check_refused(masks.check(), "goes from 0.5 down to 0.1");
    }

    #[test]
    fn defaults_are_taken() {
        for checked in [
            CrossEntropyConfig::default().check(),
            BatchDecorrelationConfig::default().check(),
            BarlowConfig::ZBONTAR.check(),
            TeacherTemperature::DINO_V2.check(),
            CenterConfig::default().check(),
            DinoBarlowConfig::default().check(),
            DinoBarlowConfig::DINO.check(),
            BlockMaskConfig::default().check(),
            DinoV2Config::default().check(),
        ] {
            checked.expect("defaults can be");
        }
    }
}
