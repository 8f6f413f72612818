use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use morphospace_core::{Provenance, write_atomically};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::ProfilesError;
use crate::parquet_file::{PROVENANCE_KEY, malformed, provenance_of};

/// What trained heads tell of sites: `predictions.parquet`.
///
/// One row for each site and head, with `site_key`, `experiment`, `cell_type`,
/// `head` (what is told, e.g. `perturbation` or `batch`), `label` (empty where
/// it is not known), `predicted`, `top5` (a list, the likeliest first) and
/// `log_prob` of what is predicted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// The rows.
    pub rows: Vec<PredictionRow>,
    /// Where the table comes from.
    pub provenance: Option<Provenance>,
}

/// What a head tells of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionRow {
    /// The site.
    pub site_key: String,
    /// Its experiment.
    pub experiment: String,
    /// Its cells, if they are known.
    pub cell_type: Option<String>,
    /// What is told.
    pub head: String,
    /// What it is, if that is known.
    pub label: Option<String>,
    /// What it is taken for.
    pub predicted: String,
    /// The likeliest, at most five, the first being what it is taken for.
    pub top5: Vec<String>,
    /// The logarithm of the probability of what it is taken for.
    pub log_prob: f64,
}

impl Predictions {
    /// How many of a head's rows are right, and how many there are whose label is
    /// one of its classes: what it was never shown, it cannot tell.
    pub fn num_right(&self, head: &str, classes: &[String]) -> (usize, usize) {
        let rows = self.rows.iter().filter(|row| row.head == head);
        let known = rows.filter_map(|row| {
            let label = row.label.as_ref().filter(|label| classes.contains(label))?;
            Some(*label == row.predicted)
        });
        known.fold((0, 0), |(right, all), is_right| {
            (right + usize::from(is_right), all + 1)
        })
    }
}

const TEXTS: [(&str, bool); 6] = [
    ("site_key", false),
    ("experiment", false),
    ("cell_type", true),
    ("head", false),
    ("label", true),
    ("predicted", false),
];
const TOP5: &str = "top5";
const LOG_PROB: &str = "log_prob";

/// Writes predictions; the file appears whole or not at all.
///
/// # Errors
/// [`ProfilesError::CannotWrite`].
pub fn write_predictions(path: &Path, predictions: &Predictions) -> Result<(), ProfilesError> {
    let rows = &predictions.rows;
    let item = Field::new_list_field(DataType::Utf8, true);
    let mut fields: Vec<Field> = TEXTS
        .into_iter()
        .map(|(name, is_nullable)| Field::new(name, DataType::Utf8, is_nullable))
        .collect();
    fields.push(Field::new(TOP5, DataType::List(Arc::new(item)), false));
    fields.push(Field::new(LOG_PROB, DataType::Float64, false));
    let schema = Arc::new(Schema::new(fields));
    let text = |value: fn(&PredictionRow) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<StringArray>())
    };
    let mut top5 = ListBuilder::new(StringBuilder::new());
    for row in rows {
        row.top5
            .iter()
            .for_each(|name| top5.values().append_value(name));
        top5.append(true);
    }
    let columns: Vec<ArrayRef> = vec![
        text(|row| Some(&row.site_key)),
        text(|row| Some(&row.experiment)),
        text(|row| row.cell_type.as_deref()),
        text(|row| Some(&row.head)),
        text(|row| row.label.as_deref()),
        text(|row| Some(&row.predicted)),
        Arc::new(top5.finish()),
        Arc::new(Float64Array::from_iter_values(
            rows.iter().map(|row| row.log_prob),
        )),
    ];
    let write = |file: &mut std::io::BufWriter<File>| -> std::io::Result<()> {
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        let batch = batch.map_err(std::io::Error::other)?;
        let provenance = predictions.provenance.as_ref().map(|provenance| {
            vec![KeyValue::new(
                PROVENANCE_KEY.to_owned(),
                provenance.to_json(),
            )]
        });
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(provenance)
            .build();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties));
        let mut writer = writer.map_err(std::io::Error::other)?;
        writer.write(&batch).map_err(std::io::Error::other)?;
        writer.close().map_err(std::io::Error::other)?;
        Ok(())
    };
    write_atomically(path, write).map_err(|source| ProfilesError::CannotWrite {
        path: path.to_owned(),
        source: source.into(),
    })
}

/// Reads predictions; columns that others added are ignored.
///
/// # Errors
/// [`ProfilesError`] names the file and the column.
pub fn read_predictions(path: &Path) -> Result<Predictions, ProfilesError> {
    let file = File::open(path).map_err(|source| ProfilesError::CannotOpen {
        path: path.to_owned(),
        source,
    })?;
    read(file).map_err(|error| error.in_file(path))
}

fn read(file: File) -> Result<Predictions, ProfilesError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(malformed)?;
    let provenance = provenance_of(builder.metadata())?;
    let mut rows = Vec::new();
    for batch in builder.build().map_err(malformed)? {
        let batch = batch.map_err(malformed)?;
        let column = |name: &str, expected: &dyn Fn(&DataType) -> bool| {
            let Some(column) = batch.column_by_name(name) else {
                return Err(ProfilesError::MissingColumn {
                    name: name.to_owned(),
                    suggestion: None,
                    available: TEXTS.map(|(name, _)| name.to_owned()).to_vec(),
                });
            };
            match expected(column.data_type()) {
                true => Ok(Arc::clone(column)),
                false => Err(ProfilesError::UnreadableColumn {
                    column: name.to_owned(),
                    message: format!(
                        "holds {}, which is not what predictions hold",
                        column.data_type()
                    ),
                }),
            }
        };
        let mut texts = Vec::with_capacity(TEXTS.len());
        for (name, is_nullable) in TEXTS {
            let text = column(name, &|data_type| *data_type == DataType::Utf8)?;
            if !is_nullable && text.null_count() > 0 {
                return Err(ProfilesError::UnreadableColumn {
                    column: name.to_owned(),
                    message: "lacks values".to_owned(),
                });
            }
            texts.push(text.as_string::<i32>().clone());
        }
        let is_list = |data_type: &DataType| matches!(data_type, DataType::List(item) if *item.data_type() == DataType::Utf8);
        let top5 = column(TOP5, &is_list)?;
        let top5 = top5.as_list::<i32>();
        let log_prob = column(LOG_PROB, &|data_type| *data_type == DataType::Float64)?;
        let log_prob = log_prob.as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let text = |index: usize| {
                let column: &StringArray = &texts[index];
                column.is_valid(row).then(|| column.value(row).to_owned())
            };
            let names = top5.value(row);
            let names = names.as_string::<i32>().iter().flatten();
            rows.push(PredictionRow {
                site_key: text(0).unwrap_or_default(),
                experiment: text(1).unwrap_or_default(),
                cell_type: text(2),
                head: text(3).unwrap_or_default(),
                label: text(4),
                predicted: text(5).unwrap_or_default(),
                top5: names.map(str::to_owned).collect(),
                log_prob: log_prob.value(row),
            });
        }
    }
    Ok(Predictions { rows, provenance })
}
