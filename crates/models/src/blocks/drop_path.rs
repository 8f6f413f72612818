//! Stochastic depth.

use burn::tensor::{Tensor, TensorData};
use morphospace_core::Seed;
use rand::RngExt;

/// Sets the branch to zero for some samples of the batch and divides it by the
/// share kept for the others (Huang et al. 2016; timm `drop_path`).
///
/// With `seed` `None` (evaluation) or `rate` 0 the branch passes unchanged.
/// The draw depends on the seed and the sample's place in the batch only.
///
/// # Shapes
/// `[B, N, D]`, kept
pub fn drop_path(x: Tensor<3>, rate: f64, seed: Option<Seed>) -> Tensor<3> {
    let Some(seed) = seed.filter(|_| rate > 0.0) else {
        return x;
    };
    let keep = 1.0 - rate;
    let mut rng = seed.rng();
    let factors: Vec<f32> = (0..x.dims()[0])
        .map(|_| {
            if rng.random::<f64>() < keep {
                (1.0 / keep) as f32
            } else {
                0.0
            }
        })
        .collect();
    let factors = TensorData::new(factors, [x.dims()[0], 1, 1]);
    let device = x.device();
    x.mul(Tensor::from_data(factors, &device))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn drops_whole_samples_and_keeps_the_mean() {
        let x = Tensor::<3>::ones([400, 2, 3], &Device::default());
        let values: Vec<f32> = drop_path(x.clone(), 0.25, Some(Seed::new(5)))
            .into_data()
            .try_to_vec()
            .expect("floats");
        for sample in values.chunks(6) {
            assert!(sample.iter().all(|v| *v == sample[0]), "{sample:?}");
            assert!(
                sample[0] == 0.0 || (sample[0] - 4.0 / 3.0).abs() < 1e-6,
                "{sample:?}"
            );
        }
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean - 1.0).abs() < 0.1, "{mean}");
        assert_eq!(drop_path(x.clone(), 0.25, None).into_data(), x.into_data());
    }
}
