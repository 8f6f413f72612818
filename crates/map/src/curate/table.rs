use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use morphospace_core::{ControlRole, Perturbation, PlateKey, Site, WellAddress};
use morphospace_profiles::{Column, Profiles};

use super::error::CurateError;
use super::quality::{QualityRules, is_quality_flag};
use super::settings::CurateSettings;
use crate::conditions::{Conditions, sources};

/// One row of a screen: a site, or a well.
#[derive(Clone, Debug, PartialEq)]
pub struct CurationRow {
    /// The plate, with its experiment.
    pub plate: PlateKey,
    /// The well.
    pub well: String,
    /// What the well is for.
    pub control_role: ControlRole,
    /// What was applied: nothing, or several conditions; `None` where it is not
    /// known.
    pub conditions: Option<Vec<String>>,
}

/// What curation needs to know of a screen: what was done in the well of each row,
/// what quality control says, and how large its images are.
///
/// # Example
/// ```
/// use morphospace_core::{ControlRole, PlateKey};
/// use morphospace_map::{CurationRow, CurationTable};
///
/// let row = CurationRow {
///     plate: PlateKey::new("HUVEC-01", "1"),
///     well: "B02".to_owned(),
///     control_role: ControlRole::Treatment,
///     conditions: Some(vec!["TP53_1".to_owned()]),
/// };
/// // Two sites of one well, the second of which is blank.
/// let table = CurationTable::new([row.clone(), row])?
///     .with_flag("qc_blank", vec![Some(false), Some(true)])?;
/// assert_eq!((table.num_rows(), table.num_wells()), (2, 1));
/// # Ok::<(), morphospace_map::CurateError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CurationTable {
    /// The wells, sorted by plate and address: what is drawn among them does not
    /// depend on the order of rows.
    pub(super) wells: Vec<Well>,
    /// The well of each row.
    pub(super) well_of_row: Vec<u32>,
    /// Names of conditions.
    pub(super) conditions: Vec<String>,
    /// Columns that say whether a row is bad.
    pub(super) flags: Vec<Flag>,
    /// Columns that are compared with bounds.
    pub(super) measures: Vec<(String, Vec<Option<f64>>)>,
    /// Width and height of the images of each row.
    pub(super) image_sizes_px: Option<Vec<Option<[u32; 2]>>>,
    /// Channels that each row has.
    pub(super) num_channels: Option<Vec<u32>>,
}

/// A column that says whether rows are bad.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Flag {
    pub(super) name: String,
    /// What the column says of a bad row.
    pub(super) bad: bool,
    pub(super) values: Vec<Option<bool>>,
}

/// What was done in a well.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Well {
    pub(super) plate: PlateKey,
    pub(super) name: String,
    pub(super) role: ControlRole,
    /// Which conditions; `None` where that is not known.
    pub(super) conditions: Option<Vec<u32>>,
}

impl Well {
    /// The experiment, told apart by its source.
    pub(super) fn experiment(&self) -> (Option<&str>, &morphospace_core::Experiment) {
        (self.plate.source.as_deref(), &self.plate.experiment)
    }

    /// Its conditions, none where they are not known.
    pub(super) fn known_conditions(&self) -> &[u32] {
        self.conditions.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Well {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} well {}", self.plate, self.name)
    }
}

impl CurationTable {
    /// A table of rows; rows of one plate and well are of one well.
    ///
    /// # Errors
    /// [`CurateError::Empty`]; [`CurateError::ConflictingWell`] names two rows of a
    /// well that differ in what was done.
    pub fn new(rows: impl IntoIterator<Item = CurationRow>) -> Result<Self, CurateError> {
        let mut names: HashMap<String, u32> = HashMap::new();
        let mut conditions = Vec::new();
        let mut seen: HashMap<(PlateKey, String), u32> = HashMap::new();
        let mut wells: Vec<(Well, usize)> = Vec::new();
        let mut well_of_row = Vec::new();
        for (row_index, row) in rows.into_iter().enumerate() {
            let mut id_of = |name: String| {
                *names.entry(name).or_insert_with_key(|name| {
                    conditions.push(name.clone());
                    conditions.len() as u32 - 1
                })
            };
            let mut ids: Option<Vec<u32>> = row
                .conditions
                .map(|names| names.into_iter().map(&mut id_of).collect());
            // The order in which a combination is written says nothing.
            if let Some(ids) = &mut ids {
                ids.sort_unstable();
                ids.dedup();
            }
            // `B2` and `B02` are one well.
            let name = match row.well.parse::<WellAddress>() {
                Ok(address) => address.to_string(),
                Err(_) => row.well,
            };
            match seen.entry((row.plate, name)) {
                Entry::Occupied(entry) => {
                    let (first, first_row) = &wells[*entry.get() as usize];
                    if first.role != row.control_role || first.conditions != ids {
                        let described = |role, ids: &Option<Vec<u32>>| {
                            description(role, ids.as_deref(), &conditions).into_boxed_str()
                        };
                        return Err(CurateError::ConflictingWell {
                            place: first.to_string(),
                            first_row: first_row + 1,
                            second_row: row_index + 1,
                            first: described(first.role, &first.conditions),
                            second: described(row.control_role, &ids),
                        });
                    }
                    well_of_row.push(*entry.get());
                }
                Entry::Vacant(entry) => {
                    let (plate, name) = entry.key().clone();
                    let well = Well {
                        plate,
                        name,
                        role: row.control_role,
                        conditions: ids,
                    };
                    well_of_row.push(wells.len() as u32);
                    entry.insert(wells.len() as u32);
                    wells.push((well, row_index));
                }
            }
        }
        if wells.is_empty() {
            return Err(CurateError::Empty);
        }
        // Wells and conditions are numbered by their names.
        let wells: Vec<Well> = wells.into_iter().map(|(well, _)| well).collect();
        let places = sorted_places(&wells, |a, b| (&a.plate, &a.name).cmp(&(&b.plate, &b.name)));
        let new_ids = sorted_places(&conditions, Ord::cmp);
        conditions.sort_unstable();
        well_of_row
            .iter_mut()
            .for_each(|well| *well = places[*well as usize]);
        let mut sorted = wells.clone();
        for (mut well, place) in wells.into_iter().zip(places) {
            for id in well.conditions.iter_mut().flatten() {
                *id = new_ids[*id as usize];
            }
            if let Some(ids) = &mut well.conditions {
                ids.sort_unstable();
            }
            sorted[place as usize] = well;
        }
        Ok(Self {
            wells: sorted,
            well_of_row,
            conditions,
            flags: Vec::new(),
            measures: Vec::new(),
            image_sizes_px: None,
            num_channels: None,
        })
    }

    /// The sites of a screen, or of its manifest, in their order. A treated well
    /// without perturbations is one of which they are not known.
    ///
    /// # Errors
    /// [`CurateError::Empty`], [`CurateError::ConflictingWell`].
    pub fn of_sites(sites: &[Site]) -> Result<Self, CurateError> {
        Self::new(sites.iter().map(|site| {
            let well = &site.well;
            let labels = well.perturbations.iter().map(Perturbation::label);
            let is_unknown = well.perturbations.is_empty()
                && matches!(
                    well.control_role,
                    ControlRole::Treatment | ControlRole::PositiveControl
                );
            CurationRow {
                plate: site.key.plate.clone(),
                well: site.key.well.to_string(),
                control_role: well.control_role,
                conditions: (!is_unknown).then(|| labels.collect()),
            }
        }))
    }

    /// The rows of a metadata or profile table, with the columns that the rules of
    /// quality name.
    ///
    /// # Errors
    /// [`CurateError`] names the column and the row.
    pub fn of_profiles(table: &Profiles, settings: &CurateSettings) -> Result<Self, CurateError> {
        let conditions = Conditions::of(table, &settings.columns)?;
        let key = |name: &str| table.keys(table.column_in_any_schema(name)?);
        let experiments = key(&settings.columns.experiment)?;
        let (plates, wells) = (key(&settings.plate)?, key(&settings.well)?);
        let sources = sources(table)?;
        let rows = experiments.into_iter().zip(plates).zip(wells).zip(sources);
        let rows = rows.zip(conditions.roles.into_iter().zip(conditions.applied));
        let mut found = Self::new(rows.map(
            |((((experiment, plate), well), source), (control_role, conditions))| CurationRow {
                plate: PlateKey {
                    source,
                    ..PlateKey::new(experiment, plate)
                },
                well,
                control_role,
                conditions,
            },
        ))?;
        found.refuse_repeated_sites(table)?;
        found.read_quality(table, &settings.quality)?;
        Ok(found)
    }

    /// Adds what quality control says: `true` where a row is bad.
    ///
    /// # Errors
    /// [`CurateError::WrongLength`].
    pub fn with_flag(
        mut self,
        name: impl Into<String>,
        is_bad: Vec<Option<bool>>,
    ) -> Result<Self, CurateError> {
        let name = name.into();
        self.check_length(&name, is_bad.len())?;
        self.flags.push(Flag {
            name,
            bad: true,
            values: is_bad,
        });
        Ok(self)
    }

    /// Adds a measure that [`QualityRules::bounds`] may name.
    ///
    /// # Errors
    /// [`CurateError::WrongLength`].
    pub fn with_measure(
        mut self,
        name: impl Into<String>,
        values: Vec<Option<f64>>,
    ) -> Result<Self, CurateError> {
        let name = name.into();
        self.check_length(&name, values.len())?;
        self.measures.push((name, values));
        Ok(self)
    }

    /// Adds how many channels each row has.
    ///
    /// # Errors
    /// [`CurateError::WrongLength`].
    pub fn with_num_channels(mut self, num_channels: Vec<u32>) -> Result<Self, CurateError> {
        self.check_length("num_channels", num_channels.len())?;
        self.num_channels = Some(num_channels);
        Ok(self)
    }

    /// Adds width and height of the images of each row, in pixels.
    ///
    /// # Errors
    /// [`CurateError::WrongLength`].
    pub fn with_image_sizes_px(
        mut self,
        sizes_px: Vec<Option<[u32; 2]>>,
    ) -> Result<Self, CurateError> {
        self.check_length("image sizes", sizes_px.len())?;
        self.image_sizes_px = Some(sizes_px);
        Ok(self)
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.well_of_row.len()
    }

    /// Number of different wells.
    pub fn num_wells(&self) -> usize {
        self.wells.len()
    }

    /// The well of a row.
    pub(super) fn well(&self, row: usize) -> &Well {
        &self.wells[self.well_of_row[row] as usize]
    }

    fn check_length(&self, column: &str, found: usize) -> Result<(), CurateError> {
        if found == self.num_rows() {
            return Ok(());
        }
        Err(CurateError::WrongLength {
            column: column.to_owned(),
            found,
            expected: self.num_rows(),
        })
    }

    /// Refuses a table that lists a site twice, if it says which sites it lists.
    fn refuse_repeated_sites(&self, table: &Profiles) -> Result<(), CurateError> {
        let Ok(site) = table.column_in_any_schema("Metadata_Site") else {
            return Ok(());
        };
        let mut parts = vec![table.column(site)?];
        for part in ["Metadata_z", "Metadata_timepoint", "Metadata_block"] {
            if let Ok(name) = table.column_in_any_schema(part) {
                parts.push(table.column(name)?);
            }
        }
        let mut seen = HashMap::new();
        for (row, &well) in self.well_of_row.iter().enumerate() {
            let key: Vec<Option<String>> = parts.iter().map(|part| part.text_at(row)).collect();
            if let Some(first_row) = seen.insert((well, key), row) {
                return Err(CurateError::DuplicateSite {
                    place: format!(
                        "{} site {}",
                        self.well(row),
                        parts[0].text_at(row).unwrap_or_default()
                    ),
                    first_row: first_row + 1,
                    second_row: row + 1,
                });
            }
        }
        Ok(())
    }

    /// Keeps the columns that rules of quality name, and those that begin `qc_`.
    fn read_quality(&mut self, table: &Profiles, rules: &QualityRules) -> Result<(), CurateError> {
        for (name, column) in table.metadata() {
            let is_named = rules.fail_columns.contains(name) || rules.pass_columns.contains(name);
            if is_named || is_quality_flag(name) {
                self.flags.push(Flag {
                    name: name.clone(),
                    bad: !rules.pass_columns.contains(name),
                    values: flags(table, name, column)?,
                });
            }
            if rules.bounds.iter().any(|bound| bound.column == *name) {
                self.measures
                    .push((name.clone(), numbers(table, name, column)?));
            }
        }
        Ok(())
    }
}

/// The place of each item once they are sorted.
fn sorted_places<T>(items: &[T], compare: impl Fn(&T, &T) -> std::cmp::Ordering) -> Vec<u32> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|&a, &b| compare(&items[a], &items[b]));
    let mut places = vec![0; items.len()];
    for (place, item) in order.into_iter().enumerate() {
        places[item] = place as u32;
    }
    places
}

fn description(role: ControlRole, ids: Option<&[u32]>, names: &[String]) -> String {
    match ids {
        None => format!("{role}, unknown"),
        Some([]) => role.to_string(),
        Some(ids) => {
            let names: Vec<&str> = ids.iter().map(|&id| names[id as usize].as_str()).collect();
            format!("{role}, '{}'", names.join("', '"))
        }
    }
}

fn flags(table: &Profiles, name: &str, column: &Column) -> Result<Vec<Option<bool>>, CurateError> {
    if let Column::Boolean(values) = column {
        return Ok(values.clone());
    }
    let flag = |row| {
        let text = column.text_at(row);
        match text.as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some("1") => Ok(Some(true)),
            Some("0") => Ok(Some(false)),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(text) => Err(CurateError::NotAFlag {
                column: name.to_owned(),
                row: table.describe_row(row),
                text: text.to_owned(),
            }),
        }
    };
    (0..column.len()).map(flag).collect()
}

fn numbers(table: &Profiles, name: &str, column: &Column) -> Result<Vec<Option<f64>>, CurateError> {
    let number = |row| match column.text_at(row) {
        None => Ok(None),
        Some(text) => match text.trim().parse::<f64>() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(CurateError::NotANumber {
                column: name.to_owned(),
                row: table.describe_row(row),
                text,
            }),
        },
    };
    match column {
        Column::Float(values) => Ok(values.clone()),
        _ => (0..column.len()).map(number).collect(),
    }
}
