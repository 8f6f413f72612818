//! Whether the batch can be told.

use morphospace_benchmark::{
    BenchmarkError, Bootstrap, LabelClassifier, predict_labels, random_embeddings,
};
use morphospace_core::Seed;

/// 4 batches of 30 wells with 2 sites each; `shift` moves the batches apart.
fn wells(shift: f64) -> (Vec<f64>, Vec<String>, Vec<String>) {
    let num_features = 10;
    let mut values = random_embeddings(240, num_features, Seed::new(1));
    let shifts = random_embeddings(4, num_features, Seed::new(2));
    for (at, value) in values.iter_mut().enumerate() {
        let batch = at / num_features / 60;
        *value += shift * shifts[batch * num_features + at % num_features];
    }
    let batches: Vec<String> = (0..240).map(|row| format!("batch {}", row / 60)).collect();
    let wells: Vec<String> = (0..240).map(|row| format!("well {}", row / 2)).collect();
    (values, batches, wells)
}

#[test]
fn a_planted_batch_is_told_and_noise_is_not() {
    let bootstrap = Bootstrap {
        num_resamples: 200,
        ..Bootstrap::new(Seed::new(4))
    };
    for classifier in [
        LabelClassifier::nearest_neighbours(),
        LabelClassifier::quick_probe(Seed::new(3)),
    ] {
        let (values, batches, wells) = wells(1.5);
        let found = predict_labels(&values, 10, "batch", &batches, &wells, &classifier).unwrap();
        assert!(
            found.balanced_accuracy > 0.9,
            "{classifier:?}: {}",
            found.balanced_accuracy
        );
        assert!(
            found
                .interval(&bootstrap)
                .unwrap()
                .contains(found.balanced_accuracy)
        );

        let (values, batches, wells) = self::wells(0.0);
        let found = predict_labels(&values, 10, "batch", &batches, &wells, &classifier).unwrap();
        assert_eq!(found.chance, 0.25);
        assert!(
            (found.balanced_accuracy - 0.25).abs() < 0.1,
            "{}",
            found.balanced_accuracy
        );
    }
}

#[test]
fn sites_of_a_well_do_not_vouch_for_each_other() {
    // Both sites of a well are equal and wells are random: with the sites as
    // separate wells the nearest neighbour would always be the twin.
    let once = random_embeddings(120, 10, Seed::new(1));
    let values: Vec<f64> = once
        .chunks(10)
        .flat_map(|row| [row, row].concat())
        .collect();
    let (_, batches, wells) = wells(0.0);
    let nearest = LabelClassifier::NearestNeighbours { k: 1 };
    let whole = predict_labels(&values, 10, "batch", &batches, &wells, &nearest).unwrap();
    assert!(
        whole.balanced_accuracy < 0.45,
        "{}",
        whole.balanced_accuracy
    );
    let rows: Vec<String> = (0..240).map(|row| row.to_string()).collect();
    let leaking = predict_labels(&values, 10, "batch", &batches, &rows, &nearest).unwrap();
    assert_eq!(leaking.balanced_accuracy, 1.0);
}

#[test]
fn one_batch_or_too_few_wells_are_refused() {
    let (values, batches, wells) = wells(0.0);
    let one = vec!["a".to_owned(); 240];
    let error = predict_labels(
        &values,
        10,
        "batch",
        &one,
        &wells,
        &LabelClassifier::nearest_neighbours(),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "'batch' has 1 classes, at least 2 are needed to predict it"
    );
    let error = predict_labels(
        &values,
        10,
        "batch",
        &batches,
        &one,
        &LabelClassifier::quick_probe(Seed::new(1)),
    );
    assert!(matches!(
        error.unwrap_err(),
        BenchmarkError::TooFewGroups {
            num_folds: 2,
            num_groups: 1
        }
    ));
}

#[test]
fn two_predictions_of_the_same_wells_are_compared_pair_by_pair() {
    let classifier = LabelClassifier::nearest_neighbours();
    let predict = |shift: f64| {
        let (values, batches, wells) = wells(shift);
        predict_labels(&values, 10, "batch", &batches, &wells, &classifier).unwrap()
    };
    let bootstrap = Bootstrap::new(Seed::new(4));
    let (strong, weak) = (predict(1.5), predict(0.3));
    let found = strong.compare(&weak, &bootstrap).unwrap();
    assert_eq!(
        found.difference,
        weak.balanced_accuracy - strong.balanced_accuracy
    );
    let interval = found.interval.unwrap();
    assert!(interval.contains(found.difference) && interval.high < 0.0);
    let same = strong.compare(&strong, &bootstrap).unwrap();
    assert_eq!(same.interval.map(|i| (i.low, i.high)), Some((0.0, 0.0)));

    let (values, batches, wells) = wells(1.5);
    let half = predict_labels(
        &values[..1200],
        10,
        "batch",
        &batches[..120],
        &wells[..120],
        &classifier,
    );
    assert!(strong.compare(&half.unwrap(), &bootstrap).is_err());
}
