use rayon::prelude::*;

use super::neighbours::Neighbours;

/// How surely rows are neighbours of each other, as a symmetric sparse
/// matrix.
pub(crate) struct FuzzyGraph {
    /// Where the edges of a row begin; one more than there are rows.
    pub(crate) starts: Vec<usize>,
    /// The row at the other end, increasing within a row.
    pub(crate) ends: Vec<u32>,
    /// Above 0 and at most 1.
    pub(crate) weights: Vec<f32>,
}

/// Within this of its target a search for a bandwidth ends.
const TOLERANCE: f64 = 1e-5;

/// Bandwidths are at least this share of the mean distance.
const SMALLEST_BANDWIDTH: f64 = 1e-3;

impl FuzzyGraph {
    /// The union of the fuzzy neighbourhoods: two rows are neighbours as
    /// surely as one of them says so, `p + q - p q`. Edges that would not be
    /// drawn in `num_epochs` are left out.
    pub(crate) fn new(neighbours: &Neighbours, num_epochs: usize) -> Self {
        let num_rows = neighbours.num_rows;
        let memberships = memberships(neighbours);
        let mut smallest = 0.0;
        let mut graph = Self::union(num_rows, neighbours, &memberships);
        if num_epochs > 10 {
            let largest = graph.weights.iter().copied().fold(0.0, f32::max);
            smallest = largest / num_epochs as f32;
        }
        graph.drop_below(smallest);
        graph
    }

    /// Number of rows.
    pub(crate) fn num_rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The ends and weights of a row's edges.
    pub(crate) fn edges(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.ends[range.clone()], &self.weights[range])
    }

    /// Whether every row can be reached from every other.
    pub(crate) fn is_connected(&self) -> bool {
        let mut is_reached = vec![false; self.num_rows()];
        is_reached[0] = true;
        let mut waiting = vec![0];
        let mut num_reached = 1;
        while let Some(row) = waiting.pop() {
            for end in self.edges(row).0 {
                let end = *end as usize;
                if !is_reached[end] {
                    is_reached[end] = true;
                    num_reached += 1;
                    waiting.push(end);
                }
            }
        }
        num_reached == self.num_rows()
    }

    fn union(num_rows: usize, neighbours: &Neighbours, memberships: &[f32]) -> Self {
        let num_others = neighbours.num_others;
        // What is said of a row, by the row it is said of.
        let mut starts = vec![0; num_rows + 1];
        for end in &neighbours.rows {
            starts[*end as usize + 1] += 1;
        }
        for row in 0..num_rows {
            starts[row + 1] += starts[row];
        }
        let mut places = starts.clone();
        let mut said = vec![(0, 0.0); neighbours.rows.len()];
        for (index, (end, membership)) in neighbours.rows.iter().zip(memberships).enumerate() {
            let place = &mut places[*end as usize];
            said[*place] = ((index / num_others) as u32, *membership);
            *place += 1;
        }
        let edges_of = |row: usize| {
            let own = row * num_others..(row + 1) * num_others;
            let own = neighbours.rows[own.clone()].iter().zip(&memberships[own]);
            let own = own.map(|(end, membership)| (*end, *membership, 0.0));
            let others = said[starts[row]..starts[row + 1]].iter();
            let others = others.map(|(end, membership)| (*end, 0.0, *membership));
            let mut edges: Vec<(u32, f32, f32)> = own.chain(others).collect();
            edges.sort_unstable_by_key(|(end, ..)| *end);
            edges.dedup_by(|next, kept| {
                let is_same = next.0 == kept.0;
                if is_same {
                    kept.1 += next.1;
                    kept.2 += next.2;
                }
                is_same
            });
            edges
        };
        let edges: Vec<Vec<(u32, f32, f32)>> = (0..num_rows)
            .into_par_iter()
            .with_min_len(256)
            .map(edges_of)
            .collect();
        let num_edges = edges.iter().map(Vec::len).sum();
        let mut graph = Self {
            starts: Vec::with_capacity(num_rows + 1),
            ends: Vec::with_capacity(num_edges),
            weights: Vec::with_capacity(num_edges),
        };
        graph.starts.push(0);
        for edges in edges {
            for (end, p, q) in edges {
                graph.ends.push(end);
                // The larger first, so that both directions round alike.
                let (p, q) = (p.max(q), p.min(q));
                graph.weights.push(p + q - p * q);
            }
            graph.starts.push(graph.ends.len());
        }
        graph
    }

    fn drop_below(&mut self, smallest: f32) {
        let mut kept = 0;
        let mut start = 0;
        for row in 0..self.num_rows() {
            for edge in start..self.starts[row + 1] {
                if self.weights[edge] > 0.0 && self.weights[edge] >= smallest {
                    self.ends[kept] = self.ends[edge];
                    self.weights[kept] = self.weights[edge];
                    kept += 1;
                }
            }
            start = self.starts[row + 1];
            self.starts[row + 1] = kept;
        }
        self.ends.truncate(kept);
        self.weights.truncate(kept);
    }
}

/// How surely each of its nearest rows is a neighbour of a row: 1 for the
/// nearest, then falling, so fast that they sum to the logarithm of their
/// number.
fn memberships(neighbours: &Neighbours) -> Vec<f32> {
    let num_others = neighbours.num_others;
    // The row itself counts among its neighbours, at distance 0.
    let num_neighbours = (num_others + 1) as f64;
    let mean_of = |sum: f64, num_rows: usize| sum / (num_rows as f64 * num_neighbours);
    let mean = mean_of(neighbours.distances.iter().sum(), neighbours.num_rows);
    let mut memberships = vec![0.0; neighbours.rows.len()];
    memberships
        .par_chunks_exact_mut(num_others)
        .zip(neighbours.distances.par_chunks_exact(num_others))
        .with_min_len(256)
        .for_each(|(memberships, distances)| {
            let nearest = distances.iter().copied().find(|distance| *distance > 0.0);
            let nearest = nearest.unwrap_or(0.0);
            let smallest = SMALLEST_BANDWIDTH
                * if nearest > 0.0 {
                    mean_of(distances.iter().sum(), 1)
                } else {
                    mean
                };
            let bandwidth = bandwidth(distances, nearest, num_neighbours.log2()).max(smallest);
            for (membership, distance) in memberships.iter_mut().zip(distances) {
                let beyond = distance - nearest;
                *membership = if beyond <= 0.0 || bandwidth == 0.0 {
                    1.0
                } else {
                    (-beyond / bandwidth).exp() as f32
                };
            }
        });
    memberships
}

/// The bandwidth for which `sum exp(-(distance - nearest) / bandwidth)` is
/// `target`, by halving (umap-learn `smooth_knn_dist`).
fn bandwidth(distances: &[f64], nearest: f64, target: f64) -> f64 {
    let scale = distances.last().copied().unwrap_or(0.0) - nearest;
    if scale <= 0.0 {
        return 0.0;
    }
    // Searched in units of the farthest, so that tables of any unit do.
    let (mut low, mut high, mut middle) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..64 {
        let sum: f64 = distances
            .iter()
            .map(|distance| (-(distance - nearest).max(0.0) / (scale * middle)).exp())
            .sum();
        if (sum - target).abs() < TOLERANCE {
            break;
        }
        if sum > target {
            high = middle;
        } else {
            low = middle;
        }
        middle = if high.is_finite() {
            (low + high) / 2.0
        } else {
            2.0 * middle
        };
    }
    scale * middle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_sum_to_the_logarithm_of_their_number() {
        let distances = vec![1.0, 1.5, 2.0, 2.5, 4.0, 4.5, 5.0];
        let neighbours = Neighbours {
            num_rows: 1,
            num_others: 7,
            rows: (1..8).collect(),
            distances,
        };
        let found = memberships(&neighbours);
        assert_eq!(found[0], 1.0);
        let sum: f32 = found.iter().sum();
        assert!((sum - 3.0).abs() < 1e-4, "{sum}");
        assert!(found.windows(2).all(|pair| pair[0] > pair[1]), "{found:?}");
    }

    #[test]
    fn the_union_of_a_hand_worked_graph() {
        // Row 0 names 1, row 1 names 2, row 2 names 1.
        let neighbours = Neighbours {
            num_rows: 3,
            num_others: 1,
            rows: vec![1, 2, 1],
            distances: vec![1.0; 3],
        };
        let graph = FuzzyGraph::union(3, &neighbours, &[0.5, 0.5, 0.25]);
        assert_eq!(graph.edges(0), (&[1][..], &[0.5][..]));
        assert_eq!(graph.edges(1), (&[0, 2][..], &[0.5, 0.625][..]));
        assert_eq!(graph.edges(2), (&[1][..], &[0.625][..]));
        assert!(graph.is_connected());
    }

    #[test]
    fn rows_that_are_all_the_same_are_sure_of_each_other() {
        let neighbours = Neighbours {
            num_rows: 3,
            num_others: 2,
            rows: vec![1, 2, 0, 2, 0, 1],
            distances: vec![0.0; 6],
        };
        let graph = FuzzyGraph::new(&neighbours, 500);
        assert!(graph.weights.iter().all(|weight| *weight == 1.0));
    }

    #[test]
    fn edges_that_are_never_drawn_are_left_out() {
        let mut graph = FuzzyGraph {
            starts: vec![0, 2, 3, 4],
            ends: vec![1, 2, 0, 0],
            weights: vec![1.0, 0.01, 1.0, 0.01],
        };
        graph.drop_below(0.1);
        assert_eq!(graph.starts, [0, 1, 2, 2]);
        assert_eq!(graph.ends, [1, 0]);
        assert!(!graph.is_connected());
    }
}
