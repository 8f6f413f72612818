use morphospace_core::{ControlRole, Experiment, UnknownControlRole};
use morphospace_profiles::{Column, Profiles, ProfilesError};
use serde::{Deserialize, Serialize};

use crate::ControlRule;
use crate::controls::NoControlsError;

/// Where a table says what was done to the cells of each row.
///
/// Columns are found by either family of names ([`morphospace_profiles::Schema`]):
/// the defaults read tables of `embed`, of the RxRx data sets and of JUMP. A column
/// that is `None` is looked for under its usual names and done without if there is
/// none.
///
/// A *condition* is what distinguishes one perturbation from another: a guide, an
/// siRNA, or a compound with its dose, written `Nocodazole @ 0.25` as
/// [`morphospace_core::Perturbation::label`] does. Dose columns are joined to the
/// names of compounds unless they stand there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConditionColumns {
    /// The experiment.
    pub experiment: String,
    /// What was applied; several perturbations of a well are separated by
    /// `separator`.
    pub condition: String,
    /// The dose in micromolar.
    pub concentration: Option<String>,
    /// What the perturbation acts on: a gene.
    pub target: Option<String>,
    /// What the well is for, in the words of [`ControlRole`].
    pub control_role: Option<String>,
    /// Which wells are negative controls, where no column has their roles.
    pub negative_controls: Option<ControlRule>,
    /// Which wells are positive controls, likewise.
    pub positive_controls: Option<ControlRule>,
    /// Which wells were left alone, likewise.
    pub untreated: Option<ControlRule>,
    /// Between several perturbations of a well.
    pub separator: String,
}

impl Default for ConditionColumns {
    fn default() -> Self {
        Self {
            experiment: "Metadata_Batch".to_owned(),
            condition: "Metadata_treatment".to_owned(),
            concentration: None,
            target: None,
            control_role: None,
            negative_controls: None,
            positive_controls: None,
            untreated: None,
            separator: " + ".to_owned(),
        }
    }
}

/// Usual names of columns that a table may lack.
const CONCENTRATIONS: [&str; 4] = [
    "Metadata_concentration",
    "Metadata_dose_micromolar",
    "Metadata_treatment_conc",
    "Metadata_treatment_concentration",
];
const TARGETS: [&str; 1] = ["Metadata_gene"];
const CONTROL_ROLES: [&str; 2] = ["Metadata_control_role", "Metadata_pert_type"];
const SOURCES: [&str; 1] = ["Metadata_Source"];
/// Between a compound and its dose.
const DOSE_MARK: &str = " @ ";

/// What was done to the cells of each row of a table.
///
/// # Example
/// ```
/// use morphospace_map::{ConditionColumns, Conditions};
/// use morphospace_profiles::{Column, Features, Profiles};
///
/// let table = Profiles::new(
///     vec![
///         ("experiment".to_owned(), Column::from(vec!["HUVEC-01"; 3])),
///         ("well_type".to_owned(), Column::from(vec!["treatment", "negative_control", "empty"])),
///         ("treatment".to_owned(), Column::from(vec!["Nocodazole", "DMSO", "EMPTY"])),
///         ("concentration".to_owned(), Column::Float(vec![Some(0.25), None, None])),
///     ],
///     vec![],
///     Features::F64(vec![]),
/// )?;
/// let conditions = Conditions::of(&table, &ConditionColumns::default())?;
/// assert_eq!(conditions.applied[0], Some(vec!["Nocodazole @ 0.25".to_owned()]));
/// assert_eq!(conditions.targets[0], ["Nocodazole"]);
/// // Cells that were left alone have no condition; that is known of them.
/// assert_eq!(conditions.applied[2], Some(vec![]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// The experiment, told apart by its source where the table has several.
    pub experiments: Vec<Experiment>,
    /// What the well is for.
    pub roles: Vec<ControlRole>,
    /// The conditions: none of cells left alone, several of a combination, `None`
    /// where it is not known.
    pub applied: Vec<Option<Vec<String>>>,
    /// What each condition acts on: its gene, or itself without its dose. As many
    /// as there are conditions.
    pub targets: Vec<Vec<String>>,
}

/// Why a table does not say what was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionsError {
    /// A column is missing, or not filled.
    #[error(transparent)]
    Profiles(#[from] ProfilesError),
    /// Nothing tells controls.
    #[error(
        "the table does not say which wells are controls: it has neither 'Metadata_control_role' nor 'Metadata_pert_type'\nhint: name the column, or a rule such as treatment=EMPTY_control"
    )]
    NoRoles,
    /// A word that is no role.
    #[error(
        "column '{column}' of {row}: {source}\nhint: name the controls by a rule, such as --set 'columns.negative_controls={{column=\"{column}\", values=[\"DMSO\"]}}'"
    )]
    UnknownRole {
        /// The column.
        column: String,
        /// The row, with its plate and well.
        row: String,
        /// The word.
        source: UnknownControlRole,
    },
    /// A rule that no row meets.
    #[error(transparent)]
    NoControls(#[from] NoControlsError),
    /// A dose that is no number.
    #[error("column '{column}' of {row} holds '{text}', which is not a concentration")]
    InvalidConcentration {
        /// The column.
        column: String,
        /// The row, with its plate and well.
        row: String,
        /// What stands there.
        text: String,
    },
}

impl Conditions {
    /// Reads a table's columns.
    ///
    /// # Errors
    /// [`ConditionsError`] names the column and the row.
    pub fn of(table: &Profiles, columns: &ConditionColumns) -> Result<Self, ConditionsError> {
        let roles = roles(table, columns)?;
        let names = table.text(table.column_in_any_schema(&columns.condition)?)?;
        let genes = match usual_column(table, columns.target.as_deref(), &TARGETS)? {
            Some(column) => table.text(column)?,
            None => vec![None; table.num_rows()],
        };
        let doses = concentrations(table, columns)?;
        let mut applied = Vec::with_capacity(table.num_rows());
        let mut targets = Vec::with_capacity(table.num_rows());
        for (row, name) in names.into_iter().enumerate() {
            let conditions = match (roles[row], name.filter(|name| !name.trim().is_empty())) {
                (ControlRole::Untreated, _) | (ControlRole::NegativeControl, None) => {
                    Some(Vec::new())
                }
                (_, None) => None,
                (_, Some(name)) => Some(with_dose(split(&name, &columns.separator), doses[row])),
            };
            targets.push(match &conditions {
                Some(conditions) => targets_of(conditions, genes[row].as_deref(), columns),
                None => Vec::new(),
            });
            applied.push(conditions);
        }
        Ok(Self {
            experiments: experiments(table, columns)?,
            roles,
            applied,
            targets,
        })
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.roles.len()
    }
}

/// The column asked for, or the first of its usual names that the table has.
fn usual_column<'t>(
    table: &'t Profiles,
    asked: Option<&str>,
    usual: &[&str],
) -> Result<Option<&'t str>, ProfilesError> {
    match asked {
        Some(name) => table.column_in_any_schema(name).map(Some),
        None => Ok(usual
            .iter()
            .find_map(|name| table.column_in_any_schema(name).ok())),
    }
}

/// The sources of a table's rows, none where it has no such column.
pub(crate) fn sources(table: &Profiles) -> Result<Vec<Option<String>>, ProfilesError> {
    match usual_column(table, None, &SOURCES)? {
        Some(column) => table.text(column),
        None => Ok(vec![None; table.num_rows()]),
    }
}

fn experiments(
    table: &Profiles,
    columns: &ConditionColumns,
) -> Result<Vec<Experiment>, ProfilesError> {
    let names = table.keys(table.column_in_any_schema(&columns.experiment)?)?;
    let sources = sources(table)?;
    let names = names.into_iter().zip(sources);
    Ok(names
        .map(|(name, source)| match source {
            Some(source) => Experiment::new(format!("{source} {name}")),
            None => Experiment::new(name),
        })
        .collect())
}

fn roles(
    table: &Profiles,
    columns: &ConditionColumns,
) -> Result<Vec<ControlRole>, ConditionsError> {
    let rules = [
        (&columns.negative_controls, ControlRole::NegativeControl),
        (&columns.positive_controls, ControlRole::PositiveControl),
        (&columns.untreated, ControlRole::Untreated),
    ];
    let has_rule = rules.iter().any(|(rule, _)| rule.is_some());
    let asked = columns.control_role.as_deref();
    let column = usual_column(table, asked, &CONTROL_ROLES)?;
    let mut roles = vec![ControlRole::Treatment; table.num_rows()];
    match column {
        // A rule says better than a column that was not asked for.
        Some(_) if has_rule && asked.is_none() => {}
        Some(column) => {
            for (row, text) in table.text(column)?.into_iter().enumerate() {
                let Some(text) = text else { continue };
                roles[row] = text
                    .parse()
                    .map_err(|source| ConditionsError::UnknownRole {
                        column: column.to_owned(),
                        row: table.describe_row(row),
                        source,
                    })?;
            }
        }
        None if has_rule => {}
        None => return Err(ConditionsError::NoRoles),
    }
    for (rule, role) in rules {
        let Some(rule) = rule else { continue };
        let rule = ControlRule {
            column: table.column_in_any_schema(&rule.column)?.to_owned(),
            values: rule.values.clone(),
        };
        for (of_row, is_control) in roles.iter_mut().zip(rule.select(table)?) {
            if is_control {
                *of_row = role;
            }
        }
    }
    Ok(roles)
}

fn concentrations(
    table: &Profiles,
    columns: &ConditionColumns,
) -> Result<Vec<Option<f64>>, ConditionsError> {
    let column = usual_column(table, columns.concentration.as_deref(), &CONCENTRATIONS)?;
    let Some(name) = column else {
        return Ok(vec![None; table.num_rows()]);
    };
    if let Column::Float(values) = table.column(name)? {
        return Ok(values.iter().map(|x| x.filter(|x| !x.is_nan())).collect());
    }
    let values = table.text(name)?.into_iter().enumerate();
    values
        .map(|(row, text)| match text.as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Some(value)),
                _ => Err(ConditionsError::InvalidConcentration {
                    column: name.to_owned(),
                    row: table.describe_row(row),
                    text: text.to_owned(),
                }),
            },
        })
        .collect()
}

fn split(name: &str, separator: &str) -> Vec<String> {
    if separator.is_empty() {
        return vec![name.trim().to_owned()];
    }
    let parts = name.split(separator).map(str::trim);
    let parts: Vec<String> = parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    // A name that is nothing but separators is a name.
    if parts.is_empty() {
        vec![name.to_owned()]
    } else {
        parts
    }
}

/// Joins the dose to a single condition that does not name it; to which of several
/// it belongs a table with one column does not say.
fn with_dose(mut conditions: Vec<String>, dose: Option<f64>) -> Vec<String> {
    if let ([condition], Some(dose)) = (conditions.as_mut_slice(), dose) {
        let mark = format!("{DOSE_MARK}{dose}");
        if !condition.ends_with(&mark) {
            condition.push_str(&mark);
        }
    }
    conditions
}

fn targets_of(
    conditions: &[String],
    genes: Option<&str>,
    columns: &ConditionColumns,
) -> Vec<String> {
    let genes = genes.map(|genes| split(genes, &columns.separator));
    match genes {
        Some(genes) if genes.len() == conditions.len() => genes,
        _ => conditions
            .iter()
            .map(|condition| match condition.rsplit_once(DOSE_MARK) {
                Some((name, dose)) if dose.parse::<f64>().is_ok() => name.to_owned(),
                _ => condition.clone(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use morphospace_profiles::Features;

    use super::*;

    fn table(columns: &[(&str, &[&str])]) -> Profiles {
        let metadata = columns.iter().map(|(name, values)| {
            let values = values
                .iter()
                .map(|value| (!value.is_empty()).then(|| (*value).to_owned()));
            ((*name).to_owned(), Column::Text(values.collect()))
        });
        Profiles::new(metadata.collect(), vec![], Features::F64(vec![])).expect("a table")
    }

    #[test]
    fn doses_are_joined_once_and_combinations_taken_apart() {
        let table = table(&[
            ("Metadata_Batch", &["B1"; 5]),
            ("Metadata_control_role", &["trt"; 5]),
            (
                "Metadata_treatment",
                &["x", "x @ 0.1", "x @ 0.1 + y", "TP53_1", ""],
            ),
            ("Metadata_concentration", &["0.10", "0.1", "2", "", "1"]),
            ("Metadata_gene", &["", "", "", "TP53", ""]),
        ]);
        let found = Conditions::of(&table, &ConditionColumns::default()).expect("complete");
        let applied = |row: usize| found.applied[row].clone().unwrap_or_default();
        assert_eq!(applied(0), ["x @ 0.1"]);
        assert_eq!(applied(1), ["x @ 0.1"]);
        assert_eq!(applied(2), ["x @ 0.1", "y"]);
        assert_eq!(found.targets[2], ["x", "y"]);
        assert_eq!(found.targets[3], ["TP53"]);
        // A treatment without a name is unknown, and not an untreated well.
        assert_eq!(found.applied[4], None);
    }

    #[test]
    fn rules_tell_controls_where_no_column_has_roles() {
        let table = table(&[
            ("experiment_name", &["gene-001"; 3]),
            (
                "treatment",
                &["PLK1_guide_1", "CRISPR_control", "EMPTY_control"],
            ),
        ]);
        let columns = ConditionColumns::default();
        let error = Conditions::of(&table, &columns).expect_err("no roles");
        assert!(
            error.to_string().contains("treatment=EMPTY_control"),
            "{error}"
        );
        let columns = ConditionColumns {
            negative_controls: Some(ControlRule::new("treatment", ["CRISPR_control"])),
            untreated: Some(ControlRule::new("Metadata_treatment", ["EMPTY_control"])),
            ..columns
        };
        let found = Conditions::of(&table, &columns).expect("ruled");
        assert_eq!(
            found.roles,
            [
                ControlRole::Treatment,
                ControlRole::NegativeControl,
                ControlRole::Untreated
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let roles = table(&[
            ("Metadata_Batch", &["B1"]),
            ("Metadata_treatment", &["x"]),
            ("Metadata_pert_type", &["sham"]),
            ("Metadata_Well", &["B02"]),
        ]);
        let error = Conditions::of(&roles, &ConditionColumns::default()).expect_err("no role");
        let words = ["Metadata_pert_type", "'B02'", "'sham'"];
        assert!(
            words.iter().all(|word| error.to_string().contains(word)),
            "{error}"
        );
        let doses = table(&[
            ("Metadata_Batch", &["B1"]),
            ("Metadata_treatment", &["x"]),
            ("Metadata_control_role", &["trt"]),
            ("Metadata_concentration", &["high"]),
        ]);
        let error = Conditions::of(&doses, &ConditionColumns::default()).expect_err("no number");
        assert!(error.to_string().contains("'high'"), "{error}");
    }

    #[test]
    fn sources_tell_experiments_of_one_name_apart() {
        let table = table(&[
            ("Metadata_Source", &["source_1", "source_2"]),
            ("Metadata_Batch", &["Batch1"; 2]),
            ("Metadata_treatment", &["x"; 2]),
            ("Metadata_pert_type", &["trt"; 2]),
        ]);
        let found = Conditions::of(&table, &ConditionColumns::default()).expect("complete");
        assert_ne!(found.experiments[0], found.experiments[1]);
    }
}
