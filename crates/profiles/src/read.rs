use std::fs::File;
use std::path::Path;

use crate::{ColumnRoles, Profiles, ProfilesError, ReadOptions, delimited, parquet_file};

/// The formats a profile table is kept in, told apart by the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Delimited { delimiter: u8, gzip: bool },
}

impl Format {
    pub(crate) fn of(path: &Path) -> Result<Self, ProfilesError> {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_ascii_lowercase();
        let (stem, gzip) = match name.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (name.as_str(), false),
        };
        if stem.ends_with(".csv") {
            Ok(Self::Delimited {
                delimiter: b',',
                gzip,
            })
        } else if stem.ends_with(".tsv") {
            Ok(Self::Delimited {
                delimiter: b'\t',
                gzip,
            })
        } else if !gzip && (stem.ends_with(".parquet") || stem.ends_with(".pq")) {
            Ok(Self::Parquet)
        } else {
            Err(ProfilesError::UnknownExtension {
                path: path.to_owned(),
            })
        }
    }
}

/// Reads a profile table: `.parquet`, `.csv`, `.tsv`, and the last two
/// gzipped (`.csv.gz`). Which columns are features is decided by the rule of
/// [`ReadOptions`].
///
/// Features that are all single precision stay so; any mixture, and whole
/// numbers, become double precision. A missing feature value becomes NaN,
/// which [`Profiles::check_finite`] refuses where it matters. Metadata lists
/// are read as text joined by `|`.
///
/// # Errors
/// [`ProfilesError`] names the file, the column and row, and the fix.
///
/// # Example
/// ```
/// use morphospace_profiles::{Features, read_profiles};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("profiles.csv");
/// std::fs::write(&path, "well_id,concentration,feature_0\nHUVEC-1_1_B02,0.25,1.5\n")?;
///
/// let profiles = read_profiles(&path)?;
/// assert_eq!(profiles.feature_names(), ["feature_0"]);
/// assert_eq!(profiles.keys("concentration")?, ["0.25"]);
/// assert_eq!(profiles.features(), &Features::F64(vec![1.5]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_profiles(path: &Path) -> Result<Profiles, ProfilesError> {
    read_profiles_with(path, &ReadOptions::default()).map(|(profiles, _)| profiles)
}

/// [`read_profiles`] with a say in which columns are features; tells what
/// became of each column.
///
/// # Errors
/// [`ProfilesError`] names the file, the column and row, and the fix.
pub fn read_profiles_with(
    path: &Path,
    options: &ReadOptions,
) -> Result<(Profiles, ColumnRoles), ProfilesError> {
    let format = Format::of(path)?;
    let file = File::open(path).map_err(|source| ProfilesError::CannotOpen {
        path: path.to_owned(),
        source,
    })?;
    let read = match format {
        _ if file.metadata().is_ok_and(|metadata| metadata.len() == 0) => {
            Err(ProfilesError::Empty {
                what: "the file has no bytes",
            })
        }
        Format::Parquet => parquet_file::read(file, options),
        Format::Delimited { delimiter, gzip } => {
            delimited::read(path, file, delimiter, gzip, options)
        }
    };
    read.map_err(|error| error.in_file(path))
}

/// What is left to refuse once every column is known.
pub(crate) fn check_read(num_columns: usize, roles: &ColumnRoles) -> Result<(), ProfilesError> {
    if roles.features.is_empty() {
        return Err(ProfilesError::NoFeatures { num_columns });
    }
    Ok(())
}
