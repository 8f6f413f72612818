use morphospace_core::suggestion;
use serde::{Deserialize, Serialize};

use super::curation::DroppedRow;
use super::error::CurateError;
use super::table::CurationTable;

/// Which rows quality control refuses.
///
/// A row without a value of a flag or measure that counts is refused, too: nobody
/// has looked at it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualityRules {
    /// Columns that are true where a row is bad, beside all that begin `qc_`.
    pub fail_columns: Vec<String>,
    /// Columns that are true where a row is good.
    pub pass_columns: Vec<String>,
    /// Columns beginning `qc_` that do not count, such as `qc_duplicate`.
    pub ignore: Vec<String>,
    /// Proxies: numbers that must lie within bounds, such as the variance of the
    /// Laplacian, the share of saturated pixels or the number of objects.
    pub bounds: Vec<Bound>,
}

/// What values of a column may be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The column.
    pub column: String,
    /// The least that is good.
    #[serde(default)]
    pub min: Option<f64>,
    /// The most that is good.
    #[serde(default)]
    pub max: Option<f64>,
}

impl QualityRules {
    pub(super) fn check(&self) -> Result<(), CurateError> {
        for bound in &self.bounds {
            let (min, max) = (bound.min, bound.max);
            let is_nan = |x: Option<f64>| x.is_some_and(f64::is_nan);
            let is_crossed = min.zip(max).is_some_and(|(min, max)| min > max);
            if (min.is_none() && max.is_none()) || is_nan(min) || is_nan(max) || is_crossed {
                let shown = |x: Option<f64>| x.map_or("none".to_owned(), |x| x.to_string());
                return Err(CurateError::InvalidSetting {
                    setting: "quality.bounds",
                    value: format!("{} to {} of '{}'", shown(min), shown(max), bound.column),
                    expected: "a least value, a greatest, or both in this order",
                });
            }
        }
        Ok(())
    }

    /// The rows that are refused.
    pub(super) fn apply(
        &self,
        table: &CurationTable,
        rows: &[usize],
    ) -> Result<Vec<DroppedRow>, CurateError> {
        self.refuse_missing_columns(table)?;
        let flags: Vec<_> = table
            .flags
            .iter()
            .filter(|flag| !self.ignore.contains(&flag.name))
            .collect();
        let mut dropped = Vec::new();
        for &row in rows {
            let flag = flags.iter().find_map(|flag| match flag.values[row] {
                Some(value) if value != flag.bad => None,
                Some(value) => Some(format!("'{}' is {value}", flag.name)),
                None => Some(format!("'{}' has no value", flag.name)),
            });
            let why = flag.map(|why| (why.clone(), why));
            if let Some((category, words)) = why.or_else(|| self.beyond(table, row)) {
                dropped.push(DroppedRow {
                    row,
                    category,
                    words,
                });
            }
        }
        Ok(dropped)
    }

    /// The first bound that a row is beyond, as its kind and in words.
    fn beyond(&self, table: &CurationTable, row: usize) -> Option<(String, String)> {
        self.bounds.iter().find_map(|bound| {
            let column = &bound.column;
            let (_, values) = table.measures.iter().find(|(name, _)| name == column)?;
            let Some(value) = values[row].filter(|value| !value.is_nan()) else {
                let why = format!("'{column}' has no value");
                return Some((why.clone(), why));
            };
            let beyond = |side: &str, bound: f64| {
                let category = format!("'{column}' is {side} {bound}");
                (category, format!("'{column}' is {value}, {side} {bound}"))
            };
            match (bound.min, bound.max) {
                (Some(min), _) if value < min => Some(beyond("below", min)),
                (_, Some(max)) if value > max => Some(beyond("above", max)),
                _ => None,
            }
        })
    }

    fn refuse_missing_columns(&self, table: &CurationTable) -> Result<(), CurateError> {
        let missing = |column: &String, names: Vec<&str>| CurateError::MissingQualityColumn {
            column: column.clone(),
            hint: match suggestion(column, names.iter().copied()) {
                Some(near) => format!("\nhint: did you mean '{near}'?"),
                None if names.is_empty() => String::new(),
                None => format!("\nhint: there are '{}'", names.join("', '")),
            },
        };
        let flags = || table.flags.iter().map(|flag| flag.name.as_str());
        let asked = [&self.fail_columns, &self.pass_columns, &self.ignore];
        for column in asked.into_iter().flatten() {
            if !flags().any(|name| name == column) {
                return Err(missing(column, flags().collect()));
            }
        }
        let measures = || table.measures.iter().map(|(name, _)| name.as_str());
        for Bound { column, .. } in &self.bounds {
            if !measures().any(|name| name == column) {
                return Err(missing(column, measures().collect()));
            }
        }
        Ok(())
    }
}

/// Whether a column's name says that it is a flag of quality control.
pub(super) fn is_quality_flag(name: &str) -> bool {
    name.strip_prefix("Metadata_")
        .unwrap_or(name)
        .starts_with("qc_")
}
