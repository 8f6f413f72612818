use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use zarrs::array::codec::CodecChain;
use zarrs::array::{
    Array, ArrayMetadata, ArrayShardedExt, ArrayShardedReadableExt, ArrayShardedReadableExtCache,
    ArraySubset, ChunkGrid, ChunkShape, CodecOptions, ElementOwned, data_type,
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
    array: Array<ZarrFiles>,
    grid: ChunkGrid,
    /// `None` where every chunk is a file of its own.
    shards: Option<Shards>,
}

/// How the chunks within a shard are stored.
#[derive(Debug)]
struct Shards {
    codecs: CodecChain,
    chunk_shape: ChunkShape,
    /// Chunks are blosc frames, maybe with a checksum behind.
    is_blosc: bool,
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
            grid: array.subchunk_grid(),
            array,
            shards,
        })
    }

    pub(super) fn shape(&self) -> &[u64] {
        self.array.shape()
    }

    /// The file that holds the first value of a region: a chunk or a shard.
    pub(super) fn file_of(&self, ranges: &[Range<u64>]) -> Result<String, ImageProblem> {
        let starts: Vec<u64> = ranges.iter().map(|range| range.start).collect();
        let chunk = self
            .array
            .chunk_grid()
            .chunk_indices(&starts)
            .ok()
            .flatten()
            .ok_or_else(|| undecodable("its chunks have no size"))?;
        Ok(self.array.chunk_key(&chunk).as_str().to_owned())
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
        let shard_indices = ArrayShardedReadableExtCache::new(&self.array);
        for chunk in &chunks.indices() {
            let place = self.grid.subset(&chunk).ok().flatten();
            let place = place.ok_or_else(|| damaged("its chunks have no size"))?;
            let decoded: Vec<T> = self
                .chunk(&chunk, &shard_indices)
                .map_err(|message| damaged(format!("chunk {chunk:?}: {message}")))?;
            if decoded.len() as u64 != place.num_elements() {
                return Err(damaged(format!("chunk {chunk:?} has another size")));
            }
            copy_overlap(&mut values, ranges, &decoded, &place.to_ranges());
        }
        Ok(values)
    }

    /// All of a chunk, also what lies beyond the array's edge.
    fn chunk<T: ElementOwned>(
        &self,
        indices: &[u64],
        shard_indices: &ArrayShardedReadableExtCache,
    ) -> Result<Vec<T>, String> {
        // Sites are read in parallel; within one there is nothing to gain.
        let options = CodecOptions::default().with_concurrent_target(1);
        let Some(shards) = &self.shards else {
            return self
                .array
                .retrieve_chunk_opt(indices, &options)
                .map_err(|error| error.to_string());
        };
        let encoded = self
            .array
            .retrieve_encoded_subchunk(shard_indices, indices)
            .map_err(|error| error.to_string())?;
        shards.decode(&self.array, encoded, &options)
    }
}

impl Shards {
    fn of(array: &Array<ZarrFiles>) -> Result<Self, String> {
        let ArrayMetadata::V3(metadata) = array.metadata() else {
            return Err("shards in an array of version 2".to_owned());
        };
        let codecs = metadata.codecs.first().and_then(MetadataV3::configuration);
        let codecs = codecs
            .and_then(|configuration| configuration.get("codecs"))
            .ok_or("its shards have no codecs")?;
        let codecs: Vec<MetadataV3> =
            serde_json::from_value(codecs.clone()).map_err(|error| error.to_string())?;
        let names: Vec<&str> = codecs.iter().map(MetadataV3::name).collect();
        let is_blosc = matches!(names[..], [_, "blosc"] | [_, "blosc", "crc32c"]);
        Ok(Self {
            codecs: CodecChain::from_metadata(&codecs).map_err(|error| error.to_string())?,
            chunk_shape: array.subchunk_shape().ok_or("its chunks have no size")?,
            is_blosc,
        })
    }

    fn decode<T: ElementOwned>(
        &self,
        array: &Array<ZarrFiles>,
        encoded: Option<Vec<u8>>,
        options: &CodecOptions,
    ) -> Result<Vec<T>, String> {
        use zarrs::array::{ArrayBytes, ArrayToBytesCodecTraits};

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
