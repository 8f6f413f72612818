use burn::tensor::Tensor;
use faer::{Mat, Side};
use morphospace_models::blocks::l2_normalise::l2_normalise;
use serde::{Deserialize, Serialize};

/// Whether a network still tells images apart: what self-supervised training
/// loses when it collapses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingSpread {
    /// Standard deviation of a feature over the batch, of embeddings of length
    /// one, as a share of `1 / sqrt(features)`, which it is for directions
    /// drawn at random. 0 if all embeddings are the same (Chen & He 2021,
    /// <https://arxiv.org/abs/2011.10566>, figure 2).
    pub std: f64,
    /// Effective rank: the exponential of the entropy of the singular values'
    /// shares (Roy & Vetterli 2007), of centred embeddings. At most the number
    /// of images less one; 1 if all lie on a line, 0 on a point.
    pub rank: f64,
}

impl EmbeddingSpread {
    /// Of a batch.
    ///
    /// # Shapes
    /// `[images, features]`
    pub fn of(embeddings: Tensor<2>) -> Self {
        let [num_images, num_features] = embeddings.dims();
        let rows = l2_normalise(embeddings.detach(), 1e-12);
        let centred = rows.clone() - rows.mean_dim(0);
        let squares: Vec<f64> = numbers(centred.clone().square().sum_dim(0));
        let deviations = squares.iter().map(|sum| (sum / num_images as f64).sqrt());
        let mean_std = deviations.sum::<f64>() / num_features as f64;
        // Eigenvalues of the smaller of both products.
        let gram = match num_images <= num_features {
            true => centred.clone().matmul(centred.transpose()),
            false => centred.clone().transpose().matmul(centred),
        };
        let side = gram.dims()[0];
        let gram = numbers(gram);
        let gram = Mat::from_fn(side, side, |row, col| gram[row * side + col]);
        // Not a number goes in where the loss will stop the run.
        let eigenvalues = gram.self_adjoint_eigenvalues(Side::Lower);
        let singular: Vec<f64> = eigenvalues
            .unwrap_or_default()
            .into_iter()
            .map(|eigenvalue| eigenvalue.max(0.0).sqrt())
            .collect();
        let total: f64 = singular.iter().sum();
        let largest = singular.iter().copied().fold(0.0, f64::max);
        // What rounding leaves of singular values that are none.
        let shares = singular.iter().filter(|value| **value > 1e-4 * largest);
        let entropy: f64 = shares
            .map(|value| -(value / total) * (value / total).ln())
            .sum();
        Self {
            std: mean_std * (num_features as f64).sqrt(),
            rank: match total > 1e-6 {
                true => entropy.exp(),
                false => 0.0,
            },
        }
    }
}

fn numbers(tensor: Tensor<2>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn spread(rows: &[[f32; 3]]) -> EmbeddingSpread {
        let values: Vec<f32> = rows.iter().flatten().copied().collect();
        let data = TensorData::new(values, [rows.len(), 3]);
        EmbeddingSpread::of(Tensor::from_data(data, &Device::default()))
    }

    #[test]
    fn a_point_a_line_and_a_cross() {
        let point = spread(&[[1.0, 2.0, 3.0]; 5]);
        assert!(point.std < 1e-3 && point.rank == 0.0, "{point:?}");
        let line = spread(&[[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]);
        assert!((line.rank - 1.0).abs() < 1e-6, "{line:?}");
        let cross = spread(&[
            [1.0, 0.0, 0.0],
            [-1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.0, -1.0, 0.0],
        ]);
        assert!((cross.rank - 2.0).abs() < 1e-6, "{cross:?}");
        // Two features with variance 1/2, one with none.
        let expected = 2.0 * 0.5f64.sqrt() / 3.0 * 3f64.sqrt();
        assert!((cross.std - expected).abs() < 1e-6, "{cross:?}");
    }

    #[test]
    fn length_does_not_count() {
        let rows = [
            [1.0, 0.2, 0.0],
            [0.5, 1.0, -2.0],
            [0.1, 0.4, 3.0],
            [2.0, 0.0, 0.3],
        ];
        let longer = rows.map(|row| row.map(|value| 7.0 * value));
        let (one, other) = (spread(&rows), spread(&longer));
        assert!((one.rank - other.rank).abs() < 1e-4);
        assert!(one.rank > 2.0 && one.rank <= 3.0);
    }
}
