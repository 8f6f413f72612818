//! Integration tests of the readers and of what happens to their images.

// Tests say what they skip.
#![allow(clippy::print_stderr)]

mod bad_images;
mod bad_tables;
#[cfg(feature = "buckets")]
mod buckets;
mod curation;
mod decode;
mod described;
mod described_formats;
#[cfg(feature = "buckets")]
mod fetch;
#[cfg(feature = "buckets")]
mod fetch_listing;
mod foreign_images;
/// What the fuzz targets do, run on their stored inputs by `fuzz_corpus`.
#[path = "../../../../fuzz/src/lib.rs"]
#[allow(unreachable_pub)]
mod fuzz;
mod fuzz_corpus;
mod golden;
mod harmony;
mod hostile;
mod hostile_archives;
mod illumination;
mod image_planes;
mod image_round_trip;
mod imagexpress;
mod inspect;
mod inspect_quality;
mod jump;
mod manifest;
mod memory_screen;
mod normalisation;
mod npy;
mod ome_zarr;
mod pack;
mod real_data;
mod real_metadata;
mod rxrx1;
mod rxrx3;
mod rxrx3_core;
#[cfg(feature = "buckets")]
mod s3_server;
mod sampler;
mod selected;
mod simulator_layouts;
mod site_image;
mod split;
mod split_properties;
mod split_table;
mod support;
#[cfg(feature = "buckets")]
mod web_screens;
#[cfg(feature = "buckets")]
mod web_server;
#[cfg(feature = "buckets")]
mod weights_location;
mod wilds;
