use std::cmp::Ordering;

/// Two rows, the first before the second, and the cosine of their angle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) cosine: f64,
    pub(super) row: u32,
    pub(super) column: u32,
}

impl Pair {
    /// Pairs in the order of ranks: the largest cosine first, equal ones by name,
    /// which is by row.
    pub(super) fn by_rank(&self, other: &Self) -> Ordering {
        other
            .cosine
            .total_cmp(&self.cosine)
            .then_with(|| (self.row, self.column).cmp(&(other.row, other.column)))
    }
}

/// The end of the ranks that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    First,
    Last,
}

/// So many pairs of one end of all ranks, whatever the order in which they come.
/// Never holds more than twice as many.
#[derive(Debug)]
pub(super) struct Tail {
    end: End,
    limit: usize,
    pairs: Vec<Pair>,
    /// What a cosine must reach for a place, once all places are taken.
    threshold: f64,
}

impl Tail {
    pub(super) fn new(end: End, limit: usize) -> Self {
        let threshold = match end {
            End::First => f64::NEG_INFINITY,
            End::Last => f64::INFINITY,
        };
        Self {
            end,
            limit,
            pairs: Vec::new(),
            threshold,
        }
    }

    /// Adds the pairs of a row with the columns from `first_column` on.
    pub(super) fn add_row(&mut self, row: u32, first_column: u32, cosines: &[f64]) {
        for (column, &cosine) in (first_column..).zip(cosines) {
            let is_within = match self.end {
                End::First => cosine >= self.threshold,
                End::Last => cosine <= self.threshold,
            };
            if is_within {
                // Adding 0 makes the two zeros one.
                self.push(Pair {
                    cosine: cosine.clamp(-1.0, 1.0) + 0.0,
                    row,
                    column,
                });
            }
        }
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        other.pairs.into_iter().for_each(|pair| self.push(pair));
        self
    }

    /// The pairs, by rank.
    pub(super) fn into_sorted(mut self) -> Vec<Pair> {
        self.prune();
        self.pairs.sort_unstable_by(Pair::by_rank);
        self.pairs
    }

    fn push(&mut self, pair: Pair) {
        if self.limit == 0 {
            return;
        }
        self.pairs.push(pair);
        if self.pairs.len() >= 2 * self.limit {
            self.prune();
        }
    }

    fn prune(&mut self) {
        if self.pairs.len() <= self.limit || self.limit == 0 {
            return;
        }
        let end = self.end;
        let order = |a: &Pair, b: &Pair| match end {
            End::First => a.by_rank(b),
            End::Last => b.by_rank(a),
        };
        let (_, last, _) = self.pairs.select_nth_unstable_by(self.limit - 1, order);
        self.threshold = last.cosine;
        self.pairs.truncate(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tails_are_the_ends_of_the_sorted_pairs(
            cosines in prop::collection::vec(-4i8..=4, 1..80),
            limit in 1usize..20,
            cut in 0usize..80,
        ) {
            let cosines: Vec<f64> = cosines.into_iter().map(|x| f64::from(x) / 4.0).collect();
            let mut sorted: Vec<Pair> = (0..).zip(&cosines).map(|(column, &cosine)| Pair {
                cosine,
                row: 0,
                column,
            }).collect();
            sorted.sort_by(Pair::by_rank);
            let limit = limit.min(sorted.len());
            let cut = cut.min(cosines.len());
            for end in [End::First, End::Last] {
                let (mut first, mut second) = (Tail::new(end, limit), Tail::new(end, limit));
                first.add_row(0, 0, &cosines[..cut]);
                second.add_row(0, cut as u32, &cosines[cut..]);
                let found = second.merge(first).into_sorted();
                let expected = match end {
                    End::First => &sorted[..limit],
                    End::Last => &sorted[sorted.len() - limit..],
                };
                prop_assert_eq!(found.as_slice(), expected);
            }
        }
    }
}
