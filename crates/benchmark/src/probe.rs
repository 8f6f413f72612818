use crate::{BenchmarkError, FittedLogisticRegression, LogisticRegression, StandardScaler};

/// A linear probe: standardisation, then logistic regression, both learnt on
/// the same rows.
///
/// # Source
/// Kenyon-Dean et al. 2024 ("ViTally Consistent"), section 4; scikit-learn
/// `make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))`.
///
/// # Example
/// ```
/// use morphospace_benchmark::{LinearProbe, LogisticRegression, balanced_accuracy};
///
/// let settings = LogisticRegression::default();
/// let probe = LinearProbe::fit(&settings, &[10.0, 11.0, 20.0, 21.0], 1, &[0, 0, 1, 1], 2)?;
/// let predicted = probe.predict(&[12.0, 22.0, 9.0]);
/// assert_eq!(balanced_accuracy(&[0, 1, 0], &predicted), 1.0);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LinearProbe {
    /// The standardisation.
    pub scaler: StandardScaler,
    /// The classifier of standardised features.
    pub classifier: FittedLogisticRegression,
}

impl LinearProbe {
    /// Fits row-major values `[num_rows, num_features]` to classes
    /// `0..num_classes`.
    ///
    /// # Errors
    /// As [`LogisticRegression::fit`].
    pub fn fit(
        settings: &LogisticRegression,
        values: &[f64],
        num_features: usize,
        labels: &[usize],
        num_classes: usize,
    ) -> Result<Self, BenchmarkError> {
        if num_features == 0 || values.len() != labels.len() * num_features {
            return Err(BenchmarkError::WrongNumberOfValues {
                num_labels: labels.len(),
                num_features,
                expected: labels.len() * num_features,
                found: values.len(),
            });
        }
        let scaler = StandardScaler::fit(values, num_features);
        let scaled = scaler.transform(values);
        let classifier = settings.fit(&scaled, num_features, labels, num_classes)?;
        Ok(Self { scaler, classifier })
    }

    /// Predicted class per row.
    pub fn predict(&self, values: &[f64]) -> Vec<usize> {
        self.classifier.predict(&self.scaler.transform(values))
    }
}

/// Mean over the classes present in `truth` of the share predicted right.
///
/// # Source
/// scikit-learn `balanced_accuracy_score`.
pub fn balanced_accuracy(truth: &[usize], predicted: &[usize]) -> f64 {
    weighted_balanced_accuracy(truth, predicted, |_| 1)
}

/// [`balanced_accuracy`] with every row counted `weight(row)` times.
pub(crate) fn weighted_balanced_accuracy(
    truth: &[usize],
    predicted: &[usize],
    weight: impl Fn(usize) -> u32,
) -> f64 {
    let num_classes = truth.iter().max().map_or(0, |&largest| largest + 1);
    let (mut right, mut all) = (vec![0_u64; num_classes], vec![0_u64; num_classes]);
    for (row, (&truth, &predicted)) in truth.iter().zip(predicted).enumerate() {
        let weight = u64::from(weight(row));
        all[truth] += weight;
        right[truth] += weight * u64::from(truth == predicted);
    }
    let recalls: Vec<f64> = right
        .iter()
        .zip(&all)
        .filter(|&(_, &all)| all > 0)
        .map(|(&right, &all)| right as f64 / all as f64)
        .collect();
    recalls.iter().sum::<f64>() / recalls.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_classes_do_not_count() {
        // Class 0: 1 of 2, class 2: 1 of 1; class 1 never occurs.
        assert_eq!(balanced_accuracy(&[0, 0, 2], &[0, 1, 2]), 0.75);
    }
}
