use std::collections::{BTreeSet, HashSet};

use super::curation::DroppedRow;
use super::settings::CurateSettings;
use super::table::CurationTable;

/// In how many experiments and wells each condition is.
pub(super) struct Spread {
    num_experiments: Vec<usize>,
    num_wells: Vec<usize>,
}

impl Spread {
    /// Of the wells that have a row left. A combination counts for each of its
    /// conditions.
    pub(super) fn of(table: &CurationTable, rows: &[usize]) -> Self {
        let wells: BTreeSet<u32> = rows.iter().map(|&row| table.well_of_row[row]).collect();
        let mut num_wells = vec![0; table.conditions.len()];
        let mut experiments = vec![HashSet::new(); table.conditions.len()];
        for well in wells {
            let well = &table.wells[well as usize];
            for &condition in well.known_conditions() {
                num_wells[condition as usize] += 1;
                experiments[condition as usize].insert(well.experiment());
            }
        }
        Self {
            num_experiments: experiments.iter().map(HashSet::len).collect(),
            num_wells,
        }
    }

    /// The most experiments, and the most wells, that any condition is in.
    pub(super) fn most(&self) -> (usize, usize) {
        let most = |counts: &[usize]| counts.iter().copied().max().unwrap_or(0);
        (most(&self.num_experiments), most(&self.num_wells))
    }

    /// Rows none of whose conditions is in enough experiments and wells. Rows
    /// without a condition stay.
    pub(super) fn apply(
        &self,
        table: &CurationTable,
        rows: &[usize],
        settings: &CurateSettings,
    ) -> Vec<DroppedRow> {
        let (min_experiments, min_wells) = (settings.min_experiments, settings.min_wells);
        // What is wrong with a condition, as its kind and in words.
        let why = |condition: usize| {
            let (experiments, wells) = (self.num_experiments[condition], self.num_wells[condition]);
            let name = &table.conditions[condition];
            if experiments < min_experiments {
                return Some((
                    format!("conditions in fewer than {min_experiments} experiments"),
                    format!(
                        "'{name}' is in {experiments} of at least {min_experiments} experiments"
                    ),
                ));
            }
            (wells < min_wells).then(|| {
                (
                    format!("conditions in fewer than {min_wells} wells"),
                    format!("'{name}' is in {wells} of at least {min_wells} wells"),
                )
            })
        };
        let dropped = rows.iter().filter_map(|&row| {
            let conditions = table.well(row).known_conditions();
            let reasons = conditions.iter().map(|&id| why(id as usize));
            // The first reason, if every condition has one.
            let mut reasons = reasons.collect::<Option<Vec<_>>>()?.into_iter();
            let (category, words) = reasons.next()?;
            Some(DroppedRow {
                row,
                category,
                words,
            })
        });
        dropped.collect()
    }
}
