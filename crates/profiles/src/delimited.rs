use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, WriterBuilder};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use morphospace_core::write_atomically;

use crate::parquet_file::parse_provenance;
use crate::profiles::check_names;
use crate::read::check_read;
use crate::roles::{FoundColumn, Role, roles_by_name};
use crate::write::WriteError;
use crate::{Column, ColumnRoles, Features, Profiles, ProfilesError, ReadOptions};

/// Reads a CSV or TSV file in two passes, so that no cell is kept as text
/// that is a number: the first looks at the cells of columns whose type is
/// not clear from the name, the second reads.
pub(crate) fn read(
    path: &Path,
    file: File,
    delimiter: u8,
    gzip: bool,
    options: &ReadOptions,
) -> Result<(Profiles, ColumnRoles), ProfilesError> {
    let provenance = read_side_file(path)?;
    let header = Records::new(&file, delimiter, gzip)?.header;
    check_names(header.iter().map(String::as_str))?;
    let mut found: Vec<FoundColumn> = header
        .iter()
        .map(|name| FoundColumn {
            name: name.clone(),
            is_number: None,
            written: None,
        })
        .collect();
    let by_name = roles_by_name(&found, options)?;

    rewind(&file)?;
    let mut records = Records::new(&file, delimiter, gzip)?;
    let mut guesses = vec![Guess::default(); header.len()];
    while let Some((_, record)) = records.next()? {
        for (index, cell) in record.iter().enumerate() {
            if by_name[index] != Some(Role::Feature) {
                guesses[index].see(cell);
            }
        }
    }
    if records.row == 0 {
        return Err(ProfilesError::Empty {
            what: "it has a header and no rows",
        });
    }
    for ((column, guess), role) in found.iter_mut().zip(&guesses).zip(&by_name) {
        column.is_number = match role {
            Some(Role::Feature) => Some(true),
            _ => Some(matches!(guess.kind(), Kind::Integer | Kind::Float)),
        };
    }
    let by_values = roles_by_name(&found, options)?;

    let mut roles = ColumnRoles::default();
    let mut columns: Vec<Option<Column>> = Vec::with_capacity(header.len());
    for ((name, guess), role) in header.iter().zip(&guesses).zip(by_values) {
        if role == Some(Role::Feature) {
            roles.features.push(name.clone());
            columns.push(None);
        } else {
            roles.metadata.push(name.clone());
            columns.push(Some(guess.kind().empty_column()));
        }
    }
    check_read(header.len(), &roles)?;

    rewind(&file)?;
    let mut records = Records::new(&file, delimiter, gzip)?;
    let mut values: Vec<f64> = Vec::new();
    while let Some((row, record)) = records.next()? {
        for (index, cell) in record.iter().enumerate() {
            match &mut columns[index] {
                Some(column) => push_cell(column, cell),
                None => match parse_feature(cell) {
                    Some(value) => values.push(value),
                    None => {
                        return Err(ProfilesError::NotANumber {
                            column: header[index].clone(),
                            row,
                            text: cell.to_owned(),
                        });
                    }
                },
            }
        }
    }
    let metadata = roles
        .metadata
        .iter()
        .cloned()
        .zip(columns.into_iter().flatten())
        .collect();
    let mut profiles = Profiles::new(metadata, roles.features.clone(), Features::F64(values))?;
    if let Some(provenance) = provenance {
        profiles = profiles.with_provenance(provenance);
    }
    Ok((profiles, roles))
}

fn rewind(mut file: &File) -> Result<(), ProfilesError> {
    file.rewind().map_err(malformed)
}

fn malformed(error: impl std::fmt::Display) -> ProfilesError {
    ProfilesError::Malformed {
        format: "CSV",
        message: error.to_string(),
    }
}

/// The rows of a file, each as long as the header.
struct Records<'a> {
    reader: csv::Reader<Box<dyn Read + 'a>>,
    record: StringRecord,
    header: Vec<String>,
    /// The data row last read, from 1.
    row: usize,
}

impl<'a> Records<'a> {
    fn new(file: &'a File, delimiter: u8, gzip: bool) -> Result<Self, ProfilesError> {
        let bytes = BufReader::with_capacity(1 << 16, file);
        let bytes: Box<dyn Read + 'a> = if gzip {
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

/// What the cells of a column seen so far can be.
#[derive(Clone)]
struct Guess {
    integer: bool,
    float: bool,
    boolean: bool,
    /// A value that is not a marker of absence was seen.
    any: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Integer,
    Float,
    Boolean,
}

impl Default for Guess {
    fn default() -> Self {
        Self {
            integer: true,
            float: true,
            boolean: true,
            any: false,
        }
    }
}

impl Guess {
    fn see(&mut self, cell: &str) {
        if is_missing(cell) {
            return;
        }
        self.any = true;
        if self.integer && parse_integer(cell).is_none() {
            self.integer = false;
        }
        if self.float && parse_float(cell).is_none() {
            self.float = false;
        }
        if self.boolean && parse_boolean(cell).is_none() {
            self.boolean = false;
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self { any: false, .. } => Kind::Text,
            Self { integer: true, .. } => Kind::Integer,
            Self { float: true, .. } => Kind::Float,
            Self { boolean: true, .. } => Kind::Boolean,
            _ => Kind::Text,
        }
    }
}

impl Kind {
    fn empty_column(self) -> Column {
        match self {
            Self::Text => Column::Text(Vec::new()),
            Self::Integer => Column::Integer(Vec::new()),
            Self::Float => Column::Float(Vec::new()),
            Self::Boolean => Column::Boolean(Vec::new()),
        }
    }
}

fn push_cell(column: &mut Column, cell: &str) {
    match column {
        // In text only an empty cell is missing: NA may be a name.
        Column::Text(values) => values.push((!cell.is_empty()).then(|| cell.to_owned())),
        Column::Integer(values) => values.push(parse_integer(cell)),
        Column::Float(values) => values.push(parse_float(cell)),
        Column::Boolean(values) => values.push(parse_boolean(cell)),
    }
}

/// The markers of absence that pandas and R write into columns of numbers.
fn is_missing(cell: &str) -> bool {
    matches!(
        cell,
        "" | "NA" | "NaN" | "nan" | "<NA>" | "NULL" | "null" | "None"
    )
}

/// A whole number, unless its text says more than the number: plate `007`
/// and a barcode of twenty digits stay text.
fn parse_integer(cell: &str) -> Option<i64> {
    cell.parse::<i64>()
        .ok()
        .filter(|value| value.to_string() == cell)
}

fn parse_float(cell: &str) -> Option<f64> {
    let digits = cell.trim_start_matches(['-', '+']);
    let is_padded =
        digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    let is_barcode = digits.len() > 15 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let starts_like_a_number =
        digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || digits == "inf";
    if is_padded || (is_barcode && parse_integer(cell).is_none()) || !starts_like_a_number {
        return None;
    }
    cell.parse().ok()
}

fn parse_boolean(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn parse_feature(cell: &str) -> Option<f64> {
    if is_missing(cell) {
        Some(f64::NAN)
    } else {
        cell.trim().parse().ok()
    }
}

/// Writes CSV or TSV.
pub(crate) fn write(
    file: &mut BufWriter<File>,
    delimiter: u8,
    gzip: bool,
    profiles: &Profiles,
) -> Result<(), WriteError> {
    if gzip {
        let mut encoder = GzEncoder::new(file, Compression::default());
        write_rows(&mut encoder, delimiter, profiles)?;
        encoder.finish()?;
        Ok(())
    } else {
        write_rows(file, delimiter, profiles)
    }
}

fn write_rows(
    bytes: &mut impl Write,
    delimiter: u8,
    profiles: &Profiles,
) -> Result<(), WriteError> {
    let mut writer = WriterBuilder::new().delimiter(delimiter).from_writer(bytes);
    let features = profiles.feature_names().iter().map(String::as_str);
    writer.write_record(profiles.metadata_names().chain(features))?;
    for row in 0..profiles.num_rows() {
        for (_, column) in profiles.metadata() {
            let cell = match column {
                Column::Float(values) => values[row].map(float_text),
                column => column.text_at(row),
            };
            writer.write_field(cell.unwrap_or_default())?;
        }
        for value in profiles.row(row) {
            writer.write_field(float_text(value))?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()?;
    Ok(())
}

/// The fewest digits that read back to the same double, with a point or an
/// exponent so that it is seen to be no integer.
fn float_text(value: f64) -> String {
    format!("{value:?}")
}

/// Where the provenance of a CSV stands.
fn side_file(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".provenance.json");
    path.with_file_name(name)
}

/// Writes the provenance beside the table, or takes away that of a table
/// which is about to be replaced by one without.
pub(crate) fn write_side_file(path: &Path, profiles: &Profiles) -> io::Result<()> {
    let side = side_file(path);
    match profiles.provenance() {
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

fn read_side_file(path: &Path) -> Result<Option<morphospace_core::Provenance>, ProfilesError> {
    let side = side_file(path);
    match fs::read_to_string(&side) {
        Ok(json) => parse_provenance(&json)
            .map(Some)
            .map_err(|error| error.in_file(&side)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ProfilesError::CannotOpen { path: side, source }),
    }
}
