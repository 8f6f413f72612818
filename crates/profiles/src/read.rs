use std::fs::File;
use std::path::Path;

use crate::table_file::{TableFile, read_whole};
use crate::{
    ColumnRoles, Profiles, ProfilesError, ReadOptions, anndata, delimited, gct, parquet_file,
};

/// The formats a profile table is kept in, told apart by the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Delimited { delimiter: u8, gzip: bool },
    Gct { gzip: bool },
    AnnDataZarr,
    AnnDataH5ad,
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
        let extension = stem.rsplit_once('.').map_or("", |(_, extension)| extension);
        match extension {
            "csv" => Ok(Self::Delimited {
                delimiter: b',',
                gzip,
            }),
            "tsv" => Ok(Self::Delimited {
                delimiter: b'\t',
                gzip,
            }),
            "gct" => Ok(Self::Gct { gzip }),
            "parquet" | "pq" if !gzip => Ok(Self::Parquet),
            "zarr" if !gzip => Ok(Self::AnnDataZarr),
            "h5ad" if !gzip => Ok(Self::AnnDataH5ad),
            _ => Err(ProfilesError::UnknownExtension {
                path: path.to_owned(),
            }),
        }
    }
}

/// Reads a profile table: Parquet (`.parquet`), text (`.csv`, `.tsv`), GCT 1.3
/// and 1.2 (`.gct`), the last three also gzipped (`.csv.gz`), and AnnData as
/// Zarr version 2 or 3 (`.zarr`) or, in a build with the feature `h5ad`, as
/// HDF5 (`.h5ad`). Which columns are features is decided by the rule of
/// [`ReadOptions`].
///
/// Features that are all single precision stay so; any mixture, and whole
/// numbers, become double precision. A missing feature value becomes NaN,
/// which [`Profiles::check_finite`] refuses where it matters. Metadata lists
/// are read as text joined by `|`.
///
/// Of AnnData, `X` is read, dense or sparse, with the columns of `obs`. Columns
/// of `X` that are metadata by the rule leave it: pycytominer puts every number
/// there, doses and sites too. Names of observations other than 0, 1, 2 ..
/// become the column `obs_names`. Layers, `obsm` and the columns of `var` are
/// left out.
///
/// # Errors
/// [`ProfilesError`] names the file, the column and row, and the fix.
///
/// # Source
/// AnnData: <https://anndata.readthedocs.io/en/stable/fileformat-prose.html>
/// (0.8 and newer). GCT:
/// <https://clue.io/connectopedia/gct_format>. Agrees with the Python packages
/// `anndata` and `cmapPy` (`tests/it/python_packages.rs`).
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
    if options.is_metadata_only() {
        let (table, roles) = read_any(path, options)?;
        let num_columns = table.metadata().len() + roles.skipped.len();
        return Err(ProfilesError::NoFeatures { num_columns }.in_file(path));
    }
    read_any(path, options)
}

/// Reads a table that has no features, such as a list of conditions:
/// every column is metadata.
///
/// # Errors
/// [`ProfilesError`] names the file, the column and row, and the fix.
///
/// # Example
/// ```
/// use morphospace_profiles::read_metadata;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("phenoprints.csv");
/// std::fs::write(&path, "condition,p_combined\nTP53_1,0.002\n")?;
///
/// let table = read_metadata(&path)?;
/// assert_eq!((table.num_rows(), table.num_features()), (1, 0));
/// assert_eq!(table.keys("p_combined")?, ["0.002"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_metadata(path: &Path) -> Result<Profiles, ProfilesError> {
    let options = ReadOptions {
        features: Some(Vec::new()),
        ..ReadOptions::default()
    };
    read_any(path, &options).map(|(table, _)| table)
}

fn read_any(path: &Path, options: &ReadOptions) -> Result<(Profiles, ColumnRoles), ProfilesError> {
    let format = Format::of(path)?;
    let read = match format {
        Format::Gct { gzip } => {
            open_file(path).and_then(|file| gct::read(path, file, gzip, options))
        }
        _ => open_table(path, format, options).and_then(|table| {
            let profiles = read_whole(&*table)?;
            Ok((profiles, table.layout().roles.clone()))
        }),
    };
    read.map_err(|error| error.in_file(path))
}

/// Opens a file whose rows can be read one after the other and settles what its
/// columns are.
pub(crate) fn open_table(
    path: &Path,
    format: Format,
    options: &ReadOptions,
) -> Result<Box<dyn TableFile>, ProfilesError> {
    match format {
        Format::Parquet => Ok(Box::new(parquet_file::open(open_file(path)?, options)?)),
        Format::Delimited { delimiter, gzip } => {
            let file = open_file(path)?;
            let table = delimited::open(path, file, delimiter, gzip, options)?;
            Ok(Box::new(table))
        }
        Format::AnnDataZarr => anndata::open_zarr(path, options),
        Format::AnnDataH5ad => anndata::open_h5ad(path, options),
        Format::Gct { .. } => Err(ProfilesError::NotInPieces {
            format: "GCT",
            what: "cannot be read row by row, since its rows are features",
            instead: "Parquet, CSV or AnnData",
        }),
    }
}

fn open_file(path: &Path) -> Result<File, ProfilesError> {
    let file = File::open(path).map_err(|source| ProfilesError::CannotOpen {
        path: path.to_owned(),
        source,
    })?;
    if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        return Err(ProfilesError::Empty {
            what: "the file has no bytes",
        });
    }
    Ok(file)
}

/// What is left to refuse once every column is known.
pub(crate) fn check_read(
    num_columns: usize,
    roles: &ColumnRoles,
    options: &ReadOptions,
) -> Result<(), ProfilesError> {
    if roles.features.is_empty() && !options.is_metadata_only() {
        return Err(ProfilesError::NoFeatures { num_columns });
    }
    Ok(())
}
