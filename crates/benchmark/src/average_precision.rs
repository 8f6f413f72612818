use std::cmp::Ordering;

/// How items of equal scores are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ties {
    /// Those that are not looked for come first: nothing is gained by scoring
    /// all alike.
    #[default]
    NegativesFirst,
    /// Those that are looked for come first, as in copairs.
    PositivesFirst,
    /// In the order they are given, as a stable sort has them.
    InOrder,
    /// In all orders, of which the mean is taken: scores that are all alike are
    /// worth what chance is.
    Mean,
}

/// Average precision: the mean, over the items that are looked for, of the share
/// of such items among those ranked as high, from the greatest score down. 0 where
/// nothing is looked for.
///
/// # Panics
/// There are not as many labels as scores.
///
/// # Example
/// ```
/// use morphospace_benchmark::{Ties, average_precision};
///
/// let scores = [0.9, 0.8, 0.3, 0.1];
/// let labels = [true, false, true, false];
/// let precision = average_precision(&scores, &labels, Ties::NegativesFirst);
/// assert!((precision - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
/// ```
pub fn average_precision(scores: &[f64], labels: &[bool], ties: Ties) -> f64 {
    assert_eq!(scores.len(), labels.len(), "a label for each score");
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| {
        let by_score = scores[b].total_cmp(&scores[a]);
        by_score.then_with(|| match ties {
            Ties::NegativesFirst => labels[a].cmp(&labels[b]),
            Ties::PositivesFirst => labels[b].cmp(&labels[a]),
            Ties::InOrder | Ties::Mean => Ordering::Equal,
        })
    });
    if ties == Ties::Mean {
        return mean_over_orders(scores, labels, &order);
    }
    let (mut found, mut sum) = (0_usize, 0.0);
    for (rank, item) in order.into_iter().enumerate() {
        if labels[item] {
            found += 1;
            sum += found as f64 / (rank + 1) as f64;
        }
    }
    if found == 0 { 0.0 } else { sum / found as f64 }
}

/// Average precision, on average over all orders of equal scores.
///
/// # Source
/// McSherry & Najork 2008, "Computing information retrieval performance measures
/// efficiently in the presence of tied scores", equation 8
fn mean_over_orders(scores: &[f64], labels: &[bool], order: &[usize]) -> f64 {
    let (mut before, mut found, mut sum) = (0, 0, 0.0);
    for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let positives = equal.iter().filter(|&&item| labels[item]).count();
        let (n, m) = (equal.len() as f64, positives as f64);
        // Each is looked for with chance m/n, and then the others before it are with
        // chance (m - 1)/(n - 1).
        let of_others = if n > 1.0 { (m - 1.0) / (n - 1.0) } else { 0.0 };
        if positives > 0 {
            for place in 0..equal.len() {
                let found = found as f64 + 1.0 + place as f64 * of_others;
                sum += m / n * found / (before + place + 1) as f64;
            }
        }
        before += equal.len();
        found += positives;
    }
    if found == 0 { 0.0 } else { sum / found as f64 }
}

/// What [`average_precision`] is on average when items are ranked at random.
///
/// `((m - 1) / (n - 1) (n - H_n) + H_n) / n` for `m` of `n` items; NaN for none.
///
/// # Source
/// Bestgen 2015, <https://doi.org/10.1016/j.procs.2015.07.004>, the random baseline
/// that copairs normalises by
pub fn expected_average_precision(num_positives: usize, num_items: usize) -> f64 {
    if num_positives == 0 {
        return f64::NAN;
    }
    if num_items < 2 {
        return 1.0;
    }
    let (m, n) = (num_positives as f64, num_items as f64);
    let harmonic: f64 = (1..=num_items).rev().map(|i| 1.0 / i as f64).sum();
    ((m - 1.0) / (n - 1.0) * (n - harmonic) + harmonic) / n
}

/// Area under the ROC curve: the chance that an item that is looked for has a
/// greater score than one that is not, half of it where they are equal. 0.5
/// where either is missing.
///
/// # Panics
/// There are not as many labels as scores.
///
/// # Example
/// ```
/// use morphospace_benchmark::area_under_roc;
///
/// assert_eq!(area_under_roc(&[0.9, 0.8, 0.3], &[true, false, true]), 0.5);
/// ```
pub fn area_under_roc(scores: &[f64], labels: &[bool]) -> f64 {
    assert_eq!(scores.len(), labels.len(), "a label for each score");
    let num_positives = labels.iter().filter(|label| **label).count();
    let num_negatives = labels.len() - num_positives;
    if num_positives == 0 || num_negatives == 0 {
        return 0.5;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut negatives_below, mut sum) = (0, 0.0);
    for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let positives = equal.iter().filter(|&&item| labels[item]).count();
        let negatives = equal.len() - positives;
        sum += positives as f64 * (negatives_below as f64 + 0.5 * negatives as f64);
        negatives_below += negatives;
    }
    sum / (num_positives as f64 * num_negatives as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_scores_gain_nothing() {
        let labels = [true, false, false, false];
        let of = |ties| average_precision(&[0.5; 4], &labels, ties);
        assert_eq!(of(Ties::NegativesFirst), 0.25);
        assert_eq!(of(Ties::PositivesFirst), 1.0);
        assert_eq!(of(Ties::InOrder), 1.0);
        assert!((of(Ties::Mean) - expected_average_precision(1, 4)).abs() < 1e-15);
        assert_eq!(area_under_roc(&[0.5; 4], &labels), 0.5);
    }

    #[test]
    fn ties_are_worth_the_mean_of_their_orders() {
        // One above, two of three equals, one below that is looked for.
        let scores = [0.9, 0.5, 0.5, 0.5, 0.1];
        let mut sum = 0.0;
        for missing in 1..4 {
            let mut labels = [true; 5];
            labels[missing] = false;
            sum += average_precision(&scores, &labels, Ties::InOrder);
        }
        let labels = [true, false, true, true, true];
        let found = average_precision(&scores, &labels, Ties::Mean);
        assert!((found - sum / 3.0).abs() < 1e-15);
    }

    #[test]
    fn nothing_to_find_is_a_defined_result() {
        assert_eq!(average_precision(&[], &[], Ties::NegativesFirst), 0.0);
        assert_eq!(average_precision(&[1.0], &[false], Ties::InOrder), 0.0);
        assert_eq!(area_under_roc(&[1.0], &[true]), 0.5);
        assert!(expected_average_precision(0, 5).is_nan());
        assert_eq!(expected_average_precision(1, 1), 1.0);
    }

    #[test]
    fn the_expected_precision_is_the_mean_over_all_orders() {
        // Two of four: all six places of the two.
        let mut sum = 0.0;
        for first in 0..4 {
            for second in first + 1..4 {
                let labels: Vec<bool> = (0..4).map(|i| i == first || i == second).collect();
                sum += average_precision(&[4.0, 3.0, 2.0, 1.0], &labels, Ties::InOrder);
            }
        }
        assert!((expected_average_precision(2, 4) - sum / 6.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn scores_matter_by_their_order_only(
            items in prop::collection::vec((-5_i32..5, any::<bool>()), 1..30),
        ) {
            let labels: Vec<bool> = items.iter().map(|item| item.1).collect();
            let plain: Vec<f64> = items.iter().map(|item| f64::from(item.0)).collect();
            let bent: Vec<f64> = plain.iter().map(|x| (0.3 * x).exp()).collect();
            for ties in [Ties::NegativesFirst, Ties::PositivesFirst, Ties::InOrder] {
                let of = |scores| average_precision(scores, &labels, ties);
                prop_assert_eq!(of(&plain), of(&bent));
            }
            prop_assert_eq!(area_under_roc(&plain, &labels), area_under_roc(&bent, &labels));
            let turned: Vec<f64> = plain.iter().map(|x| -x).collect();
            let sum = area_under_roc(&plain, &labels) + area_under_roc(&turned, &labels);
            prop_assert!((sum - 1.0).abs() < 1e-12);
        }
    }
}
