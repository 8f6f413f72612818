use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow_array::{Array, BinaryViewArray};

/// Blocks that are kept: with 16 MiB each, a quarter of a gibibyte.
const NUM_KEPT: usize = 16;

/// Rows that were decompressed together.
#[derive(Debug, Default)]
pub(super) struct ImageBlock {
    parts: Vec<BinaryViewArray>,
}

impl ImageBlock {
    pub(super) fn push(&mut self, rows: BinaryViewArray) {
        self.parts.push(rows);
    }

    pub(super) fn num_rows(&self) -> usize {
        self.parts.iter().map(Array::len).sum()
    }

    /// The bytes of a row; none where the table has no value.
    pub(super) fn value(&self, mut row: usize) -> &[u8] {
        for part in &self.parts {
            if row < part.len() {
                return if part.is_null(row) {
                    &[]
                } else {
                    part.value(row)
                };
            }
            row -= part.len();
        }
        &[]
    }
}

/// Where a block starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockPlace {
    pub(super) shard: u32,
    pub(super) row_group: u32,
    pub(super) first_row: u32,
}

type LoadedBlock = Arc<OnceLock<Result<Arc<ImageBlock>, String>>>;

/// The blocks that were used last. Threads that ask for the same block load
/// it once.
#[derive(Debug, Default)]
pub(super) struct RowBlocks {
    /// The one used last at the end.
    kept: Mutex<VecDeque<(BlockPlace, LoadedBlock)>>,
}

impl RowBlocks {
    /// The block at a place, from memory or from `load`. A failure is not
    /// kept: the next call tries again.
    pub(super) fn get(
        &self,
        place: BlockPlace,
        load: impl FnOnce() -> Result<ImageBlock, String>,
    ) -> Result<Arc<ImageBlock>, String> {
        let block = self.slot(place);
        // Loading holds no lock but the block's own.
        let loaded = block.get_or_init(|| load().map(Arc::new)).clone();
        if loaded.is_err() {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|(_, other)| !Arc::ptr_eq(other, &block));
        }
        loaded
    }

    fn slot(&self, place: BlockPlace) -> LoadedBlock {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(other, _)| *other == place);
        let slot = match known.and_then(|at| kept.remove(at)) {
            Some((_, slot)) => slot,
            None => LoadedBlock::default(),
        };
        kept.push_back((place, Arc::clone(&slot)));
        if kept.len() > NUM_KEPT {
            kept.pop_front();
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(row_group: u32) -> BlockPlace {
        BlockPlace {
            shard: 0,
            row_group,
            first_row: 0,
        }
    }

    #[test]
    fn the_block_used_longest_ago_makes_room() {
        let blocks = RowBlocks::default();
        let mut num_loads = 0;
        let mut visit = |row_group| {
            let load = || {
                num_loads += 1;
                Ok(ImageBlock::default())
            };
            blocks.get(place(row_group), load).expect("loads");
            num_loads
        };
        for row_group in 0..NUM_KEPT as u32 {
            visit(row_group);
        }
        assert_eq!(visit(0), NUM_KEPT);
        assert_eq!(visit(99), NUM_KEPT + 1);
        assert_eq!(visit(0), NUM_KEPT + 1);
        assert_eq!(visit(1), NUM_KEPT + 2);
    }

    #[test]
    fn a_failure_is_tried_again() {
        let blocks = RowBlocks::default();
        let failed = blocks.get(place(1), || Err("no network".to_owned()));
        assert_eq!(failed.expect_err("failed").as_str(), "no network");
        assert!(blocks.get(place(1), || Ok(ImageBlock::default())).is_ok());
    }

    #[test]
    fn rows_are_found_in_any_part() {
        let mut block = ImageBlock::default();
        block.push(BinaryViewArray::from(vec![Some(&b"a"[..]), None]));
        block.push(BinaryViewArray::from(vec![&b"b"[..]]));
        assert_eq!(block.num_rows(), 3);
        let values: Vec<&[u8]> = (0..3).map(|row| block.value(row)).collect();
        assert_eq!(values, [&b"a"[..], b"", b"b"]);
    }
}
