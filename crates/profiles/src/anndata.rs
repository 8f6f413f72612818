//! AnnData 0.8 and newer, the table of scanpy: features in `X`, metadata in
//! `obs`, names of features in `var`, where it came from in `uns`.
//!
//! What an element is stands in its attributes `encoding-type` and
//! `encoding-version`, whether it lies in a Zarr folder or in an HDF5 file:
//! `element.rs` says what both can do, `table.rs` reads tables through it.

mod element;
#[cfg(feature = "h5ad")]
mod h5ad_file;
mod matrix;
mod obs_column;
mod table;
mod zarr_folder;
mod zarr_writer;

use std::path::Path;

use crate::table_file::TableFile;
use crate::write::WriteError;
use crate::{Profiles, ProfilesError, ReadOptions};

pub(crate) use zarr_writer::ZarrWriter;

/// Groups of an AnnData object that are empty here; readers expect them.
const EMPTY_GROUPS: [&str; 5] = ["layers", "obsm", "obsp", "varm", "varp"];
/// The metadata column that names observations.
const OBS_NAMES: &str = "obs_names";
/// What anndata calls an index that has no name.
const INDEX: &str = "_index";
/// Where provenance stands.
const PROVENANCE: &str = "uns/morphospace";

/// Opens AnnData in a folder of Zarr.
pub(crate) fn open_zarr(
    path: &Path,
    options: &ReadOptions,
) -> Result<Box<dyn TableFile>, ProfilesError> {
    let store = zarr_folder::ZarrFolder::open(path)?;
    Ok(Box::new(table::open(Box::new(store), options)?))
}

/// Opens AnnData in an HDF5 file.
#[cfg(feature = "h5ad")]
pub(crate) fn open_h5ad(
    path: &Path,
    options: &ReadOptions,
) -> Result<Box<dyn TableFile>, ProfilesError> {
    let store = h5ad_file::H5adFile::open(path)?;
    Ok(Box::new(table::open(Box::new(store), options)?))
}

/// Writes AnnData as an HDF5 file.
#[cfg(feature = "h5ad")]
pub(crate) fn write_h5ad(
    path: &Path,
    profiles: &Profiles,
) -> Result<Result<(), WriteError>, ProfilesError> {
    Ok(h5ad_file::write(path, profiles))
}

#[cfg(not(feature = "h5ad"))]
pub(crate) fn open_h5ad(
    path: &Path,
    _options: &ReadOptions,
) -> Result<Box<dyn TableFile>, ProfilesError> {
    Err(not_built(path))
}

#[cfg(not(feature = "h5ad"))]
pub(crate) fn write_h5ad(
    path: &Path,
    _profiles: &Profiles,
) -> Result<Result<(), WriteError>, ProfilesError> {
    Err(not_built(path))
}

#[cfg(not(feature = "h5ad"))]
fn not_built(path: &Path) -> ProfilesError {
    ProfilesError::NotBuilt {
        path: path.to_owned(),
        feature: "h5ad",
        instead: "AnnData as Zarr (.zarr)",
    }
}
