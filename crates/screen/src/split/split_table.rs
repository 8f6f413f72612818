use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use morphospace_core::{Provenance, Site};

use super::error::SplitError;
use super::part::Part;
use crate::ScreenError;
use crate::parquet_file::{BATCH_LEN, ParquetFile, batch_column, write_parquet};
use crate::site_list::site_key_text;
use crate::sites_hash::{SITES_INPUT, sites_sha256};

/// Which sites of a screen are for training, validation and test, as one
/// Parquet file that later stages and other programs read: `split.parquet`.
///
/// One row per site that has a part, with `site_key` (see
/// [`site_key_text`]), `part` (`train`, `validation`, `test`) and `fold`, the
/// same in every row and empty where the scheme has no folds. The provenance
/// stands in the file's key-value metadata. Unknown columns are ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Site and part, each site once, in the order of the screen.
    pub rows: Vec<(String, Part)>,
    /// Which fold of several this is, from 1.
    pub fold: Option<u32>,
    /// Where the table comes from.
    pub provenance: Option<Provenance>,
}

impl Split {
    /// The part of each site of a screen, `None` for those in no part.
    ///
    /// # Errors
    /// The split is of another screen: it names sites that are not there.
    ///
    /// # Example
    /// ```no_run
    /// use morphospace_screen::split::{Part, read_split};
    /// use morphospace_screen::open_screen;
    ///
    /// let screen = open_screen("rxrx1".as_ref(), None)?;
    /// let split = read_split("split.parquet".as_ref())?;
    /// let parts = split.parts(screen.sites())?;
    /// let to_train: Vec<usize> = (0..parts.len())
    ///     .filter(|&site_index| parts[site_index] == Some(Part::Train))
    ///     .collect();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parts(&self, sites: &[Site]) -> Result<Vec<Option<Part>>, SplitError> {
        let mut parts = vec![None; sites.len()];
        let mut index_of = HashMap::with_capacity(sites.len());
        for (index, site) in sites.iter().enumerate() {
            let key = site_key_text(&site.key);
            if index_of.insert(key.clone(), index).is_some() {
                return Err(SplitError::AmbiguousKey { key });
            }
        }
        let mut missing = Vec::new();
        for (key, part) in &self.rows {
            match index_of.get(key) {
                Some(&index) => parts[index] = Some(*part),
                None => missing.push(key),
            }
        }
        match missing.first() {
            None => Ok(parts),
            Some(first) => Err(SplitError::OtherScreen {
                num_missing: missing.len(),
                num_rows: self.rows.len(),
                first: (*first).clone(),
            }),
        }
    }

    /// Whether these are the sites it was made of, labelled as they were then;
    /// `None` where its provenance does not say.
    pub fn was_made_of(&self, sites: &[Site]) -> Option<bool> {
        let mut inputs = self.provenance.as_ref()?.inputs.iter();
        let made_of = inputs.find(|input| input.name == SITES_INPUT)?;
        Some(made_of.sha256 == sites_sha256(sites))
    }
}

/// Writes a split; the file appears whole or not at all.
///
/// # Errors
/// [`ScreenError::CannotWrite`].
pub fn write_split(path: &Path, split: &Split) -> Result<(), ScreenError> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("site_key", DataType::Utf8, false),
        Field::new("part", DataType::Utf8, false),
        Field::new("fold", DataType::UInt32, true),
    ]));
    let batches = split.rows.chunks(BATCH_LEN).map(|rows| {
        let keys: StringArray = rows.iter().map(|(key, _)| Some(key)).collect();
        let parts: StringArray = rows.iter().map(|(_, part)| Some(part.as_str())).collect();
        let folds: UInt32Array = rows.iter().map(|_| split.fold).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(parts), Arc::new(folds)];
        Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
    });
    write_parquet(path, &schema, split.provenance.as_ref(), &[], batches)
}

/// Reads a split. Columns that others added are ignored.
///
/// # Errors
/// [`ScreenError`] names the file and the column or row: a column or value
/// that is missing, an unknown part, a site that occurs twice, several folds
/// in one table.
pub fn read_split(path: &Path) -> Result<Split, ScreenError> {
    let mut file = ParquetFile::open(path)?;
    let has = |column| file.schema.column_with_name(column).is_some();
    if !has("site_key") && !has("part") {
        return Err(file.invalid(
            "it is no split: it has neither 'site_key' nor 'part'\nhint: give the table that \
             `morphospace split` wrote"
                .to_owned(),
        ));
    }
    let mut rows: Vec<(String, Part)> = Vec::new();
    let mut seen = HashSet::new();
    let mut fold = None;
    while let Some(batch) = file.next_batch()? {
        let columns = Columns::of(&file.table, &batch)?;
        for row in 0..batch.num_rows() {
            let place = format!("row {}", rows.len() + 1);
            let (key, part) = columns
                .row(row)
                .map_err(|error| file.invalid(format!("{place}, {error}")))?;
            if !seen.insert(key.clone()) {
                return Err(file.invalid(format!(
                    "{place}: site '{key}' occurs twice\nhint: keep each site in one part"
                )));
            }
            let fold_of_row = columns.fold(row);
            if *fold.get_or_insert(fold_of_row) != fold_of_row {
                return Err(file.invalid(format!(
                    "{place}, column 'fold': several folds\nhint: write one file per fold"
                )));
            }
            rows.push((key, part));
        }
    }
    Ok(Split {
        rows,
        fold: fold.flatten(),
        provenance: file.provenance,
    })
}

/// The columns of one record batch.
struct Columns {
    keys: StringArray,
    parts: StringArray,
    folds: UInt32Array,
}

impl Columns {
    fn of(table: &str, batch: &RecordBatch) -> Result<Self, ScreenError> {
        let column = |name: &str, data_type| batch_column(table, batch, name, &data_type);
        Ok(Self {
            keys: column("site_key", DataType::Utf8)?
                .as_string::<i32>()
                .clone(),
            parts: column("part", DataType::Utf8)?.as_string::<i32>().clone(),
            folds: column("fold", DataType::UInt32)?
                .as_primitive::<UInt32Type>()
                .clone(),
        })
    }

    fn row(&self, row: usize) -> Result<(String, Part), String> {
        let text = |column: &StringArray, name: &str| {
            if column.is_null(row) {
                return Err(format!("column '{name}': there is no value"));
            }
            Ok(column.value(row).to_owned())
        };
        let part = text(&self.parts, "part")?
            .parse()
            .map_err(|error| format!("column 'part': {error}"))?;
        Ok((text(&self.keys, "site_key")?, part))
    }

    fn fold(&self, row: usize) -> Option<u32> {
        self.folds.is_valid(row).then(|| self.folds.value(row))
    }
}
