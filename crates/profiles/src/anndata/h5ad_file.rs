use std::ops::Range;
use std::path::Path;

use hdf5_pure::{
    AttrValue, DType, Dataset, DatasetBuilder, EnumTypeBuilder, File, FileBuilder, FinishedGroup,
    GroupBuilder, make_i8_type,
};
use serde_json::{Map, Value};

use super::element::{ArrayInfo, ElementStore, Numbers, ValueKind, caught, check_room, unreadable};
use super::obs_column::EncodedColumn;
use super::table::ROLE_KEY;
use super::zarr_writer::{check_name, narrowed, obs_names};
use super::{EMPTY_GROUPS, INDEX, OBS_NAMES, PROVENANCE};
use crate::write::WriteError;
use crate::{Column, Features, Profiles, ProfilesError};
use morphospace_core::UnfinishedFile;

/// AnnData in an HDF5 file.
pub(super) struct H5adFile {
    file: File,
}

impl H5adFile {
    pub(super) fn open(path: &Path) -> Result<Self, ProfilesError> {
        // What the system says of it comes first.
        let file = std::fs::File::open(path).map_err(|source| ProfilesError::CannotOpen {
            path: path.to_owned(),
            source,
        })?;
        if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            return Err(ProfilesError::Empty {
                what: "the file has no bytes",
            });
        }
        let opened = caught("/", || {
            File::open_streaming(path).map_err(|e| e.to_string())
        });
        let file = opened.map_err(|error| ProfilesError::Malformed {
            format: "HDF5",
            message: match error {
                ProfilesError::UnreadableElement { message, .. } => message,
                error => error.to_string(),
            },
        })?;
        Ok(Self { file })
    }

    fn dataset(&self, path: &str) -> Result<Dataset, ProfilesError> {
        caught(path, || self.file.dataset(path).map_err(|e| e.to_string()))
    }
}

/// What a dataset's values are, if it is something that is read.
fn kind_of(dataset: &Dataset) -> Result<ValueKind, String> {
    match dataset.dtype().map_err(|error| error.to_string())? {
        DType::F32 => Ok(ValueKind::Single),
        DType::F64 => Ok(ValueKind::Double),
        DType::I8
        | DType::I16
        | DType::I32
        | DType::I64
        | DType::U8
        | DType::U16
        | DType::U32
        | DType::U64 => Ok(ValueKind::Integer),
        DType::String | DType::VariableLengthString => Ok(ValueKind::Text),
        // How h5py writes flags.
        DType::Enum(names) if names == ["FALSE", "TRUE"] => Ok(ValueKind::Boolean),
        other => Err(format!("values of type {other} are not read")),
    }
}

/// The attributes that AnnData uses: texts, lists of texts, and lists of sizes.
fn json_of(value: &AttrValue) -> Option<Value> {
    match value {
        AttrValue::String(text)
        | AttrValue::AsciiString(text)
        | AttrValue::StringSized { value: text, .. }
        | AttrValue::AsciiStringSized { value: text, .. }
        | AttrValue::VarLenString(text)
        | AttrValue::VarLenAsciiString(text) => Some(Value::from(text.as_str())),
        value => {
            let texts = value.as_strings().map(|texts| Value::from(texts.to_vec()));
            // A list of no names has no type, and is written as one of no numbers.
            texts
                .or_else(|| value.to_u64s().map(Value::from))
                .or_else(|| value.to_f64s().map(Value::from))
        }
    }
}

impl ElementStore for H5adFile {
    fn is_group(&self, path: &str) -> bool {
        caught(
            path,
            || Ok(path.is_empty() || self.file.group(path).is_ok()),
        )
        .unwrap_or(false)
    }

    fn is_array(&self, path: &str) -> bool {
        self.dataset(path).is_ok()
    }

    fn names(&self, path: &str) -> Vec<String> {
        let names = caught(path, || {
            let group = self.file.group(path).map_err(|error| error.to_string())?;
            let mut names = group.groups().map_err(|error| error.to_string())?;
            names.extend(group.datasets().map_err(|error| error.to_string())?);
            Ok(names)
        });
        names.unwrap_or_default()
    }

    fn attributes(&self, path: &str) -> Result<Map<String, Value>, ProfilesError> {
        caught(path, || {
            let attributes = if path.is_empty() {
                self.file.root().attrs()
            } else if let Ok(group) = self.file.group(path) {
                group.attrs()
            } else {
                let dataset = self.file.dataset(path);
                dataset.map_err(|_| "there is no such element")?.attrs()
            };
            let attributes = attributes.map_err(|error| error.to_string())?;
            let attributes = attributes.into_iter();
            Ok(attributes
                .filter_map(|(key, value)| Some((key, json_of(&value)?)))
                .collect())
        })
    }

    fn array(&self, path: &str) -> Result<ArrayInfo, ProfilesError> {
        let dataset = self.dataset(path)?;
        caught(path, || {
            let chunk = dataset.chunk_shape().map_err(|error| error.to_string())?;
            let chunk_rows = chunk.and_then(|chunk| chunk.first().copied());
            Ok(ArrayInfo {
                shape: dataset.shape().map_err(|error| error.to_string())?,
                kind: kind_of(&dataset)?,
                chunk_rows: chunk_rows.unwrap_or(1),
            })
        })
    }

    fn strings(&self, path: &str, rows: Range<u64>) -> Result<Vec<String>, ProfilesError> {
        let dataset = self.dataset(path)?;
        let num_rows = self.array(path)?.shape.first().copied().unwrap_or(1);
        if rows.start > rows.end || rows.end > num_rows {
            return Err(unreadable(path, "it has fewer rows than it should"));
        }
        let count = rows.end - rows.start;
        caught(path, || {
            check_room(count, size_of::<String>() as u64)?;
            if kind_of(&dataset)? != ValueKind::Text {
                return Err("it does not hold text".to_owned());
            }
            let texts = dataset.read_string_rows(rows.start, count);
            texts.map_err(|error| error.to_string())
        })
    }

    fn numbers(&self, path: &str, rows: Range<u64>) -> Result<Numbers, ProfilesError> {
        let dataset = self.dataset(path)?;
        let shape = self.array(path)?.shape;
        if rows.start > rows.end || shape.first().is_none_or(|len| rows.end > *len) {
            return Err(unreadable(path, "it has fewer rows than it should"));
        }
        let (start, count) = (rows.start, rows.end - rows.start);
        caught(path, || {
            let width = shape[1..].iter().copied().fold(1u64, u64::saturating_mul);
            let num_values = count.saturating_mul(width);
            check_room(num_values, 8)?;
            let numbers = read_numbers(&dataset, start, count)?;
            match numbers.len() as u64 == num_values {
                true => Ok(numbers),
                false => Err(format!(
                    "it has {} values in place of {num_values}",
                    numbers.len()
                )),
            }
        })
    }
}

fn read_numbers(dataset: &Dataset, start: u64, count: u64) -> Result<Numbers, String> {
    let text = |error: hdf5_pure::Error| error.to_string();
    Ok(match kind_of(dataset)? {
        ValueKind::Text => return Err("it holds text and not numbers".to_owned()),
        ValueKind::Single => Numbers::Single(dataset.read_f32_rows(start, count).map_err(text)?),
        ValueKind::Double => Numbers::Double(dataset.read_f64_rows(start, count).map_err(text)?),
        ValueKind::Boolean => {
            let bytes = dataset.read_raw_rows(start, count).map_err(text)?;
            Numbers::Boolean(bytes.into_iter().map(|byte| byte != 0).collect())
        }
        ValueKind::Integer if dataset.dtype().map_err(text)? == DType::U64 => {
            let values = dataset.read_u64_rows(start, count).map_err(text)?;
            let values = values.into_iter().map(|v| i64::try_from(v).map_err(|_| v));
            let values: Result<Vec<i64>, u64> = values.collect();
            Numbers::Integer(
                values.map_err(|v| format!("{v} is larger than the numbers that are read"))?,
            )
        }
        ValueKind::Integer => Numbers::Integer(dataset.read_i64_rows(start, count).map_err(text)?),
    })
}

/// What a chunk of `X` takes before it is packed.
const CHUNK_BYTES: usize = 1 << 20;
/// How hard it is packed: as h5py does unless told.
const DEFLATE_LEVEL: u32 = 4;

/// Writes AnnData as an HDF5 file.
pub(super) fn write(path: &Path, profiles: &Profiles) -> Result<(), WriteError> {
    for name in profiles.metadata_names() {
        check_name(name)?;
    }
    let mut file = FileBuilder::new();
    file.set_attr("encoding-type", text("anndata"));
    file.set_attr("encoding-version", text("0.1.0"));
    let (num_rows, num_features) = (profiles.num_rows(), profiles.num_features());
    let x = file.create_dataset("X");
    let value_bytes = match profiles.features() {
        Features::F32(values) => {
            x.with_f32_data(values);
            4
        }
        Features::F64(values) => {
            x.with_f64_data(values);
            8
        }
    };
    x.with_shape(&[num_rows as u64, num_features as u64]);
    if num_rows > 0 && num_features > 0 {
        let chunk_rows = (CHUNK_BYTES / (num_features * value_bytes)).clamp(1, num_rows);
        x.with_chunks(&[chunk_rows as u64, num_features as u64]);
        x.with_shuffle().with_deflate(DEFLATE_LEVEL);
    }
    x.set_attr(ROLE_KEY, text("feature"));
    encoded(x, "array");

    let obs = obs(&mut file, profiles)?;
    file.add_group(obs);
    let mut var = file.create_group("var");
    frame(&mut var, &[], profiles.feature_names());
    file.add_group(var.finish());
    for name in EMPTY_GROUPS {
        let group = dict(file.create_group(name));
        file.add_group(group.finish());
    }
    let mut uns = dict(file.create_group("uns"));
    if let Some(provenance) = profiles.provenance() {
        let name = PROVENANCE.trim_start_matches("uns/");
        let json = uns.create_dataset(name);
        json.with_vlen_strings(&[&provenance.to_json()])
            .with_shape(&[]);
        encoded(json, "string");
    }
    file.add_group(uns.finish());

    let (unfinished, mut writer) = UnfinishedFile::begin(path)?;
    file.finish_to(&mut writer)
        .map_err(|error| WriteError::Element(error.to_string()))?;
    Ok(unfinished.finish(writer)?)
}

fn text(value: &str) -> AttrValue {
    AttrValue::VarLenString(value.to_owned())
}

fn encoded(dataset: &mut DatasetBuilder, encoding: &str) {
    dataset.set_attr("encoding-type", text(encoding));
    dataset.set_attr("encoding-version", text("0.2.0"));
}

fn group_of(mut group: GroupBuilder, encoding: &str, version: &str) -> GroupBuilder {
    group.set_attr("encoding-type", text(encoding));
    group.set_attr("encoding-version", text(version));
    group
}

fn dict(group: GroupBuilder) -> GroupBuilder {
    group_of(group, "dict", "0.1.0")
}

/// Attributes and index of `obs` or `var`.
fn frame(group: &mut GroupBuilder, columns: &[String], names: &[String]) {
    group.set_attr("encoding-type", text("dataframe"));
    group.set_attr("encoding-version", text("0.2.0"));
    group.set_attr("_index", text(INDEX));
    let order = match columns.is_empty() {
        // As anndata writes it: a list of no names has no type.
        true => AttrValue::F64Array(Vec::new()),
        false => AttrValue::VarLenStringArray(columns.to_vec()),
    };
    group.set_attr("column-order", order);
    strings(group, INDEX, names.iter().map(String::as_str));
}

fn strings<'a>(group: &mut GroupBuilder, name: &str, texts: impl Iterator<Item = &'a str>) {
    let texts: Vec<&str> = texts.collect();
    let dataset = group.create_dataset(name);
    dataset.with_vlen_strings(&texts);
    encoded(dataset, "string-array");
}

fn flags(group: &mut GroupBuilder, name: &str, values: &[bool]) -> Result<(), WriteError> {
    let flag = EnumTypeBuilder::with_base(make_i8_type());
    let flag = flag.value("FALSE", 0).value("TRUE", 1).build();
    let flag = flag.map_err(|error| WriteError::Element(error.to_string()))?;
    let bytes: Vec<u8> = values.iter().map(|value| u8::from(*value)).collect();
    let dataset = group.create_dataset(name);
    dataset.with_enum_u8_data(flag, &bytes);
    encoded(dataset, "array");
    Ok(())
}

fn obs(file: &mut FileBuilder, profiles: &Profiles) -> Result<FinishedGroup, WriteError> {
    let names = obs_names(profiles.metadata());
    let columns = profiles.metadata().iter();
    let columns = columns.filter(|(name, _)| names.is_none() || name != OBS_NAMES);
    let columns: Vec<&(String, Column)> = columns.collect();
    let order: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let running = || {
        (0..profiles.num_rows())
            .map(|row| row.to_string())
            .collect()
    };
    let mut group = file.create_group("obs");
    frame(&mut group, &order, &names.clone().unwrap_or_else(running));
    for (name, column) in columns {
        add_column(&mut group, name, column)?;
    }
    Ok(group.finish())
}

fn add_column(obs: &mut GroupBuilder, name: &str, column: &Column) -> Result<(), WriteError> {
    match EncodedColumn::of(column) {
        EncodedColumn::Strings(texts) => strings(obs, name, texts.into_iter()),
        EncodedColumn::Categorical { codes, categories } => {
            let mut group = group_of(obs.create_group(name), "categorical", "0.2.0");
            // `False`, as h5py has it.
            group.set_attr("ordered", AttrValue::I8(0));
            let dataset = group.create_dataset("codes");
            if let Some(codes) = narrowed::<i8>(&codes) {
                dataset.with_i8_data(&codes);
            } else if let Some(codes) = narrowed::<i16>(&codes) {
                dataset.with_i16_data(&codes);
            } else {
                dataset.with_i32_data(&codes);
            }
            encoded(dataset, "array");
            strings(&mut group, "categories", categories.into_iter());
            obs.add_group(group.finish());
        }
        EncodedColumn::Integers(values) => {
            encoded(obs.create_dataset(name).with_i64_data(&values), "array");
        }
        EncodedColumn::NullableIntegers(values, mask) => {
            let mut group = group_of(obs.create_group(name), "nullable-integer", "0.1.0");
            encoded(
                group.create_dataset("values").with_i64_data(&values),
                "array",
            );
            flags(&mut group, "mask", &mask)?;
            obs.add_group(group.finish());
        }
        EncodedColumn::Floats(values) => {
            encoded(obs.create_dataset(name).with_f64_data(&values), "array");
        }
        EncodedColumn::Booleans(values) => flags(obs, name, &values)?,
        EncodedColumn::NullableBooleans(values, mask) => {
            let mut group = group_of(obs.create_group(name), "nullable-boolean", "0.1.0");
            flags(&mut group, "values", &values)?;
            flags(&mut group, "mask", &mask)?;
            obs.add_group(group.finish());
        }
    }
    Ok(())
}
