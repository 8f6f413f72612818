use morphospace_profiles::{Column, Profiles};

use super::error::CurateError;
use super::phenoprints::{self, PhenoprintTable};
use super::settings::CurateSettings;
use super::spread::Spread;
use super::step::CurateStep;
use super::summary::{CurationSummary, Remaining, SummaryRow};
use super::table::CurationTable;
use super::{perturbations, summary};

/// Column that says whether to keep a row.
pub const KEEP_COLUMN: &str = "keep";
/// Column that says why a row is not kept.
pub const REASON_COLUMN: &str = "reason";

/// A row that a step drops.
pub(super) struct DroppedRow {
    pub(super) row: usize,
    /// The reason as the summary counts it.
    pub(super) category: String,
    /// The reason of this row.
    pub(super) words: String,
}

/// What became of the rows of a screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Curated {
    /// Whether to keep each row.
    pub keep: Vec<bool>,
    /// Why a row is not kept, the first step that drops it first: `spread: 'x' is in
    /// 2 of at least 3 experiments`.
    pub reasons: Vec<Option<String>>,
    /// How many rows each step dropped.
    pub summary: CurationSummary,
}

/// Takes the steps of curation, each on what the ones before it left.
///
/// Without `phenoprints` the last step is not taken, and the summary says so: the
/// first network of a screen is trained on what the first four leave.
///
/// # Errors
/// [`CurateError`]: a setting, or a rule of quality that names no column;
/// [`CurateError::NoOverlap`] of phenoprints of other conditions;
/// [`CurateError::NothingLeft`] names the step that leaves no perturbation, and what
/// to change.
///
/// # Source
/// Kenyon-Dean et al. 2024, appendix A.1, <https://arxiv.org/abs/2411.02572>
///
/// # Example
/// ```
/// use morphospace_core::{ControlRole, PlateKey};
/// use morphospace_map::{
///     CurateSettings, CurationRow, CurationTable, PhenoprintTable, curate,
/// };
///
/// let wells = ["TP53_1", "TP53_1", "FAIL_1"];
/// let table = CurationTable::new(wells.iter().enumerate().map(|(index, condition)| {
///     CurationRow {
///         plate: PlateKey::new(format!("HUVEC-{index}"), "1"),
///         well: "B02".to_owned(),
///         control_role: ControlRole::Treatment,
///         conditions: Some(vec![(*condition).to_owned()]),
///     }
/// }))?;
/// let phenoprints = [PhenoprintTable::new(
///     "mae",
///     [("TP53_1".to_owned(), true), ("FAIL_1".to_owned(), false)],
/// )];
/// let settings =
///     CurateSettings { min_experiments: 1, min_wells: 1, ..CurateSettings::default() };
/// let curated = curate(&table, &phenoprints, &settings)?;
/// assert_eq!(curated.keep, [true, true, false]);
/// assert_eq!(curated.reasons[2].as_deref(), Some("phenoprints: no phenoprint of 'FAIL_1'"));
/// # Ok::<(), morphospace_map::CurateError>(())
/// ```
pub fn curate(
    table: &CurationTable,
    phenoprints: &[PhenoprintTable],
    settings: &CurateSettings,
) -> Result<Curated, CurateError> {
    settings.check()?;
    let mut rows: Vec<usize> = (0..table.num_rows()).collect();
    let mut reasons: Vec<Option<String>> = vec![None; table.num_rows()];
    let mut remaining = Remaining::of(table);
    let mut summary = CurationSummary::new(&remaining);
    for step in CurateStep::ALL {
        let num_conditions = remaining.num_conditions();
        let skipped = match step {
            _ if !settings.takes(step) => Some("not taken"),
            CurateStep::Phenoprints if phenoprints.is_empty() => {
                Some("not taken: no table of phenoprints is given")
            }
            _ => None,
        };
        if let Some(why) = skipped {
            summary.rows.push(remaining.row(step, why, 0));
            continue;
        }
        let mut spread = None;
        let dropped = match step {
            CurateStep::Quality => settings.quality.apply(table, &rows)?,
            CurateStep::Perturbations => perturbations::apply(table, &rows, settings),
            CurateStep::Spread => {
                let of_rows = spread.insert(Spread::of(table, &rows));
                of_rows.apply(table, &rows, settings)
            }
            CurateStep::UnderSampling => {
                let (dropped, notes) = settings.under_sampling.apply(table, &rows);
                summary.notes.extend(notes);
                dropped
            }
            CurateStep::Phenoprints => {
                let (dropped, notes) = phenoprints::apply(table, &rows, phenoprints, settings)?;
                summary.notes.extend(notes);
                dropped
            }
        };
        let counted = summary::count(&mut remaining, table, step, &dropped);
        for dropped in dropped {
            reasons[dropped.row] = Some(format!("{step}: {}", dropped.words));
        }
        rows.retain(|&row| reasons[row].is_none());
        if num_conditions > 0 && remaining.num_conditions() == 0 {
            return Err(nothing_left(
                step,
                num_conditions,
                &counted,
                spread.as_ref(),
                settings,
            ));
        }
        summary.rows.extend(counted);
    }
    Ok(Curated {
        keep: reasons.iter().map(Option::is_none).collect(),
        reasons,
        summary,
    })
}

/// [`curate`] of a metadata or profile table: the same table with the columns
/// [`KEEP_COLUMN`] and [`REASON_COLUMN`], which is empty where a row is kept.
///
/// # Errors
/// Those of [`curate`]; [`CurateError`] names the column and the row that cannot be
/// read.
pub fn curate_profiles(
    table: &Profiles,
    phenoprints: &[PhenoprintTable],
    settings: &CurateSettings,
) -> Result<(Profiles, CurationSummary), CurateError> {
    settings.check()?;
    let rows = CurationTable::of_profiles(table, settings)?;
    let curated = curate(&rows, phenoprints, settings)?;
    let table = table
        .clone()
        .with_column(KEEP_COLUMN, Column::from(curated.keep))?
        .with_column(REASON_COLUMN, Column::Text(curated.reasons))?;
    Ok((table, curated.summary))
}

/// Why no perturbation is left, and what to change.
fn nothing_left(
    step: CurateStep,
    num_conditions: usize,
    counted: &[SummaryRow],
    spread: Option<&Spread>,
    settings: &CurateSettings,
) -> CurateError {
    let reasons: Vec<String> = counted
        .iter()
        .map(|row| format!("{} ({} rows)", row.reason, row.num_dropped))
        .collect();
    let (why, hint) = match (step, spread.map(Spread::most)) {
        (CurateStep::Spread, Some((experiments, wells))) => (
            format!(
                "one is in {experiments} experiments at most and in {wells} wells at most, at \
                 least {} and {} are asked for",
                settings.min_experiments, settings.min_wells
            ),
            "lower min_experiments or min_wells",
        ),
        (CurateStep::Quality, _) => (reasons.join(", "), "ignore a flag, or move a bound"),
        (CurateStep::UnderSampling, _) => (reasons.join(", "), "raise the share of treatments"),
        (CurateStep::Phenoprints, _) => (
            reasons.join(", "),
            "test with more wells for each condition, or other profiles",
        ),
        _ => (reasons.join(", "), "correct the table"),
    };
    CurateError::NothingLeft {
        step,
        num_conditions,
        why: why.into_boxed_str(),
        hint: hint.into(),
    }
}
