//! GCT, the matrix format of Morpheus and the Connectivity Map: rows are
//! features, columns are wells, and the wells' metadata stand above the matrix.
//!
//! ```text
//! #1.3
//! 2  3  0  2                        features, wells, columns of Description, rows of metadata
//! id              SAMPLE_0  SAMPLE_1  SAMPLE_2
//! Metadata_Plate  P1        P1        P2
//! Metadata_Well   A01       A02       A01
//! feature_0       0.5       0.25      1.5
//! feature_1       -1.0      NA        0.0
//! ```

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use csv::{QuoteStyle, ReaderBuilder, StringRecord, WriterBuilder};
use flate2::read::MultiGzDecoder;

use crate::cell::{Guess, float_text, parse_feature, push_cell};
use crate::delimited::{read_side_file, write_side_file};
use crate::output::Output;
use crate::profiles::check_names;
use crate::read::check_read;
use crate::roles::{FoundColumn, Role, roles_by_name};
use crate::write::WriteError;
use crate::{Column, ColumnRoles, Features, Profiles, ProfilesError, ReadOptions};
use morphospace_core::UnfinishedFile;

/// The metadata column that names the wells, if the file does so with more than
/// a running number.
const ID: &str = "id";
/// How a well without a name is called, by pycytominer too.
const SAMPLE: &str = "SAMPLE_";
/// What stands where metadata is missing. cmapPy and cmapR read it so.
const MISSING: &str = "NA";

/// Whether a cell of metadata is missing: cmapPy's words, and no word.
fn is_missing(cell: &str) -> bool {
    const WORDS: [&str; 14] = [
        "", "#N/A", "N/A", "NA", "#NA", "NULL", "NaN", "-NaN", "nan", "-nan", "#N/A!", "na",
        "None", "-666",
    ];
    WORDS.contains(&cell)
}

fn malformed(message: impl std::fmt::Display) -> ProfilesError {
    ProfilesError::Malformed {
        format: "GCT",
        message: message.to_string(),
    }
}

/// The numbers of the second line.
struct Dimensions {
    num_features: usize,
    num_wells: usize,
    /// Columns between a feature's name and its values.
    num_descriptions: usize,
    /// Rows between the wells' names and the matrix.
    num_metadata: usize,
}

impl Dimensions {
    fn read(bytes: &mut impl BufRead) -> Result<Self, ProfilesError> {
        let mut line = || -> Result<String, ProfilesError> {
            let mut line = String::new();
            // A gzip of a terabyte of one line is no header.
            let mut start = bytes.by_ref().take(4096);
            start.read_line(&mut line).map_err(malformed)?;
            Ok(line.trim().to_owned())
        };
        let version = line()?;
        let num_numbers = match version.trim_start_matches('#') {
            "1.3" => 4,
            "1.2" => 2,
            _ if version.is_empty() => {
                return Err(ProfilesError::Empty {
                    what: "it has no first line",
                });
            }
            _ => {
                let version = morphospace_core::excerpt(&version);
                return Err(malformed(format!(
                    "the first line is '{version}' and not #1.3 or #1.2"
                )));
            }
        };
        let sizes = line()?;
        let numbers: Option<Vec<usize>> =
            sizes.split('\t').map(|n| n.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[num_features, num_wells, num_descriptions, num_metadata])
                if num_numbers == 4 =>
            {
                Ok(Self {
                    num_features,
                    num_wells,
                    num_descriptions,
                    num_metadata,
                })
            }
            Some(&[num_features, num_wells]) if num_numbers == 2 => Ok(Self {
                num_features,
                num_wells,
                num_descriptions: 1,
                num_metadata: 0,
            }),
            _ => Err(malformed(format!(
                "the second line is '{}' and not {num_numbers} numbers separated by tabs",
                morphospace_core::excerpt(&sizes)
            ))),
        }
    }
}

/// Reads a GCT file.
pub(crate) fn read(
    path: &Path,
    file: File,
    gzip: bool,
    options: &ReadOptions,
) -> Result<(Profiles, ColumnRoles), ProfilesError> {
    let provenance = read_side_file(path)?;
    let bytes = BufReader::new(file);
    let bytes: Box<dyn Read> = if gzip {
        Box::new(MultiGzDecoder::new(bytes))
    } else {
        Box::new(bytes)
    };
    let mut bytes = BufReader::new(bytes);
    let dimensions = Dimensions::read(&mut bytes)?;
    let mut lines = Lines::new(bytes, &dimensions)?;
    let names = lines
        .next()?
        .ok_or_else(|| malformed("it ends before the names of wells"))?;
    let first_well = 1 + dimensions.num_descriptions;
    let wells: Vec<String> = names.iter().skip(first_well).map(str::to_owned).collect();
    let descriptions: Vec<String> = names
        .iter()
        .take(first_well)
        .skip(1)
        .map(str::to_owned)
        .collect();

    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for _ in 0..dimensions.num_metadata {
        let line = lines
            .next()?
            .ok_or_else(|| malformed("it ends among the rows of metadata"))?;
        let cells = line.iter().skip(first_well).map(str::to_owned);
        rows.push((line[0].to_owned(), cells.collect()));
    }
    let is_named = wells
        .iter()
        .enumerate()
        .any(|(index, well)| *well != format!("{SAMPLE}{index}"));
    if is_named && !rows.iter().any(|(name, _)| name == ID) {
        rows.insert(0, (ID.to_owned(), wells.clone()));
    }

    let mut feature_names: Vec<String> = Vec::new();
    // Feature by feature, as they stand.
    let mut values: Vec<f64> = Vec::new();
    while let Some(line) = lines.next()? {
        let feature = &line[0];
        for (well, cell) in line.iter().skip(first_well).enumerate() {
            let value = match is_missing(cell) && cell != "-666" {
                true => Some(f64::NAN),
                false => parse_feature(cell),
            };
            values.push(value.ok_or_else(|| ProfilesError::NotANumber {
                column: feature.to_owned(),
                row: well + 1,
                text: cell.to_owned(),
            })?);
        }
        feature_names.push(feature.to_owned());
    }
    if feature_names.len() != dimensions.num_features {
        return Err(malformed(format!(
            "it has {} features, the second line says {}",
            feature_names.len(),
            dimensions.num_features
        )));
    }
    if wells.is_empty() {
        return Err(ProfilesError::Empty {
            what: "it has features and no wells",
        });
    }

    let found = |role| {
        move |name: &String| FoundColumn {
            name: name.clone(),
            is_number: Some(role == Role::Feature),
            written: Some(role),
        }
    };
    let columns = rows.iter().map(|(name, _)| name).map(found(Role::Metadata));
    let features = feature_names.iter().map(found(Role::Feature));
    let found: Vec<FoundColumn> = columns.chain(features).collect();
    check_names(found.iter().map(|column| column.name.as_str()))?;
    let mut roles = ColumnRoles::default();
    let mut metadata = Vec::new();
    let mut taken = Vec::new();
    for (index, (column, role)) in found
        .iter()
        .zip(roles_by_name(&found, options)?)
        .enumerate()
    {
        let (role, reason) = role.expect("GCT says what each row is");
        match (index.checked_sub(rows.len()), role) {
            (None, Role::Metadata) => {
                metadata.push((column.name.clone(), column_of(&rows[index].1)));
            }
            (None, Role::Feature) => {
                return Err(ProfilesError::UnreadableColumn {
                    column: column.name.clone(),
                    message: "is asked for as a feature but is metadata in GCT".to_owned(),
                });
            }
            (Some(feature), Role::Feature) => taken.push(feature),
            (Some(feature), Role::Metadata) => {
                let values = &values[feature * wells.len()..(feature + 1) * wells.len()];
                let values = values.iter().map(|&v| (!v.is_nan()).then_some(v)).collect();
                metadata.push((column.name.clone(), Column::Float(values)));
            }
        }
        roles.take(&column.name, role, reason);
    }
    let reason = "it describes features, which a table of profiles has no place for";
    let skipped = descriptions
        .into_iter()
        .map(|name| (name, reason.to_owned()));
    roles.skipped.extend(skipped);
    check_read(found.len(), &roles, options)?;

    let mut by_well = Vec::with_capacity(wells.len() * taken.len());
    for well in 0..wells.len() {
        by_well.extend(
            taken
                .iter()
                .map(|feature| values[feature * wells.len() + well]),
        );
    }
    let profiles = Profiles::new(metadata, roles.features.clone(), Features::F64(by_well))?;
    let profiles = match provenance {
        Some(provenance) => profiles.with_provenance(provenance),
        None => profiles,
    };
    Ok((profiles, roles))
}

/// A row of metadata as a column of the kind that its cells have.
fn column_of(cells: &[String]) -> Column {
    let mut guess = Guess::default();
    let present = |cell: &String| {
        if is_missing(cell) {
            String::new()
        } else {
            cell.clone()
        }
    };
    let cells: Vec<String> = cells.iter().map(present).collect();
    cells.iter().for_each(|cell| guess.see(cell));
    let mut column = guess.kind().empty(cells.len());
    cells.iter().for_each(|cell| push_cell(&mut column, cell));
    column
}

/// The lines from the third on, each as long as the second line says.
struct Lines<R> {
    reader: csv::Reader<R>,
    record: StringRecord,
    num_cells: usize,
    line: usize,
}

impl<R: Read> Lines<R> {
    fn new(bytes: R, dimensions: &Dimensions) -> Result<Self, ProfilesError> {
        let num_cells = dimensions
            .num_wells
            .checked_add(dimensions.num_descriptions)
            .and_then(|cells| cells.checked_add(1))
            .ok_or_else(|| malformed("the second line has too large numbers"))?;
        Ok(Self {
            reader: ReaderBuilder::new()
                .delimiter(b'\t')
                .has_headers(false)
                .flexible(true)
                .from_reader(bytes),
            record: StringRecord::new(),
            num_cells,
            line: 2,
        })
    }

    fn next(&mut self) -> Result<Option<&StringRecord>, ProfilesError> {
        let is_there = self.reader.read_record(&mut self.record);
        if !is_there.map_err(malformed)? {
            return Ok(None);
        }
        self.line += 1;
        if self.record.len() != self.num_cells {
            return Err(malformed(format!(
                "line {} has {} cells, by the second line it should have {}",
                self.line,
                self.record.len(),
                self.num_cells
            )));
        }
        Ok(Some(&self.record))
    }
}

/// Writes a GCT 1.3 file, and where it came from beside it.
pub(crate) fn write(path: &Path, gzip: bool, profiles: &Profiles) -> Result<(), WriteError> {
    let (unfinished, file) = UnfinishedFile::begin(path)?;
    let mut output = Output::new(file, gzip);
    let names = well_names(profiles);
    let columns = profiles.metadata().iter();
    let columns = columns.filter(|(name, _)| names.is_none() || name != ID);
    let columns: Vec<&(String, Column)> = columns.collect();
    let (num_wells, num_features) = (profiles.num_rows(), profiles.num_features());
    write!(
        output,
        "#1.3\n{num_features}\t{num_wells}\t0\t{}\n",
        columns.len()
    )?;
    let mut writer = WriterBuilder::new()
        .delimiter(b'\t')
        .quote_style(QuoteStyle::Necessary)
        .from_writer(output);
    writer.write_field(ID)?;
    match &names {
        Some(names) => names.iter().try_for_each(|name| writer.write_field(name))?,
        None => {
            (0..num_wells).try_for_each(|well| writer.write_field(format!("{SAMPLE}{well}")))?;
        }
    }
    writer.write_record(None::<&[u8]>)?;
    for (name, column) in columns {
        writer.write_field(name)?;
        for well in 0..num_wells {
            let cell = match column {
                Column::Float(values) => values[well].map(float_text),
                column => column.text_at(well),
            };
            writer.write_field(cell.as_deref().unwrap_or(MISSING))?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    for (feature, name) in profiles.feature_names().iter().enumerate() {
        writer.write_field(name)?;
        for well in 0..num_wells {
            let value = profiles.features().at(well * num_features + feature);
            writer.write_field(float_text(value))?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    let output = writer.into_inner();
    let output = output.map_err(csv::IntoInnerError::into_error)?;
    let file = output.finish()?;
    write_side_file(path, profiles.provenance())?;
    Ok(unfinished.finish(file)?)
}

/// The wells' names, if a column has one for each.
fn well_names(profiles: &Profiles) -> Option<Vec<String>> {
    let names = profiles.keys(ID).ok()?;
    profiles.check_unique(&[ID]).ok()?;
    Some(names)
}
