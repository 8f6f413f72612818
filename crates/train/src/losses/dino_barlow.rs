//! DINO and Barlow Twins on the same outputs of student and teacher.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

use super::barlow::{BarlowConfig, StandardisedView};
use super::dino::{CropPairs, dino_loss};
use super::{check_positive, check_share};
use crate::TrainError;

/// Options of [`dino_barlow_loss`]. The default is that of Lugli et al. 2025.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DinoBarlowConfig {
    /// What the student's outputs are divided by.
    pub student_temp: f64,
    /// Whether DINO's part is divided by the logarithm of the number of
    /// outputs, so that a student that knows nothing has loss 1. The published
    /// loss with several centres does, DINO's own does not.
    pub scale_by_log_k: bool,
    /// Share of Barlow Twins in the total: 0 is DINO alone, 1 Barlow Twins
    /// alone, and what has no share is not computed.
    pub barlow_weight: f64,
    /// What Barlow Twins is.
    pub barlow: BarlowConfig,
}

impl Default for DinoBarlowConfig {
    fn default() -> Self {
        Self {
            student_temp: 0.1,
            scale_by_log_k: true,
            barlow_weight: 0.75,
            barlow: BarlowConfig::AIBIO,
        }
    }
}

impl DinoBarlowConfig {
    /// DINO as Caron et al. 2021 have it.
    pub const DINO: Self = Self {
        student_temp: 0.1,
        scale_by_log_k: false,
        barlow_weight: 0.0,
        barlow: BarlowConfig::AIBIO,
    };

    /// Whether the numbers can be.
    ///
    /// # Errors
    /// [`TrainError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), TrainError> {
        check_positive("student_temp", self.student_temp)?;
        check_share("barlow_weight", self.barlow_weight)?;
        self.barlow.check()
    }
}

/// What is minimised and its parts, each a scalar `[1]`.
#[derive(Clone, Debug)]
pub struct DinoBarlowLoss {
    /// `(1 - w) dino + w barlow`
    pub total: Tensor<1>,
    /// If it has a share.
    pub dino: Option<Tensor<1>>,
    /// If it has a share.
    pub barlow: Option<Tensor<1>>,
}

/// The weighted sum of [`dino_loss`] and of
/// [`barlow_loss`](super::barlow_loss), the mean over the same pairs.
///
/// # Shapes
/// `student`: `[S·B, K]`, outputs of all images in the first crop, then in the
/// next; `teacher`: `[2·B, K]`, from
/// [`centered_teacher`](super::centered_teacher)
///
/// # Panics
/// The outputs do not have these shapes, or the weight of Barlow Twins is not
/// a number.
///
/// # Source
/// Lugli et al. 2025, equation 7; AIBIO_proj and cfredinh/CDCL
/// `DINOLossMultiCenter`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_train::losses::{
///     CenterConfig, CropPairs, DinoBarlowConfig, TeacherTemperature, centered_teacher,
///     centers_of_views, dino_barlow_loss,
/// };
///
/// // Four crops of three images of two experiments; centres start at zero.
/// let device = Device::default();
/// let (student, teacher) = (Tensor::<2>::zeros([12, 8], &device), Tensor::ones([6, 8], &device));
/// let (centers, domains) = (Tensor::<2>::zeros([2, 8], &device), [0, 1, 1]);
///
/// let of_views = centers_of_views(centers.clone(), &domains, 2);
/// let temperature = TeacherTemperature::default().of_epoch(0);
/// let told = centered_teacher(teacher.clone(), of_views, temperature);
/// let loss = dino_barlow_loss(&DinoBarlowConfig::default(), &CropPairs::all(4), student, told);
/// let dino = loss.dino.expect("it has a share");
/// assert!((dino.into_scalar::<f32>() - 1.0).abs() < 1e-6);
///
/// let centers = CenterConfig::default().update_domains(centers, teacher, &domains, &[500, 900]);
/// assert_eq!(centers.dims(), [2, 8]);
/// ```
pub fn dino_barlow_loss(
    config: &DinoBarlowConfig,
    pairs: &CropPairs,
    student: Tensor<2>,
    teacher: Tensor<2>,
) -> DinoBarlowLoss {
    let [num_rows, num_outputs] = student.dims();
    let teacher = teacher.inner();
    let weight = config.barlow_weight;
    let dino = (weight < 1.0).then(|| {
        let told = activation::softmax(teacher.clone(), 1);
        let loss = dino_loss(pairs, student.clone(), told, config.student_temp);
        match config.scale_by_log_k {
            true => loss / (num_outputs as f64).ln(),
            false => loss,
        }
    });
    let barlow = (weight > 0.0).then(|| {
        let batch = num_rows / pairs.num_crops();
        let standardised = |outputs: Tensor<2>| -> Vec<StandardisedView> {
            let views = outputs.split(batch, 0).into_iter();
            views.map(StandardisedView::new).collect()
        };
        let views = standardised(teacher);
        let crops = standardised(student / config.student_temp);
        let losses = pairs.pairs().iter();
        let losses = losses.map(|(view, crop)| views[*view].loss(&config.barlow, &crops[*crop]));
        let sum = losses.reduce(|sum, next| sum + next);
        sum.expect("there are pairs") / pairs.pairs().len() as f64
    });
    let total = match (&dino, &barlow) {
        (Some(dino), Some(barlow)) => dino.clone() * (1.0 - weight) + barlow.clone() * weight,
        (Some(only), None) | (None, Some(only)) => only.clone(),
        (None, None) => panic!("barlow_weight {weight} is not in 0..=1"),
    };
    DinoBarlowLoss {
        total,
        dino,
        barlow,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::barlow::barlow_loss;
    use super::super::drawn;
    use super::*;

    #[test]
    fn parts_are_the_losses_of_their_own() {
        let device = Device::default();
        let student = drawn([12, 5], 1, &device);
        let teacher = drawn([8, 5], 2, &device) / 0.04;
        let pairs = CropPairs::all(3);
        let config = DinoBarlowConfig::default();
        let loss = dino_barlow_loss(&config, &pairs, student.clone(), teacher.clone());
        let told = activation::softmax(teacher.clone(), 1);
        let dino = dino_loss(&pairs, student.clone(), told, 0.1) / 5f64.ln();
        let mut barlow = Tensor::<1>::zeros([1], &device);
        for (view, crop) in pairs.pairs() {
            let view = teacher.clone().narrow(0, view * 4, 4);
            let crop = student.clone().narrow(0, crop * 4, 4) / 0.1;
            barlow = barlow + barlow_loss(&BarlowConfig::AIBIO, view, crop) / 4.0;
        }
        let scalar = |tensor: Tensor<1>| tensor.into_scalar::<f32>();
        let (dino, barlow) = (scalar(dino), scalar(barlow));
        let near = |found: Option<Tensor<1>>, expected: f32| {
            let found = scalar(found.expect("computed"));
            assert!((found - expected).abs() < 1e-5, "{found}, {expected}");
        };
        near(loss.dino, dino);
        near(loss.barlow, barlow);
        near(Some(loss.total), 0.25 * dino + 0.75 * barlow);
        for (barlow_weight, expected) in [(0.0, dino), (1.0, barlow)] {
            let config = DinoBarlowConfig {
                barlow_weight,
                ..config
            };
            let alone = dino_barlow_loss(&config, &pairs, student.clone(), teacher.clone());
            assert!(alone.dino.is_none() || alone.barlow.is_none());
            near(Some(alone.total), expected);
        }
    }
}
