use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use morphospace_core::Provenance;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::column::ColumnKind;
use crate::profiles::check_names;
use crate::read::check_read;
use crate::roles::{FoundColumn, Role, roles_by_name};
use crate::table_file::{PartialTable, RowReader, TableFile, TableLayout};
use crate::write::WriteError;
use crate::{Column, ColumnRoles, Features, Profiles, ProfilesError, ReadOptions};

/// Key of the provenance in the file's metadata.
pub(crate) const PROVENANCE_KEY: &str = "morphospace";
/// Key of a column's role in its field's metadata.
const ROLE_KEY: &str = "morphospace.role";
/// Rows encoded at a time: the only rows held beside the table and the encoder.
const BATCH_ROWS: usize = 4096;
/// Rows that the encoder holds before it writes them out.
const ROW_GROUP_ROWS: usize = 16_384;

/// A Parquet file whose columns are settled.
pub(crate) struct ParquetTable {
    file: File,
    metadata: ArrowReaderMetadata,
    layout: TableLayout,
    /// What happens to each column of the file.
    plan: Vec<Planned>,
}

/// Opens a Parquet file and settles what its columns are.
pub(crate) fn open(file: File, options: &ReadOptions) -> Result<ParquetTable, ProfilesError> {
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default());
    let metadata = metadata.map_err(malformed)?;
    let provenance = provenance_of(metadata.metadata())?;
    let fields = metadata.schema().fields();
    check_names(fields.iter().map(|field| field.name().as_str()))?;

    let found: Vec<FoundColumn> = fields
        .iter()
        .map(|field| FoundColumn {
            name: field.name().clone(),
            is_number: Some(is_number(field.data_type())),
            written: field
                .metadata()
                .get(ROLE_KEY)
                .and_then(|role| match role.as_str() {
                    "feature" => Some(Role::Feature),
                    "metadata" => Some(Role::Metadata),
                    _ => None,
                }),
        })
        .collect();
    let mut roles = ColumnRoles::default();
    let mut plan = Vec::with_capacity(fields.len());
    for (field, role) in fields.iter().zip(roles_by_name(&found, options)?) {
        let name = field.name();
        let (role, reason) = role.expect("the type of a Parquet column is known");
        match (role, Reading::of(field.data_type())) {
            (Role::Feature, _) if is_number(field.data_type()) => {
                roles.take(name, role, reason);
                plan.push(Planned::Feature);
            }
            (Role::Feature, _) => {
                let message = format!(
                    "is taken for a feature but holds {}\nhint: read it as metadata",
                    field.data_type()
                );
                return Err(ProfilesError::UnreadableColumn {
                    column: name.clone(),
                    message,
                });
            }
            (Role::Metadata, Ok(reading)) => {
                roles.take(name, role, reason);
                plan.push(Planned::Metadata(reading));
            }
            (Role::Metadata, Err(reason)) => {
                plan.push(Planned::Skipped);
                roles.skipped.push((name.clone(), reason));
            }
        }
    }
    check_read(fields.len(), &roles, options)?;
    let is_single = fields.iter().zip(&plan).all(|(field, planned)| {
        !matches!(planned, Planned::Feature)
            || matches!(field.data_type(), DataType::Float32 | DataType::Float16)
    });
    let num_rows = metadata.metadata().file_metadata().num_rows();
    let num_rows = usize::try_from(num_rows).unwrap_or(0);
    if num_rows == 0 {
        return Err(ProfilesError::Empty {
            what: "it has columns and no rows",
        });
    }
    let kinds = plan.iter().filter_map(|planned| match planned {
        Planned::Metadata(reading) => Some(reading.kind()),
        Planned::Feature | Planned::Skipped => None,
    });
    let layout = TableLayout {
        roles,
        kinds: kinds.collect(),
        is_single,
        num_rows,
        provenance,
        reader_bytes: page_bytes(metadata.metadata()),
    };
    Ok(ParquetTable {
        file,
        metadata,
        layout,
        plan,
    })
}

/// About the most that a reader holds of a file beside the rows it gives: a page
/// of each column of a row group, packed, unpacked and as values, and the
/// column's reader itself.
fn page_bytes(metadata: &ParquetMetaData) -> usize {
    /// The largest page that the usual writers make.
    const PAGE_BYTES: i64 = 1 << 20;
    const COLUMN_BYTES: i64 = 16 << 10;
    let of_group = |group: &RowGroupMetaData| -> usize {
        let of_column = |column: &ColumnChunkMetaData| {
            let packed = column.compressed_size().clamp(0, PAGE_BYTES);
            let unpacked = column.uncompressed_size().clamp(0, PAGE_BYTES);
            usize::try_from(packed + 2 * unpacked + COLUMN_BYTES).expect("three pages fit")
        };
        group.columns().iter().map(of_column).sum()
    };
    metadata
        .row_groups()
        .iter()
        .map(of_group)
        .max()
        .unwrap_or(0)
}

impl TableFile for ParquetTable {
    fn layout(&self) -> &TableLayout {
        &self.layout
    }

    fn rows(&self, batch_rows: usize) -> Result<Box<dyn RowReader>, ProfilesError> {
        let file = self.file.try_clone().map_err(malformed)?;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let batches = builder.with_batch_size(batch_rows).build();
        Ok(Box::new(ParquetRows {
            batches: batches.map_err(malformed)?,
            plan: self.plan.clone(),
        }))
    }
}

struct ParquetRows {
    batches: ParquetRecordBatchReader,
    plan: Vec<Planned>,
}

impl RowReader for ParquetRows {
    fn read_batch(&mut self, table: &mut PartialTable) -> Result<usize, ProfilesError> {
        let Some(batch) = self.batches.next() else {
            return Ok(0);
        };
        let batch = batch.map_err(malformed)?;
        let num_features = self
            .plan
            .iter()
            .filter(|planned| matches!(planned, Planned::Feature))
            .count();
        let first_value = table.features.len();
        let num_values = first_value + batch.num_rows() * num_features;
        match &mut table.features {
            Features::F32(values) => values.resize(num_values, 0.0),
            Features::F64(values) => values.resize(num_values, 0.0),
        }
        let schema = batch.schema();
        let mut columns = table.columns.iter_mut();
        let mut feature_index = 0;
        for ((field, array), planned) in schema.fields().iter().zip(batch.columns()).zip(&self.plan)
        {
            let unreadable = |error: ArrowError| ProfilesError::UnreadableColumn {
                column: field.name().clone(),
                message: error.to_string(),
            };
            match planned {
                Planned::Skipped => {}
                Planned::Metadata(reading) => {
                    let column = columns.next().expect("the layout has a kind for each");
                    reading.append(array, column).map_err(unreadable)?;
                }
                Planned::Feature => {
                    let start = first_value + feature_index;
                    match &mut table.features {
                        Features::F32(values) => {
                            let array = cast(array, &DataType::Float32).map_err(unreadable)?;
                            let array = array.as_primitive::<Float32Type>();
                            for (row, value) in array.iter().enumerate() {
                                values[start + row * num_features] = value.unwrap_or(f32::NAN);
                            }
                        }
                        Features::F64(values) => {
                            let array = cast(array, &DataType::Float64).map_err(unreadable)?;
                            let array = array.as_primitive::<Float64Type>();
                            for (row, value) in array.iter().enumerate() {
                                values[start + row * num_features] = value.unwrap_or(f64::NAN);
                            }
                        }
                    }
                    feature_index += 1;
                }
            }
        }
        table.num_rows += batch.num_rows();
        Ok(batch.num_rows())
    }
}

pub(crate) fn provenance_of(
    metadata: &ParquetMetaData,
) -> Result<Option<Provenance>, ProfilesError> {
    let pairs = metadata.file_metadata().key_value_metadata();
    let json = pairs
        .into_iter()
        .flatten()
        .find(|pair| pair.key == PROVENANCE_KEY)
        .and_then(|pair| pair.value.as_deref());
    json.map(parse_provenance).transpose()
}

/// Reads provenance and refuses what a newer release wrote.
pub(crate) fn parse_provenance(json: &str) -> Result<Provenance, ProfilesError> {
    let invalid = |message| ProfilesError::InvalidProvenance { message };
    let provenance = Provenance::from_json(json).map_err(|error| invalid(error.to_string()))?;
    if provenance.schema_version > Provenance::SCHEMA_VERSION {
        return Err(invalid(format!(
            "schema version {} is newer than {}",
            provenance.schema_version,
            Provenance::SCHEMA_VERSION
        )));
    }
    Ok(provenance)
}

/// What happens to a column.
#[derive(Clone, Copy)]
enum Planned {
    Feature,
    Metadata(Reading),
    Skipped,
}

/// How a column's values become metadata.
#[derive(Clone, Copy)]
enum Reading {
    Text,
    Integer,
    Float,
    Boolean,
    List,
}

impl Reading {
    /// How to read a type, or why it is left out.
    fn of(data_type: &DataType) -> Result<Self, String> {
        match data_type {
            DataType::Boolean => Ok(Self::Boolean),
            // A count above 2^63 would overflow; such columns are identifiers.
            DataType::UInt64 => Ok(Self::Text),
            data_type if data_type.is_integer() => Ok(Self::Integer),
            data_type if is_number(data_type) => Ok(Self::Float),
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Null
            | DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Timestamp(_, _) => Ok(Self::Text),
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::List(values)
            | DataType::LargeList(values)
            | DataType::FixedSizeList(values, _)
                if !values.data_type().is_nested() =>
            {
                Ok(Self::List)
            }
            other => Err(format!("metadata of type {other} is not read")),
        }
    }

    fn kind(self) -> ColumnKind {
        match self {
            Self::Text | Self::List => ColumnKind::Text,
            Self::Integer => ColumnKind::Integer,
            Self::Float => ColumnKind::Float,
            Self::Boolean => ColumnKind::Boolean,
        }
    }

    fn append(self, array: &ArrayRef, column: &mut Column) -> Result<(), ArrowError> {
        match (self, column) {
            (Self::Text, Column::Text(values)) => {
                let array = cast(array, &DataType::LargeUtf8)?;
                values.extend(
                    array
                        .as_string::<i64>()
                        .iter()
                        .map(|v| v.map(str::to_owned)),
                );
            }
            (Self::List, Column::Text(values)) => {
                for row in 0..array.len() {
                    values.push(joined_list(array, row)?);
                }
            }
            (Self::Integer, Column::Integer(values)) => {
                let array = cast(array, &DataType::Int64)?;
                values.extend(array.as_primitive::<Int64Type>().iter());
            }
            (Self::Float, Column::Float(values)) => {
                let array = cast(array, &DataType::Float64)?;
                values.extend(array.as_primitive::<Float64Type>().iter());
            }
            (Self::Boolean, Column::Boolean(values)) => {
                let array = cast(array, &DataType::Boolean)?;
                values.extend(array.as_boolean().iter());
            }
            _ => unreachable!("a column is made by the reading that fills it"),
        }
        Ok(())
    }
}

/// The elements of one list joined by `|`, as the field writes several
/// targets of a compound in one cell.
fn joined_list(array: &ArrayRef, row: usize) -> Result<Option<String>, ArrowError> {
    if array.is_null(row) {
        return Ok(None);
    }
    let elements = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        _ => array.as_fixed_size_list().value(row),
    };
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(&elements, &options)?;
    let texts: Result<Vec<String>, ArrowError> = (0..elements.len())
        .map(|index| formatter.value(index).try_to_string())
        .collect();
    Ok(Some(texts?.join("|")))
}

fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => true,
        other => other.is_integer() || other.is_floating(),
    }
}

/// A cast that fails where a value does not fit, in place of losing it.
fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    cast_with_options(
        array,
        to,
        &CastOptions {
            safe: false,
            ..CastOptions::default()
        },
    )
}

pub(crate) fn malformed(error: impl std::fmt::Display) -> ProfilesError {
    ProfilesError::Malformed {
        format: "Parquet",
        message: error.to_string(),
    }
}

/// Writes a Parquet file piece by piece, [`ROW_GROUP_ROWS`] rows per row group.
pub(crate) struct ParquetWriter {
    writer: ArrowWriter<BufWriter<File>>,
    schema: Arc<Schema>,
}

impl ParquetWriter {
    /// Begins a file with the columns of a table, whose rows are not written yet.
    pub(crate) fn new(file: BufWriter<File>, table: &Profiles) -> Result<Self, WriteError> {
        let single = matches!(table.features(), Features::F32(_));
        let with_role = |field: Field, role: &str| {
            field.with_metadata(HashMap::from([(ROLE_KEY.to_owned(), role.to_owned())]))
        };
        let mut fields = Vec::new();
        for (name, column) in table.metadata() {
            let data_type = match column {
                Column::Text(_) => DataType::Utf8,
                Column::Integer(_) => DataType::Int64,
                Column::Float(_) => DataType::Float64,
                Column::Boolean(_) => DataType::Boolean,
            };
            fields.push(with_role(Field::new(name, data_type, true), "metadata"));
        }
        for name in table.feature_names() {
            let data_type = if single {
                DataType::Float32
            } else {
                DataType::Float64
            };
            fields.push(with_role(Field::new(name, data_type, false), "feature"));
        }
        let schema = Arc::new(Schema::new(fields));

        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
        for name in table.feature_names() {
            // Features hardly repeat: a dictionary costs time and saves nothing.
            let path = ColumnPath::new(vec![name.clone()]);
            properties = properties.set_column_dictionary_enabled(path, false);
        }
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties.build()))?;
        Ok(Self { writer, schema })
    }

    /// Adds rows of a table with the same columns, [`BATCH_ROWS`] at a time.
    pub(crate) fn append(&mut self, table: &Profiles) -> Result<(), WriteError> {
        let num_features = table.num_features();
        let mut start = 0;
        while start < table.num_rows() {
            let end = (start + BATCH_ROWS).min(table.num_rows());
            let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
            for (_, column) in table.metadata() {
                arrays.push(match column {
                    Column::Text(values) => Arc::new(
                        values[start..end]
                            .iter()
                            .map(Option::as_deref)
                            .collect::<StringArray>(),
                    ),
                    Column::Integer(values) => {
                        Arc::new(Int64Array::from(values[start..end].to_vec()))
                    }
                    Column::Float(values) => {
                        Arc::new(Float64Array::from(values[start..end].to_vec()))
                    }
                    Column::Boolean(values) => {
                        Arc::new(BooleanArray::from(values[start..end].to_vec()))
                    }
                });
            }
            for feature in 0..num_features {
                let indices = (start..end).map(|row| row * num_features + feature);
                arrays.push(match table.features() {
                    Features::F32(values) => Arc::new(Float32Array::from_iter_values(
                        indices.map(|index| values[index]),
                    )),
                    Features::F64(values) => Arc::new(Float64Array::from_iter_values(
                        indices.map(|index| values[index]),
                    )),
                });
            }
            let batch = RecordBatch::try_new(self.schema.clone(), arrays)?;
            self.writer.write(&batch)?;
            start = end;
        }
        Ok(())
    }

    /// Writes what is left and where the table came from.
    pub(crate) fn finish(
        mut self,
        provenance: Option<&Provenance>,
    ) -> Result<BufWriter<File>, WriteError> {
        if let Some(provenance) = provenance {
            let pair = KeyValue::new(PROVENANCE_KEY.to_owned(), provenance.to_json());
            self.writer.append_key_value_metadata(pair);
        }
        Ok(self.writer.into_inner()?)
    }
}
