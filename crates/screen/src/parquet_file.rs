use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use morphospace_core::{Provenance, suggestion, write_atomically};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::ChunkReader;

use crate::ScreenError;
use crate::record_batches::{RecordBatches, Selection};
use crate::store::{FolderStore, SharedStore, StoredFile};
use crate::table_rows::{
    MAX_CELL_LEN, MAX_NUM_CELLS, MAX_NUM_ROWS, MAX_TEXT_LEN, too_long_cell, too_many,
};

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

/// A file's metadata, once it says that the table is within the bounds of
/// [`TableRows`](crate::table_rows::TableRows). Text and bytes come as views: a
/// value that is stored once for many rows takes its memory once.
///
/// # Errors
/// What is wrong with the file and what to do about it, in words.
pub(crate) fn bounded_metadata(file: &impl ChunkReader) -> Result<ArrowReaderMetadata, String> {
    let metadata = metadata_with_views(file)?;
    check_size(metadata.metadata())?;
    Ok(metadata)
}

/// A file's metadata, with views in place of text and bytes.
pub(crate) fn metadata_with_views(file: &impl ChunkReader) -> Result<ArrowReaderMetadata, String> {
    caught(|| {
        let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::default())
            .map_err(|error| damaged(&error))?;
        check_places(metadata.metadata(), file.len())?;
        let schema = Schema::new(fields_with_views(metadata.schema().fields()));
        let options = ArrowReaderOptions::default().with_schema(Arc::new(schema));
        ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)
            .map_err(|error| damaged(&error))
    })
}

/// Refuses a footer whose columns lie outside the file: the reader panics at
/// places before its start.
fn check_places(metadata: &ParquetMetaData, file_len: u64) -> Result<(), String> {
    let columns = metadata
        .row_groups()
        .iter()
        .flat_map(RowGroupMetaData::columns);
    for column in columns {
        let start = column
            .dictionary_page_offset()
            .unwrap_or_else(|| column.data_page_offset());
        let place = u64::try_from(start)
            .ok()
            .zip(u64::try_from(column.compressed_size()).ok());
        let end = place.and_then(|(start, len)| start.checked_add(len));
        if end.is_none_or(|end| end > file_len) {
            let path = column.column_path();
            return Err(damaged(&format!("column '{path}' lies outside the file")));
        }
    }
    Ok(())
}

/// What a reader of Parquet said, and what to do about it.
pub(crate) fn damaged(error: &dyn std::fmt::Display) -> String {
    format!("{error}\nhint: the file is damaged or cut off; fetch or write it again")
}

fn fields_with_views(fields: &Fields) -> Fields {
    fields.iter().map(field_with_views).collect()
}

fn field_with_views(field: &Arc<Field>) -> Arc<Field> {
    let data_type = with_views(field.data_type());
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

fn with_views(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, value) => with_views(value),
        DataType::List(item) => DataType::List(field_with_views(item)),
        DataType::LargeList(item) => DataType::LargeList(field_with_views(item)),
        DataType::Struct(fields) => DataType::Struct(fields_with_views(fields)),
        other => other.clone(),
    }
}

/// Refuses what the footer says is too much.
fn check_size(metadata: &ParquetMetaData) -> Result<(), String> {
    // Numbers of a footer that lies are negative, or too large to add.
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let (mut num_rows, mut num_cells, mut len) = (0_u64, 0_u64, 0_u64);
    for group in metadata.row_groups() {
        num_rows = num_rows.saturating_add(count(group.num_rows()));
        for column in group.columns() {
            num_cells = num_cells.saturating_add(count(column.num_values()));
            len = len.saturating_add(count(column.uncompressed_size()));
        }
    }
    for (found, max, what) in [
        (num_rows, MAX_NUM_ROWS, "rows"),
        (num_cells, MAX_NUM_CELLS, "values"),
        (len, MAX_TEXT_LEN, "bytes, decompressed"),
    ] {
        if found > max as u64 {
            return Err(too_many(what, max));
        }
    }
    Ok(())
}

/// Refuses values that are too long.
pub(crate) fn check_lengths(batch: &RecordBatch) -> Result<(), String> {
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if longest_value(column) > MAX_CELL_LEN {
            return Err(format!("column '{}': {}", field.name(), too_long_cell()));
        }
    }
    Ok(())
}

/// Bytes of the longest text in a column, also of those within lists and
/// structs.
fn longest_value(column: &ArrayRef) -> usize {
    // The length of a view stands in its low 32 bits.
    let longest = |views: &[u128]| views.iter().map(|&view| view as u32).max().unwrap_or(0);
    match column.data_type() {
        DataType::Utf8View => longest(column.as_string_view().views()) as usize,
        DataType::BinaryView => longest(column.as_binary_view().views()) as usize,
        DataType::List(_) => longest_value(column.as_list::<i32>().values()),
        DataType::LargeList(_) => longest_value(column.as_list::<i64>().values()),
        DataType::Struct(_) => {
            let columns = column.as_struct().columns().iter();
            columns.map(longest_value).max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// An opened Parquet file: its metadata, and its record batches to come.
pub(crate) struct ParquetFile {
    /// The file's name in messages.
    pub(crate) table: String,
    pub(crate) schema: Arc<Schema>,
    pub(crate) provenance: Option<Provenance>,
    /// Key-value metadata.
    pub(crate) pairs: HashMap<String, String>,
    batches: RecordBatches,
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
        let starts_as_parquet = store
            .read_range(path, 0..4)
            .is_ok_and(|start| start == b"PAR1");
        let metadata = bounded_metadata(&file).map_err(|error| match starts_as_parquet {
            true => invalid(error),
            false => invalid(
                "it is not a Parquet file\nhint: it is of another kind, or damaged or cut off"
                    .to_owned(),
            ),
        })?;
        let pairs: HashMap<String, String> = metadata
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .into_iter()
            .flatten()
            .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
            .collect();
        let provenance = pairs
            .get(PROVENANCE_KEY)
            .map(|json| read_provenance(json))
            .transpose()
            .map_err(|message| invalid(format!("metadata '{PROVENANCE_KEY}': {message}")))?;
        let schema = Arc::clone(metadata.schema());
        let selection = Selection::all(&metadata);
        let batches = RecordBatches::of(file, &metadata, selection).map_err(invalid)?;
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
        let batch = self.batches.next().map(|batch| {
            let batch = batch?;
            check_lengths(&batch)?;
            Ok(batch)
        });
        batch
            .transpose()
            .map_err(|message: String| self.invalid(message))
    }

    pub(crate) fn invalid(&self, message: String) -> ScreenError {
        ScreenError::InvalidTable {
            table: self.table.clone(),
            message,
        }
    }
}

fn read_provenance(json: &str) -> Result<Provenance, String> {
    let provenance = Provenance::from_json(json).map_err(|error| error.to_string())?;
    if provenance.schema_version > Provenance::SCHEMA_VERSION {
        return Err(format!(
            "schema version {} is newer than {}\nhint: update morphospace",
            provenance.schema_version,
            Provenance::SCHEMA_VERSION
        ));
    }
    Ok(provenance)
}

fn missing_column(table: &str, batch: &RecordBatch, name: &str) -> ScreenError {
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
    cast_column(column, data_type).map_err(|error| ScreenError::InvalidTable {
        table: table.to_owned(),
        message: format!("column '{name}': {error}"),
    })
}

/// A column as the type that is needed.
///
/// # Errors
/// Why it cannot be, in words.
pub(crate) fn cast_column(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, String> {
    caught(|| cast(column, data_type).map_err(|error| error.to_string()))
}

/// Runs what decodes a foreign file. Arrow and Parquet panic at some values
/// and pages that contradict each other, such as positions in a dictionary
/// that is not there; here that is damage like any other.
///
/// # Errors
/// What the function returns, or that it panicked. Nothing that it may have
/// left half done is to be used again.
pub(crate) fn caught<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(damaged(&"its contents contradict each other")))
}
