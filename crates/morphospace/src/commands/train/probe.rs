//! What can be told from embeddings while a network is trained.

use std::collections::BTreeMap;

use morphospace_benchmark::{
    BenchmarkError, LinearProbe, LogisticRegression, NearestNeighbours, balanced_accuracy,
};
use morphospace_train::EmbeddedSites;

/// Iterations of the linear probe: where it is not done by then, it is near
/// enough to follow a run.
const MAX_ITERATIONS: usize = 200;

/// How well classes are told in experiments that are not trained on, by
/// nearest neighbours and by a linear probe of embeddings that are.
pub(super) fn scores(
    training: &EmbeddedSites,
    validation: &EmbeddedSites,
) -> Result<BTreeMap<String, f64>, BenchmarkError> {
    let mut scores = BTreeMap::new();
    let num_classes = training
        .classes
        .iter()
        .max()
        .map_or(0, |largest| largest + 1);
    // Classes that were not drawn for the probe cannot be told by it.
    let known: Vec<usize> = (0..validation.classes.len())
        .filter(|site| training.classes.contains(&validation.classes[*site]))
        .collect();
    if num_classes < 2 || known.is_empty() {
        return Ok(scores);
    }
    let num_features = training.num_features;
    let values: Vec<f64> = training.values.iter().copied().map(f64::from).collect();
    let rows = known.iter().flat_map(|site| {
        let row = &validation.values[site * num_features..][..num_features];
        row.iter().copied().map(f64::from)
    });
    let queries: Vec<f64> = rows.collect();
    let truth: Vec<usize> = known.iter().map(|site| validation.classes[*site]).collect();
    let nearest = NearestNeighbours::default();
    let predicted = nearest.predict(&values, num_features, &training.classes, &queries)?;
    scores.insert(
        "probe/knn_accuracy".to_owned(),
        accuracy(&truth, &predicted),
    );
    let settings = LogisticRegression {
        max_iterations: MAX_ITERATIONS,
        ..LogisticRegression::default()
    };
    // Classes without a site would have no weight.
    let (labels, names) = numbered(&training.classes);
    let probe = LinearProbe::fit(&settings, &values, num_features, &labels, names.len())?;
    let predicted: Vec<usize> = probe
        .predict(&queries)
        .into_iter()
        .map(|label| names[label])
        .collect();
    let balanced = balanced_accuracy(&truth, &predicted);
    scores.insert("probe/linear_balanced_accuracy".to_owned(), balanced);
    Ok(scores)
}

/// The same classes numbered without gaps, and what the numbers stand for.
fn numbered(classes: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut names = classes.to_vec();
    names.sort_unstable();
    names.dedup();
    let number = |class: &usize| names.binary_search(class).expect("is one of them");
    (classes.iter().map(number).collect(), names)
}

fn accuracy(truth: &[usize], predicted: &[usize]) -> f64 {
    let num_right = truth.iter().zip(predicted).filter(|(a, b)| a == b).count();
    num_right as f64 / truth.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites(rows: &[([f32; 2], usize)]) -> EmbeddedSites {
        EmbeddedSites {
            values: rows.iter().flat_map(|(row, _)| *row).collect(),
            num_features: 2,
            classes: rows.iter().map(|(_, class)| *class).collect(),
        }
    }

    #[test]
    fn classes_that_lie_apart_are_told() {
        let training = sites(&[
            ([1.0, 0.1], 2),
            ([1.1, 0.0], 2),
            ([0.0, 1.0], 7),
            ([0.1, 0.9], 7),
        ]);
        // Class 5 was not drawn.
        let validation = sites(&[([2.0, 0.3], 2), ([0.2, 3.0], 7), ([1.0, 1.0], 5)]);
        let scores = scores(&training, &validation).expect("valid");
        assert_eq!(scores["probe/knn_accuracy"], 1.0);
        assert_eq!(scores["probe/linear_balanced_accuracy"], 1.0);
    }

    #[test]
    fn nothing_to_tell_is_no_score() {
        let one = sites(&[([1.0, 0.1], 0), ([1.1, 0.0], 0)]);
        assert!(scores(&one, &one).expect("valid").is_empty());
        let other = sites(&[([1.0, 0.1], 1)]);
        assert!(scores(&one, &other).expect("valid").is_empty());
        assert!(
            scores(&EmbeddedSites::default(), &one)
                .expect("valid")
                .is_empty()
        );
    }
}
