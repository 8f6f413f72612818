use std::collections::{BTreeMap, BTreeSet};

use morphospace_profiles::{PredictionRow, Predictions};

use crate::{Bootstrap, Interval};

/// The share of sites that a head tells right.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionAccuracy {
    /// Sites told right.
    pub num_right: usize,
    /// Sites.
    pub num_sites: usize,
    /// Different labels among them.
    pub num_labels: usize,
    /// Over labels: a perturbation with all its sites is one draw.
    pub interval: Option<Interval>,
}

impl PredictionAccuracy {
    /// Between 0 and 1.
    pub fn value(&self) -> f64 {
        self.num_right as f64 / self.num_sites as f64
    }
}

/// How many of the likeliest classes may hold the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// The likeliest alone.
    First,
    /// The five likeliest.
    Five,
}

/// The share of sites with a label that a head tells right, over those that `keep`
/// takes; none if there is no such site, or if no label is ever among a site's
/// likeliest classes: then the head was never shown them.
///
/// # Source
/// Sypetkowski et al. 2023, <https://arxiv.org/abs/2301.05768>, section 4
///
/// # Example
/// ```
/// use morphospace_benchmark::{Bootstrap, Within, prediction_accuracy};
/// use morphospace_core::Seed;
/// use morphospace_profiles::{PredictionRow, Predictions};
///
/// let row = |label: &str| PredictionRow {
///     site_key: "HUVEC-01_1_B02_1".into(),
///     experiment: "HUVEC-01".into(),
///     cell_type: Some("HUVEC".into()),
///     head: "perturbation".into(),
///     label: Some(label.into()),
///     predicted: "s1".into(),
///     top5: vec!["s1".into(), "s2".into()],
///     log_prob: -0.1,
/// };
/// let rows = vec![row("s1"), row("s2")];
/// let predictions = Predictions { rows, provenance: None };
/// let bootstrap = Bootstrap::new(Seed::new(1));
/// let found = |within| {
///     prediction_accuracy(&predictions, "perturbation", within, |_| true, &bootstrap)
/// };
/// assert_eq!(found(Within::First).expect("sites").value(), 0.5);
/// assert_eq!(found(Within::Five).expect("sites").value(), 1.0);
/// ```
pub fn prediction_accuracy(
    predictions: &Predictions,
    head: &str,
    within: Within,
    keep: impl Fn(&PredictionRow) -> bool,
    bootstrap: &Bootstrap,
) -> Option<PredictionAccuracy> {
    let rows = predictions.rows.iter();
    let rows: Vec<&PredictionRow> = rows.filter(|row| row.head == head && keep(row)).collect();
    let shown: BTreeSet<&String> = rows.iter().flat_map(|row| &row.top5).collect();
    // Right ones and all, of each label.
    let mut counts: BTreeMap<&String, (usize, usize)> = BTreeMap::new();
    for row in rows {
        let Some(label) = &row.label else { continue };
        let is_right = match within {
            Within::First => row.predicted == *label,
            Within::Five => row.top5.contains(label),
        };
        let (right, all) = counts.entry(label).or_default();
        *right += usize::from(is_right);
        *all += 1;
    }
    if !counts.keys().any(|label| shown.contains(label)) {
        return None;
    }
    let counts: Vec<(usize, usize)> = counts.into_values().collect();
    let share = |weights: &[u32]| {
        let weighted = counts.iter().zip(weights);
        let (right, all) = weighted.fold((0, 0), |(right, all), (count, weight)| {
            let weight = *weight as usize;
            (right + weight * count.0, all + weight * count.1)
        });
        right as f64 / all as f64
    };
    let resamples = (0..bootstrap.num_resamples)
        .map(|index| share(&bootstrap.weights(index, counts.len())))
        .collect();
    Some(PredictionAccuracy {
        num_right: counts.iter().map(|count| count.0).sum(),
        num_sites: counts.iter().map(|count| count.1).sum(),
        num_labels: counts.len(),
        interval: bootstrap.interval(resamples).filter(|_| counts.len() > 1),
    })
}

#[cfg(test)]
mod tests {
    use morphospace_core::Seed;

    use super::*;

    fn row(cell_type: &str, label: Option<&str>, predicted: &str) -> PredictionRow {
        PredictionRow {
            site_key: String::new(),
            experiment: String::new(),
            cell_type: Some(cell_type.to_owned()),
            head: "perturbation".to_owned(),
            label: label.map(str::to_owned),
            predicted: predicted.to_owned(),
            top5: vec![predicted.to_owned()],
            log_prob: 0.0,
        }
    }

    fn found(rows: Vec<PredictionRow>, cell_type: &str) -> Option<PredictionAccuracy> {
        let predictions = Predictions {
            rows,
            provenance: None,
        };
        let keep = |row: &PredictionRow| row.cell_type.as_deref() == Some(cell_type);
        let bootstrap = Bootstrap::new(Seed::new(1));
        prediction_accuracy(
            &predictions,
            "perturbation",
            Within::First,
            keep,
            &bootstrap,
        )
    }

    #[test]
    fn sites_without_a_label_and_of_other_cells_do_not_count() {
        let rows = vec![
            row("RPE", Some("a"), "a"),
            row("RPE", Some("a"), "b"),
            row("RPE", Some("b"), "b"),
            row("RPE", None, "b"),
            row("U2OS", Some("a"), "a"),
        ];
        let of_rpe = found(rows.clone(), "RPE").expect("sites");
        assert_eq!(
            (of_rpe.num_right, of_rpe.num_sites, of_rpe.num_labels),
            (2, 3, 2)
        );
        assert!(of_rpe.interval.expect("two labels").contains(2.0 / 3.0));
        // Of one label nothing can be drawn again.
        assert_eq!(found(rows.clone(), "U2OS").expect("a site").interval, None);
        assert_eq!(found(rows, "HUVEC"), None);
    }

    #[test]
    fn labels_that_were_never_shown_give_no_share() {
        assert_eq!(found(vec![row("RPE", Some("new"), "a")], "RPE"), None);
    }
}
