use std::collections::HashMap;

use super::error::RelateError;
use super::relation_map::RelationMap;

/// Relations that an annotation source lists, in whichever order and direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPairs {
    /// The source, e.g. `CORUM`.
    pub source: String,
    /// Its pairs.
    pub pairs: Vec<(String, String)>,
}

/// How much of a source the map holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceOverlap {
    /// The source.
    pub source: String,
    /// Its different pairs, without those of an entity with itself.
    pub num_pairs: usize,
    /// Those of them with both entities in the map.
    pub num_in_map: usize,
}

/// The sources of each pair of rows.
pub(super) struct KnownRows {
    sources: HashMap<(u32, u32), Vec<u32>>,
    pub(super) overlaps: Vec<SourceOverlap>,
}

impl KnownRows {
    /// # Errors
    /// [`RelateError::NoKnownPairs`]: a source that shares no pair with the map is
    /// one of other names.
    pub(super) fn of(map: &RelationMap, known: &[KnownPairs]) -> Result<Self, RelateError> {
        let mut sources: HashMap<(u32, u32), Vec<u32>> = HashMap::new();
        let mut overlaps = Vec::with_capacity(known.len());
        for (index, known) in known.iter().enumerate() {
            let mut pairs: Vec<(&str, &str)> = known
                .pairs
                .iter()
                .filter(|(a, b)| a != b)
                .map(|(a, b)| (a.as_str().min(b), a.as_str().max(b)))
                .collect();
            pairs.sort_unstable();
            pairs.dedup();
            let mut num_in_map = 0;
            for &(a, b) in &pairs {
                if let (Some(a), Some(b)) = (map.row_of(a), map.row_of(b)) {
                    num_in_map += 1;
                    sources
                        .entry((a as u32, b as u32))
                        .or_default()
                        .push(index as u32);
                }
            }
            if let (0, Some((a, b))) = (num_in_map, pairs.first()) {
                let labels = map.labels();
                return Err(RelateError::NoKnownPairs {
                    source_name: known.source.clone(),
                    num_pairs: pairs.len(),
                    pair_example: format!("'{a}', '{b}'").into_boxed_str(),
                    map_example: format!("'{}', '{}'", labels[0], labels[1]).into_boxed_str(),
                });
            }
            overlaps.push(SourceOverlap {
                source: known.source.clone(),
                num_pairs: pairs.len(),
                num_in_map,
            });
        }
        Ok(Self { sources, overlaps })
    }

    /// The sources of a pair, `row` before `column`.
    pub(super) fn sources_of(&self, row: u32, column: u32) -> Vec<String> {
        let found = self.sources.get(&(row, column));
        let indices = found.map_or(&[][..], Vec::as_slice).iter();
        indices
            .map(|&index| self.overlaps[index as usize].source.clone())
            .collect()
    }
}
