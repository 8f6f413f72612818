//! Uniform manifold approximation and projection: a table drawn in two or
//! three dimensions so that rows near each other stay near each other.
//!
//! 1. The nearest rows of every row: exact up to a size, searched in cells
//!    beyond it.
//! 2. A graph of how surely two rows are neighbours.
//! 3. First coordinates, from the graph's spectrum or the principal
//!    components.
//! 4. Coordinates in which neighbours attract and others repel each other,
//!    along a curve that the settings shape.
//!
//! Source: McInnes, Healy & Melville 2018, <https://arxiv.org/abs/1802.03426>,
//! and umap-learn 0.5.12. What differs from the latter: see [`Umap`].

mod cells;
mod curve;
mod error;
mod fuzzy_graph;
mod layout;
mod nearest_lists;
mod neighbours;
mod points;
mod spectrum;
mod start;

use faer::{Mat, MatRef};
use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

pub use error::UmapError;

use curve::Curve;
use fuzzy_graph::FuzzyGraph;
use layout::Layout;
use points::Points;

/// What near means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UmapMetric {
    /// The length of the difference.
    #[default]
    Euclidean,
    /// One less the cosine of the angle; rows of zeros are refused.
    Cosine,
}

/// Where the rows begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UmapStart {
    /// The eigenvectors of the graph, if it hangs together; the principal
    /// components where it falls into pieces.
    #[default]
    Spectral,
    /// The first principal components of the table.
    PrincipalComponents,
}

/// How the nearest rows are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeighbourSearch {
    /// Exact up to [`MAX_EXACT_ROWS`], approximate beyond.
    #[default]
    Auto,
    /// Every row against every other.
    Exact,
    /// Every row against those of near cells, then against the neighbours
    /// of its neighbours.
    Approximate,
}

/// Rows up to which [`NeighbourSearch::Auto`] is exact.
pub const MAX_EXACT_ROWS: usize = 50_000;

/// Uniform manifold approximation and projection (UMAP).
///
/// Defaults are umap-learn's. The result depends on the seed alone: not on
/// the number of threads, whereas umap-learn must choose between a seed and
/// threads. To that end all points of an epoch move at once, each seeing
/// the others where they were at its beginning; random numbers are drawn by
/// seed, epoch and point, and points that repel in runs of a shuffled order. Other differences: neighbours are exact up to
/// [`MAX_EXACT_ROWS`] rows (4,096 there); a graph in pieces starts from
/// principal components.
/// Coordinates can therefore not be compared with umap-learn's, only how
/// well neighbours are kept (`benchmarks/umap.py`).
///
/// The table is centred and rounded to `f32`, as is the layout; distances of
/// neighbours are summed in `f64`, and searched again without rounding where
/// rows lie so near each other that it would show.
///
/// # Shapes
/// - `values`: `[num_rows, num_features]`, at least 3 rows
/// - result: `[num_rows, num_components]`, in the unit of `spread`
///
/// # Errors
/// [`UmapError`] names the setting, or the row and feature.
///
/// # Source
/// McInnes, Healy & Melville 2018, <https://arxiv.org/abs/1802.03426>;
/// umap-learn 0.5.12.
///
/// # Example
/// ```
/// use faer::Mat;
/// use morphospace_core::Seed;
/// use morphospace_map::Umap;
///
/// // Two groups of 20 rows, far from each other.
/// let values = Mat::from_fn(40, 5, |row, column| {
///     f64::from(u8::from(row >= 20)) * 50.0 + ((row * 5 + column) as f64).sin()
/// });
/// let settings = Umap { num_neighbours: 10, ..Umap::default() };
/// let map = settings.embed(values.as_ref(), Seed::new(1))?;
/// assert_eq!((map.nrows(), map.ncols()), (40, 2));
/// # Ok::<(), morphospace_map::UmapError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Umap {
    /// Size of a neighbourhood, the row itself counted. Small values show
    /// fine structure, large ones the broad. Of smaller tables all rows.
    pub num_neighbours: usize,
    /// Dimensions of the map, 2 or 3.
    pub num_components: usize,
    /// What near means.
    pub metric: UmapMetric,
    /// How close neighbours may lie on the map.
    pub min_dist: f64,
    /// Scale of the map: how far apart clumps lie.
    pub spread: f64,
    /// Rounds of moving; 500 up to 10,000 rows and 200 beyond if not given.
    pub num_epochs: Option<usize>,
    /// How far points move at first.
    pub learning_rate: f64,
    /// Points that repel, for each that attracts.
    pub negative_sample_rate: usize,
    /// Weight of the repulsion.
    pub repulsion_strength: f64,
    /// Where the rows begin.
    pub start: UmapStart,
    /// How the nearest rows are found.
    pub neighbour_search: NeighbourSearch,
}

impl Default for Umap {
    fn default() -> Self {
        Self {
            num_neighbours: 15,
            num_components: 2,
            metric: UmapMetric::Euclidean,
            min_dist: 0.1,
            spread: 1.0,
            num_epochs: None,
            learning_rate: 1.0,
            negative_sample_rate: 5,
            repulsion_strength: 1.0,
            start: UmapStart::Spectral,
            neighbour_search: NeighbourSearch::Auto,
        }
    }
}

impl Umap {
    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// [`UmapError::InvalidSetting`] says which and what is allowed.
    pub fn check(&self) -> Result<(), UmapError> {
        let refuse = |setting, value: String, expected| {
            Err(UmapError::InvalidSetting {
                setting,
                value,
                expected,
            })
        };
        if self.num_neighbours < 2 {
            return refuse(
                "num_neighbours",
                self.num_neighbours.to_string(),
                "at least 2",
            );
        }
        if !(2..=3).contains(&self.num_components) {
            return refuse("num_components", self.num_components.to_string(), "2 or 3");
        }
        if !(1e-3..=1e3).contains(&self.spread) {
            return refuse("spread", self.spread.to_string(), "from 0.001 to 1,000");
        }
        if !(self.min_dist >= 0.0 && self.min_dist <= self.spread) {
            return refuse(
                "min_dist",
                self.min_dist.to_string(),
                "at least 0 and at most spread",
            );
        }
        if self.num_epochs.is_some_and(|epochs| epochs > MAX_EPOCHS) {
            let epochs = self.num_epochs.unwrap_or_default();
            return refuse("num_epochs", epochs.to_string(), "at most 1,000,000");
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1e3) {
            return refuse(
                "learning_rate",
                self.learning_rate.to_string(),
                "above 0 and at most 1,000",
            );
        }
        if !(1..=1000).contains(&self.negative_sample_rate) {
            return refuse(
                "negative_sample_rate",
                self.negative_sample_rate.to_string(),
                "from 1 to 1,000",
            );
        }
        if !(0.0..=1e6).contains(&self.repulsion_strength) {
            return refuse(
                "repulsion_strength",
                self.repulsion_strength.to_string(),
                "from 0 to 1,000,000",
            );
        }
        Ok(())
    }

    /// The coordinates of every row on the map.
    ///
    /// # Errors
    /// Settings that make no sense, fewer than 3 rows, values that are not
    /// finite, rows of zeros where cosines are asked for.
    pub fn embed(&self, values: MatRef<'_, f64>, seed: Seed) -> Result<Mat<f64>, UmapError> {
        self.check()?;
        let points = Points::new(values, self.metric)?;
        let num_rows = points.num_rows();
        let num_epochs = self.num_epochs.unwrap_or(match num_rows {
            0..=10_000 => 500,
            _ => 200,
        });
        // As umap-learn, the row itself is the first of its neighbours.
        let num_others = (self.num_neighbours - 1).min(num_rows - 1);
        let is_exact = match self.neighbour_search {
            NeighbourSearch::Auto => num_rows <= MAX_EXACT_ROWS,
            NeighbourSearch::Exact => true,
            NeighbourSearch::Approximate => false,
        };
        let nearest = if is_exact {
            neighbours::exact(&points, num_others)
        } else {
            cells::approximate(&points, num_others, seed.split("umap neighbours"))
        };
        let graph = FuzzyGraph::new(&nearest, num_epochs);
        let start = start::coordinates(
            self.start,
            &points,
            &graph,
            self.num_components,
            seed.split("umap start"),
        );
        let layout = Layout {
            curve: Curve::fit(self.spread, self.min_dist),
            num_epochs,
            learning_rate: self.learning_rate,
            negative_sample_rate: self.negative_sample_rate,
            repulsion_strength: self.repulsion_strength,
        };
        Ok(layout.run(&graph, &start, seed.split("umap layout")))
    }
}

/// Beyond this the weights of the graph, kept to 32 bits, would be lost.
const MAX_EPOCHS: usize = 1_000_000;
