use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
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
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::profiles::check_names;
use crate::read::check_read;
use crate::roles::{FoundColumn, Role, roles_by_name};
use crate::write::WriteError;
use crate::{Column, ColumnRoles, Features, Profiles, ProfilesError, ReadOptions};

/// Key of the provenance in the file's metadata.
pub(crate) const PROVENANCE_KEY: &str = "morphospace";
/// Key of a column's role in its field's metadata.
const ROLE_KEY: &str = "morphospace.role";
/// Rows decoded or encoded at a time: the only rows held beside the table.
const BATCH_ROWS: usize = 4096;
/// Rows that the encoder holds before it writes them out.
const ROW_GROUP_ROWS: usize = 16_384;

/// Reads a Parquet file, [`BATCH_ROWS`] rows at a time.
pub(crate) fn read(
    file: File,
    options: &ReadOptions,
) -> Result<(Profiles, ColumnRoles), ProfilesError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(malformed)?;
    let provenance = provenance_of(&builder)?;
    let schema = builder.schema().clone();
    let fields = schema.fields();
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
        let name = field.name().clone();
        let role = role.expect("the type of a Parquet column is known");
        match (role, Reading::of(field.data_type())) {
            (Role::Feature, _) if is_number(field.data_type()) => {
                roles.features.push(name);
                plan.push(Planned::Feature);
            }
            (Role::Feature, _) => {
                let message = format!(
                    "is taken for a feature but holds {}\nhint: read it as metadata",
                    field.data_type()
                );
                return Err(ProfilesError::UnreadableColumn {
                    column: name,
                    message,
                });
            }
            (Role::Metadata, Ok(reading)) => {
                plan.push(Planned::Metadata(reading, reading.empty_column()));
                roles.metadata.push(name);
            }
            (Role::Metadata, Err(reason)) => {
                plan.push(Planned::Skipped);
                roles.skipped.push((name, reason));
            }
        }
    }
    check_read(fields.len(), &roles)?;
    let all_single = fields.iter().zip(&plan).all(|(field, planned)| {
        !matches!(planned, Planned::Feature)
            || matches!(field.data_type(), DataType::Float32 | DataType::Float16)
    });

    let num_features = roles.features.len();
    let mut features = if all_single {
        Features::F32(Vec::new())
    } else {
        Features::F64(Vec::new())
    };
    let mut num_rows = 0;
    let reader = builder
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(malformed)?;
    for batch in reader {
        let batch = batch.map_err(malformed)?;
        let first_value = features.len();
        let num_values = first_value + batch.num_rows() * num_features;
        match &mut features {
            Features::F32(values) => values.resize(num_values, 0.0),
            Features::F64(values) => values.resize(num_values, 0.0),
        }
        let mut feature_index = 0;
        for ((field, array), planned) in fields.iter().zip(batch.columns()).zip(&mut plan) {
            let unreadable = |error: ArrowError| ProfilesError::UnreadableColumn {
                column: field.name().clone(),
                message: error.to_string(),
            };
            match planned {
                Planned::Skipped => {}
                Planned::Metadata(reading, column) => {
                    reading.append(array, column).map_err(unreadable)?;
                }
                Planned::Feature => {
                    let start = first_value + feature_index;
                    match &mut features {
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
        num_rows += batch.num_rows();
    }
    if num_rows == 0 {
        return Err(ProfilesError::Empty {
            what: "it has columns and no rows",
        });
    }
    let columns = plan.into_iter().filter_map(|planned| match planned {
        Planned::Metadata(_, column) => Some(column),
        Planned::Feature | Planned::Skipped => None,
    });
    let metadata = roles.metadata.iter().cloned().zip(columns).collect();
    let mut profiles = Profiles::new(metadata, roles.features.clone(), features)?;
    if let Some(provenance) = provenance {
        profiles = profiles.with_provenance(provenance);
    }
    Ok((profiles, roles))
}

pub(crate) fn provenance_of(
    builder: &ParquetRecordBatchReaderBuilder<File>,
) -> Result<Option<Provenance>, ProfilesError> {
    let pairs = builder.metadata().file_metadata().key_value_metadata();
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
enum Planned {
    Feature,
    Metadata(Reading, Column),
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

    fn empty_column(self) -> Column {
        match self {
            Self::Text | Self::List => Column::Text(Vec::new()),
            Self::Integer => Column::Integer(Vec::new()),
            Self::Float => Column::Float(Vec::new()),
            Self::Boolean => Column::Boolean(Vec::new()),
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

/// Writes a Parquet file, [`ROW_GROUP_ROWS`] rows per row group.
pub(crate) fn write(file: &mut BufWriter<File>, profiles: &Profiles) -> Result<(), WriteError> {
    let single = matches!(profiles.features(), Features::F32(_));
    let with_role = |field: Field, role: &str| {
        field.with_metadata(HashMap::from([(ROLE_KEY.to_owned(), role.to_owned())]))
    };
    let mut fields = Vec::new();
    for (name, column) in profiles.metadata() {
        let data_type = match column {
            Column::Text(_) => DataType::Utf8,
            Column::Integer(_) => DataType::Int64,
            Column::Float(_) => DataType::Float64,
            Column::Boolean(_) => DataType::Boolean,
        };
        fields.push(with_role(Field::new(name, data_type, true), "metadata"));
    }
    for name in profiles.feature_names() {
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
    if let Some(provenance) = profiles.provenance() {
        properties = properties.set_key_value_metadata(Some(vec![KeyValue::new(
            PROVENANCE_KEY.to_owned(),
            provenance.to_json(),
        )]));
    }
    for name in profiles.feature_names() {
        // Features hardly repeat: a dictionary costs time and saves nothing.
        properties =
            properties.set_column_dictionary_enabled(ColumnPath::new(vec![name.clone()]), false);
    }

    let mut writer = ArrowWriter::try_new(file.by_ref(), schema.clone(), Some(properties.build()))?;
    let num_features = profiles.num_features();
    let mut start = 0;
    while start < profiles.num_rows() {
        let end = (start + BATCH_ROWS).min(profiles.num_rows());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for (_, column) in profiles.metadata() {
            arrays.push(match column {
                Column::Text(values) => Arc::new(
                    values[start..end]
                        .iter()
                        .map(Option::as_deref)
                        .collect::<StringArray>(),
                ),
                Column::Integer(values) => Arc::new(Int64Array::from(values[start..end].to_vec())),
                Column::Float(values) => Arc::new(Float64Array::from(values[start..end].to_vec())),
                Column::Boolean(values) => {
                    Arc::new(BooleanArray::from(values[start..end].to_vec()))
                }
            });
        }
        for feature in 0..num_features {
            let indices = (start..end).map(|row| row * num_features + feature);
            arrays.push(match profiles.features() {
                Features::F32(values) => Arc::new(Float32Array::from_iter_values(
                    indices.map(|index| values[index]),
                )),
                Features::F64(values) => Arc::new(Float64Array::from_iter_values(
                    indices.map(|index| values[index]),
                )),
            });
        }
        writer.write(&RecordBatch::try_new(schema.clone(), arrays)?)?;
        start = end;
    }
    writer.close()?;
    Ok(())
}
