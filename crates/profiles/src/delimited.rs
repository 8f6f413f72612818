use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, WriterBuilder};
use flate2::read::MultiGzDecoder;
use morphospace_core::{Provenance, write_atomically};

use crate::cell::{Guess, float_text, parse_feature, push_cell};
use crate::column::ColumnKind;
use crate::output::Output;
use crate::parquet_file::parse_provenance;
use crate::profiles::check_names;
use crate::read::check_read;
use crate::roles::{FoundColumn, Role, RoleReason, roles_by_name};
use crate::table_file::{PartialTable, RowReader, TableFile, TableLayout};
use crate::write::WriteError;
use crate::{Column, ColumnRoles, Features, Profiles, ProfilesError, ReadOptions};

/// A CSV or TSV file whose columns are settled.
pub(crate) struct DelimitedTable {
    file: File,
    delimiter: u8,
    gzip: bool,
    header: Vec<String>,
    /// Which columns are metadata, in file order.
    is_metadata: Vec<bool>,
    layout: TableLayout,
}

/// Opens a CSV or TSV file and reads it once, to look at the cells of columns
/// whose type is not clear from the name and to count the rows: no cell is kept
/// as text that is a number, and the last row has a say in what the first is.
pub(crate) fn open(
    path: &Path,
    file: File,
    delimiter: u8,
    gzip: bool,
    options: &ReadOptions,
) -> Result<DelimitedTable, ProfilesError> {
    let provenance = read_side_file(path)?;
    let mut records = Records::new(&file, delimiter, gzip)?;
    let header = records.header.clone();
    check_names(header.iter().map(String::as_str))?;
    let mut found: Vec<FoundColumn> = header
        .iter()
        .map(|name| FoundColumn {
            name: name.clone(),
            is_number: None,
            written: None,
        })
        .collect();
    let is_feature =
        |role: &Option<(Role, RoleReason)>| role.is_some_and(|(role, _)| role == Role::Feature);
    let by_name = roles_by_name(&found, options)?;

    let mut guesses = vec![Guess::default(); header.len()];
    while let Some((_, record)) = records.next()? {
        for (index, cell) in record.iter().enumerate() {
            if !is_feature(&by_name[index]) {
                guesses[index].see(cell);
            }
        }
    }
    let num_rows = records.row;
    if num_rows == 0 {
        return Err(ProfilesError::Empty {
            what: "it has a header and no rows",
        });
    }
    for ((column, guess), role) in found.iter_mut().zip(&guesses).zip(&by_name) {
        column.is_number = match is_feature(role) {
            true => Some(true),
            false => Some(matches!(
                guess.kind(),
                ColumnKind::Integer | ColumnKind::Float
            )),
        };
    }

    let mut roles = ColumnRoles::default();
    let mut kinds = Vec::new();
    let mut is_metadata = Vec::with_capacity(header.len());
    for ((name, guess), role) in header
        .iter()
        .zip(&guesses)
        .zip(roles_by_name(&found, options)?)
    {
        let (role, reason) = role.expect("what a column holds is known by now");
        roles.take(name, role, reason);
        is_metadata.push(role == Role::Metadata);
        if role == Role::Metadata {
            kinds.push(guess.kind());
        }
    }
    check_read(header.len(), &roles, options)?;
    let layout = TableLayout {
        roles,
        kinds,
        is_single: false,
        num_rows,
        provenance,
        reader_bytes: READ_BYTES,
    };
    Ok(DelimitedTable {
        file,
        delimiter,
        gzip,
        header,
        is_metadata,
        layout,
    })
}

impl TableFile for DelimitedTable {
    fn layout(&self) -> &TableLayout {
        &self.layout
    }

    fn rows(&self, batch_rows: usize) -> Result<Box<dyn RowReader>, ProfilesError> {
        let records = Records::new(&self.file, self.delimiter, self.gzip)?;
        if records.header != self.header || self.header.len() != self.is_metadata.len() {
            return Err(malformed("the file changed while it was read"));
        }
        Ok(Box::new(DelimitedRows {
            records,
            is_metadata: self.is_metadata.clone(),
            batch_rows,
        }))
    }
}

struct DelimitedRows {
    records: Records,
    is_metadata: Vec<bool>,
    batch_rows: usize,
}

impl RowReader for DelimitedRows {
    fn read_batch(&mut self, table: &mut PartialTable) -> Result<usize, ProfilesError> {
        let Features::F64(values) = &mut table.features else {
            unreachable!("features of text are read in double precision");
        };
        let mut num_rows = 0;
        while num_rows < self.batch_rows {
            let Some((row, record)) = self.records.next()? else {
                break;
            };
            let mut columns = table.columns.iter_mut();
            for (index, cell) in record.iter().enumerate() {
                if self.is_metadata[index] {
                    push_cell(
                        columns.next().expect("the layout has a kind for each"),
                        cell,
                    );
                } else if let Some(value) = parse_feature(cell) {
                    values.push(value);
                } else {
                    let text = cell.to_owned();
                    return Err(ProfilesError::NotANumber {
                        column: self.records.header[index].clone(),
                        row,
                        text,
                    });
                }
            }
            num_rows += 1;
        }
        table.num_rows += num_rows;
        Ok(num_rows)
    }
}

/// Bytes read from the file at a time.
const READ_BYTES: usize = 1 << 16;

fn malformed(error: impl std::fmt::Display) -> ProfilesError {
    ProfilesError::Malformed {
        format: "CSV",
        message: error.to_string(),
    }
}

/// The rows of a file, each as long as the header.
struct Records {
    reader: csv::Reader<Box<dyn Read + Send>>,
    record: StringRecord,
    header: Vec<String>,
    /// The data row last read, from 1.
    row: usize,
}

impl Records {
    /// Begins at the first row of a file.
    fn new(file: &File, delimiter: u8, gzip: bool) -> Result<Self, ProfilesError> {
        let mut file = file.try_clone().map_err(malformed)?;
        file.rewind().map_err(malformed)?;
        let bytes = BufReader::with_capacity(READ_BYTES, file);
        let bytes: Box<dyn Read + Send> = if gzip {
            Box::new(MultiGzDecoder::new(bytes))
        } else {
            Box::new(bytes)
        };
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(bytes);
        let header: Vec<String> = reader
            .headers()
            .map_err(malformed)?
            .iter()
            .enumerate()
            // The index that pandas writes has no name; pandas reads it so.
            .map(|(index, name)| match name {
                "" => format!("Unnamed: {index}"),
                name => name.to_owned(),
            })
            .collect();
        if header.is_empty() {
            return Err(ProfilesError::Empty {
                what: "it has no header",
            });
        }
        Ok(Self {
            reader,
            record: StringRecord::new(),
            header,
            row: 0,
        })
    }

    /// The next row with its number from 1.
    fn next(&mut self) -> Result<Option<(usize, &StringRecord)>, ProfilesError> {
        if !self
            .reader
            .read_record(&mut self.record)
            .map_err(malformed)?
        {
            return Ok(None);
        }
        self.row += 1;
        if self.record.len() != self.header.len() {
            return Err(ProfilesError::RaggedRow {
                row: self.row,
                found: self.record.len(),
                expected: self.header.len(),
            });
        }
        Ok(Some((self.row, &self.record)))
    }
}

/// Writes a CSV or TSV file piece by piece.
pub(crate) struct DelimitedWriter {
    writer: csv::Writer<Output>,
}

impl DelimitedWriter {
    /// Begins a file with the columns of a table, whose rows are not written yet.
    pub(crate) fn new(
        file: BufWriter<File>,
        delimiter: u8,
        gzip: bool,
        table: &Profiles,
    ) -> Result<Self, WriteError> {
        let output = Output::new(file, gzip);
        let mut writer = WriterBuilder::new()
            .delimiter(delimiter)
            .from_writer(output);
        let features = table.feature_names().iter().map(String::as_str);
        writer.write_record(table.metadata_names().chain(features))?;
        Ok(Self { writer })
    }

    /// Adds rows of a table with the same columns.
    pub(crate) fn append(&mut self, table: &Profiles) -> Result<(), WriteError> {
        for row in 0..table.num_rows() {
            for (_, column) in table.metadata() {
                let cell = match column {
                    Column::Float(values) => values[row].map(float_text),
                    column => column.text_at(row),
                };
                self.writer.write_field(cell.unwrap_or_default())?;
            }
            for value in table.row(row) {
                self.writer.write_field(float_text(value))?;
            }
            self.writer.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<BufWriter<File>, WriteError> {
        let output = self.writer.into_inner();
        Ok(output.map_err(csv::IntoInnerError::into_error)?.finish()?)
    }
}

/// Where the provenance of a CSV stands.
fn side_file(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".provenance.json");
    path.with_file_name(name)
}

/// Writes the provenance beside the table, or takes away that of a table
/// which is about to be replaced by one without.
pub(crate) fn write_side_file(path: &Path, provenance: Option<&Provenance>) -> io::Result<()> {
    let side = side_file(path);
    match provenance {
        Some(provenance) => write_atomically(&side, |file| {
            file.write_all(provenance.to_json().as_bytes())?;
            file.write_all(b"\n")
        }),
        None => match fs::remove_file(&side) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    }
}

pub(crate) fn read_side_file(path: &Path) -> Result<Option<Provenance>, ProfilesError> {
    let side = side_file(path);
    match fs::read_to_string(&side) {
        Ok(json) => parse_provenance(&json)
            .map(Some)
            .map_err(|error| error.in_file(&side)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ProfilesError::CannotOpen { path: side, source }),
    }
}
