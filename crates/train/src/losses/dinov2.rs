//! The objective of DINOv2: DINO on images, iBOT on patches, and features
//! spread out.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

use super::block_masks::BlockMasks;
use super::centers::CenterConfig;
use super::dino::{centered_teacher, summed_cross_entropy};
use super::ibot::ibot_loss;
use super::koleo::koleo_loss;
use super::{check_not_negative, check_positive};
use crate::TrainError;

/// Options of [`dinov2_loss`]. The default is DINOv2's, which Kenyon-Dean et
/// al. 2024 use.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DinoV2Config {
    /// Weight of DINO on class tokens.
    pub dino_weight: f64,
    /// Weight of the spread of class tokens; 0 leaves it out.
    pub koleo_weight: f64,
    /// Weight of hidden patches.
    pub ibot_weight: f64,
    /// What the student's outputs are divided by.
    pub student_temp: f64,
    /// How the centres of images and patches follow the teacher.
    pub centers: CenterConfig,
}

impl Default for DinoV2Config {
    fn default() -> Self {
        Self {
            dino_weight: 1.0,
            koleo_weight: 0.1,
            ibot_weight: 1.0,
            student_temp: 0.1,
            centers: CenterConfig::default(),
        }
    }
}

impl DinoV2Config {
    /// Whether the numbers can be.
    ///
    /// # Errors
    /// [`TrainError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), TrainError> {
        check_not_negative("dino_weight", self.dino_weight)?;
        check_not_negative("koleo_weight", self.koleo_weight)?;
        check_not_negative("ibot_weight", self.ibot_weight)?;
        check_positive("student_temp", self.student_temp)?;
        self.centers.check()
    }
}

/// What student and teacher give for a batch of `B` images with two global and
/// `L` local crops, `M` patches of the global ones hidden from the student.
/// Crops come one behind the other: all images in the first, then in the next.
#[derive(Clone, Debug)]
pub struct DinoV2Outputs {
    /// The teacher's head on class tokens of global crops, `[2·B, K]`.
    pub teacher_global: Tensor<2>,
    /// The teacher's head on the hidden patches, `[M, K]`.
    pub teacher_patches: Tensor<2>,
    /// The student's head on class tokens of global crops, `[2·B, K]`.
    pub student_global: Tensor<2>,
    /// The student's head on class tokens of local crops, `[L·B, K]`, if there
    /// are any.
    pub student_local: Option<Tensor<2>>,
    /// The student's head on the hidden patches, `[M, K]`.
    pub student_patches: Tensor<2>,
    /// The student's class tokens of global crops before the head, `[2·B, D]`.
    pub student_features: Tensor<2>,
}

/// What is minimised, its parts before they are weighted, each a scalar `[1]`,
/// and the centres for the next step.
#[derive(Clone, Debug)]
pub struct DinoV2Loss {
    /// The weighted sum.
    pub total: Tensor<1>,
    /// DINO's pairs of a global view and a local crop, if there are local
    /// crops: their share of the mean over all pairs.
    pub dino_local: Option<Tensor<1>>,
    /// DINO's two pairs of global crops: their share of the same mean.
    pub dino_global: Tensor<1>,
    /// Of the first global crops plus of the second, if it has a weight.
    pub koleo: Option<Tensor<1>>,
    /// Of hidden patches.
    pub ibot: Tensor<1>,
    /// The centre of images, `[1, K]`.
    pub image_center: Tensor<2>,
    /// The centre of patches, `[1, K]`.
    pub patch_center: Tensor<2>,
}

/// The weighted sum of DINO, KoLeo and iBOT.
///
/// # Shapes
/// `image_center`, `patch_center`: `[1, K]`, zeros in the beginning; `masks`
/// of the `2·B` global crops
///
/// # Panics
/// The outputs do not have the shapes of [`DinoV2Outputs`].
///
/// # Source
/// Oquab et al. 2023, <https://arxiv.org/abs/2304.07193>;
/// facebookresearch/dinov2 `ssl_meta_arch.SSLMetaArch` with `centering`
pub fn dinov2_loss(
    config: &DinoV2Config,
    outputs: DinoV2Outputs,
    masks: &BlockMasks,
    [image_center, patch_center]: [Tensor<2>; 2],
    teacher_temp: f64,
) -> DinoV2Loss {
    let teacher_global = outputs.teacher_global.inner();
    let teacher_patches = outputs.teacher_patches.inner();
    let told = |teacher: &Tensor<2>, center: &Tensor<2>| {
        let centered = centered_teacher(teacher.clone(), center.clone(), teacher_temp);
        activation::softmax(centered, 1)
    };
    let [num_rows, num_outputs] = teacher_global.dims();
    let batch = num_rows / 2;
    let views = told(&teacher_global, &image_center);
    let (first, second) = (
        views.clone().narrow(0, 0, batch),
        views.narrow(0, batch, batch),
    );

    // The mean over all pairs of a global view and another crop. As in the
    // reference, one pair of a local crop is counted where there are none.
    let num_crops = outputs
        .student_local
        .as_ref()
        .map_or(0, |local| local.dims()[0] / batch);
    let num_pairs = 2 + (2 * num_crops).max(1);
    let mean = |losses: Tensor<2>| losses.sum() / (batch * num_pairs) as f64;
    let swapped = Tensor::cat(vec![second.clone(), first.clone()], 0);
    let dino_global = mean(summed_cross_entropy(
        outputs.student_global,
        swapped,
        config.student_temp,
    ));
    let dino_local = outputs.student_local.map(|local| {
        // Every local crop is compared with both views.
        let both = (first + second).unsqueeze_dim::<3>(0);
        let both = both.expand([num_crops, batch, num_outputs]);
        let both = both.reshape([num_crops * batch, num_outputs]);
        mean(summed_cross_entropy(local, both, config.student_temp))
    });
    let koleo = (config.koleo_weight != 0.0).then(|| {
        let features = |view: usize| {
            outputs
                .student_features
                .clone()
                .narrow(0, view * batch, batch)
        };
        koleo_loss(features(0)) + koleo_loss(features(1))
    });
    let ibot = ibot_loss(
        masks,
        outputs.student_patches,
        told(&teacher_patches, &patch_center),
        config.student_temp,
    );

    let mut total = dino_global.clone() * config.dino_weight + ibot.clone() * config.ibot_weight;
    if let Some(local) = &dino_local {
        total = total + local.clone() * config.dino_weight;
    }
    if let Some(koleo) = &koleo {
        total = total + koleo.clone() * config.koleo_weight;
    }
    DinoV2Loss {
        total,
        dino_local,
        dino_global,
        koleo,
        ibot,
        image_center: config.centers.update(image_center, teacher_global),
        patch_center: config.centers.update(patch_center, teacher_patches),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::dino::{CropPairs, dino_loss};
    use super::super::drawn;
    use super::*;

    #[test]
    fn the_parts_of_dino_are_its_mean_over_all_pairs() {
        let device = Device::default();
        let draw = |rows| drawn([rows, 5], rows as u64, &device);
        let center = draw(1);
        let (global, local, teacher) = (draw(6), draw(9), draw(6));
        let outputs = DinoV2Outputs {
            teacher_global: teacher.clone(),
            teacher_patches: draw(1),
            student_global: global.clone(),
            student_local: Some(local.clone()),
            student_patches: draw(1),
            student_features: draw(6),
        };
        let mut is_masked = vec![false; 24];
        is_masked[7] = true;
        let masks = BlockMasks::new(4, is_masked);
        let config = DinoV2Config::default();
        let centers = [center.clone(), draw(1)];
        let loss = dinov2_loss(&config, outputs, &masks, centers, 0.05);
        let told = activation::softmax(centered_teacher(teacher, center, 0.05), 1);
        let crops = Tensor::cat(vec![global, local], 0);
        let expected = dino_loss(&CropPairs::all(5), crops, told, 0.1);
        let found = loss.dino_global + loss.dino_local.expect("there are local crops");
        let difference: f32 = (found - expected).into_scalar();
        assert!(difference.abs() < 1e-5, "{difference}");
    }

    #[test]
    fn neither_local_crops_nor_hidden_patches() {
        let device = Device::default().autodiff();
        let draw = |rows| drawn([rows, 5], rows as u64, &device);
        let global = draw(6).detach().require_grad();
        let outputs = DinoV2Outputs {
            teacher_global: draw(6),
            teacher_patches: Tensor::zeros([0, 5], &device),
            student_global: global.clone(),
            student_local: None,
            student_patches: Tensor::zeros([0, 5], &device),
            student_features: draw(6),
        };
        let masks = BlockMasks::new(4, vec![false; 24]);
        let center = Tensor::<2>::full([1, 5], 0.5, &device);
        let centers = [center.clone(), center.clone()];
        let loss = dinov2_loss(&DinoV2Config::default(), outputs, &masks, centers, 0.05);
        assert!(loss.dino_local.is_none());
        assert_eq!(loss.ibot.into_scalar::<f32>(), 0.0);
        assert_eq!(loss.patch_center.into_data(), center.into_data());
        let gradient = global.grad(&loss.total.backward()).expect("a leaf");
        assert!(gradient.abs().sum().into_scalar::<f32>().is_finite());
        assert!(loss.total.into_scalar::<f32>().is_finite());
    }
}
