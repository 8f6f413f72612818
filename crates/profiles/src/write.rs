use std::io;
use std::path::Path;

use crate::read::Format;
use crate::{Profiles, ProfilesError, ProfilesWriter, anndata, gct};

/// What stops a writer half-way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    #[error(transparent)]
    Arrow(#[from] arrow_schema::ArrowError),
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// What the encoder of AnnData's elements says.
    #[error("{0}")]
    Element(String),
}

/// Writes a profile table in the format its name says: `.parquet`, `.csv`,
/// `.tsv`, `.gct`, the last three also gzipped (`.csv.gz`), AnnData as `.zarr`
/// and, in a build with the feature `h5ad`, as `.h5ad`. The file appears whole
/// or not at all.
///
/// The provenance goes into the Parquet file under the key `morphospace`, and
/// into AnnData as `uns["morphospace"]`; beside a CSV or GCT it stands in
/// `<name>.provenance.json`.
///
/// | format | what comes back otherwise than it was |
/// |---|---|
/// | Parquet | nothing |
/// | CSV, TSV | an empty text as missing, single precision as the double of the same value, a text column that holds nothing but numbers as numbers |
/// | GCT | as CSV, and metadata that reads `NA`, `NaN` or `-666` as missing |
/// | AnnData | a NaN in metadata as missing |
///
/// Text that repeats, or is missing somewhere, is categorical in AnnData, as
/// scanpy's plots want it. A column `obs_names` of texts that are all there and
/// all different names the observations; without one they are 0, 1, 2 .. Zarr
/// is written in version 2, which every anndata from 0.8 on reads, where version
/// 3 asks for zarr-python 3 (0.8.0, 0.9.2, 0.10.9 and 0.12.19 were tried; anndata
/// 0.12 itself writes version 2 unless told). A `.h5ad` asks for 0.9 or newer.
///
/// # Errors
/// An unknown extension, or [`ProfilesError::CannotWrite`] with the system's
/// words.
///
/// # Example
/// ```
/// use morphospace_core::Provenance;
/// use morphospace_profiles::{Column, Features, Profiles, read_profiles, write_profiles};
///
/// let profiles = Profiles::new(
///     vec![("Metadata_Well".to_owned(), Column::from(vec!["A01", "A02"]))],
///     vec!["feature_0".to_owned()],
///     Features::F32(vec![0.1, 0.2]),
/// )?
/// .with_provenance(Provenance::new("embed").with_seed("model", 7));
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("profiles.parquet");
/// write_profiles(&path, &profiles)?;
/// assert_eq!(read_profiles(&path)?, profiles);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_profiles(path: &Path, profiles: &Profiles) -> Result<(), ProfilesError> {
    let written = match Format::of(path)? {
        Format::Gct { gzip } => gct::write(path, gzip, profiles),
        Format::AnnDataH5ad => anndata::write_h5ad(path, profiles)?,
        Format::Parquet | Format::Delimited { .. } | Format::AnnDataZarr => {
            let mut writer = ProfilesWriter::begin(path)?;
            writer.append(profiles)?;
            return writer.finish();
        }
    };
    written.map_err(|error| ProfilesError::CannotWrite {
        path: path.to_owned(),
        source: Box::new(error),
    })
}
