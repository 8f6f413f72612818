use std::io;
use std::path::Path;

use morphospace_core::write_atomically;

use crate::read::Format;
use crate::{Profiles, ProfilesError, delimited, parquet_file};

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
}

/// Writes a profile table in the format its name says: `.parquet`, `.csv`,
/// `.tsv`, `.csv.gz`, `.tsv.gz`. The file appears whole or not at all.
///
/// The provenance goes into the Parquet file under the key `morphospace`;
/// beside a CSV it stands in `<name>.provenance.json`. Parquet gives back
/// exactly what was written. CSV knows neither types nor empty text: an
/// empty text comes back as missing, single precision as the double of the
/// same value, and a text column that holds nothing but numbers as numbers.
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
        Format::Parquet => write_atomically(path, |file| parquet_file::write(file, profiles)),
        Format::Delimited { delimiter, gzip } => delimited::write_side_file(path, profiles)
            .map_err(WriteError::from)
            .and_then(|()| {
                write_atomically(path, |file| {
                    delimited::write(file, delimiter, gzip, profiles)
                })
            }),
    };
    written.map_err(|error| ProfilesError::CannotWrite {
        path: path.to_owned(),
        source: Box::new(error),
    })
}
