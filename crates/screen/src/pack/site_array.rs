use std::path::Path;
use std::sync::Arc;

use morphospace_core::sha256_hex;
use serde_json::{Value, json};
use zarrs::array::{Array, ArrayBuilder, ArraySubset, CodecOptions, codec, data_type};
use zarrs::filesystem::FilesystemStore;
use zarrs::metadata_ext::codec::blosc::{BloscCompressionLevel, BloscCompressor, BloscShuffleMode};

use super::config::PackConfig;
use crate::screen::{Pixels, Plane};

/// The channels of one site on their way into an array. Missing ones are
/// zeros there; the manifest says which they are.
pub(super) struct SiteArray {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) planes: Vec<Option<Plane>>,
    is_deep: bool,
}

impl SiteArray {
    /// `None` where there is no image at all. All images have one size.
    pub(super) fn new(planes: Vec<Option<Plane>>) -> Option<Self> {
        let first = planes.iter().flatten().next()?;
        let (width, height) = (first.width, first.height);
        let is_deep = planes.iter().flatten().any(|plane| plane.bit_depth() == 16);
        Some(Self {
            width,
            height,
            planes,
            is_deep,
        })
    }

    /// The brightest value of each channel.
    pub(super) fn largest(&self) -> Vec<u16> {
        let largest = |plane: &Option<Plane>| match plane.as_ref().map(|plane| &plane.pixels) {
            None => 0,
            Some(Pixels::U8(values)) => u16::from(values.iter().copied().max().unwrap_or(0)),
            Some(Pixels::U16(values)) => values.iter().copied().max().unwrap_or(0),
        };
        self.planes.iter().map(largest).collect()
    }

    /// SHA-256 of each channel's pixels as little-endian values, empty where
    /// there is no image.
    pub(super) fn checksums(&self) -> Vec<String> {
        let checksum = |plane: &Option<Plane>| match plane {
            None => String::new(),
            // As it is stored: an 8-bit channel among 16-bit ones has 16.
            Some(plane) if self.is_deep => pixel_checksum(&Plane {
                pixels: Pixels::U16(plane.values()),
                ..*plane
            }),
            Some(plane) => pixel_checksum(plane),
        };
        self.planes.iter().map(checksum).collect()
    }

    /// What is noted down with the array, and decides whether it is made anew.
    pub(super) fn origin(&self, config: &PackConfig) -> Value {
        json!({
            "chunk_px": config.chunk_px,
            "compression_level": config.compression_level,
            "pixels_sha256": self.checksums(),
        })
    }

    /// Writes the array to `folder/0`: one shard of chunks that are
    /// compressed (blosc: bit-shuffled, Zstandard) and carry a CRC-32C each.
    pub(super) fn write(&self, folder: &Path, config: &PackConfig) -> Result<(), String> {
        let store = FilesystemStore::new(folder).map_err(|error| error.to_string())?;
        let shape = vec![self.planes.len(), self.height, self.width];
        let side = |length: usize| length.next_multiple_of(config.chunk_px) as u64;
        let shard = vec![
            self.planes.len() as u64,
            side(self.height),
            side(self.width),
        ];
        let chunk = vec![1, config.chunk_px as u64, config.chunk_px as u64];
        let shape: Vec<u64> = shape.into_iter().map(|length| length as u64).collect();
        let data_type = if self.is_deep {
            data_type::uint16()
        } else {
            data_type::uint8()
        };
        let level = BloscCompressionLevel::try_from(config.compression_level)
            .map_err(|level| format!("compression level {level}"))?;
        let blosc = codec::BloscCodec::new(
            BloscCompressor::Zstd,
            level,
            None,
            BloscShuffleMode::BitShuffle,
            Some(if self.is_deep { 2 } else { 1 }),
        )
        .map_err(|error| error.to_string())?;
        let mut builder = if self.is_deep {
            ArrayBuilder::new(shape, shard, data_type, 0u16)
        } else {
            ArrayBuilder::new(shape, shard, data_type, 0u8)
        };
        let array = builder
            .subchunk_shape(chunk)
            .bytes_to_bytes_codecs(vec![Arc::new(blosc), Arc::new(codec::Crc32cCodec::new())])
            .dimension_names(["c", "y", "x"].into())
            .build(Arc::new(store), "/0")
            .map_err(|error| error.to_string())?;
        array.store_metadata().map_err(|error| error.to_string())?;
        self.store(&array).map_err(|error| error.to_string())
    }

    /// Whether all its pixels are 0.
    fn is_black(&self) -> bool {
        let mut planes = self.planes.iter().flatten();
        planes.all(|plane| match &plane.pixels {
            Pixels::U8(values) => values.iter().all(|value| *value == 0),
            Pixels::U16(values) => values.iter().all(|value| *value == 0),
        })
    }

    fn store(&self, array: &Array<FilesystemStore>) -> Result<(), zarrs::array::ArrayError> {
        // Sites are packed in parallel; within one there is nothing to gain.
        // Zarr leaves out what is 0 throughout: a file that is not there would tell
        // a site of black images from one without any by nothing.
        let options = CodecOptions::default()
            .with_concurrent_target(1)
            .with_store_empty_chunks(self.is_black());
        let size = self.width * self.height;
        let all = ArraySubset::new_with_shape(array.shape().to_vec());
        if self.is_deep {
            let mut values: Vec<u16> = Vec::with_capacity(size * self.planes.len());
            for plane in &self.planes {
                match plane.as_ref().map(|plane| &plane.pixels) {
                    None => values.extend(std::iter::repeat_n(0, size)),
                    Some(Pixels::U16(pixels)) => values.extend(pixels),
                    Some(Pixels::U8(pixels)) => values.extend(pixels.iter().map(|&v| u16::from(v))),
                }
            }
            array.store_array_subset_opt(&all, values, &options)
        } else {
            let mut values: Vec<u8> = Vec::with_capacity(size * self.planes.len());
            for plane in &self.planes {
                match plane.as_ref().map(|plane| &plane.pixels) {
                    Some(Pixels::U8(pixels)) => values.extend(pixels),
                    _ => values.extend(std::iter::repeat_n(0, size)),
                }
            }
            array.store_array_subset_opt(&all, values, &options)
        }
    }
}

/// SHA-256 of an image's pixels as little-endian values.
pub(super) fn pixel_checksum(plane: &Plane) -> String {
    match &plane.pixels {
        Pixels::U8(values) => sha256_hex(values),
        Pixels::U16(values) => {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            sha256_hex(&bytes)
        }
    }
}
