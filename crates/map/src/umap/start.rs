use faer::Mat;
use morphospace_core::Seed;
use rand::RngExt;

use super::UmapStart;
use super::fuzzy_graph::FuzzyGraph;
use super::points::Points;
use super::spectrum::{graph_spectrum, principal_components};

/// Half of the extent of the first coordinates before they are moved to
/// begin at 0.
const EXTENT: f64 = 10.0;

/// Rows upon each other would be pushed nowhere.
const NOISE: f64 = 2e-4;

/// First coordinates, `[num_rows, num_components]`, each component from 0
/// to 10.
pub(crate) fn coordinates(
    start: UmapStart,
    points: &Points<'_>,
    graph: &FuzzyGraph,
    num_components: usize,
    seed: Seed,
) -> Mat<f64> {
    let mut found = match start {
        UmapStart::Spectral if graph.is_connected() => graph_spectrum(graph, num_components, seed),
        _ => principal_components(points, num_components, seed),
    };
    let largest = found.norm_max();
    let scale = if largest > 0.0 { EXTENT / largest } else { 0.0 };
    let mut rng = seed.split("noise").rng();
    for row in 0..found.nrows() {
        for component in 0..num_components {
            let noise = rng.random_range(-NOISE..NOISE);
            found[(row, component)] = found[(row, component)] * scale + noise;
        }
    }
    for component in 0..num_components {
        let column = found.col_as_slice_mut(component);
        let low = column.iter().copied().fold(f64::INFINITY, f64::min);
        let high = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let extent = if high > low { high - low } else { 1.0 };
        column
            .iter_mut()
            .for_each(|value| *value = EXTENT * (*value - low) / extent);
    }
    found
}
