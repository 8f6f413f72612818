//! The centres of a teacher's outputs, which keep it from telling the same of
//! every image.

use burn::tensor::{IndexingUpdateOp, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{check_positive, check_share, index_tensor};
use crate::TrainError;

/// How centres follow the teacher's outputs.
///
/// There is one centre, or one per domain: in cross-domain learning a domain
/// is an experiment, and taking its own centre off its images takes off what
/// all of them share. Centres start at zero, and are used before they are
/// updated.
///
/// # Source
/// One centre: Caron et al. 2021, equation 4; facebookresearch/dino
/// `main_dino.DINOLoss`. Centres of domains: Haslum et al. 2022
/// (<https://arxiv.org/abs/2212.11595>); cfredinh/CDCL
/// `models.DINOLossMultiCenter`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_train::losses::CenterConfig;
///
/// let device = Device::default();
/// let center = Tensor::<2>::zeros([1, 2], &device);
/// let teacher = Tensor::<2>::from_floats([[1.0, 4.0], [3.0, 0.0]], &device);
/// let center = CenterConfig::default().update(center, teacher);
/// let center: Vec<f32> = center.into_data().iter::<f32>().collect();
/// assert!((center[0] - 0.2).abs() < 1e-6 && (center[1] - 0.2).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CenterConfig {
    /// What a centre keeps of itself in an update.
    pub center_momentum: f64,
    /// Several centres only: the most that a domain weighs in an update. A
    /// domain that makes up `w` times its usual share of a batch moves its
    /// centre `w` times as far, which is beyond the batch's mean above
    /// `1 / (1 - center_momentum)`. The published code has no limit.
    pub max_domain_weight: Option<f64>,
}

impl Default for CenterConfig {
    fn default() -> Self {
        Self {
            center_momentum: 0.9,
            max_domain_weight: None,
        }
    }
}

impl CenterConfig {
    /// Whether the numbers can be.
    ///
    /// # Errors
    /// [`TrainError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), TrainError> {
        check_share("center_momentum", self.center_momentum)?;
        match self.max_domain_weight {
            Some(weight) => check_positive("max_domain_weight", weight),
            None => Ok(()),
        }
    }

    /// The centre after a step.
    ///
    /// # Shapes
    /// `center`: `[1, K]`, kept; `teacher`: `[N, K]`, outputs of all views; of
    /// none the centre stays where it is
    pub fn update(&self, center: Tensor<2>, teacher: Tensor<2>) -> Tensor<2> {
        let (center, teacher) = (center.inner(), teacher.inner());
        if teacher.dims()[0] == 0 {
            return center;
        }
        center * self.center_momentum + teacher.mean_dim(0) * (1.0 - self.center_momentum)
    }

    /// The centres of domains after a step. Domains that the batch has no
    /// image of keep theirs.
    ///
    /// # Shapes
    /// `centers`: `[D, K]`, kept; `teacher`: `[V·B, K]`, outputs of all images
    /// of the first view, then of the next; `domains`: the domain of each of
    /// the `B` images; `num_images`: images of the training set in each of the
    /// `D` domains
    ///
    /// # Panics
    /// Outputs are no whole number of views, counts are not one per domain, or
    /// a domain that an image is of has none in the training set.
    pub fn update_domains(
        &self,
        centers: Tensor<2>,
        teacher: Tensor<2>,
        domains: &[usize],
        num_images: &[usize],
    ) -> Tensor<2> {
        let (centers, teacher) = (centers.inner(), teacher.inner());
        let [num_domains, dim] = centers.dims();
        assert_eq!(
            num_domains,
            num_images.len(),
            "there is one count per domain"
        );
        let num_rows = teacher.dims()[0];
        let num_views = views(num_rows, domains);
        let mut counts = vec![0; num_domains];
        for domain in domains {
            counts[*domain] += num_views;
        }
        let all_images: usize = num_images.iter().sum();
        let share_moved = 1.0 - self.center_momentum;
        let mut kept = Vec::with_capacity(num_domains);
        let mut taken = Vec::with_capacity(num_domains);
        for (count, num_images) in counts.iter().zip(num_images) {
            if *count == 0 {
                kept.push(1.0);
                taken.push(0.0);
                continue;
            }
            assert!(*num_images > 0, "domains have images to train on");
            let usual = *num_images as f64 / all_images as f64;
            let weight = *count as f64 / num_rows as f64 / usual;
            let weight = weight.min(self.max_domain_weight.unwrap_or(f64::INFINITY));
            kept.push((self.center_momentum + share_moved * (1.0 - weight)) as f32);
            taken.push((share_moved * weight / *count as f64) as f32);
        }
        let device = centers.device();
        let column = |values: Vec<f32>| {
            Tensor::<2>::from_data(TensorData::new(values, [num_domains, 1]), &device)
        };
        let rows = index_tensor(domains.repeat(num_views).into_iter(), &device);
        let sums = Tensor::<2>::zeros([num_domains, dim], &device).select_assign(
            0,
            rows,
            teacher,
            IndexingUpdateOp::Add,
        );
        centers * column(kept) + sums * column(taken)
    }
}

/// The centre of every image in every view.
///
/// # Shapes
/// `centers`: `[D, K]`; `domains`: the domain of each of `B` images; result
/// `[V·B, K]` for `num_views` views
pub fn centers_of_views(centers: Tensor<2>, domains: &[usize], num_views: usize) -> Tensor<2> {
    let centers = centers.inner();
    let rows = index_tensor(domains.repeat(num_views).into_iter(), &centers.device());
    centers.select(0, rows)
}

fn views(num_rows: usize, domains: &[usize]) -> usize {
    assert!(
        !domains.is_empty() && num_rows.is_multiple_of(domains.len()),
        "{num_rows} outputs are no whole number of views of {} images",
        domains.len()
    );
    num_rows / domains.len()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn check(
        max_domain_weight: Option<f64>,
        domains: &[usize],
        outputs: &[f32],
        expected: [f32; 2],
    ) {
        let device = Device::default();
        let centers = Tensor::<2>::ones([2, 1], &device);
        let teacher = Tensor::<1>::from_floats(outputs, &device).unsqueeze_dim(1);
        let config = CenterConfig {
            max_domain_weight,
            ..CenterConfig::default()
        };
        let centers = config.update_domains(centers, teacher, domains, &[30, 10]);
        let centers: Vec<f32> = centers.into_data().iter::<f32>().collect();
        for (found, expected) in centers.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{centers:?}");
        }
    }

    #[test]
    fn domains_move_by_their_share() {
        // Half of the outputs are of a domain of three quarters of the images,
        // half of one of a quarter: they weigh 2/3 and 2.
        check(None, &[0, 1], &[1.0, 5.0, 3.0, 3.0], [1.066_667, 1.6]);
        check(Some(1.5), &[0, 1], &[1.0, 5.0, 3.0, 3.0], [1.066_667, 1.45]);
        // An absent domain keeps its centre.
        check(None, &[1, 1], &[2.0, 4.0, 2.0, 4.0], [1.0, 0.6 + 0.4 * 3.0]);
    }

    #[test]
    fn images_get_the_centre_of_their_domain() {
        let centers = Tensor::<2>::from_floats([[1.0], [2.0]], &Device::default());
        let rows = centers_of_views(centers, &[1, 0, 0], 2);
        let rows: Vec<f32> = rows.into_data().iter::<f32>().collect();
        assert_eq!(rows, [2.0, 1.0, 1.0, 2.0, 1.0, 1.0]);
    }
}
