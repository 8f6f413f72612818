use std::fmt;

use morphospace_profiles::{Column, Features, Profiles};

/// What the test says of a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Phenoprint {
    /// The condition: a guide, an siRNA, a compound with its dose.
    pub condition: String,
    /// What it acts on: its gene, or the compound without its dose.
    pub target: String,
    /// Experiments it was tested in.
    pub num_experiments: usize,
    /// Wells that carry it and nothing else, in all experiments.
    pub num_wells: usize,
    /// How alike its wells are, mean over the experiments it was tested in; NaN of
    /// one that was not.
    pub statistic: f64,
    /// Combined over these experiments; NaN likewise.
    pub p_combined: f64,
    /// By Benjamini and Hochberg over all conditions.
    pub q_value: f64,
    /// Whether `p_combined` is below the threshold.
    pub has_phenoprint: bool,
    /// Why it was not tested.
    pub not_tested: Option<NotTested>,
}

/// Why a condition was not tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTested {
    /// It has no two wells that could be alike.
    SingleWells,
    /// Its experiments have fewer wells to draw from than it has.
    FewWellsToDraw,
}

impl fmt::Display for NotTested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SingleWells => "fewer than 2 wells in each experiment",
            Self::FewWellsToDraw => "more wells than there are to draw from in its experiments",
        })
    }
}

/// A condition in one experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct ExperimentConsistency {
    /// The condition.
    pub condition: String,
    /// The experiment.
    pub experiment: String,
    /// Its wells there.
    pub num_wells: usize,
    /// How alike they are; NaN of a single one.
    pub statistic: f64,
    /// Share of draws that are at least as alike; NaN where it was not tested.
    pub p_value: f64,
}

/// What the test says of a screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Phenoprints {
    /// Each condition, the smallest p-value first, those that were not tested last.
    pub conditions: Vec<Phenoprint>,
    /// Each condition in each experiment, sorted by both; empty of `efaar10`, which
    /// knows no experiments.
    pub experiments: Vec<ExperimentConsistency>,
    /// Wells left out: negative controls and untreated ones.
    pub num_controls: usize,
    /// Wells left out: of several conditions.
    pub num_combinations: usize,
    /// Wells left out: of unknown conditions.
    pub num_unknown: usize,
}

impl Phenoprints {
    /// How many conditions have a phenoprint.
    pub fn num_with_phenoprint(&self) -> usize {
        self.conditions.iter().filter(|c| c.has_phenoprint).count()
    }

    /// How many conditions were tested.
    pub fn num_tested(&self) -> usize {
        self.conditions
            .iter()
            .filter(|c| c.not_tested.is_none())
            .count()
    }

    /// The conditions as a table that curation reads, with the columns `condition`,
    /// `target`, `num_experiments`, `num_wells`, `statistic`, `p_combined`, `q_value`,
    /// `has_phenoprint` and `not_tested`.
    pub fn to_table(&self) -> Profiles {
        let rows = &self.conditions;
        let text = |value: fn(&Phenoprint) -> Option<String>| {
            Column::Text(rows.iter().map(value).collect())
        };
        let count = |value: fn(&Phenoprint) -> usize| {
            Column::from(rows.iter().map(|row| value(row) as i64).collect::<Vec<_>>())
        };
        let number = |value: fn(&Phenoprint) -> f64| known(rows.iter().map(value));
        let has_phenoprint: Vec<bool> = rows.iter().map(|row| row.has_phenoprint).collect();
        table([
            ("condition", text(|row| Some(row.condition.clone()))),
            ("target", text(|row| Some(row.target.clone()))),
            ("num_experiments", count(|row| row.num_experiments)),
            ("num_wells", count(|row| row.num_wells)),
            ("statistic", number(|row| row.statistic)),
            ("p_combined", number(|row| row.p_combined)),
            ("q_value", number(|row| row.q_value)),
            ("has_phenoprint", Column::from(has_phenoprint)),
            (
                "not_tested",
                text(|row| row.not_tested.map(|why| why.to_string())),
            ),
        ])
    }

    /// Each condition in each experiment as a table with the columns `condition`,
    /// `experiment`, `num_wells`, `statistic` and `p_value`.
    pub fn experiments_table(&self) -> Profiles {
        let rows = &self.experiments;
        let text = |value: fn(&ExperimentConsistency) -> String| {
            Column::from(rows.iter().map(value).collect::<Vec<_>>())
        };
        let num_wells: Vec<i64> = rows.iter().map(|row| row.num_wells as i64).collect();
        table([
            ("condition", text(|row| row.condition.clone())),
            ("experiment", text(|row| row.experiment.clone())),
            ("num_wells", Column::from(num_wells)),
            ("statistic", known(rows.iter().map(|row| row.statistic))),
            ("p_value", known(rows.iter().map(|row| row.p_value))),
        ])
    }
}

/// Nothing is known is nothing written.
fn known(values: impl Iterator<Item = f64>) -> Column {
    Column::Float(
        values
            .map(|value| Some(value).filter(|x| !x.is_nan()))
            .collect(),
    )
}

fn table<const N: usize>(columns: [(&str, Column); N]) -> Profiles {
    let columns = columns.map(|(name, column)| (name.to_owned(), column));
    Profiles::new(columns.into(), Vec::new(), Features::F64(Vec::new()))
        .expect("columns are of one length and have names of their own")
}
