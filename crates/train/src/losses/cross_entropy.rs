//! Cross entropy of class scores.

use burn::tensor::{Device, Tensor, TensorData, activation};
use serde::{Deserialize, Serialize};

use super::{check_not_negative, check_positive, check_share, index_tensor};
use crate::TrainError;

/// Options of [`cross_entropy`] and [`soft_cross_entropy`]. The default is the
/// plain mean over the images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossEntropyConfig {
    /// Share of every label that is spread over all classes (Szegedy et al.
    /// 2016); 0 leaves labels as they are.
    pub label_smoothing: f64,
    /// What scores are divided by; 0.8 in a published probe of RxRx1.
    pub temperature: f64,
    /// `gamma` of the focal loss `(1 - p)^gamma (-log p)` (Lin et al. 2017),
    /// which cares less for what is known already; 0 for plain cross entropy.
    pub focal_gamma: f64,
    /// Weight of each class, all 1 if there are none.
    pub class_weights: Option<Vec<f32>>,
    /// How the images' terms become one number.
    pub reduction: Reduction,
}

/// How the terms of a batch become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Their mean. With labels and class weights, the sum is divided by the
    /// weights of the labels that were drawn, as in PyTorch.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

impl Default for CrossEntropyConfig {
    fn default() -> Self {
        Self {
            label_smoothing: 0.0,
            temperature: 1.0,
            focal_gamma: 0.0,
            class_weights: None,
            reduction: Reduction::Mean,
        }
    }
}

/// Cross entropy with one class per image.
///
/// A batch whose labels carry no weight has loss 0.
///
/// # Shapes
/// `logits`: `[B, K]`, any size of number; `labels`: `B` classes below `K`;
/// result `[1]`
///
/// # Panics
/// There are more or fewer labels than images, a label is not below `K`, or
/// the class weights are not `K`.
///
/// # Source
/// `torch.nn.functional.cross_entropy`, of which smoothing and class weights
/// are reproduced together; focal: Lin et al. 2017,
/// <https://arxiv.org/abs/1708.02002>
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_train::losses::{CrossEntropyConfig, cross_entropy};
///
/// let logits = Tensor::<2>::zeros([3, 4], &Device::default());
/// let loss = cross_entropy(&CrossEntropyConfig::default(), logits, &[0, 3, 1]);
/// assert!((loss.into_scalar::<f32>() - 4f32.ln()).abs() < 1e-6);
/// ```
pub fn cross_entropy(
    config: &CrossEntropyConfig,
    logits: Tensor<2>,
    labels: &[usize],
) -> Tensor<1> {
    let [batch, num_classes] = logits.dims();
    assert_eq!(batch, labels.len(), "there is one label per image");
    if let Some(label) = labels.iter().find(|label| **label >= num_classes) {
        panic!("label {label} is not below the {num_classes} classes");
    }
    let device = logits.device();
    let weights = config.weights(num_classes);
    let drawn: Vec<f32> = labels.iter().map(|label| weights[*label]).collect();
    let log_shares = config.log_shares(logits);

    let indices = index_tensor(labels.iter().copied(), &device).unsqueeze_dim(1);
    let of_labels = config.focal(log_shares.clone().gather(1, indices));
    let drawn_weights = Tensor::<2>::from_data(TensorData::new(drawn.clone(), [batch, 1]), &device);
    let mut sum = -(of_labels * drawn_weights).sum();
    if config.label_smoothing > 0.0 {
        let of_all = -(config.focal(log_shares) * row(weights, &device)).sum();
        let spread = config.label_smoothing / num_classes as f64;
        sum = sum * (1.0 - config.label_smoothing) + of_all * spread;
    }
    match config.reduction {
        Reduction::Sum => sum,
        Reduction::Mean => {
            let total: f64 = drawn.iter().map(|weight| f64::from(*weight)).sum();
            sum / if total > 0.0 { total } else { 1.0 }
        }
    }
}

/// Cross entropy with a share of every class per image, such as the mixed
/// labels of CutMix.
///
/// # Shapes
/// `logits`, `labels`: `[B, K]`, rows of labels sum to 1; result `[1]`
///
/// # Panics
/// The class weights are not `K`.
///
/// # Source
/// `torch.nn.functional.cross_entropy` with class probabilities: its mean
/// divides by the images whatever the class weights
pub fn soft_cross_entropy(
    config: &CrossEntropyConfig,
    logits: Tensor<2>,
    labels: Tensor<2>,
) -> Tensor<1> {
    let [batch, num_classes] = logits.dims();
    let spread = config.label_smoothing / num_classes as f64;
    let labels = match config.label_smoothing {
        0.0 => labels,
        smoothing => labels * (1.0 - smoothing) + spread,
    };
    let labels = match &config.class_weights {
        None => labels,
        Some(_) => {
            let weights = row(config.weights(num_classes), &labels.device());
            labels * weights
        }
    };
    let sum = -(config.focal(config.log_shares(logits)) * labels).sum();
    match config.reduction {
        Reduction::Sum => sum,
        Reduction::Mean => sum / batch as f64,
    }
}

impl CrossEntropyConfig {
    /// Whether the numbers can be.
    ///
    /// # Errors
    /// [`TrainError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), TrainError> {
        check_share("label_smoothing", self.label_smoothing)?;
        check_positive("temperature", self.temperature)?;
        check_not_negative("focal_gamma", self.focal_gamma)?;
        let mut weights = self.class_weights.iter().flatten();
        weights.try_for_each(|weight| check_not_negative("class weight", f64::from(*weight)))
    }

    fn weights(&self, num_classes: usize) -> Vec<f32> {
        let Some(weights) = &self.class_weights else {
            return vec![1.0; num_classes];
        };
        assert_eq!(weights.len(), num_classes, "there is one weight per class");
        weights.clone()
    }

    /// The logarithms of the shares that scores stand for.
    fn log_shares(&self, logits: Tensor<2>) -> Tensor<2> {
        let logits = match self.temperature {
            1.0 => logits,
            temperature => logits / temperature,
        };
        activation::log_softmax(logits, 1)
    }

    /// `(1 - p)^gamma log p`
    fn focal(&self, log_shares: Tensor<2>) -> Tensor<2> {
        if self.focal_gamma == 0.0 {
            return log_shares;
        }
        let missing = log_shares.clone().exp() * -1.0 + 1.0;
        // Below 1, gamma has no slope at 0.
        let missing = missing.clamp_min(f32::EPSILON);
        missing.powf_scalar(self.focal_gamma) * log_shares
    }
}

fn row(values: Vec<f32>, device: &Device) -> Tensor<2> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [1, count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> CrossEntropyConfig {
        CrossEntropyConfig::default()
    }

    /// Shares 1/2, 1/4, 1/4 and 1/8, 1/8, 3/4.
    fn logits() -> Tensor<2> {
        let shares = [[0.5f32, 0.25, 0.25], [0.125, 0.125, 0.75]];
        Tensor::<2>::from_floats(shares, &Device::default()).log() + 7.0
    }

    #[test]
    fn hand_worked() {
        let ln = f64::ln;
        let weighted = CrossEntropyConfig {
            class_weights: Some(vec![2.0, 1.0, 0.5]),
            ..plain()
        };
        let smooth = CrossEntropyConfig {
            label_smoothing: 0.3,
            ..plain()
        };
        let focal = CrossEntropyConfig {
            focal_gamma: 2.0,
            ..plain()
        };
        let sum = CrossEntropyConfig {
            reduction: Reduction::Sum,
            ..plain()
        };
        let (own, all) = (ln(2.0) + ln(8.0), ln(2.0 * 16.0) + ln(64.0 / 0.75));
        for (config, expected) in [
            (plain(), own / 2.0),
            (sum, own),
            (weighted, (2.0 * ln(2.0) + ln(8.0)) / 3.0),
            (smooth, (0.7 * own + 0.1 * all) / 2.0),
            (focal, (0.25 * ln(2.0) + 0.765_625 * ln(8.0)) / 2.0),
        ] {
            let loss: f32 = cross_entropy(&config, logits(), &[0, 1]).into_scalar();
            assert!((f64::from(loss) - expected).abs() < 1e-6, "{config:?}");
        }
    }

    #[test]
    fn a_sure_label_is_a_hard_one() {
        let sure = Tensor::<2>::from_floats([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], &Device::default());
        let options = CrossEntropyConfig {
            label_smoothing: 0.2,
            temperature: 0.8,
            focal_gamma: 1.5,
            ..plain()
        };
        for config in [plain(), options] {
            let soft: f32 = soft_cross_entropy(&config, logits(), sure.clone()).into_scalar();
            let hard: f32 = cross_entropy(&config, logits(), &[0, 1]).into_scalar();
            assert!((soft - hard).abs() < 1e-6, "{config:?}: {soft}, {hard}");
        }
    }

    #[test]
    fn huge_scores_have_finite_gradients() {
        let device = Device::default().autodiff();
        for focal_gamma in [0.0, 0.5, 2.0] {
            let logits = Tensor::<2>::from_floats([[1e30, -1e30, 0.0], [-1e5, 1e5, 3e5]], &device);
            let logits = logits.require_grad();
            let config = CrossEntropyConfig {
                focal_gamma,
                ..plain()
            };
            let loss = cross_entropy(&config, logits.clone(), &[0, 0]);
            let gradient = logits.grad(&loss.backward()).expect("a leaf");
            let gradient: f32 = gradient.abs().sum().into_scalar();
            assert!(gradient.is_finite() && gradient > 0.0, "{focal_gamma}");
            assert!(loss.into_scalar::<f32>().is_finite());
        }
    }

    #[test]
    fn labels_without_weight_cost_nothing() {
        let config = CrossEntropyConfig {
            class_weights: Some(vec![0.0, 0.0, 1.0]),
            ..plain()
        };
        let loss: f32 = cross_entropy(&config, logits(), &[0, 1]).into_scalar();
        assert_eq!(loss, 0.0);
    }
}
