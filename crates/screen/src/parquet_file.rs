use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Schema};
use morphospace_core::{Provenance, suggestion, write_atomically};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::ScreenError;
use crate::store::{FolderStore, SharedStore, StoredFile};

/// Key of the provenance in a Parquet file's metadata.
const PROVENANCE_KEY: &str = "morphospace";
/// Rows per record batch.
pub(crate) const BATCH_LEN: usize = 16_384;

/// Whatever stopped a writer, as text.
pub(crate) struct WriteError(pub(crate) String);

impl From<std::io::Error> for WriteError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<ParquetError> for WriteError {
    fn from(error: ParquetError) -> Self {
        Self(error.to_string())
    }
}

impl From<ArrowError> for WriteError {
    fn from(error: ArrowError) -> Self {
        Self(error.to_string())
    }
}

/// Writes record batches with provenance and further pairs in the file's
/// metadata; the file appears whole or not at all.
pub(crate) fn write_parquet(
    path: &Path,
    schema: &Arc<Schema>,
    provenance: Option<&Provenance>,
    pairs: &[(&str, String)],
    batches: impl IntoIterator<Item = Result<RecordBatch, WriteError>>,
) -> Result<(), ScreenError> {
    let mut metadata: Vec<KeyValue> = pairs
        .iter()
        .map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()))
        .collect();
    metadata
        .extend(provenance.map(|found| KeyValue::new(PROVENANCE_KEY.to_owned(), found.to_json())));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(metadata))
        .build();
    write_atomically(path, |file| {
        let mut writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))?;
        for batch in batches {
            writer.write(&batch?)?;
        }
        writer.close()?;
        Ok::<(), WriteError>(())
    })
    .map_err(|error| ScreenError::CannotWrite {
        path: path.to_owned(),
        message: error.0,
    })
}

/// An opened Parquet file: its metadata, and its record batches to come.
pub(crate) struct ParquetFile {
    /// The file's name in messages.
    pub(crate) table: String,
    pub(crate) schema: Arc<Schema>,
    pub(crate) provenance: Option<Provenance>,
    /// Key-value metadata.
    pub(crate) pairs: HashMap<String, String>,
    batches: ParquetRecordBatchReader,
}

impl ParquetFile {
    pub(crate) fn open(path: &Path) -> Result<Self, ScreenError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let store: SharedStore = Arc::new(FolderStore::new(folder));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self::open_in(&store, &name)
    }

    pub(crate) fn open_in(store: &SharedStore, path: &str) -> Result<Self, ScreenError> {
        let table = store.file_location(path);
        let file = StoredFile::open(store, path)
            .map_err(|error| ScreenError::cannot_read(table.clone(), &error))?;
        let invalid = |message: String| ScreenError::InvalidTable {
            table: table.clone(),
            message,
        };
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|error| invalid(error.to_string()))?;
        let pairs: HashMap<String, String> = builder
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .into_iter()
            .flatten()
            .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
            .collect();
        let provenance = pairs
            .get(PROVENANCE_KEY)
            .map(|json| Provenance::from_json(json))
            .transpose()
            .map_err(|error| invalid(format!("metadata '{PROVENANCE_KEY}': {error}")))?;
        let schema = Arc::clone(builder.schema());
        let batches = builder
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            schema,
            provenance,
            pairs,
            batches,
            table,
        })
    }

    /// The next rows; `None` at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>, ScreenError> {
        self.batches
            .next()
            .transpose()
            .map_err(|error| self.invalid(error.to_string()))
    }

    pub(crate) fn invalid(&self, message: String) -> ScreenError {
        ScreenError::InvalidTable {
            table: self.table.clone(),
            message,
        }
    }
}

pub(crate) fn missing_column(table: &str, batch: &RecordBatch, name: &str) -> ScreenError {
    let schema = batch.schema();
    let available: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    ScreenError::MissingColumn {
        table: table.to_owned(),
        column: name.to_owned(),
        near: suggestion(name, available.iter().map(String::as_str)).map(str::to_owned),
        available,
    }
}

/// A column of a record batch as the type that is needed.
pub(crate) fn batch_column(
    table: &str,
    batch: &RecordBatch,
    name: &str,
    data_type: &DataType,
) -> Result<ArrayRef, ScreenError> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| missing_column(table, batch, name))?;
    cast(column, data_type).map_err(|error| ScreenError::InvalidTable {
        table: table.to_owned(),
        message: format!("column '{name}': {error}"),
    })
}
