use std::fs;
use std::path::Path;
use std::sync::Arc;

use morphospace_core::Provenance;
use serde_json::{Map, Value, json};
use zarrs::array::{Array, ArrayMetadata, ArrayMetadataOptions, Element};
use zarrs::filesystem::FilesystemStore;

use super::obs_column::EncodedColumn;
use super::table::ROLE_KEY;
use super::{EMPTY_GROUPS, INDEX, OBS_NAMES, PROVENANCE};
use crate::write::WriteError;
use crate::{Column, Features, Profiles};
use morphospace_core::UnfinishedFolder;

/// Writes AnnData as Zarr version 2, rows by rows.
///
/// `X` goes to disk as its chunks fill; metadata is kept until the end, when it
/// is known which texts there are.
pub(crate) struct ZarrWriter {
    unfinished: UnfinishedFolder,
    store: Arc<FilesystemStore>,
    metadata: Vec<(String, Column)>,
    feature_names: Vec<String>,
    /// Rows of `X` that do not fill a chunk yet.
    pending: Features,
    chunk_rows: usize,
    num_chunks: u64,
    num_rows: usize,
}

/// What a chunk of `X` takes before it is packed: it is packed well and part of
/// a table is read fast.
const CHUNK_BYTES: usize = 1 << 20;
/// Values of other arrays that are packed together.
const CHUNK_VALUES: usize = 1 << 16;

impl ZarrWriter {
    /// Begins a folder with the columns of a table, whose rows are not written yet.
    pub(crate) fn begin(path: &Path, table: &Profiles) -> Result<Self, WriteError> {
        for name in table.metadata_names() {
            check_name(name)?;
        }
        let unfinished = UnfinishedFolder::begin(path)?;
        let store = FilesystemStore::new(unfinished.folder()).map_err(element)?;
        let metadata = table.metadata().iter();
        let metadata = metadata.map(|(name, column)| (name.clone(), column.slice(0..0)));
        let is_single = matches!(table.features(), Features::F32(_));
        let row_bytes = table.num_features() * if is_single { 4 } else { 8 };
        Ok(Self {
            unfinished,
            store: Arc::new(store),
            metadata: metadata.collect(),
            feature_names: table.feature_names().to_vec(),
            pending: Features::with_room(is_single, 0),
            chunk_rows: (CHUNK_BYTES / row_bytes.max(1)).max(1),
            num_chunks: 0,
            num_rows: 0,
        })
    }

    /// Adds rows of a table with the same columns.
    pub(crate) fn append(&mut self, table: &Profiles) -> Result<(), WriteError> {
        for ((_, column), (_, more)) in self.metadata.iter_mut().zip(table.metadata()) {
            column.extend(more);
        }
        self.num_rows += table.num_rows();
        let chunk = self.chunk_rows * self.feature_names.len();
        let mut done = 0;
        while done < table.features().len() {
            let wanted = chunk - self.pending.len();
            let until = (done + wanted).min(table.features().len());
            self.pending.extend_from(table.features(), done..until);
            done = until;
            if self.pending.len() == chunk {
                self.store_x_chunk()?;
            }
        }
        Ok(())
    }

    /// Packs the rows that were kept as the next chunk of `X`.
    fn store_x_chunk(&mut self) -> Result<(), WriteError> {
        let chunk = self.chunk_rows * self.feature_names.len();
        // The number of rows is known at the end; for now there is room enough.
        let array = self.x_array((self.num_chunks + 1) * self.chunk_rows as u64)?;
        let index = [self.num_chunks, 0];
        match &mut self.pending {
            // Zarr's last chunk is as long as the others, filled up.
            Features::F32(values) => {
                values.resize(chunk, 0.0);
                store_chunk(&array, &index, std::mem::take(values))?;
            }
            Features::F64(values) => {
                values.resize(chunk, 0.0);
                store_chunk(&array, &index, std::mem::take(values))?;
            }
        }
        self.num_chunks += 1;
        Ok(())
    }

    fn x_array(&self, num_rows: u64) -> Result<Array<FilesystemStore>, WriteError> {
        let num_features = self.feature_names.len() as u64;
        let dtype = match &self.pending {
            Features::F32(_) => "<f4",
            Features::F64(_) => "<f8",
        };
        self.array(
            "X",
            dtype,
            &[num_rows, num_features],
            &[self.chunk_rows as u64, num_features.max(1)],
            "array",
            &[(ROLE_KEY, json!("feature"))],
        )
    }

    /// Writes what is left and gives the folder its name.
    pub(crate) fn finish(mut self, provenance: Option<&Provenance>) -> Result<(), WriteError> {
        if self.num_chunks == 0 {
            self.chunk_rows = self.num_rows.max(1);
        }
        if !self.pending.is_empty() {
            self.store_x_chunk()?;
        }
        store_metadata(&self.x_array(self.num_rows as u64)?)?;
        self.group("", "anndata", "0.1.0", &[])?;
        self.obs()?;
        let frame = [("_index", json!(INDEX)), ("column-order", json!([]))];
        self.group("var", "dataframe", "0.2.0", &frame)?;
        self.strings(&format!("var/{INDEX}"), &self.feature_names)?;
        for group in EMPTY_GROUPS.into_iter().chain(["uns"]) {
            self.group(group, "dict", "0.1.0", &[])?;
        }
        if let Some(provenance) = provenance {
            let array = self.array(PROVENANCE, "|O", &[], &[], "string", &[])?;
            store_metadata(&array)?;
            store_chunk(&array, &[], vec![provenance.to_json()])?;
        }
        self.consolidate()?;
        Ok(self.unfinished.finish()?)
    }

    fn obs(&self) -> Result<(), WriteError> {
        let names = obs_names(&self.metadata);
        let is_named = names.is_some();
        let columns = self.metadata.iter();
        let mut columns = columns.filter(|(name, _)| !is_named || name != OBS_NAMES);
        let order: Vec<&String> = columns.clone().map(|(name, _)| name).collect();
        let frame = [("_index", json!(INDEX)), ("column-order", json!(order))];
        self.group("obs", "dataframe", "0.2.0", &frame)?;
        let running = || (0..self.num_rows).map(|row| row.to_string()).collect();
        let names: Vec<String> = names.unwrap_or_else(running);
        self.strings(&format!("obs/{INDEX}"), &names)?;
        columns.try_for_each(|(name, column)| self.column(name, column))
    }

    fn column(&self, name: &str, column: &Column) -> Result<(), WriteError> {
        let path = format!("obs/{name}");
        let (values, mask) = (format!("{path}/values"), format!("{path}/mask"));
        match EncodedColumn::of(column) {
            EncodedColumn::Strings(texts) => self.strings(
                &path,
                &texts.into_iter().map(str::to_owned).collect::<Vec<_>>(),
            ),
            EncodedColumn::Categorical { codes, categories } => {
                let ordered = [("ordered", json!(false))];
                self.group(&path, "categorical", "0.2.0", &ordered)?;
                let codes_path = format!("{path}/codes");
                // The smallest type, as pandas has it.
                if let Some(codes) = narrowed::<i8>(&codes) {
                    self.values(&codes_path, "|i1", &codes)?;
                } else if let Some(codes) = narrowed::<i16>(&codes) {
                    self.values(&codes_path, "<i2", &codes)?;
                } else {
                    self.values(&codes_path, "<i4", &codes)?;
                }
                let texts: Vec<String> = categories.into_iter().map(str::to_owned).collect();
                self.strings(&format!("{path}/categories"), &texts)
            }
            EncodedColumn::Integers(integers) => self.values(&path, "<i8", &integers),
            EncodedColumn::NullableIntegers(integers, missing) => {
                self.group(&path, "nullable-integer", "0.1.0", &[])?;
                self.values(&values, "<i8", &integers)?;
                self.values(&mask, "|b1", &missing)
            }
            EncodedColumn::Floats(floats) => self.values(&path, "<f8", &floats),
            EncodedColumn::Booleans(flags) => self.values(&path, "|b1", &flags),
            EncodedColumn::NullableBooleans(flags, missing) => {
                self.group(&path, "nullable-boolean", "0.1.0", &[])?;
                self.values(&values, "|b1", &flags)?;
                self.values(&mask, "|b1", &missing)
            }
        }
    }

    fn strings(&self, path: &str, texts: &[String]) -> Result<(), WriteError> {
        self.one_dimension(path, "|O", "string-array", texts)
    }

    fn values<T: Element + Clone + Default>(
        &self,
        path: &str,
        dtype: &str,
        values: &[T],
    ) -> Result<(), WriteError> {
        self.one_dimension(path, dtype, "array", values)
    }

    fn one_dimension<T: Element + Clone + Default>(
        &self,
        path: &str,
        dtype: &str,
        encoding: &str,
        values: &[T],
    ) -> Result<(), WriteError> {
        let chunk = values.len().clamp(1, CHUNK_VALUES);
        let (len, chunk_len) = (values.len() as u64, chunk as u64);
        let array = self.array(path, dtype, &[len], &[chunk_len], encoding, &[])?;
        store_metadata(&array)?;
        for (index, part) in (0..).zip(values.chunks(chunk)) {
            let mut part = part.to_vec();
            part.resize(chunk, T::default());
            store_chunk(&array, &[index], part)?;
        }
        Ok(())
    }

    /// An array that is not on disk yet, packed as anndata does it: readers have
    /// the means.
    fn array(
        &self,
        path: &str,
        dtype: &str,
        shape: &[u64],
        chunks: &[u64],
        encoding: &str,
        attributes: &[(&str, Value)],
    ) -> Result<Array<FilesystemStore>, WriteError> {
        let is_text = dtype == "|O";
        let (filters, fill_value) = match dtype {
            "|O" => (json!([{"id": "vlen-utf8"}]), json!("")),
            "|b1" => (Value::Null, json!(false)),
            dtype if dtype.starts_with("<f") => (Value::Null, json!(0.0)),
            _ => (Value::Null, json!(0)),
        };
        let metadata = json!({
            "zarr_format": 2,
            "shape": shape,
            "chunks": chunks,
            "dtype": dtype,
            "compressor": {
                "id": "blosc",
                "cname": "lz4",
                "clevel": 5,
                // Bytes of text have no places that are alike.
                "shuffle": if is_text { 0 } else { 1 },
                "blocksize": 0,
            },
            "fill_value": fill_value,
            "order": "C",
            "filters": filters,
            "dimension_separator": ".",
        });
        let metadata: ArrayMetadata = serde_json::from_value(metadata).map_err(element)?;
        let store = Arc::clone(&self.store);
        let mut array =
            Array::new_with_metadata(store, &format!("/{path}"), metadata).map_err(element)?;
        array.set_metadata_options(
            ArrayMetadataOptions::default().with_include_zarrs_metadata(false),
        );
        let attributes = attributes.iter().cloned();
        array
            .attributes_mut()
            .extend(with_encoding(encoding, "0.2.0", attributes));
        Ok(array)
    }

    fn group(
        &self,
        path: &str,
        encoding: &str,
        version: &str,
        attributes: &[(&str, Value)],
    ) -> Result<(), WriteError> {
        let folder = self.unfinished.folder().join(path);
        fs::create_dir_all(&folder)?;
        let attributes = with_encoding(encoding, version, attributes.iter().cloned());
        fs::write(
            folder.join(".zgroup"),
            json!({"zarr_format": 2}).to_string(),
        )?;
        fs::write(
            folder.join(".zattrs"),
            Value::Object(attributes).to_string(),
        )?;
        Ok(())
    }

    /// Copies all metadata into one file, from which stores that are far away
    /// are opened in one request.
    fn consolidate(&self) -> Result<(), WriteError> {
        fn collect(
            folder: &Path,
            prefix: &str,
            found: &mut Map<String, Value>,
        ) -> Result<(), WriteError> {
            let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = entry.path();
                if path.is_dir() {
                    collect(&path, &format!("{prefix}{name}/"), found)?;
                } else if matches!(name.as_str(), ".zgroup" | ".zarray" | ".zattrs") {
                    let text = fs::read_to_string(&path)?;
                    let value = serde_json::from_str(&text).map_err(element)?;
                    found.insert(format!("{prefix}{name}"), value);
                }
            }
            Ok(())
        }
        let folder = self.unfinished.folder();
        let mut found = Map::new();
        collect(folder, "", &mut found)?;
        let all = json!({"metadata": found, "zarr_consolidated_format": 1});
        fs::write(folder.join(".zmetadata"), all.to_string())?;
        Ok(())
    }
}

fn with_encoding<'a>(
    encoding: &str,
    version: &str,
    attributes: impl Iterator<Item = (&'a str, Value)>,
) -> Map<String, Value> {
    let encoding = [
        ("encoding-type", json!(encoding)),
        ("encoding-version", json!(version)),
    ];
    let attributes = attributes.chain(encoding);
    attributes
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn store_metadata(array: &Array<FilesystemStore>) -> Result<(), WriteError> {
    array.store_metadata().map_err(element)
}

fn store_chunk<T: Element>(
    array: &Array<FilesystemStore>,
    index: &[u64],
    values: Vec<T>,
) -> Result<(), WriteError> {
    array.store_chunk(index, values).map_err(element)
}

fn element(error: impl std::fmt::Display) -> WriteError {
    WriteError::Element(error.to_string())
}

/// The codes in a smaller type, if they fit.
pub(super) fn narrowed<T: TryFrom<i32>>(codes: &[i32]) -> Option<Vec<T>> {
    codes.iter().map(|code| T::try_from(*code).ok()).collect()
}

/// Refuses names that would be paths or metadata of Zarr.
pub(super) fn check_name(name: &str) -> Result<(), WriteError> {
    if name.contains('/') || name.starts_with('.') || name == INDEX {
        return Err(WriteError::Element(format!(
            "column '{name}': in AnnData a name has no '/', does not begin with '.' and is not \
             '{INDEX}'\nhint: rename the column"
        )));
    }
    Ok(())
}

/// The names of observations, if a column has one for each.
pub(super) fn obs_names(metadata: &[(String, Column)]) -> Option<Vec<String>> {
    let (_, column) = metadata.iter().find(|(name, _)| name == OBS_NAMES)?;
    let Column::Text(values) = column else {
        return None;
    };
    let names: Vec<String> = values.iter().cloned().collect::<Option<_>>()?;
    let distinct: std::collections::HashSet<&String> = names.iter().collect();
    (distinct.len() == names.len()).then_some(names)
}
