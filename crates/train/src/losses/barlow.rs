//! Barlow Twins: the features of two views correlate with themselves and not
//! with each other.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{check_not_negative, check_share};
use crate::TrainError;

/// Options of [`barlow_loss`]. The default is [`BarlowConfig::AIBIO`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BarlowConfig {
    /// How correlations become one number.
    pub variant: BarlowVariant,
    /// Weight of the correlations of different features.
    pub lambda: f64,
}

/// How the correlations `C` of two views' features become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BarlowVariant {
    /// `((1 - l) mean (C_ii - 1)² + l mean C_ij²) / ((1 - l) + 0.01 l)`: the
    /// code of Lugli et al. 2025 and of cross-domain learning. About 1 before
    /// training.
    #[default]
    Aibio,
    /// `sum (C_ii - 1)² + l sum C_ij²`: Zbontar et al. 2021.
    Zbontar,
    /// `sum (1 - C_ii) + l sum C_ij`: equation 5 of Lugli et al. 2025 to the
    /// letter. It falls without end as features turn opposite; not for
    /// training.
    Printed,
}

impl BarlowConfig {
    /// Lugli et al. 2025, from AIBIO_proj.
    pub const AIBIO: Self = Self {
        variant: BarlowVariant::Aibio,
        lambda: 1e-3,
    };
    /// Zbontar et al. 2021.
    pub const ZBONTAR: Self = Self {
        variant: BarlowVariant::Zbontar,
        lambda: 0.0051,
    };

    /// Whether the numbers can be.
    ///
    /// # Errors
    /// [`TrainError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), TrainError> {
        match self.variant {
            BarlowVariant::Aibio => check_share("lambda", self.lambda),
            _ => check_not_negative("lambda", self.lambda),
        }
    }
}

impl Default for BarlowConfig {
    fn default() -> Self {
        Self::AIBIO
    }
}

/// The loss of the correlations of two views' features over the batch.
///
/// # Shapes
/// `first`, `second`: `[B, K]`, two views of the same images in the same
/// order; result `[1]`
///
/// # Source
/// Zbontar et al. 2021, <https://arxiv.org/abs/2103.03230>; lightly
/// `BarlowTwinsLoss`; AIBIO_proj `main_dino.DINOLossMultiCenter`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_train::losses::{BarlowConfig, barlow_loss};
///
/// // Two features that do not go together, the same in both views.
/// let view = [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]];
/// let view = Tensor::<2>::from_floats(view, &Device::default());
/// let loss = barlow_loss(&BarlowConfig::ZBONTAR, view.clone(), view);
/// assert!(loss.into_scalar::<f32>().abs() < 1e-6);
/// ```
pub fn barlow_loss(config: &BarlowConfig, first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
    let views = [first, second].map(StandardisedView::new);
    views[0].loss(config, &views[1])
}

/// A view whose features have mean 0 and variance 1 over the batch.
#[derive(Clone, Debug)]
pub(super) struct StandardisedView {
    /// `[B, K]`
    features: Tensor<2>,
    /// Products of its images with each other, `[B, B]`, where there are fewer
    /// images than features.
    products: Option<Tensor<2>>,
}

impl StandardisedView {
    /// Batch normalisation without weights, with the biased variance.
    pub(super) fn new(features: Tensor<2>) -> Self {
        const EPS: f64 = 1e-5;
        let [batch, num_features] = features.dims();
        let centered = features.clone() - features.mean_dim(0);
        let variance = centered.clone().square().mean_dim(0);
        let features = centered / (variance + EPS).sqrt();
        let products =
            (batch < num_features).then(|| features.clone().matmul(features.clone().transpose()));
        Self { features, products }
    }

    /// [`barlow_loss`]
    pub(super) fn loss(&self, config: &BarlowConfig, other: &Self) -> Tensor<1> {
        let [batch, num_features] = self.features.dims();
        let (batch, lambda) = (batch as f64, config.lambda);
        let diagonal = (self.features.clone() * other.features.clone()).sum_dim(0) / batch;
        let num_diagonal = num_features as f64;
        let num_off = (num_diagonal * (num_diagonal - 1.0)).max(1.0);
        if config.variant == BarlowVariant::Printed {
            let totals = self.features.clone().sum_dim(1) * other.features.clone().sum_dim(1);
            let off = totals.sum() / batch - diagonal.clone().sum();
            return (diagonal * -1.0 + 1.0).sum() + off * lambda;
        }
        let on = (diagonal.clone() - 1.0).square().sum();
        let off = self.sum_of_squares(other) - diagonal.square().sum();
        match config.variant {
            BarlowVariant::Zbontar => on + off * lambda,
            _ => {
                let scale = (1.0 - lambda) + 0.01 * lambda;
                on * ((1.0 - lambda) / num_diagonal / scale) + off * (lambda / num_off / scale)
            }
        }
    }

    /// The sum of all squared correlations.
    ///
    /// With features `X` and `Y` it is `|XᵀY|² / B²`, which is the sum of
    /// `(X Xᵀ) (Y Yᵀ) / B²`, element by element: in a batch of fewer images
    /// than features the `K` by `K` correlations need not be computed.
    fn sum_of_squares(&self, other: &Self) -> Tensor<1> {
        let batch = self.features.dims()[0] as f64;
        match (&self.products, &other.products) {
            (Some(first), Some(second)) => (first.clone() * second.clone()).sum() / (batch * batch),
            _ => {
                let transposed = self.features.clone().transpose();
                let correlations = transposed.matmul(other.features.clone()) / batch;
                correlations.square().sum()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn values(batch: usize, dim: usize, phase: f32) -> Tensor<2> {
        let values: Vec<f32> = (0..batch * dim)
            .map(|index| (index as f32 * 1.7 + phase).sin())
            .collect();
        let values = Tensor::<1>::from_floats(values.as_slice(), &Device::default());
        values.reshape([batch, dim])
    }

    fn scalar(loss: Tensor<1>) -> f32 {
        loss.into_scalar()
    }

    #[test]
    fn hand_worked() {
        // One feature is the same in both views, one is turned round; both are
        // uncorrelated: C = diag(1, -1).
        let device = Device::default();
        let first = [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]];
        let second = first.map(|[a, b]: [f32; 2]| [a, -b]);
        let views = [first, second].map(|rows| Tensor::<2>::from_floats(rows, &device));
        for (variant, expected) in [
            (BarlowVariant::Zbontar, 4.0),
            (BarlowVariant::Printed, 2.0),
            (BarlowVariant::Aibio, 0.5 * 2.0 / 0.505),
        ] {
            let config = BarlowConfig {
                variant,
                lambda: 0.5,
            };
            let loss = scalar(barlow_loss(&config, views[0].clone(), views[1].clone()));
            assert!((loss - expected).abs() < 1e-4, "{variant:?}: {loss}");
        }
    }

    #[test]
    fn the_same_from_products_of_images_as_from_correlations() {
        let (first, second) = (values(4, 9, 0.0), values(4, 9, 2.0));
        let with = [first, second].map(StandardisedView::new);
        let mut without = with.clone();
        without.iter_mut().for_each(|view| view.products = None);
        assert!(with[0].products.is_some());
        for config in [BarlowConfig::AIBIO, BarlowConfig::ZBONTAR] {
            let expected = scalar(without[0].loss(&config, &without[1]));
            let loss = scalar(with[0].loss(&config, &with[1]));
            assert!(
                (loss - expected).abs() < 1e-5 * expected,
                "{loss}, {expected}"
            );
        }
    }

    #[test]
    fn printed_sums_correlations() {
        let (first, second) = (values(7, 3, 0.0), values(7, 3, 2.0));
        let views = [first, second].map(|view| StandardisedView::new(view).features);
        let correlations = views[0].clone().transpose().matmul(views[1].clone()) / 7.0;
        let correlations: Vec<f32> = correlations.into_data().iter::<f32>().collect();
        let expected: f32 = (0..9)
            .map(|index| match index % 4 {
                0 => 1.0 - correlations[index],
                _ => 0.3 * correlations[index],
            })
            .sum();
        let config = BarlowConfig {
            variant: BarlowVariant::Printed,
            lambda: 0.3,
        };
        let loss = scalar(barlow_loss(&config, values(7, 3, 0.0), values(7, 3, 2.0)));
        assert!((loss - expected).abs() < 1e-5, "{loss}, {expected}");
    }

    #[test]
    fn constant_features_are_finite() {
        let device = Device::default().autodiff();
        let view = Tensor::<2>::full([3, 5], 1e4, &device).require_grad();
        let loss = barlow_loss(&BarlowConfig::AIBIO, view.clone(), view.clone());
        let gradient = view.grad(&loss.backward()).expect("a leaf");
        assert!(gradient.abs().sum().into_scalar::<f32>().is_finite());
        assert!(scalar(loss).is_finite());
    }
}
