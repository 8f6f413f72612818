use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;

use zarrs::array::codec::CodecChain;
use zarrs::array::{
    Array, ArrayBytes, ArrayMetadata, ArrayShardedExt, ArraySubset, ArrayToBytesCodecTraits,
    BytesRepresentation, ChunkGrid, ChunkShape, CodecOptions, ElementOwned, FillValue, data_type,
};
use zarrs::metadata::v3::MetadataV3;

use crate::decode::{DecodeError, MAX_NUM_PIXELS};
use crate::error::ImageProblem;
use crate::screen::Pixels;
use crate::store::{SharedStore, ZarrFiles, joined};

/// An array of pixels in a store, Zarr version 2 or 3.
///
/// Chunks are decoded whole, also where part of one is wanted: checksums are
/// of whole chunks, and `zarrs` passes over them where it decodes parts.
#[derive(Debug)]
pub(super) struct ZarrArray {
    store: SharedStore,
    array: Array<ZarrFiles>,
    grid: ChunkGrid,
    /// `None` where every chunk is a file of its own.
    shards: Option<Shards>,
}

impl ZarrArray {
    pub(super) fn open(store: &SharedStore, path: &str) -> Result<Self, ImageProblem> {
        let is_there = ["zarr.json", ".zarray"]
            .iter()
            .any(|file| store.is_present(&joined(path, file)));
        if !is_there {
            return Err(ImageProblem::Missing);
        }
        let files = Arc::new(ZarrFiles(SharedStore::clone(store)));
        let array = Array::open(files, &format!("/{path}"))
            .map_err(|error| undecodable(error.to_string()))?;
        // A forged chunk size would claim memory before a byte is read.
        let chunk: u64 = array
            .chunk_shape(&vec![0; array.shape().len()])
            .map(|shape| {
                shape
                    .iter()
                    .fold(1u64, |size, side| size.saturating_mul(side.get()))
            })
            .map_err(|error| undecodable(error.to_string()))?;
        if chunk > MAX_NUM_PIXELS as u64 * 8 {
            return Err(undecodable(format!("its chunks have {chunk} pixels")));
        }
        let shards = if array.is_exclusively_sharded() {
            Some(Shards::of(&array).map_err(undecodable)?)
        } else {
            None
        };
        Ok(Self {
            store: SharedStore::clone(store),
            grid: array.subchunk_grid(),
            array,
            shards,
        })
    }

    pub(super) fn shape(&self) -> &[u64] {
        self.array.shape()
    }

    /// The files that hold a region, chunks or shards; they need not be
    /// there, since Zarr leaves out chunks of the fill value.
    pub(super) fn files_of(
        &self,
        ranges: &[Range<u64>],
    ) -> Result<impl Iterator<Item = String>, ImageProblem> {
        let region = ArraySubset::new_with_ranges(ranges);
        let chunks = self.array.chunk_grid().chunks_in_array_subset(&region);
        let chunks = chunks.ok().flatten();
        let chunks = chunks.ok_or_else(|| undecodable("its chunks have no size"))?;
        let key = |chunk: &[u64]| self.array.chunk_key(chunk).as_str().to_owned();
        Ok(chunks.indices().into_iter().map(move |chunk| key(&chunk)))
    }

    /// The values of a region in the order of the array's axes.
    pub(super) fn read(&self, ranges: &[Range<u64>]) -> Result<Pixels, DecodeError> {
        let data_type = self.array.data_type();
        if *data_type == data_type::uint8() {
            self.values(ranges).map(Pixels::U8)
        } else if *data_type == data_type::uint16() {
            self.values(ranges).map(Pixels::U16)
        } else {
            Err(DecodeError::Unsupported {
                format: "Zarr",
                found: format!("values of type {data_type:?}"),
            })
        }
    }

    fn values<T: ElementOwned + Copy + Default>(
        &self,
        ranges: &[Range<u64>],
    ) -> Result<Vec<T>, DecodeError> {
        let region = ArraySubset::new_with_ranges(ranges);
        let chunks = self.grid.chunks_in_array_subset(&region);
        let chunks = chunks
            .ok()
            .flatten()
            .ok_or_else(|| damaged("its chunks have no size"))?;
        let mut values = vec![T::default(); region.num_elements_usize()];
        let mut indices = HashMap::new();
        for chunk in &chunks.indices() {
            let place = self.grid.subset(&chunk).ok().flatten();
            let place = place.ok_or_else(|| damaged("its chunks have no size"))?;
            let decoded: Vec<T> = self
                .chunk(&chunk, &mut indices)
                .map_err(|message| damaged(format!("chunk {chunk:?}: {message}")))?;
            if decoded.len() as u64 != place.num_elements() {
                return Err(damaged(format!("chunk {chunk:?} has another size")));
            }
            copy_overlap(&mut values, ranges, &decoded, &place.to_ranges());
        }
        Ok(values)
    }

    /// All of a chunk, also what lies beyond the array's edge. Indices of
    /// shards are kept for the next chunk.
    fn chunk<T: ElementOwned>(
        &self,
        chunk: &[u64],
        indices: &mut HashMap<String, Option<Vec<u64>>>,
    ) -> Result<Vec<T>, String> {
        // Sites are read in parallel; within one there is nothing to gain.
        let options = CodecOptions::default().with_concurrent_target(1);
        let Some(shards) = &self.shards else {
            return self
                .array
                .retrieve_chunk_opt(chunk, &options)
                .map_err(|error| error.to_string());
        };
        let (shard, position) = shards.place_of(chunk);
        let file = self.array.chunk_key(&shard).as_str().to_owned();
        let index = match indices.entry(file.clone()) {
            Entry::Occupied(index) => index.into_mut(),
            Entry::Vacant(place) => {
                place.insert(shards.read_index(&self.store, &file, &options)?)
            }
        };
        let encoded = match index {
            None => None,
            Some(index) => read_chunk(&self.store, &file, index, position)?,
        };
        shards.decode(&self.array, encoded, &options)
    }
}

/// How chunks are stored within shards. `zarrs` can read them, too, but
/// panics at an index that was tampered with.
#[derive(Debug)]
struct Shards {
    codecs: CodecChain,
    index_codecs: CodecChain,
    is_index_at_start: bool,
    chunk_shape: ChunkShape,
    /// Chunks of a shard along each axis.
    num_chunks: ChunkShape,
    /// Chunks are blosc frames, maybe with a checksum behind.
    is_blosc: bool,
}

impl Shards {
    fn of(array: &Array<ZarrFiles>) -> Result<Self, String> {
        let ArrayMetadata::V3(metadata) = array.metadata() else {
            return Err("shards in an array of version 2".to_owned());
        };
        let sharding = metadata.codecs.first().and_then(MetadataV3::configuration);
        let sharding = sharding.ok_or("its shards have no codecs")?;
        let codecs = |key: &str| -> Result<Vec<MetadataV3>, String> {
            let codecs = sharding.get(key).cloned().unwrap_or_default();
            serde_json::from_value(codecs).map_err(|error| format!("{key}: {error}"))
        };
        let chain = |codecs: &[MetadataV3]| {
            CodecChain::from_metadata(codecs).map_err(|error| error.to_string())
        };
        let chunk_codecs = codecs("codecs")?;
        let names: Vec<&str> = chunk_codecs.iter().map(MetadataV3::name).collect();
        let chunk_shape = array.subchunk_shape().ok_or("its chunks have no size")?;
        let shard_shape = array
            .chunk_shape(&vec![0; array.shape().len()])
            .map_err(|error| error.to_string())?;
        let along = |(shard, chunk): (&NonZeroU64, &NonZeroU64)| {
            let is_whole = shard.get() % chunk.get() == 0;
            NonZeroU64::new(shard.get() / chunk.get()).filter(|_| is_whole)
        };
        let num_chunks: Option<Vec<NonZeroU64>> = shard_shape
            .iter()
            .zip(chunk_shape.iter())
            .map(along)
            .collect();
        Ok(Self {
            is_blosc: matches!(names[..], [_, "blosc"] | [_, "blosc", "crc32c"]),
            codecs: chain(&chunk_codecs)?,
            index_codecs: chain(&codecs("index_codecs")?)?,
            is_index_at_start: sharding.get("index_location").and_then(|at| at.as_str())
                == Some("start"),
            num_chunks: num_chunks.ok_or("its shards are no whole number of chunks")?,
            chunk_shape,
        })
    }

    /// The shard of a chunk, and the chunk's position in its index.
    fn place_of(&self, chunk: &[u64]) -> (Vec<u64>, usize) {
        let mut shard = Vec::with_capacity(chunk.len());
        let mut position = 0;
        for (&index, along) in chunk.iter().zip(self.num_chunks.iter()) {
            shard.push(index / along.get());
            position = position * along.get() + index % along.get();
        }
        (shard, position as usize)
    }

    /// Offsets and lengths of a shard's chunks, by turns; `None` where there
    /// is no shard.
    fn read_index(
        &self,
        store: &SharedStore,
        file: &str,
        options: &CodecOptions,
    ) -> Result<Option<Vec<u64>>, String> {
        let Some(file_len) = store.len(file).map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        let mut shape = self.num_chunks.to_vec();
        shape.push(const { NonZeroU64::new(2).expect("two is not zero") });
        let (data_type, fill_value) = (data_type::uint64(), FillValue::from(u64::MAX));
        let size = self
            .index_codecs
            .encoded_representation(&shape, &data_type, &fill_value);
        let Ok(BytesRepresentation::FixedSize(len)) = size else {
            return Err("the index of its shard has no fixed length".to_owned());
        };
        let start = file_len.checked_sub(len);
        let start = start.ok_or("its shard is shorter than the index")?;
        let range = match self.is_index_at_start {
            true => 0..len,
            false => start..file_len,
        };
        let encoded = store
            .read_range(file, range)
            .map_err(|error| error.to_string())?;
        self.index_codecs
            .decode(
                Cow::Owned(encoded),
                &shape,
                &data_type,
                &fill_value,
                options,
            )
            .map_err(|error| error.to_string())
            .and_then(|index| {
                u64::from_array_bytes(&data_type, index).map_err(|error| error.to_string())
            })
            .map(Some)
    }

    fn decode<T: ElementOwned>(
        &self,
        array: &Array<ZarrFiles>,
        encoded: Option<Vec<u8>>,
        options: &CodecOptions,
    ) -> Result<Vec<T>, String> {
        let (data_type, fill_value) = (array.data_type(), array.fill_value());
        let num_elements: u64 = self.chunk_shape.iter().map(|side| side.get()).product();
        let bytes = match encoded {
            None => ArrayBytes::new_fill_value(data_type, num_elements, fill_value)
                .map_err(|error| error.to_string())?,
            Some(encoded) => {
                let wanted = num_elements.saturating_mul(size_of::<T>() as u64);
                if self.is_blosc {
                    check_blosc_len(&encoded, wanted)?;
                }
                self.codecs
                    .decode(
                        Cow::Owned(encoded),
                        &self.chunk_shape,
                        data_type,
                        fill_value,
                        options,
                    )
                    .map_err(|error| error.to_string())?
            }
        };
        T::from_array_bytes(data_type, bytes).map_err(|error| error.to_string())
    }
}

/// The bytes of a chunk in a shard; `None` where it is left out, since it
/// holds the fill value alone.
fn read_chunk(
    store: &SharedStore,
    file: &str,
    index: &[u64],
    position: usize,
) -> Result<Option<Vec<u8>>, String> {
    let &[offset, len] = index
        .get(2 * position..2 * position + 2)
        .and_then(|place| place.first_chunk::<2>())
        .ok_or("the index of its shard is too short")?;
    if (offset, len) == (u64::MAX, u64::MAX) {
        return Ok(None);
    }
    let end = offset.checked_add(len);
    let end = end.ok_or("the index of its shard leads out of it")?;
    let bytes = store.read_range(file, offset..end);
    bytes.map(Some).map_err(|error| error.to_string())
}

/// Refuses a frame that says it holds more than a chunk before memory is
/// claimed for it. Bytes 4 to 7 are its length when unpacked
/// (<https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst>).
fn check_blosc_len(encoded: &[u8], wanted: u64) -> Result<(), String> {
    let len = encoded.get(4..8).and_then(|bytes| bytes.try_into().ok());
    match len.map(u32::from_le_bytes) {
        Some(len) if u64::from(len) == wanted => Ok(()),
        Some(len) => Err(format!("it unpacks to {len} bytes, not {wanted}")),
        None => Err("it ends within its header".to_owned()),
    }
}

/// Copies what a chunk and a region have in common. Both are row-major.
fn copy_overlap<T: Copy>(
    values: &mut [T],
    region: &[Range<u64>],
    chunk: &[T],
    place: &[Range<u64>],
) {
    let common: Vec<Range<u64>> = region
        .iter()
        .zip(place)
        .map(|(one, other)| one.start.max(other.start)..one.end.min(other.end))
        .collect();
    if common.iter().any(Range::is_empty) {
        return;
    }
    let Some((last, outer)) = common.split_last() else {
        return;
    };
    let len = (last.end - last.start) as usize;
    let offset = |at: &[u64], within: &[Range<u64>]| {
        let each = at.iter().zip(within);
        each.fold(0, |offset, (index, range)| {
            offset * (range.end - range.start) + (index - range.start)
        }) as usize
    };
    let mut at: Vec<u64> = common.iter().map(|range| range.start).collect();
    loop {
        let (from, to) = (offset(&at, place), offset(&at, region));
        values[to..to + len].copy_from_slice(&chunk[from..from + len]);
        // The next row, as an odometer counts.
        let Some(axis) = (0..outer.len()).rfind(|&axis| at[axis] + 1 < outer[axis].end) else {
            return;
        };
        at[axis] += 1;
        for axis in axis + 1..outer.len() {
            at[axis] = outer[axis].start;
        }
    }
}

pub(super) fn damaged(message: impl Into<String>) -> DecodeError {
    DecodeError::Damaged {
        format: "Zarr",
        message: message.into(),
    }
}

fn undecodable(message: impl Into<String>) -> ImageProblem {
    ImageProblem::Undecodable(damaged(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_meet_in_a_region() {
        // A 4 x 6 plane of 10 * row + column in chunks of 3 x 4, read from
        // row 1 to 3 and column 2 to 5.
        let region = [0..1, 1..4, 2..6];
        let mut values = vec![0; 12];
        for (top, left) in [(0, 0), (0, 4), (3, 0), (3, 4)] {
            let chunk: Vec<u64> = (0..12)
                .map(|index| 10 * (top + index / 4) + left + index % 4)
                .collect();
            let place = [0..1, top..top + 3, left..left + 4];
            copy_overlap(&mut values, &region, &chunk, &place);
        }
        assert_eq!(values, [12, 13, 14, 15, 22, 23, 24, 25, 32, 33, 34, 35]);
    }
}
