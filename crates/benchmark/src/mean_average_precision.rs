use std::collections::BTreeMap;

use morphospace_core::Seed;
use rand::seq::index::sample;
use rayon::prelude::*;

use crate::entity_map::dot;
use crate::{
    BenchmarkError, EntityMap, Ties, average_precision, benjamini_hochberg,
    expected_average_precision,
};

/// The labels of each row in one column, such as the targets of a compound; most
/// columns have one label in each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelColumn(Vec<Vec<u32>>);

impl LabelColumn {
    /// A label in each row.
    pub fn single(labels: &[String]) -> Self {
        Self::several(
            &labels
                .iter()
                .map(|label| vec![label.clone()])
                .collect::<Vec<_>>(),
        )
        .0
    }

    /// Any number of labels in each row, and their names in order.
    pub fn several(labels: &[Vec<String>]) -> (Self, Vec<String>) {
        let mut names: Vec<String> = labels.iter().flatten().cloned().collect();
        names.sort_unstable();
        names.dedup();
        let place = |label: &String| names.binary_search(label).expect("it is a name") as u32;
        let ids = labels.iter().map(|labels| {
            let mut ids: Vec<u32> = labels.iter().map(place).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        });
        (Self(ids.collect()), names)
    }

    /// Each row its own label where `is_reference`, all others one: rows that are
    /// references are no pairs of one another (copairs
    /// `assign_reference_index`).
    pub fn references(is_reference: &[bool]) -> Self {
        let label = |(row, is_reference): (usize, &bool)| match is_reference {
            true => vec![row as u32 + 1],
            false => vec![0],
        };
        Self(is_reference.iter().enumerate().map(label).collect())
    }

    fn shares(&self, a: usize, b: usize) -> bool {
        self.0[a].iter().any(|label| self.0[b].contains(label))
    }
}

/// Which pairs of rows are alike and which are not.
#[derive(Clone, Debug)]
pub struct PairRules<'a> {
    /// Columns that rows of a positive pair share a label in.
    pub pos_sameby: Vec<&'a LabelColumn>,
    /// Columns that they do not.
    pub pos_diffby: Vec<&'a LabelColumn>,
    /// Columns that rows of a negative pair share a label in.
    pub neg_sameby: Vec<&'a LabelColumn>,
    /// Columns that they do not.
    pub neg_diffby: Vec<&'a LabelColumn>,
    /// How rows at equal distances are ranked; copairs has those of positive pairs
    /// first.
    pub ties: Ties,
}

impl Default for PairRules<'_> {
    /// No columns, and the mean over all orders of equals.
    fn default() -> Self {
        Self {
            pos_sameby: Vec::new(),
            pos_diffby: Vec::new(),
            neg_sameby: Vec::new(),
            neg_diffby: Vec::new(),
            ties: Ties::Mean,
        }
    }
}

impl PairRules<'_> {
    fn holds(same: &[&LabelColumn], differ: &[&LabelColumn], a: usize, b: usize) -> bool {
        same.iter().all(|column| column.shares(a, b))
            && !differ.iter().any(|column| column.shares(a, b))
    }
}

/// How well the partners of one row, or of one label of it, are found among its
/// neighbours.
#[derive(Clone, Debug, PartialEq)]
pub struct RowPrecision {
    /// The row.
    pub row: usize,
    /// The label, by [`LabelColumn::several`]'s names, where rows have several.
    pub label: Option<u32>,
    /// Positive pairs.
    pub num_positives: usize,
    /// Positive and negative pairs.
    pub num_pairs: usize,
    /// NaN without a positive pair.
    pub average_precision: f64,
}

impl RowPrecision {
    /// From 0, what chance gives, to 1.
    pub fn normalised(&self) -> f64 {
        let expected = expected_average_precision(self.num_positives, self.num_pairs);
        (self.average_precision - expected) / (1.0 - expected)
    }
}

/// [`RowPrecision`] of every row, by cosines rounded to `f32` as the reference has
/// them.
///
/// With `by_label`, a column that `pos_sameby` does not name again, a row has one
/// entry for each of its labels, whose positives share that label, and which are
/// told from rows that share none (copairs `map.multilabel`).
///
/// # Errors
/// [`BenchmarkError::WrongNumberOfValues`]: a column has not as many rows as the
/// table.
///
/// # Source
/// Kalinin et al. 2025, <https://doi.org/10.1038/s41467-025-60306-2>; cytomining/copairs
/// 0.5.5 `map.average_precision`
pub fn row_precisions(
    wells: &EntityMap,
    rules: &PairRules<'_>,
    by_label: Option<&LabelColumn>,
) -> Result<Vec<RowPrecision>, BenchmarkError> {
    let count = wells.num_entities();
    let PairRules {
        pos_sameby,
        pos_diffby,
        neg_sameby,
        neg_diffby,
        ties,
    } = rules;
    let columns = [pos_sameby, pos_diffby, neg_sameby, neg_diffby].into_iter();
    let mut columns = columns.flatten().copied().chain(by_label);
    if let Some(column) = columns.find(|column| column.0.len() != count) {
        return Err(BenchmarkError::WrongNumberOfValues {
            num_labels: count,
            num_features: 1,
            expected: count,
            found: column.0.len(),
        });
    }
    let of_row = |row: usize| -> Vec<RowPrecision> {
        let others = (0..count).filter(|&other| other != row);
        let score = |other: usize| {
            let cosine = dot(wells.direction(row), wells.direction(other));
            f64::from(1.0_f32 - cosine as f32)
        };
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        for other in others {
            if PairRules::holds(pos_sameby, pos_diffby, row, other)
                && by_label.is_none_or(|labels| labels.shares(row, other))
            {
                positives.push((other, -score(other)));
            }
            if PairRules::holds(neg_sameby, neg_diffby, row, other)
                && !by_label.is_some_and(|labels| labels.shares(row, other))
            {
                negatives.push(-score(other));
            }
        }
        let precision = |label: Option<u32>| {
            let has_label = |other: usize| match (by_label, label) {
                (Some(labels), Some(label)) => labels.0[other].contains(&label),
                _ => true,
            };
            let of_label = positives.iter().filter(|(other, _)| has_label(*other));
            let mut scores: Vec<f64> = of_label.map(|(_, score)| *score).collect();
            let num_positives = scores.len();
            scores.extend(&negatives);
            let labels: Vec<bool> = (0..scores.len()).map(|i| i < num_positives).collect();
            RowPrecision {
                row,
                label,
                num_positives,
                num_pairs: scores.len(),
                average_precision: match num_positives {
                    0 => f64::NAN,
                    _ => average_precision(&scores, &labels, *ties),
                },
            }
        };
        match by_label {
            None => vec![precision(None)],
            Some(labels) => labels.0[row]
                .iter()
                .map(|label| precision(Some(*label)))
                .collect(),
        }
    };
    let of_rows: Vec<Vec<RowPrecision>> = (0..count).into_par_iter().map(of_row).collect();
    Ok(of_rows.into_iter().flatten().collect())
}

/// Average precisions of random orders, for each number of positives among a
/// number of pairs: rows of equal numbers share them.
#[derive(Clone, Debug, Default)]
pub struct PrecisionNull {
    by_size: BTreeMap<(usize, usize), Vec<f64>>,
    /// Whether groups of one row with few orders are held against all of them.
    is_exact_for_few: bool,
}

impl PrecisionNull {
    /// Orders enumerated rather than drawn, at most.
    const MOST_ORDERS: usize = 10_000;

    /// Draws `num_draws` orders for each pair of numbers that the precisions have.
    pub fn draw(precisions: &[RowPrecision], num_draws: usize, seed: Seed) -> Self {
        let mut sizes: Vec<(usize, usize)> = precisions
            .iter()
            .filter(|precision| precision.num_positives > 0)
            .map(|precision| (precision.num_positives, precision.num_pairs))
            .collect();
        sizes.sort_unstable();
        sizes.dedup();
        let draw = |(positives, pairs): (usize, usize)| {
            let seed = seed.split_index(positives as u64).split_index(pairs as u64);
            let draws = (0..num_draws).map(|draw| {
                let mut rng = seed.split_index(draw as u64).rng();
                let mut ranks = sample(&mut rng, pairs, positives).into_vec();
                ranks.sort_unstable();
                precision_of_ranks(&ranks)
            });
            ((positives, pairs), draws.collect())
        };
        Self {
            by_size: sizes.into_par_iter().map(draw).collect(),
            is_exact_for_few: true,
        }
    }

    /// Given ones: the same number for each pair of numbers.
    pub fn given(by_size: BTreeMap<(usize, usize), Vec<f64>>) -> Self {
        Self {
            by_size,
            is_exact_for_few: false,
        }
    }

    /// All average precisions that so many positives among so many pairs can have,
    /// each as often as there are orders of it; `None` if those are too many to
    /// list.
    pub fn all_orders(num_positives: usize, num_pairs: usize) -> Option<Vec<f64>> {
        let mut count = 1_usize;
        for index in 0..num_positives.min(num_pairs - num_positives) {
            count = count * (num_pairs - index) / (index + 1);
            if count > Self::MOST_ORDERS {
                return None;
            }
        }
        let mut ranks: Vec<usize> = (0..num_positives).collect();
        let mut found = vec![precision_of_ranks(&ranks)];
        // The next combination, until there is none.
        while let Some(place) = (0..num_positives)
            .rev()
            .find(|&place| ranks[place] < num_pairs - num_positives + place)
        {
            ranks[place] += 1;
            for later in place + 1..num_positives {
                ranks[later] = ranks[later - 1] + 1;
            }
            found.push(precision_of_ranks(&ranks));
        }
        Some(found)
    }
}

/// Of positives at these ranks, from 0, in order.
fn precision_of_ranks(ranks: &[usize]) -> f64 {
    let precisions = ranks
        .iter()
        .enumerate()
        .map(|(index, rank)| (index + 1) as f64 / (rank + 1) as f64);
    precisions.sum::<f64>() / ranks.len() as f64
}

/// How well the members of one group are found.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupPrecision {
    /// Its name.
    pub group: String,
    /// Members with a positive pair.
    pub num_rows: usize,
    /// Mean of their average precisions.
    pub mean_average_precision: f64,
    /// Mean of those normalised by chance.
    pub mean_normalised: f64,
    /// Share of random orders with a greater mean; for one member with few orders
    /// exactly that of all orders with as great a one.
    pub p_value: f64,
    /// By Benjamini and Hochberg over all groups.
    pub corrected_p_value: f64,
}

/// Mean average precision of groups of rows, in the order of their names; rows
/// without a positive pair are left out.
///
/// `p = (#{null > mAP} + 1) / (draws + 1)`, the null of a group being the mean, draw
/// by draw, of those of its members (copairs `mean_average_precision`). Where a
/// group has one member and all its orders can be listed, p is exact instead.
///
/// # Panics
/// There are not as many groups as precisions, or the null lacks a pair of
/// numbers.
pub fn mean_average_precisions(
    precisions: &[RowPrecision],
    groups: &[String],
    null: &PrecisionNull,
) -> Vec<GroupPrecision> {
    assert_eq!(precisions.len(), groups.len(), "a group for each row");
    let mut members: BTreeMap<&String, Vec<&RowPrecision>> = BTreeMap::new();
    for (precision, group) in precisions.iter().zip(groups) {
        if precision.num_positives > 0 {
            members.entry(group).or_default().push(precision);
        }
    }
    let of_group = |(group, members): (&String, Vec<&RowPrecision>)| {
        let count = members.len() as f64;
        let mean_of = |value: &dyn Fn(&RowPrecision) -> f64| {
            members.iter().map(|member| value(member)).sum::<f64>() / count
        };
        let mean = mean_of(&|member| member.average_precision);
        GroupPrecision {
            group: group.clone(),
            num_rows: members.len(),
            mean_average_precision: mean,
            mean_normalised: mean_of(&RowPrecision::normalised),
            p_value: null.p_value(&members, mean),
            corrected_p_value: f64::NAN,
        }
    };
    let members: Vec<_> = members.into_iter().collect();
    let mut found: Vec<GroupPrecision> = members.into_par_iter().map(of_group).collect();
    let p_values: Vec<f64> = found.iter().map(|group| group.p_value).collect();
    for (group, corrected) in found.iter_mut().zip(benjamini_hochberg(&p_values)) {
        group.corrected_p_value = corrected;
    }
    found
}

impl PrecisionNull {
    fn p_value(&self, members: &[&RowPrecision], mean: f64) -> f64 {
        if let ([member], true) = (members, self.is_exact_for_few)
            && let Some(all) = Self::all_orders(member.num_positives, member.num_pairs)
        {
            // The member's own order is one of them; rounding must not lose it.
            let as_high = all.iter().filter(|x| **x >= mean - 1e-12).count();
            return as_high as f64 / all.len() as f64;
        }
        let nulls = members.iter().map(|member| {
            let size = (member.num_positives, member.num_pairs);
            let null = self.by_size.get(&size);
            null.expect("the null was drawn for all sizes")
        });
        let nulls: Vec<&Vec<f64>> = nulls.collect();
        let num_draws = nulls[0].len();
        let of_draw = |draw: usize| {
            let sum: f64 = nulls.iter().map(|null| null[draw]).sum();
            sum / nulls.len() as f64
        };
        let above = (0..num_draws).filter(|&draw| of_draw(draw) > mean).count();
        (above + 1) as f64 / (num_draws + 1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> LabelColumn {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        LabelColumn::single(&names)
    }

    /// Two replicates of A near each other, one of B apart, and one of A that lies
    /// with B.
    fn wells() -> EntityMap {
        let values = vec![1.0, 0.0, 0.9, 0.1, 0.0, 1.0, 0.1, 0.9];
        let names = ["A", "A", "B", "A"].map(str::to_owned).to_vec();
        EntityMap::new(names, values, 2).expect("finite")
    }

    #[test]
    fn precisions_by_hand() {
        let perturbation = labels(&["A", "A", "B", "A"]);
        let rules = PairRules {
            pos_sameby: vec![&perturbation],
            neg_diffby: vec![&perturbation],
            ..PairRules::default()
        };
        let found = row_precisions(&wells(), &rules, None).expect("fits");
        let precisions: Vec<f64> = found.iter().map(|row| row.average_precision).collect();
        // Of the last: B first, then the two others.
        assert_eq!(precisions[0], 1.0);
        assert_eq!(precisions[1], 1.0);
        assert!(precisions[2].is_nan());
        assert!((precisions[3] - (0.5 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert_eq!((found[3].num_positives, found[3].num_pairs), (2, 3));
    }

    #[test]
    fn references_are_no_partners_of_one_another() {
        let perturbation = labels(&["A", "A", "DMSO", "DMSO"]);
        let index = LabelColumn::references(&[false, false, true, true]);
        let rules = PairRules {
            pos_sameby: vec![&perturbation, &index],
            neg_diffby: vec![&perturbation, &index],
            ..PairRules::default()
        };
        let found = row_precisions(&wells(), &rules, None).expect("fits");
        let sizes: Vec<_> = found
            .iter()
            .map(|r| (r.num_positives, r.num_pairs))
            .collect();
        assert_eq!(sizes, [(1, 3), (1, 3), (0, 2), (0, 2)]);
    }

    #[test]
    fn each_label_of_a_row_has_partners_of_its_own() {
        let targets = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (column, names) = LabelColumn::several(&[
            targets(&["X", "Y"]),
            targets(&["X"]),
            targets(&["Z"]),
            targets(&["Y"]),
        ]);
        assert_eq!(names, ["X", "Y", "Z"]);
        let found = row_precisions(&wells(), &PairRules::default(), Some(&column)).expect("fits");
        let of_first: Vec<_> = found
            .iter()
            .filter(|found| found.row == 0)
            .map(|found| (found.label, found.num_positives, found.num_pairs))
            .collect();
        assert_eq!(of_first, [(Some(0), 1, 2), (Some(1), 1, 2)]);
    }

    #[test]
    fn nulls_are_those_of_all_orders() {
        // One of three: at rank 1, 2 or 3.
        let all = PrecisionNull::all_orders(1, 3).expect("few");
        assert_eq!(all, [1.0, 0.5, 1.0 / 3.0]);
        assert_eq!(PrecisionNull::all_orders(3, 6).expect("few").len(), 20);
        assert!(PrecisionNull::all_orders(20, 60).is_none());
        let all = PrecisionNull::all_orders(2, 6).expect("few");
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        assert!((mean - expected_average_precision(2, 6)).abs() < 1e-12);
        // Drawn ones have the same mean.
        let row = RowPrecision {
            row: 0,
            label: None,
            num_positives: 2,
            num_pairs: 6,
            average_precision: 1.0,
        };
        let null = PrecisionNull::draw(std::slice::from_ref(&row), 20_000, Seed::new(3));
        let drawn = &null.by_size[&(2, 6)];
        let drawn_mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        assert!((drawn_mean - mean).abs() < 0.01, "{drawn_mean}, not {mean}");
        // Both first is one order of fifteen: exactly, of one row, and by draws of
        // two.
        let groups = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let one = mean_average_precisions(std::slice::from_ref(&row), &groups(&["A"]), &null);
        assert_eq!(one[0].p_value, 1.0 / 15.0);
        let two = mean_average_precisions(&[row.clone(), row], &groups(&["A", "A"]), &null);
        assert_eq!(two[0].p_value, 1.0 / 20_001.0);
    }
}
