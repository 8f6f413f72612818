use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

/// One cell of a table of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) row: usize,
    pub(super) column: usize,
    /// How many things lie in it.
    pub(super) count: u64,
}

/// A share of things as a ratio of whole numbers, so that nothing is lost to
/// floating point: 33/51 of 51 are 33.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) numerator: u64,
    pub(super) denominator: u64,
}

impl Share {
    /// The ratio with the smallest denominator that is the same number, or
    /// the nearest millionth.
    ///
    /// `fraction` lies between 0 and 1.
    pub(super) fn of(fraction: f64) -> Self {
        const MILLION: u64 = 1_000_000;
        let is_meant = |denominator: &u64| {
            let parts = fraction * *denominator as f64;
            (parts - parts.round()).abs() < 1e-9
        };
        let denominator = (1..=1000).find(is_meant).unwrap_or(MILLION);
        Self {
            numerator: (fraction * denominator as f64).round() as u64,
            denominator,
        }
    }

    /// What is left of the whole.
    pub(super) fn rest(self) -> Self {
        Self {
            numerator: self.denominator - self.numerator,
            ..self
        }
    }
}

/// A share of every cell in whole numbers, such that each cell, the sum of
/// each row and the sum of each column is its exact share rounded down or up,
/// and each cell's expectation is its exact share.
///
/// # Source
/// Gandhi, Khuller, Parthasarathy & Srinivasan 2006, "Dependent rounding and
/// its applications to approximation algorithms",
/// <https://doi.org/10.1145/1147954.1147956>: what the cells miss to a whole
/// number is moved along cycles and paths of rows and columns, up and down in
/// turn, until nothing is left to move.
pub(super) fn round_share(cells: &[Cell], share: Share, rng: &mut impl Rng) -> Vec<u64> {
    let mut rounding = Rounding::new(cells, share, rng);
    for vertex in 0..rounding.adjacent.len() {
        while rounding.next_cell(vertex, None).is_some() {
            let moved = rounding.cycle_or_path(vertex);
            rounding.shift(&moved, rng);
        }
    }
    let rounded_down = |cell: &Cell| cell.count * share.numerator / share.denominator;
    let rounded_up = rounding
        .parts
        .iter()
        .map(|&parts| parts / share.denominator);
    cells
        .iter()
        .map(rounded_down)
        .zip(rounded_up)
        .map(|(down, up)| down + up)
        .collect()
}

/// The bipartite graph of rows and columns whose edges are the cells that are
/// not yet whole.
struct Rounding {
    denominator: u64,
    /// For each cell what is above its whole number, `0..=denominator`.
    parts: Vec<u64>,
    /// The row and the column of each cell, as vertices.
    ends: Vec<[usize; 2]>,
    /// Cells of each vertex; those that are whole go when they are met.
    adjacent: Vec<Vec<usize>>,
}

enum Walk {
    Cycle(Vec<usize>),
    /// Cells up to a vertex from which no other leads on, and that vertex.
    Path(Vec<usize>, usize),
}

impl Rounding {
    fn new(cells: &[Cell], share: Share, rng: &mut impl Rng) -> Self {
        let num_rows = cells.iter().map(|cell| cell.row + 1).max().unwrap_or(0);
        let num_columns = cells.iter().map(|cell| cell.column + 1).max().unwrap_or(0);
        let ends: Vec<[usize; 2]> = cells
            .iter()
            .map(|cell| [cell.row, num_rows + cell.column])
            .collect();
        // In a drawn order: cells that are moved together depend on it.
        let mut order: Vec<usize> = (0..cells.len()).collect();
        order.shuffle(rng);
        let mut adjacent = vec![Vec::new(); num_rows + num_columns];
        for cell in order {
            for vertex in ends[cell] {
                adjacent[vertex].push(cell);
            }
        }
        let parts = cells
            .iter()
            .map(|cell| cell.count * share.numerator % share.denominator)
            .collect();
        Self {
            denominator: share.denominator,
            parts,
            ends,
            adjacent,
        }
    }

    fn is_whole(&self, cell: usize) -> bool {
        self.parts[cell] == 0 || self.parts[cell] == self.denominator
    }

    /// A cell of a vertex, other than the one it was reached by, that is not
    /// yet whole.
    fn next_cell(&mut self, vertex: usize, reached_by: Option<usize>) -> Option<usize> {
        let mut place = self.adjacent[vertex].len();
        while place > 0 {
            place -= 1;
            let cell = self.adjacent[vertex][place];
            if self.is_whole(cell) {
                self.adjacent[vertex].remove(place);
            } else if reached_by != Some(cell) {
                return Some(cell);
            }
        }
        None
    }

    /// Cells that form a cycle, or a path that cannot be made longer.
    fn cycle_or_path(&mut self, start: usize) -> Vec<usize> {
        let end = match self.walk(start) {
            Walk::Cycle(cells) => return cells,
            Walk::Path(_, end) => end,
        };
        // The first walk may have begun in the middle; one from its end
        // cannot.
        match self.walk(end) {
            Walk::Cycle(cells) | Walk::Path(cells, _) => cells,
        }
    }

    fn walk(&mut self, start: usize) -> Walk {
        let mut vertices = vec![start];
        let mut cells: Vec<usize> = Vec::new();
        let mut vertex = start;
        while let Some(cell) = self.next_cell(vertex, cells.last().copied()) {
            let [row, column] = self.ends[cell];
            vertex = if vertex == row { column } else { row };
            cells.push(cell);
            if let Some(place) = vertices.iter().position(|&seen| seen == vertex) {
                return Walk::Cycle(cells.split_off(place));
            }
            vertices.push(vertex);
        }
        Walk::Path(cells, vertex)
    }

    /// Moves cells up and down in turn, as far as the first becomes whole,
    /// one way or the other at odds that leave their expectation.
    fn shift(&mut self, cells: &[usize], rng: &mut impl Rng) {
        let (mut room_up, mut room_down) = (self.denominator, self.denominator);
        for (place, &cell) in cells.iter().enumerate() {
            let (above, below) = (self.parts[cell], self.denominator - self.parts[cell]);
            let (up, down) = if place % 2 == 0 {
                (below, above)
            } else {
                (above, below)
            };
            room_up = room_up.min(up);
            room_down = room_down.min(down);
        }
        let is_up = rng.random_range(0..room_up + room_down) < room_down;
        let amount = if is_up { room_up } else { room_down };
        for (place, &cell) in cells.iter().enumerate() {
            if (place % 2 == 0) == is_up {
                self.parts[cell] += amount;
            } else {
                self.parts[cell] -= amount;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use morphospace_core::Seed;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_are_exact_where_they_can_be() {
        for (fraction, numerator, denominator) in [
            (33.0 / 51.0, 11, 17),
            (0.8, 4, 5),
            (0.5, 1, 2),
            (1.0 / 3.0, 1, 3),
            (0.123_456_7, 123_457, 1_000_000),
        ] {
            let share = Share {
                numerator,
                denominator,
            };
            assert_eq!(Share::of(fraction), share);
            assert_eq!(share.rest().numerator, denominator - numerator);
        }
    }

    #[test]
    fn every_cell_has_the_same_chance() {
        // Three rows in three columns, a third of each: one cell per row and
        // column, six ways to place them.
        let cells: Vec<Cell> = (0..9)
            .map(|i| Cell {
                row: i / 3,
                column: i % 3,
                count: 1,
            })
            .collect();
        let mut times = [0u32; 9];
        for draw in 0..3000 {
            let mut rng = Seed::new(1).split_index(draw).rng();
            let rounded = round_share(&cells, Share::of(1.0 / 3.0), &mut rng);
            for line in 0..3 {
                let row: u64 = (0..3).map(|other| rounded[line * 3 + other]).sum();
                let column: u64 = (0..3).map(|other| rounded[other * 3 + line]).sum();
                assert_eq!((row, column), (1, 1));
            }
            for (count, value) in times.iter_mut().zip(rounded) {
                *count += u32::from(value == 1);
            }
        }
        // Four standard deviations of a binomial count of 3000 thirds are 103.
        assert!(
            times.iter().all(|&count| count.abs_diff(1000) < 104),
            "{times:?}"
        );
    }

    proptest! {
        #[test]
        fn cells_rows_and_columns_are_rounded_and_no_more(
            counts in proptest::collection::btree_map((0usize..9, 0usize..7), 0u64..6, 1..50),
            fraction in 0.01f64..0.99,
            is_decimal: bool,
            seed: u64,
        ) {
            let fraction = if is_decimal { (fraction * 10.0).ceil() / 11.0 } else { fraction };
            let share = Share::of(fraction);
            let cells: Vec<Cell> = counts
                .iter()
                .map(|(&(row, column), &count)| Cell { row, column, count })
                .collect();
            let rounded = round_share(&cells, share, &mut Seed::new(seed).rng());
            let again = round_share(&cells, share, &mut Seed::new(seed).rng());
            prop_assert_eq!(&rounded, &again);
            let mut sums: BTreeMap<(bool, usize), (u64, u64)> = BTreeMap::new();
            for (index, (cell, &value)) in cells.iter().zip(&rounded).enumerate() {
                let is_within = |count: u64, value: u64| {
                    let exact = count * share.numerator;
                    value == exact / share.denominator
                        || value == exact.div_ceil(share.denominator)
                };
                prop_assert!(is_within(cell.count, value), "cell {index}");
                for line in [(false, cell.row), (true, cell.column)] {
                    let sum = sums.entry(line).or_default();
                    *sum = (sum.0 + cell.count, sum.1 + value);
                }
            }
            for (line, (count, value)) in sums {
                let exact = count * share.numerator;
                prop_assert!(
                    value == exact / share.denominator || value == exact.div_ceil(share.denominator),
                    "{line:?}: {value} of {count}"
                );
            }
        }
    }
}
