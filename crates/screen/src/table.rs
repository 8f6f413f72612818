use std::io::{Cursor, Read};

use arrow_cast::display::{ArrayFormatter, FormatOptions};
use csv::StringRecord;
use flate2::read::MultiGzDecoder;
use morphospace_core::suggestion;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::ScreenError;
use crate::store::{SharedStore, StoredFile};

/// A table of text read from CSV, TSV (each also gzipped) or Parquet.
pub(crate) struct Table {
    name: String,
    columns: Vec<String>,
    rows: Vec<StringRecord>,
    /// Values that mean "nothing here".
    missing: Vec<String>,
}

/// A column that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnIndex(usize);

impl Table {
    /// Reads a table; `.parquet` as such, anything else as delimited text
    /// (`delimiter`, else a tab for `.tsv` and `.txt` and a comma for the
    /// rest), gunzipped if it ends in `.gz`. Empty cells and those equal to
    /// one of `missing` hold nothing.
    pub(crate) fn read(
        store: &SharedStore,
        path: &str,
        delimiter: Option<char>,
        missing: &[String],
    ) -> Result<Self, ScreenError> {
        let name = store.file_location(path);
        let cannot_read = |error| ScreenError::cannot_read(name.clone(), &error);
        let lower = path.to_ascii_lowercase();
        let (columns, rows) = if lower.ends_with(".parquet") {
            let file = StoredFile::open(store, path).map_err(cannot_read)?;
            read_parquet(&name, file)?
        } else {
            let (stem, is_gzipped) = match lower.strip_suffix(".gz") {
                Some(stem) => (stem, true),
                None => (&lower[..], false),
            };
            let by_name = if stem.ends_with(".tsv") || stem.ends_with(".txt") {
                '\t'
            } else {
                ','
            };
            let delimiter = u8::try_from(delimiter.unwrap_or(by_name)).map_err(|_| {
                ScreenError::InvalidTable {
                    table: name.clone(),
                    message: "the delimiter is not an ASCII character".to_owned(),
                }
            })?;
            let bytes = Cursor::new(store.read(path).map_err(cannot_read)?);
            if is_gzipped {
                let text = MultiGzDecoder::new(bytes).take(MAX_TEXT_LEN);
                read_delimited(&name, delimiter, text)?
            } else {
                read_delimited(&name, delimiter, bytes)?
            }
        };
        Ok(Self {
            name,
            columns,
            rows,
            missing: missing.to_vec(),
        })
    }

    /// The columns of a delimited table, from its first bytes: enough to
    /// tell whose table it is. Empty where that fails; reading the table
    /// says why.
    pub(crate) fn columns_of(store: &SharedStore, path: &str) -> Vec<String> {
        let Ok(Some(len)) = store.len(path) else {
            return Vec::new();
        };
        let Ok(bytes) = store.read_range(path, 0..len.min(HEADER_LEN)) else {
            return Vec::new();
        };
        let mut text = Vec::new();
        if path.to_ascii_lowercase().ends_with(".gz") {
            // The stream ends early, an error after the part that is wanted.
            let mut inflated = MultiGzDecoder::new(&bytes[..]).take(HEADER_LEN);
            let _ = inflated.read_to_end(&mut text);
        } else {
            text = bytes;
        }
        let line = text.split(|&byte| byte == b'\n').next().unwrap_or(&[]);
        read_delimited(path, b',', line).map_or_else(|_| Vec::new(), |(columns, _)| columns)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The names of all columns.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(crate) fn num_rows(&self) -> usize {
        self.rows.len()
    }

    /// The line of a row in the file, 1 being the header.
    pub(crate) fn line(&self, row: usize) -> usize {
        self.rows[row]
            .position()
            .map_or(row + 2, |position| position.line() as usize)
    }

    /// `'metadata.csv' line 3`.
    pub(crate) fn place(&self, row: usize) -> String {
        format!("table '{}' line {}", self.name, self.line(row))
    }

    /// A column that must be there.
    pub(crate) fn column(&self, column: &str) -> Result<ColumnIndex, ScreenError> {
        self.optional_column(column)?
            .ok_or_else(|| ScreenError::MissingColumn {
                table: self.name.clone(),
                column: column.to_owned(),
                available: self.columns.clone(),
                near: suggestion(column, self.columns.iter().map(String::as_str))
                    .map(str::to_owned),
            })
    }

    /// A column that may be there.
    pub(crate) fn optional_column(&self, column: &str) -> Result<Option<ColumnIndex>, ScreenError> {
        let mut found = self
            .columns
            .iter()
            .enumerate()
            .filter(|(_, name)| *name == column);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(ScreenError::DuplicateColumn {
                table: self.name.clone(),
                column: column.to_owned(),
            }),
            (first, _) => Ok(first.map(|(index, _)| ColumnIndex(index))),
        }
    }

    /// A value without surrounding blanks; `None` where there is nothing.
    pub(crate) fn get(&self, row: usize, column: ColumnIndex) -> Option<&str> {
        let text = self.rows[row].get(column.0)?.trim();
        (!text.is_empty() && !self.missing.iter().any(|word| word == text)).then_some(text)
    }

    /// A value that must be there.
    pub(crate) fn require(&self, row: usize, column: ColumnIndex) -> Result<&str, ScreenError> {
        self.get(row, column)
            .ok_or_else(|| self.invalid(row, column, "there is no value"))
    }

    /// A whole number, accepted as `3` and as the `3.0` of tables that went
    /// through floating point.
    pub(crate) fn number(&self, row: usize, column: ColumnIndex) -> Result<u32, ScreenError> {
        let text = self.require(row, column)?;
        let digits = text.strip_suffix(".0").unwrap_or(text);
        digits
            .parse()
            .map_err(|_| self.invalid(row, column, &format!("'{text}' is not a whole number")))
    }

    /// A dose in micromolar; `None` where there is nothing.
    pub(crate) fn concentration(
        &self,
        row: usize,
        column: ColumnIndex,
    ) -> Result<Option<f64>, ScreenError> {
        let Some(text) = self.get(row, column) else {
            return Ok(None);
        };
        match text.parse::<f64>() {
            Ok(dose) if dose.is_finite() && dose >= 0.0 => Ok(Some(dose)),
            _ => {
                let message = format!("'{text}' is not a concentration in micromolar");
                Err(self.invalid(row, column, &message))
            }
        }
    }

    pub(crate) fn invalid(&self, row: usize, column: ColumnIndex, message: &str) -> ScreenError {
        ScreenError::InvalidValue {
            table: self.name.clone(),
            line: self.line(row),
            column: self.columns[column.0].clone(),
            message: message.to_owned(),
        }
    }
}

/// Longest text that is inflated from a gzipped table: RxRx3's metadata, the
/// largest we know, is a twentieth of it. What lies behind is not a table.
const MAX_TEXT_LEN: u64 = 4 << 30;

/// Bytes within which a table's first line ends.
const HEADER_LEN: u64 = 1 << 16;

type HeaderAndRows = (Vec<String>, Vec<StringRecord>);

fn read_delimited(
    name: &str,
    delimiter: u8,
    reader: impl Read,
) -> Result<HeaderAndRows, ScreenError> {
    let invalid = |error: csv::Error| {
        let hint = match error.kind() {
            csv::ErrorKind::Utf8 { .. } => "\nhint: save the table as UTF-8",
            csv::ErrorKind::UnequalLengths { .. } => {
                "\nhint: every row has as many values as the header; a value that holds the \
                 delimiter stands in quotes"
            }
            _ => "",
        };
        ScreenError::InvalidTable {
            table: name.to_owned(),
            message: format!("{error}{hint}"),
        }
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(reader);
    let columns: Vec<String> = reader
        .headers()
        .map_err(invalid)?
        .iter()
        .map(|column| column.trim().to_owned())
        .collect();
    if columns.is_empty() {
        return Err(ScreenError::InvalidTable {
            table: name.to_owned(),
            message: "the file is empty\nhint: the first line names the columns".to_owned(),
        });
    }
    let rows = reader
        .records()
        .collect::<Result<Vec<_>, _>>()
        .map_err(invalid)?;
    Ok((columns, rows))
}

fn read_parquet(name: &str, file: StoredFile) -> Result<HeaderAndRows, ScreenError> {
    let invalid = |message: String| ScreenError::InvalidTable {
        table: name.to_owned(),
        message,
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| invalid(error.to_string()))?;
    let columns: Vec<String> = builder
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let mut rows = Vec::new();
    let options = FormatOptions::default().with_display_error(false);
    for batch in builder
        .build()
        .map_err(|error| invalid(error.to_string()))?
    {
        let batch = batch.map_err(|error| invalid(error.to_string()))?;
        let formatters = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| invalid(error.to_string()))?;
        for row in 0..batch.num_rows() {
            let mut record = StringRecord::new();
            for formatter in &formatters {
                let text = formatter
                    .value(row)
                    .try_to_string()
                    .map_err(|error| invalid(error.to_string()))?;
                record.push_field(&text);
            }
            rows.push(record);
        }
    }
    Ok((columns, rows))
}
