//! Contrastive batch decorrelation: images of other experiments pulled
//! together.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::nt_xent::view_similarities;
use super::{check_positive, index_tensor};
use crate::TrainError;

/// Options of [`batch_decorrelation_loss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchDecorrelationConfig {
    /// What every view is told from.
    pub variant: BatchDecorrelationVariant,
    /// What cosines are divided by; shared with [`nt_xent_loss`](super::nt_xent_loss).
    pub temperature: f64,
    /// [`BatchDecorrelationVariant::Described`] only: whether the other view of
    /// an anchor's own image, which is of the same experiment, is left out.
    /// SimCLR pulls towards it what this loss would push away.
    pub exclude_own_view: bool,
}

/// Two readings of Lugli et al. 2025, whose equation and text disagree. No
/// code of it is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchDecorrelationVariant {
    /// As printed: only views of other experiments stand in the denominator.
    /// Pairs of one experiment then get no gradient, and the loss is smallest
    /// where a view is equally near to all others.
    #[default]
    Printed,
    /// As described, and recommended: all other views stand in the
    /// denominator, so that those of the same experiment are pushed away. The
    /// supervised contrastive loss (Khosla et al. 2020,
    /// <https://arxiv.org/abs/2004.11362>) with its labels turned round.
    Described,
}

impl Default for BatchDecorrelationConfig {
    fn default() -> Self {
        Self {
            variant: BatchDecorrelationVariant::Printed,
            temperature: 0.15,
            exclude_own_view: true,
        }
    }
}

impl BatchDecorrelationConfig {
    /// Whether the numbers can be.
    ///
    /// # Errors
    /// [`TrainError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), TrainError> {
        check_positive("temperature", self.temperature)
    }
}

/// The mean over all views, and over the views of other experiments for each,
/// of minus the logarithm of the share that the two have.
///
/// Views for which the batch has no other experiment are skipped; if that is
/// all of them, the loss is 0, and so is its gradient.
///
/// # Shapes
/// `first`, `second`: `[N, D]`, two views of the same images in the same
/// order; `batches`: the experiment of each of the `N` images; result `[1]`
///
/// # Panics
/// There are more or fewer experiments than images.
///
/// # Source
/// Lugli et al. 2025
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_train::losses::{BatchDecorrelationConfig, batch_decorrelation_loss};
///
/// // All views alike: two of another experiment for each.
/// let views = Tensor::<2>::ones([2, 4], &Device::default());
/// let config = BatchDecorrelationConfig::default();
/// let loss = batch_decorrelation_loss(&config, views.clone(), views, &[7, 3]);
/// assert!((loss.into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
pub fn batch_decorrelation_loss(
    config: &BatchDecorrelationConfig,
    first: Tensor<2>,
    second: Tensor<2>,
    batches: &[usize],
) -> Tensor<1> {
    assert_eq!(
        first.dims()[0],
        batches.len(),
        "there is one experiment per image"
    );
    of_similarities(config, view_similarities(first, second), batches)
}

/// # Shapes
/// `similarities`: `[2 N, 2 N]`
fn of_similarities(
    config: &BatchDecorrelationConfig,
    similarities: Tensor<2>,
    batches: &[usize],
) -> Tensor<1> {
    let num_images = batches.len();
    let num_views = 2 * num_images;
    let batch_of = |view: usize| batches[view % num_images];
    let is_positive = |anchor, other| batch_of(anchor) != batch_of(other);
    let is_compared = |anchor: usize, other: usize| match config.variant {
        BatchDecorrelationVariant::Printed => is_positive(anchor, other),
        BatchDecorrelationVariant::Described => {
            let is_own = config.exclude_own_view && anchor % num_images == other % num_images;
            anchor != other && !is_own
        }
    };
    let views = 0..num_views;
    let anchors: Vec<usize> = views
        .clone()
        .filter(|anchor| views.clone().any(|other| is_positive(*anchor, other)))
        .collect();
    if anchors.is_empty() {
        return similarities.sum() * 0.0;
    }

    let device = similarities.device();
    let num_anchors = anchors.len();
    let mut weights = Vec::with_capacity(num_anchors * num_views);
    let mut is_left_out = Vec::with_capacity(num_anchors * num_views);
    for anchor in &anchors {
        let positives = views.clone().filter(|other| is_positive(*anchor, *other));
        let share = 1.0 / positives.count() as f32;
        for other in views.clone() {
            weights.push(if is_positive(*anchor, other) {
                share
            } else {
                0.0
            });
            is_left_out.push(!is_compared(*anchor, other));
        }
    }
    let shape = [num_anchors, num_views];
    let rows = match num_anchors == num_views {
        true => similarities,
        false => similarities.select(0, index_tensor(anchors.into_iter(), &device)),
    };
    let rows = rows / config.temperature;
    let weights = Tensor::<2>::from_data(TensorData::new(weights, shape), &device);
    let attraction = (rows.clone() * weights).sum_dim(1);
    let log_total = log_sum_exp(rows, mask(is_left_out, shape, &device));
    (log_total - attraction).mean()
}

fn mask(values: Vec<bool>, shape: [usize; 2], device: &Device) -> Tensor<2, Bool> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Logarithm of the sum of the exponentials of what is not left out, which in
/// every row is something.
///
/// # Shapes
/// `[A, V]` to `[A, 1]`
fn log_sum_exp(rows: Tensor<2>, is_left_out: Tensor<2, Bool>) -> Tensor<2> {
    let rows = rows.mask_fill(is_left_out, f32::MIN);
    let highest = rows.clone().detach().max_dim(1);
    (rows - highest.clone()).exp().sum_dim(1).log() + highest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variant: BatchDecorrelationVariant) -> BatchDecorrelationConfig {
        BatchDecorrelationConfig {
            variant,
            temperature: 0.5,
            exclude_own_view: true,
        }
    }

    const PRINTED: BatchDecorrelationVariant = BatchDecorrelationVariant::Printed;
    const DESCRIBED: BatchDecorrelationVariant = BatchDecorrelationVariant::Described;

    fn loss(config: &BatchDecorrelationConfig, rows: &[f32], batches: &[usize]) -> f64 {
        let views = Tensor::<1>::from_floats(rows, &Device::default());
        let views = views.reshape([batches.len(), rows.len() / batches.len()]);
        let loss = batch_decorrelation_loss(config, views.clone(), views, batches);
        f64::from(loss.into_scalar::<f32>())
    }

    #[test]
    fn all_alike() {
        // Views of other experiments per image, and views in the denominator.
        for (batches, printed, described, with_own) in [
            (vec![0, 1], vec![2.0, 2.0], 2.0f64, 3.0f64),
            (vec![4, 4, 9], vec![2.0, 2.0, 4.0], 4.0, 5.0),
        ] {
            let rows = vec![1.0; 2 * batches.len()];
            let logs: Vec<f64> = printed.iter().map(|count: &f64| count.ln()).collect();
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            assert!((loss(&config(PRINTED), &rows, &batches) - mean).abs() < 1e-6);
            let described_loss = loss(&config(DESCRIBED), &rows, &batches);
            assert!((described_loss - described.ln()).abs() < 1e-6);
            let with_own_view = BatchDecorrelationConfig {
                exclude_own_view: false,
                ..config(DESCRIBED)
            };
            assert!((loss(&with_own_view, &rows, &batches) - with_own.ln()).abs() < 1e-6);
        }
    }

    #[test]
    fn hand_worked() {
        // Images at 0, 0 and 90 degrees, the last of another experiment. Both
        // other views are at cosine 0 of the first two, and all four of theirs
        // of it.
        let rows = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0];
        let printed = loss(&config(PRINTED), &rows, &[0, 0, 1]);
        assert!((printed - (2.0 * 2f64.ln() + 4f64.ln()) / 3.0).abs() < 1e-6);
        // Against the first two also stand two views at cosine 1.
        let first = (2.0 + 2.0 * (1.0f64 / 0.5).exp()).ln();
        let described = loss(&config(DESCRIBED), &rows, &[0, 0, 1]);
        assert!((described - (2.0 * first + 4f64.ln()) / 3.0).abs() < 1e-6);
    }

    #[test]
    fn printed_gives_pairs_of_one_experiment_no_gradient() {
        let device = Device::default().autodiff();
        let batches = [0, 0, 1];
        let values: Vec<f32> = (0..36).map(|index| (index as f32 * 0.7).sin()).collect();
        for variant in [PRINTED, DESCRIBED] {
            let similarities = Tensor::<1>::from_floats(values.as_slice(), &device);
            let similarities = similarities.reshape([6, 6]).detach().require_grad();
            let loss = of_similarities(&config(variant), similarities.clone(), &batches);
            let gradient = similarities.grad(&loss.backward()).expect("a leaf");
            let gradient: Vec<f32> = gradient.into_data().iter::<f32>().collect();
            for (index, slope) in gradient.into_iter().enumerate() {
                let (anchor, other) = (index / 6, index % 6);
                let same_batch = batches[anchor % 3] == batches[other % 3];
                let same_image = anchor % 3 == other % 3;
                let pushes = variant == DESCRIBED && same_batch && !same_image;
                assert_eq!(slope == 0.0, same_batch && !pushes, "{variant:?}, {index}");
                assert!(
                    !pushes || slope > 0.0,
                    "views of one experiment are pushed away"
                );
            }
        }
    }

    #[test]
    fn what_has_no_other_experiment_is_skipped() {
        let device = Device::default().autodiff();
        for variant in [PRINTED, DESCRIBED] {
            let views = Tensor::<2>::from_floats([[1.0, 2.0], [0.0, 0.0]], &device);
            let views = views.require_grad();
            let loss =
                batch_decorrelation_loss(&config(variant), views.clone(), views.clone(), &[5, 5]);
            let gradient = views.grad(&loss.backward()).expect("a leaf");
            assert_eq!(gradient.abs().sum().into_scalar::<f32>(), 0.0);
            assert_eq!(loss.into_scalar::<f32>(), 0.0);
        }
    }
}
