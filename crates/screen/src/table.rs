use std::cell::Cell;
use std::io::{self, Read};

use arrow_cast::display::{ArrayFormatter, FormatOptions};
use csv::ByteRecord;
use flate2::read::MultiGzDecoder;
use morphospace_core::{WellAddress, excerpt, suggestion};

use crate::ScreenError;
use crate::parquet_file::{bounded_metadata, caught};
use crate::record_batches::{RecordBatches, Selection};
use crate::store::{MAX_FILE_LEN, SharedStore, StoredFile};
use crate::table_rows::{CellText, MAX_CELL_LEN, TableRows, too_long_cell};

/// A table of text read from CSV, TSV (each also gzipped) or Parquet.
pub(crate) struct Table {
    name: String,
    columns: Vec<String>,
    rows: TableRows,
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
    /// one of `missing` hold nothing. A table beyond the bounds of
    /// [`TableRows`] is refused before it takes up memory.
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
        self.rows.line(row)
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
        let text = self.rows.get(row, column.0).trim();
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
        without_zero_fraction(text).parse().map_err(|_| {
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

/// A whole number as it was before it went through floating point: `1.0` is
/// `1`. Other text stays as it is.
pub(crate) fn without_zero_fraction(text: &str) -> &str {
    match text.strip_suffix(".0") {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits,
        _ => text,
    }
}

/// Bytes within which a table's first line ends.
const HEADER_LEN: u64 = 1 << 16;

/// Longest row of a delimited table, in bytes, and most columns of any.
const MAX_ROW_LEN: u64 = 16 << 20;
const MAX_NUM_COLUMNS: usize = 1 << 16;

type HeaderAndRows = (Vec<String>, TableRows);

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

/// The text of a table on its way to the CSV reader, which would hold a row
/// of any length.
struct RowGuard<R> {
    text: R,
    num_read: u64,
    /// Where the last row ended.
    row_end: Cell<u64>,
}

impl<R: Read> Read for RowGuard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.num_read.saturating_sub(self.row_end.get()) > MAX_ROW_LEN {
            return Err(io::Error::other(format!(
                "a row has more than {MAX_ROW_LEN} bytes\nhint: check that the file is a table, \
                 and that every quote is closed"
            )));
        }
        let read = self.text.read(buffer)?;
        self.num_read += read as u64;
        Ok(read)
    }
}

fn read_delimited(name: &str, delimiter: u8, text: &[u8]) -> Result<HeaderAndRows, ScreenError> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(RowGuard {
            text: text.chain(END_ROW),
            num_read: 0,
            row_end: Cell::new(0),
        });
    let columns = read_header(name, &mut reader)?;
    let mut rows = TableRows::new(columns.len());
    let mut lines = LineCounter {
        text,
        at: 0,
        line: 1,
    };
    // A row is entered when there is another: the last is the one that was
    // added.
    let (mut row, mut next) = (ByteRecord::new(), ByteRecord::new());
    let mut is_first = true;
    loop {
        let row_end = reader.position().byte();
        reader.get_ref().row_end.set(row_end);
        let is_read = reader
            .read_byte_record(&mut next)
            .map_err(|error| match error.kind() {
                csv::ErrorKind::Io(error) => {
                    let line = lines.line_after(row_end);
                    invalid(name, format!("line {line}: {error}"))
                }
                _ => invalid(name, error.to_string()),
            })?;
        if !is_read {
            break;
        }
        lines.number(&mut next);
        if !is_first {
            push_row(name, &columns, &row, &mut rows)?;
        }
        is_first = false;
        std::mem::swap(&mut row, &mut next);
    }
    if &row != [b"\0"].as_slice() {
        let message = "a quote is opened and never closed\nhint: close it, or write a quote that \
                       is part of the value twice";
        let field = row.len().saturating_sub(1);
        return Err(of_cell(name, &columns, row.position(), field, message));
    }
    Ok((columns, rows))
}

fn invalid(name: &str, message: String) -> ScreenError {
    ScreenError::InvalidTable {
        table: name.to_owned(),
        message,
    }
}

/// The names of the columns.
fn read_header(
    name: &str,
    reader: &mut csv::Reader<impl Read>,
) -> Result<Vec<String>, ScreenError> {
    let header = reader.headers().map_err(|error| match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => invalid(
            name,
            format!(
                "the name of column {} is not UTF-8\nhint: save the table as UTF-8",
                err.field() + 1
            ),
        ),
        csv::ErrorKind::Io(error) => invalid(name, error.to_string()),
        _ => invalid(name, error.to_string()),
    })?;
    if header.len() > MAX_NUM_COLUMNS {
        return Err(invalid(
            name,
            format!(
                "it has more than {MAX_NUM_COLUMNS} columns\nhint: check that the file is a table \
                 with a header"
            ),
        ));
    }
    if header == ["\0"].as_slice() {
        return Err(invalid(
            name,
            "the file is empty\nhint: the first line names the columns".to_owned(),
        ));
    }
    if header.iter().any(|column| column.contains('\0')) {
        return Err(invalid(
            name,
            "the header has a NUL character or a quote that is never closed\nhint: save the table \
             as UTF-8, and close every quote"
                .to_owned(),
        ));
    }
    let long = header.iter().position(|column| column.len() > MAX_CELL_LEN);
    if let Some(column) = long {
        let message = format!("the name of column {}: {}", column + 1, too_long_cell());
        return Err(invalid(name, message));
    }
    Ok(header
        .iter()
        .map(|column| column.trim().to_owned())
        .collect())
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
struct LineCounter<'a> {
    text: &'a [u8],
    /// Up to where lines were counted, and which line that is.
    at: usize,
    line: u64,
}

impl LineCounter<'_> {
    fn number(&mut self, record: &mut ByteRecord) {
        if let Some(mut position) = record.position().cloned() {
            position.set_line(self.line_after(position.byte()));
            record.set_position(Some(position));
        }
    }

    /// The line of the record that follows where another ended. Ends must be
    /// asked for in order.
    fn line_after(&mut self, end: u64) -> u64 {
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let before = (end as usize).clamp(self.at, self.text.len());
        let ends = self.text[before..].iter().take_while(|byte| is_end(byte));
        let start = before + ends.count();
        self.line += num_lines(&self.text[self.at..start]);
        self.at = start;
        self.line
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

fn push_row(
    name: &str,
    columns: &[String],
    record: &ByteRecord,
    rows: &mut TableRows,
) -> Result<(), ScreenError> {
    let line = record.position().map_or(0, csv::Position::line);
    if record.len() != columns.len() {
        return Err(invalid(
            name,
            format!(
                "line {line} has {} values, the header names {} columns\nhint: every row has as \
                 many values as the header; a value that holds the delimiter stands in quotes",
                record.len(),
                columns.len()
            ),
        ));
    }
    for (field, value) in record.iter().enumerate() {
        let pushed = match std::str::from_utf8(value) {
            Err(_) => Err("the value is not UTF-8\nhint: save the table as UTF-8".to_owned()),
            Ok(_) if value.contains(&0) => {
                Err("the value has a NUL character\nhint: save the table as UTF-8".to_owned())
            }
            Ok(text) => rows.push_cell(text),
        };
        pushed.map_err(|message| of_cell(name, columns, record.position(), field, &message))?;
    }
    rows.end_row(Some(line))
        .map_err(|message| invalid(name, message))
}

fn read_parquet(name: &str, file: StoredFile) -> Result<HeaderAndRows, ScreenError> {
    caught(|| header_and_rows(file)).map_err(|message| invalid(name, message))
}

fn header_and_rows(file: StoredFile) -> Result<HeaderAndRows, String> {
    let metadata = bounded_metadata(&file)?;
    let columns: Vec<String> = metadata
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let mut rows = TableRows::new(columns.len());
    let mut cell = CellText::default();
    let options = FormatOptions::default().with_display_error(false);
    for batch in RecordBatches::of(file, &metadata, Selection::all(&metadata))? {
        let batch = batch?;
        let formatters = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())?;
        for row in 0..batch.num_rows() {
            for (column, formatter) in columns.iter().zip(&formatters) {
                cell.clear();
                let written = formatter.value(row).write(&mut cell);
                let pushed = match written {
                    _ if cell.is_too_long => Err(too_long_cell()),
                    Err(error) => Err(error.to_string()),
                    Ok(()) => rows.push_cell(&cell.text),
                };
                pushed.map_err(|message| {
                    let row = rows.len() + 1;
                    format!("row {row}, column '{column}': {message}")
                })?;
            }
            rows.end_row(None)?;
        }
    }
    Ok((columns, rows))
}
