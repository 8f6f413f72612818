use std::sync::atomic::{AtomicUsize, Ordering};

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use morphospace_profiles::{Column, Features, Profiles};
use rayon::prelude::*;

use super::error::RelateError;
use super::known_pairs::{KnownPairs, KnownRows, SourceOverlap};
use super::relation_map::RelationMap;
use super::settings::{RelateSettings, Tails};
use super::tail::{End, Tail};

/// Rows of a block: a block of 512 x 512 cosines (2 MiB) stays in the second-level
/// cache while it is looked at.
const BLOCK: usize = 512;

/// Two entities, and how they lie to each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    /// The one whose name sorts first.
    pub entity1: String,
    /// The other.
    pub entity2: String,
    /// Cosine of the angle between them.
    pub cosine: f64,
    /// Place among all pairs, 1 of the largest cosine; equal ones by name.
    pub rank: u64,
    /// The same in percent: 100 of the largest cosine, 0 of the smallest.
    pub percentile: f64,
    /// The sources that list the pair; none of a novel one.
    pub known_in: Vec<String>,
}

/// The relations at the ends of all cosines of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Relations {
    /// The relations, by rank.
    pub rows: Vec<Relation>,
    /// Pairs of the map.
    pub num_pairs: u64,
    /// How much of each source the map holds.
    pub sources: Vec<SourceOverlap>,
}

impl RelationMap {
    /// The pairs with the largest cosines, the smallest, or both, and which sources
    /// list them.
    ///
    /// Memory is bounded by the settings: each thread holds a block of cosines and
    /// twice the relations that are asked for.
    ///
    /// # Errors
    /// [`RelateError::InvalidLimit`]; [`RelateError::NoKnownPairs`] of a source with
    /// other names.
    ///
    /// # Example
    /// ```
    /// use morphospace_map::{KnownPairs, RelateSettings, RelationLimit, RelationMap, Tails};
    ///
    /// let labels = ["TP53", "MDM2", "PLK1"].map(str::to_owned).to_vec();
    /// let map = RelationMap::new(labels, vec![1.0, 0.0, 3.0, 4.0, -2.0, 0.0], 2)?;
    /// let known = KnownPairs {
    ///     source: "made up".to_owned(),
    ///     pairs: vec![("TP53".to_owned(), "MDM2".to_owned())],
    /// };
    /// let settings = RelateSettings { tails: Tails::Both, limit: RelationLimit::Count(1) };
    /// let found = map.relations(&[known], &settings)?;
    /// assert_eq!((found.rows[0].entity1.as_str(), found.rows[0].rank), ("MDM2", 1));
    /// assert_eq!(found.rows[0].known_in, ["made up"]);
    /// assert_eq!((found.rows[1].entity1.as_str(), found.rows[1].rank), ("PLK1", 3));
    /// # Ok::<(), morphospace_map::RelateError>(())
    /// ```
    pub fn relations(
        &self,
        known: &[KnownPairs],
        settings: &RelateSettings,
    ) -> Result<Relations, RelateError> {
        settings.check()?;
        let known = KnownRows::of(self, known)?;
        let num_entities = self.num_entities() as u64;
        let num_pairs = num_entities * (num_entities - 1) / 2;
        let limit = settings.num_relations(num_pairs);
        let (num_first, num_last) = match settings.tails {
            Tails::Nearest => (limit, 0),
            Tails::Farthest => (0, limit),
            // No pair stands in both.
            Tails::Both => (limit, limit.min((num_pairs - limit as u64) as usize)),
        };
        let (first, last) = self.tails(num_first, num_last);
        let first = (1..).zip(first.into_sorted());
        let last = (num_pairs - num_last as u64 + 1..).zip(last.into_sorted());
        let rows = first.chain(last).map(|(rank, pair)| Relation {
            entity1: self.labels()[pair.row as usize].clone(),
            entity2: self.labels()[pair.column as usize].clone(),
            cosine: pair.cosine,
            rank,
            percentile: match num_pairs {
                1 => 100.0,
                _ => 100.0 * (num_pairs - rank) as f64 / (num_pairs - 1) as f64,
            },
            known_in: known.sources_of(pair.row, pair.column),
        });
        Ok(Relations {
            rows: rows.collect(),
            num_pairs,
            sources: known.overlaps.clone(),
        })
    }

    fn tails(&self, num_first: usize, num_last: usize) -> (Tail, Tail) {
        let num_blocks = self.num_entities().div_ceil(BLOCK);
        let blocks: Vec<(usize, usize)> = (0..num_blocks)
            .flat_map(|i| (i..num_blocks).map(move |j| (i, j)))
            .collect();
        let new = || {
            (
                Tail::new(End::First, num_first),
                Tail::new(End::Last, num_last),
            )
        };
        let next = AtomicUsize::new(0);
        let num_workers = rayon::current_num_threads().min(blocks.len());
        let workers = (0..num_workers).into_par_iter().map(|_| {
            let (mut first, mut last) = new();
            let mut cosines = vec![0.0; BLOCK * BLOCK];
            while let Some(&(i, j)) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.cosines_of_block(i, j, &mut cosines);
                let num_columns = (self.num_entities() - j * BLOCK).min(BLOCK);
                let num_rows = (self.num_entities() - i * BLOCK).min(BLOCK);
                for (offset, row) in cosines.chunks_exact(BLOCK).take(num_rows).enumerate() {
                    // Above the diagonal.
                    let start = if i == j { offset + 1 } else { 0 };
                    let row = &row[start.min(num_columns)..num_columns];
                    let (row_index, column) = (i * BLOCK + offset, j * BLOCK + start);
                    first.add_row(row_index as u32, column as u32, row);
                    last.add_row(row_index as u32, column as u32, row);
                }
            }
            (first, last)
        });
        // Which worker took which block changes nothing: the order is total.
        workers.reduce(new, |a, b| (a.0.merge(b.0), a.1.merge(b.1)))
    }

    /// `cosines[r, c]` of rows of two blocks. Blocks at the edge are filled up with
    /// zeros: equal rows then have equal cosines wherever they stand, which a product
    /// of another size would not promise.
    fn cosines_of_block(&self, i: usize, j: usize, cosines: &mut [f64]) {
        let num_features = self.num_features();
        let rows = |block: usize| {
            let end = self.num_entities().min((block + 1) * BLOCK);
            let rows = &self.directions()[block * BLOCK * num_features..end * num_features];
            let mut filled = std::borrow::Cow::Borrowed(rows);
            if rows.len() < BLOCK * num_features {
                filled.to_mut().resize(BLOCK * num_features, 0.0);
            }
            filled
        };
        let (left, right) = (rows(i), rows(j));
        // [rows, D] · [D, columns] → [rows, columns]
        matmul(
            MatMut::from_row_major_slice_mut(cosines, BLOCK, BLOCK),
            Accum::Replace,
            MatRef::from_row_major_slice(&left, BLOCK, num_features),
            MatRef::from_row_major_slice(&right, BLOCK, num_features).transpose(),
            1.0,
            Par::Seq,
        );
    }
}

impl Relations {
    /// The relations as a table with the columns `entity1`, `entity2`, `cosine`,
    /// `rank`, `percentile` and `known_in`, which holds sources joined by `|` and is
    /// empty of a novel pair.
    pub fn to_table(&self) -> Profiles {
        let rows = &self.rows;
        let text = |value: fn(&Relation) -> String| {
            Column::from(rows.iter().map(value).collect::<Vec<_>>())
        };
        let number =
            |value: fn(&Relation) -> f64| Column::from(rows.iter().map(value).collect::<Vec<_>>());
        let known_in = rows
            .iter()
            .map(|row| (!row.known_in.is_empty()).then(|| row.known_in.join("|")));
        let ranks: Vec<i64> = rows.iter().map(|row| row.rank as i64).collect();
        let columns = [
            ("entity1", text(|row| row.entity1.clone())),
            ("entity2", text(|row| row.entity2.clone())),
            ("cosine", number(|row| row.cosine)),
            ("rank", Column::from(ranks)),
            ("percentile", number(|row| row.percentile)),
            ("known_in", Column::Text(known_in.collect())),
        ];
        let columns = columns.map(|(name, column)| (name.to_owned(), column));
        Profiles::new(columns.into(), Vec::new(), Features::F64(Vec::new()))
            .expect("columns are of one length and have names of their own")
    }
}
