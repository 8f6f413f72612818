/// Centres every feature and divides it by its standard deviation.
///
/// # Source
/// scikit-learn `StandardScaler`: the population standard deviation (n), and
/// 1 for a feature that is constant to rounding.
#[derive(Clone, Debug, PartialEq)]
pub struct StandardScaler {
    /// Mean per feature.
    pub mean: Vec<f64>,
    /// Divisor per feature.
    pub scale: Vec<f64>,
}

impl StandardScaler {
    /// Learns from row-major values `[num_rows, num_features]`.
    pub fn fit(values: &[f64], num_features: usize) -> Self {
        let n = (values.len() / num_features) as f64;
        let mut mean = vec![0.0; num_features];
        for row in values.chunks_exact(num_features) {
            mean.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value);
        }
        mean.iter_mut().for_each(|sum| *sum /= n);
        let (mut variance, mut residue) = (vec![0.0; num_features], vec![0.0; num_features]);
        for row in values.chunks_exact(num_features) {
            for (feature, value) in row.iter().enumerate() {
                let centred = value - mean[feature];
                variance[feature] += centred * centred;
                residue[feature] += centred;
            }
        }
        let scale = variance
            .iter()
            .zip(&residue)
            .zip(&mean)
            .map(|((sum, residue), mean)| {
                // The residue is what rounding left in the mean.
                let variance = (sum - residue * residue / n) / n;
                let rounding = n * f64::EPSILON * variance + (n * mean * f64::EPSILON).powi(2);
                if variance <= rounding {
                    1.0
                } else {
                    variance.sqrt()
                }
            })
            .collect();
        Self { mean, scale }
    }

    /// Scaled values, same shape.
    pub fn transform(&self, values: &[f64]) -> Vec<f64> {
        values
            .chunks_exact(self.mean.len())
            .flat_map(|row| {
                row.iter()
                    .zip(self.mean.iter().zip(&self.scale))
                    .map(|(value, (mean, scale))| (value - mean) / scale)
            })
            .collect()
    }
}
