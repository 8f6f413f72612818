use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use zarrs::array::{Array, ArraySubset, CodecOptions, ElementOwned, data_type};
use zarrs::filesystem::FilesystemStore;

use super::element::{ArrayInfo, ElementStore, Numbers, ValueKind, caught, check_room, unreadable};
use crate::ProfilesError;

/// AnnData in a folder of Zarr, version 2 or 3.
pub(super) struct ZarrFolder {
    folder: PathBuf,
    store: Arc<FilesystemStore>,
}

impl ZarrFolder {
    pub(super) fn open(path: &Path) -> Result<Self, ProfilesError> {
        // A file of this name, or nothing, is told by the system's words.
        fs::read_dir(path).map_err(|source| ProfilesError::CannotOpen {
            path: path.to_owned(),
            source,
        })?;
        let malformed = |message: String| ProfilesError::Malformed {
            format: "AnnData",
            message,
        };
        let store = FilesystemStore::new(path).map_err(|error| malformed(error.to_string()))?;
        let folder = Self {
            folder: path.to_owned(),
            store: Arc::new(store),
        };
        if !folder.is_group("") {
            return Err(malformed(
                "it holds neither .zgroup nor zarr.json".to_owned(),
            ));
        }
        Ok(folder)
    }

    /// The place of a file of an element. Names come from the file: none of
    /// them leads out of the folder.
    fn file(&self, element: &str, name: &str) -> PathBuf {
        let parts = element
            .split('/')
            .filter(|part| !matches!(*part, "" | "." | ".."));
        let folder = parts.fold(self.folder.clone(), |folder, part| folder.join(part));
        folder.join(name)
    }

    /// Version 3's one file of metadata.
    fn version_3(&self, element: &str) -> Option<Value> {
        let text = fs::read_to_string(self.file(element, "zarr.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn is_node(&self, element: &str, node_type: &str, version_2: &str) -> bool {
        self.file(element, version_2).is_file()
            || self
                .version_3(element)
                .is_some_and(|node| node["node_type"] == node_type)
    }

    fn open_array(&self, element: &str) -> Result<Array<FilesystemStore>, ProfilesError> {
        if !self.is_array(element) {
            return Err(unreadable(element, "there is no such array"));
        }
        caught(element, || {
            let array = Array::open(Arc::clone(&self.store), &format!("/{element}"));
            let array = array.map_err(|error| error.to_string())?;
            // A forged chunk size would claim memory before a byte is read.
            let chunk = array.chunk_shape(&vec![0; array.shape().len()]);
            let chunk = chunk.map_err(|error| error.to_string())?;
            let sides = chunk.iter().map(|side| side.get());
            let num_values = sides.fold(1u64, u64::saturating_mul);
            check_room(num_values, 16).map_err(|error| format!("its chunks: {error}"))?;
            Ok(array)
        })
    }
}

/// What an array's values are, if it is something that is read.
fn kind_of(array: &Array<FilesystemStore>) -> Result<ValueKind, String> {
    let found = array.data_type();
    let integers = [
        data_type::int8(),
        data_type::int16(),
        data_type::int32(),
        data_type::int64(),
        data_type::uint8(),
        data_type::uint16(),
        data_type::uint32(),
        data_type::uint64(),
    ];
    if integers.contains(found) {
        Ok(ValueKind::Integer)
    } else if *found == data_type::float32() {
        Ok(ValueKind::Single)
    } else if *found == data_type::float64() {
        Ok(ValueKind::Double)
    } else if *found == data_type::bool() {
        Ok(ValueKind::Boolean)
    } else if *found == data_type::string() {
        Ok(ValueKind::Text)
    } else {
        Err(format!("values of type {found:?} are not read"))
    }
}

fn values<T: ElementOwned>(
    array: &Array<FilesystemStore>,
    subset: &ArraySubset,
) -> Result<Vec<T>, String> {
    let size = size_of::<T>().max(1) as u64;
    check_room(subset.num_elements(), size)?;
    // One chunk after the other: each that is unpacked takes memory.
    let options = CodecOptions::default().with_concurrent_target(1);
    array
        .retrieve_array_subset_opt(subset, &options)
        .map_err(|error| error.to_string())
}

impl ElementStore for ZarrFolder {
    fn is_group(&self, path: &str) -> bool {
        self.is_node(path, "group", ".zgroup")
    }

    fn is_array(&self, path: &str) -> bool {
        self.is_node(path, "array", ".zarray")
    }

    fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.file(path, "")).into_iter().flatten();
        let folders = entries.flatten().filter(|entry| entry.path().is_dir());
        let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names
            .filter(|name| {
                let child = format!("{path}/{name}");
                self.is_group(&child) || self.is_array(&child)
            })
            .collect()
    }

    fn attributes(&self, path: &str) -> Result<Map<String, Value>, ProfilesError> {
        let map = |value: Value| match value {
            Value::Object(map) => Ok(map),
            _ => Err(unreadable(path, "its attributes are no JSON object")),
        };
        if let Some(mut node) = self.version_3(path) {
            return match node.get_mut("attributes") {
                Some(attributes) => map(attributes.take()),
                None => Ok(Map::new()),
            };
        }
        if !self.is_group(path) && !self.is_array(path) {
            return Err(unreadable(path, "there is no such element"));
        }
        match fs::read_to_string(self.file(path, ".zattrs")) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| unreadable(path, format!("its attributes: {error}")))
                .and_then(map),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Map::new()),
            Err(error) => Err(unreadable(path, format!("its attributes: {error}"))),
        }
    }

    fn array(&self, path: &str) -> Result<ArrayInfo, ProfilesError> {
        let array = self.open_array(path)?;
        let chunk = array.chunk_shape(&vec![0; array.shape().len()]).ok();
        let chunk_rows = chunk.and_then(|chunk| chunk.first().map(|side| side.get()));
        Ok(ArrayInfo {
            shape: array.shape().to_vec(),
            kind: kind_of(&array).map_err(|message| unreadable(path, message))?,
            chunk_rows: chunk_rows.unwrap_or(1),
        })
    }

    fn strings(&self, path: &str, rows: Range<u64>) -> Result<Vec<String>, ProfilesError> {
        let array = self.open_array(path)?;
        let subset = rows_of(&array, rows).map_err(|message| unreadable(path, message))?;
        caught(path, || match kind_of(&array)? {
            ValueKind::Text => values(&array, &subset),
            _ => Err("it does not hold text".to_owned()),
        })
    }

    fn numbers(&self, path: &str, rows: Range<u64>) -> Result<Numbers, ProfilesError> {
        let array = self.open_array(path)?;
        let subset = rows_of(&array, rows).map_err(|message| unreadable(path, message))?;
        caught(path, || read_numbers(&array, &subset))
    }
}

/// Some rows of an array, whole.
fn rows_of(array: &Array<FilesystemStore>, rows: Range<u64>) -> Result<ArraySubset, String> {
    let mut ranges: Vec<Range<u64>> = array.shape().iter().map(|side| 0..*side).collect();
    match ranges.first_mut() {
        None if rows == (0..1) => {}
        Some(first) if rows.start <= rows.end && rows.end <= first.end => *first = rows,
        _ => return Err("it has fewer rows than it should".to_owned()),
    }
    Ok(ArraySubset::new_with_ranges(&ranges))
}

fn read_numbers(array: &Array<FilesystemStore>, subset: &ArraySubset) -> Result<Numbers, String> {
    fn whole<T: ElementOwned + Into<i64>>(
        array: &Array<FilesystemStore>,
        subset: &ArraySubset,
    ) -> Result<Numbers, String> {
        let values = values::<T>(array, subset)?;
        Ok(Numbers::Integer(
            values.into_iter().map(Into::into).collect(),
        ))
    }
    let found = array.data_type();
    match kind_of(array)? {
        ValueKind::Text => Err("it holds text and not numbers".to_owned()),
        ValueKind::Single => values(array, subset).map(Numbers::Single),
        ValueKind::Double => values(array, subset).map(Numbers::Double),
        ValueKind::Boolean => values(array, subset).map(Numbers::Boolean),
        ValueKind::Integer if *found == data_type::int8() => whole::<i8>(array, subset),
        ValueKind::Integer if *found == data_type::int16() => whole::<i16>(array, subset),
        ValueKind::Integer if *found == data_type::int32() => whole::<i32>(array, subset),
        ValueKind::Integer if *found == data_type::int64() => whole::<i64>(array, subset),
        ValueKind::Integer if *found == data_type::uint8() => whole::<u8>(array, subset),
        ValueKind::Integer if *found == data_type::uint16() => whole::<u16>(array, subset),
        ValueKind::Integer if *found == data_type::uint32() => whole::<u32>(array, subset),
        ValueKind::Integer => {
            let values = values::<u64>(array, subset)?.into_iter();
            let values = values.map(|value| i64::try_from(value).map_err(|_| value));
            let values: Result<Vec<i64>, u64> = values.collect();
            values
                .map(Numbers::Integer)
                .map_err(|value| format!("{value} is larger than the numbers that are read"))
        }
    }
}
