use std::io::Read;

use arrow_cast::display::{ArrayFormatter, FormatOptions};
use csv::{ByteRecord, StringRecord};
use flate2::read::MultiGzDecoder;
use morphospace_core::{WellAddress, excerpt, suggestion};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::ScreenError;
use crate::store::{MAX_FILE_LEN, SharedStore, StoredFile};

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
            let delimiter = checked_delimiter(&name, delimiter.unwrap_or(by_name))?;
            let mut text = store.read(path).map_err(cannot_read)?;
            if is_gzipped {
                text = gunzip(&name, &text)?;
            }
            read_delimited(&name, delimiter, &text)?
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
        let mut lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
        let line = lines.next().unwrap_or_default();
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
        digits.parse().map_err(|_| {
            let message = format!(
                "'{}' is not a whole number from 0 to {}",
                excerpt(text),
                u32::MAX
            );
            self.invalid(row, column, &message)
        })
    }

    /// The address of a well.
    pub(crate) fn well(&self, row: usize, column: ColumnIndex) -> Result<WellAddress, ScreenError> {
        self.require(row, column)?
            .parse()
            .map_err(|source| ScreenError::UnknownWell {
                place: self.place(row),
                source,
            })
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
                let text = excerpt(text);
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

/// Bytes within which a table's first line ends.
const HEADER_LEN: u64 = 1 << 16;

type HeaderAndRows = (Vec<String>, Vec<StringRecord>);

fn checked_delimiter(name: &str, delimiter: char) -> Result<u8, ScreenError> {
    let is_valid = delimiter == '\t' || matches!(delimiter, ' '..='~') && delimiter != '"';
    if !is_valid {
        return Err(ScreenError::InvalidTable {
            table: name.to_owned(),
            message: format!(
                "'{}' cannot separate columns\nhint: use a comma, semicolon or tab",
                delimiter.escape_default()
            ),
        });
    }
    Ok(delimiter as u8)
}

fn gunzip(name: &str, bytes: &[u8]) -> Result<Vec<u8>, ScreenError> {
    let invalid = |message: String| ScreenError::InvalidTable {
        table: name.to_owned(),
        message,
    };
    let mut text = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(MAX_FILE_LEN + 1)
        .read_to_end(&mut text)
        .map_err(|error| {
            invalid(format!(
                "it cannot be gunzipped ({error})\nhint: fetch it again from its source"
            ))
        })?;
    if text.len() as u64 > MAX_FILE_LEN {
        return Err(invalid(format!(
            "it inflates to more than {MAX_FILE_LEN} bytes\nhint: check that it is a table"
        )));
    }
    Ok(text)
}

/// A row that is put below the last one. A quote that is never closed takes
/// it in, along with all rows between, which else would be lost unnoticed.
const END_ROW: &[u8] = b"\n\0";

/// What some programs put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn read_delimited(name: &str, delimiter: u8, text: &[u8]) -> Result<HeaderAndRows, ScreenError> {
    let invalid = |message: String| ScreenError::InvalidTable {
        table: name.to_owned(),
        message,
    };
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(text.chain(END_ROW));
    let columns: Vec<String> = reader
        .headers()
        .map_err(|error| match error.kind() {
            csv::ErrorKind::Utf8 { err, .. } => invalid(format!(
                "the name of column {} is not UTF-8\nhint: save the table as UTF-8",
                err.field() + 1
            )),
            _ => invalid(error.to_string()),
        })?
        .iter()
        .map(|column| column.trim().to_owned())
        .collect();
    if columns == ["\0"] {
        return Err(invalid(
            "the file is empty\nhint: the first line names the columns".to_owned(),
        ));
    }
    if columns.iter().any(|column| column.contains('\0')) {
        return Err(invalid(
            "the header has a NUL character or a quote that is never closed\nhint: save the table \
             as UTF-8, and close every quote"
                .to_owned(),
        ));
    }
    let mut records = reader
        .into_byte_records()
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| invalid(error.to_string()))?;
    number_lines(text, &mut records);
    let last = records.pop().expect("the row that was added is read");
    if &last != [b"\0"].as_slice() {
        let message = "a quote is opened and never closed\nhint: close it, or write a quote that \
                       is part of the value twice";
        return Err(of_cell(
            name,
            &columns,
            last.position(),
            last.len() - 1,
            message,
        ));
    }
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        rows.push(checked_row(name, &columns, record)?);
    }
    Ok((columns, rows))
}

fn of_cell(
    name: &str,
    columns: &[String],
    position: Option<&csv::Position>,
    field: usize,
    message: &str,
) -> ScreenError {
    ScreenError::InvalidValue {
        table: name.to_owned(),
        line: position.map_or(0, |position| position.line() as usize),
        column: column_name(columns, field),
        message: message.to_owned(),
    }
}

/// The name of a column, its number where there are more values than names.
fn column_name(columns: &[String], field: usize) -> String {
    let numbered = || format!("{}", field + 1);
    columns.get(field).cloned().unwrap_or_else(numbered)
}

/// Numbers the line on which each record starts. The reader's own numbers are
/// those of where the record before it ended, and know no line that ends in a
/// carriage return.
fn number_lines(text: &[u8], records: &mut [ByteRecord]) {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let (mut at, mut line) = (0, 1);
    for record in records {
        let Some(mut position) = record.position().cloned() else {
            continue;
        };
        let before = (position.byte() as usize).clamp(at, text.len());
        let num_ends = text[before..]
            .iter()
            .take_while(|byte| is_end(byte))
            .count();
        let start = before + num_ends;
        line += num_lines(&text[at..start]);
        at = start;
        position.set_line(line);
        record.set_position(Some(position));
    }
}

/// How many lines end in a text; `\r\n` is one end.
fn num_lines(text: &[u8]) -> u64 {
    let feeds = text.iter().filter(|&&byte| byte == b'\n').count();
    let returns = text.iter().filter(|&&byte| byte == b'\r').count();
    let both = match returns {
        0 => 0,
        _ => text.windows(2).filter(|pair| pair == b"\r\n").count(),
    };
    (feeds + returns - both) as u64
}

fn checked_row(
    name: &str,
    columns: &[String],
    record: ByteRecord,
) -> Result<StringRecord, ScreenError> {
    if record.len() != columns.len() {
        let line = record.position().map_or(0, csv::Position::line);
        return Err(ScreenError::InvalidTable {
            table: name.to_owned(),
            message: format!(
                "line {line} has {} values, the header names {} columns\nhint: every row has as \
                 many values as the header; a value that holds the delimiter stands in quotes",
                record.len(),
                columns.len()
            ),
        });
    }
    if record.as_slice().contains(&0) {
        let field = record.iter().position(|value| value.contains(&0));
        let message = "the value has a NUL character\nhint: save the table as UTF-8";
        return Err(of_cell(
            name,
            columns,
            record.position(),
            field.unwrap_or(0),
            message,
        ));
    }
    StringRecord::from_byte_record(record).map_err(|error| {
        let (record, field) = (error.clone().into_byte_record(), error.utf8_error().field());
        let message = "the value is not UTF-8\nhint: save the table as UTF-8";
        of_cell(name, columns, record.position(), field, message)
    })
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
