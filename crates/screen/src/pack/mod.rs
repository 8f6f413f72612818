//! Packing a screen into OME-Zarr plates that are fast to read in pieces.
//!
//! [`pack`] writes one `{plate}.zarr` per plate (version 0.5: Zarr v3 with
//! sharding), one array `[channel, row, column]` and one data file per site,
//! and a `manifest.parquet` beside them; [`OmeZarrScreen`](crate::OmeZarrScreen)
//! reads them back with all labels, napari and the `ome-zarr` and `zarr`
//! packages without. [`verify_pack`] decodes everything again.

mod attributes;
mod config;
mod site_array;
mod verify;
mod write;

pub use config::{PackConfig, PackError};
pub use verify::{PackVerification, verify_pack};
pub(crate) use write::packed_notes;
pub use write::{PackReport, pack};
