use std::path::{Path, PathBuf};

use morphospace_core::Provenance;

use crate::anndata::ZarrWriter;
use crate::delimited::{self, DelimitedWriter};
use crate::parquet_file::ParquetWriter;
use crate::read::Format;
use crate::write::WriteError;
use crate::{Profiles, ProfilesError};
use morphospace_core::UnfinishedFile;

/// Writes a table chunk by chunk: Parquet, CSV and TSV, gzipped or not, and
/// AnnData as Zarr.
///
/// Everything goes into a hidden file (or folder) beside `path`, which has its
/// name once [`ProfilesWriter::finish`] was called; a writer that is dropped before
/// leaves nothing, and what stood under `path` stays. The first chunk says
/// which columns there are; the others have to have the same. The finished
/// file reads as that of [`write_profiles`](crate::write_profiles) does, which is this writer given
/// the table as one chunk.
///
/// Held in memory are a chunk and what the format asks for: of Parquet a group
/// of 16,384 rows, of Zarr the metadata columns (their categories are known at the
/// end) and a chunk of `X`.
///
/// ```
/// use morphospace_profiles::{Column, Features, Profiles, ProfilesWriter, read_profiles};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("profiles.parquet");
/// let mut writer = ProfilesWriter::begin(&path)?;
/// for (well, value) in [("A01", 0.5), ("A02", 1.5)] {
///     writer.append(&Profiles::new(
///         vec![("Metadata_Well".to_owned(), Column::from(vec![well]))],
///         vec!["feature_0".to_owned()],
///         Features::F32(vec![value]),
///     )?)?;
/// }
/// assert!(!path.exists());
/// writer.finish()?;
/// assert_eq!(read_profiles(&path)?.keys("Metadata_Well")?, ["A01", "A02"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ProfilesWriter {
    path: PathBuf,
    format: Format,
    /// `None` until the first chunk has said which columns there are.
    begun: Option<Begun>,
    provenance: Option<Provenance>,
}

struct Begun {
    /// The first chunk without its rows.
    columns: Profiles,
    sink: Sink,
}

enum Sink {
    Parquet(UnfinishedFile, Box<ParquetWriter>),
    Delimited(UnfinishedFile, Box<DelimitedWriter>),
    Zarr(Box<ZarrWriter>),
}

impl ProfilesWriter {
    /// Begins a table in the format its name says. Nothing is made on disk yet.
    ///
    /// # Errors
    /// An unknown extension, or a format that takes whole tables alone: GCT,
    /// whose rows are features, and AnnData as HDF5.
    pub fn begin(path: &Path) -> Result<Self, ProfilesError> {
        let format = Format::of(path)?;
        let whole = |format, what| {
            let instead = "Parquet, CSV or AnnData as Zarr (.zarr)";
            let error = ProfilesError::NotInPieces {
                format,
                what,
                instead,
            };
            Err(error.in_file(path))
        };
        match format {
            Format::Gct { .. } => whole(
                "GCT",
                "cannot be written row by row, since its rows are features",
            ),
            Format::AnnDataH5ad => whole("AnnData as HDF5", "cannot be written row by row"),
            _ => Ok(Self {
                path: path.to_owned(),
                format,
                begun: None,
                provenance: None,
            }),
        }
    }

    /// Sets where the table came from; without this, it is what the first chunk
    /// says.
    #[must_use]
    pub fn with_provenance(mut self, provenance: Provenance) -> Self {
        self.provenance = Some(provenance);
        self
    }

    /// Adds rows below those before.
    ///
    /// # Errors
    /// [`ProfilesError::OtherColumns`] says in what the columns differ from those
    /// of the first chunk; [`ProfilesError::CannotWrite`] has the system's words.
    pub fn append(&mut self, chunk: &Profiles) -> Result<(), ProfilesError> {
        if self.begun.is_none() {
            let sink = self.sink(chunk).map_err(|error| self.cannot_write(error))?;
            let columns = chunk.select_rows(&[]);
            self.begun = Some(Begun { columns, sink });
        }
        let begun = self.begun.as_mut().expect("it was begun above");
        if let Some(difference) = begun.columns.difference_of_columns(chunk) {
            return Err(ProfilesError::OtherColumns { difference }.in_file(&self.path));
        }
        let appended = match &mut begun.sink {
            Sink::Parquet(_, writer) => writer.append(chunk),
            Sink::Delimited(_, writer) => writer.append(chunk),
            Sink::Zarr(writer) => writer.append(chunk),
        };
        appended.map_err(|error| self.cannot_write(error))
    }

    fn sink(&self, first: &Profiles) -> Result<Sink, WriteError> {
        match self.format {
            Format::Parquet => {
                let (unfinished, file) = UnfinishedFile::begin(&self.path)?;
                let writer = ParquetWriter::new(file, first)?;
                Ok(Sink::Parquet(unfinished, Box::new(writer)))
            }
            Format::Delimited { delimiter, gzip } => {
                let (unfinished, file) = UnfinishedFile::begin(&self.path)?;
                let writer = DelimitedWriter::new(file, delimiter, gzip, first)?;
                Ok(Sink::Delimited(unfinished, Box::new(writer)))
            }
            Format::AnnDataZarr => {
                let writer = ZarrWriter::begin(&self.path, first)?;
                Ok(Sink::Zarr(Box::new(writer)))
            }
            Format::Gct { .. } | Format::AnnDataH5ad => {
                unreachable!("such a writer is not begun")
            }
        }
    }

    /// Writes what is left and gives the table its name.
    ///
    /// # Errors
    /// [`ProfilesError::Empty`] if nothing was added, or
    /// [`ProfilesError::CannotWrite`] with the system's words.
    pub fn finish(mut self) -> Result<(), ProfilesError> {
        let Some(Begun { columns, sink }) = self.begun.take() else {
            let what = "no rows were added to it";
            return Err(ProfilesError::Empty { what }.in_file(&self.path));
        };
        let provenance = self.provenance.as_ref().or(columns.provenance());
        let finished = match sink {
            Sink::Parquet(unfinished, writer) => writer
                .finish(provenance)
                .and_then(|file| Ok(unfinished.finish(file)?)),
            Sink::Delimited(unfinished, writer) => writer.finish().and_then(|file| {
                delimited::write_side_file(&self.path, provenance)?;
                Ok(unfinished.finish(file)?)
            }),
            Sink::Zarr(writer) => writer.finish(provenance),
        };
        finished.map_err(|error| self.cannot_write(error))
    }

    fn cannot_write(&self, error: WriteError) -> ProfilesError {
        ProfilesError::CannotWrite {
            path: self.path.clone(),
            source: Box::new(error),
        }
    }
}

impl std::fmt::Debug for ProfilesWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProfilesWriter")
            .field("path", &self.path)
            .field("is_begun", &self.begun.is_some())
            .finish_non_exhaustive()
    }
}
