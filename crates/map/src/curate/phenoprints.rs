use std::collections::{BTreeMap, BTreeSet};

use morphospace_profiles::{Column, Profiles, ProfilesError};

use super::curation::DroppedRow;
use super::error::CurateError;
use super::settings::CurateSettings;
use super::table::CurationTable;

/// Which conditions have a phenoprint by one model: a table that the perturbation
/// consistency test writes.
///
/// # Example
/// ```
/// use morphospace_map::PhenoprintTable;
/// use morphospace_profiles::{Column, Features, Profiles};
///
/// let table = Profiles::new(
///     vec![
///         ("condition".to_owned(), Column::from(vec!["TP53_1", "TP53_2"])),
///         ("has_phenoprint".to_owned(), Column::from(vec![true, false])),
///     ],
///     vec![],
///     Features::F64(vec![]),
/// )?;
/// let phenoprints = PhenoprintTable::of_profiles("mae", &table)?;
/// assert_eq!(phenoprints.num_with_phenoprint(), 1);
/// # Ok::<(), morphospace_map::CurateError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PhenoprintTable {
    name: String,
    /// Whether each condition has one.
    conditions: BTreeMap<String, bool>,
}

impl PhenoprintTable {
    /// A table from its conditions; of one that is listed twice, either counts.
    pub fn new(
        name: impl Into<String>,
        conditions: impl IntoIterator<Item = (String, bool)>,
    ) -> Self {
        let mut all: BTreeMap<String, bool> = BTreeMap::new();
        for (condition, has_phenoprint) in conditions {
            *all.entry(condition).or_default() |= has_phenoprint;
        }
        Self {
            name: name.into(),
            conditions: all,
        }
    }

    /// Reads the columns `condition` and `has_phenoprint`.
    ///
    /// # Errors
    /// A column is missing or holds something else; there is no row.
    pub fn of_profiles(name: impl Into<String>, table: &Profiles) -> Result<Self, CurateError> {
        let name = name.into();
        let conditions = table.keys(table.column_in_any_schema("condition")?)?;
        let column = table.column_in_any_schema("has_phenoprint")?;
        let Column::Boolean(has_phenoprint) = table.column(column)? else {
            return Err(CurateError::Profiles(ProfilesError::UnreadableColumn {
                column: column.to_owned(),
                message: format!("table '{name}': it must hold true and false"),
            }));
        };
        if conditions.is_empty() {
            return Err(CurateError::NoTestedConditions { name });
        }
        let flags = has_phenoprint.iter().map(|flag| flag.unwrap_or(false));
        Ok(Self::new(name, conditions.into_iter().zip(flags)))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many conditions have a phenoprint.
    pub fn num_with_phenoprint(&self) -> usize {
        self.conditions.values().filter(|has| **has).count()
    }
}

/// Examples that a message shows.
const NUM_EXAMPLES: usize = 3;

/// Rows none of whose conditions has a phenoprint in any table, and what should be
/// known of it.
pub(super) fn apply(
    table: &CurationTable,
    rows: &[usize],
    phenoprints: &[PhenoprintTable],
    settings: &CurateSettings,
) -> Result<(Vec<DroppedRow>, Vec<String>), CurateError> {
    // `None` of a condition that no table lists.
    let found: Vec<Option<bool>> = table
        .conditions
        .iter()
        .map(|condition| {
            let listed = phenoprints
                .iter()
                .filter_map(|table| table.conditions.get(condition).copied());
            listed.reduce(|a, b| a || b)
        })
        .collect();
    let judged = |row: usize| {
        let well = table.well(row);
        settings.controls_need_phenoprints || !well.role.is_negative()
    };
    let present: BTreeSet<u32> = rows
        .iter()
        .filter(|&&row| judged(row))
        .flat_map(|&row| table.well(row).known_conditions().iter().copied())
        .collect();
    let unlisted: Vec<&str> = present
        .iter()
        .filter(|&&id| found[id as usize].is_none())
        .map(|&id| table.conditions[id as usize].as_str())
        .collect();
    if !present.is_empty() && unlisted.len() == present.len() {
        let tested: BTreeSet<&str> = phenoprints
            .iter()
            .flat_map(|table| table.conditions.keys().map(String::as_str))
            .collect();
        let num_tested = tested.len();
        return Err(CurateError::NoOverlap {
            num_conditions: present.len(),
            num_tested,
            examples: examples(unlisted).into_boxed_str(),
            tested_examples: examples(tested.into_iter().collect()).into_boxed_str(),
        });
    }
    let mut notes = Vec::new();
    if !unlisted.is_empty() {
        notes.push(format!(
            "conditions that no table of phenoprints lists: {} of {}, such as {}",
            unlisted.len(),
            present.len(),
            examples(unlisted)
        ));
    }
    let dropped = rows.iter().filter_map(|&row| {
        let conditions = table.well(row).known_conditions();
        let has_phenoprint = conditions
            .iter()
            .any(|&id| found[id as usize] == Some(true));
        if !judged(row) || has_phenoprint {
            return None;
        }
        let names: Vec<&str> = conditions
            .iter()
            .map(|&id| table.conditions[id as usize].as_str())
            .collect();
        let is_listed = conditions.iter().any(|&id| found[id as usize].is_some());
        let category = match (conditions.is_empty(), is_listed) {
            (true, _) => "no condition that could have a phenoprint",
            (false, true) => "no phenoprint",
            (false, false) => "conditions that no table of phenoprints lists",
        };
        let words = match (conditions.is_empty(), is_listed) {
            (true, _) => category.to_owned(),
            (false, true) => format!("no phenoprint of '{}'", names.join("', '")),
            (false, false) => format!("'{}' in no table of phenoprints", names.join("', '")),
        };
        Some(DroppedRow {
            row,
            category: category.to_owned(),
            words,
        })
    });
    Ok((dropped.collect(), notes))
}

fn examples(names: Vec<&str>) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(NUM_EXAMPLES)
        .map(|name| format!("'{}'", morphospace_core::excerpt(name)))
        .collect();
    match names.len() > NUM_EXAMPLES {
        true => format!("{} and others", shown.join(", ")),
        false => shown.join(", "),
    }
}
