//! Dropout of single features.

use burn::tensor::{Tensor, TensorData};
use morphospace_core::Seed;
use rand::RngExt;

/// Sets a share of all values to zero and divides the others by the share kept
/// (Srivastava et al. 2014; `torch.nn.Dropout`).
///
/// With `seed` `None` (evaluation) or `rate` 0 values pass unchanged. The draw
/// depends on the seed and the value's place only.
///
/// # Shapes
/// kept
pub fn dropout<const D: usize>(x: Tensor<D>, rate: f64, seed: Option<Seed>) -> Tensor<D> {
    let Some(seed) = seed.filter(|_| rate > 0.0) else {
        return x;
    };
    let keep = 1.0 - rate;
    let mut rng = seed.rng();
    let mut factor = || match rng.random::<f64>() < keep {
        true => (1.0 / keep) as f32,
        false => 0.0,
    };
    let shape = x.dims();
    let factors: Vec<f32> = (0..shape.iter().product()).map(|_| factor()).collect();
    let device = x.device();
    x * Tensor::from_data(TensorData::new(factors, shape), &device)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn drops_the_share_and_keeps_the_mean() {
        let x = Tensor::<2>::ones([100, 50], &Device::default());
        let dropped = dropout(x.clone(), 0.2, Some(Seed::new(5)));
        let values: Vec<f32> = dropped.into_data().iter().collect();
        let zeros = values.iter().filter(|value| **value == 0.0).count();
        assert!((900..1100).contains(&zeros), "{zeros}");
        assert!(values.iter().all(|value| *value == 0.0 || *value == 1.25));
        assert_eq!(dropout(x.clone(), 0.2, None).into_data(), x.into_data());
    }
}
