use serde::Serialize;

use super::forward_pass::ForwardPass;
use super::parameter_count::ParameterCount;

/// What numbers a network computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// All in f32, as this program computes.
    F32,
    /// Mixed: activations in bf16, and in training weights, gradients and
    /// moving averages in f32 (PyTorch's autocast); weights too in bf16 when
    /// embedding.
    Bf16,
}

impl Precision {
    /// Bytes of an activation.
    pub fn activation_bytes(self) -> u128 {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// How many moving averages an optimiser keeps of every parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MovingAverages {
    /// Of gradients: Lion, SGD with momentum.
    One,
    /// Of gradients and of their squares: AdamW.
    Two,
}

impl MovingAverages {
    fn count(self) -> u128 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// Estimated bytes of a training step.
///
/// Activations are what the backward pass needs of the forward pass, each
/// value kept once: the input of every linear map, convolution, norm, scale
/// and GELU, the output of every ReLU, queries, keys, values and all attention
/// weights, the places of each maximum, and twice the predicted pixels.
///
/// Left out are the gradients of activations while they pass (the largest few
/// layers at a time), copies and work space of kernels, and an allocator's
/// slack. Burn, which this program computes with, keeps some values more than
/// once: 1.8 times as many bytes per image were measured (`docs/plan.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TrainingMemory {
    /// Parameters, fixed ones too.
    pub weight_bytes: u128,
    /// Of the trained ones.
    pub gradient_bytes: u128,
    /// Moving averages.
    pub optimiser_bytes: u128,
    /// Kept for the backward pass, of one image.
    pub activation_bytes_per_image: u128,
}

impl TrainingMemory {
    /// Of a pass made by [`ForwardPass::training`].
    pub fn of(
        pass: &ForwardPass,
        parameters: &ParameterCount,
        precision: Precision,
        averages: MovingAverages,
    ) -> Self {
        let trained = 4 * u128::from(parameters.trained());
        Self {
            weight_bytes: 4 * u128::from(parameters.total()),
            gradient_bytes: trained,
            optimiser_bytes: averages.count() * trained,
            activation_bytes_per_image: pass.num_kept() * precision.activation_bytes(),
        }
    }

    /// What there is whatever the batch.
    pub fn fixed_bytes(&self) -> u128 {
        self.weight_bytes + self.gradient_bytes + self.optimiser_bytes
    }

    /// All, with a batch of so many images.
    pub fn bytes(&self, batch_size: u64) -> u128 {
        self.fixed_bytes() + u128::from(batch_size) * self.activation_bytes_per_image
    }

    /// The most images for which [`TrainingMemory::bytes`] is not above
    /// `available`; `None` if none fits.
    pub fn largest_batch(&self, available: u64) -> Option<u64> {
        largest_batch(
            available,
            self.fixed_bytes(),
            self.activation_bytes_per_image,
        )
    }
}

/// Estimated bytes of embedding. Activations are the most that is alive at one
/// operation: what goes in and out of it, and what is kept for a residual or a
/// later layer. Attention weights are never held all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EmbeddingMemory {
    /// Parameters of the encoder.
    pub weight_bytes: u128,
    /// Alive at once, of one image.
    pub activation_bytes_per_image: u128,
}

impl EmbeddingMemory {
    /// Of a pass made by [`ForwardPass::embedding`].
    pub fn of(pass: &ForwardPass, parameters: &ParameterCount, precision: Precision) -> Self {
        let encoder = u128::from(parameters.encoder.total());
        Self {
            weight_bytes: encoder * precision.activation_bytes(),
            activation_bytes_per_image: pass.most_alive() * precision.activation_bytes(),
        }
    }

    /// All, with a batch of so many images.
    pub fn bytes(&self, batch_size: u64) -> u128 {
        self.weight_bytes + u128::from(batch_size) * self.activation_bytes_per_image
    }

    /// The most images for which [`EmbeddingMemory::bytes`] is not above
    /// `available`; `None` if none fits.
    pub fn largest_batch(&self, available: u64) -> Option<u64> {
        largest_batch(
            available,
            self.weight_bytes,
            self.activation_bytes_per_image,
        )
    }
}

fn largest_batch(available: u64, fixed: u128, per_image: u128) -> Option<u64> {
    let left = u128::from(available).checked_sub(fixed)?;
    // At most `available`, which is one.
    let batch = u64::try_from(left / per_image.max(1)).expect("not above a u64");
    (batch > 0).then_some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_batch_is_the_last_that_fits() {
        let memory = TrainingMemory {
            weight_bytes: 10,
            gradient_bytes: 10,
            optimiser_bytes: 20,
            activation_bytes_per_image: 7,
        };
        assert_eq!(memory.largest_batch(40), None);
        assert_eq!(memory.largest_batch(39), None);
        assert_eq!(memory.largest_batch(46), None);
        assert_eq!(memory.largest_batch(47), Some(1));
        assert_eq!(memory.largest_batch(60), Some(2));
        assert_eq!(memory.bytes(2), 54);
    }
}
