//! All cosines of a map, block by block: 17,000 genes have 144 million pairs,
//! which are counted and never stored.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;
use rayon::prelude::*;

use crate::EntityMap;

/// Rows of a block, whole tiles of the product: its cosines (0.5 MiB) stay in the
/// second-level cache while it is counted.
const BLOCK: usize = 240;

/// Equal bins over [-1, 1]: a bin of a 17,000-gene map holds some 10,000
/// cosines, and a worker's histogram (1 MiB) stays in the cache.
const BINS_PER_UNIT: f64 = 65_536.0;
const NUM_BINS: usize = 2 * 65_536 + 1;

/// Blocks that tell where a share of the values lies before all are computed, and
/// populations of fewer blocks than so many times as many are simply passed twice.
const NUM_SAMPLED_BLOCKS: usize = 64;
const WORTH_SAMPLING: usize = 8;

/// Shares of the population, on either side of one asked for and of all together,
/// that are collected where the sample says.
const MARGIN: f64 = 0.002;
const MAX_MARGINS: f64 = 0.04;

/// Bins with more values than this (ties) are split further, not collected.
const MAX_COLLECTED: u64 = 1 << 22;

/// A set of entity pairs and their cosines.
pub(crate) struct CosinePopulation<'a> {
    left: Rows<'a>,
    right: Rows<'a>,
    num_features: usize,
    blocks: Vec<(usize, usize)>,
    pairs: Pairs,
}

struct Rows<'a> {
    directions: std::borrow::Cow<'a, [f64]>,
    num_rows: usize,
}

enum Pairs {
    /// `i < j` over the rows of the map.
    UpperTriangle,
    /// Every (left, right) of two samples with different entities.
    DifferentEntities { left: Vec<u32>, right: Vec<u32> },
}

/// What one pass over the population finds.
pub(crate) struct Scan {
    pub(crate) size: u64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
    histogram: Vec<u64>,
    /// Cosines of the pairs asked for, in their order.
    pub(crate) gathered: Vec<f64>,
    /// Bins around the shares asked for; empty if there are none.
    is_collected: Vec<bool>,
    /// Keys of all values in them.
    collected: Vec<u64>,
}

/// The value at a rank (from 0) of the sorted population, after `without`
/// (values of the population, e.g. the positives) are taken out.
pub(crate) struct OrderStatistic<'a> {
    pub(crate) rank: u64,
    pub(crate) without: &'a [f64],
}

impl<'a> CosinePopulation<'a> {
    /// All pairs `i < j` of a map.
    pub(crate) fn all_pairs(map: &'a EntityMap) -> Self {
        let num_blocks = map.num_entities().div_ceil(BLOCK);
        Self {
            left: Rows {
                directions: map.directions().into(),
                num_rows: map.num_entities(),
            },
            right: Rows {
                directions: map.directions().into(),
                num_rows: map.num_entities(),
            },
            num_features: map.num_features(),
            blocks: (0..num_blocks)
                .flat_map(|i| (i..num_blocks).map(move |j| (i, j)))
                .collect(),
            pairs: Pairs::UpperTriangle,
        }
    }

    /// The cross product of two samples of rows, less pairs of an entity
    /// with itself; `entities` gives the entity of every row of the map.
    pub(crate) fn samples(
        map: &'a EntityMap,
        left: &[usize],
        right: &[usize],
        entities: &[u32],
    ) -> Self {
        let rows = |sample: &[usize]| Rows {
            directions: map.gather(sample).into(),
            num_rows: sample.len(),
        };
        let of_sample = |sample: &[usize]| sample.iter().map(|&row| entities[row]).collect();
        let num_blocks = |sample: &[usize]| sample.len().div_ceil(BLOCK);
        let (num_left, num_right) = (num_blocks(left), num_blocks(right));
        Self {
            left: rows(left),
            right: rows(right),
            num_features: map.num_features(),
            blocks: (0..num_left)
                .flat_map(|i| (0..num_right).map(move |j| (i, j)))
                .collect(),
            pairs: Pairs::DifferentEntities {
                left: of_sample(left),
                right: of_sample(right),
            },
        }
    }

    /// One pass: size, extremes, mean and histogram of the population, and
    /// the cosines of `asked` (row `<` column, upper triangle only). Where large
    /// populations have `shares` of their values (0.05: of their lowest twentieth)
    /// is likely to be told by [`order_statistics`](Self::order_statistics) without
    /// another pass.
    pub(crate) fn scan(&self, asked: &[(usize, usize)], shares: &[f64]) -> Scan {
        let asked_by_block = self.by_block(asked);
        let is_collected = self.bins_around(shares);
        struct Found {
            histograms: [Vec<u64>; 2],
            collected: Vec<u64>,
            sums: Vec<(usize, u64, f64)>,
            min: f64,
            max: f64,
            gathered: Vec<(usize, f64)>,
        }
        let found = self.fold_blocks(
            &self.all_blocks(),
            || Found {
                histograms: [vec![0; NUM_BINS], vec![0; NUM_BINS]],
                collected: Vec::new(),
                sums: Vec::new(),
                min: f64::INFINITY,
                max: f64::NEG_INFINITY,
                gathered: Vec::new(),
            },
            |found, block| {
                let mut counter = Counter::new(&mut found.histograms);
                self.for_each_row(block, |row| counter.count(row));
                let (count, sum) = (counter.count, counter.sum());
                found.min = found.min.min(counter.min());
                found.max = found.max.max(counter.max());
                // Added up later in the order of blocks: the mean does not
                // depend on which thread took which block.
                found.sums.push((block.index, count, sum));
                for &index in &asked_by_block[block.index] {
                    let (row, column) = asked[index];
                    found.gathered.push((index, block.at(row, column)));
                }
                if !is_collected.is_empty() {
                    let is_wanted = |value| is_collected[bin_of(value)];
                    self.for_each_row(block, |row| {
                        collect_keys(row, is_wanted, &mut found.collected);
                    });
                }
            },
        );
        let mut scan = Scan {
            size: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: f64::NAN,
            histogram: vec![0; NUM_BINS],
            gathered: vec![f64::NAN; asked.len()],
            is_collected,
            collected: Vec::new(),
        };
        let mut sums = Vec::with_capacity(self.blocks.len());
        for part in found {
            scan.min = scan.min.min(part.min);
            scan.max = scan.max.max(part.max);
            sums.extend(part.sums);
            scan.collected.extend(part.collected);
            for histogram in &part.histograms {
                scan.histogram
                    .iter_mut()
                    .zip(histogram)
                    .for_each(|(total, count)| *total += count);
            }
            for (index, value) in part.gathered {
                scan.gathered[index] = value;
            }
        }
        sums.sort_unstable_by_key(|&(index, ..)| index);
        scan.size = sums.iter().map(|&(_, count, _)| count).sum();
        scan.mean = sums.iter().map(|&(.., sum)| sum).sum::<f64>() / scan.size as f64;
        scan
    }

    /// Bins in which shares of a large population are likely to lie.
    fn bins_around(&self, shares: &[f64]) -> Vec<bool> {
        if shares.is_empty() || self.blocks.len() < WORTH_SAMPLING * NUM_SAMPLED_BLOCKS {
            return Vec::new();
        }
        let sampled: Vec<usize> = (0..NUM_SAMPLED_BLOCKS)
            .map(|index| index * self.blocks.len() / NUM_SAMPLED_BLOCKS)
            .collect();
        let histograms = self.fold_blocks(
            &sampled,
            || [vec![0; NUM_BINS], vec![0; NUM_BINS]],
            |histograms, block| {
                let mut counter = Counter::new(histograms);
                self.for_each_row(block, |row| counter.count(row));
            },
        );
        let counts: Vec<u64> = (0..NUM_BINS)
            .map(|bin| histograms.iter().flatten().map(|counts| counts[bin]).sum())
            .collect();
        let size = counts.iter().sum::<u64>();
        if size == 0 {
            return Vec::new();
        }
        let bin_at = |share: f64| {
            let rank = (share.clamp(0.0, 1.0) * size as f64) as u64;
            bin_of_rank(counts.iter().copied(), rank.min(size - 1)).0
        };
        let margin = MARGIN.min(MAX_MARGINS / (2.0 * shares.len() as f64));
        let mut is_collected = vec![false; NUM_BINS];
        for share in shares {
            is_collected[bin_at(share - margin)..=bin_at(share + margin)].fill(true);
        }
        is_collected
    }

    /// Exact order statistics, in at most one further pass (more only where
    /// millions of values are tied).
    ///
    /// Every rank must be smaller than the size of the population less
    /// `without`.
    pub(crate) fn order_statistics(&self, scan: &Scan, asked: &[OrderStatistic]) -> Vec<f64> {
        let located: Vec<Located> = asked
            .iter()
            .map(|one| locate(&scan.histogram, one))
            .collect();
        let mut slots: BTreeMap<usize, usize> = BTreeMap::new();
        for place in &located {
            if scan.histogram[place.bin] <= MAX_COLLECTED {
                let next = slots.len();
                slots.entry(place.bin).or_insert(next);
            }
        }
        let collected = self.collect(scan, &slots);
        located
            .into_iter()
            .map(|place| {
                let key = match slots.get(&place.bin) {
                    Some(&slot) => nth_without(&collected[slot], &place.without, place.rank),
                    None => self.nth_of_crowded_bin(place),
                };
                value_of_key(key)
            })
            .collect()
    }

    /// Sorted keys of all values in some bins.
    fn collect(&self, scan: &Scan, slots: &BTreeMap<usize, usize>) -> Vec<Vec<u64>> {
        if slots.is_empty() {
            return Vec::new();
        }
        let mut is_wanted = vec![false; NUM_BINS];
        slots.keys().for_each(|&bin| is_wanted[bin] = true);
        let is_wanted = |value: f64| is_wanted[bin_of(value)];
        let is_there = |&bin: &usize| scan.is_collected.get(bin) == Some(&true);
        let parts: Vec<Vec<u64>> = if slots.keys().all(is_there) {
            let keys = scan.collected.par_iter().copied();
            vec![keys.filter(|&key| is_wanted(value_of_key(key))).collect()]
        } else {
            self.fold_blocks(&self.all_blocks(), Vec::new, |found, block| {
                self.for_each_row(block, |row| collect_keys(row, is_wanted, found));
            })
        };
        let mut collected = vec![Vec::new(); slots.len()];
        for key in parts.into_iter().flatten() {
            collected[slots[&bin_of(value_of_key(key))]].push(key);
        }
        collected
            .par_iter_mut()
            .for_each(|keys| keys.par_sort_unstable());
        collected
    }

    /// Narrows a bin by its keys' leading bits, thrice: the last level names
    /// a value.
    fn nth_of_crowded_bin(&self, place: Located) -> u64 {
        const LEVELS: [u32; 3] = [43, 22, 0];
        let Located {
            bin,
            mut rank,
            without,
        } = place;
        let (mut prefix, mut shift) = (0, u64::BITS);
        for next_shift in LEVELS {
            let num_sub_bins = 1 << (shift - next_shift);
            // The place of a key among the sub-bins, if it starts as it should.
            let sub_bin = |key: u64| {
                let leading = key.checked_shr(shift).unwrap_or(0);
                (leading == prefix).then(|| (key >> next_shift) as usize & (num_sub_bins - 1))
            };
            let parts = self.fold_blocks(
                &self.all_blocks(),
                || vec![0_u64; num_sub_bins],
                |counts, block| {
                    self.for_each_row(block, |row| {
                        for &value in row {
                            if bin_of(value) == bin
                                && let Some(at) = sub_bin(sort_key(value))
                            {
                                counts[at] += 1;
                            }
                        }
                    });
                },
            );
            let mut counts = vec![0_u64; num_sub_bins];
            for part in parts {
                counts
                    .iter_mut()
                    .zip(part)
                    .for_each(|(total, count)| *total += count);
            }
            for at in without.iter().filter_map(|&key| sub_bin(key)) {
                counts[at] -= 1;
            }
            let (at, left) = bin_of_rank(counts.iter().copied(), rank);
            prefix = (prefix << (shift - next_shift)) | at as u64;
            (rank, shift) = (left, next_shift);
        }
        prefix
    }

    fn by_block(&self, asked: &[(usize, usize)]) -> Vec<Vec<usize>> {
        let place: BTreeMap<(usize, usize), usize> = self
            .blocks
            .iter()
            .enumerate()
            .map(|(index, &block)| (block, index))
            .collect();
        let mut by_block = vec![Vec::new(); self.blocks.len()];
        for (index, &(row, column)) in asked.iter().enumerate() {
            by_block[place[&(row / BLOCK, column / BLOCK)]].push(index);
        }
        by_block
    }

    fn all_blocks(&self) -> Vec<usize> {
        (0..self.blocks.len()).collect()
    }

    /// Computes some blocks once, each worker with a state of its own.
    fn fold_blocks<S: Send>(
        &self,
        blocks: &[usize],
        new_state: impl Fn() -> S + Sync,
        fold: impl Fn(&mut S, &Block) + Sync,
    ) -> Vec<S> {
        let next = AtomicUsize::new(0);
        let num_workers = rayon::current_num_threads().min(blocks.len());
        (0..num_workers)
            .into_par_iter()
            .map(|_| {
                let mut state = new_state();
                let mut values = vec![0.0; BLOCK * BLOCK];
                loop {
                    let Some(&index) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break state;
                    };
                    let place = self.blocks[index];
                    let block = self.block(index, place, &mut values);
                    // In one dispatch, so that several cosines are looked at at a time.
                    Arch::new().dispatch(|| fold(&mut state, &block));
                }
            })
            .collect()
    }

    fn block<'v>(
        &self,
        index: usize,
        place: (usize, usize),
        values: &'v mut Vec<f64>,
    ) -> Block<'v> {
        let range =
            |block: usize, num_rows: usize| block * BLOCK..num_rows.min((block + 1) * BLOCK);
        let rows = range(place.0, self.left.num_rows);
        let columns = range(place.1, self.right.num_rows);
        let left =
            &self.left.directions[rows.start * self.num_features..rows.end * self.num_features];
        let right = &self.right.directions
            [columns.start * self.num_features..columns.end * self.num_features];
        values.resize(rows.len() * columns.len(), 0.0);
        // [rows, D] · [D, columns] → [rows, columns]
        matmul(
            MatMut::from_row_major_slice_mut(values, rows.len(), columns.len()),
            Accum::Replace,
            MatRef::from_row_major_slice(left, rows.len(), self.num_features),
            MatRef::from_row_major_slice(right, columns.len(), self.num_features).transpose(),
            1.0,
            Par::Seq,
        );
        Block {
            index,
            rows,
            columns,
            values,
        }
    }

    /// Visits the cosines of a block that belong to the population.
    #[inline(always)]
    fn for_each_row(&self, block: &Block, mut visit: impl FnMut(&[f64])) {
        for (offset, row) in block.values.chunks_exact(block.columns.len()).enumerate() {
            let row_index = block.rows.start + offset;
            match &self.pairs {
                Pairs::UpperTriangle => {
                    let first = (row_index + 1).saturating_sub(block.columns.start);
                    visit(row.get(first..).unwrap_or_default());
                }
                Pairs::DifferentEntities { left, right } => {
                    let entity = left[row_index];
                    let mut start = 0;
                    for (at, &other) in right[block.columns.clone()].iter().enumerate() {
                        if other == entity {
                            visit(&row[start..at]);
                            start = at + 1;
                        }
                    }
                    visit(&row[start..]);
                }
            }
        }
    }
}

struct Block<'v> {
    index: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    values: &'v [f64],
}

impl Block<'_> {
    fn at(&self, row: usize, column: usize) -> f64 {
        self.values[(row - self.rows.start) * self.columns.len() + column - self.columns.start]
            + 0.0
    }
}

/// Where an order statistic lies: its bin, its rank among the bin's values,
/// and the keys in that bin that do not count.
struct Located {
    bin: usize,
    rank: u64,
    without: Vec<u64>,
}

fn locate(histogram: &[u64], asked: &OrderStatistic) -> Located {
    let mut taken: BTreeMap<usize, u64> = BTreeMap::new();
    for &value in asked.without {
        *taken.entry(bin_of(value)).or_default() += 1;
    }
    let counts = histogram.iter().enumerate().map(|(bin, &count)| {
        if count == 0 {
            0
        } else {
            count - taken.get(&bin).unwrap_or(&0)
        }
    });
    let (bin, rank) = bin_of_rank(counts, asked.rank);
    let mut without: Vec<u64> = asked
        .without
        .iter()
        .filter(|&&value| bin_of(value) == bin)
        .map(|&value| sort_key(value))
        .collect();
    without.sort_unstable();
    Located { bin, rank, without }
}

/// Nearest bin; never falls where the value rises, and a cosine of 1 + 1e-16
/// is in the last. Adding 2⁵² leaves the rounded number in the low bits, which
/// vectorises where a conversion does not.
#[inline(always)]
fn bin_of(value: f64) -> usize {
    const TWO_TO_52: f64 = 4_503_599_627_370_496.0;
    let value = if value > 1.0 { 1.0 } else { value };
    let value = if value < -1.0 { -1.0 } else { value };
    ((value + 1.0) * BINS_PER_UNIT + TWO_TO_52).to_bits() as usize & 0x3_ffff
}

const LANES: usize = 8;

/// Keys of the values that are wanted.
#[inline(always)]
fn collect_keys(row: &[f64], is_wanted: impl Fn(f64) -> bool, to: &mut Vec<u64>) {
    for &value in row {
        if is_wanted(value) {
            to.push(sort_key(value));
        }
    }
}

/// Counts a block's cosines. Lanes keep the sums independent of each other,
/// and neighbours, which often share a bin, go to different histograms: an
/// increment need not wait for the one before.
struct Counter<'h> {
    histograms: &'h mut [Vec<u64>; 2],
    count: u64,
    sums: [f64; LANES],
    mins: [f64; LANES],
    maxs: [f64; LANES],
}

impl<'h> Counter<'h> {
    fn new(histograms: &'h mut [Vec<u64>; 2]) -> Self {
        Self {
            histograms,
            count: 0,
            sums: [0.0; LANES],
            mins: [f64::INFINITY; LANES],
            maxs: [f64::NEG_INFINITY; LANES],
        }
    }

    #[inline(always)]
    fn count(&mut self, row: &[f64]) {
        self.count += row.len() as u64;
        let (chunks, rest) = row.as_chunks::<LANES>();
        for values in chunks {
            self.count_chunk(values);
        }
        for &value in rest {
            self.sums[0] += value;
            self.mins[0] = self.mins[0].min(value);
            self.maxs[0] = self.maxs[0].max(value);
            self.histograms[0][bin_of(value)] += 1;
        }
    }

    #[inline(always)]
    fn count_chunk(&mut self, values: &[f64; LANES]) {
        let bins = values.map(bin_of);
        for (lane, &value) in values.iter().enumerate() {
            self.sums[lane] += value;
            self.mins[lane] = if value < self.mins[lane] {
                value
            } else {
                self.mins[lane]
            };
            self.maxs[lane] = if value > self.maxs[lane] {
                value
            } else {
                self.maxs[lane]
            };
        }
        for (lane, bin) in bins.into_iter().enumerate() {
            self.histograms[lane % 2][bin] += 1;
        }
    }

    fn sum(&self) -> f64 {
        self.sums.iter().sum()
    }

    fn min(&self) -> f64 {
        self.mins.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn max(&self) -> f64 {
        self.maxs.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// The bin that holds a rank, and the rank within it.
fn bin_of_rank(counts: impl Iterator<Item = u64>, rank: u64) -> (usize, u64) {
    let mut below = 0;
    for (bin, count) in counts.enumerate() {
        if rank < below + count {
            return (bin, rank - below);
        }
        below += count;
    }
    unreachable!("a rank of {rank} was asked of {below} values")
}

/// The value at `rank` of sorted keys after one occurrence of each key of
/// `without` (sorted) is taken out.
fn nth_without(keys: &[u64], without: &[u64], rank: u64) -> u64 {
    let mut taken = without.iter().peekable();
    let mut kept = keys
        .iter()
        .filter(|key| taken.next_if(|next| next == key).is_none());
    *kept
        .nth(rank as usize)
        .expect("the histogram counted this value")
}

/// A key that sorts like the value; the two zeros share one.
fn sort_key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    bits ^ ((((bits as i64) >> 63) as u64) | (1 << 63))
}

fn value_of_key(key: u64) -> f64 {
    let mask = if key >> 63 == 1 { 1 << 63 } else { u64::MAX };
    f64::from_bits(key ^ mask)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_statistics_are_the_same_in_one_pass_and_in_two() {
        // As many blocks as are worth sampling; groups of rows lie apart.
        let num_entities = 32 * BLOCK + 3;
        let noise = crate::random_embeddings(num_entities, 3, morphospace_core::Seed::new(1));
        let values = noise.into_iter().enumerate();
        let values =
            values.map(|(at, value)| value + f64::from(u8::from(at % 3 == at / 3 / 900 % 3)));
        let labels = (0..num_entities).map(|row| row.to_string()).collect();
        let map = EntityMap::new(labels, values.collect(), 3).expect("a map");
        let population = CosinePopulation::all_pairs(&map);
        assert!(population.blocks.len() >= WORTH_SAMPLING * NUM_SAMPLED_BLOCKS);
        let shares = [0.05, 0.9];
        let (plain, one_pass) = (population.scan(&[], &[]), population.scan(&[], &shares));
        assert_eq!(plain.histogram, one_pass.histogram);
        let num_collected = one_pass.collected.len() as u64;
        assert!(num_collected > 0 && num_collected < plain.size / 10);
        // Some are where the sample says, the last is not.
        let ranks = [0.049, 0.05, 0.9, 0.902, 0.5];
        let asked = ranks.map(|share| OrderStatistic {
            rank: (share * plain.size as f64) as u64,
            without: &[],
        });
        let expected = population.order_statistics(&plain, &asked);
        assert_eq!(population.order_statistics(&one_pass, &asked), expected);
        assert_eq!(
            population.order_statistics(&one_pass, &asked[..4]),
            expected[..4]
        );
    }

    proptest! {
        #[test]
        fn keys_sort_like_values(a in -2.0f64..2.0, b in -2.0f64..2.0) {
            prop_assert_eq!(sort_key(a).cmp(&sort_key(b)), a.partial_cmp(&b).expect("finite"));
            prop_assert_eq!(value_of_key(sort_key(a)), a);
        }
    }

    /// 700 rows (three blocks) of few directions: ties everywhere.
    fn tied_map() -> EntityMap {
        let labels = (0..700).map(|i| format!("G{i}")).collect();
        let values = (0..700)
            .flat_map(|i| [f64::from(i % 7) - 3.0, f64::from(i % 5)])
            .collect();
        EntityMap::new(labels, values, 2).expect("finite")
    }

    #[test]
    fn order_statistics_are_those_of_the_sorted_population() {
        let map = tied_map();
        let population = CosinePopulation::all_pairs(&map);
        let asked: Vec<(usize, usize)> = (0..700)
            .flat_map(|i| (i + 1..700).map(move |j| (i, j)))
            .collect();
        let scan = population.scan(&asked, &[]);
        assert_eq!(scan.size, 700 * 699 / 2);
        let mut sorted = scan.gathered.clone();
        sorted.sort_by(f64::total_cmp);
        assert_eq!((scan.min, scan.max), (sorted[0], sorted[sorted.len() - 1]));
        let ranks = [0, 1, 1000, 122_325, 244_649];
        let without: Vec<f64> = sorted.iter().step_by(1000).copied().collect();
        let left: Vec<f64> = sorted
            .iter()
            .enumerate()
            .filter(|(i, _)| i % 1000 != 0)
            .map(|(_, &v)| v)
            .collect();
        let mut requests: Vec<OrderStatistic> = ranks
            .iter()
            .map(|&rank| OrderStatistic { rank, without: &[] })
            .collect();
        requests.extend([7, 200_000].map(|rank| OrderStatistic {
            rank,
            without: &without,
        }));
        let found = population.order_statistics(&scan, &requests);
        let mut expected: Vec<f64> = ranks.iter().map(|&rank| sorted[rank as usize]).collect();
        expected.extend([left[7], left[200_000]]);
        assert_eq!(found, expected);
        // The path for crowded bins gives the same.
        for (request, expected) in requests.iter().zip(expected) {
            let place = locate(&scan.histogram, request);
            assert_eq!(value_of_key(population.nth_of_crowded_bin(place)), expected);
        }
    }
}
