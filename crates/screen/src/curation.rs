use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, StringArray};
use arrow_schema::{DataType, Field};
use morphospace_core::{Provenance, Site};

use crate::ScreenError;
use crate::manifest::{Manifest, write_manifest_with};
use crate::parquet_file::{ParquetFile, batch_column};
use crate::site_list::site_key_text;

/// Which sites of a screen to keep, as `curated.parquet` says it: a manifest with the
/// columns `keep` and `reason`, which is empty where a site is kept.
///
/// # Example
/// ```no_run
/// use morphospace_screen::{open_screen, read_curation};
///
/// let screen = open_screen("rxrx1".as_ref(), None)?;
/// let curation = read_curation("curated.parquet".as_ref())?;
/// let kept = curation.kept(screen.sites())?;
/// println!("{} of {} sites are kept", kept.len(), screen.sites().len());
/// # Ok::<(), morphospace_screen::ScreenError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Curation {
    /// The file, for messages.
    table: String,
    /// Each site by its key ([`site_key_text`]), and whether it is kept.
    rows: Vec<(String, bool)>,
    /// Where the table comes from.
    pub provenance: Option<Provenance>,
}

impl Curation {
    /// Positions of the kept sites among those of a screen, in their order. Sites
    /// that the table does not list are not kept.
    ///
    /// # Errors
    /// The table is of another screen: it names sites that are not there.
    pub fn kept(&self, sites: &[Site]) -> Result<Vec<usize>, ScreenError> {
        let keep: HashMap<&str, bool> = self
            .rows
            .iter()
            .map(|(key, keep)| (key.as_str(), *keep))
            .collect();
        let mut num_found = 0;
        let mut kept = Vec::new();
        for (index, site) in sites.iter().enumerate() {
            if let Some(keep) = keep.get(site_key_text(&site.key).as_str()) {
                num_found += 1;
                if *keep {
                    kept.push(index);
                }
            }
        }
        if num_found == self.rows.len() {
            return Ok(kept);
        }
        let there: HashSet<String> = sites.iter().map(|site| site_key_text(&site.key)).collect();
        let missing = self.rows.iter().find(|(key, _)| !there.contains(key));
        Err(ScreenError::InvalidTable {
            table: self.table.clone(),
            message: format!(
                "it is of another screen: {} of its {} sites are not there, such as '{}'\nhint: \
                 curate the manifest of this screen",
                self.rows.len() - num_found,
                self.rows.len(),
                missing.map_or("", |(key, _)| key)
            ),
        })
    }
}

/// Writes a manifest with what curation says of its sites: whether to keep each, and
/// why not. The file appears whole or not at all, and is read as a manifest, too.
///
/// # Errors
/// [`ScreenError::CannotWrite`]: the system's words, or lengths that differ.
pub fn write_curation(
    path: &Path,
    manifest: &Manifest,
    keep: &[bool],
    reasons: &[Option<String>],
) -> Result<(), ScreenError> {
    let num_sites = manifest.sites.len();
    if keep.len() != num_sites || reasons.len() != num_sites {
        return Err(ScreenError::CannotWrite {
            path: path.to_owned(),
            message: format!(
                "{} verdicts and {} reasons for {num_sites} sites",
                keep.len(),
                reasons.len()
            ),
        });
    }
    let further = vec![
        Field::new("keep", DataType::Boolean, false),
        Field::new("reason", DataType::Utf8, true),
    ];
    write_manifest_with(path, manifest, further, &|rows| -> Vec<ArrayRef> {
        let reasons = reasons[rows.clone()].iter().map(Option::as_deref);
        vec![
            Arc::new(BooleanArray::from(keep[rows].to_vec())),
            Arc::new(reasons.collect::<StringArray>()),
        ]
    })
}

/// Reads which sites to keep. Columns other than `site_key` and `keep` are ignored.
///
/// # Errors
/// [`ScreenError`] names the file and the column or row: a column or value that is
/// missing, a site that occurs twice.
pub fn read_curation(path: &Path) -> Result<Curation, ScreenError> {
    let mut file = ParquetFile::open(path)?;
    if file.schema.column_with_name("keep").is_none() {
        return Err(file.invalid(
            "it has no column 'keep'\nhint: give the table that `morphospace curate` wrote"
                .to_owned(),
        ));
    }
    let mut rows: Vec<(String, bool)> = Vec::new();
    let mut seen = HashSet::new();
    while let Some(batch) = file.next_batch()? {
        let keys = batch_column(&file.table, &batch, "site_key", &DataType::Utf8)?;
        let keep = batch_column(&file.table, &batch, "keep", &DataType::Boolean)?;
        let (keys, keep) = (keys.as_string::<i32>(), keep.as_boolean());
        for row in 0..batch.num_rows() {
            let place = format!("row {}", rows.len() + 1);
            for (column, is_null) in [("site_key", keys.is_null(row)), ("keep", keep.is_null(row))]
            {
                if is_null {
                    return Err(
                        file.invalid(format!("{place}, column '{column}': there is no value"))
                    );
                }
            }
            let key = keys.value(row).to_owned();
            if !seen.insert(key.clone()) {
                return Err(file.invalid(format!("{place}: site '{key}' occurs twice")));
            }
            rows.push((key, keep.value(row)));
        }
    }
    Ok(Curation {
        table: file.table,
        rows,
        provenance: file.provenance,
    })
}
