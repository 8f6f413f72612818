use std::fmt;

use morphospace_profiles::{Column, Features, Profiles};

use super::curation::DroppedRow;
use super::step::CurateStep;
use super::table::CurationTable;

/// How many rows each step dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct CurationSummary {
    /// Rows before the first step.
    pub num_rows: usize,
    /// Wells before the first step.
    pub num_wells: usize,
    /// Conditions before the first step, without those of negative controls.
    pub num_conditions: usize,
    /// Each reason of each step, in their order; one row of a step that drops
    /// nothing.
    pub rows: Vec<SummaryRow>,
    /// What should be known beside.
    pub notes: Vec<String>,
}

/// Rows dropped for one reason, and what is left after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    /// The step.
    pub step: CurateStep,
    /// The reason, or that nothing was dropped.
    pub reason: String,
    /// Rows dropped.
    pub num_dropped: usize,
    /// Rows left.
    pub rows_left: usize,
    /// Wells left, of which at least one row is.
    pub wells_left: usize,
    /// Conditions left, without those of negative controls.
    pub conditions_left: usize,
}

impl CurationSummary {
    pub(super) fn new(remaining: &Remaining) -> Self {
        Self {
            num_rows: remaining.num_rows,
            num_wells: remaining.num_wells,
            num_conditions: remaining.num_conditions,
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The rows as a table with the columns `step`, `reason`, `rows_dropped`,
    /// `rows_left`, `wells_left` and `conditions_left`.
    pub fn to_table(&self) -> Profiles {
        let rows = &self.rows;
        let text = |value: fn(&SummaryRow) -> String| {
            Column::from(rows.iter().map(value).collect::<Vec<_>>())
        };
        let count = |value: fn(&SummaryRow) -> usize| {
            Column::from(rows.iter().map(|row| value(row) as i64).collect::<Vec<_>>())
        };
        let columns = [
            ("step", text(|row| row.step.to_string())),
            ("reason", text(|row| row.reason.clone())),
            ("rows_dropped", count(|row| row.num_dropped)),
            ("rows_left", count(|row| row.rows_left)),
            ("wells_left", count(|row| row.wells_left)),
            ("conditions_left", count(|row| row.conditions_left)),
        ];
        let columns = columns.map(|(name, column)| (name.to_owned(), column));
        Profiles::new(columns.into(), Vec::new(), Features::F64(Vec::new()))
            .expect("columns are of one length and have names of their own")
    }
}

impl fmt::Display for CurationSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} rows of {} wells, {} conditions",
            self.num_rows, self.num_wells, self.num_conditions
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{}: {}: {} rows dropped; {} rows of {} wells, {} conditions left",
                row.step,
                row.reason,
                row.num_dropped,
                row.rows_left,
                row.wells_left,
                row.conditions_left
            )?;
        }
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        Ok(())
    }
}

/// What is left of a screen, counted as rows are dropped.
pub(super) struct Remaining {
    rows_of_well: Vec<usize>,
    wells_of_condition: Vec<usize>,
    num_rows: usize,
    num_wells: usize,
    num_conditions: usize,
}

impl Remaining {
    pub(super) fn of(table: &CurationTable) -> Self {
        let mut rows_of_well = vec![0; table.num_wells()];
        for &well in &table.well_of_row {
            rows_of_well[well as usize] += 1;
        }
        let mut wells_of_condition = vec![0; table.conditions.len()];
        for well in table.wells.iter().filter(|well| !well.role.is_negative()) {
            for &condition in well.known_conditions() {
                wells_of_condition[condition as usize] += 1;
            }
        }
        Self {
            num_rows: table.num_rows(),
            num_wells: table.num_wells(),
            num_conditions: wells_of_condition
                .iter()
                .filter(|count| **count > 0)
                .count(),
            rows_of_well,
            wells_of_condition,
        }
    }

    /// Conditions of wells that are no negative controls.
    pub(super) fn num_conditions(&self) -> usize {
        self.num_conditions
    }

    fn drop_row(&mut self, table: &CurationTable, row: usize) {
        self.num_rows -= 1;
        let well = table.well_of_row[row] as usize;
        self.rows_of_well[well] -= 1;
        if self.rows_of_well[well] > 0 {
            return;
        }
        self.num_wells -= 1;
        let well = &table.wells[well];
        if well.role.is_negative() {
            return;
        }
        for &condition in well.known_conditions() {
            let wells = &mut self.wells_of_condition[condition as usize];
            *wells -= 1;
            self.num_conditions -= usize::from(*wells == 0);
        }
    }

    pub(super) fn row(
        &self,
        step: CurateStep,
        reason: impl Into<String>,
        num_dropped: usize,
    ) -> SummaryRow {
        SummaryRow {
            step,
            reason: reason.into(),
            num_dropped,
            rows_left: self.num_rows,
            wells_left: self.num_wells,
            conditions_left: self.num_conditions,
        }
    }
}

/// Counts the rows that a step drops by their reasons, the most frequent first.
pub(super) fn count(
    remaining: &mut Remaining,
    table: &CurationTable,
    step: CurateStep,
    dropped: &[DroppedRow],
) -> Vec<SummaryRow> {
    let mut by_reason: Vec<(&str, Vec<usize>)> = Vec::new();
    for dropped in dropped {
        let same = by_reason
            .iter_mut()
            .find(|(category, _)| *category == dropped.category);
        match same {
            Some((_, rows)) => rows.push(dropped.row),
            None => by_reason.push((&dropped.category, vec![dropped.row])),
        }
    }
    by_reason
        .sort_by(|(a, a_rows), (b, b_rows)| b_rows.len().cmp(&a_rows.len()).then_with(|| a.cmp(b)));
    if by_reason.is_empty() {
        return vec![remaining.row(step, "nothing dropped", 0)];
    }
    by_reason
        .into_iter()
        .map(|(reason, rows)| {
            rows.iter().for_each(|&row| remaining.drop_row(table, row));
            remaining.row(step, reason, rows.len())
        })
        .collect()
}
