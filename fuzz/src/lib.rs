//! What the fuzz targets do with the bytes they are given.
//!
//! Each target is a function that panics where a parser breaks a promise.
//! [`TARGETS`] lists them; the program hands them libFuzzer's inputs, and the
//! test `fuzz_corpus` of `morphospace-screen`, which includes this file, hands
//! them the stored ones.

pub mod allocation;
mod archive;
mod image;
mod manifest;
mod memory_store;
mod normalisation;
mod screen;
mod split;
mod well_address;

/// A target: the name of its program and of its folder below `corpus`, and
/// what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 21] = [
    ("png", image::png),
    ("png_rows", image::png_rows),
    ("tiff", image::tiff),
    ("lzw", image::lzw),
    ("jpeg", image::jpeg),
    ("jpeg2000", image::jpeg2000),
    ("npy", image::npy),
    ("rxrx1", screen::rxrx1),
    ("rxrx3", screen::rxrx3),
    ("rxrx3_core", screen::rxrx3_core),
    ("jump", screen::jump),
    ("harmony", screen::harmony),
    ("imagexpress", screen::imagexpress),
    ("described", screen::described),
    ("ome_zarr", screen::ome_zarr),
    ("manifest", manifest::manifest),
    ("split", split::split),
    ("normalisation", normalisation::normalisation),
    ("zip", archive::zip),
    ("tar", archive::tar),
    ("well_address", well_address::well_address),
];

/// Runs the target of a name.
///
/// # Panics
/// There is no such target, or a promise is broken.
pub fn run(name: &str, bytes: &[u8]) {
    let (_, target) = TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("there is no target '{name}'"));
    target(bytes);
}
